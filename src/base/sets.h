/* sets.h: sets of numbers 0..n-1 that grow together (union-find, halving paths). parent[i] = i at first;
 * a set is named by its lowest member. */
#ifndef EG_BASE_SETS_H
#define EG_BASE_SETS_H

#include <stddef.h>

static inline size_t eg__set_of(size_t *parent, size_t i)
{
    while (parent[i] != i) i = parent[i] = parent[parent[i]];
    return i;
}

static inline void eg__set_unite(size_t *parent, size_t a, size_t b)
{
    a = eg__set_of(parent, a);
    b = eg__set_of(parent, b);
    if (a < b)
        parent[b] = a;
    else
        parent[a] = b;
}

#endif
