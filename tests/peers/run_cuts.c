/* run_cuts: networks run as standard input asks, a line each of words divided by tabs,
 *     MODEL IMAGES N OUT CUT [CUT ...]
 * IMAGES: float32 [N][h][w][c]. Every cut's rows, float32 [N][length] in the order c, h, w, one
 * cut behind the other, are written to OUT. Answers a line each: "ok LENGTH [LENGTH ...]" or
 * "refused MESSAGE". Driven by test_random_graphs.py. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engraft.h"

enum { CUTS_MAX = 32 };

static float *read_images(const char *path, size_t *count)
{
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END)) exit(2);
    *count = (size_t)ftell(file) / sizeof(float);
    rewind(file);
    float *images = malloc((*count + 1) * sizeof *images);
    if (!images || fread(images, sizeof *images, *count, file) != *count) exit(2);
    fclose(file);
    return images;
}

static enum eg_status run(char **word, size_t n_cuts, size_t *length, struct eg_error *err)
{
    eg_net *net = NULL;
    eg_run *run = NULL;
    size_t n = strtoul(word[2], NULL, 10), n_values = n, count;
    float *images = read_images(word[1], &count), *out[CUTS_MAX] = {NULL};
    struct eg_run_cuts cuts = {.cuts = (const char *const *)&word[4], .n_cuts = n_cuts};
    enum eg_status status = eg_net_load(word[0], NULL, &net, err);
    for (size_t i = 0; !status && i < eg_net_layer(net, 0).shape.rank; i++)
        n_values *= eg_net_layer(net, 0).shape.dim[i];
    if (!status && n_values != count) exit(2);
    if (!status) status = eg_run_create(net, &cuts, n, NULL, &run, err);
    for (size_t i = 0; i < n_cuts && !status; i++) {
        length[i] = eg_run_length(run, i);
        out[i] = malloc(n * length[i] * sizeof(float));
        if (!out[i]) exit(2);
    }
    if (!status) status = eg_run_forward(run, images, n, out, err);
    FILE *file = status ? NULL : fopen(word[3], "wb");
    for (size_t i = 0; i < n_cuts; i++) {
        if (file && fwrite(out[i], sizeof(float), n * length[i], file) != n * length[i]) exit(2);
        free(out[i]);
    }
    if (file && fclose(file)) exit(2);
    eg_run_free(run);
    eg_net_free(net);
    free(images);
    return status;
}

int main(void)
{
    static char line[1 << 16];
    while (fgets(line, sizeof line, stdin)) {
        char *word[4 + CUTS_MAX], *at = line;
        size_t n = 0, length[CUTS_MAX];
        line[strcspn(line, "\n")] = '\0';
        while (n < 4 + CUTS_MAX && at) {
            word[n++] = at;
            at = strchr(at, '\t');
            if (at) *at++ = '\0';
        }
        struct eg_error err;
        if (n < 5) return 2;
        if (run(word, n - 4, length, &err)) {
            printf("refused %s\n", err.message);
        } else {
            printf("ok");
            for (size_t i = 0; i + 4 < n; i++) printf(" %zu", length[i]);
            printf("\n");
        }
        fflush(stdout);
    }
    return 0;
}
