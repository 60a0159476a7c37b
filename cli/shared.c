/* What several subcommands do: find a model, report an error, write JSON. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"

int report_error(const struct invocation *in, enum eg_status status, const struct eg_error *err)
{
    print_error(in, err);
    if (status == EG_E_CANCELLED) return EXIT_INTERRUPTED;
    return status == EG_E_NOT_FOUND ? EXIT_USAGE : EXIT_FAILED;
}

void list_skipped(const struct invocation *in, const struct eg_skipped *skipped, size_t n)
{
    (void)in;
    for (size_t i = 0; i < n; i++) {
        char *path = printable(skipped[i].path), *reason = printable(skipped[i].reason);
        tell_more("skipped %s: %s", path ? path : "?", reason ? reason : "?");
        free(path);
        free(reason);
    }
}

/* Folders that belong to the program itself, found from where it is: installed
 * (bin/../share/engraft/models) or in its build tree. */
static void own_folders(FILE *to)
{
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0) return;
    self[n] = '\0';
    char *slash = strrchr(self, '/');
    if (!slash) return;
    *slash = '\0';
    fprintf(to, "%s/../share/engraft/models:%s/models:%s/../../models", self, self, self);
}

char *model_folders(const struct invocation *in)
{
    char *folders = NULL;
    size_t size, n;
    FILE *to = open_memstream(&folders, &size);
    if (!to) return NULL;
    const char *const *given = option_list(in, "models", &n);
    for (size_t i = 0; i < n; i++) fprintf(to, "%s:", given[i]);
    const char *listed = getenv("ENGRAFT_MODELS"), *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    if (listed && *listed) fprintf(to, "%s:", listed);
    if (data && *data)
        fprintf(to, "%s/engraft/models:", data);
    else if (home && *home)
        fprintf(to, "%s/.local/share/engraft/models:", home);
    own_folders(to);
    if (fclose(to)) {
        free(folders);
        return NULL;
    }
    return folders;
}

int check_writable(const struct invocation *in, const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = !slash ? strdup(".") : strndup(path, slash == path ? 1 : (size_t)(slash - path));
    int code = EXIT_DONE;
    if (folder && access(folder, W_OK | X_OK)) {
        tell(in, "cannot write '%s': %s", path, strerror(errno));
        code = EXIT_FAILED;
    }
    free(folder);
    return code;
}

int check_output(const struct invocation *in, const char *path)
{
    if (option_flag(in, "force") || access(path, F_OK)) return check_writable(in, path);
    tell(in, "'%s' exists (use --force to overwrite it)", path);
    return EXIT_FAILED;
}

int write_text(const struct invocation *in, const char *path, const char *text, size_t n_bytes)
{
    char *made = NULL;
    FILE *file = NULL;
    if (asprintf(&made, "%s.XXXXXX", path) < 0) made = NULL;
    int fd = made ? mkstemp(made) : -1;
    mode_t mask = umask(0);
    umask(mask);
    if (fd >= 0 && !fchmod(fd, 0666 & ~mask)) file = fdopen(fd, "w");
    bool good = file && fwrite(text, 1, n_bytes, file) == n_bytes;
    int error = good ? 0 : errno;
    if (file ? fclose(file) : fd >= 0 && close(fd)) good = false;
    if (good) good = !rename(made, path);
    if (!good) {
        tell(in, "cannot write '%s': %s", path, strerror(error ? error : errno));
        if (fd >= 0) unlink(made);
    }
    free(made);
    return good ? EXIT_DONE : EXIT_FAILED;
}

int write_svg(const struct invocation *in, const char *path, char *svg)
{
    int code = EXIT_FAILED;
    if (svg)
        code = write_text(in, path, svg, strlen(svg));
    else
        tell(in, "out of memory");
    free(svg);
    return code;
}

static bool parse_size(const char *text, size_t *height, size_t *width)
{
    const char *x = strchr(text, 'x');
    char *first = strndup(text, x ? (size_t)(x - text) : strlen(text));
    long long h = 0, w = 0;
    bool good = first && parse_integer(first, &h);
    free(first);
    w = h;
    if (good && x) good = parse_integer(x + 1, &w);
    if (!good || h < 1 || w < 1 || h > 16384 || w > 16384) return false;
    *height = (size_t)h;
    *width = (size_t)w;
    return true;
}

int model_options(const struct invocation *in, struct eg_net_options *options, char **folders)
{
    *options = (struct eg_net_options){EG_SIZED(eg_net_options), .preprocess = option_text(in, "preprocess"),
                                       .trunk = option_flag(in, "trunk")};
    const char *size = option_text(in, "size");
    bool chosen_later = size && in->command->auto_size && !strcmp(size, "auto");
    if (size && !chosen_later && !parse_size(size, &options->height, &options->width))
        return usage_error(in, "--size '%s' is not N or HxW, 1 to 16384 pixels", size);
    const char *views = option_exists(in, "views") ? option_text(in, "views") : NULL;
    if (views && !strcmp(views, "flip")) options->views = EG_VIEWS_FLIP;
    if (views && !strcmp(views, "five")) options->views = EG_VIEWS_FIVE;
    *folders = model_folders(in);
    if (!*folders) return EXIT_FAILED;
    options->folders = *folders;
    return EXIT_DONE;
}

int load_model_at(const struct invocation *in, const char *model, const size_t size[2], eg_net **net)
{
    struct eg_net_options options;
    char *folders = NULL;
    int code = model_options(in, &options, &folders);
    if (code) return code;
    options.height = size[0];
    options.width = size[1];
    if (eg_net_load(model, &options, net, NULL)) *net = NULL;
    free(folders);
    return EXIT_DONE;
}

int check_trunk(const struct invocation *in, const char *model, const eg_net *net)
{
    const char *file = eg_net_weights_path(net), *dot = file ? strrchr(file, '.') : NULL;
    if (!option_flag(in, "trunk") || !dot || strcmp(dot, ".onnx")) return EXIT_DONE;
    return usage_error(in, "--trunk means nothing with '%s', a whole network: cut it where its features are",
                       model);
}

int load_model_like(const struct invocation *in, const char *model, const eg_net *like, eg_net **net)
{
    struct eg_net_options options;
    struct eg_error err;
    char *folders = NULL;
    int code = model_options(in, &options, &folders);
    if (code) return code;
    enum eg_status status = eg_net_load_like(model, &options, like, net, &err);
    free(folders);
    return status ? report_error(in, status, &err) : EXIT_DONE;
}

int load_model(const struct invocation *in, const char *model, eg_net **net)
{
    struct eg_net_options options;
    char *folders = NULL;
    int code = model_options(in, &options, &folders);
    if (code) return code;
    struct eg_error err;
    enum eg_status status = eg_net_load(model, &options, net, &err);
    free(folders);
    if (status) return report_error(in, status, &err);
    if (check_trunk(in, model, *net)) {
        eg_net_free(*net);
        *net = NULL;
        return EXIT_USAGE;
    }
    const char *remark;
    for (size_t i = 0; !option_flag(in, "quiet") && (remark = eg_net_remark(*net, i)); i++) {
        char *shown = printable(remark);
        tell(in, "%s", shown ? shown : "?");
        free(shown);
    }
    return EXIT_DONE;
}

/* One line a kind of picture that nothing reads, one for all the rest, and the remarks. */
void tell_ignored(const struct invocation *in, const eg_dataset *images)
{
    char *rest = NULL;
    size_t size, n_rest = 0;
    FILE *to = open_memstream(&rest, &size);
    for (size_t i = 0; to && i < eg_dataset_ignored_kinds(images); i++) {
        struct eg_ignored k = eg_dataset_ignored_kind(images, i);
        if (k.advice)
            tell(in, "%zu %s file%s ignored, as '%s': %s", k.n, k.kind, k.n == 1 ? "" : "s", k.example,
                 k.advice);
        else
            fprintf(to, "%s %zu %s (as '%s')", n_rest++ ? "," : "", k.n, k.kind, k.example);
    }
    if (to && !fclose(to) && n_rest) tell(in, "ignored%s", rest);
    free(rest);
    for (size_t i = 0; eg_dataset_remark(images, i); i++) tell(in, "%s", eg_dataset_remark(images, i));
}

bool is_stream(const struct invocation *in) { return in->n_operands == 2 && !strcmp(in->operands[1], "-"); }

void tell_contradictions(const struct invocation *in, eg_features *features)
{
    enum { SHOWN = 10 };
    struct eg_contradiction *list;
    size_t n;
    if (eg_features_contradictions(features, &list, &n, NULL) || !n) return;
    tell(in, "%zu photo%s in two classes, which nothing can learn (take one of each out):", n,
         n == 1 ? " is" : "s are");
    for (size_t i = 0; i < n && i < SHOWN; i++)
        tell_more("  '%s' (%s) and '%s' (%s) are the same photo", list[i].path, list[i].label,
                  list[i].other_path, list[i].other_label);
    if (n > SHOWN) tell_more("  and %zu more", n - SHOWN);
    free(list);
}

/* Does the command have the option, and was it given? */
static bool is_given(const struct invocation *in, const char *name)
{
    for (const struct option_row *row = in->command->options; row->kind; row++)
        if (!strcmp(row->name, name)) return option_given(in, name);
    return false;
}

int open_images(const struct invocation *in, const char *path, eg_dataset **dataset)
{
    struct eg_dataset_options options = {EG_SIZED(eg_dataset_options)};
    struct eg_error err;
    options.exclude = option_list(in, "exclude", &options.n_exclude);
    if (is_given(in, "multi-label")) options.several = option_text(in, "labels-sep");
    if (is_given(in, "regress")) options.number = option_text(in, "regress");
    enum eg_status status = strcmp(path, "-") ? eg_dataset_scan(&path, 1, &options, dataset, &err)
                                              : eg_dataset_stream(STDIN_FILENO, &options, dataset, &err);
    if (!status) {
        tell_ignored(in, *dataset);
        return EXIT_DONE;
    }
    report_error(in, status, &err);
    return status == EG_E_ARGUMENT ? EXIT_USAGE : EXIT_FAILED; /* the parts of a split side by side */
}

int list_images(const struct invocation *in, const char *const *paths, size_t n, eg_dataset **dataset)
{
    struct eg_dataset_options options = {EG_SIZED(eg_dataset_options), .unlabelled = true};
    struct eg_error err;
    options.exclude = option_list(in, "exclude", &options.n_exclude);
    bool stream = n == 1 && !strcmp(paths[0], "-");
    enum eg_status status = stream ? eg_dataset_stream(STDIN_FILENO, &options, dataset, &err)
                                   : eg_dataset_scan(paths, n, &options, dataset, &err);
    if (status) {
        report_error(in, status, &err);
        return EXIT_FAILED;
    }
    tell_ignored(in, *dataset);
    return EXIT_DONE;
}

int check_data(const struct invocation *in, const char *path)
{
    if (is_hdf5(path)) return EXIT_DONE;
    eg_dataset *images = NULL;
    int code = open_images(in, path, &images);
    eg_dataset_free(images);
    return code;
}

int open_features(const struct invocation *in, const char *path, eg_features **features)
{
    struct eg_error err;
    enum eg_status status = eg_features_open(path, features, &err);
    return status ? report_error(in, status, &err) : EXIT_DONE;
}

int net_of(const struct invocation *in, eg_features *features, eg_net **net)
{
    if (!eg_features_info(features).network) return EXIT_DONE; /* another program's: the classifier alone */
    char *folders = model_folders(in);
    struct eg_error err;
    enum eg_status status = eg_net_load_of(features, folders, net, &err);
    free(folders);
    return status ? report_error(in, status, &err) : EXIT_DONE;
}

int make_pool(const struct invocation *in, eg_pool **pool)
{
    struct eg_error err;
    enum eg_status status = eg_pool_create((unsigned)option_integer(in, "threads"), pool, &err);
    return status ? report_error(in, status, &err) : EXIT_DONE;
}

void print_json(const struct invocation *in, json_t *json)
{
    json_dumpf(json, in->out, JSON_INDENT(2));
    fputc('\n', in->out);
    json_decref(json);
}

void print_text(const struct invocation *in, char *text)
{
    fputs(text ? text : "null", in->out);
    fputc('\n', in->out);
    free(text);
}

struct extent extent_of(struct eg_shape shape)
{
    struct extent e = {1, 1, 1};
    if (shape.rank >= 1) e.c = shape.dim[shape.rank - 1];
    if (shape.rank >= 3) e.w = shape.dim[shape.rank - 2];
    if (shape.rank == 2) e.h = shape.dim[0];
    for (size_t i = 0; i + 2 < shape.rank; i++) e.h *= shape.dim[i];
    return e;
}

/* A map of one pixel is told as a vector. */
static size_t first_told(struct eg_shape shape)
{
    return shape.rank == 3 && shape.dim[0] == 1 && shape.dim[1] == 1 ? 2 : 0;
}

char *volume_text(struct eg_shape shape, char text[64])
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = first_told(shape); i < shape.rank && used < 64; i++)
        used += (size_t)snprintf(text + used, 64 - used, used ? "x%zu" : "%zu", shape.dim[i]);
    return text;
}

int print_metrics(const struct invocation *in, const struct eg_metrics *metrics, const char *const *classes)
{
    char *report = eg_metrics_report_fit(metrics, classes, terminal_columns(stdout));
    if (!report) return EXIT_FAILED;
    fputs(report, in->out);
    free(report);
    return EXIT_DONE;
}

bool is_hdf5(const char *path)
{
    static const unsigned char signature[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
    unsigned char first[8];
    FILE *file = fopen(path, "rb");
    bool is = file && fread(first, 1, 8, file) == 8 && !memcmp(first, signature, 8);
    if (file) fclose(file);
    return is;
}

bool names_features(const char *path)
{
    size_t n = strlen(path);
    return is_hdf5(path) || (n > 3 && !strcmp(path + n - 3, ".h5"));
}

void print_csv_text(FILE *to, const char *text)
{
    if (!strpbrk(text, ",\"\r\n")) {
        fputs(text, to);
        return;
    }
    fputc('"', to);
    for (; *text; text++) {
        if (*text == '"') fputc('"', to);
        fputc(*text, to);
    }
    fputc('"', to);
}

void print_recipe(FILE *to, const struct eg_recipe *r, int indent)
{
    if (r->resize == EG_RESIZE_SHORT)
        fprintf(to, "short side to %zu, crop %zux%zu", r->size, r->crop[0], r->crop[1]);
    else
        fprintf(to, r->resize == EG_RESIZE_SQUASH ? "squash to %zux%zu" : "crop %zux%zu", r->crop[0],
                r->crop[1]);
    if (r->resize != EG_RESIZE_NONE)
        fprintf(to, ", %s%s",
                r->filter == EG_FILTER_BICUBIC   ? "bicubic"
                : r->filter == EG_FILTER_NEAREST ? "nearest"
                                                 : "bilinear",
                r->antialias || r->filter == EG_FILTER_NEAREST ? "" : " without antialiasing");
    fprintf(to, "%s%s%s\n%*s%s, (x * %.6g - mean) / std, mean %.6g %.6g %.6g, std %.6g %.6g %.6g\n",
            r->exif ? "" : ", EXIF orientation ignored", r->icc_srgb ? ", colours to sRGB" : "",
            r->fast_decode ? ", fast decoding" : "", indent, "", r->bgr ? "BGR" : "RGB", r->scale, r->mean[0],
            r->mean[1], r->mean[2], r->std[0], r->std[1], r->std[2]);
}
