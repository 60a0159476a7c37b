/* Random forests: trees in parallel, each from its own stream of random numbers, so that the
 * forest depends on the seed and not on the threads. */
#include "learn/forest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "learn/linear.h"

enum { TREES = 500, TOGETHER_LEAST = 16, TOGETHER_MOST = 100, ROWS_TOGETHER = 300000 };

struct forest {
    struct eg_tree_task task;
    struct eg_tree *trees;
    uint64_t *votes;
    size_t n_trees;
    bool keep; /* the trees, not only their votes */
    double columns_bytes, budget;
};

/* Trees that there is no room for are told as soon as it shows: they, and twice that and more when
 * they are put together and written (numbers of bytes: of a node and of a class at a leaf). */
static enum eg_status check_room(const struct forest *f, size_t done, struct eg_error *err)
{
    enum { NODE = 20, NODE_WRITTEN = 120, SHARE = 4, SHARE_WRITTEN = 44 };
    double nodes = 0, shares = 0, scale = (double)f->n_trees / (double)done;
    for (size_t t = 0; t < done; t++) {
        nodes += (double)f->trees[t].n_nodes;
        shares += (double)(f->trees[t].n_leaves * f->task.n_classes);
    }
    double growing = f->columns_bytes + scale * (NODE * nodes + SHARE * shares);
    double writing = scale * (NODE_WRITTEN * nodes + SHARE_WRITTEN * shares), need = fmax(growing, writing);
    if (need <= f->budget) return EG_OK;
    return eg__fail(err, EG_E_MEMORY,
                    "the forest's %zu trees need %.0f MB, %.0f MB are allowed (grow fewer, or allow more)",
                    f->n_trees, ceil(need * 1e-6), floor(f->budget * 1e-6));
}

struct look {
    const struct eg_learn_options *o;
    size_t done, total;
};

static bool look_up(void *user)
{
    const struct look *look = user;
    return !look->o->progress || look->o->progress(look->o->user, look->done, look->total);
}

static enum eg_status grow_trees(struct forest *f, const struct eg_learn_options *o, size_t done,
                                 size_t total, struct eg_error *err)
{
    size_t together = ROWS_TOGETHER / f->task.ranks->n; /* what is asked of a level takes room */
    if (together < TOGETHER_LEAST) together = TOGETHER_LEAST;
    if (together > TOGETHER_MOST) together = TOGETHER_MOST;
    for (size_t first = 0, count; first < f->n_trees; first += count) {
        count = f->n_trees - first < together ? f->n_trees - first : together;
        struct look look = {o, done + first, total};
        f->task.go_on = look_up;
        f->task.user = &look;
        enum eg_status status = eg__trees_grow(&f->task, first, count, f->votes, f->trees + first, err);
        if (!status && f->keep) status = check_room(f, first + count, err);
        for (size_t t = first; !f->keep && t < first + count; t++) eg__tree_free(&f->trees[t]);
        if (status) return status;
        if (o->progress && !o->progress(o->user, done + first + count, total))
            return eg__fail(err, EG_E_CANCELLED, "training was stopped");
    }
    return EG_OK;
}

/* ---- the head ------------------------------------------------------------------------- */

static const struct eg_tensor *numbers(struct eg_graph *g, const char *name, size_t n, int32_t **values)
{
    struct eg_tensor tensor = {.name = name, .dtype = EG_I32, .rank = 1, .dim = {n}};
    tensor.data = *values = eg__graph_memory(g, n, sizeof **values);
    eg__tensor_pack_strides(&tensor);
    return *values ? eg__graph_tensor(g, &tensor) : NULL;
}

static const struct eg_tensor *reals(struct eg_graph *g, const char *name, uint8_t rank, size_t n,
                                     size_t columns, float **values)
{
    struct eg_tensor tensor = {.name = name, .dtype = EG_F32, .rank = rank, .dim = {n, columns}};
    tensor.data = *values = eg__graph_memory(g, n * (rank > 1 ? columns : 1), sizeof **values);
    eg__tensor_pack_strides(&tensor);
    return *values ? eg__graph_tensor(g, &tensor) : NULL;
}

static enum eg_status forest_head(const struct eg_matrix *m, const struct forest *f,
                                  const struct eg_reject *reject, struct eg_graph **head,
                                  struct eg_error *err)
{
    struct eg_graph *g = NULL;
    uint32_t rows = 0, at = 0, label = 0;
    size_t n_nodes = 0, n_leaves = 0, k_count = f->task.n_classes;
    enum eg_status status = eg__head_begin(m, &g, &rows, err);
    if (status) return status;
    for (size_t t = 0; t < f->n_trees; t++) {
        n_nodes += f->trees[t].n_nodes;
        n_leaves += f->trees[t].n_leaves;
    }
    struct eg_node node = {
        .op = EG_OP_TREE_ENSEMBLE, .name = "probabilities", .n_inputs = 1, .inputs = {rows}};
    int32_t *feature, *left, *right, *roots;
    float *threshold, *leaf;
    node.params[0] = numbers(g, "feature", n_nodes, &feature);
    node.params[1] = reals(g, "threshold", 1, n_nodes, 0, &threshold);
    node.params[2] = numbers(g, "left", n_nodes, &left);
    node.params[3] = numbers(g, "right", n_nodes, &right);
    node.params[4] = reals(g, "leaf", 2, n_leaves, k_count, &leaf);
    node.params[5] = numbers(g, "roots", f->n_trees, &roots);
    for (int p = 0; p < 6; p++)
        if (!node.params[p]) status = EG_E_MEMORY;
    if (status || n_nodes > INT32_MAX) {
        eg__graph_free(g);
        return status
                   ? eg__fail_memory(err, "the forest")
                   : eg__fail(err, EG_E_UNSUPPORTED, "the forest has %zu nodes (grow fewer trees)", n_nodes);
    }
    for (size_t t = 0, base = 0, leaves = 0; t < f->n_trees; t++) {
        const struct eg_tree *tree = &f->trees[t];
        roots[t] = (int32_t)base;
        for (size_t i = 0; i < tree->n_nodes; i++) {
            bool inner = tree->feature[i] >= 0;
            feature[base + i] = tree->feature[i];
            threshold[base + i] = tree->threshold[i];
            left[base + i] = tree->left[i] + (int32_t)(inner ? base : leaves);
            right[base + i] = inner ? tree->right[i] + (int32_t)base : 0;
        }
        for (size_t i = 0; i < tree->n_leaves * k_count; i++)
            leaf[leaves * k_count + i] = tree->leaf[i] / (float)f->n_trees;
        base += tree->n_nodes;
        leaves += tree->n_leaves;
    }
    status = eg__graph_add(g, &node, &at, err);
    if (!status) status = eg__head_label(g, rows, at, reject, &label, err);
    if (status) {
        eg__graph_free(g);
        return status;
    }
    g->output = at;
    g->label_output = label;
    *head = g;
    return EG_OK;
}

/* ---- what is known from rows that rode along -------------------------------------------- */

static double share_right(const struct forest *f, const uint8_t *fold, int in)
{
    size_t right = 0, count = 0, k_count = f->task.n_classes;
    for (size_t i = 0; i < f->task.ranks->n; i++) {
        const uint64_t *votes = f->votes + i * k_count;
        size_t best = 0;
        uint64_t any = 0;
        if (in >= 0 && fold[i] != in) continue;
        for (size_t k = 0; k < k_count; k++) {
            any |= votes[k];
            if (votes[k] > votes[best]) best = k;
        }
        count += any > 0;
        right += any && (int32_t)best == f->task.labels[i];
    }
    return in >= 0 ? (double)right : count ? (double)right / (double)count : NAN;
}

/* The votes for rows of fold `out` as shares. */
static void keep_shares(const struct forest *f, const uint8_t *fold, unsigned out, float *p)
{
    const size_t k_count = f->task.n_classes;
    for (size_t i = 0; i < f->task.ranks->n; i++) {
        const uint64_t *votes = f->votes + i * k_count;
        double total = 0;
        if (fold[i] != out) continue;
        for (size_t k = 0; k < k_count; k++) total += (double)votes[k];
        for (size_t k = 0; k < k_count; k++) p[i * k_count + k] = (float)((double)votes[k] / total);
    }
}

static enum eg_status cross_validate(struct forest *f, const struct eg_learn_options *o, const uint8_t *fold,
                                     unsigned folds, size_t *inside, size_t *outside,
                                     struct eg_learned *learned, struct eg_error *err)
{
    double right = 0;
    f->keep = false;
    for (unsigned out = 0; out < folds; out++) {
        f->task.n_inside = f->task.n_along = 0;
        for (size_t i = 0; i < f->task.ranks->n; i++) {
            if (fold[i] == out)
                outside[f->task.n_along++] = i;
            else
                inside[f->task.n_inside++] = i;
        }
        f->task.along = outside;
        memset(f->votes, 0, f->task.ranks->n * f->task.n_classes * sizeof *f->votes);
        enum eg_status status = grow_trees(f, o, out * f->n_trees, (folds + 1) * f->n_trees, err);
        if (status) return status;
        right += share_right(f, fold, (int)out);
        if (learned->out_of_fold) keep_shares(f, fold, out, learned->out_of_fold);
    }
    learned->cv_accuracy = right / (double)f->task.ranks->n;
    return EG_OK;
}

/* A row's confidence: its share of votes for the best class, by trees that have not seen it; a row
 * that all have seen is not held against anything. */
static enum eg_status fit_reject(struct eg_matrix *m, const struct forest *f,
                                 const struct eg_learn_options *o, const uint8_t *fold,
                                 struct eg_reject *reject, struct eg_error *err)
{
    const size_t n = m->n, k_count = f->task.n_classes;
    double *confidence = eg__alloc(n, sizeof *confidence);
    if (!confidence) return eg__fail_memory(err, "confidences");
    for (size_t i = 0; i < n; i++) {
        double most = 0, total = 0;
        for (size_t k = 0; k < k_count; k++) {
            double votes = (double)f->votes[i * k_count + k];
            total += votes;
            most = fmax(most, votes);
        }
        confidence[i] = total > 0 ? most / total : 1;
    }
    enum eg_status status = eg__reject_fit(m, f->task.labels, k_count, fold, o->folds ? o->folds : 5,
                                           confidence, o->reject_rate, reject, err);
    free(confidence);
    return status;
}

enum eg_status eg__forest_train(struct eg_matrix *m, const int32_t *labels, size_t n_classes,
                                const struct eg_learn_options *o, size_t budget, struct eg_learned *learned,
                                struct eg_error *err)
{
    const uint8_t *fold = o->fold;
    size_t n = m->n, d = m->d, cells, bytes;
    if (!eg__mul(n, d, &cells) || !eg__mul(cells, sizeof(float), &bytes) || bytes > budget)
        return eg__fail(err, EG_E_MEMORY,
                        "a forest needs its %zu x %zu features in memory: %.1f GB of the %.1f GB allowed "
                        "(allow more, or pool the features)",
                        n, d, (double)n * (double)d * 4e-9, (double)budget * 1e-9);
    if (n_classes > (size_t)1 << 23)
        return eg__fail(err, EG_E_UNSUPPORTED, "a forest of %zu classes is not supported", n_classes);
    struct forest f = {.n_trees = o->n_trees ? o->n_trees : TREES,
                       .columns_bytes = (double)bytes + 8 * (double)n * (double)n_classes,
                       .budget = (double)budget};
    struct eg_ranks ranks = {0};
    double *weight = eg__alloc(n_classes, sizeof *weight);
    size_t *inside = eg__alloc(n, sizeof *inside), *outside = eg__alloc(n, sizeof *outside);
    f.trees = eg__zalloc(f.n_trees, sizeof *f.trees);
    f.votes = eg__zalloc(n * n_classes, sizeof *f.votes);
    if (o->out_of_fold) learned->out_of_fold = eg__zalloc(n, n_classes * sizeof *learned->out_of_fold);
    bool room =
        (!o->out_of_fold || learned->out_of_fold) && weight && inside && outside && f.trees && f.votes;
    enum eg_status status = room ? eg__ranks_make(m, &ranks, err) : eg__fail_memory(err, "the forest");
    if (!status) {
        f.task = (struct eg_tree_task){.ranks = &ranks,
                                       .labels = labels,
                                       .class_weight = weight,
                                       .n_classes = n_classes,
                                       .inside = inside,
                                       .seed = o->seed,
                                       .pool = o->pool};
        for (size_t k = 0; k < n_classes; k++) weight[k] = 0;
        for (size_t i = 0; i < n; i++) weight[labels[i]]++;
        for (size_t k = 0; k < n_classes; k++)
            weight[k] = o->balance ? (double)n / ((double)n_classes * weight[k]) : 1;
        const unsigned folds = fold ? (o->folds ? o->folds : 5) : 0;
        if (fold) status = cross_validate(&f, o, fold, folds, inside, outside, learned, err);
        f.keep = true;
        f.task.n_inside = n;
        f.task.along = NULL;
        for (size_t i = 0; i < n; i++) inside[i] = i;
        memset(f.votes, 0, n * n_classes * sizeof *f.votes);
        if (!status && !o->choose_only)
            status = grow_trees(&f, o, folds * f.n_trees, (folds + 1) * f.n_trees, err);
    }
    if (!status && !o->choose_only) {
        learned->oob_accuracy = share_right(&f, NULL, -1);
        struct eg_reject reject = {0};
        if (o->reject_rate > 0) status = fit_reject(m, &f, o, fold, &reject, err);
        eg__ranks_free(&ranks); /* what follows needs the room */
        if (!status) status = eg__trees_thresholds(m, f.trees, f.n_trees, err);
        if (!status) status = forest_head(m, &f, reject.mean ? &reject : NULL, &learned->head, err);
        if (reject.mean) learned->reject_rate = reject.rate;
        eg__reject_free(&reject);
    }
    for (size_t t = 0; f.trees && t < f.n_trees; t++) eg__tree_free(&f.trees[t]);
    eg__ranks_free(&ranks);
    free(weight);
    free(inside);
    free(outside);
    free(f.trees);
    free(f.votes);
    return status;
}
