/* SPDX-License-Identifier: MIT */
/* Outgoing connections, and a bounded pool that reuses them. On the loop's thread. */
#ifndef POLLUX_CLIENT_H
#define POLLUX_CLIENT_H

#include <pollux/addr.h>
#include <pollux/conn.h>
#include <pollux/loop.h>

/*
 * Begins a connection to `to`. on_open follows when it is established; if it cannot be, only
 * on_close follows, with the reason (-ECONNREFUSED, -ETIMEDOUT, ...). Where the system refuses at
 * once (a unix socket without a server) the call itself returns that error and nothing follows.
 * `state` (may be NULL) is copied into the connection's state, handler->state_size bytes. `*out`
 * may be NULL.
 *
 *   -EOPNOTSUPP  the model has no PLX_CAP_CONNECT, or the loop is that of one connection
 *   -ECANCELED   the loop is being closed
 *   -EMFILE -ENFILE -ENOBUFS -ENOMEM -EADDRNOTAVAIL -EAGAIN   as socket(2), connect(2)
 *
 * In the blocking models the call itself does not wait; the connection is served in the loop's
 * next turn (`blocking`) or by its own thread, and `*out` is NULL: it is not on this loop.
 */
int plx_connect(struct plx_loop *, const struct plx_addr *to, const struct plx_handler *,
                const void *state, struct plx_conn **out);

/*
 * The same from the source address `from`; NULL = the system chooses, and that is plx_connect().
 * Port 0 in `from` = any port. It is chosen at connect time, so that each pair of source and
 * destination has a range of ports of its own (Linux: ip_local_port_range, 28232 by default); where
 * the system cannot do that (ip(7), IP_BIND_ADDRESS_NO_PORT, is of Linux 4.2), a source has one
 * range for all its destinations. The wildcard 0.0.0.0 or [::] leaves the address to the system, so
 * that with a port only the port is chosen. Further errors, after which nothing follows:
 *
 *   -EINVAL         `from` is not of the family of `to`, or is multicast of IPv6; or it is a unix
 *                   address: a client's name would be a file that somebody has to remove after it
 *   -EADDRNOTAVAIL  `from` is not an address of this machine (broadcast and multicast of IPv4 are
 *                   none), or it has no free port to `to`
 *   -EADDRINUSE     the port of `from` is in use. After a connection that this side ended first
 *                   it is for a minute more (TIME_WAIT)
 *   -EACCES         the port of `from` is a privileged one
 */
int plx_connect_from(struct plx_loop *, const struct plx_addr *to, const struct plx_addr *from,
                     const struct plx_handler *, const void *state, struct plx_conn **out);

/* ---- a pool of connections to one address ---- */

struct plx_pool;

struct plx_pool_config {
    struct plx_addr to;
    unsigned max;      /* open at once, lent and idle together, 1 to 65536 [8] */
    unsigned max_wait; /* requests that may wait for one [1024] */
    int64_t idle_ns;   /* close what was idle for so long [60 s, PLX_OFF] */
};

/*
 * What the borrower of a pooled connection gets. As struct plx_handler, without on_open: the
 * connection is lent established, and comes back with plx_pool_put() or by its end.
 */
struct plx_pool_user {
    /* conn == NULL: none could be had, err = -errno. Called once per plx_pool_get(). */
    void (*on_lent)(struct plx_conn *conn, int err, void *arg);
    ssize_t (*on_data)(struct plx_conn *, const void *p, size_t n, void *arg);
    /* The connection ended while lent; it is the pool's business from here. */
    void (*on_lost)(struct plx_conn *, int err, void *arg);
};

/* -EINVAL -ENOMEM; -EOPNOTSUPP where connections do not live on the loop (no PLX_CAP_CONNECT or
 * PLX_CAP_POST). The pool must be closed before its loop. */
int plx_pool_open(struct plx_loop *, const struct plx_pool_config *, struct plx_pool **out);

/* Ends idle connections; lent ones end when they come back. Waiting requests get -ECANCELED. */
void plx_pool_close(struct plx_pool *);

/*
 * Asks for a connection: an idle one that is alive (most recently used first), else a new one,
 * else waits its turn. on_lent may be called before this returns. `user` must outlive the loan.
 * -EAGAIN  max_wait requests wait already.
 */
int plx_pool_get(struct plx_pool *, const struct plx_pool_user *user, void *arg);

/* Gives a lent connection back. reusable = false ends it instead (a broken exchange). */
void plx_pool_put(struct plx_pool *, struct plx_conn *, bool reusable);

struct plx_pool_stats {
    unsigned idle, lent, connecting, waiting;
    uint64_t opened, reused, lost;
};
void plx_pool_stats(const struct plx_pool *, struct plx_pool_stats *out);

#endif
