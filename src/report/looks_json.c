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
