/* Weights files of every kind, each also cut short and damaged. Made by golden/weights/make_weights.py. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/rng.h"
#include "check.h"
#include "formats/weight_files.h"

#define FOLDER EG_SOURCE_DIR "/tests/golden/weights/"

static struct eg_weights *load(const char *name)
{
    char path[600];
    struct eg_weights *weights;
    struct eg_error err;
    snprintf(path, sizeof path, FOLDER "%s", name);
    if (eg__weights_load(path, &weights, &err)) fail_msg("%s", err.message);
    return weights;
}

/* Tensor `name` has this shape and holds first, first + step, ... */
static void expect(const struct eg_weights *weights, const char *name, unsigned rank, const size_t *dim,
                   double first, double step)
{
    float values[64];
    const struct eg_tensor *tensor = eg__weights_find(weights, name);
    if (!tensor) fail_msg("%s holds no '%s'", weights->path, name);
    assert_int_equal(tensor->rank, rank);
    for (unsigned i = 0; i < rank; i++) assert_int_equal(tensor->dim[i], dim[i]);
    assert_in_range(eg__tensor_count(tensor), 1, 64);
    eg__tensor_read(tensor, values);
    for (size_t i = 0; i < eg__tensor_count(tensor); i++)
        if (values[i] != (float)(first + step * (double)i))
            fail_msg("%s: '%s'[%zu] is %g", weights->path, name, i, (double)values[i]);
}

static void expect_state(const char *file, enum eg_weights_kind kind)
{
    struct eg_weights *weights = load(file);
    const size_t whole[] = {2, 3, 2, 2}, half[] = {3, 2, 2};
    assert_int_equal(weights->kind, kind);
    expect(weights, "f32", 4, whole, 0, 0.125);
    expect(weights, "view", 3, half, 1.5, 0.125);
    expect(weights, "f16", 3, half, 0, 0.125);
    expect(weights, "bf16", 3, half, 0, 0.125);
    expect(weights, "f64", 3, half, 0, 0.125);
    const struct eg_tensor *turned = eg__weights_find(weights, "turned");
    float values[24];
    assert_non_null(turned);
    assert_int_equal(turned->dim[0], 4);
    assert_int_equal(turned->dim[1], 6);
    eg__tensor_read(turned, values);
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 6; j++) assert_true(values[6 * i + j] == (float)(4 * j + i) / 8);
    eg__weights_free(weights);
}

static void torch_zip_stream_and_checkpoints(void **state)
{
    (void)state;
    expect_state("zip.pth", EG_WEIGHTS_TORCH);
    expect_state("stream.pth", EG_WEIGHTS_TORCH);
    expect_state("checkpoint.pth", EG_WEIGHTS_TORCH); /* state_dict, "module.model." */
    expect_state("parameters.pth", EG_WEIGHTS_TORCH); /* model, "module.", Parameter */
    struct eg_weights *weights = load("fits.pth");
    expect(weights, "x", 2, (const size_t[]){2, 2}, 1, 1);
    eg__weights_free(weights);
}

static void safetensors(void **state)
{
    (void)state;
    expect_state("all.safetensors", EG_WEIGHTS_SAFETENSORS);
}

static void keras_of_every_age(void **state)
{
    (void)state;
    const size_t kernel[] = {1, 2, 3, 4}, vector[] = {4};
    struct eg_weights *weights = load("keras1.h5");
    assert_int_equal(weights->kind, EG_WEIGHTS_KERAS);
    expect(weights, "fire2/squeeze1x1/kernel", 4, kernel, 0, 0.125);
    expect(weights, "fire2/squeeze1x1/bias", 1, vector, 0, 0.125);
    expect(weights, "bn_conv1/moving_variance", 1, vector, 0, 0.125);
    assert_int_equal(weights->n_tensors, 3);
    eg__weights_free(weights);

    weights = load("keras2.h5");
    expect(weights, "block1_conv1/kernel", 4, kernel, 0, 0.125);
    expect(weights, "block1_conv1/bias", 1, vector, 0, 0.125);
    expect(weights, "conv1_conv/kernel", 4, kernel, 0, 0.125); /* half precision, a model inside */
    expect(weights, "conv2d/kernel", 4, kernel, 1, 0.125);     /* conv2d_40, conv2d_41 */
    expect(weights, "conv2d_1/kernel", 4, kernel, 0, 0.125);
    assert_int_equal(weights->n_tensors, 5); /* the optimizer's is none */
    eg__weights_free(weights);

    weights = load("keras_latest.h5"); /* headers of version 2 */
    expect(weights, "block1_conv1/kernel", 4, kernel, 0, 0.125);
    eg__weights_free(weights);

    static const char *const files[] = {"keras3.weights.h5", "keras3.keras", "keras30.keras"};
    for (size_t i = 0; i < 3; i++) {
        weights = load(files[i]);
        const size_t four[] = {4}, deep[] = {3, 3, 4, 1}, last[] = {6, 2};
        expect(weights, "first/bias", 1, four, 0, 1);
        expect(weights, "norm/gamma", 1, four, 0, 1);
        expect(weights, "norm/moving_variance", 1, four, 0, 1);
        expect(weights, "unscaled/beta", 1, four, 0, 1);
        expect(weights, "unscaled/moving_variance", 1, four, 0, 1);
        assert_null(eg__weights_find(weights, "unscaled/gamma"));
        expect(weights, "deep/depthwise_kernel", 4, deep, 0, 1);
        expect(weights, "both/depthwise_kernel", 4, deep, 0, 1);
        expect(weights, "both/pointwise_kernel", 4, (const size_t[]){1, 1, 4, 6}, 0, 1);
        expect(weights, "last/kernel", 2, last, 0, 1);
        eg__weights_free(weights);
    }
}

static void refuses_what_is_not_tensors(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        enum eg_status status;
        const char *words;
    } cases[] = {
        {"evil.pth", EG_E_FORMAT, "no named tensors"}, /* and nothing is run */
        {"empty.pth", EG_E_FORMAT, "no named tensors"},
        {"past_end.pth", EG_E_FORMAT, "'x' reaches past the end"},
        {"overflow.pth", EG_E_FORMAT, "'x'"},
        {"negative.pth", EG_E_FORMAT, "size or stride"},
        {"short.pth", EG_E_FORMAT, "truncated"},
        {"missing.pth", EG_E_FORMAT, "'0' is missing"},
        {"past_end.safetensors", EG_E_FORMAT, "'x' has bytes"},
        {"mismatch.safetensors", EG_E_FORMAT, "its shape needs 12"},
        {"overflow.safetensors", EG_E_FORMAT, "'x'"},
        {"unknown.safetensors", EG_E_UNSUPPORTED, "F8_E4M3"},
        {"keras_external.h5", EG_E_FORMAT, "outside the file"},
        {"keras_chunked.h5", EG_E_UNSUPPORTED, "h5repack"},
        {"make_weights.py", EG_E_FORMAT, "neither PyTorch"},
        {"nothing.pth", EG_E_IO, "nothing.pth"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[600];
        struct eg_weights *weights;
        struct eg_error err = {0};
        snprintf(path, sizeof path, FOLDER "%s", cases[i].file);
        assert_int_equal(eg__weights_load(path, &weights, &err), cases[i].status);
        if (!strstr(err.message, cases[i].words)) fail_msg("%s: no '%s'", err.message, cases[i].words);
    }
}

static void try_bytes(const uint8_t *bytes, size_t n)
{
    char path[] = "/tmp/test_weight_files.XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, n), n);
    close(fd);
    struct eg_weights *weights;
    struct eg_error err;
    if (!eg__weights_load(path, &weights, &err)) eg__weights_free(weights);
    unlink(path);
}

static void survives_damage(void **state)
{
    (void)state;
    static const char *const files[] = {"zip.pth", "stream.pth", "all.safetensors", "keras1.h5", "keras2.h5"};
    struct eg_rng rng;
    eg__rng_init(&rng, 7, 0);
    for (size_t f = 0; f < sizeof files / sizeof *files; f++) {
        char path[600];
        struct eg_mapping mapping;
        snprintf(path, sizeof path, FOLDER "%s", files[f]);
        assert_int_equal(eg__map_file(path, &mapping, NULL), EG_OK);
        for (size_t n = 0; n < mapping.size; n += 3) try_bytes(mapping.bytes, n);
        uint8_t *copy = malloc(mapping.size);
        for (int round = 0; round < 1000; round++) {
            memcpy(copy, mapping.bytes, mapping.size);
            for (int i = 0; i < 3; i++) copy[eg__rng_below(&rng, mapping.size)] = (uint8_t)eg__rng_u64(&rng);
            try_bytes(copy, mapping.size);
        }
        free(copy);
        eg__unmap_file(&mapping);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(torch_zip_stream_and_checkpoints),
        cmocka_unit_test(safetensors),
        cmocka_unit_test(keras_of_every_age),
        cmocka_unit_test(refuses_what_is_not_tensors),
        cmocka_unit_test(survives_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
