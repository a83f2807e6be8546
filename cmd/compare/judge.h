/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the judgement share: judge.c (who is best, and who is not), why.c (the
 * reasons), claims.c (the beliefs) and caveats.c (the reservations). The caller's thread.
 */
#ifndef POLLUX_CMD_COMPARE_JUDGE_H
#define POLLUX_CMD_COMPARE_JUDGE_H

#include "cmd/compare/compare.h"
#include "cmd/compare/stats.h"

/* Above this share of its thread's time a generator is not sure to send when it could. */
#define JUDGE_CLIENT_BUSY 0.90

/* Where no arm was measured against itself, so much is taken for noise. */
#define JUDGE_FLOOR_ASSUMED 0.03

/* However large the floor is, a tie lies within this: what cannot be told apart is not therefore
 * the same. */
#define JUDGE_FLOOR_MOST 0.10

/* Idle servers that take less than this of a CPU are the same, ns per second: clock interrupts and
 * what happens once weigh more. */
#define JUDGE_IDLE_LEAST 1e6

/* Messages leave at times that were fixed beforehand. */
bool judge_open_loop(const struct workload *);

/* Where it is the field of a metric in a sample. */
size_t judge_offset(enum metric);

/* The least that counts as a value of the metric; smaller ones count as this. */
double judge_least(const struct workload *, enum metric);

/* Whether the arm has such a figure, and takes part in contests (a twin does not). */
bool judge_takes_part(const struct comparison *, size_t w, size_t a, size_t offset);

/*
 * The logarithm of a / b: of samples of the same round, so that what the machine did meanwhile is
 * in both. All NAN where no round has both; no interval below STATS_LEAST rounds. `salt` tells the
 * comparisons of one document apart, so that each has a bootstrap of its own.
 */
struct stats_interval judge_pairs(const struct comparison *, const struct cell *a,
                                  const struct cell *b, size_t offset, double least, uint64_t salt);

/*
 * What an interval of such logarithms says, where more is worse. VERDICT_TIE: it lies within
 * the larger of COMPARE_MARGIN and the floor on both sides, VERDICT_LOSES: above the floor,
 * VERDICT_BEST: below the floor on the other side, VERDICT_CANNOT_TELL.
 */
enum verdict judge_interval(const struct stats_interval *, double floor);

/* The share of its CPU that an arm spent in user space, over all rounds; NAN if too few clock
 * interrupts tell of it. */
double judge_user_share(const struct workload *, const struct cell *);

/* The sum of an arm's system calls per message; NAN where it has no counters. */
double judge_calls(const struct cell *);

/* why.c: why arm `a` does worse than arm `b` under workload `w`, as far as its counters tell: at
 * most two reasons, the larger one first; "" where they tell nothing. */
void judge_why(const struct comparison *, size_t w, size_t a, size_t b, char *buf, size_t cap);

/* caveats.c: fills in caveat[] behind the planned ones, from the contests. `floors` has for each
 * workload and metric where its floor came from. */
enum floor_source { FLOOR_TWIN, FLOOR_OTHERS, FLOOR_ASSUMED };
void compare_caveats(struct comparison *, enum floor_source floors[COMPARE_WORKLOADS_MAX][METRICS]);

/* "epoll", "epoll and poll", "epoll, poll and 3 more": the names of the arms that are set, cut to
 * what fits. Returns `buf`. */
char *judge_names(const struct comparison *, const bool *set, char *buf, size_t cap);

/* Appends to the text in `buf`; what does not fit is cut off. */
void judge_append(char *buf, size_t cap, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
