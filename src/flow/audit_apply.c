/* audit_apply.c: corrections (path,action,label) carried out as one plan of moves, and undone.
 *
 *   FOLDER/.engraft/trash/...         what was deleted, and a CSV as it was before
 *   FOLDER/.engraft/audit-N.moves     the journal of the N-th corrections
 *
 * Of a folder of classes the photo moves to the folder of its new class; of a CSV its row changes:
 * the new table is written beside it, and the two change places by the same plan. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/csv_rows.h"
#include "base/fail.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/moves.h"
#include "base/versioned.h"
#include "flow/audit.h"

enum action { MOVE, DELETE, OK, N_ACTIONS };
static const char *const action_names[] = {"move", "delete", "ok"};

struct correction {
    char *path, *label;
    enum action action;
    size_t line;
    bool used;
};

struct correcting {
    const char *corrections; /* the file of them, for messages */
    char *table;             /* the data's CSV, in root; NULL: a folder of classes */
    char *root;
    struct correction *list;
    size_t n, capacity;
    struct eg_moves plan;
    struct eg_text rewritten; /* of the table */
    struct eg_corrections done;
};

void eg_corrections_release(struct eg_corrections *c)
{
    eg__skipped_free(c->skipped, c->n_skipped);
    *c = (struct eg_corrections){0};
}

/* ---- what is asked ------------------------------------------------------------------------------- */

static bool is_class_name(const char *label)
{
    return *label && *label != '.' && !strchr(label, '/') && strlen(label) < 256;
}

static enum eg_status add_correction(struct correcting *c, const struct eg_csv *csv, const size_t column[3],
                                     struct eg_error *err)
{
    const char *path = eg__csv_field(csv, column[0]), *action = eg__csv_field(csv, column[1]),
               *label = eg__csv_field(csv, column[2]);
    int found = 0;
    while (found < N_ACTIONS && strcmp(action_names[found], action)) found++;
    if (found == N_ACTIONS)
        return eg__fail(err, EG_E_ARGUMENT, "line %zu of '%s': action '%s' is none of move, delete, ok",
                        csv->line, c->corrections, action);
    if (found == MOVE && !is_class_name(label))
        return eg__fail(err, EG_E_ARGUMENT, "line %zu of '%s': '%s' cannot be the name of a class", csv->line,
                        c->corrections, label);
    if (!eg__grow(&c->list, &c->capacity, c->n + 1, sizeof *c->list))
        return eg__fail_memory(err, "corrections");
    struct correction *made = &c->list[c->n++];
    *made = (struct correction){strdup(path), strdup(label), (enum action)found, csv->line, false};
    return made->path && made->label ? EG_OK : eg__fail_memory(err, "corrections");
}

static enum eg_status read_corrections(struct correcting *c, struct eg_error *err)
{
    struct eg_mapping file;
    enum eg_status status = eg__map_file(c->corrections, &file, err);
    if (status) return status;
    struct eg_csv csv;
    eg__csv_begin(&csv, (const char *)file.bytes, file.size);
    status = eg__csv_next(&csv, err);
    static const char *const names[] = {"path", "action", "label"};
    size_t column[3], n_columns = csv.n_fields;
    for (size_t i = 0; i < 3 && !status; i++)
        if ((column[i] = eg__csv_column(&csv, names[i])) == n_columns)
            status = eg__fail(err, EG_E_FORMAT, "its first line must be 'path,action,label'");
    while (!status && !(status = eg__csv_next(&csv, err)) && csv.n_fields) {
        if (csv.n_fields != n_columns)
            status = eg__fail(err, EG_E_FORMAT, "line %zu has %zu fields, the first line %zu", csv.line,
                              csv.n_fields, n_columns);
        else
            status = add_correction(c, &csv, column, err);
    }
    eg__csv_end(&csv);
    eg__unmap_file(&file);
    return status == EG_E_FORMAT ? eg__fail_within(err, status, "cannot use '%s'", c->corrections) : status;
}

/* ---- files ------------------------------------------------------------------------------------------ */

static enum eg_status plan_move(struct correcting *c, const char *file, const char *format, const char *a,
                                const char *b, const char *told, struct eg_error *err)
{
    char *to;
    struct eg_error why;
    if (asprintf(&to, format, c->root, a, b) < 0) return eg__fail_memory(err, "a file name");
    enum eg_status status = eg__moves_add(&c->plan, EG_MOVE_FILE, file, to, &why);
    free(to);
    if (status == EG_E_NOT_FOUND || status == EG_E_ARGUMENT)
        return eg__skip(&c->done.skipped, &c->done.n_skipped, told, why.message, err);
    if (status && err) *err = why;
    return status;
}

/* Of a photo in a folder of classes. */
static enum eg_status plan_photo(struct correcting *c, const struct correction *one, struct eg_error *err)
{
    if (one->action == OK) return EG_OK;
    char *file = eg__file_of_path(c->root, one->path);
    if (!file) return eg__fail_memory(err, "a file name");
    size_t root = strlen(c->root);
    const char *below =
        !strncmp(file, c->root, root) && file[root] == '/' ? file + root + 1 : eg__path_last(file);
    const char *rest = strchr(below, '/');
    size_t own = rest ? (size_t)(rest - below) : 0;
    enum eg_status status = EG_OK;
    size_t before = c->plan.n;
    if (one->action == DELETE)
        status = plan_move(c, file, "%s/.engraft/trash/%s%s", below, "", one->path, err);
    else if (strlen(one->label) != own || strncmp(one->label, below, own)) /* else it is there */
        status = plan_move(c, file, "%s/%s/%s", one->label, rest ? rest + 1 : below, one->path, err);
    free(file);
    if (c->plan.n > before) {
        c->done.moved += one->action == MOVE;
        c->done.deleted += one->action == DELETE;
    }
    return status;
}

static int compare_corrections(const void *a, const void *b)
{
    const struct correction *x = a, *y = b;
    int order = strcmp(x->path, y->path);
    return order ? order : x->line < y->line ? -1 : x->line > y->line; /* of two the later counts */
}

static struct correction *find_correction(const struct correcting *c, const char *path)
{
    struct correction *found = NULL;
    for (size_t low = 0, high = c->n; low < high;) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(c->list[middle].path, path);
        if (order <= 0) low = middle + 1;
        if (!order) found = &c->list[middle];
        if (order > 0) high = middle;
    }
    return found;
}

/* ---- a table ------------------------------------------------------------------------------------ */

static enum eg_status rewrite_row(struct correcting *c, const struct eg_csv *csv, size_t path, size_t label,
                                  struct eg_error *err)
{
    struct correction *one = find_correction(c, eg__csv_field(csv, path));
    if (one) one->used = true;
    if (one && one->action == DELETE) {
        char *file = eg__file_of_path(c->root, one->path);
        enum eg_status status =
            file ? plan_move(c, file, "%s/.engraft/trash/%s%s", eg__path_last(file), "", one->path, err)
                 : eg__fail_memory(err, "a file name");
        free(file);
        c->done.deleted++;
        return status;
    }
    bool moves = one && one->action == MOVE && strcmp(one->label, eg__csv_field(csv, label));
    c->done.moved += moves;
    for (size_t i = 0; i < csv->n_fields; i++) {
        if (i) eg__text_append(&c->rewritten, ",");
        eg__csv_write(&c->rewritten, moves && i == label ? one->label : eg__csv_field(csv, i));
    }
    eg__text_append(&c->rewritten, "\n");
    return EG_OK;
}

static enum eg_status rewrite_table(struct correcting *c, struct eg_error *err)
{
    struct eg_mapping file;
    enum eg_status status = eg__map_file(c->table, &file, err);
    if (status) return status;
    struct eg_csv csv;
    eg__csv_begin(&csv, (const char *)file.bytes, file.size);
    status = eg__csv_next(&csv, err);
    size_t path = eg__csv_column(&csv, "path"), label = eg__csv_column(&csv, "label"),
           n_columns = csv.n_fields;
    if (!status && (path == n_columns || label == n_columns))
        status = eg__fail(err, EG_E_FORMAT, "the first line of '%s' must be 'path,label'", c->table);
    for (size_t i = 0; i < n_columns && !status; i++) {
        if (i) eg__text_append(&c->rewritten, ",");
        eg__csv_write(&c->rewritten, eg__csv_field(&csv, i));
    }
    eg__text_append(&c->rewritten, "\n");
    while (!status && !(status = eg__csv_next(&csv, err)) && csv.n_fields)
        status = csv.n_fields == n_columns
                     ? rewrite_row(c, &csv, path, label, err)
                     : eg__fail(err, EG_E_FORMAT, "line %zu of '%s' has %zu fields, the first line %zu",
                                csv.line, c->table, csv.n_fields, n_columns);
    eg__csv_end(&csv);
    eg__unmap_file(&file);
    if (!status && c->rewritten.failed) status = eg__fail_memory(err, "a CSV file");
    for (size_t i = 0; i < c->n && !status; i++)
        if (!c->list[i].used && c->list[i].action != OK)
            status = eg__skip(&c->done.skipped, &c->done.n_skipped, c->list[i].path,
                              "it is in no row of the table", err);
    return status;
}

/* The new table is written, then it and the old one change places. */
static enum eg_status plan_table(struct correcting *c, struct eg_error *err)
{
    struct eg_outfile file;
    char *fresh;
    const char *last = eg__path_last(c->table);
    if (!c->done.moved && !c->done.deleted) return EG_OK;
    if (asprintf(&fresh, "%s/.engraft/new-%s", c->root, last) < 0) return eg__fail_memory(err, "a file name");
    enum eg_status status = eg__outfile_open(fresh, true, &file, err);
    if (!status) {
        fwrite(c->rewritten.chars, 1, c->rewritten.length,
               file.stream); /* commit asks whether it was written */
        status = eg__outfile_commit(&file, err);
    }
    if (!status) status = plan_move(c, c->table, "%s/.engraft/trash/%s%s", last, "", c->table, err);
    if (!status) status = eg__moves_add_onto(&c->plan, fresh, c->table, err);
    free(fresh);
    return status;
}

/* ---- journals ----------------------------------------------------------------------------------- */

/* The folder that the data lie in, and whether it can be written. */
static enum eg_status find_root(const char *images, struct correcting *c, struct eg_error *err)
{
    struct stat info;
    if (!*images || !strcmp(images, "-"))
        return eg__fail(
            err, EG_E_UNSUPPORTED,
            "photos of an archive, a stream or a list are in no folder in which they could be moved");
    if (stat(images, &info)) return eg__fail(err, EG_E_IO, "cannot open '%s': %s", images, strerror(errno));
    size_t n = strlen(images);
    bool table = S_ISREG(info.st_mode) && n > 4 && !strcasecmp(images + n - 4, ".csv");
    if (!S_ISDIR(info.st_mode) && !table)
        return eg__fail(err, EG_E_UNSUPPORTED,
                        "'%s' is neither a folder of photos nor a CSV, so nothing in it can be moved",
                        images);
    char *folder = table ? strndup(images, (size_t)(eg__path_last(images) - images)) : strdup(images);
    c->root = folder ? realpath(*folder ? folder : ".", NULL) : NULL;
    free(folder);
    if (!c->root) return eg__fail(err, EG_E_IO, "cannot open '%s': %s", images, strerror(errno));
    if (table && asprintf(&c->table, "%s/%s", c->root, eg__path_last(images)) < 0) {
        c->table = NULL;
        return eg__fail_memory(err, "a file name");
    }
    if (access(c->root, W_OK))
        return eg__fail(err, EG_E_IO, "cannot write in '%s': %s", c->root, strerror(errno));
    return EG_OK;
}

static enum eg_status make_hidden_folder(const char *root, struct eg_error *err)
{
    char *folder;
    if (asprintf(&folder, "%s/.engraft", root) < 0) return eg__fail_memory(err, "a folder's name");
    enum eg_status status = EG_OK;
    if (mkdir(folder, 0777) && errno != EEXIST)
        status = eg__fail(err, EG_E_IO, "cannot create the folder '%s': %s", folder, strerror(errno));
    free(folder);
    return status;
}

/* ---- the feature file ---------------------------------------------------------------------------------- */

/* Rows said to be right are noted; relabelled rows of the test are counted. */
static enum eg_status note_rows(struct correcting *c, const char *features,
                                const struct eg_audit_options *options, struct eg_error *err)
{
    struct eg_store *store;
    enum eg_status status = eg__store_open(features, &store, err);
    if (status) return status;
    const struct eg_store_spec *spec = eg__store_spec(store);
    const size_t n_rows = spec->n_rows;
    size_t *rows = eg__alloc(n_rows + 1, sizeof *rows), n = 0;
    uint8_t *test = eg__zalloc(n_rows + 1, 1);
    status = rows && test ? eg__audit_test_rows(store, options, 0, test, err) : eg__fail_memory(err, "rows");
    for (size_t i = 0; i < n_rows && !status; i++) {
        const struct correction *one = find_correction(c, spec->paths[i]);
        if (one && one->action == OK) rows[n++] = i;
        c->done.test_relabelled += one && one->action == MOVE && test[i];
    }
    free(test);
    if (eg__store_close(store, status ? NULL : err) && !status) status = EG_E_IO;
    if (!status) status = eg__store_confirm(features, rows, n_rows, n, true, err);
    c->done.confirmed = status ? 0 : n;
    free(rows);
    return status;
}

enum eg_status eg_audit_apply(const char *images, const char *features, const char *corrections,
                              const struct eg_audit_options *options, struct eg_corrections *done,
                              struct eg_error *err)
{
    struct eg_audit_options own;
    struct correcting c = {.corrections = corrections};
    struct eg_moves_result result;
    char *journal = NULL;
    enum eg_status status = eg__options(&own, sizeof own, options, err);
    if (!status) status = find_root(images, &c, err);
    if (!status) status = read_corrections(&c, err);
    if (!status && c.n) qsort(c.list, c.n, sizeof *c.list, compare_corrections);
    if (!status) status = make_hidden_folder(c.root, err);
    unsigned long last = status ? 0 : eg__moves_last(c.root, "audit");
    if (!status && !(journal = eg__moves_journal(c.root, "audit", last ? last : 1)))
        status = eg__fail_memory(err, "a file name");
    if (!status && eg__moves_begun(journal)) { /* stopped on its way: that comes first */
        status = eg__moves_finish(c.root, journal, &result, err);
        if (!status) status = eg__take_moved(&result, &c.done.files, &c.done.skipped, &c.done.n_skipped, err);
    }
    free(journal);
    journal = status ? NULL : eg__moves_journal(c.root, "audit", last + 1);
    if (!status)
        status = journal ? eg__moves_init(&c.plan, c.root, err) : eg__fail_memory(err, "a file name");
    for (size_t i = 0; i < c.n && !status && !c.table; i++)
        if (i + 1 == c.n || strcmp(c.list[i].path, c.list[i + 1].path))
            status = plan_photo(&c, &c.list[i], err);
    if (!status && c.table) status = rewrite_table(&c, err);
    if (!status && c.table) status = plan_table(&c, err);
    if (!status && features) status = note_rows(&c, features, &own, err);
    if (!status && c.plan.n) status = eg__moves_apply(&c.plan, journal, &result, err);
    if (!status && c.plan.n)
        status = eg__take_moved(&result, &c.done.files, &c.done.skipped, &c.done.n_skipped, err);
    for (size_t i = 0; i < c.n; i++) {
        free(c.list[i].path);
        free(c.list[i].label);
    }
    free(c.list);
    free(c.root);
    free(c.table);
    free(journal);
    free(c.rewritten.chars);
    eg__moves_release(&c.plan);
    if (status)
        eg_corrections_release(&c.done);
    else
        *done = c.done;
    return status;
}

enum eg_status eg_audit_undo(const char *images, struct eg_corrections *done, struct eg_error *err)
{
    struct correcting c = {0};
    struct eg_moves_result result;
    char *journal = NULL;
    enum eg_status status = find_root(images, &c, err);
    unsigned long last = status ? 0 : eg__moves_last(c.root, "audit");
    if (!status && !last)
        status = eg__fail(err, EG_E_NOT_FOUND, "there are no corrections to undo in '%s'", c.root);
    if (!status && !(journal = eg__moves_journal(c.root, "audit", last)))
        status = eg__fail_memory(err, "a file name");
    if (!status) status = eg__moves_undo(c.root, journal, &result, err);
    if (!status) status = eg__take_moved(&result, &c.done.files, &c.done.skipped, &c.done.n_skipped, err);
    free(journal);
    free(c.root);
    free(c.table);
    if (status)
        eg_corrections_release(&c.done);
    else
        *done = c.done;
    return status;
}
