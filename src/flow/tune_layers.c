/* tune_layers.c: the network with its new head on the cut: which layers learn, and how fast. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/limits.h"
#include "base/mem.h"
#include "flow/tuning.h"

/* ---- blocks --------------------------------------------------------------------------------- */

static bool has_weights(const struct eg_graph *graph, uint32_t node)
{
    return eg__node_macs(graph, node) > 0 && eg__node_parameters(graph, node) > 0;
}

/* Blocks from the input to `last`: block_of[i] is that of node i, and the result how many there are. A
 * block begins behind a waist, a node that no later one reads past, and where the layers' names say so:
 * a residual block is one, a layer of a plain network too. */
static size_t find_blocks(const struct eg_graph *graph, uint32_t last, uint32_t *reach, uint32_t *block_of)
{
    for (uint32_t i = 0; i <= last; i++) reach[i] = i;
    for (uint32_t i = 0; i <= last; i++)
        for (uint32_t k = 0; k < graph->nodes[i].n_inputs; k++) reach[graph->nodes[i].inputs[k]] = i;
    uint32_t farthest = 0, waist = 0, before = UINT32_MAX, blocks = 0; /* before: the last with weights */
    for (uint32_t i = 0; i <= last; i++) {
        bool apart = before == UINT32_MAX ||
                     (waist >= before && !eg__same_block(graph->nodes[before].name, graph->nodes[i].name));
        if (has_weights(graph, i)) {
            if (apart)
                for (uint32_t k = waist + 1; k < i; k++) block_of[k] = blocks;
            blocks += apart;
            before = i;
        }
        block_of[i] = blocks ? blocks - 1 : 0;
        if (farthest <= i) waist = i;
        if (reach[i] > farthest) farthest = reach[i];
    }
    return blocks;
}

static enum eg_status find_lowest(struct tuning *t, const uint32_t *block_of, size_t blocks, uint32_t *from,
                                  struct eg_error *err)
{
    const char *name = t->options->unfreeze;
    const struct eg_graph *graph = t->graph;
    *from = 0;
    if (!name || !strcmp(name, "half")) {
        size_t lower = blocks < 2 ? 0 : (blocks + 1) / 2; /* those that stay */
        while (block_of[*from] < lower) ++*from;
        return EG_OK;
    }
    if (!strcmp(name, "all")) return EG_OK;
    uint32_t somewhere;
    if (eg__graph_find(graph, name, from, NULL) || *from > t->cut) {
        enum eg_status status = eg__graph_find(t->net->graph, name, &somewhere, err);
        return status ? status
                      : eg__fail_for(err, EG_E_ARGUMENT, EG_REASON_PAST_THE_CUT,
                                     "layer '%s' is past the cut '%s': there is nothing of it left", name,
                                     t->plan.infos[0].name);
    }
    size_t length = strlen(name);
    for (uint32_t i = *from; i-- > 0;)
        if (!strncmp(graph->nodes[i].name, name, length) && graph->nodes[i].name[length] == '.') *from = i;
    return EG_OK;
}

/* Discriminative rates (Howard & Ruder 2018): a fifth of the head's at the top, less by a third at
 * every halving of the map below it. Tokens stay as many: less by a quarter at every block (Clark et al.
 * 2020). */
static void choose_rates(struct tuning *t, const uint32_t *block_of)
{
    const struct eg_graph *graph = t->graph;
    double token_blocks = 0;
    size_t smallest = 0; /* the last volume's height */
    for (uint32_t i = 0; i <= t->cut; i++)
        if (eg__map(graph->nodes[i].shape).h > 1) smallest = eg__map(graph->nodes[i].shape).h;
    uint32_t above = UINT32_MAX; /* the last block of tokens seen on the way down */
    for (uint32_t i = graph->n_nodes; i-- > 0;) {
        struct eg_map map = eg__map(graph->nodes[i].shape);
        t->rate_scale[i] = 1;
        if (i > t->cut) continue;
        bool tokens = graph->nodes[i].shape.rank == 2 && map.h > 1;
        if (above != UINT32_MAX && block_of[i] != above) {
            token_blocks++;
            above = UINT32_MAX;
        }
        if (tokens && has_weights(graph, i)) above = block_of[i];
        double halvings = smallest && map.h > smallest ? log2((double)map.h / (double)smallest) : 0;
        t->rate_scale[i] = (float)(0.2 * pow(2.0 / 3, halvings) * pow(0.75, token_blocks));
    }
}

/* The head alone learns. */
static enum eg_status leave_layers(struct tuning *t)
{
    free(t->trainable);
    free(t->rate_scale);
    t->trainable = NULL;
    t->rate_scale = NULL;
    t->unfreeze_from[0] = '\0';
    return EG_OK;
}

/* The learned layers: from the one named (for a block, its first) to the cut. */
static enum eg_status choose_layers(struct tuning *t, struct eg_error *err)
{
    const struct eg_graph *graph = t->graph;
    uint32_t from, *block_of = eg__zalloc(graph->n_nodes, sizeof *block_of);
    uint32_t *reach = eg__alloc(graph->n_nodes, sizeof *reach);
    t->trainable = eg__zalloc(graph->n_nodes, sizeof *t->trainable);
    t->rate_scale = eg__zalloc(graph->n_nodes, sizeof *t->rate_scale);
    bool room = block_of && reach && t->trainable && t->rate_scale;
    enum eg_status status = room ? EG_OK : eg__fail_memory(err, "the layers");
    size_t blocks = status ? 0 : find_blocks(graph, t->cut, reach, block_of);
    if (!status) status = find_lowest(t, block_of, blocks, &from, err);
    if (!status) choose_rates(t, block_of);
    for (uint32_t i = 0; !status && i < graph->n_nodes; i++) {
        t->trainable[i] = i > t->cut || i >= from;
        bool learns = i <= t->cut && t->trainable[i] && eg__node_parameters(graph, i) > 0;
        if (learns && !t->unfreeze_from[0])
            snprintf(t->unfreeze_from, sizeof t->unfreeze_from, "%s", graph->nodes[i].name);
    }
    if (!status && !t->unfreeze_from[0])
        status = t->options->unfreeze ? eg__fail_for(err, EG_E_ARGUMENT, EG_REASON_NOTHING_LEARNS,
                                                     "no layer from '%s' to the cut '%s' has parameters",
                                                     t->options->unfreeze, t->plan.infos[0].name)
                                      : leave_layers(t);
    free(block_of);
    free(reach);
    return status;
}

enum eg_status eg__tuning_build(struct tuning *t, struct eg_error *err)
{
    const struct eg_tune_options *o = t->options;
    struct eg_run_cuts cuts = {.cuts = &o->cut, .n_cuts = o->cut != NULL};
    if (t->net->has_recipe && t->net->recipe.views)
        return eg__fail(err, EG_E_UNSUPPORTED,
                        "a network is tuned on photos as they are, without views of them");
    enum eg_status status = eg__cuts_plan(t->net, &cuts, &t->plan, err);
    if (status) return status;
    t->d = t->plan.infos[0].length;
    t->trained.cut = &t->plan.infos[0];
    const struct eg_head_shape shape = {t->d, o->hidden, t->report.train.n_classes, true};
    status = eg__tune_head(&shape, o->seed, &t->head, err);
    if (!status) status = eg__trained_build(t->net, &t->trained, t->head, &t->graph, err);
    struct eg_card card;
    if (!status) status = eg__card_read(t->graph, &card, err);
    if (!status) status = eg__graph_find(t->graph, card.cut_node, &t->cut, err);
    if (status) return status;
    t->logits = t->graph->nodes[t->graph->output].inputs[0];
    t->graph->output = t->logits;
    t->head->output = t->head->nodes[t->head->output].inputs[0];
    return o->unfreeze && !strcmp(o->unfreeze, "none") ? EG_OK : choose_layers(t, err);
}

/* ---- trainers ----------------------------------------------------------------------------------- */

static enum eg_status sum_over_ranks(void *user, float *values, size_t n, struct eg_error *err)
{
    return eg__dist_sum(user, values, n, err);
}

double eg__tuning_smoothing(const struct tuning *t)
{
    double asked = t->options->label_smoothing;
    return asked < 0 ? 0 : asked > 0 ? asked : EG_TUNE_SMOOTHING;
}

static enum eg_status make_trainer(struct tuning *t, const struct eg_graph *graph, const bool *trainable,
                                   const float *rate_scale, size_t batch, struct eg_trainer **trainer,
                                   struct eg_error *err)
{
    const struct eg_tune_options *o = t->options;
    struct eg_trainer_options options = {
        .tape = {.max_batch = batch,
                 .trainable = trainable,
                 .train_batch_norm = o->train_batch_norm,
                 .seed = o->seed},
        .optimizer = o->optimizer && !strcmp(o->optimizer, "sgd") ? EG_SGD : EG_ADAMW,
        .weight_decay = -1,
        .momentum = -1,
        .clip_norm = EG_TUNE_CLIP,
        .label_smoothing = eg__tuning_smoothing(t),
        .rate_scale = rate_scale,
        .sum_over_ranks = t->dist.n_ranks > 1 ? sum_over_ranks : NULL,
        .user = &t->dist,
    };
    return eg__trainer_create(graph, &options, o->pool, trainer, err);
}

static enum eg_status make_head_trainer(struct tuning *t, struct eg_error *err)
{
    bool *all = eg__alloc(t->head->n_nodes, sizeof *all);
    if (!all) return eg__fail_memory(err, "the layers");
    memset(all, true, t->head->n_nodes * sizeof *all);
    enum eg_status status = make_trainer(t, t->head, all, NULL, t->head_batch, &t->head_trainer, err);
    free(all);
    return status;
}

static enum eg_status make_source(struct tuning *t, size_t memory, struct eg_error *err)
{
    const struct eg_tune_options *o = t->options;
    t->source = (struct eg_tune_source){.dataset = t->dataset,
                                        .recipe = &t->net->recipe,
                                        .graph = t->graph,
                                        .items = t->items,
                                        .n = t->n,
                                        .batch = t->batch,
                                        .pool = o->pool,
                                        .seed = o->seed,
                                        .augment = t->augment,
                                        .views = o->views,
                                        .epochs = o->folds < 0 ? 0 : eg__tuning_epochs(t),
                                        .memory_bytes = memory};
    t->source.boundary = eg__tape_boundary(eg__trainer_tape(t->trainer), &t->source.n_boundary);
    if (t->source.n_boundary > EG_INPUTS_MAX)
        return eg__fail(err, EG_E_UNSUPPORTED,
                        "the layers to unfreeze read %zu others: unfreeze more, or fewer",
                        t->source.n_boundary);
    return eg__tune_source_init(&t->source, t->path, err);
}

enum eg_status eg__tuning_trainers(struct tuning *t, struct eg_error *err)
{
    const struct eg_tune_options *o = t->options;
    size_t memory = o->memory_bytes ? o->memory_bytes : eg__usable_memory() / 2, n;
    enum eg_status status = make_head_trainer(t, err);
    if (!status)
        status = eg__tune_cache_init(&t->features, t->n, t->d * sizeof(float), memory / 2, t->path, err);
    if (!status && t->trainable) {
        status = make_trainer(t, t->graph, t->trainable, t->rate_scale, t->batch, &t->trainer, err);
        if (!status)
            status = make_source(t, memory / 2, err);
        else if (status == EG_E_UNSUPPORTED && !o->unfreeze) /* nobody has asked for these layers */
            status = leave_layers(t);
    }
    if (!status && t->trainer && !(t->report.unfrozen = strdup(t->unfreeze_from)))
        status = eg__fail_memory(err, "the report");
    if (status) return status;
    struct eg_trainer *last = eg__tuning_last(t);
    eg__tape_values(eg__trainer_tape(last), &n);
    t->pristine = eg__alloc(eg__trainer_state_count(last), sizeof *t->pristine);
    t->start = eg__alloc(n, sizeof *t->start);
    if (!t->pristine || !t->start) return eg__fail_memory(err, "the training state");
    eg__trainer_get_state(last, t->pristine);
    return EG_OK;
}
