/* SPDX-License-Identifier: MIT */
/* The clock of everything that is measured or waited for. */
#ifndef POLLUX_CMD_CLOCK_H
#define POLLUX_CMD_CLOCK_H

#include <stdint.h>
#include <time.h>

/* CLOCK_MONOTONIC in nanoseconds. Any thread. */
static inline int64_t clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

#endif
