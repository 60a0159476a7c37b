/* onnx_tensor.c: a TensorProto as a view of the mapped file. Raw data and packed floats are
 * used where they lie; only numbers stored as varints are decoded into the graph's memory.
 *
 *   TensorProto  1 dims, 2 data_type, 4 float_data, 5 int32_data, 7 int64_data, 8 name,
 *                9 raw_data, 10 double_data, 13 external_data, 14 data_location */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/half.h"
#include "base/mem.h"
#include "base/text.h"
#include "onnx/onnx_private.h"
#include "onnx/onnx_writer.h"

enum {
    DIMS = 1,
    DATA_TYPE,
    FLOAT_DATA = 4,
    INT32_DATA,
    INT64_DATA = 7,
    NAME,
    RAW_DATA,
    DOUBLE_DATA,
    EXTERNAL_DATA = 13,
    DATA_LOCATION
};

struct parsed {
    size_t dim[EG_RANK_MAX];
    unsigned rank;
    bool too_many, external, has_raw, no_number;
    uint64_t data_type;
    struct eg_span raw, name, typed; /* typed: the last span of typed data */
    size_t n_typed_fields, n_location;
    uint32_t typed_number;
    char location[512];
    uint64_t offset, length;
};

static void parse_dim(struct parsed *parsed, uint64_t dim)
{
    if (parsed->rank == EG_RANK_MAX || dim > SIZE_MAX / 2)
        parsed->too_many = true;
    else
        parsed->dim[parsed->rank++] = (size_t)dim;
}

/* Digits and nothing else. */
static bool read_count(const char *text, uint64_t *count)
{
    if (!*text || text[strspn(text, "0123456789")]) return false;
    errno = 0;
    *count = strtoull(text, NULL, 10);
    return !errno;
}

static void parse_external(struct parsed *parsed, struct eg_span entry)
{
    struct eg_span key = {NULL, 0}, value = {NULL, 0};
    struct eg_field field;
    while (eg__wire_next(&entry, &field)) {
        if (field.number == 1 && field.type == 2) key = field.span;
        if (field.number == 2 && field.type == 2) value = field.span;
    }
#define IS(text) (key.size == sizeof(text) - 1 && !memcmp(key.bytes, text, sizeof(text) - 1))
    if (!key.bytes || !value.bytes || value.size >= sizeof parsed->location) return;
    char text[sizeof parsed->location] = {0};
    memcpy(text, value.bytes, value.size);
    if (IS("location")) {
        memcpy(parsed->location, text, sizeof text);
        parsed->n_location = value.size;
    }
    if (IS("offset")) parsed->no_number |= !read_count(text, &parsed->offset);
    if (IS("length")) parsed->no_number |= !read_count(text, &parsed->length);
#undef IS
}

static bool parse(struct eg_span message, struct parsed *parsed)
{
    *parsed = (struct parsed){.length = UINT64_MAX};
    struct eg_field field;
    while (eg__wire_next(&message, &field)) {
        switch (field.number) {
        case DIMS:
            if (field.type == 0) parse_dim(parsed, field.number_value);
            for (uint64_t dim; field.type == 2 && field.span.size;) {
                if (!eg__wire_varint(&field.span, &dim)) return false;
                parse_dim(parsed, dim);
            }
            break;
        case DATA_TYPE: parsed->data_type = field.number_value; break;
        case NAME: parsed->name = field.span; break;
        case RAW_DATA:
            parsed->raw = field.span;
            parsed->has_raw = field.type == 2;
            break;
        case FLOAT_DATA:
        case INT32_DATA:
        case INT64_DATA:
        case DOUBLE_DATA:
            parsed->typed = field.span;
            parsed->typed_number = field.number;
            parsed->n_typed_fields++;
            break;
        case EXTERNAL_DATA:
            if (field.type == 2) parse_external(parsed, field.span);
            break;
        case DATA_LOCATION: parsed->external = field.number_value == 1; break;
        default: break;
        }
    }
    return message.bytes != NULL;
}

struct eg_span eg__onnx_tensor_name(struct eg_span span)
{
    struct parsed parsed;
    return parse(span, &parsed) ? parsed.name : (struct eg_span){NULL, 0};
}

int64_t eg__onnx_data_type(enum eg_dtype dtype)
{
    static const int64_t codes[] = {
        [EG_F32] = 1, [EG_U8] = 2,   [EG_I8] = 3,   [EG_I16] = 5,  [EG_I32] = 6,
        [EG_I64] = 7, [EG_BOOL] = 9, [EG_F16] = 10, [EG_F64] = 11, [EG_BF16] = 16};
    return codes[dtype];
}

enum eg_status eg__onnx_dtype(struct eg_onnx *onnx, int64_t data_type, enum eg_dtype *dtype)
{
    for (enum eg_dtype i = EG_F32; i <= EG_BOOL; i++) {
        if (eg__onnx_data_type(i) != data_type) continue;
        *dtype = i;
        return EG_OK;
    }
    return eg__fail(onnx->err, EG_E_UNSUPPORTED,
                    "element type %lld is not supported (export the network in float32 or float16)",
                    (long long)data_type);
}

enum eg_status eg__onnx_new_tensor(struct eg_onnx *onnx, enum eg_dtype dtype, unsigned rank,
                                   const size_t *dim, struct eg_tensor *tensor, void **data)
{
    struct eg_tensor made = {.dtype = dtype, .rank = (uint8_t)rank};
    size_t bytes = eg__dtype_size(dtype);
    for (unsigned i = 0; i < rank; i++) {
        made.dim[i] = dim[i];
        if (!eg__mul(bytes, dim[i], &bytes) || bytes > onnx->folded_max) bytes = onnx->folded_max + 1;
    }
    if (bytes > onnx->folded_max - onnx->folded_bytes)
        return eg__fail(onnx->err, EG_E_FORMAT, "its constants would grow past %zu bytes", onnx->folded_max);
    onnx->folded_bytes += bytes;
    eg__tensor_pack_strides(&made);
    *data = eg__graph_memory(onnx->graph, bytes ? bytes : 1, 1);
    if (!*data) return eg__fail_memory(onnx->err, "a constant");
    made.data = *data;
    *tensor = made;
    return EG_OK;
}

/* One number into a dense array of dtype. */
static void store_int(enum eg_dtype dtype, void *data, size_t index, int64_t x)
{
    size_t size = eg__dtype_size(dtype);
    memcpy((uint8_t *)data + index * size, &x, size); /* the low bytes: little-endian */
}

/* Numbers that are varints, or single fields instead of one packed span. */
static enum eg_status decode_typed(struct eg_onnx *onnx, struct eg_span message, const struct parsed *parsed,
                                   enum eg_dtype dtype, size_t count, struct eg_tensor *tensor)
{
    void *data;
    struct eg_tensor made;
    enum eg_status status = eg__onnx_new_tensor(onnx, dtype, parsed->rank, parsed->dim, &made, &data);
    if (status) return status;
    struct eg_field field;
    size_t n = 0;
    bool varints = parsed->typed_number == INT32_DATA || parsed->typed_number == INT64_DATA;
    size_t size = parsed->typed_number == FLOAT_DATA ? 4 : 8;
    while (eg__wire_next(&message, &field)) {
        if (field.number != parsed->typed_number) continue;
        if (field.type != 2 && n < count) store_int(dtype, data, n, (int64_t)field.number_value);
        if (field.type != 2) n++;
        while (field.type == 2 && field.span.size) {
            uint64_t x = 0;
            if (varints ? !eg__wire_varint(&field.span, &x) : field.span.size < size)
                return eg__fail(onnx->err, EG_E_FORMAT, "its numbers are cut short");
            if (!varints) {
                memcpy(&x, field.span.bytes, size);
                field.span.bytes += size;
                field.span.size -= size;
            }
            if (n < count) store_int(dtype, data, n, (int64_t)x);
            n++;
        }
    }
    if (n != count)
        return eg__fail(onnx->err, EG_E_FORMAT, "its shape asks for %zu numbers, it has %zu", count, n);
    *tensor = made;
    return EG_OK;
}

/* ---- data beside the file ------------------------------------------------------- */

struct eg_external {
    struct eg_external *next;
    struct eg_mapping map;
    char location[];
};

static void release_external(void *object)
{
    struct eg_external *external = object;
    eg__unmap_file(&external->map);
    free(external);
}

/* The real path of `location` in the model's folder; NULL when it is not inside. */
static char *path_beside(const char *model, const char *location)
{
    char *folder = strndup(model, (size_t)(eg__path_last(model) - model));
    char *real_folder = folder ? realpath(*folder ? folder : ".", NULL) : NULL, *path = NULL;
    struct eg_text joined = {0};
    if (real_folder) eg__text_append(&joined, "%s/%s", real_folder, location);
    if (real_folder && !joined.failed && location[0] != '/') path = realpath(joined.chars, NULL);
    size_t n = real_folder ? strlen(real_folder) : 0;
    if (n == 1) n = 0; /* the folder is "/" */
    if (path && (strncmp(path, real_folder, n) || path[n] != '/')) {
        free(path);
        path = NULL;
    }
    free(joined.chars);
    free(real_folder);
    free(folder);
    return path;
}

static enum eg_status map_external(struct eg_onnx *onnx, const char *location, struct eg_mapping *map)
{
    for (struct eg_external *have = onnx->external; have; have = have->next) {
        if (strcmp(have->location, location)) continue;
        *map = have->map;
        return EG_OK;
    }
    if (!onnx->path)
        return eg__fail(onnx->err, EG_E_UNSUPPORTED,
                        "its weights are in the file '%s', and a model in memory has no folder (save it as "
                        "one file)",
                        location);
    struct eg_external *made = malloc(sizeof *made + strlen(location) + 1);
    if (!made) return eg__fail_memory(onnx->err, "external data");
    memcpy(made->location, location, strlen(location) + 1);
    char *path = path_beside(onnx->path, location);
    enum eg_status status =
        path ? eg__map_file(path, &made->map, onnx->err)
             : eg__fail(onnx->err, EG_E_IO,
                        "its data file '%s' is not in the folder of the ONNX file (put it there)", location);
    free(path);
    if (status) {
        free(made);
        return status;
    }
    made->next = onnx->external;
    status = eg__graph_hold(onnx->graph, made, release_external, onnx->err);
    if (status) return status;
    onnx->external = made;
    *map = made->map;
    return EG_OK;
}

static enum eg_status external_data(struct eg_onnx *onnx, const struct parsed *parsed, size_t bytes,
                                    const void **data)
{
    char *shown = eg__printable(parsed->location);
    if (!shown) return eg__fail_memory(onnx->err, "external data");
    struct eg_mapping map = {NULL, 0};
    bool same = parsed->n_location && strlen(parsed->location) == parsed->n_location &&
                !strcmp(shown, parsed->location);
    enum eg_status status =
        same ? map_external(onnx, parsed->location, &map)
             : eg__fail(onnx->err, EG_E_FORMAT, "its data file '%s' is no file name", shown);
    if (!status && parsed->no_number)
        status = eg__fail(onnx->err, EG_E_FORMAT, "its place in the data file '%s' is no number", shown);
    if (!status && (parsed->offset > map.size || map.size - parsed->offset < bytes ||
                    (parsed->length != UINT64_MAX && parsed->length != bytes)))
        status =
            eg__fail(onnx->err, EG_E_FORMAT, "its data file '%s' is too short or of another network", shown);
    if (!status) *data = map.bytes + parsed->offset;
    free(shown);
    return status;
}

static enum eg_status locate(struct eg_onnx *onnx, struct eg_span span, struct eg_tensor *tensor)
{
    struct parsed parsed;
    enum eg_dtype dtype = EG_F32;
    if (!parse(span, &parsed)) return eg__fail(onnx->err, EG_E_FORMAT, "it is damaged");
    if (parsed.too_many)
        return eg__fail(onnx->err, EG_E_UNSUPPORTED, "it has more than %d dimensions", EG_RANK_MAX);
    enum eg_status status = eg__onnx_dtype(onnx, (int64_t)parsed.data_type, &dtype);
    if (status) return status;
    struct eg_tensor made = {.dtype = dtype, .rank = (uint8_t)parsed.rank};
    size_t count = 1, size = eg__dtype_size(dtype), bytes;
    for (unsigned i = 0; i < parsed.rank; i++) {
        made.dim[i] = parsed.dim[i];
        if (!eg__mul(count, parsed.dim[i], &count))
            return eg__fail(onnx->err, EG_E_FORMAT, "its shape overflows");
    }
    if (!eg__mul(count, size, &bytes) || bytes > PTRDIFF_MAX)
        return eg__fail(onnx->err, EG_E_FORMAT, "its shape overflows");
    eg__tensor_pack_strides(&made);
    if (!count) {
        made.data = onnx->map.bytes;
    } else if (parsed.external) {
        status = external_data(onnx, &parsed, bytes, &made.data);
    } else if (parsed.has_raw) {
        if (parsed.raw.size != bytes)
            return eg__fail(onnx->err, EG_E_FORMAT, "its shape asks for %zu bytes, it has %zu", bytes,
                            parsed.raw.size);
        made.data = parsed.raw.bytes;
    } else {
        uint32_t number = parsed.typed_number;
        bool fits = number == FLOAT_DATA    ? dtype == EG_F32
                    : number == DOUBLE_DATA ? dtype == EG_F64
                    : number == INT64_DATA
                        ? dtype == EG_I64
                        : number == INT32_DATA && dtype != EG_I64 && dtype != EG_F32 && dtype != EG_F64;
        if (!fits) return eg__fail(onnx->err, EG_E_FORMAT, "it has no numbers of its type");
        if (parsed.n_typed_fields == 1 && parsed.typed.bytes && parsed.typed.size == bytes &&
            (number == FLOAT_DATA || number == DOUBLE_DATA))
            made.data = parsed.typed.bytes;
        else
            status = decode_typed(onnx, span, &parsed, dtype, count, &made);
    }
    if (!status) *tensor = made;
    return status;
}

enum eg_status eg__onnx_tensor(struct eg_onnx *onnx, struct eg_span span, struct eg_tensor *tensor)
{
    enum eg_status status = locate(onnx, span, tensor);
    if (!status) return EG_OK;
    struct eg_span name = eg__onnx_tensor_name(span);
    char text[200] = "";
    if (name.bytes) memcpy(text, name.bytes, name.size < sizeof text ? name.size : sizeof text - 1);
    char *shown = eg__printable(text);
    status = eg__fail_within(onnx->err, status, "tensor '%s'", shown ? shown : "");
    free(shown);
    return status;
}

/* ---- single elements -------------------------------------------------------------- */

const uint8_t *eg__tensor_element(const struct eg_tensor *tensor, size_t index)
{
    ptrdiff_t offset = 0;
    for (unsigned i = tensor->rank; i-- > 0;) {
        offset += (ptrdiff_t)(index % tensor->dim[i]) * tensor->stride[i];
        index /= tensor->dim[i];
    }
    return (const uint8_t *)tensor->data + offset * (ptrdiff_t)eg__dtype_size(tensor->dtype);
}

double eg__tensor_number_at(const struct eg_tensor *tensor, size_t index)
{
    const uint8_t *from = eg__tensor_element(tensor, index);
    union {
        float f;
        double d;
        uint16_t h;
    } x;
    switch (tensor->dtype) {
    case EG_F32: memcpy(&x.f, from, 4); return (double)x.f;
    case EG_F64: memcpy(&x.d, from, 8); return x.d;
    case EG_F16: memcpy(&x.h, from, 2); return (double)eg__f16_to_f32(x.h);
    case EG_BF16: memcpy(&x.h, from, 2); return (double)eg__bf16_to_f32(x.h);
    default: return (double)eg__tensor_int_at(tensor, index);
    }
}

int64_t eg__tensor_int_at(const struct eg_tensor *tensor, size_t index)
{
    const uint8_t *from = eg__tensor_element(tensor, index);
    union {
        int64_t l;
        int32_t i;
        int16_t s;
        int8_t c;
    } x;
    switch (tensor->dtype) {
    case EG_I64: memcpy(&x.l, from, 8); return x.l;
    case EG_I32: memcpy(&x.i, from, 4); return x.i;
    case EG_I16: memcpy(&x.s, from, 2); return x.s;
    case EG_I8: memcpy(&x.c, from, 1); return x.c;
    case EG_U8:
    case EG_BOOL: return *from;
    default: {
        double number = eg__tensor_number_at(tensor, index);
        return number > -9e18 && number < 9e18 ? (int64_t)number : 0;
    }
    }
}
