/* SPDX-License-Identifier: MIT */
/*
 * The blocking models: one thread sits in recv(2) for one connection. They differ in how accepted
 * connections are spread:
 *
 *     in place   the accepting thread serves it to its end, then accepts the next
 *     process    fork(2); the parent keeps a pipe whose end tells it that the child is gone
 *     thread     a thread per connection, joined when it is done
 *     pool       a fixed number of threads, and a bounded queue of connections that wait for one
 *
 * The accepting loop itself waits in poll(2), for listeners, wake-ups, watched descriptors and
 * children, and accepts without blocking: a connection may vanish between the two (UNP 16.6).
 */
#include "engine/blocking.h"
#include "selector/pollset.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define ACCEPT_BUDGET 64
/* How long to wait before asking again for what there was no memory for. */
#define SHORTAGE (20 * PLX_MSEC)

/* ---- in place ---- */

static int spread_here(struct plx_loop *l, const struct plx__socket *s)
{
    struct plx__spreader *sp = l->state;
    if (sp->nwaiting == sp->room)
        return -EBUSY;
    sp->waiting[(sp->head + sp->nwaiting++) % sp->room] = *s;
    return 0;
}

static int serve_waiting(struct plx_loop *l)
{
    struct plx__spreader *sp = l->state;
    int served = 0;
    while (sp->nwaiting) {
        pthread_mutex_lock(&sp->lock);
        sp->here.socket = sp->waiting[sp->head];
        sp->here.fd = sp->here.socket.fd;
        sp->head = (sp->head + 1) % sp->room;
        sp->nwaiting--;
        atomic_store(&sp->here.ending, 0);
        /* Told under the same lock, so that a drain that comes now is not missed. */
        if (atomic_load(&l->stop) || sp->closing)
            plx__blocking_end(&sp->here, PLX__AT_ONCE);
        else if (atomic_load(&l->drain))
            plx__blocking_end(&sp->here, PLX__POLITELY);
        pthread_mutex_unlock(&sp->lock);
        plx__blocking_serve(l, &sp->here);
        served++;
    }
    return served;
}

/* ---- the contract ---- */

static int adopt(struct plx_loop *l, const struct plx__socket *s, struct plx_conn **out)
{
    if (out)
        *out = NULL;
    if (l->limits.idle_ns > 0)
        plx__loop_deadline(l, l->now + l->limits.idle_ns); /* judge() */
    switch (l->row->spread) {
    case PLX__IN_PLACE: return spread_here(l, s);
    case PLX__PROCESS: return plx__spread_process(l, s);
    case PLX__THREAD: return plx__spread_thread(l, s);
    case PLX__POOL: return plx__spread_pool(l, s);
    }
    return -ENOSYS;
}

static void end(struct plx_loop *l, enum plx__end how)
{
    struct plx__spreader *sp = l->state;
    pthread_mutex_lock(&sp->lock);
    sp->draining |= how == PLX__POLITELY;
    if (sp->here.fd >= 0)
        plx__blocking_end(&sp->here, how);
    for (struct plx__worker *w = how == PLX__RETURN ? NULL : sp->live; w; w = w->next) {
        pthread_mutex_lock(&w->lock);
        if (w->pid > 0)
            plx__end_process(w, how);
        else if (w->task.fd >= 0)
            plx__blocking_end(&w->task, how);
        pthread_mutex_unlock(&w->lock);
    }
    pthread_mutex_unlock(&sp->lock);
}

static void interrupt(struct plx__worker *w)
{
    pthread_mutex_lock(&w->lock);
    if (w->pid > 0)
        kill(w->pid, SIGURG);
    else if (w->task.running)
        (void)pthread_kill(w->task.thread, SIGURG);
    pthread_mutex_unlock(&w->lock);
}

/* Interrupts the workers whose idle limit is over. When to look again; INT64_MAX = for nobody. */
static int64_t judge(struct plx_loop *l)
{
    struct plx__spreader *sp = l->state;
    int64_t next = INT64_MAX;
    if (l->limits.idle_ns <= 0)
        return next;
    pthread_mutex_lock(&sp->lock);
    for (struct plx__worker *w = sp->live; w; w = w->next) {
        if (l->row->spread == PLX__POOL && !w->busy)
            continue;
        int64_t due = atomic_load_explicit(&w->share->due, memory_order_relaxed);
        if (due && due <= l->now)
            interrupt(w);
        /* One who is at work now is not due before this. One who was just about to wait may have
         * missed the signal, and is looked at again soon. */
        else if (!due)
            due = l->now + l->limits.idle_ns;
        if (due < next)
            next = due;
    }
    pthread_mutex_unlock(&sp->lock);
    return next;
}

static void stats(const struct plx_loop *l, struct plx_stats *out)
{
    struct plx__spreader *sp = l->state;
    pthread_mutex_lock(&sp->lock);
    plx__stats_add(out, &sp->gone);
    for (const struct plx__worker *w = sp->live; w; w = w->next)
        plx__stats_add(out, &w->share->counters);
    pthread_mutex_unlock(&sp->lock);
}

static int open_spread(struct plx_loop *l, struct plx_why *why)
{
    struct plx__spreader *sp = l->state;
    sp->here.fd = -1;
    sp->here.lock = &sp->lock;
    int rc = plx__interrupt_take(why);
    if (rc < 0)
        return rc;
    rc = plx__wake_open(&sp->wake, false);
    if (rc < 0) {
        plx__why(why, "raise the limit on open files: ulimit -n", "pipe: %s", plx_error_text(rc));
        plx__interrupt_release();
        return rc;
    }
    pthread_mutex_init(&sp->lock, NULL);
    pthread_cond_init(&sp->work, NULL);
    if (l->row->spread == PLX__POOL)
        rc = plx__open_pool(l, why);
    else if (l->row->spread == PLX__PROCESS)
        rc = plx__open_processes(l, why);
    else if (l->row->spread == PLX__IN_PLACE) {
        sp->room = 64; /* outgoing connections begun while another is served */
        sp->waiting = plx__sys_calloc(sp->room, sizeof(*sp->waiting));
        rc = sp->waiting ? 0 : -ENOMEM;
    }
    if (rc < 0) {
        free(sp->waiting);
        plx__close_processes(sp);
        plx__wake_close(&sp->wake);
        plx__interrupt_release();
    }
    return rc;
}

static void halt(struct plx_loop *l)
{
    struct plx__spreader *sp = l->state;
    end(l, PLX__AT_ONCE);
    pthread_mutex_lock(&sp->lock);
    sp->closing = true;
    pthread_cond_broadcast(&sp->work);
    pthread_mutex_unlock(&sp->lock);
    if (l->row->spread == PLX__PROCESS)
        plx__end_processes(l);
    while (l->row->spread == PLX__THREAD && l->nconn) {
        plx__reap_threads(l); /* who ended before `closing` was set woke nobody */
        if (!l->nconn)
            break;
        struct pollfd p = {.fd = sp->wake.rd, .events = POLLIN};
        (void)plx__sys_poll(&p, 1, -1);
        plx__wake_clear(&sp->wake);
    }
    if (l->row->spread == PLX__POOL) {
        for (struct plx__worker *w = sp->live; w; w = w->next)
            pthread_join(w->thread, NULL);
    }
    if (l->row->spread == PLX__IN_PLACE)
        (void)serve_waiting(l);
}

static void close_spread(struct plx_loop *l)
{
    struct plx__spreader *sp = l->state;
    while (sp->live) { /* the pool's, which keep their counters until now */
        struct plx__worker *w = sp->live;
        sp->live = w->next;
        plx__worker_free(w);
    }
    plx__child_loops_free(sp);
    plx__close_processes(sp);
    free(sp->waiting);
    free(sp->fds);
    free(sp->who);
    pthread_cond_destroy(&sp->work);
    pthread_mutex_destroy(&sp->lock);
    plx__wake_close(&sp->wake);
    plx__interrupt_release();
}

/* ---- the accepting loop's wait ---- */

static bool add_fd(struct plx__spreader *sp, size_t *n, int fd, short events, void *who)
{
    if (*n == sp->fds_cap) {
        size_t cap = sp->fds_cap ? sp->fds_cap * 2 : 16;
        struct pollfd *fds = plx__sys_realloc(sp->fds, cap * sizeof(*fds));
        if (fds)
            sp->fds = fds;
        void **whose = fds ? plx__sys_realloc(sp->who, cap * sizeof(*whose)) : NULL;
        if (!whose)
            return false;
        sp->who = whose;
        sp->fds_cap = cap;
    }
    sp->fds[*n] = (struct pollfd){.fd = fd, .events = events};
    sp->who[(*n)++] = who;
    return true;
}

/* The set is made anew for each wait: it changes with every child, and a wait is an accept's price
 * here, not a message's. Without memory for all of it the first ones have to do, for a while.
 * Returns how many entries. */
static size_t fill(struct plx_loop *l, bool *all)
{
    struct plx__spreader *sp = l->state;
    size_t n = 0;
    bool room = add_fd(sp, &n, sp->wake.rd, POLLIN, &sp->wake);
    for (struct plx__listener *ls = l->listeners; ls && room; ls = ls->next) {
        if (ls->active)
            room = add_fd(sp, &n, ls->socket->fd, POLLIN, ls);
    }
    for (struct plx_watch *w = l->watches; w && room; w = w->next) {
        if (w->events)
            room = add_fd(sp, &n, w->fd, plx__pollset_asked(w->events), w);
    }
    if (l->row->spread == PLX__PROCESS) {
        for (struct plx__worker *w = sp->live; w && room; w = w->next)
            room = add_fd(sp, &n, w->life, POLLIN, w);
    }
    *all = room;
    return n;
}

static void on_watch(struct plx_watch *w, short revents)
{
    if (!w->stopped && w->events)
        w->fn(w->fd, plx__pollset_answer(w->events, revents), w->arg);
}

static void dispatch(struct plx_loop *l, size_t i)
{
    struct plx__spreader *sp = l->state;
    void *who = sp->who[i];
    if (sp->fds[i].fd == sp->wake.rd) {
        plx__wake_clear(&sp->wake);
        return;
    }
    for (struct plx__listener *ls = l->listeners; ls; ls = ls->next) {
        if (ls == who) {
            if (ls->active)
                (void)plx__accept_batch(ls, l->row->spread == PLX__IN_PLACE ? 1 : ACCEPT_BUDGET);
            return;
        }
    }
    for (struct plx__worker *w = l->row->spread == PLX__PROCESS ? sp->live : NULL; w; w = w->next) {
        if (w == who) {
            plx__reap_process(l, w);
            return;
        }
    }
    on_watch(who, sp->fds[i].revents); /* stopped ones stay in memory until the turn's end */
}

static int turn(struct plx_loop *l, int64_t timeout_ns)
{
    struct plx__spreader *sp = l->state;
    bool all;
    size_t n = fill(l, &all);
    if (l->row->spread == PLX__POOL && l->draining)
        plx__count_pool(l); /* before a wait that a signal may end */
    if (l->row->spread == PLX__IN_PLACE && sp->nwaiting)
        timeout_ns = 0;
    else if (!all && (timeout_ns < 0 || timeout_ns > SHORTAGE))
        timeout_ns = SHORTAGE;
    struct timespec ts = {.tv_sec = (time_t)(timeout_ns / PLX_SECOND),
                          .tv_nsec = (long)(timeout_ns % PLX_SECOND)};
    int ready = plx__sys_ppoll(sp->fds, (nfds_t)n, timeout_ns < 0 ? NULL : &ts, NULL);
    int err = errno;
    plx__loop_waited(l, timeout_ns);
    PLX__COUNT(l, calls_wait, 1);
    if (ready < 0 && err != EINTR) /* no memory; or more entries than RLIMIT_NOFILE allows by now */
        plx__nap(SHORTAGE);        /* the threads serve on; to try at full speed helps nobody */
    if (ready < 0)
        return err == EINTR ? -EINTR : 0;
    if (ready > 0)
        PLX__COUNT(l, wakeups, 1);
    int left = ready;
    for (size_t i = 0; i < n && left > 0; i++) {
        if (sp->fds[i].revents) {
            left--;
            dispatch(l, i);
        }
    }
    if (l->row->spread == PLX__THREAD)
        plx__reap_threads(l);
    else if (l->row->spread == PLX__POOL && l->draining)
        plx__count_pool(l);
    else if (l->row->spread == PLX__IN_PLACE)
        ready += serve_waiting(l);
    return ready;
}

/* Listeners and watches are read off the loop's lists at each wait. */
static int listen_on(struct plx_loop *l, struct plx__listener *ls)
{
    (void)l;
    return ls->exclusive ? -EOPNOTSUPP : 0;
}

static void unlisten(struct plx_loop *l, struct plx__listener *ls)
{
    (void)l;
    (void)ls;
}

static int watch(struct plx_loop *l, struct plx_watch *w, unsigned old, unsigned now)
{
    (void)l;
    (void)old;
    return now && plx__sys_fcntl(w->fd, F_GETFD, 0) < 0 ? -errno : 0;
}

/* A connection here is looked after by the thread that serves it. */
static void glance(struct plx_loop *l, struct plx_conn *c)
{
    (void)l;
    (void)c;
}

static void settle(struct plx_loop *l, struct plx_conn *c)
{
    (void)l;
    (void)c;
}

static void wake(struct plx_loop *l)
{
    struct plx__spreader *sp = l->state;
    if (!l->parent) /* the thread of one connection cannot be woken; its loop has no state */
        plx__wake_signal(&sp->wake);
}

/* Blocking calls and threads are everywhere; what can be missing is a thread or a process more. */
static int probe(const struct plx_model *m, struct plx_why *why)
{
    if (plx__row(m)->spread != PLX__PROCESS)
        return 0;
    long most = sysconf(_SC_CHILD_MAX);
    if (most == 0) {
        plx__why(why, "raise the limit on processes: ulimit -u", "no process may be forked");
        return -EAGAIN;
    }
    return 0;
}

const struct plx__engine_ops plx__blocking_engine = {
    .name = "blocking",
    .state_size = sizeof(struct plx__spreader),
    .blocking_fds = true,
    .probe = probe,
    .open = open_spread,
    .listen = listen_on,
    .unlisten = unlisten,
    .adopt = adopt,
    .glance = glance,
    .settle = settle,
    .watch = watch,
    .judge = judge,
    .turn = turn,
    .wake = wake,
    .end = end,
    .stats = stats,
    .halt = halt,
    .close = close_spread,
};
