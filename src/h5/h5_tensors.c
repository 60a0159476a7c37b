/* h5_tensors.c: libhdf5 reads the image through its memory driver, whose copying is replaced by
 * handing out the image itself; where a dataset is contiguous we take its offset and read no
 * numbers at all. */
#include "h5/h5_tensors.h"

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/text.h"
#include "h5/h5_private.h"

enum { DEFLATE_RATIO = 1032 }; /* no more bytes than this come out of one */

struct image {
    const uint8_t *bytes;
    size_t size;
};

/* ---- the memory driver's image, lent ------------------------------------------------- */

static void *lend(size_t size, H5FD_file_image_op_t op, void *context)
{
    (void)size, (void)op;
    const struct image *image = context;
    void *bytes;
    memcpy(&bytes, &image->bytes, sizeof bytes);
    return bytes;
}

static void *keep(void *to, const void *from, size_t size, H5FD_file_image_op_t op, void *context)
{
    (void)from, (void)size, (void)op, (void)context;
    return to;
}

static void *refuse_growth(void *bytes, size_t size, H5FD_file_image_op_t op, void *context)
{
    (void)bytes, (void)size, (void)op, (void)context;
    return NULL;
}

static herr_t forget(void *bytes, H5FD_file_image_op_t op, void *context)
{
    (void)bytes, (void)op, (void)context;
    return 0;
}

static void *same_context(void *context) { return context; }
static herr_t forget_context(void *context)
{
    (void)context;
    return 0;
}

static hid_t open_image(struct image *image)
{
    H5FD_file_image_callbacks_t callbacks = {lend,         keep,           refuse_growth, forget,
                                             same_context, forget_context, image};
    hid_t access = H5Pcreate(H5P_FILE_ACCESS), file = -1;
    if (access < 0) return -1;
    if (H5Pset_fapl_core(access, 65536, 0) >= 0 && H5Pset_file_image_callbacks(access, &callbacks) >= 0 &&
        H5Pset_fclose_degree(access, H5F_CLOSE_STRONG) >= 0 &&
        H5Pset_file_image(access, lend(0, H5FD_FILE_IMAGE_OP_NO_OP, image), image->size) >= 0)
        file = H5Fopen("image", H5F_ACC_RDONLY, access);
    H5Pclose(access);
    return file;
}

/* ---- one dataset ------------------------------------------------------------------------ */

struct walk {
    struct image image;
    const char *path;
    eg_h5_tensor_fn *each;
    void *context;
    struct eg_error *err;
    enum eg_status status;
};

static bool is_half(hid_t type)
{
    size_t spos, epos, esize, mpos, msize;
    return H5Tget_size(type) == 2 && H5Tget_fields(type, &spos, &epos, &esize, &mpos, &msize) >= 0 &&
           spos == 15 && epos == 10 && esize == 5 && mpos == 0 && msize == 10 && H5Tget_ebias(type) == 15 &&
           H5Tget_order(type) == H5T_ORDER_LE;
}

static enum eg_h5_kind kind_of(hid_t type)
{
    if (H5Tget_class(type) != H5T_FLOAT) return EG_H5_OTHER;
    if (H5Tequal(type, H5T_IEEE_F32LE) > 0) return EG_H5_F32;
    if (H5Tequal(type, H5T_IEEE_F64LE) > 0) return EG_H5_F64;
    return is_half(type) ? EG_H5_F16 : EG_H5_OTHER;
}

static size_t kind_bytes(enum eg_h5_kind kind) { return kind == EG_H5_F64 ? 8 : kind == EG_H5_F32 ? 4 : 2; }

static bool read_dims(hid_t dataset, struct eg_h5_tensor *tensor, size_t *bytes)
{
    hsize_t dims[H5S_MAX_RANK];
    hid_t space = H5Dget_space(dataset);
    int rank = space < 0 ? -1 : H5Sget_simple_extent_ndims(space);
    bool good = rank >= 0 && rank <= EG_H5_MAX_RANK && H5Sget_simple_extent_dims(space, dims, NULL) == rank;
    if (space >= 0) H5Sclose(space);
    *bytes = kind_bytes(tensor->kind);
    tensor->rank = good ? (size_t)rank : 0;
    for (int i = 0; good && i < rank; i++) {
        tensor->dims[i] = (size_t)dims[i];
        good = eg__mul(*bytes, (size_t)dims[i], bytes);
    }
    return good;
}

/* Where the numbers are: in the image, or decoded into memory of their own. */
static bool find_numbers(const struct walk *walk, hid_t dataset, hid_t type, size_t bytes,
                         struct eg_h5_tensor *tensor)
{
    hid_t list = H5Dget_create_plist(dataset);
    H5D_layout_t layout = list < 0 ? H5D_LAYOUT_ERROR : H5Pget_layout(list);
    if (list >= 0) H5Pclose(list);
    if (layout == H5D_CONTIGUOUS) {
        haddr_t at = H5Dget_offset(dataset);
        if (at == HADDR_UNDEF || at > walk->image.size || bytes > walk->image.size - at) return false;
        tensor->bytes = walk->image.bytes + at;
        return true;
    }
    if (bytes / DEFLATE_RATIO > walk->image.size) return false;
    tensor->owned = eg__alloc(bytes, 1);
    tensor->bytes = tensor->owned;
    if (tensor->owned && H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, tensor->owned) >= 0)
        return true;
    free(tensor->owned);
    tensor->owned = NULL;
    return false;
}

/* Attribute `name` of the group above the dataset, if it is a short string. */
static char *name_above(hid_t file, const char *dataset)
{
    const char *slash = strrchr(dataset, '/');
    char *group = slash ? strndup(dataset, (size_t)(slash - dataset)) : NULL, *name = NULL;
    hid_t attribute = -1, type = -1;
    if (group && H5Aexists_by_name(file, group, "name", H5P_DEFAULT) > 0)
        attribute = H5Aopen_by_name(file, group, "name", H5P_DEFAULT, H5P_DEFAULT);
    if (attribute >= 0) type = H5Aget_type(attribute);
    if (type >= 0 && H5Tget_class(type) == H5T_STRING) {
        hid_t space = H5Aget_space(attribute);
        size_t length = H5Tget_size(type);
        bool single = space >= 0 && H5Sget_simple_extent_npoints(space) == 1;
        if (single && H5Tis_variable_str(type) > 0) {
            char *text = NULL;
            if (H5Aread(attribute, type, &text) >= 0 && text) {
                name = strndup(text, 200);
                H5free_memory(text);
            }
        } else if (single && length > 0 && length < 256 && (name = calloc(length + 1, 1))) {
            if (H5Aread(attribute, type, name) < 0) name[0] = '\0';
        }
        if (space >= 0) H5Sclose(space);
    }
    if (type >= 0) H5Tclose(type);
    if (attribute >= 0) H5Aclose(attribute);
    free(group);
    return name;
}

static void give(struct walk *walk, hid_t file, hid_t dataset, const char *path)
{
    struct eg_h5_tensor tensor = {.path = path};
    hid_t type = H5Dget_type(dataset);
    tensor.kind = type < 0 ? EG_H5_OTHER : kind_of(type);
    size_t bytes;
    if (tensor.kind != EG_H5_OTHER) {
        char *name = name_above(file, path), *printable = eg__printable(path);
        if (!read_dims(dataset, &tensor, &bytes) || !find_numbers(walk, dataset, type, bytes, &tensor)) {
            walk->status = eg__fail(
                walk->err, EG_E_FORMAT,
                "cannot read '%s': dataset '%.200s' is damaged or has no numbers (get the file again)",
                walk->path, printable ? printable : "");
        } else {
            tensor.name = name && name[0] ? name : NULL;
            walk->status = walk->each(walk->context, &tensor, walk->err);
        }
        free(name);
        free(printable);
    }
    if (type >= 0) H5Tclose(type);
}

static herr_t visit(hid_t file, const char *path, const H5L_info_t *info, void *context)
{
    struct walk *walk = context;
    if (info->type != H5L_TYPE_HARD) return 0;
    hid_t object = H5Oopen(file, path, H5P_DEFAULT);
    if (object < 0) {
        walk->status = eg__h5_fail(walk->err, EG_E_FORMAT, NULL, "cannot read '%s'", walk->path);
        return -1;
    }
    if (H5Iget_type(object) == H5I_DATASET) give(walk, file, object, path);
    H5Oclose(object);
    return walk->status ? -1 : 0;
}

enum eg_status eg__h5_tensors(const void *image, size_t size, const char *path, eg_h5_tensor_fn *each,
                              void *context, struct eg_error *err)
{
    struct walk walk = {{image, size}, path, each, context, err, EG_OK};
    eg__h5_enter();
    hid_t file = open_image(&walk.image);
    if (file < 0) {
        walk.status = eg__h5_fail(err, EG_E_FORMAT, NULL, "cannot open '%s' as HDF5", path);
    } else {
        walk.status = eg__h5_check(file, path, NULL, err);
        if (!walk.status && H5Lvisit(file, H5_INDEX_NAME, H5_ITER_INC, visit, &walk) < 0 && !walk.status)
            walk.status = eg__h5_fail(err, EG_E_FORMAT, NULL, "cannot read '%s'", path);
        H5Fclose(file);
    }
    eg__h5_leave();
    return walk.status;
}
