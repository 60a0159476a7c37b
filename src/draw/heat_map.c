/* heat_map.c: a map over the picture that it is of. */
#include <math.h>
#include <stdlib.h>

#include "base/fail.h"
#include "base/mem.h"
#include "engraft/report.h"

enum { ENLARGED = 2 };

/* Between the four values around it; at the border the nearest. */
static float value_at(const struct eg_explanation *e, float y, float x)
{
    float top = fminf(fmaxf(y - 0.5f, 0), (float)(e->height - 1));
    float left = fminf(fmaxf(x - 0.5f, 0), (float)(e->width - 1));
    size_t y0 = (size_t)top, x0 = (size_t)left;
    size_t y1 = y0 + 1 < e->height ? y0 + 1 : y0, x1 = x0 + 1 < e->width ? x0 + 1 : x0;
    float fy = top - (float)y0, fx = left - (float)x0;
    const float *m = e->map;
    float upper = m[y0 * e->width + x0] * (1 - fx) + m[y0 * e->width + x1] * fx;
    float lower = m[y1 * e->width + x0] * (1 - fx) + m[y1 * e->width + x1] * fx;
    return upper * (1 - fy) + lower * fy;
}

/* Red for what speaks for the class, blue for what speaks against it; grey where neither. */
static void blend(uint8_t *rgb, float part)
{
    static const float red[3] = {214, 40, 30}, blue[3] = {30, 90, 200};
    const float *colour = part > 0 ? red : blue;
    float grey = 0.299f * rgb[0] + 0.587f * rgb[1] + 0.114f * rgb[2];
    float strength = 0.75f * fminf(fabsf(part), 1);
    for (size_t c = 0; c < 3; c++) {
        float paler = 0.5f * rgb[c] + 0.5f * grey;
        rgb[c] = (uint8_t)lrintf(paler * (1 - strength) + colour[c] * strength);
    }
}

enum eg_status eg_explanation_picture(const struct eg_explanation *e, struct eg_image *picture,
                                      struct eg_error *err)
{
    if (!e->seen) return eg__fail(err, EG_E_ARGUMENT, "'%.300s' is no photo to draw on", e->path);
    struct eg_image made = {NULL, ENLARGED * e->seen_height, ENLARGED * e->seen_width};
    made.rgb = eg__alloc(made.height * made.width, 3);
    if (!made.rgb) return eg__fail_memory(err, "a picture");
    float largest = 0;
    for (size_t i = 0; i < e->height * e->width; i++) largest = fmaxf(largest, fabsf(e->map[i]));
    float down = (float)e->height / (float)made.height, across = (float)e->width / (float)made.width;
    for (size_t y = 0; y < made.height; y++)
        for (size_t x = 0; x < made.width; x++) {
            uint8_t *to = made.rgb + 3 * (y * made.width + x);
            const uint8_t *from = e->seen + 3 * (y / ENLARGED * e->seen_width + x / ENLARGED);
            for (size_t c = 0; c < 3; c++) to[c] = from[c];
            float value = value_at(e, ((float)y + 0.5f) * down, ((float)x + 0.5f) * across);
            blend(to, largest > 0 ? value / largest : 0);
        }
    *picture = made;
    return EG_OK;
}
