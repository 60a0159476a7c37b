/* activations.h: the functions of one number that kernels apply, by name (activations.def). */
#ifndef EG_KERNELS_ACTIVATIONS_H
#define EG_KERNELS_ACTIVATIONS_H

enum eg_activation {
#define EG_ACT(name, value, slope) EG_ACT_##name,
#include "kernels/activations.def"
#undef EG_ACT
    EG_ACT_COUNT
};

#endif
