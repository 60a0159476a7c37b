/* fuzz_onnx.c: an ONNX file; what loads is resized, cut and written again. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "onnx/onnx.h"

static void read_values(const struct eg_graph *graph)
{
    static float values[65536];
    for (uint32_t i = 0; i < graph->n_nodes; i++)
        for (unsigned k = 0; k < EG_PARAMS_MAX; k++) {
            const struct eg_tensor *tensor = graph->nodes[i].params[k];
            if (tensor && eg__tensor_count(tensor) <= 65536) eg__tensor_read(tensor, values);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[40], out[64];
    int fd = memfd_create("onnx", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size) abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    snprintf(out, sizeof out, "/tmp/engraft-fuzz-%d.onnx", (int)getpid());
    struct eg_graph *graph, *cut;
    struct eg_error err;
    if (!eg__onnx_load(path, &graph, &err)) {
        read_values(graph);
        uint32_t index;
        bool resized = !eg__graph_resize(graph, 32, 24, &err);
        if (!eg__graph_find(graph, "relu", &index, &err) && !eg__graph_cut(graph, index, &cut, &err))
            eg__graph_free(cut);
        bool is_vector =
            !resized && eg__map(graph->nodes[0].shape).h == 1 && eg__map(graph->nodes[0].shape).w == 1;
        const struct eg_onnx_options options = {.overwrite = true, .vector_input = is_vector};
        if (!eg__onnx_save(graph, out, &options, &err)) unlink(out);
        eg__graph_free(graph);
    }
    close(fd);
    return 0;
}
