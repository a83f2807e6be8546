/* SPDX-License-Identifier: MIT */
/*
 * A log-linear histogram of times, as HdrHistogram's (G. Tene, hdrhistogram.org): every power of
 * two is divided into HIST_SUB buckets of equal width, so a value is known to better than
 * 1/HIST_SUB = 0.78 % wherever it lies; below 2 * HIST_SUB nanoseconds it is known exactly.
 * Constant memory (36 KiB), no allocation after hist_open().
 *
 * One thread at a time changes a histogram (records, clears, adds to it); any thread may read it
 * meanwhile. The counters are relaxed atomics: a reader sees a state that is at most a moment old,
 * and no counter torn. What hist_add(), hist_copy(), hist_between() and hist_to_json() take from a
 * histogram agrees with itself even while it is being recorded: the count is that of the buckets,
 * and min, max and sum are kept within what the buckets allow (the sum, and so the mean, is then
 * known to 1/HIST_SUB). If nothing is recorded meanwhile, all of it is exact.
 */
#ifndef POLLUX_CMD_MEASURE_HIST_H
#define POLLUX_CMD_MEASURE_HIST_H

#include <pollux/error.h>
#include <stddef.h>
#include <stdint.h>

#define HIST_SUB 128
/* Above this (one hour, in nanoseconds) a value counts as this much; max and sum stay exact. */
#define HIST_MOST (3600 * (int64_t)1000000000)

struct hist;

/* Empty; NULL without memory. */
struct hist *hist_open(void);
void hist_close(struct hist *); /* NULL is allowed */
void hist_clear(struct hist *);

/* Counts a time in nanoseconds; below 0 counts as 0. */
void hist_record(struct hist *, int64_t ns);

/* to += from: the same as if everything had been recorded in `to`. */
void hist_add(struct hist *to, const struct hist *from);

/* to = now - then, for two states of one histogram, `then` the older: what was recorded between.
 * min and max of it are known only as well as the buckets tell. `to` is neither of them. */
void hist_between(struct hist *to, const struct hist *then, const struct hist *now);

/* to = from, which is another one. */
void hist_copy(struct hist *to, const struct hist *from);

/* All exact, and 0 when empty. A sum that would pass 2^64 - 1 ns (584 years) stays there. */
uint64_t hist_count(const struct hist *);
uint64_t hist_sum(const struct hist *);
double hist_mean(const struct hist *);
int64_t hist_min(const struct hist *);
int64_t hist_max(const struct hist *);

/*
 * The smallest value that `percent` (0 to 100) of all values do not exceed, within 1 %: the middle
 * of its bucket, kept within min and max. The first and the last of all values are min and max,
 * exactly. 0 when empty.
 */
int64_t hist_percentile(const struct hist *, double percent);

/* The buckets that are not empty, in rising order: calls fn(arg, low, high, count) for values from
 * `low` to `high`, both included, in nanoseconds. The bucket that ends at HIST_MOST counts what is
 * above, too. */
void hist_each(const struct hist *,
               void (*fn)(void *arg, int64_t low, int64_t high, uint64_t count), void *arg);

/* ---- as JSON: the whole histogram, to be added to others ---- */

struct json_t;

/*
 * {"schema_version":1, "kind":"pollux-histogram", "unit":"ns", "sub_buckets":128, "count":, "sum":
 *  (a decimal string where it passes 2^53), "min":, "max":, "buckets":[[low,high,count],...]}
 * with the buckets of hist_each(). NULL without memory.
 */
struct json_t *hist_to_json(const struct hist *);

/*
 * Reads such a document and adds it to `to`; keys that it does not know are passed over. 0, or
 * -errno with the reason, `to` unchanged: -EINVAL (another kind, schema_version, unit or layout, a
 * key missing, numbers that do not add up, a total that 64 bits do not hold) or -ENOMEM.
 */
int hist_from_json(struct hist *to, const struct json_t *, struct plx_why *);

/*
 * The same from and to a file. -errno with the reason in words, which names the file. The file is
 * written whole or not at all (another name first, then rename(2)), unless it is there already and
 * is not a regular file: a device, a pipe or a link is written straight. For hist_save() "-" is
 * standard output.
 */
int hist_save(const struct hist *, const char *file, struct plx_why *);
int hist_load(struct hist *to, const char *file, struct plx_why *);

/* ---- put together from parts: how hist_from_json() fills an empty one ---- */

/* Counts `count` values in the bucket from `low` to `high`. 0, or -EINVAL: no bucket has these
 * bounds. */
int hist_put(struct hist *, int64_t low, int64_t high, uint64_t count);

/* Sets what the buckets do not tell, unseen. A hist_copy() of it differs in what cannot be true of
 * its buckets. */
void hist_put_exact(struct hist *, uint64_t sum, int64_t min, int64_t max);

#endif
