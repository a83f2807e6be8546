/* SPDX-License-Identifier: MIT */
/*
 * A server: listening sockets, a loop and a thread per worker, and one group that counts for all.
 *
 * Everything that can fail is done in plx_server_open(), on the caller's thread, so that a server
 * either starts or leaves nothing behind. The loops are opened there too and handed to the workers;
 * an engine that cares (io_uring's single issuer) binds itself to the thread of its first turn.
 */
#include "core/core.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LISTEN_MOST 64

struct worker {
    struct plx_server *server;
    struct plx_loop *loop;
    pthread_t thread;
    bool started;
    int rc;
};

struct plx_server {
    struct plx__group group;
    const struct plx_handler *handler;
    enum plx_accept accept;
    struct plx_addr *addrs; /* bound */
    size_t naddrs;
    struct plx__listen_socket *sockets; /* naddrs, or naddrs for each worker with reuseport */
    size_t nsockets;
    struct worker *workers;
    unsigned nworkers;
    int backlog;
    void (*on_end)(void *);
    void *on_end_arg;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    unsigned running;
    bool started;
};

/* The kernel's cap on the backlog; where it does not say, what was asked stands. */
static int effective_backlog(int asked)
{
    int most = asked;
    FILE *f = fopen("/proc/sys/net/core/somaxconn", "re");
    if (f) {
        if (fscanf(f, "%d", &most) != 1)
            most = asked;
        fclose(f);
    }
    return asked < most ? asked : most;
}

static int out_of_range(struct plx_why *why, const char *what, long long value, long long most)
{
    plx__why(why, "choose a value in the range", "%s: %lld is not in 1 to %lld", what, value, most);
    return -EINVAL;
}

static int check(const struct plx_server_config *cfg, struct plx_why *why)
{
    if (!cfg->handler || cfg->nlisten < 1 || cfg->nlisten > LISTEN_MOST) {
        plx__why(why, "", "a server needs a handler and 1 to %d addresses", LISTEN_MOST);
        return -EINVAL;
    }
    if (cfg->accept > PLX_ACCEPT_REUSEPORT) {
        plx__why(why, "use shared, exclusive or reuseport", "unknown accept mode %d", cfg->accept);
        return -EINVAL;
    }
    if (cfg->workers > 1024)
        return out_of_range(why, "workers", cfg->workers, 1024);
    if (cfg->backlog < 0 || cfg->backlog > 65535)
        return out_of_range(why, "backlog", cfg->backlog, 65535);
    if (cfg->max_connections < PLX_OFF)
        return out_of_range(why, "max connections", cfg->max_connections, INT64_MAX);
    if (cfg->max_per_ip < PLX_OFF)
        return out_of_range(why, "max connections per address", cfg->max_per_ip, INT64_MAX);
    return 0;
}

static int check_accept(const struct plx_model *m, enum plx_accept accept, unsigned workers,
                        struct plx_why *why)
{
    if (accept == PLX_ACCEPT_EXCLUSIVE && !(m->caps & PLX_CAP_EXCLUSIVE)) {
        plx__why(why, "use accept mode shared or reuseport, or model epoll",
                 "model %s has no exclusive accept", m->name);
        return -EINVAL;
    }
    if (accept == PLX_ACCEPT_SHARED && workers > 1 && !(m->caps & PLX_CAP_SHARED)) {
        plx__why(why, "use accept mode reuseport, or one worker",
                 "model %s cannot share a listening socket among workers", m->name);
        return -EINVAL;
    }
    return 0;
}

/* ---- listening sockets ---- */

static int listen_one(struct plx_server *s, const struct plx_addr *a, bool blocking,
                      struct plx_addr *bound, struct plx_why *why)
{
    bool reuse = s->accept == PLX_ACCEPT_REUSEPORT && a->sa.sa_family != AF_UNIX;
    int fd = plx__socket_listen(a, reuse, s->backlog, blocking, why);
    if (fd < 0)
        return fd;
    s->sockets[s->nsockets].fd = fd;
    atomic_init(&s->sockets[s->nsockets].refs, 0);
    s->nsockets++;
    bound->len = sizeof(*bound) - offsetof(struct plx_addr, sa);
    if (plx__sys_getsockname(fd, &bound->sa, &bound->len) == 0)
        return 0;
    int err = errno;
    if (a->sa.sa_family == AF_UNIX) /* it is not among the addresses that a close removes */
        (void)unlink(a->un.sun_path);
    plx__why(why, "", "getsockname: %s", plx_error_text(err));
    return -err;
}

static int listen_all(struct plx_server *s, const struct plx_server_config *cfg, bool blocking,
                      struct plx_why *why)
{
    size_t each = s->accept == PLX_ACCEPT_REUSEPORT ? s->nworkers : 1;
    s->sockets = plx__sys_calloc(cfg->nlisten * each, sizeof(*s->sockets));
    s->addrs = plx__sys_calloc(cfg->nlisten, sizeof(*s->addrs));
    if (!s->sockets || !s->addrs)
        return -ENOMEM;
    s->group.sockets = s->sockets;
    for (size_t i = 0; i < cfg->nlisten; i++) {
        struct plx_addr a;
        int rc = plx_addr_parse(cfg->listen[i], &a, 1, why);
        if (rc < 0)
            return rc;
        if (a.sa.sa_family == AF_UNIX && each > 1) {
            plx__why(why, "use accept mode shared", "%s: a unix socket has no SO_REUSEPORT",
                     cfg->listen[i]);
            return -EINVAL;
        }
        rc = listen_one(s, &a, blocking, &s->addrs[i], why);
        if (rc < 0)
            return rc;
        s->naddrs++;
        for (size_t k = 1; k < each; k++) {
            struct plx_addr same;
            rc = listen_one(s, &s->addrs[i], blocking, &same, why);
            if (rc < 0)
                return rc;
        }
    }
    s->group.nsockets = s->nsockets;
    return 0;
}

/* The sockets are laid out address by address, a worker's own copies side by side. */
static int give_listeners(struct plx_server *s, unsigned w)
{
    size_t each = s->accept == PLX_ACCEPT_REUSEPORT ? s->nworkers : 1;
    for (size_t i = 0; i < s->naddrs; i++) {
        int rc = plx__listener_add(s->workers[w].loop, &s->sockets[i * each + (each > 1 ? w : 0)],
                                   s->handler, s->accept == PLX_ACCEPT_EXCLUSIVE);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* ---- opening ---- */

static int open_workers(struct plx_server *s, const struct plx_server_config *cfg,
                        struct plx_why *why)
{
    struct plx_loop_config one = cfg->loop;
    for (unsigned w = 0; w < s->nworkers; w++) {
        s->workers[w].server = s;
        int rc = plx_loop_open(&one, &s->workers[w].loop, why);
        if (rc < 0)
            return rc;
        s->workers[w].loop->group = &s->group;
        one.model = plx_loop_model(s->workers[w].loop)->name; /* all workers take the same */
    }
    return 0;
}

static int check_descriptors(const struct plx_server_config *cfg, const struct plx_model *m,
                             struct plx_why *why)
{
    if (cfg->own_descriptors && !plx__row(m)->engine->alone) {
        plx__why(why, "use a model in which a worker's thread does all: epoll, io_uring",
                 "model %s shares a worker's descriptors with other threads or processes", m->name);
        return -EINVAL;
    }
#ifndef CLONE_FILES
    if (cfg->own_descriptors) {
        plx__why(why, "", "a thread cannot have descriptors of its own on this system");
        return -ENOSYS;
    }
#endif
    return 0;
}

static int set_up(struct plx_server *s, const struct plx_server_config *cfg, struct plx_why *why)
{
    s->handler = cfg->handler;
    s->accept = cfg->accept;
    s->nworkers = cfg->workers ? cfg->workers : 1;
    s->backlog = cfg->backlog ? cfg->backlog : 511;
    s->group.max_connections = cfg->max_connections ? cfg->max_connections : 10000;
    s->group.max_per_ip = cfg->max_per_ip ? cfg->max_per_ip : PLX_OFF;
    s->group.own_descriptors = cfg->own_descriptors;
    s->on_end = cfg->on_end;
    s->on_end_arg = cfg->on_end_arg;
    s->workers = plx__sys_calloc(s->nworkers, sizeof(*s->workers));
    if (!s->workers)
        return -ENOMEM;
    int rc = open_workers(s, cfg, why);
    if (rc < 0)
        return rc;
    const struct plx_model *m = plx_server_model(s);
    rc = check_accept(m, s->accept, s->nworkers, why);
    if (rc == 0)
        rc = check_descriptors(cfg, m, why);
    if (rc < 0)
        return rc;
    rc = listen_all(s, cfg, plx__row(m)->engine->blocking_listener, why);
    for (unsigned w = 0; rc >= 0 && w < s->nworkers; w++) {
        rc = give_listeners(s, w);
        if (rc < 0)
            plx__why(why, "", "model %s cannot wait for a listening socket: %s", m->name,
                     plx_error_text(rc));
    }
    return rc;
}

int plx_server_open(const struct plx_server_config *cfg, struct plx_server **out,
                    struct plx_why *why)
{
    int rc = check(cfg, why);
    if (rc < 0)
        return rc;
    plx__why(why, "", "no memory for a server");
    struct plx_server *s = plx__sys_calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    rc = plx__group_init(&s->group);
    if (rc < 0) {
        free(s);
        return rc;
    }
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->ended, &attr);
    pthread_condattr_destroy(&attr);
    rc = set_up(s, cfg, why);
    if (rc < 0) {
        plx_server_close(s);
        return rc;
    }
    *out = s;
    return 0;
}

/* ---- running ---- */

static void run_worker(struct worker *w)
{
    struct plx_server *s = w->server;
    plx__listeners_prepare(w->loop);
    w->rc = plx_loop_run(w->loop);
    /* Connections end on the thread they ran on; the loop itself is closed with the server, so
     * that its counters can still be read. */
    plx__loop_end(w->loop);
    pthread_mutex_lock(&s->lock);
    bool last = --s->running == 0;
    void (*on_end)(void *) = last ? s->on_end : NULL;
    void *on_end_arg = s->on_end_arg;
    pthread_cond_broadcast(&s->ended);
    pthread_mutex_unlock(&s->lock);
    if (on_end)
        on_end(on_end_arg); /* the server's memory lives until plx_server_close() joins us */
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    /* It fails for want of memory only; then the common table has to do. */
#ifdef CLONE_FILES
    if (w->server->group.own_descriptors)
        (void)unshare(CLONE_FILES);
#endif
    run_worker(w);
    return NULL;
}

int plx_server_start(struct plx_server *s)
{
    if (s->started)
        return -EALREADY;
    s->started = true;
    pthread_mutex_lock(&s->lock);
    int rc = 0;
    for (unsigned w = 0; w < s->nworkers && rc == 0; w++) {
        char name[32];
        snprintf(name, sizeof(name), "plx-worker-%u", w);
        rc = plx__thread_start(&s->workers[w].thread, 0, name, worker_main, &s->workers[w]);
        s->workers[w].started = rc == 0;
        s->running += rc == 0;
    }
    pthread_mutex_unlock(&s->lock);
    if (rc < 0)
        plx_server_stop(s);
    return rc;
}

int plx_server_run(struct plx_server *s)
{
    if (s->started)
        return -EALREADY;
    if (s->nworkers != 1)
        return -EINVAL;
    s->started = true;
    s->running = 1;
    run_worker(&s->workers[0]);
    return s->workers[0].rc;
}

/* A worker that serves one connection at a time closes its listener only after that one. Until
 * then nobody shall be left to wait in the queue of a server that is leaving. */
static void refuse_newcomers(struct plx_server *s)
{
    pthread_mutex_lock(&s->group.lock);
    for (size_t i = 0; i < s->nsockets; i++) {
        if (s->sockets[i].fd >= 0)
            (void)plx__sys_shutdown(s->sockets[i].fd, SHUT_RDWR);
    }
    pthread_mutex_unlock(&s->group.lock);
}

void plx_server_drain(struct plx_server *s)
{
    if (!(plx_server_model(s)->caps & PLX_CAP_CONCURRENT))
        refuse_newcomers(s);
    for (unsigned w = 0; w < s->nworkers; w++)
        plx_loop_drain(s->workers[w].loop);
}

void plx_server_stop(struct plx_server *s)
{
    for (unsigned w = 0; w < s->nworkers; w++)
        plx_loop_stop(s->workers[w].loop);
}

int plx_server_wait(struct plx_server *s, int64_t timeout_ns)
{
    struct timespec until;
    int64_t now = plx__clock();
    if (timeout_ns > INT64_MAX - now)
        timeout_ns = PLX_FOREVER;
    int64_t at = timeout_ns < 0 ? 0 : now + timeout_ns;
    until =
        (struct timespec){.tv_sec = (time_t)(at / PLX_SECOND), .tv_nsec = (long)(at % PLX_SECOND)};
    int err = 0;
    pthread_mutex_lock(&s->lock);
    while (s->running && err != ETIMEDOUT) {
        if (timeout_ns < 0)
            pthread_cond_wait(&s->ended, &s->lock);
        else
            err = pthread_cond_timedwait(&s->ended, &s->lock, &until);
    }
    int rc = s->running ? -ETIMEDOUT : 0;
    for (unsigned w = 0; rc == 0 && w < s->nworkers; w++)
        rc = s->workers[w].rc;
    pthread_mutex_unlock(&s->lock);
    return rc;
}

void plx_server_close(struct plx_server *s)
{
    if (!s)
        return;
    for (unsigned w = 0; s->workers && w < s->nworkers; w++) {
        struct worker *k = &s->workers[w];
        if (k->started) {
            plx_loop_stop(k->loop);
            pthread_join(k->thread, NULL);
        }
    }
    for (unsigned w = 0; s->workers && w < s->nworkers; w++)
        plx_loop_close(s->workers[w].loop);
    for (size_t i = 0; i < s->nsockets; i++) {
        if (s->sockets[i].fd >= 0)
            plx__sys_close(s->sockets[i].fd);
    }
    for (size_t i = 0; i < s->naddrs; i++) {
        if (s->addrs[i].sa.sa_family == AF_UNIX)
            (void)unlink(s->addrs[i].un.sun_path);
    }
    pthread_cond_destroy(&s->ended);
    pthread_mutex_destroy(&s->lock);
    plx__group_fini(&s->group);
    free(s->workers);
    free(s->sockets);
    free(s->addrs);
    free(s);
}

/* ---- asking ---- */

struct plx_loop *plx_server_loop(const struct plx_server *s, unsigned worker)
{
    return worker < s->nworkers ? s->workers[worker].loop : NULL;
}

int plx_server_address(const struct plx_server *s, size_t i, struct plx_addr *out)
{
    if (i >= s->naddrs)
        return -ENOENT;
    *out = s->addrs[i];
    return 0;
}

int plx_server_backlog(const struct plx_server *s)
{
    return effective_backlog(s->backlog);
}

const struct plx_model *plx_server_model(const struct plx_server *s)
{
    return plx_loop_model(s->workers[0].loop);
}

int plx_server_worker_stats(const struct plx_server *s, unsigned worker, struct plx_stats *out)
{
    if (worker >= s->nworkers)
        return -ENOENT;
    plx_loop_stats(s->workers[worker].loop, out);
    return 0;
}

void plx_server_stats(const struct plx_server *s, struct plx_stats *out)
{
    *out = (struct plx_stats){0};
    for (unsigned w = 0; w < s->nworkers; w++) {
        struct plx_stats one;
        plx_loop_stats(s->workers[w].loop, &one);
        plx_stats_add(out, &one);
    }
}
