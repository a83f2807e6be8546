/* SPDX-License-Identifier: MIT */
/* The bad ends of a connection: aborted from anywhere, failed, out of time. Whatever happens, its
 * handler is told once, last, and of the first cause. */
#include "conn_util.h"

#include <arpa/inet.h>
#include <netinet/in.h>

static void test_abort(void **state)
{
    struct fixture *f = *state;
    struct plx_conn *c = opened(f);
    send_some(c, 100);
    plx_abort(c, EPROTO); /* either sign */
    expect_want(c, RETIRE);
    plx_abort(c, -EIO); /* the first error is kept */
    plx_finish(c);
    plx_half_close(c);
    plx_pause(c);
    plx_resume(c);
    assert_int_equal(plx_send(c, "x", 1), -EPIPE);
    plx__conn_sent(c, 40); /* what was in flight comes back */
    receive(c, "late");
    plx__conn_received(c, NULL, 0);
    plx__conn_received(c, NULL, -ECONNRESET);
    expect_trace(f, "");
    end(f);
    expect_trace(f, "C(EPROTO)");
}

static void test_errors(void **state)
{
    struct fixture *f = *state;
    struct plx_conn *c = opened(f);
    plx__conn_received(c, NULL, -ECONNRESET);
    plx__conn_sent(c, -EPIPE); /* its effect */
    expect_want(c, RETIRE);
    assert_int_equal(counted(f, PLX__STAT(resets)), 1);
    plx__conn_retire(c);
    assert_int_equal(counted(f, PLX__STAT(closed)), 1);
    close(f->peer);
    expect_trace(f, "C(ECONNRESET)");

    c = opened(f);
    send_some(c, 10);
    plx__conn_sent(c, -EPIPE);
    end(f);
    expect_trace(f, "C(EPIPE)");
}

static void test_loop_closes(void **state)
{
    struct fixture *f = *state;
    (void)opened(f);
    plx_loop_close(f->loop);
    f->loop = NULL;
    expect_trace(f, "C(ECANCELED)");
}

static int abort_open(struct plx_conn *c)
{
    plx_abort(c, -EIO);
    return 0;
}

static ssize_t abort_data(struct plx_conn *c, const void *p, size_t n)
{
    (void)p;
    (void)n;
    plx_abort(c, -EIO);
    return 1; /* the rest must not be shown again */
}

static ssize_t drop_data(struct plx_conn *c, const void *p, size_t n)
{
    (void)c;
    (void)p;
    (void)n;
    return -EIO;
}

static void abort_it(struct plx_conn *c)
{
    plx_abort(c, -EIO);
}

/* In on_close everything may be called, and nothing comes of it. */
static void try_everything(struct plx_conn *c)
{
    assert_int_equal(plx_send(c, "x", 1), -EPIPE);
    assert_true(plx_conn_ended(c));
    memset(plx_conn_state(c), 'x', 24);
    plx_pause(c);
    plx_resume(c);
    plx_half_close(c);
    plx_finish(c);
    plx_abort(c, -ENOENT);
}

static void test_abort_in_callbacks(void **state)
{
    struct fixture *f = *state;
    static const char *const traces[] = {"C(EIO)", "[abc]C(EIO)", "[abc]C(EIO)", "EC(EIO)",
                                         "DC(EIO)"};
    f->close = try_everything;
    for (int i = 0; i < 5; i++) {
        f->open = i == 0 ? abort_open : NULL;
        f->data = i == 1 ? abort_data : i == 2 ? drop_data : NULL;
        f->eof = i == 3 ? abort_it : NULL;
        f->drain = i == 4 ? abort_it : NULL;
        struct plx_conn *c = opened(f);
        if (i == 1 || i == 2)
            receive(c, "abc");
        if (i == 3)
            plx__conn_received(c, NULL, 0);
        if (i == 4) {
            send_some(c, HIGH + 1);
            plx__conn_sent(c, HIGH + 1);
            pump(f);
        }
        expect_want(c, RETIRE);
        receive(c, "late");
        plx__conn_received(c, NULL, 0);
        (void)take_dirty(f);
        plx__conn_retire(c);
        expect_trace(f, traces[i]);
        close(f->peer);
        f->peer = -1;
    }
}

/* ---- resets and time ---------------------------------------------------------------------------
 */

static void tcp_pair(int fds[2])
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int ls = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(ls, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(ls, 1), 0);
    assert_int_equal(getsockname(ls, (struct sockaddr *)&at, &len), 0);
    fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fds[0], (struct sockaddr *)&at, len), 0);
    fds[1] = accept(ls, NULL, NULL);
    assert_true(fds[1] >= 0);
    close(ls);
}

/* A peer that was promised bytes which are dropped sees a reset; another one a plain end. */
static void test_reset(void **state)
{
    struct fixture *f = *state;
    for (size_t n = 0; n < 2; n++) {
        int fds[2];
        char byte;
        tcp_pair(fds);
        struct plx_conn *c = make(f, fds, false);
        plx__conn_opened(c);
        struct plx_addr a;
        plx_conn_peer(c, &a);
        assert_int_equal(a.sa.sa_family, AF_INET);
        send_some(c, n);
        plx_abort(c, -EIO);
        plx__conn_retire(c);
        ssize_t got = recv(fds[1], &byte, 1, 0);
        assert_int_equal(got, n ? -1 : 0);
        assert_true(n == 0 || errno == ECONNRESET);
        close(fds[1]);
        f->peer = -1;
    }
}

/* Moves the loop's clock forward. */
static void pass(struct fixture *f, int64_t ns)
{
    f->loop->start -= ns;
    plx__loop_update(f->loop);
}

static void test_time_limits(void **state)
{
    struct fixture *f = *state;
    struct plx_conn *c = opened(f);
    pass(f, 90 * PLX_SECOND);
    receive(c, "alive");
    pass(f, 90 * PLX_SECOND);
    assert_true(plx__conn_judge(c) > f->loop->now);
    expect_want(c, READ);
    pass(f, 20 * PLX_SECOND);
    plx__conn_judge(c);
    expect_want(c, RETIRE);
    plx__conn_retire(c);
    expect_trace(f, "[alive]C(ETIMEDOUT)");
    close(f->peer);

    /* A peer that sends for ever does not prolong the wait for its end, which is no error. */
    c = opened(f);
    plx_finish(c);
    plx__conn_fin_sent(c);
    for (int i = 0; i < 3; i++) {
        receive(c, "endless");
        plx__conn_judge(c);
        expect_want(c, READ);
        pass(f, 10 * PLX_SECOND);
    }
    pass(f, 10 * PLX_SECOND);
    plx__conn_judge(c);
    expect_want(c, RETIRE);
    plx__conn_retire(c);
    expect_trace(f, "C(OK)");
    close(f->peer);

    int fds[2];
    pair(fds);
    c = make(f, fds, true);
    f->trace[0] = 0;
    plx__conn_judge(c);
    expect_want(c, CONNECT);
    pass(f, 30 * PLX_SECOND);
    plx__conn_judge(c);
    end(f);
    expect_trace(f, "C(ETIMEDOUT)");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_abort),       TEST(test_errors),
        TEST(test_loop_closes), TEST(test_abort_in_callbacks),
        TEST(test_reset),       TEST(test_time_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
