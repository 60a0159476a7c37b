/* Completion: a script for each shell, from the option tables; bash's asks the program for what no table
 * has: networks, layers of the one typed, cuts and classes of the file typed. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static void print_flags(FILE *to, const struct command *command)
{
    const struct option_row *tables[] = {command->options, common_options};
    for (size_t t = 0; t < 2; t++)
        for (const struct option_row *row = tables[t]; row->kind; row++)
            fprintf(to, "%s--%s", row == command->options ? "" : " ", row->name);
}

static void print_choices(FILE *to, const char *choices)
{
    for (; *choices; choices++) fputc(*choices == '|' ? ' ' : *choices, to);
}

static void complete_bash(FILE *to)
{
    fputs("# bash completion of engraft, made by `engraft --completion bash`\n"
          "_engraft()\n{\n"
          "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} words=\n"
          "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n        words=\"",
          to);
    for (size_t i = 0; i < n_commands; i++) fprintf(to, "%s ", commands[i]->name);
    fputs("--help --version\"\n    else\n        case \"${COMP_WORDS[1]} $before\" in\n", to);
    for (size_t i = 0; i < n_commands; i++)
        for (const struct option_row *row = commands[i]->options; row->kind; row++)
            if (row->kind == OPTION_CHOICE) {
                fprintf(to, "        \"%s --%s\") words=\"", commands[i]->name, row->name);
                print_choices(to, row->value);
                fputs("\" ;;\n", to);
            }
    fputs("        esac\n        if [ -z \"$words\" ] && [[ $word == -* ]]; then\n"
          "            case ${COMP_WORDS[1]} in\n",
          to);
    for (size_t i = 0; i < n_commands; i++) {
        fprintf(to, "            %s) words=\"", commands[i]->name);
        print_flags(to, commands[i]);
        fputs("\" ;;\n", to);
    }
    /* What comes from files is never given to compgen -W, which would expand it. */
    fputs("            esac\n        fi\n    fi\n"
          "    COMPREPLY=()\n"
          "    if [ -n \"$words\" ]; then\n"
          "        COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
          "    else\n"
          "        while IFS= read -r words; do COMPREPLY+=(\"$(printf %q \"$words\")\"); done < <(\n"
          "            \"${COMP_WORDS[0]}\" --complete \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null)\n"
          "    fi\n}\n"
          "complete -o default -F _engraft engraft\n",
          to);
}

/* Help texts inside single quotes: what would end them is left out. */
static void print_quoted(FILE *to, const char *text, const char *leave_out)
{
    for (; *text; text++)
        if (!strchr(leave_out, *text)) fputc(*text, to);
}

static void complete_zsh(FILE *to)
{
    fputs("#compdef engraft\n# made by `engraft --completion zsh`\n_engraft()\n{\n"
          "    if (( CURRENT == 2 )); then\n        local -a list\n        list=(\n",
          to);
    for (size_t i = 0; i < n_commands; i++) {
        fprintf(to, "            '%s:", commands[i]->name);
        print_quoted(to, commands[i]->summary, "':");
        fputs("'\n", to);
    }
    fputs("        )\n        _describe command list\n        return\n    fi\n    case ${words[2]} in\n", to);
    for (size_t i = 0; i < n_commands; i++) {
        fprintf(to, "    %s)\n        _arguments", commands[i]->name);
        const struct option_row *tables[] = {commands[i]->options, common_options};
        for (size_t t = 0; t < 2; t++)
            for (const struct option_row *row = tables[t]; row->kind; row++) {
                fprintf(to, " \\\n            '%s--%s[", row->kind == OPTION_LIST ? "*" : "", row->name);
                print_quoted(to, row->help, "'[]:");
                fputc(']', to);
                if (row->kind == OPTION_CHOICE) {
                    fprintf(to, ":%s:(", row->name);
                    print_choices(to, row->value);
                    fputc(')', to);
                } else if (row->kind != OPTION_FLAG) {
                    fprintf(to, ":%s:_files", row->name);
                }
                fputc('\'', to);
            }
        fputs(" \\\n            '*:file:_files' ;;\n", to);
    }
    fputs("    esac\n}\n_engraft \"$@\"\n", to);
}

static void complete_fish(FILE *to)
{
    fputs("# fish completion of engraft, made by `engraft --completion fish`\n", to);
    for (size_t i = 0; i < n_commands; i++) {
        fprintf(to, "complete -c engraft -n __fish_use_subcommand -a %s -d '", commands[i]->name);
        print_quoted(to, commands[i]->summary, "'\\");
        fputs("'\n", to);
        const struct option_row *tables[] = {commands[i]->options, common_options};
        for (size_t t = 0; t < 2; t++)
            for (const struct option_row *row = tables[t]; row->kind; row++) {
                fprintf(to, "complete -c engraft -n '__fish_seen_subcommand_from %s' -l %s",
                        commands[i]->name, row->name);
                if (row->letter) fprintf(to, " -s %c", row->letter);
                if (row->kind != OPTION_FLAG) fputs(" -r", to);
                if (row->kind == OPTION_CHOICE) {
                    fputs(" -f -a '", to);
                    print_choices(to, row->value);
                    fputc('\'', to);
                }
                fputs(" -d '", to);
                print_quoted(to, row->help, "'\\");
                fputs("'\n", to);
            }
    }
}

bool print_completion(const char *shell, FILE *to)
{
    static const struct {
        const char *name;
        void (*print)(FILE *);
    } shells[] = {{"bash", complete_bash}, {"zsh", complete_zsh}, {"fish", complete_fish}};
    for (size_t i = 0; i < sizeof shells / sizeof *shells; i++)
        if (!strcmp(shells[i].name, shell)) {
            shells[i].print(to);
            return true;
        }
    return false;
}

/* ---- what is in networks and files ------------------------------------------------------- */

enum { WORDS_MOST = 256 };

/* bash parts "vgg16=FILE" at the "=". n words are joined in place; free() each. */
static size_t join_words(int argc, char **argv, char *words[WORDS_MOST])
{
    size_t n = 0;
    bool open = false;
    for (int i = 0; i < argc; i++) {
        bool equals = !strcmp(argv[i], "=");
        if (n && (equals || open)) {
            char *joined;
            if (asprintf(&joined, "%s%s", words[n - 1], argv[i]) < 0) abort();
            free(words[n - 1]);
            words[n - 1] = joined;
        } else if (n < WORDS_MOST) {
            if (!(words[n++] = strdup(argv[i]))) abort();
        }
        open = equals;
    }
    return n;
}

struct typed {
    const struct command *command;
    const struct option_row *option; /* whose value is being typed; NULL: an operand */
    const char *word, *operands[WORDS_MOST], *model;
    size_t n_operands;
};

static const struct option_row *option_of(const struct command *command, const char *word)
{
    const struct option_row *tables[] = {command->options, common_options};
    for (size_t t = 0; t < 2; t++)
        for (const struct option_row *row = tables[t]; row->kind; row++)
            if ((word[0] == '-' && word[1] == '-' && !strcmp(word + 2, row->name)) ||
                (word[0] == '-' && word[1] && word[1] == row->letter && !word[2]))
                return row;
    return NULL;
}

static void read_typed(struct typed *typed, char *words[], size_t n)
{
    for (size_t i = 1; i + 1 < n; i++) {
        const struct option_row *row = option_of(typed->command, words[i]);
        bool takes = row && row->kind != OPTION_FLAG;
        if (takes && i + 2 == n) typed->option = row;
        if (takes && i + 2 < n && !strcmp(row->name, "model")) typed->model = words[i + 1];
        if (takes)
            i++;
        else if (words[i][0] != '-')
            typed->operands[typed->n_operands++] = words[i];
    }
    typed->word = words[n - 1];
}

static void print_word(const struct typed *typed, const char *word)
{
    if (!word || strncmp(word, typed->word, strlen(typed->word)) != 0) return;
    char *shown = printable(word);
    if (shown) printf("%s\n", shown);
    free(shown);
}

static void print_networks(const struct typed *typed)
{
    for (size_t i = 0; i < eg_known_net_count(); i++) print_word(typed, eg_known_net_at(i).name);
}

static eg_net *typed_net(const struct typed *typed)
{
    const struct invocation in = {.command = typed->command};
    char *folders = model_folders(&in);
    struct eg_net_options options = {EG_SIZED(eg_net_options), .folders = folders, .no_weights = true};
    const char *model = typed->model ? typed->model : typed->n_operands ? typed->operands[0] : NULL;
    eg_net *net = NULL;
    char *built_in =
        model ? strndup(model, strcspn(model, "=")) : NULL; /* of NAME=FILE, if FILE is not there yet */
    if (model && eg_net_load(model, &options, &net, NULL) &&
        (!built_in || eg_net_load(built_in, &options, &net, NULL)))
        net = NULL;
    free(built_in);
    free(folders);
    return net;
}

static void print_layers(const struct typed *typed)
{
    eg_net *net = typed_net(typed);
    for (size_t i = 0; net && i < eg_net_layer_count(net); i++) {
        struct eg_layer layer = eg_net_layer(net, i);
        if (layer.cut) print_word(typed, layer.name);
        for (size_t a = 0; layer.cut && a < layer.n_aliases; a++) print_word(typed, layer.aliases[a]);
    }
    eg_net_free(net);
}

static eg_features *typed_features(const struct typed *typed)
{
    eg_features *features = NULL;
    for (size_t i = 0; i < typed->n_operands && !features; i++)
        if (!is_hdf5(typed->operands[i]) || eg_features_open(typed->operands[i], &features, NULL))
            features = NULL;
    return features;
}

static void print_cuts(const struct typed *typed)
{
    eg_features *features = typed_features(typed);
    for (size_t i = 0; features && i < eg_features_info(features).n_cuts; i++)
        print_word(typed, eg_features_cut(features, i).name);
    eg_features_close(features);
}

static void print_classes(const struct typed *typed)
{
    eg_features *features = typed_features(typed);
    for (size_t i = 0; features && i < eg_features_info(features).n_classes; i++)
        print_word(typed, eg_features_info(features).classes[i]);
    if (features) {
        eg_features_close(features);
        return;
    }
    eg_net *net = typed_net(typed);
    for (size_t i = 0; net && i < eg_net_class_count(net); i++) print_word(typed, eg_net_class_name(net, i));
    eg_net_free(net);
}

static void print_commands(const struct typed *typed)
{
    for (size_t i = 0; i < n_commands; i++) print_word(typed, commands[i]->name);
}

/* The operand of that index: its name in "MODEL IMAGES..."; the last may be repeated. */
static const char *operand_name(const struct command *command, size_t index)
{
    const char *name = command->operands;
    for (const char *next; index-- && (next = strchr(name, ' ')); name = next + 1) continue;
    return name;
}

static void print_values(const struct typed *typed)
{
    static const struct {
        const char *option; /* or the beginning of an operand's name */
        void (*print)(const struct typed *);
    } rows[] = {{"model", print_networks}, {"cut", print_layers},        {"unfreeze", print_layers},
                {"features", print_cuts},  {"class", print_classes},     {"MODEL", print_networks},
                {"NAME", print_networks},  {"[COMMAND]", print_commands}};
    const char *name = typed->option ? typed->option->name : operand_name(typed->command, typed->n_operands);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t n = strlen(rows[i].option);
        if (strncmp(name, rows[i].option, n)) continue;
        bool ends = !name[n] || strchr(" |", name[n]) || !strncmp(name + n, "...", 3);
        if (ends) rows[i].print(typed);
    }
}

void print_candidates(int argc, char **argv)
{
    char *words[WORDS_MOST];
    size_t n = join_words(argc, argv, words);
    struct typed typed = {.command = n > 1 ? find_command(words[0]) : NULL};
    if (typed.command) {
        read_typed(&typed, words, n);
        print_values(&typed);
    }
    for (size_t i = 0; i < n; i++) free(words[i]);
}
