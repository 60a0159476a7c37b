/* Ranks that write shards, and the first that merges them:
 *   mpirun -n N dist_driver FILE ROWS      DIST_KILL=R: rank R dies half-way (with the rest)
 * Rows go on where they were. Also adds up numbers over the ranks, and checks them. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dist/dist.h"
#include "features/store.h"

enum { D = 7, MOST = 1000 };

static bool fail(const struct eg_error *err)
{
    fprintf(stderr, "%s\n", err->message);
    return false;
}

static bool write_shard(const struct eg_dist *dist, const char *path, size_t n, bool dies)
{
    static char names[MOST][16];
    const char *paths[MOST], *classes[] = {"a", "b"};
    int32_t labels[MOST];
    struct eg_cut_info cut = {"cut", "cut", "cut", "stub", {1, 1, D}, "chw", "flatten", D, false};
    size_t first, count;
    eg__shard_range(n, dist->rank, dist->n_ranks, &first, &count);
    for (size_t i = 0; i < count; i++) {
        snprintf(names[i], sizeof names[i], "%06zu.jpg", first + i);
        paths[i] = names[i];
        labels[i] = (int32_t)((first + i) % 2);
    }
    struct eg_store_spec spec = {.network = "stub",
                                 .weights_sha256 = "0",
                                 .recipe = "{}",
                                 .cuts = &cut,
                                 .n_cuts = 1,
                                 .paths = paths,
                                 .labels = labels,
                                 .n_rows = count,
                                 .classes = classes,
                                 .n_classes = 2,
                                 .shard = dist->rank,
                                 .n_shards = dist->n_ranks};
    struct eg_store *store;
    struct eg_error err;
    if (eg__store_write(path, &spec, false, &store, &err)) return fail(&err);
    for (size_t i = 0; i < count; i++) {
        if (dies && i == count / 2) raise(SIGKILL);
        if (eg__store_status(store)[i] == EG_ROW_DONE) continue;
        float row[D];
        uint8_t hash[1][32] = {{(uint8_t)(first + i)}};
        for (size_t k = 0; k < D; k++) row[k] = (float)(first + i) + (float)k * 0.125f;
        const char *reason = (first + i) % 10 == 3 ? "truncated" : NULL;
        const float *values[] = {row};
        if (eg__store_put(store, i, 1, values, (const uint8_t(*)[32])hash, &reason, &err) ||
            eg__store_checkpoint(store, &err)) {
            fail(&err);
            if (eg__store_close(store, &err)) return false;
            return false;
        }
    }
    return !eg__store_close(store, &err) || fail(&err);
}

static bool merge(const struct eg_dist *dist, char (*names)[4200], const char *path)
{
    const char *shards[MOST];
    struct eg_error err;
    for (size_t i = 0; i < dist->n_ranks; i++) shards[i] = names[i];
    return !eg__store_merge(path, shards, dist->n_ranks, false, true, NULL, &err) || fail(&err);
}

static bool sums_are_right(const struct eg_dist *dist)
{
    float values[5];
    struct eg_error err;
    for (int i = 0; i < 5; i++) values[i] = (float)((dist->rank + 1) * (size_t)(i + 1));
    if (eg__dist_sum(dist, values, 5, &err)) return fail(&err);
    for (int i = 0; i < 5; i++)
        if (values[i] != (float)(dist->n_ranks * (dist->n_ranks + 1) / 2 * (size_t)(i + 1))) return false;
    bool failed = dist->rank + 1 == dist->n_ranks;
    return !eg__dist_agree(dist, &failed, &err) && failed;
}

int main(int argc, char **argv)
{
    struct eg_dist dist;
    struct eg_error err;
    if (argc != 3 || strlen(argv[1]) > 4000) return 2;
    if (eg__dist_init(&dist, &err)) return !fail(&err);
    char(*names)[4200] = calloc(dist.n_ranks, sizeof *names);
    for (size_t i = 0; i < dist.n_ranks; i++)
        snprintf(names[i], sizeof names[i], "%s.%zu-of-%zu.h5", argv[1], i, dist.n_ranks);
    const char *dying = getenv("DIST_KILL");
    bool dies = dying && strtoul(dying, NULL, 10) == dist.rank;
    bool failed = !write_shard(&dist, names[dist.rank], strtoul(argv[2], NULL, 10), dies);
    if (eg__dist_agree(&dist, &failed, &err)) failed = !fail(&err);
    if (!failed && !dist.rank) failed = !merge(&dist, names, argv[1]);
    failed = failed || !sums_are_right(&dist);
    free(names);
    eg__dist_release(&dist);
    return failed;
}
