/* array.c: strides of values of any rank. */
#include "net/array.h"

struct eg_array eg__run_array(const struct eg_run *run, uint32_t value)
{
    const struct eg_value *v = &run->values[value], *root = &run->values[v->root];
    const struct eg_view view = eg__run_view(run, value);
    struct eg_array a = {.data = view.data, .rank = v->shape.rank, .image = eg__shape_count(root->shape)};
    size_t step = 1;
    for (size_t i = a.rank; i-- > 0;) {
        a.dim[i] = v->shape.dim[i];
        a.stride[i] = v->strided ? v->stride[i] : (ptrdiff_t)step;
        step = i + 1 == a.rank ? view.ld : step * a.dim[i];
    }
    return a;
}

struct eg_array eg__array_of_weights(float *weights, struct eg_shape shape)
{
    struct eg_array a = {.data = weights, .rank = shape.rank};
    ptrdiff_t step = 1;
    for (size_t i = a.rank; i-- > 0;) {
        a.dim[i] = shape.dim[i];
        a.stride[i] = step;
        step *= (ptrdiff_t)a.dim[i];
    }
    return a;
}

void eg__array_spread(struct eg_array *array, struct eg_shape shape)
{
    const size_t missing = shape.rank - array->rank;
    for (size_t i = shape.rank; i-- > 0;) {
        const bool spread = i < missing || (array->dim[i - missing] == 1 && shape.dim[i] != 1);
        array->stride[i] = spread ? 0 : array->stride[i - missing];
        array->dim[i] = shape.dim[i];
    }
    array->rank = shape.rank;
}

/* Runs of sides that lie as one in memory are cut anew. */
bool eg__array_reshape(const struct eg_array *from, struct eg_shape to, struct eg_array *array)
{
    *array = *from;
    array->rank = to.rank;
    size_t i = 0, j = 0;
    while (j < to.rank) {
        while (i < from->rank && from->dim[i] == 1) i++;
        if (to.dim[j] == 1) {
            array->dim[j] = 1;
            array->stride[j++] = 1;
            continue;
        }
        if (i >= from->rank) return false;
        size_t have = from->dim[i], want = to.dim[j], last = i, end = j;
        while (have != want) {
            if (have < want) {
                do
                    if (++last >= from->rank) return false;
                while (from->dim[last] == 1);
                size_t before = last - 1;
                while (from->dim[before] == 1 && before > i) before--;
                if (from->stride[before] != from->stride[last] * (ptrdiff_t)from->dim[last]) return false;
                have *= from->dim[last];
            } else {
                if (++end >= to.rank) return false;
                want *= to.dim[end];
            }
        }
        ptrdiff_t step = from->stride[last];
        for (size_t k = end + 1; k-- > j;) {
            array->dim[k] = to.dim[k];
            array->stride[k] = step;
            step *= (ptrdiff_t)to.dim[k];
        }
        i = last + 1;
        j = end + 1;
    }
    return true;
}

bool eg__reads_arrays(const struct eg_node *node, uint32_t input)
{
    switch (node->op) {
    case EG_OP_MATMUL:
    case EG_OP_TRANSPOSE:
    case EG_OP_RESHAPE:
    case EG_OP_EXPAND:
    case EG_OP_GATHER: return true;
    case EG_OP_ATTENTION: return input < 3;
    case EG_OP_SLICE:
    case EG_OP_CONCAT: return node->axis > 0;
    default: return false;
    }
}

bool eg__writes_arrays(const struct eg_node *node)
{
    return node->op == EG_OP_MATMUL || node->op == EG_OP_ATTENTION;
}
