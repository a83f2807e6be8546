/* SPDX-License-Identifier: MIT */
/*
 * A bounded pool of connections to one address.
 *
 *     connecting -> lent <-> idle -> ended
 *
 * An idle connection stays registered for reading, so its end is noticed when it happens and not
 * when somebody needs it; bytes that nobody asked for end it too. The most recently used is lent
 * first: the others grow old and are closed, so the pool shrinks to what is needed.
 */
#include "core/core.h"

#include <errno.h>
#include <stdlib.h>

enum pooled_state { CONNECTING, LENT, IDLE, LOST };

struct pooled { /* the connection's state */
    struct plx_pool *pool;
    struct plx_conn *conn;
    enum pooled_state state;
    const struct plx_pool_user *user;
    void *arg;
    int64_t since;              /* idle since */
    struct pooled *prev, *next; /* idle list, newest first */
};

struct request {
    const struct plx_pool_user *user;
    void *arg;
    struct request *next;
};

struct plx_pool {
    struct plx_loop *loop;
    struct plx_addr to;
    unsigned max, max_wait;
    int64_t idle_ns;
    struct plx_handler handler;
    struct plx_timer *timer;
    struct pooled *newest, *oldest;
    struct request *waiting, **waiting_end;
    struct plx_pool_stats stats;
    bool closing;
    unsigned busy; /* calls of ours on the stack: the pool must outlive them */
};

static unsigned count(const struct plx_pool *p)
{
    return p->stats.idle + p->stats.lent + p->stats.connecting;
}

static void free_if_done(struct plx_pool *p)
{
    if (p->closing && !p->busy && count(p) == 0)
        free(p);
}

static void idle_push(struct plx_pool *p, struct pooled *k)
{
    k->state = IDLE;
    k->since = plx_loop_now(p->loop);
    k->prev = NULL;
    k->next = p->newest;
    if (p->newest)
        p->newest->prev = k;
    else
        p->oldest = k;
    p->newest = k;
    p->stats.idle++;
}

static void idle_remove(struct plx_pool *p, struct pooled *k)
{
    *(k->prev ? &k->prev->next : &p->newest) = k->next;
    *(k->next ? &k->next->prev : &p->oldest) = k->prev;
    p->stats.idle--;
}

static void lend(struct plx_pool *p, struct pooled *k, const struct plx_pool_user *user, void *arg)
{
    k->state = LENT;
    k->user = user;
    k->arg = arg;
    p->stats.lent++;
    user->on_lent(k->conn, 0, arg);
}

static struct request *take_request(struct plx_pool *p)
{
    struct request *r = p->waiting;
    if (!r)
        return NULL;
    p->waiting = r->next;
    if (!p->waiting)
        p->waiting_end = &p->waiting;
    p->stats.waiting--;
    return r;
}

static void refuse(struct plx_pool *p, int err)
{
    struct request *r = take_request(p);
    if (!r)
        return;
    r->user->on_lent(NULL, err, r->arg);
    free(r);
}

/* An established connection that nobody has: to who waits longest, or to the idle list. */
static void offer(struct plx_pool *p, struct pooled *k)
{
    struct request *r = take_request(p);
    if (!r) {
        idle_push(p, k);
        return;
    }
    lend(p, k, r->user, r->arg);
    free(r);
}

static int begin(struct plx_pool *p)
{
    struct pooled init = {.pool = p, .state = CONNECTING};
    p->stats.connecting++;
    int rc = plx_connect(p->loop, &p->to, &p->handler, &init, NULL);
    if (rc < 0)
        p->stats.connecting--;
    return rc;
}

/* Starts connections while requests wait for which none is under way. */
static void begin_needed(struct plx_pool *p)
{
    while (!p->closing && p->stats.waiting > p->stats.connecting && count(p) < p->max) {
        int rc = begin(p);
        if (rc < 0)
            refuse(p, rc);
    }
}

/* ---- the handler of pooled connections ---- */

static int on_open(struct plx_conn *c)
{
    struct pooled *k = plx_conn_state(c);
    struct plx_pool *p = k->pool;
    k->conn = c;
    p->stats.connecting--;
    p->stats.opened++;
    if (p->closing) {
        idle_push(p, k);
        return -ECANCELED;
    }
    offer(p, k);
    return 0;
}

static ssize_t on_data(struct plx_conn *c, const void *data, size_t n)
{
    struct pooled *k = plx_conn_state(c);
    if (k->state != LENT)
        return -EPROTO;
    return k->user->on_data(c, data, n, k->arg);
}

static void on_close(struct plx_conn *c, int err)
{
    struct pooled *k = plx_conn_state(c);
    struct plx_pool *p = k->pool;
    p->busy++;
    p->stats.lost++;
    switch (k->state) {
    case CONNECTING:
        p->stats.connecting--;
        refuse(p, err ? err : -ECANCELED);
        break;
    case IDLE: idle_remove(p, k); break;
    case LOST: break;
    case LENT:
        p->stats.lent--;
        k->state = LOST; /* giving it back now is too late */
        if (k->user && k->user->on_lost)
            k->user->on_lost(c, err, k->arg);
        break;
    }
    begin_needed(p);
    p->busy--;
    free_if_done(p);
}

static void close_old(void *arg)
{
    struct plx_pool *p = arg;
    int64_t now = plx_loop_now(p->loop);
    for (struct pooled *k = p->oldest; k && now - k->since >= p->idle_ns; k = k->prev)
        plx_finish(k->conn);
}

/* ---- the interface ---- */

int plx_pool_open(struct plx_loop *l, const struct plx_pool_config *cfg, struct plx_pool **out)
{
    if (cfg->max > 65536 || cfg->idle_ns < PLX_OFF || !cfg->to.len)
        return -EINVAL;
    unsigned need = PLX_CAP_CONNECT | PLX_CAP_POST; /* the connections must live on this loop */
    if ((plx_loop_model(l)->caps & need) != need)
        return -EOPNOTSUPP;
    struct plx_pool *p = plx__sys_calloc(1, sizeof(*p));
    if (!p)
        return -ENOMEM;
    p->loop = l;
    p->to = cfg->to;
    p->max = cfg->max ? cfg->max : 8;
    p->max_wait = cfg->max_wait ? cfg->max_wait : 1024;
    p->idle_ns = cfg->idle_ns ? cfg->idle_ns : 60 * PLX_SECOND;
    p->waiting_end = &p->waiting;
    p->handler = (struct plx_handler){.name = "pool",
                                      .state_size = sizeof(struct pooled),
                                      .on_open = on_open,
                                      .on_data = on_data,
                                      .on_close = on_close};
    if (p->idle_ns > 0) {
        int64_t every = p->idle_ns / 4 > PLX_MSEC ? p->idle_ns / 4 : PLX_MSEC;
        int rc = plx_timer_start(l, every, every, close_old, p, &p->timer);
        if (rc < 0) {
            free(p);
            return rc;
        }
    }
    *out = p;
    return 0;
}

void plx_pool_close(struct plx_pool *p)
{
    if (!p)
        return;
    p->closing = true;
    p->busy++;
    plx_timer_stop(p->timer);
    while (p->waiting)
        refuse(p, -ECANCELED);
    for (struct pooled *k = p->newest; k; k = k->next)
        plx_finish(k->conn);
    p->busy--;
    free_if_done(p);
}

int plx_pool_get(struct plx_pool *p, const struct plx_pool_user *user, void *arg)
{
    struct pooled *k = p->newest;
    for (; k; k = k->next) {
        if (plx_conn_ended(k->conn))
            continue; /* it leaves the list when it is closed */
        if (plx__socket_silent(k->conn->fd))
            break;
        plx_abort(k->conn, 0); /* its end has arrived, and the loop has not seen it yet */
    }
    if (k) {
        idle_remove(p, k);
        p->stats.reused++;
        lend(p, k, user, arg);
        return 0;
    }
    /* Those for whom a connection is under way do not wait for somebody else's. */
    if (count(p) >= p->max && p->stats.waiting >= p->max_wait + p->stats.connecting)
        return -EAGAIN;
    struct request *r = plx__sys_malloc(sizeof(*r));
    if (!r)
        return -ENOMEM;
    *r = (struct request){.user = user, .arg = arg};
    *p->waiting_end = r;
    p->waiting_end = &r->next;
    p->stats.waiting++;
    p->busy++; /* a refusal may lead the caller to close the pool */
    begin_needed(p);
    p->busy--;
    free_if_done(p);
    return 0;
}

void plx_pool_put(struct plx_pool *p, struct plx_conn *c, bool reusable)
{
    struct pooled *k = plx_conn_state(c);
    if (k->state != LENT)
        return;
    p->stats.lent--;
    k->user = NULL;
    plx_resume(c); /* a pause was the borrower's */
    /* Input that he left belongs to an exchange that is not over. */
    if (reusable && !c->in && !p->closing && !plx_conn_ended(c)) {
        p->stats.reused += p->waiting != NULL;
        offer(p, k);
        return;
    }
    idle_push(p, k);
    if (reusable)
        plx_finish(c);
    else
        plx_abort(c, 0);
}

void plx_pool_stats(const struct plx_pool *p, struct plx_pool_stats *out)
{
    *out = p->stats;
}
