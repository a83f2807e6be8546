/* SPDX-License-Identifier: MIT */
/*
 * A trace taken over, and folded on the way: busy polling finds nothing some hundred thousand times
 * a second, and all that matters is how often.
 *
 *     recv(5) EAGAIN, recv(6) EAGAIN, recv(5) EAGAIN, recv(6) EAGAIN, ..., recv(5) 64
 *     =>  recv(5) EAGAIN x 1423, recv(6) EAGAIN x 1423, recv(5) 64
 *
 * `open` holds, for each thread, the events since it last did something; an event that equals one
 * of them is added to that one.
 */
#include "cmd/explain/explain.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK 1024
#define TRIES 100

static bool find_thread(struct explain_run *run, const struct plx_trace_event *in, size_t *out)
{
    for (*out = 0; *out < run->threads.n; (*out)++) {
        const struct explain_thread *t = &run->threads.items[*out];

        if (t->process == in->process && t->thread == in->thread)
            return true;
    }
    struct explain_thread *t = EXPLAIN_MORE(&run->threads);

    if (t == NULL)
        return false;
    t->process = in->process;
    t->thread = in->thread;
    t->name = in->process != run->process ? "process"
              : in->thread == in->process ? "main"
                                          : "thread";
    return true;
}

/* Whether nothing came of it. That a pass of polling is over is said each time, too. */
static bool is_idle(const struct explain_event *e)
{
    if (e->kind == PLX_TRACE_WOKEN)
        return true;
    return e->kind == PLX_TRACE_CALL &&
           (e->result == -EAGAIN || (e->phase == PLX_TRACE_WAITS && e->result == 0));
}

/* A queue that is as long as it was is no news either, but one that changed is. */
static bool may_fold(const struct explain_event *e)
{
    return is_idle(e) || e->kind == PLX_TRACE_QUEUED;
}

/* How many descriptors a pass went over does not matter. */
static bool is_same(const struct explain_event *a, const struct explain_event *b)
{
    return a->kind == b->kind && a->thread == b->thread && a->fd == b->fd && a->conn == b->conn &&
           (a->result == b->result || a->kind == PLX_TRACE_WOKEN) && strcmp(a->name, b->name) == 0;
}

static bool fold(struct explain_run *run, const struct explain_event *e)
{
    size_t kept = 0;

    for (size_t i = 0; may_fold(e) && i < run->open.n; i++) {
        struct explain_event *o = &run->events.items[run->open.items[i]];

        if (!is_same(o, e))
            continue;
        o->end_ns = e->end_ns;
        o->spent_ns += e->spent_ns;
        o->count++;
        return true;
    }
    if (is_idle(e))
        return false;
    for (size_t i = 0; i < run->open.n; i++) {
        if (run->events.items[run->open.items[i]].thread != e->thread)
            run->open.items[kept++] = run->open.items[i];
    }
    run->open.n = kept;
    return false;
}

static int take(struct explain_run *run, const struct plx_trace_event *in)
{
    struct explain_event e = {.number = in->number,
                              .begin_ns = in->begin_ns - run->zero_ns,
                              .end_ns = in->end_ns - run->zero_ns,
                              .spent_ns = in->end_ns - in->begin_ns,
                              .count = 1,
                              .name = in->name != NULL ? in->name : "",
                              .kind = in->kind,
                              .phase = in->phase,
                              .fd = in->fd,
                              .conn = in->conn,
                              .asked = in->asked,
                              .result = in->result};

    e.is_short = e.kind == PLX_TRACE_CALL && e.phase == PLX_TRACE_COPIES && explain_sends(&e) &&
                 e.result >= 0 && e.result < e.asked;
    if (!find_thread(run, in, &e.thread))
        return -ENOMEM;
    if (fold(run, &e))
        return 0;
    struct explain_event *more = EXPLAIN_MORE(&run->events);

    if (more == NULL)
        return -ENOMEM;
    *more = e;
    if (may_fold(&e)) {
        size_t *open = EXPLAIN_MORE(&run->open);

        if (open == NULL)
            return -ENOMEM;
        *open = run->events.n - 1;
    }
    return 0;
}

/* How many of the `n` events follow on what was taken, without a gap. */
static size_t unbroken(const struct explain_run *run, const struct plx_trace_event *chunk, size_t n)
{
    size_t i = 0;

    while (i < n && chunk[i].number == run->expected + i)
        i++;
    return i;
}

/*
 * An event that is being written when it is looked at is skipped by plx_trace_read(); it is there a
 * moment later. So a gap is looked at again some times before it is believed.
 */
int explain_take(struct explain_run *run, const struct plx_trace *trace)
{
    struct plx_trace_event *chunk = malloc(CHUNK * sizeof *chunk);
    int rc = chunk != NULL ? 0 : -ENOMEM;
    unsigned tries = 0;

    while (rc == 0) {
        uint64_t next = run->expected;
        size_t n = plx_trace_read(trace, &next, chunk, CHUNK);
        size_t good = unbroken(run, chunk, n);

        if (n == 0 && next == run->expected)
            break;
        if (good == 0 && tries++ < TRIES) {
            sched_yield();
            continue;
        }
        if (good == 0) {
            uint64_t found = n > 0 ? chunk[0].number : next;

            run->lost += found - run->expected;
            run->expected = found;
            good = unbroken(run, chunk, n);
        }
        tries = 0;
        for (size_t i = 0; i < good && rc == 0; i++)
            rc = take(run, &chunk[i]);
        run->expected += good;
    }
    free(chunk);
    return rc;
}

static int by_time(const void *a, const void *b)
{
    const struct explain_event *x = a;
    const struct explain_event *y = b;

    if (x->begin_ns != y->begin_ns)
        return x->begin_ns < y->begin_ns ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

struct closed {
    uint64_t conn;
    size_t at; /* index of the event */
};

static int by_conn(const void *a, const void *b)
{
    const struct closed *x = a;
    const struct closed *y = b;

    return x->conn < y->conn ? -1 : x->conn > y->conn;
}

/* A descriptor's number is used again: what was done with it after its connection had been closed
 * was not done for that connection. */
static int forget_closed(struct explain_run *run)
{
    struct closed *closed = calloc(run->events.n + 1, sizeof *closed);
    size_t n = 0;

    if (closed == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < run->events.n; i++) {
        const struct explain_event *e = &run->events.items[i];

        if (e->kind == PLX_TRACE_STATE && strcmp(e->name, "closed") == 0)
            closed[n++] = (struct closed){.conn = e->conn, .at = i};
    }
    qsort(closed, n, sizeof *closed, by_conn);
    for (size_t i = 0; i < run->events.n; i++) {
        struct explain_event *e = &run->events.items[i];
        struct closed key = {.conn = e->conn};
        const struct closed *c = bsearch(&key, closed, n, sizeof *closed, by_conn);

        if (c != NULL && i > c->at && e->kind == PLX_TRACE_CALL && strcmp(e->name, "close") != 0)
            e->conn = 0;
    }
    free(closed);
    return 0;
}

int explain_sort(struct explain_run *run)
{
    run->open.n = 0;
    if (run->events.n > 0)
        qsort(run->events.items, run->events.n, sizeof *run->events.items, by_time);
    return forget_closed(run);
}

void explain_run_free(struct explain_run *run)
{
    free(run->threads.items);
    free(run->clients.items);
    free(run->acts.items);
    free(run->steps.items);
    free(run->messages.items);
    free(run->events.items);
    free(run->open.items);
}
