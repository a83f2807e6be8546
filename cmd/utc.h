/* SPDX-License-Identifier: MIT */
/*
 * Date and time of day in UTC, without the C library's time zone code: gmtime_r(3) takes a lock,
 * and in a connection's own process (the fork model) a lock that another thread held at fork(2)
 * is never released.
 */
#ifndef POLLUX_CMD_UTC_H
#define POLLUX_CMD_UTC_H

#include <time.h>

struct utc {
    int year, month, day; /* month and day count from 1 */
    int hour, minute, second;
    int weekday; /* 0 is Sunday */
};

/* Splits seconds since 1970, which must not be negative. Any thread, any process. */
void utc_split(time_t, struct utc *out);

#endif
