/* SPDX-License-Identifier: MIT */
/*
 * Timers: a binary heap over the monotonic clock, ordered by time and then by start.
 * Connections have no timers of their own (their limits are judged by a sweep, loop.c), so the
 * heap holds what programs start, and its logarithm does not matter.
 */
#include "core/core.h"

#include <errno.h>
#include <stdlib.h>

static bool before(const struct plx_timer *a, const struct plx_timer *b)
{
    return a->at != b->at ? a->at < b->at : a->seq < b->seq;
}

static void place(struct plx_loop *l, size_t i, struct plx_timer *t)
{
    l->heap[i] = t;
    t->index = i;
}

static void up(struct plx_loop *l, size_t i, struct plx_timer *t)
{
    while (i > 0 && before(t, l->heap[(i - 1) / 2])) {
        place(l, i, l->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    place(l, i, t);
}

static void down(struct plx_loop *l, size_t i, struct plx_timer *t)
{
    for (;;) {
        size_t kid = 2 * i + 1;
        if (kid >= l->ntimers)
            break;
        if (kid + 1 < l->ntimers && before(l->heap[kid + 1], l->heap[kid]))
            kid++;
        if (!before(l->heap[kid], t))
            break;
        place(l, i, l->heap[kid]);
        i = kid;
    }
    place(l, i, t);
}

static int insert(struct plx_loop *l, struct plx_timer *t)
{
    if (l->ntimers + l->timer_due == l->heap_cap) {
        size_t cap = l->heap_cap ? l->heap_cap * 2 : 16;
        struct plx_timer **heap = plx__sys_realloc(l->heap, cap * sizeof(struct plx_timer *));
        if (!heap)
            return -ENOMEM;
        l->heap = heap;
        l->heap_cap = cap;
    }
    t->seq = l->timer_seq++;
    up(l, l->ntimers++, t);
    return 0;
}

static void take_out(struct plx_loop *l, struct plx_timer *t)
{
    struct plx_timer *last = l->heap[--l->ntimers];
    if (last == t)
        return;
    size_t i = t->index;
    if (i > 0 && before(last, l->heap[(i - 1) / 2]))
        up(l, i, last);
    else
        down(l, i, last);
}

int plx_timer_start(struct plx_loop *l, int64_t first_ns, int64_t every_ns, void (*fn)(void *),
                    void *arg, struct plx_timer **out)
{
    if (first_ns < 0 || every_ns < 0 || !fn)
        return -EINVAL;
    struct plx_timer *t = plx__sys_calloc(1, sizeof(*t));
    if (!t)
        return -ENOMEM;
    int64_t now = plx__clock(); /* not the turn's start: a timer is never early */
    *t = (struct plx_timer){.loop = l, .every = every_ns, .fn = fn, .arg = arg};
    t->at = first_ns > INT64_MAX - now ? INT64_MAX : now + first_ns;
    int rc = insert(l, t);
    if (rc < 0) {
        free(t);
        return rc;
    }
    if (out)
        *out = t;
    return 0;
}

void plx_timer_stop(struct plx_timer *t)
{
    if (!t)
        return;
    t->stopped = true;
    if (t->running)
        return; /* freed when its call returns */
    take_out(t->loop, t);
    free(t);
}

int64_t plx__loop_next_timer(const struct plx_loop *l)
{
    return l->ntimers ? l->heap[0]->at : INT64_MAX;
}

int plx__timers_run(struct plx_loop *l)
{
    int ran = 0;
    /* Timers started meanwhile wait for the next turn, so that a timer of 0 cannot starve I/O. */
    uint64_t limit = l->timer_seq;
    while (l->ntimers && l->heap[0]->at <= l->now && l->heap[0]->seq < limit) {
        struct plx_timer *t = l->heap[0];
        take_out(l, t);
        t->running = true;
        l->timer_due = t->every != 0; /* its place is kept, whatever its call starts */
        t->fn(t->arg);
        l->timer_due = 0;
        t->running = false;
        ran++;
        if (t->every && !t->stopped) {
            t->at = t->every > INT64_MAX - t->at ? INT64_MAX : t->at + t->every;
            if (t->at <= l->now)
                t->at = l->now + t->every; /* missed ticks are not made up for */
            if (insert(l, t) == 0)         /* there is room: its place was kept */
                continue;
        }
        free(t);
    }
    return ran;
}

void plx__timers_free(struct plx_loop *l)
{
    for (size_t i = 0; i < l->ntimers; i++)
        free(l->heap[i]);
    free(l->heap);
    l->heap = NULL;
    l->ntimers = l->heap_cap = 0;
}
