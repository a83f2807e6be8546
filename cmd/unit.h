/* SPDX-License-Identifier: MIT */
/*
 * Numbers with a unit, as people type them on a command line. Three kinds, because the same letter
 * means different things: 10k requests are 10 000, a 64k buffer is 65 536 bytes, 10m is a time.
 */
#ifndef POLLUX_CMD_UNIT_H
#define POLLUX_CMD_UNIT_H

#include <stddef.h>
#include <stdint.h>

enum unit {
    UNIT_COUNT, /* 10  10k  2M  1G: powers of 1000 */
    UNIT_SIZE,  /* 512  64k  1M  2G: bytes, powers of 1024; a trailing B or iB is allowed */
    UNIT_TIME   /* 10s  250ms  2m  1h  50us  100ns: in nanoseconds; the unit is required */
};

/* Room for any value written by unit_format(), with its NUL. */
#define UNIT_TEXT 32

/*
 * Reads `text` whole; a decimal fraction is allowed where the result is a whole number of the
 * smallest unit (1.5s, 0.5k), with 18 decimals at most, not counting zeros at its end. Returns 0,
 * -EINVAL (not a number, or an unknown or missing unit) or -ERANGE (does not fit an int64_t, is not
 * a whole number, or has more decimals). Negative numbers are -EINVAL.
 */
int unit_parse(enum unit, const char *text, int64_t *out);

/* Writes `value` (0 or more) in the largest unit that shows it exactly: "64k", "1500ms", "2m".
 * unit_parse() reads it back to the same value. Returns `buf`. */
char *unit_format(enum unit, int64_t value, char *buf, size_t cap);

/* What such a value looks like, for error messages: "a time such as 10s, 250ms or 2m". */
const char *unit_describe(enum unit);

#endif
