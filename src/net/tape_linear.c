/* tape_linear.c: y = x W' + b at every h,w, and its gradients, by the engine's GEMM:
 *     dx = dy W      dW = dy' x      db = column sums of dy */
#include "kernels/grad_kernels.h"
#include "kernels/kernels.h"
#include "net/tape_ops.h"

enum eg_status eg__tape_linear_forward(struct eg_tape_step *step, struct eg_tape_node *node,
                                       struct eg_error *err)
{
    const struct eg_tape_node *x = eg__tape_input(step, node, 0);
    size_t in = eg__map(x->node->shape).c, out = eg__map(node->node->shape).c,
           rows = step->n * (node->count / out);
    enum eg_status status =
        eg__gemm_nt(rows, out, in, x->y, in, node->param[0], in, node->y, out, false, step->pool, err);
    if (!status && node->param[1]) eg__add_row(node->y, node->param[1], rows, out, step->pool);
    return status;
}

enum eg_status eg__tape_linear_backward(struct eg_tape_step *step, struct eg_tape_node *node,
                                        struct eg_error *err)
{
    const struct eg_tape_node *x = eg__tape_input(step, node, 0);
    size_t in = eg__map(x->node->shape).c, out = eg__map(node->node->shape).c,
           rows = step->n * (node->count / out);
    float *dx = eg__tape_dx(step, node, 0);
    enum eg_status status = EG_OK;
    if (node->grad[0])
        status =
            eg__gemm_tn(out, in, rows, node->dy, out, x->y, in, node->grad[0], in, false, step->pool, err);
    if (!status && dx)
        status = eg__gemm_nn(rows, in, out, node->dy, out, node->param[0], in, dx, in, node->add_dx[0],
                             step->pool, err);
    if (!status && node->grad[1]) eg__column_sums(node->dy, rows, out, node->grad[1], step->pool);
    return status;
}
