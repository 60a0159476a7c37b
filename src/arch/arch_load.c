/* arch_load.c: weights files matched to the built-in architectures.
 *
 * A file's names may all have something in front ("encoder.", found among the file's own names), may count
 * a network's parts in place of naming them ("0.weight" for "conv1.weight", as torch.nn.Sequential does),
 * may come with keys of other things beside the network, and with another head or none. Nothing of that
 * changes what the network computes up to its head; a key inside the network that it has no use for does,
 * and is refused. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch/build.h"
#include "base/fail.h"
#include "base/mem.h"

enum { PREFIXES_MAX = 12, PREFIX_DEPTH = 6, PREFIX_ROOM = 96, SHOWN = 5 };

/* ---- the names in a file -------------------------------------------------------------------- */

struct prefix {
    char text[PREFIX_ROOM];
    const struct eg_tensor *first; /* of the names that have it, as the file lists them */
};

/* The sorted names of a weights file, made once for however many architectures are tried. */
struct index {
    const struct eg_weights *weights;
    const struct eg_tensor **sorted;
    bool *used;
    size_t n;
    bool numbered;
    size_t h, w;                        /* asked for */
    struct prefix prefix[PREFIXES_MAX]; /* the first is "" */
    size_t n_prefixes;
};

static int compare_tensors(const void *a, const void *b)
{
    return strcmp((*(const struct eg_tensor *const *)a)->name, (*(const struct eg_tensor *const *)b)->name);
}

static int compare_prefixes(const void *a, const void *b)
{
    const struct prefix *x = a, *y = b;
    return (x->first > y->first) - (x->first < y->first);
}

/* What a fifth of all names have in front, name by name, of names [from, to) that share `length` bytes. */
static void find_prefixes(struct index *index, size_t from, size_t to, size_t length, unsigned depth)
{
    if (depth == PREFIX_DEPTH) return;
    for (size_t i = from, end; i < to; i = end) {
        const char *name = index->sorted[i]->name, *dot = strchr(name + length, '.');
        size_t n = dot ? (size_t)(dot - name) + 1 : strlen(name);
        const struct eg_tensor *first = index->sorted[i];
        for (end = i + 1; end < to && dot && !strncmp(index->sorted[end]->name, name, n); end++)
            if (index->sorted[end] < first) first = index->sorted[end];
        if (!dot || n >= PREFIX_ROOM || (end - i) * 5 < index->n || index->n_prefixes == PREFIXES_MAX)
            continue;
        struct prefix *made = &index->prefix[index->n_prefixes++];
        memcpy(made->text, name, n);
        made->text[n] = '\0';
        made->first = first;
        find_prefixes(index, i, end, n, depth + 1);
    }
}

static enum eg_status index_create(const struct eg_weights *weights, struct index *index,
                                   struct eg_error *err)
{
    *index = (struct index){.weights = weights,
                            .sorted = eg__alloc(weights->n_tensors, sizeof *index->sorted),
                            .used = eg__alloc(weights->n_tensors, 1),
                            .n = weights->n_tensors,
                            .numbered = weights->numbered,
                            .n_prefixes = 1};
    if (!index->sorted || !index->used) {
        free(index->sorted);
        free(index->used);
        return eg__fail_memory(err, "the weights' names");
    }
    for (size_t i = 0; i < index->n; i++) index->sorted[i] = &weights->tensors[i];
    qsort(index->sorted, index->n, sizeof *index->sorted, compare_tensors);
    if (weights->kind != EG_WEIGHTS_KERAS) find_prefixes(index, 0, index->n, 0, 0);
    qsort(index->prefix, index->n_prefixes, sizeof *index->prefix, compare_prefixes); /* "" has no first */
    return EG_OK;
}

/* ---- one try ---------------------------------------------------------------------------------- */

/* How a file's names are taken. */
struct reading {
    const struct eg_arch_row *row;
    const char *prefix;
    bool by_position, trunk;
};

/* The dense layer with the highest number: of a classifier the last. NULL: there is none. */
static const struct eg_tensor **last_dense(const struct eg_builder *b)
{
    const struct eg_tensor **last = NULL;
    char name[32] = "dense/kernel";
    for (unsigned k = 1; k < 8; k++) {
        const struct eg_tensor **found = eg__build_search(b, name);
        if (found) last = found;
        snprintf(name, sizeof name, "dense_%u/kernel", k);
    }
    return last;
}

/* Describe the row over the weights; b is to be released. Classes and FC layers are as in the file. */
static enum eg_status fit(const struct reading *how, const struct index *index, struct eg_builder *b,
                          struct eg_error *err)
{
    const struct eg_arch_row *row = how->row;
    char name[128];
    snprintf(name, sizeof name, row->keras ? "%s/kernel" : "%s.weight", row->classifier);
    memset(index->used, 0, index->n);
    *b = (struct eg_builder){.row = row,
                             .weights = index->sorted,
                             .used = index->used,
                             .n_weights = index->n,
                             .numbered = index->numbered,
                             .file = index->weights->path,
                             .prefix = how->prefix,
                             .h = index->h,
                             .w = index->w,
                             .by_position = how->by_position};
    b->spellings = row->spellings;
    for (size_t i = 0; row->dialects && row->dialects[i] && !b->dialect; i++) {
        b->spellings = row->dialects[i];
        if (eg__build_search(b, row->probe)) b->dialect = i + 1;
    }
    const struct eg_tensor **last = b->numbered ? last_dense(b) : eg__build_search(b, name);
    b->top = !how->trunk && last && (*last)->rank >= 2;
    b->n_classes = b->top ? (*last)->dim[row->keras ? (*last)->rank - 1 : 0] : 0;
    return eg__arch_describe(b, err);
}

/* Is it something that training needs and a network at work does not? */
static bool is_ignored(const struct eg_arch_row *row, const char *name)
{
    static const char *const last[] = {"num_batches_tracked", "total_ops", "total_params", "mask_token",
                                       "position_ids"};
    size_t length = strlen(name);
    for (size_t i = 0; i < sizeof last / sizeof *last; i++)
        if (length >= strlen(last[i]) && !strcmp(name + length - strlen(last[i]), last[i])) return true;
    return row->ignored && !strncmp(name, row->ignored, strlen(row->ignored));
}

/* A dense layer's weights, by Keras's names for them. */
static bool is_dense(const struct index *index, const char *name)
{
    const char *slash = strrchr(name, '/');
    if (!slash) return false;
    for (size_t i = 0; i < index->n; i++) {
        const struct eg_tensor *t = index->sorted[i];
        size_t length = (size_t)(slash - name);
        if (!strncmp(t->name, name, length) && !strcmp(t->name + length, "/kernel")) return t->rank == 2;
    }
    return false;
}

/* Does the name lie outside of the network: under no word that begins a name which it uses? */
static bool is_foreign(const struct eg_builder *b, const struct index *index, size_t at)
{
    const char *name = index->sorted[at]->name;
    size_t length = strlen(b->prefix);
    if (b->row->keras) return !b->numbered && is_dense(index, name);
    if (strncmp(name, b->prefix, length)) return true;
    size_t word = length + strcspn(name + length, ".");
    /* the names are sorted: those of one word stand together */
    for (size_t i = at; i-- > 0 && !strncmp(index->sorted[i]->name, name, word);)
        if (index->used[i] && index->sorted[i]->name[word] == '.') return false;
    for (size_t i = at + 1; i < index->n && !strncmp(index->sorted[i]->name, name, word); i++)
        if (index->used[i] && index->sorted[i]->name[word] == '.') return false;
    return true;
}

struct unused {
    struct eg_text unexpected, dropped; /* the first few names of each */
    size_t n_unexpected, n_dropped;
};

static void list_name(struct eg_text *text, size_t *n, const char *name)
{
    if (++*n <= SHOWN) eg__text_append(text, *n > 1 ? ", '%.100s'" : "'%.100s'", name);
}

static struct unused sort_unused(const struct eg_builder *b, const struct index *index)
{
    struct unused found = {0};
    size_t length = strlen(b->prefix);
    for (size_t i = 0; i < index->n; i++) {
        const char *name = index->sorted[i]->name;
        if (index->used[i] || is_ignored(b->row, name)) continue;
        bool inside = !strncmp(name, b->prefix, length);
        if (inside && length && is_ignored(b->row, name + length)) continue;
        if (is_foreign(b, index, i))
            list_name(&found.dropped, &found.n_dropped, name);
        else
            list_name(&found.unexpected, &found.n_unexpected, name);
    }
    if (found.n_dropped > SHOWN) eg__text_append(&found.dropped, " and %zu more", found.n_dropped - SHOWN);
    return found;
}

static void release_unused(struct unused *unused)
{
    free(unused->unexpected.chars);
    free(unused->dropped.chars);
}

/* How many parameters do not fit; 0 is a fit, where *n_dropped names are not used. */
static size_t try_reading(const struct reading *how, const struct index *index, size_t *n_dropped)
{
    struct eg_builder b;
    size_t n = SIZE_MAX;
    if (!fit(how, index, &b, NULL)) {
        struct unused unused = sort_unused(&b, index);
        n = b.missing.count + b.misshapen.count + unused.n_unexpected;
        *n_dropped = unused.n_dropped;
        if (index->n && unused.n_dropped == index->n) n = SIZE_MAX; /* nothing of it is used */
        release_unused(&unused);
    }
    eg__arch_release(&b);
    return n;
}

/* ---- many tries ------------------------------------------------------------------------------------ */

struct best {
    struct reading how;
    size_t misfits, dropped;
};

static bool counts_parts(const struct index *index, const char *prefix)
{
    size_t n = strlen(prefix);
    for (size_t i = 0; i < index->n; i++)
        if (!strncmp(index->sorted[i]->name, prefix, n) && !strncmp(index->sorted[i]->name + n, "0.", 2))
            return true;
    return false;
}

/* Better than what was found before? The first that fits of one row is taken. */
static void try_row(const struct eg_arch_row *row, const struct index *index, bool trunk, struct best *best)
{
    for (size_t p = 0; p < index->n_prefixes; p++)
        for (unsigned variant = trunk; variant < 4; variant += 1 + trunk) {
            struct reading how = {row, index->prefix[p].text, variant > 1, variant % 2};
            if (how.by_position && !counts_parts(index, how.prefix)) continue;
            size_t dropped = 0, misfits = try_reading(&how, index, &dropped);
            if (misfits < best->misfits || (misfits == best->misfits && dropped < best->dropped))
                *best = (struct best){how, misfits, dropped};
            if (!misfits) return;
        }
}

static void append_list(struct eg_text *text, const char *title, const struct eg_text *list, size_t count)
{
    if (!count) return;
    eg__text_append(text, "; %s: %s", title, list->chars ? list->chars : "");
    if (count > SHOWN) eg__text_append(text, " and %zu more", count - SHOWN);
}

static enum eg_status misfit(const struct best *best, const struct index *index, bool nearest,
                             struct eg_error *err)
{
    struct eg_builder b;
    struct eg_text report = {0};
    enum eg_status status = fit(&best->how, index, &b, err);
    if (!status) {
        struct unused unused = sort_unused(&b, index);
        append_list(&report, "missing", &b.missing.text, b.missing.count);
        append_list(&report, "wrong shape", &b.misshapen.text, b.misshapen.count);
        append_list(&report, "unexpected", &unused.unexpected, unused.n_unexpected);
        if (*best->how.prefix)
            eg__text_append(&report, "; of the names that begin with '%s'", best->how.prefix);
        release_unused(&unused);
        status =
            eg__fail(err, EG_E_SHAPE,
                     nearest ? "weights '%.200s' fit no built-in network; nearest is '%s', with %zu misfits%s"
                             : "weights '%.200s' do not fit '%s': %zu misfits%s",
                     index->weights->path, b.row->arch.name, best->misfits, report.chars ? report.chars : "");
    }
    free(report.chars);
    eg__arch_release(&b);
    return status;
}

static void release_weights(void *object)
{
    struct eg_weights **slot = object;
    eg__weights_free(*slot);
    free(slot);
}

/* The graph keeps the weights alive; nothing can fail after they are its own. */
static enum eg_status keep(struct eg_graph *graph, struct eg_weights *weights, struct eg_error *err)
{
    graph->weights_path = eg__graph_string(graph, weights->path);
    struct eg_weights **slot = eg__zalloc(1, sizeof(struct eg_weights *));
    if (!slot || !graph->weights_path) {
        free(slot);
        return eg__fail_memory(err, "a network's weights");
    }
    enum eg_status status = eg__graph_hold(graph, slot, release_weights, err);
    if (!status) *slot = weights;
    if (!status) {
        graph->weights_parts = weights->parts;
        graph->n_weights_parts = weights->n_parts;
    }
    return status;
}

static enum eg_status load(const struct reading *how, const struct index *index, struct eg_weights *weights,
                           struct eg_graph **graph, struct eg_error *err)
{
    struct eg_builder b;
    enum eg_status status = fit(how, index, &b, err);
    if (!status) {
        struct unused unused = sort_unused(&b, index);
        if (unused.n_dropped)
            status = eg__graph_set_metadata(b.graph, EG_GRAPH_DROPPED,
                                            unused.dropped.chars ? unused.dropped.chars : "", err);
        release_unused(&unused);
    }
    if (!status) status = keep(b.graph, weights, err);
    if (!status) {
        *graph = b.graph;
        b.graph = NULL;
    }
    eg__arch_release(&b);
    return status;
}

/* The same network with the names the file has: 'vgg16' is 'keras-vgg16' for a Keras file. */
static const struct eg_arch_row *in_dialect(const struct eg_arch_row *row, bool keras)
{
    const struct eg_arch_row *other;
    if (row->keras == keras) return row;
    for (size_t i = 0; (other = eg__arch_row_at(i)); i++) {
        const char *mine = row->arch.name, *theirs = other->arch.name;
        if (other->keras == keras &&
            eg__arch_same_name(row->keras ? mine + 6 : mine, other->keras ? theirs + 6 : theirs))
            return other;
    }
    return row;
}

/* timm's network of that name where it is another one: 'timm-NAME'. */
static const struct eg_arch_row *namesake(const struct eg_arch_row *row)
{
    const struct eg_arch_row *other;
    for (size_t i = 0; (other = eg__arch_row_at(i)); i++)
        if (!strncmp(other->arch.name, "timm-", 5) &&
            eg__arch_same_name(row->arch.name, other->arch.name + 5))
            return other;
    return NULL;
}

static enum eg_status check_numbered(const struct eg_arch_row *row, const struct index *index,
                                     struct eg_error *err)
{
    if (!index->numbered || row->in_keras_order) return EG_OK;
    return eg__fail(err, EG_E_UNSUPPORTED,
                    "weights '%.200s' do not say which layer is which, and '%s' has branches (save them with "
                    "Keras 3.10 or later, or as .keras)",
                    index->weights->path, row->arch.name);
}

/* The row that fits; where none does, the one that comes nearest. */
static struct best find_row(const struct index *index, bool keras, bool trunk)
{
    struct best best = {.misfits = SIZE_MAX, .dropped = SIZE_MAX};
    const struct eg_arch_row *row;
    for (size_t i = 0; (row = eg__arch_row_at(i)) && (best.misfits || best.dropped); i++)
        if ((!row->told_by || strstr(index->weights->path, row->told_by)) && row->keras == keras &&
            (!index->numbered || row->in_keras_order))
            try_row(row, index, trunk, &best);
    return best;
}

enum eg_status eg__arch_load(const struct eg_arch *arch, struct eg_weights *weights, bool trunk, size_t h,
                             size_t w, struct eg_graph **graph, struct eg_error *err)
{
    bool keras = weights->kind == EG_WEIGHTS_KERAS;
    struct index index;
    enum eg_status status = index_create(weights, &index, err);
    if (status) return status;
    index.h = h;
    index.w = w;
    struct best best = {.misfits = SIZE_MAX, .dropped = SIZE_MAX};
    if (arch) {
        const struct eg_arch_row *row = in_dialect((const struct eg_arch_row *)arch, keras);
        best.how = (struct reading){.row = row, .prefix = ""};
        status = check_numbered(row, &index, err);
        if (!status) try_row(row, &index, trunk, &best);
        const struct eg_arch_row *other = best.misfits ? namesake(row) : NULL;
        if (!status && other) try_row(other, &index, trunk, &best);
    } else {
        best = find_row(&index, keras, trunk);
        if (!best.how.row)
            status = eg__fail(err, EG_E_SHAPE, "weights '%.200s' fit no built-in network", weights->path);
    }
    if (!status)
        status =
            best.misfits ? misfit(&best, &index, !arch, err) : load(&best.how, &index, weights, graph, err);
    free(index.sorted);
    free(index.used);
    return status;
}
