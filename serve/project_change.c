/* project_change.c: what people change, on disk at once, and how it is undone.
 *
 *   undo.jsonl    a line a change: id, kind (add, move, delete, confirm, class, rename), count, and
 *                 name, to, paths, group where they matter; lines of one group are undone together
 *   undo/N.moves  the journal of change N, where files moved */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "serve/http_private.h"
#include "serve/project_private.h"

enum { MOST_UNDO = 2000 }; /* lines that are kept when the file is written anew */

void change_release(struct change *change)
{
    for (size_t i = 0; i < change->n_skipped; i++) {
        free(change->skipped[i].path);
        free(change->skipped[i].reason);
    }
    free(change->skipped);
    *change = (struct change){0};
}

/* ---- the list of changes ------------------------------------------------------------------------------ */

static char *journal_of(const struct project *p, json_int_t id)
{
    char *path;
    return asprintf(&path, "%s/.engraft/undo/%lld.moves", p->folder, (long long)id) < 0 ? NULL : path;
}

static bool write_all(int fd, const void *bytes, size_t n)
{
    const char *at = bytes;
    while (n) {
        ssize_t some = write(fd, at, n);
        if (some < 0 && errno == EINTR) continue;
        if (some <= 0) return false;
        at += some;
        n -= (size_t)some;
    }
    return true;
}

/* Takes the line; with change_lock held. A line that cannot be written can be undone until the program ends.
 */
static void remember(struct project *p, json_t *line)
{
    if (!line) return;
    char *text = json_dumps(line, JSON_COMPACT);
    int fd = openat(p->hidden_fd, "undo.jsonl", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (text && fd >= 0) {
        size_t n = strlen(text);
        text[n] = '\n'; /* in place of the end, so that a line is one write */
        write_all(fd, text, n + 1);
    }
    if (fd >= 0) close(fd);
    free(text);
    pthread_rwlock_wrlock(&p->lock);
    json_array_append_new(p->undo, line);
    pthread_rwlock_unlock(&p->lock);
}

static void write_undo(struct project *p)
{
    FILE *file;
    int fd = openat(p->hidden_fd, "undo.jsonl.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) return;
    if (!(file = fdopen(fd, "w"))) {
        close(fd);
        return;
    }
    pthread_rwlock_wrlock(&p->lock);
    while (json_array_size(p->undo) > MOST_UNDO) json_array_remove(p->undo, 0);
    pthread_rwlock_unlock(&p->lock);
    size_t i;
    json_t *line;
    json_array_foreach(p->undo, i, line)
    {
        json_dumpf(line, file, JSON_COMPACT);
        fputc('\n', file);
    }
    bool bad = ferror(file);
    if (!fclose(file) && !bad) renameat(p->hidden_fd, "undo.jsonl.new", p->hidden_fd, "undo.jsonl");
}

static bool has_line(const struct project *p, json_int_t id)
{
    size_t i;
    json_t *line;
    json_array_foreach(p->undo, i, line)
    {
        if (json_integer_value(json_object_get(line, "id")) == id) return true;
    }
    return false;
}

/* A crash may have come between a move and its end, or between that and its line. */
static void take_journal(struct project *p, const char *name)
{
    long long id;
    int used = 0;
    if (sscanf(name, "%lld.moves%n", &id, &used) != 1 || !used || id < 1) return;
    if (id > p->last_undo) p->last_undo = id;
    char *journal = journal_of(p, id);
    struct eg_moves_report *report = NULL;
    size_t done = 0;
    if (journal && !strcmp(name + used, ".begun") && !eg_moves_finish(p->folder, journal, &report, NULL))
        done = report->done;
    if (!has_line(p, id))
        remember(p,
                 json_pack("{s:I,s:s,s:I}", "id", (json_int_t)id, "kind", "move", "count", (json_int_t)done));
    eg_moves_report_free(report);
    free(journal);
}

static void clear_folder(int parent, const char *name)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    for (struct dirent *entry; folder && (entry = readdir(folder));)
        if (entry->d_name[0] != '.') unlinkat(dirfd(folder), entry->d_name, 0);
    if (folder) closedir(folder);
}

enum eg_status project_undo_open(struct project *p, struct eg_error *err)
{
    p->undo = json_array();
    if (!p->undo) return serve_fail(err, EG_E_MEMORY, "no memory for '%s'", p->folder);
    int fd = openat(p->hidden_fd, "undo.jsonl", O_RDONLY | O_CLOEXEC);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
    char *text = NULL;
    size_t room = 0;
    while (file && getline(&text, &room, file) > 0) {
        json_t *line = json_loads(text, 0, NULL);
        json_int_t id = json_integer_value(json_object_get(line, "id"));
        if (id > p->last_undo) p->last_undo = id;
        if (json_is_object(line)) json_array_append(p->undo, line);
        json_decref(line);
    }
    free(text);
    if (file) fclose(file);
    clear_folder(p->hidden_fd, "incoming");
    fd = openat(p->hidden_fd, "undo", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    for (struct dirent *entry; folder && (entry = readdir(folder));) take_journal(p, entry->d_name);
    if (folder) closedir(folder);
    return EG_OK;
}

bool project_confirmed(const struct project *p, const char *path)
{
    size_t i, j;
    json_t *line, *one;
    json_array_foreach(p->undo, i, line)
    {
        const char *kind = json_string_value(json_object_get(line, "kind"));
        if (!kind || strcmp(kind, "confirm")) continue;
        json_array_foreach(json_object_get(line, "paths"), j, one)
        {
            if (!strcmp(json_string_value(one), path)) return true;
        }
    }
    return false;
}

/* ---- photos come
 * -------------------------------------------------------------------------------------------- */

static enum eg_status fail_file(struct eg_error *err, const char *what, const char *subject)
{
    return serve_fail(err, EG_E_IO, "cannot %s '%s': %s", what, subject, strerror(errno));
}

/* The folder of a class ("": the project's own), made where it is not there; -1 with errno. */
static int class_folder(const struct project *p, const char *name)
{
    if (!*name) return openat(p->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (mkdirat(p->fd, name, 0777) && errno != EEXIST) return -1;
    return safe_open(p->fd, name, O_RDONLY | O_DIRECTORY, 0);
}

/* From `incoming` to the first free one of name.jpg, name-2.jpg, ...; *as gets it. */
static bool settle(const struct project *p, const char *incoming, int folder, const char *name, char **as)
{
    const char *dot = strrchr(name, '.');
    int stem = dot && dot > name ? (int)(dot - name) : (int)strlen(name);
    for (unsigned i = 1; i < 1000000; i++) {
        char *wanted;
        if ((i == 1 ? asprintf(&wanted, "%s", name)
                    : asprintf(&wanted, "%.*s-%u%s", stem, name, i, name + stem)) < 0)
            return false;
        if (!renameat2(p->hidden_fd, incoming, folder, wanted, RENAME_NOREPLACE)) {
            *as = wanted;
            return true;
        }
        free(wanted);
        if (errno != EEXIST) return false;
    }
    return false;
}

enum eg_status project_add(struct project *p, const char *class_name, const char *name, const void *bytes,
                           size_t n, const char *group, char **path, struct eg_error *err)
{
    static _Atomic unsigned count;
    char incoming[64], *as = NULL, *made = NULL;
    snprintf(incoming, sizeof incoming, "incoming/%u", ++count);
    int folder = class_folder(p, class_name);
    if (folder < 0) return fail_file(err, "open the folder", class_name);
    int fd = openat(p->hidden_fd, incoming, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
    bool good = fd >= 0 && write_all(fd, bytes, n);
    if (fd >= 0 && close(fd)) good = false;
    if (good) good = settle(p, incoming, folder, name, &as);
    if (!good) fail_file(err, "write", name);
    if (!good && fd >= 0) unlinkat(p->hidden_fd, incoming, 0);
    close(folder);
    if (!good) return EG_E_IO;
    if ((*class_name ? asprintf(&made, "%s/%s", class_name, as) : asprintf(&made, "%s", as)) < 0) made = NULL;
    free(as);
    if (!made) return serve_fail(err, EG_E_MEMORY, "no memory for a path");
    pthread_mutex_lock(&p->change_lock);
    remember(p, json_pack("{s:I,s:s,s:i,s:s,s:s,s:[s]}", "id", ++p->last_undo, "kind", "add", "count", 1,
                          "to", class_name, "group", group ? group : "", "paths", made));
    pthread_mutex_unlock(&p->change_lock);
    *path = made;
    project_changed(p);
    return EG_OK;
}

/* ---- photos move
 * ---------------------------------------------------------------------------------------------- */

/* Where a photo of a class (own: its first folder is the class's) goes. */
static char *place_in(const char *path, bool own, const char *label)
{
    const char *slash = own ? strchr(path, '/') : NULL, *rest = slash ? slash + 1 : path;
    char *to;
    if (!label) return asprintf(&to, ".engraft/trash/%s", path) < 0 ? NULL : to;
    if (!*label) {
        const char *last = strrchr(path, '/');
        return strdup(last ? last + 1 : path);
    }
    return asprintf(&to, "%s/%s", label, rest) < 0 ? NULL : to;
}

static enum eg_status carry_out(struct project *p, const struct eg_photo_move *moves, size_t n,
                                const char *kind, const char *name, const char *label, struct change *change,
                                struct eg_error *err)
{
    struct eg_moves_report *report = NULL;
    const json_int_t id = ++p->last_undo;
    char *journal = journal_of(p, id);
    enum eg_status status = journal ? eg_moves_apply(p->folder, moves, n, journal, &report, err)
                                    : serve_fail(err, EG_E_MEMORY, "no memory for a journal");
    free(journal);
    if (status) return status;
    change->done = report->done;
    change->skipped = report->skipped;
    change->n_skipped = report->n_skipped;
    report->skipped = NULL;
    report->n_skipped = 0;
    if (report->done)
        remember(p, json_pack("{s:I,s:s,s:I,s:s,s:s}", "id", id, "kind", kind, "count",
                              (json_int_t)report->done, "name", name ? name : "", "to", label ? label : ""));
    eg_moves_report_free(report);
    return EG_OK;
}

/* With change_lock held. name: of a class that goes or changes its name, for the words of undo. */
static enum eg_status move_photos(struct project *p, const char *const *paths, size_t n, const char *label,
                                  const char *name, struct change *change, struct eg_error *err)
{
    struct eg_photo_move *moves = calloc(n + 1, sizeof *moves);
    size_t n_moves = 0;
    if (!moves) return serve_fail(err, EG_E_MEMORY, "no memory for moves");
    pthread_rwlock_rdlock(&p->lock);
    const struct listing *l = p->listing;
    for (size_t i = 0; i < n; i++) {
        const struct photo *photo = listing_find(l, paths[i]);
        if (!photo) continue; /* gone meanwhile, or never here */
        const char *own = listing_class(l, photo);
        if (label && !strcmp(own ? own : "", label)) continue;
        moves[n_moves].from = strdup(photo->path);
        moves[n_moves].to = place_in(photo->path, own, label);
        n_moves++;
    }
    pthread_rwlock_unlock(&p->lock);
    enum eg_status status = EG_OK;
    for (size_t i = 0; i < n_moves; i++)
        if (!moves[i].from || !moves[i].to) status = serve_fail(err, EG_E_MEMORY, "no memory for moves");
    if (!status && n_moves)
        status = carry_out(p, moves, n_moves, label ? "move" : "delete", name, label, change, err);
    for (size_t i = 0; i < n_moves; i++) {
        free((void *)(uintptr_t)moves[i].from);
        free((void *)(uintptr_t)moves[i].to);
    }
    free(moves);
    return status;
}

enum eg_status project_move(struct project *p, const char *const *paths, size_t n, const char *label,
                            struct change *change, struct eg_error *err)
{
    pthread_mutex_lock(&p->change_lock);
    enum eg_status status = move_photos(p, paths, n, label, NULL, change, err);
    pthread_mutex_unlock(&p->change_lock);
    project_changed(p);
    return status;
}

/* ---- labels said to be right
 * ---------------------------------------------------------------------------------- */

struct saying {
    const json_t *paths;
    bool right;
};

/* On the thread that owns the feature file. */
static enum eg_status note_rows(struct project *p, void *data, struct eg_error *err)
{
    const struct saying *saying = data;
    char *path = project_file(p, "features.h5");
    eg_features *features = NULL;
    size_t *rows = NULL, n = 0;
    enum eg_status status =
        path ? eg_features_open(path, &features, err) : serve_fail(err, EG_E_MEMORY, "no memory");
    if (!status && !(rows = malloc((json_array_size(saying->paths) + 1) * sizeof *rows)))
        status = serve_fail(err, EG_E_MEMORY, "no memory for rows");
    const size_t n_rows = status ? 0 : eg_features_info(features).n_rows;
    for (size_t i = 0; i < json_array_size(saying->paths) && !status; i++) {
        const char *wanted = json_string_value(json_array_get(saying->paths, i));
        for (size_t r = 0; r < n_rows; r++) {
            struct eg_features_row row = eg_features_row(features, r);
            if (strcmp(row.path, wanted) || strcmp(row.status, "done")) continue;
            rows[n++] = r;
            break;
        }
    }
    eg_features_close(features);
    if (!status) status = eg_features_confirm(path, rows, n, saying->right, err);
    free(rows);
    free(path);
    return status;
}

enum eg_status project_confirm(struct project *p, const char *const *paths, size_t n, struct eg_error *err)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(list, json_string(paths[i]));
    struct saying saying = {list, true};
    enum eg_status status = project_run(p, note_rows, &saying, err);
    if (!status) {
        pthread_mutex_lock(&p->change_lock);
        remember(p, json_pack("{s:I,s:s,s:I,s:O}", "id", ++p->last_undo, "kind", "confirm", "count",
                              (json_int_t)n, "paths", list));
        pthread_rwlock_wrlock(&p->lock);
        p->report_revision++;
        pthread_rwlock_unlock(&p->lock);
        pthread_mutex_unlock(&p->change_lock);
        project_tell(p);
    }
    json_decref(list);
    return status;
}

/* ---- classes
 * --------------------------------------------------------------------------------------------------- */

enum eg_status project_add_class(struct project *p, const char *name, struct eg_error *err)
{
    if (mkdirat(p->fd, name, 0777)) {
        return errno == EEXIST ? serve_fail(err, EG_E_EXISTS, "there is a class '%s' already", name)
                               : fail_file(err, "make the folder", name);
    }
    pthread_mutex_lock(&p->change_lock);
    remember(p,
             json_pack("{s:I,s:s,s:s,s:i}", "id", ++p->last_undo, "kind", "class", "name", name, "count", 0));
    pthread_mutex_unlock(&p->change_lock);
    project_changed(p);
    return EG_OK;
}

/* Paths of a class as they are listed; free() the array, its texts are copies, too. */
static size_t paths_of(struct project *p, const char *name, char ***paths)
{
    pthread_rwlock_rdlock(&p->lock);
    const struct listing *l = p->listing;
    int label = listing_label(l, name);
    size_t n = 0;
    char **made = label < 0 ? NULL : calloc(l->n + 1, sizeof *made);
    for (size_t i = made ? l->first[label + 1] : 0; made && i < l->first[label + 2]; i++)
        if ((made[n] = strdup(l->photos[l->order[i]].path))) n++;
    pthread_rwlock_unlock(&p->lock);
    *paths = made;
    return n;
}

static enum eg_status empty_class(struct project *p, const char *name, const char *to, struct change *change,
                                  struct eg_error *err)
{
    char **paths;
    size_t n = paths_of(p, name, &paths);
    pthread_mutex_lock(&p->change_lock);
    enum eg_status status = move_photos(p, (const char *const *)paths, n, to, name, change, err);
    if (!status && !unlinkat(p->fd, name, AT_REMOVEDIR) && !n) /* it had nothing: a change of its own */
        remember(p, json_pack("{s:I,s:s,s:s,s:i}", "id", ++p->last_undo, "kind", "unclass", "name", name,
                              "count", 0));
    pthread_mutex_unlock(&p->change_lock);
    for (size_t i = 0; i < n; i++) free(paths[i]);
    free(paths);
    project_changed(p);
    return status;
}

enum eg_status project_rename_class(struct project *p, const char *name, const char *to,
                                    struct change *change, struct eg_error *err)
{
    if (renameat2(p->fd, name, p->fd, to, RENAME_NOREPLACE)) {
        if (errno == EEXIST) return empty_class(p, name, to, change, err); /* two become one */
        return fail_file(err, "rename", name);
    }
    pthread_mutex_lock(&p->change_lock);
    remember(p, json_pack("{s:I,s:s,s:s,s:s,s:i}", "id", ++p->last_undo, "kind", "rename", "name", name, "to",
                          to, "count", 0));
    pthread_mutex_unlock(&p->change_lock);
    project_changed(p);
    return EG_OK;
}

enum eg_status project_remove_class(struct project *p, const char *name, struct change *change,
                                    struct eg_error *err)
{
    return empty_class(p, name, NULL, change, err);
}

/* ---- undo
 * -------------------------------------------------------------------------------------------------------- */

/* Photos that were added go to the trash, by a plan that a crash does not stop halfway. */
static enum eg_status take_back_added(struct project *p, const json_t *line, struct eg_error *err)
{
    const json_t *paths = json_object_get(line, "paths");
    const size_t n = json_array_size(paths);
    struct eg_photo_move *moves = calloc(n + 1, sizeof *moves);
    struct eg_moves_report *report = NULL;
    char *journal = project_file(p, "undo/back");
    enum eg_status status = moves && journal ? EG_OK : serve_fail(err, EG_E_MEMORY, "no memory for moves");
    for (size_t i = 0; i < n && !status; i++) {
        moves[i].from = json_string_value(json_array_get(paths, i));
        moves[i].to = place_in(moves[i].from, false, NULL);
        if (!moves[i].to) status = serve_fail(err, EG_E_MEMORY, "no memory for moves");
    }
    if (!status) unlinkat(p->hidden_fd, "undo/back", 0);
    if (!status) status = eg_moves_apply(p->folder, moves, n, journal, &report, err);
    unlinkat(p->hidden_fd, "undo/back", 0);
    for (size_t i = 0; moves && i < n; i++) free((void *)(uintptr_t)moves[i].to);
    eg_moves_report_free(report);
    free(moves);
    free(journal);
    return status;
}

static enum eg_status take_back_moves(struct project *p, const json_t *line, struct eg_error *err)
{
    const char *name = json_string_value(json_object_get(line, "name"));
    struct eg_moves_report *report = NULL;
    char *journal = journal_of(p, json_integer_value(json_object_get(line, "id")));
    if (!journal) return serve_fail(err, EG_E_MEMORY, "no memory for a journal");
    if (name && *name) mkdirat(p->fd, name, 0777); /* a class that went with its photos */
    enum eg_status status = eg_moves_undo(p->folder, journal, &report, err);
    if (!status) unlink(journal); /* what could not go back stays where it is */
    eg_moves_report_free(report);
    free(journal);
    return status;
}

static enum eg_status take_back(struct project *p, const json_t *line, struct eg_error *err)
{
    const char *kind = json_string_value(json_object_get(line, "kind")),
               *name = json_string_value(json_object_get(line, "name")),
               *to = json_string_value(json_object_get(line, "to"));
    if (!kind) return EG_OK;
    if (!strcmp(kind, "add")) return take_back_added(p, line, err);
    if (!strcmp(kind, "move") || !strcmp(kind, "delete")) return take_back_moves(p, line, err);
    if (!strcmp(kind, "rename") && name && to)
        return renameat2(p->fd, to, p->fd, name, RENAME_NOREPLACE) ? fail_file(err, "rename", to) : EG_OK;
    if (!strcmp(kind, "class") && name)
        return unlinkat(p->fd, name, AT_REMOVEDIR) && errno != ENOENT ? fail_file(err, "remove", name)
                                                                      : EG_OK;
    if (!strcmp(kind, "unclass") && name)
        return mkdirat(p->fd, name, 0777) && errno != EEXIST ? fail_file(err, "make", name) : EG_OK;
    return EG_OK;
}

static const char *text_of(const json_t *line, const char *key)
{
    const char *text = json_string_value(json_object_get(line, key));
    return text ? text : "";
}

/* The last line goes whether it could be taken back or not: else it would be in the way of those before it.
 */
static enum eg_status undo_last(struct project *p, json_t **what, struct eg_error *err)
{
    size_t n = json_array_size(p->undo);
    if (!n) return serve_fail(err, EG_E_NOT_FOUND, "there is nothing to undo");
    json_t *last = json_incref(json_array_get(p->undo, n - 1));
    const char *group = text_of(last, "group");
    enum eg_status status = EG_OK;
    json_int_t count = 0;
    do {
        json_t *line = json_array_get(p->undo, n - 1);
        count += json_integer_value(json_object_get(line, "count"));
        status = take_back(p, line, err);
        pthread_rwlock_wrlock(&p->lock);
        json_array_remove(p->undo, --n);
        pthread_rwlock_unlock(&p->lock);
    } while (!status && n && *group && !strcmp(text_of(json_array_get(p->undo, n - 1), "group"), group));
    write_undo(p);
    *what = json_deep_copy(last);
    json_object_set_new(*what, "count", json_integer(count));
    json_decref(last);
    return status;
}

enum eg_status project_undo(struct project *p, json_t **what, struct eg_error *err)
{
    *what = NULL;
    pthread_mutex_lock(&p->change_lock);
    enum eg_status status = undo_last(p, what, err);
    pthread_mutex_unlock(&p->change_lock);
    const json_t *paths = json_object_get(*what, "paths");
    if (!status && !strcmp(text_of(*what, "kind"), "confirm")) {
        struct saying saying = {paths, false};
        status = project_run(p, note_rows, &saying, err);
        pthread_rwlock_wrlock(&p->lock);
        p->report_revision++;
        pthread_rwlock_unlock(&p->lock);
    }
    project_changed(p);
    return status;
}
