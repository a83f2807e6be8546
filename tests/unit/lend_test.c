/* SPDX-License-Identifier: MIT */
/* The output of a connection without an engine, up to where it is written from: chunks that stay
 * in place, and input that is repeated without a copy. Whatever is borrowed and whenever it is
 * given back, the bytes are those that were sent. */
#include "conn_util.h"

/* An echo is written out of the buffer it was read into. */
static void test_echo_borrows(void **state)
{
    struct fixture *f = *state;
    char input[] = "hello";
    f->data = echo;
    struct plx_conn *c = opened(f);
    plx__conn_received(c, input, 5);
    expect_want(c, READ | WRITE);
    assert_ptr_equal(front(c).iov_base, input);
    assert_int_equal(front(c).iov_len, 5);
    plx__conn_sent(c, 5);
    plx__conn_release(c);
    expect_want(c, READ);
    expect_queued(c, "");
}

/* What the socket did not take is copied when the buffer is wanted back. */
static void test_release_copies_the_rest(void **state)
{
    struct fixture *f = *state;
    char input[] = "hello, world";
    f->data = echo;
    struct plx_conn *c = opened(f);
    plx__conn_received(c, input, 12);
    plx__conn_sent(c, 7);
    assert_ptr_equal(front(c).iov_base, input + 7);
    expect_queued(c, "world");
    plx__conn_release(c);
    memset(input, '#', sizeof(input)); /* the next read */
    expect_queued(c, "world");
    expect_want(c, READ | WRITE);
    plx__conn_release(c); /* nothing is lent: nothing happens */
    expect_queued(c, "world");
    plx__conn_sent(c, 5);
    expect_want(c, READ);
}

static void test_borrowed_after_queued(void **state)
{
    struct fixture *f = *state;
    char input[] = "second";
    struct iovec iov[3];
    f->data = echo;
    struct plx_conn *c = opened(f);
    assert_int_equal(plx_send(c, "first ", 6), 0);
    plx__conn_received(c, input, 6);
    assert_int_equal(plx__conn_outgoing(c, iov, 1), 1); /* no more than asked for */
    assert_int_equal(plx__conn_outgoing(c, iov, 3), 2);
    assert_ptr_equal(iov[1].iov_base, input);
    expect_queued(c, "first second");
    plx__conn_sent(c, 8); /* into the borrowed part */
    expect_queued(c, "cond");
    plx__conn_release(c);
    memset(input, '#', sizeof(input));
    expect_queued(c, "cond");
}

/* Parts of the input in turn, twice, backwards, and words of our own between. */
static ssize_t rearrange(struct plx_conn *c, const void *p, size_t n)
{
    const char *in = p;
    assert_int_equal(n, 6);
    plx_send(c, in, 2);
    plx_send(c, in + 2, 2);
    plx_send(c, in + 2, 2);
    plx_send(c, "-", 1);
    plx_send(c, in + 4, 2);
    plx_send(c, in, 1);
    plx_send(c, in + 1, 0);
    plx_send(c, in + 1, 5);
    return 6;
}

static void test_parts(void **state)
{
    struct fixture *f = *state;
    char input[] = "abcdef";
    f->data = rearrange;
    struct plx_conn *c = opened(f);
    plx__conn_received(c, input, 6);
    expect_queued(c, "abcdcd-efabcdef");
    plx__conn_release(c);
    memset(input, '#', sizeof(input));
    expect_queued(c, "abcdcd-efabcdef");
}

/* An answer of the handler's own, in pieces: one piece, outside the queue until it is wanted back.
 */
static ssize_t reply(struct plx_conn *c, const void *p, size_t n)
{
    char words[] = "your ";
    plx_send(c, words, 5);
    memset(words, '#', sizeof(words));
    plx_send(c, p, n);
    plx_send(c, "!", 1);
    return (ssize_t)n;
}

static void test_answer_is_gathered(void **state)
{
    struct fixture *f = *state;
    char input[] = "word";
    f->data = reply;
    struct plx_conn *c = opened(f);
    for (int i = 0; i < 2; i++) { /* the second finds the buffer as the first left it */
        plx__conn_received(c, input, 4);
        assert_int_equal(front(c).iov_len, 10);
        assert_null(c->out.head);
        expect_queued(c, "your word!");
        plx__conn_sent(c, 3);
        expect_queued(c, "r word!");
        plx__conn_release(c);
        expect_queued(c, "r word!");
        plx__conn_sent(c, 7);
        expect_want(c, READ);
    }
    send_some(c, 1); /* what is queued goes first */
    plx__conn_received(c, input, 4);
    plx__conn_release(c);
    plx__conn_sent(c, 1);
    expect_queued(c, "your word!");
}

/* More than there is room for outside the queue. */
static ssize_t long_reply(struct plx_conn *c, const void *p, size_t n)
{
    static char part[PLX__ANSWER / 2 - 1];
    (void)p;
    for (char text = 'a'; text < 'f'; text++) {
        memset(part, text, sizeof(part));
        assert_int_equal(plx_send(c, part, sizeof(part)), 0);
    }
    return (ssize_t)n;
}

static void test_long_answer(void **state)
{
    struct fixture *f = *state;
    const size_t part = PLX__ANSWER / 2 - 1;
    f->data = long_reply;
    f->loop->limits.high_water = f->loop->limits.queue_cap = 1u << 20;
    struct plx_conn *c = opened(f);
    plx__conn_received(c, "?", 1);
    plx__conn_release(c);
    struct iovec iov[64];
    int pieces = plx__conn_outgoing(c, iov, 64);
    size_t at = 0;
    for (int i = 0; i < pieces; i++) {
        for (size_t k = 0; k < iov[i].iov_len; k++, at++)
            assert_int_equal(((char *)iov[i].iov_base)[k], 'a' + (int)(at / part));
    }
    assert_int_equal(at, 5 * part);
}

/* Only the connection whose input it is can borrow it. */
static struct plx_conn *neighbour;

static ssize_t tell_neighbour(struct plx_conn *c, const void *p, size_t n)
{
    (void)c;
    assert_int_equal(plx_send(neighbour, p, n), 0);
    return (ssize_t)n;
}

static void test_neighbour_copies(void **state)
{
    struct fixture *f = *state;
    char input[] = "gossip";
    int fds[2];
    neighbour = opened(f);
    close(f->peer);
    pair(fds);
    f->data = tell_neighbour;
    struct plx_conn *c = make(f, fds, false);
    plx__conn_opened(c);
    plx__conn_received(c, input, 6);
    expect_want(c, READ);
    expect_want(neighbour, READ | WRITE);
    plx__conn_release(neighbour); /* was lent nothing */
    memset(input, '#', sizeof(input));
    expect_queued(neighbour, "gossip");
    expect_queued(c, "");
    plx__conn_release(c);
    plx_abort(c, 0);
    plx_abort(neighbour, 0);
    plx__conn_retire(c);
    plx__conn_retire(neighbour);
    expect_trace(f, "O[gossip]C(OK)C(OK)");
}

/* The kernel may hold the front: it stays where it is, as it is, until plx__conn_sent(). */
static void test_outgoing_is_pinned(void **state)
{
    struct fixture *f = *state;
    struct plx_conn *c = opened(f);
    assert_int_equal(plx_send(c, "pinned", 6), 0);
    struct iovec before = front(c);
    for (int i = 0; i < 300; i++)
        assert_int_equal(plx_send(c, "...", 3), 0);
    assert_ptr_equal(front(c).iov_base, before.iov_base);
    assert_memory_equal(before.iov_base, "pinned", 6);
    plx_abort(c, 0); /* also when it has ended: what is in flight has to come back first */
    assert_memory_equal(before.iov_base, "pinned", 6);
    plx__conn_sent(c, 6);
    end(f);
}

/* ---- anything sent in any way, against a flat buffer -------------------------------------------
 */

static struct {
    struct dice dice;
    unsigned char expected[1 << 20];
    size_t queued, sent;
} model;

static void model_send(struct plx_conn *c, const unsigned char *p, size_t n)
{
    assert_true(plx_send(c, p, n) >= 0);
    assert_true(model.queued + n <= sizeof(model.expected));
    memcpy(model.expected + model.queued, p, n);
    model.queued += n;
}

static ssize_t random_data(struct plx_conn *c, const void *p, size_t n)
{
    static const unsigned char own[] = "0123456789 words of the handler's own";
    const unsigned char *in = p;
    size_t at = 0;
    fixture_of(c)->trace[0] = 0;
    for (size_t i = below(&model.dice, 5); i > 0; i--) {
        size_t from = below(&model.dice, 3) ? at : below(&model.dice, n);
        size_t len = below(&model.dice, n - from + 1);
        if (below(&model.dice, 5) == 0)
            model_send(c, own, below(&model.dice, sizeof(own)));
        else
            model_send(c, in + from, len);
        at = from + len;
    }
    return (ssize_t)below(&model.dice, n + 1); /* some is left for later */
}

/* The engine writes some of what there is, at any moment. */
static void random_write(struct plx_conn *c)
{
    char buf[QUEUE];
    size_t n = queued(c, buf);
    assert_int_equal(n, model.queued - model.sent);
    assert_memory_equal(buf, model.expected + model.sent, n);
    assert_int_equal(plx__conn_want(c) & WRITE, n ? WRITE : 0);
    size_t take = below(&model.dice, 2) ? n : below(&model.dice, n + 1);
    if (take > 0)
        plx__conn_sent(c, (ssize_t)take);
    model.sent += take;
}

static void test_random(void **state)
{
    struct fixture *f = *state;
    unsigned char input[100];
    f->data = random_data;
    memset(&model, 0, sizeof(model));
    model.dice.x = 161803;
    struct plx_conn *c = opened(f);
    for (int i = 0; i < 5000; i++) {
        size_t n = 1 + below(&model.dice, sizeof(input));
        for (size_t k = 0; k < n; k++)
            input[k] = (unsigned char)roll(&model.dice);
        if (plx__conn_want(c) & READ)
            plx__conn_received(c, input, (ssize_t)n);
        random_write(c);
        plx__conn_release(c);
        memset(input, '#', sizeof(input));
        random_write(c);
        if (take_dirty(f))
            plx__conn_pump(c);
        assert_true(plx__conn_want(c) & (READ | WRITE));
    }
    assert_true(model.sent > 100000);
    assert_true(counted(f, PLX__STAT(bytes_out)) == model.sent);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_echo_borrows),
        TEST(test_release_copies_the_rest),
        TEST(test_borrowed_after_queued),
        TEST(test_parts),
        TEST(test_answer_is_gathered),
        TEST(test_long_answer),
        TEST(test_neighbour_copies),
        TEST(test_outgoing_is_pinned),
        TEST(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
