/* SPDX-License-Identifier: MIT */
/* Inside the blocking engine: a connection being served, and how connections are spread. */
#ifndef POLLUX_ENGINE_BLOCKING_H
#define POLLUX_ENGINE_BLOCKING_H

#include "core/core.h"

#include <poll.h>

/*
 * One connection that some thread or process serves. The thread sits in recv(2) or send(2), where
 * no event reaches it. To end it politely its socket is made non-blocking and the thread sent a
 * signal: if it sleeps in the call, the signal interrupts it; if it is about to call, the call will
 * not wait. There is no moment between the two. (Shutting down the receiving side would wake it
 * too, but then TCP answers what the peer still sends with a reset, which destroys our answers.)
 */
struct plx__task {
    struct plx__socket socket;
    _Atomic int64_t *due; /* plx__share.due; NULL where there is nobody to look at it */
    int fd;               /* -1 when the number is no longer ours; under `lock` */
    bool running;         /* `thread` serves it; under `lock` */
    pthread_t thread;
    atomic_int ending; /* 0, or 1 + enum plx__end */
    pthread_mutex_t *lock;
};

/* Serves the connection to its end on loop `l`, in the calling thread. */
void plx__blocking_serve(struct plx_loop *l, struct plx__task *);

/* Makes the server of the task end. Any thread; `lock` held. */
void plx__blocking_end(struct plx__task *, enum plx__end);
/* The same without the signal: for the handler of one in the process that serves. */
void plx__blocking_mark(struct plx__task *, enum plx__end);

/* The signal that interrupts: SIGURG, ignored by default and harmless when it comes by itself,
 * for which reasons Go's runtime chose it too. Takes it with an empty handler while any loop
 * needs it. -EBUSY when the program has a handler of its own. */
int plx__interrupt_take(struct plx_why *);
void plx__interrupt_release(void);

/* What a worker shows the accepting loop; a process has it in memory of both. */
struct plx__share {
    struct plx__counters counters;
    /* When who waits in recv(2) is to be interrupted, because its idle limit is over; 0 = it does
     * not wait. The loop looks at it (judge() in blocking.c): a timeout of the socket's own takes
     * the kernel a timer for each message, 2 to 3 % of what it costs. */
    _Atomic int64_t due;
};

struct plx__worker { /* one connection's thread, one thread of the pool, or one child process */
    struct plx__task task;
    pthread_mutex_t lock; /* the task's; taken under the spreader's, never the other way round */
    struct plx_loop *parent;
    pthread_t thread;
    pid_t pid;
    int life;     /* read end of a pipe whose write end only the child holds */
    unsigned row; /* in the table of what processes share */
    bool busy;    /* pool: has a connection */
    struct plx__share *share, own_share;
    struct plx__worker *prev, *next;
};

struct plx__spreader {
    struct plx__wake wake;
    pthread_mutex_t lock;            /* everything below up to the queue */
    struct plx__worker *live, *done; /* done: threads to join */
    unsigned ndone;
    struct plx__counters gone;   /* what ended workers have counted */
    struct plx__task here;       /* in place: the connection being served */
    struct plx__socket *waiting; /* ring: the pool's queue; in place: the one accepted */
    size_t head, nwaiting, room, nidle;
    pthread_cond_t work;
    bool closing, draining;    /* who begins now is told at once */
    struct plx__share *shared; /* fork: PROCESSES_MOST rows */
    unsigned char *row_used;
    struct plx_loop *kept; /* loops of connections that have ended; under `lock` */
    unsigned nkept;
    struct pollfd *fds; /* of the accepting loop, and whose each is */
    void **who;
    size_t fds_cap;
};

/* Workers of an accepting loop. The list of the living is under the spreader's lock. */
struct plx__worker *plx__worker_new(struct plx_loop *, const struct plx__socket *);
void plx__worker_free(struct plx__worker *);
void plx__worker_link(struct plx__spreader *, struct plx__worker *);
void plx__worker_unlink(struct plx__spreader *, struct plx__worker *);
/* Takes the worker from the living; its counters are kept. `lock` held. */
void plx__worker_bury(struct plx__spreader *, struct plx__worker *);

/* The spreads: each takes the socket over, or says -errno. */
int plx__spread_thread(struct plx_loop *, const struct plx__socket *);
int plx__spread_pool(struct plx_loop *, const struct plx__socket *);
int plx__spread_process(struct plx_loop *, const struct plx__socket *);

/* The loop on which the worker's connection runs: one that is kept, or a new one; NULL without
 * memory. And back again. Any thread. */
struct plx_loop *plx__child_loop_take(struct plx_loop *parent, struct plx__counters *);
void plx__child_loop_give(struct plx__spreader *, struct plx_loop *);
void plx__child_loops_free(struct plx__spreader *);

void plx__reap_threads(struct plx_loop *); /* joins those that are done */
int plx__open_pool(struct plx_loop *, struct plx_why *);
void plx__count_pool(struct plx_loop *); /* into nconn, for a drain: what is left to end */
int plx__open_processes(struct plx_loop *, struct plx_why *);
void plx__end_process(const struct plx__worker *, enum plx__end);
void plx__end_processes(struct plx_loop *); /* waits for all */
void plx__close_processes(struct plx__spreader *);
void plx__reap_process(struct plx_loop *, struct plx__worker *); /* waits for its end */

#endif
