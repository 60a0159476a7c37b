/* Lays out a new feature file: everything that describes the rows, and room for all of them,
 * so that from then on only raw data is written.
 *
 *   /                 format, format_version, engraft_version, created, command, root,
 *                     shard: [I,N] where this is one of several files
 *   /network          name, weights_sha256, recipe, model
 *   /cuts             names: of the cuts in their order
 *   /cuts/NAME        [N][D] f32 or f16, in chunks of about 1 MiB; layer, layer_name, operator,
 *                     shape, order, pool
 *   /features         hard link to the first cut
 *   /labels           [N] i32, -1: unlabelled          /label_names  [K] text
 *   /paths            [N] text                         /hashes       [N][32] u8
 *   /stamps           [N][2] i64, bytes and mtime in ns of the photo's file; 0 0: not known
 *   /status           [N] u8, enum eg_row_status       /reasons      [N] u8, index into `names`
 *   /thumbnails       [N][4096] u8, on request: a JPEG and zeros behind it
 *   /history          records; those without a date are free
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/fail.h"
#include "base/mem.h"
#include "features/store_private.h"

const char *const eg__row_set_names[N_ROW_SETS] = {"labels", "paths", "hashes", "status", "reasons"};

const struct text_member eg__spec_texts[N_SPEC_TEXTS] = {
    {"/network", "name", offsetof(struct eg_store_spec, network), true},
    {"/network", "weights_sha256", offsetof(struct eg_store_spec, weights_sha256), true},
    {"/network", "recipe", offsetof(struct eg_store_spec, recipe), true},
    {"/network", "model", offsetof(struct eg_store_spec, model), false},
    {"/", "root", offsetof(struct eg_store_spec, root), false},
    {"/", "command", offsetof(struct eg_store_spec, command), false},
};
const struct text_member eg__cut_texts[N_CUT_TEXTS] = {
    {NULL, "layer", offsetof(struct eg_cut_info, layer), true},
    {NULL, "layer_name", offsetof(struct eg_cut_info, layer_name), true},
    {NULL, "operator", offsetof(struct eg_cut_info, op), true},
    {NULL, "order", offsetof(struct eg_cut_info, order), true},
    {NULL, "pool", offsetof(struct eg_cut_info, pool), true},
};

static const struct eg_h5_field history_fields[] = {
    {"date", EG_H5_TEXT, offsetof(struct eg_history, date), sizeof((struct eg_history *)0)->date},
    {"command", EG_H5_TEXT, offsetof(struct eg_history, command), sizeof((struct eg_history *)0)->command},
    {"version", EG_H5_TEXT, offsetof(struct eg_history, version), sizeof((struct eg_history *)0)->version},
    {"isa", EG_H5_TEXT, offsetof(struct eg_history, isa), sizeof((struct eg_history *)0)->isa},
    {"rows", EG_H5_I64, offsetof(struct eg_history, rows), sizeof(uint64_t)},
};
const struct eg_h5_shape eg__history_shape = {
    .kind = EG_H5_RECORD,
    .bytes = sizeof(struct eg_history),
    .fields = history_fields,
    .n_fields = sizeof history_fields / sizeof *history_fields,
    .rank = 1,
    .dims = {HISTORY_SLOTS},
    .chunk_rows = HISTORY_SLOTS,
};

enum { CHUNK_BYTES = 1 << 20, BLOCK_ROWS = 4096, MAX_TEXT_ATTRIBUTE = 32000 };

size_t eg__store_chunk_rows(size_t row_bytes, size_t n_rows, size_t least)
{
    size_t rows = row_bytes >= CHUNK_BYTES ? 1 : CHUNK_BYTES / row_bytes;
    size_t most = n_rows > least ? n_rows : least; /* a small file stays small */
    return rows < most ? rows : most;
}

size_t eg__store_text_bytes(const char *const *texts, size_t n)
{
    size_t longest = 127;
    for (size_t i = 0; i < n; i++) {
        size_t length = strlen(texts[i]);
        if (length > longest) longest = length;
    }
    return longest / 64 * 64 + 64; /* at least one NUL */
}

enum eg_status eg__store_write_texts(struct eg_h5_set *set, size_t first, const char *const *texts, size_t n,
                                     struct eg_error *err)
{
    size_t width = eg__h5_set_shape(set)->bytes, rows = CHUNK_BYTES / width + 1;
    char *block = eg__alloc(rows, width);
    if (!block) return eg__fail_memory(err, "paths");
    enum eg_status status = EG_OK;
    for (size_t at = 0; !status && at < n; at += rows) {
        size_t count = n - at < rows ? n - at : rows;
        memset(block, 0, count * width);
        for (size_t i = 0; i < count; i++)
            memcpy(block + i * width, texts[at + i], strnlen(texts[at + i], width - 1));
        status = eg__h5_write(set, first + at, count, block, err);
    }
    free(block);
    return status;
}

static enum eg_status put_text(struct eg_h5 *h5, const char *object, const char *name, const char *text,
                               struct eg_error *err)
{
    if (!text) return EG_OK;
    if (strlen(text) <= MAX_TEXT_ATTRIBUTE) return eg__h5_put_text(h5, object, name, text, err);
    char *cut = strndup(text, MAX_TEXT_ATTRIBUTE);
    if (!cut) return eg__fail_memory(err, "an attribute");
    enum eg_status status = eg__h5_put_text(h5, object, name, cut, err);
    free(cut);
    return status;
}

static enum eg_status layout_header(struct eg_h5 *h5, const struct eg_store_spec *spec, struct eg_error *err)
{
    char now[32];
    time_t t = time(NULL);
    struct tm utc;
    gmtime_r(&t, &utc);
    strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%SZ", &utc);
    const size_t version = FORMAT_VERSION;
    enum eg_status status = eg__h5_put_text(h5, "/", "format", "engraft-features", err);
    if (!status) status = eg__h5_put_sizes(h5, "/", "format_version", &version, 1, err);
    if (!status) status = eg__h5_put_text(h5, "/", "engraft_version", EG_VERSION, err);
    if (!status) status = eg__h5_put_text(h5, "/", "created", now, err);
    const size_t shard[2] = {spec->shard, spec->n_shards};
    if (!status && spec->n_shards) status = eg__h5_put_sizes(h5, "/", "shard", shard, 2, err);
    if (!status) status = eg__h5_group(h5, "/network", err);
    if (!status) status = eg__h5_group(h5, "/cuts", err);
    for (size_t i = 0; !status && i < N_SPEC_TEXTS; i++) {
        const char *text;
        memcpy(&text, (const char *)spec + eg__spec_texts[i].offset, sizeof text);
        status = put_text(h5, eg__spec_texts[i].object, eg__spec_texts[i].attribute, text, err);
    }
    return status;
}

static enum eg_status layout_cut(struct eg_h5 *h5, const struct eg_store_spec *spec,
                                 const struct eg_cut_info *cut, const struct eg_h5_source *sources,
                                 size_t n_sources, struct eg_error *err)
{
    char object[512];
    if (!cut->name || !cut->name[0] || strchr(cut->name, '/') || !strcmp(cut->name, ".") ||
        (size_t)snprintf(object, sizeof object, "/cuts/%s", cut->name) >= sizeof object)
        return eg__fail(err, EG_E_ARGUMENT, "'%s' cannot be the name of a dataset",
                        cut->name ? cut->name : "");
    size_t bytes = cut->half ? sizeof(uint16_t) : sizeof(float), row_bytes;
    if (!cut->length || !eg__mul(cut->length, bytes, &row_bytes) || row_bytes >= UINT32_MAX)
        return eg__fail(err, EG_E_ARGUMENT, "cut '%s' has %zu values an image", cut->name, cut->length);
    struct eg_h5_shape shape = {.kind = cut->half ? EG_H5_F16 : EG_H5_F32,
                                .bytes = bytes,
                                .rank = 2,
                                .dims = {spec->n_rows, cut->length},
                                .chunk_rows = eg__store_chunk_rows(row_bytes, spec->n_rows, 16),
                                .deflate = spec->deflate};
    struct eg_h5_set *set = NULL;
    enum eg_status status = sources ? eg__h5_virtual_create(h5, object, &shape, sources, n_sources, err)
                                    : eg__h5_set_create(h5, object, &shape, &set, err);
    if (status) return status;
    eg__h5_set_free(set);
    for (size_t i = 0; !status && i < N_CUT_TEXTS; i++) {
        const char *text;
        memcpy(&text, (const char *)cut + eg__cut_texts[i].offset, sizeof text);
        status = put_text(h5, object, eg__cut_texts[i].attribute, text, err);
    }
    if (!status) status = eg__h5_put_sizes(h5, object, "shape", cut->shape, 3, err);
    return status;
}

static enum eg_status layout_cuts(struct eg_h5 *h5, const struct eg_store_spec *spec,
                                  const struct eg_h5_source *sources, size_t n_sources, struct eg_error *err)
{
    const char **names = eg__zalloc(spec->n_cuts, sizeof *names);
    if (!names) return eg__fail_memory(err, "the cuts' names");
    size_t longest = 1;
    enum eg_status status = EG_OK;
    for (size_t i = 0; !status && i < spec->n_cuts; i++) {
        status = layout_cut(h5, spec, &spec->cuts[i], sources, n_sources, err);
        names[i] = spec->cuts[i].name;
        if (!status && strlen(names[i]) > longest) longest = strlen(names[i]);
    }
    if (!status) status = eg__h5_put_texts(h5, "/cuts", "names", names, spec->n_cuts, longest, err);
    char first[512];
    if (!status) {
        snprintf(first, sizeof first, "/cuts/%s", names[0]);
        status = eg__h5_hard_link(h5, first, "/features", err);
    }
    free(names);
    return status;
}

static enum eg_status write_nothing(struct eg_h5_set *set, size_t n_rows, struct eg_error *err)
{
    size_t row_bytes = eg__h5_set_row_length(set) * eg__h5_set_shape(set)->bytes;
    uint8_t *zeros = eg__zalloc(BLOCK_ROWS, row_bytes);
    if (!zeros) return eg__fail_memory(err, "a dataset");
    enum eg_status status = EG_OK;
    for (size_t at = 0; !status && at < n_rows; at += BLOCK_ROWS)
        status = eg__h5_write(set, at, n_rows - at < BLOCK_ROWS ? n_rows - at : BLOCK_ROWS, zeros, err);
    free(zeros);
    return status;
}

static enum eg_status layout_rows(struct eg_h5 *h5, const struct eg_store_spec *spec,
                                  const struct eg_h5_source *sources, size_t n_sources, struct eg_error *err)
{
    const struct eg_h5_shape shapes[N_ROW_SETS] = {
        [SET_LABELS] = {.kind = EG_H5_I32, .bytes = sizeof(int32_t), .rank = 1},
        [SET_PATHS] = {.kind = EG_H5_TEXT,
                       .bytes = eg__store_text_bytes(spec->paths, spec->n_rows),
                       .rank = 1},
        [SET_HASHES] = {.kind = EG_H5_U8, .bytes = 1, .rank = 2, .dims = {0, HASH_BYTES}},
        [SET_STATUS] = {.kind = EG_H5_U8, .bytes = 1, .rank = 1},
        [SET_REASONS] = {.kind = EG_H5_U8, .bytes = 1, .rank = 1},
    };
    enum eg_status status = EG_OK;
    for (int i = 0; !status && i < N_ROW_SETS; i++) {
        struct eg_h5_shape shape = shapes[i];
        shape.dims[0] = spec->n_rows;
        shape.chunk_rows =
            eg__store_chunk_rows(shape.bytes * (shape.rank == 2 ? shape.dims[1] : 1), spec->n_rows, 256);
        struct eg_h5_set *set;
        if (sources && i != SET_REASONS) { /* reasons are numbered anew */
            status = eg__h5_virtual_create(h5, eg__row_set_names[i], &shape, sources, n_sources, err);
            continue;
        }
        status = eg__h5_set_create(h5, eg__row_set_names[i], &shape, &set, err);
        if (status) break;
        if (i == SET_LABELS)
            status = eg__h5_write(set, 0, spec->n_rows, spec->labels, err);
        else if (i == SET_PATHS)
            status = eg__store_write_texts(set, 0, spec->paths, spec->n_rows, err);
        else if (i == SET_STATUS)
            status = write_nothing(set, spec->n_rows, err);
        eg__h5_set_free(set);
    }
    if (!status) status = eg__h5_put_texts(h5, "reasons", "names", NULL, MAX_REASONS, REASON_BYTES, err);
    return status;
}

static enum eg_status layout_classes(struct eg_h5 *h5, const struct eg_store_spec *spec, struct eg_error *err)
{
    struct eg_h5_shape shape = {.kind = EG_H5_TEXT,
                                .bytes = eg__store_text_bytes(spec->classes, spec->n_classes),
                                .rank = 1,
                                .dims = {spec->n_classes},
                                .chunk_rows = eg__store_chunk_rows(64, spec->n_classes, 16)};
    struct eg_h5_set *set;
    enum eg_status status = eg__h5_set_create(h5, "label_names", &shape, &set, err);
    if (status) return status;
    status = eg__store_write_texts(set, 0, spec->classes, spec->n_classes, err);
    eg__h5_set_free(set);
    return status;
}

enum eg_status eg__store_layout(struct eg_h5 *h5, const struct eg_store_spec *spec,
                                const struct eg_h5_source *sources, size_t n_sources, struct eg_error *err)
{
    struct eg_h5_set *history;
    enum eg_status status = layout_header(h5, spec, err);
    if (!status) status = layout_cuts(h5, spec, sources, n_sources, err);
    if (!status) status = layout_rows(h5, spec, sources, n_sources, err);
    if (!status) {
        struct eg_h5_set *stamps = NULL;
        status = eg__stamps_create(h5, spec->n_rows, &stamps, err);
        eg__h5_set_free(stamps);
    }
    if (!status && spec->thumbnails) status = eg__thumbs_create(h5, spec->n_rows, sources, n_sources, err);
    if (!status) status = layout_classes(h5, spec, err);
    if (!status) status = eg__h5_set_create(h5, "history", &eg__history_shape, &history, err);
    if (status) return status;
    status = write_nothing(history, HISTORY_SLOTS, err);
    eg__h5_set_free(history);
    return status;
}
