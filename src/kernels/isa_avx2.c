/* isa_avx2.c: the kernels compiled for avx2 (flags: room.cmake). */
#if defined(__x86_64__)
#include "kernels/vec_avx2.h"

#define ISA_NAME "avx2"
#define ISA_TABLE eg__kernels_avx2
#include "kernels/text_table.h"
#else
typedef int eg_not_this_machine;
#endif
