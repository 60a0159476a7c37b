/* outliers.h: photos that are odd: far from all others of their class, or odd as photos. */
#ifndef EG_EVAL_OUTLIERS_H
#define EG_EVAL_OUTLIERS_H

#include "engraft.h"

/* What one look at the pixels tells; made at no more than some hundred pixels a side. */
struct eg_photo_stats {
    size_t width, height; /* of the photo as it is */
    float mean, spread;   /* of the luminance, 0 to 255 */
    float detail;         /* mean absolute Laplacian over the spread: small is blurred */
    float colours;        /* spread of the colours from one, 0 to 255 */
    bool read;
};
void eg__photo_stats(const uint8_t *rgb, size_t height, size_t width, struct eg_photo_stats *stats);

enum eg_oddity {
    EG_ODD_FAR,
    EG_ODD_DARK,
    EG_ODD_BRIGHT,
    EG_ODD_BLURRED,
    EG_ODD_SMALL,
    EG_ODD_SHAPE,
    EG_ODD_ONE_COLOUR
};
extern const char *const eg__oddity_names[];

struct eg_odd {
    size_t row;
    enum eg_oddity reason;
    double score; /* how far past what is usual, 1 and more */
};

/* nearest[n]: mean cosine of the nearest few of the same class (NAN: too few to say); stats[n] or NULL.
 * Worst first. A photo is listed once for each reason. */
EG_MUST_CHECK enum eg_status eg__outliers(const float *nearest, const int32_t *labels, size_t n,
                                          size_t n_classes, const struct eg_photo_stats *stats,
                                          struct eg_odd **odd, size_t *n_odd, struct eg_error *err);

#endif
