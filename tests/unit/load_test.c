/* SPDX-License-Identifier: MIT */
/* What a load consists of: its messages and their verification, and the times they leave at. */
#include "cmd/load/arrivals.h"
#include "cmd/load/payload.h"
#include "cmd/random.h"

#include <ctype.h>
#include <math.h>
#include <pollux/error.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h> /* wants the standard headers before it */

#define MOST 70000

/* ---- messages ---- */

static unsigned char *message(const struct payload *p, uint64_t number, uint64_t seq, size_t size)
{
    unsigned char *m = malloc(size);
    char head[PAYLOAD_HEAD];
    struct iovec iov[2];
    size_t at = 0;
    int n = payload_parts(p, number, seq, size, head, iov);
    for (int i = 0; i < n; i++) {
        memcpy(m + at, iov[i].iov_base, iov[i].iov_len);
        at += iov[i].iov_len;
    }
    assert_int_equal(at, size);
    return m;
}

static const size_t sizes[] = {1, 2, 23, 24, 25, 64, 4096, MOST};
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

static void right_answers_pass(void **state)
{
    struct payload *p = *state;
    unsigned char want;
    for (size_t i = 0; i < SIZES; i++) {
        unsigned char *m = message(p, 42, 499, sizes[i]);
        /* Whole, and in two parts at each of some places. */
        assert_int_equal(payload_check(p, 42, 499, sizes[i], 0, 0, m, sizes[i], &want), sizes[i]);
        for (size_t cut = 0; cut <= sizes[i]; cut += 1 + sizes[i] / 50) {
            assert_int_equal(payload_check(p, 42, 499, sizes[i], 0, 0, m, cut, &want), cut);
            assert_int_equal(
                payload_check(p, 42, 499, sizes[i], 0, cut, m + cut, sizes[i] - cut, &want),
                sizes[i] - cut);
        }
        for (size_t k = 0; k < sizes[i]; k++) {
            assert_true(isprint(m[k]));
            m[k] = (unsigned char)toupper(m[k]);
        }
        assert_int_equal(payload_check(p, 42, 499, sizes[i], 1, 0, m, sizes[i], &want), sizes[i]);
        free(m);
    }
}

static void each_wrong_byte_is_found(void **state)
{
    struct payload *p = *state;
    unsigned char want;
    for (size_t i = 0; i < SIZES; i++) {
        unsigned char *m = message(p, 7, 3, sizes[i]);
        for (size_t k = 0; k<sizes[i]; k += sizes[i]> 100 ? 97 : 1) {
            unsigned char was = m[k];
            m[k] ^= 1;
            assert_int_equal(payload_check(p, 7, 3, sizes[i], 0, 0, m, sizes[i], &want), k);
            assert_int_equal(want, was);
            size_t at = k / 2; /* also when it comes in the second part */
            assert_int_equal(payload_check(p, 7, 3, sizes[i], 0, at, m + at, sizes[i] - at, &want),
                             k - at);
            assert_int_equal(want, was);
            m[k] = was;
        }
        free(m);
    }
}

static void other_messages_are_found(void **state)
{
    struct payload *p = *state;
    unsigned char want;
    for (size_t i = 2; i < SIZES; i++) { /* of one byte or two some are alike */
        unsigned char *m = message(p, 7, 3, sizes[i]);
        assert_true(payload_check(p, 8, 3, sizes[i], 0, 0, m, sizes[i], &want) < sizes[i]);
        assert_true(payload_check(p, 7, 4, sizes[i], 0, 0, m, sizes[i], &want) < sizes[i]);
        assert_true(payload_check(p, 7, 3, sizes[i], 0, 1, m, sizes[i] - 1, &want) < sizes[i] - 1);
        free(m);
    }
}

static void the_head_names_connection_and_message(void **state)
{
    unsigned char *m = message(*state, 42, 499, 64);
    assert_memory_equal(m, "0000002A-000000000001F3 ", PAYLOAD_HEAD);
    free(m);
}

static int set_up(void **state)
{
    *state = payload_open(MOST, 1);
    return *state ? 0 : -1;
}

static int tear_down(void **state)
{
    payload_close(*state);
    return 0;
}

/* ---- arrivals ---- */

static void constant_arrivals_interleave(void **state)
{
    (void)state;
    struct arrivals a[3];
    const int64_t begin = 1000000000000;
    for (unsigned i = 0; i < 3; i++)
        arrivals_begin(&a[i], LOAD_CONSTANT, 3000, i, 3, begin, 1);
    for (int64_t k = 0; k < 3000000; k++) {
        struct arrivals *one = &a[k % 3];
        int64_t due = arrivals_due(one);
        assert_true(due == arrivals_due(one));
        assert_true(llabs(due - begin - k * 1000000 / 3) <= 1); /* no drift in 1000 s */
        arrivals_next(one);
    }
}

/* The gaps of a Poisson process have its mean as standard deviation, and so much of them is longer
 * than the mean as e^-1. */
static void poisson_arrivals_are_exponential(void **state)
{
    (void)state;
    enum { N = 200000 };
    struct arrivals a;
    double sum = 0, squares = 0;
    int longer = 0;
    arrivals_begin(&a, LOAD_POISSON, 40000, 2, 4, 0, 7);
    const double mean = 1e9 * 4 / 40000;
    double last = (double)arrivals_due(&a);
    for (int i = 0; i < N; i++) {
        arrivals_next(&a);
        double gap = (double)arrivals_due(&a) - last;
        last = (double)arrivals_due(&a);
        assert_true(gap >= 0);
        sum += gap;
        squares += gap * gap;
        longer += gap > mean;
    }
    double m = sum / N, deviation = sqrt(squares / N - m * m);
    assert_true(fabs(m / mean - 1) < 0.02);
    assert_true(fabs(deviation / mean - 1) < 0.02);
    assert_true(fabs((double)longer / N - exp(-1)) < 0.01);
}

static void what_is_never_due_is_a_time(void **state)
{
    (void)state;
    struct arrivals a;
    arrivals_begin(&a, LOAD_CONSTANT, 1e-9, 9999, 10000, 5, 1);
    assert_true(arrivals_due(&a) > 1000000000000000000);
}

static void a_copy_tells_the_same_times(void **state)
{
    (void)state;
    struct arrivals a, b, other;
    arrivals_begin(&a, LOAD_POISSON, 1000, 0, 8, 5, 3);
    arrivals_begin(&other, LOAD_POISSON, 1000, 1, 8, 5, 3);
    b = a;
    assert_true(arrivals_due(&a) != arrivals_due(&other));
    for (int i = 0; i < 1000; i++)
        arrivals_next(&a);
    for (int i = 0; i < 1000; i++)
        arrivals_next(&b);
    assert_true(arrivals_due(&a) == arrivals_due(&b));
}

static void equal_seeds_equal_numbers(void **state)
{
    uint64_t a = 7, b = 7, c = 8;
    (void)state;
    for (int i = 0; i < 100; i++)
        assert_true(random_next(&a) == random_next(&b));
    assert_true(random_next(&a) != random_next(&c));
    for (int i = 0; i < 1000; i++) {
        double unit = random_unit(&a);
        assert_true(unit > 0 && unit <= 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(right_answers_pass, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_wrong_byte_is_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(other_messages_are_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_head_names_connection_and_message, set_up, tear_down),
        cmocka_unit_test(constant_arrivals_interleave),
        cmocka_unit_test(poisson_arrivals_are_exponential),
        cmocka_unit_test(what_is_never_due_is_a_time),
        cmocka_unit_test(a_copy_tells_the_same_times),
        cmocka_unit_test(equal_seeds_equal_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
