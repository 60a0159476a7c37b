/* onnx_attributes.c: is every attribute what ONNX says it is? An attribute of another type would read
 * as absent, and its default would be taken in silence. */
#include "onnx/onnx_attributes.h"

#include <string.h>

enum type { FLOAT = 1, INT, STRING, TENSOR, FLOATS = 6, INTS };

static const struct {
    const char *name;
    enum type type;
    const char *text;
} known[] = {
    {"allowzero", INT, "a whole number"},
    {"alpha", FLOAT, "a number"},
    {"approximate", STRING, "a text"},
    {"auto_pad", STRING, "a text"},
    {"axes", INTS, "a list of whole numbers"},
    {"axis", INT, "a whole number"},
    {"batch_dims", INT, "a whole number"},
    {"beta", FLOAT, "a number"},
    {"bias", FLOAT, "a number"},
    {"block_size", INT, "a whole number"},
    {"ceil_mode", INT, "a whole number"},
    {"count_include_pad", INT, "a whole number"},
    {"detect_negative", INT, "a whole number"},
    {"detect_positive", INT, "a whole number"},
    {"dilations", INTS, "a list of whole numbers"},
    {"dtype", INT, "a whole number"},
    {"end", INT, "a whole number"},
    {"ends", INTS, "a list of whole numbers"},
    {"epsilon", FLOAT, "a number"},
    {"exclusive", INT, "a whole number"},
    {"fmod", INT, "a whole number"},
    {"gamma", FLOAT, "a number"},
    {"group", INT, "a whole number"},
    {"k", INT, "a whole number"},
    {"keepdims", INT, "a whole number"},
    {"kernel_shape", INTS, "a list of whole numbers"},
    {"max", FLOAT, "a number"},
    {"min", FLOAT, "a number"},
    {"mode", STRING, "a text"},
    {"noop_with_empty_axes", INT, "a whole number"},
    {"pads", INTS, "a list of whole numbers"},
    {"perm", INTS, "a list of whole numbers"},
    {"ratio", FLOAT, "a number"},
    {"reduction", STRING, "a text"},
    {"reverse", INT, "a whole number"},
    {"select_last_index", INT, "a whole number"},
    {"size", INT, "a whole number"},
    {"split", INTS, "a list of whole numbers"},
    {"start", INT, "a whole number"},
    {"starts", INTS, "a list of whole numbers"},
    {"steps", INTS, "a list of whole numbers"},
    {"storage_order", INT, "a whole number"},
    {"strides", INTS, "a list of whole numbers"},
    {"to", INT, "a whole number"},
    {"training_mode", INT, "a whole number"},
    {"transA", INT, "a whole number"},
    {"transB", INT, "a whole number"},
    {"upper", INT, "a whole number"},
};

/* Files of ONNX's first days do not say the type: then by what is there. */
static bool is_of(const EgOnnx__AttributeProto *a, enum type type)
{
    if (a->has_type && a->type) return a->type == (int32_t)type;
    bool something = a->has_f || a->has_i || a->has_s || a->has_t || a->n_floats || a->n_ints || a->n_strings;
    switch (type) {
    case FLOAT: return a->has_f || !something;
    case INT: return a->has_i || !something;
    case STRING: return a->has_s || !something;
    case TENSOR: return a->has_t || !something;
    case FLOATS: return a->n_floats || !something;
    case INTS: return a->n_ints || !something;
    }
    return false;
}

enum eg_status eg__step_check_attributes(struct eg_reading *step)
{
    for (size_t i = 0; i < step->proto->n_attribute; i++) {
        const EgOnnx__AttributeProto *a = step->proto->attribute[i];
        for (size_t k = 0; a->name && k < sizeof known / sizeof *known; k++)
            if (!strcmp(a->name, known[k].name) && !is_of(a, known[k].type))
                return eg__step_broken(step, "its '%s' is not %s", known[k].name, known[k].text);
    }
    return EG_OK;
}
