/* From the words of the command line to checked values, by the option tables. */
#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

struct setting { /* one row given on the command line */
    const struct option_row *row;
    const char **values;
    size_t n;
};

const struct option_row common_options[] = {
    {OPTION_INTEGER, "threads", 0, "N", "the CPUs this process may use", 1, 1024, false,
     "threads (never changes a result)"},
    {OPTION_FLAG, "quiet", 'q', NULL, NULL, 0, 0, false, "no progress and no remarks"},
    {OPTION_CHOICE, "progress", 0, "bar|json", NULL, 0, 0, false,
     "progress as a bar, or a JSON document a line on standard error"},
    {OPTION_FLAG, "help", 'h', NULL, NULL, 0, 0, false, "this text"},
    {0},
};

int usage_error(const struct invocation *in, const char *format, ...)
{
    char message[1000];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    tell(in, "%s", message);
    return EXIT_USAGE;
}

bool parse_real(const char *text, double *value)
{
    char *end;
    errno = 0;
    double parsed = strtod(text, &end);
    if (end == text || *end || errno == ERANGE || !isfinite(parsed)) return false;
    *value = parsed;
    return true;
}

bool parse_integer(const char *text, long long *value)
{
    char *end;
    errno = 0;
    long long parsed = strtoll(text, &end, 10);
    if (end == text || *end || errno == ERANGE) return false;
    *value = parsed;
    return true;
}

static bool parse_bytes(const char *text, size_t *value)
{
    char *end;
    double parsed = strtod(text, &end);
    if (end == text || !(parsed > 0)) return false;
    static const char units[] = "KMGT";
    const char *unit = *end ? strchr(units, *end & ~0x20) : NULL;
    if (*end) {
        if (!unit || (end[1] && strcmp(end + 1, "iB") && strcmp(end + 1, "B"))) return false;
        for (const char *u = units; u <= unit; u++) parsed *= 1024;
    }
    if (!(parsed >= 1 && parsed < 9e18)) return false;
    *value = (size_t)parsed;
    return true;
}

static bool is_choice(const char *choices, const char *text)
{
    size_t n = strlen(text);
    for (const char *c = choices; c; c = strchr(c, '|') ? strchr(c, '|') + 1 : NULL)
        if (n && !strncmp(c, text, n) && (c[n] == '|' || !c[n])) return true;
    return false;
}

static int check_value(const struct invocation *in, const struct option_row *row, const char *text)
{
    double real = 0;
    long long integer = 0;
    size_t bytes;
    switch (row->kind) {
    case OPTION_INTEGER:
        if (!parse_integer(text, &integer))
            return usage_error(in, "--%s '%s' is not a whole number", row->name, text);
        real = (double)integer;
        break;
    case OPTION_REAL:
        if (!parse_real(text, &real)) return usage_error(in, "--%s '%s' is not a number", row->name, text);
        break;
    case OPTION_BYTES:
        if (!parse_bytes(text, &bytes))
            return usage_error(in, "--%s '%s' is not a size such as 500M or 2G", row->name, text);
        return EXIT_DONE;
    case OPTION_CHOICE:
        if (!is_choice(row->value, text))
            return usage_error(in, "--%s '%s' is none of %s", row->name, text, row->value);
        return EXIT_DONE;
    default:
        if (!*text) return usage_error(in, "--%s is empty", row->name);
        return EXIT_DONE;
    }
    if (row->least < row->most && !(real >= row->least && real <= row->most))
        return usage_error(in, "--%s %s is not in %g to %g", row->name, text, row->least, row->most);
    return EXIT_DONE;
}

static const struct option_row *find_row(const struct command *command, const char *name, size_t length)
{
    const struct option_row *tables[] = {command->options, common_options};
    for (size_t t = 0; t < 2; t++)
        for (const struct option_row *row = tables[t]; row->kind; row++)
            if (!strncmp(row->name, name, length) && !row->name[length]) return row;
    return NULL;
}

static const struct option_row *find_letter(const struct command *command, char letter)
{
    const struct option_row *tables[] = {command->options, common_options};
    for (size_t t = 0; t < 2; t++)
        for (const struct option_row *row = tables[t]; row->kind; row++)
            if (row->letter == letter) return row;
    return NULL;
}

static struct setting *find_setting(const struct invocation *in, const struct option_row *row)
{
    for (size_t i = 0; i < in->n_settings; i++)
        if (in->settings[i].row == row) return &in->settings[i];
    return NULL;
}

static int set_option(struct invocation *in, const struct option_row *row, const char *value)
{
    struct setting *setting = find_setting(in, row);
    if (setting && row->kind != OPTION_LIST) return usage_error(in, "--%s is given twice", row->name);
    if (value) {
        int code = check_value(in, row, value);
        if (code) return code;
    }
    if (!setting) {
        struct setting *grown = realloc(in->settings, (in->n_settings + 1) * sizeof *grown);
        if (!grown) abort();
        in->settings = grown;
        setting = &grown[in->n_settings++];
        *setting = (struct setting){.row = row};
    }
    const char **values = realloc(setting->values, (setting->n + 1) * sizeof *values);
    if (!values) abort();
    setting->values = values;
    setting->values[setting->n++] = value;
    return EXIT_DONE;
}

static int no_such_option(const struct invocation *in, const char *word, size_t length)
{
    const struct option_row *tables[] = {in->command->options, common_options};
    struct nearest nearest;
    char name[64], text[200];
    snprintf(name, sizeof name, "%.*s", (int)(length < 60 ? length : 60), word + 2);
    nearest_begin(&nearest, name);
    for (size_t t = 0; t < 2; t++)
        for (const struct option_row *row = tables[t]; row->kind; row++) nearest_add(&nearest, row->name);
    nearest_text(&nearest, "did you mean ", "--", text);
    return usage_error(in, "there is no option '%.*s' (%s%ssee --help)", (int)length + 2, word, text,
                       *text ? "? " : "");
}

static int parse_option(struct invocation *in, int argc, char **argv, int *at)
{
    const char *word = argv[*at], *value = NULL;
    const struct option_row *row;
    if (word[1] == '-') {
        const char *equals = strchr(word, '=');
        size_t length = equals ? (size_t)(equals - word - 2) : strlen(word + 2);
        row = find_row(in->command, word + 2, length);
        if (equals) value = equals + 1;
        if (!row) return no_such_option(in, word, length);
    } else {
        row = find_letter(in->command, word[1]);
        if (!row) return usage_error(in, "there is no option '%s' (see --help; a path: ./%s)", word, word);
        if (word[2] && row->kind == OPTION_FLAG)
            return usage_error(in, "there is no option '%s' (see --help)", word);
        if (word[2]) value = word + 2 + (word[2] == '=');
    }
    if (row->kind == OPTION_FLAG) {
        if (value) return usage_error(in, "--%s takes no value", row->name);
    } else if (!value) {
        if (*at + 1 >= argc) return usage_error(in, "--%s needs a value: %s", row->name, row->value);
        value = argv[++*at];
    }
    return set_option(in, row, value);
}

/* "MODEL IMAGE... [FILE]": how many may there be? `missing` gets the name of operand n. */
static void operand_limits(const char *operands, size_t *least, size_t *most)
{
    *least = *most = 0;
    for (const char *word = operands; *word;) {
        size_t n = strcspn(word, " ");
        if (*word != '[') ++*least;
        if (*most != SIZE_MAX) ++*most;
        if (n > 3 && (!strncmp(word + n - 3, "...", 3) || !strncmp(word + n - 4, "...]", 4)))
            *most = SIZE_MAX;
        word += n + (word[n] == ' ');
    }
}

static int check_operands(struct invocation *in)
{
    size_t least, most;
    operand_limits(in->command->operands, &least, &most);
    if (in->n_operands < least) {
        const char *word = in->command->operands;
        for (size_t i = 0; i < in->n_operands; i++) word = strchr(word, ' ') + 1;
        return usage_error(in, "%.*s is missing (usage: engraft %s %s)", (int)strcspn(word, " ."), word,
                           in->command->name, in->command->operands);
    }
    if (in->n_operands > most)
        return usage_error(in, "'%s' is one argument too many (usage: engraft %s %s)", in->operands[most],
                           in->command->name, in->command->operands);
    for (size_t i = 0; i < in->n_operands; i++)
        if (!*in->operands[i]) return usage_error(in, "an argument is empty");
    for (const struct option_row *row = in->command->options; row->kind; row++)
        if (row->required && !find_setting(in, row)) {
            if (row->letter) return usage_error(in, "-%c %s is missing", row->letter, row->value);
            return usage_error(in, "--%s %s is missing", row->name, row->value);
        }
    return EXIT_DONE;
}

/* The command for provenance: words that are paths reduced to their last part. */
static char *command_line(const struct command *command, int argc, char **argv)
{
    char *line = NULL;
    size_t size;
    FILE *to = open_memstream(&line, &size);
    if (!to) return NULL;
    fprintf(to, "engraft %s", command->name);
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];
        size_t n = strlen(word);
        while (n > 1 && word[n - 1] == '/') n--;
        const char *last = word;
        for (size_t j = 0; j + 1 < n; j++)
            if (word[j] == '/') last = word + j + 1;
        const char *equals = strchr(word, '=');
        char *shown = strndup(last, n - (size_t)(last - word)), *clean = shown ? printable(shown) : NULL;
        fputc(' ', to);
        if (equals && equals < last) fprintf(to, "%.*s", (int)(equals + 1 - word), word);
        if (clean) fputs(clean, to);
        free(clean);
        free(shown);
    }
    if (fclose(to)) {
        free(line);
        return NULL;
    }
    return line;
}

int invocation_parse(struct invocation *in, int argc, char **argv)
{
    in->operands = calloc((size_t)argc + 1, sizeof *in->operands);
    in->line = command_line(in->command, argc, argv);
    if (!in->operands || !in->line) abort();
    bool options_end = false;
    for (int i = 0; i < argc; i++) {
        if (!options_end && !strcmp(argv[i], "--")) {
            options_end = true;
        } else if (!options_end && argv[i][0] == '-' && argv[i][1]) {
            int code = parse_option(in, argc, argv, &i);
            if (code) return code;
        } else {
            in->operands[in->n_operands++] = argv[i];
        }
    }
    return check_operands(in);
}

void invocation_release(struct invocation *in)
{
    for (size_t i = 0; i < in->n_settings; i++) free(in->settings[i].values);
    free(in->settings);
    free(in->operands);
    free(in->line);
}

static const struct option_row *row_of(const struct invocation *in, const char *name)
{
    const struct option_row *row = find_row(in->command, name, strlen(name));
    assert(row); /* a command asks only for its own options */
    return row;
}

bool option_exists(const struct invocation *in, const char *name)
{
    return find_row(in->command, name, strlen(name)) != NULL;
}

bool option_given(const struct invocation *in, const char *name)
{
    return find_setting(in, row_of(in, name)) != NULL;
}

bool option_flag(const struct invocation *in, const char *name) { return option_given(in, name); }

const char *option_text(const struct invocation *in, const char *name)
{
    const struct option_row *row = row_of(in, name);
    const struct setting *setting = find_setting(in, row);
    if (setting) return setting->values[0];
    return row->fallback && !strchr(row->fallback, ' ') ? row->fallback : NULL;
}

const char *const *option_list(const struct invocation *in, const char *name, size_t *n)
{
    const struct setting *setting = find_setting(in, row_of(in, name));
    *n = setting ? setting->n : 0;
    return setting ? setting->values : NULL;
}

long long option_integer(const struct invocation *in, const char *name)
{
    const char *text = option_text(in, name);
    long long value = 0;
    if (text && !parse_integer(text, &value)) return 0; /* a default in words: 0 is the library's */
    return value;
}

double option_real(const struct invocation *in, const char *name)
{
    const char *text = option_text(in, name);
    double value = 0;
    if (text && !parse_real(text, &value)) return 0;
    return value;
}

size_t option_bytes(const struct invocation *in, const char *name)
{
    const struct setting *setting = find_setting(in, row_of(in, name));
    size_t value = 0;
    if (setting && !parse_bytes(setting->values[0], &value)) return 0;
    return value;
}
