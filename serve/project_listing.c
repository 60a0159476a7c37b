/* project_listing.c: which photos and classes there are. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "serve/project_private.h"

void listing_free(struct listing *l)
{
    if (!l) return;
    for (size_t i = 0; i < l->n; i++) free(l->photos[i].path);
    for (size_t i = 0; i < l->n_classes; i++) free(l->classes[i]);
    free(l->photos);
    free(l->classes);
    free(l->order);
    free(l->first);
    free(l);
}

/* ---- finding -------------------------------------------------------------------------------------- */

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct photo *)a)->path, ((const struct photo *)b)->path);
}

const struct photo *listing_find(const struct listing *l, const char *path)
{
    struct photo key;
    memset(&key, 0, sizeof key);
    key.path = strdup(path);
    const struct photo *found =
        l && l->n && key.path ? bsearch(&key, l->photos, l->n, sizeof *l->photos, by_path) : NULL;
    free(key.path);
    return found;
}

const char *listing_class(const struct listing *l, const struct photo *photo)
{
    return photo->label < 0 ? NULL : l->classes[photo->label];
}

int listing_label(const struct listing *l, const char *name)
{
    if (!*name) return -1;
    for (size_t i = 0; l && i < l->n_classes; i++)
        if (!strcmp(l->classes[i], name)) return (int)i;
    return -2;
}

/* The name of a photo's file: \xNN in its path is a byte where no such file is there. */
static int open_bytes(const struct project *p, const char *path)
{
    char *name = strdup(path), *out = name;
    if (!name) return -1;
    for (const char *in = path; *in; out++) {
        unsigned byte;
        if (in[0] == '\\' && in[1] == 'x' && strlen(in) >= 4 && sscanf(in + 2, "%2x", &byte) == 1 && byte) {
            *out = (char)byte;
            in += 4;
        } else {
            *out = *in++;
        }
    }
    *out = '\0';
    int fd = safe_open(p->fd, name, O_RDONLY, 0);
    free(name);
    return fd;
}

int project_open_photo(const struct project *p, const char *path)
{
    int fd = safe_open(p->fd, path, O_RDONLY, 0);
    return fd < 0 && errno == ENOENT && strstr(path, "\\x") ? open_bytes(p, path) : fd;
}

/* ---- listing ---------------------------------------------------------------------------------------- */

static enum eg_status no_memory(struct eg_error *err)
{
    if (err) *err = (struct eg_error){.status = EG_E_MEMORY, .message = "no memory for the list of photos"};
    return EG_E_MEMORY;
}

static bool add_class(struct listing *l, const char *name)
{
    char **more = realloc(l->classes, (l->n_classes + 1) * sizeof *more);
    if (!more) return false;
    l->classes = more;
    more[l->n_classes] = strdup(name);
    return more[l->n_classes] && ++l->n_classes;
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* Of a folder without photos: its folders alone. */
static bool list_folders(const struct project *p, struct listing *l)
{
    int fd = openat(p->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    bool good = folder;
    for (struct dirent *entry; good && (entry = readdir(folder));) {
        struct stat info;
        if (!safe_name(entry->d_name)) continue;
        if (fstatat(p->fd, entry->d_name, &info, 0) || !S_ISDIR(info.st_mode)) continue;
        good = add_class(l, entry->d_name);
    }
    if (folder)
        closedir(folder);
    else if (fd >= 0)
        close(fd);
    if (good && l->n_classes) qsort(l->classes, l->n_classes, sizeof *l->classes, by_name);
    return good;
}

static bool take_photos(const struct project *p, const eg_dataset *images, struct listing *l)
{
    const size_t n = eg_dataset_count(images), k = eg_dataset_class_count(images);
    for (size_t c = 0; c < k; c++)
        if (!add_class(l, eg_dataset_class_name(images, c))) return false;
    l->photos = calloc(n + 1, sizeof *l->photos);
    if (!l->photos) return false;
    for (; l->n < n; l->n++) {
        struct photo *photo = &l->photos[l->n];
        struct stat info;
        photo->path = strdup(eg_dataset_path(images, l->n, &photo->label));
        if (!photo->path) return false;
        if (fstatat(p->fd, photo->path, &info, 0)) continue;
        photo->mtime_ns = (int64_t)info.st_mtim.tv_sec * 1000000000 + info.st_mtim.tv_nsec;
        photo->bytes = (uint64_t)info.st_size;
    }
    return true;
}

static int newest_first(const void *a, const void *b, void *photos)
{
    const struct photo *x = (const struct photo *)photos + *(const size_t *)a,
                       *y = (const struct photo *)photos + *(const size_t *)b;
    if (x->label != y->label) return x->label < y->label ? -1 : 1;
    if (x->mtime_ns != y->mtime_ns) return x->mtime_ns > y->mtime_ns ? -1 : 1;
    return x < y ? -1 : x > y;
}

static bool put_in_order(struct listing *l)
{
    l->order = malloc((l->n + 1) * sizeof *l->order);
    l->first = calloc(l->n_classes + 2, sizeof *l->first);
    if (!l->order || !l->first) return false;
    if (l->n) qsort(l->photos, l->n, sizeof *l->photos, by_path);
    for (size_t i = 0; i < l->n; i++) {
        l->order[i] = i;
        l->first[l->photos[i].label + 1]++;
    }
    size_t before = 0;
    for (size_t c = 0; c <= l->n_classes; c++) {
        size_t own = l->first[c];
        l->first[c] = before;
        before += own;
    }
    l->first[l->n_classes + 1] = l->n;
    if (l->n) qsort_r(l->order, l->n, sizeof *l->order, newest_first, l->photos);
    return true;
}

enum eg_status project_list(struct project *p, struct listing **listing, struct eg_error *err)
{
    eg_dataset *images = NULL;
    const char *folder = p->folder;
    struct listing *l = calloc(1, sizeof *l);
    if (!l) return no_memory(err);
    enum eg_status status = eg_dataset_scan(&folder, 1, NULL, &images, err);
    bool good = true;
    if (status == EG_E_NOT_FOUND) {
        status = EG_OK;
        good = list_folders(p, l);
    } else if (!status) {
        good = take_photos(p, images, l);
    }
    eg_dataset_free(images);
    if (!status && !(good && put_in_order(l))) status = no_memory(err);
    if (status)
        listing_free(l);
    else
        *listing = l;
    return status;
}

/* ---- changes from outside ------------------------------------------------------------------------------ */

static uint64_t mixed(uint64_t mark, const void *bytes, size_t n)
{
    const unsigned char *c = bytes;
    for (size_t i = 0; i < n; i++) mark = (mark ^ c[i]) * 0x100000001b3ULL; /* FNV-1a */
    return mark;
}

static uint64_t mark_of(int folder, const char *name, uint64_t mark)
{
    struct stat info;
    if (fstatat(folder, name, &info, 0)) return mark;
    mark = mixed(mark, name, strlen(name));
    mark = mixed(mark, &info.st_ino, sizeof info.st_ino);
    return mixed(mark, &info.st_mtim, sizeof info.st_mtim);
}

/* Of the times of the folder and of those in it: they change when files come, go or are renamed. */
uint64_t project_folder_mark(const struct project *p)
{
    uint64_t mark = 0, sum = 0;
    int fd = openat(p->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    if (!folder) {
        if (fd >= 0) close(fd);
        return 0;
    }
    for (struct dirent *entry; (entry = readdir(folder));)
        if (entry->d_name[0] != '.' &&
            (entry->d_type == DT_DIR || entry->d_type == DT_LNK || entry->d_type == DT_UNKNOWN))
            sum += mark_of(p->fd, entry->d_name, 0xcbf29ce484222325ULL); /* in whatever order they come */
    closedir(folder);
    mark = mark_of(p->fd, ".", 0xcbf29ce484222325ULL);
    return mixed(mark, &sum, sizeof sum);
}
