/* weight_files.h: torch, safetensors and Keras files to named tensors. */
#ifndef EG_FORMATS_WEIGHT_FILES_H
#define EG_FORMATS_WEIGHT_FILES_H

#include "graph/weights.h"

/* The kind is told by the file's first bytes, not its name. The file is mapped, not read. */
EG_MUST_CHECK enum eg_status eg__weights_load(const char *path, struct eg_weights **weights,
                                              struct eg_error *err);

#endif
