/* SPDX-License-Identifier: MIT */
/* The life of a connection, as its engine sees it: what it wants in every phase from its beginning
 * to a good end. The other ends are in conn_end_test.c, its bytes in flow_test.c. */
#include "conn_util.h"

/* ---- beginning ---------------------------------------------------------------------------------
 */

static void test_opened(void **state)
{
    struct fixture *f = *state;
    int fds[2];
    pair(fds);
    struct plx_conn *c = make(f, fds, false);
    expect_trace(f, ""); /* not before the engine can act on wants */
    plx__conn_opened(c);
    expect_trace(f, "O");
    expect_want(c, READ);
    assert_int_equal(plx_conn_number(c), 7);
    assert_ptr_equal(plx_conn_loop(c), f->loop);
    assert_ptr_equal(plx_conn_handler(c), &f->handler);
    assert_int_equal(plx_conn_queued(c), 0);
    assert_false(plx_conn_ended(c));
    const unsigned char zero[24] = {0};
    assert_memory_equal(plx_conn_state(c), zero, sizeof(zero));
    assert_int_equal((uintptr_t)plx_conn_state(c) % _Alignof(max_align_t), 0);
    struct plx_addr a;
    plx_conn_peer(c, &a);
    assert_int_equal(a.len, 0); /* an unnamed unix socket */
    assert_int_equal(counted(f, PLX__STAT(connected)), 1);
    plx_abort(c, 0);
    end(f);
    expect_trace(f, "OC(OK)");
}

static void test_initial_state(void **state)
{
    struct fixture *f = *state;
    int fds[2];
    pair(fds);
    struct plx__socket s = {.fd = fds[0], .handler = &f->handler};
    s.made = calloc(1, sizeof(*s.made) + 24);
    assert_non_null(s.made);
    memset(s.made->state, 'x', 24);
    f->c = plx__conn_new(f->loop, &s);
    f->peer = fds[1];
    assert_memory_equal(plx_conn_state(f->c), "xxxxxxxxxxxxxxxxxxxxxxxx", 24);
    plx_abort(f->c, 0);
    end(f);
}

static int refuse(struct plx_conn *c)
{
    (void)c;
    return -EACCES;
}

static void test_on_open_refuses(void **state)
{
    struct fixture *f = *state;
    f->open = refuse;
    struct plx_conn *c = opened(f);
    expect_want(c, RETIRE);
    end(f);
    expect_trace(f, "C(EACCES)");
}

/* What is sent before the connection is established waits for it. */
static void test_connecting(void **state)
{
    struct fixture *f = *state;
    int fds[2];
    pair(fds);
    struct plx_conn *c = make(f, fds, true);
    plx__conn_opened(c); /* an engine may say so of any connection it has made */
    expect_want(c, CONNECT);
    assert_int_equal(plx_send(c, "early", 5), 0);
    expect_want(c, CONNECT);
    expect_trace(f, "");
    plx__conn_connected(c, 0);
    expect_trace(f, "O");
    expect_want(c, READ | WRITE);
    expect_queued(c, "early");
    plx__conn_connected(c, ECONNREFUSED); /* late and wrong: it is established */
    expect_want(c, READ | WRITE);
    plx__conn_sent(c, 5);
    expect_want(c, READ);
    plx_abort(c, 0);
    end(f);
    expect_trace(f, "OC(OK)");
}

static void test_half_close_while_connecting(void **state)
{
    struct fixture *f = *state;
    int fds[2];
    pair(fds);
    struct plx_conn *c = make(f, fds, true);
    assert_int_equal(plx_send(c, "request", 7), 0);
    plx_half_close(c);
    assert_int_equal(plx_send(c, "x", 1), -EPIPE);
    expect_want(c, CONNECT);
    plx__conn_connected(c, 0);
    expect_want(c, READ | WRITE);
    plx__conn_sent(c, 7);
    expect_want(c, READ | FIN);
    plx__conn_fin_sent(c);
    receive(c, "answer");
    expect_trace(f, "O[answer]");
}

static void test_finish_while_connecting(void **state)
{
    struct fixture *f = *state;
    int fds[2];
    pair(fds);
    struct plx_conn *c = make(f, fds, true);
    assert_int_equal(plx_send(c, "last words", 10), 0);
    plx_finish(c);
    assert_int_equal(plx_send(c, "x", 1), -EPIPE);
    expect_want(c, CONNECT);
    plx__conn_connected(c, 0);
    expect_want(c, READ | WRITE);
    plx__conn_sent(c, 10);
    expect_want(c, READ | FIN);
    plx__conn_fin_sent(c);
    receive(c, "discarded");
    plx__conn_received(c, NULL, 0);
    end(f);
    expect_trace(f, "OC(OK)");
}

static void test_connect_fails(void **state)
{
    struct fixture *f = *state;
    int fds[2];
    pair(fds);
    struct plx_conn *c = make(f, fds, true);
    plx__conn_connected(c, ECONNREFUSED);
    end(f);
    expect_trace(f, "C(ECONNREFUSED)"); /* only on_close follows */
}

static void test_reference(void **state)
{
    struct fixture *f = *state;
    struct plx_conn *c = opened(f);
    struct plx_conn_ref first = plx_conn_ref(c);
    plx_abort(c, 0);
    plx__conn_retire(c);
    close(f->peer);
    c = opened(f);
    struct plx_conn_ref second = plx_conn_ref(c);
    assert_true(first.slot != second.slot || first.generation != second.generation);
    assert_int_equal(f->loop->nconn, 1);
    plx_abort(c, 0);
    end(f);
}

/* A place in the server's limits is given back at the end, not before. */
static void test_gated(void **state)
{
    struct fixture *f = *state;
    int fds[2];
    pair(fds);
    struct plx__socket s = {.fd = fds[0], .handler = &f->handler, .gated = true};
    assert_int_equal(plx__group_enter(f->loop->group, &s.peer), 0);
    f->c = plx__conn_new(f->loop, &s);
    f->peer = fds[1];
    plx__conn_opened(f->c);
    assert_int_equal(counted(f, PLX__STAT(accepted)), 1);
    plx_abort(f->c, 0);
    assert_int_equal(atomic_load(&f->loop->group->open), 1);
    plx__conn_retire(f->c);
    assert_int_equal(atomic_load(&f->loop->group->open), 0);
}

/* ---- the ways to a good end -------------------------------------------------------------------
 */

static void test_finish(void **state)
{
    struct fixture *f = *state;
    struct plx_conn *c = opened(f);
    assert_int_equal(plx_send(c, "last words", 10), 0);
    plx_finish(c);
    assert_true(plx_conn_ended(c));
    expect_want(c, READ | WRITE); /* the queue first */
    assert_int_equal(plx_send(c, "more", 4), -EPIPE);
    expect_queued(c, "last words");
    plx__conn_sent(c, 4);
    plx_finish(c); /* again is the same as once */
    expect_want(c, READ | WRITE);
    expect_queued(c, " words");
    plx__conn_sent(c, 6);
    expect_want(c, READ | FIN);
    receive(c, "ignored");
    expect_want(c, READ | FIN);
    plx__conn_fin_sent(c);
    expect_want(c, READ); /* until the peer's end */
    plx_finish(c);
    receive(c, "ignored");
    expect_want(c, READ);
    plx__conn_received(c, NULL, 0);
    end(f);
    expect_trace(f, "C(OK)"); /* what came after plx_finish() was discarded, and no on_eof */
}

static void test_finish_after_eof(void **state)
{
    struct fixture *f = *state;
    struct plx_conn *c = opened(f);
    plx__conn_received(c, NULL, 0);
    expect_trace(f, "E");
    assert_true(plx_conn_ended(c));
    expect_want(c, 0); /* waits for its handler */
    assert_int_equal(plx_send(c, "answer", 6), 0);
    expect_want(c, WRITE);
    plx_finish(c);
    expect_want(c, WRITE);
    plx__conn_sent(c, 6);
    expect_want(c, RETIRE); /* to close it sends the FIN */
    end(f);
    expect_trace(f, "EC(OK)");
}

static void test_eof_while_finishing(void **state)
{
    struct fixture *f = *state;
    struct plx_conn *c = opened(f);
    send_some(c, 10);
    plx_finish(c);
    plx__conn_received(c, NULL, 0);
    expect_want(c, WRITE);
    plx__conn_sent(c, 10);
    expect_want(c, RETIRE); /* to close it sends the FIN */
    end(f);
    expect_trace(f, "C(OK)");
}

/* Without on_eof the library finishes. */
static void test_eof_unheard(void **state)
{
    struct fixture *f = *state;
    f->handler.on_eof = NULL;
    struct plx_conn *c = opened(f);
    send_some(c, 10);
    plx__conn_received(c, NULL, 0);
    expect_want(c, WRITE);
    assert_int_equal(plx_send(c, "x", 1), -EPIPE);
    plx__conn_sent(c, 10);
    expect_want(c, RETIRE); /* to close it sends the FIN */
    end(f);
    expect_trace(f, "C(OK)");
}

static void test_half_close(void **state)
{
    struct fixture *f = *state;
    struct plx_conn *c = opened(f);
    assert_int_equal(plx_send(c, "request", 7), 0);
    plx_half_close(c);
    expect_want(c, READ | WRITE);
    assert_int_equal(plx_send(c, "x", 1), -EPIPE);
    plx__conn_sent(c, 7);
    expect_want(c, READ | FIN);
    plx__conn_fin_sent(c);
    expect_want(c, READ);
    plx_half_close(c); /* no second one */
    expect_want(c, READ);
    assert_false(plx_conn_ended(c));
    receive(c, "answer");
    plx__conn_received(c, NULL, 0);
    expect_trace(f, "[answer]E");
    end(f); /* both sides have ended: nothing is left to do */
    expect_trace(f, "[answer]EC(OK)");
}

static void test_half_close_then_finish(void **state)
{
    struct fixture *f = *state;
    struct plx_conn *c = opened(f);
    plx_half_close(c);
    plx_finish(c);
    expect_want(c, READ | FIN);
    plx__conn_fin_sent(c);
    expect_want(c, READ);
    receive(c, "discarded");
    plx__conn_received(c, NULL, 0);
    end(f);
    expect_trace(f, "C(OK)");
}

/* A paused connection that is finished reads on, lest its peer block and never read the answer. */
static void test_finish_while_paused(void **state)
{
    struct fixture *f = *state;
    struct plx_conn *c = opened(f);
    plx_pause(c);
    expect_want(c, 0);
    plx_finish(c);
    expect_want(c, READ | FIN);
    plx__conn_fin_sent(c);
    expect_want(c, READ);
    plx__conn_received(c, NULL, 0);
    end(f);
    expect_trace(f, "C(OK)");
}

/* A server drains: what is there is read to its end, then the handler is told, then it ends. */
static void test_drain(void **state)
{
    struct fixture *f = *state;
    struct plx_conn *c = opened(f);
    plx__conn_quiet(c); /* in itself, nothing to read means nothing */
    expect_trace(f, "");
    expect_want(c, READ);
    c->flags |= PLX__F_DRAINING; /* plx_loop_drain() */
    receive(c, "the rest");
    expect_want(c, READ);
    plx__conn_quiet(c);
    expect_trace(f, "[the rest]E");
    expect_want(c, READ | FIN);
    plx__conn_quiet(c);
    plx__conn_fin_sent(c);
    plx__conn_received(c, NULL, 0);
    end(f);
    expect_trace(f, "[the rest]EC(OK)");
}

/* ---- who looks at the wants
 * ---------------------------------------------------------------------- */

/* Wants that change within a callback are seen by the engine that called; outside of one the
 * connection is put on the loop's list. */
static ssize_t finish_data(struct plx_conn *c, const void *p, size_t n)
{
    assert_int_equal(plx_send(c, p, n), 0);
    plx_finish(c);
    return (ssize_t)n;
}

static void test_dirty(void **state)
{
    struct fixture *f = *state;
    struct plx_conn *c = opened(f);
    f->data = finish_data;
    assert_false(take_dirty(f));
    send_some(c, 1);
    assert_true(take_dirty(f));
    plx_pause(c);
    assert_true(take_dirty(f));
    plx_resume(c);
    assert_true(take_dirty(f));
    receive(c, "abc");
    assert_false(take_dirty(f));
    expect_want(c, READ | WRITE);
    plx_abort(c, 0);
    assert_true(take_dirty(f));
    end(f);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_opened),
        TEST(test_initial_state),
        TEST(test_on_open_refuses),
        TEST(test_connecting),
        TEST(test_half_close_while_connecting),
        TEST(test_finish_while_connecting),
        TEST(test_connect_fails),
        TEST(test_reference),
        TEST(test_gated),
        TEST(test_finish),
        TEST(test_finish_after_eof),
        TEST(test_eof_while_finishing),
        TEST(test_eof_unheard),
        TEST(test_half_close),
        TEST(test_half_close_then_finish),
        TEST(test_finish_while_paused),
        TEST(test_drain),
        TEST(test_dirty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
