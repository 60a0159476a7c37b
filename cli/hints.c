/* What the user of the program can do about an error of the library: a row a reason. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

/* %s: the error's subject. A row of a command comes before the row of all. */
static const struct hint {
    enum eg_reason reason;
    const char *command, *text;
} hints[] = {
    {EG_REASON_OUTPUT_EXISTS, NULL, "use --force to overwrite it"},
    {EG_REASON_OUTPUT_FOREIGN, NULL, "use another name, or --force to overwrite it"},
    {EG_REASON_MADE_OTHERWISE, "train", "use another name, or --fresh to compute it again"},
    {EG_REASON_MADE_OTHERWISE, NULL, "use another name, or --force to begin anew"},
    {EG_REASON_PHOTOS_CHANGED, "extract", "use --append to go on with the photos as they are now"},
    {EG_REASON_PHOTOS_CHANGED, NULL, "use another name, or --force to begin anew"},
    {EG_REASON_PHOTOS_OTHER, "train", "use another name, or --fresh to compute it again"},
    {EG_REASON_RUN_UNFINISHED, NULL, "go on with --resume, or begin anew with --force"},
    {EG_REASON_NETWORK_UNKNOWN, NULL, "engraft models lists them"},
    {EG_REASON_WEIGHTS_MISSING, NULL, "run engraft fetch %s, or give %s=FILE"},
    {EG_REASON_LAYER_UNKNOWN, NULL, "engraft inspect lists all"},
    {EG_REASON_NOT_A_CUT, NULL, "engraft inspect marks those that do"},
    {EG_REASON_NO_DEFAULT_CUT, NULL, "give one with --cut"},
    {EG_REASON_NO_RECIPE, NULL, "give it with --preprocess"},
    {EG_REASON_NETWORK_ELSEWHERE, NULL, "give it with --model"},
    {EG_REASON_NETWORK_OTHER, NULL, "give the right ones with --model"},
    {EG_REASON_FEW_ROWS, NULL, "use a smaller --cv, or add some"},
    {EG_REASON_ONE_GROUP, NULL, "use --cv 1, or add a group"},
    {EG_REASON_NOT_TRAINED_HERE, NULL, "use --rows all"},
    {EG_REASON_LEARNED_ALL, NULL, "use --rows all to measure on them all the same"},
    {EG_REASON_RATE_TOO_HIGH, NULL, "try a lower --lr"},
    {EG_REASON_NO_ROOM, "tune", "free the disk, or give more --memory"},
    {EG_REASON_NO_ROOM, NULL, "free the disk"},
    {EG_REASON_HALF_OVERFLOW, NULL, "use --dtype f32"},
    {EG_REASON_SHARD_ELSEWHERE, "merge", "put it there, or merge with --copy"},
    {EG_REASON_SHARD_ELSEWHERE, NULL, "bring them there, or merge them anew"},
    {EG_REASON_ONE_PROCESS, NULL, "--append and --shard are not for mpirun"},
    {EG_REASON_SPLIT_FOLDERS, NULL, "train takes another with --test"},
    {EG_REASON_PAST_THE_CUT, "tune", "choose another --unfreeze"},
    {EG_REASON_NOTHING_LEARNS, "tune", "choose another --unfreeze"},
};

static const char *find_hint(const struct invocation *in, enum eg_reason reason)
{
    for (size_t i = 0; i < sizeof hints / sizeof *hints; i++)
        if (hints[i].reason == reason && (!hints[i].command || !strcmp(hints[i].command, in->command->name)))
            return hints[i].text;
    return NULL;
}

/* Built-in networks that may have been meant: "did you mean squeezenet1_0? ". */
static const char *nearest_network(const struct eg_error *err, char text[200])
{
    struct nearest nearest;
    char name[64];
    *text = '\0';
    if (err->reason != EG_REASON_NETWORK_UNKNOWN) return text;
    size_t n = strcspn(err->subject, "=");
    snprintf(name, sizeof name, "%.*s", (int)(n < sizeof name ? n : sizeof name - 1), err->subject);
    nearest_begin(&nearest, name);
    for (size_t i = 0; i < eg_known_net_count(); i++) nearest_add(&nearest, eg_known_net_at(i).name);
    return nearest_text(&nearest, "did you mean ", "", text);
}

void print_error(const struct invocation *in, const struct eg_error *err)
{
    const char *hint = find_hint(in, err->reason);
    char nearest[200], *line = NULL;
    size_t size, n = strlen(err->message);
    FILE *to = hint ? open_memstream(&line, &size) : NULL;
    if (to) { /* joins what the message has in parentheses */
        bool open = n && err->message[n - 1] == ')';
        fprintf(to, "%.*s%s", (int)(open ? n - 1 : n), err->message, open ? "; " : " (");
        fputs(nearest_network(err, nearest), to);
        if (*nearest) fputs("? ", to);
        for (const char *place; (place = strstr(hint, "%s")); hint = place + 2)
            fprintf(to, "%.*s%s", (int)(place - hint), hint, err->subject);
        fprintf(to, "%s)", hint);
    }
    bool joined = to && !fclose(to);
    tell(in, "%s", joined ? line : err->message);
    free(line);
}
