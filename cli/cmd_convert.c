/* engraft convert: any MODEL as one ONNX file. */
#include <string.h>

#include "cli.h"

static int run(struct invocation *in)
{
    const char *output = option_text(in, "output"), *dtype = option_text(in, "dtype");
    eg_net *net = NULL;
    int code = load_model(in, in->operands[0], &net);
    if (code) return code;
    struct eg_convert_options how = {EG_SIZED(eg_convert_options), .cut = option_text(in, "cut"),
                                     .half = dtype && !strcmp(dtype, "f16"),
                                     .overwrite = option_flag(in, "force")};
    struct eg_error err;
    enum eg_status status = eg_net_convert(net, output, &how, &err);
    code = status ? report_error(in, status, &err) : EXIT_DONE;
    if (!code && !option_flag(in, "quiet"))
        fprintf(in->out, "%s: input image [N][3][H][W] 0 to 255, output %s\n", output,
                how.cut || !eg_net_has_classifier(net) ? "features" : "probabilities");
    eg_net_free(net);
    return code;
}

static const struct option_row options[] = {
    OPTION_OUTPUT_ROW("FILE.onnx", "the file to write"),
    {OPTION_TEXT, "cut", 0, "CUT[:POOL]", NULL, 0, 0, false, "end there: the output is its features"},
    {OPTION_CHOICE, "dtype", 0, "f32|f16", NULL, 0, 0, false, "weights in the file (computing is float32)"},
    OPTION_FORCE_ROW,
    OPTION_MODEL_ROWS,
    {0},
};

const struct command command_convert = {
    .name = "convert",
    .summary = "any network as one ONNX file that takes pixels, whole or cut",
    .operands = "MODEL",
    .example = "engraft convert efficientnet-lite0 --cut avgpool -o features.onnx",
    .options = options,
    .run = run,
};
