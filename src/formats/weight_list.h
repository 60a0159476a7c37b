/* weight_list.h: the named tensors of one weights file while a reader fills them in. */
#ifndef EG_FORMATS_WEIGHT_LIST_H
#define EG_FORMATS_WEIGHT_LIST_H

#include "base/file.h"
#include "graph/weights.h"

struct eg_weight_list {
    struct eg_mapping mapping; /* the whole file; tensors point into it or into blocks */
    struct eg_weights *weights;
    size_t capacity;
    void **blocks; /* names and values that are not in the mapping */
    size_t n_blocks, blocks_capacity;
};

/* One more tensor; its name (any bytes) is copied, made printable. */
EG_MUST_CHECK enum eg_status eg__weight_list_add(struct eg_weight_list *list, const char *name, size_t length,
                                                 const struct eg_tensor *tensor, struct eg_error *err);

/* free(block) when the weights are freed; at once on failure. */
EG_MUST_CHECK enum eg_status eg__weight_list_keep(struct eg_weight_list *list, void *block,
                                                  struct eg_error *err);

/* Each reader takes the mapped file, or the part of it that holds one. */
enum eg_status eg__torch_stream_read(struct eg_weight_list *list, struct eg_error *err);
struct eg_zip;
enum eg_status eg__torch_zip_read(struct eg_weight_list *list, const struct eg_zip *zip,
                                  struct eg_error *err);
enum eg_status eg__safetensors_read(struct eg_weight_list *list, struct eg_error *err);
/* config: a .keras file's config.json, where there is one, for the names of layers. */
enum eg_status eg__keras_read(struct eg_weight_list *list, const uint8_t *bytes, size_t size,
                              const char *config, size_t config_size, struct eg_error *err);

#endif
