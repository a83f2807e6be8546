/* SPDX-License-Identifier: MIT */
/* Inside the io_uring engine: the ring and its provided buffers. Needs liburing. */
#ifndef POLLUX_ENGINE_URING_H
#define POLLUX_ENGINE_URING_H

#include "core/core.h"

#include <liburing.h>

#define PLX__RING_BUFS  64 /* at most */
#define PLX__RING_GROUP 0  /* buffer group of all connections */

struct plx__ring {
    struct io_uring ring;
    bool disabled;  /* not yet enabled by the thread that runs it */
    bool multishot; /* multishot receive works */
    struct io_uring_buf_ring *bufs;
    unsigned nbufs, buf_size;
    unsigned char *memory;
    uint32_t filled[PLX__RING_BUFS]; /* incremental: how far the kernel has filled each */
    struct plx__wake wake;
    struct target *targets;      /* uring.c */
    bool dead;                   /* the kernel takes nothing more from us */
    struct io_uring_sqe nowhere; /* what is submitted then */
};

/* Sets the ring and its buffers up with the best features that the kernel grants; -errno with the
 * reason in words. */
int plx__ring_open(struct plx__ring *, struct plx_why *);
void plx__ring_close(struct plx__ring *);

/* Gives a buffer (back) to the kernel. */
void plx__ring_give(struct plx__ring *, unsigned id);

#endif
