/* SPDX-License-Identifier: MIT */
/* What `pollux bench` concludes from a result, and what it shows of it: limits, caveats, words. */
#include "cmd/bench.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct bench_plan plan;
static struct load_result result;
static struct bench_judgement judgement;

/* A run without a fault over a network: 64 connections, 10 s, 640 000 messages of 1 ms. */
static int setup(void **state)
{
    struct plx_why why;

    (void)state;
    memset(&plan, 0, sizeof plan);
    memset(&result, 0, sizeof result);
    assert_int_equal(plx_addr_parse("192.0.2.1:7", &plan.load.to, 1, &why), 1); /* RFC 5737 */
    plan.load.connections = plan.load.active = 64;
    plan.load.warmup_ns = PLX_SECOND;
    result.latency = hist_open();
    result.connect = hist_open();
    result.lag = hist_open();
    for (int i = 0; i < 640000; i++)
        hist_record(result.latency, PLX_MSEC);
    result.measured_ns = 10 * PLX_SECOND;
    result.messages = 640000;
    result.in_flight = 64;
    result.client_user_ns = PLX_SECOND;
    result.client_system_ns = 3 * PLX_SECOND;
    result.client_busy = 0.4;
    snprintf(result.client_cpus, sizeof result.client_cpus, "1");
    result.server_busy_ns = ACCOUNT_NA;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    load_result_free(&result);
    return 0;
}

static void judge(void)
{
    bench_judge(&plan, &result, &judgement);
}

static bool has_caveat(const char *name)
{
    for (size_t i = 0; i < judgement.ncaveats; i++) {
        if (strcmp(judgement.caveat[i].name, name) == 0)
            return true;
    }
    return false;
}

static void near(double value, double expected)
{
    if (!(fabs(value - expected) <= 1e-9 * fabs(expected)))
        fail_msg("%g instead of %g", value, expected);
}

static void test_clean(void **state)
{
    (void)state;
    judge();
    near(judgement.rate, 64000);
    near(judgement.client_ns, 6250);
    near(judgement.client_spun_ns, 0);
    near(judgement.little, 64);
    assert_true(judgement.little_fine);
    assert_true(judgement.rate_counts);
    assert_true(judgement.latency_counts);
    assert_true(isnan(judgement.share));
    assert_true(isnan(judgement.server_ns));
    assert_true(isnan(judgement.others));
    assert_int_equal(judgement.ncaveats, 0);
}

static void test_client_bound(void **state)
{
    (void)state;
    result.client_busy = 0.90;
    judge();
    assert_false(judgement.client_bound);
    result.client_busy = 0.91;
    judge();
    assert_true(judgement.client_bound);
    assert_true(has_caveat("client-bound"));
    assert_false(judgement.rate_counts);
    assert_false(judgement.latency_counts);
    /* What others took from it is not there either. */
    result.client_busy = 0.50;
    result.client_starved = 0.39;
    judge();
    assert_false(judgement.client_bound);
    result.client_starved = 0.41;
    judge();
    assert_true(judgement.client_bound);
}

static void test_spinning(void **state)
{
    (void)state;
    result.client_spun_ns = 3 * PLX_SECOND;
    judge();
    near(judgement.client_ns, 1562.5);
    near(judgement.client_spun_ns, 4687.5);
}

static void test_missed_rate(void **state)
{
    (void)state;
    plan.load.arrival = LOAD_CONSTANT;
    plan.load.rate = 64600; /* 99.07 % were reached */
    judge();
    assert_false(judgement.rate_missed);
    assert_true(judgement.latency_counts);
    plan.load.rate = 64700; /* 98.92 % */
    judge();
    assert_true(judgement.rate_missed);
    assert_true(has_caveat("rate-missed"));
    assert_true(judgement.rate_counts);
    assert_false(judgement.latency_counts);
    /* What is not in balance, Little's law says nothing about. */
    assert_false(has_caveat("little"));
    assert_non_null(judgement.little_why);
}

static void test_few_expected(void **state)
{
    (void)state;
    /* 9 of 10, and 90 of 100 at random, are chance; 80 of 100 evenly spaced are not. */
    plan.load.arrival = LOAD_CONSTANT;
    plan.load.rate = 1;
    result.messages = 9;
    judge();
    assert_false(judgement.rate_missed);
    plan.load.arrival = LOAD_POISSON;
    plan.load.rate = 10;
    result.messages = 90;
    judge();
    assert_false(judgement.rate_missed);
    plan.load.arrival = LOAD_CONSTANT;
    result.messages = 80;
    judge();
    assert_true(judgement.rate_missed);
}

static void test_late_generator(void **state)
{
    (void)state;
    plan.load.arrival = LOAD_CONSTANT;
    plan.load.rate = 64000;
    result.in_flight = 64 * 0.91;
    for (int i = 0; i < 640000; i++)
        hist_record(result.lag, PLX_MSEC * 9 / 100);
    judge();
    assert_false(judgement.late);
    assert_true(judgement.little_fine); /* what is late is not under way */
    hist_clear(result.lag);
    for (int i = 0; i < 640000; i++)
        hist_record(result.lag, PLX_MSEC * 11 / 100);
    judge();
    assert_true(judgement.late);
    assert_true(has_caveat("generator-late"));
    assert_false(judgement.latency_counts);
}

static void test_little(void **state)
{
    (void)state;
    result.in_flight = 64 * 1.04;
    judge();
    assert_true(judgement.little_fine);
    result.in_flight = 64 * 0.94;
    judge();
    assert_false(judgement.little_fine);
    assert_true(has_caveat("little"));
    /* So few that those at the ends of the measured time matter. */
    result.messages = 64 * 40;
    judge();
    assert_non_null(judgement.little_why);
    assert_false(has_caveat("little"));
    assert_true(isnan(judgement.little_off));
}

static void test_nothing(void **state)
{
    char text[BENCH_TEXT];

    (void)state;
    hist_clear(result.latency);
    result.messages = 0;
    result.measured_ns = 0;
    judge();
    assert_true(has_caveat("no-messages"));
    assert_false(judgement.rate_counts);
    assert_true(isnan(judgement.rate));
    assert_true(isnan(judgement.client_ns));
    assert_string_equal(bench_count(judgement.rate, text), "n/a");
    assert_string_equal(bench_time(judgement.client_ns, text), "n/a");
}

static void test_samples(void **state)
{
    (void)state;
    hist_clear(result.latency);
    for (int i = 0; i < 99999; i++)
        hist_record(result.latency, PLX_MSEC);
    judge();
    assert_true(has_caveat("few-messages"));
    hist_record(result.latency, PLX_MSEC);
    judge();
    assert_false(has_caveat("few-messages"));
    plan.load.warmup_ns = 0;
    plan.load.expect = LOAD_NONE;
    judge();
    assert_true(has_caveat("no-warm-up"));
    assert_true(has_caveat("not-verified"));
}

static void test_server(void **state)
{
    struct account *s = &result.server;

    (void)state;
    plan.load.server_pid = 1;
    result.has_server = true;
    *s = (struct account){.cpu_ns = 6400 * PLX_MSEC,
                          .user_ns = 640 * PLX_MSEC,
                          .system_ns = 5760 * PLX_MSEC,
                          .voluntary = 64000,
                          .involuntary = ACCOUNT_NA,
                          .cpus = "0"};
    /* Its account was read from a moment after the beginning to a moment after the end. */
    result.messages = 650000;
    result.server_messages = 640000;
    result.server_ns = 10 * PLX_SECOND;
    result.server_busy_ns = 6500 * PLX_MSEC;
    judge();
    near(judgement.server_ns, 10000);
    near(judgement.server_user_ns, 1000);
    near(judgement.server_load, 0.64);
    near(judgement.voluntary, 0.1);
    assert_true(isnan(judgement.involuntary));
    assert_false(judgement.cpus_shared);
    assert_int_equal(judgement.ncaveats, 0);

    result.server_busy_ns = 8 * PLX_SECOND; /* a fifth was somebody else's */
    judge();
    assert_true(has_caveat("others"));
    near(judgement.others, 0.2);

    snprintf(s->cpus, sizeof s->cpus, "0-1"); /* and now it was the client's */
    judge();
    assert_true(judgement.cpus_shared);
    assert_true(has_caveat("shared-cpus"));
    assert_false(has_caveat("others"));

    s->margin_ns = 200 * PLX_MSEC;
    s->forgets_children = true;
    judge();
    assert_true(has_caveat("coarse-account"));
    assert_true(has_caveat("forgotten-children"));

    result.has_server = false;
    snprintf(result.server_why, sizeof result.server_why, "because");
    judge();
    assert_true(has_caveat("server-unread"));
    assert_true(isnan(judgement.server_ns));
    assert_false(has_caveat("shared-cpus"));
}

static void test_loopback(void **state)
{
    static const char *const local[] = {"127.0.0.1:7", "127.9.9.9:7", "[::1]:7", "0.0.0.0:7",
                                        "unix:x"};
    struct plx_why why;

    (void)state;
    for (size_t i = 0; i < sizeof local / sizeof *local; i++) {
        assert_int_equal(plx_addr_parse(local[i], &plan.load.to, 1, &why), 1);
        judge();
        assert_true(has_caveat("loopback"));
    }
}

static void set_failure(enum load_error kind, uint64_t count, const char *first)
{
    result.failure[kind].count = count;
    snprintf(result.failure[kind].first, sizeof result.failure[kind].first, "%s", first);
}

static void complaint_is(enum load_verdict verdict, const char *expected)
{
    char text[1024];

    result.verdict = verdict;
    assert_string_equal(bench_complaint(&result, text, sizeof text), expected);
    judge();
    assert_int_equal(judgement.rate_counts, verdict == LOAD_OK || verdict == LOAD_INTERRUPTED);
}

static void test_complaints(void **state)
{
    (void)state;
    complaint_is(LOAD_OK, "");
    complaint_is(LOAD_INTERRUPTED,
                 "interrupted; the figures are of the 10.00 s that were measured");
    result.opened = 64;
    result.lost = 3;
    set_failure(LOAD_ERR_READ, 3, "connection 5: reset");
    complaint_is(LOAD_FAILED, "3 of 64 connections were lost: read: connection 5: reset");
    assert_int_equal(judgement.errors, 3);
    set_failure(LOAD_ERR_TIMEOUT, 2, "connection 6");
    complaint_is(LOAD_FAILED,
                 "3 of 64 connections were lost: read: connection 5: reset; and timeout: 2");
    set_failure(LOAD_ERR_CONNECT, 1, "connection 9: refused");
    complaint_is(LOAD_FAILED,
                 "6 errors: connect: connection 9: refused; and read: 3; and timeout: 2");
    set_failure(LOAD_ERR_READ, 0, "");
    set_failure(LOAD_ERR_TIMEOUT, 0, "");
    complaint_is(LOAD_FAILED, "1 of 65 connections could not be made: connection 9: refused");
    set_failure(LOAD_ERR_MISMATCH, 1, "connection 2, offset 7");
    complaint_is(LOAD_INVALID, "not valid, 1 wrong answer: connection 2, offset 7");
}

/* ---- figures and the live line ---- */

static void test_figures(void **state)
{
    char text[BENCH_TEXT];

    (void)state;
    assert_string_equal(bench_time(0, text), "0 ns");
    assert_string_equal(bench_time(999, text), "999 ns");
    assert_string_equal(bench_time(1000, text), "1.00 us");
    assert_string_equal(bench_time(12345, text), "12.3 us");
    assert_string_equal(bench_time(999400, text), "999 us");
    assert_string_equal(bench_time(999600, text), "1.00 ms");
    assert_string_equal(bench_time(3.6e12, text), "3600 s");
    assert_string_equal(bench_time(-1, text), "n/a");
    assert_string_equal(bench_count(0, text), "0");
    assert_string_equal(bench_count(64, text), "64");
    assert_string_equal(bench_count(0.0005, text), "<0.001");
    assert_string_equal(bench_count(0.0425, text), "0.043");
    assert_string_equal(bench_count(1.5, text), "1.50");
    assert_string_equal(bench_count(999.7, text), "1,000");
    assert_string_equal(bench_count(1234567, text), "1,234,567");
    assert_string_equal(bench_bytes(999, text), "999 B");
    assert_string_equal(bench_bytes(5.71e6, text), "5.71 MB");
    assert_string_equal(bench_bytes(NAN, text), "n/a");
}

static void test_live_line(void **state)
{
    struct load_progress p = {.phase = LOAD_MEASURING,
                              .phase_ns = PLX_SECOND,
                              .left_ns = 12 * PLX_SECOND,
                              .done = 0.455,
                              .open = 64,
                              .rate = 90509,
                              .p50_ns = 645000,
                              .p99_ns = 4120000,
                              .answered = 1};
    char line[512];

    (void)state;
    assert_string_equal(bench_live_line(&p, 79, line, sizeof line),
                        "measure  46%  90.5k/s  p50/p99  645 us 4.12 ms  64 open  no errors  "
                        "12 s left");
    for (size_t width = 0; width < 100; width++)
        assert_true(strlen(bench_live_line(&p, width, line, sizeof line)) <= width);
    /* What matters most stays longest. */
    p.errors = 3;
    assert_string_equal(bench_live_line(&p, 20, line, sizeof line), "90.5k/s  3 ERRORS");
    p.phase = LOAD_CONNECTING;
    p.done = -1;
    p.left_ns = -1;
    p.errors = 0;
    assert_string_equal(bench_live_line(&p, 79, line, sizeof line),
                        "connect  64 open  no errors  1 s so far");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_clean),
        TEST(test_spinning),
        TEST(test_client_bound),
        TEST(test_missed_rate),
        TEST(test_few_expected),
        TEST(test_late_generator),
        TEST(test_little),
        TEST(test_nothing),
        TEST(test_samples),
        TEST(test_server),
        TEST(test_loopback),
        TEST(test_complaints),
        cmocka_unit_test(test_figures),
        cmocka_unit_test(test_live_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
