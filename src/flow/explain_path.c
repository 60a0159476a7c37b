/* explain_path.c: from the scores back to the map that they are made of, and the two ways forward. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "flow/explain.h"
#include "net/tape.h"

/* ---- what the score is ---------------------------------------------------------------------- */

/* Past what turns scores into probabilities: a softmax, or each class's sigmoid over their sum. */
static uint32_t find_score(const struct eg_graph *graph)
{
    uint32_t at = graph->output;
    for (;;) {
        const struct eg_node *node = &graph->nodes[at];
        switch (node->op) {
        case EG_OP_DIV:
        case EG_OP_MAX:
        case EG_OP_IDENTITY:
        case EG_OP_FLATTEN: at = node->inputs[0]; continue;
        case EG_OP_SOFTMAX:
        case EG_OP_SIGMOID: return node->inputs[0];
        default: return graph->output;
        }
    }
}

static bool is_spatial(const struct eg_node *node)
{
    return node->shape.rank == 3 && node->shape.dim[0] * node->shape.dim[1] > 1;
}

/* The last map that all of the score comes from. */
static enum eg_status find_map(struct eg_score_path *path, struct eg_error *err)
{
    const struct eg_graph *graph = path->graph;
    struct eg_graph *kept = NULL, *rest = NULL;
    uint32_t score = path->score;
    enum eg_status status = eg__graph_keep(graph, &score, 1, &kept, err);
    if (status) return status;
    uint32_t at = score + 1;
    while (at-- > 1)
        if (is_spatial(&kept->nodes[at]) && !eg__graph_rest(kept, at, &rest, NULL)) break;
    if (!rest)
        status = eg__fail(err, EG_E_UNSUPPORTED,
                          "'%s' has no map of positions that its whole answer comes from", graph->name);
    else
        status = eg__graph_find(graph, kept->nodes[at].name, &path->map, err);
    eg__graph_free(rest);
    eg__graph_free(kept);
    return status;
}

/* ---- is it a sum over positions? ------------------------------------------------------------ */

/* Going back from the scores: score_k = w_k . v + b_k, v the value of node `at`; before a LINEAR w is
 * diagonal. */
struct walk {
    struct eg_score_path *path;
    uint32_t at;
    bool failed; /* no memory */
    float *diagonal;
};

static float *read_constant(const struct eg_tensor *tensor, size_t n)
{
    size_t count = eg__tensor_count(tensor);
    float *values = count == n || count == 1 ? eg__alloc(n, sizeof *values) : NULL;
    if (!values) return NULL;
    eg__tensor_read(tensor, values);
    for (size_t i = count; i < n; i++) values[i] = values[0];
    return values;
}

/* v = v' op constant, a number or one for each value. */
static bool undo_constant(struct walk *walk, const struct eg_node *node)
{
    struct eg_score_path *p = walk->path;
    size_t n = p->w ? p->d : p->k;
    if (!node->params[0] || node->n_inputs != 1 || eg__shape_count(node->shape) != n || node->swapped)
        return false;
    float *c = read_constant(node->params[0], n);
    if (!c) return false;
    float sign = node->op == EG_OP_SUB ? -1.0f : 1.0f;
    for (size_t k = 0; k < p->k; k++)
        for (size_t i = p->w ? 0 : k; i < (p->w ? n : k + 1); i++) {
            float *w = p->w ? &p->w[k * n + i] : &walk->diagonal[k];
            if (node->op == EG_OP_MUL)
                *w *= c[i];
            else if (node->op == EG_OP_DIV)
                *w /= c[i];
            else
                p->b[k] += (double)*w * (double)(sign * c[i]);
        }
    free(c);
    return true;
}

static bool undo_linear(struct walk *walk, const struct eg_node *node)
{
    struct eg_score_path *p = walk->path;
    const struct eg_tensor *weight = node->params[0], *bias = node->params[1];
    if (p->w || !weight || weight->rank != 2 || weight->dim[0] != p->k) return false;
    float *b = bias ? read_constant(bias, p->k) : NULL;
    p->d = weight->dim[1];
    p->w = eg__alloc(p->k, p->d * sizeof *p->w);
    walk->failed = !p->w || (bias && !b);
    if (!walk->failed) eg__tensor_read(weight, p->w);
    for (size_t k = 0; k < p->k && !walk->failed; k++) {
        if (b) p->b[k] += (double)walk->diagonal[k] * (double)b[k];
        for (size_t i = 0; i < p->d; i++) p->w[k * p->d + i] *= walk->diagonal[k];
    }
    free(b);
    return !walk->failed;
}

/* The head's own scaling (learn/head.c): back to the row it scales. */
static bool undo_scale(struct walk *walk, const char *scale)
{
    const struct eg_graph *graph = walk->path->graph;
    const struct eg_node *node = &graph->nodes[walk->at];
    if (!scale || node->n_inputs != 2 || walk->path->scale != EG_ROW_PLAIN) return false;
    if (!strcmp(scale, "unit")) {
        walk->path->scale = EG_ROW_UNIT;
        walk->at = node->inputs[0];
        return true;
    }
    if (strcmp(scale, "root")) return false;
    static const enum eg_op back[] = {EG_OP_MUL, EG_OP_SQRT, EG_OP_ABS};
    uint32_t at = node->inputs[0];
    for (size_t i = 0; i < 3; i++) {
        if (graph->nodes[at].op != back[i]) return false;
        at = graph->nodes[at].inputs[0];
    }
    walk->path->scale = EG_ROW_ROOT;
    walk->at = at;
    return true;
}

static bool is_whole_average(const struct eg_node *node, const struct eg_node *input)
{
    const struct eg_window *w = &node->window;
    if (!is_spatial(input) || eg__shape_count(node->shape) != input->shape.dim[2]) return false;
    if (node->op == EG_OP_GLOBAL_AVG || node->op == EG_OP_ADAPTIVE_POOL) return true;
    return node->op == EG_OP_AVG_POOL && w->kernel_h == input->shape.dim[0] &&
           w->kernel_w == input->shape.dim[1] && !w->pad_top && !w->pad_left && !w->pad_bottom &&
           !w->pad_right;
}

/* Scores that are averages themselves: a weight of one for each. */
static bool make_diagonal(struct walk *walk)
{
    struct eg_score_path *p = walk->path;
    if (p->w) return true;
    p->d = p->k;
    p->w = eg__zalloc(p->k * p->k, sizeof *p->w);
    walk->failed = !p->w;
    for (size_t k = 0; p->w && k < p->k; k++) p->w[k * p->k + k] = walk->diagonal[k];
    return p->w;
}

/* True: the map is found, and the scores are sums over it. */
static bool walk_back(struct walk *walk, const char *scale)
{
    struct eg_score_path *p = walk->path;
    for (;;) {
        const struct eg_node *node = &p->graph->nodes[walk->at];
        if (!node->n_inputs) return false;
        const struct eg_node *input = &p->graph->nodes[node->inputs[0]];
        if (is_whole_average(node, input) || (node->op == EG_OP_FLATTEN && is_spatial(input))) {
            p->averaged = node->op != EG_OP_FLATTEN;
            p->chw = node->order_chw;
            p->map = node->inputs[0];
            return make_diagonal(walk) &&
                   p->d == (p->averaged ? input->shape.dim[2] : eg__shape_count(input->shape));
        }
        bool undone = true;
        switch (node->op) {
        case EG_OP_FLATTEN:
        case EG_OP_IDENTITY:
        case EG_OP_DROPOUT: break;
        case EG_OP_LINEAR: undone = undo_linear(walk, node); break;
        case EG_OP_DIV:
            if (undo_scale(walk, scale)) continue;
            undone = undo_constant(walk, node);
            break;
        case EG_OP_ADD:
        case EG_OP_SUB:
        case EG_OP_MUL: undone = undo_constant(walk, node); break;
        default: undone = false;
        }
        if (!undone) return false;
        walk->at = node->inputs[0];
    }
}

enum eg_status eg__score_path(const struct eg_graph *graph, const char *scale, bool odds,
                              struct eg_score_path *out, struct eg_error *err)
{
    struct eg_score_path path = {.graph = graph, .score = find_score(graph)};
    path.k = eg__shape_count(graph->nodes[path.score].shape);
    path.odds = odds && path.k == 2;
    path.b = eg__zalloc(path.k, sizeof *path.b);
    struct walk walk = {.path = &path, .at = path.score};
    walk.diagonal = eg__alloc(path.k, sizeof *walk.diagonal);
    enum eg_status status = path.b && walk.diagonal ? EG_OK : eg__fail_memory(err, "the scores");
    for (size_t k = 0; k < path.k && !status; k++) walk.diagonal[k] = 1;
    if (!status) path.exact = walk_back(&walk, scale);
    if (!status && walk.failed) status = eg__fail_memory(err, "the scores");
    if (!status && !path.exact) status = find_map(&path, err);
    free(walk.diagonal);
    if (status)
        eg__score_path_release(&path);
    else
        *out = path;
    return status;
}

void eg__score_path_release(struct eg_score_path *path)
{
    free(path->w);
    free(path->b);
    *path = (struct eg_score_path){0};
}

/* ---- the exact map ------------------------------------------------------------------------------ */

/* Which value of the row is channel c at position (y, x)? */
static size_t place(const struct eg_score_path *path, struct eg_map m, size_t position, size_t c)
{
    if (path->averaged) return c;
    return path->chw ? c * m.h * m.w + position : position * m.c + c;
}

static void make_row(const struct eg_score_path *path, const float *values, struct eg_map m, double *x)
{
    size_t n = m.h * m.w;
    for (size_t i = 0; i < path->d; i++) x[i] = 0;
    for (size_t p = 0; p < n; p++)
        for (size_t c = 0; c < m.c; c++)
            x[place(path, m, p, c)] += (double)values[p * m.c + c] / (path->averaged ? (double)n : 1);
}

/* gain [d]: the score is gain . x + bias at this photo. */
static void find_gains(const struct eg_score_path *path, const double *x, size_t k, double *gain)
{
    const float *w = path->w + k * path->d, *other = path->w + (1 - k) * path->d;
    double norm = 0;
    for (size_t i = 0; i < path->d; i++) norm += path->scale == EG_ROW_UNIT ? x[i] * x[i] : fabs(x[i]);
    norm = path->scale == EG_ROW_PLAIN ? 1 : sqrt(fmax(norm, 1e-30)); /* the head's own floor */
    for (size_t i = 0; i < path->d; i++) {
        gain[i] = ((double)w[i] - (path->odds ? (double)other[i] : 0)) / norm;
        if (path->scale == EG_ROW_ROOT) gain[i] = x[i] != 0 ? gain[i] / sqrt(fabs(x[i])) : 0;
    }
}

enum eg_status eg__exact_map(const struct eg_score_path *path, const float *values, size_t k, float *out,
                             double *score, double *bias, struct eg_error *err)
{
    struct eg_map m = eg__map(path->graph->nodes[path->map].shape);
    size_t n = m.h * m.w;
    double *x = eg__alloc(2 * path->d, sizeof *x), *gain = x ? x + path->d : NULL;
    if (!x) return eg__fail_memory(err, "a map");
    make_row(path, values, m, x);
    find_gains(path, x, k, gain);
    *bias = path->b[k] - (path->odds ? path->b[1 - k] : 0);
    *score = *bias;
    for (size_t p = 0; p < n; p++) {
        double sum = 0;
        for (size_t c = 0; c < m.c; c++) sum += gain[place(path, m, p, c)] * (double)values[p * m.c + c];
        if (path->averaged) sum /= (double)n;
        out[p] = (float)sum;
        *score += sum;
    }
    free(x);
    return EG_OK;
}

/* ---- Grad-CAM --------------------------------------------------------------------------------------- */

struct eg_grad_cam {
    struct eg_graph *rest;
    struct eg_tape *tape;
    struct eg_map map;
    bool odds, *trainable;
    size_t k;
    float *seed;
};

void eg__grad_cam_free(struct eg_grad_cam *cam)
{
    if (!cam) return;
    eg__tape_free(cam->tape);
    eg__graph_free(cam->rest);
    free(cam->trainable);
    free(cam->seed);
    free(cam);
}

static enum eg_status plan_cam(struct eg_grad_cam *cam, const struct eg_score_path *path, eg_pool *pool,
                               struct eg_error *err)
{
    struct eg_graph *kept = NULL;
    uint32_t nodes[] = {path->map, path->score};
    enum eg_status status = eg__graph_keep(path->graph, nodes, 2, &kept, err);
    if (status) return status;
    kept->label_output = 0;
    status = eg__graph_rest(kept, nodes[0], &cam->rest, err);
    eg__graph_free(kept);
    if (status) return status;
    for (uint32_t i = 0; i < cam->rest->n_nodes; i++) /* as when it answers */
        if (cam->rest->nodes[i].op == EG_OP_DROPOUT) cam->rest->nodes[i].op = EG_OP_IDENTITY;
    cam->trainable = eg__zalloc(cam->rest->n_nodes, sizeof *cam->trainable);
    cam->seed = eg__zalloc(path->k, sizeof *cam->seed);
    if (!cam->trainable || !cam->seed) return eg__fail_memory(err, "a map");
    struct eg_tape_options options = {.max_batch = 1, .trainable = cam->trainable, .of_input = true};
    return eg__tape_create(cam->rest, &options, pool, &cam->tape, err);
}

enum eg_status eg__grad_cam_create(const struct eg_score_path *path, eg_pool *pool, struct eg_grad_cam **out,
                                   struct eg_error *err)
{
    struct eg_grad_cam *cam = eg__zalloc(1, sizeof *cam);
    if (!cam) return eg__fail_memory(err, "a map");
    cam->map = eg__map(path->graph->nodes[path->map].shape);
    cam->odds = path->odds;
    cam->k = path->k;
    enum eg_status status = plan_cam(cam, path, pool, err);
    if (status)
        eg__grad_cam_free(cam);
    else
        *out = cam;
    return status;
}

enum eg_status eg__grad_cam(struct eg_grad_cam *cam, const float *values, size_t k, float *out, double *score,
                            struct eg_error *err)
{
    const float *scores;
    size_t n = cam->map.h * cam->map.w, c = cam->map.c;
    enum eg_status status = eg__tape_forward(cam->tape, &values, 1, true, 0, &scores, err);
    if (status) return status;
    *score = (double)scores[k] - (cam->odds ? (double)scores[1 - k] : 0);
    memset(cam->seed, 0, cam->k * sizeof *cam->seed);
    if (cam->odds) cam->seed[1 - k] = -1;
    cam->seed[k] = 1;
    status = eg__tape_backward(cam->tape, cam->seed, err);
    if (status) return status;
    const float *gradient = eg__tape_input_gradient(cam->tape);
    double *weight = eg__zalloc(c, sizeof *weight);
    if (!weight) return eg__fail_memory(err, "a map");
    for (size_t p = 0; p < n; p++)
        for (size_t i = 0; i < c; i++) weight[i] += (double)gradient[p * c + i] / (double)n;
    for (size_t p = 0; p < n; p++) {
        double sum = 0;
        for (size_t i = 0; i < c; i++) sum += weight[i] * (double)values[p * c + i];
        out[p] = sum > 0 ? (float)sum : 0;
    }
    free(weight);
    return EG_OK;
}
