/* card.c: the card to and from a graph's metadata. */
#include "model/card.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"

enum kind { TEXT, WHOLE, NUMBER, SHARE, SCORE };

static const struct row {
    enum kind kind;
    size_t offset;
    const char *key;
} rows[] = {
#define EG_CARD(kind, member, key) {kind, offsetof(struct eg_card, member), key},
#include "model/card.def"
#undef EG_CARD
};
enum { N_ROWS = sizeof rows / sizeof *rows, LONGEST_NUMBER = 160 };

struct eg_card eg__card_empty(void)
{
    struct eg_card card = {0};
    const double none = (double)NAN;
    for (size_t i = 0; i < N_ROWS; i++)
        if (rows[i].kind == NUMBER || rows[i].kind == SHARE)
            memcpy((char *)&card + rows[i].offset, &none, sizeof none);
    return card;
}

/* ---- reading ---------------------------------------------------------------------------- */

static struct eg_card_whole parse_whole(const char *text)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    bool plain = *text >= '0' && *text <= '9' && !*end && !errno;
    return (struct eg_card_whole){plain, plain ? value : 0};
}

static double parse_number(const char *text)
{
    char *end;
    double value = strtod(text, &end);
    return end != text && !*end && isfinite(value) ? value : (double)NAN;
}

static struct eg_card_score parse_score(const char *text)
{
    struct eg_card_score s = {0};
    int all = sscanf(text, "%lf (95 %%: %lf to %lf, %" SCNu64 " photos)", &s.value, &s.low, &s.high, &s.n);
    return all == 4 ? s : (struct eg_card_score){0};
}

static void parse(const struct row *row, const char *text, void *member)
{
    switch (row->kind) {
    case TEXT: *(const char **)member = text; return;
    case WHOLE: *(struct eg_card_whole *)member = parse_whole(text); return;
    case NUMBER:
    case SHARE: *(double *)member = parse_number(text); return;
    case SCORE: *(struct eg_card_score *)member = parse_score(text); return;
    }
}

enum eg_status eg__card_read(const struct eg_graph *graph, struct eg_card *out, struct eg_error *err)
{
    struct eg_card card = eg__card_empty();
    for (size_t i = 0; i < N_ROWS; i++) {
        const char *text = eg__graph_metadata(graph, rows[i].key);
        if (text) parse(&rows[i], text, (char *)&card + rows[i].offset);
    }
    const char *version = eg__graph_metadata(graph, rows[0].key);
    if (version && (!card.card_version.known || card.card_version.value > EG_CARD_VERSION))
        return eg__fail(err, EG_E_UNSUPPORTED,
                        "'%.200s' was written by a later engraft: its card is of version '%.20s', this one "
                        "reads up to %d (update engraft)",
                        graph->name, version, EG_CARD_VERSION);
    *out = card;
    return EG_OK;
}

/* ---- writing ---------------------------------------------------------------------------- */

/* The member as text, in `room` unless it is text already; NULL: not said. */
static const char *spell(const struct row *row, const void *member, char room[LONGEST_NUMBER])
{
    const struct eg_card_whole *whole = member;
    const struct eg_card_score *score = member;
    const double *number = member;
    switch (row->kind) {
    case TEXT: return *(const char *const *)member;
    case WHOLE: snprintf(room, LONGEST_NUMBER, "%" PRIu64, whole->value); return whole->known ? room : NULL;
    case NUMBER: snprintf(room, LONGEST_NUMBER, "%.9g", *number); return isnan(*number) ? NULL : room;
    case SHARE: snprintf(room, LONGEST_NUMBER, "%.6f", *number); return isnan(*number) ? NULL : room;
    case SCORE:
        snprintf(room, LONGEST_NUMBER, "%.6f (95 %%: %.6f to %.6f, %" PRIu64 " photos)", score->value,
                 score->low, score->high, score->n);
        return score->n ? room : NULL;
    }
    return NULL;
}

static bool is_ours(const char *key)
{
    for (size_t i = 0; i < N_ROWS; i++)
        if (!strcmp(rows[i].key, key)) return true;
    return false;
}

enum eg_status eg__card_write(struct eg_graph *graph, const struct eg_card *card, struct eg_error *err)
{
    const struct eg_card said =
        *card; /* its strings may be those of this very graph: they outlive the keys */
    uint32_t kept = 0;
    for (uint32_t i = 0; i < graph->n_metadata; i++)
        if (!is_ours(graph->metadata[i].key)) graph->metadata[kept++] = graph->metadata[i];
    graph->n_metadata = kept;
    enum eg_status status = EG_OK;
    for (size_t i = 0; i < N_ROWS && !status; i++) {
        char room[LONGEST_NUMBER];
        const char *text = spell(&rows[i], (const char *)&said + rows[i].offset, room);
        if (!i) {
            snprintf(room, sizeof room, "%d", said.answer ? EG_CARD_VERSION : EG_CARD_VERSION_OF_CLASSES);
            text = room;
        }
        if (text) status = eg__graph_set_metadata(graph, rows[i].key, text, err);
    }
    return status;
}

struct eg_card eg__card_of_network(const struct eg_card *card)
{
    struct eg_card kept = eg__card_empty();
    kept.card_version = card->card_version;
    kept.version = card->version;
    kept.date = card->date;
    kept.network = card->network;
    kept.recipe = card->recipe;
    return kept;
}
