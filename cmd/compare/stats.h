/* SPDX-License-Identifier: MIT */
/*
 * What may be said of figures that scatter: where their centre lies, and how surely. For figures
 * measured side by side on a shared machine, of which there are few, and some of which are off by
 * half because somebody else wanted the CPU. Any thread.
 */
#ifndef POLLUX_CMD_COMPARE_STATS_H
#define POLLUX_CMD_COMPARE_STATS_H

#include <stddef.h>
#include <stdint.h>

/* Fewer values have no interval: two that happen to be near each other would seem sure. */
#define STATS_LEAST 3

struct stats_interval {
    double centre;
    double low, high; /* NAN: too few values */
};

/* The median. Sorts `v`, in which there is no NAN; NAN when n is 0. */
double stats_median(double *v, size_t n);

/*
 * The mean of the middle half: a quarter of the values (rounded down, but one from three values on)
 * is left out at either end. An outlier moves it no further than a neighbour would, as with the
 * median, but it makes use of more of the values: of normally distributed ones the median needs a
 * third more for the same certainty. Of three or four values it is the median. Sorts `v` likewise.
 */
double stats_midmean(double *v, size_t n);

/*
 * The middle half's mean and an interval around it that holds the true one with `confidence` (0 to
 * 1): Student's t times the standard error, which is that of the bootstrap: how far the means of
 * `resamples` samples scatter that are drawn from `v` with replacement. It is taken from the tenth
 * and the ninetieth percentile of these means, since samples in which an outlier came up several
 * times would make a deviation too large (B. Efron, R. Tibshirani: An Introduction to the
 * Bootstrap, 1993, chapter 6), and enlarged by sqrt(n / (n - 1)), because such samples scatter less
 * than new values would (T. Hesterberg: What Teachers Should Know About the Bootstrap, The American
 * Statistician 69(4), 2015).
 *
 * The percentiles of the means themselves, which are the more common interval, are too near to each
 * other for few values: of three they are the smallest and the largest value, which have the true
 * centre between them three times in four. This one has it 95 to 99 times in 100, from three values
 * on, and also when one value in 25 is off by half (tests/unit/compare_stats_test.c).
 *
 * The same seed gives the same interval. Sorts `v`. 0, or -ENOMEM with all NAN. Takes about
 * resamples * (n + 10) * 5 ns.
 */
int stats_interval(double *v, size_t n, double confidence, unsigned resamples, uint64_t seed,
                   struct stats_interval *out);

/* Student's distribution with `freedom` degrees (1 or more): what the absolute value does not
 * exceed with probability `confidence` (0 to below 1). */
double stats_student(double confidence, unsigned freedom);

#endif
