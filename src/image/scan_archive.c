/* scan_archive.c: the photos in archives, as rows with labels. The class is the first folder, as for folders,
 * unless a file beside the photo says it (WebDataset: key.jpg with key.cls or key.json). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include <jansson.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "image/archive.h"
#include "image/dataset_build.h"
#include "image/kinds.h"

enum { MAX_SIDECAR_BYTES = 1 << 20, MAX_CLASS_BYTES = 255, MAX_SHARDS = 100000, MAX_DIGITS = 9 };

struct found {
    char *name;
    size_t member;
};

struct sidecar {
    char *key, *class;
    size_t member;
};

struct scan {
    struct eg_dataset_builder *builder;
    const char *prefix; /* of the rows' names: the archive's own */
    const char *below;  /* "", or "folder/": only what lies in it */
    bool labelled;
    struct found *found;
    struct sidecar *sidecars;
    size_t n_found, found_capacity, n_sidecars, sidecar_capacity;
};

/* ---- WebDataset --------------------------------------------------------------------------------- */

const char *eg__webdataset_suffix(const char *name)
{
    const char *last = eg__path_last(name), *dot = strchr(last, '.');
    return dot ? dot : last + strlen(last);
}

static char *class_of_json(const char *text, size_t n)
{
    static const char *const keys[] = {"label", "cls", "class", "label_name", "class_name"};
    json_t *root = json_loadb(text, n, 0, NULL);
    char *class = NULL;
    for (size_t i = 0; i < sizeof keys / sizeof *keys && !class; i++) {
        const json_t *value = json_object_get(root, keys[i]);
        if (json_is_string(value) && *json_string_value(value)) class = strdup(json_string_value(value));
        if (json_is_integer(value) && asprintf(&class, "%lld", (long long)json_integer_value(value)) < 0)
            class = NULL;
    }
    json_decref(root);
    return class;
}

/* The text without the blanks around it. */
static char *class_of_text(const char *text, size_t n)
{
    while (n && strchr(" \t\r\n", text[n - 1])) n--;
    while (n && strchr(" \t\r\n", *text)) text++, n--;
    return n && !memchr(text, '\0', n) ? strndup(text, n) : NULL;
}

bool eg__is_sidecar(const char *name)
{
    const char *suffix = eg__webdataset_suffix(name);
    return !strcasecmp(suffix, ".cls") || !strcasecmp(suffix, ".json");
}

char *eg__sidecar_class(const char *name, const void *bytes, size_t n)
{
    bool json = !strcasecmp(eg__webdataset_suffix(name), ".json");
    char *class = json ? class_of_json(bytes, n) : class_of_text(bytes, n);
    if (!class || (*class && strlen(class) <= MAX_CLASS_BYTES)) return class;
    free(class);
    return NULL;
}

/* ---- what is a photo ------------------------------------------------------------------------------ */

/* A hidden part of the path (*hidden), or one of the names that systems leave; NULL: neither. */
static const char *rubbish_part(const char *name, char part[64], bool *hidden)
{
    *hidden = false;
    for (const char *at = name; at; at = strchr(at, '/') ? strchr(at, '/') + 1 : NULL) {
        size_t n = strcspn(at, "/");
        snprintf(part, 64, "%.*s", n < 63 ? (int)n : 63, at);
        if (eg__is_rubbish(part)) return strncmp(part, "SYNO", 4) ? part : "SYNOPHOTO_THUMB";
        if (*part == '.') *hidden = true;
    }
    return NULL;
}

enum eg_status eg__entry_kind(const struct eg_dataset_builder *builder, const struct eg_entry *entry,
                              const char *below, struct eg_entry_told *told, struct eg_error *err)
{
    static const char *const words[] = {"", "link", "other", "unsafe name"};
    const char *name = entry->name;
    bool hidden;
    *told = (struct eg_entry_told){.kind = words[entry->kind]};
    if (entry->kind != EG_ENTRY_FILE) return EG_OK;
    size_t n_below = strlen(below);
    told->skip = strncmp(name, below, n_below) != 0;
    if (told->skip) return EG_OK;
    told->kind = rubbish_part(name + n_below, told->words, &hidden);
    if (told->kind) return EG_OK;
    told->skip = hidden;
    if (eg__dataset_excludes(builder, name + n_below)) told->kind = "excluded";
    if (hidden || told->kind) return EG_OK;
    told->photo = eg__photo_name(name);
    if (told->photo) return EG_OK; /* whatever it is: reading it will tell */
    const struct eg_photo_kind *kind = eg__kind_of_name(name);
    if (!kind || kind->sniff) {
        uint8_t first[EG_SNIFF_BYTES];
        size_t n = sizeof first;
        if (eg__is_sidecar(name) || !entry->size) n = 0; /* its bytes are read elsewhere */
        if (n && entry->peek(entry, first, &n, err)) return EG_E_FORMAT;
        const struct eg_photo_kind *inside = n ? eg__kind_of_bytes(first, n) : NULL;
        told->photo = inside && inside->decode;
        if (inside) kind = inside;
    }
    const char *dot = strrchr(eg__path_last(name), '.');
    snprintf(told->words, sizeof told->words, "%s", dot && strlen(dot) < 12 ? dot : "other");
    told->kind = kind ? kind->name : told->words;
    told->advice = kind ? eg__kind_advice(kind) : NULL;
    return EG_OK;
}

static enum eg_status ignore(const struct scan *scan, const char *kind, const char *advice, const char *name,
                             struct eg_error *err)
{
    char *shown;
    if (asprintf(&shown, "%s/%s", scan->prefix, name) < 0) return eg__fail_memory(err, "a path");
    enum eg_status status = eg__dataset_ignore(scan->builder, kind, advice, shown, err);
    free(shown);
    return status;
}

static enum eg_status keep_sidecar(struct scan *scan, const struct eg_entry *entry, struct eg_error *err)
{
    char *bytes = eg__alloc(MAX_SIDECAR_BYTES, 1);
    size_t n = MAX_SIDECAR_BYTES;
    if (!bytes) return eg__fail_memory(err, "a label");
    enum eg_status status = entry->peek(entry, bytes, &n, err);
    char *class = status ? NULL : eg__sidecar_class(entry->name, bytes, n);
    free(bytes);
    if (status) return status;
    if (!class) return ignore(scan, eg__webdataset_suffix(entry->name), NULL, entry->name, err);
    char *key = strndup(entry->name, (size_t)(eg__webdataset_suffix(entry->name) - entry->name));
    if (!key ||
        !eg__grow(&scan->sidecars, &scan->sidecar_capacity, scan->n_sidecars + 1, sizeof *scan->sidecars)) {
        free(key);
        free(class);
        return eg__fail_memory(err, "the labels");
    }
    scan->sidecars[scan->n_sidecars++] = (struct sidecar){key, class, entry->member};
    return EG_OK;
}

static enum eg_status visit(void *user, const struct eg_entry *entry, struct eg_error *err)
{
    struct scan *scan = user;
    struct eg_entry_told told = {0};
    enum eg_status status = eg__entry_kind(scan->builder, entry, scan->below, &told, err);
    if (status || told.skip) return status;
    if (!told.photo && scan->labelled && entry->kind == EG_ENTRY_FILE && eg__is_sidecar(entry->name) &&
        entry->size <= MAX_SIDECAR_BYTES)
        return keep_sidecar(scan, entry, err);
    if (!told.photo) return ignore(scan, told.kind, told.advice, entry->name, err);
    char *name = strdup(entry->name);
    if (!name || !eg__grow(&scan->found, &scan->found_capacity, scan->n_found + 1, sizeof *scan->found)) {
        free(name);
        return eg__fail_memory(err, "the list of photos");
    }
    struct found *found = &scan->found[scan->n_found++];
    found->name = name;
    found->member = entry->member;
    return EG_OK;
}

/* ---- labels ---------------------------------------------------------------------------------------- */

static int by_key(const void *a, const void *b)
{
    const struct sidecar *x = a, *y = b;
    int order = strcmp(x->key, y->key);
    return order ? order : (x->member > y->member) - (x->member < y->member);
}

static const char *sidecar_of(const struct scan *scan, const char *name)
{
    size_t n = (size_t)(eg__webdataset_suffix(name) - name), low = 0, high = scan->n_sidecars;
    while (low < high) { /* the last one of that key */
        size_t middle = low + (high - low) / 2;
        const char *key = scan->sidecars[middle].key;
        int order = strncmp(key, name, n);
        if (order < 0 || (!order && !key[n]))
            low = middle + 1;
        else
            high = middle;
    }
    const struct sidecar *s = low ? &scan->sidecars[low - 1] : NULL;
    return s && strlen(s->key) == n && !memcmp(s->key, name, n) ? s->class : NULL;
}

static enum eg_status add_photo(struct scan *scan, struct eg_archive *archive, const struct found *found,
                                size_t *n_folders, struct eg_error *err)
{
    int32_t label = -1;
    const char *name = found->name + strlen(scan->below), *said = sidecar_of(scan, found->name);
    enum eg_status status = EG_OK;
    char *class = NULL, *file;
    if (scan->labelled && said)
        class = strdup(said);
    else if (scan->labelled && strchr(name, '/'))
        class = strndup(name, strcspn(name, "/"));
    if (scan->labelled && !said && class) ++*n_folders;
    if (class) status = eg__dataset_class(scan->builder, class, &label, err);
    free(class);
    if (status) return status;
    if (asprintf(&file, "%s/%s", scan->prefix, found->name) < 0) return eg__fail_memory(err, "a path");
    status = eg__dataset_add(scan->builder, file, label, err);
    free(file);
    if (status) return status;
    struct eg_dataset *d = scan->builder->dataset;
    d->items[d->n_items - 1].archive = archive;
    d->items[d->n_items - 1].member = found->member;
    return EG_OK;
}

/* The names of the first folders; more than two are enough to tell. */
static enum eg_status check_folders(const struct scan *scan, const char *path, struct eg_error *err)
{
    const char *first = NULL, *second = NULL;
    size_t n = 0, n_split = 0, length = 0;
    char name[64];
    for (size_t i = 0; i < scan->n_found; i++) { /* those of one folder follow each other or are few */
        const char *at = scan->found[i].name + strlen(scan->below), *slash = strchr(at, '/');
        if (!slash) continue;
        if (first && (size_t)(slash - at) == length && !strncmp(at, second ? second : first, length))
            continue;
        length = (size_t)(slash - at);
        snprintf(name, sizeof name, "%.*s", length < 63 ? (int)length : 63, at);
        n++;
        n_split += eg__is_split_name(name);
        if (!first)
            first = at;
        else
            second = at;
    }
    if (n && n == n_split)
        return eg__fail_for(err, EG_E_ARGUMENT, EG_REASON_SPLIT_FOLDERS,
                            "'%.200s' is split into folders as %.*s: they are no classes; take one of them, "
                            "as '%.200s/%.*s', and test on another",
                            path, (int)strcspn(first, "/"), first, path, (int)strcspn(first, "/"), first);
    const char *inner = first ? strchr(first, '/') + 1 : NULL;
    if (n != 1 || !inner || !strchr(inner, '/')) return EG_OK;
    return eg__dataset_remark(
        scan->builder->dataset, err,
        "all photos of '%.200s' are in one folder, '%.*s', which is taken for their class (if the folders "
        "in it are the classes, give '%.200s/%.*s')",
        path, (int)strcspn(first, "/"), first, path, (int)strcspn(first, "/"), first);
}

static void release(struct scan *scan)
{
    for (size_t i = 0; i < scan->n_found; i++) free(scan->found[i].name);
    for (size_t i = 0; i < scan->n_sidecars; i++) {
        free(scan->sidecars[i].key);
        free(scan->sidecars[i].class);
    }
    free(scan->found);
    free(scan->sidecars);
}

static enum eg_status own_archive(struct eg_dataset *d, struct eg_archive *archive, struct eg_error *err)
{
    struct eg_archive **grown = realloc(d->archives, (d->n_archives + 1) * sizeof *grown);
    if (!grown) {
        eg__archive_free(archive);
        return eg__fail_memory(err, "an archive");
    }
    d->archives = grown;
    d->archives[d->n_archives++] = archive;
    if (eg__archive_is_packed(archive)) d->is_stream = true;
    return EG_OK;
}

enum eg_status eg__scan_archive(struct eg_dataset_builder *builder, const char *path, const char *prefix,
                                const char *below, bool labelled, struct eg_error *err)
{
    struct scan scan = {.builder = builder, .prefix = prefix, .below = below, .labelled = labelled};
    struct eg_archive *archive = NULL;
    size_t n_folders = 0;
    enum eg_status status = eg__archive_open(path, visit, &scan, &archive, err);
    if (!status) status = own_archive(builder->dataset, archive, err);
    if (!status && scan.n_sidecars) qsort(scan.sidecars, scan.n_sidecars, sizeof *scan.sidecars, by_key);
    for (size_t i = 0; i < scan.n_found && !status; i++) {
        const struct found *f = &scan.found[i];
        /* of several with one name the last */
        if (eg__archive_find(archive, f->name) == f->member)
            status = add_photo(&scan, archive, f, &n_folders, err);
    }
    if (!status && n_folders) status = check_folders(&scan, path, err);
    release(&scan);
    return status;
}

/* ---- names ------------------------------------------------------------------------------------------ */

enum eg_status eg__archive_within(struct eg_dataset_builder *builder, const char *path, size_t length,
                                  struct eg_archive **archive, struct eg_error *err)
{
    struct eg_dataset *d = builder->dataset;
    for (size_t i = d->n_archives; i-- > 0;) {
        const char *known = eg__archive_path(d->archives[i]);
        if (strlen(known) != length || memcmp(known, path, length)) continue;
        *archive = d->archives[i];
        return EG_OK;
    }
    char *name = strndup(path, length);
    if (!name) return eg__fail_memory(err, "a path");
    enum eg_status status = eg__archive_open(name, NULL, NULL, archive, err);
    free(name);
    return status ? status : own_archive(d, *archive, err);
}

size_t eg__archive_prefix(const char *path)
{
    struct stat info;
    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        size_t n = (size_t)(slash - path);
        char *front = n ? strndup(path, n) : NULL;
        bool is = front && eg__archive_name(front) && !stat(front, &info) && S_ISREG(info.st_mode);
        free(front);
        if (is) return n;
    }
    return 0;
}

/* The first "{000..127}" of a name. */
static bool find_range(const char *path, const char **open, const char **close, long *first, long *last,
                       int *width)
{
    for (const char *at = strchr(path, '{'); at; at = strchr(at + 1, '{')) {
        char dots[3] = "", end = 0;
        size_t n = strspn(at + 1, "0123456789");
        if (!n || n > MAX_DIGITS || sscanf(at + 1 + n, "%2[.]%*[0-9]%c", dots, &end) != 2 || end != '}' ||
            strcmp(dots, ".."))
            continue;
        const char *second = at + 1 + n + 2;
        if (strspn(second, "0123456789") > MAX_DIGITS) continue;
        *first = strtol(at + 1, NULL, 10);
        *last = strtol(second, NULL, 10);
        *width = at[1] == '0' ? (int)n : 1;
        *open = at;
        *close = strchr(at, '}') + 1;
        return *first <= *last;
    }
    return false;
}

bool eg__has_range(const char *path)
{
    const char *open, *close;
    long first, last;
    int width;
    return find_range(path, &open, &close, &first, &last, &width);
}

enum eg_status eg__expand_range(const char *path, char ***list, size_t *n, struct eg_error *err)
{
    const char *open, *close;
    long first, last;
    int width;
    if (!find_range(path, &open, &close, &first, &last, &width)) {
        char **grown = realloc(*list, (*n + 1) * sizeof *grown), *copy = strdup(path);
        if (grown) *list = grown;
        if (grown && copy && *n < MAX_SHARDS) {
            grown[(*n)++] = copy;
            return EG_OK;
        }
        free(copy);
        return eg__fail(err, EG_E_ARGUMENT, "'%.200s' names more than %d archives", path, MAX_SHARDS);
    }
    enum eg_status status = EG_OK;
    for (long i = first; i <= last && !status; i++) {
        char *one;
        if (asprintf(&one, "%.*s%0*ld%s", (int)(open - path), path, width, i, close) < 0)
            return eg__fail_memory(err, "a path");
        status = eg__expand_range(one, list, n, err);
        free(one);
    }
    return status;
}
