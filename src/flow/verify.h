/* verify.h: layers of a network beside what another network, or another program, has in their place. */
#ifndef EG_FLOW_VERIFY_H
#define EG_FLOW_VERIFY_H

#include "base/file.h"
#include "base/zip_map.h"
#include "image/npy.h"
#include "model/model.h"

/* What another program computed for all images, of one layer. */
struct eg_values {
    const uint8_t *numbers; /* float32, little-endian, perhaps unaligned: [image][count] */
    bool chw;               /* channels come first there */
};

struct eg_layer_pair {
    uint32_t node, other; /* other: of the other network; with values: unused */
    char *name;           /* as the other side calls it */
    struct eg_values values;
    double largest, apart; /* of the other's absolute values; of the differences */
};

struct eg_layer_pairs {
    struct eg_layer_pair *list;
    size_t n, capacity;
    struct eg_skipped *unmatched;
    size_t n_unmatched;
    struct eg_mapping file; /* that values lie in */
};

EG_MUST_CHECK enum eg_status eg__pairs_add(struct eg_layer_pairs *pairs, const struct eg_layer_pair *pair,
                                           const char *name, struct eg_error *err);
void eg__pairs_release(struct eg_layer_pairs *pairs);

/* The same shape but for sides of 1? */
bool eg__shape_like(struct eg_shape a, struct eg_shape b);

/* Layers that do the same in both networks, seen from the input; then those of one name and shape
 * (verify_match.c). In order of a's layers. */
EG_MUST_CHECK enum eg_status eg__pairs_of_nets(const struct eg_graph *a, const struct eg_graph *b,
                                               struct eg_layer_pairs *pairs, struct eg_error *err);
/* The arrays of an .npz, each under a layer's name, or the one of an .npy, of `layer` (NULL: the answer)
 * (verify_values.c). */
EG_MUST_CHECK enum eg_status eg__pairs_of_values(const struct eg_graph *graph, const char *path,
                                                 const char *layer, size_t n_images,
                                                 struct eg_layer_pairs *pairs, struct eg_error *err);

#endif
