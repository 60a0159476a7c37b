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
    {EG_REASON_SHARD_ELSEWHERE, NULL, "put it there, or merge with --copy"},
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

void print_error(const struct invocation *in, const struct eg_error *err)
{
    char *message = printable(err->message), *subject = printable(err->subject);
    const char *hint = find_hint(in, err->reason), *shown = message ? message : err->message;
    fprintf(stderr, "engraft %s: ", in->command->name);
    if (!hint) {
        fprintf(stderr, "%s\n", shown);
    } else { /* joins what the message has in parentheses */
        size_t n = strlen(shown);
        bool open = n && shown[n - 1] == ')';
        fprintf(stderr, "%.*s%s", (int)(open ? n - 1 : n), shown, open ? "; " : " (");
        for (const char *place; (place = strstr(hint, "%s")); hint = place + 2)
            fprintf(stderr, "%.*s%s", (int)(place - hint), hint, subject ? subject : "");
        fprintf(stderr, "%s)\n", hint);
    }
    free(message);
    free(subject);
}
