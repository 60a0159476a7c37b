/* Files from strangers: an HDF5 file can name other files to be read in its place. Every link
 * and every dataset is looked at before anything is read:
 *   external and user-defined links, external storage           refused
 *   filters other than shuffle, deflate, fletcher32             refused (and no plug-ins loaded)
 *   virtual sources                                             only plain names in the same folder,
 *                                                               each there, itself safe, not virtual */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/text.h"
#include "h5/h5_private.h"

enum { MAX_SOURCES = 1 << 20 };

struct check {
    const char *path;
    struct eg_h5_sources *sources;
    struct eg_error *err;
    enum eg_status status;
};

__attribute__((format(printf, 3, 4))) static herr_t refuse(struct check *check, const char *object,
                                                           const char *format, ...)
{
    char words[300], *printable = eg__printable(object);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(words, sizeof words, format, arguments);
    va_end(arguments);
    check->status = eg__fail(check->err, EG_E_FORMAT, "cannot open '%s': '%s' %s", check->path,
                             printable ? printable : "an object", words);
    free(printable);
    return -1;
}

bool eg__h5_is_source_name(const char *name)
{
    return name[0] && name[0] != '.' && !strpbrk(name, "/%") && strlen(name) < 256;
}

static bool add_source(struct eg_h5_sources *sources, const char *name)
{
    if (sources->n && !strcmp(sources->names[sources->n - 1], name)) return true;
    for (size_t i = 0; i < sources->first_set; i++) /* the next cut's sources are the same again */
        if (!strcmp(sources->names[(sources->next + i) % sources->first_set], name)) {
            sources->next = (sources->next + i + 1) % sources->first_set;
            return true;
        }
    if (!eg__grow(&sources->names, &sources->capacity, sources->n + 1, sizeof *sources->names)) return false;
    char *copy = strdup(name);
    if (copy) sources->names[sources->n++] = copy;
    return copy;
}

static herr_t check_virtual(struct check *check, const char *object, hid_t list)
{
    size_t n = 0;
    if (H5Pget_virtual_count(list, &n) < 0 || n > MAX_SOURCES)
        return refuse(check, object, "has no readable list of sources");
    if (!check->sources) return refuse(check, object, "is a virtual dataset where rows were expected");
    for (size_t i = 0; i < n; i++) {
        char name[512];
        ssize_t length = H5Pget_virtual_filename(list, i, name, sizeof name);
        if (length <= 0 || (size_t)length >= sizeof name || !eg__h5_is_source_name(name))
            return refuse(check, object,
                          "takes rows from a file that is not a plain name in the same folder, "
                          "which is refused");
        if (!add_source(check->sources, name)) {
            check->status = eg__fail_memory(check->err, "the names of shards");
            return -1;
        }
    }
    check->sources->first_set = check->sources->n;
    return 0;
}

static herr_t check_filters(struct check *check, const char *object, hid_t list)
{
    int n = H5Pget_nfilters(list);
    for (int i = 0; i < n; i++) {
        unsigned flags, config;
        size_t n_values = 0;
        H5Z_filter_t filter = H5Pget_filter2(list, (unsigned)i, &flags, &n_values, NULL, 0, NULL, &config);
        if (filter != H5Z_FILTER_DEFLATE && filter != H5Z_FILTER_SHUFFLE && filter != H5Z_FILTER_FLETCHER32)
            return refuse(check, object,
                          "uses filter %d, only deflate, shuffle and fletcher32 are read "
                          "(repack it with h5repack)",
                          (int)filter);
    }
    return n < 0 ? refuse(check, object, "has no readable list of filters") : 0;
}

static herr_t check_dataset(struct check *check, const char *object, hid_t dataset)
{
    hid_t list = H5Dget_create_plist(dataset);
    if (list < 0) return refuse(check, object, "cannot be read");
    herr_t result = 0;
    if (H5Pget_external_count(list) != 0)
        result = refuse(check, object, "keeps its data in another file, which is refused");
    if (!result) result = check_filters(check, object, list);
    if (!result && H5Pget_layout(list) == H5D_VIRTUAL) result = check_virtual(check, object, list);
    H5Pclose(list);
    return result;
}

static herr_t check_link(hid_t group, const char *name, const H5L_info_t *info, void *context)
{
    struct check *check = context;
    if (info->type == H5L_TYPE_SOFT) return 0;
    if (info->type != H5L_TYPE_HARD)
        return refuse(check, name, "is a link to outside the file, which is refused");
    hid_t object = H5Oopen(group, name, H5P_DEFAULT);
    if (object < 0) return refuse(check, name, "cannot be opened (damaged)");
    herr_t result = H5Iget_type(object) == H5I_DATASET ? check_dataset(check, name, object) : 0;
    H5Oclose(object);
    return result;
}

enum eg_status eg__h5_check(hid_t file, const char *path, struct eg_h5_sources *sources, struct eg_error *err)
{
    H5PLset_loading_state(0);
    struct check check = {path, sources, err, EG_OK};
    if (H5Lvisit(file, H5_INDEX_NAME, H5_ITER_NATIVE, check_link, &check) < 0 && !check.status)
        return eg__h5_fail(err, EG_E_FORMAT, NULL, "cannot open '%s': its list of objects is damaged", path);
    H5Eclear2(H5E_DEFAULT);
    return check.status;
}

void eg__h5_sources_release(struct eg_h5_sources *sources)
{
    for (size_t i = 0; i < sources->n; i++) free(sources->names[i]);
    free(sources->names);
    *sources = (struct eg_h5_sources){0};
}
