/* SPDX-License-Identifier: MIT */
/*
 * What this machine is inside of: a hypervisor, a container, a control group with limits (Linux).
 * Any thread.
 */
#ifndef POLLUX_CMD_MEASURE_PLACE_H
#define POLLUX_CMD_MEASURE_PLACE_H

#include <stdint.h>

/* Room for any of the names. */
#define PLACE_TEXT 64

/* The hypervisor's name ("KVM", "Xen", "unknown"). NULL if nothing tells of one, which does not
 * prove that there is none. Else it is in `buf`, or static. */
const char *place_hypervisor(char buf[PLACE_TEXT]);

/* "docker", "podman", "kubernetes", "lxc", or "unknown" where the process has namespaces of its own
 * but nothing tells whose; NULL outside. Static. */
const char *place_container(void);

/* How many CPUs' time the control group, or one above it that can be seen, allows; 0 = no limit. */
double place_cpu_quota(void);

/* Its memory in bytes likewise; 0 = no limit. */
int64_t place_memory_limit(void);

#endif
