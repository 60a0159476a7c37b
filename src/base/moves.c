/* moves.c: a plan carried out, finished after a crash, or undone. */
#include "base/moves.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/moves_private.h"

enum { COPY_BYTES = 1 << 20 };

void eg__moves_result_release(struct eg_moves_result *result)
{
    for (size_t i = 0; i < result->n_skipped; i++) {
        free(result->skipped[i].path);
        free(result->skipped[i].reason);
    }
    free(result->skipped);
    *result = (struct eg_moves_result){0};
}

static enum eg_status skip(struct eg_moves_result *result, const char *path, const char *reason,
                           struct eg_error *err)
{
    size_t capacity = result->n_skipped;
    struct eg_skipped *list = result->skipped;
    if (!(capacity & (capacity - 1))) { /* full at powers of two */
        size_t n = capacity ? capacity * 2 : 1;
        list = eg__alloc(n, sizeof *list);
        if (!list) return eg__fail_memory(err, "what was skipped");
        if (capacity) memcpy(list, result->skipped, capacity * sizeof *list);
        free(result->skipped);
        result->skipped = list;
    }
    struct eg_skipped *made = &list[result->n_skipped];
    *made = (struct eg_skipped){strdup(path), strdup(reason)};
    if (!made->path || !made->reason) {
        free(made->path);
        free(made->reason);
        return eg__fail_memory(err, "what was skipped");
    }
    result->n_skipped++;
    return EG_OK;
}

/* ---- one file --------------------------------------------------------------------------------- */

static bool sync_folder_of(const char *path)
{
    size_t n = (size_t)(eg__path_last(path) - path);
    char *folder = n ? strndup(path, n) : strdup(".");
    int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    free(folder);
    if (fd < 0) return false;
    bool synced = !fsync(fd) || errno == EINVAL || errno == EROFS;
    int cause = errno;
    close(fd);
    errno = cause;
    return synced;
}

/* Is it the file that was planned: the same inode, or a copy with its size and time? */
static bool is_same(const struct stat *info, const struct eg_move *move)
{
    int64_t mtime_ns = (int64_t)info->st_mtim.tv_sec * 1000000000 + info->st_mtim.tv_nsec;
    return (uint64_t)info->st_ino == move->inode ||
           ((uint64_t)info->st_size == move->bytes && mtime_ns == move->mtime_ns);
}

static int rename_to_free(const char *from, const char *to)
{
    if (!renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE)) return 0;
    if (errno != EINVAL && errno != ENOSYS) return -1;
    return link(from, to) || unlink(from) ? -1 : 0; /* a file system without RENAME_NOREPLACE */
}

/* Bytes, permissions and times of an open file into another. */
static bool copy_open(int in, int out)
{
    struct stat info;
    char *buffer = malloc(COPY_BYTES);
    ssize_t n = buffer ? 1 : -1;
    while (n > 0) {
        n = read(in, buffer, COPY_BYTES);
        for (ssize_t at = 0, put; n > 0 && at < n; at += put)
            if ((put = write(out, buffer + at, (size_t)(n - at))) < 0) n = put = -1;
    }
    int cause = errno;
    free(buffer);
    errno = cause;
    if (n < 0 || fstat(in, &info) || fchmod(out, info.st_mode & 0777)) return false;
    const struct timespec times[2] = {info.st_atim, info.st_mtim};
    return !futimens(out, times) && !fsync(out);
}

/* Across devices: the copy has its name only when it is whole and durable; then the original goes. */
static int copy_to_free(const char *from, const char *to)
{
    char *temporary;
    const char *last = eg__path_last(to);
    if (asprintf(&temporary, "%.*s.engraft-moving", (int)(last - to), to) < 0) return -1;
    int in = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), out = -1, cause;
    if (in >= 0) out = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    bool copied = out >= 0 && copy_open(in, out);
    cause = errno;
    if (in >= 0) close(in);
    if (out >= 0 && close(out) && copied) {
        copied = false;
        cause = errno;
    }
    if (copied && (rename_to_free(temporary, to) || !sync_folder_of(to) || unlink(from))) {
        copied = false;
        cause = errno;
    }
    if (!copied && out >= 0) unlink(temporary);
    free(temporary);
    errno = cause;
    return copied ? 0 : -1;
}

static int move_file(const char *from, const char *to)
{
    return !rename_to_free(from, to) ? 0 : errno == EXDEV ? copy_to_free(from, to) : -1;
}

static bool same_bytes(const char *a, const char *b)
{
    uint8_t digest[2][32];
    return !eg__sha256_file(a, digest[0], NULL) && !eg__sha256_file(b, digest[1], NULL) &&
           !memcmp(digest[0], digest[1], 32);
}

static bool links_to(const char *link, const char *target)
{
    size_t n = strlen(target);
    char *found = malloc(n + 2);
    ssize_t got = found ? readlink(link, found, n + 2) : -1;
    bool is = got == (ssize_t)n && !memcmp(found, target, n);
    free(found);
    return is;
}

/* Have one move be so, whatever part of it is done. NULL: it is; else why not. */
static const char *do_move(const struct eg_move *move, const char *from, const char *to)
{
    struct stat at_from, at_to;
    bool is_from = !lstat(from, &at_from), is_to = !lstat(to, &at_to);
    if (move->kind == EG_MOVE_LINK) {
        if (is_to) return links_to(to, from) ? NULL : "there is a file of that name";
        return symlink(from, to) ? strerror(errno) : NULL;
    }
    if (is_to && is_same(&at_to, move)) { /* a copy, or a link, may have left the original */
        if (!is_from || !is_same(&at_from, move)) return NULL; /* another file has the old name now */
        if (!same_bytes(from, to)) return "there is a file of that name";
        return unlink(from) ? strerror(errno) : NULL;
    }
    if (is_to) return "there is a file of that name";
    if (!is_from) return "it is gone";
    return move_file(from, to) ? strerror(errno) : NULL;
}

static const char *undo_move(const struct eg_move *move, const char *from, const char *to)
{
    struct stat at_from, at_to;
    bool is_from = !lstat(from, &at_from), is_to = !lstat(to, &at_to);
    if (move->kind == EG_MOVE_LINK)
        return !is_to || !links_to(to, from) || !unlink(to) ? NULL : strerror(errno);
    if (!is_to) return is_from ? NULL : "it is gone";
    if (!is_same(&at_to, move)) return is_from ? NULL : "another file is there now";
    if (!is_from) return move_file(to, from) ? strerror(errno) : NULL;
    if (!is_same(&at_from, move) || !same_bytes(from, to)) return "its old name is taken";
    return unlink(to) ? strerror(errno) : NULL;
}

/* ---- all of them --------------------------------------------------------------------------------- */

typedef const char *each_fn(const struct eg_move *move, const char *from, const char *to);

static enum eg_status each(const struct eg_moves *plan, size_t i, each_fn *act,
                           struct eg_moves_result *result, struct eg_error *err)
{
    char *from = eg__moves_full(plan->root, plan->moves[i].from),
         *to = eg__moves_full(plan->root, plan->moves[i].to);
    enum eg_status status = from && to ? EG_OK : eg__fail_memory(err, "a file name");
    const char *reason = status ? NULL : act(&plan->moves[i], from, to);
    if (reason)
        status = skip(result, act == undo_move ? to : from, reason, err);
    else if (!status)
        result->done++;
    free(from);
    free(to);
    return status;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* What was renamed is durable when the folders are, each once. */
static enum eg_status sync_folders(const struct eg_moves *plan, struct eg_error *err)
{
    size_t n = 0;
    char **paths = eg__zalloc(2 * plan->n + 1, sizeof *paths);
    enum eg_status status = paths ? EG_OK : eg__fail_memory(err, "folders");
    for (size_t i = 0; i < 2 * plan->n && !status; i++) {
        char *full = eg__moves_full(plan->root, i & 1 ? plan->moves[i / 2].to : plan->moves[i / 2].from);
        if (!(paths[n] = full)) status = eg__fail_memory(err, "folders");
        if (full) full[eg__path_last(full) - full] = '\0';
        n += full != NULL;
    }
    if (!status) qsort(paths, n, sizeof *paths, compare_texts);
    for (size_t i = 0; i < n && !status; i++)
        if ((!i || strcmp(paths[i], paths[i - 1])) && !sync_folder_of(paths[i]) && errno != ENOENT &&
            errno != EACCES)
            status = eg__fail(err, EG_E_IO, "cannot write '%s': %s", paths[i], strerror(errno));
    for (size_t i = 0; i < n; i++) free(paths[i]);
    free(paths);
    return status;
}

static char *begun_path(const char *journal)
{
    char *path;
    return asprintf(&path, "%s.begun", journal) < 0 ? NULL : path;
}

bool eg__moves_begun(const char *journal)
{
    char *path = begun_path(journal);
    bool there = path && !access(path, F_OK);
    free(path);
    return there;
}

static enum eg_status carry_out(const struct eg_moves *plan, const char *begun, const char *journal,
                                struct eg_moves_result *result, struct eg_error *err)
{
    enum eg_status status = EG_OK;
    for (size_t i = 0; i < plan->n_folders && !status; i++) {
        char *full = eg__moves_full(plan->root, plan->folders[i]);
        if (!full) status = eg__fail_memory(err, "a folder's name");
        if (full && mkdir(full, 0777) && errno != EEXIST)
            status = eg__fail(err, EG_E_IO, "cannot create the folder '%s': %s", full, strerror(errno));
        free(full);
    }
    for (size_t i = 0; i < plan->n && !status; i++) status = each(plan, i, do_move, result, err);
    if (!status) status = sync_folders(plan, err);
    if (!status && (rename(begun, journal) || !sync_folder_of(journal)))
        status = eg__fail(err, EG_E_IO, "cannot write '%s': %s", journal, strerror(errno));
    return status;
}

static enum eg_status write_journal(const struct eg_moves *plan, const char *begun, struct eg_error *err)
{
    struct eg_text text = {0};
    struct eg_outfile file;
    eg__moves_write(plan, &text);
    enum eg_status status = text.failed ? eg__fail_memory(err, "a journal") : EG_OK;
    if (!status) status = eg__outfile_open(begun, false, &file, err);
    if (!status) {
        fwrite(text.chars, 1, text.length, file.stream); /* commit asks whether it was written */
        status = eg__outfile_commit(&file, err);
    }
    free(text.chars);
    if (!status && !sync_folder_of(begun))
        status = eg__fail(err, EG_E_IO, "cannot write '%s': %s", begun, strerror(errno));
    return status;
}

enum eg_status eg__moves_apply(const struct eg_moves *plan, const char *journal,
                               struct eg_moves_result *result, struct eg_error *err)
{
    struct eg_moves_result made = {0};
    char *begun = begun_path(journal);
    if (!begun) return eg__fail_memory(err, "a file name");
    enum eg_status status = EG_OK;
    if (!access(journal, F_OK) || !access(begun, F_OK))
        status = eg__fail(err, EG_E_EXISTS, "'%s' exists: finish or undo what it tells of first", journal);
    if (!status) status = write_journal(plan, begun, err);
    if (!status) status = carry_out(plan, begun, journal, &made, err);
    free(begun);
    if (status)
        eg__moves_result_release(&made);
    else
        *result = made;
    return status;
}

static enum eg_status read_journal(const char *path, const char *root, struct eg_moves *plan,
                                   struct eg_error *err)
{
    struct eg_mapping mapping;
    if (access(path, F_OK)) return eg__fail(err, EG_E_NOT_FOUND, "there is no journal '%s'", path);
    enum eg_status status = eg__map_file(path, &mapping, err);
    if (status) return status;
    status = eg__moves_parse((const char *)mapping.bytes, mapping.size, root, plan, err);
    eg__unmap_file(&mapping);
    return status ? eg__fail_within(err, status, "cannot use '%s'", path) : EG_OK;
}

enum eg_status eg__moves_finish(const char *root, const char *journal, struct eg_moves_result *result,
                                struct eg_error *err)
{
    struct eg_moves_result made = {0};
    struct eg_moves plan = {0};
    char *begun = begun_path(journal);
    if (!begun) return eg__fail_memory(err, "a file name");
    enum eg_status status = read_journal(begun, root, &plan, err);
    if (!status) status = carry_out(&plan, begun, journal, &made, err);
    eg__moves_release(&plan);
    free(begun);
    if (status)
        eg__moves_result_release(&made);
    else
        *result = made;
    return status;
}

static enum eg_status take_back(const struct eg_moves *plan, const char *path, struct eg_moves_result *result,
                                struct eg_error *err)
{
    enum eg_status status = EG_OK;
    for (size_t i = plan->n; i-- && !status;) status = each(plan, i, undo_move, result, err);
    if (!status) status = sync_folders(plan, err);
    for (size_t i = plan->n_folders; i-- && !status;) {
        char *full = eg__moves_full(plan->root, plan->folders[i]);
        if (full) rmdir(full); /* if nothing else came into it */
        free(full);
    }
    if (!status && !result->n_skipped && unlink(path))
        status = eg__fail(err, EG_E_IO, "cannot remove '%s': %s", path, strerror(errno));
    return status;
}

enum eg_status eg__moves_undo(const char *root, const char *journal, struct eg_moves_result *result,
                              struct eg_error *err)
{
    struct eg_moves_result made = {0};
    struct eg_moves plan = {0};
    char *begun = begun_path(journal);
    if (!begun) return eg__fail_memory(err, "a file name");
    const char *path = access(begun, F_OK) ? journal : begun;
    enum eg_status status = read_journal(path, root, &plan, err);
    if (!status) status = take_back(&plan, path, &made, err);
    eg__moves_release(&plan);
    free(begun);
    if (status)
        eg__moves_result_release(&made);
    else
        *result = made;
    return status;
}
