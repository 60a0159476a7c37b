/* isa_neon.c: the kernels compiled for neon (flags: room.cmake). */
#if defined(__aarch64__)
#include "kernels/vec_neon.h"

#define ISA_NAME "neon"
#define ISA_TABLE eg__kernels_neon
#include "kernels/text_table.h"
#else
typedef int eg_not_this_machine;
#endif
