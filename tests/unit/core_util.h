/* SPDX-License-Identifier: MIT */
/* What the tests of the library's core share: they look at its inside, through core.h. */
#ifndef POLLUX_TEST_CORE_UTIL_H
#define POLLUX_TEST_CORE_UTIL_H

#include "core/flow.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* xorshift32 (Marsaglia 2003): the same numbers on every machine, so that a failure repeats. */
struct dice {
    uint32_t x; /* never 0 */
};

static inline uint32_t roll(struct dice *d)
{
    d->x ^= d->x << 13;
    d->x ^= d->x >> 17;
    d->x ^= d->x << 5;
    return d->x;
}

/* 0 to n - 1 */
static inline size_t below(struct dice *d, size_t n)
{
    return roll(d) % n;
}

#endif
