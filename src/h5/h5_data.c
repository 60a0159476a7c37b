/* Datasets: rows in and out. Row chunks are never cached by libhdf5: what is written goes to
 * the file at once, what is read comes straight into the caller's memory. */
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/half.h"
#include "base/mem.h"
#include "h5/h5_private.h"

/* Strangers' compressed chunks are kept, so that neighbouring rows inflate them once. */
enum { COMPRESSED_CACHE_BYTES = 32 << 20 };

static hid_t half_type(void)
{
    hid_t type = H5Tcopy(H5T_IEEE_F32LE);
    if (type >= 0 && (H5Tset_fields(type, 15, 10, 5, 0, 10) < 0 || H5Tset_size(type, 2) < 0 ||
                      H5Tset_ebias(type, 15) < 0)) {
        H5Tclose(type);
        return -1;
    }
    return type;
}

static hid_t record_type(const struct eg_h5_shape *shape)
{
    hid_t record = H5Tcreate(H5T_COMPOUND, shape->bytes);
    for (size_t i = 0; record >= 0 && i < shape->n_fields; i++) {
        const struct eg_h5_field *field = &shape->fields[i];
        hid_t type = field->kind == EG_H5_TEXT  ? eg__h5_text_type(field->bytes)
                     : field->kind == EG_H5_I64 ? H5Tcopy(H5T_STD_I64LE)
                                                : H5Tcopy(H5T_STD_U8LE);
        bool made = type >= 0 && H5Tinsert(record, field->name, field->offset, type) >= 0;
        if (type >= 0) H5Tclose(type);
        if (made) continue;
        H5Tclose(record);
        return -1;
    }
    return record;
}

hid_t eg__h5_make_type(const struct eg_h5_shape *shape)
{
    switch (shape->kind) {
    case EG_H5_U8: return H5Tcopy(H5T_STD_U8LE);
    case EG_H5_I32: return H5Tcopy(H5T_STD_I32LE);
    case EG_H5_I64: return H5Tcopy(H5T_STD_I64LE);
    case EG_H5_F16: return half_type();
    case EG_H5_F32: return H5Tcopy(H5T_IEEE_F32LE);
    case EG_H5_F64: return H5Tcopy(H5T_IEEE_F64LE);
    case EG_H5_TEXT: return eg__h5_text_type(shape->bytes);
    case EG_H5_RECORD: return record_type(shape);
    default: return -1;
    }
}

static hid_t native_type(enum eg_h5_kind kind)
{
    switch (kind) {
    case EG_H5_U8: return H5T_NATIVE_UINT8;
    case EG_H5_I32: return H5T_NATIVE_INT32;
    case EG_H5_I64: return H5T_NATIVE_INT64;
    case EG_H5_F32: return H5T_NATIVE_FLOAT;
    default: return H5T_NATIVE_DOUBLE;
    }
}

static enum eg_h5_kind find_kind(hid_t type)
{
    size_t bytes = H5Tget_size(type);
    switch (H5Tget_class(type)) {
    case H5T_INTEGER:
        if (H5Tequal(type, H5T_STD_U8LE) > 0) return EG_H5_U8;
        if (H5Tequal(type, H5T_STD_I32LE) > 0) return EG_H5_I32;
        return bytes <= 8 ? EG_H5_I64 : EG_H5_OTHER;
    case H5T_FLOAT:
        if (H5Tequal(type, H5T_IEEE_F32LE) > 0) return EG_H5_F32;
        if (bytes == 2) {
            hid_t half = half_type();
            bool equal = half >= 0 && H5Tequal(type, half) > 0;
            if (half >= 0) H5Tclose(half);
            if (equal) return EG_H5_F16;
        }
        return bytes <= 8 ? EG_H5_F64 : EG_H5_OTHER; /* any other float: libhdf5 converts */
    case H5T_STRING: return H5Tis_variable_str(type) ? EG_H5_VARIABLE_TEXT : EG_H5_TEXT;
    case H5T_COMPOUND: return EG_H5_RECORD;
    default: return EG_H5_OTHER;
    }
}

/* libhdf5 1.10 does not look whether a compact dataset is as long as its extent; 0 is a contiguous one
 * of which nothing has been written. */
static bool storage_holds(const struct eg_h5_set *set, H5D_layout_t layout)
{
    const struct eg_h5_shape *shape = &set->shape;
    if (layout != H5D_COMPACT && layout != H5D_CONTIGUOUS) return true;
    hsize_t stored = H5Dget_storage_size(set->set);
    hsize_t need = set->row_length * shape->bytes * (shape->rank ? shape->dims[0] : 1);
    return stored >= need || (layout == H5D_CONTIGUOUS && !stored);
}

static enum eg_status describe(struct eg_h5_set *set, struct eg_error *err)
{
    struct eg_h5_shape *shape = &set->shape;
    enum eg_status status = EG_OK;
    hid_t type = H5Dget_type(set->set), space = H5Dget_space(set->set), list = H5Dget_create_plist(set->set);
    hsize_t dims[H5S_MAX_RANK], chunk[H5S_MAX_RANK];
    int rank = space >= 0 ? H5Sget_simple_extent_ndims(space) : -1;
    if (type < 0 || list < 0 || rank < 0 || H5Sget_simple_extent_type(space) == H5S_NULL ||
        H5Sget_simple_extent_dims(space, dims, NULL) < 0) {
        status = eg__h5_fail(err, EG_E_FORMAT, set->h5, "cannot read '%s' of '%s'", set->path, set->h5->path);
    } else if (rank > EG_H5_MAX_RANK) {
        status = eg__fail(err, EG_E_UNSUPPORTED, "'%s' of '%s' has %d dimensions, at most %d are read",
                          set->path, set->h5->path, rank, EG_H5_MAX_RANK);
    } else {
        shape->rank = (size_t)rank;
        shape->kind = find_kind(type);
        shape->bytes = H5Tget_size(type);
        set->row_length = 1;
        size_t row_bytes, all;
        bool fits = true;
        for (size_t i = 0; i < shape->rank; i++) {
            shape->dims[i] = (size_t)dims[i];
            if (i) fits = fits && eg__mul(set->row_length, shape->dims[i], &set->row_length);
        }
        fits = fits && eg__mul(set->row_length, shape->bytes > 8 ? shape->bytes : 8, &row_bytes) &&
               eg__mul(row_bytes, shape->rank && shape->dims[0] ? shape->dims[0] : 1, &all) &&
               all < INT64_MAX;
        if (!fits)
            status = eg__fail(err, EG_E_FORMAT, "'%s' of '%s' claims an impossible size", set->path,
                              set->h5->path);
        H5D_layout_t layout = H5Pget_layout(list);
        if (layout == H5D_CHUNKED && H5Pget_chunk(list, H5S_MAX_RANK, chunk) > 0)
            shape->chunk_rows = (size_t)chunk[0];
        shape->is_virtual = layout == H5D_VIRTUAL;
        if (!status && !storage_holds(set, layout))
            status = eg__fail(err, EG_E_FORMAT, "'%s' of '%s' claims more numbers than are stored for it",
                              set->path, set->h5->path);
        int n_filters = H5Pget_nfilters(list);
        shape->compressed = n_filters > 0;
        for (int i = 0; i < n_filters; i++) {
            unsigned flags, config, level = 0;
            size_t n_values = 1;
            if (H5Pget_filter2(list, (unsigned)i, &flags, &n_values, &level, 0, NULL, &config) ==
                H5Z_FILTER_DEFLATE)
                shape->deflate = level;
        }
    }
    if (type >= 0) H5Tclose(type);
    if (space >= 0) H5Sclose(space);
    if (list >= 0) H5Pclose(list);
    return status;
}

static struct eg_h5_set *set_new(struct eg_h5 *h5, const char *path)
{
    struct eg_h5_set *set = eg__zalloc(1, sizeof *set);
    if (!set) return NULL;
    set->h5 = h5;
    set->set = -1;
    set->path = strdup(path);
    if (set->path) return set;
    free(set);
    return NULL;
}

static hid_t make_list(const struct eg_h5_shape *shape, const hsize_t *dims)
{
    hid_t list = H5Pcreate(H5P_DATASET_CREATE);
    if (list < 0) return -1;
    bool made = H5Pset_obj_track_times(list, false) >= 0;
    hsize_t chunk[EG_H5_MAX_RANK];
    for (size_t i = 0; i < shape->rank; i++) chunk[i] = dims[i];
    if (shape->chunk_rows) chunk[0] = shape->chunk_rows;
    if (shape->chunk_rows) made = made && H5Pset_chunk(list, (int)shape->rank, chunk) >= 0;
    if (shape->deflate) {
        const float nothing = __builtin_nanf("");
        made = made && H5Pset_shuffle(list) >= 0 && H5Pset_deflate(list, shape->deflate) >= 0 &&
               H5Pset_fill_value(list, H5T_NATIVE_FLOAT, &nothing) >= 0;
    } else {
        made = made && H5Pset_alloc_time(list, H5D_ALLOC_TIME_EARLY) >= 0 &&
               H5Pset_fill_time(list, H5D_FILL_TIME_NEVER) >= 0;
    }
    if (made) return list;
    H5Pclose(list);
    return -1;
}

static hid_t access_list(bool cached)
{
    hid_t list = H5Pcreate(H5P_DATASET_ACCESS);
    if (list >= 0) H5Pset_chunk_cache(list, 521, cached ? COMPRESSED_CACHE_BYTES : 0, 0);
    return list;
}

enum eg_status eg__h5_set_create(struct eg_h5 *h5, const char *path, const struct eg_h5_shape *shape,
                                 struct eg_h5_set **out, struct eg_error *err)
{
    struct eg_h5_set *set = set_new(h5, path);
    if (!set) return eg__fail_memory(err, "a dataset");
    hsize_t dims[EG_H5_MAX_RANK], largest[EG_H5_MAX_RANK];
    for (size_t i = 0; i < shape->rank; i++) dims[i] = largest[i] = shape->dims[i];
    if (shape->chunk_rows) largest[0] = H5S_UNLIMITED;
    eg__h5_enter();
    hid_t type = eg__h5_make_type(shape), space = H5Screate_simple((int)shape->rank, dims, largest);
    hid_t list = make_list(shape, dims), access = access_list(false);
    if (type >= 0 && space >= 0 && list >= 0 && access >= 0)
        set->set = H5Dcreate2(h5->file, path, type, space, H5P_DEFAULT, list, access);
    enum eg_status status = EG_OK;
    if (set->set < 0)
        status = eg__h5_fail(err, EG_E_IO, h5, "cannot make '%s' in '%s'", path, h5->path);
    else
        status = describe(set, err);
    if (type >= 0) H5Tclose(type);
    if (space >= 0) H5Sclose(space);
    if (list >= 0) H5Pclose(list);
    if (access >= 0) H5Pclose(access);
    if (!status) status = eg__h5_sound(h5, err);
    eg__h5_leave();
    if (status) {
        eg__h5_set_free(set);
        return status;
    }
    *out = set;
    return EG_OK;
}

enum eg_status eg__h5_set_open(struct eg_h5 *h5, const char *path, struct eg_h5_set **out,
                               struct eg_error *err)
{
    struct eg_h5_set *set = set_new(h5, path);
    if (!set) return eg__fail_memory(err, "a dataset");
    enum eg_status status = EG_OK;
    eg__h5_enter();
    hid_t access = access_list(false);
    if (H5Oexists_by_name(h5->file, path, H5P_DEFAULT) <= 0) {
        status = eg__fail(err, EG_E_NOT_FOUND, "'%s' has no dataset '%s'", h5->path, path);
        H5Eclear2(H5E_DEFAULT);
    } else {
        set->set = H5Dopen2(h5->file, path, access);
        if (set->set < 0)
            status = eg__h5_fail(err, EG_E_FORMAT, h5, "cannot open '%s' of '%s'", path, h5->path);
        else
            status = describe(set, err);
    }
    if (access >= 0) H5Pclose(access);
    if (!status && set->shape.compressed && !h5->write) { /* again, with room for chunks */
        hid_t cached = access_list(true);
        H5Dclose(set->set);
        set->set = H5Dopen2(h5->file, path, cached);
        if (set->set < 0)
            status = eg__h5_fail(err, EG_E_FORMAT, h5, "cannot open '%s' of '%s'", path, h5->path);
        if (cached >= 0) H5Pclose(cached);
    }
    eg__h5_leave();
    if (status) {
        eg__h5_set_free(set);
        return status;
    }
    *out = set;
    return EG_OK;
}

const struct eg_h5_shape *eg__h5_set_shape(const struct eg_h5_set *set) { return &set->shape; }
size_t eg__h5_set_row_length(const struct eg_h5_set *set) { return set->row_length; }

uint64_t eg__h5_set_bytes(const struct eg_h5_set *set)
{
    if (set->shape.is_virtual) return 0; /* libhdf5 asserts on it */
    eg__h5_enter();
    hsize_t bytes = H5Dget_storage_size(set->set);
    eg__h5_leave();
    return bytes;
}

void eg__h5_set_free(struct eg_h5_set *set)
{
    if (!set) return;
    if (set->set >= 0) {
        eg__h5_enter();
        H5Dclose(set->set);
        eg__h5_leave();
    }
    free(set->path);
    free(set);
}

/* ---- rows ------------------------------------------------------------------------------------ */

static bool rows_are_there(const struct eg_h5_set *set, size_t first, size_t count)
{
    size_t rows = set->shape.rank ? set->shape.dims[0] : 1;
    return first <= rows && count <= rows - first;
}

/* One transfer of rows. Inside. */
static bool transfer(struct eg_h5_set *set, hid_t type, size_t first, size_t count, void *in, const void *out)
{
    hid_t file = H5Dget_space(set->set), memory = H5S_ALL;
    bool moved = file >= 0;
    if (moved && set->shape.rank) {
        hsize_t start[EG_H5_MAX_RANK] = {first}, dims[EG_H5_MAX_RANK];
        for (size_t i = 0; i < set->shape.rank; i++) dims[i] = set->shape.dims[i];
        dims[0] = count;
        memory = H5Screate_simple((int)set->shape.rank, dims, NULL);
        moved = memory >= 0 && H5Sselect_hyperslab(file, H5S_SELECT_SET, start, NULL, dims, NULL) >= 0;
    }
    if (moved)
        moved = out ? H5Dwrite(set->set, type, memory, file, H5P_DEFAULT, out) >= 0
                    : H5Dread(set->set, type, memory, file, H5P_DEFAULT, in) >= 0;
    if (memory > 0) H5Sclose(memory);
    if (file >= 0) H5Sclose(file);
    return moved;
}

static enum eg_status check_read(const struct eg_h5_set *set, enum eg_h5_kind as, size_t first, size_t count,
                                 struct eg_error *err)
{
    enum eg_h5_kind kind = set->shape.kind;
    bool number = kind >= EG_H5_U8 && kind <= EG_H5_F64, whole = kind >= EG_H5_U8 && kind <= EG_H5_I64;
    bool wants_number = as >= EG_H5_U8 && as <= EG_H5_F64, wants_whole = as >= EG_H5_U8 && as <= EG_H5_I64;
    if (kind == EG_H5_OTHER || as == EG_H5_OTHER || kind == EG_H5_VARIABLE_TEXT || number != wants_number ||
        (wants_whole && !whole) || (!number && kind != as))
        return eg__fail(err, EG_E_FORMAT, "'%s' of '%s' does not hold the type of values wanted there",
                        set->path, set->h5->path);
    if (!rows_are_there(set, first, count))
        return eg__fail(err, EG_E_ARGUMENT,
                        "'%s' of '%s' has %zu rows, %zu of them from row %zu were asked for", set->path,
                        set->h5->path, set->shape.dims[0], count, first);
    return EG_OK;
}

enum eg_status eg__h5_read(struct eg_h5_set *set, enum eg_h5_kind as, size_t first, size_t count, void *out,
                           struct eg_error *err)
{
    enum eg_status status = check_read(set, as, first, count, err);
    if (status || !count || !set->row_length) return status;
    size_t n = count * set->row_length;
    bool widen = as == EG_H5_F32 && set->shape.kind == EG_H5_F16;
    void *into = widen ? (uint8_t *)out + n * sizeof(uint16_t) : out; /* the upper half */
    eg__h5_enter();
    hid_t type = as == EG_H5_TEXT || as == EG_H5_RECORD || widen ? H5Dget_type(set->set)
                 : as == EG_H5_F16                               ? half_type()
                                                                 : H5Tcopy(native_type(as));
    eg__h5_driver_forget_failure();
    bool read = type >= 0 && transfer(set, type, first, count, into, NULL);
    int unopened = eg__h5_driver_open_failure();
    if (unopened) {
        status = eg__fail(err, EG_E_IO, "cannot read rows %zu to %zu of '%s' in '%s': a shard of it: %s",
                          first, first + count - 1, set->path, set->h5->path, strerror(unopened));
        H5Eclear2(H5E_DEFAULT);
    } else if (!read) {
        status = eg__h5_fail(err, EG_E_FORMAT, set->h5, "cannot read rows %zu to %zu of '%s' in '%s'", first,
                             first + count - 1, set->path, set->h5->path);
    }
    if (type >= 0) H5Tclose(type);
    eg__h5_leave();
    if (!status && widen) {
        const uint8_t *halves = into;
        for (size_t i = 0; i < n; i++) {
            uint16_t half;
            memcpy(&half, halves + 2 * i, sizeof half);
            ((float *)out)[i] = eg__f16_to_f32(half);
        }
    }
    return status;
}

enum eg_status eg__h5_write(struct eg_h5_set *set, size_t first, size_t count, const void *values,
                            struct eg_error *err)
{
    if (!rows_are_there(set, first, count))
        return eg__fail(err, EG_E_ARGUMENT, "'%s' of '%s' has %zu rows, writing %zu from row %zu", set->path,
                        set->h5->path, set->shape.dims[0], count, first);
    if (!count || !set->row_length) return EG_OK;
    enum eg_status status = EG_OK;
    eg__h5_enter();
    hid_t type = H5Dget_type(set->set);
    if (type < 0 || !transfer(set, type, first, count, NULL, values))
        status = eg__h5_fail(err, EG_E_IO, set->h5, "cannot write '%s' of '%s'", set->path, set->h5->path);
    if (type >= 0) H5Tclose(type);
    if (!status) status = eg__h5_sound(set->h5, err);
    eg__h5_leave();
    return status;
}

enum eg_status eg__h5_write_chunk(struct eg_h5_set *set, size_t row, const void *bytes, size_t n_bytes,
                                  struct eg_error *err)
{
    enum eg_status status = EG_OK;
    hsize_t offset[EG_H5_MAX_RANK] = {row};
    eg__h5_enter();
    if (H5Dwrite_chunk(set->set, H5P_DEFAULT, 0, offset, n_bytes, bytes) < 0)
        status = eg__h5_fail(err, EG_E_IO, set->h5, "cannot write '%s' of '%s'", set->path, set->h5->path);
    if (!status) status = eg__h5_sound(set->h5, err);
    eg__h5_leave();
    return status;
}

enum eg_status eg__h5_extend(struct eg_h5_set *set, size_t rows, struct eg_error *err)
{
    hsize_t dims[EG_H5_MAX_RANK];
    for (size_t i = 0; i < set->shape.rank; i++) dims[i] = set->shape.dims[i];
    dims[0] = rows;
    enum eg_status status = EG_OK;
    eg__h5_enter();
    if (H5Dset_extent(set->set, dims) < 0)
        status = eg__h5_fail(err, EG_E_IO, set->h5, "cannot extend '%s' of '%s'", set->path, set->h5->path);
    else
        set->shape.dims[0] = rows;
    if (!status) status = eg__h5_sound(set->h5, err);
    eg__h5_leave();
    return status;
}

/* Strings of variable length: rows may share one, so what they come to is asked before they are read. */
static enum eg_status read_variable_texts(struct eg_h5_set *set, size_t n, size_t limit, char ***out,
                                          struct eg_error *err)
{
    enum eg_status status = EG_OK;
    hsize_t total = 0;
    if (n > limit / sizeof(char *))
        return eg__fail(err, EG_E_FORMAT, "'%s' of '%s' claims %zu strings", set->path, set->h5->path, n);
    char **given = eg__zalloc(n + 1, sizeof *given);
    eg__h5_enter();
    hid_t type = given ? H5Dget_type(set->set) : -1, space = given ? H5Dget_space(set->set) : -1;
    if (!given)
        status = eg__fail_memory(err, "strings of an HDF5 file");
    else if (type < 0 || space < 0 || H5Dvlen_get_buf_size(set->set, type, space, &total) < 0)
        status = eg__h5_fail(err, EG_E_FORMAT, set->h5, "cannot read the strings of '%s' of '%s'", set->path,
                             set->h5->path);
    else if (total > limit)
        status = eg__fail(err, EG_E_FORMAT, "'%s' of '%s' claims strings of %llu bytes", set->path,
                          set->h5->path, (unsigned long long)total);
    else if (H5Dread(set->set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, given) < 0)
        status = eg__h5_fail(err, EG_E_FORMAT, set->h5, "cannot read the strings of '%s' of '%s'", set->path,
                             set->h5->path);
    if (!status) {
        if (!(*out = eg__h5_pack_texts(given, n))) status = eg__fail_memory(err, "strings of an HDF5 file");
        H5Dvlen_reclaim(type, space, H5P_DEFAULT, given);
    }
    if (type >= 0) H5Tclose(type);
    if (space >= 0) H5Sclose(space);
    eg__h5_leave();
    free(given);
    return status;
}

enum eg_status eg__h5_read_texts(struct eg_h5_set *set, size_t limit, char ***out, size_t *n_out,
                                 struct eg_error *err)
{
    size_t n = set->shape.rank ? set->shape.dims[0] : 1, width = set->shape.bytes, pointers;
    if (set->shape.kind == EG_H5_VARIABLE_TEXT && set->row_length == 1) {
        enum eg_status status = read_variable_texts(set, n, limit, out, err);
        if (!status) *n_out = n;
        return status;
    }
    if (set->shape.kind != EG_H5_TEXT || !width || set->row_length != 1)
        return eg__fail(err, EG_E_FORMAT, "'%s' of '%s' is not a list of strings", set->path, set->h5->path);
    if (!eg__mul(n, sizeof(char *), &pointers) || n > limit / (width + sizeof(char *)))
        return eg__fail(err, EG_E_FORMAT, "'%s' of '%s' claims %zu strings of %zu bytes", set->path,
                        set->h5->path, n, width);
    /* Packed: a block of strings at a time. */
    size_t block_rows = (1u << 20) / width + 1, capacity = 0, length = 0;
    char *chars = NULL, *block = eg__alloc(block_rows, width);
    enum eg_status status = block ? EG_OK : eg__fail_memory(err, "strings of an HDF5 file");
    for (size_t first = 0; !status && first < n; first += block_rows) {
        size_t count = n - first < block_rows ? n - first : block_rows;
        status = eg__h5_read(set, EG_H5_TEXT, first, count, block, err);
        for (size_t i = 0; !status && i < count; i++) {
            size_t one = strnlen(block + i * width, width);
            if (!eg__grow(&chars, &capacity, length + one + 1, 1)) {
                status = eg__fail_memory(err, "strings of an HDF5 file");
                break;
            }
            memcpy(chars + length, block + i * width, one);
            chars[length + one] = '\0';
            length += one + 1;
        }
    }
    free(block);
    char **made = NULL;
    if (!status) {
        made = eg__alloc(pointers + length, 1);
        if (!made) status = eg__fail_memory(err, "strings of an HDF5 file");
    }
    if (!status) {
        char *copy = (char *)made + pointers;
        if (length) memcpy(copy, chars, length);
        for (size_t i = 0; i < n; i++) {
            made[i] = copy;
            copy += strlen(copy) + 1;
        }
        *out = made;
        *n_out = n;
    }
    free(chars);
    return status;
}
