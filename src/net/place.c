/* place.c: where values live. Members of a concatenation are made inside it, slices and
 * identities are views, and storages whose lifetimes do not meet share memory. */
#include "net/place.h"

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "net/array.h"

enum {
    ALIGN_FLOATS = 16,
    /* A chunk's largest activation should stay in the last-level cache beside its neighbour. */
    HEAVY_FLOATS = 1 << 18, /* an activation of one image (1 MB) from which steps run in chunks */
    CHUNK_FLOATS = 1 << 21  /* the largest activation of a chunk (8 MB), unless one image has more */
};

static bool passes_on(enum eg_op op) { return op == EG_OP_IDENTITY || op == EG_OP_DROPOUT; }

/* The node whose value `node` passes on. */
static uint32_t maker(const struct eg_graph *graph, uint32_t node)
{
    while (passes_on(graph->nodes[node].op)) node = graph->nodes[node].inputs[0];
    return node;
}

/* All members already lie side by side in one storage (a shorter prefix of a longer
 * concatenation, as in DenseNet)? */
static bool lies_within(const struct eg_run *run, const struct eg_graph *graph, uint32_t concat,
                        const bool *placed)
{
    const struct eg_node *node = &graph->nodes[concat];
    const struct eg_value *first = &run->values[maker(graph, node->inputs[0])];
    size_t channel = first->first;
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        uint32_t member = maker(graph, node->inputs[i]);
        const struct eg_value *v = &run->values[member];
        if (!placed[member] || v->root != first->root || v->first != channel) return false;
        channel += eg__map(v->shape).c;
    }
    return true;
}

static void place_members(struct eg_run *run, const struct eg_graph *graph, uint32_t concat, bool *placed)
{
    const struct eg_node *node = &graph->nodes[concat];
    struct eg_value *whole = &run->values[concat];
    if (!placed[concat] && lies_within(run, graph, concat, placed)) {
        const struct eg_value *first = &run->values[maker(graph, node->inputs[0])];
        whole->root = first->root;
        whole->first = first->first;
        placed[concat] = true;
        return;
    }
    size_t channel = whole->first;
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        uint32_t member = maker(graph, node->inputs[i]);
        struct eg_value *v = &run->values[member];
        enum eg_op op = graph->nodes[member].op;
        if (!placed[member] && op != EG_OP_INPUT && op != EG_OP_SLICE && op != EG_OP_FLATTEN &&
            op != EG_OP_RESHAPE && op != EG_OP_TRANSPOSE) {
            v->root = whole->root;
            v->first = channel;
            placed[member] = true;
        }
        channel += eg__map(v->shape).c;
    }
}

/* h w c of an image in another shape is the same memory when its storage is dense. */
static bool flatten_is_view(const struct eg_run *run, const struct eg_graph *graph, uint32_t node)
{
    const struct eg_value *in = &run->values[graph->nodes[node].inputs[0]];
    const size_t pixels = eg__map(in->shape).h * eg__map(in->shape).w;
    if (pixels == 1) return true;
    return (!graph->nodes[node].order_chw || eg__map(in->shape).c == 1) &&
           eg__map(run->values[in->root].shape).c == eg__map(in->shape).c;
}

static bool moves(enum eg_op op)
{
    return op == EG_OP_SLICE || op == EG_OP_FLATTEN || op == EG_OP_RESHAPE || op == EG_OP_TRANSPOSE;
}

bool eg__place_is_view(const struct eg_run *run, const struct eg_graph *graph, uint32_t node)
{
    enum eg_op op = graph->nodes[node].op;
    if (op == EG_OP_TRANSPOSE) { /* its input's maker writes it */
        const struct eg_value *in = &run->values[graph->nodes[node].inputs[0]];
        if (in->root == node) return true;
    }
    return passes_on(op) || (moves(op) && run->values[node].root != node);
}

bool eg__place_is_member(const struct eg_run *run, uint32_t concat, uint32_t input, size_t first)
{
    const struct eg_value *whole = &run->values[concat], *part = &run->values[input];
    return part->root == whole->root && part->first == whole->first + first;
}

/* The strides of a value, as eg__run_array will give them. */
static struct eg_array array_of(const struct eg_run *run, uint32_t value)
{
    const struct eg_value *v = &run->values[value], *root = &run->values[v->root];
    struct eg_array a = {.rank = v->shape.rank};
    const struct eg_map map = eg__map(v->shape);
    size_t step = 1;
    for (size_t i = a.rank; i-- > 0;) {
        a.dim[i] = v->shape.dim[i];
        a.stride[i] = v->strided ? v->stride[i] : (ptrdiff_t)step;
        step = i + 1 == a.rank ? eg__shape_count(root->shape) / (map.h * map.w) : step * a.dim[i];
    }
    return a;
}

static void see_through_strides(struct eg_run *run, uint32_t value, uint32_t root, size_t first,
                                const struct eg_array *a)
{
    struct eg_value *v = &run->values[value];
    v->root = root;
    v->first = first;
    v->strided = true;
    memcpy(v->stride, a->stride, sizeof v->stride);
}

/* A turned product, that nothing else wants, is written turned. */
static bool written_turned(struct eg_run *run, const struct eg_graph *graph,
                           const struct eg_place_users *users, uint32_t i)
{
    const struct eg_node *node = &graph->nodes[i];
    const uint32_t from = node->inputs[0];
    struct eg_value *in = &run->values[from];
    const size_t rank = node->shape.rank;
    if (!eg__writes_arrays(&graph->nodes[from]) || users->wanted[from] || users->n[from] != 1 ||
        in->root != from || node->order[rank - 1] != rank - 1 || run->values[i].root != i)
        return false;
    struct eg_array dense = array_of(run, i), turned = dense;
    for (size_t k = 0; k < rank; k++) turned.stride[node->order[k]] = dense.stride[k];
    see_through_strides(run, from, i, run->values[i].first, &turned);
    return true;
}

/* Transpose, reshape and slices along other sides than the channels: nothing is moved where all that use
 * the value can read strides. */
static void place_array(struct eg_run *run, const struct eg_graph *graph, const struct eg_place_users *users,
                        uint32_t i)
{
    const struct eg_node *node = &graph->nodes[i];
    if (node->op != EG_OP_TRANSPOSE && node->op != EG_OP_RESHAPE && node->op != EG_OP_SLICE) return;
    const uint32_t from = node->inputs[0];
    const struct eg_value *in = &run->values[from];
    const struct eg_array a = array_of(run, from);
    struct eg_array made = a;
    if (node->op == EG_OP_RESHAPE && !in->strided && in->first == 0 &&
        eg__shape_count(in->shape) == eg__shape_count(run->values[in->root].shape)) {
        run->values[i].root = in->root;
        return;
    }
    if (node->op == EG_OP_TRANSPOSE && written_turned(run, graph, users, i)) return;
    if (!users->by_strides[i]) return;
    size_t first = in->first;
    if (node->op == EG_OP_TRANSPOSE) {
        for (size_t k = 0; k < a.rank; k++) made.stride[k] = a.stride[node->order[k]];
    } else if (node->op == EG_OP_SLICE) {
        first += node->begin * (size_t)a.stride[a.rank - 1 - node->axis];
    } else if (!eg__array_reshape(&a, node->shape, &made)) {
        return;
    }
    see_through_strides(run, i, in->root, first, &made);
}

void eg__place_roots(struct eg_run *run, const struct eg_graph *graph, const bool *needed,
                     const struct eg_place_users *users, bool *placed)
{
    for (uint32_t i = 0; i < graph->n_nodes; i++)
        run->values[i] =
            (struct eg_value){.shape = graph->nodes[i].shape, .root = i, .times = graph->nodes[i].times};
    for (uint32_t i = graph->n_nodes; i-- > 0;) { /* what is the same for all is there as often as asked */
        const struct eg_node *node = &graph->nodes[i];
        if (!run->values[i].times) run->values[i].times = 1;
        for (uint32_t k = 0; k < node->n_inputs; k++)
            if (!graph->nodes[node->inputs[k]].times &&
                run->values[node->inputs[k]].times < run->values[i].times)
                run->values[node->inputs[k]].times = run->values[i].times;
    }
    for (uint32_t i = graph->n_nodes; i-- > 0;)
        if (needed[i] && graph->nodes[i].op == EG_OP_CONCAT && !graph->nodes[i].axis)
            place_members(run, graph, i, placed);
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        const struct eg_node *node = &graph->nodes[i];
        struct eg_value *v = &run->values[i];
        if (needed[i] && (node->op == EG_OP_TRANSPOSE || node->op == EG_OP_RESHAPE || node->axis)) {
            place_array(run, graph, users, i);
            continue;
        }
        if (!passes_on(node->op) && node->op != EG_OP_SLICE &&
            !(node->op == EG_OP_FLATTEN && flatten_is_view(run, graph, i)))
            continue;
        const struct eg_value *in = &run->values[node->inputs[0]];
        v->root = in->root;
        v->first = in->first + (node->op == EG_OP_SLICE ? node->begin : 0);
    }
}

static void touch(struct eg_run *run, uint32_t value, size_t step)
{
    struct eg_value *root = &run->values[run->values[value].root];
    if (root->place == EG_PLACE_NONE) {
        root->place = EG_PLACE_ARENA;
        root->from = step;
    }
    root->to = step;
}

enum eg_status eg__place_outputs(struct eg_run *run, const struct eg_graph *graph, struct eg_error *err)
{
    const uint32_t n_nodes = graph->n_nodes;
    for (uint32_t i = 0; i < run->n_outputs; i++) {
        uint32_t node = run->outputs[i];
        if (node && run->values[node].root == node) continue;
        struct eg_node copy = graph->nodes[node];
        struct eg_run_step *step;
        copy.op = EG_OP_IDENTITY;
        memset(copy.params, 0, sizeof copy.params);
        run->values[n_nodes + i] =
            (struct eg_value){.shape = copy.shape, .root = n_nodes + i, .times = run->values[node].times};
        enum eg_status status = eg__run_add_step(run, &copy, n_nodes + i, &node, 1, &step, err);
        if (!status) status = eg__plan_plain(run, step, &copy, err);
        if (status) return status;
        step->info.name = "copy of an output";
        run->outputs[i] = n_nodes + i;
    }
    for (uint32_t i = 0; i < n_nodes; i++)
        if (run->zeros_count < eg__map(graph->nodes[i].shape).c)
            run->zeros_count = eg__map(graph->nodes[i].shape).c;
    run->zeros = eg__zalloc(run->zeros_count, sizeof(float));
    return run->zeros ? EG_OK : eg__fail_memory(err, "the plan");
}

static size_t storage_floats(const struct eg_run *run, const struct eg_value *root)
{
    size_t floats =
        (root->whole ? run->max_batch : run->chunk_images) * root->times * eg__shape_count(root->shape);
    return (floats + ALIGN_FLOATS - 1) / ALIGN_FLOATS * ALIGN_FLOATS;
}

/* Steps up to the last one that touches a heavy activation run in chunks of a few images; what
 * they leave to later steps is kept for the whole batch. */
static void choose_chunks(struct eg_run *run)
{
    size_t most = 0;
    run->chunk_images = run->max_batch;
    for (uint32_t i = 1; i < run->n_values; i++) {
        const struct eg_value *v = &run->values[i];
        size_t floats = v->times * eg__shape_count(v->shape);
        if (v->place != EG_PLACE_ARENA || floats < HEAVY_FLOATS) continue;
        if (floats > most) most = floats;
        if (run->chunk_steps <= v->to) run->chunk_steps = v->to + 1;
    }
    size_t images = most && CHUNK_FLOATS > most ? CHUNK_FLOATS / most : 1;
    if (!most || images >= run->max_batch)
        run->chunk_steps = 0;
    else
        run->chunk_images = images;
    for (uint32_t i = 0; i < run->n_values; i++) {
        struct eg_value *v = &run->values[i];
        v->whole = i == 0 || v->place == EG_PLACE_USER || v->to >= run->chunk_steps;
        if (!v->whole || v->from >= run->chunk_steps) continue;
        v->from = 0; /* later chunks run their first steps while this holds what earlier ones left */
        if (run->chunk_steps && v->to < run->chunk_steps - 1) v->to = run->chunk_steps - 1;
    }
}

/* The lowest address for `size` floats that no value of list [n] has which lives in from..to. */
static size_t free_address(struct eg_run *run, const uint32_t *list, uint32_t n, size_t size, size_t from,
                           size_t to)
{
    size_t offset = 0;
    for (bool moved = true; moved;) {
        moved = false;
        for (uint32_t j = 0; j < n; j++) {
            const struct eg_value *other = &run->values[list[j]];
            size_t end = other->offset + storage_floats(run, other);
            if (from <= other->to && other->from <= to && offset < end && other->offset < offset + size) {
                offset = end;
                moved = true;
            }
        }
    }
    if (run->arena_count < offset + size) run->arena_count = offset + size;
    return offset;
}

/* Largest first, each at the lowest address free for its whole lifetime; then the scratch
 * of every step, where no value lives that moment. */
static enum eg_status place_arena(struct eg_run *run, struct eg_error *err)
{
    uint32_t *order = eg__alloc(run->n_values, sizeof *order), n = 0;
    if (!order) return eg__fail_memory(err, "the plan");
    for (uint32_t i = 0; i < run->n_values; i++) {
        if (run->values[i].place != EG_PLACE_ARENA) continue;
        uint32_t j = n++;
        for (; j && storage_floats(run, &run->values[order[j - 1]]) < storage_floats(run, &run->values[i]);
             j--)
            order[j] = order[j - 1];
        order[j] = i;
    }
    for (uint32_t i = 0; i < n; i++) {
        struct eg_value *v = &run->values[order[i]];
        v->offset = free_address(run, order, i, storage_floats(run, v), v->from, v->to);
    }
    for (size_t i = 0; i < run->n_steps; i++) {
        struct eg_run_step *step = &run->steps[i];
        if (step->scratch_thread) /* a gap between threads */
            step->scratch_thread =
                (step->scratch_thread + 2 * ALIGN_FLOATS - 1) / ALIGN_FLOATS * ALIGN_FLOATS;
        size_t scratch = run->threads * step->scratch_thread + step->scratch_shared;
        if (scratch) step->scratch_offset = free_address(run, order, n, scratch, i, i);
    }
    free(order);
    return EG_OK;
}

enum eg_status eg__place_values(struct eg_run *run, struct eg_error *err)
{
    enum eg_status status;
    for (size_t i = 0; i < run->n_steps; i++) {
        struct eg_run_step *step = &run->steps[i];
        for (uint32_t j = 0; j < step->n_inputs; j++) {
            touch(run, step->inputs[j], i);
            run->input_float |= run->values[step->inputs[j]].root == 0 && !step->reads_pixels;
        }
        if (step->residual != EG_NO_VALUE) {
            touch(run, step->residual, i);
            run->input_float |= run->values[step->residual].root == 0;
        }
        touch(run, step->output, i);
    }
    for (uint32_t i = 0; i < run->n_outputs; i++) {
        struct eg_value *v = &run->values[run->outputs[i]];
        v->place = EG_PLACE_USER;
        v->offset = i;
    }
    run->values[0].from = 0;
    if (!run->input_float || eg__map(run->values[0].shape).c != 3) run->values[0].place = EG_PLACE_INPUT;
    choose_chunks(run);
    if ((status = place_arena(run, err))) return status;
    if (run->values[0].place == EG_PLACE_ARENA) {
        run->input_offset = run->values[0].offset;
        run->values[0].place = EG_PLACE_INPUT;
    }
    run->arena = eg__alloc(run->arena_count, sizeof(float));
    return run->arena ? EG_OK : eg__fail_memory(err, "activations (use a smaller batch)");
}
