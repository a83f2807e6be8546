/* SPDX-License-Identifier: MIT */
/*
 * Sets of CPUs in the kernel's way of writing them, "0-3,8": the cpulist format of cpuset(7).
 */
#ifndef POLLUX_CMD_MEASURE_CPULIST_H
#define POLLUX_CMD_MEASURE_CPULIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* CPUs are numbered below this, the most that Linux can be built for (NR_CPUS on x86). */
#define CPULIST_MOST 8192

struct cpulist {
    uint64_t bits[CPULIST_MOST / 64];
};

/* Reads a list, "" is the empty one. False if it is not such a list; then `out` is empty. */
bool cpulist_parse(const char *text, struct cpulist *out);

/* Writes it; "" if it is empty or does not fit. Returns `buf`. */
char *cpulist_format(const struct cpulist *, char *buf, size_t cap);

/* Room for any mask. */
#define CPULIST_MASK (CPULIST_MOST / 32 * 9)

/* Writes it as a mask, in hexadecimal words of 32 CPUs, the highest first: "3,00000001". "0" if it
 * is empty. Returns `buf`. */
char *cpulist_mask(const struct cpulist *, char buf[CPULIST_MASK]);

bool cpulist_has(const struct cpulist *, unsigned cpu);
int cpulist_count(const struct cpulist *);

/* to = to with from, to = what both have */
void cpulist_join(struct cpulist *to, const struct cpulist *from);
void cpulist_meet(struct cpulist *to, const struct cpulist *from);

/* The CPUs that are online, of sysfs(5). False if it does not say; then `out` is empty. */
bool cpulist_online(struct cpulist *out);

#endif
