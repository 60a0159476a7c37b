#include "eval/confident.h"

#include <math.h>
#include <stdlib.h>

#include "base/fail.h"
#include "base/mem.h"

void eg__label_quality(const float *probabilities, const int32_t *labels, size_t n, size_t k,
                       double sharpness, float *quality)
{
    for (size_t i = 0; i < n; i++) {
        const float *p = probabilities + i * k;
        double sum = 0;
        for (size_t j = 0; j < k; j++) sum += pow((double)p[j], sharpness);
        quality[i] = sum > 0 ? (float)(pow((double)p[labels[i]], sharpness) / sum) : 0;
    }
}

static int compare_suspects(const void *a, const void *b)
{
    const struct eg_suspect *x = a, *y = b;
    if (x->quality != y->quality) return x->quality < y->quality ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

/* t_j: how sure the classifier is, in the mean, of rows that are labelled j. */
static void thresholds(const float *probabilities, const int32_t *labels, size_t n, size_t k,
                       double *threshold, double *count)
{
    for (size_t i = 0; i < n; i++) {
        threshold[labels[i]] += (double)probabilities[i * k + (size_t)labels[i]];
        count[labels[i]]++;
    }
    for (size_t j = 0; j < k; j++) threshold[j] = count[j] > 0 ? threshold[j] / count[j] : 2;
}

enum eg_status eg__suspects(const float *probabilities, const int32_t *labels, size_t n, size_t k,
                            const uint8_t *confirmed, struct eg_suspect **suspects, size_t *n_suspects,
                            struct eg_error *err)
{
    struct eg_suspect *list = eg__alloc(n, sizeof *list);
    double *threshold = eg__zalloc(2 * k + 1, sizeof *threshold);
    float *quality = eg__alloc(n, sizeof *quality);
    if (!list || !threshold || !quality) {
        free(list);
        free(threshold);
        free(quality);
        return eg__fail_memory(err, "suspicious labels");
    }
    thresholds(probabilities, labels, n, k, threshold, threshold + k);
    eg__label_quality(probabilities, labels, n, k, EG_SHARPNESS, quality);
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        const float *p = probabilities + i * k;
        if (confirmed && confirmed[i]) continue;
        size_t own = (size_t)labels[i], best = own;
        for (size_t j = 0; j < k; j++)
            if (j != own && (double)p[j] >= threshold[j] && p[j] > p[best]) best = j;
        if (best != own) list[count++] = (struct eg_suspect){i, (int32_t)best, p[best], quality[i]};
    }
    qsort(list, count, sizeof *list, compare_suspects);
    free(threshold);
    free(quality);
    *suspects = list;
    *n_suspects = count;
    return EG_OK;
}
