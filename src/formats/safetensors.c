/* safetensors.c: huggingface's safetensors, read in place.
 *
 *   uint64 n | n bytes of JSON: name -> {dtype, shape, data_offsets: [begin, end]} | data
 * Offsets count from the end of the JSON; numbers are little-endian, dense, row-major. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "formats/weight_list.h"

enum { HEADER_MAX = 100 << 20 }; /* as the format's own reader */

static bool find_dtype(const char *text, enum eg_dtype *dtype)
{
    static const struct {
        const char *text;
        enum eg_dtype dtype;
    } dtypes[] = {{"F32", EG_F32}, {"F16", EG_F16}, {"BF16", EG_BF16}, {"F64", EG_F64}, {"I64", EG_I64},
                  {"I32", EG_I32}, {"I16", EG_I16}, {"I8", EG_I8},     {"U8", EG_U8},   {"BOOL", EG_BOOL}};
    for (size_t i = 0; text && i < sizeof dtypes / sizeof *dtypes; i++)
        if (!strcmp(text, dtypes[i].text)) {
            *dtype = dtypes[i].dtype;
            return true;
        }
    return false;
}

static bool read_size(const json_t *value, size_t *size)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0) return false;
    *size = (size_t)json_integer_value(value);
    return true;
}

static enum eg_status add(struct eg_weight_list *list, const char *name, const json_t *entry,
                          const uint8_t *data, size_t size, struct eg_error *err)
{
    const json_t *shape = json_object_get(entry, "shape"), *offsets = json_object_get(entry, "data_offsets");
    const char *dtype = json_string_value(json_object_get(entry, "dtype"));
    struct eg_tensor tensor = {0};
    size_t begin, end, bytes;
    if (!dtype || !json_is_array(shape) || json_array_size(offsets) != 2 ||
        !read_size(json_array_get(offsets, 0), &begin) || !read_size(json_array_get(offsets, 1), &end))
        return eg__fail(err, EG_E_FORMAT, "entry '%.200s' of its header is no tensor", name);
    if (!find_dtype(dtype, &tensor.dtype) || json_array_size(shape) > EG_RANK_MAX)
        return eg__fail(err, EG_E_UNSUPPORTED,
                        "tensor '%.200s' is %.20s of %zu dimensions, which is not read", name, dtype,
                        json_array_size(shape));
    tensor.rank = (uint8_t)json_array_size(shape);
    bytes = eg__dtype_size(tensor.dtype);
    for (size_t i = 0; i < tensor.rank; i++)
        if (!read_size(json_array_get(shape, i), &tensor.dim[i]) || !eg__mul(bytes, tensor.dim[i], &bytes))
            return eg__fail(err, EG_E_FORMAT, "tensor '%.200s' has no readable shape", name);
    if (begin > end || end > size || end - begin != bytes)
        return eg__fail(err, EG_E_FORMAT, "tensor '%.200s' has bytes %zu to %zu of %zu, its shape needs %zu",
                        name, begin, end, size, bytes);
    if (!bytes) return EG_OK;
    eg__tensor_pack_strides(&tensor);
    tensor.data = data + begin;
    return eg__weight_list_add(list, name, strlen(name), &tensor, err);
}

static int compare_places(const void *a, const void *b)
{
    const struct eg_tensor *x = a, *y = b;
    return (x->data > y->data) - (x->data < y->data);
}

/* The format has no tensor begin before the last has ended. */
static enum eg_status check_apart(const struct eg_weights *weights, struct eg_error *err)
{
    struct eg_tensor *sorted = eg__alloc(weights->n_tensors + 1, sizeof *sorted);
    if (!sorted) return eg__fail_memory(err, "a list of tensors");
    enum eg_status status = EG_OK;
    memcpy(sorted, weights->tensors, weights->n_tensors * sizeof *sorted);
    qsort(sorted, weights->n_tensors, sizeof *sorted, compare_places);
    for (size_t i = 1; i < weights->n_tensors && !status; i++) {
        const struct eg_tensor *before = &sorted[i - 1];
        const uint8_t *end =
            (const uint8_t *)before->data + eg__tensor_count(before) * eg__dtype_size(before->dtype);
        if ((const uint8_t *)sorted[i].data < end)
            status = eg__fail(err, EG_E_FORMAT, "tensors '%.200s' and '%.200s' overlap (get the file again)",
                              before->name, sorted[i].name);
    }
    free(sorted);
    return status;
}

enum eg_status eg__safetensors_read(struct eg_weight_list *list, struct eg_error *err)
{
    const struct eg_mapping *file = &list->mapping;
    uint64_t length = 0;
    for (size_t i = 0; i < 8; i++) length |= (uint64_t)file->bytes[i] << (8 * i);
    if (length > HEADER_MAX || length > file->size - 8)
        return eg__fail(err, EG_E_FORMAT, "its header is truncated (get the file again)");
    json_error_t cause;
    json_t *header =
        json_loadb((const char *)file->bytes + 8, (size_t)length, JSON_REJECT_DUPLICATES, &cause);
    if (!json_is_object(header)) {
        json_decref(header);
        return eg__fail(err, EG_E_FORMAT, "its header is not a JSON object: %.100s",
                        header ? "" : cause.text);
    }
    list->weights->kind = EG_WEIGHTS_SAFETENSORS;
    enum eg_status status = EG_OK;
    const char *name;
    json_t *entry;
    json_object_foreach(header, name, entry)
    {
        if (status || !strcmp(name, "__metadata__")) continue;
        status = add(list, name, entry, file->bytes + 8 + length, file->size - 8 - (size_t)length, err);
    }
    json_decref(header);
    return status ? status : check_apart(list->weights, err);
}
