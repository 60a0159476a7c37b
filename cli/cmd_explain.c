/* engraft explain: where in a photo a network sees a class. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"

enum { NEAREST_SHOWN = 3, WIDEST_MAP = 32 };

struct explaining {
    struct invocation *in;
    const char *folder; /* of the pictures; NULL: none are written */
    json_t *list;       /* --json */
    eg_features *known;
    struct eg_similar_report *similar; /* its rows' names are those of `known` */
    char **written;                    /* names in the folder */
    size_t n_written, n_photos, n_unreadable;
    int code;
};

/* ---- pictures ------------------------------------------------------------------------------ */

static bool is_written(const struct explaining *x, const char *path)
{
    for (size_t i = 0; i < x->n_written; i++)
        if (!strcmp(x->written[i], path)) return true;
    return false;
}

/* FOLDER/photo.jpg.png; photos of one name in several folders: photo.jpg-2.png. NULL: no memory. */
static const char *picture_name(struct explaining *x, const char *photo)
{
    const char *slash = strrchr(photo, '/'), *last = slash ? slash + 1 : photo;
    char **grown = realloc(x->written, (x->n_written + 1) * sizeof *grown), *path = NULL;
    if (!grown) return NULL;
    x->written = grown;
    for (size_t i = 1; i <= x->n_photos; i++) {
        int n = i == 1 ? asprintf(&path, "%s/%s.png", x->folder, last)
                       : asprintf(&path, "%s/%s-%zu.png", x->folder, last, i);
        if (n < 0) return NULL;
        if (!is_written(x, path)) break;
        free(path);
        path = NULL;
    }
    if (path) x->written[x->n_written++] = path;
    return path;
}

static const char *draw(struct explaining *x, const struct eg_explanation *e)
{
    struct eg_image picture = {0};
    struct eg_error err;
    const char *path = picture_name(x, e->path);
    if (!path) {
        x->code = EXIT_FAILED;
        return NULL;
    }
    enum eg_status status = eg_explanation_picture(e, &picture, &err);
    if (!status) status = eg_image_save_png(&picture, path, option_flag(x->in, "force"), &err);
    if (status) x->code = report_error(x->in, status, &err);
    eg_image_release(&picture);
    return status ? NULL : path;
}

/* ---- text ---------------------------------------------------------------------------------- */

/* The map in letters: the largest part is @, a part against the class is -. */
static void print_map(FILE *to, const struct eg_explanation *e)
{
    static const char steps[] = " .:+*#@";
    float largest = 0;
    for (size_t i = 0; i < e->height * e->width; i++) largest = fmaxf(largest, fabsf(e->map[i]));
    for (size_t y = 0; y < e->height; y++) {
        fputs("    |", to);
        for (size_t x = 0; x < e->width; x++) {
            float part = largest > 0 ? e->map[y * e->width + x] / largest : 0;
            char letter = part < -0.15f ? '-' : part < 0 ? ' ' : steps[(size_t)lrintf(part * 6)];
            fputc(letter, to);
            fputc(letter, to);
        }
        fputs("|\n", to);
    }
}

static void print_unknown(FILE *to, const struct eg_explanation *e)
{
    fprintf(to,
            "  unknown: its likeliest class has %.0f %% (it takes %.0f %%); it is %.2f times as far from the "
            "nearest class as photos of it are (at most %.2f)\n",
            100 * e->confidence, 100 * e->confidence_least, e->distance, e->distance_most);
}

static void print_explanation(const struct explaining *x, const struct eg_explanation *e, const char *picture,
                              const struct eg_similar_photo *similar)
{
    FILE *to = x->in->out;
    print_path(to, e->path);
    fprintf(to, "  %s %.1f %%, score %.4g", e->label, 100 * (double)e->probability, e->score);
    if (e->exact)
        fprintf(to, ": the sum of the map and %.4g\n", e->bias);
    else
        fputs(" (Grad-CAM)\n", to);
    if (e->unknown) print_unknown(to, e);
    if (e->width <= WIDEST_MAP && e->height <= WIDEST_MAP) print_map(to, e);
    for (size_t i = 0; similar && i < similar->n_nearest; i++) {
        const struct eg_similar_row *row = &similar->nearest[i];
        fprintf(to, "  like %6.4f  ", row->similarity);
        print_padded(to, row->label ? row->label : "", 20, true);
        fputc(' ', to);
        print_path(to, row->path);
    }
    if (picture) fputs("  drawn in ", to);
    if (picture) print_path(to, picture);
}

/* An eg_explanation_fn. */
static void take(void *user, const struct eg_explanation *e)
{
    struct explaining *x = user;
    size_t at = x->n_photos++;
    if (x->code) return;
    const struct eg_similar_photo *similar =
        x->similar && at < x->similar->n_photos ? &x->similar->photos[at] : NULL;
    if (e->error) {
        const struct eg_skipped skipped = {(char *)e->path, (char *)e->error};
        list_skipped(x->in, &skipped, 1);
        x->n_unreadable++;
    }
    const char *picture = x->folder && !e->error ? draw(x, e) : NULL;
    if (x->list) {
        char *text = eg_explanation_json(e, picture, similar);
        if (text) json_array_append_new(x->list, json_loads(text, 0, NULL));
        free(text);
    } else if (!e->error) {
        print_explanation(x, e, picture, similar);
    }
}

/* ---- the command ----------------------------------------------------------------------------- */

static int make_folder(const struct invocation *in, const char *folder)
{
    struct stat info;
    if (!folder || !mkdir(folder, 0777) || (errno == EEXIST && !stat(folder, &info) && S_ISDIR(info.st_mode)))
        return EXIT_DONE;
    tell(in, "cannot make the folder '%s': %s", folder, strerror(errno));
    return EXIT_FAILED;
}

static int find_similar(struct explaining *x, const eg_dataset *images, eg_pool *pool)
{
    const char *known = option_text(x->in, "known");
    if (!known) return EXIT_DONE;
    eg_net *net = NULL;
    struct progress progress;
    struct eg_error err;
    int code = open_features(x->in, known, &x->known);
    if (!code) code = net_of(x->in, x->known, &net);
    if (!code && !net) {
        tell(x->in, "'%s' does not say which network made its features", known);
        code = EXIT_FAILED;
    }
    if (!code) {
        progress_begin(&progress, x->in, "similar");
        struct eg_similar_options how = {EG_SIZED(eg_similar_options), .top = NEAREST_SHOWN, .pool = pool,
                                         .progress = progress_step, .user = &progress};
        enum eg_status status = eg_similar(x->known, net, images, &how, &x->similar, &err);
        progress_end(&progress);
        if (status) code = report_error(x->in, status, &err);
    }
    eg_net_free(net);
    return code;
}

static int explain(struct explaining *x, const eg_net *net, const eg_dataset *images, eg_pool *pool)
{
    const char *method = option_text(x->in, "method");
    struct progress progress;
    progress_begin(&progress, x->in, "explain");
    struct eg_explain_options how = {EG_SIZED(eg_explain_options), .label = option_text(x->in, "class"),
                                     .pool = pool, .progress = progress_step, .user = &progress};
    if (method && !strcmp(method, "exact")) how.method = EG_EXPLAIN_EXACT;
    if (method && !strcmp(method, "grad-cam")) how.method = EG_EXPLAIN_GRAD_CAM;
    struct eg_error err;
    enum eg_status status = eg_explain(net, images, &how, take, x, &err);
    progress_end(&progress);
    if (status == EG_E_CANCELLED) {
        tell(x->in, "interrupted; pictures drawn so far stay, run it again with --force");
        return EXIT_INTERRUPTED;
    }
    if (status) return report_error(x->in, status, &err);
    if (x->code) return x->code;
    if (x->n_unreadable == x->n_photos) {
        tell(x->in, "no photo could be read");
        return EXIT_FAILED;
    }
    if (x->list) print_json(x->in, json_incref(x->list));
    return x->n_unreadable ? EXIT_SKIPPED : EXIT_DONE;
}

static int run(struct invocation *in)
{
    eg_net *net = NULL;
    eg_dataset *images = NULL;
    eg_pool *pool = NULL;
    struct explaining x = {.in = in, .folder = option_text(in, "output")};
    if (option_flag(in, "json")) x.list = json_array();
    int code = load_model(in, in->operands[0], &net);
    if (!code) code = list_images(in, in->operands + 1, in->n_operands - 1, &images);
    if (!code) code = make_folder(in, x.folder);
    if (!code) code = make_pool(in, &pool);
    if (!code) code = find_similar(&x, images, pool);
    if (!code) code = explain(&x, net, images, pool);
    for (size_t i = 0; i < x.n_written; i++) free(x.written[i]);
    free(x.written);
    json_decref(x.list);
    eg_similar_report_free(x.similar);
    eg_features_close(x.known);
    eg_dataset_free(images);
    eg_net_free(net);
    eg_pool_free(pool);
    return code;
}

static const struct option_row options[] = {
    {OPTION_TEXT, "output", 'o', "FOLDER", NULL, 0, 0, false,
     "draw each map over its photo: FOLDER/photo.jpg.png"},
    {OPTION_TEXT, "class", 0, "NAME", "each photo's likeliest", 0, 0, false, "the class to explain"},
    {OPTION_TEXT, "known", 0, "FILE.h5", NULL, 0, 0, false,
     "a feature file: the nearest of its photos are named too"},
    {OPTION_CHOICE, "method", 0, "auto|exact|grad-cam", NULL, 0, 0, false,
     "auto: exact where the score is a sum over positions, else Grad-CAM"},
    OPTION_FORCE_ROW,
    OPTION_EXCLUDE_ROW,
    OPTION_JSON_ROW,
    OPTION_MODEL_ROWS,
    {0},
};

const struct command command_explain = {
    .name = "explain",
    .summary = "a heat-map of what in a photo spoke for a class",
    .operands = "MODEL PHOTO...",
    .details = "An exact map is a sum: all its parts and one number make the score of the class, before the "
               "softmax; of two classes the score is the one's less the other's. Red speaks for the class, "
               "blue against it. Where a photo is \"unknown\", how far it is from the classes is told.",
    .example = "engraft explain mine.onnx photo.jpg -o maps",
    .options = options,
    .run = run,
};
