/* arch.c: the built-in architectures by name, and their graphs without weights. */
#include "arch/arch.h"

#include <stdlib.h>
#include <string.h>

#include "arch/build.h"
#include "base/fail.h"

#define XX(family) eg__arch_##family,
static const struct eg_arch_row *const families[] = {EG_ARCH_FAMILIES(XX)};
#undef XX
enum { N_FAMILIES = sizeof families / sizeof *families };

const struct eg_arch_row *eg__arch_row_at(size_t index)
{
    for (size_t f = 0; f < N_FAMILIES; f++)
        for (const struct eg_arch_row *row = families[f]; row->arch.name; row++)
            if (!index--) return row;
    return NULL;
}

size_t eg__arch_count(void)
{
    size_t n = 0;
    while (eg__arch_row_at(n)) n++;
    return n;
}

const struct eg_arch *eg__arch_at(size_t index)
{
    const struct eg_arch_row *row = eg__arch_row_at(index);
    return row ? &row->arch : NULL;
}

bool eg__arch_same_name(const char *a, const char *b)
{
    for (; *a && (*a == *b || (*a == '-' && *b == '_') || (*a == '_' && *b == '-')); a++) b++;
    return !*a && !*b;
}

const struct eg_arch *eg__arch_find(const char *name)
{
    const struct eg_arch_row *row;
    for (size_t i = 0; (row = eg__arch_row_at(i)); i++)
        if (eg__arch_same_name(row->arch.name, name)) return &row->arch;
    return NULL;
}

/* ---- building ---------------------------------------------------------------------- */

enum eg_status eg__arch_describe(struct eg_builder *b, struct eg_error *err)
{
    const struct eg_arch *arch = &b->row->arch;
    b->err = err;
    b->keras = b->row->keras;
    b->epsilon = 1e-5f;
    b->status = eg__graph_create(arch->name, &b->graph, err);
    if (b->status) return b->status;
    struct eg_node input = {.op = EG_OP_INPUT, .name = b->keras ? "input_1" : "x"};
    bool asked = b->row->sized && b->h && b->w;
    input.shape = asked ? eg__map_shape(b->h, b->w, 3) : eg__map_shape(arch->size, arch->size, 3);
    uint32_t index;
    b->status = eg__graph_add(b->graph, &input, &index, err);
    if (!b->status) b->row->describe(b, b->row->variant);
    b->graph->input_nchw = !b->keras;
    return b->status;
}

void eg__arch_release(struct eg_builder *b)
{
    eg__graph_free(b->graph);
    free(b->missing.text.chars);
    free(b->misshapen.text.chars);
}

enum eg_status eg__arch_build(const struct eg_arch *arch, size_t n_classes, bool top, size_t h, size_t w,
                              struct eg_graph **graph, struct eg_error *err)
{
    struct eg_builder b = {.row = (const struct eg_arch_row *)arch,
                           .n_classes = n_classes ? n_classes : 1000,
                           .top = top,
                           .h = h,
                           .w = w};
    b.spellings = b.row->spellings;
    enum eg_status status = eg__arch_describe(&b, err);
    if (!status) {
        *graph = b.graph;
        b.graph = NULL;
    }
    eg__arch_release(&b);
    return status;
}
