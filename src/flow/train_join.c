/* train_join.c: what is learned from, side by side: cuts of a feature file, and those of other networks'
 * files, whose rows are found by the photos' contents. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/text.h"
#include "flow/training.h"
#include "image/photo.h"

/* ---- rows of other files ------------------------------------------------------------------------- */

struct known {
    uint8_t hash[32];
    size_t row;
};

static int compare_known(const void *a, const void *b)
{
    const struct known *x = a, *y = b;
    return memcmp(x->hash, y->hash, sizeof x->hash);
}

/* rows[i]: where the photo of row i lies in the other file; SIZE_MAX: nowhere. */
static enum eg_status map_rows(struct eg_store *store, struct eg_store *other, size_t **rows,
                               struct eg_error *err)
{
    const size_t n = eg__store_spec(store)->n_rows, n_other = eg__store_spec(other)->n_rows;
    const uint8_t *done = eg__store_status(other);
    struct known *list = eg__alloc(n_other + 1, sizeof *list);
    uint8_t(*hashes)[32] = eg__alloc((n > n_other ? n : n_other) + 1, sizeof *hashes);
    size_t *made = eg__alloc(n + 1, sizeof *made), count = 0;
    enum eg_status status = list && hashes && made ? EG_OK : eg__fail_memory(err, "rows");
    if (!status) status = eg__store_hashes(other, 0, n_other, hashes, err);
    for (size_t i = 0; i < n_other && !status; i++) {
        if (done[i] != EG_ROW_DONE) continue;
        memcpy(list[count].hash, hashes[i], sizeof *hashes);
        list[count++].row = i;
    }
    if (!status) qsort(list, count, sizeof *list, compare_known);
    if (!status) status = eg__store_hashes(store, 0, n, hashes, err);
    for (size_t i = 0; i < n && !status; i++) {
        struct known key = {.row = 0};
        memcpy(key.hash, hashes[i], sizeof key.hash);
        const struct known *found = bsearch(&key, list, count, sizeof *list, compare_known);
        made[i] = found ? found->row : SIZE_MAX;
    }
    free(list);
    free(hashes);
    if (status) {
        free(made);
        return status == EG_E_NOT_FOUND
                   ? eg__fail_within(err, EG_E_ARGUMENT, "feature files are joined by the photos' hashes")
                   : status;
    }
    *rows = made;
    return EG_OK;
}

enum eg_status eg__training_check_rows(const struct training *t, struct eg_error *err)
{
    for (size_t p = 0; p < t->joint.n; p++)
        for (size_t i = 0; t->joint.parts[p].rows && i < t->sample.n; i++)
            if (t->joint.parts[p].rows[t->sample.rows[i]] == SIZE_MAX)
                return eg__fail(err, EG_E_NOT_FOUND,
                                "'%s' has no features in file %zu of the networks' (bring it up to date)",
                                t->spec->paths[t->sample.rows[i]], p + 1);
    return EG_OK;
}

bool eg__training_selects(const struct training *t)
{
    return t->options->features && !strcmp(t->options->features, "auto");
}

bool eg__training_is_joined(const struct training *t)
{
    return t->joint.n > 1 || t->joint.parts[0].store != t->store;
}

/* ---- the cuts ------------------------------------------------------------------------------------ */

static enum eg_status add(struct training *t, struct eg_store *store, const char *name, const size_t *rows,
                          struct eg_error *err)
{
    size_t cut = 0;
    enum eg_status status = eg__store_find_cut(store, name, &cut, err);
    for (size_t p = 0; p < t->joint.n && !status; p++)
        if (t->joint.parts[p].store == store && t->joint.parts[p].cut == cut)
            return eg__fail(err, EG_E_ARGUMENT, "features '%s' are given twice", name ? name : "the first");
    return status ? status : eg__joint_add(&t->joint, store, cut, rows, err);
}

/* Of each file what is named and it has; where nothing of it is named, its first cut. */
static enum eg_status add_file(struct training *t, struct eg_store *store, const size_t *rows,
                               struct eg_error *err)
{
    const struct eg_train_options *o = t->options;
    const size_t before = t->joint.n;
    const bool one = !o->n_others;
    enum eg_status status = EG_OK;
    if (eg__training_selects(t)) {
        for (size_t c = 0; c < eg__store_spec(store)->n_cuts && !status; c++)
            status = eg__joint_add(&t->joint, store, c, rows, err);
        return status;
    }
    for (size_t i = 0; i <= o->n_joined && !status; i++) {
        const char *name = i ? o->joined[i - 1] : o->features;
        size_t cut;
        if (!name || (!one && eg__store_find_cut(store, name, &cut, NULL))) continue;
        status = add(t, store, name, rows, err);
    }
    return status || t->joint.n > before ? status : add(t, store, NULL, rows, err);
}

static enum eg_status check_names(const struct training *t, struct eg_error *err)
{
    const struct eg_train_options *o = t->options;
    if (eg__training_selects(t))
        return o->n_joined ? eg__fail(err, EG_E_ARGUMENT, "cuts are named, or chosen: not both") : EG_OK;
    for (size_t i = 0; o->n_others && i <= o->n_joined; i++) {
        const char *name = i ? o->joined[i - 1] : o->features;
        size_t cut;
        bool found = !name || !eg__store_find_cut(t->store, name, &cut, NULL);
        for (size_t k = 0; k < o->n_others; k++)
            found = found || !eg__store_find_cut(o->others[k], name, &cut, NULL);
        if (!found) return eg__fail(err, EG_E_NOT_FOUND, "no feature file has features '%s'", name);
    }
    return EG_OK;
}

static enum eg_status set_blocks(struct training *t, struct eg_error *err)
{
    free(t->blocks);
    t->blocks = eg__zalloc(t->joint.n, sizeof *t->blocks);
    if (!t->blocks) return eg__fail_memory(err, "the cuts");
    for (size_t p = 0; p < t->joint.n; p++)
        t->blocks[p] =
            (struct eg_row_block){.d = t->joint.parts[p].length, .scale = EG_SCALE_AUTO, .factor = 1};
    t->cut = t->joint.parts[0].cut;
    return EG_OK;
}

enum eg_status eg__training_join(struct training *t, struct eg_error *err)
{
    const struct eg_train_options *o = t->options;
    if (o->n_others && t->net && !o->other_nets)
        return eg__fail(err, EG_E_ARGUMENT, "every feature file needs its network");
    enum eg_status status = check_names(t, err);
    if (!status) status = add_file(t, t->store, NULL, err);
    t->maps = eg__zalloc(o->n_others + 1, sizeof *t->maps);
    if (!t->maps) return eg__fail_memory(err, "rows");
    for (size_t k = 0; k < o->n_others && !status; k++) {
        status = map_rows(t->store, o->others[k], &t->maps[k], err);
        if (!status) status = add_file(t, o->others[k], t->maps[k], err);
    }
    return status ? status : set_blocks(t, err);
}

enum eg_status eg__training_take_cut(struct training *t, size_t cut, struct eg_error *err)
{
    eg__joint_release(&t->joint);
    enum eg_status status = eg__joint_add(&t->joint, t->store, cut, NULL, err);
    return status ? status : set_blocks(t, err);
}

char *eg__training_cut_names(const struct training *t)
{
    struct eg_text names = {0};
    for (size_t p = 0; p < t->joint.n; p++) {
        const struct eg_part *part = &t->joint.parts[p];
        eg__text_append(&names, "%s%s", p ? " + " : "", eg__store_spec(part->store)->cuts[part->cut].name);
    }
    if (!names.failed) return names.chars;
    free(names.chars);
    return NULL;
}

/* ---- what is written of them --------------------------------------------------------------------- */

static const struct eg_net *net_of(const struct training *t, const struct eg_part *part)
{
    for (size_t k = 0; k < t->options->n_others; k++)
        if (t->options->others[k] == part->store)
            return t->options->other_nets ? t->options->other_nets[k] : NULL;
    return t->net;
}

enum eg_status eg__training_parts(struct training *t, struct eg_error *err)
{
    struct eg_train_report *r = &t->report;
    if (!eg__training_is_joined(t)) return EG_OK;
    t->parts = eg__zalloc(t->joint.n, sizeof *t->parts);
    r->joined = eg__zalloc(t->joint.n, sizeof *r->joined);
    if (!t->parts || !r->joined) return eg__fail_memory(err, "the cuts");
    for (size_t p = 0; p < t->joint.n; p++) {
        const struct eg_part *part = &t->joint.parts[p];
        const struct eg_store_spec *spec = eg__store_spec(part->store);
        const enum eg_scaling scale =
            t->blocks[p].scale == EG_SCALE_AUTO ? t->learned.scale : t->blocks[p].scale;
        t->parts[p] = (struct eg_trained_part){.net = t->net ? net_of(t, part) : NULL,
                                               .cut = &spec->cuts[part->cut],
                                               .network = spec->network,
                                               .weights_sha256 = spec->weights_sha256,
                                               .scale = eg__scaling_names[scale],
                                               .factor = t->blocks[p].factor};
        r->joined[p] = (struct eg_joined){.network = spec->network ? strdup(spec->network) : NULL,
                                          .cut = strdup(spec->cuts[part->cut].name),
                                          .length = part->length,
                                          .scale = t->parts[p].scale,
                                          .factor = t->parts[p].factor};
        if (!r->joined[p].cut) return eg__fail_memory(err, "the cuts");
        r->n_joined = p + 1;
    }
    t->trained.parts = t->parts;
    t->trained.n_parts = t->joint.n;
    if (!t->net) return EG_OK;
    t->pixels = *t->net; /* as all of the networks see them */
    t->whole = &t->pixels;
    return eg__parts_recipe(t->parts, t->joint.n, &t->pixels.recipe, err);
}

void eg__joined_free(struct eg_joined *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(list[i].network);
        free(list[i].cut);
    }
    free(list);
}
