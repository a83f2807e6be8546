/* SPDX-License-Identifier: MIT */
/*
 * The machine's fingerprint: every key is there, and what it says agrees with other sources (system
 * calls, the compiler, files read another way).
 */
#include "cmd/measure/machine.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif

#include <cmocka.h>
#include <jansson.h>
#include <pollux/pollux.h>

static json_t *machine;

static int read_machine(void **state)
{
    (void)state;
    machine = machine_json();
    return machine ? 0 : -1;
}

static int forget_machine(void **state)
{
    (void)state;
    json_decref(machine);
    return 0;
}

/* The value at "a.b"; the test fails without. */
static const json_t *at(const char *path)
{
    char key[64];
    const json_t *value = machine;
    for (const char *p = path; value && *p; p += *p == '.') {
        size_t n = strcspn(p, ".");
        snprintf(key, sizeof(key), "%.*s", (int)n, p);
        value = json_object_get(value, key);
        p += n;
    }
    if (!value)
        fail_msg("there is no key %s", path);
    return value;
}

static void assert_text(const char *path, const char *expected)
{
    const char *text = json_string_value(at(path));
    if (!text || strcmp(text, expected) != 0)
        fail_msg("%s is \"%s\", not \"%s\"", path, text ? text : "null", expected);
}

static void assert_number(const char *path, long long expected)
{
    const json_t *value = at(path);
    if (!json_is_integer(value) || json_integer_value(value) != expected)
        fail_msg("%s is %lld, not %lld", path, (long long)json_integer_value(value), expected);
}

/* The first line of a file, "" if it cannot be read. */
static char *line_of(const char *path, char *line, int cap)
{
    FILE *f = fopen(path, "re");
    line[0] = '\0';
    if (f && !fgets(line, cap, f))
        line[0] = '\0';
    if (f)
        fclose(f);
    line[strcspn(line, "\n")] = '\0';
    return line;
}

/* ---- every key, of the right kind ---- */

static void test_keys(void **state)
{
    (void)state;
    /* s text, i integer, n number, b yes or no, a list, o object; ? = or null */
    static const struct {
        const char *path, *kind;
    } keys[] = {
        {"system", "s"},
        {"kernel", "s"},
        {"kernel_version", "s"},
        {"architecture", "s"},
        {"hostname", "s?"},
        {"command_line", "s?"},
        {"mitigations", "o?"},
        {"cpu", "o"},
        {"cpu.model", "s?"},
        {"cpu.count", "i"},
        {"cpu.allowed", "s?"},
        {"cpu.governor", "s?"},
        {"cpu.smt", "s?"},
        {"cpu.numa_nodes", "i?"},
        {"cpu.mhz", "n?"},
        {"memory_bytes", "i?"},
        {"page_size", "i"},
        {"virtual", "s?"},
        {"container", "s?"},
        {"limits", "o"},
        {"limits.nofile_soft", "is"},
        {"limits.nofile_hard", "is"},
        {"limits.memlock_bytes", "is"},
        {"limits.seccomp", "i?"},
        {"limits.io_uring_disabled", "i?"},
        {"limits.cgroup_cpu_quota", "n?"},
        {"limits.cgroup_memory_bytes", "i?"},
        {"limits.somaxconn", "i?"},
        {"limits.ip_local_port_range", "a?"},
        {"limits.tcp_tw_reuse", "i?"},
        {"limits.tcp_rmem", "a?"},
        {"limits.tcp_wmem", "a?"},
        {"load_average", "a?"},
        {"uptime_seconds", "n?"},
        {"build", "o"},
        {"build.version", "s"},
        {"build.compiler", "s"},
        {"build.flags", "s"},
        {"build.type", "s?"},
        {"build.revision", "s?"},
        {"build.dirty", "b?"},
    };
    static const char kinds[] = {
        [JSON_OBJECT] = 'o', [JSON_ARRAY] = 'a', [JSON_STRING] = 's', [JSON_INTEGER] = 'i',
        [JSON_REAL] = 'n',   [JSON_TRUE] = 'b',  [JSON_FALSE] = 'b',  [JSON_NULL] = '?'};
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
        const json_t *value = at(keys[i].path);
        if (!strchr(keys[i].kind, kinds[json_typeof(value)]))
            fail_msg("%s is of kind %c, not %s", keys[i].path, kinds[json_typeof(value)],
                     keys[i].kind);
        if (json_is_string(value) && strcmp(keys[i].path, "build.flags") != 0)
            assert_true(json_string_length(value) > 0);
    }
    assert_int_equal(json_object_size(machine), 16);
    assert_int_equal(json_object_size(at("cpu")), 7);
    assert_int_equal(json_object_size(at("limits")), 12);
    assert_int_equal(json_object_size(at("build")), 6);
    /* It can be written, and read again. */
    char *text = json_dumps(machine, JSON_COMPACT);
    assert_non_null(text);
    json_t *again = json_loads(text, 0, NULL);
    assert_true(json_equal(again, machine));
    json_decref(again);
    free(text);
}

/* ---- what system calls say ---- */

static void test_system(void **state)
{
    (void)state;
    struct utsname u;
    struct sysinfo info;
    struct timespec boot;
    double minutes[3];
    assert_int_equal(uname(&u), 0);
    assert_text("system", u.sysname);
    assert_text("kernel", u.release);
    assert_text("kernel_version", u.version);
    assert_text("architecture", u.machine);
    assert_text("hostname", u.nodename);
    assert_number("page_size", sysconf(_SC_PAGESIZE));
    assert_number("cpu.count", sysconf(_SC_NPROCESSORS_ONLN));

    /* A virtual machine may be given more or less memory at any time, if not much at once. */
    assert_int_equal(sysinfo(&info), 0);
    double bytes = (double)info.totalram * info.mem_unit;
    double told = (double)json_integer_value(at("memory_bytes"));
    assert_true(told > 0.9 * bytes && told < 1.1 * bytes);

    assert_int_equal(clock_gettime(CLOCK_BOOTTIME, &boot), 0);
    double uptime = json_number_value(at("uptime_seconds"));
    assert_true(uptime > 0 && uptime <= (double)boot.tv_sec + 2);
    assert_true(uptime > (double)boot.tv_sec - 600);
    assert_int_equal(json_array_size(at("load_average")), 3);
    assert_int_equal(getloadavg(minutes, 3), 3);
    double fifteen = json_number_value(json_array_get(at("load_average"), 2));
    assert_true(fifteen >= 0 && fifteen < minutes[2] + 10 && fifteen > minutes[2] - 10);
}

static void assert_limit(const char *path, rlim_t limit)
{
    if (limit == RLIM_INFINITY)
        assert_text(path, "unlimited");
    else
        assert_number(path, (long long)limit);
}

static void test_limits(void **state)
{
    (void)state;
    struct rlimit files, locked;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &locked), 0);
    assert_limit("limits.nofile_soft", files.rlim_cur);
    assert_limit("limits.nofile_hard", files.rlim_max);
    assert_limit("limits.memlock_bytes", locked.rlim_cur);
    int seccomp = prctl(PR_GET_SECCOMP);
    if (seccomp >= 0)
        assert_number("limits.seccomp", seccomp);
}

/* The limits are those of this process now, not of some moment. */
static void test_other_limits(void **state)
{
    (void)state;
    struct rlimit files, locked = {0, 0};
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = 123;
    pid_t pid = fork();
    if (pid == 0) {
        if (setrlimit(RLIMIT_NOFILE, &files) < 0 || setrlimit(RLIMIT_MEMLOCK, &locked) < 0)
            _exit(1);
        json_decref(machine);
        machine = machine_json();
        const json_t *limits = machine ? json_object_get(machine, "limits") : NULL;
        bool same = json_integer_value(json_object_get(limits, "nofile_soft")) == 123 &&
                    json_is_integer(json_object_get(limits, "memlock_bytes")) &&
                    json_integer_value(json_object_get(limits, "memlock_bytes")) == 0;
        json_decref(machine);
        _exit(same ? 0 : 2);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- what files say ---- */

static void assert_file_numbers(const char *path, const char *file, size_t count)
{
    long long n[3];
    char line[256];
    line_of(file, line, sizeof(line));
    if (sscanf(line, "%lld %lld %lld", &n[0], &n[1], &n[2]) < (int)count) {
        assert_true(json_is_null(at(path)));
        return;
    }
    if (count == 1) {
        assert_number(path, n[0]);
        return;
    }
    assert_int_equal(json_array_size(at(path)), count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(json_integer_value(json_array_get(at(path), i)), n[i]);
}

static void assert_file_text(const char *path, const char *file)
{
    char line[4096];
    if (*line_of(file, line, sizeof(line)))
        assert_text(path, line);
    else
        assert_true(json_is_null(at(path)));
}

static void test_files(void **state)
{
    (void)state;
    assert_file_numbers("limits.somaxconn", "/proc/sys/net/core/somaxconn", 1);
    assert_file_numbers("limits.io_uring_disabled", "/proc/sys/kernel/io_uring_disabled", 1);
    assert_file_numbers("limits.tcp_tw_reuse", "/proc/sys/net/ipv4/tcp_tw_reuse", 1);
    assert_file_numbers("limits.ip_local_port_range", "/proc/sys/net/ipv4/ip_local_port_range", 2);
    assert_file_numbers("limits.tcp_rmem", "/proc/sys/net/ipv4/tcp_rmem", 3);
    assert_file_numbers("limits.tcp_wmem", "/proc/sys/net/ipv4/tcp_wmem", 3);
    assert_file_text("command_line", "/proc/cmdline");
    assert_file_text("cpu.smt", "/sys/devices/system/cpu/smt/control");
    if (json_is_object(at("mitigations"))) {
        char path[256], line[1024];
        const char *name;
        json_t *value;
        assert_true(json_object_size(at("mitigations")) > 0);
        json_object_foreach((json_t *)at("mitigations"), name, value)
        {
            snprintf(path, sizeof(path), "/sys/devices/system/cpu/vulnerabilities/%s", name);
            assert_string_equal(json_string_value(value), line_of(path, line, sizeof(line)));
        }
    }
}

/* A limit that is told is one: of CPUs above 0, of memory above 0; no limit is null. */
static void test_groups(void **state)
{
    (void)state;
    const json_t *cpus = at("limits.cgroup_cpu_quota");
    const json_t *memory = at("limits.cgroup_memory_bytes");
    assert_true(json_is_null(cpus) || json_real_value(cpus) > 0);
    assert_true(json_is_null(memory) || json_integer_value(memory) > 0);
}

/* ---- the CPUs ---- */

static void test_cpus(void **state)
{
    (void)state;
    cpu_set_t set;
    int told = 0;
    assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
    const char *list = json_string_value(at("cpu.allowed"));
    assert_non_null(list);
    for (const char *p = list; *p; p += *p == ',') {
        char *end;
        long first = strtol(p, &end, 10), last = first;
        if (*end == '-')
            last = strtol(end + 1, &end, 10);
        for (long cpu = first; cpu <= last; cpu++, told++)
            assert_true(CPU_ISSET((size_t)cpu, &set));
        p = end;
    }
    assert_int_equal(told, CPU_COUNT(&set));
}

#if defined(__x86_64__) || defined(__i386__)
/* The processor says by CPUID what /proc/cpuinfo prints, and whether it is virtual. */
static void test_processor(void **state)
{
    (void)state;
    char line[1024], model[128] = "";
    bool is_virtual = false;
    FILE *f = fopen("/proc/cpuinfo", "re");
    assert_non_null(f);
    while (fgets(line, sizeof(line), f) && line[0] != '\n') {
        sscanf(line, "model name : %127[^\n]", model);
        is_virtual |= strncmp(line, "flags", 5) == 0 && strstr(line, " hypervisor");
    }
    fclose(f);
    if (*model)
        assert_text("cpu.model", model);
    /* An emulated processor, such as valgrind's, does not say so. */
    unsigned a, b, c, d;
    if (is_virtual && __get_cpuid(1, &a, &b, &c, &d) && (c >> 31 & 1))
        assert_true(json_is_string(at("virtual")));
}
#endif

/* ---- the build ---- */

static void test_build(void **state)
{
    (void)state;
    assert_text("build.version", PLX_VERSION);
    const char *compiler = json_string_value(at("build.compiler"));
    char version[64];
#if defined(__clang__)
    snprintf(version, sizeof(version), "Clang %d.%d.", __clang_major__, __clang_minor__);
    assert_non_null(strstr(compiler, version)); /* or AppleClang */
#elif defined(__GNUC__)
    snprintf(version, sizeof(version), "GNU %d.%d.", __GNUC__, __GNUC_MINOR__);
    assert_int_equal(strncmp(compiler, version, strlen(version)), 0);
#endif
    const char *flags = json_string_value(at("build.flags"));
#ifdef __OPTIMIZE__
    assert_non_null(strstr(flags, "-O"));
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    assert_non_null(strstr(flags, "-fsanitize="));
#endif
    assert_null(strstr(flags, "-Wall"));
    assert_true(flags[0] != ' ');
    assert_null(strstr(flags, "SHELL:"));

    const char *revision = json_string_value(at("build.revision"));
    if (revision) {
        assert_true(strlen(revision) == 40 || strlen(revision) == 64); /* SHA-1, SHA-256 */
        assert_int_equal(strspn(revision, "0123456789abcdef"), strlen(revision));
    } else {
        assert_true(json_is_null(at("build.dirty")));
    }
}

/* ---- the line for people ---- */

static void test_line(void **state)
{
    (void)state;
    char line[512], small[10];
    struct utsname u;
    assert_int_equal(uname(&u), 0);
    assert_ptr_equal(machine_line(machine, line, sizeof(line)), line);
    assert_non_null(strstr(line, u.release));
    assert_non_null(strstr(line, "governor "));
    assert_non_null(strstr(line, "Pollux " PLX_VERSION));
    machine_line(machine, small, sizeof(small));
    assert_int_equal(strncmp(small, line, sizeof(small) - 1), 0);
    assert_int_equal(strlen(small), sizeof(small) - 1);

    json_t *known = json_pack("{s:s, s:s, s:s, s:{s:s, s:i, s:s}, s:s, s:s, s:{s:s, s:s, s:b}}",
                              "system", "Linux", "kernel", "6.1.0", "architecture", "x86_64", "cpu",
                              "model", "A CPU", "count", 2, "governor", "performance", "virtual",
                              "KVM", "container", "docker", "build", "version", "1.2.3", "revision",
                              "0123456789abcdef0123456789abcdef01234567", "dirty", 1);
    assert_non_null(known);
    assert_string_equal(machine_line(known, line, sizeof(line)),
                        "Linux 6.1.0, 2 x A CPU, KVM, docker, governor performance, Pollux 1.2.3 "
                        "(0123456, modified)");
    json_decref(known);
    known = json_pack("{s:s, s:s, s:s, s:{s:n, s:i, s:n}, s:n, s:n, s:{s:s, s:n, s:n}}", "system",
                      "Linux", "kernel", "6.1.0", "architecture", "aarch64", "cpu", "model",
                      "count", 2, "governor", "virtual", "container", "build", "version", "1.2.3",
                      "revision", "dirty");
    assert_non_null(known);
    assert_string_equal(machine_line(known, line, sizeof(line)),
                        "Linux 6.1.0, 2 x aarch64, governor n/a, Pollux 1.2.3");
    json_decref(known);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_system),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_other_limits),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_cpus),
#if defined(__x86_64__) || defined(__i386__)
        cmocka_unit_test(test_processor),
#endif
        cmocka_unit_test(test_build),
        cmocka_unit_test(test_line),
    };

    return cmocka_run_group_tests(tests, read_machine, forget_machine);
}
