/* SPDX-License-Identifier: MIT */
/*
 * A connection, and what the user writes once: its handler.
 *
 * All functions here are for the thread that runs the connection's loop: call them from the
 * handler's callbacks, from a timer or from a posted function of that loop. In the thread and
 * process models every connection has a loop of its own (plx_conn_loop() gives it).
 *
 * A handler touches only its own connection. Another one is reached with plx_conn_post().
 */
#ifndef POLLUX_CONN_H
#define POLLUX_CONN_H

#include <pollux/addr.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct plx_conn;
struct plx_loop;

/*
 * The callbacks of a connection. Every one may be NULL, every one may call any function below,
 * plx_abort() included: the connection stays valid until its on_close returns.
 * The structure is not copied: it must outlive every connection that uses it.
 */
struct plx_handler {
    const char *name;
    size_t state_size; /* bytes of zeroed user state per connection, see plx_conn_state() */
    void *user;        /* anything shared by all connections of this handler */
    /* Input goes on while the queue is above the high-water mark; plx_send() tells of the mark as
     * ever. For a client that sends in bulk to a server that answers: if both ends stopped reading
     * until the other had read, both would wait for ever. The blocking models, whose thread waits
     * in send(2) itself, cannot read meanwhile. */
    bool reads_always;

    /* The connection is established. 0, or -errno to drop it (on_close follows). */
    int (*on_open)(struct plx_conn *);

    /*
     * `n` > 0 bytes arrived; they are lent for this call only. Returns how many were consumed:
     * n or less. What is left is shown again, joined with what arrives later; 0 = need more.
     * -errno drops the peer. Without on_data input is discarded.
     */
    ssize_t (*on_data)(struct plx_conn *, const void *p, size_t n);

    /* After plx_send() had returned 1: the output queue has fallen to the low-water mark. */
    void (*on_drain)(struct plx_conn *);

    /* The peer finished sending (half-close): output is still possible. Without on_eof the library
     * calls plx_finish(). Or the server drains and there will be no more input: then plx_finish()
     * is called right after, so what is sent within on_eof is the last (or within the done of work
     * that it offloads). */
    void (*on_eof)(struct plx_conn *);

    /* Exactly once for each connection, and last. err = 0: ended by both sides; else -errno:
     * -ETIMEDOUT (idle or write stall), -ECONNRESET, -ENOBUFS (queue cap), -EMSGSIZE (input cap),
     * -ECONNREFUSED, -ECANCELED (the loop was closed), -EINVAL (on_data claimed too much), ... */
    void (*on_close)(struct plx_conn *, int err);
};

/*
 * Sends `n` bytes: queues what the socket does not take at once. The bytes are not needed after
 * the call. Small sends within one callback leave as one.
 *   0          accepted
 *   1          accepted, and the queue is above the high-water mark: hold on until on_drain;
 *              input from this peer stops until then, so that TCP slows it down. (Two ends that
 *              both do so can wait for each other: a client that sends in bulk to an echoing
 *              server stays below the mark, or sets the handler's reads_always.)
 *   -EPIPE     after plx_finish() or plx_half_close(), or the connection is ended
 *   -ENOBUFS   the queue would exceed its cap: the connection is aborted with this error
 *   -ENOMEM    likewise
 */
int plx_send(struct plx_conn *, const void *p, size_t n);

/*
 * No more output: after the queue is written, the sending side is shut down (FIN). What still
 * arrives is discarded until the peer closes, at most `linger_ns` (a close with unread input
 * would be a reset that destroys the last answer: RFC 1122 4.2.2.13). Idempotent.
 */
void plx_finish(struct plx_conn *);

/*
 * Half-close: no more output, while input goes on. After the queue is written the sending side is
 * shut down (FIN), which tells the peer that the request is complete; its answer still comes to
 * on_data, and its end to on_eof, after which the connection ends. Idempotent. plx_send() answers
 * -EPIPE from here on.
 */
void plx_half_close(struct plx_conn *);

/* Ends the connection now with `err` (-errno, passed to on_close; 0 is allowed). Queued output is
 * dropped, and if there was any, the peer sees a reset. Idempotent; the first error is kept. */
void plx_abort(struct plx_conn *, int err);

/*
 * Has work that would hold up the loop done elsewhere: work(arg) runs on a thread of a pool, then
 * done(conn, arg) on the connection's own thread; `conn` is NULL if it has ended meanwhile. Where
 * plx_offload() returned 0, done is called exactly once, and not before it returned: what `arg`
 * owns is freed there. Connections without CPU-bound or blocking work have no need of it.
 *
 * work  has no connection: it must not touch one, nor its state, and takes what it needs in `arg`,
 *       which is its own until it returns. It may block, and several run at the same time. It is
 *       left out where the connection has ended before its turn came (done with NULL follows).
 * done  may do what a callback may, plx_offload() included. Work of one connection that was handed
 *       over in several calls may be done in any order.
 *
 * Until the last done the connection does not end of itself: the peer's end is told after it
 * (on_eof, or without one plx_finish()), the idle limit stands still, and a drain waits. So what
 * done sends arrives. Input goes on: plx_pause() stops it until plx_resume(), where one request is
 * to be answered after the other. plx_finish() and plx_abort() wait for nothing.
 *
 * In a model that runs a connection in a thread or process of its own (PLX_CAP_STALL), and in
 * `blocking`, which cannot be reached from elsewhere (no PLX_CAP_POST), there is no pool: work and
 * done follow each other on the connection's thread after the callback has returned and what it
 * sent is written. Elsewhere the loops of a server share a pool, and a lone loop has its own; it is
 * made at the first call, of plx_loop_config.offload_threads at most, each started when none is
 * idle. Its threads take all signals blocked, and with own_descriptors they use the table of
 * descriptors of the worker that started them: work opens and closes what it uses itself.
 *
 * A loop that ends (plx_loop_close(), a server's end or stop) waits for work that runs, leaves out
 * what has not begun, and calls each done with NULL on the thread that ends it.
 *
 *   -EAGAIN  plx_loop_config.offload_queue pieces of work wait already (of all loops of the server;
 *            without a pool, of this connection), 65 535 of this connection are in progress, or no
 *            thread could be started: answer that the server is busy, or try again later
 *   -EPIPE   after plx_finish(), or the connection is ended
 *   -EINVAL  work or done is NULL
 *   -ENOMEM
 */
int plx_offload(struct plx_conn *, void (*work)(void *arg),
                void (*done)(struct plx_conn *, void *arg), void *arg);

/* Stops and restarts input for this connection, for example while a backend is slow. */
void plx_pause(struct plx_conn *);
void plx_resume(struct plx_conn *);

/* The connection's state_size bytes, zeroed before on_open, aligned for any type. */
void *plx_conn_state(struct plx_conn *);

const struct plx_handler *plx_conn_handler(const struct plx_conn *);
struct plx_loop *plx_conn_loop(const struct plx_conn *);

/* Counts from 1 in each loop family (a server's workers share one count); never reused. */
uint64_t plx_conn_number(const struct plx_conn *);

/* The other end's address; len = 0 where it has none (an unnamed unix socket). */
void plx_conn_peer(const struct plx_conn *, struct plx_addr *out);

/* Bytes accepted by plx_send() that the kernel has not taken yet. */
size_t plx_conn_queued(const struct plx_conn *);

/* Whether it is on its way to its end: finished, aborted, or ended by the peer. */
bool plx_conn_ended(const struct plx_conn *);

/* A name for a connection that may have ended: slot and generation, never a descriptor. */
struct plx_conn_ref {
    uint32_t slot, generation;
};
struct plx_conn_ref plx_conn_ref(const struct plx_conn *);

/*
 * Runs fn(conn, arg) on the loop's thread soon; `conn` is NULL if it has ended meanwhile.
 * Any thread. -EOPNOTSUPP where the model has no PLX_CAP_POST (a thread that sits in recv(2)
 * cannot be reached), -ENOMEM.
 */
int plx_conn_post(struct plx_loop *, struct plx_conn_ref, void (*fn)(struct plx_conn *, void *arg),
                  void *arg);

#endif
