/* SPDX-License-Identifier: MIT */
/* What the tests of the nine claims share. */
#ifndef POLLUX_CMD_COMPARE_CLAIMS_H
#define POLLUX_CMD_COMPARE_CLAIMS_H

#include "cmd/compare/judge.h"

enum answer { HOLDS, DOES_NOT, CANNOT };

#define NO_ARM ((size_t)-1)

/*
 * claims_sweep.c: two of the tests. A test appends to the text in `figures`, with "; " after each
 * part, what its answer rests on or what it lacks.
 */
enum answer claim_many_few(const struct comparison *, char *figures, size_t cap);
enum answer claim_copying(const struct comparison *, char *figures, size_t cap);

/* The arm that runs the model of this name, NO_ARM if there is none. */
size_t claim_model(const struct comparison *, const char *name);

/* Whether the workload has a figure of the arm's CPU. */
bool claim_has(const struct comparison *, size_t w, size_t a);

/* Messages one by one, as fast as they are answered. */
bool claim_is_plain(const struct workload *);

/* The CPU of arm a under workload w, divided by that of arm b under workload v: logarithms. */
struct stats_interval claim_ratio(const struct comparison *, size_t w, size_t a, size_t v,
                                  size_t b);

/* What such an interval says, by the floor of workload w; see judge_interval(). */
enum verdict claim_verdict(const struct comparison *, size_t w, const struct stats_interval *);

/* What follows for "it is more", and for "this and that". */
enum answer claim_if_more(enum verdict);
enum answer claim_both(enum answer, enum answer);

/* "1.25", "12.5", "125"; "1.25 [1.21 to 1.30]". Return `buf`. */
#define CLAIM_TEXT 64
const char *claim_factor(double, char buf[CLAIM_TEXT]);
const char *claim_text(const struct stats_interval *, char buf[CLAIM_TEXT]);

#endif
