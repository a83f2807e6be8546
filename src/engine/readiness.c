/* SPDX-License-Identifier: MIT */
/*
 * The Reactor: one loop over any selector. Seven models are this file and seven small backends.
 *
 *     select() -> for each ready descriptor: write what is queued, then read, then write at once
 *                 what the handler answered; ask for writability only after EAGAIN
 *
 * Level-triggered: one recv per event; what is left is reported again. Interest in writing exists
 * only while a queue waits, so an ordinary message costs recv, send and its share of the wait.
 *
 * Edge-triggered: both directions are registered once and never changed. "May be ready" is
 * remembered per connection: it is set by an event and cleared by EAGAIN, or by a short read where
 * the selector gives reliable hints of an end or urgent data behind it (epoll(7): a short count
 * means drained). A connection that uses up its budget goes to a run list, so that a fast peer
 * cannot hold the loop and no edge is lost.
 *
 * Busy polling is a selector that calls everything ready: spurious readiness is legal.
 */
#include "core/sys.h"
#include "engine/send.h"
#include "selector/backends.h"
#include "selector/pollset.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>

/* Events per wait. libuv and redis use 1024 and the set's size; 256 keeps 4 KiB hot. */
#define BATCH 256
/* Receives of 64 KiB from one connection before others get their turn. */
#define READ_BUDGET 4
/* Nor does one whose handler took this long get another before the others were looked at. */
#define TURN_MOST (10 * PLX_MSEC)
/* Sends to one connection before others get their turn; as libuv's count in uv__write. */
#define WRITE_BUDGET  32
#define ACCEPT_BUDGET 64
/* So many reports in a row that told of more connections than were accepted: more at once. */
#define BURST_STREAK 4
/* How long the kernel is left alone that had no memory or no buffers for us. */
#define SHORTAGE (10 * PLX_MSEC)

struct reactor {
    struct plx_selector *sel;
    unsigned caps;
    bool progress; /* something moved in this pass (for busy polling's pause) */
    bool hot;      /* a listener or a watch may still be ready (edge-triggered) */
    bool starved;  /* somebody on the run list waits for the kernel's buffers: not at full speed */
    struct plx__wake wake;
    struct plx_selector_calls counted;
    struct plx_conn *run; /* connections that have more to do without an event */
    struct plx_ready ready[BATCH];
};

static bool edge(const struct reactor *r)
{
    return r->caps & PLX_SEL_EDGE;
}

/* ---- reading and writing ---- */

static void run_later(struct reactor *r, struct plx_conn *c)
{
    if (c->eng.ready.listed)
        return;
    c->eng.ready.listed = 1;
    c->eng.ready.next = r->run;
    r->run = c;
}

/* What became of a send that was not taken whole. True: another may follow. */
__attribute__((noinline)) static bool send_again(struct plx_loop *l, struct plx_conn *c, ssize_t n)
{
    struct reactor *r = l->state;
    if (n < 0 && errno == EINTR)
        return true;
    /* ENOBUFS: the interface's queue is full; it drains like a socket buffer (send(2)). But the
     * socket itself has room as before, so no edge will tell: it is tried again in a while. */
    if (n < 0 && (errno == EAGAIN || errno == ENOBUFS)) {
        bool told = errno == EAGAIN || !edge(r);
        PLX__COUNT(l, eagain, 1);
        c->eng.ready.may_write = !told;
        plx__conn_stalled(c);
        if (!told) {
            r->starved = true;
            run_later(r, c);
        }
        return false;
    }
    plx__conn_sent(c, n < 0 ? -errno : n);
    r->progress = true;
    if (n >= 0) { /* a short count: full (epoll(7)) */
        c->eng.ready.may_write = 0;
        plx__conn_stalled(c);
    }
    return false;
}

/* True: another send may follow. */
static inline bool send_some(struct plx_loop *l, struct plx_conn *c)
{
    struct reactor *r = l->state;
    struct plx__sending s = plx__send_once(c, MSG_NOSIGNAL);
    if (!plx__sent_whole(s))
        return send_again(l, c, s.took);
    plx__conn_sent(c, s.took);
    r->progress = true;
    return true;
}

static void write_some(struct plx_loop *l, struct plx_conn *c)
{
    for (int i = 0; i < WRITE_BUDGET && (plx__conn_want(c) & PLX__WANT_WRITE); i++) {
        if (!send_some(l, c))
            return;
    }
    if (plx__conn_want(c) & PLX__WANT_WRITE)
        run_later(l->state, c);
}

/* The usual answer is one piece. */
static inline void answer(struct plx_loop *l, struct plx_conn *c)
{
    if (!c->eng.ready.may_write || !(plx__conn_want(c) & PLX__WANT_WRITE))
        return;
    if (send_some(l, c) && __builtin_expect(c->out_bytes != 0, 0))
        write_some(l, c);
}

/* Whether what came in says that there is nothing more. */
static bool drained(const struct reactor *r, const struct plx_conn *c, ssize_t n)
{
    return n < PLX__INBUF && (r->caps & PLX_SEL_HINTS) && !c->eng.ready.more &&
           !(c->flags & PLX__F_DRAINING);
}

/* Nobody will say again that there is something to read. */
static bool to_the_end(const struct reactor *r, const struct plx_conn *c)
{
    return edge(r) || (c->flags & PLX__F_DRAINING);
}

PLX__HOT static void read_some(struct plx_loop *l, struct plx_conn *c)
{
    struct reactor *r = l->state;
    int budget = READ_BUDGET;
    while (plx__conn_want(c) & PLX__WANT_READ) {
        if (budget-- == 0) {
            if (to_the_end(r, c)) /* else it is reported again */
                run_later(r, c);
            return;
        }
        ssize_t n = plx__sys_recv(c->fd, l->inbuf, PLX__INBUF, 0);
        PLX__COUNT(l, calls_recv, 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            PLX__COUNT(l, eagain, 1);
            c->eng.ready.may_read = c->eng.ready.more = 0;
            plx__conn_quiet(c);
            return;
        }
        r->progress = true;
        plx__conn_received(c, l->inbuf, n < 0 ? -errno : n);
        answer(l, c);
        plx__conn_release(c);
        if (n < PLX__INBUF && !to_the_end(r, c)) /* a full buffer: there is more, without a wait */
            return;
        if (drained(r, c, n)) {
            c->eng.ready.may_read = 0;
            return;
        }
        if (plx__clock_coarse() - l->now > TURN_MOST)
            budget = 0;
    }
}

/* ---- interest ---- */

static void retire(struct plx_loop *l, struct plx_conn *c)
{
    struct reactor *r = l->state;
    if (c->eng.ready.armed)
        plx__selector_closing(r->sel, c->fd);
    c->eng.ready.armed = 0;
    if (c->eng.ready.listed) {
        for (struct plx_conn **at = &r->run; *at; at = &(*at)->eng.ready.next) {
            if (*at == c) {
                *at = c->eng.ready.next;
                break;
            }
        }
    }
    plx__conn_retire(c);
}

/* Makes the selector's interest what `events` says. */
static int arm(struct reactor *r, struct plx_conn *c, unsigned events)
{
    unsigned armed = c->eng.ready.armed;
    int rc = 0;
    if (events == armed)
        return 0;
    if (!armed)
        rc = plx_selector_register(r->sel, c->fd, events, c);
    else if (!events)
        rc = plx_selector_unregister(r->sel, c->fd);
    else
        rc = plx_selector_modify(r->sel, c->fd, events, c);
    if (rc >= 0)
        c->eng.ready.armed = (uint8_t)events;
    return rc;
}

/* The usual end of an event: the interest is what it was and nothing is left to be done. */
static bool waits_to_read(const struct reactor *r, const struct plx_conn *c)
{
    return edge(r) ? c->eng.ready.armed && !c->eng.ready.may_read : c->eng.ready.armed == PLX_READ;
}

static void settle_rarely(struct plx_loop *l, struct plx_conn *c)
{
    struct reactor *r = l->state;
    unsigned want = plx__conn_want(c);
    if ((want & PLX__WANT_READ) && (c->flags & PLX__F_DRAINING))
        read_some(l, c);
    if ((plx__conn_want(c) & PLX__WANT_WRITE) && c->eng.ready.may_write)
        write_some(l, c);
    want = plx__conn_want(c);
    if (want & PLX__WANT_FIN) {
        (void)plx__sys_shutdown(c->fd, SHUT_WR);
        PLX__COUNT(l, calls_other, 1);
        plx__conn_fin_sent(c);
        want = plx__conn_want(c);
    }
    if (want & PLX__WANT_RETIRE) {
        retire(l, c);
        return;
    }
    unsigned events = PLX_READ | PLX_WRITE;
    if (edge(r)) {
        if ((want & PLX__WANT_READ) && c->eng.ready.may_read)
            run_later(r, c);
    } else {
        events = 0;
        if (want & PLX__WANT_READ)
            events |= PLX_READ;
        if (want & (PLX__WANT_WRITE | PLX__WANT_CONNECT))
            events |= PLX_WRITE;
    }
    int rc = arm(r, c, events);
    if (rc < 0) {
        plx__conn_fail(c, rc);
        retire(l, c);
    }
}

static inline void settle(struct plx_loop *l, struct plx_conn *c)
{
    bool usual = plx__conn_want(c) == PLX__WANT_READ && !(c->flags & PLX__F_DRAINING) &&
                 waits_to_read(l->state, c);
    if (__builtin_expect(!usual, 0))
        settle_rarely(l, c);
}

static void glance(struct plx_loop *l, struct plx_conn *c)
{
    c->eng.ready.may_read = 1;
    read_some(l, c);
}

static int adopt(struct plx_loop *l, const struct plx__socket *s, struct plx_conn **out)
{
    struct reactor *r = l->state;
    int limit = plx_selector_fd_limit(r->sel);
    if (limit && s->fd >= limit)
        return -ERANGE;
    struct plx_conn *c = plx__conn_new(l, s);
    if (!c)
        return -ENOMEM;
    c->eng.ready.may_write = !s->connecting;
    plx__conn_opened(c);
    settle(l, c);
    if (out)
        *out = c;
    return 0;
}

/* ---- events ---- */

static void on_change(struct plx_loop *l, struct plx_conn *c, unsigned events)
{
    if (c->flags & PLX__F_DEAD) /* ended earlier in this batch; its memory lives to the end of it */
        return;
    if (c->phase == PLX__CONNECTING) {
        int err = plx__socket_connected(c->fd);
        PLX__COUNT(l, calls_other, 2);
        if (err == EINPROGRESS)
            return;
        /* The edge that tells of the connection may tell of its first bytes, or its end, too. */
        c->eng.ready.may_write = c->eng.ready.may_read = c->eng.ready.more = 1;
        plx__conn_connected(c, err);
        settle(l, c);
        return;
    }
    if (events & (PLX_MORE | PLX_HUP | PLX_ERR))
        c->eng.ready.more = 1;
    if (events & (PLX_WRITE | PLX_ERR | PLX_HUP)) {
        c->eng.ready.may_write = 1;
        /* After an error or hang-up read first: what came before it is still to be delivered, and
         * a failing send would end the connection. */
        if (!(events & (PLX_ERR | PLX_HUP)) && (plx__conn_want(c) & PLX__WANT_WRITE))
            write_some(l, c);
    }
    if (events & (PLX_READ | PLX_ERR | PLX_HUP)) {
        c->eng.ready.more |= c->eng.ready.may_read; /* as in on_conn() */
        c->eng.ready.may_read = 1;
        read_some(l, c);
    }
    settle(l, c);
}

static inline void on_conn(struct plx_loop *l, struct plx_conn *c, unsigned events)
{
    /* An edge tells of room, too, each time. */
    bool usual = c->phase == PLX__OPEN &&
                 (events == PLX_READ || (events == (PLX_READ | PLX_WRITE) && !c->out_bytes));
    if (__builtin_expect(!usual, 0)) {
        on_change(l, c, events);
        return;
    }
    if (events & PLX_WRITE)
        c->eng.ready.may_write = 1;
    c->eng.ready.more |= c->eng.ready.may_read; /* two changes, of which a read may meet one */
    c->eng.ready.may_read = 1;
    read_some(l, c);
    settle(l, c);
}

/* Watches are level-triggered in every model: ask again until the answer is no. */
static void run_watch(struct plx_loop *l, struct plx_watch *w)
{
    struct reactor *r = l->state;
    struct pollfd p = {.fd = w->fd, .events = plx__pollset_asked(w->events)};
    PLX__COUNT(l, calls_other, 1);
    int n = plx__sys_poll(&p, 1, 0);
    w->hot = n != 0; /* asked in vain it may still be ready, and no other edge would say so */
    if (!w->hot)
        return;
    r->hot = r->progress = true;
    if (n < 0)
        return;
    w->fn(w->fd, plx__pollset_answer(w->events, p.revents), w->arg);
}

static void on_watch(struct plx_loop *l, struct plx_watch *w, unsigned events)
{
    struct reactor *r = l->state;
    if (w->stopped || !w->events)
        return;
    if (r->caps & (PLX_SEL_EDGE | PLX_SEL_SPINS)) {
        w->hot = r->hot = true; /* looked at in run_hot() */
        return;
    }
    w->fn(w->fd, events, w->arg);
}

/* Who waits behind the last that was accepted is reported again, and an accept(2) that finds nobody
 * costs more than that: so as many are accepted per report as are likely to wait. */
static void adapt_burst(struct plx__listener *ls)
{
    ls->streak = (uint8_t)(ls->more ? ls->streak + 1 : 0);
    if (!ls->more)
        ls->burst /= 2;
    else if (ls->streak >= BURST_STREAK && ls->burst < ACCEPT_BUDGET - 1)
        ls->burst++;
}

static void on_listener(struct plx_loop *l, struct plx__listener *ls)
{
    struct reactor *r = l->state;
    if (!ls->active)
        return;
    int n = plx__accept_batch(ls, edge(r) ? ACCEPT_BUDGET : 1 + ls->burst);
    adapt_burst(ls);
    r->progress |= n > 0;
    ls->more = ls->more && edge(r) && ls->active; /* a level is reported again */
    r->hot |= ls->more;
}

/* What may still be ready although no event will say so. */
static void run_hot(struct plx_loop *l)
{
    struct reactor *r = l->state;
    r->hot = false;
    for (struct plx__listener *ls = l->listeners; ls; ls = ls->next) {
        if (ls->more)
            on_listener(l, ls);
    }
    struct plx_watch *next;
    for (struct plx_watch *w = l->watches; w; w = next) {
        if (w->hot && w->events)
            run_watch(l, w);
        next = w->next; /* valid even if it was stopped: freed after the turn */
    }
}

/* select(2) fails as a whole because of one descriptor that its owner closed too early, and does
 * not say which; poll(2) does, by POLLNVAL. Whoever watches it is told likewise, and finds out
 * himself. */
static bool tell_closed(struct plx_loop *l)
{
    bool any = false;
    struct plx_watch *next;
    for (struct plx_watch *w = l->watches; w; w = next) {
        if (w->events && plx__sys_fcntl(w->fd, F_GETFD, 0) < 0 && errno == EBADF) {
            any = true;
            w->fn(w->fd, plx__pollset_answer(w->events, POLLNVAL), w->arg);
        }
        next = w->next; /* valid even if it was stopped: freed after the turn */
    }
    return any;
}

static void run_listed(struct plx_loop *l)
{
    struct reactor *r = l->state;
    struct plx_conn *list = r->run;
    r->run = NULL;
    while (list) {
        struct plx_conn *c = list;
        list = c->eng.ready.next;
        c->eng.ready.listed = 0;
        if ((plx__conn_want(c) & PLX__WANT_WRITE) && c->eng.ready.may_write)
            write_some(l, c);
        if (c->eng.ready.may_read || (c->flags & PLX__F_DRAINING))
            read_some(l, c);
        settle(l, c);
    }
}

static void on_other(struct plx_loop *l, const struct plx_ready *ev)
{
    struct reactor *r = l->state;
    switch ((enum plx__kind)((struct plx__source *)ev->data)->kind) {
    case PLX__CONN: break; /* dispatch() */
    case PLX__LISTENER: on_listener(l, ev->data); break;
    case PLX__WATCH: on_watch(l, ev->data, ev->events); break;
    case PLX__WAKE: plx__wake_clear(&r->wake); break;
    }
}

static inline void dispatch(struct plx_loop *l, const struct plx_ready *ev)
{
    if (__builtin_expect(((struct plx__source *)ev->data)->kind == PLX__CONN, 1))
        on_conn(l, ev->data, ev->events);
    else
        on_other(l, ev);
}

static void count_calls(struct plx_loop *l)
{
    struct reactor *r = l->state;
    struct plx_selector_calls now;
    plx_selector_count(r->sel, &now);
    PLX__COUNT(l, calls_wait, now.wait - r->counted.wait);
    PLX__COUNT(l, calls_ctl, now.ctl - r->counted.ctl);
    r->counted = now;
}

/* Busy polling after a pass that moved nothing: the pause that the user asked for. */
static void pause_pass(struct plx_loop *l, int64_t timeout_ns)
{
    int64_t ns = l->poll_pause_ns;
    PLX__COUNT(l, calls_wait, 1);
    plx__nap(timeout_ns >= 0 && timeout_ns < ns ? timeout_ns : ns);
}

PLX__HOT static int turn(struct plx_loop *l, int64_t timeout_ns)
{
    struct reactor *r = l->state;
    if (r->run && r->starved && !r->hot && (timeout_ns < 0 || timeout_ns > SHORTAGE))
        timeout_ns = SHORTAGE;
    else if (r->hot || (r->run && !r->starved))
        timeout_ns = 0;
    r->starved = false;
    if ((r->caps & PLX_SEL_SPINS) && l->poll_pause_ns && !r->progress && timeout_ns != 0)
        pause_pass(l, timeout_ns); /* within the time that the turn may take */
    r->progress = false;
    int n = plx__selector_wait(r->sel, r->ready, BATCH, timeout_ns);
    count_calls(l);
    plx__loop_waited(l, timeout_ns);
    l->more = n == BATCH && !(r->caps & PLX_SEL_SPINS);
    if (n == -ENOMEM || (n == -EBADF && !tell_closed(l))) /* passes, or not: not at full speed */
        plx__nap(SHORTAGE);
    if (n < 0)
        return n == -EBADF || n == -ENOMEM ? 0 : n;
    if (n > 0)
        PLX__COUNT(l, wakeups, 1);
    bool listed = r->run != NULL;
    for (int i = 0; i < n; i++)
        dispatch(l, &r->ready[i]);
    if (listed)
        run_listed(l);
    if (r->hot)
        run_hot(l);
    return (r->caps & PLX_SEL_SPINS) ? r->progress : n;
}

/* ---- the rest of the contract ---- */

static int probe(const struct plx_model *m, struct plx_why *why)
{
    return plx__row(m)->selector->probe(why);
}

static int open_reactor(struct plx_loop *l, struct plx_why *why)
{
    struct reactor *r = l->state;
    int rc = plx__wake_open(&r->wake, false);
    if (rc < 0) {
        plx__why(why, "raise the limit on open files: ulimit -n", "pipe: %s", plx_error_text(rc));
        return rc;
    }
    rc = plx__selector_open(l->row->selector, &r->sel, why);
    if (rc < 0) {
        plx__wake_close(&r->wake);
        return rc;
    }
    r->caps = plx_selector_caps(r->sel);
    rc = plx_selector_register(r->sel, r->wake.rd, PLX_READ, &r->wake);
    if (rc < 0) {
        plx__why(why, rc == -ERANGE ? "open fewer files before" : "", "wake-up pipe: %s",
                 plx_error_text(rc));
        plx_selector_close(r->sel);
        plx__wake_close(&r->wake);
    }
    return rc;
}

static int listen_on(struct plx_loop *l, struct plx__listener *ls)
{
    struct reactor *r = l->state;
    int fd = ls->socket->fd;
    if (ls->exclusive)
        return plx_selector_register_exclusive(r->sel, fd, PLX_READ, ls);
    return plx_selector_register(r->sel, fd, PLX_READ, ls);
}

static void unlisten(struct plx_loop *l, struct plx__listener *ls)
{
    struct reactor *r = l->state;
    ls->more = false;
    (void)plx_selector_unregister(r->sel, ls->socket->fd);
}

static int watch(struct plx_loop *l, struct plx_watch *w, unsigned old, unsigned now)
{
    struct reactor *r = l->state;
    w->hot = false;
    if (!old)
        return plx_selector_register(r->sel, w->fd, now, w);
    if (!now)
        return plx_selector_unregister(r->sel, w->fd);
    return plx_selector_modify(r->sel, w->fd, now, w);
}

static void wake(struct plx_loop *l)
{
    struct reactor *r = l->state;
    plx__wake_signal(&r->wake);
}

static void halt(struct plx_loop *l)
{
    for (uint32_t i = 0; i < l->nslots; i++) {
        if (l->slots[i].conn)
            retire(l, l->slots[i].conn);
    }
}

static void close_reactor(struct plx_loop *l)
{
    struct reactor *r = l->state;
    plx_selector_close(r->sel);
    plx__wake_close(&r->wake);
}

const struct plx__engine_ops plx__readiness_engine = {
    .name = "readiness",
    .alone = true,
    .state_size = sizeof(struct reactor),
    .probe = probe,
    .open = open_reactor,
    .listen = listen_on,
    .unlisten = unlisten,
    .adopt = adopt,
    .glance = glance,
    .settle = settle,
    .watch = watch,
    .turn = turn,
    .wake = wake,
    .halt = halt,
    .close = close_reactor,
};
