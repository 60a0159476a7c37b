/* onnx_attributes.h: the attributes of a node, checked before any of them is used. */
#ifndef EG_ONNX_ONNX_ATTRIBUTES_H
#define EG_ONNX_ONNX_ATTRIBUTES_H

#include "onnx/onnx_private.h"

/* Every attribute that is read is of the type that ONNX gives it: EG_E_FORMAT names one that is not. */
EG_MUST_CHECK enum eg_status eg__step_check_attributes(struct eg_reading *step);

#endif
