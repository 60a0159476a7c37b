/* select.c: which kernel table is in use. Decided once, by CPU features; ENGRAFT_ISA in the
 * environment may name a lesser one (the library's only look at the environment, for tests). */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/table.h"

extern const struct eg_kernels eg__kernels_portable;
#if defined(__x86_64__)
extern const struct eg_kernels eg__kernels_avx2, eg__kernels_avx512;
#elif defined(__aarch64__)
extern const struct eg_kernels eg__kernels_neon;
#endif

static _Atomic(const struct eg_kernels *) chosen;
static pthread_once_t once = PTHREAD_ONCE_INIT;

const struct eg_kernels *eg__kernels_at(size_t index)
{
    const struct eg_kernels *able[4] = {&eg__kernels_portable};
    size_t n = 1;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) able[n++] = &eg__kernels_avx2;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq"))
        able[n++] = &eg__kernels_avx512;
#elif defined(__aarch64__)
    able[n++] = &eg__kernels_neon;
#endif
    return index < n ? able[index] : NULL;
}

bool eg__kernels_select(const char *name)
{
    const struct eg_kernels *kernels;
    for (size_t i = 0; (kernels = eg__kernels_at(i)); i++)
        if (!strcmp(kernels->name, name)) {
            atomic_store(&chosen, kernels);
            return true;
        }
    return false;
}

static void choose(void)
{
    if (atomic_load(&chosen)) return;
    const char *wanted = getenv("ENGRAFT_ISA");
    if (wanted && eg__kernels_select(wanted)) return;
    const struct eg_kernels *kernels;
    for (size_t i = 0; (kernels = eg__kernels_at(i)); i++) atomic_store(&chosen, kernels);
}

const struct eg_kernels *eg__kernels(void)
{
    const struct eg_kernels *kernels = atomic_load_explicit(&chosen, memory_order_acquire);
    if (kernels) return kernels;
    pthread_once(&once, choose);
    return atomic_load(&chosen);
}

const char *eg__kernels_name(void) { return eg__kernels()->name; }
