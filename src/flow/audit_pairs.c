/* audit_pairs.c: the same photo twice. Every pair is compared by two matrix products: of features
 * (copies that are cropped, turned, redrawn), and of coarse pictures as they are and mirrored (copies
 * in grey). What comes near is laid over each other, pixel by pixel, and kept only if it fits.
 *
 * Thresholds: measured on Flowers-17 with copies made of 200 photos in eight ways (docs/audit.md). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/pool.h"
#include "base/sets.h"
#include "flow/audit.h"
#include "kernels/kernels.h"
#include "sample/sample.h"

enum { BLOCK = 512, NEAREST = 5, MOST_PAIRS_A_ROW = 40 };
static const float FEATURES_NEAR = 0.70f, PIXELS_NEAR = 0.80f;
static const double SAME = 0.93;
static const float FEATURES_SAME = 0.97f; /* where the photos cannot be looked at */

struct pair {
    uint32_t a, b;
    float cosine;
    bool same;
};

struct pairing {
    struct eg_audit *audit;
    float *signatures, *mirrored; /* [n][EG_LOOK_SIGNATURE] */
    struct pair *pairs;
    size_t n_pairs, capacity;
    float *top;      /* [n][NEAREST] cosines within the class, smallest first */
    uint8_t *n_near; /* pairs a row has given */
};

static void note_nearest(float *top, float cosine)
{
    if (cosine <= top[0]) return;
    size_t i = 0;
    while (i + 1 < NEAREST && top[i + 1] < cosine) {
        top[i] = top[i + 1];
        i++;
    }
    top[i] = cosine;
}

/* The nearest of row x, which stand in falling order. */
static void note_near(const struct eg_audit *a, size_t x, size_t y, float cosine)
{
    uint32_t *near = a->near + x * EG_AUDIT_NEAR;
    float *cosines = a->near_cosine + x * EG_AUDIT_NEAR;
    size_t at = EG_AUDIT_NEAR - 1;
    if (near[at] != UINT32_MAX && cosine <= cosines[at]) return;
    for (; at && (near[at - 1] == UINT32_MAX || cosine > cosines[at - 1]); at--) {
        near[at] = near[at - 1];
        cosines[at] = cosines[at - 1];
    }
    near[at] = (uint32_t)y;
    cosines[at] = cosine;
}

/* Pairs of block rows a.. against b.. . */
static enum eg_status take_block(struct pairing *p, size_t a, size_t n_a, size_t b, size_t n_b,
                                 const float *cosines, const float *looks, const float *mirror,
                                 struct eg_error *err)
{
    const struct eg_audit *audit = p->audit;
    for (size_t i = 0; i < n_a; i++)
        for (size_t j = 0; j < n_b; j++) {
            size_t x = a + i, y = b + j, at = i * BLOCK + j;
            if (x <= y) continue;
            float cosine = cosines[at];
            note_near(audit, x, y, cosine);
            note_near(audit, y, x, cosine);
            if (audit->labels[x] >= 0 && audit->labels[x] == audit->labels[y]) {
                note_nearest(p->top + x * NEAREST, cosine);
                note_nearest(p->top + y * NEAREST, cosine);
            }
            bool seen = audit->stats[x].read && audit->stats[y].read;
            if (seen ? cosine < FEATURES_NEAR && looks[at] < PIXELS_NEAR && mirror[at] < PIXELS_NEAR
                     : cosine < FEATURES_SAME)
                continue;
            if (p->n_near[x] >= MOST_PAIRS_A_ROW || p->n_near[y] >= MOST_PAIRS_A_ROW) continue;
            if (!eg__grow(&p->pairs, &p->capacity, p->n_pairs + 1, sizeof *p->pairs))
                return eg__fail_memory(err, "pairs of photos");
            p->n_near[x]++;
            p->n_near[y]++;
            p->pairs[p->n_pairs++] = (struct pair){(uint32_t)x, (uint32_t)y, cosine, false};
        }
    return EG_OK;
}

static enum eg_status all_blocks(struct pairing *p, struct eg_error *err)
{
    const struct eg_audit *audit = p->audit;
    const size_t n = audit->n, d = audit->d, s = EG_LOOK_SIGNATURE;
    float *scores = eg__alloc((size_t)3 * BLOCK * BLOCK, sizeof *scores);
    if (!scores) return eg__fail_memory(err, "pairs of photos");
    float *looks = scores + BLOCK * BLOCK, *mirror = looks + BLOCK * BLOCK;
    eg_pool *pool = audit->options->pool;
    enum eg_status status = EG_OK;
    for (size_t a = 0; a < n && !status; a += BLOCK)
        for (size_t b = 0; b <= a && !status; b += BLOCK) {
            size_t n_a = n - a < BLOCK ? n - a : BLOCK, n_b = n - b < BLOCK ? n - b : BLOCK;
            const float *sa = p->signatures + a * s;
            status = eg__gemm_nt(n_a, n_b, d, audit->vectors + a * d, d, audit->vectors + b * d, d, scores,
                                 BLOCK, false, pool, err);
            if (!status)
                status =
                    eg__gemm_nt(n_a, n_b, s, sa, s, p->signatures + b * s, s, looks, BLOCK, false, pool, err);
            if (!status)
                status =
                    eg__gemm_nt(n_a, n_b, s, sa, s, p->mirrored + b * s, s, mirror, BLOCK, false, pool, err);
            if (!status) status = take_block(p, a, n_a, b, n_b, scores, looks, mirror, err);
        }
    free(scores);
    return status;
}

static void confirm_pair(void *context, size_t task, unsigned thread)
{
    (void)thread;
    struct pairing *p = context;
    struct pair *pair = &p->pairs[task];
    const struct eg_audit *audit = p->audit;
    const uint8_t *looks = audit->looks;
    if (!audit->stats[pair->a].read || !audit->stats[pair->b].read) {
        pair->same = true; /* by the features alone */
        return;
    }
    double same = eg__look_same(looks + pair->a * EG_LOOK_BYTES, looks + pair->b * EG_LOOK_BYTES);
    pair->same = same >= SAME;
}

/* ---- what a set of copies means -------------------------------------------------------------- */

static enum eg_copy_meaning meaning_of(const struct eg_audit *audit, const size_t *rows, size_t n)
{
    bool train = false, test = false, two = false;
    int32_t label = -1;
    for (size_t i = 0; i < n; i++) {
        int32_t own = audit->labels[rows[i]];
        if (own < 0) continue;
        two = two || (label >= 0 && own != label);
        label = own;
        train = train || !audit->test[rows[i]];
        test = test || audit->test[rows[i]];
    }
    return two ? EG_COPY_TWO_CLASSES : train && test ? EG_COPY_TRAIN_AND_TEST : EG_COPY_ONE_CLASS;
}

static int compare_copies(const void *a, const void *b)
{
    const struct eg_copies *x = a, *y = b;
    if (x->meaning != y->meaning) return x->meaning < y->meaning ? -1 : 1;
    return x->first < y->first ? -1 : x->first > y->first;
}

static enum eg_status list_copies(struct eg_audit *audit, const uint8_t (*hashes)[32], struct eg_error *err)
{
    const size_t n = audit->n;
    size_t *count = eg__zalloc(n + 1, sizeof *count), *start = eg__alloc(n + 1, sizeof *start), at = 0,
           n_sets = 0;
    audit->copy_rows = eg__alloc(n + 1, sizeof *audit->copy_rows);
    if (!count || !start || !audit->copy_rows) goto no_memory;
    for (size_t i = 0; i < n; i++) count[audit->set[i] = eg__set_of(audit->set, i)]++;
    for (size_t i = 0; i < n; i++) {
        start[i] = at;
        if (count[i] < 2) continue;
        at += count[i];
        n_sets++;
    }
    audit->copies = eg__alloc(n_sets + 1, sizeof *audit->copies);
    if (!audit->copies) goto no_memory;
    for (size_t i = 0; i < n; i++)
        if (count[audit->set[i]] > 1) audit->copy_rows[start[audit->set[i]]++] = i;
    for (size_t i = 0; i < n; i++) {
        if (count[i] < 2) continue;
        struct eg_copies *set = &audit->copies[audit->n_copies++];
        *set = (struct eg_copies){.first = start[i] - count[i], .n = count[i], .exact = true};
        const size_t *rows = audit->copy_rows + set->first;
        for (size_t j = 1; j < set->n; j++)
            set->exact = set->exact && !memcmp(hashes[rows[0]], hashes[rows[j]], 32);
        set->meaning = meaning_of(audit, rows, set->n);
    }
    qsort(audit->copies, audit->n_copies, sizeof *audit->copies, compare_copies);
    free(count);
    free(start);
    return EG_OK;
no_memory:
    free(count);
    free(start);
    return eg__fail_memory(err, "photos that are the same");
}

struct hash_order {
    const uint8_t (*hashes)[32];
};

static int by_hash(const void *a, const void *b, void *context)
{
    const struct hash_order *order = context;
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    int is = memcmp(order->hashes[x], order->hashes[y], 32);
    return is ? is : x < y ? -1 : x > y;
}

static enum eg_status unite_equal(struct eg_audit *audit, const uint8_t (*hashes)[32], struct eg_error *err)
{
    struct hash_order context = {hashes};
    size_t *order = eg__alloc(audit->n + 1, sizeof *order);
    if (!order) return eg__fail_memory(err, "the order of hashes");
    for (size_t i = 0; i < audit->n; i++) order[i] = i;
    qsort_r(order, audit->n, sizeof *order, by_hash, &context);
    for (size_t i = 1; i < audit->n; i++)
        if (!memcmp(hashes[order[i]], hashes[order[i - 1]], 32))
            eg__set_unite(audit->set, order[i], order[i - 1]);
    free(order);
    return EG_OK;
}

static void settle_nearest(struct eg_audit *audit, const float *top)
{
    for (size_t i = 0; i < audit->n; i++) {
        float sum = 0;
        for (size_t j = 0; j < NEAREST; j++) sum += top[i * NEAREST + j];
        audit->nearest[i] = top[i * NEAREST] > -2 ? sum / NEAREST : NAN;
    }
}

enum eg_status eg__audit_pairs(struct eg_audit *audit, struct eg_error *err)
{
    const size_t n = audit->n;
    struct pairing p = {.audit = audit};
    uint8_t(*hashes)[32] = eg__alloc(n + 1, sizeof *hashes);
    audit->set = eg__alloc(n + 1, sizeof *audit->set);
    audit->nearest = eg__alloc(n + 1, sizeof *audit->nearest);
    p.signatures = eg__alloc(n + 1, EG_LOOK_SIGNATURE * sizeof(float));
    p.mirrored = eg__alloc(n + 1, EG_LOOK_SIGNATURE * sizeof(float));
    p.top = eg__alloc(n + 1, NEAREST * sizeof(float));
    p.n_near = eg__zalloc(n + 1, 1);
    audit->near = eg__alloc(n + 1, EG_AUDIT_NEAR * sizeof *audit->near);
    audit->near_cosine = eg__zalloc(n + 1, EG_AUDIT_NEAR * sizeof *audit->near_cosine);
    bool room = hashes && audit->set && audit->nearest && audit->near && audit->near_cosine && p.signatures &&
                p.mirrored && p.top && p.n_near;
    enum eg_status status = room ? EG_OK : eg__fail_memory(err, "pairs of photos");
    for (size_t i = 0; i < n && !status; i++) {
        audit->set[i] = i;
        eg__look_signature(audit->looks + i * EG_LOOK_BYTES, false, p.signatures + i * EG_LOOK_SIGNATURE);
        eg__look_signature(audit->looks + i * EG_LOOK_BYTES, true, p.mirrored + i * EG_LOOK_SIGNATURE);
    }
    for (size_t i = 0; i < n * NEAREST && !status; i++) p.top[i] = -3;
    for (size_t i = 0; i < n * EG_AUDIT_NEAR && !status; i++) audit->near[i] = UINT32_MAX;
    if (!status) status = all_blocks(&p, err);
    if (!status) eg__pool_run(audit->options->pool, p.n_pairs, confirm_pair, &p);
    for (size_t i = 0; i < p.n_pairs && !status; i++)
        if (p.pairs[i].same) eg__set_unite(audit->set, p.pairs[i].a, p.pairs[i].b);
    if (!status) status = eg__row_hashes(audit->store, audit->cut, audit->rows, n, hashes, err);
    if (!status) status = unite_equal(audit, (const uint8_t(*)[32])hashes, err);
    if (!status) status = list_copies(audit, (const uint8_t(*)[32])hashes, err);
    if (!status) settle_nearest(audit, p.top);
    free(hashes);
    free(p.signatures);
    free(p.mirrored);
    free(p.pairs);
    free(p.top);
    free(p.n_near);
    return status;
}
