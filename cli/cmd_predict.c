/* engraft predict: photos through a classifier that engraft trained. */
#include "cli.h"

/* --undo JOURNAL, and nothing else. */
static int undo(struct invocation *in)
{
    if (in->n_operands)
        return usage_error(in, "--undo takes no '%s': the journal says it all", in->operands[0]);
    if (option_given(in, "move") || option_given(in, "link"))
        return usage_error(in, "--undo and --%s exclude each other",
                           option_given(in, "move") ? "move" : "link");
    return sort_back(in);
}

static int run(struct invocation *in)
{
    if (option_given(in, "undo")) return undo(in);
    if (!in->n_operands) return usage_error(in, "MODEL.onnx is missing");
    bool csv = option_flag(in, "csv"), jsonl = option_flag(in, "jsonl"), file = option_given(in, "output");
    if (option_flag(in, "json") && (csv || jsonl || file))
        return usage_error(in, "%s and --json exclude each other", csv ? "--csv" : jsonl ? "--jsonl" : "-o");
    if (csv && jsonl) return usage_error(in, "--csv and --jsonl exclude each other");
    if (option_flag(in, "force") && !file)
        return usage_error(in, "--force says something about -o FILE alone");
    if (option_given(in, "move") && option_given(in, "link"))
        return usage_error(in, "--move and --link exclude each other");
    struct sorter sorter;
    int code = sorter_begin(in, &sorter);
    if (!code)
        code = csv || jsonl || file ? run_stream(in, &sorter) : run_answers(in, predict_images, &sorter);
    return sorter_end(&sorter, code);
}

static const struct option_row options[] = {
    {OPTION_INTEGER, "top", 0, "N", "1", 1, 100000, false, "answers an image, the likeliest first"},
    {OPTION_FLAG, "csv", 0, NULL, NULL, 0, 0, false, "print path,rank,label,probability as answers come"},
    {OPTION_FLAG, "jsonl", 0, NULL, NULL, 0, 0, false, "print a JSON document a line, as answers come"},
    {OPTION_TEXT, "output", 'o', "FILE.csv|FILE.jsonl", NULL, 0, 0, false,
     "a file for the answers, whole after every photo; run again, the command goes on in it"},
    OPTION_FROM_LIST_ROWS,
    {OPTION_TEXT, "shard", 0, "I/N", NULL, 0, 0, false, "only part I (from 0) of N"},
    {OPTION_TEXT, "move", 0, "FOLDER", NULL, 0, 0, false,
     "then move each photo to FOLDER/CLASS; a name that is taken gets a number"},
    {OPTION_TEXT, "link", 0, "FOLDER", NULL, 0, 0, false, "the same by symbolic links: the photos stay"},
    {OPTION_TEXT, "undo", 0, "JOURNAL", NULL, 0, 0, false, "take back what --move or --link has done"},
    OPTION_FORCE_ROW,
    OPTION_BATCH_ROW,
    OPTION_EXCLUDE_ROW,
    OPTION_JSON_ROW,
    OPTION_MODEL_ROWS,
    {0},
};

const struct command command_predict = {
    .name = "predict",
    .summary = "sort photos, or folders of them, into the classes of a trained model",
    .operands = "[MODEL.onnx] [IMAGE|DIR...]",
    .example = "engraft predict mine.onnx photo.jpg",
    .options = options,
    .run = run,
};
