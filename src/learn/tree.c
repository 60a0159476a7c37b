/* One tree of a forest: exact splits on float32 values, found in columns of the matrix. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/half.h"
#include "base/mem.h"
#include "base/rng.h"
#include "learn/forest.h"

enum { INSERTION_MOST = 24, STREAM_TREE = 401, WEIGHT_BITS = 8, AHEAD = 4 };

struct range {
    size_t begin, end;
};

struct pending {
    struct range bag, along;
    size_t parent;
    bool is_right;
};

struct growth {
    const struct eg_tree_task *task;
    struct eg_rng rng;
    size_t *bag, *along, n_bag, n_along; /* row numbers, partitioned as the tree grows */
    uint8_t *drawn;                      /* [n] how often each row was drawn, at most 255 */
    uint32_t *payload;                   /* [n] class and drawn, the lower half of a key */
    uint32_t *features;                  /* [d] a permutation, shuffled as far as needed */
    uint64_t *keys, *spare;              /* [n_bag] value (ordered bits), class, weight */
    double *left, *right, *total;        /* [n_classes] */
    struct pending *stack;
    size_t stack_capacity, node_capacity, leaf_capacity;
    struct eg_tree *tree;
};

static uint32_t ordered(float x)
{
    uint32_t bits = eg__f32_bits(x + 0.0f); /* one zero only */
    return bits ^ (bits >> 31 ? 0xffffffffu : 0x80000000u);
}

static float from_ordered(uint32_t key)
{
    return eg__bits_f32(key ^ (key >> 31 ? 0x80000000u : 0xffffffffu));
}

/* By the upper 32 bits: insertion for few, else radix by bytes, leaving out bytes all share. */
static void sort_keys(uint64_t *keys, uint64_t *spare, size_t n)
{
    if (n <= INSERTION_MOST) {
        for (size_t i = 1; i < n; i++) {
            uint64_t key = keys[i];
            size_t j = i;
            for (; j && keys[j - 1] > key; j--) keys[j] = keys[j - 1];
            keys[j] = key;
        }
        return;
    }
    uint32_t count[4][256] = {{0}};
    for (size_t i = 0; i < n; i++)
        for (int b = 0; b < 4; b++) count[b][keys[i] >> (32 + 8 * b) & 255]++;
    uint64_t *from = keys, *to = spare;
    for (int b = 0; b < 4; b++) {
        uint32_t at = 0;
        if (count[b][from[0] >> (32 + 8 * b) & 255] == n) continue;
        for (int v = 0; v < 256; v++) {
            uint32_t here = count[b][v];
            count[b][v] = at;
            at += here;
        }
        for (size_t i = 0; i < n; i++) to[count[b][from[i] >> (32 + 8 * b) & 255]++] = from[i];
        uint64_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != keys) memcpy(keys, from, n * sizeof *keys);
}

struct split {
    uint32_t feature;
    float threshold;
    double score; /* sum of squares / weight, left + right: the larger the purer */
};

/* Left and right of the threshold that a scan over sorted values has come to. */
struct scan {
    double weight, left_weight, left_squares, right_squares;
    uint32_t previous;
    bool any;
};

static void consider(struct scan *scan, uint32_t value, uint32_t feature, struct split *best)
{
    if (scan->any && value != scan->previous) {
        double score =
            scan->left_squares / scan->left_weight + scan->right_squares / (scan->weight - scan->left_weight);
        if (score > best->score) {
            float low = from_ordered(scan->previous), high = from_ordered(value);
            float middle = low / 2 + high / 2;
            *best = (struct split){feature, middle >= low && middle < high ? middle : low, score};
        }
    }
    scan->previous = value;
    scan->any = true;
}

static void scan_keys(struct growth *g, const uint64_t *keys, size_t n, uint32_t feature, struct scan *scan,
                      struct split *best)
{
    for (size_t i = 0; i < n; i++) {
        consider(scan, (uint32_t)(keys[i] >> 32), feature, best);
        size_t k = (uint32_t)keys[i] >> WEIGHT_BITS;
        double w = (double)(keys[i] & 255) * g->task->class_weight[k];
        scan->left_squares += w * (2 * g->left[k] + w);
        scan->right_squares -= w * (2 * g->right[k] - w);
        g->left[k] += w;
        g->right[k] -= w;
        scan->left_weight += w;
    }
}

/* The best threshold of one feature; false if it is constant here. Rows of value zero, most of
 * all behind a ReLU, are neither sorted nor looked at: they are what the others leave. */
static bool try_feature(struct growth *g, struct range range, uint32_t f, double weight, double squares,
                        struct split *best)
{
    const struct eg_tree_task *t = g->task;
    const float *column = t->columns + (size_t)f * t->n;
    const size_t n = range.end - range.begin;
    size_t below = 0, above = n;
    struct scan scan = {.weight = weight, .right_squares = squares};
    for (size_t i = range.begin; i < range.end; i++) {
        size_t row = g->bag[i];
        float x = column[row];
        if (x == 0) continue;
        uint64_t key = (uint64_t)ordered(x) << 32 | g->payload[row];
        if (x < 0)
            g->keys[below++] = key;
        else
            g->keys[--above] = key;
    }
    if (above - below == n) return false;
    sort_keys(g->keys, g->spare, below);
    sort_keys(g->keys + above, g->spare, n - above);
    if (below == n || above == 0)
        if (g->keys[0] >> 32 == g->keys[n - 1] >> 32) return false;
    memset(g->left, 0, t->n_classes * sizeof *g->left);
    memcpy(g->right, g->total, t->n_classes * sizeof *g->right);
    scan_keys(g, g->keys, below, f, &scan, best);
    if (above > below) {
        consider(&scan, ordered(0), f, best);
        memset(g->right, 0, t->n_classes * sizeof *g->right);
        for (size_t i = above; i < n; i++) {
            size_t k = (uint32_t)g->keys[i] >> WEIGHT_BITS;
            g->right[k] += (double)(g->keys[i] & 255) * t->class_weight[k];
        }
        scan.left_weight = scan.left_squares = scan.right_squares = 0;
        for (size_t k = 0; k < t->n_classes; k++) {
            g->left[k] = g->total[k] - g->right[k];
            scan.left_weight += g->left[k];
            scan.left_squares += g->left[k] * g->left[k];
            scan.right_squares += g->right[k] * g->right[k];
        }
    }
    scan_keys(g, g->keys + above, n - above, f, &scan, best);
    return true;
}

static size_t divide(const struct growth *g, size_t *rows, struct range range, const struct split *split)
{
    const float *column = g->task->columns + (size_t)split->feature * g->task->n;
    size_t middle = range.begin;
    for (size_t i = range.begin; i < range.end; i++) {
        size_t row = rows[i];
        if (!(column[row] <= split->threshold)) continue;
        rows[i] = rows[middle];
        rows[middle++] = row;
    }
    return middle;
}

static bool add_node(struct growth *g, struct pending *from, size_t *node)
{
    struct eg_tree *t = g->tree;
    size_t capacity[5];
    for (int i = 0; i < 5; i++) capacity[i] = g->node_capacity;
    if (!eg__grow(&t->feature, &capacity[0], t->n_nodes + 1, sizeof *t->feature) ||
        !eg__grow(&t->left, &capacity[1], t->n_nodes + 1, sizeof *t->left) ||
        !eg__grow(&t->right, &capacity[2], t->n_nodes + 1, sizeof *t->right) ||
        !eg__grow(&t->threshold, &capacity[3], t->n_nodes + 1, sizeof *t->threshold) ||
        !eg__grow(&t->gain, &capacity[4], t->n_nodes + 1, sizeof *t->gain))
        return false;
    g->node_capacity = capacity[0];
    *node = t->n_nodes++;
    t->feature[*node] = -1;
    t->left[*node] = t->right[*node] = 0;
    t->threshold[*node] = t->gain[*node] = 0;
    if (*node) (from->is_right ? t->right : t->left)[from->parent] = (int32_t)*node;
    return true;
}

static bool add_leaf(struct growth *g, size_t node, struct range along, double weight, uint64_t *votes)
{
    struct eg_tree *t = g->tree;
    const size_t k_count = g->task->n_classes;
    if (!eg__grow(&t->leaf, &g->leaf_capacity, (t->n_leaves + 1) * k_count, sizeof *t->leaf)) return false;
    for (size_t k = 0; k < k_count; k++) t->leaf[t->n_leaves * k_count + k] = (float)(g->total[k] / weight);
    for (size_t i = along.begin; i < along.end; i++)
        for (size_t k = 0; k < k_count; k++)
            if (g->total[k] > 0)
                __atomic_fetch_add(&votes[g->along[i] * k_count + k],
                                   (uint64_t)(g->total[k] / weight * 0x1p32), __ATOMIC_RELAXED);
    t->left[node] = (int32_t)t->n_leaves++;
    return true;
}

static uint32_t draw_feature(struct growth *g, size_t i)
{
    size_t j = i + (size_t)eg__rng_below(&g->rng, g->task->d - i);
    uint32_t f = g->features[j];
    g->features[j] = g->features[i];
    g->features[i] = f;
    return f;
}

/* A node's values of a feature lie anywhere in memory: ask for them before they are needed. */
static void fetch_ahead(const struct growth *g, struct range bag, uint32_t f)
{
    const float *column = g->task->columns + (size_t)f * g->task->n;
    for (size_t i = bag.begin; i < bag.end; i++) __builtin_prefetch(&column[g->bag[i]]);
}

/* sqrt(d) features, and more as long as all were constant. */
static struct split find_split(struct growth *g, struct range bag, double weight, double squares)
{
    const size_t d = g->task->d, wanted = (size_t)fmax(1, floor(sqrt((double)d)));
    struct split best = {0, 0, -INFINITY};
    for (size_t i = 0; i < wanted; i++) draw_feature(g, i);
    for (size_t i = 0, valid = 0; i < d && (i < wanted || !valid); i++) {
        if (i >= wanted) draw_feature(g, i);
        if (i + AHEAD < wanted) fetch_ahead(g, bag, g->features[i + AHEAD]);
        valid += try_feature(g, bag, g->features[i], weight, squares, &best);
    }
    return best;
}

static bool grow(struct growth *g, uint64_t *votes)
{
    const struct eg_tree_task *t = g->task;
    size_t n_stack = 1;
    g->stack[0] = (struct pending){.bag = {0, g->n_bag}, .along = {0, g->n_along}};
    while (n_stack) {
        struct pending p = g->stack[--n_stack];
        double weight = 0, squares = 0;
        size_t node, classes = 0;
        memset(g->total, 0, t->n_classes * sizeof *g->total);
        for (size_t i = p.bag.begin; i < p.bag.end; i++) {
            size_t row = g->bag[i];
            g->total[t->labels[row]] += g->drawn[row] * t->class_weight[t->labels[row]];
        }
        for (size_t k = 0; k < t->n_classes; k++) {
            weight += g->total[k];
            squares += g->total[k] * g->total[k];
            classes += g->total[k] > 0;
        }
        if (!add_node(g, &p, &node)) return false;
        struct split split = {0, 0, -INFINITY};
        if (classes > 1) split = find_split(g, p.bag, weight, squares);
        if (!(split.score > -INFINITY)) {
            if (!add_leaf(g, node, p.along, weight, votes)) return false;
            continue;
        }
        g->tree->feature[node] = (int32_t)split.feature;
        g->tree->threshold[node] = split.threshold;
        g->tree->gain[node] = (float)(split.score - squares / weight);
        size_t bag = divide(g, g->bag, p.bag, &split), along = divide(g, g->along, p.along, &split);
        if (!eg__grow(&g->stack, &g->stack_capacity, n_stack + 2, sizeof *g->stack)) return false;
        g->stack[n_stack++] = (struct pending){
            .bag = {bag, p.bag.end}, .along = {along, p.along.end}, .parent = node, .is_right = true};
        g->stack[n_stack++] =
            (struct pending){.bag = {p.bag.begin, bag}, .along = {p.along.begin, along}, .parent = node};
    }
    return true;
}

/* A bootstrap sample: as many draws as rows inside. */
static void draw(struct growth *g)
{
    const struct eg_tree_task *t = g->task;
    for (size_t i = 0; i < t->n_inside; i++) {
        size_t row = t->inside[eg__rng_below(&g->rng, t->n_inside)];
        if (g->drawn[row] < 255) g->drawn[row]++;
    }
    for (size_t i = 0; i < t->n_inside; i++) {
        size_t row = t->inside[i];
        g->payload[row] = (uint32_t)t->labels[row] << WEIGHT_BITS | g->drawn[row];
        if (g->drawn[row])
            g->bag[g->n_bag++] = row;
        else if (!t->along)
            g->along[g->n_along++] = row;
    }
    for (size_t i = 0; t->along && i < t->n_along; i++) g->along[g->n_along++] = t->along[i];
}

/* Breiman's tree: grown to pure leaves on a bootstrap sample, at each node the best gini split
 * among sqrt(d) features drawn at random, thresholds half way between neighbouring values.
 * Cost    sqrt(d) n log n, roughly
 * Source  Breiman, Machine Learning 45 (2001) */
enum eg_status eg__tree_grow(const struct eg_tree_task *task, uint64_t *votes, struct eg_tree *tree,
                             struct eg_error *err)
{
    struct eg_tree made = {0};
    struct growth g = {.task = task, .tree = &made, .stack_capacity = 64};
    eg__rng_init(&g.rng, task->seed, STREAM_TREE + (task->number << 10));
    g.bag = eg__alloc(task->n, sizeof *g.bag);
    g.along = eg__alloc(task->n, sizeof *g.along);
    g.drawn = eg__zalloc(task->n, 1);
    g.payload = eg__alloc(task->n, sizeof *g.payload);
    g.features = eg__alloc(task->d, sizeof *g.features);
    g.keys = eg__alloc(task->n, sizeof *g.keys);
    g.spare = eg__alloc(task->n, sizeof *g.spare);
    g.left = eg__alloc(task->n_classes, sizeof *g.left);
    g.right = eg__alloc(task->n_classes, sizeof *g.right);
    g.total = eg__alloc(task->n_classes, sizeof *g.total);
    g.stack = malloc(g.stack_capacity * sizeof *g.stack);
    bool done = g.bag && g.along && g.drawn && g.payload && g.features && g.keys && g.spare && g.left &&
                g.right && g.total && g.stack;
    if (done) {
        for (size_t f = 0; f < task->d; f++) g.features[f] = (uint32_t)f;
        draw(&g);
        done = grow(&g, votes);
    }
    free(g.bag);
    free(g.along);
    free(g.drawn);
    free(g.payload);
    free(g.features);
    free(g.keys);
    free(g.spare);
    free(g.left);
    free(g.right);
    free(g.total);
    free(g.stack);
    if (!done) {
        eg__tree_free(&made);
        return eg__fail_memory(err, "a tree");
    }
    *tree = made;
    return EG_OK;
}

void eg__tree_free(struct eg_tree *tree)
{
    free(tree->feature);
    free(tree->left);
    free(tree->right);
    free(tree->threshold);
    free(tree->gain);
    free(tree->leaf);
    *tree = (struct eg_tree){0};
}
