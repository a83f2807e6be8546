/* SPDX-License-Identifier: MIT */
/*
 * The rounds: in each, every arm runs once under every workload, in an order drawn anew, so that
 * what changes on the machine meanwhile meets all of them alike and differences are taken in pairs.
 */
#ifndef POLLUX_CMD_COMPARE_ROUNDS_H
#define POLLUX_CMD_COMPARE_ROUNDS_H

#include "cmd/compare/compare.h"
#include "cmd/compare/net.h"

struct rounds_progress {
    const struct workload *workload; /* what runs now; NULL = nothing yet */
    const struct arm *arm;
    unsigned round;  /* from 1 */
    double done;     /* 0 to 1, at least so much */
    int64_t left_ns; /* at most, as far as it can be told */
};

struct rounds_plan {
    unsigned least, most;  /* rounds; `most` = 0: until the budget is spent */
    const struct net *net; /* joined */
    const volatile sig_atomic_t *interrupted;
    void (*tick)(void *arg, const struct rounds_progress *); /* some times a second; may be NULL */
    void *arg;
};

/*
 * Fills the cells that are CELL_EMPTY, and sets rounds, took_ns and partial. A workload whose
 * contest is decided is left out of later rounds; what is undecided gets the time that is left of
 * budget_ns. 0, -EINTR (partial is set), or -ENOMEM.
 */
int rounds_run(struct comparison *, const struct rounds_plan *);

#endif
