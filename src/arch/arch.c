/* arch.c: the built-in architectures by name, and weights files matched to them. */
#include "arch/arch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch/build.h"
#include "base/fail.h"
#include "base/mem.h"

#define XX(family) eg__arch_##family,
static const struct eg_arch_row *const families[] = {EG_ARCH_FAMILIES(XX)};
#undef XX
enum { N_FAMILIES = sizeof families / sizeof *families };

static const struct eg_arch_row *row_at(size_t index)
{
    for (size_t f = 0; f < N_FAMILIES; f++)
        for (const struct eg_arch_row *row = families[f]; row->arch.name; row++)
            if (!index--) return row;
    return NULL;
}

size_t eg__arch_count(void)
{
    size_t n = 0;
    while (row_at(n)) n++;
    return n;
}

const struct eg_arch *eg__arch_at(size_t index)
{
    const struct eg_arch_row *row = row_at(index);
    return row ? &row->arch : NULL;
}

static bool same_name(const char *a, const char *b)
{
    for (; *a && (*a == *b || (*a == '-' && *b == '_') || (*a == '_' && *b == '-')); a++) b++;
    return !*a && !*b;
}

const struct eg_arch *eg__arch_find(const char *name)
{
    const struct eg_arch_row *row;
    for (size_t i = 0; (row = row_at(i)); i++)
        if (same_name(row->arch.name, name)) return &row->arch;
    return NULL;
}

/* ---- building ---------------------------------------------------------------------- */

static enum eg_status describe(struct eg_builder *b, struct eg_error *err)
{
    const struct eg_arch *arch = &b->row->arch;
    b->err = err;
    b->keras = b->row->keras;
    b->epsilon = 1e-5f;
    b->status = eg__graph_create(arch->name, &b->graph, err);
    if (b->status) return b->status;
    struct eg_node input = {.op = EG_OP_INPUT, .name = b->keras ? "input_1" : "x"};
    input.shape = eg__map_shape(arch->size, arch->size, 3);
    uint32_t index;
    b->status = eg__graph_add(b->graph, &input, &index, err);
    if (!b->status) b->row->describe(b, b->row->variant);
    b->graph->input_nchw = !b->keras;
    return b->status;
}

static void release(struct eg_builder *b)
{
    eg__graph_free(b->graph);
    free(b->missing.text.chars);
    free(b->misshapen.text.chars);
}

enum eg_status eg__arch_build(const struct eg_arch *arch, size_t n_classes, bool top, struct eg_graph **graph,
                              struct eg_error *err)
{
    struct eg_builder b = {
        .row = (const struct eg_arch_row *)arch, .n_classes = n_classes ? n_classes : 1000, .top = top};
    enum eg_status status = describe(&b, err);
    if (!status) {
        *graph = b.graph;
        b.graph = NULL;
    }
    release(&b);
    return status;
}

/* ---- loading ------------------------------------------------------------------------- */

static int compare_tensors(const void *a, const void *b)
{
    return strcmp((*(const struct eg_tensor *const *)a)->name, (*(const struct eg_tensor *const *)b)->name);
}

/* Is it something that training needs and a network at work does not? */
static bool is_ignored(const struct eg_arch_row *row, const char *name)
{
    static const char *const last[] = {"num_batches_tracked", "total_ops", "total_params"};
    size_t length = strlen(name);
    for (size_t i = 0; i < sizeof last / sizeof *last; i++)
        if (length >= strlen(last[i]) && !strcmp(name + length - strlen(last[i]), last[i])) return true;
    return row->ignored && !strncmp(name, row->ignored, strlen(row->ignored));
}

static size_t note_unexpected(const struct eg_builder *b, struct eg_text *text)
{
    size_t n = 0;
    for (size_t i = 0; i < b->n_weights; i++) {
        if (b->used[i] || is_ignored(b->row, b->weights[i]->name)) continue;
        if (++n <= 5) eg__text_append(text, n > 1 ? ", '%.100s'" : "'%.100s'", b->weights[i]->name);
    }
    return n;
}

static void append_list(struct eg_text *text, const char *title, const struct eg_text *list, size_t count)
{
    if (!count) return;
    eg__text_append(text, "; %s: %s", title, list->chars ? list->chars : "");
    if (count > 5) eg__text_append(text, " and %zu more", count - 5);
}

/* How many parameters do not fit; 0 is a fit. `report` (may be NULL) gets the lists. */
static size_t count_misfits(const struct eg_builder *b, struct eg_text *report)
{
    struct eg_text unexpected = {0};
    size_t n = note_unexpected(b, &unexpected);
    if (report) {
        append_list(report, "missing", &b->missing.text, b->missing.count);
        append_list(report, "wrong shape", &b->misshapen.text, b->misshapen.count);
        append_list(report, "unexpected", &unexpected, n);
    }
    free(unexpected.chars);
    return n + b->missing.count + b->misshapen.count;
}

/* The sorted names of a weights file, made once for however many architectures are tried. */
struct index {
    const struct eg_tensor **sorted;
    bool *used;
    size_t n;
    bool numbered;
};

static enum eg_status index_create(const struct eg_weights *weights, struct index *index,
                                   struct eg_error *err)
{
    struct index made = {eg__alloc(weights->n_tensors, sizeof *made.sorted), eg__alloc(weights->n_tensors, 1),
                         weights->n_tensors, weights->numbered};
    if (!made.sorted || !made.used) {
        free(made.sorted);
        free(made.used);
        return eg__fail_memory(err, "the weights' names");
    }
    for (size_t i = 0; i < made.n; i++) made.sorted[i] = &weights->tensors[i];
    qsort(made.sorted, made.n, sizeof *made.sorted, compare_tensors);
    *index = made;
    return EG_OK;
}

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

/* Describe row over the weights; b is to be released. Classes and FC layers are as in the file. */
static enum eg_status fit(const struct eg_arch_row *row, const struct index *index, struct eg_builder *b,
                          struct eg_error *err)
{
    char name[128];
    snprintf(name, sizeof name, row->keras ? "%s/kernel" : "%s.weight", row->classifier);
    memset(index->used, 0, index->n);
    *b =
        (struct eg_builder){.row = row, .weights = index->sorted, .used = index->used, .n_weights = index->n};
    b->numbered = index->numbered;
    const struct eg_tensor **last = b->numbered ? last_dense(b) : eg__build_search(b, name);
    b->top = last && (*last)->rank >= 2;
    b->n_classes = b->top ? (*last)->dim[row->keras ? (*last)->rank - 1 : 0] : 0;
    return describe(b, err);
}

static enum eg_status misfit(const struct eg_builder *b, const struct eg_weights *weights, bool nearest,
                             struct eg_error *err)
{
    struct eg_text report = {0};
    size_t n = count_misfits(b, &report);
    enum eg_status status =
        eg__fail(err, EG_E_SHAPE,
                 nearest ? "weights '%.200s' fit no built-in network; nearest is '%s', with %zu misfits%s"
                         : "weights '%.200s' do not fit '%s': %zu misfits%s",
                 weights->path, b->row->arch.name, n, report.chars ? report.chars : "");
    free(report.chars);
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
    return status;
}

/* The same network with the names the file has: 'vgg16' is 'keras-vgg16' for a Keras file. */
static const struct eg_arch_row *in_dialect(const struct eg_arch_row *row, bool keras)
{
    const struct eg_arch_row *other;
    if (row->keras == keras) return row;
    for (size_t i = 0; (other = row_at(i)); i++) {
        const char *mine = row->arch.name, *theirs = other->arch.name;
        if (other->keras == keras &&
            same_name(row->keras ? mine + 6 : mine, other->keras ? theirs + 6 : theirs))
            return other;
    }
    return row;
}

static enum eg_status load_row(const struct eg_arch_row *row, const struct index *index,
                               struct eg_weights *weights, struct eg_graph **graph, struct eg_error *err)
{
    if (index->numbered && !row->in_keras_order)
        return eg__fail(
            err, EG_E_UNSUPPORTED,
            "weights '%.200s' do not say which layer is which, and '%s' has branches (save them with "
            "Keras 3.10 or later, or as .keras)",
            weights->path, row->arch.name);
    struct eg_builder b;
    enum eg_status status = fit(row, index, &b, err);
    if (!status && count_misfits(&b, NULL)) status = misfit(&b, weights, false, err);
    if (!status) status = keep(b.graph, weights, err);
    if (!status) {
        *graph = b.graph;
        b.graph = NULL;
    }
    release(&b);
    return status;
}

/* The row that fits best; *misfits 0: it does fit. NULL: none could even be tried. */
static const struct eg_arch_row *best_row(const struct index *index, bool keras, size_t *misfits)
{
    const struct eg_arch_row *row, *best = NULL;
    for (size_t i = 0; (row = row_at(i)); i++) {
        if (row->keras != keras || (index->numbered && !row->in_keras_order)) continue;
        struct eg_builder b;
        size_t n = fit(row, index, &b, NULL) ? SIZE_MAX : count_misfits(&b, NULL);
        release(&b);
        if (!best || n < *misfits) {
            best = row;
            *misfits = n;
        }
        if (!n) break;
    }
    return best;
}

enum eg_status eg__arch_load(const struct eg_arch *arch, struct eg_weights *weights, struct eg_graph **graph,
                             struct eg_error *err)
{
    bool keras = weights->kind == EG_WEIGHTS_KERAS;
    struct index index;
    enum eg_status status = index_create(weights, &index, err);
    if (status) return status;
    const struct eg_arch_row *row = (const struct eg_arch_row *)arch;
    if (row) {
        status = load_row(in_dialect(row, keras), &index, weights, graph, err);
    } else {
        size_t misfits = 0;
        row = best_row(&index, keras, &misfits);
        if (row && !misfits) {
            status = load_row(row, &index, weights, graph, err);
        } else if (row) {
            struct eg_builder b;
            status = fit(row, &index, &b, err);
            if (!status) status = misfit(&b, weights, true, err);
            release(&b);
        } else {
            status = eg__fail(err, EG_E_SHAPE, "weights '%.200s' fit no built-in network", weights->path);
        }
    }
    free(index.sorted);
    free(index.used);
    return status;
}
