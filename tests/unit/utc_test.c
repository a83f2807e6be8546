/* SPDX-License-Identifier: MIT */
/* The calendar agrees with the C library's, day by day over four centuries and at the edges. */
#include "cmd/utc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void compare(time_t t)
{
    struct utc got;
    struct tm want;

    utc_split(t, &got);
    assert_non_null(gmtime_r(&t, &want));
    assert_int_equal(got.year, want.tm_year + 1900);
    assert_int_equal(got.month, want.tm_mon + 1);
    assert_int_equal(got.day, want.tm_mday);
    assert_int_equal(got.hour, want.tm_hour);
    assert_int_equal(got.minute, want.tm_min);
    assert_int_equal(got.second, want.tm_sec);
    assert_int_equal(got.weekday, want.tm_wday);
}

static void test_every_day(void **state)
{
    (void)state;
    for (time_t day = 0; day < 146097 + 366; day++) {
        compare(day * 86400);
        compare(day * 86400 + 86399);
    }
}

static void test_known(void **state)
{
    struct utc got;

    (void)state;
    utc_split(951827696, &got); /* a leap day that the rule of centuries would drop */
    assert_int_equal(got.year, 2000);
    assert_int_equal(got.month, 2);
    assert_int_equal(got.day, 29);
    assert_int_equal(got.hour, 12);
    assert_int_equal(got.minute, 34);
    assert_int_equal(got.second, 56);
    assert_int_equal(got.weekday, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_day),
        cmocka_unit_test(test_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
