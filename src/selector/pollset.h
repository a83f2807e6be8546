/* SPDX-License-Identifier: MIT */
/* The registered descriptors as poll(2) wants them: dense, and each to be found by its number. */
#ifndef POLLUX_SELECTOR_POLLSET_H
#define POLLUX_SELECTOR_POLLSET_H

#include <poll.h>
#include <pollux/selector.h>
#include <stddef.h>

struct plx__pollset {
    struct pollfd *at; /* at[0 .. n) */
    size_t room;
    int *where; /* by descriptor: index in `at` plus 1, 0 = absent */
    size_t where_room;
    int n;
    int next; /* where a scan starts: behind the last one reported, so that none starves */
};

/* Interest of `fd` becomes `now` (PLX_READ | PLX_WRITE, 0 = forget it).
 * -EBADF not open   -ENOMEM */
int plx__pollset_ctl(struct plx__pollset *, int fd, unsigned now);

void plx__pollset_free(struct plx__pollset *);

/* PLX_READ | PLX_WRITE as poll's events, and back. A hang-up and an error make both directions
 * ready, for recv and send no longer block; the front leaves only what was registered for. */
short plx__pollset_asked(unsigned events);
unsigned plx__pollset_found(short revents);

/* What poll found, for somebody who asked for `asked`. */
static inline unsigned plx__pollset_answer(unsigned asked, short revents)
{
    return plx__pollset_found(revents) & (asked | PLX_HUP | PLX_ERR);
}

#endif
