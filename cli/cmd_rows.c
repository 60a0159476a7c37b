/* engraft rows: slices of a feature file, without Python. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

enum { SHOWN = 3 }; /* features a row in the readable table */

/* "10:20", "10:", ":20", "-5:", "7": half open, negative from the end, as Python slices. */
static bool parse_slice(const char *text, size_t n, size_t *first, size_t *end)
{
    const char *colon = strchr(text, ':');
    long long a = 0, b = (long long)n;
    char *left = strndup(text, colon ? (size_t)(colon - text) : strlen(text));
    bool good = left && (!*left ? colon != NULL : parse_integer(left, &a));
    free(left);
    if (good && colon && colon[1]) good = parse_integer(colon + 1, &b);
    if (!good) return false;
    if (a < 0) a += (long long)n;
    if (b < 0) b += (long long)n;
    if (!colon) b = a + 1;
    if (a < 0) a = 0;
    if (b > (long long)n) b = (long long)n;
    *first = (size_t)a;
    *end = b > a ? (size_t)b : (size_t)a;
    return !(!colon && a >= (long long)n);
}

struct slice {
    eg_features *features;
    struct eg_features_info info;
    size_t cut, length;
    size_t *rows, n_rows; /* those asked for */
    bool csv;
};

static const char *class_of(const struct slice *slice, int32_t label)
{
    return label < 0 ? "" : slice->info.classes[label];
}

static void print_row(struct invocation *in, const struct slice *slice, size_t row, const float *values)
{
    struct eg_features_row r = eg_features_row(slice->features, row);
    FILE *to = in->out;
    bool done = !strcmp(r.status, "done");
    if (slice->csv) {
        if (!done) return;
        print_csv_text(to, r.path);
        fputc(',', to);
        print_csv_text(to, class_of(slice, r.label));
        for (size_t i = 0; i < slice->length; i++) fprintf(to, ",%.9g", (double)values[i]);
        fputc('\n', to);
        return;
    }
    fprintf(to, "%7zu  ", row);
    print_padded(to, class_of(slice, r.label), 16, true);
    if (done)
        for (size_t i = 0; i < SHOWN && i < slice->length; i++) fprintf(to, " %9.4g", (double)values[i]);
    else
        fprintf(to, " %-*s", 10 * SHOWN - 1, r.reason ? r.reason : r.status);
    fprintf(to, " %s  ", done && slice->length > SHOWN ? "..." : "   ");
    print_path(to, r.path);
}

static int print_rows(struct invocation *in, const struct slice *slice)
{
    float *values = malloc((slice->length ? slice->length : 1) * sizeof *values);
    if (!values) return EXIT_FAILED;
    struct eg_error err;
    enum eg_status status = EG_OK;
    if (slice->csv) {
        fputs("path,label", in->out);
        for (size_t i = 0; i < slice->length; i++) fprintf(in->out, ",f%zu", i);
        fputc('\n', in->out);
    } else {
        fprintf(in->out, "%7s  %-16s %-*s      path\n", "row", "label", 10 * SHOWN - 1, "features");
    }
    for (size_t i = 0; i < slice->n_rows && !status; i++) {
        status = eg_features_read(slice->features, slice->cut, slice->rows[i], 1, values, &err);
        if (!status) print_row(in, slice, slice->rows[i], values);
    }
    free(values);
    if (status) return report_error(in, status, &err);
    return EXIT_DONE;
}

static int print_rows_json(struct invocation *in, const struct slice *slice)
{
    struct eg_error err;
    char *json;
    enum eg_status status =
        eg_features_rows_json(slice->features, slice->cut, slice->rows, slice->n_rows, &json, &err);
    if (status) return report_error(in, status, &err);
    print_text(in, json);
    return EXIT_DONE;
}

static int write_npy(struct invocation *in, const struct slice *slice, const char *path)
{
    struct eg_error err;
    enum eg_status status = eg_features_save_npy(slice->features, slice->cut, slice->rows, slice->n_rows,
                                                 path, option_flag(in, "force"), &err);
    if (status) return report_error(in, status, &err);
    fprintf(in->out, "%s: float32 [%zu][%zu]\n", path, slice->n_rows, slice->length);
    return EXIT_DONE;
}

static int choose_rows(struct invocation *in, struct slice *slice)
{
    const char *range = option_text(in, "rows"), *name = option_text(in, "class");
    bool done_only = slice->csv || option_given(in, "npy");
    size_t first = 0, end = slice->info.n_rows, label = SIZE_MAX;
    if (range && !parse_slice(range, slice->info.n_rows, &first, &end))
        return usage_error(in, "--rows '%s' is not A:B within the %zu rows of the file", range,
                           slice->info.n_rows);
    if (name) {
        for (size_t k = 0; k < slice->info.n_classes; k++)
            if (!strcmp(slice->info.classes[k], name)) label = k;
        if (label == SIZE_MAX)
            return usage_error(in, "--class '%s' is not in the file (see engraft info)", name);
    }
    slice->rows = malloc((end - first + 1) * sizeof *slice->rows);
    if (!slice->rows) return EXIT_FAILED;
    size_t left_out = 0;
    for (size_t row = first; row < end; row++) {
        struct eg_features_row r = eg_features_row(slice->features, row);
        if (name && (r.label < 0 || (size_t)r.label != label)) continue;
        bool take = !done_only || !strcmp(r.status, "done");
        left_out += !take;
        if (take) slice->rows[slice->n_rows++] = row;
    }
    if (left_out && !option_flag(in, "quiet")) tell(in, "%zu rows without features are left out", left_out);
    return EXIT_DONE;
}

static int run(struct invocation *in)
{
    const char *npy = option_text(in, "npy");
    struct slice slice = {.csv = option_flag(in, "csv")};
    if (slice.csv + (npy != NULL) + option_flag(in, "json") > 1)
        return usage_error(in, "--csv, --npy and --json exclude each other");
    struct eg_error err;
    enum eg_status status = eg_features_open(in->operands[0], &slice.features, &err);
    if (!status) status = eg_features_find_cut(slice.features, option_text(in, "features"), &slice.cut, &err);
    int code;
    if (status) {
        code = report_error(in, status, &err);
    } else {
        slice.info = eg_features_info(slice.features);
        slice.length = eg_features_cut(slice.features, slice.cut).length;
        code = choose_rows(in, &slice);
        if (!code)
            code = npy                       ? write_npy(in, &slice, npy)
                   : option_flag(in, "json") ? print_rows_json(in, &slice)
                                             : print_rows(in, &slice);
    }
    free(slice.rows);
    eg_features_close(slice.features);
    return code;
}

static const struct option_row options[] = {
    {OPTION_TEXT, "rows", 0, "A:B", "all rows", 0, 0, false, "rows A to B-1, as Python slices: 0:10, -5:"},
    {OPTION_TEXT, "class", 0, "NAME", NULL, 0, 0, false, "only rows of this class"},
    {OPTION_TEXT, "features", 0, "NAME", "the first", 0, 0, false, "which cut of the file"},
    {OPTION_FLAG, "csv", 0, NULL, NULL, 0, 0, false, "print path,label,f0,f1,..."},
    {OPTION_TEXT, "npy", 0, "FILE", NULL, 0, 0, false, "write the numbers as a NumPy array"},
    OPTION_FORCE_ROW,
    OPTION_JSON_ROW,
    {0},
};

const struct command command_rows = {
    .name = "rows",
    .summary = "slices of a feature file as a table, CSV, JSON or .npy",
    .operands = "FILE.h5",
    .example = "engraft rows photos.h5 --rows 0:10",
    .options = options,
    .run = run,
};
