/* features/: making, resuming, reading; what must be refused. */
#include <hdf5.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

#include "base/half.h"
#include "features/store.h"

enum { N = 300, D = 37, E = 5 };
static char folder[64], path[128];
static const char *paths[N];
static size_t offset; /* of a shard's rows in all of them */
static int32_t labels[N];
static const char *classes[] = {"cat", "dog"};

static struct eg_cut_info cuts[2] = {
    {"pool5", "pool5", "features.30", "max_pool", {1, 1, D}, "chw", "flatten", D, false},
    {"fc7.avg", "fc7:avg", "classifier.3", "linear", {1, 1, E}, "chw", "avg", E, true},
};

static struct eg_store_spec make_spec(void)
{
    return (struct eg_store_spec){.network = "vgg16",
                                  .weights_sha256 = "0123",
                                  .recipe = "{\"size\":224}",
                                  .root = "photos",
                                  .command = "extract",
                                  .isa = "avx2",
                                  .cuts = cuts,
                                  .n_cuts = 2,
                                  .paths = paths,
                                  .labels = labels,
                                  .n_rows = N,
                                  .classes = classes,
                                  .n_classes = 2};
}

static float value(size_t row, size_t i) { return (float)row * 3.0f + (float)i * 0.25f; }

static float rounded(float f) { return eg__f16_to_f32(eg__f32_to_f16(f)); }

/* Row 7 cannot be read. */
static void put(struct eg_store *store, size_t first, size_t count)
{
    float *a = malloc(count * D * sizeof *a), *b = malloc(count * E * sizeof *b);
    uint8_t(*hashes)[32] = malloc(count * sizeof *hashes);
    const char **reasons = calloc(count, sizeof *reasons);
    for (size_t r = 0; r < count; r++) {
        for (size_t i = 0; i < D; i++) a[r * D + i] = value(offset + first + r, i);
        for (size_t i = 0; i < E; i++) b[r * E + i] = value(offset + first + r, i);
        memset(hashes[r], (int)(offset + first + r) & 255, 32);
        hashes[r][1] = 1; /* none is all zeros */
        if (offset + first + r == 7) reasons[r] = "truncated";
    }
    const float *values[] = {a, b};
    struct eg_error err;
    if (eg__store_put(store, first, count, values, (const uint8_t(*)[32])hashes, reasons, &err))
        fail_msg("%s", err.message);
    free(a);
    free(b);
    free(hashes);
    free(reasons);
}

static struct eg_store *begin(bool overwrite)
{
    struct eg_store_spec spec = make_spec();
    struct eg_store *store;
    struct eg_error err;
    if (eg__store_write(path, &spec, overwrite, &store, &err)) fail_msg("%s", err.message);
    return store;
}

static struct eg_store *open_it(void)
{
    struct eg_store *store;
    struct eg_error err;
    if (eg__store_open(path, &store, &err)) fail_msg("%s", err.message);
    return store;
}

static void close_it(struct eg_store *store)
{
    struct eg_error err;
    if (eg__store_close(store, &err)) fail_msg("%s", err.message);
}

static void check_all(struct eg_store *store)
{
    float *a = malloc(N * D * sizeof *a), *b = malloc(N * E * sizeof *b);
    assert_int_equal(eg__store_read(store, 0, 0, N, a, NULL), EG_OK);
    assert_int_equal(eg__store_read(store, 1, 0, N, b, NULL), EG_OK);
    for (size_t r = 0; r < N; r++) {
        assert_int_equal(eg__store_status(store)[r], r == 7 ? EG_ROW_UNREADABLE : EG_ROW_DONE);
        for (size_t i = 0; i < D; i++)
            assert_true(r == 7 ? isnan(a[r * D + i]) : a[r * D + i] == value(r, i));
        for (size_t i = 0; i < E; i++)
            assert_true(r == 7 ? isnan(b[r * E + i]) : b[r * E + i] == rounded(value(r, i)));
    }
    assert_string_equal(eg__store_reason(store, 7), "truncated");
    assert_null(eg__store_reason(store, 8));
    uint8_t hashes[3][32];
    assert_int_equal(eg__store_hashes(store, 100, 3, hashes, NULL), EG_OK);
    assert_int_equal(hashes[2][31], 102);
    free(a);
    free(b);
}

static void made_resumed_and_read(void **state)
{
    (void)state;
    struct eg_store *store = begin(false);
    put(store, 0, 100);
    close_it(store);

    store = begin(false); /* goes on */
    for (size_t r = 0; r < N; r++)
        assert_int_equal(eg__store_status(store)[r], r == 7    ? EG_ROW_UNREADABLE
                                                     : r < 100 ? EG_ROW_DONE
                                                               : EG_ROW_WAITING);
    put(store, 200, 100); /* any order */
    put(store, 100, 100);
    close_it(store);

    store = open_it();
    check_all(store);
    const struct eg_store_spec *spec = eg__store_spec(store), wanted = make_spec();
    assert_string_equal(spec->network, wanted.network);
    assert_string_equal(spec->recipe, wanted.recipe);
    assert_string_equal(spec->root, wanted.root);
    assert_int_equal(spec->n_rows, N);
    assert_int_equal(spec->n_classes, 2);
    assert_string_equal(spec->classes[1], "dog");
    assert_string_equal(spec->paths[42], paths[42]);
    assert_int_equal(spec->labels[42], labels[42]);
    assert_int_equal(spec->n_cuts, 2);
    assert_string_equal(spec->cuts[1].layer, "fc7:avg");
    assert_string_equal(spec->cuts[1].pool, "avg");
    assert_int_equal(spec->cuts[0].shape[2], D);
    assert_true(spec->cuts[1].half);
    size_t cut;
    assert_int_equal(eg__store_find_cut(store, NULL, &cut, NULL), EG_OK);
    assert_int_equal(cut, 0);
    assert_int_equal(eg__store_find_cut(store, "fc7.avg", &cut, NULL), EG_OK);
    assert_int_equal(cut, 1);
    struct eg_error err;
    assert_int_equal(eg__store_find_cut(store, "pool6", &cut, &err), EG_E_NOT_FOUND);
    assert_non_null(strstr(err.message, "pool5, fc7.avg"));
    struct eg_history *records;
    size_t n;
    assert_int_equal(eg__store_history(store, &records, &n, NULL), EG_OK);
    assert_int_equal(n, 2);
    assert_int_equal(records[0].rows, 100);
    assert_int_equal(records[1].rows, 200);
    assert_string_equal(records[1].isa, "avx2");
    free(records);
    close_it(store);
}

static void rows_are_gathered(void **state)
{
    (void)state;
    struct eg_store *store = open_it();
    static const size_t rows[] = {299, 3, 4, 5, 5, 0, 250, 249};
    enum { COUNT = sizeof rows / sizeof *rows };
    float out[COUNT * D];
    assert_int_equal(eg__store_gather(store, 0, rows, COUNT, out, NULL), EG_OK);
    for (size_t r = 0; r < COUNT; r++)
        for (size_t i = 0; i < D; i++) assert_true(out[r * D + i] == value(rows[r], i));
    static const size_t past[] = {300};
    assert_int_equal(eg__store_gather(store, 0, past, 1, out, NULL), EG_E_ARGUMENT);
    close_it(store);
}

static void refused(const struct eg_store_spec *spec, const char *words)
{
    struct eg_store *store;
    struct eg_error err;
    enum eg_status status = eg__store_write(path, spec, false, &store, &err);
    assert_int_equal(status, EG_E_EXISTS);
    if (!strstr(err.message, words)) fail_msg("'%s' does not say '%s'", err.message, words);
}

static void another_spec_is_named(void **state)
{
    (void)state;
    struct eg_store_spec spec = make_spec();
    spec.network = "alexnet";
    refused(&spec, "its network is 'vgg16', this run's is 'alexnet'");
    spec = make_spec();
    spec.recipe = "{\"size\":299}";
    refused(&spec, "recipe");
    spec = make_spec();
    spec.n_rows = N - 1;
    refused(&spec, "number of images is '300', this run's is '299'");
    spec = make_spec();
    spec.n_cuts = 1;
    refused(&spec, "number of cuts");
    struct eg_cut_info other[2] = {cuts[0], cuts[1]};
    other[1].half = false;
    spec = make_spec();
    spec.cuts = other;
    refused(&spec, "fc7.avg's type is 'f16', this run's is 'f32'");
    const char *renamed[N];
    memcpy(renamed, paths, sizeof renamed);
    renamed[50] = "dog/else.jpg";
    spec = make_spec();
    spec.paths = renamed;
    refused(&spec, "image 51");
    spec = make_spec();
    spec.command = "another command"; /* provenance may differ */
    struct eg_store *store;
    assert_int_equal(eg__store_write(path, &spec, false, &store, NULL), EG_OK);
    close_it(store);
}

static void one_writer_at_a_time(void **state)
{
    (void)state;
    struct eg_store *store = begin(false), *second;
    struct eg_store_spec spec = make_spec();
    struct eg_error err;
    assert_int_equal(eg__store_write(path, &spec, false, &second, &err), EG_E_IO);
    assert_non_null(strstr(err.message, "is being written by another run"));
    assert_int_equal(eg__store_write(path, &spec, true, &second, &err), EG_E_IO);
    second = open_it(); /* a plain run may be watched */
    close_it(second);
    close_it(store);
}

static void half_overflow_is_an_error(void **state)
{
    (void)state;
    struct eg_store *store = begin(false);
    float a[D] = {0}, b[E] = {1, 2, 70000.0f, 4, 5};
    const float *values[] = {a, b};
    uint8_t hash[1][32] = {{0}};
    struct eg_error err;
    assert_int_equal(eg__store_put(store, 9, 1, values, (const uint8_t(*)[32])hash, NULL, &err),
                     EG_E_NUMERIC);
    assert_non_null(strstr(err.message, paths[9]));
    put(store, 0, 10); /* as it was */
    close_it(store);
    store = open_it();
    check_all(store);
    close_it(store);
}

static void begun_anew(void **state)
{
    (void)state;
    struct eg_store *store = begin(true);
    for (size_t r = 0; r < N; r++) assert_int_equal(eg__store_status(store)[r], EG_ROW_WAITING);
    put(store, 0, N);
    close_it(store);
    store = open_it();
    check_all(store);
    close_it(store);
    struct stat info;
    char part[160];
    snprintf(part, sizeof part, "%s.part", path);
    assert_int_not_equal(stat(part, &info), 0);
}

static void shard_path(char *out, size_t n, size_t shard) { snprintf(out, n, "%s/s%zu.h5", folder, shard); }

static void write_shard(size_t shard, size_t n_shards, unsigned deflate, bool finish)
{
    char name[128];
    shard_path(name, sizeof name, shard);
    size_t first, count;
    eg__shard_range(N, shard, n_shards, &first, &count);
    struct eg_store_spec spec = make_spec();
    spec.paths += first;
    spec.labels += first;
    spec.n_rows = count;
    spec.shard = shard;
    spec.n_shards = n_shards;
    spec.deflate = deflate;
    struct eg_store *store;
    struct eg_error err;
    if (eg__store_write(name, &spec, true, &store, &err)) fail_msg("%s", err.message);
    offset = first;
    put(store, 0, finish ? count : count - 1);
    offset = 0;
    close_it(store);
}

static void shards_are_merged(void **state)
{
    (void)state;
    char names[7][128];
    const char *given[7] = {0};
    struct eg_error err;
    for (size_t n = 1; n <= 7; n += 2) {
        for (int copy = 0; copy < 2; copy++) {
            for (size_t i = 0; i < n; i++) {
                write_shard(i, n, n == 5 ? 3 : 0, true);
                shard_path(names[i], sizeof names[i], i);
                given[n - 1 - i] = names[i]; /* in any order */
            }
            if (eg__store_merge(path, given, n, copy, true, "merge", &err)) fail_msg("%s", err.message);
            struct eg_store *store = open_it();
            check_all(store);
            assert_string_equal(eg__store_spec(store)->paths[N - 1], paths[N - 1]);
            assert_int_equal(eg__store_spec(store)->labels[N - 1], labels[N - 1]);
            struct eg_history *records;
            size_t n_records;
            assert_int_equal(eg__store_history(store, &records, &n_records, NULL), EG_OK);
            assert_int_equal(n_records, n);
            free(records);
            close_it(store);
            if (n < 3) continue;
            assert_int_equal(eg__store_merge(path, given, n - 1, copy, true, NULL, &err), EG_E_ARGUMENT);
            assert_non_null(strstr(err.message, "give all of them"));
            given[0] = given[1];
            assert_int_equal(eg__store_merge(path, given, n, copy, true, NULL, &err), EG_E_ARGUMENT);
            assert_non_null(strstr(err.message, "same shard"));
            unlink(names[1]);
            enum eg_status status = eg__store_open(path, &store, &err);
            assert_int_equal(status, copy ? EG_OK : EG_E_IO);
            if (copy)
                close_it(store);
            else
                assert_non_null(strstr(err.message, "needs all its shards"));
        }
    }
    write_shard(1, 7, 0, false);
    for (size_t i = 0; i < 7; i++) given[i] = names[i];
    assert_int_equal(eg__store_merge(path, given, 7, false, true, NULL, &err), EG_E_ARGUMENT);
    assert_non_null(strstr(err.message, "still has 1 of"));
    for (size_t i = 0; i < 7; i++) unlink(names[i]);
}

/* More shards than files may be open: merging and reading in any order still work. */
static void many_shards_need_few_descriptors(void **state)
{
    (void)state;
    enum { SHARDS = 150, EACH = N / SHARDS, DESCRIPTORS = 48 };
    static char names[SHARDS][128];
    const char *given[SHARDS];
    struct eg_error err;
    for (size_t i = 0; i < SHARDS; i++) {
        write_shard(i, SHARDS, 0, true);
        shard_path(names[i], sizeof names[i], i);
        given[i] = names[i];
    }
    struct eg_shards_report *counted;
    if (eg_features_count_shards(given, SHARDS, &counted, &err)) fail_msg("%s", err.message);
    assert_true(counted->complete);
    assert_int_equal(counted->rows, N);
    assert_int_equal(counted->unreadable, 1);
    eg_shards_report_free(counted);
    if (eg_features_count_shards(given + 1, SHARDS - 2, &counted, &err)) fail_msg("%s", err.message);
    assert_false(counted->complete);
    assert_int_equal(counted->n_missing, 2);
    assert_int_equal(counted->missing[1], SHARDS - 1);
    eg_shards_report_free(counted);
    struct rlimit before, few;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = DESCRIPTORS;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    for (int copy = 1; copy >= 0; copy--) {
        if (eg__store_merge(path, given, SHARDS, copy, true, "merge", &err)) fail_msg("%s", err.message);
        struct eg_store *store = open_it();
        check_all(store);
        size_t rows[N];
        for (size_t i = 0; i < N; i++) rows[i] = i * 7919 % N;
        float *values = malloc(N * D * sizeof *values);
        assert_int_equal(eg__store_gather(store, 0, rows, N, values, NULL), EG_OK);
        for (size_t i = 0; i < N; i++)
            if (rows[i] != 7) assert_true(values[i * D + 1] == value(rows[i], 1));
        free(values);
        if (!copy) { /* a shard that goes while its master is open is an error, not rows of NaN */
            unlink(names[40]);
            float row[D];
            size_t gone = 40 * EACH, there = 41 * EACH;
            assert_int_equal(eg__store_read(store, 0, there, 1, row, &err), EG_OK);
            assert_int_equal(eg__store_read(store, 0, gone, 1, row, &err), EG_E_IO);
            assert_non_null(strstr(err.message, "No such file"));
        }
        close_it(store);
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    for (size_t i = 0; i < SHARDS; i++) unlink(names[i]);
}

struct faults {
    size_t n, rows[8];
    char words[8][200];
};

static enum eg_status note(void *context, size_t row, const char *words)
{
    struct faults *faults = context;
    assert_true(faults->n < 8);
    faults->rows[faults->n] = row;
    snprintf(faults->words[faults->n++], sizeof faults->words[0], "%s", words);
    return EG_OK;
}

static struct faults check_it(void)
{
    struct faults faults = {0};
    struct eg_store *store = open_it();
    struct eg_error err;
    if (eg__store_check(store, note, &faults, NULL, NULL, &err)) fail_msg("%s", err.message);
    close_it(store);
    return faults;
}

/* One byte of the file, found by the bytes that begin there. */
static void damage(const void *bytes, size_t n)
{
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    static uint8_t all[1 << 20];
    size_t size = fread(all, 1, sizeof all, file);
    const uint8_t *at = memmem(all, size, bytes, n);
    assert_non_null(at);
    assert_int_equal(fseek(file, at - all, SEEK_SET), 0);
    fputc(*at ^ 0x5a, file);
    fclose(file);
}

static void a_check_finds_faults(void **state)
{
    (void)state;
    struct eg_store *store = begin(true);
    put(store, 0, N);
    close_it(store);
    assert_int_equal(check_it().n, 0);

    store = begin(true);
    put(store, 0, N);
    float a[D], b[E] = {1, 2, 3, 4, (float)INFINITY};
    for (size_t i = 0; i < D; i++) a[i] = i == 3 || i == 9 ? (float)NAN : 1;
    const float *values[] = {a, b};
    const uint8_t nothing[1][32] = {{0}};
    assert_int_equal(eg__store_put(store, 20, 1, values, nothing, NULL, NULL), EG_OK);
    close_it(store);
    struct faults faults = check_it();
    assert_int_equal(faults.n, 3);
    for (size_t i = 0; i < faults.n; i++) assert_int_equal(faults.rows[i], 20);
    assert_non_null(strstr(faults.words[0], "no hash"));
    assert_non_null(strstr(faults.words[1], "2 of its 37 values of 'pool5'"));
    assert_non_null(strstr(faults.words[2], "1 of its 5 values of 'fc7.avg'"));

    struct eg_store_spec spec = make_spec(); /* rows that cannot be inflated */
    spec.deflate = 9;
    struct eg_error err;
    assert_int_equal(eg__store_write(path, &spec, true, &store, &err), EG_OK);
    put(store, 0, N);
    close_it(store);
    assert_int_equal(check_it().n, 0);
    damage("\x78\xda", 2); /* as zlib begins */
    faults = check_it();
    assert_int_equal(faults.n, 1);
    assert_non_null(strstr(faults.words[0], "cannot read rows"));
}

static void duplicates_are_grouped(void **state)
{
    (void)state;
    struct eg_store *store = begin(true);
    put(store, 0, N);
    float a[D], b[E];
    const float *values[] = {a, b};
    uint8_t hash[1][32];
    /* 200 and 290 are 10 twice as bright; 290 has its bytes, too. 7 stays unreadable. */
    for (size_t row = 200; row <= 290; row += 90) {
        for (size_t i = 0; i < D; i++) a[i] = 2 * value(10, i) + (i == 3 ? 100.0f : 0.0f);
        for (size_t i = 0; i < E; i++) b[i] = (float)i;
        memset(hash[0], row == 290 ? 10 : 251, 32);
        hash[0][1] = 1;
        assert_int_equal(eg__store_put(store, row, 1, values, (const uint8_t(*)[32])hash, NULL, NULL), EG_OK);
    }
    close_it(store);
    store = open_it();
    struct eg_groups groups;
    assert_int_equal(eg__store_duplicates(store, &groups, NULL), EG_OK);
    /* Hashes are row & 255: 0..44 and 256..299 pair up, but for 34 (its twin, 290, is 10's),
     * 7 (unreadable); 10 has 266 and 290; 251 has 200. */
    assert_int_equal(groups.n, 44 - 2 + 1);
    bool found = false;
    for (size_t g = 0; g < groups.n; g++)
        if (groups.rows[groups.starts[g]] == 10) {
            found = true;
            assert_int_equal(groups.starts[g + 1] - groups.starts[g], 3);
            assert_int_equal(groups.rows[groups.starts[g] + 2], 290);
        }
    assert_true(found);
    eg_groups_release(&groups);
    for (size_t memory = 0; memory <= 1; memory++) { /* one block, and blocks of 16 rows */
        assert_int_equal(
            eg__store_near_duplicates(store, 0, 0.999999999, memory, NULL, NULL, NULL, &groups, NULL), EG_OK);
        assert_true(groups.n >= 1);
        found = false;
        for (size_t i = 0; i + 1 < groups.starts[groups.n]; i++)
            found = found || (groups.rows[i] == 200 && groups.rows[i + 1] == 290);
        assert_true(found);
        eg_groups_release(&groups);
    }
    close_it(store);
}

/* ---- strangers' files ----------------------------------------------------------------- */

static hid_t stranger(void) { return H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT); }

static void plain_set(hid_t file, const char *name, hid_t type, int rank, const hsize_t *dims, hid_t as,
                      const void *data)
{
    hid_t space = H5Screate_simple(rank, dims, NULL);
    hid_t set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(set >= 0 && H5Dwrite(set, as, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
    H5Dclose(set);
    H5Sclose(space);
}

static void any_matrix_is_read(void **state)
{
    (void)state;
    hid_t file = stranger();
    double matrix[4][2][3];
    for (int i = 0; i < 24; i++) (&matrix[0][0][0])[i] = i * 0.5;
    const int64_t numbers[4] = {0, 2, 1, 2};
    plain_set(file, "features", H5T_IEEE_F64BE, 3, (hsize_t[]){4, 2, 3}, H5T_NATIVE_DOUBLE, matrix);
    plain_set(file, "labels", H5T_STD_I16LE, 1, (hsize_t[]){4}, H5T_NATIVE_INT64, numbers);
    H5Fclose(file);
    struct eg_store *store = open_it();
    const struct eg_store_spec *spec = eg__store_spec(store);
    assert_null(spec->network);
    assert_int_equal(spec->n_rows, 4);
    assert_int_equal(spec->cuts[0].length, 6);
    assert_int_equal(spec->n_classes, 3);
    assert_string_equal(spec->classes[2], "2");
    assert_int_equal(spec->labels[3], 2);
    assert_int_equal(eg__store_status(store)[3], EG_ROW_DONE);
    float row[6];
    assert_int_equal(eg__store_read(store, 0, 3, 1, row, NULL), EG_OK);
    assert_true(row[5] == 11.5f);
    close_it(store);
    struct eg_store_spec wanted = make_spec();
    refused(&wanted, "another program's file");
}

static void refused_stranger(const char *words)
{
    struct eg_store *store;
    struct eg_error err;
    assert_int_equal(eg__store_open(path, &store, &err), EG_E_FORMAT);
    if (!strstr(err.message, words)) fail_msg("'%s' does not say '%s'", err.message, words);
}

static void nothing_outside_is_followed(void **state)
{
    (void)state;
    float matrix[4] = {0};
    hid_t file = stranger();
    plain_set(file, "features", H5T_NATIVE_FLOAT, 2, (hsize_t[]){2, 2}, H5T_NATIVE_FLOAT, matrix);
    H5Lcreate_external("/etc/other.h5", "/x", file, "labels", H5P_DEFAULT, H5P_DEFAULT);
    H5Fclose(file);
    refused_stranger("link to outside");

    file = stranger();
    hid_t group = H5Gcreate2(file, "deep", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    hid_t list = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(1, (hsize_t[]){16}, NULL);
    H5Pset_external(list, "/etc/passwd", 0, 16);
    hid_t set = H5Dcreate2(group, "features", H5T_NATIVE_UINT8, space, H5P_DEFAULT, list, H5P_DEFAULT);
    assert_true(set >= 0);
    H5Dclose(set);
    H5Pclose(list);
    H5Gclose(group);
    H5Fclose(file);
    refused_stranger("keeps its data in another file");

    static const char *const sources[] = {"/etc/a.h5", "../a.h5", "b/a.h5", "."};
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        file = stranger();
        list = H5Pcreate(H5P_DATASET_CREATE);
        H5Pset_virtual(list, space, sources[i], "/x", space);
        set = H5Dcreate2(file, "features", H5T_NATIVE_UINT8, space, H5P_DEFAULT, list, H5P_DEFAULT);
        assert_true(set >= 0);
        H5Dclose(set);
        H5Pclose(list);
        H5Fclose(file);
        refused_stranger("not a plain name in the same folder");
    }
    H5Sclose(space);
    FILE *junk = fopen(path, "wb");
    fputs("no HDF5", junk);
    fclose(junk);
    refused_stranger("as HDF5");
    struct eg_store_spec wanted = make_spec();
    refused(&wanted, "no run can go on with it");
}

int main(void)
{
    static char names[N][32];
    for (int i = 0; i < N; i++) {
        snprintf(names[i], sizeof names[i], "%s/%04d.jpg", i < N / 2 ? "cat" : "dog", i);
        paths[i] = names[i];
        labels[i] = i % 50 ? i >= N / 2 : -1;
    }
    snprintf(folder, sizeof folder, "/tmp/engraft-store-XXXXXX");
    if (!mkdtemp(folder)) return 1;
    snprintf(path, sizeof path, "%s/f.h5", folder);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(made_resumed_and_read),     cmocka_unit_test(rows_are_gathered),
        cmocka_unit_test(another_spec_is_named),     cmocka_unit_test(one_writer_at_a_time),
        cmocka_unit_test(half_overflow_is_an_error), cmocka_unit_test(begun_anew),
        cmocka_unit_test(shards_are_merged),         cmocka_unit_test(many_shards_need_few_descriptors),
        cmocka_unit_test(a_check_finds_faults),      cmocka_unit_test(duplicates_are_grouped),
        cmocka_unit_test(any_matrix_is_read),        cmocka_unit_test(nothing_outside_is_followed),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    rmdir(folder);
    return failed;
}
