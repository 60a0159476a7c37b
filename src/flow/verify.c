/* verify.c: the same input through a network and through another (or what another program made of it),
 * layer by layer: where they part. */
#include <endian.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/half.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/versioned.h"
#include "flow/flow.h"
#include "flow/verify.h"

static const double PARTS = 1e-3;
enum { GROUP_FLOATS = 16 << 20 }; /* values of so many layers are kept at a time */

/* ---- pairs ----------------------------------------------------------------------------------- */

enum eg_status eg__pairs_add(struct eg_layer_pairs *pairs, const struct eg_layer_pair *pair, const char *name,
                             struct eg_error *err)
{
    if (!eg__grow(&pairs->list, &pairs->capacity, pairs->n + 1, sizeof *pairs->list))
        return eg__fail_memory(err, "layers");
    pairs->list[pairs->n] = *pair;
    if (!(pairs->list[pairs->n].name = strdup(name))) return eg__fail_memory(err, "layers");
    pairs->n++;
    return EG_OK;
}

void eg__pairs_release(struct eg_layer_pairs *pairs)
{
    for (size_t i = 0; i < pairs->n; i++) free(pairs->list[i].name);
    free(pairs->list);
    eg__skipped_free(pairs->unmatched, pairs->n_unmatched);
    eg__unmap_file(&pairs->file);
    *pairs = (struct eg_layer_pairs){0};
}

/* ---- input ------------------------------------------------------------------------------------ */

struct inputs {
    float *ours, *others; /* [n][h][w][c]; others: the same, or a photo by the other's own recipe */
    size_t n, count;
};

static void inputs_release(struct inputs *in)
{
    if (in->others != in->ours) free(in->others);
    free(in->ours);
}

static enum eg_status read_arrays(const struct eg_graph *graph, const char *path, struct inputs *in,
                                  struct eg_error *err)
{
    const struct eg_map want = eg__map(graph->nodes[0].shape);
    struct eg_mapping file;
    struct eg_npy_header header;
    const uint8_t *numbers;
    enum eg_status status = eg__map_file(path, &file, err);
    if (status) return status;
    status = eg__npy_view(file.bytes, file.size, &header, &numbers, err);
    const size_t *chw = status ? NULL : header.shape + header.n_dims - 3;
    if (!status && (header.n_dims < 3 || header.n_dims > 4 || chw[0] != want.c || chw[1] != want.h ||
                    chw[2] != want.w || !header.shape[0]))
        status = eg__fail(err, EG_E_SHAPE, "it is not [N][%zu][%zu][%zu], which '%s' takes", want.c, want.h,
                          want.w, graph->name);
    in->n = !status && header.n_dims == 4 ? header.shape[0] : 1;
    if (!status && !(in->ours = eg__alloc(in->n, in->count * sizeof(float))))
        status = eg__fail_memory(err, "the input");
    const size_t plane = want.h * want.w;
    for (size_t i = 0; !status && i < in->n * in->count; i++) {
        size_t image = i / in->count, c = i % in->count / plane, at = i % plane;
        uint32_t bits;
        memcpy(&bits, numbers + i * sizeof bits, sizeof bits);
        in->ours[image * in->count + at * want.c + c] = eg__bits_f32(le32toh(bits));
    }
    eg__unmap_file(&file);
    return status ? eg__fail_within(err, status, "cannot use '%s'", path) : EG_OK;
}

static enum eg_status read_photo(const eg_net *net, const char *path, const struct eg_recipe *recipe,
                                 float **out, size_t count, struct eg_error *err)
{
    struct eg_mapping file;
    const struct eg_map want = eg__map(net->graph->nodes[0].shape);
    if (!recipe)
        return eg__fail_for(err, EG_E_ARGUMENT, EG_REASON_NO_RECIPE,
                            "'%s' does not say how a photo becomes its input", net->graph->name);
    if (recipe->crop[0] != want.h || recipe->crop[1] != want.w || want.c != 3)
        return eg__fail(err, EG_E_SHAPE,
                        "'%s' takes %zux%zu with %zu channels, its recipe gives %zux%zu with 3",
                        net->graph->name, want.h, want.w, want.c, recipe->crop[0], recipe->crop[1]);
    enum eg_status status = eg__map_file(path, &file, err);
    if (status) return status;
    *out = eg__alloc(count, sizeof **out);
    status =
        *out ? eg_image_input(file.bytes, file.size, recipe, *out, err) : eg__fail_memory(err, "the input");
    eg__unmap_file(&file);
    return status ? eg__fail_within(err, status, "cannot use '%s'", path) : EG_OK;
}

static enum eg_status make_noise(struct inputs *in, uint64_t seed, struct eg_error *err)
{
    struct eg_rng rng;
    in->n = 1;
    if (!(in->ours = eg__alloc(in->count, sizeof *in->ours))) return eg__fail_memory(err, "the input");
    eg__rng_init(&rng, seed, 0);
    for (size_t i = 0; i < in->count; i++) in->ours[i] = (float)eg__rng_normal(&rng);
    return EG_OK;
}

static bool is_array(const char *path)
{
    size_t n = strlen(path);
    return n > 4 && !strcmp(path + n - 4, ".npy");
}

static enum eg_status read_inputs(const eg_net *net, const struct eg_verify_options *o, struct inputs *in,
                                  struct eg_error *err)
{
    in->count = eg__shape_count(net->graph->nodes[0].shape);
    if (o->other && !eg__shape_is(net->graph->nodes[0].shape, o->other->graph->nodes[0].shape))
        return eg__fail(err, EG_E_SHAPE, "'%s' and '%s' take inputs of different shapes", net->graph->name,
                        o->other->graph->name);
    enum eg_status status = EG_OK;
    if (!o->input)
        status = make_noise(in, o->seed, err);
    else if (is_array(o->input))
        status = read_arrays(net->graph, o->input, in, err);
    else {
        in->n = 1;
        status = read_photo(net, o->input, eg_net_recipe(net), &in->ours, in->count, err);
        const struct eg_recipe *recipe = o->other ? eg_net_recipe(o->other) : NULL;
        if (!status && recipe) status = read_photo(o->other, o->input, recipe, &in->others, in->count, err);
    }
    if (!in->others) in->others = in->ours;
    return status;
}

/* ---- values of layers -------------------------------------------------------------------------- */

/* Some layers of a graph, each once. */
struct side {
    struct eg_graph *graph;
    struct eg_run *run;
    uint32_t *nodes; /* as asked for, then as in graph */
    float **out;
    size_t n;
};

static void side_release(struct side *side)
{
    for (size_t i = 0; side->out && i < side->n; i++) free(side->out[i]);
    free(side->out);
    free(side->nodes);
    eg__run_free(side->run);
    eg__graph_free(side->graph);
}

static enum eg_status side_init(const eg_net *net, const uint32_t *nodes, size_t n, eg_pool *pool,
                                struct side *side, struct eg_error *err)
{
    side->nodes = eg__alloc(n, sizeof *side->nodes);
    side->out = eg__zalloc(n, sizeof *side->out);
    if (!side->nodes || !side->out) return eg__fail_memory(err, "layers");
    memcpy(side->nodes, nodes, n * sizeof *nodes);
    side->n = n;
    enum eg_status status = eg__graph_keep(net->graph, side->nodes, n, &side->graph, err);
    const struct eg_run_options how = {.max_batch = 1};
    if (!status) status = eg__run_create(side->graph, side->nodes, n, &how, pool, &side->run, err);
    for (size_t i = 0; i < n && !status; i++)
        if (!(side->out[i] = eg__alloc(eg__shape_count(eg__run_shape(side->run, i)), sizeof(float))))
            status = eg__fail_memory(err, "values of layers");
    return status;
}

static void compare_one(struct eg_layer_pair *pair, double ours, double other)
{
    double apart = fabs(ours - other);
    if (!(apart <= pair->apart)) pair->apart = apart; /* NaN too, and it stays */
    if (fabs(other) > pair->largest) pair->largest = fabs(other);
}

/* The i-th number of a value [h][w][c] in an array of another program, image by image. */
static double value_at(const struct eg_layer_pair *pair, struct eg_map shape, size_t image, size_t i)
{
    size_t plane = shape.h * shape.w, count = plane * shape.c, at = i;
    if (pair->values.chw) at = i % shape.c * plane + i / shape.c;
    uint32_t bits;
    memcpy(&bits, pair->values.numbers + (image * count + at) * sizeof bits, sizeof bits);
    return (double)eg__bits_f32(le32toh(bits));
}

/* Pairs first..last-1 on all images. */
static enum eg_status compare_group(const eg_net *net, const struct eg_verify_options *o,
                                    const struct inputs *in, struct eg_layer_pairs *pairs, size_t first,
                                    size_t last, struct eg_error *err)
{
    struct side ours = {0}, others = {0};
    const size_t n = last - first;
    uint32_t *a = eg__alloc(n, sizeof *a), *b = eg__alloc(n, sizeof *b);
    size_t *place = eg__alloc(n, sizeof *place), n_a = 0; /* several arrays may be of one layer */
    enum eg_status status = a && b && place ? EG_OK : eg__fail_memory(err, "layers");
    for (size_t i = 0; i < n && !status; i++) {
        const struct eg_layer_pair *pair = &pairs->list[first + i];
        if (!n_a || a[n_a - 1] != pair->node) a[n_a++] = pair->node;
        place[i] = n_a - 1;
        b[i] = pair->other;
    }
    if (!status) status = side_init(net, a, n_a, o->pool, &ours, err);
    if (!status && o->other) status = side_init(o->other, b, n, o->pool, &others, err);
    for (size_t image = 0; image < in->n && !status; image++) {
        status = eg__run_forward(ours.run, in->ours + image * in->count, 1, ours.out, err);
        if (!status && o->other)
            status = eg__run_forward(others.run, in->others + image * in->count, 1, others.out, err);
        for (size_t i = 0; i < n && !status; i++) {
            struct eg_layer_pair *pair = &pairs->list[first + i];
            const struct eg_shape shape = eg__run_shape(ours.run, place[i]);
            for (size_t k = 0; k < eg__shape_count(shape); k++)
                compare_one(pair, (double)ours.out[place[i]][k],
                            o->other ? (double)others.out[i][k] : value_at(pair, eg__map(shape), image, k));
        }
        if (!status && o->progress &&
            !o->progress(o->user, first * in->n + (image + 1) * n, pairs->n * in->n))
            status = eg__fail(err, EG_E_CANCELLED, "stopped");
    }
    side_release(&ours);
    side_release(&others);
    free(a);
    free(b);
    free(place);
    return status;
}

static enum eg_status compare_all(const eg_net *net, const struct eg_verify_options *o,
                                  const struct inputs *in, struct eg_layer_pairs *pairs, struct eg_error *err)
{
    enum eg_status status = EG_OK;
    for (size_t first = 0, last; first < pairs->n && !status; first = last) {
        size_t floats = 0;
        for (last = first; last < pairs->n && (last == first || floats < GROUP_FLOATS); last++)
            floats += eg__shape_count(net->graph->nodes[pairs->list[last].node].shape);
        status = compare_group(net, o, in, pairs, first, last, err);
    }
    return status;
}

/* ---- the report -------------------------------------------------------------------------------- */

static enum eg_status add_layer(struct eg_verify_report *r, const char *name, const char *other,
                                struct eg_shape shape, double apart, double largest, struct eg_error *err)
{
    struct eg_verified_layer *layer = &r->layers[r->n_layers++];
    layer->name = strdup(name);
    layer->other = strdup(other);
    layer->shape = shape;
    layer->difference = apart == 0 ? 0 : largest > 0 ? apart / largest : INFINITY;
    if (!layer->name || !layer->other) return eg__fail_memory(err, "the report");
    if (!r->parts_at && !(layer->difference <= PARTS)) r->parts_at = layer->name;
    return EG_OK;
}

/* What a photo became for one and for the other, where each has a recipe of its own. */
static enum eg_status add_input(struct eg_verify_report *r, const eg_net *net, const struct inputs *in,
                                struct eg_error *err)
{
    if (in->ours == in->others) return EG_OK;
    struct eg_layer_pair pair = {0};
    for (size_t i = 0; i < in->count; i++) compare_one(&pair, (double)in->ours[i], (double)in->others[i]);
    const struct eg_node *node = &net->graph->nodes[0];
    return add_layer(r, node->name, node->name, node->shape, pair.apart, pair.largest, err);
}

static enum eg_status report(const eg_net *net, const struct inputs *in, struct eg_layer_pairs *pairs,
                             struct eg_verify_report *r, struct eg_error *err)
{
    r->layers = eg__zalloc(pairs->n + 1, sizeof *r->layers);
    if (!r->layers) return eg__fail_memory(err, "the report");
    enum eg_status status = add_input(r, net, in, err);
    for (size_t i = 0; i < pairs->n && !status; i++) {
        const struct eg_layer_pair *pair = &pairs->list[i];
        const struct eg_node *node = &net->graph->nodes[pair->node];
        status = add_layer(r, node->name, pair->name, node->shape, pair->apart, pair->largest, err);
    }
    r->n_images = in->n;
    r->unmatched = pairs->unmatched;
    r->n_unmatched = pairs->n_unmatched;
    pairs->unmatched = NULL;
    pairs->n_unmatched = 0;
    return status;
}

static void release_report(struct eg_verify_report *r)
{
    for (size_t i = 0; i < r->n_layers; i++) {
        free(r->layers[i].name);
        free(r->layers[i].other);
    }
    free(r->layers);
    eg__skipped_free(r->unmatched, r->n_unmatched);
}

void eg_verify_report_free(struct eg_verify_report *r)
{
    if (r) release_report(r);
    free(r);
}

enum eg_status eg_verify(const eg_net *net, const struct eg_verify_options *options,
                         struct eg_verify_report **out, struct eg_error *err)
{
    struct eg_verify_options own, *o = &own;
    enum eg_status status = eg__options(&own, sizeof own, options, err);
    if (status) return status;
    if (!o->other == !o->values || (o->values && !o->input) || (o->layer && !o->values))
        return eg__fail(
            err, EG_E_ARGUMENT,
            "a network is verified by another network, or by values and the input they were made from");
    if (net->height ||
        (o->other && o->other->height)) /* a size that only layers before the last ones can have */
        return eg__fail(err, EG_E_SHAPE,
                        "a network of another input size than its last layers take is not verified");
    struct inputs in = {0};
    struct eg_layer_pairs pairs = {0};
    struct eg_verify_report made = {0};
    double start = eg__seconds();
    status = read_inputs(net, o, &in, err);
    if (!status)
        status = o->other ? eg__pairs_of_nets(net->graph, o->other->graph, &pairs, err)
                          : eg__pairs_of_values(net->graph, o->values, o->layer, in.n, &pairs, err);
    if (!status) status = compare_all(net, o, &in, &pairs, err);
    if (!status) status = report(net, &in, &pairs, &made, err);
    made.seconds = eg__seconds() - start;
    if (!status) status = eg__hand_out(&made, sizeof made, out, err);
    if (status) release_report(&made);
    eg__pairs_release(&pairs);
    inputs_release(&in);
    return status;
}
