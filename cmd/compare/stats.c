/* SPDX-License-Identifier: MIT */
/* See stats.h. */
#include "cmd/compare/stats.h"

#include "cmd/random.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#define PI 3.14159265358979323846

/* What nine of ten values of the normal distribution are below, in deviations. */
#define NORMAL_90 1.2815515655446004

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* How many of n are left out at either end. */
static size_t trimmed(size_t n)
{
    size_t quarter = n / 4;
    return n >= STATS_LEAST && quarter == 0 ? 1 : quarter;
}

double stats_median(double *v, size_t n)
{
    if (n == 0)
        return NAN;
    qsort(v, n, sizeof(*v), ascending);
    return (v[(n - 1) / 2] + v[n / 2]) / 2;
}

static double sorted_midmean(const double *v, size_t n)
{
    size_t out = trimmed(n);
    double sum = 0;
    for (size_t i = out; i < n - out; i++)
        sum += v[i];
    return sum / (double)(n - 2 * out);
}

double stats_midmean(double *v, size_t n)
{
    if (n == 0)
        return NAN;
    qsort(v, n, sizeof(*v), ascending);
    return sorted_midmean(v, n);
}

/* ---- the bootstrap ---- */

/* The middle half's mean of a sample in which sorted[i] occurs times[i] times, n in all. Counting
 * how often each was drawn spares sorting every sample. */
static double drawn_midmean(const double *sorted, const unsigned *times, size_t n)
{
    size_t first = trimmed(n), last = n - first; /* ranks that count: first <= rank < last */
    size_t rank = 0;
    double sum = 0;
    for (size_t i = 0; i < n && rank < last; i++) {
        size_t from = rank > first ? rank : first;
        size_t to = rank + times[i] < last ? rank + times[i] : last;
        if (to > from)
            sum += sorted[i] * (double)(to - from);
        rank += times[i];
    }
    return sum / (double)(last - first);
}

/* The standard error of the middle half's mean; `means` has room for all resamples. */
static double standard_error(const double *sorted, size_t n, unsigned resamples, uint64_t seed,
                             unsigned *times, double *means)
{
    for (unsigned r = 0; r < resamples; r++) {
        for (size_t i = 0; i < n; i++)
            times[i] = 0;
        for (size_t i = 0; i < n; i++)
            times[random_next(&seed) % n]++;
        means[r] = drawn_midmean(sorted, times, n);
    }
    qsort(means, resamples, sizeof(*means), ascending);
    double low = means[resamples / 10], high = means[resamples - 1 - resamples / 10];
    return (high - low) / (2 * NORMAL_90) * sqrt((double)n / (double)(n - 1));
}

int stats_interval(double *v, size_t n, double confidence, unsigned resamples, uint64_t seed,
                   struct stats_interval *out)
{
    *out = (struct stats_interval){stats_midmean(v, n), NAN, NAN};
    if (n < STATS_LEAST || resamples == 0)
        return 0;
    unsigned *times = malloc(n * sizeof(*times));
    double *means = malloc(resamples * sizeof(*means));
    int rc = times && means ? 0 : -ENOMEM;
    if (rc == 0) {
        double reach = stats_student(confidence, (unsigned)(n - 1)) *
                       standard_error(v, n, resamples, seed, times, means);
        out->low = out->centre - reach;
        out->high = out->centre + reach;
    } else {
        out->centre = NAN;
    }
    free(times);
    free(means);
    return rc;
}

/* ---- Student's t ---- */

/* The probability that the absolute value is at most t: the finite sums of Abramowitz and Stegun,
 * Handbook of Mathematical Functions, 26.7.3 and 26.7.4. */
static double student_within(double t, unsigned freedom)
{
    double angle = atan(t / sqrt(freedom));
    double cosine = cos(angle), sine = sin(angle);
    bool odd = freedom % 2 == 1;
    double term = odd ? cosine : 1, sum = freedom == 1 ? 0 : term;
    for (unsigned k = odd ? 3 : 2; k + 2 <= freedom; k += 2) {
        term *= cosine * cosine * (k - 1) / k;
        sum += term;
    }
    return odd ? (angle + sine * sum) * 2 / PI : sine * sum;
}

double stats_student(double confidence, unsigned freedom)
{
    double low = 0, high = 1;
    while (student_within(high, freedom) < confidence && high < 1e12)
        high *= 2;
    for (int i = 0; i < 60; i++) {
        double middle = (low + high) / 2;
        if (student_within(middle, freedom) < confidence)
            low = middle;
        else
            high = middle;
    }
    return high;
}
