/* keras_file.c: Keras's HDF5 files; the arrays stay in the mapping.
 *
 * Keras 1, 2 (.h5)           [model_weights/] LAYER/LAYER/kernel:0   or LAYER/LAYER_W_1:0
 * Keras 3 (.weights.h5, and  layers/conv2d_3/vars/0, the group's attribute `name` being the
 *   model.weights.h5 in a    layer's name; before Keras 3.10 it has none, and what the
 *   .keras zip)              layer of conv2d_3 is called stands in the zip's config.json
 * All become LAYER/kernel, LAYER/moving_mean, ... */
#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/text.h"
#include "formats/weight_list.h"
#include "h5/h5_tensors.h"

struct entry {
    char *path, *group_name, *name; /* name: what it becomes; NULL: nothing a network uses */
    struct eg_tensor tensor;
};

struct reading {
    struct eg_weight_list *list;
    json_t *config;        /* of the model; NULL: none at hand */
    struct entry *entries; /* sorted by path */
    size_t n, capacity;
};

static bool starts(const char *text, const char *beginning)
{
    return !strncmp(text, beginning, strlen(beginning));
}

/* Length of name without a last "_12". */
static size_t unnumbered(const char *name, size_t length)
{
    size_t n = length;
    while (n && isdigit((unsigned char)name[n - 1])) n--;
    return n < length && n > 1 && name[n - 1] == '_' ? n - 1 : length;
}

/* ---- Keras 1 and 2 -------------------------------------------------------------------- */

/* What Keras 1 called them. (Its running_std is a variance.) */
static const char *variable_name(const char *name, size_t length)
{
    static const char *const names[][2] = {
        {"W", "kernel"}, {"b", "bias"}, {"running_mean", "moving_mean"}, {"running_std", "moving_variance"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i][0]) == length && !strncmp(name, names[i][0], length)) return names[i][1];
    return NULL;
}

/* "LAYER/LAYER..." repeats the layer's name; where the path does not, the layer is the last
 * group. *rest: what follows. */
static size_t find_layer(const char *path, const char **layer, const char **rest)
{
    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        size_t length = (size_t)(slash - path);
        if (!strncmp(slash + 1, path, length) && (slash[1 + length] == '/' || slash[1 + length] == '_')) {
            *layer = path;
            *rest = slash + 2 + length;
            return length;
        }
    }
    const char *last = strrchr(path, '/'), *begin = path;
    if (!last) return 0;
    for (const char *at = path; at < last; at++)
        if (*at == '/') begin = at + 1;
    *layer = begin;
    *rest = last + 1;
    return (size_t)(last - begin);
}

static void name_legacy(const char *path, struct eg_text *name)
{
    const char *layer, *rest;
    size_t length = find_layer(path, &layer, &rest);
    if (!length) return;
    if (strrchr(rest, '/')) rest = strrchr(rest, '/') + 1;
    size_t n = strcspn(rest, ":");
    n = unnumbered(rest, n);
    const char *known = variable_name(rest, n);
    eg__text_append_bytes(name, layer, length);
    eg__text_append(name, "/");
    eg__text_append_bytes(name, known ? known : rest, known ? strlen(known) : n);
}

/* ---- Keras 3 ------------------------------------------------------------------------------ */

/* Variables are numbered in the order in which a layer of that class makes them. */
static const struct {
    const char *kind, *variables[4];
} kinds[] = {
    {"conv2d", {"kernel", "bias"}},
    {"dense", {"kernel", "bias"}},
    {"depthwise_conv2d", {"depthwise_kernel", "bias"}},
    {"separable_conv2d", {"depthwise_kernel", "pointwise_kernel", "bias"}},
    {"batch_normalization", {"gamma", "beta", "moving_mean", "moving_variance"}},
};

/* "BatchNormalization" to "batch_normalization", as Keras does it. */
static void snake_case(const char *name, char *out, size_t room)
{
    size_t n = 0;
    for (size_t i = 0; name[i] && n + 2 < room; i++) {
        bool upper = isupper((unsigned char)name[i]);
        if (i && upper && (islower((unsigned char)name[i + 1]) || islower((unsigned char)name[i - 1])))
            out[n++] = '_';
        out[n++] = (char)tolower((unsigned char)name[i]);
    }
    out[n] = '\0';
}

/* The layer that a model's part "conv2d_3" is: the fourth Conv2D in its list. */
static json_t *find_part(const json_t *layers, const char *part, size_t length)
{
    size_t kind = unnumbered(part, length), index,
           left = kind < length ? strtoul(part + kind + 1, NULL, 10) : 0;
    json_t *layer;
    json_array_foreach(layers, index, layer)
    {
        const char *class_name = json_string_value(json_object_get(layer, "class_name"));
        char snake[100];
        if (!class_name) continue;
        snake_case(class_name, snake, sizeof snake);
        if (strlen(snake) == kind && !strncmp(snake, part, kind) && !left--)
            return json_object_get(layer, "config");
    }
    return NULL;
}

/* "layers/functional/layers/conv2d_3/vars/0": the name of that layer; NULL: not known. */
static const char *name_in_config(const json_t *config, const char *path, const char *vars)
{
    while (config && path < vars) {
        const char *part = strchr(path, '/'); /* past "layers" */
        if (!part || part >= vars) return NULL;
        size_t length = strcspn(++part, "/");
        config = find_part(json_object_get(config, "layers"), part, length);
        path = part + length + 1;
    }
    return json_string_value(json_object_get(config, "name"));
}

/* The entries with the same ".../vars/" as entries[index]. */
static size_t count_variables(const struct reading *reading, size_t index, size_t prefix)
{
    const char *path = reading->entries[index].path;
    size_t begin = index, end = index;
    while (begin && !strncmp(reading->entries[begin - 1].path, path, prefix)) begin--;
    while (end < reading->n && !strncmp(reading->entries[end].path, path, prefix)) end++;
    return end - begin;
}

static void name_numbered(const struct reading *reading, size_t index, const char *vars, struct eg_text *name)
{
    const struct entry *entry = &reading->entries[index];
    const char *kind = entry->path;
    for (const char *at = entry->path; at < vars; at++)
        if (*at == '/') kind = at + 1;
    size_t length = (size_t)(vars - kind), n = unnumbered(kind, length);
    size_t number = (size_t)(vars[6] - '0'),
           count = count_variables(reading, index, (size_t)(vars + 6 - entry->path));
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strlen(kinds[i].kind) != n || strncmp(kinds[i].kind, kind, n)) continue;
        bool unscaled = !strcmp(kinds[i].kind, "batch_normalization") && count == 3;
        if (number + unscaled >= 4 || !kinds[i].variables[number + unscaled]) return;
        const char *layer =
            entry->group_name ? entry->group_name : name_in_config(reading->config, entry->path, vars);
        if (layer)
            eg__text_append(name, "%s/%s", layer, kinds[i].variables[number + unscaled]);
        else
            eg__text_append(name, "%.*s/%s", (int)length, kind, kinds[i].variables[number + unscaled]);
        reading->list->weights->numbered |= !layer;
    }
}

/* ---- names that Keras made up ----------------------------------------------------------------- */

static int compare_numbers(const void *a, const void *b)
{
    unsigned long x = *(const unsigned long *)a, y = *(const unsigned long *)b;
    return (x > y) - (x < y);
}

/* Is name "KIND/..." or "KIND_12/..."? Its number, 0 for none. */
static bool numbered(const char *name, const char *kind, unsigned long *number)
{
    if (!name || !starts(name, kind)) return false;
    const char *at = name + strlen(kind);
    *number = 0;
    if (*at == '/') return true;
    if (*at != '_' || !isdigit((unsigned char)at[1])) return false;
    char *end;
    *number = strtoul(at + 1, &end, 10);
    return *end == '/' && end - at < 10;
}

/* "conv2d_17" is the 17th of its session: count from where this file begins. */
static enum eg_status renumber(struct reading *reading, const char *kind, struct eg_error *err)
{
    unsigned long *numbers = eg__alloc(reading->n, sizeof *numbers), number;
    if (!numbers) return eg__fail_memory(err, "the names of layers");
    size_t n = 0, unique = 0;
    for (size_t i = 0; i < reading->n; i++)
        if (numbered(reading->entries[i].name, kind, &number)) numbers[n++] = number;
    qsort(numbers, n, sizeof *numbers, compare_numbers);
    for (size_t i = 0; i < n; i++)
        if (!i || numbers[i] != numbers[i - 1]) numbers[unique++] = numbers[i];
    for (size_t i = 0; i < reading->n; i++) {
        struct entry *entry = &reading->entries[i];
        if (!numbered(entry->name, kind, &number)) continue;
        const unsigned long *found = bsearch(&number, numbers, unique, sizeof *numbers, compare_numbers);
        struct eg_text name = {0};
        eg__text_append(&name, found == numbers ? "%s" : "%s_%zu", kind, (size_t)(found - numbers));
        eg__text_append(&name, "%s", strchr(entry->name, '/'));
        free(entry->name);
        entry->name = name.chars;
        if (name.failed) {
            free(numbers);
            return eg__fail_memory(err, "the names of layers");
        }
    }
    free(numbers);
    return EG_OK;
}

/* ---- the file ------------------------------------------------------------------------------------ */

static enum eg_status collect(void *context, const struct eg_h5_tensor *found, struct eg_error *err)
{
    struct reading *reading = context;
    struct entry entry = {.tensor = {.data = found->bytes, .rank = (uint8_t)found->rank}};
    if (found->rank > EG_RANK_MAX) return EG_OK;
    for (size_t i = 0; i < found->rank; i++) {
        entry.tensor.dim[i] = found->dims[i];
        if (!found->dims[i]) return EG_OK;
    }
    eg__tensor_pack_strides(&entry.tensor);
    entry.tensor.dtype = found->kind == EG_H5_F64 ? EG_F64 : found->kind == EG_H5_F16 ? EG_F16 : EG_F32;
    if (!eg__grow(&reading->entries, &reading->capacity, reading->n + 1, sizeof entry))
        return eg__fail_memory(err, "the names of weights");
    entry.path = strdup(found->path);
    if (found->name) entry.group_name = strdup(found->name);
    reading->entries[reading->n++] = entry;
    return entry.path ? EG_OK : eg__fail_memory(err, "the names of weights");
}

static enum eg_status name_entry(struct reading *reading, size_t index, struct eg_error *err)
{
    static const char whole[] = "model_weights/";
    struct entry *entry = &reading->entries[index];
    if (starts(entry->path, "optimizer")) return EG_OK;
    struct eg_text name = {0};
    const char *vars = strstr(entry->path, "/vars/");
    if (vars && vars[6] >= '0' && vars[6] <= '3' && !vars[7])
        name_numbered(reading, index, vars, &name);
    else
        name_legacy(starts(entry->path, whole) ? entry->path + sizeof whole - 1 : entry->path, &name);
    entry->name = name.chars;
    return name.failed ? eg__fail_memory(err, "the names of weights") : EG_OK;
}

/* A .keras file's config.json: {"config": {"layers": [...]}}; anything else is no help. */
static json_t *read_config(const char *config, size_t size)
{
    json_t *whole = config ? json_loadb(config, size, 0, NULL) : NULL;
    json_t *model = json_incref(json_object_get(whole, "config"));
    json_decref(whole);
    return model;
}

enum eg_status eg__keras_read(struct eg_weight_list *list, const uint8_t *bytes, size_t size,
                              const char *config, size_t config_size, struct eg_error *err)
{
    struct reading reading = {.list = list, .config = read_config(config, config_size)};
    list->weights->kind = EG_WEIGHTS_KERAS;
    enum eg_status status = eg__h5_tensors(bytes, size, list->weights->path, collect, &reading, err);
    for (size_t i = 0; i < reading.n && !status; i++) status = name_entry(&reading, i, err);
    if (!status) status = renumber(&reading, "conv2d", err);
    if (!status) status = renumber(&reading, "batch_normalization", err);
    if (!status) status = renumber(&reading, "dense", err);
    for (size_t i = 0; i < reading.n; i++) {
        struct entry *entry = &reading.entries[i];
        if (!status && entry->name)
            status = eg__weight_list_add(list, entry->name, strlen(entry->name), &entry->tensor, err);
        free(entry->path);
        free(entry->group_name);
        free(entry->name);
    }
    free(reading.entries);
    json_decref(reading.config);
    return status;
}
