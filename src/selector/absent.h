/* SPDX-License-Identifier: MIT */
/*
 * A backend whose facility this system does not have: the file compiles all the same, and says so.
 * Only init and probe can be called, since init never succeeds.
 */
#ifndef POLLUX_SELECTOR_ABSENT_H
#define POLLUX_SELECTOR_ABSENT_H

#include <pollux/selector.h>

int plx__absent_init(void *state);
int plx__absent_ctl(void *state, int fd, uint32_t tag, unsigned old, unsigned now);
int plx__absent_wait(void *state, struct plx_event *, int cap, int64_t timeout_ns);
void plx__absent_fini(void *state);

/* Writes "WHOSE; this is SYSTEM" to `why`. -ENOSYS. */
int plx__absent_probe(struct plx_why *why, const char *whose);

#endif
