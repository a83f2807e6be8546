/* SPDX-License-Identifier: MIT */
/* Readiness for an engine that has none: a thread that sits in poll(2) for a few descriptors. */
#ifndef POLLUX_ENGINE_LOOKOUT_H
#define POLLUX_ENGINE_LOOKOUT_H

#include "core/core.h"

struct plx__lookout;

/* Opens it; `wake` is signalled whenever plx__lookout_take() has something. */
int plx__lookout_open(struct plx__wake *wake, struct plx__lookout **out);
void plx__lookout_close(struct plx__lookout *);

/* Watches `fd` for `events` (PLX_READ, PLX_WRITE) on behalf of `owner`, which also names the entry.
 * 0 events forgets it. -ENOMEM. */
int plx__lookout_set(struct plx__lookout *, int fd, unsigned events, void *owner);

/* One owner that was ready, with its events; NULL = no more. It is not looked at again before
 * plx__lookout_rearm(): so the watch is level-triggered and the thread does not spin. */
void *plx__lookout_take(struct plx__lookout *, unsigned *events);
void plx__lookout_rearm(struct plx__lookout *);

#endif
