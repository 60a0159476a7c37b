/* resample_lines_avx2.c: compiled with -mavx2 on x86-64 (room.cmake), empty elsewhere. */
#ifdef __AVX2__
#define LINE_KERNELS eg__lines_avx2
#include "image/resample_lines.inc"
#else
typedef int eg_no_avx2_here;
#endif
