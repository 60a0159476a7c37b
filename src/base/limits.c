#include "base/limits.h"

#include <limits.h>
#include <math.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The numbers at the head of ROOT/sys/fs/cgroup/FOLDER/NAME: how many there are of two, 0 for "max". */
static int read_numbers(const char *root, const char *folder, const char *name, long long numbers[2])
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s/sys/fs/cgroup/%s/%s", root, folder, name);
    if (length < 0 || (size_t)length >= sizeof path) return 0;
    FILE *file = fopen(path, "re");
    if (!file) return 0;
    int n = fscanf(file, "%lld %lld", &numbers[0], &numbers[1]);
    fclose(file);
    return n;
}

static void lower_memory(struct eg_limits *limits, long long bytes)
{
    if (bytes > 0 && (unsigned long long)bytes < limits->memory_bytes) limits->memory_bytes = (size_t)bytes;
}

static void lower_cpus(struct eg_limits *limits, long long quota, long long period)
{
    if (quota > 0 && period > 0) limits->cpus = fmin(limits->cpus, (double)quota / (double)period);
}

static void ask_folder(const char *root, const char *folder, struct eg_limits *limits)
{
    long long numbers[2], period[2];
    if (read_numbers(root, folder, "memory.max", numbers) >= 1) lower_memory(limits, numbers[0]);
    if (read_numbers(root, folder, "memory.limit_in_bytes", numbers) >= 1) lower_memory(limits, numbers[0]);
    if (read_numbers(root, folder, "cpu.max", numbers) == 2) lower_cpus(limits, numbers[0], numbers[1]);
    if (read_numbers(root, folder, "cpu.cfs_quota_us", numbers) >= 1 &&
        read_numbers(root, folder, "cpu.cfs_period_us", period) >= 1)
        lower_cpus(limits, numbers[0], period[0]);
}

/* A group's limits hold for the groups in it: ask each up to the mount, which is all that a container
 * sees of them. */
static void ask_group(const char *root, const char *mount, const char *group, struct eg_limits *limits)
{
    char folder[PATH_MAX];
    int length = snprintf(folder, sizeof folder, "%s%s", mount, group);
    if (length < 0 || (size_t)length >= sizeof folder) return;
    size_t top = strlen(mount);
    for (;;) {
        ask_folder(root, folder, limits);
        char *slash = strrchr(folder, '/');
        if (!slash || (size_t)(slash - folder) < top) break;
        *slash = '\0';
    }
    ask_folder(root, mount, limits);
}

struct eg_limits eg__limits_of_group(const char *root)
{
    struct eg_limits limits = {SIZE_MAX, INFINITY};
    char path[PATH_MAX], line[PATH_MAX + 64];
    int length = snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    FILE *file = length > 0 && (size_t)length < sizeof path ? fopen(path, "re") : NULL;
    if (!file) return limits;
    while (fgets(line, sizeof line, file)) { /* 0::/user.slice/x or 4:cpu,cpuacct:/docker/x */
        char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group) continue;
        *group++ = '\0';
        group[strcspn(group, "\n")] = '\0';
        controllers++;
        if (!*controllers)
            ask_group(root, "", group, &limits);
        else if (!strcmp(controllers, "memory") || !strncmp(controllers, "cpu,", 4) ||
                 !strcmp(controllers, "cpu"))
            ask_group(root, controllers, group, &limits);
    }
    fclose(file);
    return limits;
}

size_t eg__usable_memory(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), bytes = sysconf(_SC_PAGESIZE);
    size_t machine = pages > 0 && bytes > 0 ? (size_t)pages * (size_t)bytes : (size_t)2 << 30;
    size_t group = eg__limits_of_group("").memory_bytes;
    return group < machine ? group : machine;
}

unsigned eg__usable_cpus(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    int n = sched_getaffinity(0, sizeof set, &set) ? 1 : CPU_COUNT(&set);
    /* More threads than the group's share of processors only wait for each other's turn. */
    double share = ceil(eg__limits_of_group("").cpus);
    if (share < n) n = (int)share;
    return n > 0 ? (unsigned)n : 1;
}
