/* onnx_functions.c: a model may bring functions, which are lists of nodes, and call them as operators.
 * Every call is replaced by the function's nodes: its inputs and outputs are the call's, what is made
 * within is "CALL/NAME", attributes stand for the call's. Bounded in depth and in number, since a small
 * file may multiply itself.
 *
 *   FunctionProto  1 name, 4 input, 5 output, 6 attribute, 7 node, 10 domain, 11 attribute_proto, 13 overload
 */
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/text.h"
#include "onnx/onnx_private.h"

enum { NAME = 1, INPUT = 4, OUTPUT = 5, NODE = 7, DOMAIN_NAME = 10, ATTRIBUTE_PROTO = 11, OVERLOAD = 13 };
enum { DEPTH_MAX = 16, CALLS_MAX = EG_NODES_MAX, PORTS_MAX = 256 };

struct function {
    struct eg_span span, domain, name, overload;
    struct port {
        uint32_t number; /* INPUT, OUTPUT or ATTRIBUTE_PROTO */
        struct eg_span span;
    } port[PORTS_MAX];
    size_t n_ports;
    bool too_many;
};

struct inlining {
    struct eg_onnx *onnx;
    struct function *function;
    size_t n_functions, n_calls, n_bytes; /* n_bytes: of nodes and names made */
    struct eg_nodes nodes;                /* as they come out */
};

/* ---- lists of nodes ------------------------------------------------------------------ */

enum eg_status eg__nodes_add(struct eg_onnx *onnx, struct eg_nodes *nodes, EgOnnx__NodeProto *node)
{
    enum eg_status status = EG_OK;
    if (nodes->n == EG_NODES_MAX)
        status = eg__fail(onnx->err, EG_E_UNSUPPORTED, "it has more than %d nodes", EG_NODES_MAX);
    else if (!eg__grow(&nodes->node, &nodes->capacity, nodes->n + 1, sizeof *nodes->node))
        status = eg__fail_memory(onnx->err, "nodes");
    if (status)
        eg_onnx__node_proto__free_unpacked(node, NULL);
    else
        nodes->node[nodes->n++] = node;
    return status;
}

void eg__nodes_free(struct eg_nodes *nodes)
{
    for (size_t i = 0; i < nodes->n; i++) eg_onnx__node_proto__free_unpacked(nodes->node[i], NULL);
    free(nodes->node);
    *nodes = (struct eg_nodes){0};
}

/* ---- functions ------------------------------------------------------------------------- */

static bool says(struct eg_span span, const char *text)
{
    size_t n = text ? strlen(text) : 0;
    return span.size == n && (!n || !memcmp(span.bytes, text, n));
}

static void read_function(struct eg_span span, struct function *made)
{
    struct eg_field field;
    made->span = span;
    while (eg__wire_next(&span, &field)) {
        if (field.type != 2) continue;
        if (field.number == NAME) made->name = field.span;
        if (field.number == DOMAIN_NAME) made->domain = field.span;
        if (field.number == OVERLOAD) made->overload = field.span;
        if (field.number != INPUT && field.number != OUTPUT && field.number != ATTRIBUTE_PROTO) continue;
        if (made->n_ports == PORTS_MAX)
            made->too_many = true;
        else
            made->port[made->n_ports++] = (struct port){field.number, field.span};
    }
}

static const struct function *called(const struct inlining *in, const EgOnnx__NodeProto *node)
{
    for (size_t i = 0; i < in->n_functions; i++) {
        const struct function *f = &in->function[i];
        if (says(f->name, node->op_type) && says(f->domain, node->domain) &&
            says(f->overload, node->overload))
            return f;
    }
    return NULL;
}

/* ---- one call --------------------------------------------------------------------------- */

/* What the call gives where the function says `name`; "": nothing there; NULL: the function says no such
 * thing. */
static const char *passed(const struct function *function, uint32_t number, char **actual, size_t n,
                          const char *name)
{
    size_t index = 0;
    for (size_t i = 0; i < function->n_ports; i++) {
        if (function->port[i].number != number) continue;
        if (says(function->port[i].span, name)) return index < n ? actual[index] : "";
        index++;
    }
    return NULL;
}

/* What `name` within the function is outside; NULL: no memory. */
static char *outer_name(const struct function *function, const EgOnnx__NodeProto *call, const char *name)
{
    if (!*name) return strdup("");
    const char *input = passed(function, INPUT, call->input, call->n_input, name);
    const char *output = passed(function, OUTPUT, call->output, call->n_output, name);
    if (input) return strdup(input);
    if (output && *output) return strdup(output);
    struct eg_text text = {0};
    eg__text_append(&text, "%s/%s", call->n_output ? call->output[0] : "", name);
    if (!text.failed) return text.chars;
    free(text.chars);
    return NULL;
}

static bool rename_all(struct inlining *in, const struct function *function, const EgOnnx__NodeProto *call,
                       char **names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char *outer = outer_name(function, call, names[i]);
        if (!outer) return false;
        in->n_bytes += strlen(outer);
        free(names[i]);
        names[i] = outer;
    }
    return true;
}

static EgOnnx__AttributeProto *copy_attribute(const EgOnnx__AttributeProto *from)
{
    size_t n = eg_onnx__attribute_proto__get_packed_size(from);
    uint8_t *bytes = malloc(n ? n : 1);
    EgOnnx__AttributeProto *copy = NULL;
    if (bytes)
        copy = eg_onnx__attribute_proto__unpack(NULL, eg_onnx__attribute_proto__pack(from, bytes), bytes);
    free(bytes);
    return copy;
}

/* What the call says for attribute `name`, else the function's own value; NULL: nothing, or no memory. */
static EgOnnx__AttributeProto *attribute_for(const struct inlining *in, const struct function *function,
                                             const EgOnnx__NodeProto *call, const char *name)
{
    for (size_t i = 0; i < call->n_attribute; i++)
        if (call->attribute[i]->name && !strcmp(call->attribute[i]->name, name))
            return copy_attribute(call->attribute[i]);
    for (size_t i = 0; i < function->n_ports; i++) {
        if (function->port[i].number != ATTRIBUTE_PROTO) continue;
        EgOnnx__AttributeProto *own = eg__wire_attribute(function->port[i].span, in->onnx->map.bytes);
        if (own && own->name && !strcmp(own->name, name)) return own;
        if (own) eg_onnx__attribute_proto__free_unpacked(own, NULL);
    }
    return NULL;
}

/* Attributes that stand for the call's become these; those that nobody gives are left out. */
static bool fill_attributes(const struct inlining *in, const struct function *function,
                            const EgOnnx__NodeProto *call, EgOnnx__NodeProto *node)
{
    size_t kept = 0;
    bool fine = true;
    for (size_t i = 0; i < node->n_attribute; i++) {
        EgOnnx__AttributeProto *own = node->attribute[i];
        if (own->ref_attr_name && own->ref_attr_name[0]) {
            EgOnnx__AttributeProto *given = attribute_for(in, function, call, own->ref_attr_name);
            if (given) {
                free(given->name);
                given->name = strdup(own->name ? own->name : "");
                fine &= given->name != NULL;
            }
            eg_onnx__attribute_proto__free_unpacked(own, NULL);
            own = given;
        }
        if (own) node->attribute[kept++] = own;
    }
    node->n_attribute = kept;
    return fine;
}

static bool name_node(struct inlining *in, const EgOnnx__NodeProto *call, EgOnnx__NodeProto *node)
{
    struct eg_text text = {0};
    if (!node->name || !node->name[0] || !call->name || !call->name[0]) return true;
    eg__text_append(&text, "%s/%s", call->name, node->name);
    if (text.failed) {
        free(text.chars);
        return false;
    }
    free(node->name);
    in->n_bytes += text.length;
    node->name = text.chars;
    return true;
}

static enum eg_status too_much(const struct inlining *in, const EgOnnx__NodeProto *call)
{
    char *shown = eg__printable(call->op_type);
    enum eg_status status =
        eg__fail(in->onnx->err, EG_E_UNSUPPORTED,
                 "its function '%.200s' is too large or calls others too often (export it with its "
                 "functions inlined)",
                 shown ? shown : "");
    free(shown);
    return status;
}

static enum eg_status inline_node(struct inlining *in, EgOnnx__NodeProto *node, unsigned depth);

static enum eg_status inline_call(struct inlining *in, const struct function *function,
                                  const EgOnnx__NodeProto *call, unsigned depth)
{
    struct eg_error *err = in->onnx->err;
    struct eg_span span = function->span;
    struct eg_field field;
    enum eg_status status = EG_OK;
    if (depth == DEPTH_MAX || in->n_calls++ == CALLS_MAX || function->too_many) status = too_much(in, call);
    while (!status && eg__wire_next(&span, &field)) {
        if (field.number != NODE || field.type != 2) continue;
        in->n_bytes += field.span.size;
        if (in->n_bytes > in->onnx->folded_max) return too_much(in, call);
        EgOnnx__NodeProto *node = eg__wire_node(field.span, in->onnx->map.bytes);
        if (!node || !node->op_type)
            status = eg__fail(err, EG_E_FORMAT, "a function of it is damaged (export it again)");
        else if (!fill_attributes(in, function, call, node) || !name_node(in, call, node) ||
                 !rename_all(in, function, call, node->input, node->n_input) ||
                 !rename_all(in, function, call, node->output, node->n_output))
            status = eg__fail_memory(err, "nodes");
        if (!status)
            status = inline_node(in, node, depth + 1);
        else if (node)
            eg_onnx__node_proto__free_unpacked(node, NULL);
    }
    return status;
}

static enum eg_status inline_node(struct inlining *in, EgOnnx__NodeProto *node, unsigned depth)
{
    const struct function *function = called(in, node);
    if (!function) return eg__nodes_add(in->onnx, &in->nodes, node);
    enum eg_status status = inline_call(in, function, node, depth);
    eg_onnx__node_proto__free_unpacked(node, NULL);
    return status;
}

enum eg_status eg__functions_inline(struct eg_onnx *onnx, const struct eg_span *functions, size_t n_functions,
                                    struct eg_nodes *nodes)
{
    if (!n_functions) return EG_OK;
    struct inlining in = {.onnx = onnx, .n_functions = n_functions};
    in.function = eg__zalloc(n_functions, sizeof *in.function);
    if (!in.function) return eg__fail_memory(onnx->err, "functions");
    for (size_t i = 0; i < n_functions; i++) read_function(functions[i], &in.function[i]);
    enum eg_status status = EG_OK;
    for (size_t i = 0; i < nodes->n; i++) {
        EgOnnx__NodeProto *node = nodes->node[i];
        nodes->node[i] = NULL;
        if (status)
            eg_onnx__node_proto__free_unpacked(node, NULL);
        else
            status = inline_node(&in, node, 0);
    }
    free(in.function);
    nodes->n = 0;
    eg__nodes_free(nodes);
    *nodes = in.nodes;
    return status;
}
