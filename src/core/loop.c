/* SPDX-License-Identifier: MIT */
/*
 * The loop: one turn is
 *
 *     wait and handle what is ready (the engine)  ->  signals  ->  posted work  ->  timers
 *       ->  time limits  ->  connections whose wants changed  ->  free what has ended
 *
 * Time limits of connections cost nothing per message: a connection notes when it last moved, and
 * a sweep over all of them runs when the earliest deadline known may have passed. Activity only
 * moves deadlines away, so a sweep is never late by more than its granularity, and never early.
 * A process that was stopped (SIGSTOP) or busy must not close everybody when it comes back: limits
 * are judged by the time before a wait, after that wait was not interrupted and has reported all
 * there was to read. Whatever had arrived by then has been seen.
 */
#include "core/core.h"
#include "core/trace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

PLX__HOT int64_t plx__clock(void)
{
    struct timespec ts;
    plx__sys_clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * PLX_SECOND + ts.tv_nsec;
}

PLX__HOT int64_t plx__clock_coarse(void)
{
#ifdef CLOCK_MONOTONIC_COARSE
    struct timespec ts;
    plx__sys_clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
    return (int64_t)ts.tv_sec * PLX_SECOND + ts.tv_nsec;
#else
    return plx__clock();
#endif
}

void plx__nap(int64_t ns)
{
    struct timespec ts = {.tv_sec = (time_t)(ns / PLX_SECOND), .tv_nsec = (long)(ns % PLX_SECOND)};
    (void)plx__sys_clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
}

static void set_now(struct plx_loop *l, int64_t now)
{
    l->now = now;
    l->now_ms = (uint32_t)((now - l->start) / PLX_MSEC);
}

PLX__HOT void plx__loop_update(struct plx_loop *l)
{
    set_now(l, plx__clock());
}

/*
 * A wait that took this much longer than it was asked to: the process was away (SIGSTOP, a
 * suspended machine). The clock of the time limits stands still meanwhile, for input could not be
 * read: it would be unjust to call that time the peer's silence.
 *
 * A long wait is late by itself: select(2), poll(2) and epoll_wait(2) by 0.1 %, of a nice process
 * 0.5 %, and up to 100 ms (Linux, fs/select.c). Were that taken for an absence, no limit would ever
 * be over on a quiet machine.
 */
#define AWAY      (50 * PLX_MSEC)
#define LATE_PART 128
#define LATE_MOST (100 * PLX_MSEC)

PLX__HOT void plx__loop_waited(struct plx_loop *l, int64_t timeout_ns)
{
    int64_t before = l->now;
    plx__loop_update(l);
    int64_t took = l->now - before;
    int64_t late = timeout_ns / LATE_PART;
    if (timeout_ns < 0 || took <= timeout_ns + (late < LATE_MOST ? late : LATE_MOST) + AWAY)
        return;
    l->start += took;
    if (l->sweep_at != INT64_MAX)
        l->sweep_at += took;
    plx__loop_update(l);
}

/* What moved in the work just done carries the time at which it began. If that was a while ago (a
 * slow callback, a stop in the middle of it) the stamps are brought up to now. After short work the
 * time is not even asked for, unless timers must know it: twice in each turn, it would cost a
 * message about one percent. */
#define SHORT_WORK (5 * PLX_MSEC) /* by the coarse clock, so up to a tick more in truth */

PLX__HOT void plx__loop_worked(struct plx_loop *l)
{
    int64_t before = l->now;
    uint32_t before_ms = l->now_ms;
    if (!l->ntimers && plx__clock_coarse() - before < SHORT_WORK)
        return;
    plx__loop_update(l);
    if (l->now - before < PLX__LONG_WORK)
        return;
    /* A stop in the middle of work stopped libc's AIO threads too: give them a moment to tell what
     * has come, but only once, or a loop of long callbacks would never judge anybody. */
    if (l->now - before >= AWAY && !l->grace && l->sweep_at < l->now + AWAY) {
        l->sweep_at = l->now + AWAY;
        l->grace = true;
    }
    /* The millisecond before now, so that who is silent is not taken for moving in the next work,
     * which may begin in the same one. */
    for (uint32_t i = 0; i < l->nslots; i++) {
        struct plx_conn *c = l->slots[i].conn;
        if (c && c->moved_ms == before_ms)
            c->moved_ms = l->now_ms - 1;
        if (c && c->sent_ms == before_ms)
            c->sent_ms = l->now_ms - 1;
    }
}

/* ---- ending ---- */

static void free_dead(struct plx_loop *l)
{
    while (l->dead) {
        struct plx_conn *c = l->dead;
        l->dead = c->next;
        plx__conn_free(l, c);
    }
    while (l->dead_watches) {
        struct plx_watch *w = l->dead_watches;
        l->dead_watches = w->next_dead;
        free(w);
    }
}

static void drop_posted(struct plx_loop *l)
{
    while (l->posted) {
        struct plx__post *p = l->posted;
        l->posted = p->next;
        free(p);
    }
}

static void settle_dirty(struct plx_loop *l)
{
    /* Only what is dirty now: a handler that dirties itself again waits for the next turn. */
    struct plx_conn *list = plx__loop_take_dirty(l);
    while (list) {
        struct plx_conn *c = list;
        list = c->next;
        c->flags = (uint16_t)(c->flags & ~PLX__F_DIRTY);
        if (c->flags & PLX__F_DEAD) {
            c->next = l->dead;
            l->dead = c;
            continue;
        }
        if ((c->flags & PLX__F_RESUME) && (plx__conn_want(c) & PLX__WANT_READ))
            l->engine->glance(l, c);
        plx__conn_pump(c);
        l->engine->settle(l, c);
    }
}

void plx__loop_tidy(struct plx_loop *l)
{
    settle_dirty(l); /* an ended connection may still be on the list */
    free_dead(l);
}

void plx__loop_reuse_child(struct plx_loop *l, struct plx__counters *counters)
{
    plx__loop_tidy(l);
    plx__timers_free(l);
    drop_posted(l);
    atomic_store(&l->has_posted, false);
    l->posted_end = &l->posted;
    l->sweep_at = INT64_MAX;
    l->drain_since = 0;
    l->grace = false;
    l->counters = counters;
}

void plx__loop_close_child(struct plx_loop *l)
{
    plx__loop_tidy(l);
    plx__offload_end(l);
    plx__timers_free(l);
    drop_posted(l);
    plx__loop_free(l);
}

void plx__loop_end(struct plx_loop *l)
{
    if (l->ended)
        return;
    l->ended = true;
    plx__listeners_close(l);
    for (uint32_t i = 0; i < l->nslots; i++) {
        if (l->slots[i].conn)
            plx__conn_fail(l->slots[i].conn, -ECANCELED);
    }
    while (l->dirty)
        settle_dirty(l);
    while (l->watches)
        plx_watch_stop(l->watches);
    l->engine->halt(l);
    while (l->dirty)
        settle_dirty(l);
    plx__offload_end(l);
    free_dead(l);
}

void plx_loop_close(struct plx_loop *l)
{
    if (!l)
        return;
    plx__loop_end(l);
    pthread_mutex_lock(&l->post_lock); /* whoever made us stop may still be about to wake us */
    pthread_mutex_unlock(&l->post_lock);
    l->engine->close(l);
    plx__signals_free(l);
    plx__timers_free(l);
    drop_posted(l);
    plx__group_fini(&l->own_group);
    plx__loop_free(l);
}

/* ---- posted work ---- */

static int post(struct plx_loop *l, struct plx__post what)
{
    struct plx__post *p = plx__sys_malloc(sizeof(*p));
    if (!p)
        return -ENOMEM;
    *p = what;
    pthread_mutex_lock(&l->post_lock);
    *l->posted_end = p;
    l->posted_end = &p->next;
    atomic_store(&l->has_posted, true);
    if (!l->parent)
        l->engine->wake(l); /* under the lock: what was posted may lead to the loop's close */
    pthread_mutex_unlock(&l->post_lock);
    return 0;
}

int plx_loop_post(struct plx_loop *l, void (*fn)(void *), void *arg)
{
    return post(l, (struct plx__post){.fn = fn, .arg = arg});
}

int plx_conn_post(struct plx_loop *l, struct plx_conn_ref ref,
                  void (*fn)(struct plx_conn *, void *), void *arg)
{
    if (!(l->row->pub.caps & PLX_CAP_POST))
        return -EOPNOTSUPP;
    return post(l, (struct plx__post){.conn_fn = fn, .ref = ref, .arg = arg});
}

static struct plx_conn *find(const struct plx_loop *l, struct plx_conn_ref ref)
{
    if (ref.slot >= l->nslots || l->slots[ref.slot].generation != ref.generation)
        return NULL;
    struct plx_conn *c = l->slots[ref.slot].conn;
    return c && c->phase != PLX__ENDED ? c : NULL;
}

static void run_posted(struct plx_loop *l)
{
    if (!atomic_load_explicit(&l->has_posted, memory_order_acquire))
        return;
    pthread_mutex_lock(&l->post_lock);
    struct plx__post *list = l->posted;
    l->posted = NULL;
    l->posted_end = &l->posted;
    atomic_store(&l->has_posted, false);
    pthread_mutex_unlock(&l->post_lock);
    while (list) {
        struct plx__post *p = list;
        list = p->next;
        if (p->conn_fn)
            p->conn_fn(find(l, p->ref), p->arg);
        else
            p->fn(p->arg);
        free(p);
    }
}

/* ---- time limits ---- */

void plx__loop_deadline(struct plx_loop *l, int64_t at)
{
    if (at < l->sweep_at)
        l->sweep_at = at;
}

/* How far apart sweeps are at least: a sixteenth of the shortest limit, 5 ms to 1 s. */
static int64_t granularity(const struct plx_limits *m)
{
    const int64_t times[] = {m->idle_ns, m->write_ns, m->linger_ns, m->connect_ns};
    int64_t shortest = 16 * PLX_SECOND;
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        if (times[i] > 0 && times[i] < shortest)
            shortest = times[i];
    }
    return shortest / 16 < 5 * PLX_MSEC ? 5 * PLX_MSEC : shortest / 16;
}

static void sweep(struct plx_loop *l, int64_t asked)
{
    int64_t next = INT64_MAX;
    l->grace = false;
    set_now(l, asked);
    l->sweep_at = INT64_MAX;
    for (uint32_t i = 0; i < l->nslots; i++) {
        struct plx_conn *c = l->slots[i].conn;
        if (!c)
            continue;
        int64_t at = plx__conn_judge(c);
        if (at < next)
            next = at;
    }
    int64_t others = l->engine->judge ? l->engine->judge(l) : INT64_MAX;
    if (others < next)
        next = others;
    if (next != INT64_MAX) {
        int64_t soonest = asked + granularity(&l->limits);
        plx__loop_deadline(l, next > soonest ? next : soonest);
    }
    plx__loop_update(l);
}

/* ---- turning ---- */

static void begin_drain(struct plx_loop *l)
{
    /* Who is in the kernel's queue has connected, for all he knows: take him in, then close. */
    for (struct plx__listener *ls = l->listeners; ls; ls = ls->next) {
        if (!ls->active)
            continue;
        if (l->engine->blocking_listener) { /* for good: every worker of the socket drains */
            pthread_mutex_lock(&l->group->lock);
            ls->socket->drained = true;
            (void)plx__socket_blocking(ls->socket->fd, false);
            pthread_mutex_unlock(&l->group->lock);
        }
        plx__accept_batch(ls, 1024);
    }
    plx__listeners_close(l); /* before anybody is told, so that nobody comes back */
    l->draining = true;
    plx__loop_worked(l); /* who moved in the turn before, or just now, is stamped first */
    plx__loop_update(l);
    l->drain_since = l->now;
    if (l->nconn && l->limits.linger_ns > 0)
        plx__loop_deadline(l, l->now + l->limits.linger_ns);
    if (l->engine->end)
        l->engine->end(l, PLX__POLITELY);
    for (uint32_t i = 0; i < l->nslots; i++) {
        struct plx_conn *c = l->slots[i].conn;
        if (c) {
            c->flags |= PLX__F_DRAINING;
            plx__conn_dirty(c);
        }
    }
}

void plx__loop_chores(struct plx_loop *l)
{
    run_posted(l);
    plx__offload_run(l);
    plx__timers_run(l);
}

static void report_quiet(struct plx_loop *l, int handled)
{
    if (handled > 0)
        l->quiet_since = l->now;
    else if (l->tick_ns && l->now - l->quiet_since >= l->tick_ns) {
        plx__log(l, PLX_LOG_INFO, "nothing ready for %.3g s",
                 (double)(l->now - l->quiet_since) / (double)PLX_SECOND);
        l->quiet_since = l->now;
    }
}

/* How long the engine may wait. */
static int64_t patience(struct plx_loop *l, int64_t timeout_ns)
{
    if (l->dirty || atomic_load(&l->has_posted) || atomic_load(&l->signalled) ||
        plx__offload_due(&l->jobs))
        return 0;
    if (l->draining && l->nconn == 0) /* nothing left to wait for */
        return 0;
    int64_t at = plx__loop_next_timer(l);
    if (l->sweep_at < at)
        at = l->sweep_at;
    if (l->tick_ns && l->quiet_since + l->tick_ns < at)
        at = l->quiet_since + l->tick_ns;
    if (at == INT64_MAX)
        return timeout_ns;
    int64_t rest = at > l->now ? at - l->now : 0;
    return timeout_ns >= 0 && timeout_ns < rest ? timeout_ns : rest;
}

int plx_loop_turn(struct plx_loop *l, int64_t timeout_ns)
{
    if (l->parent)
        return -EDEADLK; /* the loop of one connection turns by itself */
    if (__builtin_expect(plx__seam_get() != NULL, 0))
        plx__trace_enter(l);
    if (atomic_load_explicit(&l->drain, memory_order_relaxed) && !l->draining)
        begin_drain(l);
    plx__loop_worked(l);
    int64_t asked = l->now;
    int n = l->engine->turn(l, patience(l, timeout_ns));
    plx__loop_worked(l);
    plx__trace(l, NULL, PLX_TRACE_WOKEN, "turn", 0, n);
    if (n < 0 && n != -EINTR)
        return n;
    plx__signals_run(l);
    plx__loop_chores(l);
    /* A loop that never gets to the end of what is ready judges all the same, a second late. */
    if (n >= 0 && asked >= l->sweep_at && (!l->more || asked - l->sweep_at > PLX_SECOND))
        sweep(l, asked);
    settle_dirty(l);
    free_dead(l);
    report_quiet(l, n);
    return n < 0 ? 0 : n;
}

int plx_loop_run(struct plx_loop *l)
{
    int rc = 0;
    while (rc >= 0 && !atomic_load_explicit(&l->stop, memory_order_relaxed)) {
        if (l->draining && l->nconn == 0)
            return 0;
        rc = plx_loop_turn(l, PLX_FOREVER);
    }
    atomic_store(&l->stop, false); /* a stop counts for one run, also one that came before it */
    return rc < 0 ? rc : 0;
}

void plx_loop_stop(struct plx_loop *l)
{
    if (l->parent)
        l = l->parent;
    pthread_mutex_lock(&l->post_lock); /* as in post() */
    atomic_store(&l->stop, true);
    if (l->engine->end)
        l->engine->end(l, PLX__RETURN);
    l->engine->wake(l);
    pthread_mutex_unlock(&l->post_lock);
}

void plx_loop_drain(struct plx_loop *l)
{
    if (l->parent)
        l = l->parent;
    pthread_mutex_lock(&l->post_lock);
    atomic_store(&l->drain, true);
    if (l->engine->end && !(l->row->pub.caps & PLX_CAP_CONCURRENT))
        l->engine->end(l, PLX__POLITELY); /* the loop's thread itself sits in a connection */
    l->engine->wake(l);
    pthread_mutex_unlock(&l->post_lock);
}

int64_t plx_loop_now(const struct plx_loop *l)
{
    return l->now;
}

const struct plx_model *plx_loop_model(const struct plx_loop *l)
{
    return &l->row->pub;
}
