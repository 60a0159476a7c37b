/* net_of_features.c: the network behind a feature file. */
#include <string.h>

#include "base/fail.h"
#include "flow/flow.h"

enum eg_status eg_net_load_of(const eg_features *features, const char *folders, eg_net **out,
                              struct eg_error *err)
{
    const struct eg_store_spec *spec = eg__store_spec(features);
    struct eg_net_options options = {.folders = folders, .preprocess = spec->recipe};
    const char *candidates[] = {spec->model, spec->network};
    char hex[65];
    bool other = false;
    for (size_t i = 0; i < 2; i++) {
        eg_net *net = NULL;
        if (!candidates[i] || !*candidates[i] || eg_net_load(candidates[i], &options, &net, NULL)) continue;
        if (!eg_net_weights_sha256(net, hex, NULL) && !strcmp(hex, spec->weights_sha256)) {
            *out = net;
            return EG_OK;
        }
        other = true;
        eg_net_free(net);
    }
    if (other)
        return eg__fail_for(
            err, EG_E_IO, EG_REASON_NETWORK_OTHER,
            "the weights of '%s' found here are not those that made the features (sha256 %.12s...)",
            spec->network, spec->weights_sha256);
    return eg__fail_for(err, EG_E_IO, EG_REASON_NETWORK_ELSEWHERE,
                        "the network '%s' that made the features is not here",
                        spec->network ? spec->network : "");
}
