/* engraft info s*.h5: shards added up, and what is missing before they can be joined. */
#include "cli.h"

/* "3, 7 to 9, 100" */
static void print_numbers(FILE *to, const char *what, const size_t *list, size_t n)
{
    if (!n) return;
    fprintf(to, "%s ", what);
    for (size_t i = 0, last; i < n; i = last + 1) {
        last = i;
        while (last + 1 < n && list[last + 1] == list[i] + (last + 1 - i)) last++;
        fprintf(to, i ? ", %zu" : "%zu", list[i]);
        if (last > i) fprintf(to, " to %zu", list[last]);
    }
    fputc('\n', to);
}

static void print_shards(FILE *to, const struct eg_shards_report *r)
{
    size_t found = r->n_files - r->n_broken;
    if (r->n_shards)
        fprintf(to, "%zu of %zu shards\n", found, r->n_shards);
    else
        fprintf(to, "%zu feature files, no shards\n", found);
    fprintf(to, "%-10s %zu: %zu done", "rows", r->rows, r->done);
    if (r->waiting) fprintf(to, ", %zu waiting", r->waiting);
    if (r->unreadable) fprintf(to, ", %zu unreadable", r->unreadable);
    fputc('\n', to);
    print_numbers(to, "missing   ", r->missing, r->n_missing);
    print_numbers(to, "more than once", r->twice, r->n_twice);
    for (size_t i = 0; i < r->n_files; i++) {
        const struct eg_shard_file *file = &r->files[i];
        if (file->waiting) fprintf(to, "%zu rows waiting (run the same command again): ", file->waiting);
        if (file->waiting) print_path(to, file->file);
        if (file->made_otherwise) fputs(file->whole ? "no shard: " : "made otherwise than the first: ", to);
        if (file->made_otherwise) print_path(to, file->file);
    }
    if (r->complete) fputs("complete: engraft merge joins them\n", to);
}

int info_shards(struct invocation *in)
{
    static const char *const single[] = {"check", "recompute", "duplicates", "root",
                                         "seed",  "size",      "preprocess"};
    for (size_t i = 0; i < sizeof single / sizeof *single; i++)
        if (option_given(in, single[i]))
            return usage_error(in, "--%s is about one file, and %zu are given", single[i], in->n_operands);
    struct eg_shards_report *report;
    struct eg_error err;
    enum eg_status status = eg_features_count_shards(in->operands, in->n_operands, &report, &err);
    if (status) return report_error(in, status, &err);
    for (size_t i = 0; i < report->n_files; i++)
        if (report->files[i].error) tell(in, "%s", report->files[i].error);
    int code = report->n_broken == report->n_files ? EXIT_FAILED
               : report->n_broken                  ? EXIT_SKIPPED
                                                   : EXIT_DONE;
    if (code != EXIT_FAILED && option_flag(in, "json"))
        print_text(in, eg_shards_report_json(report));
    else if (code != EXIT_FAILED)
        print_shards(in->out, report);
    eg_shards_report_free(report);
    return code;
}
