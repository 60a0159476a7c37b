/* torch_state.c: people save a network alone, beside an optimizer, under "teacher", as a whole module:
 * every dictionary that holds tensors is looked at, and the fullest taken; of those that are about as
 * full the one whose key is first in a list.
 *
 * A module is an object whose attributes are _parameters, _buffers (name -> tensor) and _modules
 * (name -> module); TorchScript writes the three as attributes of the object itself. */
#include "formats/torch_state.h"

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"

enum { DEPTH_MAX = 4, MODULES_MAX = 40, NAME_ROOM = 400, STEPS_MAX = 1 << 20, LIST_MAX = 64 };

/* The first are what a network is loaded from where several are kept. */
static const char *const keys[] = {"state_dict", "model_state_dict", "model", "net",       "network",
                                   "teacher",    "state_dict_ema",   "ema",   "model_ema", "student"};
enum { N_KEYS = sizeof keys / sizeof *keys };

static bool is_text(const struct eg_pickle_value *value, const char *text)
{
    return value->kind == EG_PICKLE_STRING && value->count == strlen(text) &&
           !memcmp(value->as.chars, text, value->count);
}

static bool has_pairs(const struct eg_pickle_value *value)
{
    return value->kind == EG_PICKLE_DICT || value->kind == EG_PICKLE_OPAQUE;
}

static const struct eg_pickle_value *at(const struct eg_pickle *pickle, const struct eg_pickle_value *of,
                                        size_t i)
{
    return &pickle->values[of->as.items[i]];
}

/* ---- modules ---------------------------------------------------------------------------------- */

struct walk {
    const struct eg_pickle *pickle;
    eg_state_fn *each; /* NULL: only count */
    void *context;
    size_t count, steps;
    char name[NAME_ROOM];
    struct eg_error *err;
};

static enum eg_status give(struct walk *w, size_t prefix, const struct eg_pickle_value *key,
                           const struct eg_pickle_value *tensor)
{
    if (prefix + key->count >= sizeof w->name) return EG_OK; /* nobody's name */
    memcpy(w->name + prefix, key->as.chars, key->count);
    w->count++;
    if (!w->each) return EG_OK;
    return w->each(w->context, w->name, prefix + key->count, &w->pickle->tensors[tensor->as.integer], w->err);
}

static enum eg_status give_all(struct walk *w, size_t prefix, const struct eg_pickle_value *dict)
{
    enum eg_status status = EG_OK;
    for (size_t i = 0; i + 1 < dict->count && !status; i += 2) {
        const struct eg_pickle_value *key = at(w->pickle, dict, i), *value = at(w->pickle, dict, i + 1);
        if (key->kind == EG_PICKLE_STRING && value->kind == EG_PICKLE_TENSOR)
            status = give(w, prefix, key, value);
    }
    return status;
}

static bool is_module(const struct eg_pickle *pickle, const struct eg_pickle_value *object)
{
    return object->kind == EG_PICKLE_OPAQUE &&
           (eg__pickle_get(pickle, object, "_modules") || eg__pickle_get(pickle, object, "training"));
}

static enum eg_status walk_module(struct walk *w, size_t prefix, const struct eg_pickle_value *module,
                                  unsigned depth);

/* The modules among the values of `dict`, each under its key. */
static enum eg_status walk_children(struct walk *w, size_t prefix, const struct eg_pickle_value *dict,
                                    unsigned depth)
{
    enum eg_status status = EG_OK;
    for (size_t i = 0; i + 1 < dict->count && !status; i += 2) {
        const struct eg_pickle_value *key = at(w->pickle, dict, i), *value = at(w->pickle, dict, i + 1);
        if (++w->steps > STEPS_MAX)
            return eg__fail(w->err, EG_E_UNSUPPORTED, "its modules hold each other too often");
        if (key->kind != EG_PICKLE_STRING || value->kind != EG_PICKLE_OPAQUE ||
            prefix + key->count + 1 >= sizeof w->name)
            continue;
        memcpy(w->name + prefix, key->as.chars, key->count);
        w->name[prefix + key->count] = '.';
        status = walk_module(w, prefix + key->count + 1, value, depth + 1);
    }
    return status;
}

static enum eg_status walk_module(struct walk *w, size_t prefix, const struct eg_pickle_value *module,
                                  unsigned depth)
{
    static const char *const own[] = {"_parameters", "_buffers"};
    if (depth > MODULES_MAX) return EG_OK;
    const struct eg_pickle_value *children = eg__pickle_get(w->pickle, module, "_modules");
    if (!children || !has_pairs(children)) {
        enum eg_status status = give_all(w, prefix, module);
        return status ? status : walk_children(w, prefix, module, depth);
    }
    enum eg_status status = EG_OK;
    for (size_t i = 0; i < sizeof own / sizeof *own && !status; i++) {
        const struct eg_pickle_value *dict = eg__pickle_get(w->pickle, module, own[i]);
        if (dict && has_pairs(dict)) status = give_all(w, prefix, dict);
    }
    return status ? status : walk_children(w, prefix, children, depth);
}

static enum eg_status walk(struct walk *w, const struct eg_pickle_value *object)
{
    return is_module(w->pickle, object) ? walk_module(w, 0, object, 0) : give_all(w, 0, object);
}

/* ---- search ------------------------------------------------------------------------------------- */

struct place {
    uint32_t value;
    unsigned depth, rank; /* rank: of the key it lies under */
    size_t tensors;
};

struct search {
    const struct eg_pickle *pickle;
    struct place *queue;
    size_t n, capacity;
    bool *seen;
    struct eg_error *err;
};

static enum eg_status look_at(struct search *s, uint32_t value, unsigned depth, unsigned rank)
{
    const struct eg_pickle_value *v = &s->pickle->values[value];
    bool list = v->kind == EG_PICKLE_LIST || v->kind == EG_PICKLE_TUPLE;
    if ((!has_pairs(v) && !list) || s->seen[value] || depth > DEPTH_MAX) return EG_OK;
    if (!eg__grow(&s->queue, &s->capacity, s->n + 1, sizeof *s->queue))
        return eg__fail_memory(s->err, "a checkpoint's parts");
    s->seen[value] = true;
    s->queue[s->n++] = (struct place){value, depth, rank, 0};
    return EG_OK;
}

static unsigned rank_of(const struct eg_pickle_value *key, unsigned otherwise)
{
    for (unsigned i = 0; i < N_KEYS; i++)
        if (is_text(key, keys[i])) return otherwise < N_KEYS && otherwise > i ? otherwise : i;
    return otherwise;
}

static enum eg_status look_inside(struct search *s, size_t index)
{
    const struct place place = s->queue[index];
    const struct eg_pickle_value *v = &s->pickle->values[place.value];
    enum eg_status status = EG_OK;
    if (!has_pairs(v)) {
        for (size_t i = 0; i < v->count && i < LIST_MAX && !status; i++)
            status = look_at(s, v->as.items[i], place.depth + 1, place.rank);
        return status;
    }
    struct walk w = {.pickle = s->pickle, .err = s->err};
    status = walk(&w, v);
    s->queue[index].tensors = w.count;
    if (is_module(s->pickle, v)) return status;
    for (size_t i = 0; i + 1 < v->count && !status; i += 2) {
        const struct eg_pickle_value *key = at(s->pickle, v, i);
        if (key->kind == EG_PICKLE_STRING)
            status = look_at(s, v->as.items[i + 1], place.depth + 1, rank_of(key, place.rank));
    }
    return status;
}

enum eg_status eg__state_read(const struct eg_pickle *pickle, eg_state_fn *each, void *context,
                              struct eg_error *err)
{
    struct search s = {.pickle = pickle, .err = err, .seen = eg__zalloc(pickle->n_values, sizeof *s.seen)};
    if (!s.seen) return eg__fail_memory(err, "a checkpoint's parts");
    size_t most = 0;
    enum eg_status status = look_at(&s, pickle->result, 0, N_KEYS);
    for (size_t i = 0; i < s.n && !status; i++) {
        status = look_inside(&s, i);
        if (most < s.queue[i].tensors) most = s.queue[i].tensors;
    }
    const struct place *best = NULL;
    for (size_t i = 0; i < s.n && most; i++)
        if (s.queue[i].tensors >= (most + 1) / 2 && (!best || s.queue[i].rank < best->rank))
            best = &s.queue[i];
    if (!status && !best)
        status =
            eg__fail(err, EG_E_FORMAT,
                     "it holds no named tensors (in Python: torch.save(model.state_dict(), 'weights.pth'))");
    if (!status) {
        struct walk w = {.pickle = pickle, .each = each, .context = context, .err = err};
        status = walk(&w, &pickle->values[best->value]);
    }
    free(s.queue);
    free(s.seen);
    return status;
}
