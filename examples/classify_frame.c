/* A frame in memory to its class:  classify_frame MODEL.onnx WIDTH HEIGHT <frame.rgb */
#include <engraft/predict.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    if (argc != 4) return 2;
    struct eg_frame frame = {.format = EG_PIXELS_RGB};
    frame.width = strtoul(argv[2], NULL, 10);
    frame.height = strtoul(argv[3], NULL, 10);
    uint8_t *pixels = malloc(3 * frame.width * frame.height);
    if (!pixels || fread(pixels, 3 * frame.width, frame.height, stdin) != frame.height) {
        free(pixels);
        return 2;
    }
    frame.pixels = pixels;

    struct eg_error err = {.message = ""};
    struct eg_predictor_options how = {EG_SIZED(eg_predictor_options)};
    struct eg_prediction answer = {0};
    eg_net *net = NULL;
    eg_predictor *predictor = NULL;
    enum eg_status status = eg_net_load(argv[1], NULL, &net, &err);
    if (!status) status = eg_predictor_create(net, &how, &predictor, &err);
    if (!status) status = eg_predict_pixels(predictor, &frame, 1, &answer, &err);
    if (status)
        fprintf(stderr, "%s: %s\n", eg_status_text(status), err.message);
    else
        printf("%s %.4f\n", answer.label, (double)answer.probability);
    eg_predictor_free(predictor);
    eg_net_free(net);
    free(pixels);
    return status ? 1 : 0;
}
