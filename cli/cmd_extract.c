/* engraft extract: photos to a feature file. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static void print_report(struct invocation *in, const char *output, const struct eg_extract_report *report)
{
    FILE *to = in->out;
    fprintf(to, "%s: %zu photos", output, report->rows);
    if (report->resumed) fprintf(to, ", %zu done before", report->resumed);
    if (report->done)
        fprintf(to, ", %zu computed in %.1f s (%.1f/s)", report->done, report->seconds,
                (double)report->done / report->seconds);
    else if (report->resumed)
        fprintf(to, ": nothing to do");
    if (report->n_unreadable) fprintf(to, ", %zu unreadable", report->n_unreadable);
    if (report->ignored) fprintf(to, "; %zu other files ignored", report->ignored);
    fputc('\n', to);
    if (report->n_ranks > 1)
        fprintf(to, "  by %zu ranks: it needs their shards beside it\n", report->n_ranks);
    for (size_t i = 0; i < report->n_cuts; i++)
        fprintf(to, "  %s: %zu features a photo\n", report->cuts[i].name, report->cuts[i].length);
}

bool parse_shard(const char *text, size_t *shard, size_t *n_shards)
{
    long long i, n;
    const char *slash = strchr(text, '/');
    char *left = slash ? strndup(text, (size_t)(slash - text)) : NULL;
    bool good = left && parse_integer(left, &i) && parse_integer(slash + 1, &n) && i >= 0 && i < n;
    free(left);
    if (!good) return false;
    *shard = (size_t)i;
    *n_shards = (size_t)n;
    return true;
}

static void print_estimate(const struct invocation *in, const struct eg_estimate *e)
{
    FILE *to = in->out;
    const double days = e->hours / 24;
    fprintf(to, "%zu photos, by %zu of them (%.1f s, %.1f/s", e->photos, e->sampled, e->seconds,
            (double)e->sampled / e->seconds);
    if (e->unreadable) fprintf(to, ", %zu unreadable", e->unreadable);
    fputs(")\n", to);
    if (days >= 2)
        fprintf(to, "  time        %.1f days on this machine\n", days);
    else if (e->hours >= 1)
        fprintf(to, "  time        %.1f hours on this machine\n", e->hours);
    else
        fprintf(to, "  time        %.1f minutes on this machine\n", e->hours * 60);
    fprintf(to, "  work        %.2f core-hours\n", e->core_hours);
    fprintf(to, "  file        %.2f GB%s", (double)e->bytes / 1e9,
            option_integer(in, "deflate") ? ", before compression" : "");
    if (e->free_bytes != UINT64_MAX)
        fprintf(to, "; %.1f GB are free%s", (double)e->free_bytes / 1e9,
                e->bytes > e->free_bytes ? ": IT HAS NO ROOM" : "");
    fputc('\n', to);
}

static int estimate(struct invocation *in, const eg_net *net, const eg_dataset *images,
                    const struct eg_extract_options *how, struct progress *progress)
{
    struct eg_estimate made;
    struct eg_error err;
    enum eg_status status = eg_extract_estimate(net, images, option_text(in, "output"), how, &made, &err);
    progress_end(progress);
    if (status == EG_E_CANCELLED) {
        tell(in, "interrupted; nothing was written, run it again");
        return EXIT_INTERRUPTED;
    }
    if (status) return report_error(in, status, &err);
    if (option_flag(in, "json"))
        print_text(in, eg_estimate_json(&made));
    else
        print_estimate(in, &made);
    return EXIT_DONE;
}

static int extract(struct invocation *in, const eg_net *net, const eg_dataset *images, eg_pool *pool)
{
    const char *icc = option_text(in, "icc");
    const char *output = option_text(in, "output"), *dtype = option_text(in, "dtype"),
               *shard = option_text(in, "shard");
    struct progress progress;
    progress_begin(&progress, in, "extract");
    if (later_rank() && !shard) progress.quiet = true;
    struct eg_run_cuts cuts = {EG_SIZED(eg_run_cuts), .pool = option_text(in, "pool"),
                               .order = option_text(in, "order"), .exact = option_flag(in, "exact")};
    cuts.cuts = option_list(in, "cut", &cuts.n_cuts);
    struct eg_extract_options how = {
        EG_SIZED(eg_extract_options),
        .cuts = &cuts,
        .half = dtype && !strcmp(dtype, "f16"),
        .batch = (size_t)option_integer(in, "batch"),
        .no_exif = option_flag(in, "no-exif"),
        .fast_decode = option_flag(in, "fast-decode"),
        .deflate = (unsigned)option_integer(in, "deflate"),
        .overwrite = option_flag(in, "force"),
        .append = option_flag(in, "append"),
        .icc_srgb = icc && !strcmp(icc, "srgb"),
        .thumbnails = option_flag(in, "thumbnails"),
        .ranks = under_mpi() && !shard,
        .multi_label = option_flag(in, "multi-label"),
        .labels_sep = option_text(in, "labels-sep"),
        .number = option_text(in, "regress"),
        .command = in->line,
        .pool = pool,
        .progress = progress_step,
        .user = &progress,
    };
    if (shard && !parse_shard(shard, &how.shard, &how.n_shards)) return EXIT_USAGE; /* told in run() */
    if (shard && (how.multi_label || how.number))
        return usage_error(in, "--%s is not made for --shard", how.number ? "regress" : "multi-label");
    if (how.append && (shard || how.overwrite))
        return usage_error(in, "--append excludes %s", shard ? "--shard" : "--force");
    if (option_flag(in, "estimate")) return estimate(in, net, images, &how, &progress);
    struct eg_extract_report *report;
    struct eg_error err;
    enum eg_status status = eg_extract(net, images, output, &how, &report, &err);
    progress_end(&progress);
    if (status == EG_E_CANCELLED) {
        tell(in,
             "interrupted; what was done is saved in '%s': run the same command again "
             "to go on",
             output);
        return EXIT_INTERRUPTED;
    }
    if (status) return report_error(in, status, &err);
    if (report->rank) { /* the first speaks for all */
        eg_extract_report_free(report);
        return EXIT_DONE;
    }
    if (is_stream(in)) tell_ignored(in, images); /* known only now */
    list_skipped(in, report->unreadable, report->n_unreadable);
    int code = report->n_unreadable ? EXIT_SKIPPED : EXIT_DONE;
    if (report->n_unreadable == report->rows) {
        tell(in, "no photo could be read");
        code = EXIT_FAILED;
    }
    eg_features *made = NULL;
    if (!eg_features_open(output, &made, NULL)) tell_contradictions(in, made);
    eg_features_close(made);
    if (option_flag(in, "json"))
        print_text(in, eg_extract_report_json(report, images, output));
    else
        print_report(in, output, report);
    eg_extract_report_free(report);
    return code;
}

static int run(struct invocation *in)
{
    eg_net *net = NULL;
    eg_pool *pool = NULL;
    eg_dataset *images = NULL;
    const char *output = option_text(in, "output"), *shard = option_text(in, "shard");
    size_t i, n;
    const bool estimated = option_flag(in, "estimate");
    if (!output && !estimated) return usage_error(in, "-o FILE.h5 is missing");
    if (estimated && (option_flag(in, "append") || option_flag(in, "force")))
        return usage_error(in, "--estimate writes nothing: --%s means nothing with it",
                           option_flag(in, "force") ? "force" : "append");
    if (estimated && in->n_operands > 1 && !strcmp(in->operands[1], "-"))
        return usage_error(in, "--estimate asks how many photos there are, which a stream does not say");
    if (estimated && later_rank()) return EXIT_DONE; /* the first speaks for all */
    if (shard && !parse_shard(shard, &i, &n))
        return usage_error(in, "--shard '%s' is not I/N with I from 0 to N-1", shard);
    int code = output ? check_writable(in, output) : EXIT_DONE;
    if (!code) code = load_model(in, in->operands[0], &net);
    bool listed = option_text(in, "from-list") || in->n_operands < 2 || option_flag(in, "null");
    if (!code) code = listed ? listed_images(in, &images) : open_images(in, in->operands[1], &images);
    if (!code) code = make_pool(in, &pool);
    if (!code) code = extract(in, net, images, pool);
    eg_dataset_free(images);
    eg_pool_free(pool);
    eg_net_free(net);
    return code;
}

static const struct option_row options[] = {
    {OPTION_TEXT, "output", 'o', "FILE.h5", NULL, 0, 0, false,
     "the feature file; a run that was stopped goes on in it"},
    {OPTION_FLAG, "estimate", 0, NULL, NULL, 0, 0, false,
     "from some hundred photos: hours, GB, core-hours; nothing is written"},
    {OPTION_LIST, "cut", 0, "CUT[:POOL]", NULL, 0, 0, false,
     "a layer by name, short name or #number (without: the network's default cut)"},
    {OPTION_CHOICE, "pool", 0, "flatten|avg|max|gem|cls|cls-avg", NULL, 0, 0, false,
     "what becomes of a volume at a cut"},
    {OPTION_CHOICE, "views", 0, "none|flip|five", NULL, 0, 0, false,
     "average the features of a photo and its mirror (twice the time), or of five crops of the resized "
     "square "
     "(five times)"},
    {OPTION_CHOICE, "order", 0, "chw|hwc", NULL, 0, 0, false, "order of a flattened volume (PyTorch, Keras)"},
    {OPTION_CHOICE, "dtype", 0, "f32|f16", NULL, 0, 0, false, "numbers on disk"},
    OPTION_BATCH_ROW,
    OPTION_EXCLUDE_ROW,
    OPTION_FROM_LIST_ROWS,
    {OPTION_INTEGER, "deflate", 0, "0-9", "0", 0, 9, false, "compress the numbers, 9 hardest"},
    {OPTION_FLAG, "append", 0, NULL, NULL, 0, 0, false,
     "the photos have changed: compute new and changed ones, keep the rest"},
    OPTION_TARGET_ROWS,
    {OPTION_TEXT, "shard", 0, "I/N", NULL, 0, 0, false, "only part I (from 0) of N, for engraft merge"},
    {OPTION_FLAG, "thumbnails", 0, NULL, NULL, 0, 0, false,
     "keep small pictures too, 4 KB a photo, for reports of photos that are not at hand later"},
    {OPTION_FLAG, "no-exif", 0, NULL, NULL, 0, 0, false, "leave photos as stored, not upright"},
    {OPTION_CHOICE, "icc", 0, "none|srgb", NULL, 0, 0, false,
     "colours of photos with an ICC profile (Display P3, Adobe RGB) to sRGB, or as they are"},
    {OPTION_FLAG, "fast-decode", 0, NULL, NULL, 0, 0, false,
     "decode large JPEGs at reduced size: faster, close"},
    {OPTION_FLAG, "exact", 0, NULL, NULL, 0, 0, false, "no Winograd: slower, last digits differ"},
    OPTION_FORCE_ROW,
    OPTION_JSON_ROW,
    OPTION_MODEL_ROWS,
    {0},
};

const struct command command_extract = {
    .name = "extract",
    .summary = "photos through a cut network to a feature file (HDF5), resumable at any moment",
    .operands = "MODEL [IMAGES]",
    .details = "IMAGES is a folder with a subfolder a class, a CSV with the header path,label, an archive "
               "(.tar, .zip, "
               ".tar.gz, ...: a folder a class, or WebDataset's key.jpg with key.cls or key.json; several as "
               "'s/{000..127}.tar'; - is a tar on standard input), or a float32 .npy array [N][C][H][W]. "
               "Under mpirun, built with MPI, each rank takes one part and writes a shard "
               "beside FILE.h5, which joins them.",
    .example = "engraft extract efficientnet-lite0 photos -o photos.h5",
    .options = options,
    .run = run,
};
