/* SPDX-License-Identifier: MIT */
/*
 * The open loop's plan: when each message of a connection is to leave. Nothing is kept per message:
 * the plan is worked out as it is used, and worked out once more when the answers come, from a copy
 * taken at the beginning. So a server may stand still for any time without costing memory here.
 *
 * `sharers` connections of the same rate make up the whole: evenly interleaved (constant), or each
 * a Poisson process, which together are a Poisson process of the whole rate.
 */
#ifndef POLLUX_CMD_LOAD_ARRIVALS_H
#define POLLUX_CMD_LOAD_ARRIVALS_H

#include "cmd/load/load.h"

#include <stdint.h>

struct arrivals {
    double gap_ns;   /* between two messages of this connection, in the mean */
    double at_ns;    /* Poisson: of the next, since the beginning */
    double first_ns; /* constant: of the first */
    uint64_t count;  /* how many there were */
    uint64_t random;
    bool poisson;
    int64_t begin_ns;
};

/* The plan of connection `index` (0 .. sharers-1) from the monotonic time `begin_ns` on. */
void arrivals_begin(struct arrivals *, enum load_arrival, double rate, unsigned index,
                    unsigned sharers, int64_t begin_ns, uint64_t seed);

/* When the next message is due (monotonic clock, ns); the same until arrivals_next(). */
int64_t arrivals_due(const struct arrivals *);
void arrivals_next(struct arrivals *);

#endif
