/* SPDX-License-Identifier: MIT */
/* The centre of figures that scatter, and how surely it is known. */
#include "cmd/compare/stats.h"
#include "comparison_util.h"

static void near(double value, double expected, double off)
{
    if (!(fabs(value - expected) <= off))
        fail_msg("%.6g instead of %.6g", value, expected);
}

/* ---- centres ---- */

static void test_centres(void **state)
{
    double one[] = {5}, two[] = {3, 1}, odd[] = {9, 1, 4}, even[] = {4, 1, 3, 100};
    double many[] = {8, 7, 6, 5, 4, 3, 2, 1000};
    (void)state;
    assert_true(isnan(stats_median(one, 0)));
    near(stats_median(one, 1), 5, 0);
    near(stats_median(two, 2), 2, 0);
    near(stats_median(odd, 3), 4, 0);
    near(stats_median(even, 4), 3.5, 0);
    assert_true(isnan(stats_midmean(one, 0)));
    near(stats_midmean(one, 1), 5, 0);
    near(stats_midmean(two, 2), 2, 0);
    near(stats_midmean(odd, 3), 4, 0);
    near(stats_midmean(even, 4), 3.5, 0);
    near(stats_midmean(many, 8), 5.5, 1e-12); /* of 4, 5, 6 and 7 */
}

static void test_student(void **state)
{
    (void)state;
    near(stats_student(0.95, 1), 12.706, 0.001);
    near(stats_student(0.95, 2), 4.303, 0.001);
    near(stats_student(0.95, 4), 2.776, 0.001);
    near(stats_student(0.95, 9), 2.262, 0.001);
    near(stats_student(0.90, 9), 1.833, 0.001);
    near(stats_student(0.99, 14), 2.977, 0.001);
    near(stats_student(0.95, 29), 2.045, 0.001);
    near(stats_student(0.95, 10000), 1.960, 0.001);
}

/* ---- intervals ---- */

static void test_too_few(void **state)
{
    double v[] = {1, 2};
    struct stats_interval i;
    (void)state;
    assert_int_equal(stats_interval(v, 2, 0.95, 1000, 1, &i), 0);
    near(i.centre, 1.5, 0);
    assert_true(isnan(i.low) && isnan(i.high));
    assert_int_equal(stats_interval(v, 0, 0.95, 1000, 1, &i), 0);
    assert_true(isnan(i.centre) && isnan(i.low) && isnan(i.high));
}

static void test_reproducible(void **state)
{
    double v[] = {3, 1, 4, 1, 5, 9, 2, 6}, again[] = {9, 6, 5, 4, 3, 2, 1, 1};
    struct stats_interval i, k, other;
    (void)state;
    assert_int_equal(stats_interval(v, 8, 0.95, 1000, 42, &i), 0);
    assert_int_equal(stats_interval(again, 8, 0.95, 1000, 42, &k), 0);
    assert_int_equal(stats_interval(v, 8, 0.95, 1000, 43, &other), 0);
    assert_true(i.low == k.low && i.high == k.high && i.centre == k.centre);
    assert_true(i.low != other.low);
    near(other.high - other.low, i.high - i.low, 0.2 * (i.high - i.low));
    assert_true(i.low < i.centre && i.centre < i.high);
}

static void test_same_values(void **state)
{
    double v[] = {2, 2, 2, 2, 2};
    struct stats_interval i;
    (void)state;
    assert_int_equal(stats_interval(v, 5, 0.95, 1000, 1, &i), 0);
    assert_true(i.low == 2 && i.centre == 2 && i.high == 2);
}

/* Ten times as far off moves neither the centre nor the interval by much. */
static void test_outlier(void **state)
{
    double near_by[] = {1.00, 1.01, 0.99, 1.02, 0.98, 1.00, 1.01, 0.99, 1.02, 1.5};
    double far_off[] = {1.00, 1.01, 0.99, 1.02, 0.98, 1.00, 1.01, 0.99, 1.02, 15};
    struct stats_interval i, k;
    (void)state;
    assert_int_equal(stats_interval(near_by, 10, 0.95, 2000, 1, &i), 0);
    assert_int_equal(stats_interval(far_off, 10, 0.95, 2000, 1, &k), 0);
    near(k.centre, i.centre, 1e-12);
    assert_true(i.low > 0.9 && i.high < 1.1);
}

#define TRIALS 400

/* The share of trials in which the interval has the true centre in it, and its mean half width. */
static double cover(size_t n, double noise, double *reach)
{
    uint64_t random = 2024;
    unsigned hits = 0;
    double v[32];
    *reach = 0;
    for (unsigned t = 0; t < TRIALS; t++) {
        struct stats_interval i;
        for (size_t k = 0; k < n; k++)
            v[k] = log(off_by(noise, &random) / off_by(noise, &random));
        assert_int_equal(stats_interval(v, n, 0.95, 300, t, &i), 0);
        hits += i.low <= 0 && i.high >= 0;
        *reach += (i.high - i.low) / 2 / TRIALS;
    }
    return (double)hits / TRIALS;
}

/* 95 of 100 are promised; of 400 trials that may come out as 92 by chance, once in a hundred. */
static void test_coverage(void **state)
{
    static const size_t counts[] = {3, 4, 5, 8, 10, 15, 20, 30};
    (void)state;
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        double reach, share = cover(counts[i], 0.04, &reach);
        print_message("%zu values: %.1f %% of the intervals hold the centre, +- %.1f %%\n",
                      counts[i], 100 * share, 100 * reach);
        assert_true(share >= 0.92);
        /* Nor is it bought with width: the mean of 4 % in pairs needs 4 sqrt(2) t / sqrt(n). */
        double least =
            0.04 * sqrt(2.0 / (double)counts[i]) * stats_student(0.95, (unsigned)counts[i] - 1);
        assert_true(counts[i] < 8 || reach < 1.7 * least);
    }
}

/* ---- cells ---- */

static void test_cells(void **state)
{
    struct comparison *c = new_comparison();
    struct cell *cell = &c->cell[0][0];
    (void)state;
    assert_true(isnan(CELL_MEDIAN(cell, cpu_ns)));
    for (unsigned r = 1; r <= 100; r++) {
        struct sample s = {.round = r, .cpu_ns = r, .user_ns = NAN, .rate = r == 7 ? 70 : NAN};
        assert_int_equal(cell_add(cell, &s), 0);
    }
    assert_int_equal(cell->nsamples, 100);
    assert_int_equal(cell->sample[99].round, 100);
    near(CELL_MEDIAN(cell, cpu_ns), 50.5, 0);
    near(CELL_MEDIAN(cell, rate), 70, 0);
    assert_true(isnan(CELL_MEDIAN(cell, user_ns)));
    comparison_close(c);
    comparison_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_centres),     cmocka_unit_test(test_student),
        cmocka_unit_test(test_too_few),     cmocka_unit_test(test_reproducible),
        cmocka_unit_test(test_same_values), cmocka_unit_test(test_outlier),
        cmocka_unit_test(test_coverage),    cmocka_unit_test(test_cells),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
