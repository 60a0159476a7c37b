/* Times the feature store alone (docs/store.md has the figures):
 *   store_bench rows FILE N D              writes N stub rows of D floats, batches of 64
 *   store_bench read FILE                  the first cut in order, then shuffled batches of 256 rows
 *   store_bench classes FILE N LIKE.h5     writes N rows of two classes that can be told apart, network and
 * cut as in LIKE.h5, so that train takes them for real ones store_bench repack IN OUT DEFLATE HALF THREADS
 * the rows of a file into another */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "base/rng.h"
#include "features/store.h"

enum { BATCH = 64, GATHER = 256, BLOCK_BYTES = 1 << 20 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double megabytes(const char *path)
{
    struct stat info;
    return stat(path, &info) ? 0 : (double)info.st_blocks * 512e-6;
}

static void must(enum eg_status status, const struct eg_error *err)
{
    if (!status) return;
    fprintf(stderr, "%s\n", err->message);
    exit(1);
}

static void *get(size_t n, size_t size)
{
    void *memory = calloc(n, size);
    if (!memory) exit(1);
    return memory;
}

/* N rows of two classes; like: whose network and first cut it says it has. */
static struct eg_store *begin_like(const char *path, size_t n, const struct eg_store_spec *like)
{
    static const char *const classes[] = {"a", "b"};
    char(*names)[32] = get(n, sizeof *names);
    const char **paths = get(n, sizeof *paths);
    int32_t *labels = get(n, sizeof *labels);
    for (size_t i = 0; i < n; i++) {
        snprintf(names[i], sizeof names[i], "%s/%010zu.jpg", i < n / 2 ? "a" : "b", i);
        paths[i] = names[i];
        labels[i] = i >= n / 2;
    }
    struct eg_store_spec spec = *like;
    spec.n_cuts = 1;
    spec.paths = paths;
    spec.labels = labels;
    spec.n_rows = n;
    spec.classes = classes;
    spec.n_classes = 2;
    struct eg_error err;
    struct eg_store *store;
    must(eg__store_write(path, &spec, true, &store, &err), &err);
    free(names);
    free(paths);
    free(labels);
    return store;
}

static struct eg_store *begin(const char *path, size_t n, size_t d, unsigned deflate, bool half)
{
    struct eg_cut_info cut = {"cut", "cut", "cut", "stub", {1, 1, d}, "chw", "flatten", d, half};
    struct eg_store_spec spec = {.network = "stub",
                                 .weights_sha256 = "0",
                                 .recipe = "{}",
                                 .root = ".",
                                 .command = "store_bench",
                                 .cuts = &cut,
                                 .deflate = deflate};
    return begin_like(path, n, &spec);
}

static void bench_rows(const char *path, size_t n, size_t d)
{
    struct eg_error err;
    double start = now();
    struct eg_store *store = begin(path, n, d, 0, false);
    double laid_out = now();
    float *rows = get(BATCH * d, sizeof *rows);
    uint8_t hashes[BATCH][32] = {{0}};
    for (size_t first = 0; first < n; first += BATCH) {
        size_t count = n - first < BATCH ? n - first : BATCH;
        for (size_t i = 0; i < count; i++) rows[i * d] = (float)(first + i);
        const float *values[] = {rows};
        must(eg__store_put(store, first, count, values, (const uint8_t(*)[32])hashes, NULL, &err), &err);
    }
    must(eg__store_close(store, &err), &err);
    double written = now();
    must(eg__store_open(path, &store, &err), &err);
    double opened = now();
    must(eg__store_close(store, &err), &err);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("%zu rows of %zu: lay out %.2f us/row, write %.2f us/row (%.0f MB/s), open %.2f us/row, memory "
           "%.0f B/row\n",
           n, d, (laid_out - start) * 1e6 / (double)n, (written - laid_out) * 1e6 / (double)n,
           megabytes(path) / (written - laid_out), (opened - written) * 1e6 / (double)n,
           (double)usage.ru_maxrss * 1024 / (double)n);
    free(rows);
}

/* Noise of a table, from a place of the row's own, and on every 16th value a little of its class. */
static void bench_classes(const char *path, size_t n, const char *like)
{
    enum { TABLE = 1 << 22, MARK = 16 };
    const float STRENGTH = 0.25f;
    struct eg_error err;
    struct eg_store *model;
    must(eg__store_open(like, &model, &err), &err);
    size_t d = eg__store_spec(model)->cuts[0].length;
    struct eg_rng rng;
    eg__rng_init(&rng, 1, 0);
    float *table = get(TABLE + d, sizeof *table), *rows = get(BATCH * d, sizeof *rows);
    for (size_t i = 0; i < TABLE + d; i++) {
        float noise = (float)eg__rng_normal(&rng);
        table[i] = noise > 0 ? noise : 0;
    }
    double start = now();
    struct eg_store *store = begin_like(path, n, eg__store_spec(model));
    uint8_t hashes[BATCH][32] = {{0}};
    for (size_t first = 0; first < n; first += BATCH) {
        size_t count = n - first < BATCH ? n - first : BATCH;
        for (size_t i = 0; i < count; i++) {
            size_t row = first + i, at = eg__rng_below(&rng, TABLE);
            memcpy(rows + i * d, table + at, d * sizeof *rows);
            if (row >= n / 2)
                for (size_t k = 0; k < d; k += MARK) rows[i * d + k] += STRENGTH;
            memcpy(hashes[i], &row, sizeof row);
            hashes[i][31] = 1;
        }
        const float *values[] = {rows};
        must(eg__store_put(store, first, count, values, (const uint8_t(*)[32])hashes, NULL, &err), &err);
    }
    must(eg__store_close(store, &err), &err);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double seconds = now() - start;
    printf("%zu rows of %zu: %.0f MB in %.1f s (%.0f MB/s), memory %.0f MB\n", n, d, megabytes(path), seconds,
           megabytes(path) / seconds, (double)usage.ru_maxrss * 1024e-6);
    must(eg__store_close(model, &err), &err);
    free(table);
    free(rows);
}

static void bench_read(const char *path)
{
    struct eg_error err;
    struct eg_store *store;
    must(eg__store_open(path, &store, &err), &err);
    size_t n = eg__store_spec(store)->n_rows, d = eg__store_spec(store)->cuts[0].length;
    size_t block = BLOCK_BYTES / (d * sizeof(float));
    if (!block) block = 1;
    float *rows = get((block > GATHER ? block : GATHER) * d, sizeof *rows);
    double start = now();
    for (size_t first = 0; first < n; first += block)
        must(eg__store_read(store, 0, first, n - first < block ? n - first : block, rows, &err), &err);
    double read = now();
    size_t *order = get(n, sizeof *order), taken = n / GATHER * GATHER;
    if (taken > 100 * GATHER) taken = 100 * GATHER;
    struct eg_rng rng;
    eg__rng_init(&rng, 1, 0);
    for (size_t i = 0; i < n; i++) order[i] = i;
    eg__rng_shuffle(&rng, order, n);
    double shuffled = now();
    for (size_t i = 0; i < taken; i += GATHER)
        must(eg__store_gather(store, 0, order + i, GATHER, rows, &err), &err);
    double gathered = now();
    printf("in order: %.0f MB/s; shuffled batches of %d: %.1f us/row, %.0f MB/s\n",
           (double)(n * d) * 4e-6 / (read - start), GATHER, (gathered - shuffled) * 1e6 / (double)taken,
           (double)(taken * d) * 4e-6 / (gathered - shuffled));
    must(eg__store_close(store, &err), &err);
    free(order);
    free(rows);
}

static void bench_repack(const char *in, const char *out, unsigned deflate, bool half, unsigned threads)
{
    struct eg_error err;
    struct eg_store *from, *to;
    eg_pool *pool;
    must(eg_pool_create(threads, &pool, &err), &err);
    must(eg__store_open(in, &from, &err), &err);
    size_t n = eg__store_spec(from)->n_rows, d = eg__store_spec(from)->cuts[0].length;
    float *rows = get(n * d, sizeof *rows);
    must(eg__store_read(from, 0, 0, n, rows, &err), &err);
    uint8_t hashes[BATCH][32] = {{0}};
    double start = now();
    to = begin(out, n, d, deflate, half);
    eg__store_use_pool(to, pool);
    for (size_t first = 0; first < n; first += BATCH) {
        const float *values[] = {rows + first * d};
        must(eg__store_put(to, first, n - first < BATCH ? n - first : BATCH, values,
                           (const uint8_t(*)[32])hashes, NULL, &err),
             &err);
    }
    must(eg__store_close(to, &err), &err);
    double written = now();
    must(eg__store_open(out, &to, &err), &err);
    double opened = now();
    must(eg__store_read(to, 0, 0, n, rows, &err), &err);
    double read = now();
    double raw = (double)(n * d) * 4e-6;
    printf("deflate %u, %s, %u threads: %.1f MB of %.1f (%.1f %%), written %.0f MB/s, read %.0f MB/s of "
           "floats\n",
           deflate, half ? "f16" : "f32", threads, megabytes(out), raw, 100 * megabytes(out) / raw,
           raw / (written - start), raw / (read - opened));
    must(eg__store_close(to, &err), &err);
    must(eg__store_close(from, &err), &err);
    eg_pool_free(pool);
    free(rows);
}

int main(int argc, char **argv)
{
    if (argc == 5 && !strcmp(argv[1], "rows"))
        bench_rows(argv[2], strtoul(argv[3], NULL, 10), strtoul(argv[4], NULL, 10));
    else if (argc == 5 && !strcmp(argv[1], "classes"))
        bench_classes(argv[2], strtoul(argv[3], NULL, 10), argv[4]);
    else if (argc == 3 && !strcmp(argv[1], "read"))
        bench_read(argv[2]);
    else if (argc == 7 && !strcmp(argv[1], "repack"))
        bench_repack(argv[2], argv[3], (unsigned)strtoul(argv[4], NULL, 10), *argv[5] == '1',
                     (unsigned)strtoul(argv[6], NULL, 10));
    else
        return 2;
    return 0;
}
