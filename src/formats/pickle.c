/* pickle.c: the pickle machine: a stack, a memo, and values that refer to each other by index.
 *
 * Hostile input: every operand is checked against the end of the bytes, every pop against the
 * stack; one opcode makes at most one value, and values are capped; nothing here recurses. */
#include "formats/pickle.h"

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"

enum { VALUES_MAX = 1 << 22, MEMO_MAX = 1 << 22, ITEMS_MAX = 1 << 24 };
#define MARK UINT32_MAX

/* ---- what may be built ------------------------------------------------------ */

enum constructor {
    ORDERED_DICT,
    SIZE,
    REBUILD_TENSOR,
    REBUILD_PARAMETER,
    REBUILD_SUBCLASS,
    STORAGE,
    OTHER_STORAGE
};
enum { UNKNOWN = -1 };

static const struct {
    const char *module, *name;
    enum constructor constructor;
    enum eg_dtype dtype;
} constructors[] = {
    {"collections", "OrderedDict", ORDERED_DICT, 0},
    {"torch", "Size", SIZE, 0},
    {"torch._utils", "_rebuild_tensor", REBUILD_TENSOR, 0},
    {"torch._utils", "_rebuild_tensor_v2", REBUILD_TENSOR, 0},
    {"torch._utils", "_rebuild_parameter", REBUILD_PARAMETER, 0},
    {"torch._utils", "_rebuild_parameter_with_state", REBUILD_PARAMETER, 0},
    {"torch._tensor", "_rebuild_from_type_v2", REBUILD_SUBCLASS, 0},
    {"torch", "FloatStorage", STORAGE, EG_F32},
    {"torch", "HalfStorage", STORAGE, EG_F16},
    {"torch", "BFloat16Storage", STORAGE, EG_BF16},
    {"torch", "DoubleStorage", STORAGE, EG_F64},
    {"torch", "LongStorage", STORAGE, EG_I64},
    {"torch", "IntStorage", STORAGE, EG_I32},
    {"torch", "ShortStorage", STORAGE, EG_I16},
    {"torch", "CharStorage", STORAGE, EG_I8},
    {"torch", "ByteStorage", STORAGE, EG_U8},
    {"torch", "BoolStorage", STORAGE, EG_BOOL},
    /* of numbers that no network of ours has; the type is one of that size, twice it for the first */
    {"torch", "ComplexDoubleStorage", OTHER_STORAGE, EG_F64},
    {"torch", "ComplexFloatStorage", OTHER_STORAGE, EG_I64},
    {"torch", "QInt8Storage", OTHER_STORAGE, EG_I8},
    {"torch", "QUInt8Storage", OTHER_STORAGE, EG_U8},
    {"torch", "QInt32Storage", OTHER_STORAGE, EG_I32},
    {"torch", "UntypedStorage", OTHER_STORAGE, EG_U8},
    {"torch.storage", "UntypedStorage", OTHER_STORAGE, EG_U8},
};

/* ---- the machine ------------------------------------------------------------- */

struct machine {
    const uint8_t *bytes;
    size_t size, at;
    struct eg_pickle made;
    uint32_t *stack, *memo;
    size_t depth, stack_capacity, memo_count, memo_capacity;
    size_t n_items; /* in all containers */
    struct eg_error *err;
    enum eg_status status;
};

static bool broken(struct machine *m, const char *what)
{
    m->status = eg__fail(m->err, EG_E_FORMAT, "pickle is damaged at byte %zu: %s", m->at, what);
    return false;
}

static bool memory(struct machine *m)
{
    m->status = eg__fail_memory(m->err, "a pickle's objects");
    return false;
}

static bool take(struct machine *m, size_t n, const uint8_t **bytes)
{
    if (n > m->size - m->at) return broken(m, "truncated");
    *bytes = m->bytes + m->at;
    m->at += n;
    return true;
}

/* n little-endian bytes, n <= 8 */
static bool take_number(struct machine *m, size_t n, uint64_t *number)
{
    const uint8_t *bytes;
    if (!take(m, n, &bytes)) return false;
    uint64_t value = 0;
    for (size_t i = 0; i < n; i++) value |= (uint64_t)bytes[i] << (8 * i);
    *number = value;
    return true;
}

/* Text up to a newline, for GLOBAL. */
static bool take_line(struct machine *m, const char **text, size_t *length)
{
    const uint8_t *begin = m->bytes + m->at, *end = memchr(begin, '\n', m->size - m->at);
    if (!end) return broken(m, "a name without end");
    *text = (const char *)begin;
    *length = (size_t)(end - begin);
    m->at += *length + 1;
    return true;
}

static bool push(struct machine *m, uint32_t index)
{
    if (m->depth >= VALUES_MAX || !eg__grow(&m->stack, &m->stack_capacity, m->depth + 1, sizeof *m->stack))
        return memory(m);
    m->stack[m->depth++] = index;
    return true;
}

static bool push_value(struct machine *m, struct eg_pickle_value value)
{
    struct eg_pickle *p = &m->made;
    if (p->n_values >= VALUES_MAX) {
        m->status = eg__fail(m->err, EG_E_UNSUPPORTED, "pickle holds more than %d objects", VALUES_MAX);
        return false;
    }
    if (!eg__grow(&p->values, &p->values_capacity, p->n_values + 1, sizeof *p->values)) return memory(m);
    p->values[p->n_values] = value;
    return push(m, (uint32_t)p->n_values++);
}

static bool push_int(struct machine *m, enum eg_pickle_kind kind, int64_t integer)
{
    return push_value(m, (struct eg_pickle_value){.kind = kind, .as.integer = integer});
}

static bool push_string(struct machine *m, size_t length_bytes)
{
    uint64_t length;
    const uint8_t *chars;
    if (!take_number(m, length_bytes, &length)) return false;
    if (length > UINT32_MAX) return broken(m, "a string too long");
    if (!take(m, (size_t)length, &chars)) return false;
    return push_value(m, (struct eg_pickle_value){.kind = EG_PICKLE_STRING,
                                                  .count = (uint32_t)length,
                                                  .as.chars = (const char *)chars});
}

static bool pop(struct machine *m, uint32_t *index)
{
    if (!m->depth || m->stack[m->depth - 1] == MARK) return broken(m, "its stack is empty");
    *index = m->stack[--m->depth];
    return true;
}

static bool top(struct machine *m, uint32_t *index)
{
    if (!m->depth || m->stack[m->depth - 1] == MARK) return broken(m, "its stack is empty");
    *index = m->stack[m->depth - 1];
    return true;
}

/* The stack's items above its last mark, which is taken off: stack[*begin .. *begin + *n - 1],
 * valid until the next push. */
static bool pop_mark(struct machine *m, size_t *begin, size_t *n)
{
    size_t i = m->depth;
    while (i && m->stack[i - 1] != MARK) i--;
    if (!i) return broken(m, "a mark is missing");
    *begin = i;
    *n = m->depth - i;
    m->depth = i - 1;
    return true;
}

static bool count_items(struct machine *m, size_t n)
{
    m->n_items += n;
    if (m->n_items <= ITEMS_MAX) return true;
    m->status = eg__fail(m->err, EG_E_UNSUPPORTED, "pickle holds more than %d items", ITEMS_MAX);
    return false;
}

static bool append(struct machine *m, uint32_t container, const uint32_t *items, size_t n)
{
    if (!count_items(m, n)) return false;
    struct eg_pickle_value *value = &m->made.values[container];
    size_t capacity = value->capacity;
    if (!eg__grow(&value->as.items, &capacity, value->count + n, sizeof *items)) return memory(m);
    value->capacity = (uint32_t)capacity;
    if (n) memcpy(value->as.items + value->count, items, n * sizeof *items);
    value->count += (uint32_t)n;
    return true;
}

/* A new tuple or list of stack[begin .. begin+n-1], pushed at depth. */
static bool push_items(struct machine *m, enum eg_pickle_kind kind, size_t begin, size_t n)
{
    struct eg_pickle_value value = {.kind = kind};
    if (!count_items(m, n)) return false;
    if (n) {
        value.as.items = eg__alloc(n, sizeof *value.as.items);
        if (!value.as.items) return memory(m);
        memcpy(value.as.items, m->stack + begin, n * sizeof *value.as.items);
        value.count = value.capacity = (uint32_t)n;
    }
    if (push_value(m, value)) return true;
    free(value.as.items);
    return false;
}

static bool push_tuple_of(struct machine *m, size_t n)
{
    uint32_t unused;
    if (m->depth < n) return broken(m, "its stack is empty");
    for (size_t i = 0; i < n; i++)
        if (!pop(m, &unused)) return false;
    return push_items(m, EG_PICKLE_TUPLE, m->depth, n);
}

static bool push_global(struct machine *m, const char *module, size_t module_length, const char *name,
                        size_t name_length)
{
    for (size_t i = 0; i < sizeof constructors / sizeof *constructors; i++)
        if (strlen(constructors[i].module) == module_length && strlen(constructors[i].name) == name_length &&
            !memcmp(constructors[i].module, module, module_length) &&
            !memcmp(constructors[i].name, name, name_length))
            return push_int(m, EG_PICKLE_GLOBAL, (int64_t)i);
    return push_int(m, EG_PICKLE_GLOBAL, UNKNOWN);
}

/* ---- constructors -------------------------------------------------------------- */

static const struct eg_pickle_value *item(const struct machine *m, const struct eg_pickle_value *list,
                                          size_t i)
{
    return &m->made.values[list->as.items[i]];
}

static bool push_opaque(struct machine *m)
{
    return push_value(m, (struct eg_pickle_value){.kind = EG_PICKLE_OPAQUE});
}

static bool is_global(const struct eg_pickle_value *value, enum constructor constructor)
{
    return value->kind == EG_PICKLE_GLOBAL && value->as.integer != UNKNOWN &&
           constructors[value->as.integer].constructor == constructor;
}

static bool is_count(const struct eg_pickle_value *value)
{
    return value->kind == EG_PICKLE_INT && value->as.integer >= 0;
}

static bool push_tensor(struct machine *m, const struct eg_pickle_value *arguments)
{
    if (arguments->count < 4) return broken(m, "a tensor without its size");
    const struct eg_pickle_value *storage = item(m, arguments, 0), *offset = item(m, arguments, 1),
                                 *size = item(m, arguments, 2), *stride = item(m, arguments, 3);
    if (storage->kind == EG_PICKLE_OPAQUE) return push_opaque(m); /* of numbers we do not know */
    if (storage->kind != EG_PICKLE_STORAGE || !is_count(offset) || size->kind != EG_PICKLE_TUPLE ||
        stride->kind != EG_PICKLE_TUPLE || size->count != stride->count)
        return broken(m, "a tensor that is not one");
    if (size->count > EG_RANK_MAX) return push_opaque(m);
    struct eg_pickle_tensor tensor = {.storage = (uint32_t)storage->as.integer,
                                      .offset = (uint64_t)offset->as.integer,
                                      .rank = (uint8_t)size->count};
    for (size_t i = 0; i < size->count; i++) {
        if (!is_count(item(m, size, i)) || !is_count(item(m, stride, i)))
            return broken(m, "a tensor's size or stride");
        tensor.size[i] = (uint64_t)item(m, size, i)->as.integer;
        tensor.stride[i] = (uint64_t)item(m, stride, i)->as.integer;
    }
    struct eg_pickle *p = &m->made;
    if (!eg__grow(&p->tensors, &p->tensors_capacity, p->n_tensors + 1, sizeof *p->tensors)) return memory(m);
    p->tensors[p->n_tensors] = tensor;
    return push_int(m, EG_PICKLE_TENSOR, (int64_t)p->n_tensors++);
}

/* OrderedDict() or, from Python 2, OrderedDict([[key, value], ...]) */
static bool push_ordered_dict(struct machine *m, uint32_t arguments_index)
{
    if (!push_value(m, (struct eg_pickle_value){.kind = EG_PICKLE_DICT})) return false;
    uint32_t dict = m->stack[m->depth - 1];
    const struct eg_pickle_value *arguments = &m->made.values[arguments_index];
    if (!arguments->count) return true;
    const struct eg_pickle_value *pairs = item(m, arguments, 0);
    if (pairs->kind != EG_PICKLE_LIST) return broken(m, "a dictionary that is not one");
    for (size_t i = 0; i < pairs->count; i++) {
        const struct eg_pickle_value *pair = item(m, pairs, i);
        if ((pair->kind != EG_PICKLE_LIST && pair->kind != EG_PICKLE_TUPLE) || pair->count != 2)
            return broken(m, "a dictionary that is not one");
        if (!append(m, dict, pair->as.items, 2)) return false;
    }
    return true;
}

/* _rebuild_from_type_v2(function, type, arguments, state): a tensor of somebody's subclass. */
static bool push_subclass(struct machine *m, const struct eg_pickle_value *arguments)
{
    if (arguments->count < 3 || item(m, arguments, 2)->kind != EG_PICKLE_TUPLE)
        return broken(m, "a tensor that is not one");
    const struct eg_pickle_value *inner = item(m, arguments, 2);
    if (is_global(item(m, arguments, 0), REBUILD_TENSOR)) return push_tensor(m, inner);
    if (is_global(item(m, arguments, 0), REBUILD_PARAMETER) && inner->count &&
        item(m, inner, 0)->kind == EG_PICKLE_TENSOR)
        return push(m, inner->as.items[0]);
    return push_opaque(m);
}

/* callable(*arguments), if it is one of ours. */
static bool reduce(struct machine *m)
{
    uint32_t arguments_index, callable_index;
    if (!pop(m, &arguments_index) || !pop(m, &callable_index)) return false;
    const struct eg_pickle_value *callable = &m->made.values[callable_index],
                                 *arguments = &m->made.values[arguments_index];
    if (callable->kind == EG_PICKLE_OPAQUE || arguments->kind == EG_PICKLE_OPAQUE) return push_opaque(m);
    if (callable->kind != EG_PICKLE_GLOBAL || arguments->kind != EG_PICKLE_TUPLE)
        return broken(m, "a call of what cannot be called");
    if (callable->as.integer == UNKNOWN) return push_opaque(m);
    switch (constructors[callable->as.integer].constructor) {
    case ORDERED_DICT: return push_ordered_dict(m, arguments_index);
    case REBUILD_TENSOR: return push_tensor(m, arguments);
    case REBUILD_PARAMETER:
        if (arguments->count && item(m, arguments, 0)->kind == EG_PICKLE_OPAQUE) return push_opaque(m);
        if (!arguments->count || item(m, arguments, 0)->kind != EG_PICKLE_TENSOR)
            return broken(m, "a parameter without a tensor");
        return push(m, arguments->as.items[0]);
    case REBUILD_SUBCLASS: return push_subclass(m, arguments);
    case SIZE:
        if (arguments->count != 1 || item(m, arguments, 0)->kind != EG_PICKLE_TUPLE)
            return broken(m, "a size that is not one");
        return push(m, arguments->as.items[0]);
    case STORAGE:
    case OTHER_STORAGE: break;
    }
    return broken(m, "a storage without its numbers");
}

/* class.__new__(class, *arguments, **keywords): an object, empty so far. */
static bool new_object(struct machine *m, bool keywords)
{
    uint32_t unused, class_index;
    if ((keywords && !pop(m, &unused)) || !pop(m, &unused) || !pop(m, &class_index)) return false;
    if (is_global(&m->made.values[class_index], ORDERED_DICT))
        return push_value(m, (struct eg_pickle_value){.kind = EG_PICKLE_DICT});
    return push_opaque(m);
}

/* ('storage', type, key, device, elements [, view]), view None or (key, offset, elements) */
static bool push_storage(struct machine *m)
{
    uint32_t index;
    if (!pop(m, &index)) return false;
    const struct eg_pickle_value *id = &m->made.values[index];
    if (id->kind == EG_PICKLE_TUPLE && id->count >= 2 && item(m, id, 0)->kind == EG_PICKLE_STRING &&
        item(m, id, 0)->count == 6 && !memcmp(item(m, id, 0)->as.chars, "module", 6))
        return push(m, id->as.items[1]); /* ('module', class, its source ...), before 1.6 */
    if (id->kind != EG_PICKLE_TUPLE || id->count < 5) return broken(m, "a reference to what is no storage");
    const struct eg_pickle_value *word = item(m, id, 0), *type = item(m, id, 1), *key = item(m, id, 2),
                                 *count = item(m, id, 4);
    if (word->kind != EG_PICKLE_STRING || word->count != 7 || memcmp(word->as.chars, "storage", 7) ||
        type->kind != EG_PICKLE_GLOBAL || key->kind != EG_PICKLE_STRING || !is_count(count))
        return broken(m, "a reference to what is no storage");
    if (type->as.integer == UNKNOWN) return push_opaque(m);
    const bool other = is_global(type, OTHER_STORAGE);
    if (!other && !is_global(type, STORAGE)) return broken(m, "a reference to what is no storage");
    struct eg_pickle_storage storage = {.key = key->as.chars,
                                        .key_length = key->count,
                                        .dtype = constructors[type->as.integer].dtype,
                                        .element_bytes = eg__dtype_size(constructors[type->as.integer].dtype),
                                        .count = (uint64_t)count->as.integer,
                                        .view_count = (uint64_t)count->as.integer};
    if (id->count > 5 && item(m, id, 5)->kind != EG_PICKLE_NONE) {
        const struct eg_pickle_value *view = item(m, id, 5);
        if (view->kind != EG_PICKLE_TUPLE || view->count != 3 || !is_count(item(m, view, 1)) ||
            !is_count(item(m, view, 2)))
            return broken(m, "a view of a storage that is not one");
        storage.view_offset = (uint64_t)item(m, view, 1)->as.integer;
        storage.view_count = (uint64_t)item(m, view, 2)->as.integer;
        if (storage.view_offset > storage.count || storage.view_count > storage.count - storage.view_offset)
            return broken(m, "a view past the end of its storage");
    }
    struct eg_pickle *p = &m->made;
    if (!eg__grow(&p->storages, &p->storages_capacity, p->n_storages + 1, sizeof *p->storages))
        return memory(m);
    if (other && storage.dtype == EG_F64) storage.element_bytes = 16;
    p->storages[p->n_storages] = storage;
    if (other) {
        p->n_storages++;
        return push_opaque(m);
    }
    return push_int(m, EG_PICKLE_STORAGE, (int64_t)p->n_storages++);
}

/* ---- memo, containers ------------------------------------------------------------ */

static bool put(struct machine *m, uint64_t slot)
{
    uint32_t index;
    if (!top(m, &index)) return false;
    if (slot >= MEMO_MAX) return broken(m, "too many remembered objects");
    size_t count = (size_t)slot + 1;
    if (!eg__grow(&m->memo, &m->memo_capacity, count, sizeof *m->memo)) return memory(m);
    for (; m->memo_count < count; m->memo_count++) m->memo[m->memo_count] = MARK;
    m->memo[slot] = index;
    return true;
}

static bool get(struct machine *m, uint64_t slot)
{
    if (slot >= m->memo_count || m->memo[slot] == MARK) return broken(m, "an object that was not remembered");
    return push(m, m->memo[slot]);
}

/* Items on the stack from `begin` go into the list or dictionary below. */
static bool append_to_top(struct machine *m, enum eg_pickle_kind kind, size_t begin, size_t n)
{
    uint32_t container;
    if (!top(m, &container)) return false;
    if (m->made.values[container].kind == EG_PICKLE_OPAQUE)
        return kind == EG_PICKLE_DICT && n % 2 == 0 ? append(m, container, m->stack + begin, n) : true;
    if (m->made.values[container].kind != kind || (kind == EG_PICKLE_DICT && n % 2))
        return broken(m, "items for what cannot hold them");
    return append(m, container, m->stack + begin, n);
}

static bool append_marked(struct machine *m, enum eg_pickle_kind kind)
{
    size_t begin, n;
    return pop_mark(m, &begin, &n) && append_to_top(m, kind, begin, n);
}

static bool append_last(struct machine *m, enum eg_pickle_kind kind, size_t n)
{
    if (m->depth < n) return broken(m, "its stack is empty");
    for (size_t i = 0; i < n; i++)
        if (m->stack[m->depth - 1 - i] == MARK) return broken(m, "its stack is empty");
    m->depth -= n;
    return append_to_top(m, kind, m->depth, n);
}

/* The dictionary of what was marked: keys and values in turn. */
static bool push_marked(struct machine *m, enum eg_pickle_kind kind)
{
    size_t begin, n;
    if (!pop_mark(m, &begin, &n)) return false;
    if (kind == EG_PICKLE_DICT && n % 2) return broken(m, "a dictionary with a key alone");
    return push_items(m, kind, begin, n);
}

/* An object's state: the dictionary of its attributes, or that and the one of its slots. Other
 * objects than opaque ones have none that we have use for (an OrderedDict carries `_metadata`). */
static bool build(struct machine *m)
{
    uint32_t state, object;
    if (!pop(m, &state) || !top(m, &object)) return false;
    const struct eg_pickle_value *s = &m->made.values[state];
    if (m->made.values[object].kind != EG_PICKLE_OPAQUE || state == object) return true;
    if (s->kind == EG_PICKLE_DICT) return append(m, object, s->as.items, s->count);
    for (uint32_t i = 0; s->kind == EG_PICKLE_TUPLE && i < 2 && i < s->count; i++) {
        const struct eg_pickle_value *part = item(m, s, i);
        if (part->kind == EG_PICKLE_DICT && !append(m, object, part->as.items, part->count)) return false;
    }
    return true;
}

static bool stack_global(struct machine *m)
{
    uint32_t name, module;
    if (!pop(m, &name) || !pop(m, &module)) return false;
    const struct eg_pickle_value *n = &m->made.values[name], *d = &m->made.values[module];
    if (n->kind != EG_PICKLE_STRING || d->kind != EG_PICKLE_STRING)
        return broken(m, "a name that is not one");
    return push_global(m, d->as.chars, d->count, n->as.chars, n->count);
}

static bool push_long(struct machine *m, size_t length_bytes)
{
    uint64_t n, bits;
    const uint8_t *unused;
    if (!take_number(m, length_bytes, &n)) return false;
    if (n > 8) /* of a generator of random numbers */
        return n <= SIZE_MAX && take(m, (size_t)n, &unused) && push_opaque(m);
    if (!take_number(m, (size_t)n, &bits)) return false;
    if (n && n < 8 && bits >> (8 * n - 1)) bits |= UINT64_MAX << (8 * n);
    return push_int(m, EG_PICKLE_INT, (int64_t)bits);
}

static bool push_float(struct machine *m)
{
    const uint8_t *bytes;
    if (!take(m, 8, &bytes)) return false;
    uint64_t bits = 0;
    for (size_t i = 0; i < 8; i++) bits = bits << 8 | bytes[i];
    struct eg_pickle_value value = {.kind = EG_PICKLE_FLOAT};
    memcpy(&value.as.real, &bits, sizeof bits);
    return push_value(m, value);
}

/* One opcode; false: failed. */
static bool step(struct machine *m, uint8_t opcode)
{
    uint64_t number;
    uint32_t index;
    size_t begin, n, module_length, name_length;
    const char *module, *name;
    switch (opcode) {
    case 0x80: return take_number(m, 1, &number) && (number <= 5 || broken(m, "an unknown protocol"));
    case 0x95: return take_number(m, 8, &number); /* FRAME */
    case '(': return push(m, MARK);
    case '0': return pop(m, &index);
    case '1': return pop_mark(m, &begin, &n);
    case '2': return top(m, &index) && push(m, index);
    case 'N': return push_value(m, (struct eg_pickle_value){.kind = EG_PICKLE_NONE});
    case 0x88: return push_int(m, EG_PICKLE_BOOL, 1);
    case 0x89: return push_int(m, EG_PICKLE_BOOL, 0);
    case 'J': return take_number(m, 4, &number) && push_int(m, EG_PICKLE_INT, (int32_t)(uint32_t)number);
    case 'K': return take_number(m, 1, &number) && push_int(m, EG_PICKLE_INT, (int64_t)number);
    case 'M': return take_number(m, 2, &number) && push_int(m, EG_PICKLE_INT, (int64_t)number);
    case 0x8a: return push_long(m, 1);
    case 0x8b: return push_long(m, 4);
    case 'G': return push_float(m);
    case 'U':
    case 0x8c:
    case 'C': return push_string(m, 1); /* strings and bytes of Python 2 and 3 */
    case 'X':
    case 'T':
    case 'B': return push_string(m, 4);
    case 0x8d:
    case 0x8e:
    case 0x96: return push_string(m, 8);
    case ')': return push_value(m, (struct eg_pickle_value){.kind = EG_PICKLE_TUPLE});
    case 0x8f: /* sets are lists to us */
    case ']': return push_value(m, (struct eg_pickle_value){.kind = EG_PICKLE_LIST});
    case '}': return push_value(m, (struct eg_pickle_value){.kind = EG_PICKLE_DICT});
    case 0x85: return push_tuple_of(m, 1);
    case 0x86: return push_tuple_of(m, 2);
    case 0x87: return push_tuple_of(m, 3);
    case 't': return push_marked(m, EG_PICKLE_TUPLE);
    case 0x91:
    case 'l': return push_marked(m, EG_PICKLE_LIST);
    case 'd': return push_marked(m, EG_PICKLE_DICT);
    case 'a': return append_last(m, EG_PICKLE_LIST, 1);
    case 0x90:
    case 'e': return append_marked(m, EG_PICKLE_LIST);
    case 's': return append_last(m, EG_PICKLE_DICT, 2);
    case 'u': return append_marked(m, EG_PICKLE_DICT);
    case 'q': return take_number(m, 1, &number) && put(m, number);
    case 'r': return take_number(m, 4, &number) && put(m, number);
    case 0x94: return put(m, m->memo_count);
    case 'h': return take_number(m, 1, &number) && get(m, number);
    case 'j': return take_number(m, 4, &number) && get(m, number);
    case 'c':
        return take_line(m, &module, &module_length) && take_line(m, &name, &name_length) &&
               push_global(m, module, module_length, name, name_length);
    case 0x93: return stack_global(m);
    case 'R': return reduce(m);
    case 0x81: return new_object(m, false);
    case 0x92: return new_object(m, true);
    case 'b': return build(m);
    case 'Q': return push_storage(m);
    }
    m->at--;
    m->status = eg__fail(m->err, EG_E_UNSUPPORTED, "pickle has opcode 0x%02x at byte %zu, which is not read",
                         opcode, m->at);
    return false;
}

enum eg_status eg__pickle_read(const uint8_t *bytes, size_t size, struct eg_pickle *pickle,
                               struct eg_error *err)
{
    struct machine m = {.bytes = bytes, .size = size, .err = err};
    for (;;) {
        const uint8_t *opcode;
        if (!take(&m, 1, &opcode)) break;
        if (*opcode == '.') {
            pop(&m, &m.made.result);
            break;
        }
        if (!step(&m, *opcode)) break;
    }
    free(m.stack);
    free(m.memo);
    m.made.length = m.at;
    if (m.status) {
        eg__pickle_release(&m.made);
        return m.status;
    }
    *pickle = m.made;
    return EG_OK;
}

void eg__pickle_release(struct eg_pickle *pickle)
{
    for (size_t i = 0; i < pickle->n_values; i++)
        if (pickle->values[i].kind == EG_PICKLE_TUPLE || pickle->values[i].kind == EG_PICKLE_LIST ||
            pickle->values[i].kind == EG_PICKLE_DICT || pickle->values[i].kind == EG_PICKLE_OPAQUE)
            free(pickle->values[i].as.items);
    free(pickle->values);
    free(pickle->storages);
    free(pickle->tensors);
    *pickle = (struct eg_pickle){0};
}

const struct eg_pickle_value *eg__pickle_get(const struct eg_pickle *pickle,
                                             const struct eg_pickle_value *dict, const char *key)
{
    if (dict->kind != EG_PICKLE_DICT && dict->kind != EG_PICKLE_OPAQUE) return NULL;
    for (size_t i = 0; i + 1 < dict->count; i += 2) {
        const struct eg_pickle_value *k = &pickle->values[dict->as.items[i]];
        if (k->kind == EG_PICKLE_STRING && k->count == strlen(key) && !memcmp(k->as.chars, key, k->count))
            return &pickle->values[dict->as.items[i + 1]];
    }
    return NULL;
}
