/* A small writer of feature files for the crash tests; its rows are a function of the image's
 * contents, so that what a file says is done can be checked without any other file.
 *   crash_driver SCENARIO write FILE     a run, from the start or going on; 0 when finished
 *   crash_driver SCENARIO check FILE     every row that is done is right; prints how many are
 *   crash_driver SCENARIO all FILE       check, write, and every row is done and right
 * SCENARIO: plain, deflate; grow, growdeflate: the same images after some changes, appended; stream,
 * streamdeflate: one after the other, their number not known. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/half.h"
#include "features/store.h"

enum { MOST = 64, BATCH = 8 };

static const char *paths[MOST];
static char contents[MOST][64]; /* "" : cannot be read */
static int32_t labels[MOST];
static size_t n_images, length;
static const char *classes[3] = {"cat", "dog"};
static size_t n_classes = 2;
static bool grow, stream;
static struct eg_store_spec spec;
static struct eg_cut_info cuts[2];

static void add(const char *path, const char *content, int32_t label)
{
    paths[n_images] = strdup(path);
    snprintf(contents[n_images], sizeof contents[0], "%s", content);
    labels[n_images++] = label;
}

static void make_images(bool grown)
{
    char path[300], content[64];
    for (int i = 0; i < 23; i++) {
        snprintf(path, sizeof path, "%s/%02d.jpg", i < 12 ? "cat" : "dog", i);
        snprintf(content, sizeof content, "content %d", i);
        int32_t label = i >= 12;
        if (grown && (i == 3 || i == 17)) continue; /* gone; 17 moved, see below */
        if (grown && i == 5) snprintf(content, sizeof content, "another content");
        if (grown && i == 20) content[0] = '\0'; /* damaged since */
        if (i == 9) content[0] = '\0';
        if (grown && i == 15) classes[2] = "emu", n_classes = 3, label = 2; /* same path, a CSV's new label */
        add(path, content, label);
    }
    if (!grown) return;
    memset(path, 'x', 200);
    snprintf(path + 200, sizeof path - 200, "/17.jpg"); /* wider than the paths before */
    add(path, "content 17", 2);
    for (int i = 30; i < 42; i++) {
        snprintf(path, sizeof path, "emu/%02d.jpg", i);
        snprintf(content, sizeof content, "content %d", i);
        add(path, content, 2);
    }
}

static void make_spec(const char *scenario)
{
    grow = !strncmp(scenario, "grow", 4);
    bool deflate = strstr(scenario, "deflate");
    stream = !strncmp(scenario, "stream", 6);
    make_images(grow || stream);
    length = deflate ? 12000 : 6; /* deflate: two chunks of 21 rows */
    cuts[0] = (struct eg_cut_info){"pool5", "pool5",   "p",    "max_pool", {1, 1, length},
                                   "chw",   "flatten", length, false};
    cuts[1] = (struct eg_cut_info){"fc", "fc", "f", "linear", {1, 1, 3}, "chw", "flatten", 3, true};
    spec = (struct eg_store_spec){.network = "net",
                                  .weights_sha256 = "00",
                                  .recipe = "{}",
                                  .root = "r",
                                  .command = scenario,
                                  .isa = "none",
                                  .cuts = cuts,
                                  .n_cuts = 2,
                                  .paths = paths,
                                  .labels = labels,
                                  .n_rows = n_images,
                                  .classes = classes,
                                  .n_classes = n_classes,
                                  .deflate = deflate ? 1 : 0};
}

static bool fail(const struct eg_error *err)
{
    fprintf(stderr, "%s\n", err->message);
    return false;
}

static void hash_of(size_t image, uint8_t hash[32])
{
    char text[400];
    snprintf(text, sizeof text, "%s", contents[image][0] ? contents[image] : "damaged");
    if (eg__sha256(text, strlen(text), hash, NULL)) abort();
}

/* Mostly zeros, as features are. */
static void values_of(const uint8_t hash[32], float *a, float *b)
{
    memset(a, 0, length * sizeof *a);
    for (size_t i = 0; i < 32; i++) a[i * 509 % length] = (float)hash[i] * 0.5f;
    for (int i = 0; i < 3; i++) b[i] = (float)hash[i] / 3.0f;
}

static bool put(struct eg_store *store, const size_t *rows, const size_t *images, size_t n)
{
    struct eg_error err;
    float *a = malloc(n * length * sizeof *a), *b = malloc(n * 3 * sizeof *b);
    uint8_t hashes[BATCH][32];
    const char *reasons[BATCH];
    for (size_t i = 0; i < n; i++) {
        hash_of(images[i], hashes[i]);
        values_of(hashes[i], a + i * length, b + i * 3);
        reasons[i] = contents[images[i]][0] ? NULL : "truncated";
    }
    bool done = true;
    for (size_t i = 0, m; done && i < n; i += m) { /* runs of neighbours */
        for (m = 1; i + m < n && rows[i + m] == rows[i] + m;) m++;
        const float *values[2] = {a + i * length, b + i * 3};
        if (eg__store_put(store, rows[i], m, values, (const uint8_t(*)[32])hashes + i, reasons + i, &err))
            done = fail(&err);
    }
    if (done && eg__store_checkpoint(store, &err)) done = fail(&err);
    free(a);
    free(b);
    return done;
}

/* As they come; the file is cut to their number at the end. */
static bool run_stream(const char *path)
{
    struct eg_error err;
    struct eg_store *store;
    struct eg_store_spec first = spec;
    first.n_rows = 8; /* so that it has to grow */
    first.root = "-";
    if (eg__store_stream(path, &first, false, &store, &err)) return fail(&err);
    bool done = true;
    for (size_t i = 0, n; done && i < n_images; i += n) {
        size_t rows[BATCH], images[BATCH], m = 0;
        n = n_images - i < BATCH ? n_images - i : BATCH;
        const struct eg_arrivals arrivals = {n, paths + i, labels + i, classes};
        if (eg__store_arrive(store, &arrivals, rows, &err)) done = fail(&err);
        for (size_t k = 0; done && k < n; k++)
            if (rows[k] != SIZE_MAX) {
                images[m] = i + k;
                rows[m++] = rows[k];
            }
        if (done && m) done = put(store, rows, images, m);
    }
    if (done && eg__store_trim(store, true, &err)) done = fail(&err);
    if (eg__store_close(store, &err) && done) done = fail(&err);
    return done;
}

static bool run(const char *path)
{
    if (stream) return run_stream(path);
    struct eg_error err;
    struct eg_store *store;
    struct eg_append todo = {0};
    uint8_t hashes[MOST][32];
    for (size_t i = 0; i < n_images; i++) hash_of(i, hashes[i]);
    if (grow) {
        if (eg__store_append(path, &spec, (const uint8_t(*)[32])hashes, &store, &todo, &err))
            return fail(&err);
    } else {
        if (eg__store_write(path, &spec, false, &store, &err)) return fail(&err);
        todo.rows = malloc(n_images * sizeof(size_t));
        todo.images = malloc(n_images * sizeof(size_t));
        for (size_t i = 0; i < n_images; i++)
            if (eg__store_status(store)[i] == EG_ROW_WAITING)
                todo.rows[todo.n] = todo.images[todo.n] = i, todo.n++;
    }
    bool done = true;
    for (size_t i = 0; done && i < todo.n; i += BATCH)
        done = put(store, todo.rows + i, todo.images + i, todo.n - i < BATCH ? todo.n - i : BATCH);
    eg__append_release(&todo);
    if (eg__store_close(store, &err) && done) done = fail(&err);
    return done;
}

static bool wrong(size_t row, const char *what)
{
    fprintf(stderr, "row %zu: %s\n", row, what);
    return false;
}

static size_t image_of(const char *path)
{
    size_t i = 0;
    while (i < n_images && strcmp(paths[i], path)) i++;
    return i;
}

static bool check_row(struct eg_store *store, size_t row, bool finished)
{
    const struct eg_store_spec *found = eg__store_spec(store);
    float *a = malloc(length * sizeof *a), *wanted = malloc(length * sizeof *wanted), b[3], wanted_b[3];
    uint8_t hash[1][32], now[32];
    int status = eg__store_status(store)[row];
    size_t image = image_of(found->paths[row]);
    bool right = !eg__store_read(store, 0, row, 1, a, NULL) && !eg__store_read(store, 1, row, 1, b, NULL) &&
                 !eg__store_hashes(store, row, 1, hash, NULL);
    if (!right) wrong(row, "cannot be read");
    values_of(hash[0], wanted, wanted_b);
    for (int i = 0; i < 3; i++) wanted_b[i] = eg__f16_to_f32(eg__f32_to_f16(wanted_b[i]));
    if (right && status == EG_ROW_DONE &&
        (memcmp(a, wanted, length * sizeof *a) || memcmp(b, wanted_b, sizeof b)))
        right = wrong(row, "is done and holds other values");
    if (right && status == EG_ROW_UNREADABLE &&
        (!isnan(a[0]) || !eg__store_reason(store, row) || strcmp(eg__store_reason(store, row), "truncated")))
        right = wrong(row, "is unreadable and has values or no reason");
    if (right && finished && image == n_images && status != EG_ROW_VANISHED)
        right = wrong(row, "has not vanished");
    if (right && finished && image < n_images) {
        hash_of(image, now);
        if (status != (contents[image][0] ? EG_ROW_DONE : EG_ROW_UNREADABLE))
            right = wrong(row, "is not done");
        else if (memcmp(hash[0], now, 32))
            right = wrong(row, "has the hash of other contents");
        else if (strcmp(found->classes[found->labels[row]], classes[labels[image]]))
            right = wrong(row, "has another class");
    }
    free(a);
    free(wanted);
    return right;
}

static bool check(const char *path, bool finished)
{
    struct eg_error err;
    struct eg_store *store;
    if (eg__store_open(path, &store, &err)) return fail(&err);
    size_t n = eg__store_spec(store)->n_rows, done = 0;
    bool right = true;
    for (size_t row = 0; right && row < n; row++) {
        right = check_row(store, row, finished);
        done += eg__store_status(store)[row] == EG_ROW_DONE;
    }
    if (right && finished)
        for (size_t i = 0; right && i < n_images; i++) {
            size_t row = 0;
            while (row < n && strcmp(eg__store_spec(store)->paths[row], paths[i])) row++;
            if (row == n) right = wrong(i, "of the listing is not in the file");
        }
    if (eg__store_close(store, &err)) right = fail(&err);
    if (right) printf("%zu of %zu done\n", done, n);
    return right;
}

int main(int argc, char **argv)
{
    if (argc != 4) return 2;
    const char *path = argv[3];
    make_spec(argv[1]);
    bool right;
    if (!strcmp(argv[2], "write")) {
        right = run(path);
    } else if (!strcmp(argv[2], "check")) {
        right = check(path, false);
    } else {
        FILE *there = fopen(path, "rb");
        right = !there || check(path, false);
        if (there) fclose(there);
        right = right && run(path) && check(path, true);
    }
    for (size_t i = 0; i < n_images; i++) {
        void *owned;
        memcpy(&owned, &paths[i], sizeof owned);
        free(owned);
    }
    return right ? 0 : 1;
}
