/* page_photos.c: the photos of a page (page.h). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/pool.h"
#include "eval/embed.h"
#include "flow/page.h"
#include "image/dataset.h"
#include "image/photo.h"
#include "report/json_text.h"

enum {
    MOST_PHOTOS = 20000,
    MOST_MAPPED = 50000,
    TOP = 5,
    SHOWN_NEAR = 4,
    SMALL_SIDE = 64,
    SMALL_QUALITY = 55
};
enum { LARGE_QUALITY = 72, LOOK_TARGET = 192 };

/* ---- which ---------------------------------------------------------------------------------------- */

static int by_path(const void *a, const void *b)
{
    const struct page_photo *x = a, *y = b;
    return strcmp(x->path, y->path);
}

static enum eg_status gather_photos(struct page *p, struct eg_error *err)
{
    const struct eg_audit *a = &p->audit;
    const struct eg_evaluate_report *e = p->evaluated;
    size_t n_rows = p->audited ? a->n : 0, n_judged = e ? e->metrics.n : 0, n = 0, kept = 0;
    struct page_photo *photos = eg__zalloc(n_rows + n_judged + 1, sizeof *photos);
    if (!photos) return eg__fail_memory(err, "photos");
    for (size_t i = 0; i < n_rows; i++)
        photos[n++] = (struct page_photo){.path = a->spec->paths[a->rows[i]],
                                          .label = a->labels[i],
                                          .row = i,
                                          .labelled = SIZE_MAX,
                                          .judged = SIZE_MAX};
    for (size_t i = 0; i < a->n_labelled && p->audited && a->probabilities; i++)
        photos[a->labelled[i]].labelled = i;
    for (size_t i = 0; i < n_judged; i++)
        photos[n++] = (struct page_photo){.path = e->paths[i],
                                          .label = p->class_of[e->truth[i]],
                                          .row = SIZE_MAX,
                                          .labelled = SIZE_MAX,
                                          .judged = i};
    if (n) qsort(photos, n, sizeof *photos, by_path);
    for (size_t i = 0; i < n; i++) { /* of a photo that both know one is left */
        struct page_photo *last = kept ? &photos[kept - 1] : NULL;
        if (last && !strcmp(last->path, photos[i].path) && p->options->same_data &&
            (last->row == SIZE_MAX) != (photos[i].row == SIZE_MAX)) {
            if (last->row == SIZE_MAX) last->row = photos[i].row, last->labelled = photos[i].labelled;
            if (last->judged == SIZE_MAX) last->judged = photos[i].judged;
        } else {
            photos[kept++] = photos[i];
        }
    }
    p->photos = photos;
    p->n_photos = kept;
    return EG_OK;
}

/* Wrong ones first, then the least sure. */
static double weight_of(const float *probabilities, size_t k, int32_t truth, int32_t answer)
{
    double best = 0, own = truth >= 0 ? (double)probabilities[truth] : 1;
    for (size_t c = 0; c < k; c++) best = fmax(best, (double)probabilities[c]);
    return truth >= 0 && answer != truth ? 3 + best - own : 1 - best;
}

static void weigh(struct page *p)
{
    const struct eg_audit *a = &p->audit;
    size_t k = p->audited ? a->spec->n_classes : 0;
    double *more =
        p->audited ? eg__zalloc(a->n + 1, sizeof *more) : NULL; /* without it order is by answers */
    for (size_t i = 0; more && i < a->n_suspects; i++) more[a->suspects[i].row] = 4;
    for (size_t i = 0; more && i < a->n_odd; i++) more[a->odd[i].row] = fmax(more[a->odd[i].row], 2);
    for (size_t i = 0; more && i < a->n_copies; i++)
        for (size_t j = 0; j < a->copies[i].n; j++) {
            double *one = &more[a->copy_rows[a->copies[i].first + j]];
            *one = fmax(*one, a->copies[i].meaning == EG_COPY_ONE_CLASS ? 2 : 4);
        }
    for (size_t i = 0; i < p->n_photos; i++) {
        struct page_photo *photo = &p->photos[i];
        if (photo->labelled != SIZE_MAX) {
            const float *row = a->probabilities + photo->labelled * k;
            int32_t best = 0;
            for (size_t c = 1; c < k; c++)
                if (row[c] > row[best]) best = (int32_t)c;
            photo->weight = weight_of(row, k, a->labels[photo->row], best);
        }
        if (photo->judged != SIZE_MAX) {
            const struct eg_evaluate_report *e = p->evaluated;
            const float *row = e->probabilities + photo->judged * e->metrics.n_classes;
            double weight =
                weight_of(row, e->metrics.n_classes, e->truth[photo->judged], e->answers[photo->judged]);
            photo->weight = fmax(photo->weight, weight > 1 ? weight + 1 : weight); /* tests above folds */
        }
        if (more && photo->row != SIZE_MAX) photo->weight = fmax(photo->weight, more[photo->row]);
    }
    free(more);
}

static int heavier_first(const void *a, const void *b, void *context)
{
    const struct page_photo *photos = context, *x = &photos[*(const size_t *)a],
                            *y = &photos[*(const size_t *)b];
    if (x->weight > y->weight) return -1;
    if (x->weight < y->weight) return 1;
    return x < y ? -1 : x > y;
}

static size_t *by_weight(const struct page *p)
{
    size_t *order = eg__alloc(p->n_photos + 1, sizeof *order);
    for (size_t i = 0; order && i < p->n_photos; i++) order[i] = i;
    if (order && p->n_photos) qsort_r(order, p->n_photos, sizeof *order, heavier_first, p->photos);
    return order;
}

static enum eg_status choose_shown(struct page *p, struct eg_error *err)
{
    size_t *order = by_weight(p);
    if (!order) return eg__fail_memory(err, "photos");
    for (size_t i = 0; i < p->n_photos; i++) p->photos[order[i]].number = i < MOST_PHOTOS ? 0 : SIZE_MAX;
    free(order);
    for (size_t i = 0; i < p->n_photos; i++)
        if (p->photos[i].number != SIZE_MAX) p->photos[i].number = p->n_shown++;
    return EG_OK;
}

static enum eg_status place_on_map(struct page *p, struct eg_error *err)
{
    const struct eg_audit *a = &p->audit;
    if (!p->audited || a->n > MOST_MAPPED || a->n < 8) {
        for (size_t i = 0; i < p->n_photos; i++) p->photos[i].place[0] = NAN;
        return EG_OK;
    }
    float(*place)[2] = eg__alloc(a->n, sizeof *place);
    float *distance = eg__alloc(a->n * EG_AUDIT_NEAR, sizeof *distance);
    enum eg_status status = place && distance ? EG_OK : eg__fail_memory(err, "a map");
    for (size_t i = 0; i < a->n * EG_AUDIT_NEAR && !status; i++) /* of vectors of length 1 */
        distance[i] = sqrtf(fmaxf(0, 2 - 2 * a->near_cosine[i]));
    if (!status)
        status =
            eg__embed(a->vectors, a->n, a->d, a->near, distance, EG_AUDIT_NEAR, p->options->seed, place, err);
    for (size_t i = 0; i < p->n_photos && !status; i++) {
        size_t row = p->photos[i].row;
        p->photos[i].place[0] = row == SIZE_MAX ? NAN : place[row][0];
        p->photos[i].place[1] = row == SIZE_MAX ? NAN : place[row][1];
    }
    free(place);
    free(distance);
    return status;
}

enum eg_status eg__page_photos(struct page *p, struct eg_error *err)
{
    enum eg_status status = gather_photos(p, err);
    if (!status) weigh(p);
    if (!status) status = choose_shown(p, err);
    if (!status) status = place_on_map(p, err);
    return status;
}

void eg__page_photos_release(struct page *p)
{
    for (size_t i = 0; p->photos && i < p->n_photos; i++) {
        free(p->photos[i].own_thumb.bytes);
        json_decref(p->photos[i].map);
    }
    free(p->photos);
    free(p->thumbs.chars);
}

/* ---- what is said of them --------------------------------------------------------------------------- */

/* The surest answers, [class, probability] each. answer -1: rejected, which comes first. */
static json_t *top_json(const float *probabilities, size_t k, int32_t answer, const int32_t *class_of)
{
    json_t *list = json_array();
    double above = INFINITY;
    size_t last = 0;
    if (answer < 0) json_array_append_new(list, json_pack("[i,n]", -1));
    for (size_t t = 0; t < TOP && t < k; t++) {
        size_t best = k;
        for (size_t c = 0; c < k; c++) {
            double value = (double)probabilities[c];
            bool next = value < above || (value <= above && c > last);
            if (next && (best == k || probabilities[c] > probabilities[best])) best = c;
        }
        if (best == k || (t && (double)probabilities[best] < 5e-4)) break;
        above = (double)probabilities[best];
        last = best;
        json_array_append_new(list, json_pack("[i,o]", class_of ? class_of[best] : (int)best,
                                              eg__json_number(round(above * 1e4) / 1e4)));
    }
    return list;
}

/* The nearest that were learned from, or any where none was kept from learning. */
static json_t *near_json(const struct page *p, const size_t *number_of, size_t row)
{
    const struct eg_audit *a = &p->audit;
    json_t *list = json_array();
    for (size_t j = 0; j < EG_AUDIT_NEAR && json_array_size(list) < SHOWN_NEAR; j++) {
        uint32_t other = a->near[row * EG_AUDIT_NEAR + j];
        if (other == UINT32_MAX) break;
        if (number_of[other] == SIZE_MAX || (p->evaluated && a->test[other])) continue;
        json_array_append_new(list, json_integer((json_int_t)number_of[other]));
    }
    return list;
}

json_t *eg__page_photos_json(struct page *p)
{
    const struct eg_audit *a = &p->audit;
    const struct eg_evaluate_report *e = p->evaluated;
    size_t *number_of = eg__alloc(p->audited ? a->n + 1 : 1, sizeof *number_of);
    if (!number_of) return NULL;
    for (size_t i = 0; i < p->n_photos; i++)
        if (p->photos[i].row != SIZE_MAX) number_of[p->photos[i].row] = p->photos[i].number;
    json_t *list = json_array();
    for (size_t i = 0; i < p->n_photos; i++) {
        const struct page_photo *photo = &p->photos[i];
        if (photo->number == SIZE_MAX) continue;
        json_t *one = json_pack("{s:o,s:i,s:i}", "path", eg__json_text(photo->path), "label", photo->label,
                                "thumb", photo->thumb_number);
        if (photo->judged != SIZE_MAX) {
            size_t k = e->metrics.n_classes;
            json_object_set_new(
                one, "test",
                top_json(e->probabilities + photo->judged * k, k, e->answers[photo->judged], p->class_of));
        }
        if (photo->labelled != SIZE_MAX)
            json_object_set_new(one, "fold",
                                top_json(a->probabilities + photo->labelled * a->spec->n_classes,
                                         a->spec->n_classes, 0, NULL));
        if (photo->row != SIZE_MAX) {
            json_object_set_new(one, "part", json_string(a->test[photo->row] ? "test" : "train"));
            json_object_set_new(one, "near", near_json(p, number_of, photo->row));
        }
        if (isfinite(photo->place[0]))
            json_object_set_new(one, "at",
                                json_pack("[o,o]",
                                          eg__json_number(round((double)photo->place[0] * 100) / 100),
                                          eg__json_number(round((double)photo->place[1] * 100) / 100)));
        eg__page_heat_json(p, photo, one);
        json_array_append_new(list, one);
    }
    free(number_of);
    return list;
}

/* ---- small pictures ------------------------------------------------------------------------------------ */

struct looking {
    struct page *page;
    struct eg_dataset *photos;
    size_t *items, *wanted; /* photo wanted[i] is items[i] of the dataset */
};

static void look_at(void *context, size_t task, unsigned thread)
{
    (void)thread;
    struct looking *l = context;
    struct page_photo *photo = &l->page->photos[l->wanted[task]];
    const struct eg_decode_options how = {.fast_target = LOOK_TARGET};
    struct eg_image image;
    uint8_t *bytes;
    size_t n_bytes;
    if (eg__dataset_read(l->photos, l->items[task], &bytes, &n_bytes, NULL)) return;
    if (!eg__photo_decode(bytes, n_bytes, &how, &image, NULL)) {
        if (eg__jpeg_shrunk(&image, EG_THUMB_SIDE, LARGE_QUALITY, &photo->own_thumb, NULL))
            photo->own_thumb = (struct eg_jpeg){0};
        free(image.rgb);
    }
    free(bytes);
}

static int item_by_path(const void *a, const void *b, void *context)
{
    const struct eg_dataset *photos = context;
    return strcmp(photos->items[*(const size_t *)a].path, photos->items[*(const size_t *)b].path);
}

/* Pictures of judged photos that the audit has not looked at. */
static enum eg_status look_at_judged(struct page *p, struct eg_error *err)
{
    struct looking l = {.page = p};
    const char *data = p->options->data;
    size_t n_wanted = 0, n = 0;
    for (size_t i = 0; i < p->n_photos; i++) n_wanted += p->photos[i].row == SIZE_MAX;
    if (!n_wanted || !data || eg__is_hdf5(data)) return EG_OK;
    if (eg__dataset_scan(&data, 1, p->options->images, &l.photos, NULL))
        return EG_OK; /* then there are none */
    size_t *order = eg__alloc(l.photos->n_items + 1, sizeof *order);
    l.items = eg__alloc(n_wanted + 1, sizeof *l.items);
    l.wanted = eg__alloc(n_wanted + 1, sizeof *l.wanted);
    enum eg_status status = order && l.items && l.wanted ? EG_OK : eg__fail_memory(err, "small pictures");
    for (size_t i = 0; i < l.photos->n_items && !status; i++) order[i] = i;
    if (!status && !l.photos->is_array && !l.photos->is_stream) {
        qsort_r(order, l.photos->n_items, sizeof *order, item_by_path, l.photos);
        size_t at = 0; /* both are in the order of their paths */
        for (size_t i = 0; i < p->n_photos; i++) {
            if (p->photos[i].row != SIZE_MAX) continue;
            while (at < l.photos->n_items && strcmp(l.photos->items[order[at]].path, p->photos[i].path) < 0)
                at++;
            if (at == l.photos->n_items || strcmp(l.photos->items[order[at]].path, p->photos[i].path))
                continue;
            l.items[n] = order[at];
            l.wanted[n++] = i;
        }
        eg__pool_run(p->options->pool, n, look_at, &l);
    }
    free(order);
    free(l.items);
    free(l.wanted);
    eg__dataset_free(l.photos);
    return status;
}

struct shrinking {
    struct page *page;
    const size_t *order;
    struct eg_jpeg *small; /* [n] */
};

static void shrink(void *context, size_t task, unsigned thread)
{
    (void)thread;
    const struct shrinking *s = context;
    const struct eg_jpeg *large = &s->page->photos[s->order[task]].thumb;
    const struct eg_decode_options how = {0};
    struct eg_image image;
    if (!large->bytes || eg__photo_decode(large->bytes, large->n_bytes, &how, &image, NULL)) return;
    if (eg__jpeg_shrunk(&image, SMALL_SIDE, SMALL_QUALITY, &s->small[task], NULL))
        s->small[task] = (struct eg_jpeg){0};
    free(image.rgb);
}

static size_t text_bytes(const struct eg_jpeg *jpeg) { return 4 * ((jpeg->n_bytes + 2) / 3) + 3; }

/* Adds a picture if there is room; false: there is none. */
static bool add_thumb(struct page *p, struct page_photo *photo, const struct eg_jpeg *jpeg, size_t room)
{
    if (!jpeg->bytes || p->thumbs.length + text_bytes(jpeg) + 2 > room) return false;
    eg__text_append(&p->thumbs, p->n_thumbs ? "," : "[");
    eg__base64(&p->thumbs, jpeg->bytes, jpeg->n_bytes);
    photo->thumb_number = (int)p->n_thumbs++;
    return true;
}

static enum eg_status add_thumbs(struct page *p, const size_t *order, size_t room, struct eg_error *err)
{
    size_t all = 2, n_large = 0, n = p->n_photos;
    for (size_t i = 0; i < n; i++) {
        struct page_photo *photo = &p->photos[i];
        bool looked = p->audited && photo->row != SIZE_MAX;
        photo->thumb = looked ? p->audit.thumbs[photo->row] : photo->own_thumb;
        photo->thumb_number = -1;
        if (photo->number != SIZE_MAX) all += text_bytes(&photo->thumb);
    }
    size_t large_room = all <= room ? room : room / 2;
    for (; n_large < n; n_large++) {
        struct page_photo *photo = &p->photos[order[n_large]];
        if (photo->number == SIZE_MAX || !photo->thumb.bytes) continue;
        if (!add_thumb(p, photo, &photo->thumb, large_room)) break;
    }
    struct shrinking s = {p, order + n_large, eg__zalloc(n - n_large + 1, sizeof *s.small)};
    if (!s.small) return eg__fail_memory(err, "small pictures");
    eg__pool_run(p->options->pool, n - n_large, shrink, &s);
    for (size_t i = n_large; i < n; i++) {
        struct page_photo *photo = &p->photos[order[i]];
        if (photo->number != SIZE_MAX && photo->thumb.bytes &&
            !add_thumb(p, photo, &s.small[i - n_large], room))
            p->n_omitted_thumbs++;
        free(s.small[i - n_large].bytes);
    }
    free(s.small);
    eg__text_append(&p->thumbs, p->n_thumbs ? "]" : "[]");
    return p->thumbs.failed ? eg__fail_memory(err, "small pictures") : EG_OK;
}

enum eg_status eg__page_thumbs(struct page *p, size_t room, struct eg_error *err)
{
    size_t *order = by_weight(p);
    enum eg_status status = order ? look_at_judged(p, err) : eg__fail_memory(err, "photos");
    if (!status) status = add_thumbs(p, order, room, err);
    free(order);
    return status;
}
