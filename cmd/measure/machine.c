/* SPDX-License-Identifier: MIT */
/*
 * See machine.h. The build system defines POLLUX_COMPILER, POLLUX_FLAGS and POLLUX_BUILD_TYPE for
 * this file, and writes pollux_revision.h (cmake/PolluxRevision.cmake).
 */
#include "cmd/measure/machine.h"
#include "cmd/measure/cpulist.h"
#include "cmd/measure/place.h"
#include "cmd/measure/sysfile.h"

#include "pollux_revision.h"

#include <dirent.h>
#include <jansson.h>
#include <pollux/pollux.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

/* ---- values: NULL is without memory, unknown is null ---- */

static json_t *text_value(const char *text)
{
    json_t *value = text && *text ? json_string(text) : NULL;
    return value ? value : json_null(); /* not UTF-8: nothing that JSON could say */
}

/* Builds an object from rows of key and value; the list ends with NULL. Takes the values, also
 * when it fails. */
static json_t *object(const char *key, ...)
{
    json_t *o = json_object();
    bool complete = o != NULL;
    va_list args;
    va_start(args, key);
    for (; key; key = va_arg(args, const char *))
        complete &= json_object_set_new(o, key, va_arg(args, json_t *)) == 0;
    va_end(args);
    if (complete)
        return o;
    json_decref(o);
    return NULL;
}

static json_t *file_text(const char *path)
{
    char text[SYSFILE_TEXT];
    sysfile_read(text, sizeof(text), "%s", path);
    return text_value(text);
}

/* The number in a text after a key, or null. */
static json_t *number_after(const char *text, const char *key)
{
    int64_t n;
    return sysfile_number(text, key, &n) ? json_integer(n) : json_null();
}

static json_t *file_number(const char *path)
{
    char text[SYSFILE_TEXT];
    sysfile_read(text, sizeof(text), "%s", path);
    return number_after(text, "");
}

/* `count` numbers with blanks between them, as sysctl(8) shows them. */
static json_t *file_numbers(const char *path, size_t count)
{
    char text[SYSFILE_TEXT];
    json_t *list = json_array();
    char *at = text;
    sysfile_read(text, sizeof(text), "%s", path);
    for (size_t i = 0; i < count; i++) {
        char *end;
        long long n = strtoll(at, &end, 10);
        if (end == at) {
            json_decref(list);
            return json_null();
        }
        json_array_append_new(list, json_integer(n));
        at = end;
    }
    return list;
}

/* ---- CPU ---- */

static json_t *cpu_model(const char *info)
{
    /* x86; MIPS and LoongArch; PowerPC; 32-bit ARM boards. 64-bit ARM gives only numbers. */
    static const char *const keys[] = {"model name", "cpu model", "Model Name", "cpu\t",
                                       "Hardware"};
    char line[256];
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
        const char *at = sysfile_after(info, keys[i]);
        if (at && *at == ':')
            return text_value(sysfile_line(at + 1 + strspn(at + 1, " "), line, sizeof(line)));
    }
    return json_null();
}

static json_t *cpu_mhz(const char *info)
{
    const char *at = sysfile_after(info, "cpu MHz");
    double mhz = at && *at == ':' ? strtod(at + 1, NULL) : 0;
    return mhz > 0 ? json_real(mhz) : json_null();
}

static json_t *cpu_allowed(const struct cpulist *online)
{
    char status[SYSFILE_TEXT], line[SYSFILE_TEXT / 2];
    struct cpulist allowed;
    sysfile_read(status, sizeof(status), "/proc/self/status");
    const char *at = sysfile_after(status, "Cpus_allowed_list:");
    if (!at || !cpulist_parse(sysfile_line(at, line, sizeof(line)), &allowed))
        return json_null();
    /* The kernel also names CPUs that could be plugged in. */
    if (cpulist_count(online) > 0)
        cpulist_meet(&allowed, online);
    return text_value(cpulist_format(&allowed, line, sizeof(line)));
}

static json_t *cpu_governor(const struct cpulist *online)
{
    char all[256] = "";
    for (unsigned cpu = 0; cpu < CPULIST_MOST; cpu++) {
        char one[64];
        if (!cpulist_has(online, cpu) ||
            sysfile_read(one, sizeof(one), "/sys/devices/system/cpu/cpu%u/cpufreq/scaling_governor",
                         cpu) <= 0 ||
            strstr(all, one))
            continue;
        size_t n = strlen(all);
        snprintf(all + n, sizeof(all) - n, "%s%s", n ? "," : "", one);
    }
    return text_value(all);
}

static json_t *numa_nodes(void)
{
    char text[SYSFILE_TEXT];
    struct cpulist nodes; /* written in the same way */
    if (sysfile_read(text, sizeof(text), "/sys/devices/system/node/online") <= 0 ||
        !cpulist_parse(text, &nodes))
        return json_null();
    return json_integer(cpulist_count(&nodes));
}

static json_t *cpu(void)
{
    char info[SYSFILE_TEXT];
    struct cpulist online;
    cpulist_online(&online);
    sysfile_read(info, sizeof(info), "/proc/cpuinfo");
    return object("model", cpu_model(info), "count", json_integer(sysconf(_SC_NPROCESSORS_ONLN)),
                  "allowed", cpu_allowed(&online), "governor", cpu_governor(&online), "smt",
                  file_text("/sys/devices/system/cpu/smt/control"), "numa_nodes", numa_nodes(),
                  "mhz", cpu_mhz(info), NULL);
}

/* ---- the rest of the machine ---- */

static int is_visible(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

static json_t *mitigations(void)
{
    static const char path[] = "/sys/devices/system/cpu/vulnerabilities";
    struct dirent **list;
    int n = scandir(path, &list, is_visible, alphasort);
    if (n < 0)
        return json_null();
    json_t *all = json_object();
    for (int i = 0; i < n; i++) {
        char text[1024];
        if (sysfile_read(text, sizeof(text), "%s/%s", path, list[i]->d_name) >= 0)
            json_object_set_new(all, list[i]->d_name, text_value(text));
        free(list[i]);
    }
    free(list);
    return all;
}

static json_t *memory_bytes(void)
{
    char text[SYSFILE_TEXT];
    int64_t kb;
    sysfile_read(text, sizeof(text), "/proc/meminfo");
    return sysfile_number(text, "MemTotal:", &kb) ? json_integer(kb * 1024) : json_null();
}

static json_t *limit_value(rlim_t limit)
{
    return limit == RLIM_INFINITY ? json_string("unlimited") : json_integer((json_int_t)limit);
}

static json_t *limits(void)
{
    char status[SYSFILE_TEXT];
    struct rlimit files, locked;
    double cpus = place_cpu_quota();
    int64_t memory = place_memory_limit();
    getrlimit(RLIMIT_NOFILE, &files);
    getrlimit(RLIMIT_MEMLOCK, &locked);
    sysfile_read(status, sizeof(status), "/proc/self/status");
    return object("nofile_soft", limit_value(files.rlim_cur), "nofile_hard",
                  limit_value(files.rlim_max), "memlock_bytes", limit_value(locked.rlim_cur),
                  "seccomp", number_after(status, "Seccomp:"), "io_uring_disabled",
                  file_number("/proc/sys/kernel/io_uring_disabled"), "cgroup_cpu_quota",
                  cpus > 0 ? json_real(cpus) : json_null(), "cgroup_memory_bytes",
                  memory > 0 ? json_integer(memory) : json_null(), "somaxconn",
                  file_number("/proc/sys/net/core/somaxconn"), "ip_local_port_range",
                  file_numbers("/proc/sys/net/ipv4/ip_local_port_range", 2), "tcp_tw_reuse",
                  file_number("/proc/sys/net/ipv4/tcp_tw_reuse"), "tcp_rmem",
                  file_numbers("/proc/sys/net/ipv4/tcp_rmem", 3), "tcp_wmem",
                  file_numbers("/proc/sys/net/ipv4/tcp_wmem", 3), NULL);
}

static json_t *load_average(void)
{
    double minutes[3];
    if (getloadavg(minutes, 3) != 3)
        return json_null();
    return json_pack("[f, f, f]", minutes[0], minutes[1], minutes[2]);
}

static json_t *uptime(void)
{
    char text[128];
    sysfile_read(text, sizeof(text), "/proc/uptime");
    double seconds = strtod(text, NULL);
    return seconds > 0 ? json_real(seconds) : json_null();
}

/* ---- build ---- */

static json_t *build(void)
{
    /* -1 = not known */
    json_t *dirty = POLLUX_DIRTY < 0 ? json_null() : json_boolean(POLLUX_DIRTY);
    return object("version", json_string(PLX_VERSION), "compiler", json_string(POLLUX_COMPILER),
                  "flags", json_string(POLLUX_FLAGS), "type", text_value(POLLUX_BUILD_TYPE),
                  "revision", text_value(POLLUX_REVISION), "dirty", dirty, NULL);
}

/* ---- all of it ---- */

json_t *machine_json(void)
{
    struct utsname u;
    char hypervisor[PLACE_TEXT];
    uname(&u);
    return object("system", text_value(u.sysname), "kernel", text_value(u.release),
                  "kernel_version", text_value(u.version), "architecture", text_value(u.machine),
                  "hostname", text_value(u.nodename), "command_line", file_text("/proc/cmdline"),
                  "mitigations", mitigations(), "cpu", cpu(), "memory_bytes", memory_bytes(),
                  "page_size", json_integer(sysconf(_SC_PAGESIZE)), "virtual",
                  text_value(place_hypervisor(hypervisor)), "container",
                  text_value(place_container()), "limits", limits(), "load_average", load_average(),
                  "uptime_seconds", uptime(), "build", build(), NULL);
}

/* ---- for people ---- */

/* The text at a key, or "" where there is none. */
static const char *text_at(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}

static void append(char *buf, size_t cap, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void append(char *buf, size_t cap, const char *fmt, ...)
{
    size_t n = strlen(buf);
    va_list args;
    va_start(args, fmt);
    vsnprintf(buf + n, cap - n, fmt, args);
    va_end(args);
}

char *machine_line(const json_t *machine, char *buf, unsigned long cap)
{
    const json_t *cpus = json_object_get(machine, "cpu");
    const json_t *made = json_object_get(machine, "build");
    const char *model = text_at(cpus, "model");
    const char *governor = text_at(cpus, "governor");
    const char *around[] = {text_at(machine, "virtual"), text_at(machine, "container")};
    buf[0] = '\0';
    append(buf, cap, "%s %s, %lld x %s", text_at(machine, "system"), text_at(machine, "kernel"),
           (long long)json_integer_value(json_object_get(cpus, "count")),
           *model ? model : text_at(machine, "architecture"));
    for (size_t i = 0; i < sizeof(around) / sizeof(*around); i++) {
        if (strcmp(around[i], "unknown") == 0)
            append(buf, cap, ", %s", i == 0 ? "a virtual machine" : "a container");
        else if (*around[i])
            append(buf, cap, ", %s", around[i]);
    }
    append(buf, cap, ", governor %s, Pollux %s", *governor ? governor : "n/a",
           text_at(made, "version"));
    const char *revision = text_at(made, "revision");
    if (*revision)
        append(buf, cap, " (%.7s%s)", revision,
               json_is_true(json_object_get(made, "dirty")) ? ", modified" : "");
    return buf;
}
