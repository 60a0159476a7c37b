/* Objects by path, and their attributes. Strings are written with fixed length, as every
 * reader knows them, and read with fixed or variable length. */
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "h5/h5_private.h"

enum { MAX_ATTRIBUTE_BYTES = 1 << 28 };

bool eg__h5_has(struct eg_h5 *h5, const char *object)
{
    eg__h5_enter();
    bool has = H5Oexists_by_name(h5->file, object, H5P_DEFAULT) > 0;
    H5Eclear2(H5E_DEFAULT);
    eg__h5_leave();
    return has;
}

bool eg__h5_same_object(struct eg_h5 *h5, const char *a, const char *b)
{
    H5O_info_t x, y;
    eg__h5_enter();
    bool same = H5Oget_info_by_name1(h5->file, a, &x, H5P_DEFAULT) >= 0 &&
                H5Oget_info_by_name1(h5->file, b, &y, H5P_DEFAULT) >= 0 && x.addr == y.addr;
    H5Eclear2(H5E_DEFAULT);
    eg__h5_leave();
    return same;
}

struct names {
    char **items;
    size_t n, capacity;
};

static herr_t collect_name(hid_t group, const char *name, const H5L_info_t *info, void *context)
{
    (void)group;
    (void)info;
    struct names *names = context;
    if (!eg__grow(&names->items, &names->capacity, names->n + 1, sizeof *names->items) ||
        !(names->items[names->n] = strdup(name)))
        return -1;
    names->n++;
    return 0;
}

static char **texts_new(size_t n, size_t bytes, char **chars)
{
    size_t pointers, all;
    if (!eg__mul(n, sizeof(char *), &pointers) || __builtin_add_overflow(pointers, bytes, &all)) return NULL;
    char **texts = eg__alloc(all ? all : 1, 1);
    if (texts) *chars = (char *)texts + pointers;
    return texts;
}

/* At most n bytes of text at *chars, which moves behind its end. */
static char *append_text(char **chars, const char *text, size_t n)
{
    char *start = *chars;
    size_t length = strnlen(text, n);
    memcpy(start, text, length);
    start[length] = '\0';
    *chars += length + 1;
    return start;
}

char **eg__h5_pack_texts(char *const *from, size_t n)
{
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++) bytes += (from[i] ? strlen(from[i]) : 0) + 1;
    char *chars, **texts = texts_new(n, bytes, &chars);
    for (size_t i = 0; texts && i < n; i++)
        texts[i] = append_text(&chars, from[i] ? from[i] : "", PTRDIFF_MAX);
    return texts;
}

static void trim_spaces(char *text)
{
    size_t n = strlen(text);
    while (n && text[n - 1] == ' ') text[--n] = '\0';
}

enum eg_status eg__h5_children(struct eg_h5 *h5, const char *group, char ***out, size_t *n,
                               struct eg_error *err)
{
    struct names names = {0};
    enum eg_status status = EG_OK;
    eg__h5_enter();
    if (H5Literate_by_name(h5->file, group, H5_INDEX_CRT_ORDER, H5_ITER_INC, NULL, collect_name, &names,
                           H5P_DEFAULT) < 0) {
        for (size_t i = 0; i < names.n; i++) free(names.items[i]);
        names.n = 0;
        H5Eclear2(H5E_DEFAULT);
        if (H5Literate_by_name(h5->file, group, H5_INDEX_NAME, H5_ITER_INC, NULL, collect_name, &names,
                               H5P_DEFAULT) < 0)
            status = eg__h5_fail(err, EG_E_FORMAT, h5, "cannot read '%s' in '%s'", group, h5->path);
    }
    eg__h5_leave();
    char **texts = NULL;
    if (!status && !(texts = eg__h5_pack_texts(names.items, names.n)))
        status = eg__fail_memory(err, "names in an HDF5 file");
    for (size_t i = 0; i < names.n; i++) free(names.items[i]);
    free(names.items);
    if (status) return status;
    *out = texts;
    *n = names.n;
    return EG_OK;
}

enum eg_status eg__h5_group(struct eg_h5 *h5, const char *group, struct eg_error *err)
{
    enum eg_status status = EG_OK;
    eg__h5_enter();
    hid_t id = H5Gcreate2(h5->file, group, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    if (id < 0 || H5Gclose(id) < 0)
        status = eg__h5_fail(err, EG_E_IO, h5, "cannot make '%s' in '%s'", group, h5->path);
    if (!status) status = eg__h5_sound(h5, err);
    eg__h5_leave();
    return status;
}

enum eg_status eg__h5_hard_link(struct eg_h5 *h5, const char *object, const char *link, struct eg_error *err)
{
    enum eg_status status = EG_OK;
    eg__h5_enter();
    if (H5Lcreate_hard(h5->file, object, h5->file, link, H5P_DEFAULT, H5P_DEFAULT) < 0)
        status = eg__h5_fail(err, EG_E_IO, h5, "cannot make '%s' in '%s'", link, h5->path);
    if (!status) status = eg__h5_sound(h5, err);
    eg__h5_leave();
    return status;
}

enum eg_status eg__h5_unlink(struct eg_h5 *h5, const char *object, struct eg_error *err)
{
    enum eg_status status = EG_OK;
    eg__h5_enter();
    if (H5Ldelete(h5->file, object, H5P_DEFAULT) < 0)
        status = eg__h5_fail(err, EG_E_IO, h5, "cannot remove '%s' of '%s'", object, h5->path);
    if (!status) status = eg__h5_sound(h5, err);
    eg__h5_leave();
    return status;
}

bool eg__h5_has_attribute(struct eg_h5 *h5, const char *object, const char *name)
{
    eg__h5_enter();
    bool has = H5Aexists_by_name(h5->file, object, name, H5P_DEFAULT) > 0;
    H5Eclear2(H5E_DEFAULT);
    eg__h5_leave();
    return has;
}

/* ---- reading ----------------------------------------------------------------------------- */

struct opened {
    hid_t attribute, type, space;
    size_t n, bytes;
};

static void opened_release(struct opened *o)
{
    if (o->attribute >= 0) H5Aclose(o->attribute);
    if (o->type >= 0) H5Tclose(o->type);
    if (o->space >= 0) H5Sclose(o->space);
}

static enum eg_status open_attribute(struct eg_h5 *h5, const char *object, const char *name,
                                     struct opened *out, struct eg_error *err)
{
    struct opened o = {-1, -1, -1, 0, 0};
    if (H5Aexists_by_name(h5->file, object, name, H5P_DEFAULT) <= 0) {
        H5Eclear2(H5E_DEFAULT);
        return eg__fail(err, EG_E_NOT_FOUND, "'%s' has no attribute '%s' at '%s'", h5->path, name, object);
    }
    o.attribute = H5Aopen_by_name(h5->file, object, name, H5P_DEFAULT, H5P_DEFAULT);
    if (o.attribute >= 0) o.type = H5Aget_type(o.attribute);
    if (o.attribute >= 0) o.space = H5Aget_space(o.attribute);
    hssize_t n = o.space >= 0 ? H5Sget_simple_extent_npoints(o.space) : -1;
    o.bytes = o.type >= 0 ? H5Tget_size(o.type) : 0;
    size_t total;
    if (n < 0 || !o.bytes || !eg__mul((size_t)n, o.bytes, &total) || total > MAX_ATTRIBUTE_BYTES) {
        enum eg_status status = eg__h5_fail(
            err, EG_E_FORMAT, h5, "cannot read attribute '%s' of '%s' in '%s'", name, object, h5->path);
        opened_release(&o);
        return status;
    }
    o.n = (size_t)n;
    *out = o;
    return EG_OK;
}

/* Variable-length strings: read as pointers that libhdf5 allocates. */
static char **read_variable(const struct opened *o)
{
    char **given = eg__zalloc(o->n, sizeof *given), **texts = NULL;
    hid_t type = H5Tcopy(H5T_C_S1);
    if (given && type >= 0 && H5Tset_size(type, H5T_VARIABLE) >= 0 &&
        H5Tset_cset(type, H5Tget_cset(o->type)) >= 0 && H5Aread(o->attribute, type, given) >= 0) {
        texts = eg__h5_pack_texts(given, o->n);
        H5Dvlen_reclaim(type, o->space, H5P_DEFAULT, given);
    }
    if (type >= 0) H5Tclose(type);
    free(given);
    return texts;
}

static char **read_fixed(const struct opened *o)
{
    char *given = eg__alloc(o->n, o->bytes), **texts = NULL, *chars = NULL;
    if (given && H5Aread(o->attribute, o->type, given) >= 0 &&
        (texts = texts_new(o->n, o->n * (o->bytes + 1), &chars)))
        for (size_t i = 0; i < o->n; i++) {
            texts[i] = append_text(&chars, given + i * o->bytes, o->bytes);
            if (H5Tget_strpad(o->type) == H5T_STR_SPACEPAD) trim_spaces(texts[i]);
        }
    free(given);
    return texts;
}

enum eg_status eg__h5_texts(struct eg_h5 *h5, const char *object, const char *name, char ***texts, size_t *n,
                            struct eg_error *err)
{
    eg__h5_enter();
    struct opened o;
    char **made = NULL;
    enum eg_status status = open_attribute(h5, object, name, &o, err);
    if (!status) {
        htri_t variable = H5Tis_variable_str(o.type);
        if (H5Tget_class(o.type) == H5T_STRING && variable >= 0)
            made = variable ? read_variable(&o) : read_fixed(&o);
        if (!made)
            status = eg__h5_fail(err, EG_E_FORMAT, h5, "cannot read attribute '%s' of '%s' in '%s' as text",
                                 name, object, h5->path);
        else
            *n = o.n;
        opened_release(&o);
    }
    eg__h5_leave();
    if (!status) *texts = made;
    return status;
}

enum eg_status eg__h5_text(struct eg_h5 *h5, const char *object, const char *name, char **text,
                           struct eg_error *err)
{
    char **texts;
    size_t n;
    enum eg_status status = eg__h5_texts(h5, object, name, &texts, &n, err);
    if (status) return status;
    char *copy = strdup(n ? texts[0] : "");
    free(texts);
    if (!copy) return eg__fail_memory(err, "text of an HDF5 file");
    *text = copy;
    return EG_OK;
}

enum eg_status eg__h5_sizes(struct eg_h5 *h5, const char *object, const char *name, size_t *sizes, size_t n,
                            struct eg_error *err)
{
    eg__h5_enter();
    struct opened o;
    uint64_t values[EG_H5_MAX_RANK] = {0};
    enum eg_status status = open_attribute(h5, object, name, &o, err);
    if (!status) {
        if (o.n != n || n > EG_H5_MAX_RANK || H5Tget_class(o.type) != H5T_INTEGER ||
            H5Aread(o.attribute, H5T_NATIVE_UINT64, values) < 0)
            status =
                eg__h5_fail(err, EG_E_FORMAT, h5, "cannot read attribute '%s' of '%s' in '%s' as %zu numbers",
                            name, object, h5->path, n);
        opened_release(&o);
    }
    eg__h5_leave();
    for (size_t i = 0; !status && i < n; i++) sizes[i] = (size_t)values[i];
    return status;
}

/* ---- writing ----------------------------------------------------------------------------- */

/* libhdf5 1.10.8 cannot write what H5Aopen_by_name opened ("can't locate open attribute"):
 * the object is opened first. */
static hid_t open_to_write(hid_t object, const char *name, hid_t type, hid_t space)
{
    if (H5Aexists(object, name) > 0) {
        hid_t attribute = H5Aopen(object, name, H5P_DEFAULT),
              old = attribute >= 0 ? H5Aget_type(attribute) : -1;
        bool same = old >= 0 && H5Tequal(old, type) > 0;
        if (old >= 0) H5Tclose(old);
        if (same) return attribute;
        if (attribute >= 0) H5Aclose(attribute);
        if (H5Adelete(object, name) < 0) return -1;
    }
    return H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
}

static enum eg_status put(struct eg_h5 *h5, const char *path, const char *name, hid_t type, hid_t space,
                          const void *values, struct eg_error *err)
{
    enum eg_status status = EG_OK;
    hid_t object = H5Oopen(h5->file, path, H5P_DEFAULT), attribute = -1;
    if (type >= 0 && space >= 0 && object >= 0) attribute = open_to_write(object, name, type, space);
    if (attribute < 0 || H5Awrite(attribute, type, values) < 0)
        status = eg__h5_fail(err, EG_E_IO, h5, "cannot write attribute '%s' of '%s' in '%s'", name, path,
                             h5->path);
    if (attribute >= 0) H5Aclose(attribute);
    if (object >= 0) H5Oclose(object);
    if (type >= 0) H5Tclose(type);
    if (space >= 0) H5Sclose(space);
    return status;
}

hid_t eg__h5_text_type(size_t bytes)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    if (type >= 0 && (H5Tset_size(type, bytes) < 0 || H5Tset_strpad(type, H5T_STR_NULLPAD) < 0 ||
                      H5Tset_cset(type, H5T_CSET_UTF8) < 0)) {
        H5Tclose(type);
        return -1;
    }
    return type;
}

enum eg_status eg__h5_put_text(struct eg_h5 *h5, const char *object, const char *name, const char *text,
                               struct eg_error *err)
{
    size_t n = strlen(text);
    eg__h5_enter();
    enum eg_status status =
        put(h5, object, name, eg__h5_text_type(n ? n : 1), H5Screate(H5S_SCALAR), text, err);
    if (!status) status = eg__h5_sound(h5, err);
    eg__h5_leave();
    return status;
}

enum eg_status eg__h5_put_texts(struct eg_h5 *h5, const char *object, const char *name,
                                const char *const *texts, size_t n, size_t text_bytes, struct eg_error *err)
{
    char *block = eg__zalloc(n, text_bytes);
    if (!block) return eg__fail_memory(err, "an attribute");
    for (size_t i = 0; texts && i < n; i++)
        memcpy(block + i * text_bytes, texts[i], strnlen(texts[i], text_bytes));
    hsize_t dims = n;
    eg__h5_enter();
    enum eg_status status =
        put(h5, object, name, eg__h5_text_type(text_bytes), H5Screate_simple(1, &dims, NULL), block, err);
    if (!status) status = eg__h5_sound(h5, err);
    eg__h5_leave();
    free(block);
    return status;
}

enum eg_status eg__h5_put_sizes(struct eg_h5 *h5, const char *object, const char *name, const size_t *sizes,
                                size_t n, struct eg_error *err)
{
    int64_t values[EG_H5_MAX_RANK];
    if (n > EG_H5_MAX_RANK) return eg__fail(err, EG_E_ARGUMENT, "%zu numbers in one attribute", n);
    for (size_t i = 0; i < n; i++) values[i] = (int64_t)sizes[i];
    hsize_t dims = n;
    eg__h5_enter();
    enum eg_status status =
        put(h5, object, name, H5Tcopy(H5T_NATIVE_INT64),
            n == 1 ? H5Screate(H5S_SCALAR) : H5Screate_simple(1, &dims, NULL), values, err);
    if (!status) status = eg__h5_sound(h5, err);
    eg__h5_leave();
    return status;
}
