/* train_steps: steps of SGD with the internal trainer, for tests and benches against PyTorch.
 *     train_steps ARCH|onnx WEIGHTS IMAGES LABELS N SIZE STEPS RATE MOMENTUM FROM BN OUT
 * IMAGES: raw float32 [STEPS][N][SIZE][SIZE][3]; LABELS: raw int32 [STEPS][N]; FROM: the first
 * layer that learns, or "all"; BN: 1 trains batch norms, 0 freezes them. Prints the loss and
 * the seconds of each step by the clock and of the processor; OUT gets "name count\n" and raw floats of every
 * learned tensor. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "arch/arch.h"
#include "base/file.h"
#include "formats/weight_files.h"
#include "net/net.h"
#include "net/trainer.h"
#include "onnx/onnx.h"

static void need(bool ok, const char *what)
{
    if (ok) return;
    fprintf(stderr, "train_steps: %s\n", what);
    exit(1);
}

static double now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int main(int argc, char **argv)
{
    need(argc == 13, "12 arguments");
    struct eg_error err = {0};
    struct eg_weights *weights = NULL;
    struct eg_graph *graph;
    struct eg_mapping images, labels;
    eg_pool *pool;
    if (!strcmp(argv[1], "onnx")) {
        need(!eg__onnx_load(argv[2], &graph, &err), err.message);
    } else {
        need(!eg__weights_load(argv[2], &weights, &err), err.message);
        need(!eg__arch_load(eg__arch_find(argv[1]), weights, false, 0, 0, &graph, &err), err.message);
    }
    need(!eg__map_file(argv[3], &images, &err) && !eg__map_file(argv[4], &labels, &err), err.message);
    need(!eg_pool_create(0, &pool, &err), err.message);
    size_t n = strtoul(argv[5], NULL, 10), size = strtoul(argv[6], NULL, 10),
           steps = strtoul(argv[7], NULL, 10);
    need(!eg__graph_resize(graph, size, size, &err), err.message);
    if (graph->nodes[graph->output].op == EG_OP_SOFTMAX)
        graph->output = graph->nodes[graph->output].inputs[0];
    for (uint32_t i = 0; i < graph->n_nodes; i++)
        if (graph->nodes[i].op == EG_OP_DROPOUT) graph->nodes[i].alpha = 0; /* both would drop other values */
    uint32_t from = 0;
    if (strcmp(argv[10], "all") != 0) {
        need(!eg__graph_find(graph, argv[10], &from, &err), err.message);
        /* a block's name is its output: it begins at the first layer of that name */
        for (uint32_t i = from; i-- > 0;)
            if (!strncmp(graph->nodes[i].name, argv[10], strlen(argv[10]))) from = i;
    }
    bool *trainable = calloc(graph->n_nodes, sizeof *trainable);
    for (uint32_t i = from; i < graph->n_nodes; i++) trainable[i] = true;
    struct eg_trainer_options options = {
        .tape = {.max_batch = n, .trainable = trainable, .train_batch_norm = atoi(argv[11])},
        .optimizer = EG_SGD,
        .momentum = atof(argv[9]),
        .weight_decay = 1e-4};
    struct eg_trainer *trainer;
    need(!eg__trainer_create(graph, &options, pool, &trainer, &err), err.message);
    struct eg_tape *tape = eg__trainer_tape(trainer);
    size_t n_boundary;
    const uint32_t *boundary = eg__tape_boundary(tape, &n_boundary);
    struct eg_run *run = NULL;
    struct eg_run_options run_options = {.max_batch = n};
    float *inputs[64];
    need(n_boundary < 64, "too many boundary values");
    for (size_t b = 0; b < n_boundary; b++)
        need((inputs[b] = malloc(n * eg__shape_count(graph->nodes[boundary[b]].shape) * sizeof(float))) !=
                 NULL,
             "memory");
    if (boundary[0])
        need(!eg__run_create(graph, boundary, n_boundary, &run_options, pool, &run, &err), err.message);
    struct eg_target *targets = calloc(n, sizeof *targets);
    for (size_t s = 0; s < steps; s++) {
        const float *batch = (const float *)(const void *)images.bytes + s * n * size * size * 3;
        const float *at[64] = {batch};
        double start = now(CLOCK_MONOTONIC), work = now(CLOCK_PROCESS_CPUTIME_ID);
        if (run) need(!eg__run_forward(run, batch, n, inputs, &err), err.message);
        for (size_t b = 0; run && b < n_boundary; b++) at[b] = inputs[b];
        for (size_t i = 0; i < n; i++)
            targets[i] = (struct eg_target){((const int32_t *)(const void *)labels.bytes)[s * n + i], 0, 1};
        struct eg_batch_result result;
        need(!eg__trainer_step(trainer, at, targets, n, atof(argv[8]), s, &result, &err), err.message);
        printf("%.9g %.6f %.6f\n", result.loss / result.weight, now(CLOCK_MONOTONIC) - start,
               now(CLOCK_PROCESS_CPUTIME_ID) - work);
    }
    FILE *out = fopen(argv[12], "wb");
    need(out != NULL, "cannot write");
    size_t n_parameters, n_values;
    const struct eg_parameter *parameters = eg__tape_parameters(tape, &n_parameters);
    const float *values = eg__tape_values(tape, &n_values);
    for (size_t i = 0; i < n_parameters; i++) {
        const struct eg_tensor *tensor = graph->nodes[parameters[i].node].params[parameters[i].slot];
        fprintf(out, "%s %zu\n", tensor->name ? tensor->name : "-", parameters[i].count);
        fwrite(values + parameters[i].first, sizeof(float), parameters[i].count, out);
    }
    need(!fclose(out), "cannot write");
    eg__trainer_free(trainer);
    eg__run_free(run);
    for (size_t b = 0; b < n_boundary; b++) free(inputs[b]);
    free(targets);
    free(trainable);
    eg__graph_free(graph);
    eg__unmap_file(&images);
    eg__unmap_file(&labels);
    eg_pool_free(pool);
    return 0;
}
