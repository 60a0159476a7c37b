/* tune.c: fine-tuning (Yosinski et al. 2014). The FC layers are gone, a new FC head is on the cut: it
 * begins as the logistic regression on the training photos, and the layers below it learn with it, at
 * lower rates. Photos held out say whether that was better than the linear classifier; the test rows
 * are looked at once, at the end. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/versioned.h"
#include "eval/metrics.h"
#include "flow/training.h"
#include "flow/tuning.h"

/* ---- before ---------------------------------------------------------------------------------- */

/* What a saved state must be of: everything that decides the weights. */
static enum eg_status identify(struct tuning *t, struct eg_error *err)
{
    const struct eg_tune_options *o = t->options;
    struct eg_text text = {0};
    uint8_t digest[32];
    eg__text_append(&text, "%s %s %s %s %zu %zu %zu %u %.9g %s %u %u %.9g %.9g %.9g %d %.9g %llu",
                    eg_version(), t->trained.weights_sha256, t->sample.digest, t->plan.infos[0].name, t->d,
                    o->hidden, t->batch, o->epochs, o->rate, o->optimizer ? o->optimizer : "",
                    (unsigned)t->augment, o->views, o->label_smoothing, o->mixup, o->valid_fraction,
                    o->train_batch_norm, o->test_fraction, (unsigned long long)o->seed);
    eg__text_append(&text, " %s %s", t->unfreeze_from, eg_cpu());
    for (size_t i = 0; i < t->n; i++)
        eg__text_append(&text, " %d:%zu", t->labels[t->rows[i]], t->items[t->rows[i]]);
    enum eg_status status = text.failed ? eg__fail_memory(err, "the run's identity")
                                        : eg__sha256(text.chars, text.length, digest, err);
    if (!status) eg__hex(digest, sizeof digest, t->identity);
    free(text.chars);
    return status;
}

/* ---- test ------------------------------------------------------------------------------------ */

static enum eg_status metrics_of(struct tuning *t, const float *p, struct eg_metrics *metrics,
                                 struct eg_error *err)
{
    size_t k = t->report.train.n_classes, n = t->n_test;
    const size_t *rows = t->rows + t->n_train + t->n_valid;
    int32_t *truth = eg__alloc(n, sizeof *truth), *said = eg__alloc(n, sizeof *said);
    for (size_t i = 0; i < n && truth && said; i++) {
        truth[i] = t->labels[rows[i]];
        said[i] = (int32_t)eg__likeliest(p + i * k, k);
    }
    enum eg_status status =
        truth && said ? eg__metrics(truth, said, p, n, k, metrics, err) : eg__fail_memory(err, "the test");
    free(truth);
    free(said);
    return status;
}

/* Both answer for the test rows; where nothing has been chosen by other photos, these do. */
static enum eg_status compare_on_test(struct tuning *t, const float *tuned, const float *linear,
                                      struct eg_error *err)
{
    size_t k = t->report.train.n_classes, right = 0, only_tuned = 0, only_linear = 0, linear_right = 0;
    const size_t *rows = t->rows + t->n_train + t->n_valid;
    for (size_t i = 0; i < t->n_test; i++) {
        size_t label = (size_t)t->labels[rows[i]];
        bool a = eg__likeliest(tuned + i * k, k) == label, b = eg__likeliest(linear + i * k, k) == label;
        right += a;
        linear_right += b;
        only_tuned += a && !b;
        only_linear += b && !a;
    }
    t->report.tuned_accuracy = (double)right / (double)t->n_test;
    t->report.linear_accuracy = (double)linear_right / (double)t->n_test;
    eg__tuning_compare_test(t, only_tuned, only_linear);
    return metrics_of(t, t->report.linear_written ? linear : tuned, &t->report.train.test, err);
}

static enum eg_status test(struct tuning *t, struct eg_error *err)
{
    if (!t->n_test) return EG_OK;
    size_t k = t->report.train.n_classes;
    const size_t *rows = t->rows + t->n_train + t->n_valid;
    struct eg_tune_phase phase = eg__tuning_phase(t);
    struct eg_batch_result ignored;
    float *tuned = eg__alloc(t->n_test * k, sizeof *tuned),
          *linear = eg__alloc(t->n_test * k, sizeof *linear);
    enum eg_status status = tuned && linear ? EG_OK : eg__fail_memory(err, "the test");
    if (!status) status = eg__tune_measure(&phase, rows, t->n_test, tuned, &ignored, err);
    for (size_t i = 0; i < t->n_test && !status; i++) eg__softmax(tuned + i * k, k, tuned + i * k);
    if (!status) status = eg__tuning_ask_linear(t, &t->linear, rows, t->n_test, linear, err);
    if (!status) status = compare_on_test(t, tuned, linear, err);
    free(tuned);
    free(linear);
    return status;
}

/* ---- file ------------------------------------------------------------------------------------ */

/* What the report and the file say is of the linear classifier. */
static void take_linear(struct tuning *t)
{
    struct eg_train_report *r = &t->report.train;
    r->classifier = eg__learner_names[t->linear.learner];
    r->scale = eg__scaling_names[t->linear.scale];
    r->c = t->linear.c;
    r->cv_accuracy = t->linear.cv_accuracy;
    r->objective = t->linear.objective;
    r->gap = t->linear.gap;
    if (t->linear.learner == EG_SVM) t->trained.loss = "squared-hinge";
}

static enum eg_status note_tuned(struct eg_graph *graph, const char *from, const char *weights,
                                 struct eg_error *err)
{
    struct eg_card card;
    enum eg_status status = eg__card_read(graph, &card, err);
    if (status) return status;
    card.tuned_from = from;
    card.weights_sha256 = weights;
    return eg__card_write(graph, &card, err);
}

/* Not the weights any more that feature files of the network were made with. */
static enum eg_status export_layers(struct tuning *t, struct eg_graph *graph, struct eg_error *err)
{
    char hex[65], mark[80];
    uint8_t digest[32];
    size_t n;
    const float *values = eg__tape_values(eg__trainer_tape(t->trainer), &n);
    enum eg_status status = eg__tape_export(eg__trainer_tape(t->trainer), graph, err);
    if (!status) status = eg__sha256(values, n * sizeof *values, digest, err);
    if (status) return status;
    eg__hex(digest, sizeof digest, hex);
    snprintf(mark, sizeof mark, "tuned:%s", hex);
    return note_tuned(graph, t->unfreeze_from, mark, err);
}

static enum eg_status write_file(struct tuning *t, struct eg_error *err)
{
    const struct eg_tune_options *o = t->options;
    struct eg_graph *graph = NULL;
    const struct eg_graph *head = t->head;
    enum eg_status status = EG_OK;
    if (t->report.linear_written) {
        take_linear(t);
        head = t->linear.head;
    } else {
        t->head->output = t->head->n_nodes - 1; /* the softmax again */
        status = eg__tape_export(eg__trainer_tape(t->head_trainer), t->head, err);
    }
    if (!status) status = eg__trained_build(t->net, &t->trained, head, &graph, err);
    if (!status && t->trainer && !t->report.linear_written) status = export_layers(t, graph, err);
    if (!status && !t->dist.rank)
        status = eg__trained_save(graph, t->net, t->path, o->overwrite || o->resume, err);
    eg__graph_free(graph);
    return eg__tune_agree(&t->dist, status, err);
}

/* ---- all of it --------------------------------------------------------------------------------- */

static enum eg_status prepare(struct tuning *t, char sha256[65], struct eg_error *err)
{
    const struct eg_tune_options *o = t->options;
    enum eg_status status = eg__tuning_classes(t, err);
    if (!status) status = eg__augment_parse(o->augment ? o->augment : "standard", &t->augment, err);
    if (status) return status;
    if (t->dataset->is_array) t->augment = EG_AUGMENT_NONE; /* no photos to vary */
    t->report.input[0] = eg__map(t->net->graph->nodes[0].shape).h;
    t->report.input[1] = eg__map(t->net->graph->nodes[0].shape).w;
    t->report.tuned_accuracy = t->report.linear_accuracy = NAN;
    t->report.train.classifier = "mlp";
    t->report.train.scale = "none";
    t->report.train.c = t->report.train.cv_accuracy = t->report.train.objective = t->report.train.gap = NAN;
    if (t->net->graph->weights_path && (status = eg_net_weights_sha256(t->net, sha256, err))) return status;
    t->trained.report = &t->report.train;
    t->trained.weights_sha256 = sha256;
    t->trained.command = o->command;
    if (asprintf(&t->state_path, "%s.tuning", t->path) < 0) {
        t->state_path = NULL;
        return eg__fail_memory(err, "a file name");
    }
    if (o->resume && access(t->state_path, F_OK))
        return eg__fail(err, EG_E_ARGUMENT, "there is no run to go on with: '%s' is not there",
                        t->state_path);
    if (!o->resume && !o->overwrite && !access(t->state_path, F_OK))
        return eg__fail_for(err, EG_E_EXISTS, EG_REASON_RUN_UNFINISHED, "'%s' is of an unfinished run",
                            t->state_path);
    if (!t->dist.rank && !status) { /* a folder that cannot be written to: better said now */
        struct eg_outfile file;
        status = eg__outfile_open(t->state_path, true, &file, err);
        if (!status) eg__outfile_abandon(&file);
    }
    if (!status) status = eg__tuning_rows(t, err);
    return status ? status : eg__tuning_build(t, err);
}

static enum eg_status tune(struct tuning *t, struct eg_error *err)
{
    char sha256[65] = "";
    enum eg_status status = prepare(t, sha256, err);
    double began = eg__seconds();
    if (!status) status = eg__tuning_trainers(t, err);
    if (!status) status = eg__tuning_compute(t, err);
    double rows_seconds = eg__seconds() - began;
    if (!status && t->options->estimate) {
        status = eg__tuning_estimate(t, err);
        t->report.evidence.seconds_whole += rows_seconds;
        return status;
    }
    if (!status) status = identify(t, err);
    if (!status) status = eg__tuning_best_linear(t, t->rows, t->n_train + t->n_valid, &t->linear, err);
    status = eg__tune_agree(&t->dist, status, err);
    if (status) return status;
    t->report.share = 1;
    status = eg__tuning_learn(t, err);
    if (!status) status = eg__tuning_weigh(t, err);
    if (status == EG_E_CANCELLED && t->report.n_epochs) { /* the best so far is kept, the run can go on */
        enum eg_status wrote = write_file(t, NULL);
        return wrote ? wrote : eg__fail(err, EG_E_CANCELLED, "stopped; the best so far is in '%s'", t->path);
    }
    if (!status) status = test(t, err);
    if (!status) status = write_file(t, err);
    /* what diverged would do so again */
    if ((!status || status == EG_E_NUMERIC) && !t->dist.rank) unlink(t->state_path);
    return status;
}

enum eg_status eg_tune(const eg_net *net, const eg_dataset *images, const char *path,
                       const struct eg_tune_options *options, struct eg_tune_report **report,
                       struct eg_error *err)
{
    struct eg_tune_options own;
    enum eg_status status = eg__options(&own, sizeof own, options, err);
    if (status) return status;
    struct tuning t = {.net = net, .dataset = images, .path = path, .options = &own, .dist = {.n_ranks = 1}};
    if (!t.options->overwrite && !t.options->resume && !access(path, F_OK))
        return eg__fail_for(err, EG_E_EXISTS, EG_REASON_OUTPUT_EXISTS, "'%s' exists", path);
    if (images->is_stream)
        return eg__fail(
            err, EG_E_UNSUPPORTED,
            "photos in a compressed archive come in one order only, and tuning needs them in any: "
            "take the plain .tar");
    double start = eg__seconds();
    status = t.options->ranks ? eg__dist_init(&t.dist, err) : EG_OK;
    if (!status && t.dist.n_ranks > 1 && t.options->train_batch_norm)
        status = eg__fail(err, EG_E_UNSUPPORTED,
                          "batch norms would learn from a part of each batch only: with several processes "
                          "leave them as they are");
    if (!status) status = tune(&t, err);
    t.report.train.seconds = eg__seconds() - start;
    eg__tune_source_release(&t.source);
    eg__learned_release(&t.linear);
    free(t.pristine);
    free(t.start);
    eg__trainer_free(t.trainer);
    eg__trainer_free(t.head_trainer);
    eg__tune_cache_release(&t.features);
    eg__cuts_release(&t.plan);
    eg__graph_free(t.graph);
    eg__graph_free(t.head);
    free(t.state_path);
    free(t.trainable);
    free(t.rate_scale);
    free(t.items);
    free(t.labels);
    free(t.label_of);
    free(t.rows);
    free(t.by_row);
    eg__sample_release(&t.sample);
    t.report.rank = t.dist.rank;
    eg__dist_release(&t.dist);
    if (!status) status = eg__hand_out(&t.report, sizeof t.report, report, err);
    if (status) eg__tune_report_release(&t.report);
    return status;
}

void eg__tune_report_release(struct eg_tune_report *report)
{
    eg__train_report_release(&report->train);
    free(report->epochs);
    free(report->curve);
    free(report->unfrozen);
    *report = (struct eg_tune_report){0};
}

void eg_tune_report_free(struct eg_tune_report *report)
{
    if (report) eg__tune_report_release(report);
    free(report);
}
