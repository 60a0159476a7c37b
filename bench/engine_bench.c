/* engine_bench.c: one network in this engine, at the command of run.py. Reads lines:
 *     time N      N forward passes; prints the seconds of the fastest and of the median one
 *     work N      the same in processor time: on a busy machine, with one thread
 *     layers N    N forward passes; algorithm, least milliseconds and GFLOP/s of each step
 *     dump FILE   the features of the last pass, as raw float32
 * Usage: engine_bench NET.onnx BATCH THREADS IMAGES.f32  ([batch][h][w][c], dense) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "kernels/table.h"
#include "net/net.h"
#include "onnx/onnx.h"

static double now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int fail(const char *what)
{
    fprintf(stderr, "engine_bench: %s\n", what);
    return 1;
}

int main(int argc, char **argv)
{
    if (argc != 5) return fail("usage: engine_bench NET.onnx BATCH THREADS IMAGES.f32");
    struct eg_error err;
    struct eg_graph *graph;
    struct eg_run *run;
    eg_pool *pool;
    struct eg_run_options options = {.max_batch = strtoul(argv[2], NULL, 10)};
    if (eg__onnx_load(argv[1], &graph, &err)) return fail(err.message);
    if (eg_pool_create((unsigned)strtoul(argv[3], NULL, 10), &pool, &err)) return fail(err.message);
    if (eg__run_create(graph, &graph->output, 1, &options, pool, &run, &err)) return fail(err.message);
    size_t in = options.max_batch * eg__shape_count(graph->nodes[0].shape);
    size_t out = options.max_batch * eg__shape_count(eg__run_shape(run, 0));
    eg__graph_free(graph);
    float *images = eg__alloc(in, sizeof *images), *features = eg__alloc(out, sizeof *features);
    FILE *file = fopen(argv[4], "rb");
    if (!images || !features || !file || fread(images, sizeof *images, in, file) != in)
        return fail("cannot read the images");
    fclose(file);
    printf("%s %zu\n", eg__kernels_name(), eg__run_bytes(run));
    fflush(stdout);
    char line[1000];
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        bool wall = !strncmp(line, "time ", 5);
        if (wall || !strncmp(line, "work ", 5)) {
            clockid_t clock = wall ? CLOCK_MONOTONIC : CLOCK_PROCESS_CPUTIME_ID;
            size_t n = strtoul(line + 5, NULL, 10);
            double *times = calloc(n ? n : 1, sizeof *times);
            if (!times) return fail("no memory");
            for (size_t i = 0; i < n; i++) {
                double start = now(clock);
                if (eg__run_forward(run, images, options.max_batch, &features, &err))
                    return fail(err.message);
                times[i] = now(clock) - start;
            }
            qsort(times, n, sizeof *times, by_size);
            printf("%.9f %.9f\n", times[0], times[n / 2]);
            free(times);
        } else if (!strncmp(line, "layers ", 7)) {
            size_t n = strtoul(line + 7, NULL, 10), steps = eg__run_step_count(run);
            double *best = calloc(steps, sizeof *best), total = 0;
            if (!best) return fail("no memory");
            eg__run_time_steps(run, true);
            for (size_t pass = 0; pass < n; pass++) {
                if (eg__run_forward(run, images, options.max_batch, &features, &err))
                    return fail(err.message);
                for (size_t i = 0; i < steps; i++) {
                    double seconds = eg__run_step(run, i).seconds;
                    if (!pass || seconds < best[i]) best[i] = seconds;
                }
            }
            eg__run_time_steps(run, false);
            for (size_t i = 0; i < steps; i++) {
                struct eg_step_info s = eg__run_step(run, i);
                printf("%-44.44s %-20s %8.3f ms %7.1f GFLOP/s\n", s.name, s.algorithm, best[i] * 1e3,
                       s.macs ? 2e-9 * (double)s.macs * (double)options.max_batch / best[i] : 0);
                total += best[i];
            }
            printf("total %.3f ms\n", total * 1e3);
            free(best);
        } else if (!strncmp(line, "dump ", 5)) {
            file = fopen(line + 5, "wb");
            if (!file || fwrite(features, sizeof *features, out, file) != out || fclose(file))
                return fail("cannot write the features");
            puts("done");
        } else {
            return fail("unknown command");
        }
        fflush(stdout);
    }
    eg__run_free(run);
    eg_pool_free(pool);
    free(images);
    free(features);
    return 0;
}
