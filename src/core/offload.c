/* SPDX-License-Identifier: MIT */
/*
 * Heavy work beside the loop: a bounded pool of threads for each group, made at the first job.
 *
 *     plx_offload()          a thread of the pool            the loop's chores
 *     queue  ------------->  work(arg)  ------------------>  done(conn or NULL, arg)
 *
 * One lock guards the queue and what has come back. A thread that brings a job back wakes the loop
 * under it, and a loop that ends takes its jobs out of the queue and waits for those that run under
 * it too: so no loop is touched after it has gone.
 *
 * A connection counts its jobs (it should stay small; the loop lists them). As long as it has any,
 * it does not end of itself: its peer's end is told and its drain goes on only after the last
 * (flow.c), and its idle limit stands still.
 */
#include "core/offload.h"

#include "core/core.h"
#include "core/trace.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

/* How many jobs a loop keeps for the next: no more than usually wait. */
#define SPARE_MOST 1024u

struct plx__job {
    struct plx__job *next;             /* in the queue, on the way back, or spare */
    struct plx__job *of_next, **of_at; /* the loop's list of those whose connection lives */
    struct plx_loop *loop;
    struct plx_conn *conn; /* NULL when it has gone; the loop's thread only */
    atomic_bool gone;      /* the same for the pool's threads */
    void (*work)(void *);
    void (*done)(struct plx_conn *, void *);
    void *arg;
};

struct plx__pool {
    pthread_mutex_t lock;
    pthread_cond_t work; /* there is a job, or the pool closes */
    pthread_cond_t back; /* a job of a loop that ends has come back */
    struct plx__job *queue, **queue_end;
    unsigned nqueued, queue_most;
    unsigned nidle, nthreads, threads_most;
    bool closing;
    pthread_t threads[];
};

/* ---- the pool ---- */

static void bring_back(struct plx__pool *p, struct plx__job *job)
{
    struct plx_loop *l = job->loop;
    struct plx__jobs *j = &l->jobs;
    job->next = NULL;
    *j->back_end = job;
    j->back_end = &job->next;
    j->out--;
    if (!atomic_exchange(&j->due, true))
        l->engine->wake(l);
    if (j->ending)
        pthread_cond_broadcast(&p->back);
}

static struct plx__job *take_first(struct plx__pool *p)
{
    struct plx__job *job = p->queue;
    p->queue = job->next;
    if (!p->queue)
        p->queue_end = &p->queue;
    p->nqueued--;
    return job;
}

static void *pool_main(void *arg)
{
    struct plx__pool *p = arg;
    pthread_mutex_lock(&p->lock);
    for (;;) {
        while (!p->queue && !p->closing)
            pthread_cond_wait(&p->work, &p->lock);
        if (!p->queue)
            break;
        struct plx__job *job = take_first(p);
        p->nidle--;
        pthread_mutex_unlock(&p->lock);
        if (!atomic_load_explicit(&job->gone, memory_order_relaxed))
            job->work(job->arg);
        pthread_mutex_lock(&p->lock);
        p->nidle++;
        bring_back(p, job);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* Threads are started as they are needed: most of the time a few of them are enough. That one
 * cannot be had matters only if there is none. */
static int add_thread(struct plx__pool *p)
{
    char name[32];
    snprintf(name, sizeof(name), "plx-work-%u", p->nthreads);
    int rc = plx__thread_start(&p->threads[p->nthreads], 0, name, pool_main, p);
    if (rc == 0) {
        p->nthreads++;
        p->nidle++;
    }
    return p->nthreads ? 0 : rc;
}

/* The processors that the process may use: its first thread's, for a worker's may be pinned. */
static unsigned processors(void)
{
    long n = 0;
#ifdef CPU_COUNT
    cpu_set_t set;
    if (sched_getaffinity(getpid(), sizeof(set), &set) == 0)
        n = CPU_COUNT(&set);
#endif
    if (n < 1)
        n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > PLX__OFFLOAD_THREADS_MOST ? PLX__OFFLOAD_THREADS_MOST : (unsigned)n;
}

static struct plx__pool *open_pool(const struct plx_loop *l)
{
    unsigned most = l->offload_threads ? l->offload_threads : processors();
    struct plx__pool *p = plx__sys_calloc(1, sizeof(*p) + most * sizeof(p->threads[0]));
    if (!p)
        return NULL;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    pthread_cond_init(&p->back, NULL);
    p->queue_end = &p->queue;
    p->threads_most = most;
    p->queue_most = l->offload_queue;
    return p;
}

static int join_pool(struct plx_loop *l)
{
    if (l->jobs.pool)
        return 0;
    pthread_mutex_lock(&l->group->lock);
    if (!l->group->pool)
        l->group->pool = open_pool(l);
    l->jobs.pool = l->group->pool;
    pthread_mutex_unlock(&l->group->lock);
    return l->jobs.pool ? 0 : -ENOMEM;
}

void plx__pool_close(struct plx__pool *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->closing = true;
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->nthreads; i++)
        pthread_join(p->threads[i], NULL);
    pthread_cond_destroy(&p->back);
    pthread_cond_destroy(&p->work);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

/* ---- handing over ---- */

/* A connection that has a thread or process of its own holds up nobody else; and one that cannot be
 * reached while its thread waits for it could not be told. */
static bool in_place(const struct plx_loop *l)
{
    return (l->row->pub.caps & PLX_CAP_STALL) || !(l->row->pub.caps & PLX_CAP_POST);
}

static int put_in_place(struct plx_loop *l, struct plx__job *job)
{
    struct plx__jobs *j = &l->jobs;
    if (j->nback >= l->offload_queue)
        return -EAGAIN;
    j->nback++;
    *j->back_end = job;
    j->back_end = &job->next;
    atomic_store_explicit(&j->due, true, memory_order_relaxed);
    return 0;
}

static int put_in_queue(struct plx_loop *l, struct plx__job *job)
{
    int rc = join_pool(l);
    if (rc < 0)
        return rc;
    struct plx__pool *p = l->jobs.pool;
    pthread_mutex_lock(&p->lock);
    if (p->nqueued >= p->nidle && p->nthreads < p->threads_most)
        rc = add_thread(p);
    if (rc == 0 && p->nqueued >= p->queue_most + p->nidle)
        rc = -EAGAIN;
    if (rc == 0) {
        *p->queue_end = job;
        p->queue_end = &job->next;
        p->nqueued++;
        l->jobs.out++;
        pthread_cond_signal(&p->work);
    }
    pthread_mutex_unlock(&p->lock);
    return rc;
}

static struct plx__job *take_spare(struct plx_loop *l)
{
    struct plx__job *job = l->jobs.spare;
    if (!job)
        return plx__sys_malloc(sizeof(*job));
    l->jobs.spare = job->next;
    l->jobs.nspare--;
    return job;
}

static void give_spare(struct plx_loop *l, struct plx__job *job)
{
    if (l->jobs.nspare >= SPARE_MOST) {
        free(job);
        return;
    }
    job->next = l->jobs.spare;
    l->jobs.spare = job;
    l->jobs.nspare++;
}

static void link_to(struct plx__job *job, struct plx_conn *c)
{
    struct plx__jobs *j = &c->loop->jobs;
    job->of_next = j->all;
    job->of_at = &j->all;
    if (j->all)
        j->all->of_at = &job->of_next;
    j->all = job;
    c->jobs++;
}

static void unlink_from(struct plx__job *job)
{
    *job->of_at = job->of_next;
    if (job->of_next)
        job->of_next->of_at = job->of_at;
    job->conn->jobs--;
    job->conn = NULL;
}

int plx_offload(struct plx_conn *c, void (*work)(void *), void (*done)(struct plx_conn *, void *),
                void *arg)
{
    struct plx_loop *l = c->loop;
    if (!work || !done)
        return -EINVAL;
    if (c->phase > PLX__OPEN)
        return -EPIPE;
    if (c->jobs == UINT16_MAX)
        return -EAGAIN;
    struct plx__job *job = take_spare(l);
    if (!job)
        return -ENOMEM;
    *job = (struct plx__job){.loop = l, .conn = c, .work = work, .done = done, .arg = arg};
    link_to(job, c);
    int rc = in_place(l) ? put_in_place(l, job) : put_in_queue(l, job);
    if (rc < 0) {
        unlink_from(job);
        give_spare(l, job);
    }
    return rc;
}

/* ---- coming back ---- */

/* The connection's last job is over: what had to wait for it goes on. */
static void go_on(struct plx_conn *c)
{
    struct plx_loop *l = c->loop;
    if (l->limits.idle_ns > 0)
        plx__loop_deadline(l, l->now + l->limits.idle_ns);
    if (c->flags & PLX__F_EOF) {
        c->flags |= PLX__F_RESUME;
        plx__conn_dirty(c);
    }
    if (c->flags & PLX__F_DRAINING) {
        if (l->limits.linger_ns > 0)
            plx__loop_deadline(l, l->now + l->limits.linger_ns);
        plx__conn_dirty(c);
    }
}

static void deliver(struct plx_loop *l, struct plx__job *job)
{
    struct plx_conn *c = job->conn;
    void (*done)(struct plx_conn *, void *) = job->done;
    void *arg = job->arg;
    bool lives = c && c->phase != PLX__ENDED;
    if (lives && in_place(l)) {
        job->work(arg);
        plx__loop_worked(l);
    }
    if (c)
        unlink_from(job);
    give_spare(l, job);
    if (!lives) {
        done(NULL, arg);
        return;
    }
    c->moved_ms = c->work_ms = l->now_ms; /* it was we who kept the peer waiting */
    int64_t begin = plx__callback_begins(c);
    done(c, arg);
    plx__callback_ends(c, "done", begin, 0, 0);
    if (!c->jobs)
        go_on(c);
}

/* All that has come back, first come first; what comes in meanwhile has its turn later. */
static struct plx__job *take_back(struct plx__jobs *j)
{
    struct plx__job *list = j->back;
    j->back = NULL;
    j->back_end = &j->back;
    j->nback = 0;
    atomic_store(&j->due, false);
    return list;
}

static void deliver_all(struct plx_loop *l, struct plx__job *list)
{
    while (list) {
        struct plx__job *job = list;
        list = job->next;
        deliver(l, job);
    }
}

/* In place one at a time: the answer is written, and an end noticed, before the next begins. */
static struct plx__job *take_one(struct plx__jobs *j)
{
    struct plx__job *job = j->back;
    if (!job->next)
        return take_back(j);
    j->back = job->next;
    j->nback--;
    job->next = NULL;
    return job;
}

void plx__offload_run(struct plx_loop *l)
{
    struct plx__jobs *j = &l->jobs;
    if (!plx__offload_due(j))
        return;
    if (!j->pool) {
        deliver_all(l, take_one(j));
        return;
    }
    pthread_mutex_lock(&j->pool->lock);
    struct plx__job *list = take_back(j);
    pthread_mutex_unlock(&j->pool->lock);
    deliver_all(l, list);
}

/* ---- ending ---- */

void plx__offload_forget(struct plx_conn *c)
{
    struct plx__job *next;
    for (struct plx__job *job = c->loop->jobs.all; c->jobs; job = next) {
        next = job->of_next;
        if (job->conn != c)
            continue;
        atomic_store_explicit(&job->gone, true, memory_order_relaxed);
        unlink_from(job);
    }
}

/* What no thread has begun comes back as it is. */
static void take_from_queue(struct plx__pool *p, struct plx_loop *l)
{
    struct plx__job **at = &p->queue;
    while (*at) {
        struct plx__job *job = *at;
        if (job->loop != l) {
            at = &job->next;
            continue;
        }
        *at = job->next;
        p->nqueued--;
        bring_back(p, job);
    }
    p->queue_end = at;
}

void plx__offload_end(struct plx_loop *l)
{
    struct plx__jobs *j = &l->jobs;
    if (j->pool) {
        pthread_mutex_lock(&j->pool->lock);
        j->ending = true;
        take_from_queue(j->pool, l);
        while (j->out)
            pthread_cond_wait(&j->pool->back, &j->pool->lock);
        pthread_mutex_unlock(&j->pool->lock);
    }
    deliver_all(l, take_back(j));
    while (j->spare) {
        struct plx__job *job = j->spare;
        j->spare = job->next;
        free(job);
    }
    j->nspare = 0;
}
