/* SPDX-License-Identifier: MIT */
/*
 * A generator thread: a loop with its share of the connections (private to this room).
 *
 * Everything here is the thread's own, but for what is marked: counters and histograms that others
 * may read at any time, and `state`. Whoever wants something of it posts a function to its loop.
 *
 *     WORKER_CONNECTING -> WORKER_READY -> (worker_start) WORKER_RUNNING -> WORKER_DRAINING
 *         -> WORKER_DONE -> (worker_finish) connections are closed, the thread ends
 */
#ifndef POLLUX_CMD_LOAD_WORKER_H
#define POLLUX_CMD_LOAD_WORKER_H

#include "cmd/clock.h"
#include "cmd/load/arrivals.h"
#include "cmd/load/load.h"
#include "cmd/load/payload.h"

#include <pollux/pollux.h>
#include <pthread.h>
#include <stdatomic.h>

/* A message up to this size is put together before it is sent: a call costs more than the copy. */
#define WORKER_SMALL 2048

enum worker_state {
    WORKER_CONNECTING,
    WORKER_READY, /* each connection is established, or has failed */
    WORKER_RUNNING,
    WORKER_DRAINING, /* nothing new is sent */
    WORKER_DONE      /* no answer is awaited any more */
};

/* One writer each, so a relaxed load and store will do. */
struct counters {
    atomic_uint_least64_t sent, answered, dropped; /* messages; dropped: unanswered, given up */
    atomic_uint_least64_t bytes_sent, bytes_received;
    atomic_uint_least64_t opened, lost, errors;
    atomic_uint_least64_t open, connecting; /* now */
};

static inline void count(atomic_uint_least64_t *c, uint64_t n)
{
    atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

static inline uint64_t counted(const atomic_uint_least64_t *c)
{
    return atomic_load_explicit(c, memory_order_relaxed);
}

/* The state of the counters at one end of the measured time, as the thread itself saw it. */
struct mark {
    int64_t at_ns, user_ns, system_ns, spun_ns;
    int64_t starved_ns; /* ready to run, and no CPU was free; 0 where the kernel does not tell */
    uint64_t answered, bytes_in, bytes_out, opened;
    bool made;
};

/* A run, shared by its threads. */
struct load {
    const struct load_config *cfg;
    struct payload *payload;
    size_t largest; /* message, bytes */

    /* Set before the threads are told to start, constant from then on: monotonic clock. */
    int64_t begin_ns, measure_ns, end_ns; /* end_ns is INT64_MAX without a duration */

    pthread_mutex_t lock; /* of failure[]; for waiting until something has changed */
    pthread_cond_t changed;
    struct load_failure failure[LOAD_ERRORS];
    atomic_bool invalid; /* a wrong answer: nobody needs to go on */
};

struct client;

struct worker {
    struct load *load;
    struct plx_loop *loop;
    pthread_t thread;
    unsigned index;        /* 0 .. threads-1 */
    struct client *client; /* this thread's connections, the active ones first */
    size_t nclients, nactive;
    int64_t *stamps; /* closed loop: when each message under way began, `depth` per active client */

    /* Shared: read by others at any time. */
    atomic_int state;
    struct counters counters;
    struct hist *latency, *connect, *lag;
    struct mark mark[2]; /* of the measured time; read by others after WORKER_DONE */

    uint64_t quota; /* messages that may still be sent; UINT64_MAX = any number */
    uint64_t under_way;
    size_t alive;    /* active clients that may still send */
    int64_t stop_ns; /* open loop: nothing due from then on leaves; the run's end, or earlier */
    bool finishing;  /* connections are being closed */

    struct client **waiting; /* for their turn to connect: a ring of nclients */
    size_t waiting_from, nwaiting;
    unsigned refused; /* connections that failed in a row */
    int64_t next_connect_ns;
    bool pumping;
    struct plx_timer *connect_timer;

    struct client **heap; /* open loop: by the time at which they send next */
    size_t nheap;
    struct plx_timer *send_timer;
    bool spins;        /* there is another CPU for the server */
    int64_t spun_from; /* the last call found nothing due yet, at this time; 0 = it did not spin */
    int64_t spun_ns;   /* spent so, all together */

    char scratch[WORKER_SMALL]; /* a small message is put together here, to be sent with one call */
};

/* A connection's place in the plan. In LOAD_CONNECT many connections take it one after another. */
struct client {
    struct worker *worker;
    struct plx_conn *conn; /* NULL = not established */
    uint64_t number;       /* 1 .. connections */
    unsigned index;        /* active: 0 .. active-1 over all threads; orders the arrivals */
    bool active, closing, failed, given_up;
    unsigned failures;       /* to connect, in a row */
    uint64_t rounds;         /* connections it has begun */
    unsigned left;           /* LOAD_CONNECT: messages to send on this connection */
    uint64_t sent, answered; /* messages; their difference is under way */
    uint64_t offset;         /* bytes received on this connection */
    uint32_t size, got;      /* of the answer that is coming; size 0 = the next one has not begun */
    uint64_t random_out,
        random_in;           /* draw the sizes of what is sent, and once more of what comes */
    struct arrivals out, in; /* likewise the times, open loop */
    int64_t connect_ns, moved_ns;
    int64_t key_ns; /* its place in the heap */
};

/* ---- worker.c: for run.c ---- */

/* The share `index` of the run's connections. 0 or -errno with `why`. */
int worker_open(struct worker *, struct load *, unsigned index, struct plx_why *);
void worker_close(struct worker *);
/* Starts its thread, which begins to connect. The others are called on any thread. */
int worker_run(struct worker *);
void worker_start(struct worker *);  /* load->begin_ns, ... are set */
void worker_halt(struct worker *);   /* before its time: what follows is the drain */
void worker_finish(struct worker *); /* close everything, end the thread: then join it */

/* ---- worker.c: for client.c ---- */

void worker_connect(struct worker *, struct client *); /* when its turn comes */
void worker_pump(struct worker *);                     /* a turn may have come */
/* Whether all that was awaited is there; called after each change of what is. */
void worker_check(struct worker *);
bool worker_may_send(const struct worker *);
/* Stops counting on a client: it will not send again. */
void worker_give_up(struct worker *, struct client *);

/* ---- client.c ---- */

extern const struct plx_handler load_handler;

static inline uint64_t client_under_way(const struct client *c)
{
    return c->sent - c->answered;
}

void client_connect(struct client *);                 /* begins a connection */
void client_finish(struct client *);                  /* ends it politely */
void client_check_late(struct client *, int64_t now); /* fails it if an answer is late */
void client_unanswered(struct client *);              /* likewise; the drain is over */

/* Counts a failure, once for a connection, and ends it: what is under way is not awaited any more.
 */
void client_fail(struct client *, enum load_error, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* LOAD_ERR_MISMATCH at a byte of what the connection received. */
void client_fail_mismatch(struct client *, uint64_t offset, const char *what);

/* ---- exchange.c ---- */

/* Without answers a message counts as done when the connection has taken it. */
static inline bool load_awaits_answers(const struct load_config *cfg)
{
    return cfg->expect != LOAD_NONE || cfg->mode != LOAD_STREAM;
}

/* Sends what may be sent now, closed loop; these messages begin at `now`. */
void exchange_fill(struct client *, int64_t now);
/* Open loop: sends the message that is due; false when the queue is too long for now. */
bool exchange_send_due(struct client *, int64_t now);
/* Verifies what came, and sends on. 0 or -EPROTO. */
int exchange_received(struct client *, const void *p, size_t n, int64_t now);

#endif
