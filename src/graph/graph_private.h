/* graph_private.h: what the files of this room share. */
#ifndef EG_GRAPH_GRAPH_PRIVATE_H
#define EG_GRAPH_GRAPH_PRIVATE_H

#include "graph/graph.h"

enum eg_status eg__graph_arena_create(struct eg_graph *graph, struct eg_error *err);
void eg__graph_release_holds(struct eg_graph *graph);

/* The table from every name and alias to its node. The strings must live in the arena. */
struct eg_name_entry {
    const char *name; /* NULL: free */
    uint32_t node;
    uint32_t last_suffix; /* given to nodes that wanted this name too */
};

enum { EG_NAME_KEPT_FREE = UINT32_MAX - 1 }; /* node of a name that is nobody's yet */
struct eg_name_entry *eg__names_find(const struct eg_graph *graph, const char *name); /* NULL: none */
bool eg__names_is_free(const struct eg_graph *graph, const char *name); /* nobody's, and not kept for one */
bool eg__names_add(struct eg_graph *graph, const char *name, uint32_t node); /* false: no memory */
/* Drop names of nodes from n_nodes on. */
void eg__names_truncate(struct eg_graph *graph);
void eg__names_free(struct eg_graph *graph);

/* node->receptive, of a node whose shape is known. */
void eg__infer_receptive(const struct eg_graph *graph, struct eg_node *node);

#endif
