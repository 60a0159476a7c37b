/* curves.c: reliability, precision and recall. */
#include "eval/curves.h"

#include <math.h>
#include <stdlib.h>

#include "base/fail.h"
#include "base/mem.h"
#include "eval/metrics.h"

void eg__reliability(const float *probabilities, const int32_t *truth, size_t n, size_t k,
                     struct eg_reliability *out)
{
    size_t right[EG_BINS] = {0};
    *out = (struct eg_reliability){0};
    for (size_t i = 0; i < n; i++) {
        const float *p = probabilities + i * k;
        size_t best = 0;
        for (size_t c = 1; c < k; c++)
            if (p[c] > p[best]) best = c;
        double sure = fmin(fmax((double)p[best], 0), 1);
        size_t bin = (size_t)(sure * EG_BINS);
        if (bin >= EG_BINS) bin = EG_BINS - 1;
        out->count[bin]++;
        out->confidence[bin] += sure;
        right[bin] += truth[i] >= 0 && (size_t)truth[i] == best;
    }
    for (size_t b = 0; b < EG_BINS; b++) {
        double count = (double)out->count[b];
        out->low[b] = out->high[b] = NAN;
        out->confidence[b] = count > 0 ? out->confidence[b] / count : NAN;
        out->accuracy[b] = count > 0 ? (double)right[b] / count : NAN;
        if (count > 0) eg__wilson(right[b], out->count[b], &out->low[b], &out->high[b]);
    }
}

struct judged {
    float probability;
    bool is;
};

static int surest_first(const void *a, const void *b)
{
    const struct judged *x = a, *y = b;
    return x->probability > y->probability ? -1 : x->probability < y->probability;
}

enum eg_status eg__precision_recall(const float *probabilities, const int32_t *truth, size_t n, size_t k,
                                    size_t class, double *recall, double *precision, size_t *n_points,
                                    double *average, struct eg_error *err)
{
    struct judged *judged = eg__alloc(n + 1, sizeof *judged);
    if (!judged) return eg__fail_memory(err, "a curve");
    size_t there = 0, found = 0, points = 0;
    double sum = 0, before = 0;
    for (size_t i = 0; i < n; i++) {
        judged[i] = (struct judged){probabilities[i * k + class], truth[i] >= 0 && (size_t)truth[i] == class};
        there += judged[i].is;
    }
    qsort(judged, n, sizeof *judged, surest_first);
    for (size_t i = 0; i < n && there; i++) {
        found += judged[i].is;
        if (i + 1 < n && !(judged[i].probability > judged[i + 1].probability)) continue;
        recall[points] = (double)found / (double)there;
        precision[points] = (double)found / (double)(i + 1);
        sum += (recall[points] - before) * precision[points];
        before = recall[points++];
        if (found == there) break; /* all are found: what follows is of other classes */
    }
    free(judged);
    *n_points = points;
    *average = there ? sum : NAN;
    return EG_OK;
}
