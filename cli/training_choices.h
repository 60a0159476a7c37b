/* training_choices.h: what the files of the command train share. */
#ifndef CLI_TRAINING_CHOICES_H
#define CLI_TRAINING_CHOICES_H

#include "cli.h"

enum { NETWORKS_MOST = 8 };

/* The networks beside the first, each with its feature file. */
struct more_networks {
    eg_net *nets[NETWORKS_MOST];
    eg_features *features[NETWORKS_MOST];
    size_t n;
};
void more_networks_free(struct more_networks *more);

/* What --effort, or an option that says auto, comes to. */
struct train_choices {
    const char *features, *classifier, *scale; /* as the options of those names; NULL: as they say */
    struct eg_cut_list cuts;                   /* of the first network; n 0: as --cut says */
};
void train_choices_free(struct train_choices *choices);

/* Which input, views and cuts of the first network: told what is tried, then what came of it. *net may be
 * replaced; `checks` has the split and the folds, `beside` are features of an earlier run, which were made
 * with what was chosen then. */
int choose_for_training(struct invocation *in, const char *model, const eg_dataset *images,
                        const char *beside, const struct eg_train_options *checks, eg_pool *pool,
                        eg_net **net, struct train_choices *choices);
/* Before anything is read: words that exclude each other. */
int check_choices(const struct invocation *in, bool from_file);
void print_selection(FILE *to, const struct eg_selection *selection, size_t n);

#endif
