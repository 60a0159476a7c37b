/* What the control group allows, from made-up /proc and /sys of both versions. */
#include "check.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/pool.h"

static char root[64];

static void put(const char *path, const char *text)
{
    char whole[512];
    snprintf(whole, sizeof whole, "%s/%s", root, path);
    for (char *slash = whole + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        mkdir(whole, 0700);
        *slash = '/';
    }
    FILE *file = fopen(whole, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int begin(void **state)
{
    (void)state;
    strcpy(root, "/tmp/test_limits.XXXXXX");
    return !mkdtemp(root);
}

static int end(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command);
}

static void nothing_there_is_no_limit(void **state)
{
    (void)state;
    struct eg_limits limits = eg__limits_of_group(root);
    assert_true(limits.memory_bytes == SIZE_MAX && isinf(limits.cpus));
}

static void the_tightest_of_the_groups_above_counts(void **state)
{
    (void)state;
    put("proc/self/cgroup", "0::/jobs/mine\n");
    put("sys/fs/cgroup/jobs/mine/memory.max", "max\n");
    put("sys/fs/cgroup/jobs/mine/cpu.max", "max 100000\n");
    put("sys/fs/cgroup/jobs/memory.max", "314572800\n");
    put("sys/fs/cgroup/jobs/cpu.max", "50000 100000\n");
    put("sys/fs/cgroup/memory.max", "1000000000\n");
    struct eg_limits limits = eg__limits_of_group(root);
    assert_int_equal(limits.memory_bytes, 314572800);
    assert_true(limits.cpus == 0.5);
}

static void a_container_sees_its_own_group_as_the_mount(void **state)
{
    (void)state;
    put("proc/self/cgroup", "0::/\n");
    put("sys/fs/cgroup/memory.max", "200000000\n");
    put("sys/fs/cgroup/cpu.max", "250000 100000\n");
    struct eg_limits limits = eg__limits_of_group(root);
    assert_int_equal(limits.memory_bytes, 200000000);
    assert_true(limits.cpus == 2.5);
}

static void version_1_has_a_folder_a_controller(void **state)
{
    (void)state;
    put("proc/self/cgroup", "12:memory:/docker/x\n5:cpu,cpuacct:/docker/x\n3:cpuset:/docker/x\n");
    put("sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes", "9223372036854771712\n"); /* none */
    put("sys/fs/cgroup/memory/memory.limit_in_bytes", "123456789\n");
    put("sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_quota_us", "-1\n");
    put("sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_period_us", "100000\n");
    struct eg_limits limits = eg__limits_of_group(root);
    assert_int_equal(limits.memory_bytes, 123456789);
    assert_true(isinf(limits.cpus));
    put("sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_quota_us", "300000\n");
    assert_true(eg__limits_of_group(root).cpus == 3.0);
}

static void damaged_files_are_no_limit(void **state)
{
    (void)state;
    put("proc/self/cgroup", "rubbish\n0:\n0::/../../..\n");
    put("sys/fs/cgroup/memory.max", "-5\n");
    put("sys/fs/cgroup/cpu.max", "1 0\n");
    struct eg_limits limits = eg__limits_of_group(root);
    assert_true(limits.memory_bytes == SIZE_MAX && isinf(limits.cpus));
}

static void this_machine_has_some_of_both(void **state)
{
    (void)state;
    assert_true(eg__usable_memory() > 1 << 20 && eg__usable_cpus() >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_there_is_no_limit, begin, end),
        cmocka_unit_test_setup_teardown(the_tightest_of_the_groups_above_counts, begin, end),
        cmocka_unit_test_setup_teardown(a_container_sees_its_own_group_as_the_mount, begin, end),
        cmocka_unit_test_setup_teardown(version_1_has_a_folder_a_controller, begin, end),
        cmocka_unit_test_setup_teardown(damaged_files_are_no_limit, begin, end),
        cmocka_unit_test(this_machine_has_some_of_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
