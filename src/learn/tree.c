/* Trees of a forest, grown together level by level: what their nodes want to know of a feature is
 * answered feature by feature, so that a column is read into the first cache once for all of them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/pool.h"
#include "base/rng.h"
#include "learn/forest.h"

enum { STREAM_TREE = 401, ALONE = 20000, FETCHED = 32 << 10 };

struct range {
    size_t begin, end;
};

/* A node that is to be split. */
struct open_node {
    struct range bag, along;
    size_t node;    /* in its tree */
    size_t tried;   /* features, all constant here */
    size_t request; /* the first of its requests at this level */
    double weight, squares;
};

struct growing {
    struct eg_tree *tree;
    uint64_t number;
    struct eg_drawn *bag, *spare; /* partitioned as the tree grows */
    uint32_t *along, *along_spare;
    size_t n_bag, n_along;
    uint32_t *features; /* [d] 0, 1, 2 ... between draws */
    struct open_node *open, *next;
    double *total, *next_total; /* [open nodes][n_classes] */
    double *here;               /* [n_classes] */
    size_t n_open, n_next, open_capacity, next_capacity, total_capacity, next_total_capacity;
    size_t node_capacity, leaf_capacity;
    bool no_memory;
};

struct request {
    struct growing *growing;
    size_t open;
    struct eg_split split; /* feature in; out */
};

struct crew {
    const struct eg_tree_task *task;
    uint64_t *votes;
    struct growing *trees;
    size_t n_trees, wanted; /* features at a node */
    struct request *requests;
    size_t n_requests, request_capacity;
    size_t *order, *first; /* [n_requests] by feature; [d + 1] */
    size_t order_capacity;
    struct eg_split_space *spaces; /* [threads] */
};

/* ---- nodes ----------------------------------------------------------------------------- */

static bool add_node(struct growing *g, size_t *node)
{
    struct eg_tree *t = g->tree;
    size_t capacity[4];
    for (int i = 0; i < 4; i++) capacity[i] = g->node_capacity;
    if (!eg__grow(&t->feature, &capacity[0], t->n_nodes + 1, sizeof *t->feature) ||
        !eg__grow(&t->left, &capacity[1], t->n_nodes + 1, sizeof *t->left) ||
        !eg__grow(&t->right, &capacity[2], t->n_nodes + 1, sizeof *t->right) ||
        !eg__grow(&t->rank, &capacity[3], t->n_nodes + 1, sizeof *t->rank))
        return false;
    g->node_capacity = capacity[0];
    *node = t->n_nodes++;
    t->feature[*node] = -1;
    t->left[*node] = t->right[*node] = 0;
    t->rank[*node] = 0;
    return true;
}

static bool add_leaf(const struct crew *crew, struct growing *g, size_t node, struct range along,
                     const double *total, double weight)
{
    struct eg_tree *t = g->tree;
    const size_t k_count = crew->task->n_classes;
    if (!eg__grow(&t->leaf, &g->leaf_capacity, (t->n_leaves + 1) * k_count, sizeof *t->leaf)) return false;
    for (size_t k = 0; k < k_count; k++) {
        t->leaf[t->n_leaves * k_count + k] = (float)(total[k] / weight);
        for (size_t i = along.begin; total[k] > 0 && i < along.end; i++)
            __atomic_fetch_add(&crew->votes[g->along[i] * k_count + k],
                               (uint64_t)(total[k] / weight * 0x1p32), __ATOMIC_RELAXED);
    }
    t->left[node] = (int32_t)t->n_leaves++;
    return true;
}

/* A new node: a leaf where its rows are of one class, else to be split at the next level. */
static bool place(const struct crew *crew, struct growing *g, struct range bag, struct range along,
                  size_t *node)
{
    const size_t k_count = crew->task->n_classes;
    struct open_node open = {.bag = bag, .along = along};
    size_t classes = 0;
    memset(g->here, 0, k_count * sizeof *g->here);
    for (size_t i = bag.begin; i < bag.end; i++) {
        const uint32_t k = g->bag[i].payload >> EG_DRAWN_BITS;
        g->here[k] += (g->bag[i].payload & 255) * crew->task->class_weight[k];
    }
    for (size_t k = 0; k < k_count; k++) {
        open.weight += g->here[k];
        open.squares += g->here[k] * g->here[k];
        classes += g->here[k] > 0;
    }
    if (!add_node(g, node)) return false;
    if (classes < 2) return add_leaf(crew, g, *node, along, g->here, open.weight);
    open.node = *node;
    if (!eg__grow(&g->next, &g->next_capacity, g->n_next + 1, sizeof *g->next) ||
        !eg__grow(&g->next_total, &g->next_total_capacity, (g->n_next + 1) * k_count, sizeof *g->next_total))
        return false;
    memcpy(g->next_total + g->n_next * k_count, g->here, k_count * sizeof *g->here);
    g->next[g->n_next++] = open;
    return true;
}

/* ---- splitting --------------------------------------------------------------------------- */

static uint32_t rank_of(const struct eg_ranks *ranks, uint32_t feature, size_t row)
{
    const size_t at = (size_t)feature * ranks->n + row;
    return ranks->wide ? ((const uint32_t *)ranks->of)[at] : ((const uint16_t *)ranks->of)[at];
}

/* Those up to the rank first, each side in its order. */
static size_t divide_bag(const struct crew *crew, struct growing *g, struct range range,
                         struct eg_split split)
{
    size_t left = range.begin, right = 0;
    for (size_t i = range.begin; i < range.end; i++)
        if (rank_of(crew->task->ranks, split.feature, g->bag[i].row) <= split.rank)
            g->bag[left++] = g->bag[i];
        else
            g->spare[right++] = g->bag[i];
    memcpy(g->bag + left, g->spare, right * sizeof *g->bag);
    return left;
}

static size_t divide_along(const struct crew *crew, struct growing *g, struct range range,
                           struct eg_split split)
{
    size_t left = range.begin, right = 0;
    for (size_t i = range.begin; i < range.end; i++)
        if (rank_of(crew->task->ranks, split.feature, g->along[i]) <= split.rank)
            g->along[left++] = g->along[i];
        else
            g->along_spare[right++] = g->along[i];
    memcpy(g->along + left, g->along_spare, right * sizeof *g->along);
    return left;
}

/* How many features a node asks for now: as many as wanted, and again while all were constant. */
static size_t asked(const struct crew *crew, const struct open_node *open)
{
    const size_t left = crew->task->ranks->d - open->tried;
    return left < crew->wanted ? left : crew->wanted;
}

static bool split_node(const struct crew *crew, struct growing *g, size_t at)
{
    const struct open_node open = g->open[at];
    const double *total = g->total + at * crew->task->n_classes;
    struct eg_split best = {.score = -INFINITY};
    const size_t n = asked(crew, &open);
    for (size_t i = 0; i < n; i++) {
        const struct eg_split *split = &crew->requests[open.request + i].split;
        if (split->score > best.score) best = *split;
    }
    if (!(best.score > -INFINITY)) {
        const size_t k_count = crew->task->n_classes, tried = open.tried + n;
        if (tried == crew->task->ranks->d)
            return add_leaf(crew, g, open.node, open.along, total, open.weight);
        if (!eg__grow(&g->next, &g->next_capacity, g->n_next + 1, sizeof *g->next) ||
            !eg__grow(&g->next_total, &g->next_total_capacity, (g->n_next + 1) * k_count,
                      sizeof *g->next_total))
            return false;
        memcpy(g->next_total + g->n_next * k_count, total, k_count * sizeof *total);
        g->next[g->n_next] = open;
        g->next[g->n_next++].tried = tried;
        return true;
    }
    const size_t bag = divide_bag(crew, g, open.bag, best), along = divide_along(crew, g, open.along, best);
    size_t left, right;
    g->tree->feature[open.node] = (int32_t)best.feature;
    g->tree->rank[open.node] = best.rank;
    if (!place(crew, g, (struct range){open.bag.begin, bag}, (struct range){open.along.begin, along},
               &left) ||
        !place(crew, g, (struct range){bag, open.bag.end}, (struct range){along, open.along.end}, &right))
        return false;
    g->tree->left[open.node] = (int32_t)left;
    g->tree->right[open.node] = (int32_t)right;
    return true;
}

/* ---- a level ------------------------------------------------------------------------------- */

/* Features by chance of the tree and the node alone: the draws of those tried before are made again. */
static void draw_features(const struct crew *crew, struct growing *g, const struct open_node *open)
{
    const size_t d = crew->task->ranks->d, n = open->tried + asked(crew, open);
    size_t swaps[2];
    struct eg_rng rng;
    eg__rng_init(&rng, crew->task->seed, STREAM_TREE + (g->number << 42) + (open->node << 10));
    struct request *requests = crew->requests + open->request;
    for (size_t i = 0; i < n; i++) {
        swaps[0] = i;
        swaps[1] = i + (size_t)eg__rng_below(&rng, d - i);
        const uint32_t f = g->features[swaps[1]];
        g->features[swaps[1]] = g->features[i];
        g->features[i] = f;
        if (i >= open->tried)
            requests[i - open->tried] =
                (struct request){g, (size_t)(open - g->open), {.score = -INFINITY, .feature = f}};
    }
}

static void ask(void *context, size_t tree, unsigned thread)
{
    (void)thread;
    struct crew *crew = context;
    struct growing *g = &crew->trees[tree];
    for (size_t i = 0; i < g->n_open; i++) draw_features(crew, g, &g->open[i]);
}

/* Requests of one feature are of nodes anywhere: what the next ones need is on its way meanwhile. */
static void fetch_ahead(const struct crew *crew, size_t i, size_t end)
{
    if (i + 9 < end) __builtin_prefetch(&crew->requests[crew->order[i + 9]]);
    if (i + 6 < end) {
        const struct request *r = &crew->requests[crew->order[i + 6]];
        __builtin_prefetch(&r->growing->open[r->open]);
    }
    if (i + 3 < end) {
        const struct request *r = &crew->requests[crew->order[i + 3]];
        const struct open_node *open = &r->growing->open[r->open];
        const char *rows = (const char *)(r->growing->bag + open->bag.begin);
        for (size_t line = 0; line < 4; line++) __builtin_prefetch(rows + 64 * line);
        __builtin_prefetch(r->growing->total + r->open * crew->task->n_classes);
    }
}

static void answer(void *context, size_t feature, unsigned thread)
{
    struct crew *crew = context;
    const struct eg_tree_task *t = crew->task;
    const size_t bytes = t->ranks->n * (t->ranks->wide ? 4 : 2);
    const char *column = (const char *)t->ranks->of + feature * bytes;
    /* read at random soon: all of it is asked for before it is needed */
    for (size_t at = 0; crew->first[feature] < crew->first[feature + 1] && at < bytes && at < FETCHED;
         at += 64)
        __builtin_prefetch(column + at);
    for (size_t i = crew->first[feature], end = crew->first[feature + 1]; i < end; i++) {
        struct request *request = &crew->requests[crew->order[i]];
        fetch_ahead(crew, i, end);
        const struct growing *g = request->growing;
        const struct open_node *open = &g->open[request->open];
        const struct eg_node_rows node = {g->bag + open->bag.begin, open->bag.end - open->bag.begin,
                                          g->total + request->open * t->n_classes, open->weight,
                                          open->squares};
        request->split = eg__split_find(t->ranks, (uint32_t)feature, &node, t->class_weight, t->n_classes,
                                        &crew->spaces[thread]);
    }
}

static void split_open(void *context, size_t tree, unsigned thread)
{
    (void)thread;
    const struct crew *crew = context;
    struct growing *g = &crew->trees[tree];
    g->n_next = 0;
    for (size_t i = 0; i < g->n_open && !g->no_memory; i++) g->no_memory = !split_node(crew, g, i);
    struct open_node *open = g->open;
    double *total = g->total;
    size_t capacity = g->open_capacity, total_capacity = g->total_capacity;
    g->open = g->next;
    g->total = g->next_total;
    g->open_capacity = g->next_capacity;
    g->total_capacity = g->next_total_capacity;
    g->n_open = g->n_next;
    g->next = open;
    g->next_total = total;
    g->next_capacity = capacity;
    g->next_total_capacity = total_capacity;
}

/* Requests one node after another, and their order by feature. */
static bool gather_requests(struct crew *crew, size_t *work)
{
    const size_t d = crew->task->ranks->d;
    crew->n_requests = *work = 0;
    for (size_t t = 0; t < crew->n_trees; t++)
        for (size_t i = 0; i < crew->trees[t].n_open; i++) {
            struct open_node *open = &crew->trees[t].open[i];
            open->request = crew->n_requests;
            crew->n_requests += asked(crew, open);
            *work += asked(crew, open) * (open->bag.end - open->bag.begin);
        }
    if (!eg__grow(&crew->requests, &crew->request_capacity, crew->n_requests + 1, sizeof *crew->requests) ||
        !eg__grow(&crew->order, &crew->order_capacity, crew->n_requests + 1, sizeof *crew->order))
        return false;
    memset(crew->first, 0, (d + 1) * sizeof *crew->first);
    return true;
}

static void sort_requests(struct crew *crew)
{
    const size_t d = crew->task->ranks->d;
    for (size_t r = 0; r < crew->n_requests; r++) crew->first[crew->requests[r].split.feature]++;
    for (size_t f = 1; f <= d; f++) crew->first[f] += crew->first[f - 1];
    for (size_t r = crew->n_requests; r-- > 0;)
        crew->order[--crew->first[crew->requests[r].split.feature]] = r;
}

static bool grow_level(struct crew *crew, bool *more, bool *stopped)
{
    size_t work;
    if (!gather_requests(crew, &work)) return false;
    *more = crew->n_requests > 0;
    if (!*more) return true;
    eg_pool *pool = work < ALONE ? NULL : crew->task->pool; /* over before others have woken */
    eg__pool_run(pool, crew->n_trees, ask, crew);
    sort_requests(crew);
    *stopped =
        !eg__pool_run_while(pool, crew->task->ranks->d, answer, crew, crew->task->go_on, crew->task->user);
    if (*stopped) return true;
    eg__pool_run(pool, crew->n_trees, split_open, crew);
    for (size_t t = 0; t < crew->n_trees; t++)
        if (crew->trees[t].no_memory) return false;
    return true;
}

/* ---- beginning and end ----------------------------------------------------------------------- */

/* A bootstrap sample: as many draws as rows inside. */
static void draw_rows(const struct eg_tree_task *t, struct growing *g, uint8_t *drawn)
{
    struct eg_rng rng;
    eg__rng_init(&rng, t->seed, STREAM_TREE + 1 + (g->number << 42));
    memset(drawn, 0, t->ranks->n);
    for (size_t i = 0; i < t->n_inside; i++) {
        size_t row = t->inside[eg__rng_below(&rng, t->n_inside)];
        if (drawn[row] < 255) drawn[row]++;
    }
    for (size_t i = 0; i < t->n_inside; i++) {
        size_t row = t->inside[i];
        if (drawn[row])
            g->bag[g->n_bag++] =
                (struct eg_drawn){(uint32_t)row, (uint32_t)t->labels[row] << EG_DRAWN_BITS | drawn[row]};
        else if (!t->along)
            g->along[g->n_along++] = (uint32_t)row;
    }
    for (size_t i = 0; t->along && i < t->n_along; i++) g->along[g->n_along++] = (uint32_t)t->along[i];
}

static void plant(void *context, size_t tree, unsigned thread)
{
    (void)thread;
    const struct crew *crew = context;
    const struct eg_tree_task *t = crew->task;
    struct growing *g = &crew->trees[tree];
    const size_t n = t->ranks->n;
    uint8_t *drawn = eg__alloc(n, 1);
    g->bag = eg__alloc(n, sizeof *g->bag);
    g->spare = eg__alloc(n, sizeof *g->spare);
    g->along = eg__alloc(n, sizeof *g->along);
    g->along_spare = eg__alloc(n, sizeof *g->along_spare);
    g->features = eg__alloc(t->ranks->d, sizeof *g->features);
    g->here = eg__alloc(t->n_classes, sizeof *g->here);
    g->no_memory = !drawn || !g->bag || !g->spare || !g->along || !g->along_spare || !g->features || !g->here;
    size_t root;
    if (!g->no_memory) {
        for (size_t f = 0; f < t->ranks->d; f++) g->features[f] = (uint32_t)f;
        draw_rows(t, g, drawn);
        g->no_memory = !place(crew, g, (struct range){0, g->n_bag}, (struct range){0, g->n_along}, &root);
    }
    struct open_node *open = g->open; /* what was placed is open now */
    g->open = g->next;
    g->next = open;
    g->total = g->next_total;
    g->next_total = NULL;
    g->open_capacity = g->next_capacity;
    g->total_capacity = g->next_total_capacity;
    g->next_capacity = g->next_total_capacity = 0;
    g->n_open = g->n_next;
    free(drawn);
}

static void growing_free(struct growing *g)
{
    void *const all[] = {g->bag,  g->spare, g->along, g->along_spare, g->features,
                         g->open, g->next,  g->total, g->next_total,  g->here};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

/* Breiman's trees: each grown to pure leaves on a bootstrap sample, at each node the best gini split
 * among sqrt(d) features drawn at random (more as long as all were constant).
 * Cost    sqrt(d) n log n a tree, roughly
 * Source  Breiman, Machine Learning 45 (2001) */
enum eg_status eg__trees_grow(const struct eg_tree_task *task, uint64_t first, size_t count, uint64_t *votes,
                              struct eg_tree *trees, struct eg_error *err)
{
    const size_t d = task->ranks->d;
    const unsigned threads = task->pool ? eg_pool_threads(task->pool) : 1;
    struct crew crew = {
        .task = task, .votes = votes, .n_trees = count, .wanted = (size_t)fmax(1, floor(sqrt((double)d)))};
    crew.trees = eg__zalloc(count, sizeof *crew.trees);
    crew.first = eg__alloc(d + 1, sizeof *crew.first);
    crew.spaces = eg__zalloc(threads, sizeof *crew.spaces);
    bool done = crew.trees && crew.first && crew.spaces, more = true, stopped = false;
    for (unsigned t = 0; done && t < threads; t++)
        done = !eg__split_space_open(task->ranks->n, task->n_classes, &crew.spaces[t], err);
    for (size_t t = 0; done && t < count; t++) {
        trees[t] = (struct eg_tree){0};
        crew.trees[t].tree = &trees[t];
        crew.trees[t].number = first + t;
    }
    if (done) eg__pool_run(task->pool, count, plant, &crew);
    for (size_t t = 0; done && t < count; t++) done = !crew.trees[t].no_memory;
    while (done && more && !stopped) done = grow_level(&crew, &more, &stopped);
    for (size_t t = 0; crew.trees && t < count; t++) growing_free(&crew.trees[t]);
    for (unsigned t = 0; crew.spaces && t < threads; t++) eg__split_space_close(&crew.spaces[t]);
    free(crew.trees);
    free(crew.first);
    free(crew.spaces);
    free(crew.requests);
    free(crew.order);
    if (stopped) return eg__fail(err, EG_E_CANCELLED, "training was stopped");
    return done ? EG_OK : eg__fail_memory(err, "the forest's trees");
}

void eg__tree_free(struct eg_tree *tree)
{
    free(tree->feature);
    free(tree->left);
    free(tree->right);
    free(tree->rank);
    free(tree->threshold);
    free(tree->leaf);
    *tree = (struct eg_tree){0};
}
