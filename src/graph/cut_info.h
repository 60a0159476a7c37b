/* cut_info.h: what is known of the values taken at a cut: the model makes it, a feature file keeps it. */
#ifndef EG_GRAPH_CUT_INFO_H
#define EG_GRAPH_CUT_INFO_H

#include <stdbool.h>
#include <stddef.h>

struct eg_cut_info {
    const char *name;       /* "pool5"; as typed, "/" written "." */
    const char *layer;      /* as typed, without its pool */
    const char *layer_name; /* the graph's name */
    const char *op;
    size_t shape[3];   /* h, w, c after pooling */
    const char *order; /* "chw" or "hwc" */
    const char *pool;  /* "flatten", "avg", "max", "gem", "cls", "cls-avg" */
    size_t length;     /* D */
    bool half;         /* float16 on disk */
};

#endif
