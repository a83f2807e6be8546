/* SPDX-License-Identifier: MIT */
/*
 * A trace: what loops really did. Each system call with its result, each callback, each completion,
 * with the time it took, in a ring of fixed size that is written without a lock by every thread and
 * forked process of the loops that share it. Without a trace a loop pays for none of this.
 */
#ifndef POLLUX_TRACE_H
#define POLLUX_TRACE_H

#include <stddef.h>
#include <stdint.h>

struct plx_trace;

enum plx_trace_kind {
    PLX_TRACE_CALL,      /* a system call: `name`, `fd`, `asked`, `result` */
    PLX_TRACE_SUBMITTED, /* a request handed to the kernel or to the C library's AIO: `name` is the
                          * operation, `asked` its bytes */
    PLX_TRACE_COMPLETED, /* ... and its completion, as the loop takes it: `result`; `asked` is 1
                          * when more completions of the same request follow (multishot) */
    PLX_TRACE_CALLBACK, /* the handler ran: `name` is on_open, on_data ...; `asked` the bytes it was
                         * shown, `result` what it returned */
    PLX_TRACE_QUEUED,   /* output of a connection that the socket did not take at once: `result` is
                         * the length of its queue in bytes, after the change */
    PLX_TRACE_STATE,    /* `name`: "accepted", "connected", "closed" (`result`: 0 or -errno) */
    PLX_TRACE_WOKEN     /* a wait was over: `result` is how many events it brought */
};

/* What a system call is for. */
enum plx_trace_phase {
    PLX_TRACE_WAITS,   /* it waits for something to be ready or done (epoll_wait, io_uring_enter) */
    PLX_TRACE_COPIES,  /* it copies a connection's bytes, and may wait for them (recv, send) */
    PLX_TRACE_CONTROLS /* the rest: accept4, epoll_ctl, shutdown, close ... */
};

struct plx_trace_event {
    uint64_t number;          /* events are numbered from 0 in the order in which they ended */
    int64_t begin_ns, end_ns; /* CLOCK_MONOTONIC; equal where nothing takes time */
    const char *name;         /* static storage */
    enum plx_trace_kind kind;
    enum plx_trace_phase phase; /* of a call */
    int process, thread;        /* getpid(2), gettid(2) */
    int fd;                     /* -1 = none */
    uint64_t conn;              /* the connection's number, counted from 1; 0 = none is known */
    int64_t asked, result;      /* see the kinds; result < 0 = -errno */
};

/*
 * Makes a trace of the last `events` events, 1 to 16 Mi (80 bytes each, rounded up to a power of
 * two). Give it to loops by plx_loop_config.trace. -EINVAL, -ENOMEM. Any thread.
 */
int plx_trace_open(size_t events, struct plx_trace **out);

/* After the loops that write it are closed. NULL is allowed. */
void plx_trace_close(struct plx_trace *);

/*
 * Copies out, oldest first, at most `cap` events from number `*from` on that are still there, and
 * sets `*from` to the number to go on with. What was overwritten before it could be read is
 * skipped. Any thread, also while the loops run: an event that is being written at that moment is
 * skipped too. Returns how many.
 */
size_t plx_trace_read(const struct plx_trace *, uint64_t *from, struct plx_trace_event *out,
                      size_t cap);

#endif
