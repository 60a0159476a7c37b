/* net.h: a graph at work. A run is a graph planned for some outputs and a largest batch:
 * operators fused, weights packed, buffers placed; after that a forward pass allocates
 * nothing. The same image gives the same row, bit for bit, in any batch, at any place in
 * it, with any number of threads (per instruction set). */
#ifndef EG_NET_NET_H
#define EG_NET_NET_H

#include "graph/graph.h"

struct eg_run;

struct eg_run_options {
    size_t max_batch; /* 0 = 1 */
    bool exact;       /* no Winograd: only sums of products in file order of magnitude */
    bool plan_only;   /* weights are packed, no memory is taken to work in: for twins */
};

/* Plan `graph` for `outputs` (node indexes, each once); layers past the deepest are dropped.
 * The run borrows pool (may be NULL), copies or packs every weight it needs: graph may be
 * freed after it. EG_E_ARGUMENT if a tensor it needs has no values. */
EG_MUST_CHECK enum eg_status eg__run_create(const struct eg_graph *graph, const uint32_t *outputs,
                                            size_t n_outputs, const struct eg_run_options *options,
                                            eg_pool *pool, struct eg_run **run, struct eg_error *err);

/* One more run of the same plan and the same packed weights, with memory of its own and its own pool: for
 * another thread. `first`, a run with plan_only, outlives it. */
EG_MUST_CHECK enum eg_status eg__run_twin(const struct eg_run *first, eg_pool *pool, struct eg_run **run,
                                          struct eg_error *err);

/* EG_E_ARGUMENT: the run or its pool is at work for another thread.
 * images  [n][h][w][c], n <= max_batch: behind the recipe, in the network's channel order
 * out     n_outputs arrays [n][h][w][c] of each output's shape */
EG_MUST_CHECK enum eg_status eg__run_forward(struct eg_run *run, const float *images, size_t n,
                                             float *const *out, struct eg_error *err);

/* The same from 8-bit pixels: value = pixel * scale[c] + offset[c], channel c of the network
 * taken from byte c of a pixel, or 2-c when bgr. Never makes a float image where the first
 * layer can read pixels itself. Bitwise equal to eg__run_forward on
 * fmaf((float)pixel, scale[c], offset[c]). */
EG_MUST_CHECK enum eg_status eg__run_forward_pixels(struct eg_run *run, const uint8_t *pixels,
                                                    const float scale[3], const float offset[3], bool bgr,
                                                    size_t n, float *const *out, struct eg_error *err);

size_t eg__run_output_count(const struct eg_run *run);
struct eg_shape eg__run_shape(const struct eg_run *run, size_t output);
size_t eg__run_bytes(const struct eg_run *run); /* weights + buffers + scratch */

/* For `bench --layers`: steps after fusion, each with the time of the last forward pass. */
struct eg_step_info {
    const char *name;      /* of the last node fused into it */
    const char *algorithm; /* "winograd 6x6", "indirect gemm", "depthwise", ... */
    uint64_t macs;
    double seconds;
};
void eg__run_time_steps(struct eg_run *run, bool on);
size_t eg__run_step_count(const struct eg_run *run);
struct eg_step_info eg__run_step(const struct eg_run *run, size_t index);

void eg__run_free(struct eg_run *run);

#endif
