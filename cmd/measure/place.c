/* SPDX-License-Identifier: MIT */
/* See place.h. */
#include "cmd/measure/place.h"
#include "cmd/measure/sysfile.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif

/* ---- hypervisor ---- */

struct name {
    const char *sign, *name; /* NULL ends the array */
};

/* The first of the names whose sign the text begins with. */
static const char *lookup(const struct name *names, const char *text)
{
    for (; names->sign; names++) {
        if (strncmp(text, names->sign, strlen(names->sign)) == 0)
            return names->name;
    }
    return NULL;
}

/* A processor that is virtual says so (leaf 1, ECX bit 31), and its hypervisor signs itself in leaf
 * 0x40000000. NULL, "unknown" or the name. */
static const char *by_cpuid(void)
{
#if defined(__x86_64__) || defined(__i386__)
    static const struct name names[] = {
        {"KVMKVMKVM", "KVM"},           {"Linux KVM Hv", "KVM"},   {"Microsoft Hv", "Hyper-V"},
        {"VMwareVMware", "VMware"},     {"XenVMMXenVMM", "Xen"},   {"TCGTCGTCGTCG", "QEMU"},
        {"VBoxVBoxVBox", "VirtualBox"}, {"bhyve bhyve ", "bhyve"}, {" lrpepyh vr", "Parallels"},
        {"ACRNACRNACRN", "ACRN"},       {"QNXQVMBSQG", "QNX"},     {NULL, NULL}};
    unsigned a, b, c, d;
    char sign[13] = "";
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c >> 31 & 1))
        return NULL;
    __cpuid(0x40000000, a, b, c, d);
    memcpy(sign, &b, 4);
    memcpy(sign + 4, &c, 4);
    memcpy(sign + 8, &d, 4);
    const char *name = lookup(names, sign);
    return name ? name : "unknown";
#else
    return NULL;
#endif
}

/* What the firmware calls the machine. */
static const char *by_firmware(void)
{
    static const struct name names[] = {{"KVM", "KVM"},
                                        {"QEMU", "QEMU"},
                                        {"VMware", "VMware"},
                                        {"VirtualBox", "VirtualBox"},
                                        {"Xen", "Xen"},
                                        {"Bochs", "Bochs"},
                                        {"Parallels", "Parallels"},
                                        {"BHYVE", "bhyve"},
                                        {"Virtual Machine", "Hyper-V"},
                                        {"Apple Virtualization", "Apple Virtualization"},
                                        {"OpenStack", "OpenStack"},
                                        {"Google Compute Engine", "Google Compute Engine"},
                                        {"Amazon EC2", "Amazon EC2"},
                                        {NULL, NULL}};
    char product[256], vendor[256];
    sysfile_read(product, sizeof(product), "/sys/class/dmi/id/product_name");
    sysfile_read(vendor, sizeof(vendor), "/sys/class/dmi/id/sys_vendor");
    if (strstr(product, ".metal")) /* of EC2: the whole machine, by the name of the same vendor */
        return NULL;
    const char *name = lookup(names, product);
    return name ? name : lookup(names, vendor);
}

const char *place_hypervisor(char buf[PLACE_TEXT])
{
    const char *cpuid = by_cpuid();
    const char *name = cpuid && strcmp(cpuid, "unknown") != 0 ? cpuid : by_firmware();
    if (name)
        return name;
    if (sysfile_read(buf, PLACE_TEXT, "/sys/hypervisor/type") > 0)
        return strcmp(buf, "xen") == 0 ? "Xen" : buf;
    if (sysfile_read(buf, PLACE_TEXT, "/proc/device-tree/hypervisor/compatible") > 0)
        return strcmp(buf, "linux,kvm") == 0 ? "KVM" : buf;
    return cpuid;
}

/* ---- container ---- */

/* The namespaces that the kernel begins with have fixed numbers (PROC_PID_INIT_INO and
 * PROC_CGROUP_INIT_INO of its proc_ns.h). */
static bool is_inside(void)
{
    static const struct name first[] = {{"/proc/self/ns/pid", "pid:[4026531836]"},
                                        {"/proc/self/ns/cgroup", "cgroup:[4026531835]"}};
    for (size_t i = 0; i < sizeof(first) / sizeof(*first); i++) {
        char link[64];
        ssize_t n = readlink(first[i].sign, link, sizeof(link) - 1);
        link[n > 0 ? n : 0] = '\0';
        if (n > 0 && strcmp(link, first[i].name) != 0)
            return true;
    }
    return false;
}

static const char *by_group(void)
{
    static const struct name names[] = {{"kubepods", "kubernetes"}, {"libpod", "podman"},
                                        {"/docker/", "docker"},     {"/docker-", "docker"},
                                        {"/lxc/", "lxc"},           {"/lxc.payload", "lxc"}};
    char groups[SYSFILE_TEXT];
    sysfile_read(groups, sizeof(groups), "/proc/self/cgroup");
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        if (strstr(groups, names[i].sign))
            return names[i].name;
    }
    return NULL;
}

/* Files that container engines leave also stand in images which a machine of its own was made
 * from, so they count only inside. */
const char *place_container(void)
{
    static const struct name managers[] = {
        {"lxc", "lxc"}, {"podman", "podman"}, {"docker", "docker"}, {NULL, NULL}};
    const char *name = by_group();
    if (name)
        return name;
    if (!is_inside())
        return NULL;
    if (getenv("KUBERNETES_SERVICE_HOST") || access("/run/secrets/kubernetes.io", F_OK) == 0)
        return "kubernetes";
    if (access("/run/.containerenv", F_OK) == 0)
        return "podman";
    if (access("/.dockerenv", F_OK) == 0)
        return "docker";
    char told[PLACE_TEXT];
    const char *variable = getenv("container");
    if (sysfile_read(told, sizeof(told), "/run/systemd/container") <= 0)
        snprintf(told, sizeof(told), "%s", variable ? variable : "");
    name = lookup(managers, told);
    return name ? name : "unknown";
}

/* ---- control groups ---- */

/* Where the group of this process is seen in the file system, cgroups(7). */
struct group {
    char path[PATH_MAX];
    size_t top; /* how much of it is the mount point: above it nothing can be seen */
    bool v2;
};

/* Whether `list`, parted by commas, has `word`. */
static bool has_word(const char *list, const char *word)
{
    size_t n = strlen(word);
    for (const char *at = list; (at = strstr(at, word)) != NULL; at += n) {
        if ((at == list || at[-1] == ',') && (at[n] == ',' || at[n] == '\0'))
            return true;
    }
    return false;
}

/* The group by the name that /proc/self/cgroup gives it: lines ID:CONTROLLERS:NAME, where version 2
 * has no controllers. */
static bool group_name(const char *controller, bool v2, char *name, size_t cap)
{
    char text[SYSFILE_TEXT];
    sysfile_read(text, sizeof(text), "/proc/self/cgroup");
    for (char *save, *line = strtok_r(text, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save)) {
        char *list = strchr(line, ':');
        char *path = list ? strchr(list + 1, ':') : NULL;
        if (!path)
            continue;
        *path++ = '\0';
        list++;
        if (v2 ? *list == '\0' : has_word(list, controller)) {
            snprintf(name, cap, "%s", path);
            return true;
        }
    }
    return false;
}

/* A line of /proc/self/mountinfo: ... ROOT POINT ... - TYPE SOURCE OPTIONS. */
static bool is_mount(const char *line, const char *controller, bool v2, char root[PATH_MAX],
                     char point[PATH_MAX])
{
    char type[16], options[256];
    const char *rest = strstr(line, " - ");
    return rest && sscanf(line, "%*s %*s %*s %4095s %4095s", root, point) == 2 &&
           sscanf(rest, " - %15s %*s %255s", type, options) == 2 &&
           (v2 ? strcmp(type, "cgroup2") == 0
               : strcmp(type, "cgroup") == 0 && has_word(options, controller));
}

static bool find_version(const char *controller, bool v2, struct group *g)
{
    char name[PATH_MAX], root[PATH_MAX], point[PATH_MAX];
    char *line = NULL;
    size_t cap = 0;
    bool found = false;
    FILE *f =
        group_name(controller, v2, name, sizeof(name)) ? fopen("/proc/self/mountinfo", "re") : NULL;
    while (f && !found && getline(&line, &cap, f) > 0)
        found = is_mount(line, controller, v2, root, point);
    free(line);
    if (f)
        fclose(f);
    if (!found)
        return false;

    /* A container may see only its own part of the tree, then ROOT is the name of that. A name that
     * leads out of what can be seen says nothing. */
    size_t n = strlen(root);
    const char *below = strcmp(root, "/") == 0                                ? name
                        : strncmp(name, root, n) == 0 && strchr("/", name[n]) ? name + n
                                                                              : "";
    if (strstr(below, "/..") || strcmp(below, "/") == 0)
        below = "";
    g->top = strlen(point);
    g->v2 = v2;
    return (size_t)snprintf(g->path, sizeof(g->path), "%s%s", point, below) < sizeof(g->path);
}

/* A controller is in the hierarchy of one version only. */
static bool find_group(const char *controller, struct group *g)
{
    return find_version(controller, false, g) || find_version(controller, true, g);
}

/* The least limit of the group and those above it. */
static double least(const char *controller, double (*limit)(const struct group *))
{
    struct group g;
    double min = 0;
    if (!find_group(controller, &g))
        return 0;
    for (;;) {
        double here = limit(&g);
        if (here > 0 && (min == 0 || here < min))
            min = here;
        char *slash = strrchr(g.path, '/');
        if (!slash || (size_t)(slash - g.path) < g.top)
            return min;
        *slash = '\0';
    }
}

static double cpu_limit(const struct group *g)
{
    char text[128], period_text[128];
    long long quota, period;
    if (g->v2) { /* "max 100000" or "50000 100000" */
        sysfile_read(text, sizeof(text), "%s/cpu.max", g->path);
        if (sscanf(text, "%lld %lld", &quota, &period) != 2)
            return 0;
    } else { /* -1 is none */
        sysfile_read(text, sizeof(text), "%s/cpu.cfs_quota_us", g->path);
        sysfile_read(period_text, sizeof(period_text), "%s/cpu.cfs_period_us", g->path);
        if (sscanf(text, "%lld", &quota) != 1 || sscanf(period_text, "%lld", &period) != 1)
            return 0;
    }
    return quota > 0 && period > 0 ? (double)quota / (double)period : 0;
}

static double memory_limit(const struct group *g)
{
    char text[128];
    int64_t bytes;
    sysfile_read(text, sizeof(text), g->v2 ? "%s/memory.max" : "%s/memory.limit_in_bytes", g->path);
    /* Version 1 says "none" by the largest number of whole pages, version 2 by "max". */
    if (!sysfile_number(text, "", &bytes) || bytes >= INT64_MAX / 2)
        return 0;
    return (double)bytes;
}

double place_cpu_quota(void)
{
    return least("cpu", cpu_limit);
}

int64_t place_memory_limit(void)
{
    return (int64_t)least("memory", memory_limit);
}
