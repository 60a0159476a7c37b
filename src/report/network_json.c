/* network_json.c: a network's layers as one JSON document. */
#include <stdlib.h>
#include <string.h>

#include "report/json_text.h"

static struct eg_shape input_shape(const eg_net *net, const struct eg_layer *layer, size_t i)
{
    return i < layer->n_inputs ? eg_net_layer(net, layer->inputs[i]).shape : layer->shape;
}

static json_t *layer_json(const eg_net *net, size_t index)
{
    struct eg_layer layer = eg_net_layer(net, index);
    json_t *aliases = json_array(), *inputs = json_array(), *shapes = json_array();
    for (size_t i = 0; i < layer.n_aliases; i++)
        json_array_append_new(aliases, eg__json_text(layer.aliases[i]));
    for (size_t i = 0; i < layer.n_inputs; i++) {
        json_array_append_new(inputs, json_integer(layer.inputs[i]));
        json_array_append_new(shapes, eg__json_shape(input_shape(net, &layer, i)));
    }
    json_t *json = json_pack("{s:I,s:o,s:o,s:s,s:o,s:o,s:o,s:o,s:I,s:I,s:b,s:I}", "index", (json_int_t)index,
                             "name", eg__json_text(layer.name), "aliases", aliases, "op", layer.op, "inputs",
                             inputs, "input_shape", eg__json_shape(input_shape(net, &layer, 0)),
                             "input_shapes", shapes, "output_shape", eg__json_shape(layer.shape),
                             "parameters", (json_int_t)layer.parameters, "macs", (json_int_t)layer.macs,
                             "cut", layer.cut, "feature_length", (json_int_t)eg__shape_values(layer.shape));
    json_object_update_new(json, json_pack("{s:[i,i],s:[i,i]}", "receptive_field", layer.field[0],
                                           layer.field[1], "jump", layer.jump[0], layer.jump[1]));
    if (layer.kernel[0])
        json_object_update_new(
            json, json_pack("{s:[i,i],s:[i,i],s:[i,i],s:[i,i,i,i],s:i}", "kernel", layer.kernel[0],
                            layer.kernel[1], "stride", layer.stride[0], layer.stride[1], "dilation",
                            layer.dilation[0], layer.dilation[1], "padding", layer.padding[0],
                            layer.padding[1], layer.padding[2], layer.padding[3], "groups", layer.groups));
    return json;
}

static void add_up(const eg_net *net, uint64_t *parameters, uint64_t *macs)
{
    for (size_t i = 0; i < eg_net_layer_count(net); i++) {
        struct eg_layer layer = eg_net_layer(net, i);
        *parameters += layer.parameters;
        *macs += layer.macs;
    }
}

/* The layers of `whole` that are not in `net`. */
static json_t *left_out(const eg_net *net, const eg_net *whole, uint64_t parameters, uint64_t macs)
{
    uint64_t all_parameters = 0, all_macs = 0;
    json_t *layers = json_array();
    add_up(whole, &all_parameters, &all_macs);
    for (size_t i = 0, at; i < eg_net_layer_count(whole); i++) {
        const char *name = eg_net_layer(whole, i).name;
        if (eg_net_find(net, name, &at, NULL) || strcmp(eg_net_layer(net, at).name, name) != 0)
            json_array_append_new(layers, layer_json(whole, i));
    }
    return json_pack("{s:I,s:I,s:o}", "parameters", (json_int_t)(all_parameters - parameters), "macs",
                     (json_int_t)(all_macs - macs), "layers", layers);
}

char *eg_net_json(const eg_net *net, const eg_net *whole)
{
    uint64_t parameters = 0, macs = 0;
    json_t *layers = json_array();
    add_up(net, &parameters, &macs);
    for (size_t i = 0; i < eg_net_layer_count(net); i++) json_array_append_new(layers, layer_json(net, i));
    const struct eg_recipe *recipe = eg_net_recipe(net);
    char *recipe_text = recipe ? eg_recipe_json(recipe) : NULL;
    json_t *json =
        json_pack("{s:o,s:o,s:I,s:I,s:I,s:o,s:o}", "name", eg__json_text(eg_net_name(net)), "default_cut",
                  eg__json_text(eg_net_default_cut(net)), "parameters", (json_int_t)parameters, "macs",
                  (json_int_t)macs, "classes", (json_int_t)eg_net_class_count(net), "recipe",
                  recipe_text ? json_loads(recipe_text, 0, NULL) : json_null(), "layers", layers);
    if (whole) json_object_set_new(json, "left_out", left_out(net, whole, parameters, macs));
    if (eg_net_unread(net)) json_object_set_new(json, "unread", eg__json_text(eg_net_unread(net)));
    free(recipe_text);
    return eg__json_document(json);
}
