/* vit.c: vision transformers (Dosovitskiy et al. 2021) by one description: ViT, DeiT, DINO, MAE, DINOv2 with
 * or without registers, and the image towers of CLIP and SigLIP. The words are timm's; the dialects below say
 * how torchvision, transformers, open_clip and the authors call the same things. What the weights have
 * (registers, scales, separate queries, a class token's place) is read from them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "arch/build.h"
#include "arch/pos_embed.h"
#include "base/fail.h"
#include "base/mem.h"

enum {
    CLASS_TOKEN = 1,
    SCALES = 2,
    NORM_BEFORE = 4,
    QUICK = 8,
    NO_PATCH_BIAS = 16,
    PLACES_WITHOUT_CLASS = 32,
    MEAN_OF_PATCHES = 64
};

struct vit {
    uint32_t width, depth, heads, patch, registers, flags, hidden;
    float epsilon;
};

/* ---- dialects ------------------------------------------------------------------------------ */

static eg_spelling of_timm[] = {{"reg_token", "register_tokens"}, {NULL, NULL}}; /* and the authors' */
static eg_spelling of_torchvision[] = {{"cls_token", "class_token"},
                                       {"pos_embed", "encoder.pos_embedding"},
                                       {"patch_embed.proj", "conv_proj"},
                                       {"blocks.", "encoder.layers.encoder_layer_"},
                                       {"norm1", "ln_1"},
                                       {"norm2", "ln_2"},
                                       {"attn.qkv.weight", "self_attention.in_proj_weight"},
                                       {"attn.qkv.bias", "self_attention.in_proj_bias"},
                                       {"attn.proj", "self_attention.out_proj"},
                                       {"mlp.fc1", "mlp.0"},
                                       {"mlp.fc2", "mlp.3"},
                                       {"norm.", "encoder.ln."},
                                       {"head.", "heads.head."},
                                       {NULL, NULL}};
static eg_spelling of_torchvision_before[] = {{"cls_token", "class_token"},
                                              {"pos_embed", "encoder.pos_embedding"},
                                              {"patch_embed.proj", "conv_proj"},
                                              {"blocks.", "encoder.layers.encoder_layer_"},
                                              {"norm1", "ln_1"},
                                              {"norm2", "ln_2"},
                                              {"attn.qkv.weight", "self_attention.in_proj_weight"},
                                              {"attn.qkv.bias", "self_attention.in_proj_bias"},
                                              {"attn.proj", "self_attention.out_proj"},
                                              {"mlp.fc1", "mlp.linear_1"},
                                              {"mlp.fc2", "mlp.linear_2"},
                                              {"norm.", "encoder.ln."},
                                              {"head.", "heads.head."},
                                              {NULL, NULL}};
static eg_spelling of_transformers[] = {{"cls_token", "embeddings.cls_token"},
                                        {"pos_embed", "embeddings.position_embeddings"},
                                        {"patch_embed.proj", "embeddings.patch_embeddings.projection"},
                                        {"blocks.", "encoder.layer."},
                                        {"norm1", "layernorm_before"},
                                        {"norm2", "layernorm_after"},
                                        {"attn.q.", "attention.attention.query."},
                                        {"attn.k.", "attention.attention.key."},
                                        {"attn.v.", "attention.attention.value."},
                                        {"attn.proj", "attention.output.dense"},
                                        {"mlp.fc1", "intermediate.dense"},
                                        {"mlp.fc2", "output.dense"},
                                        {"norm.", "layernorm."},
                                        {"head.", "classifier."},
                                        {NULL, NULL}};
static eg_spelling of_transformers_dino2[] = {{"cls_token", "embeddings.cls_token"},
                                              {"reg_token", "embeddings.register_tokens"},
                                              {"pos_embed", "embeddings.position_embeddings"},
                                              {"patch_embed.proj", "embeddings.patch_embeddings.projection"},
                                              {"blocks.", "encoder.layer."},
                                              {"attn.q.", "attention.attention.query."},
                                              {"attn.k.", "attention.attention.key."},
                                              {"attn.v.", "attention.attention.value."},
                                              {"attn.proj", "attention.output.dense"},
                                              {"ls1.gamma", "layer_scale1.lambda1"},
                                              {"ls2.gamma", "layer_scale2.lambda1"},
                                              {"norm.", "layernorm."},
                                              {NULL, NULL}};
static eg_spelling of_clip[] = {{"cls_token", "class_embedding"}, /* OpenAI's and open_clip's */
                                {"pos_embed", "positional_embedding"},
                                {"patch_embed.proj", "conv1"},
                                {"norm_pre", "ln_pre"},
                                {"blocks.", "transformer.resblocks."},
                                {"norm1", "ln_1"},
                                {"norm2", "ln_2"},
                                {"attn.qkv.weight", "attn.in_proj_weight"},
                                {"attn.qkv.bias", "attn.in_proj_bias"},
                                {"attn.proj", "attn.out_proj"},
                                {"mlp.fc1", "mlp.c_fc"},
                                {"mlp.fc2", "mlp.c_proj"},
                                {"norm.", "ln_post."},
                                {"head.weight", "proj"},
                                {NULL, NULL}};
static eg_spelling of_transformers_clip[] = {
    {"cls_token", "vision_model.embeddings.class_embedding"},
    {"pos_embed", "vision_model.embeddings.position_embedding.weight"},
    {"patch_embed.proj", "vision_model.embeddings.patch_embedding"},
    {"norm_pre", "vision_model.pre_layrnorm"},
    {"blocks.", "vision_model.encoder.layers."},
    {"norm1", "layer_norm1"},
    {"norm2", "layer_norm2"},
    {"attn.q.", "self_attn.q_proj."},
    {"attn.k.", "self_attn.k_proj."},
    {"attn.v.", "self_attn.v_proj."},
    {"attn.proj", "self_attn.out_proj"},
    {"norm.", "vision_model.post_layernorm."},
    {"head.", "visual_projection."},
    {NULL, NULL}};

enum dialect {
    TIMM = 1,
    TORCHVISION,
    TORCHVISION_BEFORE,
    TRANSFORMERS_DINO2,
    TRANSFORMERS,
    CLIP,
    TRANSFORMERS_CLIP
};
static eg_spelling *const dialects[] = {
    of_timm,         of_torchvision, of_torchvision_before, of_transformers_dino2,
    of_transformers, of_clip,        of_transformers_clip,  NULL};
/* What tells them apart: this layer is called otherwise in each. */
#define PROBE "blocks.0.mlp.fc1.weight"

/* ---- parts --------------------------------------------------------------------------------- */

static bool has(const struct eg_builder *b, const char *name)
{
    const char *whole = eg__build_path((struct eg_builder *)b, "%s%s", b->scope, name);
    return eg__build_peek(b, whole) != NULL;
}

/* A dense layer; its bias may be absent from the file. */
static uint32_t dense(struct eg_builder *b, uint32_t x, const char *leaf, size_t out)
{
    size_t in = channels(b, x);
    struct eg_node layer = {.op = EG_OP_LINEAR};
    const char *bias = path(b, "%s.bias", leaf);
    layer.params[0] = eg__build_parameter(b, path(b, "%s.weight", leaf), 2, (size_t[]){out, in});
    if (!b->weights || has(b, bias)) layer.params[1] = eg__build_parameter(b, bias, 1, &out);
    return eg__build_node(b, &layer, x, leaf);
}

static uint32_t reshape(struct eg_builder *b, uint32_t x, const char *leaf, struct eg_shape to)
{
    return eg__build_node(b, &(struct eg_node){.op = EG_OP_RESHAPE, .to = to}, x, leaf);
}

static struct eg_shape shape_of(const struct eg_builder *b, uint32_t x)
{
    return b->status ? (struct eg_shape){2, {1, 1}} : b->graph->nodes[x].shape;
}

/* [t][c] to [heads][t][c/heads] */
static uint32_t to_heads(struct eg_builder *b, uint32_t x, uint32_t heads, const char *leaf)
{
    struct eg_shape s = shape_of(b, x);
    struct eg_node turn = {.op = EG_OP_TRANSPOSE, .order = {1, 0, 2}};
    x = reshape(b, x, path(b, "%s.heads", leaf), (struct eg_shape){3, {s.dim[0], heads, s.dim[1] / heads}});
    return eg__build_node(b, &turn, x, leaf);
}

static uint32_t attention(struct eg_builder *b, uint32_t x, const struct vit *v)
{
    static const char *const leaf[3] = {"attn.q", "attn.k", "attn.v"};
    struct eg_node joined = {.op = EG_OP_ATTENTION, .n_inputs = 3},
                   turn = {.op = EG_OP_TRANSPOSE, .order = {1, 0, 2}};
    struct eg_shape s = shape_of(b, x);
    bool separate = b->weights && has(b, "attn.q.weight");
    uint32_t qkv = separate ? 0 : dense(b, x, "attn.qkv", 3 * (size_t)v->width);
    for (unsigned i = 0; i < 3; i++) {
        uint32_t part = separate ? dense(b, x, leaf[i], v->width)
                                 : slice(b, qkv, leaf[i], i * (size_t)v->width, (i + 1) * (size_t)v->width);
        joined.inputs[i] = to_heads(b, part, v->heads, path(b, "%s.by_head", leaf[i]));
    }
    joined.alpha = 1 / sqrtf((float)(v->width / v->heads));
    x = eg__build_node(b, &joined, joined.inputs[0], "attn.sdpa");
    x = reshape(b, eg__build_node(b, &turn, x, "attn.by_token"), "attn.joined", s);
    return dense(b, x, "attn.proj", v->width);
}

static uint32_t gelu(struct eg_builder *b, uint32_t x, const struct vit *v, const char *leaf)
{
    static const float factor = 1.702f;
    if (!(v->flags & QUICK)) return apply(b, EG_OP_GELU, x, leaf);
    struct eg_node scale = {.op = EG_OP_MUL};
    if (!b->status && !(scale.params[0] = eg__graph_constant(b->graph, NULL, 0, NULL, &factor)))
        b->status = eg__fail_memory(b->err, "a layer");
    uint32_t gate = eg__build_node(b, &scale, x, path(b, "%s.scaled", leaf));
    return multiply(b, x, apply(b, EG_OP_SIGMOID, gate, path(b, "%s.gate", leaf)), leaf);
}

static uint32_t scaled(struct eg_builder *b, uint32_t x, const char *leaf, const struct vit *v)
{
    if (!(v->flags & SCALES)) return x;
    const size_t width = v->width;
    struct eg_node layer = {.op = EG_OP_MUL};
    layer.params[0] = eg__build_parameter(b, path(b, "%s.gamma", leaf), 1, &width);
    return eg__build_node(b, &layer, x, leaf);
}

static uint32_t block(struct eg_builder *b, uint32_t x, const struct vit *v)
{
    uint32_t y = attention(b, layer_norm(b, x, "norm1", v->epsilon), v);
    x = add(b, x, scaled(b, y, "ls1", v), "add");
    y = dense(b, layer_norm(b, x, "norm2", v->epsilon), "mlp.fc1", v->hidden);
    y = dense(b, gelu(b, y, v, "mlp.act"), "mlp.fc2", v->width);
    return add(b, x, scaled(b, y, "ls2", v), "add");
}

/* ---- tokens ------------------------------------------------------------------------------------ */

/* n rows of c numbers that every image has; the file may write fewer or more dimensions. */
static const struct eg_tensor *rows(struct eg_builder *b, const char *name, size_t n, size_t c)
{
    const struct eg_tensor *in_file = eg__build_peek(b, name);
    unsigned rank = in_file ? in_file->rank : 3;
    size_t dim[3] = {1, n, c}, *from = dim + (rank < 3 ? 3 - rank : 0);
    const struct eg_tensor *found = eg__build_parameter(b, name, (uint8_t)(rank < 3 ? rank : 3), from);
    if (!found || b->status) return NULL;
    struct eg_tensor flat = {
        .name = found->name, .data = found->data, .dtype = found->dtype, .rank = 2, .dim = {n, c}};
    eg__tensor_pack_strides(&flat);
    const struct eg_tensor *kept = eg__graph_tensor(b->graph, &flat);
    if (!kept) b->status = eg__fail_memory(b->err, "tokens");
    return kept;
}

static uint32_t token_rows(struct eg_builder *b, const char *name, size_t n, size_t c)
{
    struct eg_node node = {.op = EG_OP_CONSTANT, .params = {rows(b, name, n, c)}};
    if (b->status) return 0;
    node.name = name;
    uint32_t index = 0;
    b->status = eg__graph_add(b->graph, &node, &index, b->err);
    return index;
}

/* Places of a square of patches for one of h by w; the first `extra` rows are of no patch. */
static const struct eg_tensor *places(struct eg_builder *b, size_t extra, size_t side, size_t h, size_t w,
                                      size_t c)
{
    const struct eg_tensor *from = rows(b, "pos_embed", extra + side * side, c);
    if (b->status || !from || (side == h && side == w)) return from;
    size_t dim[2] = {extra + h * w, c};
    struct eg_tensor made = {.name = from->name, .rank = 2, .dim = {dim[0], c}};
    eg__tensor_pack_strides(&made);
    float *in = from->data ? eg__alloc(eg__tensor_count(from), sizeof *in) : NULL;
    float *out = from->data ? eg__graph_memory(b->graph, dim[0] * c, sizeof *out) : NULL;
    bool fine = !from->data || (in && out);
    if (fine && in) {
        eg__tensor_read(from, in);
        memcpy(out, in, extra * c * sizeof *in);
        fine = eg__resample_places(in + extra * c, side, side, c, out + extra * c, h, w);
        made.data = out;
    }
    free(in);
    const struct eg_tensor *kept = fine ? eg__graph_tensor(b->graph, &made) : NULL;
    if (!kept) b->status = eg__fail_memory(b->err, "places");
    return kept;
}

static size_t square_root(size_t n)
{
    size_t side = (size_t)(sqrt((double)n) + 0.5);
    return side * side == n ? side : 0;
}

static uint32_t along_tokens(struct eg_builder *b, enum eg_op op, const uint32_t *in, uint32_t n,
                             const char *leaf, size_t begin, size_t end)
{
    struct eg_node node = {.op = op, .n_inputs = n, .axis = 1, .begin = begin, .end = end};
    memcpy(node.inputs, in, n * sizeof *in);
    return eg__build_node(b, &node, in[0], leaf);
}

/* The image as tokens [t][c]: class, registers, patches by rows. */
static uint32_t embed(struct eg_builder *b, struct vit *v)
{
    const struct eg_tensor *pos = eg__build_peek(b, "pos_embed");
    const size_t c = v->width, native = b->row->arch.size / v->patch;
    size_t n_places =
        pos && pos->rank
            ? eg__tensor_count(pos) / c
            : native * native + ((v->flags & (CLASS_TOKEN | PLACES_WITHOUT_CLASS)) == CLASS_TOKEN);
    size_t extra = square_root(n_places) ? 0 : 1, side = square_root(n_places - extra);
    if (!side) eg__build_reject(b, "'pos_embed' is of no square of patches");
    if (!side) side = 1;
    if (!b->h && b->weights && !b->status) /* the size that the weights are of */
        b->graph->nodes[0].shape = eg__map_shape(side * v->patch, side * v->patch, 3);
    uint32_t x = conv(b, 0, "patch_embed.proj", .out = v->width, .kernel = v->patch, .stride = v->patch,
                      .bias = !(v->flags & NO_PATCH_BIAS));
    struct eg_shape map = b->status ? (struct eg_shape){3, {1, 1, c}} : b->graph->nodes[x].shape;
    const size_t h = map.dim[0], w = map.dim[1];
    struct eg_node add_places = {.op = EG_OP_ADD, .params = {places(b, extra, side, h, w, c)}};
    uint32_t parts[3], n = 0;
    x = reshape(b, x, "patch_embed", (struct eg_shape){2, {h * w, c}});
    if (!extra) x = eg__build_node(b, &add_places, x, "pos_embed_add");
    if (v->flags & CLASS_TOKEN) parts[n++] = token_rows(b, "cls_token", 1, c);
    if (v->registers && !extra) parts[n++] = token_rows(b, "reg_token", v->registers, c);
    parts[n++] = x;
    if (n > 1) x = along_tokens(b, EG_OP_CONCAT, parts, n, "tokens", 0, 0);
    if (extra) x = eg__build_node(b, &add_places, x, "pos_embed_add");
    if (!v->registers || !extra) return x;
    parts[0] = along_tokens(b, EG_OP_SLICE, &x, 1, "class_token", 0, 1); /* registers have no places */
    parts[1] = token_rows(b, "reg_token", v->registers, c);
    parts[2] = along_tokens(b, EG_OP_SLICE, &x, 1, "patch_tokens", 1, 1 + h * w);
    return along_tokens(b, EG_OP_CONCAT, parts, 3, "tokens_with_registers", 0, 0);
}

/* ---- the whole --------------------------------------------------------------------------------- */

/* What the file says of itself; is it of this width and depth at all? */
static bool look(struct eg_builder *b, struct vit *v)
{
    if (!b->weights) return true;
    const struct eg_tensor *patch = eg__build_peek(b, "patch_embed.proj.weight");
    const struct eg_tensor *registers = eg__build_peek(b, "reg_token");
    bool mine = patch && patch->rank == 4 && patch->dim[0] == v->width && patch->dim[2] == v->patch &&
                eg__build_peek(b, path(b, "blocks.%u.norm1.weight", v->depth - 1)) &&
                !eg__build_peek(b, path(b, "blocks.%u.norm1.weight", v->depth));
    bool scales = eg__build_peek(b, "blocks.0.ls1.gamma"), before = eg__build_peek(b, "norm_pre.weight");
    bool class_token = eg__build_peek(b, "cls_token");
    if (scales != !!(v->flags & SCALES) || before != !!(v->flags & NORM_BEFORE) ||
        class_token != !!(v->flags & CLASS_TOKEN) || (!!v->registers != !!registers))
        mine = false;
    if (!mine) {
        eg__build_reject(b, "it is no vision transformer of that size");
        return false;
    }
    if (registers) v->registers = (uint32_t)(eg__tensor_count(registers) / v->width);
    v->flags &= ~(uint32_t)NO_PATCH_BIAS;
    if (!eg__build_peek(b, "patch_embed.proj.bias")) v->flags |= NO_PATCH_BIAS;
    if (b->dialect == TRANSFORMERS) v->epsilon = 1e-12f;
    if (b->dialect == TRANSFORMERS_CLIP && !strstr(b->file, "laion")) v->flags |= QUICK; /* its default */
    return true;
}

static uint32_t pooled(struct eg_builder *b, uint32_t x, const struct vit *v)
{
    struct eg_shape s = shape_of(b, x);
    struct eg_node turn = {.op = EG_OP_TRANSPOSE, .order = {1, 0}};
    if (!(v->flags & MEAN_OF_PATCHES)) {
        x = along_tokens(b, EG_OP_SLICE, &x, 1, "class_token_out", 0, 1);
        return reshape(b, x, "pool", (struct eg_shape){1, {v->width}});
    }
    size_t skip = (v->flags & CLASS_TOKEN ? 1u : 0u) + v->registers;
    if (skip) x = along_tokens(b, EG_OP_SLICE, &x, 1, "patch_tokens_out", skip, s.dim[0]);
    x = apply(b, EG_OP_REDUCE_MEAN, eg__build_node(b, &turn, x, "pool.turned"), "pool.mean");
    return reshape(b, x, "pool", (struct eg_shape){1, {v->width}});
}

/* CLIP's projection is [in][out] in its own files. */
static uint32_t head(struct eg_builder *b, uint32_t x, const struct vit *v)
{
    const struct eg_tensor *in_file = eg__build_peek(b, "head.weight");
    if (b->dialect != CLIP) return dense(b, x, "head", b->n_classes);
    if (in_file && in_file->rank == 2) b->n_classes = in_file->dim[1];
    struct eg_node layer = {.op = EG_OP_LINEAR};
    const struct eg_tensor *weight =
        eg__build_parameter(b, "head.weight", 2, (size_t[]){v->width, b->n_classes});
    if (b->status || !weight) return 0;
    struct eg_tensor turned = eg__tensor_permuted(weight, (const uint8_t[]){1, 0});
    if (!(layer.params[0] = eg__graph_tensor(b->graph, &turned)))
        b->status = eg__fail_memory(b->err, "a layer");
    return eg__build_node(b, &layer, x, "head");
}

static void describe(struct eg_builder *b, const void *variant)
{
    struct vit v = *(const struct vit *)variant;
    if (!v.hidden) v.hidden = 4 * v.width;
    if (!look(b, &v)) return;
    uint32_t x = embed(b, &v);
    if (v.flags & NORM_BEFORE) x = layer_norm(b, x, "norm_pre", v.epsilon);
    for (unsigned i = 0; i < v.depth; i++) {
        scope(b, "blocks.%u.", i);
        x = block(b, x, &v);
        alias(b, x, "blocks.%u", i);
        scope(b, "%s", "");
    }
    bool pool_first = b->weights && eg__build_peek(b, "fc_norm.weight");
    if (pool_first) v.flags |= MEAN_OF_PATCHES;
    if (!pool_first) x = layer_norm(b, x, "norm", v.epsilon);
    x = pooled(b, x, &v);
    if (pool_first) x = layer_norm(b, x, "fc_norm", v.epsilon);
    default_cut(b, x);
    if (b->top) head(b, x, &v);
}

/* ---- rows ---------------------------------------------------------------------------------------- */

#define RECIPE(short_side, crop, means, stds)                                                                \
    "{\"resize\":\"short\",\"size\":" short_side ",\"crop\":[" crop "," crop "],\"filter\":\"bicubic\","     \
    "\"antialias\":true,\"channels\":\"rgb\",\"scale\":0.00392156862745098,\"mean\":[" means                 \
    "],\"std\":[" stds "],"                                                                                  \
    "\"exif\":true,\"alpha\":\"white\",\"decode\":\"exact\",\"xmp\":true}"
#define HALVES RECIPE("248", "224", "0.5,0.5,0.5", "0.5,0.5,0.5")
#define OF_CLIP RECIPE("224", "224", "0.48145466,0.4578275,0.40821073", "0.26862954,0.26130258,0.27577711")

#define VIT(name_, title_, recipe_, side, short_side, count, told, ...)                                      \
    {                                                                                                        \
        .arch = {.name = name_,                                                                              \
                 .title = title_,                                                                            \
                 .recipe = recipe_,                                                                          \
                 .size = side,                                                                               \
                 .resize = short_side,                                                                       \
                 .parameters = count},                                                                       \
        .describe = describe, .variant = &(const struct vit){__VA_ARGS__}, .classifier = "head",             \
        .dialects = dialects, .probe = PROBE, .sized = true, .told_by = told                                 \
    }
#define TINY .width = 192, .depth = 12, .heads = 3
#define SMALL .width = 384, .depth = 12, .heads = 6
#define BASE .width = 768, .depth = 12, .heads = 12
#define LARGE .width = 1024, .depth = 24, .heads = 16
#define PLAIN .flags = CLASS_TOKEN, .epsilon = 1e-6f
#define DINO2 .flags = CLASS_TOKEN | SCALES, .epsilon = 1e-6f, .patch = 14
#define DINO2_REGISTERS                                                                                      \
    .flags = CLASS_TOKEN | SCALES | PLACES_WITHOUT_CLASS, .epsilon = 1e-6f, .patch = 14, .registers = 4
#define CLIP_TOWER .flags = CLASS_TOKEN | NORM_BEFORE | NO_PATCH_BIAS, .epsilon = 1e-5f
#define CLIP_QUICK .flags = CLASS_TOKEN | NORM_BEFORE | NO_PATCH_BIAS | QUICK, .epsilon = 1e-5f

/* What is told by its file's name comes first. */
const struct eg_arch_row eg__arch_vit[] = {
    VIT("deit_tiny_patch16_224", "DeiT tiny", "timm-bicubic", 224, 248, 5717416, "deit", TINY, .patch = 16,
        PLAIN),
    VIT("deit_small_patch16_224", "DeiT small", "timm-bicubic", 224, 248, 22050664, "deit", SMALL,
        .patch = 16, PLAIN),
    VIT("deit_base_patch16_224", "DeiT base", "timm-bicubic", 224, 248, 86567656, "deit", BASE, .patch = 16,
        PLAIN),
    VIT("dino_vits16", "DINO ViT-S/16", "timm-bicubic", 224, 256, 22050664, "dino", SMALL, .patch = 16,
        PLAIN),
    VIT("dino_vits8", "DINO ViT-S/8", "timm-bicubic", 224, 256, 22055272, "dino", SMALL, .patch = 8, PLAIN),
    VIT("dino_vitb16", "DINO ViT-B/16", "timm-bicubic", 224, 256, 86567656, "dino", BASE, .patch = 16, PLAIN),
    VIT("dino_vitb8", "DINO ViT-B/8", "timm-bicubic", 224, 256, 86576872, "dino", BASE, .patch = 8, PLAIN),
    VIT("mae_vit_base_patch16", "MAE ViT-B/16", "timm-bicubic", 224, 256, 86567656, "mae", BASE, .patch = 16,
        PLAIN),
    VIT("mae_vit_large_patch16", "MAE ViT-L/16", "timm-bicubic", 224, 256, 304326632, "mae", LARGE,
        .patch = 16, PLAIN),
    VIT("vit_b_16", "ViT-B/16 (torchvision)", "torchvision", 224, 256, 86567656, "vit_b_16", BASE,
        .patch = 16, PLAIN),
    VIT("vit_b_32", "ViT-B/32 (torchvision)", "torchvision", 224, 256, 88224232, "vit_b_32", BASE,
        .patch = 32, PLAIN),
    VIT("vit_l_16", "ViT-L/16 (torchvision)", "torchvision", 224, 242, 304326632, "vit_l_16", LARGE,
        .patch = 16, PLAIN),
    VIT("vit_l_32", "ViT-L/32 (torchvision)", "torchvision", 224, 256, 306535400, "vit_l_32", LARGE,
        .patch = 32, PLAIN),
    VIT("vit_tiny_patch16_224", "ViT-Ti/16", HALVES, 224, 248, 5717416, NULL, TINY, .patch = 16, PLAIN),
    VIT("vit_small_patch16_224", "ViT-S/16", HALVES, 224, 248, 22050664, NULL, SMALL, .patch = 16, PLAIN),
    VIT("vit_small_patch32_224", "ViT-S/32", HALVES, 224, 248, 22878952, NULL, SMALL, .patch = 32, PLAIN),
    VIT("vit_small_patch8_224", "ViT-S/8", HALVES, 224, 248, 22055272, NULL, SMALL, .patch = 8, PLAIN),
    VIT("vit_base_patch16_224", "ViT-B/16", HALVES, 224, 248, 86567656, NULL, BASE, .patch = 16, PLAIN),
    VIT("vit_base_patch32_224", "ViT-B/32", HALVES, 224, 248, 88224232, NULL, BASE, .patch = 32, PLAIN),
    VIT("vit_base_patch8_224", "ViT-B/8", HALVES, 224, 248, 86576872, NULL, BASE, .patch = 8, PLAIN),
    VIT("vit_large_patch16_224", "ViT-L/16", HALVES, 224, 248, 304326632, NULL, LARGE, .patch = 16, PLAIN),
    VIT("vit_large_patch32_224", "ViT-L/32", HALVES, 224, 248, 306535400, NULL, LARGE, .patch = 32, PLAIN),
    VIT("vit_small_patch14_dinov2", "DINOv2 ViT-S/14", "timm-bicubic", 518, 518, 22441192, NULL, SMALL,
        DINO2),
    VIT("vit_base_patch14_dinov2", "DINOv2 ViT-B/14", "timm-bicubic", 518, 518, 87348712, NULL, BASE, DINO2),
    VIT("vit_large_patch14_dinov2", "DINOv2 ViT-L/14", "timm-bicubic", 518, 518, 305392616, NULL, LARGE,
        DINO2),
    VIT("vit_small_patch14_reg4_dinov2", "DINOv2 ViT-S/14 with registers", "timm-bicubic", 518, 518, 22442344,
        NULL, SMALL, DINO2_REGISTERS),
    VIT("vit_base_patch14_reg4_dinov2", "DINOv2 ViT-B/14 with registers", "timm-bicubic", 518, 518, 87351016,
        NULL, BASE, DINO2_REGISTERS),
    VIT("vit_large_patch14_reg4_dinov2", "DINOv2 ViT-L/14 with registers", "timm-bicubic", 518, 518,
        305395688, NULL, LARGE, DINO2_REGISTERS),
    VIT("vit_base_patch32_clip_quickgelu_224", "CLIP ViT-B/32 (OpenAI's)", OF_CLIP, 224, 224, 88225000,
        "openai", BASE, .patch = 32, CLIP_QUICK),
    VIT("vit_base_patch16_clip_quickgelu_224", "CLIP ViT-B/16 (OpenAI's)", OF_CLIP, 224, 224, 86568424,
        "openai", BASE, .patch = 16, CLIP_QUICK),
    VIT("vit_large_patch14_clip_quickgelu_224", "CLIP ViT-L/14 (OpenAI's)", OF_CLIP, 224, 224, 304204776,
        "openai", LARGE, .patch = 14, CLIP_QUICK),
    VIT("vit_base_patch32_clip_224", "CLIP ViT-B/32", OF_CLIP, 224, 224, 88225000, NULL, BASE, .patch = 32,
        CLIP_TOWER),
    VIT("vit_base_patch16_clip_224", "CLIP ViT-B/16", OF_CLIP, 224, 224, 86568424, NULL, BASE, .patch = 16,
        CLIP_TOWER),
    VIT("vit_large_patch14_clip_224", "CLIP ViT-L/14", OF_CLIP, 224, 224, 304204776, NULL, LARGE, .patch = 14,
        CLIP_TOWER),
    {.arch = {.name = NULL}},
};
