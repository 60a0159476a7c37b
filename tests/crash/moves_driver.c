/* Moves for the crash tests, in the folder ROOT that test_moves_crash.py makes:
 *   moves_driver apply ROOT     plan and apply, or finish what was begun
 *   moves_driver undo ROOT      undo, if there is anything to undo */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/moves.h"

static const char *const moves[][2] = {
    {"cat/1.jpg", "dog/1.jpg"},          {"cat/2.jpg", "dog/2.jpg"}, /* 2.jpg is taken there */
    {"dog/3.jpg", "emu/of/kind/3.jpg"},  {"dog/2.jpg", ".engraft/trash/2.jpg"},
    {"table.csv", ".engraft/table.csv"}, {"new.csv", "table.csv"},
};

int main(int argc, char **argv)
{
    if (argc != 3) return 2;
    const char *root = argv[2];
    char journal[4096], from[4096], to[4096];
    snprintf(journal, sizeof journal, "%s/journal", root);
    struct eg_error err = {0};
    struct eg_moves plan = {0};
    struct eg_moves_result result = {0};
    enum eg_status status = EG_OK;
    if (!strcmp(argv[1], "undo")) {
        status = eg__moves_undo(root, journal, &result, &err);
        if (status == EG_E_NOT_FOUND) status = EG_OK;
    } else if (eg__moves_begun(journal)) {
        status = eg__moves_finish(root, journal, &result, &err);
    } else {
        status = eg__moves_init(&plan, root, &err);
        for (size_t i = 0; i < sizeof moves / sizeof *moves && !status; i++) {
            snprintf(from, sizeof from, "%s/%s", root, moves[i][0]);
            snprintf(to, sizeof to, "%s/%s", root, moves[i][1]);
            status = i + 1 < sizeof moves / sizeof *moves ? eg__moves_add(&plan, EG_MOVE_FILE, from, to, &err)
                                                          : eg__moves_add_onto(&plan, from, to, &err);
        }
        if (!status) status = eg__moves_apply(&plan, journal, &result, &err);
        eg__moves_release(&plan);
    }
    if (status) fprintf(stderr, "%s\n", err.message);
    for (size_t i = 0; i < result.n_skipped; i++)
        fprintf(stderr, "skipped %s: %s\n", result.skipped[i].path, result.skipped[i].reason);
    int code = status ? 1 : result.n_skipped ? 3 : 0;
    eg__moves_result_release(&result);
    return code;
}
