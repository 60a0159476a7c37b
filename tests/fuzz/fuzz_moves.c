/* Journals of moves from strangers: what is taken stays below the root, and is written back as it was. */
#include <stdlib.h>
#include <string.h>

#include "base/moves_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct eg_moves plan, again;
    if (eg__moves_parse((const char *)data, size, "/root", &plan, NULL)) return 0;
    for (size_t i = 0; i < plan.n; i++)
        if (!eg__moves_is_below(plan.moves[i].from) || !eg__moves_is_below(plan.moves[i].to)) abort();
    struct eg_text text = {0};
    eg__moves_write(&plan, &text);
    if (eg__moves_parse(text.chars, text.length, "/root", &again, NULL) || again.n != plan.n) abort();
    eg__moves_release(&plan);
    eg__moves_release(&again);
    free(text.chars);
    return 0;
}
