/* page_heat.c: what spoke for the answers to the worst errors and the least sure (page.h).
 *
 * The first judge of the page says which these are, as judged.js does. Maps are of the model, for the class
 * that this judge answered. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "flow/explain.h"
#include "flow/page.h"
#include "image/dataset.h"
#include "image/photo.h"

enum { MOST_ERRORS = 72, MOST_UNSURE = 24, MOST_SIDE = 28, FULL = 99 };

/* ---- whose ------------------------------------------------------------------------------------------- */

struct candidate {
    struct page_photo *photo;
    size_t answer; /* of the model's classes */
    bool wrong;
    double order; /* errors: how sure of the wrong; others: how sure; the less first */
};

static int by_order(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->wrong != y->wrong) return x->wrong ? -1 : 1;
    if (x->order < y->order) return -1;
    if (x->order > y->order) return 1;
    return x->photo < y->photo ? -1 : x->photo > y->photo;
}

/* What the first judge said of a photo: k probabilities of classes class_of; NULL: nothing. */
static const float *judged(const struct page *p, const struct page_photo *photo, size_t *k,
                           const int32_t **class_of)
{
    if (p->evaluated) {
        *k = p->evaluated->metrics.n_classes;
        *class_of = p->class_of;
        return photo->judged == SIZE_MAX ? NULL : p->evaluated->probabilities + photo->judged * *k;
    }
    *k = p->audited ? p->audit.spec->n_classes : 0;
    *class_of = NULL;
    return photo->labelled == SIZE_MAX ? NULL : p->audit.probabilities + photo->labelled * *k;
}

static size_t model_class(const eg_net *net, const char *name)
{
    for (size_t k = 0; k < net->n_classes; k++)
        if (!strcmp(net->classes[k], name)) return k;
    return SIZE_MAX;
}

static size_t find_candidates(struct page *p, struct candidate *out)
{
    size_t n = 0, n_wrong = 0, kept, k;
    for (size_t i = 0; i < p->n_photos; i++) {
        const int32_t *class_of;
        struct page_photo *photo = &p->photos[i];
        const float *row = photo->number == SIZE_MAX ? NULL : judged(p, photo, &k, &class_of);
        if (!row || photo->label < 0) continue;
        size_t best = 0, own = SIZE_MAX;
        for (size_t c = 0; c < k; c++) {
            if (row[c] > row[best]) best = c;
            if ((class_of ? class_of[c] : (int32_t)c) == photo->label) own = c;
        }
        double sure = (double)row[best];
        bool rejected = p->evaluated && p->evaluated->answers[photo->judged] < 0;
        struct candidate one = {photo, 0, rejected || best != own, sure};
        photo->map_of = class_of ? class_of[best] : (int32_t)best;
        one.answer = model_class(p->options->model, p->classes[photo->map_of]);
        if (one.wrong) one.order = (own == SIZE_MAX ? 0 : (double)row[own]) - sure;
        if (one.answer == SIZE_MAX) continue; /* a class the model does not know */
        n_wrong += one.wrong;
        out[n++] = one;
    }
    qsort(out, n, sizeof *out, by_order);
    kept = n_wrong < MOST_ERRORS ? n_wrong : MOST_ERRORS;
    for (size_t i = n_wrong; i < n && i < n_wrong + MOST_UNSURE; i++) out[kept++] = out[i];
    return kept;
}

/* ---- their maps ---------------------------------------------------------------------------------------- */

struct taking {
    struct candidate **of; /* in the order of the explanations */
    size_t n;
};

/* At most MOST_SIDE rows of as many means, as parts of the largest. */
static json_t *map_json(const float *map, size_t height, size_t width)
{
    size_t h = height < MOST_SIDE ? height : MOST_SIDE, w = width < MOST_SIDE ? width : MOST_SIDE;
    double cells[MOST_SIDE * MOST_SIDE], most = 0;
    for (size_t y = 0; y < h; y++)
        for (size_t x = 0; x < w; x++) {
            size_t top = y * height / h, bottom = (y + 1) * height / h, n = 0;
            double sum = 0;
            for (size_t i = top; i < bottom; i++)
                for (size_t j = x * width / w; j < (x + 1) * width / w; j++, n++)
                    sum += (double)map[i * width + j];
            cells[y * w + x] = sum / (double)n;
            most = fmax(most, fabs(cells[y * w + x]));
        }
    json_t *rows = json_array();
    for (size_t y = 0; y < h; y++) {
        json_t *row = json_array();
        for (size_t x = 0; x < w; x++)
            json_array_append_new(
                row, json_integer(most > 0 ? (json_int_t)lround(FULL * cells[y * w + x] / most) : 0));
        json_array_append_new(rows, row);
    }
    return rows;
}

static void take(void *user, const struct eg_explanation *e)
{
    struct taking *t = user;
    struct page_photo *photo = t->of[t->n++]->photo;
    if (!e->error && !photo->map && isfinite(e->score)) photo->map = map_json(e->map, e->height, e->width);
}

/* Candidates at items of photos; what cannot be explained has no map. */
static enum eg_status explain_items(struct page *p, const struct eg_dataset *photos, const size_t *items,
                                    struct candidate **of, size_t n, struct eg_error *err)
{
    const struct eg_explain_options how = {EG_SIZED(eg_explain_options), .pool = p->options->pool,
                                           .progress = p->options->progress, .user = p->options->user};
    size_t *asked = eg__alloc(n + 1, sizeof *asked);
    if (!asked) return eg__fail_memory(err, "maps");
    for (size_t i = 0; i < n; i++) asked[i] = of[i]->answer;
    struct taking t = {of, 0};
    struct eg_error why;
    enum eg_status status =
        eg__explain_rows(p->options->model, photos, items, asked, n, &how, take, &t, &why);
    free(asked);
    bool none = status != EG_E_CANCELLED && status != EG_E_MEMORY;
    if (status && !none && err) *err = why;
    return none ? EG_OK : status;
}

static enum eg_status heat_of_rows(struct page *p, struct candidate *c, size_t n, size_t *items,
                                   struct candidate **of, struct eg_error *err)
{
    const struct eg_audit *a = &p->audit;
    struct eg_dataset *photos;
    size_t n_rows = 0, *rows = eg__alloc(n + 1, sizeof *rows);
    if (!rows) return eg__fail_memory(err, "maps");
    for (size_t i = 0; i < n; i++) {
        if (c[i].photo->row == SIZE_MAX) continue;
        items[n_rows] = n_rows;
        of[n_rows] = &c[i];
        rows[n_rows++] = a->rows[c[i].photo->row];
    }
    const char *root = p->options->root ? p->options->root : a->spec->root ? a->spec->root : "";
    enum eg_status status = EG_OK;
    if (n_rows && !eg__row_photos(a->spec, root, rows, n_rows, &photos, NULL)) {
        status = explain_items(p, photos, items, of, n_rows, err);
        eg__dataset_free(photos);
    }
    free(rows);
    return status;
}

static enum eg_status heat_of_judged(struct page *p, struct candidate *c, size_t n, size_t *items,
                                     struct candidate **of, struct eg_error *err)
{
    const char *data = p->options->data;
    struct eg_dataset *photos;
    size_t n_found = 0;
    if (!data || eg__is_hdf5(data) || eg__dataset_scan(&data, 1, p->options->images, &photos, NULL))
        return EG_OK;
    for (size_t i = 0; i < n; i++)
        for (size_t item = 0; c[i].photo->row == SIZE_MAX && item < photos->n_items; item++) {
            if (strcmp(photos->items[item].path, c[i].photo->path)) continue;
            items[n_found] = item;
            of[n_found++] = &c[i];
            break;
        }
    enum eg_status status = n_found ? explain_items(p, photos, items, of, n_found, err) : EG_OK;
    eg__dataset_free(photos);
    return status;
}

enum eg_status eg__page_heat(struct page *p, struct eg_error *err)
{
    if (!p->options->model) return EG_OK;
    struct candidate *candidates = eg__alloc(p->n_photos + 1, sizeof *candidates);
    size_t *items = eg__alloc(MOST_ERRORS + MOST_UNSURE, sizeof *items), n_judged = 0;
    struct candidate **of = eg__alloc(MOST_ERRORS + MOST_UNSURE, sizeof *of);
    enum eg_status status = candidates && items && of ? EG_OK : eg__fail_memory(err, "maps");
    size_t n = status ? 0 : find_candidates(p, candidates);
    for (size_t i = 0; i < n; i++) n_judged += candidates[i].photo->row == SIZE_MAX;
    if (n_judged < n && !status) status = heat_of_rows(p, candidates, n, items, of, err);
    if (n_judged && !status) status = heat_of_judged(p, candidates, n, items, of, err);
    free(candidates);
    free(items);
    free(of);
    return status;
}

/* ---- what of the photo they cover -------------------------------------------------------------------- */

void eg__page_heat_json(const struct page *p, const struct page_photo *photo, json_t *one)
{
    if (!photo->map) return;
    json_object_set(one, "map", photo->map);
    json_object_set_new(one, "map_of", json_integer(photo->map_of));
    const struct eg_recipe *recipe = &p->options->model->recipe;
    size_t width, height;
    if (!p->options->model->has_recipe || recipe->resize != EG_RESIZE_SHORT || !photo->thumb.bytes ||
        eg__photo_size(photo->thumb.bytes, photo->thumb.n_bytes, &width, &height, NULL))
        return;
    double scale = (double)recipe->size / (double)(width < height ? width : height);
    double w = fmin(1, (double)recipe->crop[1] / (scale * (double)width)),
           h = fmin(1, (double)recipe->crop[0] / (scale * (double)height));
    const double box[] = {(1 - w) / 2, (1 - h) / 2, w, h};
    json_t *seen = json_array();
    for (size_t i = 0; i < 4; i++) json_array_append_new(seen, json_real(round(1e4 * box[i]) / 1e4));
    json_object_set_new(one, "seen", seen);
}
