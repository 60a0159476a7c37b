/* predict's answers as they come: to standard output or to a file that is whole after every photo
 * and gone on with when the command is run again. Which photos: a list, a shard of them, those that
 * the file does not have yet. */
#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

static const char csv_header[] = "path,rank,label,probability\n", csv_header_of_numbers[] = "path,value\n";

struct stream {
    const struct invocation *in;
    const char *path;   /* NULL: standard output */
    const char *header; /* of CSV */
    FILE *to;
    bool jsonl;
    void *done;     /* tree of the paths that the file has */
    char *last;     /* of these the last, and what is said of it: answered again, and compared */
    char *expected; /* NULL: begun anew */
    size_t n_done, n_read, n_skipped;
    bool differs, failed;
    const void *both[2]; /* for not_done */
    struct sorter *sorter;
};

static int compare_paths(const void *a, const void *b) { return strcmp(a, b); }

/* ---- which photos --------------------------------------------------------------- */

/* A path a line, or ended by NUL. */
static char **read_list(const struct invocation *in, const char *name, size_t *n)
{
    FILE *from = strcmp(name, "-") ? fopen(name, "r") : stdin;
    if (!from) {
        fprintf(stderr, "engraft %s: cannot open '%s': %s\n", in->command->name, name, strerror(errno));
        return NULL;
    }
    char **paths = NULL, *line = NULL;
    size_t room = 0, line_room = 0;
    int end = option_flag(in, "null") ? '\0' : '\n';
    ssize_t length;
    *n = 0;
    while ((length = getdelim(&line, &line_room, end, from)) > 0) {
        if (line[length - 1] == end) line[--length] = '\0';
        if (end == '\n' && length && line[length - 1] == '\r') line[--length] = '\0';
        if (!length) continue;
        if (*n == room) {
            char **more = realloc(paths, (room = 2 * room + 64) * sizeof *paths);
            if (!more) break;
            paths = more;
        }
        if (!(paths[*n] = strdup(line))) break;
        ++*n;
    }
    free(line);
    if (from != stdin) fclose(from);
    if (!*n) fprintf(stderr, "engraft %s: no paths in '%s'\n", in->command->name, name);
    if (*n) return paths;
    free(paths);
    return NULL;
}

struct range {
    size_t first, last;
};

static bool in_range(void *user, size_t index)
{
    const struct range *range = user;
    return index >= range->first && index < range->last;
}

static int keep_shard(const struct invocation *in, eg_dataset *images)
{
    const char *text = option_text(in, "shard");
    size_t shard, n_shards, n = eg_dataset_count(images);
    if (!text) return EXIT_DONE;
    if (is_stream(in)) return usage_error(in, "--shard needs to know how many photos there are");
    if (!parse_shard(text, &shard, &n_shards))
        return usage_error(in, "--shard '%s' is not I/N with I from 0 to N-1", text);
    struct range range = {(size_t)((unsigned __int128)n * shard / n_shards),
                          (size_t)((unsigned __int128)n * (shard + 1) / n_shards)};
    eg_dataset_keep(images, in_range, &range);
    return EXIT_DONE;
}

int listed_images(const struct invocation *in, eg_dataset **images)
{
    const char *list = option_text(in, "from-list");
    if (!list && in->n_operands < 2)
        return usage_error(in, "no photos are named (or a list of them: --from-list FILE)");
    if (!list && option_flag(in, "null")) return usage_error(in, "-0 says something about --from-list alone");
    if (list && in->n_operands > 1) return usage_error(in, "--from-list excludes '%s'", in->operands[1]);
    size_t n = 0;
    char **paths = list ? read_list(in, list, &n) : NULL;
    if (list && !paths) return EXIT_FAILED;
    int code = list ? list_images(in, (const char *const *)paths, n, images)
                    : list_images(in, in->operands + 1, in->n_operands - 1, images);
    for (size_t i = 0; i < n; i++) free(paths[i]);
    free(paths);
    return code;
}

int predict_images(const struct invocation *in, eg_dataset **images)
{
    int code = listed_images(in, images);
    return code ? code : keep_shard(in, *images);
}

/* ---- the file so far -------------------------------------------------------------- */

/* The next field of a line of CSV; *line moves behind it. NULL: no memory. */
static char *csv_field(const char **line)
{
    char *field = malloc(strlen(*line) + 1), *to = field;
    const char *at = *line;
    bool quoted = *at == '"';
    if (!field) return NULL;
    for (at += quoted; *at; at++) {
        if (quoted && *at == '"' && *++at != '"') break;
        if (!quoted && strchr(",\r\n", *at)) break;
        *to++ = *at;
    }
    *to = '\0';
    *line = at + (*at == ',');
    return field;
}

static char *csv_path(const char *line) { return csv_field(&line); }

static char *json_path(const char *line)
{
    json_t *answer = json_loads(line, 0, NULL);
    const char *path = json_string_value(json_object_get(answer, "path"));
    char *copy = path ? strdup(path) : NULL;
    json_decref(answer);
    return copy;
}

/* Quoted names may hold ends of lines: a record ends where as many quotes are open as closed. */
static char *next_record(FILE *from, bool csv)
{
    char *record = NULL, *line = NULL;
    size_t n = 0, room = 0, quotes = 0;
    ssize_t length;
    while ((length = getline(&line, &room, from)) > 0) {
        char *more = realloc(record, n + (size_t)length + 1);
        if (!more) break;
        record = more;
        memcpy(record + n, line, (size_t)length + 1);
        n += (size_t)length;
        for (ssize_t i = 0; csv && i < length; i++) quotes += line[i] == '"';
        if (quotes % 2 == 0) break;
    }
    free(line);
    if (record && record[n - 1] == '\n' && quotes % 2 == 0) return record;
    free(record); /* the end of what was cut off */
    return NULL;
}

/* What the file has. It is cut off before the last photo's answers, of which some may be missing. */
static int read_back(struct stream *s, FILE *from)
{
    const char *head = s->jsonl ? "{" : s->header;
    char first[sizeof csv_header];
    size_t n = fread(first, 1, strlen(head), from);
    char *record = NULL;
    if (memcmp(first, head, n)) goto foreign;
    long last_at = s->jsonl || n < strlen(head) ? 0 : (long)n;
    fseek(from, last_at, SEEK_SET);
    if (n == strlen(head)) record = next_record(from, !s->jsonl);
    for (long at = last_at; record; record = next_record(from, !s->jsonl)) {
        char *path = s->jsonl ? json_path(record) : csv_path(record);
        if (!path) goto foreign;
        if (!s->last || strcmp(path, s->last)) {
            if (s->last && !tfind(s->last, &s->done, compare_paths)) {
                tsearch(s->last, &s->done, compare_paths);
                s->n_done++;
                s->last = NULL;
            }
            free(s->last);
            free(s->expected);
            s->last = path;
            s->expected = record;
            last_at = at;
        } else { /* another answer for the same photo */
            char *both;
            free(path);
            if (asprintf(&both, "%s%s", s->expected, record) < 0) goto foreign;
            free(s->expected);
            free(record);
            s->expected = both;
        }
        at = ftell(from);
    }
    return truncate(s->path, last_at) ? EXIT_FAILED : EXIT_DONE;
foreign:
    free(record);
    fprintf(stderr, "engraft %s: '%s' exists and is not one to go on with (--force overwrites it)\n",
            s->in->command->name, s->path);
    return EXIT_FAILED;
}

static bool not_done(void *user, size_t index)
{
    const void *const *both = user;
    const struct stream *s = both[0];
    const char *path = eg_dataset_path(both[1], index, NULL);
    return !tfind(path, (void *const *)&s->done, compare_paths);
}

static int open_stream(struct stream *s, eg_dataset *images)
{
    s->to = stdout;
    if (s->path) {
        FILE *from = option_flag(s->in, "force") ? NULL : fopen(s->path, "r");
        int code = from ? read_back(s, from) : EXIT_DONE;
        if (from) fclose(from);
        if (code) return code;
        s->to = fopen(s->path, option_flag(s->in, "force") ? "w" : "a");
        if (!s->to) {
            fprintf(stderr, "engraft %s: cannot write '%s': %s\n", s->in->command->name, s->path,
                    strerror(errno));
            return EXIT_FAILED;
        }
        fseek(s->to, 0, SEEK_END);
    }
    if (!s->jsonl && (!s->path || !ftell(s->to))) fputs(s->header, s->to);
    s->both[0] = s;
    s->both[1] = images;
    if (s->n_done) eg_dataset_keep(images, not_done, s->both);
    return EXIT_DONE;
}

/* ---- answers ----------------------------------------------------------------------- */

static char *answer_text(const struct stream *s, const struct eg_answer *answer)
{
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);
    if (!to) return NULL;
    if (s->jsonl) {
        char *line = eg_answer_json(answer);
        fprintf(to, "%s\n", line ? line : "null");
        free(line);
    }
    if (!s->jsonl && !answer->error && !answer->top) {
        print_csv_text(to, answer->path);
        fprintf(to, ",%.9g\n", answer->value);
    }
    const struct eg_guess *said = answer->labels ? answer->labels : answer->top;
    const size_t n_said = answer->labels ? answer->n_labels : answer->n_top;
    for (size_t i = 0; !s->jsonl && !answer->error && i < n_said; i++) {
        print_csv_text(to, answer->path);
        fprintf(to, ",%zu,", i + 1);
        print_csv_text(to, said[i].label);
        fprintf(to, ",%.6f\n", (double)said[i].probability);
    }
    if (!s->jsonl && !answer->error && answer->labels && !n_said) { /* looked at, and without a label */
        print_csv_text(to, answer->path);
        fputs(",0,,\n", to);
    }
    if (fclose(to)) {
        free(text);
        return NULL;
    }
    return text;
}

static void take(void *user, const struct eg_answer *answer)
{
    struct stream *s = user;
    char *text = answer_text(s, answer);
    if (answer->error) {
        s->n_skipped++;
        struct eg_skipped skipped = {strdup(answer->path), strdup(answer->error)};
        if (skipped.path && skipped.reason) list_skipped(s->in, &skipped, 1);
        free(skipped.path);
        free(skipped.reason);
    } else {
        s->n_read++;
        if (!s->path && s->sorter->folder) sorter_add(s->sorter, answer->path, answer->top[0].label);
    }
    /* The last photo of the run before: another model, or another program, answers otherwise. */
    if (text && s->expected && !strcmp(answer->path, s->last)) {
        s->differs = strncmp(text, s->expected, strlen(s->expected));
        if (s->differs) fputs(s->expected, s->to);
        free(s->expected);
        s->expected = NULL;
    }
    if (!text || (!s->differs && (fputs(text, s->to) < 0 || fflush(s->to)))) s->failed = true;
    free(text);
}

/* ---- what the file says, sorted -------------------------------------------------------- */

/* One record: the likeliest class of a photo. */
static void sort_record(const struct stream *s, const char *record)
{
    if (s->jsonl) {
        json_t *answer = json_loads(record, 0, NULL);
        const char *path = json_string_value(json_object_get(answer, "path")),
                   *label = json_string_value(
                       json_object_get(json_array_get(json_object_get(answer, "top"), 0), "label"));
        if (path && label) sorter_add(s->sorter, path, label);
        json_decref(answer);
        return;
    }
    char *path = csv_field(&record), *place = csv_field(&record), *label = csv_field(&record);
    if (path && place && label && !strcmp(place, "1")) sorter_add(s->sorter, path, label);
    free(path);
    free(place);
    free(label);
}

/* All answers, those of earlier runs too. */
static int sort_file(const struct stream *s)
{
    if (!s->path || !s->sorter->folder) return EXIT_DONE;
    FILE *from = fopen(s->path, "r");
    if (!from) {
        tell(s->in, "cannot read '%s': %s", s->path, strerror(errno));
        return EXIT_FAILED;
    }
    for (char *record; (record = next_record(from, !s->jsonl)); free(record)) sort_record(s, record);
    fclose(from);
    return EXIT_DONE;
}

struct watched {
    struct progress progress;
    const struct stream *stream;
};

static bool watch(void *user, size_t done, size_t total)
{
    struct watched *w = user;
    return !w->stream->differs && !w->stream->failed && progress_step(&w->progress, done, total);
}

static int end_of_stream(const struct stream *s, enum eg_status status, const struct eg_error *err)
{
    const char *command = s->in->command->name, *path = s->path;
    if (s->differs) {
        fprintf(
            stderr,
            "engraft %s: '%s' was begun otherwise: it has another answer for '%s' (--force overwrites it)\n",
            command, path, s->last);
        return EXIT_FAILED;
    }
    if (s->failed) {
        fprintf(stderr, "engraft %s: cannot write to %s\n", command, path ? path : "standard output");
        return EXIT_FAILED;
    }
    if (status == EG_E_CANCELLED) {
        fprintf(stderr, "engraft %s: interrupted; %zu answers are %s%s%s\n", command, s->n_read + s->n_done,
                path ? "in '" : "written", path ? path : "",
                path ? "': run the same command again to go on" : "");
        return EXIT_INTERRUPTED;
    }
    if (status) return report_error(s->in, status, err);
    if (!s->n_read && !s->n_done) {
        fprintf(stderr, "engraft %s: no photo could be read\n", command);
        return EXIT_FAILED;
    }
    return s->n_skipped ? EXIT_SKIPPED : EXIT_DONE;
}

int run_stream(struct invocation *in, struct sorter *sorter)
{
    struct stream s = {.in = in, .path = option_text(in, "output"), .sorter = sorter};
    const char *dot = s.path ? strrchr(s.path, '.') : NULL;
    s.jsonl = option_flag(in, "jsonl") || (!option_flag(in, "csv") && dot && !strcmp(dot, ".jsonl"));
    if (s.path && !s.jsonl && !option_flag(in, "csv") && (!dot || strcmp(dot, ".csv")))
        return usage_error(in, "-o '%s' ends in neither .csv nor .jsonl (or say --csv or --jsonl)", s.path);
    eg_net *net = NULL;
    eg_pool *pool = NULL;
    eg_dataset *images = NULL;
    int code = load_model(in, in->operands[0], &net);
    if (!code) code = sorter_check(sorter, net);
    if (!code) code = make_pool(in, &pool);
    if (!code) code = predict_images(in, &images);
    if (net) s.header = eg_net_answer(net) == EG_ANSWER_VALUE ? csv_header_of_numbers : csv_header;
    if (!code) code = open_stream(&s, images);
    if (!code) {
        struct watched w = {.stream = &s};
        progress_begin(&w.progress, in, in->command->name);
        struct eg_classify_options how = {EG_SIZED(eg_classify_options),
                                          .top = (size_t)option_integer(in, "top"),
                                          .batch = (size_t)option_integer(in, "batch"),
                                          .pool = pool,
                                          .progress = watch,
                                          .user = &w};
        struct eg_error err = {.message = ""};
        enum eg_status status = EG_OK;
        if (eg_dataset_count(images) || is_stream(in))
            status = eg_classify(net, images, &how, take, &s, &err);
        progress_end(&w.progress);
        if (is_stream(in)) tell_ignored(in, images);
        code = end_of_stream(&s, status, &err);
    }
    if (s.to && s.to != stdout && fclose(s.to)) code = EXIT_FAILED;
    if (code == EXIT_DONE || code == EXIT_SKIPPED) {
        int sorted = sort_file(&s);
        if (sorted) code = sorted;
    }
    tdestroy(s.done, free);
    free(s.last);
    free(s.expected);
    eg_dataset_free(images);
    eg_pool_free(pool);
    eg_net_free(net);
    return code;
}
