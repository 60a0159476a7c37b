/* tune_state.c: what is kept of a phase after every epoch, to go on from after a break.
 *
 * A saved state: struct saved, its epoch records, the trainer's state, the best one, the average, the
 * start. */
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/mem.h"
#include "flow/tune_loop.h"

struct saved {
    char magic[8], identity[64];
    uint64_t phase, epoch, waited, n_state, n_values, n_epochs, best_epoch;
    double rate, best_loss, best_accuracy;
};

static const char magic[8] = "EGTUNE2";

enum eg_status eg__tune_save(const struct eg_tune_phase *phase, struct eg_phase_progress *p,
                             struct eg_error *err)
{
    if (!phase->state_path || phase->dist->rank) return EG_OK;
    struct saved head = {.phase = phase->number,
                         .epoch = p->epoch,
                         .waited = p->waited,
                         .n_state = p->n_state,
                         .n_values = p->n_values,
                         .n_epochs = phase->report->n_epochs,
                         .best_epoch = p->best_epoch,
                         .rate = phase->rate,
                         .best_loss = p->best_loss,
                         .best_accuracy = p->best_accuracy};
    memcpy(head.magic, magic, sizeof head.magic);
    memcpy(head.identity, phase->identity, sizeof head.identity);
    eg__trainer_get_state(phase->trainer, p->state);
    struct eg_outfile file;
    enum eg_status status = eg__outfile_open(phase->state_path, true, &file, err);
    if (status) return status;
    fwrite(&head, sizeof head, 1, file.stream);
    fwrite(phase->report->epochs, sizeof *phase->report->epochs, phase->report->n_epochs, file.stream);
    fwrite(p->state, sizeof *p->state, p->n_state, file.stream);
    fwrite(p->best, sizeof *p->best, p->n_state, file.stream);
    fwrite(p->average, sizeof *p->average, p->n_values, file.stream);
    fwrite(phase->start, sizeof *phase->start, p->n_values, file.stream);
    return eg__outfile_commit(&file, err);
}

/* found: a state of this work is there; its head is in *head. */
static enum eg_status open_saved(const char *path, const char *identity, struct eg_mapping *mapping,
                                 struct saved *head, struct eg_error *err)
{
    enum eg_status status = eg__map_file(path, mapping, err);
    if (status) return status;
    bool whole = mapping->size >= sizeof *head;
    if (whole) memcpy(head, mapping->bytes, sizeof *head);
    whole = whole && !memcmp(head->magic, magic, sizeof head->magic);
    if (whole && memcmp(head->identity, identity, sizeof head->identity))
        status = eg__fail(
            err, EG_E_ARGUMENT,
            "'%s' is of a run with other photos or options: give the same ones, or remove it to begin anew",
            path);
    size_t left = mapping->size - sizeof *head;
    if (!status && whole) whole = head->n_epochs <= left / sizeof(struct eg_epoch);
    if (!status && whole) left = (left - head->n_epochs * sizeof(struct eg_epoch)) / (2 * sizeof(float));
    if (!status && (!whole || head->n_state > left || left - head->n_state != head->n_values))
        status = eg__fail(err, EG_E_FORMAT, "'%s' is damaged: remove it to begin anew", path);
    if (status) eg__unmap_file(mapping);
    return status;
}

enum eg_status eg__tune_restore(struct eg_tune_phase *phase, struct eg_phase_progress *p,
                                struct eg_error *err)
{
    struct eg_mapping mapping;
    struct saved head;
    enum eg_status status = open_saved(phase->state_path, phase->identity, &mapping, &head, err);
    if (status) return status;
    struct eg_tune_report *report = phase->report;
    struct eg_epoch *epochs = eg__alloc(head.n_epochs + 1, sizeof *epochs);
    if (head.n_state != p->n_state || head.n_values != p->n_values || head.phase != phase->number)
        status = eg__fail(err, EG_E_FORMAT, "'%s' is damaged: remove it to begin anew", phase->state_path);
    else if (!epochs)
        status = eg__fail_memory(err, "the epochs");
    if (status) {
        free(epochs);
        eg__unmap_file(&mapping);
        return status;
    }
    const uint8_t *at = mapping.bytes + sizeof head;
    memcpy(epochs, at, head.n_epochs * sizeof *epochs);
    at += head.n_epochs * sizeof *epochs;
    memcpy(p->state, at, p->n_state * sizeof *p->state);
    at += p->n_state * sizeof *p->state;
    memcpy(p->best, at, p->n_state * sizeof *p->best);
    at += p->n_state * sizeof *p->best;
    memcpy(p->average, at, p->n_values * sizeof *p->average);
    memcpy(phase->start, at + p->n_values * sizeof *p->average, p->n_values * sizeof *phase->start);
    eg__trainer_set_state(phase->trainer, p->state);
    free(report->epochs);
    report->epochs = epochs;
    report->n_epochs = head.n_epochs;
    phase->rate = head.rate;
    p->epoch = head.epoch;
    p->waited = (unsigned)head.waited;
    p->best_epoch = head.best_epoch;
    p->best_loss = head.best_loss;
    p->best_accuracy = head.best_accuracy;
    eg__unmap_file(&mapping);
    return EG_OK;
}
