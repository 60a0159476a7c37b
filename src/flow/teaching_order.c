/* teaching_order.c: which photos to label next. */
#include <math.h>
#include <stdlib.h>

#include "base/fail.h"
#include "base/mem.h"
#include "engraft.h"

enum { USUAL_MOST = 64, CANDIDATES = 5 }; /* looked at for each that is chosen */

struct unsure {
    size_t row;
    float sure, nearest; /* probability of the likeliest class; the largest cosine to one that is chosen */
};

static int less_sure_first(const void *a, const void *b)
{
    const struct unsure *x = a, *y = b;
    if (x->sure < y->sure) return -1;
    if (x->sure > y->sure) return 1;
    return (x->row > y->row) - (x->row < y->row);
}

static float sureness(const float *row, size_t k)
{
    float most = 0;
    for (size_t c = 0; row && c < k; c++)
        if (row[c] > most) most = row[c];
    return most;
}

static void make_unit(const float *from, size_t d, float *to)
{
    double sum = 0;
    for (size_t i = 0; i < d; i++) sum += (double)from[i] * (double)from[i];
    float factor = sum > 0 ? (float)(1 / sqrt(sum)) : 0;
    for (size_t i = 0; i < d; i++) to[i] = from[i] * factor;
}

static float dot(const float *a, const float *b, size_t d)
{
    float sum = 0;
    for (size_t i = 0; i < d; i++) sum += a[i] * b[i];
    return sum;
}

/* Of the candidates, next the one that is unsure and unlike those before: the largest
 * (1 - sure) * (1 - cosine to the nearest chosen). units [n][d] in the candidates' order. */
static void spread(struct unsure *list, size_t n, float *units, size_t d, size_t most)
{
    for (size_t done = 0; done < most && done < n; done++) {
        size_t best = done;
        float best_worth = -1;
        for (size_t i = done; i < n; i++) {
            float worth = (1 - list[i].sure) * (1 - list[i].nearest);
            if (worth > best_worth) {
                best_worth = worth;
                best = i;
            }
        }
        struct unsure chosen = list[best];
        list[best] = list[done];
        list[done] = chosen;
        for (size_t j = 0; best != done && j < d; j++) {
            float kept = units[best * d + j];
            units[best * d + j] = units[done * d + j];
            units[done * d + j] = kept;
        }
        for (size_t i = done + 1; i < n; i++)
            list[i].nearest = fmaxf(list[i].nearest, dot(units + i * d, units + done * d, d));
    }
}

enum eg_status eg_teaching_order(const float *probabilities, size_t n, size_t k, const float *features,
                                 size_t d, size_t most, size_t *order, struct eg_error *err)
{
    if (probabilities && !k) return eg__fail(err, EG_E_ARGUMENT, "there are no classes to be unsure of");
    if (!most) most = USUAL_MOST;
    size_t candidates = probabilities && most < n / CANDIDATES ? most * CANDIDATES : n;
    struct unsure *list = eg__alloc(n + 1, sizeof *list);
    float *units = features ? eg__alloc(candidates + 1, d * sizeof *units) : NULL;
    enum eg_status status = list && (units || !features) ? EG_OK : eg__fail_memory(err, "an order of photos");
    for (size_t i = 0; i < n && !status; i++)
        list[i] = (struct unsure){i, sureness(probabilities ? probabilities + i * k : NULL, k), 0};
    if (!status && n) qsort(list, n, sizeof *list, less_sure_first);
    if (!status && units) {
        for (size_t i = 0; i < candidates; i++) make_unit(features + list[i].row * d, d, units + i * d);
        spread(list, candidates, units, d, most);
        if (candidates > most) qsort(list + most, candidates - most, sizeof *list, less_sure_first);
    }
    for (size_t i = 0; i < n && !status; i++) order[i] = list[i].row;
    free(list);
    free(units);
    return status;
}
