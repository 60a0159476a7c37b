/* plan.h: what a planned run is made of (private to net/).
 *
 * A step computes one value of the graph, with what was fused into it. Values have the index
 * of their node. Several values may share one storage (members of a concatenation, slices,
 * identities): the storage belongs to its root. */
#ifndef EG_NET_PLAN_H
#define EG_NET_PLAN_H

#include <stdatomic.h>

#include "kernels/table.h"
#include "net/net.h"

#define EG_NO_VALUE UINT32_MAX
enum {
    EG_DEPTHWISE_ROWS_MAX = 64,
    EG_MADE_BEFORE_FLOATS = 1 << 17 /* 512 KB: half a second-level cache */
};

enum eg_place { EG_PLACE_NONE, EG_PLACE_INPUT, EG_PLACE_ARENA, EG_PLACE_USER };

struct eg_value {
    struct eg_shape shape;
    uint32_t root; /* whose storage this value lies in */
    size_t first;  /* float of the storage where it starts */
    bool strided;  /* only steps that read strides see it (array.h) */
    ptrdiff_t stride[EG_RANK_MAX];
    size_t times; /* as often as there are images: an image's views follow each other */
    /* of a root */
    size_t ld; /* floats from pixel to pixel of the storage */
    enum eg_place place;
    size_t offset;   /* ARENA: floats; USER: the output's number */
    size_t from, to; /* first and last step that touch it */
    bool whole;      /* holds the whole batch, not only the chunk at hand */
};

/* A value at hand: pixel (y, x) of image i at data[((i h + y) w + x) ld]. */
struct eg_view {
    float *data;
    size_t h, w, c, ld;
};

struct eg_run_step {
    struct eg_step_info info;
    void (*run)(struct eg_run *run, struct eg_run_step *step, size_t n);
    uint32_t *inputs;
    uint32_t n_inputs, output;
    struct eg_node node; /* attributes only: no pointer in it is valid after planning */
    struct eg_map in;    /* of the first input */
    /* fused */
    uint32_t residual; /* value added before the activation, or EG_NO_VALUE */
    enum eg_activation act;
    float act_a, act_b;
    bool pool;                       /* 2 x 2 maxima of the result */
    size_t slice_first, slice_count; /* output only these channels, when count is not 0 */
    bool reads_pixels;               /* its input may be 8-bit pixels */
    /* A 1 x 1 convolution that this depthwise one makes in the cache, row by row; its own, not in
     * the list of steps. inputs[0] is then what that one reads, `in` its output's shape. */
    struct eg_run_step *before;
    /* weights, from eg__run_weights */
    float *weights, *bias, *scale, *shift;
    void *work;                            /* of the step's kind; malloc'd */
    size_t scratch_thread, scratch_shared; /* floats */
    size_t scratch_offset;                 /* in the arena: [threads][scratch_thread], then scratch_shared */
};

struct eg_run {
    const struct eg_kernels *kernels;
    eg_pool *pool;
    unsigned threads;
    size_t max_batch;
    bool exact;
    bool twin; /* of another run, whose weights and plan these are; steps, values and arena are its own */
    atomic_bool busy; /* in a forward pass */
    struct eg_value *values;
    uint32_t n_values;
    struct eg_run_step *steps;
    size_t n_steps, steps_capacity;
    uint32_t *outputs;
    size_t n_outputs;
    char *names;   /* text behind the steps' names */
    float **slabs; /* what all weights are cut from */
    float *slab;   /* the one that small weights go to */
    size_t n_slabs, slabs_capacity, slab_left;
    float *arena, *zeros;    /* zeros: a pixel outside */
    float *scratch, *shared; /* of the step at work */
    size_t arena_count, scratch_thread, zeros_count, weights_bytes;
    /* Steps before chunk_steps have heavy activations: they run for chunk_images at a time. */
    size_t chunk_steps, chunk_images;
    bool timed;
    bool input_float;    /* a step needs the input as floats: pixels are turned into the arena */
    size_t input_offset; /* where */
    /* this forward pass */
    size_t first; /* image of the batch where the chunk at hand starts */
    const float *images;
    const uint8_t *pixels; /* instead of images; looked up in pixel_table */
    float pixel_table[3][256];
    uint8_t pixel_byte[3]; /* byte of a pixel that channel c comes from */
    float *const *out;
};

/* The place of a value in this pass. */
struct eg_view eg__run_view(const struct eg_run *run, uint32_t value);
static inline float *eg__run_scratch(const struct eg_run *run, unsigned thread)
{
    return run->scratch + thread * run->scratch_thread;
}

/* The epilogue of a step without its residual. */
struct eg_epilogue eg__step_epilogue(const struct eg_run_step *step);

/* Memory of the run's for weights, aligned to 64 bytes, counted in run->weights_bytes; NULL: none. */
float *eg__run_weights(struct eg_run *run, size_t count);

/* One more step, for node (whose attributes it copies); its name is to be set. */
EG_MUST_CHECK enum eg_status eg__run_add_step(struct eg_run *run, const struct eg_node *node, uint32_t output,
                                              const uint32_t *inputs, uint32_t n_inputs,
                                              struct eg_run_step **step, struct eg_error *err);

/* Each plans one kind of step: sets run, work, weights, scratch and info. node is the graph's
 * (its parameters are valid); scale and shift, when not NULL, are [out] and folded in. */
struct eg_plan_conv {
    const struct eg_graph *graph;
    const struct eg_node *node;
    const float *scale, *shift;
};
EG_MUST_CHECK enum eg_status eg__plan_gemm(struct eg_run *run, struct eg_run_step *step,
                                           const struct eg_plan_conv *conv, struct eg_error *err);
EG_MUST_CHECK enum eg_status eg__plan_depthwise(struct eg_run *run, struct eg_run_step *step,
                                                const struct eg_plan_conv *conv, struct eg_error *err);
EG_MUST_CHECK enum eg_status eg__plan_winograd(struct eg_run *run, struct eg_run_step *step,
                                               const struct eg_plan_conv *conv, struct eg_error *err);
/* Can `step` be the one made before a depthwise step? And `count` pixels of it, dense. */
bool eg__gemm_goes_before(const struct eg_run_step *step);
void eg__gemm_pixels(const struct eg_run *run, const struct eg_run_step *step, const float *in, size_t ld,
                     size_t count, float *out);
/* Tile size m of the Winograd algorithm for this convolution, 0: none. */
unsigned eg__winograd_tile(const struct eg_node *node, struct eg_map in, bool exact);
/* Views of an image, and their mean (step_views.c). */
EG_MUST_CHECK enum eg_status eg__plan_views(struct eg_run *run, struct eg_run_step *step,
                                            const struct eg_node *node, struct eg_error *err);
/* Every other operator. */
EG_MUST_CHECK enum eg_status eg__plan_plain(struct eg_run *run, struct eg_run_step *step,
                                            const struct eg_node *node, struct eg_error *err);

/* Rows [begin, end) of a tensor whose first dimension counts filters, as floats. */
void eg__read_filters(const struct eg_tensor *tensor, size_t begin, size_t end, float *out);
/* A whole tensor as floats of the run's own; NULL: no memory. */
float *eg__read_weights(struct eg_run *run, const struct eg_tensor *tensor);
/* step->bias = bias * scale + shift, whichever there are; NULL if none. */
EG_MUST_CHECK enum eg_status eg__plan_bias(struct eg_run *run, struct eg_run_step *step,
                                           const struct eg_plan_conv *conv, size_t n, struct eg_error *err);

#endif
