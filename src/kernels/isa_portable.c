/* isa_portable.c: the kernels compiled for portable (flags: room.cmake). */
#include "kernels/vec_portable.h"

#define ISA_NAME "portable"
#define ISA_TABLE eg__kernels_portable
#include "kernels/text_table.h"
