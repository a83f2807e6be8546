/* SPDX-License-Identifier: MIT */
/*
 * A network in memory, with a clock of its own, behind the library's seam (src/core/sys.h).
 *
 * Loops of the library run on it as tasks, each with a stack of its own, one at a time on one
 * thread. A task runs until it waits in poll(2), select(2), epoll_wait(2) or clock_nanosleep(2).
 * When all wait, the clock jumps to the next thing that is due, so that a time limit of twenty days
 * costs microseconds. All chance comes from one seed: who runs next, how long a byte is on its way,
 * in what pieces a stream arrives, what breaks. The same seed makes the same run, call by call, and
 * the transcript can be compared.
 *
 * What a socket answers is what Linux answers for TCP; where that matters the place is named.
 * Descriptors are numbers from SIM_FIRST on; smaller ones are the system's, and calls about them
 * are passed on to it.
 */
#ifndef SIM_H
#define SIM_H

#include "core/core.h"

#include <errno.h>
#include <stdio.h>

#define SIM_FIRST 100
#define SIM_MOST  900 /* descriptors; the last stays below FD_SETSIZE */

#define PORT_FIRST 20000 /* of those that are given, one after the other */

#define SECONDS(n) ((int64_t)(n)*PLX_SECOND)
#define MSECS(n)   ((int64_t)(n)*PLX_MSEC)
#define DAYS(n)    ((int64_t)(n)*86400 * PLX_SECOND)

/* ---- chance ---- */

/* splitmix64 (Steele, Lea, Flood 2014): any seed is as good as another. */
struct dice {
    uint64_t x;
};

static inline uint64_t roll(struct dice *d)
{
    uint64_t z = (d->x += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* 0 to n - 1, n > 0 */
static inline uint64_t below(struct dice *d, uint64_t n)
{
    return roll(d) % n;
}

/* from to to, both included */
static inline int64_t between(struct dice *d, int64_t from, int64_t to)
{
    return from + (int64_t)below(d, (uint64_t)(to - from) + 1);
}

/* True once in `n` times; 0 = never. */
static inline bool once_in(struct dice *d, uint64_t n)
{
    return n && below(d, n) == 0;
}

/* ---- the network ---- */

/* What it is like. The rates are "once in so many"; 0 = never. */
struct sim_weather {
    int64_t delay_from, delay_to; /* of a piece, each way, in nanoseconds */
    size_t segment;               /* the most bytes that arrive at once */
    size_t sndbuf, rcvbuf;        /* of every socket */
    uint64_t reset_in;            /* pieces: a reset for both ends */
    uint64_t stuck_in;            /* pieces: the connection is cut for up to `stuck_ns` */
    int64_t stuck_ns;             /* ... and half of these end as the system's own ETIMEDOUT */
    uint64_t refuse_in, lost_in;  /* connects: refused; the first packet is lost */
    uint64_t short_in;            /* sends: less is taken than there is room for */
    uint64_t spurious_in;         /* waits: something is called ready that is not */
    uint64_t late_in;             /* waits: one of several ready ones is not reported yet */
    uint64_t eintr_in;            /* calls that may be interrupted */
    uint64_t aborted_in;          /* accepts: ECONNABORTED */
    uint64_t away_in;             /* calls: the task is stopped in the middle, as by SIGSTOP, ... */
    int64_t away_ns;              /* ... for up to so long */
    bool away_first;              /* ... but only the task that was made first */
    int descriptors;              /* at once; 0 = SIM_MOST */
};

/* What the sockets saw of one task's calls, to be compared with its loop's counters. */
struct sim_account {
    uint64_t recv, send, accept, wait, ctl; /* calls; recv without those that only peek */
    uint64_t eagain;                        /* of recv, send and accept */
    uint64_t bytes_in, bytes_out, accepted;
};

/* Begins a run: a network of nothing, time 1 000 s. `transcript` may be NULL. */
void sim_begin(uint64_t seed, const struct sim_weather *, FILE *transcript);
/* Ends it. What of it was left open is told by sim_open_descriptors() before. */
void sim_end(void);

int64_t sim_now(void);
struct dice *sim_dice(void); /* the network's own */
int sim_open_descriptors(void);
/* A number that two runs share only if each call and each event was the same in both. */
uint64_t sim_fingerprint(void);
void sim_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Of a descriptor: the ports of its ends, and for how long no byte has moved through it, or none
 * was taken from its program. */
uint16_t sim_port(int fd);
uint16_t sim_peer_port(int fd);
int64_t sim_silent(int fd);
int64_t sim_sent_nothing(int fd);

/* ---- tasks ---- */

/* Adds a task that is not yet running. Its account lives as long as the run. */
struct sim_account *sim_task(const char *name, void (*fn)(void *), void *arg);
/* Runs them all to their ends. NULL, or what is wrong: all wait and nothing is due, or they go on
 * and on and no time passes. Those that have not ended are given up then: leave the process. */
const char *sim_run(void);
/* The calling task waits until `until` (INT64_MAX = for ever), or until look(arg) is not 0, which
 * is returned. */
int sim_await(int (*look)(void *), void *arg, int64_t until);
void sim_sleep(int64_t ns);

/* ---- between net.c, calls.c and tasks.c ---- */

enum end_kind { END_NEW, END_LISTENER, END_STREAM, END_PIPE, END_EPOLL };
enum end_state { END_IDLE, END_CONNECTING, END_OPEN, END_DEAD };

struct bytes {
    unsigned char *p;
    size_t from, n, room;
};
void bytes_add(struct bytes *, const void *, size_t);
void bytes_take(struct bytes *, void *to, size_t n); /* `to` may be NULL */
void bytes_free(struct bytes *);

struct sim_watch { /* of an epoll set */
    int fd;
    unsigned serial; /* of the end, for a descriptor that was closed and reused */
    uint64_t seen;   /* its `wakes` when last reported */
    uint32_t events;
    uint64_t data;
};

struct sim_end {
    enum end_kind kind;
    enum end_state state;
    unsigned serial;
    int fd; /* -1: not accepted yet, or closed */
    bool nonblock, held;
    uint16_t port, peer_port;
    struct sim_end *peer;
    struct bytes tx, rx; /* accepted by send and on its way; arrived */
    bool fin, fin_done;  /* our end asked for, and arrived at the peer */
    bool got_fin;
    bool abort; /* SO_LINGER 0 */
    int err;    /* to be told once */
    bool moving, squeezed, no_room;
    int64_t stuck_until, moved, sent;
    unsigned tries;
    uint64_t wakes;         /* what an edge is made of */
    struct sim_end **queue; /* a listener's */
    int queued, backlog;
    struct sim_watch *set; /* an epoll object's */
    size_t nset, set_room, next;
};

extern struct sim_net {
    struct dice dice;
    struct sim_weather weather;
    struct sim_end *table[SIM_MOST];
    int open;
    struct sim_end **all; /* every end of the run, freed at its end: an event may name any */
    size_t nall, all_room;
    uint16_t next_port;
    FILE *transcript;
    uint64_t fingerprint;
} sim;

/* tasks.c: the clock and what is due */
enum event_kind { EV_ARRIVE, EV_SYN, EV_SYNACK, EV_RESET, EV_UNANSWERED, EV_TIMEOUT, EV_ROOM };
void sim_later(int64_t delay, enum event_kind, struct sim_end *);
void sim_step(void); /* at each call: a little time passes, what is due happens */
void sim_step_or_stop(void);
struct sim_account *sim_account(void);
const char *sim_task_name(void);
void sim_tasks_begin(void);
void sim_tasks_end(void);

/* net.c */
void net_event(enum event_kind, struct sim_end *);
struct sim_end *net_new(enum end_kind);
int net_descriptor(struct sim_end *); /* or -EMFILE */
struct sim_end *net_find(int fd);     /* NULL */
void net_begin(void);
void net_end(void);
void net_pump(struct sim_end *);
void net_wake(struct sim_end *);
void net_shut(struct sim_end *);
void net_close(struct sim_end *);
int net_connect(struct sim_end *, uint16_t port); /* 0 or errno */
int net_bind(struct sim_end *, uint16_t port);
struct sim_end *net_listener(uint16_t port);
size_t net_room(const struct sim_end *); /* for send */
short net_ready(const struct sim_end *); /* POLL* */

/* calls.c */
extern const struct plx__sys sim_calls;

static inline int sim_fail(int err)
{
    errno = err;
    return -1;
}

/* waits.c, for the table */
bool sim_interrupted(void);
int sim_clock_gettime(clockid_t, struct timespec *);
int sim_clock_nanosleep(clockid_t, int flags, const struct timespec *, struct timespec *left);
int sim_poll(struct pollfd *, nfds_t, int ms);
int sim_ppoll(struct pollfd *, nfds_t, const struct timespec *, const sigset_t *);
int sim_pselect(int n, fd_set *in, fd_set *out, fd_set *other, const struct timespec *,
                const sigset_t *);
int sim_epoll_create1(int flags);
int sim_epoll_ctl(int epfd, int op, int fd, struct epoll_event *);
int sim_epoll_wait(int fd, struct epoll_event *, int n, int ms);
int sim_epoll_pwait2(int fd, struct epoll_event *, int n, const struct timespec *);

/* epoll.c */
int sim_wait_epoll(int fd, struct epoll_event *, int n, int64_t timeout);
int sim_ctl_epoll(int epfd, int op, int fd, const struct epoll_event *);

#endif
