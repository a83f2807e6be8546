/* SPDX-License-Identifier: MIT */
/*
 * The inside of the library: what the core, the engines, servers and clients share.
 *
 *   cmd -> server/client -> core <- engine <- selector
 *
 * The core does no I/O on connections. It knows what a connection wants; an engine performs that
 * its own way and reports what happened. The whole contract between the two is plx__conn_*()
 * below and struct plx__engine_ops.
 */
#ifndef POLLUX_CORE_H
#define POLLUX_CORE_H

#include "core/offload.h"
#include "core/sys.h"

#include <pollux/pollux.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/uio.h>

/* The first member of everything an engine may get back from a wait. */
enum plx__kind { PLX__CONN, PLX__LISTENER, PLX__WATCH, PLX__WAKE };
struct plx__source {
    uint8_t kind;
};

/* ---- output chunks (outq.c) ---- */

struct plx__chunk {
    struct plx__chunk *next;
    uint32_t off, len, cap; /* unsent bytes are data[off .. len) */
    unsigned char data[];
};

#define PLX__CHUNK_SMALL (4096u - (unsigned)sizeof(struct plx__chunk))
#define PLX__CHUNK_LARGE (65536u - (unsigned)sizeof(struct plx__chunk))

/* Free chunks of a loop, so that a steady state allocates nothing. */
struct plx__chunks {
    struct plx__chunk *small, *large;
    unsigned nsmall, nlarge;
};
struct plx__chunk *plx__chunk_get(struct plx__chunks *, size_t want);
void plx__chunk_put(struct plx__chunks *, struct plx__chunk *);
void plx__chunks_free(struct plx__chunks *);

/* Output of one connection, in order. Chunks never move: the kernel may hold the front. */
struct plx__outq {
    struct plx__chunk *head, *tail;
};
int plx__outq_add(struct plx__outq *, struct plx__chunks *, const void *p, size_t n);
int plx__outq_iov(const struct plx__outq *, struct iovec *, int cap);
size_t plx__outq_drop(struct plx__outq *, struct plx__chunks *, size_t n);
void plx__outq_free(struct plx__outq *, struct plx__chunks *);

/* ---- a connection ---- */

/* A peer address without the padding of sockaddr_storage: a connection should stay small. */
struct plx__peer {
    unsigned char ip[16]; /* v4 in the first four */
    uint32_t scope;
    uint16_t port;   /* host order */
    uint16_t family; /* 0 = not known yet */
};
void plx__peer_set(struct plx__peer *, const struct sockaddr *, socklen_t);
void plx__peer_get(const struct plx__peer *, struct plx_addr *);

enum plx__phase {
    PLX__CONNECTING, /* outgoing, not established */
    PLX__OPEN,
    PLX__FINISHING, /* plx_finish(): write the queue, then FIN */
    PLX__LINGERING, /* FIN sent; input is discarded until the peer's */
    PLX__ENDED      /* wants nothing; on_close is due */
};

#define PLX__F_BUSY      0x0001u /* a callback runs: the engine looks at the wants afterwards */
#define PLX__F_DIRTY     0x0002u /* on the loop's dirty list */
#define PLX__F_EOF       0x0004u /* the peer's end has been read */
#define PLX__F_EOF_TOLD  0x0008u /* ... and the handler told */
#define PLX__F_PAUSED    0x0010u /* plx_pause() */
#define PLX__F_THROTTLED 0x0020u /* above the high-water mark */
#define PLX__F_DRAINING  0x0040u /* end when there is nothing more to read at the moment */
#define PLX__F_RESUME    0x0080u /* held input is to be shown to the handler again */
#define PLX__F_GATED     0x0100u /* counted in the group's limits */
#define PLX__F_OPENED    0x0200u /* on_open was called (or would have been) */
#define PLX__F_DEAD      0x0400u /* retired, freed after the turn */
#define PLX__F_RESET     0x0800u /* end with RST */
#define PLX__F_HALF      0x1000u /* plx_half_close(): FIN after the queue, input goes on */
#define PLX__F_FIN_SENT  0x2000u
#define PLX__F_DRAINED   0x4000u /* on_drain is due */
#define PLX__F_FINISH    0x8000u /* plx_finish() came before it was established */
/* With none of these an open connection wants to read, and to write if anything is queued. */
#define PLX__F_RARE (PLX__F_EOF | PLX__F_PAUSED | PLX__F_THROTTLED | PLX__F_HALF)

struct plx_conn {
    struct plx__source source;
    uint8_t phase;  /* enum plx__phase; changed by set_phase() in conn.c only */
    uint16_t flags; /* PLX__F_* */
    int fd;
    uint32_t slot, generation;
    int err;
    uint32_t moved_ms; /* last byte in either direction, on the loop's millisecond clock */
    uint32_t sent_ms;  /* last progress of the output queue, or when it began to wait */
    uint32_t unacked;  /* 1 + what the kernel last still held of ours; 0 = not looked at */
    uint32_t work_ms;  /* when its last work in progress ended, 0 = never had any */
    uint16_t size16; /* of this in units of 16 bytes, the user's state included (the handler may be
                      * gone at the end); 0 = too large to be kept */
    uint16_t jobs;   /* offload.c: work in progress; it does not end of itself meanwhile */
    struct plx_loop *loop;
    const struct plx_handler *handler;
    struct plx__outq out;
    size_t out_bytes;      /* queued, what is borrowed from the input buffer included */
    struct plx__chunk *in; /* input the handler has left unconsumed, or NULL */
    struct plx_conn *next; /* dirty or dead list */
    uint64_t number;
    union {
        struct { /* readiness.c */
            uint8_t armed, may_read, may_write, more, listed;
            struct plx_conn *next;
        } ready;
        struct { /* uring.c */
            uint8_t receiving, sending, cancelling, polling, by_poll, streak;
        } ring;
        void *aio;
    } eng;
    struct plx__peer peer;
    _Alignas(max_align_t) unsigned char state[];
};

struct plx__counters;

/* What an engine needs to know of a socket to make it a connection. */
struct plx__socket {
    int fd;
    const struct plx_handler *handler;
    /* Outgoing: a connection without a life, with the user's initial state. It is what on_close
     * gets where memory for the real one is missing later, in a thread. Freed by plx__conn_new(),
     * plx__socket_drop(). NULL where neither is needed. */
    struct plx_conn *made;
    struct plx__peer peer;
    uint64_t number;
    bool gated, connecting;
};

/* Marks that a callback runs, so that what it asks for is left to the engine that called. Returns
 * what plx__conn_leave() needs: callbacks nest (an on_drain that lets held input through). */
static inline unsigned plx__conn_enter(struct plx_conn *c)
{
    unsigned was = c->flags & PLX__F_BUSY;
    c->flags |= PLX__F_BUSY;
    return was;
}

static inline void plx__conn_leave(struct plx_conn *c, unsigned was)
{
    if (!was)
        c->flags = (uint16_t)(c->flags & ~PLX__F_BUSY);
}

/* Whether input is to wait: the handler paused it, or its own output is above the mark. */
static inline bool plx__conn_holds_input(const struct plx_conn *c)
{
    return (c->flags & PLX__F_PAUSED) ||
           ((c->flags & PLX__F_THROTTLED) && !c->handler->reads_always);
}

#define PLX__WANT_READ    0x1u
#define PLX__WANT_WRITE   0x2u
#define PLX__WANT_FIN     0x4u  /* shut the sending side down, then say plx__conn_fin_sent() */
#define PLX__WANT_CONNECT 0x8u  /* wait for writability, then say plx__conn_connected() */
#define PLX__WANT_RETIRE  0x10u /* let what is in flight come back, then plx__conn_retire() */

/* Makes the connection in a slot of `loop`; NULL without memory. The engine calls
 * plx__conn_opened() once it can act on wants. */
struct plx_conn *plx__conn_new(struct plx_loop *, const struct plx__socket *);
void plx__conn_opened(struct plx_conn *);
/* Closes a socket that did not become a connection, gives its place in the limits back. */
void plx__socket_drop(struct plx_loop *, const struct plx__socket *);
/* The same by a thread that had taken it over: counted in its own block (the loop may be another
 * thread's), and whoever began the connection is told. */
void plx__socket_lost(struct plx_loop *, struct plx__counters *, const struct plx__socket *,
                      int err);
void plx__conn_connected(struct plx_conn *, int so_error); /* 0 or errno */

/* What the connection wants now; 0 = nothing: it waits for its handler. Asked several times for
 * each message, so the answer that almost all of them get is found here. */
unsigned plx__conn_want_rarely(const struct plx_conn *);
static inline unsigned plx__conn_want(const struct plx_conn *c)
{
    if (c->phase == PLX__OPEN && !(c->flags & PLX__F_RARE))
        return PLX__WANT_READ | (c->out_bytes ? PLX__WANT_WRITE : 0);
    return plx__conn_want_rarely(c);
}
/* For a connection that was on the dirty list: shows held input to the handler again, calls
 * on_drain, where they are due. */
void plx__conn_pump(struct plx_conn *);

/* What arrives and what is sent: flow.h. */
/* Nothing more to read at the moment (EAGAIN): a draining connection ends here. */
void plx__conn_quiet(struct plx_conn *);

/* Up to `cap` pieces of the queue's front; they stay in place until plx__conn_sent(). */
int plx__conn_outgoing(struct plx_conn *, struct iovec *, int cap);
void plx__conn_stalled(struct plx_conn *); /* the socket takes no more: time it */
void plx__conn_fin_sent(struct plx_conn *);
void plx__conn_end_if_both(struct plx_conn *);
/* Judges the time limits; ends the connection if one has passed. Returns the next deadline. */
int64_t plx__conn_judge(struct plx_conn *);
void plx__conn_fail(struct plx_conn *, int err);
/* Legal only when nothing is in flight. Closes the descriptor, calls on_close. */
void plx__conn_retire(struct plx_conn *);
/* Gives the memory of a retired one back, or keeps some for the next: a steady coming and going
 * allocates nothing. */
void plx__conn_free(struct plx_loop *, struct plx_conn *);
void plx__conns_free(struct plx_loop *); /* what was kept */
void plx__conn_dirty(struct plx_conn *);

/* ---- what the workers of one server share (group.c) ---- */

struct plx__listen_socket {
    int fd;
    bool drained;    /* non-blocking for good; under the group's lock */
    atomic_int refs; /* loops that accept from it */
};

/* When a kind of log line may be said again (log.c); zeroed at first. */
#define PLX__LOG_KINDS 12
struct plx__log_kind {
    const char *_Atomic fmt; /* the kind; NULL = a free place */
    _Atomic int64_t next_ns;
    _Atomic uint64_t held; /* lines of it not said since the last that was */
};

struct plx__group {
    int64_t max_connections, max_per_ip; /* PLX_OFF = none */
    _Atomic int64_t open;
    _Atomic uint64_t numbers;
    pthread_mutex_t lock; /* of the table of addresses, and closing sockets */
    struct plx__ip_count *ips;
    size_t nips, ips_cap;
    struct plx__listen_socket *sockets; /* so that a forked child can close them; their
                                         * descriptors are closed under the lock */
    size_t nsockets;
    bool own_descriptors;   /* of each worker: a listening socket is in every table */
    struct plx__pool *pool; /* offload.c; made under the lock */
    struct plx__log_kind said[PLX__LOG_KINDS];
};
int plx__group_init(struct plx__group *);
void plx__group_fini(struct plx__group *);
/* 0, -EUSERS: over a limit, or -ENOMEM. Any thread. */
int plx__group_enter(struct plx__group *, const struct plx__peer *);
void plx__group_leave(struct plx__group *, const struct plx__peer *);

/* ---- listeners (listener.c) ---- */

struct plx__listener {
    struct plx__source source;
    bool active;           /* the engine watches it */
    bool exclusive;        /* ask the selector to wake one waiter only */
    bool over;             /* a "limit reached" line was logged and not yet taken back */
    bool more;             /* the last batch used its budget up: the queue may not be empty */
    uint8_t burst, streak; /* readiness.c: accepts per report, beyond the first; how often in a row
                            * that was too few */
    struct plx_loop *loop;
    struct plx__listen_socket *socket;
    const struct plx_handler *handler;
    void *eng; /* the engine's own */
    int spare; /* a descriptor to give up when there are no others, see listener.c */
    struct plx_timer *backoff;
    int64_t pause_ns; /* the next pause */
    struct plx__listener *next;
};

/* Accepts what the engine has got from accept4(2): checks the limits, adopts. */
void plx__accepted(struct plx__listener *, int fd, const struct sockaddr *, socklen_t);
/* accept4(2) until EAGAIN, at most `budget` times. Returns how many were accepted. */
int plx__accept_batch(struct plx__listener *, int budget);
/* What to do after accept failed with `err` (errno): go on, or stop until readiness or for a
 * while (the listener is then paused already). */
enum plx__accept_verdict { PLX__ACCEPT_AGAIN, PLX__ACCEPT_WAIT, PLX__ACCEPT_PAUSED };
enum plx__accept_verdict plx__accept_failed(struct plx__listener *, int err);

int plx__listener_add(struct plx_loop *, struct plx__listen_socket *, const struct plx_handler *,
                      bool exclusive);
/* On the thread that accepts, before the loop runs: with a table of its own it needs what is to be
 * given up in need there. */
void plx__listeners_prepare(struct plx_loop *);
void plx__listeners_close(struct plx_loop *);

/* ---- sockets: the only descriptors that the core itself touches (socket.c) ---- */

/* A listening socket. -errno with `why`. */
int plx__socket_listen(const struct plx_addr *, bool reuseport, int backlog, bool blocking,
                       struct plx_why *);
/* Begins a connection, non-blocking: the descriptor, established or not. `from` may be NULL. */
int plx__socket_connect(const struct plx_addr *to, const struct plx_addr *from, bool *connecting);
int plx__socket_blocking(int fd, bool on);
void plx__socket_peer(int fd, struct plx__peer *);
/* Whether a connect that was begun is done: 0 or errno; EINPROGRESS = not yet. */
int plx__socket_connected(int fd);
/* Bytes written that the peer has not acknowledged (SIOCOUTQ; a peer that reads slowly shows in
 * nothing else, because the kernel reports room only when much of it is free). */
uint32_t plx__socket_unacked(int fd);
/* Bytes that have arrived and wait to be read (FIONREAD). */
uint32_t plx__socket_unread(int fd);
/* Whether neither bytes nor an end nor an error wait to be read. */
bool plx__socket_silent(int fd);
/* Closes; with `reset` the peer sees RST and the kernel forgets what is queued. */
void plx__socket_close(int fd, bool reset);

/* A wake-up that a signal handler may write to. A pipe, not an eventfd: signal-driven I/O needs
 * fasync, which eventfd has not. */
struct plx__wake {
    struct plx__source source;
    int rd, wr;
    atomic_bool set;
};
int plx__wake_open(struct plx__wake *, bool blocking_reader);
void plx__wake_signal(struct plx__wake *); /* any thread, async-signal-safe */
void plx__wake_clear(struct plx__wake *);  /* after the reader was found ready */
void plx__wake_close(struct plx__wake *);

/* ---- loops ---- */

struct plx__slot {
    struct plx_conn *conn;
    uint32_t generation, next_free;
};

struct plx__post {
    struct plx__post *next;
    void (*fn)(void *);
    void (*conn_fn)(struct plx_conn *, void *); /* instead of fn: about a connection */
    struct plx_conn_ref ref;
    void *arg;
};

#define PLX__NSTATS (sizeof(struct plx_stats) / sizeof(uint64_t))
struct plx__counters {
    _Atomic uint64_t v[PLX__NSTATS];
};

struct plx_timer {
    struct plx_loop *loop;
    int64_t at, every;
    uint64_t seq; /* timers of one instant run in the order they were started */
    size_t index; /* in the heap */
    void (*fn)(void *);
    void *arg;
    bool running, stopped;
};

struct plx_watch {
    struct plx__source source;
    struct plx_loop *loop;
    int fd;
    unsigned events;
    void (*fn)(int, unsigned, void *);
    void *arg;
    struct plx_watch *next, *next_dead;
    bool stopped;
    bool hot;  /* readiness.c: may be ready */
    void *eng; /* the engine's own */
};

/* The most threads that plx_loop_config.offload_threads may ask for. */
#define PLX__OFFLOAD_THREADS_MOST 1024

/* Input of one read: 64 KiB keeps the buffer within a typical second-level cache. */
#define PLX__INBUF 65536
/* Output that a callback of input can gather outside the queue. */
#define PLX__ANSWER 16384

struct plx_loop {
    const struct plx__model *row;
    const struct plx__engine_ops *engine;
    void *state;              /* the engine's */
    struct plx_loop *parent;  /* the accepting loop, for the loop of one connection */
    struct plx_loop *next;    /* one of a connection that is kept for another (blocking.h) */
    struct plx__group *group; /* never NULL: a lone loop has its own */
    struct plx__group own_group;
    struct plx_limits limits;
    struct plx_log log;
    unsigned pool_size, pool_queue;
    unsigned offload_threads, offload_queue;
    int64_t poll_pause_ns, tick_ns, warn_blocked_ns;
    struct plx_trace *trace;
    bool observed;  /* trace.h: the trace, or warnings of callbacks that hold the loop */
    bool inspected; /* observed, or the bytes of messages are logged */

    int64_t now, start;
    uint32_t now_ms;
    unsigned char *inbuf;
    unsigned char *answer; /* what a handler sends in answer to its input, PLX__ANSWER bytes */
    /* Input lent to a handler, and what is to be sent from outside the queue, [from, to): a part of
     * that input, or of `answer`. */
    struct {
        struct plx_conn *conn;
        const unsigned char *base, *end, *from, *to;
    } lent;

    struct plx__slot *slots;
    uint32_t nslots, slots_cap, free_slot;
    size_t nconn; /* connections, those in threads and processes of this loop included */
    struct plx_conn *dirty, **dirty_end; /* in the order they became so */
    struct plx_conn *dead;
    struct plx_conn *spare; /* connections to be used again, all of one size */
    unsigned nspare;
    struct plx__chunks chunks;

    struct plx_timer **heap;
    size_t ntimers, heap_cap;
    size_t timer_due; /* 1 while a repeated timer runs that needs its place in the heap back */
    uint64_t timer_seq;
    int64_t sweep_at; /* when to judge time limits next; INT64_MAX = nothing to judge */
    int64_t quiet_since;

    struct plx__listener *listeners;
    struct plx_watch *watches, *dead_watches;
    struct plx_signal *signals;
    atomic_bool signalled;

    pthread_mutex_t post_lock;
    struct plx__post *posted, **posted_end;
    atomic_bool has_posted, stop, drain;
    bool ended; /* plx__loop_end() */
    struct plx__jobs jobs;
    int64_t drain_since;
    bool grace;          /* a sweep was put off once */
    bool draining, more; /* more: the last wait did not report everything that is ready */

    struct plx__counters *counters; /* its own, or where the parent can read them */
    struct plx__counters own_counters;
};

#define PLX__STAT(field) (offsetof(struct plx_stats, field) / sizeof(uint64_t))

/* Counts on the one thread that writes the block: no locked instruction, and still readable from
 * others. */
static inline void plx__counter_add(struct plx__counters *c, size_t i, uint64_t n)
{
    uint64_t v = atomic_load_explicit(&c->v[i], memory_order_relaxed);
    atomic_store_explicit(&c->v[i], v + n, memory_order_relaxed);
}
#define PLX__COUNT(loop, field, n)                                                                 \
    plx__counter_add((loop)->counters, PLX__STAT(field), (uint64_t)(n))
void plx__stats_add(struct plx_stats *, const struct plx__counters *);

int64_t plx__clock(void);
void plx__nap(int64_t ns);       /* sleeps, or less if a signal comes */
int64_t plx__clock_coarse(void); /* may lag by a clock tick, 1 to 10 ms; an eighth of the price */
/* Ends everything that runs on the loop, on its thread; its counters can still be read. */
void plx__loop_end(struct plx_loop *);
void plx__loop_update(struct plx_loop *); /* reads the clock into now, now_ms */
void plx__loop_free(struct plx_loop *);   /* the memory of one that has ended */
/* The same after a wait that was to take at most `timeout_ns` (< 0 = any time). */
void plx__loop_waited(struct plx_loop *, int64_t timeout_ns);
/* The same after callbacks have run; after short ones `now` may be left as it is. What moved in
 * work of at least PLX__LONG_WORK is stamped with its end, else with its beginning. */
#define PLX__LONG_WORK (20 * PLX_MSEC)
/* So that no limit is early, each is longer by what the stamps may be behind: the work in which a
 * byte moved, if it was too short to be stamped anew, and two milliseconds, the clock's own and
 * that of plx__loop_worked(). */
#define PLX__LIMIT_MARGIN (PLX__LONG_WORK + 2 * PLX_MSEC)
void plx__loop_worked(struct plx_loop *);
/* Empties the list of connections whose wants changed; linked by `next`, first come first. */
static inline struct plx_conn *plx__loop_take_dirty(struct plx_loop *l)
{
    struct plx_conn *list = l->dirty;
    l->dirty = NULL;
    l->dirty_end = &l->dirty;
    return list;
}
void plx__loop_deadline(struct plx_loop *, int64_t at); /* a limit may have passed at `at` */

/* The loop of one connection inside a thread or process of `parent`; no engine state of its own. */
int plx__loop_open_child(struct plx_loop *parent, struct plx__counters *, struct plx_loop **out);
void plx__loop_tidy(struct plx_loop *); /* settles and frees what has ended */
/* As new, for the next connection; its buffers stay. */
void plx__loop_reuse_child(struct plx_loop *, struct plx__counters *);
void plx__loop_close_child(struct plx_loop *);
/* Timers and posted work that are due; used by engines that run a loop of their own. */
void plx__loop_chores(struct plx_loop *);
int64_t plx__loop_next_timer(const struct plx_loop *); /* absolute, INT64_MAX = none */

int plx__timers_run(struct plx_loop *);
void plx__timers_free(struct plx_loop *);
void plx__signals_run(struct plx_loop *);
void plx__signals_free(struct plx_loop *);
void plx__signals_forget(void); /* in a forked child: the parent's signals are not its own */

#define plx__logs(loop, lv) ((loop)->log.fn && (loop)->log.level >= (lv))
/* `fmt` is a literal: it is also the kind of the line, of which warnings and errors are bounded. */
void plx__log(const struct plx_loop *, enum plx_level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void plx__log_bytes(const struct plx_conn *, const void *p, size_t n);
char *plx__peer_text(const struct plx__peer *, char *buf, size_t cap); /* "ADDR, PORT" */

/*
 * Starts a thread with `stack` bytes of stack (0 = the system's default), named `name` (at most 15
 * characters are kept, pthread_setname_np(3); NULL: it names itself) and with every signal blocked:
 * signals are the program's. -errno as pthread_create(3).
 */
int plx__thread_start(pthread_t *, size_t stack, const char *name, void *(*fn)(void *), void *arg);
/* Names the calling thread: a system call, where another one is named by a file of /proc. */
void plx__thread_name(const char *name);

void plx__why(struct plx_why *, const char *remedy, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- engines and models ---- */

/* POLITELY: connections are drained. AT_ONCE: they end. RETURN: only the loop's own thread is to
 * come back from where it sits, whatever that costs. */
enum plx__end { PLX__POLITELY, PLX__AT_ONCE, PLX__RETURN };

struct plx__engine_ops {
    const char *name;
    size_t state_size; /* zeroed by the loop */
    bool blocking_fds; /* wants descriptors without O_NONBLOCK */
    bool blocking_listener;
    bool alone; /* the loop's thread is the only one that touches its connections' descriptors */
    /* Whether the model can run here, really tried. */
    int (*probe)(const struct plx_model *, struct plx_why *);
    int (*open)(struct plx_loop *, struct plx_why *);
    /* Begins and stops accepting. Between the two it calls plx__accepted(). */
    int (*listen)(struct plx_loop *, struct plx__listener *);
    void (*unlisten)(struct plx_loop *, struct plx__listener *);
    /* Takes the socket over: plx__conn_new() on whichever loop it runs, at once or later.
     * -errno: not taken, the caller closes. `*out` = the connection where it is on this loop. */
    int (*adopt)(struct plx_loop *, const struct plx__socket *, struct plx_conn **out);
    /* Receives once without waiting, outside the connection's own events. */
    void (*glance)(struct plx_loop *, struct plx_conn *);
    /* The wants of a connection changed outside its own events. */
    void (*settle)(struct plx_loop *, struct plx_conn *);
    int (*watch)(struct plx_loop *, struct plx_watch *, unsigned old, unsigned now);
    /* Judges the time limits of connections that the loop's thread cannot reach. When to do so
     * next, INT64_MAX = there are none. NULL: there are no such connections. */
    int64_t (*judge)(struct plx_loop *);
    /* Waits and handles. Number of events, 0 after the timeout, -EINTR, or a lasting -errno. */
    int (*turn)(struct plx_loop *, int64_t timeout_ns);
    void (*wake)(struct plx_loop *); /* any thread, async-signal-safe */
    /* Reaches connections that the loop's thread cannot (in threads, processes, or a recv of its
     * own). Any thread. NULL: the loop does it. */
    void (*end)(struct plx_loop *, enum plx__end);
    /* Adds what threads and processes of the loop have counted. Any thread. NULL: there are none */
    void (*stats)(const struct plx_loop *, struct plx_stats *);
    /* Ends every connection, thread and process of the loop, on the loop's thread. */
    void (*halt)(struct plx_loop *);
    /* Frees the state; any thread, after halt. */
    void (*close)(struct plx_loop *);
};

extern const struct plx__engine_ops plx__blocking_engine, plx__readiness_engine,
    plx__posix_aio_engine, plx__uring_engine;

/* How the blocking engine spreads connections. */
enum plx__spread { PLX__IN_PLACE, PLX__PROCESS, PLX__THREAD, PLX__POOL };

/* A row of the table: the public half and how it is made. model = engine x selector x flags. */
struct plx__model {
    struct plx_model pub;                    /* first, so that a public pointer is a row */
    const struct plx__engine_ops *engine;    /* NULL: not built yet, or "auto" */
    const struct plx_selector_ops *selector; /* the Reactor's */
    enum plx__spread spread;
    int rank;            /* for "auto": the highest that probes well; 0 = never */
    const char *missing; /* why there is no engine */
};

/* Rows of a program's own behind those of the table, instead of any added before: for tests, which
 * run an engine on a system of their own making. Before any other thread uses the library. */
void plx__models_add(const struct plx__model *rows, size_t n);

static inline const struct plx__model *plx__row(const struct plx_model *m)
{
    return (const struct plx__model *)m;
}

#endif
