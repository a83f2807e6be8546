/* SPDX-License-Identifier: MIT */
/* See arrivals.h. */
#include "cmd/load/arrivals.h"

#include "cmd/random.h"

#include <math.h>

/* More than a century: what is due later still has to be a time. */
#define NEVER_NS 4e18

/* Gaps of a Poisson process are exponential: Knuth, The Art of Computer Programming 2, 3.4.1 D. */
static double draw_gap(struct arrivals *a)
{
    return -log(random_unit(&a->random)) * a->gap_ns;
}

void arrivals_begin(struct arrivals *a, enum load_arrival kind, double rate, unsigned index,
                    unsigned sharers, int64_t begin_ns, uint64_t seed)
{
    *a = (struct arrivals){.gap_ns = 1e9 * sharers / rate, .begin_ns = begin_ns};
    if (kind == LOAD_POISSON) {
        uint64_t state = seed ^ (0xa5a5a5a5a5a5a5a5u + index);
        a->poisson = true;
        a->random = random_next(&state);
        a->at_ns = draw_gap(a);
    } else {
        a->first_ns = 1e9 * index / rate;
    }
}

int64_t arrivals_due(const struct arrivals *a)
{
    /* Of the constant rate a multiple, not a sum: no error adds up. */
    double at = a->poisson ? a->at_ns : a->first_ns + (double)a->count * a->gap_ns;
    return a->begin_ns + (int64_t)fmin(at, NEVER_NS);
}

void arrivals_next(struct arrivals *a)
{
    a->count++;
    if (a->poisson)
        a->at_ns += draw_gap(a);
}
