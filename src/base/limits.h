/* limits.h: what this process may use of the machine: the machine's memory and processors, less what
 * its control group (a container, a batch system's job) allows. */
#ifndef EG_BASE_LIMITS_H
#define EG_BASE_LIMITS_H

#include <stddef.h>

struct eg_limits {
    size_t memory_bytes; /* SIZE_MAX: no limit */
    double cpus;         /* processors' worth of time; INFINITY: no limit */
};

/* Of the control group, version 1 or 2; root is "" but in tests. What cannot be read is no limit. */
struct eg_limits eg__limits_of_group(const char *root);

size_t eg__usable_memory(void);
unsigned eg__usable_cpus(void); /* at least 1 */

#endif
