/* engraft classify: what a network sees, by its own classes. */
#include "cli.h"

static int images(const struct invocation *in, eg_dataset **dataset)
{
    return list_images(in, in->operands + 1, in->n_operands - 1, dataset);
}

static int run(struct invocation *in) { return run_answers(in, images, NULL); }

static const struct option_row options[] = {
    {OPTION_INTEGER, "top", 0, "N", "5", 1, 100000, false, "answers an image, the likeliest first"},
    OPTION_BATCH_ROW,
    OPTION_EXCLUDE_ROW,
    OPTION_JSON_ROW,
    OPTION_MODEL_ROWS,
    {0},
};

const struct command command_classify = {
    .name = "classify",
    .summary = "the classes a whole network sees in photos: ImageNet's, or a trained model's own",
    .operands = "MODEL IMAGE...",
    .example = "engraft classify efficientnet-lite0 photo.jpg",
    .options = options,
    .run = run,
};
