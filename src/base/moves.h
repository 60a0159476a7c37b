/* moves.h: files moved by a plan that outlives a crash, and can be undone.
 *
 *   plan      who goes where; a name that is taken gets a suffix
 *   journal   JOURNAL.begun, written whole and durable before the first file moves
 *   apply     each move is one rename (across devices: a copy that appears whole, then a removal);
 *             when all are durable JOURNAL.begun becomes JOURNAL
 *   finish    after a crash: what is left of JOURNAL.begun
 *   undo      in reverse, as far as files are still those that were moved; then the journal goes
 *
 * finish and undo may be killed and called again. A move that cannot be made is skipped and told,
 * the others go on. Where there is a root, journal and plan speak of what lies below it only, so
 * that a journal in a stranger's folder cannot reach out of that folder by its paths. */
#ifndef EG_BASE_MOVES_H
#define EG_BASE_MOVES_H

#include "engraft.h"

/* FOLDER/.engraft/NAME-N.moves; free() it; NULL: no memory. */
char *eg__moves_journal(const char *folder, const char *name, unsigned long number);
/* The highest N there is of it, finished or begun; 0: none. */
unsigned long eg__moves_last(const char *folder, const char *name);

enum eg_move_kind { EG_MOVE_FILE, EG_MOVE_LINK }; /* link: `to` becomes a symbolic link to `from` */

struct eg_move {
    enum eg_move_kind kind;
    char *from, *to;       /* below root, or as given where there is none */
    uint64_t inode, bytes; /* what `from` was when planned: so undo knows it again */
    int64_t mtime_ns;
};

struct eg_moves {
    char *root; /* "" : none */
    struct eg_move *moves;
    size_t n, capacity;
    char **folders; /* made on the way, parents first: undo takes away those that are empty */
    size_t n_folders, folders_capacity;
    size_t *taken; /* hash table of `to`: number of a move + 1 */
    size_t n_taken;
};

struct eg_moves_result {
    size_t done; /* those that an earlier, stopped run had done included */
    struct eg_skipped *skipped;
    size_t n_skipped;
};

/* root NULL: paths are used as given. */
EG_MUST_CHECK enum eg_status eg__moves_init(struct eg_moves *plan, const char *root, struct eg_error *err);
/* `to` is the wanted name: if a file or an earlier move has it, "name-2.jpg", "name-3.jpg", ... is
 * taken; moves[n - 1].to tells. EG_E_NOT_FOUND: from is no file; EG_E_ARGUMENT: not below root. */
EG_MUST_CHECK enum eg_status eg__moves_add(struct eg_moves *plan, enum eg_move_kind kind, const char *from,
                                           const char *to, struct eg_error *err);
/* The same, to a name that an earlier move of the plan has left. */
EG_MUST_CHECK enum eg_status eg__moves_add_onto(struct eg_moves *plan, const char *from, const char *to,
                                                struct eg_error *err);
void eg__moves_release(struct eg_moves *plan);

/* EG_E_EXISTS: the journal, or one that was begun, is there. */
EG_MUST_CHECK enum eg_status eg__moves_apply(const struct eg_moves *plan, const char *journal,
                                             struct eg_moves_result *result, struct eg_error *err);
/* Was an apply stopped on its way? */
bool eg__moves_begun(const char *journal);
/* EG_E_NOT_FOUND: nothing was begun. */
EG_MUST_CHECK enum eg_status eg__moves_finish(const char *root, const char *journal,
                                              struct eg_moves_result *result, struct eg_error *err);
/* Of a finished or a begun journal. Where some could not be moved back the journal stays. */
EG_MUST_CHECK enum eg_status eg__moves_undo(const char *root, const char *journal,
                                            struct eg_moves_result *result, struct eg_error *err);
void eg__moves_result_release(struct eg_moves_result *result);

/* The journal's text to a plan, nothing touched. EG_E_FORMAT names the line. */
EG_MUST_CHECK enum eg_status eg__moves_parse(const char *text, size_t n_bytes, const char *root,
                                             struct eg_moves *plan, struct eg_error *err);

#endif
