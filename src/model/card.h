/* card.h: a file's card: what it says of its making, as one struct. card.def lists what there is;
 * card.c alone knows how it is spelled in a file. */
#ifndef EG_MODEL_CARD_H
#define EG_MODEL_CARD_H

#include "graph/graph.h"

enum { EG_CARD_VERSION = 2, EG_CARD_VERSION_OF_CLASSES = 1 }; /* the later: answers that are no class */

struct eg_card_whole {
    bool known;
    uint64_t value;
};
struct eg_card_score { /* an accuracy with its 95 % interval; n = 0: unknown */
    double value, low, high;
    uint64_t n;
};

struct eg_card {
#define EG_CARD_TYPE_TEXT const char *
#define EG_CARD_TYPE_WHOLE struct eg_card_whole
#define EG_CARD_TYPE_NUMBER double
#define EG_CARD_TYPE_SHARE double
#define EG_CARD_TYPE_SCORE struct eg_card_score
#define EG_CARD(kind, member, key) EG_CARD_TYPE_##kind member;
#include "model/card.def"
#undef EG_CARD
};

static inline struct eg_card_whole eg__card_whole(uint64_t value)
{
    return (struct eg_card_whole){true, value};
}

/* A card that says nothing. */
struct eg_card eg__card_empty(void);
/* Its strings are the graph's. What cannot be read counts as not said; EG_E_UNSUPPORTED: a card of a
 * version that is not known. Files of 0.1 have none: their keys are read all the same. */
EG_MUST_CHECK enum eg_status eg__card_read(const struct eg_graph *graph, struct eg_card *card,
                                           struct eg_error *err);
/* The graph says this and nothing else of card.def; other metadata stays. card_version is set here. */
EG_MUST_CHECK enum eg_status eg__card_write(struct eg_graph *graph, const struct eg_card *card,
                                            struct eg_error *err);
/* What is true of the network before any classifier was grown on it, or of a cut of it. */
struct eg_card eg__card_of_network(const struct eg_card *card);

#endif
