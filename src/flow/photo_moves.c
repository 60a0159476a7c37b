/* photo_moves.c: photos that change their place, as a caller of the library plans them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/moves.h"
#include "base/versioned.h"
#include "flow/flow.h"

static void release(struct eg_moves_report *report)
{
    for (size_t i = 0; report->places && i < report->n; i++) free(report->places[i]);
    free(report->places);
    eg__skipped_free(report->skipped, report->n_skipped);
}

void eg_moves_report_free(struct eg_moves_report *report)
{
    if (report) release(report);
    free(report);
}

enum eg_status eg__take_moved(struct eg_moves_result *result, size_t *done, struct eg_skipped **skipped,
                              size_t *n_skipped, struct eg_error *err)
{
    enum eg_status status = EG_OK;
    *done = result->done;
    for (size_t i = 0; i < result->n_skipped && !status; i++)
        status = eg__skip(skipped, n_skipped, result->skipped[i].path, result->skipped[i].reason, err);
    eg__moves_result_release(result);
    return status;
}

static char *below(const char *folder, const char *path)
{
    char *full;
    if (*path == '/') return strdup(path);
    return asprintf(&full, "%s/%s", folder, path) < 0 ? NULL : full;
}

static enum eg_status plan_one(struct eg_moves *plan, const struct eg_photo_move *move, size_t number,
                               struct eg_moves_report *report, struct eg_error *err)
{
    struct eg_error why;
    char *from = below(plan->root, move->from), *to = below(plan->root, move->to);
    enum eg_status status =
        from && to ? eg__moves_add(plan, EG_MOVE_FILE, from, to, &why) : eg__fail_memory(&why, "a file name");
    free(from);
    free(to);
    if (status == EG_E_NOT_FOUND || status == EG_E_ARGUMENT)
        return eg__skip(&report->skipped, &report->n_skipped, move->from, why.message, err);
    if (!status && !(report->places[number] = strdup(plan->moves[plan->n - 1].to)))
        status = eg__fail_memory(&why, "a file name");
    if (status && err) *err = why;
    return status;
}

enum eg_status eg_moves_apply(const char *folder, const struct eg_photo_move *moves, size_t n,
                              const char *journal, struct eg_moves_report **out, struct eg_error *err)
{
    struct eg_moves_report made = {.n = n, .places = eg__zalloc(n + 1, sizeof *made.places)};
    struct eg_moves plan = {0};
    struct eg_moves_result result;
    char *root = realpath(folder, NULL);
    enum eg_status status = made.places ? EG_OK : eg__fail_memory(err, "a list of files");
    if (!status && !root) status = eg__fail(err, EG_E_IO, "cannot open '%s'", folder);
    if (!status && !access(journal, F_OK))
        status = eg__fail(err, EG_E_EXISTS, "'%s' is there already", journal);
    if (!status) status = eg__moves_init(&plan, root, err);
    for (size_t i = 0; i < n && !status; i++) status = plan_one(&plan, &moves[i], i, &made, err);
    if (!status && plan.n) status = eg__moves_apply(&plan, journal, &result, err);
    if (!status && plan.n) status = eg__take_moved(&result, &made.done, &made.skipped, &made.n_skipped, err);
    eg__moves_release(&plan);
    free(root);
    if (!status) status = eg__hand_out(&made, sizeof made, out, err);
    if (status) release(&made);
    return status;
}

static enum eg_status again(const char *folder, const char *journal, bool undo, struct eg_moves_report **out,
                            struct eg_error *err)
{
    struct eg_moves_report made = {0};
    struct eg_moves_result result;
    char *root = realpath(folder, NULL);
    if (!root) return eg__fail(err, EG_E_IO, "cannot open '%s'", folder);
    enum eg_status status =
        undo ? eg__moves_undo(root, journal, &result, err) : eg__moves_finish(root, journal, &result, err);
    free(root);
    if (!status) status = eg__take_moved(&result, &made.done, &made.skipped, &made.n_skipped, err);
    if (!status) status = eg__hand_out(&made, sizeof made, out, err);
    if (status) release(&made);
    return status;
}

enum eg_status eg_moves_finish(const char *folder, const char *journal, struct eg_moves_report **report,
                               struct eg_error *err)
{
    return again(folder, journal, false, report, err);
}

enum eg_status eg_moves_undo(const char *folder, const char *journal, struct eg_moves_report **report,
                             struct eg_error *err)
{
    return again(folder, journal, true, report, err);
}
