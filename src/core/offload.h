/* SPDX-License-Identifier: MIT */
/*
 * Heavy work beside the loop: plx_offload().
 *
 * A job belongs to the loop of its connection and, while a thread may have it, to the pool of that
 * loop's group. Where a connection has a thread or process of its own there is no pool: its jobs
 * run in place, from the loop's chores.
 */
#ifndef POLLUX_CORE_OFFLOAD_H
#define POLLUX_CORE_OFFLOAD_H

#include <stdatomic.h>
#include <stdbool.h>

struct plx_conn;
struct plx_loop;
struct plx__group;
struct plx__job;
struct plx__pool;

/* A loop's side of it. */
struct plx__jobs {
    struct plx__pool *pool;            /* NULL before the first job, and where they run in place */
    struct plx__job *back, **back_end; /* done, or to be done in place; under the pool's lock */
    unsigned nback;                    /* in place: how many */
    unsigned out;                      /* with the pool, not yet back; under its lock */
    bool ending;                       /* the loop waits for these; likewise */
    atomic_bool due;                   /* `back` is not empty */
    struct plx__job *all;              /* of connections that live */
    struct plx__job *spare;            /* to be used again: a steady state allocates nothing */
    unsigned nspare;
};

/* Whether there is something for plx__offload_run(). */
static inline bool plx__offload_due(const struct plx__jobs *j)
{
    return atomic_load_explicit(&j->due, memory_order_acquire);
}

/* Gives connections what has come back, one of the loop's chores. */
void plx__offload_run(struct plx_loop *);
/* The connection is about to go: its jobs lose it, and those that no thread has begun are not
 * begun any more. */
void plx__offload_forget(struct plx_conn *);
/* After the loop's connections have ended: takes back what waits, waits for what runs, tells all
 * of them; from then on no thread of the pool knows the loop. */
void plx__offload_end(struct plx_loop *);
/* Ends the pool's threads; after every loop of the group has ended. */
void plx__pool_close(struct plx__pool *);

#endif
