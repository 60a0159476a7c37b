/* audit.c: what is wrong with the data of a feature file: labels that look wrong, the same photo
 * twice, odd ones, classes that are confused, and what more photos would bring. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/pool.h"
#include "base/rng.h"
#include "base/versioned.h"
#include "eval/metrics.h"
#include "flow/audit.h"
#include "image/dataset.h"
#include "image/photo.h"

enum { MOST_WIDTH = 4096, LOOK_TARGET = 192, STEP = 64, LEAST_ROWS = 4, THUMB_QUALITY = 72, VOTERS = 10 };
static const double VOTE_SHARE = 0.2, VOTE_SLOPE = 8;

/* ---- rows and their vectors --------------------------------------------------------------------- */

static enum eg_status choose_rows(struct eg_audit *a, struct eg_error *err)
{
    const uint8_t *status = eg__store_status(a->store);
    const size_t n = a->spec->n_rows;
    uint8_t *confirmed = eg__alloc(n + 1, 1), *test = eg__zalloc(n + 1, 1);
    a->rows = eg__alloc(n + 1, sizeof *a->rows);
    a->labelled = eg__alloc(n + 1, sizeof *a->labelled);
    a->labels = eg__alloc(n + 1, sizeof *a->labels);
    a->confirmed = eg__zalloc(n + 1, 1);
    a->test = eg__zalloc(n + 1, 1);
    bool room = confirmed && test && a->rows && a->labelled && a->labels && a->confirmed && a->test;
    enum eg_status done = room ? eg__store_confirmed(a->store, confirmed, err) : eg__fail_memory(err, "rows");
    if (!done) done = eg__audit_test_rows(a->store, a->options, a->cut, test, err);
    for (size_t i = 0; i < n && !done; i++) {
        if (status[i] == EG_ROW_WAITING)
            done = eg__fail(err, EG_E_ARGUMENT, "not all rows are computed yet: finish the extraction first");
        if (status[i] != EG_ROW_DONE) continue;
        a->confirmed[a->n] = confirmed[i];
        a->test[a->n] = test[i];
        a->labels[a->n] = a->spec->labels[i];
        if (a->labels[a->n] >= 0) a->labelled[a->n_labelled++] = a->n;
        a->rows[a->n++] = i;
    }
    if (!done && a->n < LEAST_ROWS)
        done = eg__fail(err, EG_E_ARGUMENT, "%zu rows are too few for an audit", a->n);
    free(confirmed);
    free(test);
    return done;
}

/* Signed roots; a wide row is folded into MOST_WIDTH sums with signs by chance, which keep cosines
 * (Charikar, Chen, Farach-Colton 2002: count sketch). */
static void shorten(const float *row, size_t length, size_t d, const uint32_t *place, float *out)
{
    memset(out, 0, d * sizeof *out);
    for (size_t j = 0; j < length; j++) {
        float root = row[j] < 0 ? -sqrtf(-row[j]) : sqrtf(row[j]);
        out[place[j] >> 1] += place[j] & 1 ? -root : root;
    }
}

static void centre(struct eg_audit *a)
{
    const size_t n = a->n, d = a->d;
    for (size_t j = 0; j < d; j++) {
        double mean = 0;
        for (size_t i = 0; i < n; i++) mean += (double)a->vectors[i * d + j];
        mean /= (double)n;
        for (size_t i = 0; i < n; i++) a->vectors[i * d + j] -= (float)mean;
    }
    for (size_t i = 0; i < n; i++) {
        float *row = a->vectors + i * d;
        double square = 0;
        for (size_t j = 0; j < d; j++) square += (double)row[j] * (double)row[j];
        float factor = square > 0 ? (float)(1 / sqrt(square)) : 0;
        for (size_t j = 0; j < d; j++) row[j] *= factor;
    }
}

static enum eg_status read_vectors(struct eg_audit *a, struct eg_error *err)
{
    const size_t length = a->spec->cuts[a->cut].length, count = eg__row_batch(length);
    a->d = length < MOST_WIDTH ? length : MOST_WIDTH;
    uint32_t *place = eg__alloc(length, sizeof *place);
    float *block = eg__alloc(count * length, sizeof *block);
    size_t cells;
    if (eg__mul(a->n, a->d, &cells)) a->vectors = eg__alloc(cells, sizeof *a->vectors);
    enum eg_status status = place && block && a->vectors ? EG_OK : eg__fail_memory(err, "the features");
    struct eg_rng rng;
    eg__rng_init(&rng, 0, 0);
    for (size_t j = 0; j < length && !status; j++)
        place[j] = length == a->d ? (uint32_t)j << 1 : (uint32_t)eg__rng_below(&rng, 2 * MOST_WIDTH);
    for (size_t first = 0; first < a->n && !status; first += count) {
        size_t some = a->n - first < count ? a->n - first : count;
        status = eg__rows_gather(a->store, a->cut, a->rows + first, some, block, err);
        for (size_t i = 0; i < some && !status; i++)
            shorten(block + i * length, length, a->d, place, a->vectors + (first + i) * a->d);
    }
    free(place);
    free(block);
    if (!status) centre(a);
    return status;
}

/* ---- a look at the photos ------------------------------------------------------------------------ */

enum eg_status eg__row_photos(const struct eg_store_spec *spec, const char *root, const size_t *rows,
                              size_t n, struct eg_dataset **photos, struct eg_error *err)
{
    const char *slash = *root && root[strlen(root) - 1] != '/' ? "/" : "";
    char **paths = eg__zalloc(n + 1, sizeof *paths);
    enum eg_status status = paths ? EG_OK : eg__fail_memory(err, "paths");
    for (size_t i = 0; i < n && !status; i++) {
        const char *path = spec->paths[rows[i]];
        bool absolute = *path == '/';
        if (asprintf(&paths[i], "%s%s%s", absolute ? "" : root, absolute ? "" : slash, path) < 0) {
            paths[i] = NULL;
            status = eg__fail_memory(err, "paths");
        }
    }
    if (!status) status = eg__dataset_list((const char *const *)paths, n, photos, err);
    if (!status && (*photos)->n_items != n) { /* a name that is a folder now */
        eg__dataset_free(*photos);
        *photos = NULL;
        status = eg__fail(err, EG_E_NOT_FOUND, "the photos of '%s' are not as they were", root);
    }
    for (size_t i = 0; paths && i < n; i++) free(paths[i]);
    free(paths);
    return status;
}

struct looking {
    struct eg_audit *audit;
    struct eg_dataset *photos;
    size_t first;
};

/* A photo that is not at hand: the small picture that the file has of it. What it measures is not told: it is
 * not the photo's. */
static void look_at_thumb(struct eg_audit *a, size_t i)
{
    const struct eg_decode_options how = {0};
    struct eg_image image;
    uint8_t jpeg[EG_THUMBNAIL_BYTES];
    if (!eg__store_thumb(a->store, a->rows[i], jpeg) ||
        eg__photo_decode(jpeg, sizeof jpeg, &how, &image, NULL))
        return;
    eg__look_of(image.rgb, image.height, image.width, a->looks + i * EG_LOOK_BYTES);
    if (a->thumbs && (a->thumbs[i].bytes = eg__alloc(sizeof jpeg, 1))) {
        memcpy(a->thumbs[i].bytes, jpeg, sizeof jpeg);
        a->thumbs[i].n_bytes = sizeof jpeg;
        while (!jpeg[a->thumbs[i].n_bytes - 1]) a->thumbs[i].n_bytes--; /* zeros stand behind it */
    }
    free(image.rgb);
}

static void look_at(void *context, size_t task, unsigned thread)
{
    (void)thread;
    struct looking *l = context;
    const size_t i = l->first + task;
    struct eg_photo_stats *stats = &l->audit->stats[i];
    const struct eg_decode_options how = {.fast_target = LOOK_TARGET};
    struct eg_image image;
    uint8_t *bytes;
    size_t n_bytes;
    if (!l->photos || eg__dataset_read(l->photos, i, &bytes, &n_bytes, NULL)) {
        look_at_thumb(l->audit, i);
        return;
    }
    if (!eg__photo_size(bytes, n_bytes, &stats->width, &stats->height, NULL) &&
        !eg__photo_decode(bytes, n_bytes, &how, &image, NULL)) {
        eg__photo_stats(image.rgb, image.height, image.width, stats);
        eg__look_of(image.rgb, image.height, image.width, l->audit->looks + i * EG_LOOK_BYTES);
        if (l->audit->thumbs &&
            eg__jpeg_shrunk(&image, EG_THUMB_SIDE, THUMB_QUALITY, &l->audit->thumbs[i], NULL))
            l->audit->thumbs[i] = (struct eg_jpeg){0};
        free(image.rgb);
    }
    free(bytes);
}

static enum eg_status look(struct eg_audit *a, struct eg_error *err)
{
    const char *root = a->options->root ? a->options->root : a->spec->root ? a->spec->root : "";
    a->looks = eg__zalloc(a->n, EG_LOOK_BYTES);
    a->stats = eg__zalloc(a->n, sizeof *a->stats);
    if (a->want_thumbs && !(a->thumbs = eg__zalloc(a->n, sizeof *a->thumbs)))
        return eg__fail_memory(err, "small pictures of the photos");
    if (!a->looks || !a->stats) return eg__fail_memory(err, "small pictures of the photos");
    struct looking l = {.audit = a};
    bool none = eg__row_photos(a->spec, root, a->rows, a->n, &l.photos, NULL) != EG_OK;
    if (none) l.photos = NULL;
    if (none && !a->spec->thumbnails) return EG_OK; /* features alone */
    enum eg_status status = EG_OK;
    for (size_t n; l.first < a->n && !status; l.first += n) {
        n = a->n - l.first < STEP ? a->n - l.first : STEP;
        eg__pool_run(a->options->pool, n, look_at, &l);
        if (a->options->progress && !a->options->progress(a->options->user, l.first + n, a->n))
            status = eg__fail(err, EG_E_CANCELLED, "stopped");
    }
    for (size_t i = 0; i < a->n; i++) a->n_seen += a->stats[i].read;
    eg__dataset_free(l.photos);
    return status;
}

/* ---- classes ------------------------------------------------------------------------------------ */

static enum eg_status count_classes(struct eg_audit *a, struct eg_error *err)
{
    const size_t k = a->spec->n_classes;
    size_t right = 0;
    a->classes = eg__zalloc(k + 1, sizeof *a->classes);
    a->confusion = eg__zalloc(k * k + 1, sizeof *a->confusion);
    if (!a->classes || !a->confusion) return eg__fail_memory(err, "classes");
    for (size_t i = 0; i < a->n_labelled; i++) {
        const float *p = a->probabilities ? a->probabilities + i * k : NULL;
        size_t own = (size_t)a->labels[a->labelled[i]], best = 0;
        for (size_t j = 1; p && j < k; j++)
            if (p[j] > p[best]) best = j;
        a->classes[own].count++;
        if (!p) continue;
        a->classes[own].right += best == own;
        a->confusion[own * k + best]++;
        right += best == own;
    }
    a->accuracy = a->probabilities && a->n_labelled ? (double)right / (double)a->n_labelled : NAN;
    return EG_OK;
}

/* What the labels of the nearest photos say, copies of the photo itself left out, as a share of what is said
 * of it: a classifier of all photos and a look at a few err differently (docs/audit.md has the gain). */
static void add_votes(const struct eg_audit *a, size_t row, float *p, double *votes)
{
    const size_t k = a->spec->n_classes;
    const uint32_t *near = a->near + row * EG_AUDIT_NEAR;
    double sum = 0;
    memset(votes, 0, k * sizeof *votes);
    for (size_t j = 0, n = 0; j < EG_AUDIT_NEAR && n < VOTERS && near[j] != UINT32_MAX; j++) {
        if (a->labels[near[j]] < 0 || a->set[near[j]] == a->set[row]) continue;
        double vote = exp(VOTE_SLOPE * (double)a->near_cosine[row * EG_AUDIT_NEAR + j]);
        votes[a->labels[near[j]]] += vote;
        sum += vote;
        n++;
    }
    for (size_t c = 0; c < k && sum > 0; c++)
        p[c] = (float)((1 - VOTE_SHARE) * (double)p[c] + VOTE_SHARE * votes[c] / sum);
}

static float *with_votes(const struct eg_audit *a)
{
    const size_t k = a->spec->n_classes;
    float *p = eg__alloc(a->n_labelled * k + 1, sizeof *p);
    double *votes = eg__alloc(k + 1, sizeof *votes);
    if (p && votes) {
        memcpy(p, a->probabilities, a->n_labelled * k * sizeof *p);
        for (size_t i = 0; i < a->n_labelled; i++) add_votes(a, a->labelled[i], p + i * k, votes);
        free(votes);
        return p;
    }
    free(p);
    free(votes);
    return NULL;
}

static enum eg_status find_suspects(struct eg_audit *a, struct eg_error *err)
{
    const size_t k = a->spec->n_classes;
    int32_t *labels = eg__alloc(a->n_labelled + 1, sizeof *labels);
    uint8_t *confirmed = eg__alloc(a->n_labelled + 1, 1);
    float *p = with_votes(a);
    a->quality = eg__alloc(a->n_labelled + 1, sizeof *a->quality);
    a->other = eg__alloc(a->n_labelled + 1, sizeof *a->other);
    bool room = labels && confirmed && p && a->quality && a->other;
    enum eg_status status = room ? EG_OK : eg__fail_memory(err, "labels");
    for (size_t i = 0; i < a->n_labelled && !status; i++) {
        labels[i] = a->labels[a->labelled[i]];
        confirmed[i] = a->confirmed[a->labelled[i]];
        a->other[i] = labels[i] ? 0 : 1;
        for (size_t c = 0; c < k; c++)
            if (c != (size_t)labels[i] && p[i * k + c] > p[i * k + (size_t)a->other[i]])
                a->other[i] = (int32_t)c;
    }
    if (!status) eg__label_quality(p, labels, a->n_labelled, k, EG_SHARPNESS, a->quality);
    if (!status)
        status = eg__suspects(p, labels, a->n_labelled, k, confirmed, &a->suspects, &a->n_suspects, err);
    free(labels);
    free(confirmed);
    free(p);
    for (size_t i = 0; i < a->n_suspects && !status; i++) {
        struct eg_suspect *one = &a->suspects[i];
        one->probability = a->probabilities[one->row * k + (size_t)one->suggestion];
        one->row = a->labelled[one->row];
    }
    return status;
}

void eg__audit_release(struct eg_audit *a)
{
    for (size_t i = 0; a->thumbs && i < a->n; i++) free(a->thumbs[i].bytes);
    void *const owned[] = {a->rows,      a->labels,    a->vectors,  a->looks,       a->stats,
                           a->confirmed, a->test,      a->set,      a->copies,      a->copy_rows,
                           a->nearest,   a->labelled,  a->suspects, a->odd,         a->probabilities,
                           a->classes,   a->confusion, a->near,     a->near_cosine, a->thumbs,
                           a->quality,   a->other};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) free(owned[i]);
    *a = (struct eg_audit){0};
}

enum eg_status eg__audit_run(eg_features *features, const struct eg_audit_options *options, bool want_thumbs,
                             struct eg_audit *out, struct eg_error *err)
{
    struct eg_audit a = {.store = features,
                         .spec = eg__store_spec(features),
                         .options = options,
                         .accuracy = NAN,
                         .c = NAN,
                         .want_thumbs = want_thumbs};
    enum eg_status status = eg__store_find_cut(features, options->features, &a.cut, err);
    if (!status) status = choose_rows(&a, err);
    if (!status) status = read_vectors(&a, err);
    if (!status) status = look(&a, err);
    if (!status) status = eg__audit_pairs(&a, err);
    if (!status) status = eg__audit_learn(&a, err);
    if (!status) status = count_classes(&a, err);
    if (!status && a.probabilities) status = find_suspects(&a, err);
    if (!status)
        status = eg__outliers(a.nearest, a.labels, a.n, a.spec->n_classes, a.stats, &a.odd, &a.n_odd, err);
    if (status)
        eg__audit_release(&a);
    else
        *out = a;
    return status;
}

enum eg_status eg_audit(eg_features *features, const struct eg_audit_options *options, char **json,
                        struct eg_error *err)
{
    struct eg_audit_options own;
    struct eg_audit a;
    enum eg_status status = eg__options(&own, sizeof own, options, err);
    if (!status) status = eg__audit_run(features, &own, false, &a, err);
    if (status) return status;
    char *text = eg__audit_json(&a);
    eg__audit_release(&a);
    if (!text) return eg__fail_memory(err, "the report");
    *json = text;
    return EG_OK;
}
