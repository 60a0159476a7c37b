/* torch_file.c: PyTorch's .pth and .pt, read in place.
 *
 * zip (since 1.6):  NAME/data.pkl          the object; storages by key
 *                   NAME/data/KEY          a storage's numbers, stored
 *                   NAME/byteorder         "little", where it is given
 * stream (before):  pickle of a magic number, of 1001, of the writing system's sizes,
 *                   of the object, of the list of keys; then for each key
 *                   int64 elements, numbers
 * The object: name -> tensor, or a checkpoint that holds such a dictionary, or a module. */
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/zip_map.h"
#include "formats/pickle.h"
#include "formats/torch_state.h"
#include "formats/weight_list.h"

/* ---- the object ------------------------------------------------------------- */

/* The last element a tensor reaches must lie in its storage. */
static bool fits(const struct eg_pickle_tensor *tensor, uint64_t room)
{
    uint64_t last = tensor->offset, step;
    for (size_t i = 0; i < tensor->rank; i++) {
        if (!tensor->size[i]) return true;
        if (__builtin_mul_overflow(tensor->size[i] - 1, tensor->stride[i], &step) ||
            __builtin_add_overflow(last, step, &last))
            return false;
    }
    return last < room;
}

struct adding {
    struct eg_weight_list *list;
    const struct eg_pickle *pickle;
};

static enum eg_status add_tensor(void *context, const char *name, size_t length,
                                 const struct eg_pickle_tensor *source, struct eg_error *err)
{
    const struct adding *adding = context;
    const struct eg_pickle_storage *storage = &adding->pickle->storages[source->storage];
    int shown = length < 200 ? (int)length : 200;
    struct eg_tensor tensor = {.dtype = storage->dtype, .rank = source->rank};
    size_t count = 1;
    for (size_t i = 0; i < source->rank; i++) {
        if (source->stride[i] > PTRDIFF_MAX / 8 || !eg__mul(count, (size_t)source->size[i], &count))
            return eg__fail(err, EG_E_FORMAT, "tensor '%.*s' is too large", shown, name);
        tensor.dim[i] = (size_t)source->size[i];
        tensor.stride[i] = source->size[i] > 1 ? (ptrdiff_t)source->stride[i] : 0;
    }
    if (!count) return EG_OK; /* no numbers: nothing a network could use */
    if (!fits(source, storage->view_count))
        return eg__fail(err, EG_E_FORMAT, "tensor '%.*s' reaches past the end of its %llu numbers", shown,
                        name, (unsigned long long)storage->view_count);
    tensor.data = storage->data + (storage->view_offset + source->offset) * eg__dtype_size(storage->dtype);
    return eg__weight_list_add(adding->list, name, length, &tensor, err);
}

static enum eg_status add_state(struct eg_weight_list *list, const struct eg_pickle *pickle,
                                struct eg_error *err)
{
    struct adding adding = {list, pickle};
    list->weights->kind = EG_WEIGHTS_TORCH;
    return eg__state_read(pickle, add_tensor, &adding, err);
}

/* `bytes` numbers of storage are at data: enough? */
static enum eg_status place(struct eg_pickle_storage *storage, const uint8_t *data, size_t bytes,
                            struct eg_error *err)
{
    size_t need;
    if (__builtin_mul_overflow(storage->count, storage->element_bytes, &need) || need > bytes)
        return eg__fail(err, EG_E_FORMAT, "storage '%.*s' is truncated: %zu bytes of %llu numbers",
                        storage->key_length < 100 ? (int)storage->key_length : 100, storage->key, bytes,
                        (unsigned long long)storage->count);
    storage->data = data;
    return EG_OK;
}

/* ---- zip ---------------------------------------------------------------------- */

static enum eg_status place_zip_storages(struct eg_pickle *pickle, const struct eg_zip *zip,
                                         const char *folder, size_t folder_length, struct eg_error *err)
{
    for (size_t i = 0; i < pickle->n_storages; i++) {
        struct eg_pickle_storage *storage = &pickle->storages[i];
        char name[512];
        if (folder_length + 5 + storage->key_length > sizeof name)
            return eg__fail(err, EG_E_FORMAT, "a storage's name is too long");
        memcpy(name, folder, folder_length);
        memcpy(name + folder_length, "data/", 5);
        memcpy(name + folder_length + 5, storage->key, storage->key_length);
        const struct eg_zip_entry *entry = eg__zip_find(zip, name, folder_length + 5 + storage->key_length);
        int shown = storage->key_length < 100 ? (int)storage->key_length : 100;
        if (!entry) return eg__fail(err, EG_E_FORMAT, "storage '%.*s' is missing", shown, storage->key);
        if (!entry->stored)
            return eg__fail(err, EG_E_UNSUPPORTED,
                            "storage '%.*s' is compressed (save the file again with torch.save)", shown,
                            storage->key);
        enum eg_status status = place(storage, entry->bytes, entry->size, err);
        if (status) return status;
    }
    return EG_OK;
}

enum eg_status eg__torch_zip_read(struct eg_weight_list *list, const struct eg_zip *zip, struct eg_error *err)
{
    static const char last[] = "/data.pkl";
    enum { LAST = sizeof last - 1 };
    const struct eg_zip_entry *object = NULL;
    for (size_t i = 0; i < zip->n_entries && !object; i++) {
        const struct eg_zip_entry *entry = &zip->entries[i];
        if (entry->name_length >= LAST && !memcmp(entry->name + entry->name_length - LAST, last, LAST))
            object = entry;
    }
    if (!object)
        return eg__fail(err, EG_E_FORMAT,
                        "a zip file that holds no PyTorch data.pkl and no Keras model.weights.h5");
    if (!object->stored) return eg__fail(err, EG_E_UNSUPPORTED, "its data.pkl is compressed");
    const char *folder = object->name;
    size_t folder_length = object->name_length - LAST + 1;
    char name[512];
    if (folder_length + 9 <= sizeof name) {
        memcpy(name, folder, folder_length);
        memcpy(name + folder_length, "byteorder", 9);
        const struct eg_zip_entry *order = eg__zip_find(zip, name, folder_length + 9);
        if (order && order->stored && order->size && order->bytes[0] == 'b')
            return eg__fail(err, EG_E_UNSUPPORTED, "its numbers are big-endian");
    }
    struct eg_pickle pickle;
    enum eg_status status = eg__pickle_read(object->bytes, object->size, &pickle, err);
    if (status) return status;
    status = place_zip_storages(&pickle, zip, folder, folder_length, err);
    if (!status) status = add_state(list, &pickle, err);
    eg__pickle_release(&pickle);
    return status;
}

/* ---- stream --------------------------------------------------------------------- */

static int compare_keys(const void *a, const void *b)
{
    const struct eg_pickle_storage *x = *(struct eg_pickle_storage *const *)a,
                                   *y = *(struct eg_pickle_storage *const *)b;
    uint32_t shorter = x->key_length < y->key_length ? x->key_length : y->key_length;
    int order = memcmp(x->key, y->key, shorter);
    return order ? order : (x->key_length > y->key_length) - (x->key_length < y->key_length);
}

/* The numbers of one key are at bytes; *used: how many bytes they take. */
static enum eg_status place_key(struct eg_pickle_storage **sorted, size_t n,
                                const struct eg_pickle_value *key, const uint8_t *bytes, size_t size,
                                size_t *used, struct eg_error *err)
{
    struct eg_pickle_storage wanted = {.key = key->as.chars, .key_length = key->count}, *pointer = &wanted;
    size_t low = 0, high = n;
    while (low < high) { /* the first storage of that key: views share one */
        size_t middle = low + (high - low) / 2;
        if (compare_keys(&sorted[middle], &pointer) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    int shown = key->count < 100 ? (int)key->count : 100;
    if (low == n || compare_keys(&sorted[low], &pointer))
        return eg__fail(err, EG_E_FORMAT, "storage '%.*s' belongs to no tensor", shown, key->as.chars);
    uint64_t count = 0;
    if (size < sizeof count)
        return eg__fail(err, EG_E_FORMAT, "storage '%.*s' is truncated", shown, key->as.chars);
    memcpy(&count, bytes, sizeof count);
    size_t need;
    if (__builtin_mul_overflow(count, sorted[low]->element_bytes, &need) || need > size - sizeof count)
        return eg__fail(err, EG_E_FORMAT, "storage '%.*s' is truncated (get the file again)", shown,
                        key->as.chars);
    for (; low < n && !compare_keys(&sorted[low], &pointer); low++) {
        enum eg_status status = place(sorted[low], bytes + sizeof count, need, err);
        if (status) return status;
    }
    *used = need + sizeof count;
    return EG_OK;
}

static enum eg_status place_stream_storages(struct eg_pickle *pickle, const struct eg_pickle *keys,
                                            const uint8_t *bytes, size_t size, struct eg_error *err)
{
    const struct eg_pickle_value *list = &keys->values[keys->result];
    if (list->kind != EG_PICKLE_LIST) return eg__fail(err, EG_E_FORMAT, "its list of storages is no list");
    struct eg_pickle_storage **sorted = eg__alloc(pickle->n_storages, sizeof *sorted);
    if (!sorted) return eg__fail_memory(err, "a list of storages");
    for (size_t i = 0; i < pickle->n_storages; i++) sorted[i] = &pickle->storages[i];
    qsort(sorted, pickle->n_storages, sizeof *sorted, compare_keys);
    enum eg_status status = EG_OK;
    size_t at = 0, used = 0;
    for (size_t i = 0; i < list->count && !status; i++, at += used) {
        const struct eg_pickle_value *key = &keys->values[list->as.items[i]];
        status = key->kind != EG_PICKLE_STRING
                     ? eg__fail(err, EG_E_FORMAT, "a storage's key is no string")
                     : place_key(sorted, pickle->n_storages, key, bytes + at, size - at, &used, err);
        if (status) break;
    }
    for (size_t i = 0; i < pickle->n_storages && !status; i++)
        if (!pickle->storages[i].data)
            status =
                eg__fail(err, EG_E_FORMAT, "storage '%.*s' is missing",
                         pickle->storages[i].key_length < 100 ? (int)pickle->storages[i].key_length : 100,
                         pickle->storages[i].key);
    free(sorted);
    return status;
}

/* One pickle of the stream, which *at is moved past. */
static enum eg_status next_pickle(const struct eg_mapping *file, size_t *at, struct eg_pickle *pickle,
                                  struct eg_error *err)
{
    enum eg_status status = eg__pickle_read(file->bytes + *at, file->size - *at, pickle, err);
    if (!status) *at += pickle->length;
    return status;
}

/* The protocol's number and the writing system's sizes. */
static enum eg_status read_prologue(const struct eg_mapping *file, size_t *at, struct eg_error *err)
{
    static const uint8_t magic[] = {0x80, 2,    0x8a, 10,   0x6c, 0xfc, 0x9c, 0x46,
                                    0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, '.'};
    if (file->size < sizeof magic || memcmp(file->bytes, magic, sizeof magic))
        return eg__fail(err, EG_E_FORMAT, "a pickle, but not one that torch.save wrote");
    *at = sizeof magic;
    struct eg_pickle pickle;
    enum eg_status status = next_pickle(file, at, &pickle, err);
    if (status) return status;
    const struct eg_pickle_value *value = &pickle.values[pickle.result];
    bool known = value->kind == EG_PICKLE_INT && value->as.integer == 1001;
    eg__pickle_release(&pickle);
    if (!known) return eg__fail(err, EG_E_UNSUPPORTED, "a version of PyTorch's old layout that is not 1001");
    status = next_pickle(file, at, &pickle, err);
    if (status) return status;
    value = eg__pickle_get(&pickle, &pickle.values[pickle.result], "little_endian");
    bool little = value && value->kind == EG_PICKLE_BOOL && value->as.integer;
    eg__pickle_release(&pickle);
    return little ? EG_OK : eg__fail(err, EG_E_UNSUPPORTED, "its numbers are big-endian");
}

enum eg_status eg__torch_stream_read(struct eg_weight_list *list, struct eg_error *err)
{
    const struct eg_mapping *file = &list->mapping;
    size_t at = 0;
    struct eg_pickle object, keys;
    enum eg_status status = read_prologue(file, &at, err);
    if (status) return status;
    status = next_pickle(file, &at, &object, err);
    if (status) return status;
    status = next_pickle(file, &at, &keys, err);
    if (!status) {
        status = place_stream_storages(&object, &keys, file->bytes + at, file->size - at, err);
        eg__pickle_release(&keys);
    }
    if (!status) status = add_state(list, &object, err);
    eg__pickle_release(&object);
    return status;
}
