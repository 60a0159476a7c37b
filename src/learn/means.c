/* Classes as their means: what a few photos of each can tell. */
#include "learn/means.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/pool.h"
#include "kernels/kernels.h"
#include "learn/metric.h"

enum { LDA_WIDTH_MOST = 8192, SCORED_TOGETHER = 64 };

struct means {
    const int32_t *labels;
    const uint8_t *fold; /* NULL: none */
    size_t n, d, n_classes;
    bool lda;
    const struct eg_learn_options *options;
    eg_pool *pool;
    size_t steps_done, steps;
    float *rows;     /* [n][d] scaled */
    float *centred;  /* [n][d] less the mean of its class, 0 for rows that are outside; LDA */
    double *mean;    /* [n_classes][d] */
    size_t *count;   /* [n_classes] rows inside */
    float *in, *out; /* [n_classes][d] */
    float *between;  /* [n_classes][d] */
};

static void means_free(struct means *t)
{
    void *const all[] = {t->rows, t->centred, t->mean, t->count, t->in, t->out, t->between};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

static bool inside(const struct means *t, size_t i, int out) { return out < 0 || t->fold[i] != out; }

static void take_means(struct means *t, int out)
{
    memset(t->mean, 0, t->n_classes * t->d * sizeof *t->mean);
    memset(t->count, 0, t->n_classes * sizeof *t->count);
    for (size_t i = 0; i < t->n; i++) {
        if (!inside(t, i, out)) continue;
        double *mean = t->mean + (size_t)t->labels[i] * t->d;
        for (size_t j = 0; j < t->d; j++) mean[j] += (double)t->rows[i * t->d + j];
        t->count[t->labels[i]]++;
    }
    for (size_t k = 0; k < t->n_classes; k++)
        for (size_t j = 0; j < t->d; j++) t->mean[k * t->d + j] /= (double)t->count[k];
}

/* Mean squared distance of a row from its class's mean; where no class has two rows, half of that of
 * the means from one another. */
static double spread(const struct means *t, int out)
{
    double sum = 0, own = 0, others = 0, pairs = 0;
    for (size_t i = 0; i < t->n; i++) {
        if (!inside(t, i, out) || t->count[t->labels[i]] < 2) continue;
        const double *mean = t->mean + (size_t)t->labels[i] * t->d;
        const double more = (double)t->count[t->labels[i]] / ((double)t->count[t->labels[i]] - 1);
        for (size_t j = 0; j < t->d; j++) {
            double away = (double)t->rows[i * t->d + j] - mean[j];
            sum += more * away * away;
        }
        own++;
    }
    if (own > 0 && sum > 0) return sum / own;
    for (size_t k = 1; k < t->n_classes; k++, pairs++)
        for (size_t j = 0; j < t->d; j++) {
            double away = t->mean[k * t->d + j] - t->mean[(k - 1) * t->d + j];
            others += away * away / 2;
        }
    return others > 0 ? others / pairs : 1;
}

static enum eg_status step(struct means *t, struct eg_error *err)
{
    const struct eg_learn_options *o = t->options;
    if (!o->progress || o->progress(o->user, ++t->steps_done, t->steps)) return EG_OK;
    return eg__fail(err, EG_E_CANCELLED, "training was stopped");
}

/* Ledoit and Wolf's weight of the identity: the variance of the sample covariance over its distance
 * from it. S = sum z z' / n over the centred rows; |S|^2 is that of the smaller of Z'Z and ZZ'. */
static enum eg_status shrinkage(struct means *t, size_t n_inside, double *share, double *level,
                                struct eg_error *err)
{
    const size_t side = t->d < t->n ? t->d : t->n;
    float *product = eg__alloc(side, side * sizeof *product);
    if (!product) return eg__fail_memory(err, "a covariance");
    enum eg_status status = t->d < t->n
                                ? eg__gemm_tn(side, side, t->n, t->centred, side, t->centred, side, product,
                                              side, false, t->pool, err)
                                : eg__syrk(side, t->d, t->centred, t->d, product, side, false, t->pool, err);
    const double n = (double)n_inside, d = (double)t->d;
    double trace = 0, fourth = 0, squares = 0;
    for (size_t i = 0; i < t->n && !status; i++) {
        double own = 0;
        for (size_t j = 0; j < t->d; j++)
            own += (double)t->centred[i * t->d + j] * (double)t->centred[i * t->d + j];
        trace += own / n;
        fourth += own * own;
    }
    for (size_t i = 0; i < side && !status; i++) {
        squares += (double)product[i * side + i] * (double)product[i * side + i];
        for (size_t j = 0; j < i; j++)
            squares += 2 * (double)product[i * side + j] * (double)product[i * side + j];
    }
    squares /= n * n;
    const double mu = trace / d, away = squares - d * mu * mu, noise = (fourth / n - squares) / n;
    *level = mu > 0 ? mu : 1;
    *share = away > 0 ? fmin(fmax(noise / away, 1e-3), 1) : 1;
    free(product);
    return status;
}

/* w_k = S^-1 m_k by the inverse of I + weight Z'Z, which is S up to its size. */
static enum eg_status by_covariance(struct means *t, int out, struct eg_error *err)
{
    size_t n_inside = 0;
    for (size_t i = 0; i < t->n; i++) {
        const bool in = inside(t, i, out);
        const double *mean = t->mean + (size_t)t->labels[i] * t->d;
        n_inside += in;
        for (size_t j = 0; j < t->d; j++)
            t->centred[i * t->d + j] = in ? (float)((double)t->rows[i * t->d + j] - mean[j]) : 0;
    }
    double share = 1, level = 1;
    struct eg_metric metric = {0};
    enum eg_status status = shrinkage(t, n_inside, &share, &level, err);
    if (!status) status = step(t, err);
    if (!status) status = eg__metric_open(t->centred, t->n, t->d, t->pool, &metric, err);
    if (!status)
        status = eg__metric_set(&metric, (1 - share) / (share * level * (double)n_inside), 1, t->pool, err);
    for (size_t i = 0; i < t->n_classes * t->d && !status; i++) t->in[i] = (float)t->mean[i];
    if (!status) status = eg__metric_apply(&metric, t->in, t->n_classes, t->between, t->out, t->pool, err);
    for (size_t i = 0; i < t->n_classes * t->d && !status; i++) t->out[i] /= (float)(share * level);
    eg__metric_close(&metric);
    return status;
}

/* w [n_classes][d] and b of the rows inside: x.w_k - m_k.w_k / 2 is least distance turned round. */
static enum eg_status work_out(struct means *t, int out, double *w, double *b, struct eg_error *err)
{
    enum eg_status status = step(t, err);
    if (status) return status;
    take_means(t, out);
    const double inverse = 1 / spread(t, out);
    if (t->lda) status = by_covariance(t, out, err);
    for (size_t k = 0; k < t->n_classes && !status; k++) {
        b[k] = 0;
        for (size_t j = 0; j < t->d; j++) {
            const size_t i = k * t->d + j;
            w[i] = t->lda ? (double)t->out[i] : t->mean[i] * inverse;
            b[k] -= w[i] * t->mean[i] / 2;
        }
    }
    return status;
}

struct scoring {
    const struct means *t;
    const double *w, *b;
    int out;
    double *scores;
};

static double score_of(const struct scoring *s, size_t k, size_t i)
{
    const struct means *t = s->t;
    double sum = s->b[k];
    for (size_t j = 0; j < t->d; j++) sum += s->w[k * t->d + j] * (double)t->rows[i * t->d + j];
    return sum;
}

/* Two classes are one column: the second's score over the first's. */
static void score_rows(void *context, size_t task, unsigned thread)
{
    (void)thread;
    const struct scoring *s = context;
    const struct means *t = s->t;
    for (size_t i = task * SCORED_TOGETHER; i < t->n && i < (task + 1) * SCORED_TOGETHER; i++) {
        if (s->out >= 0 && t->fold[i] != s->out) continue;
        if (t->n_classes == 2)
            s->scores[i] = score_of(s, 1, i) - score_of(s, 0, i);
        else
            for (size_t k = 0; k < t->n_classes; k++) s->scores[k * t->n + i] = score_of(s, k, i);
    }
}

static enum eg_status keep_scores(struct means *t, const double *w, const double *b, int out, double *scores,
                                  struct eg_error *err)
{
    struct scoring scoring = {t, w, b, out, scores};
    eg__pool_run(t->pool, (t->n + SCORED_TOGETHER - 1) / SCORED_TOGETHER, score_rows, &scoring);
    return step(t, err);
}

static enum eg_status scale_rows(struct means *t, struct eg_matrix *m, enum eg_scaling scale,
                                 struct eg_error *err)
{
    eg__matrix_scale(m, scale);
    for (size_t at = 0, count; at < t->n; at += count) {
        const float *x;
        count = t->n - at < m->block_rows ? t->n - at : m->block_rows;
        enum eg_status status = eg__matrix_rows(m, at, count, 0, &x, err);
        if (status) return status;
        for (size_t i = 0; i < count; i++)
            for (size_t j = 0; j < t->d; j++)
                t->rows[(at + i) * t->d + j] = x[i * t->d + j] * (float)m->factor[at + i];
    }
    return EG_OK;
}

static enum eg_status cross_validate(struct means *t, unsigned folds, struct eg_linear *linear, double *w,
                                     double *b, double *scores, double *accuracy, struct eg_error *err)
{
    size_t right = 0;
    for (unsigned f = 0; f < folds; f++) {
        enum eg_status status = work_out(t, (int)f, w, b, err);
        if (!status) status = keep_scores(t, w, b, (int)f, scores, err);
        if (status) return status;
    }
    for (size_t i = 0; i < t->n; i++)
        right += eg__linear_label(scores, t->n, linear->columns, i) == t->labels[i];
    *accuracy = (double)right / (double)t->n;
    return EG_OK;
}

/* The scaling that held-out rows speak for; of equals the first. */
static enum eg_status choose(struct means *t, struct eg_matrix *m, const struct eg_learn_options *o,
                             struct eg_linear *linear, struct eg_learned *learned, double *w, double *b,
                             struct eg_error *err)
{
    const bool open = o->scale == EG_SCALE_AUTO;
    const size_t size = linear->columns * t->n;
    linear->scale = open ? EG_SCALE_UNIT : o->scale;
    if (!t->fold) return EG_OK;
    double *scores = eg__alloc(size, sizeof *scores), accuracy;
    linear->out_of_fold = eg__alloc(size, sizeof *linear->out_of_fold);
    enum eg_status status = scores && linear->out_of_fold ? EG_OK : eg__fail_memory(err, "scores");
    linear->cv_accuracy = -1;
    for (int s = open ? 0 : (int)o->scale; s <= (open ? EG_SCALE_STANDARD : (int)o->scale) && !status; s++) {
        status = scale_rows(t, m, (enum eg_scaling)s, err);
        if (!status)
            status = cross_validate(t, o->folds ? o->folds : 5, linear, w, b, scores, &accuracy, err);
        if (status) break;
        if (open)
            learned->tried[learned->n_tried++] = (struct eg_scaling_tried){
                .scale = (enum eg_scaling)s, .points = 1, .c = (double)NAN, .cv_accuracy = accuracy};
        if (!(accuracy > linear->cv_accuracy)) continue;
        linear->cv_accuracy = accuracy;
        linear->scale = (enum eg_scaling)s;
        memcpy(linear->out_of_fold, scores, size * sizeof *scores);
    }
    free(scores);
    return status;
}

static enum eg_status train(struct means *t, struct eg_matrix *m, const struct eg_learn_options *o,
                            struct eg_linear *linear, struct eg_learned *learned, struct eg_error *err)
{
    const size_t wide = t->n_classes * t->d;
    double *w = eg__alloc(wide, sizeof *w), *b = eg__alloc(t->n_classes, sizeof *b);
    enum eg_status status =
        w && b ? choose(t, m, o, linear, learned, w, b, err) : eg__fail_memory(err, "the classifier");
    if (!status) status = scale_rows(t, m, linear->scale, err);
    if (!status) status = work_out(t, -1, w, b, err);
    if (!status) status = keep_scores(t, w, b, -1, linear->in_fold, err);
    for (size_t k = 0; k < linear->columns && !status; k++) {
        const size_t at = linear->columns == 1 ? 1 : k;
        linear->b[k] = b[at] - (linear->columns == 1 ? b[0] : 0);
        for (size_t j = 0; j < t->d; j++)
            linear->w[k * t->d + j] = w[at * t->d + j] - (linear->columns == 1 ? w[j] : 0);
    }
    free(w);
    free(b);
    return status;
}

/* Sources  Wang et al., SimpleShot, 2019 (nearest class mean of scaled rows); Ledoit, Wolf, J.
 *          Multivariate Analysis 88 (2004) (the shrinkage)
 * Cost     n d n_classes a fold; LDA: n d^2 + d^3 + n^2 d more */
enum eg_status eg__means_train(struct eg_matrix *m, const int32_t *labels, size_t n_classes,
                               const struct eg_learn_options *o, struct eg_linear *out,
                               struct eg_learned *learned, struct eg_error *err)
{
    const size_t columns = n_classes == 2 ? 1 : n_classes, wide = n_classes * m->d;
    struct means t = {.labels = labels,
                      .fold = o->fold,
                      .n = m->n,
                      .d = m->d,
                      .n_classes = n_classes,
                      .lda = o->learner == EG_LDA,
                      .options = o,
                      .pool = o->pool};
    const size_t fits = 1 + (!o->fold   ? 0
                             : o->folds ? o->folds
                                        : 5) *
                                (o->scale == EG_SCALE_AUTO ? EG_SCALE_AUTO : 1);
    t.steps = fits * (t.lda ? 3 : 2);
    if (t.lda && t.d > LDA_WIDTH_MOST)
        return eg__fail(err, EG_E_UNSUPPORTED,
                        "the covariance of %zu features is too large, up to %d are supported (pool them)",
                        t.d, LDA_WIDTH_MOST);
    struct eg_linear made = {.loss = EG_LOSS_LOGISTIC,
                             .n = m->n,
                             .d = m->d,
                             .n_classes = n_classes,
                             .columns = columns,
                             .c = NAN,
                             .cv_accuracy = NAN,
                             .objective = NAN,
                             .gap = NAN};
    made.w = eg__alloc(columns, m->d * sizeof *made.w);
    made.b = eg__alloc(columns, sizeof *made.b);
    made.in_fold = eg__alloc(columns, m->n * sizeof *made.in_fold);
    t.rows = eg__alloc(m->n, m->d * sizeof *t.rows);
    t.mean = eg__alloc(wide, sizeof *t.mean);
    t.count = eg__alloc(n_classes, sizeof *t.count);
    bool room = made.w && made.b && made.in_fold && t.rows && t.mean && t.count;
    if (t.lda) {
        t.centred = eg__alloc(m->n, m->d * sizeof *t.centred);
        t.in = eg__alloc(wide, sizeof *t.in);
        t.out = eg__alloc(wide, sizeof *t.out);
        t.between = eg__alloc(wide, sizeof *t.between);
        room = room && t.centred && t.in && t.out && t.between;
    }
    enum eg_status status =
        room ? train(&t, m, o, &made, learned, err) : eg__fail_memory(err, "the classifier");
    means_free(&t);
    if (status)
        eg__linear_free(&made);
    else
        *out = made;
    return status;
}
