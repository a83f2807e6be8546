/* SPDX-License-Identifier: MIT */
/*
 * A server: one or more listening sockets, N worker threads with a loop each, one handler.
 * Its functions may be called from any one thread that is not a worker.
 */
#ifndef POLLUX_SERVER_H
#define POLLUX_SERVER_H

#include <pollux/addr.h>
#include <pollux/conn.h>
#include <pollux/loop.h>

struct plx_server;

/* How workers share a listening address. */
enum plx_accept {
    PLX_ACCEPT_SHARED,    /* one socket, every worker waits for it */
    PLX_ACCEPT_EXCLUSIVE, /* one socket, the kernel wakes one worker (EPOLLEXCLUSIVE) */
    PLX_ACCEPT_REUSEPORT  /* a socket per worker, the kernel spreads connections (SO_REUSEPORT) */
};

struct plx_server_config {
    struct plx_loop_config loop;
    const struct plx_handler *handler; /* not copied: must outlive the server */
    const char *const *listen;         /* addresses as plx_addr_parse() reads them; port 0 = any */
    size_t nlisten;                    /* 1 to 64 */
    unsigned workers;                  /* 1 to 1024 [1] */
    enum plx_accept accept;
    int backlog;             /* 1 to 65535 [511]; the kernel caps it at net.core.somaxconn */
    int64_t max_connections; /* at once, all workers together [10 000]; beyond it a new connection
                              * is closed at once and counted as refused */
    int64_t max_per_ip;      /* per peer address [PLX_OFF] */
    /* Each worker that plx_server_start() starts has a table of descriptors of its own (unshare(2),
     * CLONE_FILES; Linux), as it was at that moment. The limit on descriptors (RLIMIT_NOFILE, which
     * is one of a table) then holds for a worker's share of the connections, and workers do not
     * contend for the table. What another thread opens or closes afterwards, a handler does not
     * see, and the reverse. -EINVAL where connections have threads or processes of their own, or
     * the C library's threads do the work. */
    bool own_descriptors;
    /* Called once, on the last worker's thread as it ends (after drain, stop or failure); may be
     * NULL. Its usual body is plx_loop_stop() of a control loop. */
    void (*on_end)(void *arg);
    void *on_end_arg;
};

/*
 * Binds and listens, opens the workers' loops; nothing is accepted before plx_server_start().
 * The configuration is copied. On failure nothing is left behind and `why` names the thing:
 *   -EINVAL      a field is out of range, or the model has no such --accept
 *   -EADDRINUSE -EADDRNOTAVAIL -EACCES -ENAMETOOLONG -EEXIST (a unix path that exists)  listen
 *   -ENOSYS ...  the model cannot run here, as plx_loop_open()
 */
int plx_server_open(const struct plx_server_config *, struct plx_server **out, struct plx_why *);

/* Starts the worker threads. 0, -EALREADY, or -errno (pthread_create(3)). */
int plx_server_start(struct plx_server *);

/*
 * Instead of plx_server_start(), with one worker: runs it on the calling thread, until it has ended
 * after plx_server_drain() or plx_server_stop(). These may then be called from callbacks of that
 * loop too. If it is the only thread of the process, each system call of it costs less: the kernel
 * need not protect the table of descriptors against others (fdget() in fs/file.c of Linux).
 * 0; -EINVAL with several workers; -EALREADY; or -errno, when the model failed.
 */
int plx_server_run(struct plx_server *);

/* A worker's loop (0-based), for signals and timers of the server's own; NULL past the last. To be
 * used on the worker's thread, or before it runs; the server owns it. */
struct plx_loop *plx_server_loop(const struct plx_server *, unsigned worker);

/* Stops listening at once and lets every connection end politely, see plx_loop_drain(). */
void plx_server_drain(struct plx_server *);

/* Ends everything at once. */
void plx_server_stop(struct plx_server *);

/*
 * Waits until the workers have ended (after drain or stop), at most `timeout_ns` (< 0 = for ever).
 * 0, or -ETIMEDOUT; -errno when a worker's model failed.
 */
int plx_server_wait(struct plx_server *, int64_t timeout_ns);

/* Stops if need be, frees, removes unix socket paths it made. NULL is allowed. */
void plx_server_close(struct plx_server *);

/* The bound address of listener `i` (with the port that 0 became); -ENOENT past the last. */
int plx_server_address(const struct plx_server *, size_t i, struct plx_addr *out);

/* The effective backlog: min(asked, net.core.somaxconn). */
int plx_server_backlog(const struct plx_server *);

const struct plx_model *plx_server_model(const struct plx_server *);

/* Sum over the workers; or one worker's (0-based), -ENOENT past the last. */
void plx_server_stats(const struct plx_server *, struct plx_stats *out);
int plx_server_worker_stats(const struct plx_server *, unsigned worker, struct plx_stats *out);

#endif
