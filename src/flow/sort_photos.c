/* sort_photos.c: photos into folders by their class, as one plan of moves.
 *
 *   FOLDER/LABEL/1.jpg
 *   FOLDER/.engraft/sorted-N.moves     the journal of the N-th call
 *   FOLDER/.engraft/lock               held while a plan is made and carried out */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/moves.h"
#include "flow/flow.h"

struct sorted_photo {
    char *file; /* absolute */
    char *to;
};

struct eg_sorting {
    char *folder; /* absolute, links resolved */
    bool link;
    struct sorted_photo *photos;
    size_t n, capacity, finished;
};

/* The printable path of a report as the file's name: \xNN is a byte where no such file is there. */
char *eg__file_of_path(const char *root, const char *path)
{
    char *full, *out;
    struct stat info;
    if (*path == '/' ? !(full = strdup(path)) : asprintf(&full, "%s/%s", root, path) < 0) return NULL;
    if (!lstat(full, &info)) return full;
    out = full;
    for (const char *in = full; *in; out++) {
        unsigned byte;
        if (in[0] == '\\' && in[1] == 'x' && strlen(in) >= 4 && sscanf(in + 2, "%2x", &byte) == 1 && byte) {
            *out = (char)byte;
            in += 4;
        } else {
            *out = *in++;
        }
    }
    *out = '\0';
    return full;
}

/* ---- the folder ------------------------------------------------------------------------------- */

static enum eg_status make_folder(const char *path, struct eg_error *err)
{
    if (!mkdir(path, 0777) || errno == EEXIST) return EG_OK;
    return eg__fail(err, EG_E_IO, "cannot create the folder '%s': %s", path, strerror(errno));
}

static char *below(const char *folder, const char *name)
{
    char *path;
    return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

/* One at a time makes plans for a folder. -1: failed. */
static int take_lock(const char *folder, struct eg_error *err)
{
    char *path = below(folder, ".engraft/lock");
    int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666) : -1;
    if (fd < 0 || flock(fd, LOCK_EX)) {
        eg__fail(err, EG_E_IO, "cannot write in '%s': %s", folder, strerror(errno));
        if (fd >= 0) close(fd);
        fd = -1;
    }
    free(path);
    return fd;
}

static enum eg_status finish_last(struct eg_sorting *s, struct eg_error *err)
{
    struct eg_moves_result result;
    int lock = take_lock(s->folder, err);
    if (lock < 0) return EG_E_IO;
    char *journal = eg__moves_journal(s->folder, "sorted", eg__moves_last(s->folder, "sorted"));
    enum eg_status status = journal ? EG_OK : eg__fail_memory(err, "a file name");
    if (!status && eg__moves_begun(journal)) {
        status = eg__moves_finish(NULL, journal, &result, err);
        if (!status) {
            s->finished = result.done;
            eg__moves_result_release(&result);
        }
    }
    free(journal);
    close(lock);
    return status;
}

enum eg_status eg_sorting_create(const char *folder, bool link, eg_sorting **sorting, struct eg_error *err)
{
    struct eg_sorting *made = eg__zalloc(1, sizeof *made);
    if (!made) return eg__fail_memory(err, "a plan of moves");
    made->link = link;
    enum eg_status status = make_folder(folder, err);
    if (!status && !(made->folder = realpath(folder, NULL)))
        status = eg__fail(err, EG_E_IO, "cannot open '%s': %s", folder, strerror(errno));
    char *hidden = status ? NULL : below(made->folder, ".engraft");
    if (!status) status = hidden ? make_folder(hidden, err) : eg__fail_memory(err, "a folder's name");
    free(hidden);
    if (!status) status = finish_last(made, err);
    if (status)
        eg_sorting_free(made);
    else
        *sorting = made;
    return status;
}

void eg_sorting_free(eg_sorting *s)
{
    if (!s) return;
    for (size_t i = 0; i < s->n; i++) {
        free(s->photos[i].file);
        free(s->photos[i].to);
    }
    free(s->photos);
    free(s->folder);
    free(s);
}

/* ---- photos ------------------------------------------------------------------------------------- */

/* Absolute, the links of its folder resolved, its own name kept. */
static char *full_path(const char *path)
{
    char *here = *path == '/' ? strdup("") : getcwd(NULL, 0);
    char *file = here ? eg__file_of_path(here, path) : NULL;
    free(here);
    if (!file) return NULL;
    const char *last = eg__path_last(file);
    char *folder = strndup(file, (size_t)(last - file)), *real = folder ? realpath(folder, NULL) : NULL;
    char *full = real ? below(strcmp(real, "/") ? real : "", last) : strdup(file);
    free(real);
    free(folder);
    free(file);
    return full;
}

/* FOLDER/LABEL/NAME, the label as a folder's name. */
static char *place_of(const struct eg_sorting *s, const char *file, const char *label)
{
    char *name = strndup(label, NAME_MAX), *to = NULL;
    if (!name) return NULL;
    for (char *c = name; *c; c++)
        if (*c == '/' || (c == name && *c == '.')) *c = '_';
    if (asprintf(&to, "%s/%s/%s", s->folder, *name ? name : "_", eg__path_last(file)) < 0) to = NULL;
    free(name);
    return to;
}

enum eg_status eg_sorting_add(eg_sorting *s, const char *path, const char *label, struct eg_error *err)
{
    if (!eg__grow(&s->photos, &s->capacity, s->n + 1, sizeof *s->photos))
        return eg__fail_memory(err, "a plan of moves");
    struct sorted_photo made = {.file = full_path(path)};
    made.to = made.file ? place_of(s, made.file, label) : NULL;
    if (!made.to) {
        free(made.file);
        return eg__fail_memory(err, "a plan of moves");
    }
    s->photos[s->n++] = made;
    return EG_OK;
}

static int compare_photos(const void *a, const void *b)
{
    const struct sorted_photo *x = a, *y = b;
    int order = strcmp(x->file, y->file);
    return order ? order : strcmp(x->to, y->to);
}

/* Each photo once; what an earlier call has moved or linked is left out. */
static enum eg_status make_plan(struct eg_sorting *s, struct eg_moves *plan, struct eg_sorted *sorted,
                                struct eg_error *err)
{
    const enum eg_move_kind kind = s->link ? EG_MOVE_LINK : EG_MOVE_FILE;
    enum eg_status status = eg__moves_init(plan, NULL, err);
    if (s->n) qsort(s->photos, s->n, sizeof *s->photos, compare_photos);
    for (size_t i = 0; i < s->n && !status; i++) {
        const struct sorted_photo *photo = &s->photos[i];
        struct eg_error why = {.message = ""};
        struct stat info;
        char target[PATH_MAX];
        if (i && !strcmp(photo->file, s->photos[i - 1].file)) continue;
        ssize_t n = s->link ? readlink(photo->to, target, sizeof target - 1) : -1;
        if (n >= 0) target[n] = '\0';
        if (!strcmp(photo->file, photo->to) || (n >= 0 && !strcmp(target, photo->file)) ||
            (lstat(photo->file, &info) && !lstat(photo->to, &info))) {
            sorted->stayed++;
            continue;
        }
        status = eg__moves_add(plan, kind, photo->file, photo->to, &why);
        if (status == EG_E_NOT_FOUND || status == EG_E_SYSTEM)
            status = eg__skip(&sorted->skipped, &sorted->n_skipped, photo->file, why.message, err);
        else if (status && err)
            *err = why;
    }
    return status;
}

enum eg_status eg_sorting_apply(eg_sorting *s, struct eg_sorted *sorted, struct eg_error *err)
{
    struct eg_sorted made = {.finished = s->finished};
    struct eg_moves plan = {0};
    struct eg_moves_result result;
    int lock = take_lock(s->folder, err);
    if (lock < 0) return EG_E_IO;
    enum eg_status status = make_plan(s, &plan, &made, err);
    if (!status && plan.n) {
        made.journal = eg__moves_journal(s->folder, "sorted", eg__moves_last(s->folder, "sorted") + 1);
        if (!made.journal) status = eg__fail_memory(err, "a file name");
        if (!status) status = eg__moves_apply(&plan, made.journal, &result, err);
        if (!status) status = eg__take_moved(&result, &made.done, &made.skipped, &made.n_skipped, err);
    }
    close(lock);
    eg__moves_release(&plan);
    if (status)
        eg_sorted_release(&made);
    else
        *sorted = made;
    return status;
}

enum eg_status eg_sorting_undo(const char *journal, struct eg_sorted *sorted, struct eg_error *err)
{
    struct eg_sorted made = {0};
    struct eg_moves_result result;
    enum eg_status status = eg__moves_undo(NULL, journal, &result, err);
    if (!status) status = eg__take_moved(&result, &made.done, &made.skipped, &made.n_skipped, err);
    if (status)
        eg_sorted_release(&made);
    else
        *sorted = made;
    return status;
}

void eg_sorted_release(struct eg_sorted *sorted)
{
    free(sorted->journal);
    eg__skipped_free(sorted->skipped, sorted->n_skipped);
    *sorted = (struct eg_sorted){0};
}
