/* dataset_ignored.c: what a dataset leaves out, and what people are told of it. */
#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/unicode.h"
#include "image/dataset_build.h"

enum { MAX_KINDS = 40, MAX_REMARKS = 20 }; /* more would not be read */

/* Synology, QNAP, Windows, ext4, macOS, Jupyter, Python. */
bool eg__is_rubbish(const char *name)
{
    static const char *const names[] = {"@eaDir",        "#recycle",           "#snapshot",
                                        "@Recycle",      "@Recently-Snapshot", "@tmp",
                                        "@SynoResource", "@__thumb",           ".@__thumb",
                                        "$RECYCLE.BIN",  "RECYCLER",           "System Volume Information",
                                        "lost+found",    "__MACOSX",           ".ipynb_checkpoints",
                                        "__pycache__",   "Thumbs.db",          "ehthumbs.db",
                                        "desktop.ini",   ".DS_Store"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcasecmp(name, names[i])) return true;
    return !strncmp(name, "SYNOPHOTO_THUMB", 15) || !strncmp(name, "SYNOINDEX_", 10) ||
           !strncmp(name, "SYNOVIDEO_", 10);
}

bool eg__is_split_name(const char *name)
{
    static const char *const names[] = {"train",      "training", "val",  "valid",
                                        "validation", "dev",      "test", "testing"};
    size_t n = strlen(name);
    if (n > 3 && !strcasecmp(name + n - 3, "set")) { /* train_set, TestSet */
        n -= 3;
        if (n && strchr("_- ", name[n - 1])) n--;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i]) == n && !strncasecmp(name, names[i], n)) return true;
    return false;
}

/* ---- patterns ---- */

static bool matches(const struct eg_dataset_options *options, const char *name)
{
    for (size_t i = 0; i < options->n_exclude; i++)
        if (!fnmatch(options->exclude[i], name, 0)) return true;
    return false;
}

bool eg__dataset_excludes(const struct eg_dataset_builder *builder, const char *path)
{
    const struct eg_dataset_options *options = builder->options;
    if (!options || !options->n_exclude) return false;
    char *copy = strdup(path), *name = copy;
    bool excluded = copy && matches(options, copy);
    for (char *slash; copy && !excluded && (slash = strchr(name, '/')); name = slash + 1) {
        *slash = '\0';
        excluded = matches(options, name) || matches(options, copy);
        *slash = '/';
    }
    if (copy && !excluded) excluded = matches(options, name);
    free(copy);
    return excluded;
}

/* ---- counting ---- */

enum eg_status eg__dataset_ignore(struct eg_dataset_builder *builder, const char *kind, const char *advice,
                                  const char *path, struct eg_error *err)
{
    struct eg_dataset *d = builder->dataset;
    size_t i = 0;
    if (d->n_ignored_kinds >= MAX_KINDS) {
        for (; i < d->n_ignored_kinds && strcmp(d->ignored[i].kind, kind);) i++;
        if (i == d->n_ignored_kinds) kind = "other";
    }
    for (i = 0; i < d->n_ignored_kinds && strcmp(d->ignored[i].kind, kind);) i++;
    if (i == d->n_ignored_kinds) {
        if (!eg__grow(&d->ignored, &builder->ignored_capacity, i + 1, sizeof *d->ignored))
            return eg__fail_memory(err, "a list of ignored files");
        d->ignored[i] = (struct eg_ignored_kind){.kind = strdup(kind), .advice = advice};
        if (!d->ignored[i].kind) return eg__fail_memory(err, "a list of ignored files");
        d->n_ignored_kinds++;
    }
    struct eg_ignored_kind *k = &d->ignored[i];
    char *shown = eg__printable(path);
    if (!shown) return eg__fail_memory(err, "a list of ignored files");
    if (!k->example || strcmp(shown, k->example) < 0) { /* the same whatever the folder's own order */
        free(k->example);
        k->example = shown;
    } else {
        free(shown);
    }
    k->n++;
    d->n_ignored++;
    return EG_OK;
}

static int compare_kinds(const void *a, const void *b)
{
    const struct eg_ignored_kind *x = a, *y = b;
    if (x->n != y->n) return x->n < y->n ? 1 : -1;
    return strcmp(x->kind, y->kind);
}

/* ---- remarks ---- */

static enum eg_status remark(struct eg_dataset *d, char *words, struct eg_error *err)
{
    char **grown = words ? realloc(d->remarks, (d->n_remarks + 1) * sizeof *grown) : NULL;
    if (!grown) {
        free(words);
        return eg__fail_memory(err, "a remark");
    }
    d->remarks = grown;
    d->remarks[d->n_remarks++] = words;
    return EG_OK;
}

enum eg_status eg__dataset_remark(struct eg_dataset *d, struct eg_error *err, const char *format, ...)
{
    va_list list;
    char *words;
    if (d->n_remarks >= MAX_REMARKS) return EG_OK;
    va_start(list, format);
    if (vasprintf(&words, format, list) < 0) words = NULL;
    va_end(list);
    return remark(d, words, err);
}

struct likeness {
    char *key;
    size_t class;
};

static int compare_likenesses(const void *a, const void *b)
{
    const struct likeness *x = a, *y = b;
    int order = strcmp(x->key, y->key);
    return order ? order : (x->class > y->class) - (x->class < y->class);
}

/* "Bird" and "bird": people mean one class. */
static enum eg_status remark_on_alike(struct eg_dataset *d, struct eg_error *err)
{
    struct likeness *keys = eg__zalloc(d->n_classes, sizeof *keys);
    enum eg_status status = keys ? EG_OK : eg__fail_memory(err, "the classes");
    for (size_t i = 0; i < d->n_classes && !status; i++) {
        keys[i] = (struct likeness){eg__likeness(d->classes[i]), i};
        if (!keys[i].key) status = eg__fail_memory(err, "the classes");
    }
    if (!status) qsort(keys, d->n_classes, sizeof *keys, compare_likenesses);
    for (size_t i = 1; i < d->n_classes && !status && d->n_remarks < MAX_REMARKS; i++) {
        if (strcmp(keys[i - 1].key, keys[i].key)) continue;
        status = eg__dataset_remark(
            d, err, "classes '%s' and '%s' look alike and are taken as two (give them one name)",
            d->classes[keys[i - 1].class], d->classes[keys[i].class]);
    }
    for (size_t i = 0; keys && i < d->n_classes; i++) free(keys[i].key);
    free(keys);
    return status;
}

enum eg_status eg__dataset_remarks(struct eg_dataset *d, struct eg_error *err)
{
    if (d->n_ignored_kinds) qsort(d->ignored, d->n_ignored_kinds, sizeof *d->ignored, compare_kinds);
    return remark_on_alike(d, err);
}
