/* SPDX-License-Identifier: MIT */
/*
 * The contract of the selector, case by case, for every backend of the table of names. What only
 * one backend does is in selector_backends_test.c.
 */
#include "selector_util.h"

#include <pthread.h>
#include <stdio.h>

static const char *backend; /* the one under test */

static bool has(const struct plx_selector *s, unsigned cap)
{
    return plx_selector_caps(s) & cap;
}

/* ---- registering ---- */

static void test_identity(void **state)
{
    (void)state;
    struct plx_selector *s = open_selector(backend);
    assert_string_equal(plx_selector_name(s), backend);
    assert_true(plx_selector_fd_limit(s) >= 0);
    plx_selector_close(s);
    plx_selector_close(NULL);
}

static void test_register_errors(void **state)
{
    (void)state;
    struct plx_selector *s = open_selector(backend);
    int p[2];
    stream_pair(p);
    assert_int_equal(plx_selector_register(s, p[0], 0, NULL), -EINVAL);
    assert_int_equal(plx_selector_register(s, p[0], PLX_HUP, NULL), -EINVAL);
    assert_int_equal(plx_selector_register(s, p[0], PLX_READ | PLX_CTL_EXCLUSIVE, NULL), -EINVAL);
    assert_int_equal(plx_selector_register(s, -1, PLX_READ, NULL), -EBADF);
    int closed = dup(p[0]);
    close(closed);
    assert_int_equal(plx_selector_register(s, closed, PLX_READ, NULL), -EBADF);
    if (plx_selector_fd_limit(s) == 0)
        assert_int_equal(plx_selector_register(s, 1 << 30, PLX_READ, NULL), -EBADF);
    assert_int_equal(plx_selector_register(s, p[0], PLX_READ, NULL), 0);
    assert_int_equal(plx_selector_register(s, p[0], PLX_WRITE, NULL), -EEXIST);
    assert_int_equal(plx_selector_get_map(s, NULL, 0), 1);
    plx_selector_close(s);
    assert_int_not_equal(fcntl(p[0], F_GETFD), -1); /* it owns no descriptor */
    close_pair(p);
}

static void test_modify_errors(void **state)
{
    (void)state;
    struct plx_selector *s = open_selector(backend);
    int p[2];
    stream_pair(p);
    assert_int_equal(plx_selector_modify(s, p[0], PLX_READ, NULL), -ENOENT);
    assert_int_equal(plx_selector_modify(s, -1, PLX_READ, NULL), -ENOENT);
    assert_int_equal(plx_selector_unregister(s, p[0]), -ENOENT);
    assert_int_equal(plx_selector_unregister(s, -1), -ENOENT);
    assert_int_equal(plx_selector_register(s, p[0], PLX_READ, NULL), 0);
    assert_int_equal(plx_selector_modify(s, p[0], 0, NULL), -EINVAL);
    assert_int_equal(plx_selector_modify(s, p[0], PLX_ERR, NULL), -EINVAL);
    close(p[0]);
    assert_int_equal(plx_selector_modify(s, p[0], PLX_WRITE, NULL), -EBADF);
    struct plx_key key;
    assert_int_equal(plx_selector_get_key(s, p[0], &key), 0);
    assert_int_equal(key.events, PLX_READ); /* on failure nothing has changed */
    assert_int_equal(plx_selector_unregister(s, p[0]), 0);
    assert_int_equal(plx_selector_unregister(s, p[0]), -ENOENT);
    plx_selector_close(s);
    close(p[1]);
}

static void test_keys(void **state)
{
    (void)state;
    struct plx_selector *s = open_selector(backend);
    int p[2];
    int q[2];
    stream_pair(p);
    stream_pair(q);
    struct plx_key key;
    struct plx_key map[4];
    assert_int_equal(plx_selector_get_key(s, p[0], &key), -ENOENT);
    assert_int_equal(plx_selector_get_map(s, map, 4), 0);
    assert_int_equal(plx_selector_register(s, q[0], PLX_WRITE, &q), 0);
    assert_int_equal(plx_selector_register(s, p[0], PLX_READ, &p), 0);
    assert_int_equal(plx_selector_get_key(s, p[0], &key), 0);
    assert_int_equal(key.fd, p[0]);
    assert_int_equal(key.events, PLX_READ);
    assert_ptr_equal(key.data, &p);
    assert_int_equal(plx_selector_get_map(s, map, 4), 2);
    assert_int_equal(map[0].fd, p[0]);
    assert_int_equal(map[1].fd, q[0]);
    assert_ptr_equal(map[1].data, &q);
    map[1].fd = -7;
    assert_int_equal(plx_selector_get_map(s, map, 1), 2); /* the total, one written */
    assert_int_equal(map[1].fd, -7);
    assert_int_equal(plx_selector_modify(s, q[0], PLX_READ | PLX_WRITE, &key), 0);
    assert_int_equal(plx_selector_get_key(s, q[0], &key), 0);
    assert_int_equal(key.events, PLX_READ | PLX_WRITE);
    assert_ptr_equal(key.data, &key);
    plx_selector_close(s);
    close_pair(p);
    close_pair(q);
}

static void test_exclusive(void **state)
{
    (void)state;
    struct plx_selector *s = open_selector(backend);
    int p[2];
    stream_pair(p);
    int rc = plx_selector_register_exclusive(s, p[0], PLX_READ, &p);
    if (!has(s, PLX_SEL_EXCLUSIVE)) {
        assert_int_equal(rc, -EOPNOTSUPP);
    } else {
        assert_int_equal(rc, 0);
        assert_int_equal(plx_selector_modify(s, p[0], PLX_WRITE, &p), -EINVAL);
        struct plx_key key;
        assert_int_equal(plx_selector_get_key(s, p[0], &key), 0);
        assert_int_equal(key.events, PLX_READ);
        assert_int_equal(one(s, p[0], 0), 0);
        put(p[1]);
        assert_int_equal(one(s, p[0], -1), PLX_READ);
        assert_int_equal(plx_selector_unregister(s, p[0]), 0);
        assert_int_equal(plx_selector_register_exclusive(s, p[0], PLX_READ, &p), 0);
    }
    plx_selector_close(s);
    close_pair(p);
}

static void test_regular_file(void **state)
{
    (void)state;
    struct plx_selector *s = open_selector(backend);
    FILE *f = tmpfile();
    assert_non_null(f);
    int fd = fileno(f);
    int rc = plx_selector_register(s, fd, PLX_READ | PLX_WRITE, NULL);
    if (has(s, PLX_SEL_FILES)) {
        assert_int_equal(rc, 0);
        assert_int_equal(one(s, fd, -1), PLX_READ | PLX_WRITE);
    } else {
        assert_int_equal(rc, -EPERM);
        assert_int_equal(plx_selector_unregister(s, fd), -ENOENT);
    }
    plx_selector_close(s);
    fclose(f);
}

/* ---- closed descriptors ---- */

static void test_unregister_closed(void **state)
{
    (void)state;
    struct plx_selector *s = open_selector(backend);
    int p[2];
    stream_pair(p);
    assert_int_equal(plx_selector_register(s, p[0], PLX_READ, NULL), 0);
    close(p[0]);
    assert_int_equal(plx_selector_unregister(s, p[0]), 0);
    assert_int_equal(one(s, -1, 0), 0);
    plx_selector_close(s);
    close(p[1]);
}

/* Reused by another pair, and by a file that an epoll set refuses. */
static void test_unregister_reused(void **state)
{
    (void)state;
    struct plx_selector *s = open_selector(backend);
    int p[2];
    int q[2];
    for (int file = 0; file < 2; file++) {
        stream_pair(p);
        stream_pair(q);
        assert_int_equal(plx_selector_register(s, p[0], PLX_READ, &p), 0);
        close(p[0]);
        int other = file ? open("/dev/null", O_RDWR) : dup(q[0]);
        assert_int_equal(other, p[0]);
        assert_int_equal(plx_selector_unregister(s, p[0]), 0);
        close(other);
        close(p[1]);
        close_pair(q);
    }
    plx_selector_close(s);
}

/*
 * An event of a registration that is over must not reach the next one of the same number. The
 * duplicate keeps the first file alive, so that its events go on. Signals carry no tag: there the
 * new one may be called ready, with its own data, which is legal.
 */
static void test_stale(void **state)
{
    (void)state;
    struct plx_selector *s = open_selector(backend);
    int p[2];
    int q[2];
    stream_pair(p);
    stream_pair(q);
    assert_int_equal(plx_selector_register(s, p[0], PLX_READ, &p), 0);
    int alive = dup(p[0]);
    put(p[1]);
    int reused = p[0];
    close(reused);
    assert_int_equal(plx_selector_unregister(s, reused), 0);
    assert_int_equal(dup2(q[0], reused), reused);
    assert_int_equal(plx_selector_register(s, reused, PLX_READ, &q), 0);
    put(p[1]);
    struct plx_ready r = {0};
    uint64_t before = waits(s);
    int rc = plx_selector_select(s, &r, 1, 20 * PLX_MSEC);
    if (!has(s, PLX_SEL_SPINS) && strcmp(backend, "sigio") != 0) {
        assert_int_equal(rc, 0);
        assert_true(waits(s) - before < 10); /* dropped for good, not again and again */
    }
    put(q[1]);
    assert_int_equal(plx_selector_select(s, &r, 1, -1), 1);
    assert_int_equal(r.fd, reused);
    assert_ptr_equal(r.data, &q);
    plx_selector_close(s);
    close(alive);
    close(reused);
    close(p[1]);
    close_pair(q);
}

/* ---- readiness ---- */

static void test_both_in_one_event(void **state)
{
    (void)state;
    struct plx_selector *s = open_selector(backend);
    int p[2];
    stream_pair(p);
    put(p[1]);
    assert_int_equal(plx_selector_register(s, p[0], PLX_READ | PLX_WRITE, &p), 0);
    struct plx_ready r[4];
    assert_int_equal(plx_selector_select(s, r, 4, -1), 1);
    assert_int_equal(r[0].fd, p[0]);
    assert_int_equal(r[0].events & ~PLX_MORE, PLX_READ | PLX_WRITE);
    assert_ptr_equal(r[0].data, &p);
    plx_selector_close(s);
    close_pair(p);
}

static void test_modify_takes_effect(void **state)
{
    (void)state;
    struct plx_selector *s = open_selector(backend);
    int p[2];
    stream_pair(p);
    put(p[1]);
    assert_int_equal(plx_selector_register(s, p[0], PLX_READ, &p), 0);
    assert_int_equal(one(s, p[0], -1), PLX_READ);
    assert_int_equal(plx_selector_modify(s, p[0], PLX_WRITE, s), 0);
    struct plx_ready r;
    assert_int_equal(plx_selector_select(s, &r, 1, -1), 1);
    assert_int_equal(r.events & ~PLX_MORE, PLX_WRITE);
    assert_ptr_equal(r.data, s);
    assert_int_equal(plx_selector_unregister(s, p[0]), 0);
    put(p[1]);
    assert_int_equal(one(s, p[0], 0), 0);
    plx_selector_close(s);
    close_pair(p);
}

/* Room for one event at a time: all are ready, each gets its turn. */
static void test_fairness(void **state)
{
    (void)state;
    enum { PAIRS = 100 };
    struct plx_selector *s = open_selector(backend);
    int p[PAIRS][2];
    int seen[PAIRS] = {0};
    for (int i = 0; i < PAIRS; i++) {
        stream_pair(p[i]);
        put(p[i][1]);
        assert_int_equal(plx_selector_register(s, p[i][0], PLX_READ, &seen[i]), 0);
    }
    for (int i = 0; i < PAIRS; i++) {
        struct plx_ready r;
        assert_int_equal(plx_selector_select(s, &r, 1, -1), 1);
        ++*(int *)r.data;
    }
    for (int i = 0; i < PAIRS; i++) {
        assert_int_equal(seen[i], 1);
        close_pair(p[i]);
    }
    plx_selector_close(s);
}

/* More than one chunk of anything, registered and unregistered in an order that leaves gaps. */
static void test_many(void **state)
{
    (void)state;
    enum { PAIRS = 150 };
    struct plx_selector *s = open_selector(backend);
    int p[PAIRS][2];
    for (int i = 0; i < PAIRS; i++) {
        stream_pair(p[i]);
        assert_int_equal(plx_selector_register(s, p[i][0], PLX_READ, p[i]), 0);
    }
    for (int i = 0; i < PAIRS; i += 3)
        assert_int_equal(plx_selector_unregister(s, p[i][0]), 0);
    for (int i = 0; i < PAIRS; i++)
        put(p[i][1]);
    int left = PAIRS - (PAIRS + 2) / 3;
    assert_int_equal(plx_selector_get_map(s, NULL, 0), left);
    for (int seen = 0; seen < left;) {
        struct plx_ready r[64];
        int n = plx_selector_select(s, r, 64, 5 * PLX_SECOND);
        assert_true(n > 0);
        for (int i = 0; i < n; i++) {
            int *pair = r[i].data;
            assert_int_equal(r[i].fd, pair[0]);
            assert_int_equal(take(r[i].fd), 1); /* not one that was unregistered, none twice */
            assert_int_equal(plx_selector_unregister(s, r[i].fd), 0);
            seen++;
        }
    }
    assert_int_equal(plx_selector_get_map(s, NULL, 0), 0);
    plx_selector_close(s);
    for (int i = 0; i < PAIRS; i++)
        close_pair(p[i]);
}

/* ---- waiting ---- */

static void expect_timeout(struct plx_selector *s, int64_t timeout_ns)
{
    struct plx_ready r;
    int64_t from = now_ns();
    assert_int_equal(plx_selector_select(s, &r, 1, timeout_ns), 0);
    assert_true(now_ns() - from >= timeout_ns);
}

static void test_timeouts_empty(void **state)
{
    (void)state;
    struct plx_selector *s = open_selector(backend);
    struct plx_ready r;
    assert_int_equal(plx_selector_select(s, &r, 0, 0), -EINVAL);
    assert_int_equal(plx_selector_select(s, &r, -1, 0), -EINVAL);
    expect_timeout(s, 0);
    expect_timeout(s, 1);
    expect_timeout(s, 300 * 1000);
    expect_timeout(s, 1500 * 1000 + 1);
    expect_timeout(s, 30 * PLX_MSEC);
    plx_selector_close(s);
}

static volatile sig_atomic_t alarms;

static void on_alarm(int sig)
{
    (void)sig;
    alarms = 1;
}

/* SA_RESTART: the waits are among the calls that it never restarts (signal(7)). Repeated, so that
 * an alarm that comes before the wait is followed by one that comes during it. */
static void expect_interrupted(struct plx_selector *s, int64_t timeout_ns)
{
    struct sigaction act = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    struct sigaction before;
    sigaction(SIGALRM, &act, &before);
    struct itimerval every = {{.tv_usec = 20000}, {.tv_usec = 20000}};
    struct itimerval none = {{0}, {0}};
    setitimer(ITIMER_REAL, &every, NULL);
    alarms = 0;
    struct plx_ready r;
    int rc = plx_selector_select(s, &r, 1, timeout_ns);
    setitimer(ITIMER_REAL, &none, NULL);
    sigaction(SIGALRM, &before, NULL);
    assert_int_equal(rc, -EINTR);
    assert_int_equal(alarms, 1);
}

static void test_interrupted_empty(void **state)
{
    (void)state;
    struct plx_selector *s = open_selector(backend);
    expect_interrupted(s, -1);
    expect_interrupted(s, 60 * PLX_SECOND);
    expect_interrupted(s, INT64_MAX);
    plx_selector_close(s);
}

static void test_timeouts_registered(void **state)
{
    (void)state;
    struct plx_selector *s = open_selector(backend);
    int p[2];
    stream_pair(p);
    assert_int_equal(plx_selector_register(s, p[0], PLX_READ, NULL), 0);
    expect_timeout(s, 0);
    expect_timeout(s, 300 * 1000);
    expect_timeout(s, 30 * PLX_MSEC);
    expect_interrupted(s, -1);
    expect_interrupted(s, 60 * PLX_SECOND);
    plx_selector_close(s);
    close_pair(p);
}

static void *put_later(void *arg)
{
    struct timespec t = {.tv_nsec = 20 * PLX_MSEC};
    nanosleep(&t, NULL);
    put(*(int *)arg);
    return NULL;
}

static void test_woken(void **state)
{
    (void)state;
    struct plx_selector *s = open_selector(backend);
    int p[2];
    stream_pair(p);
    assert_int_equal(plx_selector_register(s, p[0], PLX_READ, NULL), 0);
    static const int64_t timeouts[] = {-1, 60 * PLX_SECOND, INT64_MAX};
    for (int i = 0; i < 3; i++) {
        pthread_t t;
        pthread_create(&t, NULL, put_later, &p[1]);
        int events = one(s, p[0], timeouts[i]);
        pthread_join(t, NULL);
        assert_int_equal(events, PLX_READ);
        assert_int_equal(take(p[0]), 1);
        one(s, p[0], 0); /* an edge that was there already */
    }
    plx_selector_close(s);
    close_pair(p);
}

static void test_writable_again(void **state)
{
    (void)state;
    struct plx_selector *s = open_selector(backend);
    int p[2];
    stream_pair(p);
    fill(p[0]);
    assert_int_equal(plx_selector_register(s, p[0], PLX_WRITE, NULL), 0);
    assert_int_equal(one(s, p[0], 0), 0);
    if (has(s, PLX_SEL_EDGE))
        fill(p[0]); /* an edge is promised to whoever met EAGAIN while registered */
    take(p[1]);
    assert_int_equal(one(s, p[0], 5 * PLX_SECOND), PLX_WRITE);
    plx_selector_close(s);
    close_pair(p);
}

static void test_hang_up(void **state)
{
    (void)state;
    struct plx_selector *s = open_selector(backend);
    int p[2];
    stream_pair(p);
    assert_int_equal(plx_selector_register(s, p[0], PLX_READ, NULL), 0);
    assert_int_equal(one(s, p[0], 0), 0);
    put(p[1]);
    close(p[1]);
    int events = one(s, p[0], -1);
    assert_true((unsigned)events & PLX_READ);
    assert_false((unsigned)events & PLX_WRITE); /* was not asked for */
    if (strcmp(backend, "select") != 0)
        assert_true((unsigned)events & PLX_HUP);
    assert_int_equal(take(p[0]), 1);
    plx_selector_close(s);
    close(p[0]);
}

/* Nobody reads the pipe any more: whoever waits to write must act. */
static void test_error(void **state)
{
    (void)state;
    struct plx_selector *s = open_selector(backend);
    int p[2];
    assert_int_equal(pipe2(p, O_NONBLOCK | O_CLOEXEC), 0);
    fill(p[1]);
    assert_int_equal(plx_selector_register(s, p[1], PLX_WRITE, NULL), 0);
    assert_int_equal(one(s, p[1], 0), 0);
    close(p[0]);
    int events = one(s, p[1], 5 * PLX_SECOND);
    assert_true((unsigned)events & PLX_WRITE);
    plx_selector_close(s);
    close(p[1]);
}

static void test_counters(void **state)
{
    (void)state;
    struct plx_selector *s = open_selector(backend);
    struct plx_selector_calls calls;
    plx_selector_count(s, &calls);
    assert_int_equal(calls.wait, 0);
    assert_int_equal(calls.ctl, 0);
    int p[2];
    stream_pair(p);
    plx_selector_register(s, p[0], PLX_READ, NULL);
    one(s, p[0], 0);
    plx_selector_count(s, &calls);
    assert_true(calls.wait >= 1);
    assert_true(calls.ctl >= 1);
    plx_selector_close(s);
    close_pair(p);
}

/* ---- levels and edges ---- */

static void test_level(void **state)
{
    (void)state;
    struct plx_selector *s = open_selector(backend);
    int p[2];
    stream_pair(p);
    assert_int_equal(plx_selector_register(s, p[0], PLX_READ, NULL), 0);
    put(p[1]);
    for (int i = 0; i < 3; i++)
        assert_int_equal(one(s, p[0], 0), PLX_READ);
    take(p[0]);
    assert_int_equal(one(s, p[0], 0), 0);
    /* A peer that only stopped sending must not wake a writer for ever. */
    shutdown(p[1], SHUT_WR);
    assert_true((unsigned)one(s, p[0], 0) & PLX_READ);
    fill(p[0]);
    assert_int_equal(plx_selector_modify(s, p[0], PLX_WRITE, NULL), 0);
    assert_int_equal(one(s, p[0], 0), 0);
    plx_selector_close(s);
    close_pair(p);
}

static void test_edge(void **state)
{
    (void)state;
    struct plx_selector *s = open_selector(backend);
    int p[2];
    stream_pair(p);
    put(p[1]);
    assert_int_equal(plx_selector_register(s, p[0], PLX_READ, NULL), 0);
    assert_int_equal(one(s, p[0], 0), PLX_READ); /* was ready before */
    assert_int_equal(one(s, p[0], 0), 0);        /* not read, and no change */
    put(p[1]);
    assert_int_equal(one(s, p[0], 0), PLX_READ);
    assert_int_equal(one(s, p[0], 0), 0);
    assert_int_equal(plx_selector_modify(s, p[0], PLX_READ, NULL), 0);
    assert_int_equal(one(s, p[0], 0), PLX_READ); /* armed once more */
    plx_selector_close(s);
    close_pair(p);
}

#define CASE(fn) cmocka_unit_test(fn)

static const struct CMUnitTest of_all[] = {
    CASE(test_identity),
    CASE(test_register_errors),
    CASE(test_modify_errors),
    CASE(test_keys),
    CASE(test_exclusive),
    CASE(test_regular_file),
    CASE(test_unregister_closed),
    CASE(test_unregister_reused),
    CASE(test_stale),
    CASE(test_both_in_one_event),
    CASE(test_modify_takes_effect),
    CASE(test_fairness),
    CASE(test_many),
    CASE(test_timeouts_empty),
    CASE(test_interrupted_empty),
};
/* What busy polling, to which everything is ready, has not. */
static const struct CMUnitTest of_waiting[] = {
    CASE(test_timeouts_registered),
    CASE(test_woken),
    CASE(test_writable_again),
    CASE(test_hang_up),
    CASE(test_error),
    CASE(test_counters),
};
static const struct CMUnitTest of_level[] = {CASE(test_level)};
static const struct CMUnitTest of_edge[] = {CASE(test_edge)};

static int run_backend(const char *name)
{
    struct plx_selector *s;
    struct plx_why why;
    if (plx_selector_open(name, &s, &why) < 0) {
        fprintf(stderr, "selector_test: %s is not tested here: %s\n", name, why.reason);
        return why.reason[0] ? 0 : 1;
    }
    unsigned caps = plx_selector_caps(s);
    plx_selector_close(s);
    backend = name;
    int failed = cmocka_run_group_tests_name(name, of_all, NULL, NULL);
    if (caps & PLX_SEL_SPINS)
        return failed;
    failed += cmocka_run_group_tests_name(name, of_waiting, NULL, NULL);
    if (caps & PLX_SEL_EDGE)
        return failed + cmocka_run_group_tests_name(name, of_edge, NULL, NULL);
    return failed + cmocka_run_group_tests_name(name, of_level, NULL, NULL);
}

int main(void)
{
    int failed = 0;
    for (const char *const *name = plx_selector_names(); *name; name++)
        failed += run_backend(*name);
    return failed ? 1 : 0;
}
