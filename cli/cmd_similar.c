/* engraft similar: the photos of a feature file that look most like these. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static void print_similar(const struct invocation *in, const struct eg_similar_report *report)
{
    FILE *to = in->out;
    for (size_t i = 0; i < report->n_photos; i++) {
        const struct eg_similar_photo *photo = &report->photos[i];
        if (photo->error) continue;
        print_path(to, photo->path);
        for (size_t k = 0; k < photo->n_nearest; k++) {
            const struct eg_similar_row *row = &photo->nearest[k];
            fprintf(to, "  %7.4f  ", row->similarity);
            print_padded(to, row->label ? row->label : "", 20, true);
            fputc(' ', to);
            print_path(to, row->path);
        }
    }
}

static int show(struct invocation *in, const struct eg_similar_report *report)
{
    for (size_t i = 0; i < report->n_photos; i++)
        if (report->photos[i].error) {
            const struct eg_skipped skipped = {report->photos[i].path, report->photos[i].error};
            list_skipped(in, &skipped, 1);
        }
    if (report->n_unreadable == report->n_photos) {
        tell(in, "no photo could be read");
        return EXIT_FAILED;
    }
    if (option_flag(in, "json"))
        print_text(in, eg_similar_report_json(report));
    else
        print_similar(in, report);
    return report->n_unreadable ? EXIT_SKIPPED : EXIT_DONE;
}

/* What made the features: the network that the file names, or --model, with the file's recipe. */
static int load_net(const struct invocation *in, eg_features *features, eg_net **net)
{
    struct eg_features_info info = eg_features_info(features);
    if (!info.network) {
        tell(in, "'%s' does not say which network made its features", in->operands[0]);
        return EXIT_FAILED;
    }
    const char *model = option_text(in, "model");
    if (!model) return net_of(in, features, net);
    char *folders = model_folders(in);
    struct eg_net_options options = {EG_SIZED(eg_net_options), .folders = folders, .preprocess = info.recipe};
    struct eg_error err;
    enum eg_status status = eg_net_load(model, &options, net, &err);
    free(folders);
    return status ? report_error(in, status, &err) : EXIT_DONE;
}

static int run(struct invocation *in)
{
    eg_features *features = NULL;
    eg_net *net = NULL;
    eg_dataset *photos = NULL;
    struct eg_similar_options how = {EG_SIZED(eg_similar_options), .features = option_text(in, "features"),
                                     .top = (size_t)option_integer(in, "top")};
    int code = open_features(in, in->operands[0], &features);
    if (!code) code = list_images(in, in->operands + 1, in->n_operands - 1, &photos);
    if (!code) code = make_pool(in, &how.pool);
    if (!code) code = load_net(in, features, &net);
    if (!code) {
        struct progress progress;
        progress_begin(&progress, in, "similar");
        how.progress = progress_step;
        how.user = &progress;
        struct eg_similar_report *report;
        struct eg_error err;
        enum eg_status status = eg_similar(features, net, photos, &how, &report, &err);
        progress_end(&progress);
        if (status == EG_E_CANCELLED) {
            tell(in, "interrupted; nothing was written, run it again");
            code = EXIT_INTERRUPTED;
        } else {
            code = status ? report_error(in, status, &err) : show(in, report);
        }
        if (!status) eg_similar_report_free(report);
    }
    eg_dataset_free(photos);
    eg_net_free(net);
    eg_pool_free(how.pool);
    eg_features_close(features);
    return code;
}

static const struct option_row options[] = {
    {OPTION_INTEGER, "top", 0, "K", "5", 1, 10000, false, "how many of the nearest"},
    {OPTION_TEXT, "features", 0, "NAME", "the first", 0, 0, false, "which cut of the file"},
    {OPTION_TEXT, "model", 0, "MODEL", "the one that the file names", 0, 0, false,
     "the network that made the features, where it is elsewhere"},
    {OPTION_LIST, "models", 0, "DIR", NULL, 0, 0, false,
     "look for weights here first, then in $ENGRAFT_MODELS and the usual folders"},
    OPTION_EXCLUDE_ROW,
    OPTION_JSON_ROW,
    {0},
};

const struct command command_similar = {
    .name = "similar",
    .summary = "the photos of a feature file that look most like these",
    .operands = "FILE.h5 PHOTO...",
    .details = "Every row of the file is compared, by the cosine of its features with the photo's: 1 is the "
               "same. A folder stands for all photos in it.",
    .example = "engraft similar photos.h5 photo.jpg",
    .options = options,
    .run = run,
};
