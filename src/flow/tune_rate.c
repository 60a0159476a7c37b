/* tune_rate.c: the rate finder (Smith 2017). */
#include <math.h>
#include <stdlib.h>

#include "base/fail.h"
#include "base/mem.h"
#include "flow/tune_loop.h"

enum { FINDER_STEPS = 60 };

/* From 1e-6 to 1 in equal ratios, one batch each, until the smoothed loss has left its lowest
 * value far behind. The rate taken is a tenth of the one where the loss breaks away from its
 * lowest value, and 1e-4 at least. The trainer is put back as it was. */
enum eg_status eg__tune_find_rate(struct eg_batches *b, struct eg_error *err)
{
    struct eg_tune_phase *phase = b->phase;
    const double low = 1e-6, high = 1;
    size_t n_state = eg__trainer_state_count(phase->trainer);
    float *state = eg__alloc(n_state, sizeof *state);
    struct eg_rate_point *curve = eg__alloc(FINDER_STEPS, sizeof *curve);
    if (!state || !curve) {
        free(state);
        free(curve);
        return eg__fail_memory(err, "the rate finder");
    }
    eg__trainer_get_state(phase->trainer, state);
    eg__tune_shuffle(b, 1u << 30);
    enum eg_status status = EG_OK;
    double smooth = 0, lowest = INFINITY;
    size_t n = 0, at = 0;
    for (; n < FINDER_STEPS && !status; n++) {
        double rate = low * pow(high / low, (double)n / (FINDER_STEPS - 1));
        struct eg_batch_result result = {0};
        struct eg_error ignored;
        status = eg__tune_step(b, 1u << 30, at, rate, (1u << 30) + n, &result, &ignored);
        if (status == EG_E_NUMERIC) { /* far too fast: the curve ends here */
            status = EG_OK;
            break;
        }
        if (status) {
            if (err) *err = ignored;
            break;
        }
        at = eg__tune_batch_end(phase, at) < phase->n_train ? eg__tune_batch_end(phase, at) : 0;
        smooth = 0.8 * smooth + 0.2 * result.loss / result.weight;
        double loss = smooth / (1 - pow(0.8, (double)(n + 1)));
        curve[n] = (struct eg_rate_point){rate, loss};
        if (loss < lowest) lowest = loss;
        if (n > 10 && loss > 3 * lowest) {
            n++;
            break;
        }
        if (phase->progress && !phase->progress(phase->user, n + 1, FINDER_STEPS))
            status = eg__fail(err, EG_E_CANCELLED, "stopped");
        status = eg__tune_agree(phase->dist, status, err);
    }
    eg__trainer_set_state(phase->trainer, state);
    free(state);
    if (status) {
        free(curve);
        return status;
    }
    /* A head that knows something already has no slope to look for: where the loss breaks away
     * is what the curve shows in every case. */
    size_t best = 0, broken = 0;
    for (size_t i = 0; i < n; i++)
        if (curve[i].loss < curve[best].loss) best = i;
    for (broken = best; broken < n && curve[broken].loss < 1.2 * curve[best].loss + 0.05; broken++) {
    }
    phase->rate = (broken < n ? curve[broken].rate : high) / 10;
    if (!(phase->rate > 1e-4)) phase->rate = 1e-4;
    free(phase->report->curve);
    phase->report->curve = curve;
    phase->report->n_curve = n;
    return EG_OK;
}
