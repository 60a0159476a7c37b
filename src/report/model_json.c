/* model_json.c: what a model holds, how fast it runs, and which there are, as JSON documents. */
#include <stdlib.h>

#include "base/fail.h"
#include "report/json_text.h"

enum eg_status eg_net_about_json(const eg_net *net, char **text, struct eg_error *err)
{
    char hash[65] = "";
    enum eg_status status = eg_net_weights_path(net) ? eg_net_weights_sha256(net, hash, err) : EG_OK;
    if (status) return status;
    const struct eg_recipe *recipe = eg_net_recipe(net);
    char *recipe_text = recipe ? eg_recipe_json(recipe) : NULL;
    json_t *classes = json_array(), *metadata = json_object();
    uint64_t parameters = 0;
    const char *key;
    for (size_t i = 0; i < eg_net_layer_count(net); i++) parameters += eg_net_layer(net, i).parameters;
    for (size_t i = 0; eg_net_has_classifier(net) && i < eg_net_class_count(net); i++)
        json_array_append_new(classes, eg__json_text(eg_net_class_name(net, i)));
    for (size_t i = 0; (key = eg_net_metadata_key(net, i)); i++)
        json_object_set_new(metadata, key, eg__json_text(eg_net_metadata(net, key)));
    char *made = eg__json_document(json_pack(
        "{s:s,s:o,s:b,s:I,s:o,s:o,s:o,s:o,s:o,s:o}", "kind", "model", "name", eg__json_text(eg_net_name(net)),
        "trained", eg_net_is_trained(net), "parameters", (json_int_t)parameters, "input_shape",
        eg__json_shape(eg_net_layer(net, 0).shape), "classes", classes, "default_cut",
        eg__json_text(eg_net_default_cut(net)), "weights_sha256", eg__json_text(*hash ? hash : NULL),
        "recipe", eg__json_parsed(recipe_text), "metadata", metadata));
    free(recipe_text);
    if (!made) return eg__fail_memory(err, "a document");
    *text = made;
    return EG_OK;
}

char *eg_known_nets_json(const char *folders)
{
    json_t *list = json_array();
    for (size_t i = 0; i < eg_known_net_count(); i++) {
        struct eg_known_net net = eg_known_net_at(i);
        char *found = eg_known_net_find_weights(net.name, folders);
        json_array_append_new(list,
                              json_pack("{s:s,s:o,s:I,s:b,s:o,s:o,s:o,s:o,s:o}", "name", net.name, "title",
                                        eg__json_text(net.title), "parameters", (json_int_t)net.parameters,
                                        "found", found != NULL, "path", eg__json_text(found), "file",
                                        eg__json_text(net.file), "sha256", eg__json_text(net.sha256), "url",
                                        eg__json_text(net.url), "licence", eg__json_text(net.licence)));
        free(found);
    }
    return eg__json_document(list);
}

char *eg_fetched_json(const struct eg_fetched *fetched, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list,
                              json_pack("{s:o,s:o,s:b}", "name", eg__json_text(fetched[i].name), "path",
                                        eg__json_text(fetched[i].path), "was_there", fetched[i].was_there));
    return eg__json_document(list);
}

char *eg_bench_report_json(const struct eg_bench_report *r)
{
    json_t *json =
        json_pack("{s:o,s:o,s:I,s:i,s:s,s:o,s:o,s:o,s:o,s:I}", "name", eg__json_text(r->name), "cut",
                  eg__json_text(r->cut), "batch", (json_int_t)r->batch, "threads", (int)r->threads, "isa",
                  r->isa, "ms_per_image", eg__json_number(r->ms), "ms_min", eg__json_number(r->ms_least),
                  "images_per_second", eg__json_number(1e3 / r->ms), "gflops", eg__json_number(r->gflops),
                  "memory_bytes", (json_int_t)r->memory_bytes);
    json_t *layers = r->n_layers ? json_array() : NULL;
    for (size_t i = 0; i < r->n_layers; i++) {
        const struct eg_bench_layer *layer = &r->layers[i];
        json_array_append_new(layers,
                              json_pack("{s:o,s:o,s:I,s:o,s:o}", "name", eg__json_text(layer->name),
                                        "algorithm", eg__json_text(layer->algorithm), "macs",
                                        (json_int_t)layer->macs, "ms_per_image", eg__json_number(layer->ms),
                                        "gflops", eg__json_number(layer->gflops)));
    }
    if (layers) json_object_set_new(json, "layers", layers);
    return eg__json_document(json);
}
