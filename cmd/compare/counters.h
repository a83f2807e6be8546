/* SPDX-License-Identifier: MIT */
/*
 * A server's own counters over the measured time: `pollux serve` prints them when it gets SIGUSR1,
 * and is asked at both ends. They are divided by what it received itself between its answers, so it
 * does not matter that these come a moment late. One thread.
 */
#ifndef POLLUX_CMD_COMPARE_COUNTERS_H
#define POLLUX_CMD_COMPARE_COUNTERS_H

#include "cmd/compare/compare.h"
#include "cmd/proc.h"

#define COUNTERS_KINDS 7

struct counters {
    unsigned asked, answered; /* how often */
    int64_t bytes_in[2];
    int64_t count[2][COUNTERS_KINDS]; /* in the order of the table in counters.c */
};

/* Asks a server of ours: to be called at the beginning of the measured time and at its end. */
void counters_ask(struct counters *, struct proc *);

/* After the load. Fills in the calls and wake-ups of `s`, per message of `message_bytes`; NAN where
 * an answer is missing or nothing came in between. */
void counters_take(struct counters *, struct proc *, double message_bytes, struct sample *s);

#endif
