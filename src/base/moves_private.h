/* moves_private.h: what the files of the moves share. */
#ifndef EG_BASE_MOVES_PRIVATE_H
#define EG_BASE_MOVES_PRIVATE_H

#include "base/moves.h"
#include "base/text.h"

void eg__moves_write(const struct eg_moves *plan, struct eg_text *text);
/* Not absolute, not empty, and none of its parts is "", "." or "..". */
bool eg__moves_is_below(const char *path);
EG_MUST_CHECK enum eg_status eg__moves_add_folder(struct eg_moves *plan, const char *path,
                                                  struct eg_error *err);
EG_MUST_CHECK enum eg_status eg__moves_push(struct eg_moves *plan, const struct eg_move *move,
                                            const char *from, const char *to, struct eg_error *err);
/* root and path joined; free() it; NULL: no memory. */
char *eg__moves_full(const char *root, const char *path);

#endif
