/* Which option goes with which operand: what would be ignored is refused. */
#include <string.h>

#include "cli.h"

enum { PHOTOS = 1, ARRAY = 2, FEATURES = 4, MODEL = 8 };

static const struct meaning {
    const char *command;
    size_t operand;
    const char *option;
    int kinds;
    const char *unless, *why;
} meanings[] = {
#define MEANING(command, operand, option, kinds, unless, why) {#command, operand, option, kinds, unless, why},
#define NEEDS(command, option, other)
#include "meanings.def"
#undef MEANING
#undef NEEDS
};

static const struct {
    const char *command, *option, *other;
} needs[] = {
#define MEANING(command, operand, option, kinds, unless, why)
#define NEEDS(command, option, other) {#command, option, other},
#include "meanings.def"
#undef MEANING
#undef NEEDS
};

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n > m && !strcmp(text + n - m, end);
}

/* "vgg16=weights.h5" is a network, whatever its file. */
static int kind_of(const struct invocation *in, const char *operand)
{
    bool model = !strcmp(in->command->name, "info");
    if (operand == in->operands[0] && !strncmp(in->command->operands, "MODEL", 5)) return MODEL;
    if (model ? is_hdf5(operand) : names_features(operand)) return FEATURES;
    if (model) return MODEL;
    return ends_with(operand, ".npy") ? ARRAY : PHOTOS;
}

static bool has_option(const struct invocation *in, const char *name)
{
    for (const struct option_row *row = in->command->options; row->kind; row++)
        if (!strcmp(row->name, name)) return option_given(in, name);
    return false;
}

/* The data are the last operand of a command, whatever may stand before them. */
static size_t place_of(const struct invocation *in, const struct meaning *m)
{
    return m->operand && strchr(in->command->operands, '[') ? in->n_operands - 1 : m->operand;
}

/* Of an operand that may be repeated, is one of the kind? */
static bool any_operand(const struct invocation *in, const struct meaning *m)
{
    bool repeated = ends_with(in->command->operands, "...");
    const size_t first = place_of(in, m);
    for (size_t i = first; i < (repeated ? in->n_operands : first + 1); i++)
        if (m->kinds & kind_of(in, in->operands[i])) return true;
    return false;
}

int check_meanings(const struct invocation *in)
{
    static const char *const kinds[] = {
        [PHOTOS] = "photos", [ARRAY] = "an array", [FEATURES] = "a feature file", [MODEL] = "a network"};
    for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++) {
        const struct meaning *m = &meanings[i];
        if (strcmp(m->command, in->command->name) || m->operand >= in->n_operands) continue;
        if (!has_option(in, m->option) || (m->unless && has_option(in, m->unless))) continue;
        if (any_operand(in, m)) continue;
        const char *operand = in->operands[place_of(in, m)];
        return usage_error(in, "--%s means nothing with %s, '%s': %s", m->option, kinds[kind_of(in, operand)],
                           operand, m->why);
    }
    for (size_t i = 0; i < sizeof needs / sizeof *needs; i++)
        if (!strcmp(needs[i].command, in->command->name) && has_option(in, needs[i].option) &&
            !has_option(in, needs[i].other))
            return usage_error(in, "--%s means nothing without --%s", needs[i].option, needs[i].other);
    return EXIT_DONE;
}
