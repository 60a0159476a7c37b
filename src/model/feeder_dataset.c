/* feeder_dataset.c: photos or arrays of a dataset into a batch, decoded by all threads, and such a batch
 * through a predictor. */
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/pool.h"
#include "image/photo.h"
#include "image/thumbnail.h"
#include "model/predictor.h"

static enum eg_status check_array(const char *network, struct eg_map shape, const struct eg_dataset *dataset,
                                  struct eg_error *err)
{
    size_t h, w, c;
    enum eg_status status = eg__dataset_array_shape(dataset, &h, &w, &c, err);
    if (status) return status;
    if (h != shape.h || w != shape.w || c != shape.c)
        return eg__fail(err, EG_E_SHAPE,
                        "the arrays are %zux%zu with %zu channels, '%s' takes %zux%zu with %zu", h, w, c,
                        network, shape.h, shape.w, shape.c);
    return EG_OK;
}

enum eg_status eg__feeder_init(const struct eg_recipe *recipe, const struct eg_graph *graph,
                               const struct eg_dataset *dataset, size_t batch, eg_pool *pool,
                               struct eg_feeder *feeder, struct eg_error *err)
{
    enum eg_status status = EG_OK;
    if (dataset->is_array) status = check_array(graph->name, eg__map(graph->nodes[0].shape), dataset, err);
    if (!status) status = eg__feeder_start(recipe, graph, dataset->is_array, batch, pool, feeder, err);
    if (!status) feeder->dataset = dataset;
    return status;
}

struct load {
    struct eg_feeder *feeder;
    const size_t *rows;
};

static void load_one(void *context, size_t i, unsigned thread)
{
    (void)thread;
    const struct load *load = context;
    struct eg_feeder *f = load->feeder;
    size_t row = load->rows[i], n = eg__shape_count(f->shape), n_bytes = 0;
    struct eg_error err = {.message = ""};
    enum eg_status status;
    uint8_t *bytes = NULL;
    memset(f->hashes[i], 0, sizeof f->hashes[i]);
    f->reasons[i][0] = '\0';
    if (f->values) {
        float *values = f->values + i * n;
        status = eg__dataset_array_read(f->dataset, row, values, &err);
        if (!status) status = eg__sha256(values, n * sizeof *values, f->hashes[i], &err);
        if (!status && !eg__all_finite(values, n))
            status = eg__fail(&err, EG_E_NUMERIC, "it holds NaN or infinity");
        if (status) memset(values, 0, n * sizeof *values);
    } else {
        uint8_t *pixels = f->pixels + i * n;
        status = eg__dataset_read(f->dataset, row, &bytes, &n_bytes, &err);
        if (!status) status = eg__sha256(bytes, n_bytes, f->hashes[i], &err);
        if (!status) status = eg__photo_input(bytes, n_bytes, &f->recipe, pixels, &err);
        if (status) memset(pixels, 0, n);
        if (f->thumbs)
            eg__thumbnail(bytes, status ? 0 : n_bytes, &f->recipe, f->thumb_side,
                          f->thumbs + i * f->thumb_bytes, f->thumb_bytes);
    }
    if (status) eg__keep_reason(f->reasons[i], &err);
    free(bytes);
    f->rows[i] = row;
}

enum eg_status eg__feeder_keep_thumbs(struct eg_feeder *feeder, size_t side, size_t bytes,
                                      struct eg_error *err)
{
    if (feeder->thumbs || feeder->values) return EG_OK;
    feeder->thumbs = eg__zalloc(feeder->batch, bytes);
    feeder->thumb_side = side;
    feeder->thumb_bytes = bytes;
    return feeder->thumbs ? EG_OK : eg__fail_memory(err, "small pictures");
}

void eg__feeder_load(struct eg_feeder *feeder, const size_t *rows, size_t n)
{
    struct load load = {feeder, rows};
    if (!feeder->values) eg__dataset_stage(feeder->dataset, rows, n);
    eg__pool_run(feeder->pool, n, load_one, &load);
}

/* ---- through a predictor ------------------------------------------------------------------ */

enum eg_status eg__predictor_of_dataset(struct eg_predictor_make *how, const struct eg_dataset *dataset,
                                        struct eg_predictor **out, struct eg_error *err)
{
    struct eg_predictor *p = NULL;
    how->of_arrays = dataset->is_array;
    enum eg_status status = eg__predictor_make(how, &p, err);
    if (status) return status;
    const struct eg_graph *graph = p->prepared->plan.graph;
    p->feeder.dataset = dataset;
    if (dataset->is_array) status = check_array(graph->name, eg__map(graph->nodes[0].shape), dataset, err);
    if (status)
        eg_predictor_free(p);
    else
        *out = p;
    return status;
}

enum eg_status eg__predictor_read(struct eg_predictor *p, const size_t *rows, size_t n, struct eg_error *err)
{
    eg__feeder_load(&p->feeder, rows, n);
    return eg__predictor_run(p, n, err);
}
