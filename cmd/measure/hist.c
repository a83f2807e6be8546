/* SPDX-License-Identifier: MIT */
/*
 * The histogram. A value's bucket is its eight leading bits (HIST_SUB to 2 * HIST_SUB - 1) and how
 * far they were shifted down, so finding it takes one instruction that counts leading zeros, and
 * the buckets of all magnitudes follow each other without a gap:
 *
 *     value            shift   index
 *     0 .. 255           0     the value itself
 *     256 .. 511         1     256 .. 383, two values each
 *     512 .. 1023        2     384 .. 511, four values each
 *     ...
 *
 * There is one writer, so a counter is raised by a load and a store that are merely declared
 * atomic: a locked instruction would cost several times the rest of hist_record().
 */
#include "cmd/measure/hist.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#define SUB_BITS   7
#define MOST_SHIFT 34 /* of HIST_MOST */
#define BUCKETS    ((MOST_SHIFT << SUB_BITS) + (int)(HIST_MOST >> MOST_SHIFT) + 1)

_Static_assert(1 << SUB_BITS == HIST_SUB, "the bits do not go with the number of buckets");
_Static_assert(HIST_MOST >> MOST_SHIFT >= HIST_SUB && HIST_MOST >> MOST_SHIFT < 2 * HIST_SUB,
               "the last bucket is not that of HIST_MOST");

struct hist {
    _Atomic uint64_t count, sum;
    _Atomic int64_t min, max; /* INT64_MAX and 0 when empty */
    _Atomic uint64_t bucket[BUCKETS];
};

/* ---- counters ---- */

static uint64_t get(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void set(_Atomic uint64_t *counter, uint64_t value)
{
    atomic_store_explicit(counter, value, memory_order_relaxed);
}

static int64_t get_edge(const _Atomic int64_t *edge)
{
    return atomic_load_explicit(edge, memory_order_relaxed);
}

static void set_edge(_Atomic int64_t *edge, int64_t value)
{
    atomic_store_explicit(edge, value, memory_order_relaxed);
}

static void add(_Atomic uint64_t *counter, uint64_t n)
{
    set(counter, get(counter) + n);
}

/* A sum that began again at 0 would make a mean that looks like one. */
static uint64_t saturated(uint64_t sum, uint64_t n, uint64_t ns)
{
    return __builtin_mul_overflow(n, ns, &n) || __builtin_add_overflow(sum, n, &sum) ? UINT64_MAX
                                                                                     : sum;
}

static void add_sum(struct hist *h, uint64_t ns)
{
    set(&h->sum, saturated(get(&h->sum), 1, ns));
}

static void widen(struct hist *h, int64_t min, int64_t max)
{
    if (min < get_edge(&h->min))
        set_edge(&h->min, min);
    if (max > get_edge(&h->max))
        set_edge(&h->max, max);
}

/* ---- layout ---- */

static size_t index_of(uint64_t ns)
{
    unsigned shift = 63 - SUB_BITS - (unsigned)__builtin_clzll(ns | (2 * HIST_SUB - 1));

    return ((size_t)shift << SUB_BITS) + (size_t)(ns >> shift);
}

static unsigned shift_of(size_t i)
{
    return i < HIST_SUB ? 0 : (unsigned)(i >> SUB_BITS) - 1;
}

static int64_t low_of(size_t i)
{
    unsigned shift = shift_of(i);

    return (int64_t)(i - ((size_t)shift << SUB_BITS)) << shift;
}

static int64_t high_of(size_t i)
{
    return i == BUCKETS - 1 ? HIST_MOST : low_of(i) + ((int64_t)1 << shift_of(i)) - 1;
}

/* The most that may have been counted in it. */
static int64_t most_of(size_t i)
{
    return i == BUCKETS - 1 ? INT64_MAX : high_of(i);
}

static int64_t within(int64_t ns, int64_t low, int64_t high)
{
    return ns < low ? low : ns > high ? high : ns;
}

/* ---- recording ---- */

struct hist *hist_open(void)
{
    struct hist *h = malloc(sizeof *h);

    if (h != NULL)
        hist_clear(h);
    return h;
}

void hist_close(struct hist *h)
{
    free(h);
}

void hist_clear(struct hist *h)
{
    for (size_t i = 0; i < BUCKETS; i++)
        set(&h->bucket[i], 0);
    set(&h->count, 0);
    set(&h->sum, 0);
    set_edge(&h->min, INT64_MAX);
    set_edge(&h->max, 0);
}

void hist_record(struct hist *h, int64_t ns)
{
    int64_t value = ns < 0 ? 0 : ns;

    add(&h->bucket[index_of((uint64_t)(value > HIST_MOST ? HIST_MOST : value))], 1);
    add(&h->count, 1);
    add_sum(h, (uint64_t)value);
    widen(h, value, value);
}

/* ---- whole histograms ---- */

/* What goes with buckets that were read one by one, while their owner may have recorded more. */
struct range {
    uint64_t count;
    uint64_t least, most; /* what their values can add up to */
    size_t first, last;   /* not empty; only meaningful if count > 0 */
};

static void range_add(struct range *range, size_t i, uint64_t n)
{
    if (n == 0)
        return;
    if (range->count == 0)
        range->first = i;
    range->last = i;
    range->count += n;
    range->least = saturated(range->least, n, (uint64_t)low_of(i));
    range->most = saturated(range->most, n, (uint64_t)most_of(i));
}

/* Adds what the buckets do not tell, as far as the buckets that were seen allow. */
static void add_range(struct hist *to, const struct range *range, uint64_t sum, int64_t min,
                      int64_t max)
{
    if (range->count == 0)
        return;
    add(&to->count, range->count);
    add_sum(to, sum < range->least ? range->least : sum > range->most ? range->most : sum);
    widen(to, within(min, low_of(range->first), most_of(range->first)),
          within(max, low_of(range->last), most_of(range->last)));
}

void hist_add(struct hist *to, const struct hist *from)
{
    struct range range = {0};

    for (size_t i = 0; i < BUCKETS; i++) {
        uint64_t n = get(&from->bucket[i]);

        add(&to->bucket[i], n);
        range_add(&range, i, n);
    }
    add_range(to, &range, get(&from->sum), get_edge(&from->min), get_edge(&from->max));
}

void hist_between(struct hist *to, const struct hist *then, const struct hist *now)
{
    struct range range = {0};

    hist_clear(to);
    for (size_t i = 0; i < BUCKETS; i++) {
        uint64_t n = get(&now->bucket[i]) - get(&then->bucket[i]);

        set(&to->bucket[i], n);
        range_add(&range, i, n);
    }
    add_range(to, &range, get(&now->sum) - get(&then->sum), get_edge(&now->min),
              get_edge(&now->max));
}

void hist_copy(struct hist *to, const struct hist *from)
{
    hist_clear(to);
    hist_add(to, from);
}

int hist_put(struct hist *h, int64_t low, int64_t high, uint64_t count)
{
    size_t i;

    if (low < 0 || low > HIST_MOST)
        return -EINVAL;
    i = index_of((uint64_t)low);
    if (low != low_of(i) || high != high_of(i))
        return -EINVAL;
    add(&h->bucket[i], count);
    add(&h->count, count);
    return 0;
}

void hist_put_exact(struct hist *h, uint64_t sum, int64_t min, int64_t max)
{
    set(&h->sum, sum);
    set_edge(&h->min, min);
    set_edge(&h->max, max);
}

/* ---- reading ---- */

uint64_t hist_count(const struct hist *h)
{
    return get(&h->count);
}

uint64_t hist_sum(const struct hist *h)
{
    return get(&h->sum);
}

double hist_mean(const struct hist *h)
{
    uint64_t count = get(&h->count);

    return count == 0 ? 0 : (double)get(&h->sum) / (double)count;
}

int64_t hist_min(const struct hist *h)
{
    int64_t min = get_edge(&h->min);

    return min == INT64_MAX ? hist_max(h) : min;
}

int64_t hist_max(const struct hist *h)
{
    return get_edge(&h->max);
}

/* How many values have to be counted, in rising order, to have `percent` of `count`: 1 to count. */
static uint64_t rank_of(uint64_t count, double percent)
{
    /* 99.9 has no exact binary form, and its product with 1000 must not come out above 999: the few
     * last bits are not counted. */
    double exact = percent / 100 * (double)count * (1 - 0x1p-50);
    uint64_t rank;

    if (percent >= 100)
        return count;
    rank = exact > 0 ? (uint64_t)exact : 0;
    if ((double)rank < exact)
        rank++;
    return rank < 1 ? 1 : rank > count ? count : rank;
}

int64_t hist_percentile(const struct hist *h, double percent)
{
    uint64_t count = 0;
    uint64_t seen = 0;
    uint64_t rank;

    /* What the buckets hold now; they never hold less later, so the rank is reached. */
    for (size_t i = 0; i < BUCKETS; i++)
        count += get(&h->bucket[i]);
    if (count == 0)
        return 0;
    rank = rank_of(count, percent);
    if (rank == 1)
        return hist_min(h);
    if (rank == count)
        return hist_max(h);
    for (size_t i = 0; i < BUCKETS; i++) {
        seen += get(&h->bucket[i]);
        if (seen >= rank)
            return within(low_of(i) + (high_of(i) - low_of(i)) / 2, hist_min(h), hist_max(h));
    }
    return hist_max(h);
}

void hist_each(const struct hist *h,
               void (*fn)(void *arg, int64_t low, int64_t high, uint64_t count), void *arg)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        uint64_t n = get(&h->bucket[i]);

        if (n > 0)
            fn(arg, low_of(i), high_of(i), n);
    }
}
