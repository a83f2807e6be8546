/* SPDX-License-Identifier: MIT */
/*
 * The histogram: its percentiles agree with a sort of the same samples, a value of any magnitude is
 * known to one percent, parts add up to the whole, and it can be read while it is recorded.
 */
#include "hist_util.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

/* ---- samples ---- */

static uint64_t seed;

/* xorshift64 (G. Marsaglia, 2003). */
static uint64_t next(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

/* Spreads a small number over all bits: the first values after a seed of few bits are small. */
static void reseed(uint64_t n)
{
    seed = (n + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

/* From 0 to 1, neither included. */
static double unit(void)
{
    return ((double)(next() >> 11) + 0.5) / 0x1p53;
}

static int64_t capped(double ns)
{
    return ns < 100 ? 100 : ns < (double)HIST_MOST ? (int64_t)ns : HIST_MOST;
}

static int64_t uniform(void)
{
    return 100 + (int64_t)(next() % 10000000);
}

static int64_t any_magnitude(void)
{
    return capped((double)(100 + next() % 100) * (double)(UINT64_C(1) << next() % 35));
}

/* 95 % about 50 us, the rest about 200 ms. */
static int64_t bimodal(void)
{
    return next() % 20 > 0 ? (int64_t)(40000 + next() % 20000)
                           : (int64_t)(190000000 + next() % 20000000);
}

static int64_t pareto(void)
{
    return capped(100 / unit());
}

static int64_t pareto_heavy(void)
{
    double u = unit();

    return capped(100 / (u * u));
}

/* A product of many factors is close to lognormal, by the central limit theorem. */
static int64_t lognormal(void)
{
    double ns = 100000;

    for (int i = 0; i < 16; i++)
        ns *= 0.25 + 1.5 * unit();
    return capped(ns);
}

static const struct distribution {
    const char *name;
    int64_t (*draw)(void);
    size_t n;
} distributions[] = {
    {"uniform", uniform, 1000000},
    {"any magnitude", any_magnitude, 300000},
    {"bimodal", bimodal, 123457},
    {"pareto", pareto, 1000000},
    {"heavier pareto", pareto_heavy, 100000},
    {"lognormal", lognormal, 200001},
};

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* ---- percentiles ---- */

/* A percentile in hundredths, so that its rank in a sorted array can be found in whole numbers. */
static const uint64_t hundredths[] = {100, 1000, 5000, 9000, 9900, 9990, 9999, 10000};

static void test_percentiles_agree_with_a_sort(void **state)
{
    struct hist *h = new_hist();

    (void)state;
    for (size_t d = 0; d < sizeof distributions / sizeof *distributions; d++) {
        const struct distribution *dist = &distributions[d];
        int64_t *samples = malloc(dist->n * sizeof *samples);
        uint64_t sum = 0;

        assert_non_null(samples);
        reseed(d);
        hist_clear(h);
        for (size_t i = 0; i < dist->n; i++) {
            samples[i] = dist->draw();
            sum += (uint64_t)samples[i];
            hist_record(h, samples[i]);
        }
        qsort(samples, dist->n, sizeof *samples, compare);
        for (size_t k = 0; k < sizeof hundredths / sizeof *hundredths; k++) {
            int64_t exact = samples[(hundredths[k] * dist->n + 9999) / 10000 - 1];
            int64_t got = hist_percentile(h, (double)hundredths[k] / 100);

            if (llabs(got - exact) > exact / 100)
                fail_msg("%s, p%g: %lld, exactly %lld", dist->name, (double)hundredths[k] / 100,
                         (long long)got, (long long)exact);
        }
        assert_int_equal(hist_count(h), dist->n);
        assert_int_equal(hist_sum(h), sum);
        assert_true(hist_mean(h) == (double)sum / (double)dist->n);
        assert_int_equal(hist_min(h), samples[0]);
        assert_int_equal(hist_max(h), samples[dist->n - 1]);
        free(samples);
    }
    hist_close(h);
}

static void test_percentile_takes_the_right_rank(void **state)
{
    struct hist *h = new_hist();

    (void)state;
    assert_int_equal(hist_percentile(h, 50), 0);
    /* Below 256 ns each value has a bucket of its own, so these are exact. */
    for (int64_t ns = 1; ns <= 200; ns++) {
        for (int i = 0; i < 5; i++)
            hist_record(h, ns);
    }
    for (uint64_t p = 0; p <= 10000; p++) {
        int64_t rank = (int64_t)(p * 1000 + 9999) / 10000;
        int64_t expected = rank == 0 ? 1 : (rank + 4) / 5;

        if (hist_percentile(h, (double)p / 100) != expected)
            fail_msg("p%g: %lld, not %lld", (double)p / 100,
                     (long long)hist_percentile(h, (double)p / 100), (long long)expected);
    }
    assert_int_equal(hist_percentile(h, -1), 1);
    assert_int_equal(hist_percentile(h, 101), 200);
    hist_close(h);
}

/* ---- layout and single values ---- */

struct found {
    int64_t low[3], high[3];
    uint64_t count[3];
    int n;
};

static void find(void *arg, int64_t low, int64_t high, uint64_t count)
{
    struct found *found = arg;

    assert_true(found->n < 3);
    found->low[found->n] = low;
    found->high[found->n] = high;
    found->count[found->n++] = count;
}

static void check_value(struct hist *h, int64_t ns)
{
    struct found found = {0};

    hist_clear(h);
    hist_record(h, ns);
    hist_each(h, find, &found);
    assert_int_equal(found.n, 1);
    assert_int_equal(found.count[0], 1);
    assert_in_range(ns, found.low[0], found.high[0]);
    assert_true(found.high[0] - found.low[0] <= ns / HIST_SUB);
    assert_int_equal(hist_percentile(h, 50), ns);

    /* Between two others it is the middle of its bucket. */
    hist_record(h, 0);
    hist_record(h, HIST_MOST);
    if (llabs(hist_percentile(h, 50) - ns) > ns / 100)
        fail_msg("%lld became %lld", (long long)ns, (long long)hist_percentile(h, 50));
}

static void test_a_value_is_known_to_one_percent(void **state)
{
    struct hist *h = new_hist();

    (void)state;
    for (int bit = 0; bit < 42; bit++) {
        int64_t power = (int64_t)1 << bit;

        for (int64_t ns = power - 1; ns <= power + 1; ns++)
            check_value(h, ns < HIST_MOST ? ns : HIST_MOST);
    }
    for (int64_t ns = 100; ns < HIST_MOST; ns += ns / 50)
        check_value(h, ns);
    check_value(h, HIST_MOST);
    hist_close(h);
}

static void test_buckets_follow_each_other(void **state)
{
    struct hist *h = new_hist();
    struct found found = {.high = {-1}};
    int64_t last = -1;
    int n = 0;

    (void)state;
    while (last < HIST_MOST) {
        /* The first value that the buckets so far did not hold, and the last one of its bucket. */
        hist_clear(h);
        hist_record(h, last + 1);
        found = (struct found){0};
        hist_each(h, find, &found);
        assert_int_equal(found.low[0], last + 1);
        assert_true(found.high[0] >= found.low[0]);
        hist_record(h, found.high[0]);
        last = found.high[0];
        found = (struct found){0};
        hist_each(h, find, &found);
        assert_int_equal(found.n, 1);
        assert_int_equal(found.count[0], 2);
        n++;
    }
    assert_int_equal(last, HIST_MOST);
    assert_int_equal(n, 4562);
    hist_close(h);
}

static void test_outside(void **state)
{
    struct hist *h = new_hist();
    struct found found = {0};

    (void)state;
    assert_int_equal(hist_count(h), 0);
    assert_true(hist_mean(h) == 0);
    assert_int_equal(hist_min(h), 0);
    assert_int_equal(hist_max(h), 0);
    hist_record(h, -5);
    assert_int_equal(hist_max(h), 0);
    hist_record(h, HIST_MOST + 1);
    hist_record(h, 2 * HIST_MOST);
    hist_each(h, find, &found);
    assert_int_equal(found.n, 2);
    assert_int_equal(found.high[1], HIST_MOST);
    assert_int_equal(found.count[1], 2);
    assert_int_equal(hist_sum(h), 3 * HIST_MOST + 1);
    assert_int_equal(hist_max(h), 2 * HIST_MOST);
    assert_true(llabs(hist_percentile(h, 50) - HIST_MOST) < HIST_MOST / 100);
    assert_int_equal(hist_percentile(h, 100), 2 * HIST_MOST);
    /* The sum stops at the largest number instead of beginning again. */
    for (int i = 0; i < 3; i++)
        hist_record(h, INT64_MAX);
    assert_true(hist_sum(h) == UINT64_MAX);
    assert_int_equal(hist_max(h), INT64_MAX);
    assert_int_equal(hist_count(h), 6);
    hist_close(h);
    hist_close(NULL);
}

/* ---- parts and the whole ---- */

static void test_adding_equals_recording_in_one(void **state)
{
    struct hist *a = new_hist();
    struct hist *b = new_hist();
    struct hist *whole = new_hist();

    (void)state;
    reseed(7);
    hist_add(a, b); /* nothing and nothing */
    assert_same(a, whole);
    for (int i = 0; i < 100000; i++) {
        int64_t ns = i % 3 == 0 ? bimodal() : pareto_heavy();

        hist_record(i % 3 == 0 ? a : b, ns);
        hist_record(whole, ns);
    }
    hist_record(b, 2 * HIST_MOST);
    hist_record(whole, 2 * HIST_MOST);
    hist_add(a, b);
    assert_same(a, whole);
    hist_copy(b, a);
    assert_same(b, whole);
    hist_clear(a);
    hist_add(b, a);
    assert_same(b, whole);
    hist_close(a);
    hist_close(b);
    hist_close(whole);
}

/* As a reader finds a histogram whose owner is about to record more. */
static void test_a_copy_agrees_with_itself(void **state)
{
    struct hist *h = new_hist();
    struct hist *copy = new_hist();

    (void)state;
    hist_put_exact(h, 77, 7, 70); /* the value itself was not seen yet */
    hist_copy(copy, h);
    assert_int_equal(hist_count(copy), 0);
    assert_int_equal(hist_sum(copy), 0);
    assert_int_equal(hist_min(copy), 0);
    assert_int_equal(hist_max(copy), 0);
    assert_int_equal(hist_put(h, 1008, 1011, 3), 0);
    assert_int_equal(hist_put(h, 2016, 2023, 1), 0);
    hist_put_exact(h, 0, INT64_MAX, 0);
    hist_copy(copy, h);
    assert_int_equal(hist_count(copy), 4);
    assert_int_equal(hist_sum(copy), 3 * 1008 + 2016);
    assert_int_equal(hist_min(copy), 1011);
    assert_int_equal(hist_max(copy), 2016);
    hist_put_exact(h, UINT64_MAX, 1, INT64_MAX);
    hist_copy(copy, h);
    assert_int_equal(hist_sum(copy), 3 * 1011 + 2023);
    assert_int_equal(hist_min(copy), 1008);
    assert_int_equal(hist_max(copy), 2023);
    assert_int_equal(hist_put(h, 1009, 1011, 1), -EINVAL);
    assert_int_equal(hist_put(h, 1008, 1012, 1), -EINVAL);
    assert_int_equal(hist_count(h), 4);
    hist_close(h);
    hist_close(copy);
}

static void test_between(void **state)
{
    struct hist *now = new_hist();
    struct hist *then = new_hist();
    struct hist *part = new_hist();
    struct hist *between = new_hist();

    (void)state;
    reseed(8);
    hist_between(between, then, now);
    assert_same(between, then);
    for (int i = 0; i < 1000; i++)
        hist_record(now, pareto());
    hist_copy(then, now);
    for (int i = 0; i < 1000; i++) {
        int64_t ns = bimodal();

        hist_record(now, ns);
        hist_record(part, ns);
    }
    hist_record(between, 1); /* what was there before is gone */
    hist_between(between, then, now);
    assert_int_equal(hist_count(between), 1000);
    assert_int_equal(hist_sum(between), hist_sum(part));
    assert_true(llabs(hist_min(between) - hist_min(part)) <= hist_min(part) / HIST_SUB);
    /* What is new at the edge of all values is known. */
    assert_int_equal(hist_max(between), hist_max(part));
    for (int p = 1; p < 100; p++)
        assert_true(llabs(hist_percentile(between, p) - hist_percentile(part, p)) <=
                    hist_percentile(part, p) / 100);
    hist_add(then, between);
    hist_copy(part, now);
    assert_same(then, part);

    /* Between edges that were there before it is the bucket's. */
    hist_copy(then, now);
    hist_record(now, 30001);
    hist_between(between, then, now);
    assert_int_equal(hist_count(between), 1);
    assert_int_equal(hist_sum(between), 30001);
    assert_int_equal(hist_min(between), 29952);
    assert_int_equal(hist_max(between), 30079);
    hist_close(now);
    hist_close(then);
    hist_close(part);
    hist_close(between);
}

/* ---- read by one thread while another one records ---- */

/* So often it is looked at; the recorder goes on until then, or it has enough for a slow reader. */
#define LOOKS    100
#define RECORDED 3000000

struct recorder {
    struct hist *h;
    atomic_bool stop;
    uint64_t recorded; /* to be read when it has ended */
};

static void *record(void *arg)
{
    struct recorder *r = arg;

    while (r->recorded < RECORDED && !atomic_load_explicit(&r->stop, memory_order_relaxed)) {
        hist_record(r->h, bimodal());
        r->recorded++;
    }
    return NULL;
}

static void add_count(void *arg, int64_t low, int64_t high, uint64_t count)
{
    (void)low;
    (void)high;
    *(uint64_t *)arg += count;
}

static void test_reading_while_recording(void **state)
{
    struct recorder r = {.h = new_hist()};
    struct hist *then = new_hist();
    struct hist *now = new_hist();
    struct hist *sum = new_hist();
    struct hist *between = new_hist();
    pthread_t thread;

    (void)state;
    reseed(9);
    assert_int_equal(pthread_create(&thread, NULL, record, &r), 0);
    while (hist_count(r.h) == 0)
        sched_yield();
    for (int i = 0; i <= LOOKS; i++) {
        struct plx_why why = {.reason = ""};
        uint64_t in_buckets = 0;
        json_t *doc;

        if (i == LOOKS) { /* the last look sees all of it */
            atomic_store_explicit(&r.stop, true, memory_order_relaxed);
            assert_int_equal(pthread_join(thread, NULL), 0);
        }
        hist_copy(now, r.h);
        hist_each(now, add_count, &in_buckets);
        assert_int_equal(in_buckets, hist_count(now));
        assert_true(hist_count(now) >= hist_count(then));
        assert_true(hist_min(now) <= hist_percentile(now, 50));
        assert_true(hist_max(now) >= hist_percentile(now, 99));
        assert_in_range(hist_percentile(r.h, 50), 0, 210000000);
        /* What is written down meanwhile is whole. */
        doc = hist_to_json(r.h);
        hist_clear(between);
        if (hist_from_json(between, doc, &why) != 0)
            fail_msg("%s", why.reason);
        json_decref(doc);
        hist_between(between, then, now);
        hist_add(sum, between);
        hist_copy(then, now);
    }
    assert_int_equal(hist_count(r.h), r.recorded);
    /* The pieces are the whole; what the buckets do not tell, is as exact as they are. */
    assert_true(hist_mean(sum) > hist_mean(r.h) * (1 - 1.0 / HIST_SUB));
    assert_true(hist_mean(sum) < hist_mean(r.h) * (1 + 1.0 / HIST_SUB));
    hist_put_exact(sum, hist_sum(r.h), hist_min(r.h), hist_max(r.h));
    assert_same(sum, r.h);
    hist_close(r.h);
    hist_close(then);
    hist_close(now);
    hist_close(sum);
    hist_close(between);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_percentiles_agree_with_a_sort),
        cmocka_unit_test(test_percentile_takes_the_right_rank),
        cmocka_unit_test(test_a_value_is_known_to_one_percent),
        cmocka_unit_test(test_buckets_follow_each_other),
        cmocka_unit_test(test_outside),
        cmocka_unit_test(test_adding_equals_recording_in_one),
        cmocka_unit_test(test_a_copy_agrees_with_itself),
        cmocka_unit_test(test_between),
        cmocka_unit_test(test_reading_while_recording),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
