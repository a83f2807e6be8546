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

/* ---- requests (uring.c) ---- */

/* What a request is; with the connection's slot and generation, or the address of what it belongs
 * to, its user data. */
enum plx__ring_op {
    PLX__RING_RECV = 1,
    PLX__RING_SEND,
    PLX__RING_CONNECT,
    PLX__RING_CANCEL,
    PLX__RING_ACCEPT,
    PLX__RING_WATCH,
    PLX__RING_WAKE
};

/* A free request; of a ring that is dead one that goes nowhere. */
struct io_uring_sqe *plx__ring_sqe(struct plx_loop *);
/* What is prepared goes to the kernel with the next io_uring_enter(2). */
void plx__ring_hand_over(struct io_uring_sqe *, uint64_t data);
void plx__ring_cancel(struct plx_loop *, uint64_t data);

/* ---- connections (uring_conn.c) ---- */

/* Of a receive in flight: it is multishot; it is a poll. */
#define PLX__RING_MULTISHOT 2
#define PLX__RING_POLLED    3

/* The engine's operations. */
int plx__ring_adopt(struct plx_loop *, const struct plx__socket *, struct plx_conn **out);
void plx__ring_glance(struct plx_loop *, struct plx_conn *);
void plx__ring_settle(struct plx_loop *, struct plx_conn *);

/* Its completions. Of a receive whose connection has gone only the buffer is left (NULL). */
void plx__ring_received(struct plx_loop *, struct plx_conn *, const struct io_uring_cqe *);
void plx__ring_take_data(struct plx_loop *, struct plx_conn *, const struct io_uring_cqe *);
void plx__ring_sent(struct plx_loop *, struct plx_conn *, int res);
void plx__ring_connected(struct plx_loop *, struct plx_conn *);

#endif
