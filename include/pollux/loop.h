/* SPDX-License-Identifier: MIT */
/*
 * A loop is one thread's wait: its connections, timers, posted functions, signals and watched
 * descriptors, under one I/O model. Loops share nothing.
 */
#ifndef POLLUX_LOOP_H
#define POLLUX_LOOP_H

#include <pollux/conn.h>
#include <pollux/error.h>
#include <pollux/selector.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct plx_loop;
struct plx_model;
struct plx_trace;

/* Limits of every connection of a loop. 0 = the default named here; times may be PLX_OFF, and are
 * at most 20 days. */
struct plx_limits {
    size_t high_water;  /* bytes queued above which input stops          [256 KiB] */
    size_t low_water;   /* ... and at which it starts again, < high      [high / 4] */
    size_t queue_cap;   /* bytes queued beyond which the peer is dropped  [16 MiB, >= 2 x high] */
    size_t input_cap;   /* bytes a handler may leave unconsumed           [1 MiB] */
    int64_t idle_ns;    /* no byte in either direction for so long: drop  [5 min] */
    int64_t write_ns;   /* queued output and no progress for so long: drop [30 s] */
    int64_t linger_ns;  /* how long to await the peer's end after ours, and
                         * in a drain a pause in what it sends            [2 s] */
    int64_t connect_ns; /* outgoing connections: time to establish        [10 s] */
};

struct plx_loop_config {
    const char *model; /* a name of plx_model_at(), or NULL = "auto" */
    struct plx_limits limits;
    struct plx_log log;
    unsigned pool_size;  /* threadpool: threads, 1 to 4096              [16] */
    unsigned pool_queue; /* threadpool: accepted connections that wait, 1 to 1 000 000 [1024] */
    /* plx_offload(): threads that do the work of all loops of a server, 1 to 1024 [as many as the
     * process may use processors]; and pieces of work that wait for one, 1 to 1 000 000 [1024]. */
    unsigned offload_threads, offload_queue;
    int64_t poll_pause_ns; /* nonblocking: sleep after a pass in which nothing was ready [none] */
    int64_t tick_ns;       /* log a line whenever nothing was ready for so long [off] */
    /* Log a line, at most one a second, when a callback took longer than this, and count it
     * (plx_stats.blocked). Costs two readings of the clock for each callback. [off] */
    int64_t warn_blocked_ns;
    struct plx_trace *trace; /* what the loop writes down, see trace.h; must outlive it [NULL] */
};

/* Counters of a loop or a server. They only grow, except `open`. Source: the library itself. */
struct plx_stats {
    uint64_t accepted, connected; /* connections established, in and out */
    uint64_t refused;             /* closed at once: over a limit */
    uint64_t closed;              /* ended, for whatever reason */
    uint64_t open;                /* now */
    uint64_t messages;            /* calls of on_data */
    uint64_t bytes_in, bytes_out;
    uint64_t throttled; /* times a queue passed its high-water mark */
    uint64_t timeouts_idle, timeouts_write;
    uint64_t resets;    /* ended by ECONNRESET or EPIPE */
    uint64_t overflows; /* ended by the queue or input cap */
    uint64_t errors;    /* ended by any other error */
    uint64_t accept_errors, accept_pauses;
    uint64_t wakeups; /* waits that reported something */
    uint64_t eagain;  /* recv, send, accept that found nothing */
    uint64_t blocked; /* callbacks that took longer than warn_blocked_ns */
    /* system calls made, by kind */
    uint64_t calls_wait, calls_ctl, calls_accept, calls_recv, calls_send, calls_other;
};

/*
 * Opens a loop. The configuration is copied (its strings too). The loop may be opened on one
 * thread and run on another; from the first turn on it belongs to the thread that runs it.
 *   -EINVAL  a field is out of range or contradicts another (why says which)
 *   -ENOENT  no model of that name
 *   -ENOSYS -EPERM -ENOMEM -EMFILE ...  the model cannot run here (why: reason and remedy)
 * `why` may be NULL. plx_loop_close() frees it.
 */
int plx_loop_open(const struct plx_loop_config *, struct plx_loop **out, struct plx_why *why);

/* Ends every connection at once (on_close: -ECANCELED), frees everything. On the loop's thread, or
 * on any after it has stopped running. NULL is allowed. */
void plx_loop_close(struct plx_loop *);

/* Turns until plx_loop_stop(). 0, or -errno when the model failed for good. */
int plx_loop_run(struct plx_loop *);

/*
 * One turn: waits at most `timeout_ns` (< 0 = until something happens), handles what is ready,
 * posted or due. Returns the number of events handled (0 = nothing), or -errno.
 */
int plx_loop_turn(struct plx_loop *, int64_t timeout_ns);

/* Makes plx_loop_run() return soon; connections stay as they are, except in the `blocking` model,
 * where the one being served ends. Any thread. */
void plx_loop_stop(struct plx_loop *);

/*
 * Ends politely: stops listening; every connection gets what has arrived for it, flushes, and is
 * finished. When the last one is gone plx_loop_run() returns. Any thread.
 */
void plx_loop_drain(struct plx_loop *);

/* The loop's clock, CLOCK_MONOTONIC as of this turn's start, in nanoseconds. */
int64_t plx_loop_now(const struct plx_loop *);

/* The model that runs (never "auto"). Any thread. */
const struct plx_model *plx_loop_model(const struct plx_loop *);

/* A snapshot; the counters are read one by one. Any thread. */
void plx_loop_stats(const struct plx_loop *, struct plx_stats *out);

/* Adds `b` to `a`, field by field. */
void plx_stats_add(struct plx_stats *a, const struct plx_stats *b);

/* ---- posted work ---- */

/*
 * Runs fn(arg) on the loop's thread at its next turn, in the order posted. Any thread. A loop that
 * is closed forgets what had not run: whatever `arg` owns stays the caller's to free then.
 * In the `blocking` model this is when the connection being served lets go of the thread: after a
 * message of its own, or its end. -ENOMEM.
 */
int plx_loop_post(struct plx_loop *, void (*fn)(void *arg), void *arg);

/* ---- timers: never early, monotonic ---- */

struct plx_timer;

/*
 * Calls fn(arg) after `first_ns` (0 or more), then every `every_ns` (0 = once). A timer that runs
 * once is freed after its call; `*out` (which may be NULL) is for plx_timer_stop() before that.
 * Ticks missed while the loop was busy are not made up for. -ENOMEM -EINVAL.
 */
int plx_timer_start(struct plx_loop *, int64_t first_ns, int64_t every_ns, void (*fn)(void *arg),
                    void *arg, struct plx_timer **out);
void plx_timer_stop(struct plx_timer *); /* also from within its own call */

/* ---- signals ---- */

struct plx_signal;

/*
 * Calls fn(signo, arg) on the loop's thread after the signal came in; several that came in between
 * two turns may be one call. Installs a handler with sigaction(2), without SA_RESTART, and puts the
 * former disposition back on stop. One watcher per signal number in a process.
 *   -EBUSY  somebody watches it already
 *   -EINVAL  no such signal, or SIGKILL, SIGSTOP
 *   -EOPNOTSUPP  the loop is that of one connection
 */
int plx_signal_start(struct plx_loop *, int signo, void (*fn)(int signo, void *arg), void *arg,
                     struct plx_signal **out);
void plx_signal_stop(struct plx_signal *);

/* ---- watched descriptors: other people's libraries, terminals, pipes ---- */

struct plx_watch;

/*
 * Calls fn(fd, events, arg) while `fd` is ready for any of `events` (level-triggered in every
 * model). The descriptor stays the caller's. `fn` may stop its own watch.
 *   -EOPNOTSUPP  the model has no PLX_CAP_WATCH, or the loop is that of one connection
 *   -EPERM       the kind of file cannot be waited for: it never blocks, just read it
 *   -EEXIST -EBADF -EINVAL -ERANGE -ENOMEM   as plx_selector_register()
 */
int plx_watch_start(struct plx_loop *, int fd, unsigned events,
                    void (*fn)(int fd, unsigned events, void *arg), void *arg,
                    struct plx_watch **out);
int plx_watch_modify(struct plx_watch *, unsigned events); /* 0 = pause */
void plx_watch_stop(struct plx_watch *);

#endif
