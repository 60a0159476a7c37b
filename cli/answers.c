/* classify and predict: photos to the classes a network sees in them. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

struct answers {
    const struct invocation *in;
    json_t *list;          /* --json */
    struct sorter *sorter; /* NULL: none */
    size_t n_read, n_skipped;
    size_t top;
};

static void add_json(struct answers *a, const struct eg_answer *answer)
{
    char *text = eg_answer_json(answer);
    if (text) json_array_append_new(a->list, json_loads(text, 0, NULL));
    free(text);
}

/* What was rejected has no share: "unknown" is no class. */
static void print_share(FILE *to, const struct eg_guess *guess)
{
    if (guess->index < 0)
        fprintf(to, "%10s", "");
    else
        fprintf(to, "%6.1f %%  ", 100 * (double)guess->probability);
}

/* All labels that are said, and each one's share. */
static void print_labels(FILE *to, const struct eg_answer *answer)
{
    print_path(to, answer->path);
    if (!answer->n_labels) fputs("            (no label)\n", to);
    for (size_t i = 0; i < answer->n_labels; i++) {
        fputs("  ", to);
        print_share(to, &answer->labels[i]);
        fprintf(to, "%s\n", answer->labels[i].label);
    }
}

static void print_answer(struct answers *a, const struct eg_answer *answer)
{
    FILE *to = a->in->out;
    if (answer->labels) {
        print_labels(to, answer);
        return;
    }
    if (!answer->top) {
        fprintf(to, "%12.6g  ", answer->value);
        print_path(to, answer->path);
        return;
    }
    if (a->top == 1) {
        print_share(to, &answer->top[0]);
        print_padded(to, answer->top[0].label, 20, false);
        fputc(' ', to);
        print_path(to, answer->path);
    } else {
        print_path(to, answer->path);
        for (size_t i = 0; i < answer->n_top; i++) {
            fputs("  ", to);
            print_share(to, &answer->top[i]);
            fprintf(to, "%s\n", answer->top[i].label);
        }
    }
}

static void take_answer(void *user, const struct eg_answer *answer)
{
    struct answers *a = user;
    if (answer->error) {
        a->n_skipped++;
        struct eg_skipped skipped = {strdup(answer->path), strdup(answer->error)};
        if (skipped.path && skipped.reason) list_skipped(a->in, &skipped, 1);
        free(skipped.path);
        free(skipped.reason);
    } else {
        a->n_read++;
        if (a->sorter && a->sorter->folder) sorter_add(a->sorter, answer->path, answer->top[0].label);
    }
    if (a->list)
        add_json(a, answer);
    else if (!answer->error)
        print_answer(a, answer);
}

static int classify(struct invocation *in, struct answers *a, const eg_net *net, const eg_dataset *images,
                    eg_pool *pool)
{
    struct progress progress;
    progress_begin(&progress, in, in->command->name);
    struct eg_classify_options how = {EG_SIZED(eg_classify_options),
                                      .top = a->top,
                                      .batch = (size_t)option_integer(in, "batch"),
                                      .pool = pool,
                                      .progress = progress_step,
                                      .user = &progress};
    struct eg_error err;
    enum eg_status status = eg_classify(net, images, &how, take_answer, a, &err);
    progress_end(&progress);
    if (is_stream(in)) tell_ignored(in, images);
    if (status == EG_E_CANCELLED) {
        tell(in, "interrupted; nothing was written, run it again");
        return EXIT_INTERRUPTED;
    }
    if (status) return report_error(in, status, &err);
    if (!a->n_read) {
        tell(in, "no photo could be read");
        return EXIT_FAILED;
    }
    if (a->list) print_json(in, json_incref(a->list));
    return a->n_skipped ? EXIT_SKIPPED : EXIT_DONE;
}

int run_answers(struct invocation *in, list_fn *list, struct sorter *sorter)
{
    struct answers a = {.in = in, .sorter = sorter, .top = (size_t)option_integer(in, "top")};
    eg_net *net = NULL;
    eg_pool *pool = NULL;
    eg_dataset *images = NULL;
    int code = load_model(in, in->operands[0], &net);
    if (!code) code = sorter_check(sorter, net);
    if (!code) code = make_pool(in, &pool);
    if (!code) code = list(in, &images);
    if (!code && !eg_dataset_count(images) && !is_stream(in))
        code = usage_error(in, "there are fewer photos than shards");
    if (!code) {
        if (option_flag(in, "json")) a.list = json_array();
        code = classify(in, &a, net, images, pool);
    }
    json_decref(a.list);
    eg_dataset_free(images);
    eg_pool_free(pool);
    eg_net_free(net);
    return code;
}
