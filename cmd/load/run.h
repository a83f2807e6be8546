/* SPDX-License-Identifier: MIT */
/*
 * A run as the caller's thread sees it (private to this room): run.c leads it, watch.c looks on.
 */
#ifndef POLLUX_CMD_LOAD_RUN_H
#define POLLUX_CMD_LOAD_RUN_H

#include "cmd/load/worker.h"

/* What the counters of all threads add up to, at a time. */
struct sum {
    int64_t at_ns;
    uint64_t sent, answered, dropped, bytes_in, bytes_out, opened, lost, errors, open, connecting;
};

struct run {
    struct load load;
    const struct load_config *cfg;
    struct load_result *result;
    struct worker *worker;
    unsigned nworkers; /* opened; `running` of them have a thread */
    unsigned running;

    int64_t started_ns, next_sample_ns, next_tick_ns, next_interval_ns;
    struct sum last_tick, last_interval;
    double rate;
    double under_way; /* sum of the samples */
    uint64_t samples;
    size_t room; /* of result->interval */
    struct hist *now, *then, *between;
    int64_t p50, p99;
    bool interrupted;

    bool measuring, measured, accounted;
    int64_t account_took_ns;
    struct account from;
    int64_t busy_from;
    struct sum account_from;
};

/* ---- watch.c ---- */

struct sum run_sum(const struct run *);

/* Whether all threads have come at least so far. */
bool run_all_at(const struct run *, enum worker_state);

/* Does what is due: samples, intervals, ticks, the server's account at both ends of the measured
 * time. Returns when the next thing is (monotonic clock, ns). */
int64_t run_watch(struct run *);

/* The measured time ends now, if it has begun and not ended. */
void run_measured(struct run *);

#endif
