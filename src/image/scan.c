/* scan.c: the photos below a folder. Real folders are walked before linked ones, so that a
 * link never takes a class's photos away from it; no folder is entered twice, so links may
 * lead in circles. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/mem.h"
#include "image/dataset_build.h"
#include "image/kinds.h"

/* Folders still to be entered, relative to the first; "" is the first. */
struct pending {
    char **folders;
    size_t n, capacity;
};

struct scan {
    struct eg_dataset_builder *builder;
    const char *folder, *prefix;
    bool labelled;
    struct pending real, links;
    void *visited;                 /* tree of struct identity */
    size_t n_first, n_first_split; /* folders of the first level; those called train, val, ... */
    char *split_names[2];          /* of those the first two in byte order */
};

struct identity {
    dev_t device;
    ino_t inode;
};

static int compare_identities(const void *a, const void *b)
{
    const struct identity *x = a, *y = b;
    if (x->device != y->device) return x->device < y->device ? -1 : 1;
    return (x->inode > y->inode) - (x->inode < y->inode);
}

bool eg__photo_name(const char *name)
{
    const struct eg_photo_kind *kind = eg__kind_of_name(name);
    return kind && kind->decode;
}

/* By a file's first bytes; NULL: of no kind. */
static const struct eg_photo_kind *kind_inside(int folder, const char *name)
{
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return NULL;
    uint8_t first[EG_SNIFF_BYTES];
    ssize_t n = read(fd, first, sizeof first);
    close(fd);
    return n > 0 ? eg__kind_of_bytes(first, (size_t)n) : NULL;
}

static char *join(const char *folder, const char *name)
{
    char *joined;
    bool slash = *folder && folder[strlen(folder) - 1] != '/';
    return asprintf(&joined, "%s%s%s", folder, slash ? "/" : "", name) < 0 ? NULL : joined;
}

static enum eg_status push(struct pending *pending, const char *folder, const char *name,
                           struct eg_error *err)
{
    char *joined = join(folder, name);
    if (!joined ||
        !eg__grow(&pending->folders, &pending->capacity, pending->n + 1, sizeof *pending->folders)) {
        free(joined);
        return eg__fail_memory(err, "a list of folders");
    }
    pending->folders[pending->n++] = joined;
    return EG_OK;
}

static enum eg_status add_photo(struct scan *scan, const char *folder, const char *name, struct eg_error *err)
{
    int32_t label = -1;
    enum eg_status status = EG_OK;
    if (scan->labelled && *folder) {
        char *class = strndup(folder, strcspn(folder, "/"));
        status = class ? eg__dataset_class(scan->builder, class, &label, err)
                       : eg__fail_memory(err, "a class name");
        free(class);
    }
    char *inner = status ? NULL : join(folder, name), *file = inner ? join(scan->prefix, inner) : NULL;
    if (!status)
        status = file ? eg__dataset_add(scan->builder, file, label, err) : eg__fail_memory(err, "a path");
    free(inner);
    free(file);
    return status;
}

static enum eg_status ignore(struct scan *scan, const char *kind, const char *advice, const char *path,
                             struct eg_error *err)
{
    char *shown = join(scan->prefix, path);
    enum eg_status status =
        shown ? eg__dataset_ignore(scan->builder, kind, advice, shown, err) : eg__fail_memory(err, "a path");
    free(shown);
    return status;
}

/* A regular file without a photo's name: its first bytes may say more, but raw photos begin as
 * the TIFF of their thumbnail. */
static enum eg_status visit_file(struct scan *scan, int fd, const char *folder, const char *path,
                                 struct eg_error *err)
{
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path, *dot = strrchr(name, '.');
    const struct eg_photo_kind *named = eg__kind_of_name(name), *kind = named;
    if (!named || named->sniff) {
        const struct eg_photo_kind *inside = kind_inside(fd, name);
        if (inside && inside->decode) return add_photo(scan, folder, name, err);
        if (inside) kind = inside;
    }
    if (kind) return ignore(scan, kind->name, eg__kind_advice(kind), path, err);
    char suffix[12];
    snprintf(suffix, sizeof suffix, "%s", dot && dot > name && strlen(dot) < sizeof suffix ? dot : "other");
    return ignore(scan, suffix, NULL, path, err);
}

/* Of the names of parts, the first two are shown. */
static enum eg_status note_split(struct scan *scan, const char *name, struct eg_error *err)
{
    char *copy = strdup(name);
    scan->n_first_split++;
    for (size_t i = 0; i < 2 && copy; i++)
        if (!scan->split_names[i] || strcmp(copy, scan->split_names[i]) < 0) {
            char *later = scan->split_names[i];
            scan->split_names[i] = copy;
            copy = later ? later : NULL;
            if (!later) return EG_OK;
        }
    if (!copy && !scan->split_names[0]) return eg__fail_memory(err, "a name");
    free(copy);
    return EG_OK;
}

static enum eg_status visit_folder_entry(struct scan *scan, const char *folder, const char *name, bool link,
                                         struct eg_error *err)
{
    enum eg_status status = EG_OK;
    if (!*folder) {
        scan->n_first++;
        if (eg__is_split_name(name)) status = note_split(scan, name, err);
    }
    return status ? status : push(link ? &scan->links : &scan->real, folder, name, err);
}

static enum eg_status visit_entry(struct scan *scan, int fd, const char *folder, const struct dirent *entry,
                                  struct eg_error *err)
{
    const char *name = entry->d_name;
    bool link = entry->d_type == DT_LNK, rubbish = eg__is_rubbish(name);
    unsigned type = entry->d_type;
    if (*name == '.' && !rubbish) return EG_OK;
    char *path = join(folder, name);
    if (!path) return eg__fail_memory(err, "a path");
    enum eg_status status;
    if (rubbish) {
        status = ignore(scan, strncmp(name, "SYNO", 4) ? name : "SYNOPHOTO_THUMB", NULL, path, err);
    } else if (eg__dataset_excludes(scan->builder, path)) {
        status = ignore(scan, "excluded", NULL, path, err);
    } else if (eg__photo_name(name)) {
        status = add_photo(scan, folder, name, err); /* whatever it is: reading it will tell */
    } else {
        struct stat info;
        if (type == DT_UNKNOWN && !fstatat(fd, name, &info, AT_SYMLINK_NOFOLLOW))
            link = S_ISLNK(info.st_mode);
        if (type == DT_UNKNOWN || type == DT_LNK) {
            if (fstatat(fd, name, &info, 0)) info.st_mode = 0;
            type = S_ISDIR(info.st_mode) ? DT_DIR : S_ISREG(info.st_mode) ? DT_REG : DT_UNKNOWN;
        }
        status = type == DT_DIR   ? visit_folder_entry(scan, folder, name, link, err)
                 : type == DT_REG ? visit_file(scan, fd, folder, path, err)
                                  : ignore(scan, "other", NULL, path, err);
    }
    free(path);
    return status;
}

/* True when the folder was not entered before. */
static enum eg_status mark_visited(struct scan *scan, int fd, bool *is_new, struct eg_error *err)
{
    struct stat info;
    struct identity *identity = eg__alloc(1, sizeof *identity);
    if (!identity || fstat(fd, &info)) {
        free(identity);
        return eg__fail_memory(err, "a list of folders");
    }
    *identity = (struct identity){info.st_dev, info.st_ino};
    struct identity **found = tsearch(identity, &scan->visited, compare_identities);
    *is_new = found && *found == identity;
    if (!*is_new) free(identity);
    return found ? EG_OK : eg__fail_memory(err, "a list of folders");
}

static enum eg_status visit_folder(struct scan *scan, const char *folder, struct eg_error *err)
{
    char *path = *folder ? join(scan->folder, folder) : strdup(scan->folder);
    if (!path) return eg__fail_memory(err, "a path");
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    enum eg_status status = EG_OK;
    bool is_new = false;
    if (!stream) {
        status = eg__fail(err, EG_E_IO, "cannot list folder '%s': %s", path, strerror(errno));
        if (fd >= 0) close(fd);
    } else {
        status = mark_visited(scan, fd, &is_new, err);
    }
    int32_t label;
    if (!status && is_new && scan->labelled && *folder && !strchr(folder, '/'))
        status = eg__dataset_class(scan->builder, folder, &label, err); /* also when it is empty */
    struct dirent *entry;
    while (!status && is_new && (entry = readdir(stream)))
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
            status = visit_entry(scan, fd, folder, entry, err);
    if (stream) closedir(stream);
    free(path);
    return status;
}

/* Any real folder, else the first linked one in byte order. */
static char *next_folder(struct scan *scan)
{
    if (scan->real.n) return scan->real.folders[--scan->real.n];
    struct pending *links = &scan->links;
    if (!links->n) return NULL;
    size_t first = 0;
    for (size_t i = 1; i < links->n; i++)
        if (strcmp(links->folders[i], links->folders[first]) < 0) first = i;
    char *folder = links->folders[first];
    links->folders[first] = links->folders[--links->n];
    return folder;
}

/* Neither parts nor their names are classes. */
static enum eg_status split_folders(const struct scan *scan, struct eg_error *err)
{
    const char *one = scan->split_names[0], *other = scan->split_names[1];
    if (other && !strncasecmp(other, "tr", 2)) { /* the one to learn from */
        const char *test = one;
        one = other;
        other = test;
    }
    return eg__fail_for(
        err, EG_E_ARGUMENT, EG_REASON_SPLIT_FOLDERS,
        "'%.200s' is split into folders %.60s%s%.60s: they are no classes; take one of them, as "
        "'%.200s/%.60s', and test on another",
        scan->folder, one, other ? ", " : "", other ? other : "", scan->folder, one);
}

enum eg_status eg__scan_folder(struct eg_dataset_builder *builder, const char *folder, const char *prefix,
                               bool labelled, struct eg_error *err)
{
    struct scan scan = {.builder = builder, .folder = folder, .prefix = prefix, .labelled = labelled};
    enum eg_status status = push(&scan.real, "", "", err);
    char *next;
    while (!status && (next = next_folder(&scan))) {
        status = visit_folder(&scan, next, err);
        bool first = !*next;
        free(next);
        if (!status && labelled && first && scan.n_first && scan.n_first == scan.n_first_split)
            status = split_folders(&scan, err);
    }
    while ((next = next_folder(&scan))) free(next);
    free(scan.real.folders);
    free(scan.links.folders);
    tdestroy(scan.visited, free);
    free(scan.split_names[0]);
    free(scan.split_names[1]);
    return status;
}
