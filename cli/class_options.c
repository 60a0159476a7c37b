/* --classes, --drop, --rename, --merge: which classes to learn, and under which names. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

/* Bytes of an option's texts, and how many words they can be. */
static size_t size_of(const struct invocation *in, const char *option, size_t *words)
{
    size_t n, bytes = 0;
    const char *const *given = option_list(in, option, &n);
    for (size_t i = 0; i < n; i++) {
        bytes += strlen(given[i]) + 1;
        *words += strlen(given[i]) / 2 + 1;
    }
    return bytes;
}

/* The option's texts at *room, taken apart at commas. */
static size_t take_words(const struct invocation *in, const char *option, char **room, const char **list)
{
    size_t n, count = 0;
    const char *const *given = option_list(in, option, &n);
    for (size_t i = 0; i < n; i++) {
        char *text = *room, *rest = NULL;
        memcpy(text, given[i], strlen(given[i]) + 1);
        *room += strlen(given[i]) + 1;
        for (char *word = strtok_r(text, ",", &rest); word; word = strtok_r(NULL, ",", &rest))
            list[count++] = word;
    }
    return count;
}

/* old=new, or a+b=new. */
static int take_renames(const struct invocation *in, const char *option, const char *between, char **room,
                        struct eg_class_rename *renames, size_t *count)
{
    size_t n;
    const char *const *given = option_list(in, option, &n);
    for (size_t i = 0; i < n; i++) {
        char *text = *room, *rest = NULL;
        memcpy(text, given[i], strlen(given[i]) + 1);
        *room += strlen(given[i]) + 1;
        char *to = strchr(text, '=');
        if (!to || to == text || !to[1])
            return usage_error(in, "--%s '%s' is not %s=NEW", option, given[i], *between ? "OLD+OLD" : "OLD");
        *to++ = '\0';
        if (!*between) renames[(*count)++] = (struct eg_class_rename){text, to};
        for (char *word = *between ? strtok_r(text, between, &rest) : NULL; word;
             word = strtok_r(NULL, between, &rest))
            renames[(*count)++] = (struct eg_class_rename){word, to};
    }
    return EXIT_DONE;
}

int class_options(const struct invocation *in, struct class_choice *made)
{
    size_t words = 0, bytes = size_of(in, "classes", &words) + size_of(in, "drop", &words) +
                              size_of(in, "rename", &words) + size_of(in, "merge", &words);
    *made = (struct class_choice){0};
    struct eg_class_choice *choice = &made->choice;
    char *room = made->text = malloc(bytes + 1);
    made->names = calloc(words + 1, sizeof *made->names);
    made->renames = calloc(words + 1, sizeof *made->renames);
    if (!made->text || !made->names || !made->renames) {
        tell(in, "no memory for class names");
        return EXIT_FAILED;
    }
    choice->keep = made->names;
    choice->n_keep = take_words(in, "classes", &room, made->names);
    choice->drop = made->names + choice->n_keep;
    choice->n_drop = take_words(in, "drop", &room, made->names + choice->n_keep);
    choice->renames = made->renames;
    int code = take_renames(in, "rename", "", &room, made->renames, &choice->n_renames);
    return code ? code : take_renames(in, "merge", "+", &room, made->renames, &choice->n_renames);
}

void class_options_free(struct class_choice *made)
{
    free(made->text);
    free(made->names);
    free(made->renames);
    *made = (struct class_choice){0};
}
