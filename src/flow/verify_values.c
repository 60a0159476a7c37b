/* verify_values.c: what another program computed, as it saves it: one .npy, or an .npz of layers by name. */
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "flow/flow.h"
#include "flow/verify.h"

static int compare_nodes(const void *a, const void *b)
{
    const struct eg_layer_pair *x = a, *y = b;
    return x->node < y->node ? -1 : x->node > y->node;
}

/* [n][c][h][w] (or [n][h][w][c], [n][t][c], [n][c]) as the node's value; the batch may be missing of one. */
static bool fits(const struct eg_npy_header *header, struct eg_shape shape, size_t n, bool *chw)
{
    struct eg_shape got = {0}, turned = shape;
    bool batch = header->n_dims && header->shape[0] == n;
    if (n != 1 && !batch) return false;
    for (size_t i = batch && header->n_dims > 1; i < header->n_dims; i++)
        got.dim[got.rank++] = header->shape[i];
    if (shape.rank == 3) turned = (struct eg_shape){3, {shape.dim[2], shape.dim[0], shape.dim[1]}};
    *chw = shape.rank == 3 && eg__shape_like(got, turned);
    return *chw || eg__shape_like(got, shape);
}

static void shape_text(const size_t *dim, size_t n, char text[160])
{
    size_t at = 0;
    text[0] = '\0';
    for (size_t i = 0; i < n && at < 130; i++) at += (size_t)snprintf(text + at, 160 - at, "[%zu]", dim[i]);
}

/* One array of a layer. */
static enum eg_status take_array(const struct eg_graph *graph, uint32_t node, const uint8_t *bytes,
                                 size_t n_bytes, size_t n_images, struct eg_layer_pair *pair,
                                 struct eg_error *err)
{
    struct eg_npy_header header;
    char got[160], want[160];
    enum eg_status status = eg__npy_view(bytes, n_bytes, &header, &pair->values.numbers, err);
    if (status) return status;
    const struct eg_shape shape = graph->nodes[node].shape;
    pair->node = node;
    if (fits(&header, shape, n_images, &pair->values.chw)) return EG_OK;
    shape_text(header.shape, header.n_dims, got);
    shape_text(shape.dim, shape.rank, want);
    return eg__fail(err, EG_E_SHAPE, "its shape is %s; for %zu images layer '%s' gives [%zu]%s%s", got,
                    n_images, graph->nodes[node].name, n_images, want,
                    shape.rank == 3 ? " or channels first" : "");
}

/* A module that is called several times (ResNet's relu) is layers X, X_1, ... here; whoever keeps values by
 * the module's name is left with the last. */
static void last_call(const struct eg_graph *graph, const struct eg_zip *zip, const char *name,
                      uint32_t *node)
{
    char next[512];
    uint32_t found;
    for (int call = 1; snprintf(next, sizeof next, "%s_%d", name, call) < (int)sizeof next - 4; call++) {
        if (eg__graph_find(graph, next, &found, NULL)) return;
        const size_t n = strlen(next);
        memcpy(next + n, ".npy", 4);
        if (eg__zip_find(zip, next, n + 4)) return;
        *node = found;
    }
}

static enum eg_status take_entry(const struct eg_graph *graph, const struct eg_zip *zip,
                                 const struct eg_zip_entry *entry, size_t n_images,
                                 struct eg_layer_pairs *pairs, struct eg_error *err)
{
    size_t n = entry->name_length;
    if (n < 5 || memcmp(entry->name + n - 4, ".npy", 4)) return EG_OK;
    char *name = strndup(entry->name, n - 4);
    if (!name) return eg__fail_memory(err, "a layer's name");
    struct eg_layer_pair pair = {0};
    struct eg_error why = {.message = ""};
    uint32_t node;
    enum eg_status status = eg__graph_find(graph, name, &node, &why);
    if (!status) last_call(graph, zip, name, &node);
    if (!status && !entry->stored)
        status = eg__fail(&why, EG_E_UNSUPPORTED, "it is compressed (use numpy.savez, not savez_compressed)");
    if (!status) status = take_array(graph, node, entry->bytes, entry->size, n_images, &pair, &why);
    status = status ? eg__skip(&pairs->unmatched, &pairs->n_unmatched, name, why.message, err)
                    : eg__pairs_add(pairs, &pair, name, err);
    free(name);
    return status;
}

static enum eg_status take_archive(const struct eg_graph *graph, size_t n_images,
                                   struct eg_layer_pairs *pairs, struct eg_error *err)
{
    struct eg_zip zip;
    enum eg_status status = eg__zip_open(pairs->file.bytes, pairs->file.size, &zip, err);
    if (status) return status;
    for (size_t i = 0; i < zip.n_entries && !status; i++)
        status = take_entry(graph, &zip, &zip.entries[i], n_images, pairs, err);
    eg__zip_release(&zip);
    if (!status && !pairs->n && !pairs->n_unmatched)
        status = eg__fail(err, EG_E_FORMAT, "there are no arrays in it");
    if (!status && !pairs->n)
        status = eg__fail(err, EG_E_FORMAT, "'%.100s': %.500s", pairs->unmatched[0].path,
                          pairs->unmatched[0].reason);
    return status;
}

enum eg_status eg__pairs_of_values(const struct eg_graph *graph, const char *path, const char *layer,
                                   size_t n_images, struct eg_layer_pairs *pairs, struct eg_error *err)
{
    uint32_t node = graph->output;
    enum eg_status status = layer ? eg__graph_find(graph, layer, &node, err) : EG_OK;
    if (!status) status = eg__map_file(path, &pairs->file, err);
    if (status) return status;
    if (pairs->file.size >= 4 && !memcmp(pairs->file.bytes, "PK\3\4", 4)) {
        status = layer ? eg__fail(err, EG_E_ARGUMENT, "its arrays have the names of their layers already")
                       : take_archive(graph, n_images, pairs, err);
    } else {
        struct eg_layer_pair pair = {0};
        status = take_array(graph, node, pairs->file.bytes, pairs->file.size, n_images, &pair, err);
        if (!status) status = eg__pairs_add(pairs, &pair, graph->nodes[node].name, err);
    }
    if (status) return eg__fail_within(err, status, "cannot compare with '%s'", path);
    qsort(pairs->list, pairs->n, sizeof *pairs->list, compare_nodes);
    return EG_OK;
}
