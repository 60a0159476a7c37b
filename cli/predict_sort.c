/* predict --move, --link: the answers become places, all at the end and by one journal. */
#include <stdlib.h>

#include "cli.h"

int sorter_begin(const struct invocation *in, struct sorter *sorter)
{
    const char *move = option_text(in, "move"), *link = option_text(in, "link");
    *sorter = (struct sorter){.in = in, .folder = move ? move : link, .link = link != NULL};
    if (!sorter->folder) return EXIT_DONE;
    struct eg_error err;
    enum eg_status status = eg_sorting_create(sorter->folder, sorter->link, &sorter->sorting, &err);
    return status ? report_error(in, status, &err) : EXIT_DONE;
}

int sorter_check(const struct sorter *sorter, const eg_net *net)
{
    if (!sorter || !sorter->folder || eg_net_answer(net) == EG_ANSWER_CLASS) return EXIT_DONE;
    return usage_error(sorter->in, "photos go to folders by their one class: '%s' answers with %s",
                       sorter->in->operands[0],
                       eg_net_answer(net) == EG_ANSWER_VALUE ? "numbers" : "several labels");
}

void sorter_add(struct sorter *sorter, const char *path, const char *label)
{
    if (sorter->sorting && !sorter->status)
        sorter->status = eg_sorting_add(sorter->sorting, path, label, &sorter->err);
}

static void tell_sorted(const struct invocation *in, const struct sorter *sorter,
                        const struct eg_sorted *sorted)
{
    list_skipped(in, sorted->skipped, sorted->n_skipped);
    if (option_flag(in, "quiet")) return;
    tell(in, "%zu photos %s '%s'", sorted->done, sorter->link ? "linked in" : "moved to", sorter->folder);
    if (sorted->stayed) tell(in, "%zu were there already", sorted->stayed);
    if (sorted->finished)
        tell(in, "%zu moves of a run that was stopped were finished first", sorted->finished);
    if (sorted->journal) tell(in, "to take it back: engraft predict --undo %s", sorted->journal);
}

int sorter_end(struct sorter *sorter, int code)
{
    const struct invocation *in = sorter->in;
    if (sorter->sorting && (code == EXIT_DONE || code == EXIT_SKIPPED)) {
        struct eg_sorted sorted;
        enum eg_status status = sorter->status;
        if (!status) status = eg_sorting_apply(sorter->sorting, &sorted, &sorter->err);
        if (status) {
            code = report_error(in, status, &sorter->err);
        } else {
            tell_sorted(in, sorter, &sorted);
            if (sorted.n_skipped) code = EXIT_SKIPPED;
            eg_sorted_release(&sorted);
        }
    }
    eg_sorting_free(sorter->sorting);
    sorter->sorting = NULL;
    return code;
}

int sort_back(const struct invocation *in)
{
    struct eg_sorted sorted;
    struct eg_error err;
    enum eg_status status = eg_sorting_undo(option_text(in, "undo"), &sorted, &err);
    if (status) return report_error(in, status, &err);
    list_skipped(in, sorted.skipped, sorted.n_skipped);
    if (option_flag(in, "json"))
        print_text(in, eg_sorted_json(&sorted));
    else
        fprintf(in->out, "%zu files are back where they were\n", sorted.done);
    int code = sorted.n_skipped ? EXIT_SKIPPED : EXIT_DONE;
    eg_sorted_release(&sorted);
    return code;
}
