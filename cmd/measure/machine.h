/* SPDX-License-Identifier: MIT */
/*
 * The machine's fingerprint: what has to be the same for a result to be comparable, as one JSON
 * object (`machine` in docs/bench.md). What cannot be read is null, never 0 or "".
 */
#ifndef POLLUX_CMD_MEASURE_MACHINE_H
#define POLLUX_CMD_MEASURE_MACHINE_H

struct json_t;

/* clang-format off */
/*
 * Every key is always there; a value that may be null is marked with "?".
 *
 * {
 *   "system": "Linux", "kernel": "6.18.5", "kernel_version", "architecture", "hostname": uname(2),
 *   "command_line"?: /proc/cmdline,
 *   "mitigations"?: {"spectre_v2": "Mitigation: ...", ...}: sysfs, cpu/vulnerabilities,
 *   "cpu": {
 *     "model"?: /proc/cpuinfo, "count": those online, "allowed"?: to this process ("0-1"),
 *     "governor"?: cpufreq's, "performance,powersave" where CPUs differ; null without cpufreq,
 *     "smt"?: "on" | "off" | "forceoff" | "notsupported" | "notimplemented",
 *     "numa_nodes"?: those online, "mhz"?: of the first CPU at this moment
 *   },
 *   "memory_bytes"?: MemTotal, "page_size",
 *   "virtual"?: the hypervisor's name ("KVM", "Hyper-V", "unknown"), null where none shows itself,
 *   "container"?: "docker" | "lxc" | "podman" | "kubernetes" | "unknown", null outside,
 *   "limits": {
 *     "nofile_soft", "nofile_hard", "memlock_bytes" (soft): getrlimit(2), a number or "unlimited",
 *     "seccomp"?: 0 none, 1 strict, 2 filter; "io_uring_disabled"?: null before Linux 6.6,
 *     "cgroup_cpu_quota"?: in CPUs (1.5), "cgroup_memory_bytes"?: the least of this control group
 *                          and those above it that can be seen, null = no limit,
 *     "somaxconn"?, "ip_local_port_range"?: [first, last], "tcp_tw_reuse"?,
 *     "tcp_rmem"?, "tcp_wmem"?: [least, default, most] bytes
 *   },
 *   "load_average"?: [1, 5, 15 minutes], "uptime_seconds"?,
 *   "build": {
 *     "version": PLX_VERSION, "compiler": "GNU 12.2.0",
 *     "flags": what libpollux was compiled with, "type"?: CMake's build type,
 *     "revision"?: git's, 40 digits; null when not built from a git working tree,
 *     "dirty"?: whether the sources differed from that revision; null without revision
 *   }
 * }
 *
 * The caller owns it. NULL without memory. Any thread.
 */
/* clang-format on */
struct json_t *machine_json(void);

/* One line for people: "Linux 6.18.5, 2 x Intel Xeon, KVM, docker, governor n/a, Pollux 0.1.0
 * (2373054, modified)". Cut off where it does not fit. Returns `buf`. */
char *machine_line(const struct json_t *machine, char *buf, unsigned long cap);

#endif
