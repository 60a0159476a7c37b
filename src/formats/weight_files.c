/* weight_files.c: which kind of weights file it is, and what all kinds share. */
#include "formats/weight_files.h"

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/zip_map.h"
#include "formats/weight_list.h"
#include "formats/weight_parts.h"

static void list_free(void *object)
{
    struct eg_weight_list *list = object;
    for (size_t i = 0; i < list->n_blocks; i++) free(list->blocks[i]);
    free(list->blocks);
    eg__unmap_file(&list->mapping);
    free(list);
}

enum eg_status eg__weight_list_keep(struct eg_weight_list *list, void *block, struct eg_error *err)
{
    if (!eg__grow(&list->blocks, &list->blocks_capacity, list->n_blocks + 1, sizeof *list->blocks)) {
        free(block);
        return eg__fail_memory(err, "the weights' names");
    }
    list->blocks[list->n_blocks++] = block;
    return EG_OK;
}

enum eg_status eg__weight_list_add(struct eg_weight_list *list, const char *name, size_t length,
                                   const struct eg_tensor *tensor, struct eg_error *err)
{
    struct eg_weights *weights = list->weights;
    char *copy = strndup(name, length), *printable = copy ? eg__printable(copy) : NULL;
    free(copy);
    if (!printable || !eg__grow(&weights->tensors, &list->capacity, weights->n_tensors + 1, sizeof *tensor)) {
        free(printable);
        return eg__fail_memory(err, "the weights' names");
    }
    enum eg_status status = eg__weight_list_keep(list, printable, err);
    if (status) return status;
    weights->tensors[weights->n_tensors] = *tensor;
    weights->tensors[weights->n_tensors++].name = printable;
    return EG_OK;
}

/* What training code puts in front of every name. */
static void strip_prefixes(struct eg_weights *weights)
{
    static const char *const prefixes[] = {"module.", "model.", "_orig_mod.", "net.", "backbone."};
    for (size_t p = 0; p < sizeof prefixes / sizeof *prefixes;) {
        size_t length = strlen(prefixes[p]), n = 0;
        while (n < weights->n_tensors && !strncmp(weights->tensors[n].name, prefixes[p], length)) n++;
        if (!n || n < weights->n_tensors) {
            p++;
            continue;
        }
        for (size_t i = 0; i < n; i++) weights->tensors[i].name += length;
        p = 0; /* "module.model.conv1.weight" */
    }
}

static enum eg_status read_zip(struct eg_weight_list *list, struct eg_error *err)
{
    struct eg_zip zip;
    enum eg_status status = eg__zip_open(list->mapping.bytes, list->mapping.size, &zip, err);
    if (status) return status;
    static const char keras[] = "model.weights.h5", config_name[] = "config.json";
    const struct eg_zip_entry *weights = eg__zip_find(&zip, keras, sizeof keras - 1);
    if (!weights)
        status = eg__torch_zip_read(list, &zip, err);
    else if (!weights->stored)
        status =
            eg__fail(err, EG_E_UNSUPPORTED, "its %s is compressed (save the model again with Keras)", keras);
    else {
        const struct eg_zip_entry *config = eg__zip_find(&zip, config_name, sizeof config_name - 1);
        bool readable = config && config->stored;
        status =
            eg__keras_read(list, weights->bytes, weights->size, readable ? (const char *)config->bytes : NULL,
                           readable ? config->size : 0, err);
    }
    eg__zip_release(&zip);
    return status;
}

static enum eg_status read_any(struct eg_weight_list *list, struct eg_error *err)
{
    const uint8_t *bytes = list->mapping.bytes;
    size_t size = list->mapping.size;
    if (size >= 4 && !memcmp(bytes, "PK\3\4", 4)) return read_zip(list, err);
    if (size >= 2 && bytes[0] == 0x80 && bytes[1] >= 2 && bytes[1] <= 5)
        return eg__torch_stream_read(list, err);
    if (size >= 8 && !memcmp(bytes, "\x89HDF\r\n\x1a\n", 8))
        return eg__keras_read(list, bytes, size, NULL, 0, err);
    if (size >= 9 && bytes[8] == '{') return eg__safetensors_read(list, err);
    return eg__fail(err, EG_E_FORMAT, "neither PyTorch, safetensors nor Keras weights by its first bytes");
}

/* Features in place of weights, a mistake to be told as such: known by the format that their root names,
 * without libhdf5, which is not made for what strangers may have damaged. */
static bool holds_features(const struct eg_mapping *file)
{
    static const char format[] = "engraft-features";
    enum { LOOKED_AT = 1 << 20 };
    size_t n = file->size < LOOKED_AT ? file->size : LOOKED_AT;
    return n > 8 && !memcmp(file->bytes, "\x89HDF", 4) && memmem(file->bytes, n, format, sizeof format - 1);
}

static enum eg_status load_one(const char *path, struct eg_weights **weights, struct eg_error *err)
{
    struct eg_weights *made = eg__zalloc(1, sizeof *made);
    struct eg_weight_list *list = eg__zalloc(1, sizeof *list);
    if (made) made->path = strdup(path);
    if (!made || !list || !made->path) {
        free(list);
        if (made) free(made->path);
        free(made);
        return eg__fail_memory(err, "a weights file");
    }
    list->weights = made;
    made->owner = list;
    made->release_owner = list_free;
    enum eg_status status = eg__map_file(path, &list->mapping, err);
    if (!status) {
        status = read_any(list, err);
        if ((status || !made->n_tensors) && holds_features(&list->mapping))
            status = eg__fail(err, EG_E_FORMAT,
                              "it holds features, not a network (give what was trained from it)");
        if (!status && !made->n_tensors) status = eg__fail(err, EG_E_FORMAT, "it holds no weights");
        if (status) eg__fail_within(err, status, "cannot read weights '%s'", path);
    }
    if (status) {
        eg__weights_free(made);
        return status;
    }
    *weights = made;
    return EG_OK;
}

static void release_parts(void *object)
{
    struct eg_weights **parts = object;
    for (size_t i = 0; parts[i]; i++) eg__weights_free(parts[i]);
    free(parts);
}

/* All files' tensors as one; a name in two of them is nobody's weights. */
static enum eg_status join(const struct eg_weight_parts *files, struct eg_weights **weights,
                           struct eg_error *err)
{
    struct eg_weights *made = eg__zalloc(1, sizeof *made),
                      **parts = eg__zalloc(files->n + 1, sizeof(struct eg_weights *));
    if (made) made->path = strdup(files->first);
    if (!made || !parts || !made->path) {
        eg__weights_free(made);
        free(parts);
        return eg__fail_memory(err, "a weights file");
    }
    made->owner = parts;
    made->release_owner = release_parts;
    made->parts = eg__zalloc(files->n, sizeof *made->parts);
    enum eg_status status = made->parts ? EG_OK : eg__fail_memory(err, "a weights file");
    for (size_t i = 0, capacity = 0; i < files->n && !status; i++) {
        status = load_one(files->parts[i], &parts[i], err);
        if (status) break;
        made->parts[made->n_parts++] = parts[i]->path;
        made->kind = parts[i]->kind;
        made->numbered |= parts[i]->numbered;
        if (!eg__grow(&made->tensors, &capacity, made->n_tensors + parts[i]->n_tensors,
                      sizeof *made->tensors))
            status = eg__fail_memory(err, "the weights' names");
        else
            memcpy(made->tensors + made->n_tensors, parts[i]->tensors,
                   parts[i]->n_tensors * sizeof *made->tensors);
        if (!status) made->n_tensors += parts[i]->n_tensors;
    }
    if (status)
        eg__weights_free(made);
    else
        *weights = made;
    return status;
}

enum eg_status eg__weights_load(const char *path, struct eg_weights **weights, struct eg_error *err)
{
    struct eg_weight_parts files;
    enum eg_status status = eg__weight_parts_find(path, &files, err);
    if (status) return status;
    status = files.n ? join(&files, weights, err) : load_one(files.first, weights, err);
    eg__weight_parts_release(&files);
    if (!status) strip_prefixes(*weights);
    return status;
}
