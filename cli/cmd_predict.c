/* engraft predict: photos through a classifier that engraft trained. */
#include "cli.h"

static int run(struct invocation *in) { return run_answers(in, option_flag(in, "csv")); }

static const struct option_row options[] = {
    {OPTION_INTEGER, "top", 0, "N", "1", 1, 100000, false, "answers an image, the likeliest first"},
    {OPTION_FLAG, "csv", 0, NULL, NULL, 0, 0, false, "print path,rank,label,probability"},
    OPTION_BATCH_ROW,
    OPTION_EXCLUDE_ROW,
    OPTION_JSON_ROW,
    OPTION_MODEL_ROWS,
    {0},
};

const struct command command_predict = {
    .name = "predict",
    .summary = "sort photos, or folders of them, into the classes of a trained model",
    .operands = "MODEL.onnx IMAGE|DIR...",
    .example = "engraft predict mine.onnx photo.jpg",
    .options = options,
    .run = run,
};
