/* dataset.c: what IMAGES names, as sorted rows with labels. */
#include "image/dataset.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/unicode.h"
#include "image/archive.h"
#include "image/dataset_build.h"

#define MAX_PHOTO_BYTES ((size_t)1 << 30)

/* ---- building ---- */

struct class_name {
    int32_t label;
    char *name; /* printable, in normal form C */
};

static int compare_class_names(const void *a, const void *b)
{
    return strcmp(((const struct class_name *)a)->name, ((const struct class_name *)b)->name);
}

static void free_class_name(void *node)
{
    struct class_name *class = node;
    free(class->name);
    free(class);
}

/* As it is shown and compared; NULL: no memory. */
static char *class_shown(const char *name)
{
    char *shown = eg__printable(name), *composed = shown ? eg__nfc(shown) : NULL;
    free(shown);
    return composed;
}

enum eg_status eg__dataset_class(struct eg_dataset_builder *builder, const char *name, int32_t *label,
                                 struct eg_error *err)
{
    struct eg_dataset *d = builder->dataset;
    struct class_name *class = eg__zalloc(1, sizeof *class);
    if (class) class->name = class_shown(name);
    if (!class || !class->name) {
        free(class);
        return eg__fail_memory(err, "the classes");
    }
    if (strlen(class->name) > 255) {
        enum eg_status status =
            eg__fail(err, EG_E_FORMAT, "the class name '%.40s...' is longer than 255 bytes", class->name);
        free_class_name(class);
        return status;
    }
    struct class_name **found = tfind(class, &builder->classes_by_name, compare_class_names);
    if (found) {
        *label = (*found)->label;
        free_class_name(class);
        return EG_OK;
    }
    char *shown = strdup(class->name);
    if (!shown || !eg__grow(&d->classes, &builder->class_capacity, d->n_classes + 1, sizeof *d->classes) ||
        !tsearch(class, &builder->classes_by_name, compare_class_names)) {
        free_class_name(class);
        free(shown);
        return eg__fail_memory(err, "the classes");
    }
    class->label = (int32_t)d->n_classes;
    d->classes[d->n_classes++] = shown;
    *label = class->label;
    return EG_OK;
}

enum eg_status eg__dataset_add(struct eg_dataset_builder *builder, const char *file, int32_t label,
                               struct eg_error *err)
{
    struct eg_dataset *d = builder->dataset;
    struct eg_dataset_item item = {.label = label, .number = (double)NAN};
    char *copy = strdup(file), *shown = eg__printable(file);
    if (!copy || !shown || !eg__grow(&d->items, &builder->item_capacity, d->n_items + 1, sizeof *d->items)) {
        free(copy);
        free(shown);
        return eg__fail_memory(err, "the list of photos");
    }
    item.file = copy;
    if (!strcmp(copy, shown)) { /* the usual case: one string does */
        free(shown);
        shown = copy;
    }
    item.path = shown;
    d->items[d->n_items++] = item;
    return EG_OK;
}

static int compare_items(const void *a, const void *b)
{
    const struct eg_dataset_item *x = a, *y = b;
    int order = strcmp(x->path, y->path);
    return order ? order : strcmp(x->file, y->file);
}

static int compare_strings(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Labels in byte order of class name; how many each class has. */
static enum eg_status finish_labels(struct eg_dataset *d, struct eg_error *err)
{
    char **given = eg__alloc(d->n_classes, sizeof *given);
    int32_t *label = eg__alloc(d->n_classes, sizeof *label);
    size_t *count = eg__zalloc(d->n_classes, sizeof *count);
    if (!given || !label || !count) {
        free(given);
        free(label);
        free(count);
        return eg__fail_memory(err, "the classes");
    }
    if (d->n_classes) {
        memcpy(given, d->classes, d->n_classes * sizeof *given);
        qsort(d->classes, d->n_classes, sizeof *d->classes, compare_strings);
    }
    for (size_t i = 0; i < d->n_classes; i++) {
        char **at = bsearch(&given[i], d->classes, d->n_classes, sizeof *d->classes, compare_strings);
        label[i] = (int32_t)(at - d->classes);
    }
    for (size_t i = 0; i < d->n_items; i++) {
        if (d->items[i].label < 0) continue;
        d->items[i].label = label[d->items[i].label];
        count[d->items[i].label]++;
    }
    for (size_t i = 0; i < d->n_classes; i++)
        if (!i || count[i] < d->n_per_class_min) d->n_per_class_min = count[i];
    free(given);
    free(label);
    free(count);
    return EG_OK;
}

/* The same photo under two classes is a mistake no classifier can learn from. */
static enum eg_status refuse_two_labels(const struct eg_dataset *d, struct eg_error *err)
{
    for (size_t i = 1; i < d->n_items; i++) {
        const struct eg_dataset_item *a = &d->items[i - 1], *b = &d->items[i];
        if (a->label != b->label && !strcmp(a->file, b->file))
            return eg__fail(err, EG_E_FORMAT, "'%.300s' is listed with two different labels", b->path);
    }
    return EG_OK;
}

enum eg_status eg__dataset_begin(struct eg_dataset_builder *builder, const struct eg_dataset_options *options,
                                 struct eg_error *err)
{
    *builder =
        (struct eg_dataset_builder){.dataset = eg__zalloc(1, sizeof(struct eg_dataset)), .options = options};
    return builder->dataset ? EG_OK : eg__fail_memory(err, "a dataset");
}

void eg__dataset_stop(struct eg_dataset_builder *builder)
{
    if (builder->classes_by_name) tdestroy(builder->classes_by_name, free_class_name);
    builder->classes_by_name = NULL;
}

enum eg_status eg__dataset_end(struct eg_dataset_builder *builder, enum eg_status status,
                               struct eg_dataset **dataset)
{
    eg__dataset_stop(builder);
    if (status)
        eg__dataset_free(builder->dataset);
    else
        *dataset = builder->dataset;
    return status;
}

void eg__dataset_free_item(struct eg_dataset_item *item)
{
    char *path, *file;
    memcpy(&path, &item->path, sizeof path);
    memcpy(&file, &item->file, sizeof file);
    if (file != path) free(file);
    free(path);
}

void eg__dataset_keep(struct eg_dataset *d, eg_keep_fn *keep, void *user)
{
    size_t n = d->n_items, n_kept = 0;
    if (d->stream) {
        d->keep = keep;
        d->keep_user = user;
    }
    /* Asked first, moved after: `keep` may look at the images that it has been asked about. */
    for (size_t i = 0; i < n; i++) {
        if (!keep(user, i)) {
            eg__dataset_free_item(&d->items[i]);
            d->items[i] = (struct eg_dataset_item){0};
        }
    }
    for (size_t i = 0; i < n; i++)
        if (d->items[i].path) d->items[n_kept++] = d->items[i];
    d->n_items = n_kept;
}

void eg__dataset_free(struct eg_dataset *d)
{
    if (!d) return;
    for (size_t i = 0; i < d->n_items; i++) eg__dataset_free_item(&d->items[i]);
    for (size_t i = 0; i < d->n_classes; i++) free(d->classes[i]);
    for (size_t i = 0; i < d->n_ignored_kinds; i++) {
        free(d->ignored[i].kind);
        free(d->ignored[i].example);
    }
    for (size_t i = 0; i < d->n_remarks; i++) free(d->remarks[i]);
    free(d->ignored);
    free(d->remarks);
    free(d->items);
    free(d->classes);
    eg__stream_free(d->stream);
    for (size_t i = 0; i < d->n_archives; i++) eg__archive_free(d->archives[i]);
    free(d->archives);
    free(d->root);
    eg__npy_close(d->array);
    free(d);
}

/* ---- what a path names ---- */

static enum eg_status add_array_rows(struct eg_dataset_builder *builder, const char *name,
                                     struct eg_error *err)
{
    struct eg_dataset *d = builder->dataset;
    size_t rows = eg__npy_rows(d->array);
    char *shown = eg__printable(name);
    d->is_array = true;
    d->items = shown ? eg__zalloc(rows, sizeof *d->items) : NULL;
    if (!d->items) {
        free(shown);
        return eg__fail_memory(err, "the rows of an array");
    }
    enum eg_status status = EG_OK;
    for (size_t i = 0; i < rows && !status; i++) {
        char *path;
        if (asprintf(&path, "%s#%zu", shown, i) < 0) {
            status = eg__fail_memory(err, "the rows of an array");
        } else {
            d->items[i] =
                (struct eg_dataset_item){.path = path, .label = -1, .array_row = i, .number = (double)NAN};
            d->n_items = i + 1;
        }
    }
    free(shown);
    return status;
}

static bool has_suffix(const char *path, const char *suffix)
{
    size_t n = strlen(path), m = strlen(suffix);
    return n >= m && !strcasecmp(path + n - m, suffix);
}

static enum eg_status open_csv(struct eg_dataset_builder *builder, const char *path, struct eg_error *err)
{
    struct eg_mapping mapping;
    enum eg_status status = eg__map_file(path, &mapping, err);
    if (status) return status;
    if (mapping.size > MAX_PHOTO_BYTES)
        status = eg__fail(err, EG_E_UNSUPPORTED, "larger than 1 GiB");
    else
        status = eg__scan_csv(builder, (const char *)mapping.bytes, mapping.size, err);
    eg__unmap_file(&mapping);
    return status;
}

/* `path` leads into an archive, which the first `length` bytes name; the rest is a folder in it. */
static enum eg_status open_archive(struct eg_dataset_builder *builder, const char *path, size_t length,
                                   size_t n_root, bool labelled, struct eg_error *err)
{
    const char *inner = path + length + strspn(path + length, "/");
    char *archive = strndup(path, length), *below = NULL, *prefix = NULL;
    if (asprintf(&below, "%s%s", inner, *inner && inner[strlen(inner) - 1] != '/' ? "/" : "") < 0)
        below = NULL;
    if (archive) prefix = strdup(archive + n_root);
    enum eg_status status = archive && below && prefix ? EG_OK : eg__fail_memory(err, "a path");
    if (!status) status = eg__scan_archive(builder, archive, prefix, below, labelled, err);
    if (status && archive && status != EG_E_ARGUMENT) {
        char *shown = eg__printable(archive);
        status = eg__fail_within(err, status, "cannot use '%.300s' as images", shown ? shown : "?");
        free(shown);
    }
    free(prefix);
    free(below);
    free(archive);
    return status;
}

/* "shards/{000..127}.tar" */
static enum eg_status open_shards(struct eg_dataset_builder *builder, const char *path, size_t n_root,
                                  bool labelled, struct eg_error *err)
{
    char **list = NULL;
    size_t n = 0;
    enum eg_status status = eg__expand_range(path, &list, &n, err);
    for (size_t i = 0; i < n && !status; i++)
        status = open_archive(builder, list[i], strlen(list[i]), n_root, labelled, err);
    for (size_t i = 0; i < n; i++) free(list[i]);
    free(list);
    return status;
}

static enum eg_status open_file(struct eg_dataset_builder *builder, const char *path, struct eg_error *err)
{
    struct eg_dataset *d = builder->dataset;
    const char *last = eg__path_last(path);
    d->root = strndup(path, (size_t)(last - path));
    if (!d->root) return eg__fail_memory(err, "a path");
    enum eg_status status;
    if (eg__archive_name(path)) return open_archive(builder, path, strlen(path), strlen(d->root), true, err);
    if (has_suffix(path, ".csv")) {
        status = open_csv(builder, path, err);
    } else if (has_suffix(path, ".npy")) {
        status = eg__npy_open(path, &d->array, err);
        if (!status) status = add_array_rows(builder, last, err);
    } else if (eg__photo_name(path)) {
        return eg__dataset_add(builder, last, -1, err);
    } else {
        status = eg__fail(err, EG_E_FORMAT,
                          "neither a folder nor a file ending in .csv, .npy, .tar, .zip or as photos do");
    }
    if (!status) return EG_OK;
    char *shown = eg__printable(path);
    status = eg__fail_within(err, status, "cannot use '%.300s' as images", shown ? shown : "?");
    free(shown);
    return status;
}

static enum eg_status nothing_found(const struct eg_dataset *d, const char *path, struct eg_error *err)
{
    struct eg_text kinds = {0};
    for (size_t i = 0; i < d->n_ignored_kinds && i < 6; i++) {
        const struct eg_ignored_kind *k = &d->ignored[i];
        eg__text_append(&kinds, "%s%zu %s%s%s", i ? ", " : ": ", k->n, k->kind, k->advice ? ": " : "",
                        k->advice ? k->advice : "");
    }
    char *shown = eg__printable(path);
    enum eg_status status = eg__fail_for(err, EG_E_NOT_FOUND, EG_REASON_NO_PHOTOS,
                                         "no photos in '%.300s' (%zu other files there%s)",
                                         shown ? shown : "?", d->n_ignored, kinds.chars ? kinds.chars : "");
    free(shown);
    free(kinds.chars);
    return status;
}

/* Labelled: a folder, a CSV, an array or one photo. */
static enum eg_status open_one(struct eg_dataset_builder *builder, const char *path, struct eg_error *err)
{
    struct stat info;
    struct eg_dataset *d = builder->dataset;
    if (stat(path, &info)) {
        int cause = errno;
        size_t inside = eg__archive_prefix(path);
        const char *range = eg__has_range(path) ? strchr(path, '{') : NULL;
        if (!inside && !range)
            return eg__fail(err, EG_E_IO, "cannot open '%.300s': %s", path, strerror(cause));
        size_t n_root = inside ? inside : (size_t)(range - path);
        while (n_root && path[n_root - 1] != '/') n_root--;
        d->root = strndup(path, n_root);
        if (!d->root) return eg__fail_memory(err, "a path");
        return inside ? open_archive(builder, path, inside, n_root, true, err)
                      : open_shards(builder, path, n_root, true, err);
    }
    if (!S_ISDIR(info.st_mode)) return open_file(builder, path, err);
    d->root = strdup(path);
    return d->root ? eg__scan_folder(builder, path, "", true, err) : eg__fail_memory(err, "a path");
}

/* A name in an archive: a photo, or a folder of them. */
static enum eg_status list_inside(struct eg_dataset_builder *builder, const char *path, size_t inside,
                                  struct eg_error *err)
{
    struct eg_archive *archive;
    struct eg_dataset *d = builder->dataset;
    enum eg_status status = eg__archive_within(builder, path, inside, &archive, err);
    if (status) return eg__dataset_add(builder, path, -1, err); /* reading it will tell */
    size_t member = eg__archive_find(archive, path + inside + 1);
    if (member == SIZE_MAX && !eg__photo_name(path) && !eg__archive_is_packed(archive))
        return open_archive(builder, path, inside, 0, false, err);
    status = eg__dataset_add(builder, path, -1, err);
    if (status) return status;
    d->items[d->n_items - 1].archive = archive;
    d->items[d->n_items - 1].member = member;
    return EG_OK;
}

/* One of several: a folder's or an archive's photos in byte order; a file whatever it is, reading it
 * will tell. */
static enum eg_status list_one(struct eg_dataset_builder *builder, const char *path, struct eg_error *err)
{
    struct eg_dataset *d = builder->dataset;
    struct stat info;
    size_t before = d->n_items, inside;
    enum eg_status status;
    if (stat(path, &info)) {
        if ((inside = eg__archive_prefix(path)))
            status = list_inside(builder, path, inside, err);
        else if (eg__has_range(path))
            status = open_shards(builder, path, 0, false, err);
        else
            return eg__dataset_add(builder, path, -1, err);
    } else if (S_ISDIR(info.st_mode)) {
        status = eg__scan_folder(builder, path, path, false, err);
    } else if (eg__archive_name(path)) {
        status = open_archive(builder, path, strlen(path), 0, false, err);
    } else {
        return eg__dataset_add(builder, path, -1, err);
    }
    if (status || d->n_items == before || d->is_stream) return status;
    qsort(d->items + before, d->n_items - before, sizeof *d->items, compare_items);
    return EG_OK;
}

static enum eg_status list_all(struct eg_dataset_builder *builder, const char *const *paths, size_t n_paths,
                               struct eg_error *err)
{
    struct eg_dataset *d = builder->dataset;
    if (n_paths == 1 && has_suffix(paths[0], ".npy")) return open_file(builder, paths[0], err);
    d->root = strdup("");
    enum eg_status status = d->root ? EG_OK : eg__fail_memory(err, "a path");
    for (size_t i = 0; i < n_paths && !status; i++) {
        if (has_suffix(paths[i], ".npy"))
            status = eg__fail(err, EG_E_ARGUMENT, "'%.300s' is an array: give it alone", paths[i]);
        else
            status = list_one(builder, paths[i], err);
    }
    return status;
}

enum eg_status eg__dataset_scan(const char *const *paths, size_t n_paths,
                                const struct eg_dataset_options *options, struct eg_dataset **dataset,
                                struct eg_error *err)
{
    struct eg_dataset_builder builder;
    if (!n_paths) return eg__fail(err, EG_E_ARGUMENT, "no photos are named");
    for (size_t i = 0; i < n_paths; i++)
        if (!strcmp(paths[i], "-"))
            return eg__fail(
                err, EG_E_UNSUPPORTED,
                "photos on standard input ('-') come once: that is enough to extract features or to "
                "predict, alone");
    bool labelled = n_paths == 1 && !(options && options->unlabelled);
    enum eg_status status = eg__dataset_begin(&builder, options, err);
    if (status) return status;
    struct eg_dataset *d = builder.dataset;
    const bool csv = labelled && has_suffix(paths[0], ".csv");
    if (options && options->number && !csv)
        status = eg__fail(err, EG_E_ARGUMENT,
                          "'%.300s' has no column '%.100s': numbers are read from a CSV of the photos",
                          paths[0], options->number);
    if (!status)
        status = labelled ? open_one(&builder, paths[0], err) : list_all(&builder, paths, n_paths, err);
    if (!status && labelled && !d->is_array) {
        if (d->n_items && !d->is_stream) qsort(d->items, d->n_items, sizeof *d->items, compare_items);
        status =
            options && options->several ? eg__dataset_join_listed(&builder, err) : refuse_two_labels(d, err);
    }
    if (!status && !d->n_items) status = nothing_found(d, paths[0], err);
    if (!status) status = finish_labels(d, err);
    if (!status) status = eg__dataset_remarks(d, err);
    return eg__dataset_end(&builder, status, dataset);
}

enum eg_status eg__dataset_open(const char *path, struct eg_dataset **dataset, struct eg_error *err)
{
    return eg__dataset_scan(&path, 1, NULL, dataset, err);
}

enum eg_status eg__dataset_list(const char *const *paths, size_t n_paths, struct eg_dataset **dataset,
                                struct eg_error *err)
{
    static const struct eg_dataset_options unlabelled = {.unlabelled = true};
    return eg__dataset_scan(paths, n_paths, &unlabelled, dataset, err);
}

char *eg__dataset_file(const struct eg_dataset *d, size_t index)
{
    const char *file = d->items[index].file;
    char *joined;
    if (!file) { /* a row of an array: the array's own file, its name before the '#' */
        const char *path = d->items[index].path;
        return asprintf(&joined, "%s%.*s", d->root, (int)(strrchr(path, '#') - path), path) < 0 ? NULL
                                                                                                : joined;
    }
    size_t n = strlen(d->root);
    if (!n || *file == '/') return strdup(file);
    return asprintf(&joined, "%s%s%s", d->root, d->root[n - 1] == '/' ? "" : "/", file) < 0 ? NULL : joined;
}

static enum eg_status read_all(int fd, size_t size, uint8_t **bytes, size_t *n_bytes, struct eg_error *err)
{
    uint8_t *made = eg__alloc(size, 1);
    size_t done = 0;
    if (!made) return eg__fail_memory(err, "a photo's file");
    while (done < size) {
        ssize_t got = read(fd, made + done, size - done);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            free(made);
            return eg__fail(err, EG_E_IO, "cannot be read: %s", strerror(errno));
        }
        if (!got) break; /* it has shrunk: the decoder will say so */
        done += (size_t)got;
    }
    *bytes = made;
    *n_bytes = done;
    return EG_OK;
}

void eg__dataset_stage(const struct eg_dataset *d, const size_t *rows, size_t n)
{
    size_t *members = d->is_stream ? eg__alloc(n, sizeof *members) : NULL;
    for (size_t i = 0, count; members && i < n; i += count) {
        struct eg_archive *archive = d->items[rows[i]].archive;
        for (count = 0; i + count < n && d->items[rows[i + count]].archive == archive; count++)
            members[count] = d->items[rows[i + count]].member;
        if (archive) eg__archive_stage(archive, members, count);
    }
    free(members);
}

enum eg_status eg__dataset_read(const struct eg_dataset *d, size_t index, uint8_t **bytes, size_t *n_bytes,
                                struct eg_error *err)
{
    if (d->stream) return eg__stream_read(d->stream, d->items[index].member, bytes, n_bytes, err);
    if (d->items[index].archive)
        return eg__archive_read(d->items[index].archive, d->items[index].member, bytes, n_bytes, err);
    char *path = eg__dataset_file(d, index);
    if (!path) return eg__fail_memory(err, "a path");
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), cause = errno; /* a pipe must not block us */
    free(path);
    if (fd < 0 && cause == ENOENT)
        return eg__fail(err, EG_E_NOT_FOUND, "no such file, or a link that leads nowhere");
    if (fd < 0) return eg__fail(err, EG_E_IO, "cannot be opened: %s", strerror(cause));
    struct stat info;
    enum eg_status status;
    if (fstat(fd, &info))
        status = eg__fail(err, EG_E_IO, "cannot be read: %s", strerror(errno));
    else if (S_ISDIR(info.st_mode))
        status = eg__fail(err, EG_E_FORMAT, "a folder, not a photo");
    else if (!S_ISREG(info.st_mode))
        status = eg__fail(err, EG_E_FORMAT, "not a regular file");
    else if ((uint64_t)info.st_size > MAX_PHOTO_BYTES)
        status = eg__fail(err, EG_E_UNSUPPORTED, "larger than 1 GiB");
    else
        status = read_all(fd, (size_t)info.st_size, bytes, n_bytes, err);
    close(fd);
    return status;
}

void eg__dataset_stamp(const struct eg_dataset *d, size_t index, int64_t stamp[2])
{
    enum { GRAIN_SECONDS = 2 };
    struct stat info;
    struct timespec now;
    stamp[0] = stamp[1] = 0;
    if (d->is_array || d->stream) return;
    if (d->items[index].archive) {
        eg__archive_stamp(d->items[index].archive, d->items[index].member, stamp);
        return;
    }
    char *path = eg__dataset_file(d, index);
    clock_gettime(CLOCK_REALTIME, &now);
    bool good = path && !stat(path, &info) && S_ISREG(info.st_mode) &&
                now.tv_sec - info.st_mtim.tv_sec > GRAIN_SECONDS;
    free(path);
    if (!good) return;
    stamp[0] = info.st_size;
    stamp[1] = (int64_t)info.st_mtim.tv_sec * 1000000000 + info.st_mtim.tv_nsec;
}

enum eg_status eg__dataset_array_shape(const struct eg_dataset *d, size_t *h, size_t *w, size_t *c,
                                       struct eg_error *err)
{
    if (!d->is_array) return eg__fail(err, EG_E_ARGUMENT, "these images are not an array");
    eg__npy_shape(d->array, h, w, c);
    return EG_OK;
}

enum eg_status eg__dataset_array_read(const struct eg_dataset *d, size_t index, float *hwc,
                                      struct eg_error *err)
{
    if (!d->is_array || index >= d->n_items) return eg__fail(err, EG_E_ARGUMENT, "no such row of an array");
    return eg__npy_read(d->array, d->items[index].array_row, hwc, err);
}
