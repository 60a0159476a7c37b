/* cli.h: the frame every subcommand hangs in.
 *
 * A subcommand is one file cmd_NAME.c with one `const struct command command_NAME` and one row
 * in commands.def. Its option table drives parsing, --help, the manual page and completion.
 * run() writes results to in->out: it reaches standard output only on exit 0 and 3. */
#ifndef ENGRAFT_CLI_H
#define ENGRAFT_CLI_H

#include <jansson.h>
#include <stdio.h>

#include "engraft.h"
#include "extent.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_SKIPPED = 3, EXIT_INTERRUPTED = 130 };

/* ---- options (options.c) ------------------------------------------------------ */

enum option_kind {
    OPTION_END,
    OPTION_FLAG,
    OPTION_TEXT,
    OPTION_LIST,    /* may be repeated */
    OPTION_INTEGER, /* least <= value <= most */
    OPTION_REAL,
    OPTION_BYTES,  /* 500M, 2G */
    OPTION_CHOICE, /* value "a|b|c": the first is the default */
};

struct option_row {
    enum option_kind kind;
    const char *name;     /* without the dashes */
    char letter;          /* 'o' for -o, or 0 */
    const char *value;    /* what --help calls it: "FILE" */
    const char *fallback; /* the default, as --help says it; one in words has a space and gives NULL */
    double least, most;   /* INTEGER, REAL; equal: no limits */
    bool required;
    const char *help;
};

#define OPTION_JSON_ROW                                                                                      \
    {                                                                                                        \
        OPTION_FLAG, "json", 0, NULL, NULL, 0, 0, false, "print one JSON document"                           \
    }
#define OPTION_FORCE_ROW                                                                                     \
    {                                                                                                        \
        OPTION_FLAG, "force", 0, NULL, NULL, 0, 0, false, "overwrite an output that exists"                  \
    }
#define OPTION_SEED_ROW                                                                                      \
    {                                                                                                        \
        OPTION_INTEGER, "seed", 0, "N", "0", 0, 9007199254740992.0, false, "same seed, same result"          \
    }
#define OPTION_GROUP_ROW                                                                                     \
    {                                                                                                        \
        OPTION_TEXT, "group", 0, "PATTERN", NULL, 0, 0, false,                                               \
            "keep photos of one group (a burst, a patient) together in the test, the training, a fold: a "   \
            "regular expression, whose (part), else all it matches, of the path names the group"             \
    }
#define OPTION_OUTPUT_ROW(value, text)                                                                       \
    {                                                                                                        \
        OPTION_TEXT, "output", 'o', value, NULL, 0, 0, true, text                                            \
    }
/* Answers that are no single class. */
#define OPTION_TARGET_ROWS                                                                                   \
    {OPTION_FLAG,                                                                                            \
     "multi-label",                                                                                          \
     0,                                                                                                      \
     NULL,                                                                                                   \
     NULL,                                                                                                   \
     0,                                                                                                      \
     0,                                                                                                      \
     false,                                                                                                  \
     "several labels a photo: \"cat;indoors\" in the CSV, or the same photo in several class folders"},      \
        {OPTION_TEXT, "labels-sep", 0,                                                                       \
         "TEXT",      ";",          0,                                                                       \
         0,           false,        "with --multi-label: what stands between labels"},                       \
    {                                                                                                        \
        OPTION_TEXT, "regress", 0, "COLUMN", NULL, 0, 0, false,                                              \
            "numbers of this column of the CSV, in place of classes"                                         \
    }
#define OPTION_REPORT_ROW                                                                                    \
    {                                                                                                        \
        OPTION_TEXT, "report", 0, "PAGE.html", NULL, 0, 0, false,                                            \
            "write it with photos as one self-contained page for the browser"                                \
    }
#define OPTION_FROM_LIST_ROWS                                                                                \
    {OPTION_TEXT, "from-list", 0,                                                                            \
     "FILE|-",    NULL,        0,                                                                            \
     0,           false,       "photos and folders: a path a line (-: standard input)"},                     \
    {                                                                                                        \
        OPTION_FLAG, "null", '0', NULL, NULL, 0, 0, false,                                                   \
            "paths of the list end in NUL, as find -print0 writes them"                                      \
    }
#define OPTION_EXCLUDE_ROW                                                                                   \
    {                                                                                                        \
        OPTION_LIST, "exclude", 0, "PATTERN", NULL, 0, 0, false,                                             \
            "leave out files and folders of this name or path, as \"*_mask.png\" (may be repeated)"          \
    }
#define OPTION_BATCH_ROW                                                                                     \
    {                                                                                                        \
        OPTION_INTEGER, "batch", 0, "N", "8", 1, 4096, false,                                                \
            "images computed at a time (never changes a result)"                                             \
    }
/* Rows of every command that takes a MODEL. */
#define OPTION_MODEL_ROWS                                                                                     \
    {OPTION_LIST, "models", 0,                                                                                \
     "DIR",       NULL,     0,                                                                                \
     0,           false,    "look for weights here first, then in $ENGRAFT_MODELS and the usual folders"},    \
        {OPTION_TEXT,                                                                                         \
         "preprocess",                                                                                        \
         0,                                                                                                   \
         "RECIPE",                                                                                            \
         NULL,                                                                                                \
         0,                                                                                                   \
         0,                                                                                                   \
         false,                                                                                               \
         "torchvision, keras-caffe, keras-tf, timm-bicubic, efficientnet-lite, plain, or a JSON file"},       \
        {OPTION_FLAG, "trunk", 0, NULL, NULL, 0, 0, false, "leave out the classifier that the weights have"}, \
    {                                                                                                         \
        OPTION_TEXT, "size", 0, "N|HxW", NULL, 0, 0, false, "size of the network's input, pixels"             \
    }

struct invocation;

struct command {
    const char *name, *summary;
    const char *operands;             /* "MODEL IMAGES", "MODEL IMAGE...", "[FILE]" */
    const char *details;              /* a paragraph for --help; NULL: none */
    const char *example;              /* a line that works */
    const struct option_row *options; /* ended by {0} */
    int (*run)(struct invocation *in);
    bool auto_size; /* --size auto has a meaning */
};

struct invocation {
    const struct command *command;
    const char **operands;
    size_t n_operands;
    FILE *out;  /* results */
    char *line; /* the command as provenance records it, paths reduced to their last part */
    struct setting *settings;
    size_t n_settings;
};

extern const struct option_row common_options[]; /* --threads, --quiet, --progress, --help */
extern const struct command *const commands[];
extern const size_t n_commands;
const struct command *find_command(const char *name); /* NULL: none of that name */
int no_such_command(const char *name);                /* says so; gives EXIT_USAGE */

/* EXIT_DONE, or EXIT_USAGE with the message printed. */
int invocation_parse(struct invocation *in, int argc, char **argv);
void invocation_release(struct invocation *in);

/* EXIT_DONE, or EXIT_USAGE where an option means nothing with these operands (meanings.c). */
int check_meanings(const struct invocation *in);

/* Values; `name` must be a row of the command's table. */
bool option_exists(const struct invocation *in, const char *name); /* does the command have it? */
bool option_given(const struct invocation *in, const char *name);
bool option_flag(const struct invocation *in, const char *name);
const char *option_text(const struct invocation *in, const char *name); /* NULL: not given, no default */
const char *const *option_list(const struct invocation *in, const char *name, size_t *n);

/* --classes, --drop, --rename, --merge (class_options.c). An exit code; free in any case. */
struct class_choice {
    struct eg_class_choice choice;
    char *text;
    const char **names;
    struct eg_class_rename *renames;
};
int class_options(const struct invocation *in, struct class_choice *made);
void class_options_free(struct class_choice *made);
long long option_integer(const struct invocation *in, const char *name);
double option_real(const struct invocation *in, const char *name);
size_t option_bytes(const struct invocation *in, const char *name); /* 0: not given */

/* Numbers as people type them; false if it is none. */
bool parse_real(const char *text, double *value);
bool parse_integer(const char *text, long long *value);

/* "engraft COMMAND: ..." to standard error; gives EXIT_USAGE. */
__attribute__((format(printf, 2, 3))) int usage_error(const struct invocation *in, const char *format, ...);

/* ---- lines that fit the terminal (fold.c) ----------------------------------------- */

/* One message, "engraft COMMAND: ...", to standard error: folded on a terminal, else one line. */
__attribute__((format(printf, 2, 3))) void tell(const struct invocation *in, const char *format, ...);
/* The same without the command: a line of a list, or of several. */
__attribute__((format(printf, 1, 2))) void tell_more(const char *format, ...);
/* Lines longer than that are folded between words. A row made by print_path is not: a terminal
 * gets the end of its path, a file or a program all of it. */
void print_folded(FILE *to, const char *text, size_t n, size_t columns, bool terminal);
enum { PATH_MARK = '\x1f' }; /* never in printable text */
/* A path, the last of its row, in a command's results; ends the line. */
void print_path(FILE *to, const char *path);
/* Words wrapped to `width` columns, from column `indent`, the first line already there. */
void print_wrapped(FILE *to, const char *text, size_t indent, size_t width);

/* ---- words that were meant (nearest.c) -------------------------------------------- */

enum { NEAREST = 3 };
struct nearest {
    const char *typed, *words[NEAREST]; /* best first; borrowed */
    unsigned distances[NEAREST], most;
    size_t n;
};
void nearest_begin(struct nearest *nearest, const char *typed);
void nearest_add(struct nearest *nearest, const char *word);
/* "did you mean --model or --models": `before`, then each word with `prefix`; "" where none is near. */
const char *nearest_text(const struct nearest *nearest, const char *before, const char *prefix,
                         char text[200]);

/* ---- help (manual.c), completion (completion.c) ----------------------------------- */

void print_overview(FILE *to);
void print_help(const struct command *command, FILE *to);
void print_manual(FILE *to);
bool print_completion(const char *shell, FILE *to); /* false: unknown shell */
/* What the last of the words after "engraft" may become, a line each, to standard output. */
void print_candidates(int argc, char **argv);

/* ---- terminal (terminal.c) -------------------------------------------------------- */

struct progress {
    const char *what; /* "extract" */
    bool quiet, terminal;
    bool bytes; /* done and total are bytes */
    bool json;  /* a document a line, at most one a second and the last */
    double start, last;
    size_t first;  /* done before the start: not counted in the rate */
    size_t before; /* done at the last step */
    bool started;
};
void progress_begin(struct progress *progress, const struct invocation *in, const char *what);
/* An eg_progress_fn: user is a struct progress. False after ctrl-C. */
bool progress_step(void *user, size_t done, size_t total);
void progress_end(struct progress *progress);
void clear_bar(void); /* before a message; the next step shows it again */

void catch_interrupt(void); /* the first ctrl-C asks, the second kills */
bool interrupted(void);

bool colour_on(FILE *to);
size_t terminal_columns(FILE *to); /* where it is none: $COLUMNS, or 80 */
double seconds_now(void);
/* Foreign text on one line: what is not printable UTF-8 becomes \xNN; free() it. */
char *printable(const char *text);
size_t text_width(const char *utf8); /* columns; a code point is one */
/* At least `width` columns, left-aligned, cut with "..." in front when longer and `cut`: of a long
 * name the end tells more. */
void print_padded(FILE *to, const char *text, size_t width, bool cut);
void print_count(FILE *to, unsigned long long n, int width); /* 25,557,032 */

/* ---- answers (answers.c): classify and predict ------------------------------------- */

typedef int list_fn(const struct invocation *in, eg_dataset **images);
struct sorter;
int run_answers(struct invocation *in, list_fn *list, struct sorter *sorter); /* sorter NULL: none */
/* predict_stream.c: predict's answers as they come, and what it answers about. */
int run_stream(struct invocation *in, struct sorter *sorter);
list_fn predict_images, listed_images; /* the latter without --shard */
/* predict_sort.c: photos into folders by their answers. Nothing is moved before sorter_end, and nothing where
 * the code so far is a failure; it gives the code that it becomes. */
struct sorter {
    const struct invocation *in;
    const char *folder; /* NULL: neither --move nor --link */
    bool link;
    eg_sorting *sorting;
    enum eg_status status;
    struct eg_error err;
};
int sorter_begin(const struct invocation *in, struct sorter *sorter);
int sorter_check(const struct sorter *sorter, const eg_net *net); /* that the network answers with a class */
void sorter_add(struct sorter *sorter, const char *path, const char *label);
int sorter_end(struct sorter *sorter, int code);
int sort_back(const struct invocation *in); /* --undo */

/* ---- what commands share (shared.c) ------------------------------------------------ */

/* The error, and what can be done about it (hints.c), to standard error. */
void print_error(const struct invocation *in, const struct eg_error *err);
/* The same, and its exit code. */
int report_error(const struct invocation *in, enum eg_status status, const struct eg_error *err);
/* The unreadable inputs, on standard error. */
void list_skipped(const struct invocation *in, const struct eg_skipped *skipped, size_t n);

char *model_folders(const struct invocation *in); /* "DIR:DIR"; free() it; NULL: no memory */
/* Fill options from --models, --preprocess, --size; folders must be freed. EXIT_DONE or a code. */
int model_options(const struct invocation *in, struct eg_net_options *options, char **folders);
/* --trunk with what is no weights alone: EXIT_USAGE, and told. */
int check_trunk(const struct invocation *in, const char *model, const eg_net *net);
/* One more network that sees the pixels of `like`. */
int load_model_like(const struct invocation *in, const char *model, const eg_net *like, eg_net **net);
int load_model(const struct invocation *in, const char *model, eg_net **net);
/* The same with another size of its input, nothing told. NULL in *net: it has no such size. */
int load_model_at(const struct invocation *in, const char *model, const size_t size[2], eg_net **net);
int open_images(const struct invocation *in, const char *path, eg_dataset **dataset);
/* Photos without labels: as open_images. */
int list_images(const struct invocation *in, const char *const *paths, size_t n, eg_dataset **dataset);
/* A feature file, or images of which there are some: said before any long work. */
int check_data(const struct invocation *in, const char *path);
/* Photos of a feature file that lie in two classes, told on standard error. */
/* Do photos come through standard input? Nobody knows how many. */
bool is_stream(const struct invocation *in);
/* What a listing left out; of a stream known only when it has ended. */
void tell_ignored(const struct invocation *in, const eg_dataset *images);
void tell_contradictions(const struct invocation *in, eg_features *features);
int open_features(const struct invocation *in, const char *path, eg_features **features);
/* The network that made the features; of another program's file it stays as it is. */
int net_of(const struct invocation *in, eg_features *features, eg_net **net);
int make_pool(const struct invocation *in, eg_pool **pool);

/* Classes without photos, photos in two classes. */
/* cmd_train.c: classes that drop out, and photos in two of them */
void tell_empty_classes(const struct invocation *in, const struct eg_train_report *report);
void tell_twice(const struct invocation *in, const struct eg_train_report *report);
int info_shards(struct invocation *in); /* info_shards.c: several feature files */
/* cmd_extract.c: "2/8" */
bool parse_shard(const char *text, size_t *shard, size_t *n_shards);
/* cmd_train.c: "0.1,1,10" to numbers; NULL after a message. */
double *parse_grid(const struct invocation *in, const char *list, size_t *n);
/* The test report of train and evaluate. */
int print_metrics(const struct invocation *in, const struct eg_metrics *metrics, const char *const *classes);
/* Is there a folder for it, and may it be written? Better said before hours of work than after. */
int check_writable(const struct invocation *in, const char *path);
/* May an output go there? EXIT_DONE, or the refusal printed: it exists and --force is not given. */
int check_output(const struct invocation *in, const char *path);
/* Text as a file that has its name only when it is whole. */
int write_text(const struct invocation *in, const char *path, const char *text, size_t n_bytes);
/* --report (report.c): may it go there, before any work; and the page, of which the caller says what only it
 * knows. photos: the operand that names them. EXIT_DONE too where no report is asked for. */
int check_report(const struct invocation *in);
int write_report(const struct invocation *in, const char *photos, struct eg_page_options *page);
/* A picture, which is freed; NULL: there was no memory for it. */
int write_svg(const struct invocation *in, const char *path, char *svg);
bool is_hdf5(const char *path);                          /* by its first bytes */
bool names_features(const char *path);                   /* is_hdf5, or would be: "....h5" */
void print_csv_text(FILE *to, const char *text);         /* one field, quoted where needed */
char *volume_text(struct eg_shape shape, char text[64]); /* "7x7x512", "1000" */

/* Two lines, the second indented. */
void print_recipe(FILE *to, const struct eg_recipe *recipe, int indent);

void print_json(const struct invocation *in, json_t *json); /* takes json */
void print_text(const struct invocation *in, char *text);   /* a report's JSON; frees it */

/* Started by mpirun or srun as one of many, and as another than the first? Where the library is
 * without MPI this changes nothing. */
bool under_mpi(void);
bool later_rank(void);
/* EXIT_DONE, or the refusal printed: as one of many it would do the work of all (ranks.c). */
int check_alone(const struct invocation *in);

#endif
