/* SPDX-License-Identifier: MIT */
/* The flow of a connection's bytes without an engine: input that is held back and joined, output
 * that waits, and how it holds input up. Where output is written from is in lend_test.c. */
#include "conn_util.h"

/* ---- input that is not consumed ----------------------------------------------------------------
 */

/* Whole words, ended by a dot. */
static ssize_t words(struct plx_conn *c, const void *p, size_t n)
{
    (void)c;
    const char *dot = memchr(p, '.', n);
    return dot ? dot - (const char *)p + 1 : 0;
}

static void test_held_input_is_joined(void **state)
{
    struct fixture *f = *state;
    f->data = words;
    struct plx_conn *c = opened(f);
    receive(c, "on");
    receive(c, "e.two.th");
    receive(c, "ree.");
    expect_trace(f, "[on][one.two.th][two.th][th][three.]");
    f->trace[0] = 0;
    receive(c, "next.");
    expect_trace(f, "[next.]");
    receive(c, "rest");
    plx__conn_received(c, NULL, 0); /* what a handler leaves for good does not hold the end back */
    expect_trace(f, "[next.][rest]E");
}

static ssize_t nothing(struct plx_conn *c, const void *p, size_t n)
{
    (void)c;
    (void)p;
    (void)n;
    return 0;
}

/* As much as the cap may be left, not a byte more; in one piece or in many. */
static void test_input_cap(void **state)
{
    struct fixture *f = *state;
    char input[INPUT] = "";
    f->data = nothing;
    const size_t pieces[] = {1, INPUT / 4, INPUT};
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        size_t piece = pieces[i];
        struct plx_conn *c = opened(f);
        for (size_t n = 0; n < INPUT; n += piece) {
            plx__conn_received(c, input, (ssize_t)piece);
            plx__conn_release(c);
            f->trace[0] = 0;
        }
        expect_want(c, READ);
        plx__conn_received(c, input, 1);
        plx__conn_release(c);
        expect_want(c, RETIRE);
        f->trace[0] = 0;
        plx__conn_retire(c);
        expect_trace(f, "C(EMSGSIZE)");
        close(f->peer);
        f->peer = -1;
    }
    assert_int_equal(counted(f, PLX__STAT(overflows)), 3);
}

/* A handler that claims more than it was shown is wrong, and is not believed. */
static ssize_t too_much(struct plx_conn *c, const void *p, size_t n)
{
    (void)c;
    (void)p;
    return (ssize_t)n + 1;
}

static void test_consumes_too_much(void **state)
{
    struct fixture *f = *state;
    f->data = too_much;
    struct plx_conn *c = opened(f);
    receive(c, "abc");
    end(f);
    expect_trace(f, "[abc]C(EINVAL)");
}

static void test_without_on_data(void **state)
{
    struct fixture *f = *state;
    f->handler.on_data = NULL;
    struct plx_conn *c = opened(f);
    for (int i = 0; i < 100; i++) /* far beyond the cap on held input */
        receive(c, "discarded discarded discarded discarded discarded discarded");
    expect_want(c, READ);
    assert_null(c->in);
}

static ssize_t pause_after_word(struct plx_conn *c, const void *p, size_t n)
{
    plx_pause(c);
    return words(c, p, n);
}

/* A pause within on_data: the rest is shown after plx_resume(), what came meanwhile behind it. */
static void test_pause(void **state)
{
    struct fixture *f = *state;
    f->data = pause_after_word;
    struct plx_conn *c = opened(f);
    receive(c, "one.two.");
    expect_trace(f, "[one.two.]");
    expect_want(c, 0);
    receive(c, "three."); /* a completion engine had it in flight */
    expect_trace(f, "[one.two.]");
    plx_resume(c);
    pump(f);
    expect_trace(f, "[one.two.][two.three.]");
    expect_want(c, 0);
    plx_resume(c);
    pump(f);
    expect_trace(f, "[one.two.][two.three.][three.]");
    plx_resume(c);
    pump(f);
    expect_want(c, READ);
    expect_trace(f, "[one.two.][two.three.][three.]");
}

/* The end, or in a drain the silence, is found by the look that follows a resume and precedes the
 * pump: what is held is shown first all the same. */
static void test_end_found_before_held_input(void **state)
{
    struct fixture *f = *state;
    f->data = pause_after_word;
    struct plx_conn *c = opened(f);
    receive(c, "one.two.");
    plx_resume(c);
    plx__conn_received(c, NULL, 0);
    expect_trace(f, "[one.two.]");
    pump(f);
    expect_trace(f, "[one.two.][two.]"); /* paused again, with nothing held */
    plx_resume(c);
    pump(f);
    expect_trace(f, "[one.two.][two.]E");
}

static void test_quiet_before_held_input(void **state)
{
    struct fixture *f = *state;
    f->data = pause_after_word;
    struct plx_conn *c = opened(f);
    receive(c, "one.two.");
    c->flags |= PLX__F_DRAINING;
    plx__conn_quiet(c); /* paused: its handler is about to answer */
    plx_resume(c);
    plx__conn_quiet(c);
    expect_trace(f, "[one.two.]");
    pump(f);
    plx__conn_quiet(c);
    expect_trace(f, "[one.two.][two.]");
    plx_resume(c);
    pump(f);
    plx__conn_quiet(c);
    expect_trace(f, "[one.two.][two.]E");
    expect_want(c, READ | FIN);
}

/* The end is told after everything before it was shown, be it late. */
static void test_eof_after_held_input(void **state)
{
    struct fixture *f = *state;
    f->data = pause_after_word;
    struct plx_conn *c = opened(f);
    receive(c, "one.two.");
    plx__conn_received(c, NULL, 0);
    expect_trace(f, "[one.two.]");
    plx_resume(c);
    pump(f);
    expect_trace(f, "[one.two.][two.]"); /* paused again */
    plx_resume(c);
    pump(f);
    expect_trace(f, "[one.two.][two.]E");
    expect_want(c, 0);
    plx_finish(c);
    plx__conn_fin_sent(c);
    end(f);
    expect_trace(f, "[one.two.][two.]EC(OK)");
}

/* ---- output that waits -------------------------------------------------------------------------
 */

static void test_water_marks(void **state)
{
    struct fixture *f = *state;
    struct plx_conn *c = opened(f);
    assert_int_equal(send_some(c, HIGH), 0); /* at the mark is not above it */
    expect_want(c, READ | WRITE);
    assert_int_equal(send_some(c, 1), 1);
    expect_want(c, WRITE);
    assert_int_equal(send_some(c, 1), 1);
    assert_int_equal(counted(f, PLX__STAT(throttled)), 1); /* the mark was passed once */
    assert_true(take_dirty(f));
    plx__conn_sent(c, (ssize_t)(HIGH + 1 - LOW));
    assert_int_equal(plx_conn_queued(c), LOW + 1);
    expect_want(c, WRITE); /* between the marks: as it was */
    assert_false(take_dirty(f));
    plx__conn_sent(c, 1);
    expect_want(c, READ | WRITE);
    pump(f);
    expect_trace(f, "D");
    plx__conn_sent(c, LOW);
    assert_false(take_dirty(f)); /* told once */
    expect_want(c, READ);
}

static ssize_t flood(struct plx_conn *c, const void *p, size_t n)
{
    (void)p;
    assert_int_equal(send_some(c, HIGH + 1), 1);
    return n < 4 ? (ssize_t)n : 4;
}

/* An answer that passes the mark stops input in its tracks; on_drain comes after what was held. */
static void test_throttled_input_waits(void **state)
{
    struct fixture *f = *state;
    f->data = flood;
    struct plx_conn *c = opened(f);
    receive(c, "one.two.");
    plx__conn_received(c, NULL, 0);
    expect_trace(f, "[one.two.]");
    expect_want(c, WRITE);
    plx__conn_sent(c, (ssize_t)(HIGH + 1));
    pump(f);
    expect_trace(f, "[one.two.][two.]"); /* throttled again: no on_drain, no end */
    plx__conn_sent(c, (ssize_t)(HIGH + 1));
    pump(f);
    expect_trace(f, "[one.two.][two.]ED");
    expect_want(c, 0);
}

static void test_queue_cap(void **state)
{
    struct fixture *f = *state;
    struct plx_conn *c = opened(f);
    assert_int_equal(send_some(c, QUEUE), 1); /* up to the cap, not beyond it */
    assert_int_equal(send_some(c, 0), 1);
    assert_int_equal(send_some(c, 1), -ENOBUFS);
    expect_want(c, RETIRE);
    assert_int_equal(send_some(c, 1), -EPIPE);
    assert_int_equal(counted(f, PLX__STAT(overflows)), 1);
    end(f);
    expect_trace(f, "C(ENOBUFS)");
}

/* Borrowed bytes count as queued. */
static void test_queue_cap_counts_borrowed(void **state)
{
    struct fixture *f = *state;
    static char input[QUEUE / 2];
    f->data = echo;
    struct plx_conn *c = opened(f);
    assert_int_equal(send_some(c, QUEUE / 8), 0);
    plx__conn_received(c, input, sizeof(input));
    assert_int_equal(plx_conn_queued(c), QUEUE / 8 + QUEUE / 2);
    expect_want(c, WRITE); /* above the high-water mark by what is borrowed */
    assert_int_equal(send_some(c, QUEUE / 2), -ENOBUFS);
    expect_want(c, RETIRE);
    plx__conn_release(c);
    end(f);
    expect_trace(f, "[2000 bytes]C(ENOBUFS)");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_held_input_is_joined),
        TEST(test_input_cap),
        TEST(test_consumes_too_much),
        TEST(test_without_on_data),
        TEST(test_pause),
        TEST(test_end_found_before_held_input),
        TEST(test_quiet_before_held_input),
        TEST(test_eof_after_held_input),
        TEST(test_water_marks),
        TEST(test_throttled_input_waits),
        TEST(test_queue_cap),
        TEST(test_queue_cap_counts_borrowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
