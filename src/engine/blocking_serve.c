/* SPDX-License-Identifier: MIT */
/*
 * What a thread does with one connection when it may block in it: recv, handler, send, again.
 *
 * Both phases of an input happen in recv(2): it waits for the data and copies them. The idle limit
 * is watched over by the accepting loop, which interrupts the recv; in place there is none, and
 * SO_RCVTIMEO bounds it, as it does for timers of the connection's own. SO_SNDTIMEO is the write
 * limit, which also bounds the deadlock with a client that sends without ever reading while we
 * answer without ever reading. Timeouts are set only when they change: an ordinary message costs
 * one recv and one send.
 *
 * A thread in recv cannot be posted to; how it is made to end, see blocking.h.
 */
#include "engine/blocking.h"

#include "core/trace.h"
#include "engine/send.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <time.h>

/* Below this the kernel's timer wheel is late by a tick only (63 of 4 ms). */
#define WHEEL_EXACT (250 * PLX_MSEC)

static pthread_mutex_t interrupt_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned interrupt_users;
static struct sigaction interrupt_former;

static void on_interrupt(int signo)
{
    (void)signo; /* that it came is all: the system call answers EINTR */
}

int plx__interrupt_take(struct plx_why *why)
{
    int rc = 0;
    pthread_mutex_lock(&interrupt_lock);
    if (!interrupt_users) {
        struct sigaction ours = {.sa_handler = on_interrupt}; /* no SA_RESTART */
        sigaction(SIGURG, NULL, &interrupt_former);
        if (interrupt_former.sa_handler != SIG_DFL && interrupt_former.sa_handler != SIG_IGN)
            rc = -EBUSY;
        else if (sigaction(SIGURG, &ours, NULL) < 0)
            rc = -errno;
    }
    if (rc == 0)
        interrupt_users++;
    pthread_mutex_unlock(&interrupt_lock);
    if (rc < 0)
        plx__why(why, "leave SIGURG to the library, or choose another model",
                 "SIGURG, which interrupts a thread in recv, has a handler already");
    return rc;
}

void plx__interrupt_release(void)
{
    pthread_mutex_lock(&interrupt_lock);
    if (--interrupt_users == 0)
        (void)sigaction(SIGURG, &interrupt_former, NULL);
    pthread_mutex_unlock(&interrupt_lock);
}

void plx__blocking_mark(struct plx__task *t, enum plx__end how)
{
    int now = 1 + (int)how, was = atomic_load(&t->ending);
    if (t->fd >= 0 && how == PLX__POLITELY && was < now)
        (void)plx__socket_blocking(t->fd, false); /* before `ending`: who sees that undoes this */
    while (was < now && !atomic_compare_exchange_weak(&t->ending, &was, now)) {
    }
    if (t->fd >= 0 && how != PLX__POLITELY)
        (void)plx__sys_shutdown(t->fd, SHUT_RDWR);
}

void plx__blocking_end(struct plx__task *t, enum plx__end how)
{
    plx__blocking_mark(t, how);
    if (t->running)
        (void)pthread_kill(t->thread, SIGURG);
}

static int ending(const struct plx__task *t)
{
    return atomic_load_explicit(&t->ending, memory_order_acquire);
}

/* An error that we brought about by shutting the socket down is none of the peer's. */
static int cause(const struct plx__task *t, int err)
{
    return ending(t) > 1 + (int)PLX__POLITELY ? -ECANCELED : -err;
}

/* The connection is to end: takes note once. */
static void note_ending(struct plx__task *t, struct plx_conn *c)
{
    int how = ending(t);
    if (how > 1 + (int)PLX__POLITELY) {
        plx__conn_fail(c, -ECANCELED);
    } else if (how && !(c->flags & PLX__F_DRAINING)) {
        c->flags |= PLX__F_DRAINING;
        c->loop->drain_since = c->loop->now;
        (void)plx__socket_blocking(c->fd, true); /* undoes what woke us; writes may block again */
    }
}

static int set_timeout(struct plx_loop *l, int fd, int option, int64_t ns)
{
    /* 0 means for ever to the kernel, and less than a microsecond would become 0. */
    struct timeval tv = {.tv_sec = (time_t)(ns / PLX_SECOND),
                         .tv_usec = (suseconds_t)(ns % PLX_SECOND / 1000)};
    if (ns > 0 && ns < 1000)
        tv.tv_usec = 1;
    PLX__COUNT(l, calls_other, 1);
    return plx__sys_setsockopt(fd, SOL_SOCKET, option, &tv, sizeof(tv));
}

/* A socket's timeouts are kept in the kernel's timer wheel, which is never early and late by up to
 * an eighth (Linux, kernel/time/timer.c): that is no absence of the process, see
 * plx__loop_waited(). */
static int64_t with_lateness(int64_t ns)
{
    return ns + ns / 8;
}

/* A send that was not taken whole, or failed. */
__attribute__((noinline, cold)) static void send_again(struct plx_loop *l, struct plx__task *t,
                                                       struct plx_conn *c, ssize_t n)
{
    int err = n < 0 ? errno : 0;
    if (err == EINTR)
        return;
    plx__loop_waited(l,
                     l->limits.write_ns > 0 ? with_lateness(l->limits.write_ns / 4) : PLX_FOREVER);
    if (err == EAGAIN || err == ENOBUFS) {
        PLX__COUNT(l, eagain, 1);
        note_ending(t, c);        /* the socket may be non-blocking for that reason */
        (void)plx__conn_judge(c); /* SO_SNDTIMEO: nothing was taken for so long */
        return;
    }
    plx__conn_sent(c, err ? cause(t, err) : n);
}

PLX__HOT static void send_all(struct plx_loop *l, struct plx__task *t, struct plx_conn *c)
{
    do {
        struct plx__sending s = plx__send_once(c, MSG_NOSIGNAL);
        if (plx__sent_whole(s))
            plx__conn_sent(c, s.took);
        else
            send_again(l, t, c, s.took);
        /* A generator fills its queue again from on_drain. Between two rounds the peer's input,
         * its end above all, gets its turn. */
        if (!c->out_bytes || (c->flags & PLX__F_RESUME))
            return;
        plx__loop_worked(l); /* as a rule it waited for nobody, so the clock is hardly asked */
    } while (plx__conn_want(c) & PLX__WANT_WRITE);
}

/* The time recv may take: until a limit or a timer. INT64_MAX = for ever. */
static int64_t patience(struct plx_loop *l, struct plx_conn *c)
{
    int64_t at = plx__conn_judge(c);
    int64_t timer = plx__loop_next_timer(l);
    if (timer < at)
        at = timer;
    return at == INT64_MAX ? at : at > l->now ? at - l->now : 1;
}

/*
 * Sets SO_RCVTIMEO when it would be late by more than an eighth, or is needlessly short. Of a long
 * wait it is eight ninths: with the kernel's lateness that is the whole, and what may be left is
 * waited for separately. So a limit of minutes is not late by many seconds.
 */
static void set_patience(struct plx_loop *l, struct plx_conn *c, int64_t wait, int64_t *set)
{
    if (wait == INT64_MAX ? *set == wait : *set >= wait / 2 && *set - wait <= wait / 8)
        return;
    if (wait != INT64_MAX && wait > WHEEL_EXACT)
        wait -= wait / 9;
    if (set_timeout(l, c->fd, SO_RCVTIMEO, wait == INT64_MAX ? 0 : wait) == 0)
        *set = wait;
}

/* Waits at most `wait`, 0 = not at all; `due` = when the accepting loop is to interrupt it, 0 = the
 * socket has a timeout itself. */
PLX__HOT static void receive(struct plx_loop *l, struct plx__task *t, struct plx_conn *c,
                             int64_t wait, int64_t due)
{
    if (due)
        atomic_store_explicit(t->due, due, memory_order_relaxed);
    ssize_t n = plx__sys_recv(c->fd, l->inbuf, PLX__INBUF, wait ? 0 : MSG_DONTWAIT);
    PLX__COUNT(l, calls_recv, 1);
    if (due) {
        atomic_store_explicit(t->due, 0, memory_order_relaxed);
        /* What came while the process was stopped is read before the limit is judged. */
        if (__builtin_expect(n < 0 && errno == EINTR, 0)) {
            n = plx__sys_recv(c->fd, l->inbuf, PLX__INBUF, MSG_DONTWAIT);
            PLX__COUNT(l, calls_recv, 1);
        }
    }
    int err = n < 0 ? errno : 0;
    plx__loop_waited(l, wait == INT64_MAX ? PLX_FOREVER : with_lateness(wait));
    if (err == EINTR)
        return;
    if (err == EAGAIN) {
        PLX__COUNT(l, eagain, 1);
        if (!wait)
            plx__conn_quiet(c);
        return;
    }
    plx__conn_received(c, l->inbuf, err ? cause(t, err) : n);
    if (plx__conn_want(c) & PLX__WANT_WRITE)
        send_all(l, t, c);
    plx__conn_release(c);
}

/* Nothing to read or write: the handler paused, and waits for a timer or forgot to resume. No event
 * reaches a paused thread but the interrupt, so it looks now and then. */
static void idle(struct plx_loop *l, int64_t wait)
{
    const int64_t most = 50 * PLX_MSEC;
    plx__nap(wait < most ? wait : most);
    plx__loop_update(l);
}

static void await_connect(struct plx_loop *l, struct plx_conn *c, int64_t wait)
{
    struct pollfd p = {.fd = c->fd, .events = POLLOUT};
    struct timespec ts = {.tv_sec = (time_t)(wait / PLX_SECOND),
                          .tv_nsec = (long)(wait % PLX_SECOND)};
    int n = plx__sys_ppoll(&p, 1, wait == INT64_MAX ? NULL : &ts, NULL);
    PLX__COUNT(l, calls_wait, 1);
    plx__loop_update(l);
    int err = n > 0 ? plx__socket_connected(c->fd) : EINPROGRESS;
    if (err == EINPROGRESS)
        return;
    if (!err)
        err = -plx__socket_blocking(c->fd, true);
    plx__conn_connected(c, err);
}

/* Right after an ordinary message: nothing to do but to wait for the next, as long as before.
 * `timed`: the socket has a timeout. */
static bool usual(const struct plx_loop *l, const struct plx__task *t, const struct plx_conn *c,
                  bool timed)
{
    return c->phase == PLX__OPEN && plx__conn_want(c) == PLX__WANT_READ &&
           c->moved_ms == l->now_ms && !(c->flags & (PLX__F_DRAINING | PLX__F_RESUME)) &&
           !c->jobs && timed == (l->limits.idle_ns > 0 && !t->due) && !l->ntimers &&
           !plx__offload_due(&l->jobs) &&
           !atomic_load_explicit(&l->has_posted, memory_order_acquire) && !ending(t);
}

/* Waits for input at most `wait`, for ever = INT64_MAX. */
static void await_input(struct plx_loop *l, struct plx__task *t, struct plx_conn *c, int64_t wait,
                        int64_t *rcv_timeout)
{
    int64_t due = 0;
    /* The idle limit is the accepting loop's affair; it knows of nothing else. */
    if (t->due && c->phase == PLX__OPEN && !l->ntimers && wait != INT64_MAX) {
        due = l->now + wait;
        wait = INT64_MAX;
    }
    set_patience(l, c, wait, rcv_timeout);
    receive(l, t, c, *rcv_timeout, due);
}

PLX__HOT static void serve(struct plx_loop *l, struct plx__task *t, struct plx_conn *c)
{
    int64_t rcv_timeout = INT64_MAX;
    int64_t idle_limit =
        t->due && l->limits.idle_ns > 0 ? l->limits.idle_ns + PLX__LIMIT_MARGIN : 0;
    if (l->limits.write_ns > 0)
        (void)set_timeout(l, c->fd, SO_SNDTIMEO, l->limits.write_ns / 4 + PLX_MSEC);
    for (;;) {
        plx__loop_worked(l);
        if (__builtin_expect(usual(l, t, c, rcv_timeout != INT64_MAX), 1)) {
            receive(l, t, c, rcv_timeout, idle_limit ? l->now + idle_limit : 0);
            continue;
        }
        plx__loop_chores(l);
        plx__conn_pump(c);
        plx__loop_worked(l);
        note_ending(t, c);
        int64_t wait = patience(l, c);
        if (plx__offload_due(&l->jobs)) /* more came of what ran just now */
            wait = 0;
        unsigned want = plx__conn_want(c);
        if (want & PLX__WANT_RETIRE)
            return;
        if (want & PLX__WANT_CONNECT) {
            await_connect(l, c, wait);
            continue;
        }
        if (want & PLX__WANT_WRITE) {
            send_all(l, t, c);
            if (plx__conn_want(c) & PLX__WANT_READ)
                receive(l, t, c, 0, 0);
            continue;
        }
        if (want & PLX__WANT_FIN) {
            (void)plx__sys_shutdown(c->fd, SHUT_WR);
            PLX__COUNT(l, calls_other, 1);
            plx__conn_fin_sent(c);
            continue;
        }
        if (want & PLX__WANT_READ) {
            if (!wait || (c->phase == PLX__OPEN && (c->flags & PLX__F_DRAINING)))
                receive(l, t, c, 0, 0);
            else
                await_input(l, t, c, wait, &rcv_timeout);
        } else {
            idle(l, wait);
        }
    }
}

PLX__HOT void plx__blocking_serve(struct plx_loop *l, struct plx__task *t)
{
    sigset_t urgent;
    sigemptyset(&urgent);
    sigaddset(&urgent, SIGURG);
    pthread_sigmask(SIG_UNBLOCK, &urgent, NULL);
    pthread_mutex_lock(t->lock);
    t->thread = pthread_self();
    t->running = true;
    pthread_mutex_unlock(t->lock);
    plx__loop_update(l);
    plx__trace_leave(); /* in a forked child the thread is another one */
    plx__trace_enter(l);
    struct plx_conn *c = plx__conn_new(l, &t->socket);
    if (c) {
        plx__conn_opened(c);
        serve(l, t, c);
    }
    pthread_mutex_lock(t->lock);
    t->fd = -1; /* from here on the number may belong to somebody else */
    t->running = false;
    pthread_mutex_unlock(t->lock);
    if (c)
        plx__conn_retire(c);
    else
        plx__socket_lost(l, l->counters, &t->socket, -ENOMEM);
    while (plx__offload_due(&l->jobs))
        plx__offload_run(l); /* what it left is told that it has gone */
    plx__loop_tidy(l);
}
