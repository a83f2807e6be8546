/* SPDX-License-Identifier: MIT */
/*
 * The blocking engine's threads: one per connection, joined when it is done, or a pool of a fixed
 * number and a bounded queue of connections that wait for one.
 */
#include "engine/blocking.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Stack of a connection's thread. The library needs less than 8 KiB of it; the rest is for the
 * handler. Only touched pages cost memory. */
#define STACK (256u * 1024u)

/* ---- workers: bookkeeping ---- */

struct plx__worker *plx__worker_new(struct plx_loop *l, const struct plx__socket *s)
{
    struct plx__worker *w = plx__sys_calloc(1, sizeof(*w));
    if (!w)
        return NULL;
    w->parent = l;
    w->life = -1;
    w->share = &w->own_share;
    w->task.due = &w->share->due;
    w->task.fd = -1;
    pthread_mutex_init(&w->lock, NULL);
    w->task.lock = &w->lock;
    if (s) {
        w->task.socket = *s;
        w->task.fd = s->fd;
    }
    return w;
}

void plx__worker_free(struct plx__worker *w)
{
    if (w)
        pthread_mutex_destroy(&w->lock);
    free(w);
}

void plx__worker_link(struct plx__spreader *sp, struct plx__worker *w)
{
    w->prev = NULL;
    w->next = sp->live;
    if (sp->live)
        sp->live->prev = w;
    sp->live = w;
}

void plx__worker_unlink(struct plx__spreader *sp, struct plx__worker *w)
{
    if (w->prev)
        w->prev->next = w->next;
    else
        sp->live = w->next;
    if (w->next)
        w->next->prev = w->prev;
}

void plx__worker_bury(struct plx__spreader *sp, struct plx__worker *w)
{
    plx__worker_unlink(sp, w);
    for (size_t i = 0; i < PLX__NSTATS; i++)
        atomic_fetch_add_explicit(
            &sp->gone.v[i], atomic_load_explicit(&w->share->counters.v[i], memory_order_relaxed),
            memory_order_relaxed);
}

/* ---- loops of connections ---- */

/* How many are kept: a buffer of 64 KiB each, of which that is memory what was received into. */
#define KEPT_MOST 32u

struct plx_loop *plx__child_loop_take(struct plx_loop *parent, struct plx__counters *counters)
{
    struct plx__spreader *sp = parent->state;
    pthread_mutex_lock(&sp->lock);
    struct plx_loop *l = sp->kept;
    if (l) {
        sp->kept = l->next;
        sp->nkept--;
    }
    pthread_mutex_unlock(&sp->lock);
    if (l)
        plx__loop_reuse_child(l, counters);
    else if (plx__loop_open_child(parent, counters, &l) < 0)
        return NULL;
    return l;
}

void plx__child_loop_give(struct plx__spreader *sp, struct plx_loop *l)
{
    /* Few connections queue so much that they need chunks. Were these kept, each of the kept loops
     * would meet such a connection in time, and hold a megabyte from then on. */
    plx__chunks_free(&l->chunks);
    pthread_mutex_lock(&sp->lock);
    bool keep = sp->nkept < KEPT_MOST;
    if (keep) {
        l->next = sp->kept;
        sp->kept = l;
        sp->nkept++;
    }
    pthread_mutex_unlock(&sp->lock);
    if (!keep)
        plx__loop_close_child(l);
}

void plx__child_loops_free(struct plx__spreader *sp)
{
    while (sp->kept) {
        struct plx_loop *l = sp->kept;
        sp->kept = l->next;
        plx__loop_close_child(l);
    }
}

/* ---- thread per connection ---- */

/* Ended threads that wait to be joined before the accepting loop is woken for them; till then they
 * wait for the next connection, which wakes it anyway. What is left of one is its stack's pages. */
#define DONE_MOST 32u

/* `l` is NULL for want of memory. */
static void serve_on(struct plx_loop *l, struct plx__worker *w)
{
    if (l) {
        plx__blocking_serve(l, &w->task);
        return;
    }
    pthread_mutex_lock(w->task.lock);
    w->task.fd = -1;
    pthread_mutex_unlock(w->task.lock);
    plx__socket_lost(w->parent, &w->share->counters, &w->task.socket, -ENOMEM);
}

static void *thread_main(void *arg)
{
    struct plx__worker *w = arg;
    struct plx__spreader *sp = w->parent->state;
    char name[32];
    snprintf(name, sizeof(name), "plx-conn-%llu", (unsigned long long)w->task.socket.number);
    plx__thread_name(name);
    struct plx_loop *l = plx__child_loop_take(w->parent, &w->share->counters);
    serve_on(l, w);
    if (l)
        plx__child_loop_give(sp, l);
    pthread_mutex_lock(&sp->lock);
    plx__worker_bury(sp, w);
    w->next = sp->done;
    sp->done = w;
    /* Under the lock: once it is released the accepting loop may join us and be closed. */
    if (++sp->ndone >= DONE_MOST || sp->draining || sp->closing)
        plx__wake_signal(&sp->wake);
    pthread_mutex_unlock(&sp->lock);
    return NULL;
}

int plx__spread_thread(struct plx_loop *l, const struct plx__socket *s)
{
    struct plx__spreader *sp = l->state;
    struct plx__worker *w = plx__worker_new(l, s);
    if (!w)
        return -ENOMEM;
    pthread_mutex_lock(&sp->lock);
    if (sp->draining)
        plx__blocking_end(&w->task, PLX__POLITELY);
    plx__worker_link(sp, w);
    int rc = plx__thread_start(&w->thread, STACK, NULL, thread_main, w);
    if (rc < 0)
        plx__worker_unlink(sp, w);
    pthread_mutex_unlock(&sp->lock);
    if (rc < 0)
        plx__worker_free(w);
    else
        l->nconn++;
    return rc;
}

void plx__reap_threads(struct plx_loop *l)
{
    struct plx__spreader *sp = l->state;
    pthread_mutex_lock(&sp->lock);
    struct plx__worker *list = sp->done;
    sp->done = NULL;
    sp->ndone = 0;
    pthread_mutex_unlock(&sp->lock);
    while (list) {
        struct plx__worker *w = list;
        list = w->next;
        pthread_join(w->thread, NULL);
        plx__worker_free(w);
        l->nconn--;
    }
}

/* ---- pool of threads ---- */

/* The loop of a pool's thread, which keeps it; NULL without memory. */
static struct plx_loop *own_loop(struct plx__worker *w, struct plx_loop *l)
{
    if (l)
        plx__loop_reuse_child(l, &w->share->counters);
    else if (plx__loop_open_child(w->parent, &w->share->counters, &l) < 0)
        return NULL;
    return l;
}

static void *pool_main(void *arg)
{
    struct plx__worker *w = arg;
    struct plx__spreader *sp = w->parent->state;
    struct plx_loop *l = NULL;
    pthread_mutex_lock(&sp->lock);
    for (;;) {
        while (!sp->nwaiting && !sp->closing)
            pthread_cond_wait(&sp->work, &sp->lock);
        if (!sp->nwaiting)
            break;
        sp->nidle--;
        w->task.socket = sp->waiting[sp->head];
        w->task.fd = w->task.socket.fd;
        sp->head = (sp->head + 1) % sp->room;
        sp->nwaiting--;
        atomic_store(&w->task.ending, 0);
        if (sp->closing)
            plx__blocking_end(&w->task, PLX__AT_ONCE);
        else if (sp->draining)
            plx__blocking_end(&w->task, PLX__POLITELY);
        w->busy = true;
        pthread_mutex_unlock(&sp->lock);
        l = own_loop(w, l);
        serve_on(l, w);
        if (l)
            plx__chunks_free(&l->chunks); /* as in plx__child_loop_give() */
        pthread_mutex_lock(&sp->lock);
        w->busy = false;
        sp->nidle++;
        if (sp->draining) /* the loop may be waiting for the last one */
            plx__wake_signal(&sp->wake);
    }
    pthread_mutex_unlock(&sp->lock);
    if (l)
        plx__loop_close_child(l);
    return NULL;
}

/* The stated rule of a full pool: a connection waits while the queue has room, in the order of
 * arrival; beyond that the newest is closed at once and counted as refused. */
int plx__spread_pool(struct plx_loop *l, const struct plx__socket *s)
{
    struct plx__spreader *sp = l->state;
    int rc = 0;
    pthread_mutex_lock(&sp->lock);
    if (sp->nwaiting >= l->pool_queue + sp->nidle) {
        rc = -EBUSY;
    } else {
        sp->waiting[(sp->head + sp->nwaiting) % sp->room] = *s;
        sp->nwaiting++;
        pthread_cond_signal(&sp->work);
    }
    pthread_mutex_unlock(&sp->lock);
    return rc;
}

/* What is left to end, for a drain: connections served and connections that wait. */
void plx__count_pool(struct plx_loop *l)
{
    struct plx__spreader *sp = l->state;
    pthread_mutex_lock(&sp->lock);
    l->nconn = sp->nwaiting;
    for (const struct plx__worker *w = sp->live; w; w = w->next)
        l->nconn += w->busy;
    pthread_mutex_unlock(&sp->lock);
}

int plx__open_pool(struct plx_loop *l, struct plx_why *why)
{
    struct plx__spreader *sp = l->state;
    sp->room = (size_t)l->pool_queue + l->pool_size;
    sp->waiting = plx__sys_calloc(sp->room, sizeof(*sp->waiting));
    int rc = sp->waiting ? 0 : -ENOMEM;
    unsigned started = 0;
    for (; rc == 0 && started < l->pool_size; started++) {
        struct plx__worker *w = plx__worker_new(l, NULL);
        char name[32];
        snprintf(name, sizeof(name), "plx-pool-%u", started);
        rc = w ? plx__thread_start(&w->thread, STACK, name, pool_main, w) : -ENOMEM;
        if (rc < 0) {
            plx__worker_free(w);
            break;
        }
        pthread_mutex_lock(&sp->lock);
        plx__worker_link(sp, w);
        sp->nidle++;
        pthread_mutex_unlock(&sp->lock);
    }
    if (rc < 0 && started > 0) {
        plx__log(l, PLX_LOG_WARN, "the pool has %u threads instead of %u: %s", started,
                 l->pool_size, plx_error_text(rc));
        rc = 0;
    }
    if (rc < 0)
        plx__why(why, "raise the limit on threads: ulimit -u", "thread pool: %s",
                 plx_error_text(rc));
    return rc;
}
