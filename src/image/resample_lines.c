/* resample_lines.c: the portable twin, and the choice between the sets. */
#define LINE_KERNELS eg__lines_portable
#include "image/resample_lines.inc"

const struct eg_line_kernels *eg__line_kernels(void)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx2")) return &eg__lines_avx2;
#endif
    return &eg__lines_portable;
}
