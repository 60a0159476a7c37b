/* isa_avx512.c: the kernels compiled for avx512 (flags: room.cmake). */
#if defined(__x86_64__)
#include "kernels/vec_avx512.h"

#define ISA_NAME "avx512"
#define ISA_TABLE eg__kernels_avx512
#include "kernels/text_table.h"
#else
typedef int eg_not_this_machine;
#endif
