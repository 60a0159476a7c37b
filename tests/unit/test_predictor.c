/* model/predictor.c: frames, photos and files give the same answers; nothing is allocated a frame; weights
 * are shared; misuse is an error; what a model was taught to reject is rejected on every way in. Allocations
 * are counted by --wrap (tests/CMakeLists.txt). */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jpeglib.h> /* after stdio.h */

#include "base/file.h"
#include "base/pool.h"
#include "check.h"
#include "image/photo.h"
#include "learn/reject.h"
#include "model/predictor.h"
#include "onnx/onnx.h"

/* ---- allocations ------------------------------------------------------------------------- */

static atomic_size_t allocations, allocated_bytes;

static void count(size_t n)
{
    allocations++;
    allocated_bytes += n;
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t n);
void *__real_aligned_alloc(size_t alignment, size_t n);
int __real_posix_memalign(void **memory, size_t alignment, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t n);
void *__wrap_aligned_alloc(size_t alignment, size_t n);
int __wrap_posix_memalign(void **memory, size_t alignment, size_t n);

void *__wrap_malloc(size_t n)
{
    count(n);
    return __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    count(n * size);
    return __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t n)
{
    count(n);
    return __real_realloc(old, n);
}

void *__wrap_aligned_alloc(size_t alignment, size_t n)
{
    count(n);
    return __real_aligned_alloc(alignment, n);
}

int __wrap_posix_memalign(void **memory, size_t alignment, size_t n)
{
    count(n);
    return __real_posix_memalign(memory, alignment, n);
}

/* ---- a model that tells red, green and blue, and nothing from grey ---------------------------- */

enum { SIDE = 16 };
static char folder[] = "/tmp/engraft-predictor-XXXXXX";
static const char model_path[] = "colours.onnx";

static uint32_t add(struct eg_graph *graph, struct eg_node node)
{
    uint32_t index;
    struct eg_error err;
    if (eg__graph_add(graph, &node, &index, &err)) fail_msg("%s", err.message);
    return index;
}

static void make_model(void)
{
    static const struct eg_recipe recipe = {.resize = EG_RESIZE_SHORT,
                                            .size = 20,
                                            .crop = {SIDE, SIDE},
                                            .filter = EG_FILTER_BICUBIC,
                                            .antialias = true,
                                            .scale = 1,
                                            .std = {1, 1, 1},
                                            .exif = true};
    float weights[9] = {0.1f, 0, 0, 0, 0.1f, 0, 0, 0, 0.1f}, bias[3] = {0};
    double mean[9] = {255, 0, 0, 0, 255, 0, 0, 0, 255}, spread[3] = {1e9, 1e9, 1e9};
    struct eg_reject reject = {3, 3, mean, spread, 0.5, -1e9, 0.1};
    struct eg_graph *graph;
    struct eg_error err;
    assert_int_equal(eg__graph_create("colours", &graph, NULL), EG_OK);
    add(graph, (struct eg_node){.op = EG_OP_INPUT, .name = "x", .shape = {3, {SIDE, SIDE, 3}}});
    uint32_t mean_at =
        add(graph, (struct eg_node){.op = EG_OP_GLOBAL_AVG, .name = "mean", .n_inputs = 1, .inputs = {0}});
    uint32_t rows =
        add(graph, (struct eg_node){.op = EG_OP_FLATTEN, .name = "rows", .n_inputs = 1, .inputs = {mean_at}});
    struct eg_node linear = {.op = EG_OP_LINEAR, .name = "scores", .n_inputs = 1, .inputs = {rows}};
    linear.params[0] = eg__graph_constant(graph, "w", 2, (size_t[]){3, 3}, weights);
    linear.params[1] = eg__graph_constant(graph, "b", 1, (size_t[]){3}, bias);
    uint32_t scores = add(graph, linear);
    uint32_t p =
        add(graph, (struct eg_node){.op = EG_OP_SOFTMAX, .name = "p", .n_inputs = 1, .inputs = {scores}});
    if (eg__head_label(graph, rows, p, &reject, &graph->label_output, &err)) fail_msg("%s", err.message);
    graph->output = p;
    struct eg_card card = eg__card_empty();
    card.classes = "[\"red\",\"green\",\"blue\"]";
    card.classifier = "logistic";
    card.cut = card.cut_node = "rows";
    char *json = eg__recipe_json(&recipe);
    card.recipe = json;
    assert_int_equal(eg__card_write(graph, &card, NULL), EG_OK);
    struct eg_onnx_options how = {.recipe = &recipe, .overwrite = true};
    if (eg__onnx_save(graph, model_path, &how, &err)) fail_msg("%s", err.message);
    free(json);
    eg__graph_free(graph);
}

static int enter_new_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder) || chdir(folder)) return 1;
    make_model();
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(model_path);
    unlink("red.jpg");
    return chdir("/") || rmdir(folder);
}

static eg_net *load(const char *path)
{
    eg_net *net = NULL;
    struct eg_error err = {.message = ""};
    if (eg_net_load(path, NULL, &net, &err)) fail_msg("%s", err.message);
    return net;
}

static eg_net *load_lite0(void) { return load(EG_SOURCE_DIR "/models/efficientnet-lite0.onnx"); }

static eg_predictor *predictor(const eg_net *net, const struct eg_predictor_options *options)
{
    eg_predictor *p = NULL;
    struct eg_error err = {.message = ""};
    if (eg_predictor_create(net, options, &p, &err)) fail_msg("%s", err.message);
    return p;
}

static struct eg_prediction ask(eg_predictor *p, const struct eg_frame *frame)
{
    struct eg_prediction answer;
    struct eg_error err = {.message = ""};
    if (eg_predict_pixels(p, frame, 1, &answer, &err)) fail_msg("%s", err.message);
    return answer;
}

static void assert_same_floats(const float *a, const float *b, size_t n)
{
    assert_non_null(a);
    assert_memory_equal(a, b, n * sizeof *a);
}

/* ---- frames ------------------------------------------------------------------------------------- */

enum { W = 61, H = 47, STRIDE = 4 * W + 7 };
static uint8_t rgb[H][W][3];

static void make_picture(void)
{
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) {
            rgb[y][x][0] = (uint8_t)(x * 4 + y);
            rgb[y][x][1] = (uint8_t)(x * x / 9 + y * 3);
            rgb[y][x][2] = (uint8_t)((x ^ y) * 5);
        }
}

static const uint8_t *input_of(const eg_predictor *p) { return p->feeder.pixels; }

/* The input's pixels of a frame in another format are those of the plain one. */
static void test_formats(void **state)
{
    (void)state;
    static const struct {
        enum eg_pixels format;
        int bytes, place[3];
    } rows[] = {{EG_PIXELS_RGB, 3, {0, 1, 2}},
                {EG_PIXELS_BGR, 3, {2, 1, 0}},
                {EG_PIXELS_RGBA, 4, {0, 1, 2}},
                {EG_PIXELS_BGRA, 4, {2, 1, 0}}};
    static uint8_t other[H * STRIDE], grey[H][W], on_white[H][W][3];
    make_picture();
    eg_net *net = load(model_path);
    eg_predictor *p = predictor(net, NULL);
    uint8_t wanted[SIDE * SIDE * 3];
    const struct eg_frame plain = {.pixels = &rgb[0][0][0], .width = W, .height = H};
    struct eg_image image = {&rgb[0][0][0], H, W};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ask(p, &plain);
        memcpy(wanted, input_of(p), sizeof wanted);
        memset(other, 255, sizeof other);
        for (int y = 0; y < H; y++)
            for (int x = 0; x < W; x++)
                for (int c = 0; c < 3; c++)
                    other[y * STRIDE + x * rows[i].bytes + rows[i].place[c]] = rgb[y][x][c];
        ask(p, &(struct eg_frame){
                   .pixels = other, .width = W, .height = H, .stride = STRIDE, .format = rows[i].format});
        assert_memory_equal(input_of(p), wanted, sizeof wanted);
    }
    /* half transparent: over white, before it is made smaller */
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++)
            for (int c = 0; c < 4; c++) {
                other[(y * W + x) * 4 + c] = c < 3 ? rgb[y][x][c] : 51;
                if (c < 3) on_white[y][x][c] = (uint8_t)((rgb[y][x][c] * 51 + 255 * 204 + 127) / 255);
            }
    ask(p, &(struct eg_frame){.pixels = &on_white[0][0][0], .width = W, .height = H});
    memcpy(wanted, input_of(p), sizeof wanted);
    ask(p, &(struct eg_frame){.pixels = other, .width = W, .height = H, .format = EG_PIXELS_RGBA});
    assert_memory_equal(input_of(p), wanted, sizeof wanted);
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) {
            grey[y][x] = rgb[y][x][1];
            memset(rgb[y][x], grey[y][x], 3);
        }
    ask(p, &plain);
    memcpy(wanted, input_of(p), sizeof wanted);
    ask(p, &(struct eg_frame){.pixels = &grey[0][0], .width = W, .height = H, .format = EG_PIXELS_GREY});
    assert_memory_equal(input_of(p), wanted, sizeof wanted);
    /* that it is resized as a file is: the middle of 26 x 20 */
    uint8_t resized[20 * 25 * 3];
    make_picture();
    ask(p, &plain);
    assert_int_equal(eg__resize(&image, 20, 20 * W / H, EG_FILTER_BICUBIC, true, resized, NULL), EG_OK);
    for (size_t y = 0; y < SIDE; y++)
        assert_memory_equal(input_of(p) + y * SIDE * 3, resized + ((y + 2) * 25 + 4) * 3, SIDE * 3);
    eg_predictor_free(p);
    eg_net_free(net);
}

/* A JPEG of the picture, its chroma halved along x, and along y too. free() it. */
static unsigned char *jpeg_of(size_t width, size_t height, int halved_y, unsigned long *n)
{
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    unsigned char *bytes = NULL;
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &bytes, n);
    jpeg.image_width = (JDIMENSION)width;
    jpeg.image_height = (JDIMENSION)height;
    jpeg.input_components = 3;
    jpeg.in_color_space = JCS_RGB;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, 95, TRUE);
    jpeg.comp_info[0].h_samp_factor = 2;
    jpeg.comp_info[0].v_samp_factor = halved_y ? 2 : 1;
    jpeg_start_compress(&jpeg, TRUE);
    while (jpeg.next_scanline < jpeg.image_height) {
        JSAMPROW row = &rgb[jpeg.next_scanline][0][0];
        jpeg_write_scanlines(&jpeg, &row, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    return bytes;
}

enum { PLANE = 96 };
struct planes {
    uint8_t plane[3][PLANE][PLANE];
};

static void read_planes(const unsigned char *bytes, unsigned long n, int halved_y, struct planes *planes)
{
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    JSAMPROW rows[3][16];
    JSAMPARRAY arrays[3] = {rows[0], rows[1], rows[2]};
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_decompress(&jpeg);
    jpeg_mem_src(&jpeg, bytes, n);
    jpeg_read_header(&jpeg, TRUE);
    jpeg.raw_data_out = TRUE;
    jpeg_start_decompress(&jpeg);
    const unsigned lines = halved_y ? 16 : 8;
    for (unsigned y = 0; y < jpeg.output_height; y += lines) {
        for (unsigned c = 0; c < 3; c++)
            for (unsigned i = 0; i < 16; i++) rows[c][i] = planes->plane[c][(c && halved_y ? y / 2 : y) + i];
        jpeg_read_raw_data(&jpeg, arrays, lines);
    }
    jpeg_finish_decompress(&jpeg);
    jpeg_destroy_decompress(&jpeg);
}

/* Luma and chroma of a JPEG as a frame: its chroma is spread and its colours turned as libjpeg does. */
static void test_chroma_as_libjpeg(void **state)
{
    (void)state;
    static const size_t sizes[][2] = {{W, H}, {W - 1, H - 1}, {20, 20}, {4, 20}, {20, 3}, {5, 31}};
    static struct planes planes;
    static uint8_t packed[PLANE * PLANE * 2];
    make_picture();
    eg_net *net = load(model_path);
    eg_predictor *p = predictor(net, NULL);
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int halved_y = 0; halved_y < 2; halved_y++) {
            size_t w = sizes[s][0], h = sizes[s][1], half = (w + 1) / 2, n = 0;
            unsigned long n_bytes = 0;
            unsigned char *bytes = jpeg_of(w, h, halved_y, &n_bytes);
            uint8_t wanted[SIDE * SIDE * 3];
            assert_int_equal(eg__photo_input(bytes, n_bytes, &net->recipe, wanted, NULL), EG_OK);
            read_planes(bytes, n_bytes, halved_y, &planes);
            struct eg_frame f = {.pixels = packed, .width = w, .height = h, .full_range = true};
            f.format = halved_y ? EG_PIXELS_NV12 : EG_PIXELS_YUYV;
            for (size_t y = 0; y < h; y++)
                for (size_t x = 0; x < (halved_y ? w : 2 * half); x++) {
                    packed[n++] = planes.plane[0][y][x];
                    if (!halved_y) packed[n++] = planes.plane[1 + x % 2][y][x / 2];
                }
            for (size_t y = 0; halved_y && y < (h + 1) / 2; y++)
                for (size_t x = 0; x < 2 * half; x++) packed[n++] = planes.plane[1 + x % 2][y][x / 2];
            ask(p, &f);
            assert_memory_equal(input_of(p), wanted, sizeof wanted);
            free(bytes);
        }
    /* video's range: black, white, and a red, by the standard's numbers */
    static const uint8_t yuv[][3] = {{16, 128, 128}, {235, 128, 128}, {81, 90, 240}};
    static const uint8_t seen[][3] = {{0, 0, 0}, {255, 255, 255}, {254, 0, 0}};
    for (size_t i = 0; i < 3; i++) {
        for (size_t k = 0; k < 20 * 20 * 2; k++) packed[k] = yuv[i][k % 2 ? 1 + k / 2 % 2 : 0];
        ask(p, &(struct eg_frame){.pixels = packed, .width = 20, .height = 20, .format = EG_PIXELS_YUYV});
        for (int c = 0; c < 3; c++) assert_int_equal(input_of(p)[c], seen[i][c]);
    }
    eg_predictor_free(p);
    eg_net_free(net);
}

/* Every orientation, as the same pixels in a file that says it. */
static void test_orientation(void **state)
{
    (void)state;
    make_picture();
    eg_net *net = load(model_path);
    eg_predictor *p = predictor(net, NULL);
    static uint8_t turned[W][H][3];
    for (int y = 0; y < H; y++) /* 6: the first row is the right-hand side */
        for (int x = 0; x < W; x++) memcpy(turned[x][H - 1 - y], rgb[y][x], 3);
    uint8_t wanted[SIDE * SIDE * 3];
    ask(p, &(struct eg_frame){.pixels = &turned[0][0][0], .width = H, .height = W});
    memcpy(wanted, input_of(p), sizeof wanted);
    ask(p, &(struct eg_frame){.pixels = &rgb[0][0][0], .width = W, .height = H, .orientation = 6});
    assert_memory_equal(input_of(p), wanted, sizeof wanted);
    eg_predictor_free(p);
    eg_net_free(net);
}

static void test_bad_frames(void **state)
{
    (void)state;
    const uint8_t pixel[16] = {0};
    const struct eg_frame bad[] = {
        {.width = 1, .height = 1},
        {.pixels = pixel, .width = 0, .height = 1},
        {.pixels = pixel, .width = 2, .height = 1, .stride = 5},
        {.pixels = pixel, .width = SIZE_MAX / 2, .height = 4},
        {.pixels = pixel, .width = 1, .height = 1, .orientation = 9},
        {.pixels = pixel, .width = 1, .height = 1, .format = (enum eg_pixels)99},
        {.pixels = pixel, .width = 4, .height = 1, .format = EG_PIXELS_NV12, .chroma_stride = 3},
    };
    eg_net *net = load(model_path);
    eg_predictor *p = predictor(net, NULL);
    struct eg_prediction answers[2];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(eg_predict_pixels(p, &bad[i], 1, answers, NULL), EG_E_ARGUMENT);
    const struct eg_frame good[2] = {{.pixels = pixel, .width = 1, .height = 1},
                                     {.pixels = pixel, .width = 1, .height = 1}};
    assert_int_equal(eg_predict_pixels(p, good, 2, answers, NULL), EG_E_ARGUMENT); /* a batch of one */
    assert_int_equal(eg_predict_pixels(p, good, 1, answers, NULL), EG_OK);
    assert_int_equal(eg_predict_pixels(p, good, 0, answers, NULL), EG_OK);
    eg_predictor_free(p);
    eg_net_free(net);
}

/* ---- no allocation ------------------------------------------------------------------------------------ */

static void test_no_allocation(void **state)
{
    (void)state;
    static uint8_t pixels[120 * 90 * 4];
    for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)(i * 7);
    eg_net *net = load(model_path);
    for (unsigned threads = 1; threads <= 2; threads++) {
        struct eg_run_cuts cuts = {.n_cuts = 0};
        eg_predictor *p = predictor(net, &(struct eg_predictor_options){.threads = threads,
                                                                        .batch = 2,
                                                                        .width = 120,
                                                                        .height = 90,
                                                                        .probabilities = true,
                                                                        .features = &cuts});
        size_t before = allocations;
        for (size_t w = 1; w <= 120; w += 7)
            for (size_t h = 1; h <= 90; h += 11)
                for (unsigned kind = 0; kind < 16; kind++) {
                    struct eg_frame f = {.pixels = pixels, .width = w, .height = h};
                    f.orientation = 1 + kind % 8;
                    f.format = kind % 2 ? EG_PIXELS_RGB : EG_PIXELS_NV12;
                    struct eg_frame frames[2] = {f, f};
                    struct eg_prediction answers[2];
                    assert_int_equal(eg_predict_pixels(p, frames, 2, answers, NULL), EG_OK);
                    assert_int_equal(answers[1].index, answers[0].index);
                }
        assert_int_equal(allocations, before);
        eg_predictor_free(p);
    }
    /* larger than was said: more memory, and the same answer as of one made for it */
    eg_predictor *small = predictor(net, &(struct eg_predictor_options){.width = 8, .height = 8});
    eg_predictor *large = predictor(net, &(struct eg_predictor_options){.width = 120, .height = 90});
    const struct eg_frame f = {.pixels = pixels, .width = 120, .height = 90};
    size_t before = allocations;
    ask(large, &f);
    assert_int_equal(allocations, before);
    ask(small, &f);
    assert_true(allocations > before);
    assert_memory_equal(input_of(small), input_of(large), SIDE * SIDE * 3);
    eg_predictor_free(small);
    eg_predictor_free(large);
    eg_net_free(net);
}

/* ---- answers ----------------------------------------------------------------------------------------------
 */

static void paint(uint8_t r, uint8_t g, uint8_t b)
{
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) memcpy(rgb[y][x], (uint8_t[]){r, g, b}, 3);
}

struct told {
    char label[16];
    float probability;
};

static void keep_answer(void *user, const struct eg_answer *answer)
{
    struct told *told = user;
    assert_null(answer->error);
    snprintf(told->label, sizeof told->label, "%s", answer->top[0].label);
    told->probability = answer->top[0].probability;
}

/* By frame, by bytes, by file; the model from a file, from memory, from memory that is borrowed. */
static void test_answers_by_every_way(void **state)
{
    (void)state;
    static const struct {
        uint8_t colour[3];
        const char *label;
    } rows[] = {{{250, 20, 20}, "red"}, {{10, 10, 250}, "blue"}, {{120, 120, 120}, "unknown"}};
    struct eg_mapping map;
    assert_int_equal(eg__map_file(model_path, &map, NULL), EG_OK);
    for (int way = 0; way < 3; way++) {
        eg_net *net = NULL;
        struct eg_net_options borrow = {.borrow = way == 2};
        if (!way)
            net = load(model_path);
        else
            assert_int_equal(eg_net_load_memory(map.bytes, map.size, &borrow, &net, NULL), EG_OK);
        eg_predictor *p = predictor(net, &(struct eg_predictor_options){.probabilities = true});
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            paint(rows[i].colour[0], rows[i].colour[1], rows[i].colour[2]);
            struct eg_prediction a =
                ask(p, &(struct eg_frame){.pixels = &rgb[0][0][0], .width = W, .height = H});
            assert_string_equal(a.label, rows[i].label);
            assert_int_equal(a.rejected, !strcmp(rows[i].label, "unknown"));
            assert_int_equal(a.index, a.rejected ? -1 : rows[i].label[0] == 'r' ? 0 : 2);
            assert_int_equal(a.n_probabilities, 3);
            float most = a.probabilities[0] > a.probabilities[2] ? a.probabilities[0] : a.probabilities[2];
            assert_true(a.probability == (a.rejected ? 0 : most));

            unsigned long n = 0;
            unsigned char *bytes = jpeg_of(W, H, 1, &n);
            struct eg_prediction b;
            struct eg_photo_bytes photo = {bytes, n};
            assert_int_equal(eg_predict_bytes(p, &photo, 1, &b, NULL), EG_OK);
            assert_string_equal(b.label, rows[i].label);
            FILE *file = fopen("red.jpg", "wb");
            assert_non_null(file);
            assert_int_equal(fwrite(bytes, 1, n, file), n);
            fclose(file);
            free(bytes);
            eg_dataset *photos;
            struct told told;
            assert_int_equal(eg_dataset_open("red.jpg", &photos, NULL), EG_OK);
            assert_int_equal(eg_classify(net, photos, NULL, keep_answer, &told, NULL), EG_OK);
            assert_string_equal(told.label, b.label);
            assert_true(told.probability == b.probability);
            eg_dataset_free(photos);
        }
        char hex[65], of_file[65];
        eg_net *file = load(model_path);
        assert_int_equal(eg_net_weights_sha256(net, hex, NULL), EG_OK);
        assert_int_equal(eg_net_weights_sha256(file, of_file, NULL), EG_OK);
        assert_string_equal(hex, of_file);
        eg_net_free(file);
        eg_predictor_free(p);
        eg_net_free(net);
    }
    eg_net *none = NULL;
    assert_int_equal(eg_net_load_memory("{\"no\": 1}", 9, NULL, &none, NULL), EG_E_FORMAT);
    assert_int_equal(eg_net_load_memory("", 0, NULL, &none, NULL), EG_E_FORMAT);
    eg__unmap_file(&map);
}

/* Features beside the answer are those of a run; a photo that cannot be read is told, the others answered. */
static void test_features_and_errors(void **state)
{
    (void)state;
    paint(200, 30, 40);
    eg_net *net = load(model_path);
    const char *names[] = {"mean", "scores"};
    struct eg_run_cuts cuts = {.cuts = names, .n_cuts = 2};
    eg_predictor *p = predictor(net, &(struct eg_predictor_options){.features = &cuts, .batch = 3});
    eg_predictor *only = predictor(
        net, &(struct eg_predictor_options){.features = &cuts, .features_only = true, .threads = 2});
    assert_int_equal(eg_predictor_length(p, 1), 3);
    const struct eg_frame frame = {.pixels = &rgb[0][0][0], .width = W, .height = H};
    struct eg_prediction a = ask(p, &frame), b = ask(only, &frame);
    assert_string_equal(a.label, "red");
    assert_null(b.label);
    assert_int_equal(b.index, -1);
    assert_false(b.rejected);
    eg_run *run;
    float mean[3], scores[3];
    assert_int_equal(eg_run_create(net, &cuts, 1, NULL, &run, NULL), EG_OK);
    assert_int_equal(
        eg_run_forward_pixels(run, &net->recipe, input_of(p), 1, (float *[]){mean, scores}, NULL), EG_OK);
    for (int i = 0; i < 2; i++) {
        const struct eg_prediction *one = i ? &b : &a;
        assert_same_floats(one->features[0], mean, 3);
        assert_same_floats(one->features[1], scores, 3);
    }
    eg_run_free(run);
    eg_net_free(net); /* the predictors hold it */
    unsigned long n = 0;
    unsigned char *bytes = jpeg_of(W, H, 1, &n);
    const struct eg_photo_bytes photos[3] = {{bytes, n}, {"no photo", 8}, {bytes, n}};
    struct eg_prediction answers[3];
    assert_int_equal(eg_predict_bytes(p, photos, 3, answers, NULL), EG_OK);
    assert_null(answers[0].error);
    assert_non_null(strstr(answers[1].error, "not a photo"));
    assert_null(answers[1].label);
    assert_null(answers[1].features);
    assert_string_equal(answers[2].label, "red");
    assert_same_floats(answers[2].features[1], answers[0].features[1], 3);
    free(bytes);
    eg_predictor_free(p);
    eg_predictor_free(only);
}

/* ---- sharing
 * ------------------------------------------------------------------------------------------------ */

static void test_one_copy_of_weights(void **state)
{
    (void)state;
    enum { N = 4 };
    eg_net *net = load_lite0();
    eg_predictor *p[N];
    size_t taken[N];
    for (int i = 0; i < N; i++) {
        size_t before = allocated_bytes;
        p[i] = predictor(net, &(struct eg_predictor_options){.threads = 1 + (unsigned)i % 2});
        taken[i] = allocated_bytes - before;
        assert_ptr_equal(p[i]->prepared, p[0]->prepared);
    }
    const size_t weights = 18 << 20; /* 4.65 million floats */
    assert_true(taken[0] > weights);
    for (int i = 1; i < N; i++) assert_true(taken[i] < weights / 2);
    for (int i = 0; i < N; i++) eg_predictor_free(p[i]);
    size_t before = allocated_bytes; /* nothing was kept: they are packed anew */
    p[0] = predictor(net, NULL);
    assert_true(allocated_bytes - before > weights);
    eg_predictor *batch = predictor(net, &(struct eg_predictor_options){.batch = 2});
    assert_ptr_not_equal(batch->prepared, p[0]->prepared);
    eg_predictor_free(batch);
    eg_predictor_free(p[0]);
    eg_net_free(net);
}

struct worker {
    const eg_net *net;
    eg_predictor *shared; /* NULL: one of its own */
    float wanted[1000];
    size_t answered, refused, wrong;
};

static void *work(void *context)
{
    struct worker *w = context;
    static const struct eg_predictor_options own = {.probabilities = true};
    eg_predictor *p = w->shared;
    if (!p && eg_predictor_create(w->net, &own, &p, NULL)) return NULL;
    for (int i = 0; i < 6; i++) {
        const struct eg_frame frame = {.pixels = &rgb[0][0][0], .width = W, .height = H};
        struct eg_prediction answer = {.label = NULL};
        enum eg_status status = eg_predict_pixels(p, &frame, 1, &answer, NULL);
        w->answered += !status;
        w->refused += status == EG_E_ARGUMENT;
        /* arrays of a predictor that others use are theirs in the next moment */
        if (!w->shared && (status || memcmp(answer.probabilities, w->wanted, sizeof w->wanted))) w->wrong++;
    }
    if (!w->shared) eg_predictor_free(p);
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    enum { N = 4 };
    static struct worker workers[N];
    make_picture();
    eg_net *net = load_lite0();
    eg_predictor *p = predictor(net, &(struct eg_predictor_options){.probabilities = true, .threads = 2});
    struct eg_prediction one = ask(p, &(struct eg_frame){.pixels = &rgb[0][0][0], .width = W, .height = H});
    for (int shared = 0; shared < 2; shared++) {
        pthread_t threads[N];
        for (int i = 0; i < N; i++) {
            workers[i] = (struct worker){.net = net, .shared = shared ? p : NULL};
            if (!shared) memcpy(workers[i].wanted, one.probabilities, sizeof workers[i].wanted);
            assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
        }
        for (int i = 0; i < N; i++) {
            pthread_join(threads[i], NULL);
            assert_int_equal(workers[i].answered + workers[i].refused, 6);
            assert_int_equal(workers[i].wrong, 0);
            if (!shared) assert_int_equal(workers[i].answered, 6);
        }
    }
    eg_predictor_free(p);
    eg_net_free(net);
}

/* A pool that is at work for another thread: an error of a forward pass; other work is done without it. */
struct holder {
    eg_pool *pool;
    pthread_barrier_t barrier;
};

static void *hold(void *context)
{
    struct holder *h = context;
    bool claimed;
    if (eg__pool_claim(h->pool, &claimed, NULL)) return NULL;
    pthread_barrier_wait(&h->barrier);
    pthread_barrier_wait(&h->barrier);
    eg__pool_release(h->pool, claimed);
    return NULL;
}

static void add_task(void *context, size_t task, unsigned thread)
{
    (void)task;
    assert_int_equal(thread, 0);
    ++*(size_t *)context;
}

static void test_pool_of_another(void **state)
{
    (void)state;
    struct holder h;
    pthread_t thread;
    eg_run *run;
    float probabilities[3], pixels[SIDE * SIDE * 3] = {0};
    eg_net *net = load(model_path);
    assert_int_equal(eg_pool_create(2, &h.pool, NULL), EG_OK);
    assert_int_equal(eg_run_create(net, NULL, 1, h.pool, &run, NULL), EG_OK);
    pthread_barrier_init(&h.barrier, NULL, 2);
    assert_int_equal(pthread_create(&thread, NULL, hold, &h), 0);
    pthread_barrier_wait(&h.barrier);
    struct eg_error err;
    size_t done = 0;
    assert_int_equal(eg_run_forward(run, pixels, 1, (float *[]){probabilities}, &err), EG_E_ARGUMENT);
    assert_non_null(strstr(err.message, "another thread"));
    eg__pool_run(h.pool, 50, add_task, &done);
    assert_int_equal(done, 50);
    pthread_barrier_wait(&h.barrier);
    pthread_join(thread, NULL);
    assert_int_equal(eg_run_forward(run, pixels, 1, (float *[]){probabilities}, NULL), EG_OK);
    pthread_barrier_destroy(&h.barrier);
    eg_run_free(run);
    eg_pool_free(h.pool);
    eg_net_free(net);
}

/* Two threads, two runs, one pool: right or refused, never mixed up. */
struct runner {
    eg_net *net;
    eg_pool *pool;
    float level;
    size_t wrong;
};

static void *run_often(void *context)
{
    struct runner *r = context;
    eg_run *run;
    struct eg_run_cuts cuts = {.cuts = (const char *[]){"mean"}, .n_cuts = 1};
    float image[SIDE * SIDE * 3], mean[3];
    if (eg_run_create(r->net, &cuts, 1, r->pool, &run, NULL)) return NULL;
    for (size_t i = 0; i < sizeof image / sizeof *image; i++) image[i] = r->level;
    for (int i = 0; i < 300; i++)
        if (!eg_run_forward(run, image, 1, (float *[]){mean}, NULL))
            for (int c = 0; c < 3; c++) r->wrong += mean[c] != r->level;
    eg_run_free(run);
    return NULL;
}

static void test_one_pool_for_two(void **state)
{
    (void)state;
    eg_pool *pool;
    eg_net *net = load(model_path);
    assert_int_equal(eg_pool_create(2, &pool, NULL), EG_OK);
    struct runner runners[2] = {{net, pool, 32, 0}, {net, pool, 64, 0}};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_often, &runners[i]), 0);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(runners[i].wrong, 0);
    }
    eg_pool_free(pool);
    eg_net_free(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_chroma_as_libjpeg),
        cmocka_unit_test(test_orientation),
        cmocka_unit_test(test_bad_frames),
        cmocka_unit_test(test_no_allocation),
        cmocka_unit_test(test_answers_by_every_way),
        cmocka_unit_test(test_features_and_errors),
        cmocka_unit_test(test_one_copy_of_weights),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_pool_of_another),
        cmocka_unit_test(test_one_pool_for_two),
    };
    return cmocka_run_group_tests(tests, enter_new_folder, remove_folder);
}
