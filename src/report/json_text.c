#include "report/json_text.h"

#include <math.h>
#include <stdlib.h>

#include "base/text.h"

json_t *eg__json_text(const char *text)
{
    if (!text) return json_null();
    json_t *json = json_string(text);
    if (json) return json;
    char *clean = eg__printable(text);
    json = clean ? json_string(clean) : NULL;
    free(clean);
    return json ? json : json_null();
}

json_t *eg__json_number(double value) { return isfinite(value) ? json_real(value) : json_null(); }

json_t *eg__json_shape(struct eg_shape shape)
{
    json_t *list = json_array();
    size_t first = shape.rank == 3 && shape.dim[0] == 1 && shape.dim[1] == 1 ? 2 : 0;
    for (size_t i = first; i < shape.rank; i++)
        json_array_append_new(list, json_integer((json_int_t)shape.dim[i]));
    return list;
}

json_t *eg__json_parsed(const char *text)
{
    json_t *json = text ? json_loads(text, 0, NULL) : NULL;
    return json ? json : json_null();
}

size_t eg__shape_values(struct eg_shape shape)
{
    size_t n = 1;
    for (size_t i = 0; i < shape.rank; i++) n *= shape.dim[i];
    return n;
}

json_t *eg__json_skipped(const struct eg_skipped *skipped, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_pack("{s:o,s:o}", "path", eg__json_text(skipped[i].path), "reason",
                                              eg__json_text(skipped[i].reason)));
    return list;
}

char *eg__json_document(json_t *json)
{
    char *text = json ? json_dumps(json, JSON_INDENT(2)) : NULL;
    json_decref(json);
    return text;
}
