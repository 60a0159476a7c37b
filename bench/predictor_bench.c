/* What a predictor costs beside the bare forward pass and the resize, taking turns, and whether its memory
 * stays the same:  predictor_bench MODEL.onnx [SECONDS [THREADS]]
 * Exit code 1: memory grew. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "image/photo.h"
#include "model/model.h"

enum { WIDTH = 640, HEIGHT = 480, WARM = 20, MOST = 1 << 20, GROWTH_KB = 1024 };

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

static long resident_kb(void)
{
    long total = 0, pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%ld %ld", &total, &pages) != 2) pages = 0;
    if (file) fclose(file);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static int by_size(const void *a, const void *b)
{
    const float *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static double median(float *values, size_t n)
{
    qsort(values, n, sizeof *values, by_size);
    return n ? (double)values[n / 2] : 0;
}

static int fail(const struct eg_error *err)
{
    fprintf(stderr, "%s\n", err->message);
    return 2;
}

int main(int argc, char **argv)
{
    if (argc < 2) return 2;
    const double seconds = argc > 2 ? atof(argv[2]) : 5;
    const unsigned threads = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 1;
    static uint8_t pixels[HEIGHT * WIDTH * 3];
    for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)(i * 7 + i / 1921);
    struct eg_error err = {.message = ""};
    struct eg_predictor_options how = {.threads = threads, .width = WIDTH, .height = HEIGHT};
    eg_net *net = NULL;
    eg_predictor *predictor = NULL;
    eg_pool *pool = NULL;
    eg_run *run = NULL;
    if (eg_net_load(argv[1], NULL, &net, &err) || eg_predictor_create(net, &how, &predictor, &err) ||
        eg_pool_create(threads, &pool, &err) || eg_run_create(net, NULL, 1, pool, &run, &err))
        return fail(&err);
    const struct eg_recipe *recipe = eg_net_recipe(net);
    const struct eg_frame frame = {.pixels = pixels, .width = WIDTH, .height = HEIGHT};
    const struct eg_image image = {pixels, HEIGHT, WIDTH};
    const size_t h = recipe->size, w = recipe->size * WIDTH / HEIGHT;
    uint8_t *resized = malloc(3 * h * w), *input = malloc(3 * recipe->crop[0] * recipe->crop[1]);
    float *answer = malloc(eg_run_length(run, 0) * sizeof *answer);
    float *ours = malloc(MOST * sizeof *ours), *bare = malloc(MOST * sizeof *bare);
    if (!resized || !input || !answer || !ours || !bare) return 2;
    memset(input, 99, 3 * recipe->crop[0] * recipe->crop[1]);
    size_t n = 0;
    long before = 0;
    const double end = now_ms() + 1e3 * seconds;
    for (size_t i = 0; (now_ms() < end || i < 2 * WARM) && n < MOST; i++) {
        struct eg_prediction said;
        double start = now_ms();
        if (eg_predict_pixels(predictor, &frame, 1, &said, &err)) return fail(&err);
        double middle = now_ms();
        if (eg__resize(&image, h, w, recipe->filter, recipe->antialias, resized, &err) ||
            eg_run_forward_pixels(run, recipe, input, 1, &answer, &err))
            return fail(&err);
        if (i < WARM) continue;
        if (!n) before = resident_kb();
        ours[n] = (float)(middle - start);
        bare[n++] = (float)(now_ms() - middle);
    }
    long grown = resident_kb() - before;
    double a = median(ours, n), b = median(bare, n);
    printf("%u threads, %zu frames: a frame %.2f ms, forward pass and resize %.2f ms: %+.1f %%; memory %ld "
           "kB, %+ld\n",
           threads, n, a, b, 100 * (a / b - 1), before, grown);
    eg_run_free(run);
    eg_pool_free(pool);
    eg_predictor_free(predictor);
    eg_net_free(net);
    free(resized);
    free(input);
    free(answer);
    free(ours);
    free(bare);
    return grown > GROWTH_KB;
}
