/* graph_names.c: from what a person types to a node: a name, an alias, "#31", or the name of
 * a block, which means its last node. */
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/text.h"
#include "graph/graph_private.h"

struct eg_names {
    struct eg_name_entry *entries; /* open addressing; size is a power of two, half empty */
    size_t size, used;
};

static size_t hash_name(const char *name)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    for (; *name; name++) hash = (hash ^ (unsigned char)*name) * 1099511628211u;
    return (size_t)(hash ^ hash >> 32);
}

static struct eg_name_entry *slot(const struct eg_names *names, const char *name)
{
    size_t i = hash_name(name) & (names->size - 1);
    while (names->entries[i].name && strcmp(names->entries[i].name, name)) i = (i + 1) & (names->size - 1);
    return &names->entries[i];
}

struct eg_name_entry *eg__names_find(const struct eg_graph *graph, const char *name)
{
    if (!graph->names) return NULL;
    struct eg_name_entry *entry = slot(graph->names, name);
    return entry->name && entry->node != EG_NAME_KEPT_FREE ? entry : NULL;
}

bool eg__names_is_free(const struct eg_graph *graph, const char *name)
{
    return !graph->names || !slot(graph->names, name)->name;
}

/* Make the table `size` large, keeping the names of nodes below n_nodes. */
static bool rebuild(struct eg_names *names, size_t size, uint32_t n_nodes)
{
    struct eg_names made = {eg__zalloc(size, sizeof *made.entries), size, 0};
    if (!made.entries) return false;
    for (size_t i = 0; i < names->size; i++) {
        struct eg_name_entry *entry = &names->entries[i];
        if (!entry->name || entry->node >= n_nodes) continue;
        *slot(&made, entry->name) = *entry;
        made.used++;
    }
    free(names->entries);
    *names = made;
    return true;
}

bool eg__names_add(struct eg_graph *graph, const char *name, uint32_t node)
{
    if (!graph->names && !(graph->names = eg__zalloc(1, sizeof *graph->names))) return false;
    struct eg_names *names = graph->names;
    if (2 * (names->used + 1) > names->size &&
        !rebuild(names, names->size ? 2 * names->size : 256, UINT32_MAX))
        return false;
    struct eg_name_entry *entry = slot(names, name);
    if (entry->name && entry->node != EG_NAME_KEPT_FREE) return true;
    names->used += !entry->name;
    *entry = (struct eg_name_entry){name, node, 1};
    return true;
}

void eg__names_truncate(struct eg_graph *graph)
{
    struct eg_names *names = graph->names;
    if (!names || rebuild(names, names->size, graph->n_nodes)) return;
    for (size_t i = 0; i < names->size; i++) /* no memory: keep the places, name nothing */
        if (names->entries[i].name && names->entries[i].node >= graph->n_nodes) names->entries[i].node = 0;
}

void eg__names_free(struct eg_graph *graph)
{
    if (graph->names) free(graph->names->entries);
    free(graph->names);
    graph->names = NULL;
}

enum eg_status eg__graph_keep_free(struct eg_graph *graph, const char *name, struct eg_error *err)
{
    if (!eg__names_is_free(graph, name)) return EG_OK;
    const char *copy = eg__graph_string(graph, name);
    return copy && eg__names_add(graph, copy, EG_NAME_KEPT_FREE) ? EG_OK
                                                                 : eg__fail_memory(err, "a layer's name");
}

enum eg_status eg__graph_alias(struct eg_graph *graph, uint32_t index, const char *alias,
                               struct eg_error *err)
{
    struct eg_node *node = &graph->nodes[index];
    if (eg__names_find(graph, alias)) return EG_OK;
    const char *copy = eg__graph_string(graph, alias);
    const char **aliases = eg__graph_memory(graph, node->n_aliases + 1u, sizeof *aliases);
    if (!copy || !aliases || !eg__names_add(graph, copy, index))
        return eg__fail_memory(err, "a layer's name");
    if (node->n_aliases) memcpy(aliases, node->aliases, node->n_aliases * sizeof *aliases);
    aliases[node->n_aliases] = copy;
    node->aliases = aliases;
    node->n_aliases++;
    return EG_OK;
}

/* Is `block` a whole component, or several, of the path `name` ("a.b" of "x/a.b.c"), not its last? */
static bool is_within(const char *name, const char *block, size_t length)
{
    for (const char *at = name; (at = strstr(at, block)); at++)
        if ((at == name || at[-1] == '/' || *at == '/') && (at[length] == '.' || at[length] == '/'))
            return true;
    return false;
}

static bool find_block(const struct eg_graph *graph, const char *block, uint32_t *index)
{
    size_t length = strlen(block);
    if (!length) return false;
    for (uint32_t i = graph->n_nodes; i-- > 0;) {
        const struct eg_node *node = &graph->nodes[i];
        bool within = is_within(node->name, block, length);
        for (uint32_t a = 0; a < node->n_aliases && !within; a++)
            within = is_within(node->aliases[a], block, length);
        if (!within) continue;
        *index = i;
        return true;
    }
    return false;
}

/* Levenshtein distance; names longer than the row buffer compare by their first part. */
static unsigned edit_distance(const char *a, const char *b)
{
    enum { LONGEST = 128 };
    unsigned row[LONGEST + 1];
    size_t n = strnlen(a, LONGEST), m = strnlen(b, LONGEST);
    for (unsigned j = 0; j <= m; j++) row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= m; j++) {
            unsigned best = diagonal + (a[i - 1] != b[j - 1]);
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[m];
}

static enum eg_status fail_with_nearest(const struct eg_graph *graph, const char *name, struct eg_error *err)
{
    enum { NEAREST = 4 };
    const char *nearest[NEAREST];
    unsigned distance[NEAREST];
    size_t n = 0;
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        const struct eg_node *node = &graph->nodes[i];
        const char *best = node->name; /* one name a node */
        unsigned d = edit_distance(name, best);
        for (uint32_t a = 0; a < node->n_aliases; a++) {
            unsigned other = edit_distance(name, node->aliases[a]);
            if (other >= d) continue;
            d = other;
            best = node->aliases[a];
        }
        if (!eg__node_is_cut(graph, i) || (n == NEAREST && d >= distance[n - 1])) continue;
        size_t at = n < NEAREST ? n++ : n - 1;
        for (; at > 0 && distance[at - 1] > d; at--) {
            distance[at] = distance[at - 1];
            nearest[at] = nearest[at - 1];
        }
        distance[at] = d;
        nearest[at] = best;
    }
    struct eg_text list = {0};
    for (size_t i = 0; i < n; i++) eg__text_append(&list, "%s%.120s", i ? ", " : "", nearest[i]);
    char *typed = eg__printable(name);
    enum eg_status status = eg__fail_for(err, EG_E_NOT_FOUND, EG_REASON_LAYER_UNKNOWN,
                                         "no layer '%.200s' in '%.100s' (nearest: %s)", typed ? typed : "?",
                                         graph->name, list.failed || !list.chars ? "none" : list.chars);
    free(typed);
    free(list.chars);
    return status;
}

enum eg_status eg__graph_find(const struct eg_graph *graph, const char *name, uint32_t *index,
                              struct eg_error *err)
{
    struct eg_name_entry *entry = eg__names_find(graph, name);
    if (entry) {
        *index = entry->node;
        return EG_OK;
    }
    if (name[0] == '#' && name[1] >= '0' && name[1] <= '9') {
        char *end;
        unsigned long long number = strtoull(name + 1, &end, 10);
        if (!*end && number < graph->n_nodes) {
            *index = (uint32_t)number;
            return EG_OK;
        }
        if (!*end)
            return eg__fail(err, EG_E_NOT_FOUND, "no layer '%.30s' in '%.100s' (they are #0 to #%u)", name,
                            graph->name, graph->n_nodes - 1);
    }
    if (find_block(graph, name, index)) return EG_OK;
    return fail_with_nearest(graph, name, err);
}
