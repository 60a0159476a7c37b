/* What a camera sees:  camera MODEL.onnx /dev/video0     or, where there is none:
 *                      camera MODEL.onnx FOLDER          its .ppm files, in order of their names */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "camera.h"

enum { WIDTH = 640, HEIGHT = 480 };

int main(int argc, char **argv)
{
    struct stat what;
    if (argc != 3 || stat(argv[2], &what)) {
        fprintf(stderr, "usage: camera MODEL.onnx DEVICE|FOLDER\n");
        return 2;
    }
    const bool folder = S_ISDIR(what.st_mode);
    struct source *source = folder ? folder_open(argv[2]) : camera_open(argv[2], WIDTH, HEIGHT);
    if (!source) return 1;

    struct eg_error err = {.message = ""};
    struct eg_predictor_options how = {EG_SIZED(eg_predictor_options), .width = WIDTH, .height = HEIGHT};
    eg_net *net = NULL;
    eg_predictor *predictor = NULL;
    enum eg_status status = eg_net_load(argv[1], NULL, &net, &err);
    if (!status) status = eg_predictor_create(net, &how, &predictor, &err);
    struct eg_frame frame = {.pixels = NULL};
    while (!status && (folder ? folder_next(source, &frame) : camera_next(source, &frame))) {
        struct eg_prediction answer;
        status = eg_predict_pixels(predictor, &frame, 1, &answer, &err);
        if (status) break;
        printf("%s %.2f\n", answer.label, (double)answer.probability);
        fflush(stdout);
    }
    if (status) fprintf(stderr, "%s: %s\n", eg_status_text(status), err.message);
    eg_predictor_free(predictor);
    eg_net_free(net);
    if (folder)
        folder_close(source);
    else
        camera_close(source);
    return status ? 1 : 0;
}
