/* looks_json.c: what photos look like to a network, as JSON: similar ones, and maps of what spoke for a
 * class. */
#include "report/json_text.h"

static json_t *json_nearest(const struct eg_similar_row *rows, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list,
                              json_pack("{s:o,s:o,s:I,s:o}", "path", eg__json_text(rows[i].path), "label",
                                        eg__json_text(rows[i].label), "row", (json_int_t)rows[i].row,
                                        "similarity", eg__json_number(rows[i].similarity)));
    return list;
}

char *eg_similar_report_json(const struct eg_similar_report *report)
{
    json_t *list = json_array();
    for (size_t i = 0; i < report->n_photos; i++) {
        const struct eg_similar_photo *photo = &report->photos[i];
        json_t *item = json_pack("{s:o}", "path", eg__json_text(photo->path));
        if (photo->error)
            json_object_set_new(item, "error", eg__json_text(photo->error));
        else
            json_object_set_new(item, "nearest", json_nearest(photo->nearest, photo->n_nearest));
        json_array_append_new(list, item);
    }
    return eg__json_document(list);
}

char *eg_verify_report_json(const struct eg_verify_report *r)
{
    json_t *layers = json_array();
    for (size_t i = 0; i < r->n_layers; i++) {
        const struct eg_verified_layer *layer = &r->layers[i];
        json_array_append_new(layers,
                              json_pack("{s:o,s:o,s:o,s:o}", "name", eg__json_text(layer->name), "other",
                                        eg__json_text(layer->other), "shape", eg__json_shape(layer->shape),
                                        "difference", eg__json_number(layer->difference)));
    }
    return eg__json_document(json_pack("{s:o,s:o,s:I,s:o,s:o}", "layers", layers, "parts_at",
                                       eg__json_text(r->parts_at), "images", (json_int_t)r->n_images,
                                       "unmatched", eg__json_skipped(r->unmatched, r->n_unmatched), "seconds",
                                       eg__json_number(r->seconds)));
}

static json_t *json_map(const struct eg_explanation *e)
{
    json_t *rows = json_array();
    for (size_t y = 0; y < e->height; y++) {
        json_t *row = json_array();
        for (size_t x = 0; x < e->width; x++)
            json_array_append_new(row, eg__json_number((double)e->map[y * e->width + x]));
        json_array_append_new(rows, row);
    }
    return rows;
}

static json_t *json_unknown(const struct eg_explanation *e)
{
    if (!e->unknown) return json_null();
    return json_pack("{s:o,s:o,s:o,s:o}", "confidence", eg__json_number(e->confidence), "confidence_least",
                     eg__json_number(e->confidence_least), "distance", eg__json_number(e->distance),
                     "distance_most", eg__json_number(e->distance_most));
}

char *eg_explanation_json(const struct eg_explanation *e, const char *picture,
                          const struct eg_similar_photo *similar)
{
    json_t *json = json_pack("{s:o}", "path", eg__json_text(e->path));
    if (e->error) {
        json_object_set_new(json, "error", eg__json_text(e->error));
        return eg__json_document(json);
    }
    json_object_set_new(json, "label", eg__json_text(e->label));
    json_object_set_new(json, "index", json_integer(e->index));
    json_object_set_new(json, "probability", eg__json_number((double)e->probability));
    json_object_set_new(json, "unknown", json_unknown(e));
    json_object_set_new(json, "method", json_string(e->exact ? "exact" : "grad-cam"));
    json_object_set_new(json, "score", eg__json_number(e->score));
    json_object_set_new(json, "bias", eg__json_number(e->bias));
    json_object_set_new(json, "layer", eg__json_text(e->layer));
    json_object_set_new(json, "map", json_map(e));
    json_object_set_new(json, "picture", eg__json_text(picture));
    if (similar) json_object_set_new(json, "nearest", json_nearest(similar->nearest, similar->n_nearest));
    return eg__json_document(json);
}

char *eg_corrections_json(const struct eg_corrections *done)
{
    return eg__json_document(json_pack(
        "{s:I,s:I,s:I,s:I,s:I,s:o}", "moved", (json_int_t)done->moved, "deleted", (json_int_t)done->deleted,
        "confirmed", (json_int_t)done->confirmed, "test_relabelled", (json_int_t)done->test_relabelled,
        "files", (json_int_t)done->files, "skipped", eg__json_skipped(done->skipped, done->n_skipped)));
}
