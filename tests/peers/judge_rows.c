/* judge_rows MODEL.onnx FILE.h5: what a trained head says of every row, as int32 labels [n], then
 * float32 probabilities [n][k], to standard output. Driven by test_trained_heads.py. */
#include <stdio.h>
#include <stdlib.h>

#include "flow/flow.h"

int main(int argc, char **argv)
{
    if (argc != 3) return 2;
    struct eg_error err;
    eg_net *net = NULL;
    struct eg_store *store = NULL;
    struct eg_verdict verdict = {0};
    enum eg_status status = eg_net_load(argv[1], NULL, &net, &err);
    if (!status) status = eg__store_open(argv[2], &store, &err);
    size_t n = status ? 0 : eg__store_spec(store)->n_rows, *rows = calloc(n + 1, sizeof *rows);
    for (size_t i = 0; rows && i < n; i++) rows[i] = i;
    struct eg_joint joint = {0};
    if (!status) status = eg__joint_add(&joint, store, 0, NULL, &err);
    if (!status && rows) status = eg__judge_rows(net->graph, &joint, rows, n, NULL, &verdict, &err);
    eg__joint_release(&joint);
    if (!status) {
        fwrite(verdict.labels, sizeof *verdict.labels, n, stdout);
        fwrite(verdict.probabilities, sizeof *verdict.probabilities, n * verdict.k, stdout);
    } else {
        fprintf(stderr, "%s\n", err.message);
    }
    free(rows);
    eg__verdict_release(&verdict);
    if (eg__store_close(store, NULL)) status = EG_E_IO;
    eg_net_free(net);
    return status ? 1 : 0;
}
