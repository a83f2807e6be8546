/* SPDX-License-Identifier: MIT */
/* Numbers with a unit: what is read, what is refused, and that printing can be read back. */
#include "cmd/unit.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct reading {
    enum unit unit;
    const char *text;
    int rc;
    int64_t value;
};

static const struct reading readings[] = {
    {UNIT_COUNT, "0", 0, 0},
    {UNIT_COUNT, "42", 0, 42},
    {UNIT_COUNT, "10k", 0, 10000},
    {UNIT_COUNT, "10K", 0, 10000},
    {UNIT_COUNT, "2M", 0, 2000000},
    {UNIT_COUNT, "1.5k", 0, 1500},
    {UNIT_COUNT, "9223372036854775807", 0, INT64_MAX},
    {UNIT_COUNT, "9223372036854775808", -ERANGE, 0},
    {UNIT_COUNT, "10000000000G", -ERANGE, 0},
    {UNIT_COUNT, "1.5", -ERANGE, 0},
    {UNIT_COUNT, "", -EINVAL, 0},
    {UNIT_COUNT, "-1", -EINVAL, 0},
    {UNIT_COUNT, "+1", -EINVAL, 0},
    {UNIT_COUNT, " 1", -EINVAL, 0},
    {UNIT_COUNT, "1 ", -EINVAL, 0},
    {UNIT_COUNT, "1.", -EINVAL, 0},
    {UNIT_COUNT, ".5k", -EINVAL, 0},
    {UNIT_COUNT, "0x10", -EINVAL, 0},
    {UNIT_COUNT, "10s", -EINVAL, 0},
    {UNIT_COUNT, "10kB", -EINVAL, 0},
    {UNIT_COUNT, "none", -EINVAL, 0},
    {UNIT_SIZE, "4096", 0, 4096},
    {UNIT_SIZE, "512B", 0, 512},
    {UNIT_SIZE, "64k", 0, 65536},
    {UNIT_SIZE, "64kB", 0, 65536},
    {UNIT_SIZE, "64KiB", 0, 65536},
    {UNIT_SIZE, "1M", 0, 1048576},
    {UNIT_SIZE, "0.5M", 0, 524288},
    {UNIT_SIZE, "2G", 0, 2147483648},
    {UNIT_SIZE, "0.3k", -ERANGE, 0},
    {UNIT_SIZE, "64kb", -EINVAL, 0},
    {UNIT_SIZE, "64x", -EINVAL, 0},
    {UNIT_TIME, "100ns", 0, 100},
    {UNIT_TIME, "50us", 0, 50000},
    {UNIT_TIME, "250ms", 0, 250000000},
    {UNIT_TIME, "10s", 0, 10000000000},
    {UNIT_TIME, "1.5s", 0, 1500000000},
    {UNIT_TIME, "0.000000001s", 0, 1},
    {UNIT_TIME, "0.0000000001s", -ERANGE, 0},
    {UNIT_TIME, "2m", 0, 120000000000},
    {UNIT_TIME, "1h", 0, 3600000000000},
    {UNIT_TIME, "0", 0, 0},
    {UNIT_TIME, "10", -EINVAL, 0},
    {UNIT_TIME, "10S", -EINVAL, 0},
    {UNIT_TIME, "10M", -EINVAL, 0},
    {UNIT_TIME, "1d", -EINVAL, 0},
    {UNIT_TIME, "99999999999h", -ERANGE, 0},
};

static void test_parse(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof readings / sizeof *readings; i++) {
        const struct reading *r = &readings[i];
        int64_t value = 0;
        int rc = unit_parse(r->unit, r->text, &value);

        if (rc != r->rc || (rc == 0 && value != r->value))
            fail_msg("\"%s\": got %d, %lld; expected %d, %lld", r->text, rc, (long long)value,
                     r->rc, (long long)r->value);
    }
}

static void expect_text(enum unit unit, int64_t value, const char *expected)
{
    char text[UNIT_TEXT];
    int64_t again = -1;

    assert_string_equal(unit_format(unit, value, text, sizeof text), expected);
    assert_int_equal(unit_parse(unit, text, &again), 0);
    assert_int_equal(again, value);
}

static void test_format(void **state)
{
    (void)state;
    expect_text(UNIT_COUNT, 0, "0");
    expect_text(UNIT_COUNT, 999, "999");
    expect_text(UNIT_COUNT, 10000, "10k");
    expect_text(UNIT_COUNT, 10001, "10001");
    expect_text(UNIT_COUNT, INT64_MAX, "9223372036854775807");
    expect_text(UNIT_SIZE, 1000, "1000");
    expect_text(UNIT_SIZE, 65536, "64k");
    expect_text(UNIT_SIZE, 1 << 30, "1G");
    expect_text(UNIT_TIME, 0, "0");
    expect_text(UNIT_TIME, 1, "1ns");
    expect_text(UNIT_TIME, 1500000000, "1500ms");
    expect_text(UNIT_TIME, 90000000000, "90s");
    expect_text(UNIT_TIME, 300000000000, "5m");
    expect_text(UNIT_TIME, 86400000000000, "24h");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_format),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
