/* SPDX-License-Identifier: MIT */
/* Signal-driven I/O as a selector: which files, whose signals, lost signals, other threads. */
#include "selector_util.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/resource.h>

#ifdef __linux__
#include <sys/eventfd.h>

static struct plx_selector *open_sigio(void)
{
    struct plx_selector *s;
    struct plx_why why;
    if (plx_selector_open("sigio", &s, &why) < 0) {
        print_message("%s\n", why.reason);
        skip();
    }
    return s;
}

/* Sockets and pipes can wake it; an eventfd cannot, and fcntl does not say so. */
static void test_sigio_kinds(void **state)
{
    (void)state;
    struct plx_selector *s = open_sigio();
    int efd = eventfd(0, EFD_NONBLOCK);
    assert_int_equal(plx_selector_register(s, efd, PLX_READ, NULL), -EPERM);
    close(efd);
    int p[2];
    assert_int_equal(pipe2(p, O_NONBLOCK), 0);
    assert_int_equal(plx_selector_register(s, p[0], PLX_READ, NULL), 0);
    assert_int_equal(one(s, p[0], 0), 0);
    put(p[1]);
    assert_int_equal(one(s, p[0], -1), PLX_READ);
    take(p[0]);
    int sig = fcntl(p[0], F_GETSIG);
    assert_true(sig >= SIGRTMIN && sig < SIGRTMAX);
    struct sigaction now;
    sigaction(sig, NULL, &now);
    assert_true(now.sa_handler == SIG_DFL);
    sigaction(SIGIO, NULL, &now);
    assert_true(now.sa_handler == SIG_DFL);
    assert_int_equal(plx_selector_unregister(s, p[0]), 0);
    assert_int_equal(fcntl(p[0], F_GETFL) & O_ASYNC, 0);
    assert_int_equal(fcntl(p[0], F_GETSIG), 0);
    plx_selector_close(s);
    close_pair(p);
}

/* Closing gives back what was not unregistered and leaves no signal behind; opening again and again
 * does not use up signals. */
static void test_sigio_reopened(void **state)
{
    (void)state;
    int p[2];
    stream_pair(p);
    for (int i = 0; i < 100; i++) {
        struct plx_selector *s = open_sigio();
        assert_int_equal(plx_selector_register(s, p[0], PLX_READ, NULL), 0);
        put(p[1]);
        assert_int_equal(one(s, p[0], -1), PLX_READ);
        take(p[0]);
        int sig = fcntl(p[0], F_GETSIG);
        put(p[1]);
        plx_selector_close(s);
        assert_int_equal(fcntl(p[0], F_GETFL) & O_ASYNC, 0);
        sigset_t pending;
        sigpending(&pending);
        assert_int_equal(sigismember(&pending, sig), 0);
        assert_int_equal(take(p[0]), 1);
    }
    close_pair(p);
}

/* Two on one thread: neither takes the other's signals. */
static void test_sigio_two(void **state)
{
    (void)state;
    struct plx_selector *a = open_sigio();
    struct plx_selector *b = open_sigio();
    int p[2];
    int q[2];
    stream_pair(p);
    stream_pair(q);
    assert_int_equal(plx_selector_register(a, p[0], PLX_READ, NULL), 0);
    assert_int_equal(plx_selector_register(b, q[0], PLX_READ, NULL), 0);
    assert_int_equal(one(a, p[0], 0), 0);
    assert_int_equal(one(b, q[0], 0), 0);
    put(p[1]);
    put(q[1]);
    assert_int_equal(one(a, p[0], 0), PLX_READ);
    assert_int_equal(one(a, p[0], 0), 0);
    assert_int_equal(one(b, q[0], 0), PLX_READ);
    plx_selector_close(a);
    plx_selector_close(b);
    close_pair(p);
    close_pair(q);
}

/* The queue holds nothing: every signal is lost, both selectors of the thread must look. */
static void test_sigio_overflow(void **state)
{
    (void)state;
    enum { PAIRS = 70 };
    struct plx_selector *s = open_sigio();
    struct plx_selector *other = open_sigio();
    int p[PAIRS][2];
    int q[2];
    stream_pair(q);
    assert_int_equal(plx_selector_register(other, q[0], PLX_READ, NULL), 0);
    assert_int_equal(one(other, q[0], 0), 0);
    for (int i = 0; i < PAIRS; i++) {
        stream_pair(p[i]);
        assert_int_equal(plx_selector_register(s, p[i][0], PLX_READ, NULL), 0);
    }
    assert_int_equal(one(s, -1, 0), 0);
    struct rlimit lim;
    getrlimit(RLIMIT_SIGPENDING, &lim);
    struct rlimit none = {.rlim_cur = 0, .rlim_max = lim.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_SIGPENDING, &none), 0);
    for (int i = 0; i < PAIRS; i++)
        put(p[i][1]);
    put(q[1]);
    int seen = 0;
    while (seen < PAIRS) {
        struct plx_ready r[32];
        int n = plx_selector_select(s, r, 32, 5 * PLX_SECOND);
        assert_true(n > 0);
        for (int i = 0; i < n; i++)
            assert_int_equal(take(r[i].fd), 1); /* and none twice */
        seen += n;
    }
    assert_int_equal(one(other, q[0], 5 * PLX_SECOND), PLX_READ);
    setrlimit(RLIMIT_SIGPENDING, &lim);
    assert_int_equal(one(s, -1, 0), 0);
    put(p[0][1]); /* one signal, but who knows what the lost ones were about */
    assert_int_equal(one_hinted(s, p[0][0], 5 * PLX_SECOND), PLX_READ | PLX_MORE);
    plx_selector_close(s);
    plx_selector_close(other);
    for (int i = 0; i < PAIRS; i++)
        close_pair(p[i]);
    close_pair(q);
}

/* Somebody else's real-time signal of that number, and one for a descriptor that is unknown. */
static void test_sigio_foreign(void **state)
{
    (void)state;
    struct plx_selector *s = open_sigio();
    int p[2];
    stream_pair(p);
    assert_int_equal(plx_selector_register(s, p[0], PLX_READ, NULL), 0);
    assert_int_equal(one(s, p[0], 0), 0);
    int sig = fcntl(p[0], F_GETSIG);
    union sigval value = {.sival_int = p[0]};
    assert_int_equal(pthread_sigqueue(pthread_self(), sig, value), 0);
    pthread_kill(pthread_self(), SIGIO);
    int64_t from = now_ns();
    assert_int_equal(one(s, p[0], 20 * PLX_MSEC), 0);
    assert_true(now_ns() - from >= 20 * PLX_MSEC);
    put(p[1]);
    assert_int_equal(one(s, p[0], -1), PLX_READ);
    plx_selector_close(s);
    close_pair(p);
}

struct mover {
    struct plx_selector *s;
    int fd;
    int first, second;
};

static void *wait_elsewhere(void *arg)
{
    struct mover *m = arg;
    m->first = one(m->s, m->fd, 0);
    m->second = one(m->s, m->fd, 5 * PLX_SECOND);
    return NULL;
}

/* Used on one thread, then on another: the signals follow. */
static void test_sigio_moves(void **state)
{
    (void)state;
    struct plx_selector *s = open_sigio();
    int p[2];
    stream_pair(p);
    assert_int_equal(plx_selector_register(s, p[0], PLX_READ, NULL), 0);
    assert_int_equal(one(s, p[0], 0), 0);
    struct mover m = {.s = s, .fd = p[0]};
    put(p[1]); /* signalled to this thread, waited for on the other */
    pthread_t t;
    pthread_create(&t, NULL, wait_elsewhere, &m);
    struct timespec pause = {.tv_nsec = 20 * PLX_MSEC};
    nanosleep(&pause, NULL);
    put(p[1]);
    pthread_join(t, NULL);
    assert_int_equal(m.first, PLX_READ);
    assert_int_equal(m.second, PLX_READ);
    plx_selector_close(s);
    close_pair(p);
}
/* Bits are merged: both directions, and the data with the hang-up behind it. */
static void test_sigio_merges(void **state)
{
    (void)state;
    struct plx_selector *s = open_sigio();
    int p[2];
    stream_pair(p);
    fill(p[0]);
    assert_int_equal(plx_selector_register(s, p[0], PLX_READ | PLX_WRITE, NULL), 0);
    assert_int_equal(one(s, p[0], 0), 0);
    fill(p[0]); /* meets EAGAIN while registered */
    put(p[1]);
    take(p[1]);
    assert_int_equal(one(s, p[0], 0), PLX_READ | PLX_WRITE);
    assert_int_equal(take(p[0]), 1);
    put(p[1]);
    close(p[1]);
    const unsigned all = PLX_READ | PLX_HUP | PLX_MORE;
    assert_int_equal((unsigned)one_hinted(s, p[0], 0) & all, all);
    plx_selector_close(s);
    close(p[0]);
}

/* A read that is short has met all there was, unless the event says otherwise: after one signal it
 * does not, after two it does, and so it does where no signal told of what was found. */
static void test_sigio_hints(void **state)
{
    (void)state;
    struct plx_selector *s = open_sigio();
    int p[2];
    tcp_pair(p);
    put(p[1]);
    assert_int_equal(plx_selector_register(s, p[0], PLX_READ, NULL), 0);
    assert_int_equal(one_hinted(s, p[0], 5 * PLX_SECOND), PLX_READ | PLX_MORE);
    assert_int_equal(take(p[0]), 1);
    for (int i = 0; i < 3; i++) {
        put(p[1]);
        assert_int_equal(one_hinted(s, p[0], 5 * PLX_SECOND), PLX_READ);
        assert_int_equal(take(p[0]), 1);
    }
    put(p[1]);
    put(p[1]);
    assert_int_equal(one_hinted(s, p[0], 5 * PLX_SECOND), PLX_READ | PLX_MORE);
    assert_int_equal(take(p[0]), 2);
    put(p[1]);
    assert_int_equal(one_hinted(s, p[0], 5 * PLX_SECOND), PLX_READ);
    assert_int_equal(take(p[0]), 1);
    shutdown(p[1], SHUT_WR);
    assert_int_equal(one(s, p[0], 5 * PLX_SECOND), PLX_READ);
    char byte;
    assert_int_equal(read(p[0], &byte, 1), 0);
    plx_selector_close(s);
    close_pair(p);
}

/* The end behind the data, in one segment or two: whoever reads once per event still meets it. */
static void test_sigio_end_behind(void **state)
{
    (void)state;
    struct plx_selector *s = open_sigio();
    for (int i = 0; i < 200; i++) {
        int p[2];
        tcp_pair(p);
        assert_int_equal(plx_selector_register(s, p[0], PLX_READ, NULL), 0);
        assert_int_equal(one(s, p[0], 0), 0);
        put(p[1]);
        shutdown(p[1], SHUT_WR);
        char buf[16];
        ssize_t n = -1;
        while (n != 0) {
            unsigned events = (unsigned)one_hinted(s, p[0], 5 * PLX_SECOND);
            assert_true(events & PLX_READ);
            do
                n = read(p[0], buf, sizeof(buf));
            while (n > 0 && (events & (PLX_MORE | PLX_HUP)));
        }
        assert_int_equal(plx_selector_unregister(s, p[0]), 0);
        close_pair(p);
    }
    plx_selector_close(s);
}

/* A read stops short at urgent data, which may come after it was announced: from then on the hint
 * is always there. */
static void test_sigio_urgent(void **state)
{
    (void)state;
    struct plx_selector *s = open_sigio();
    int p[2];
    tcp_pair(p);
    int on = 1;
    setsockopt(p[0], SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
    assert_int_equal(plx_selector_register(s, p[0], PLX_READ, NULL), 0);
    assert_int_equal(one(s, p[0], 0), 0);
    assert_int_equal(send(p[1], "u", 1, MSG_OOB), 1);
    unsigned events;
    do {
        events = (unsigned)one_hinted(s, p[0], 5 * PLX_SECOND);
        assert_true(events & PLX_MORE);
    } while (!(events & PLX_READ));
    assert_int_equal(take(p[0]), 1);
    while (one(s, p[0], 20 * PLX_MSEC) > 0)
        ;
    put(p[1]);
    assert_int_equal(one_hinted(s, p[0], 5 * PLX_SECOND), PLX_READ | PLX_MORE);
    plx_selector_close(s);
    close_pair(p);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sigio_kinds),      cmocka_unit_test(test_sigio_reopened),
        cmocka_unit_test(test_sigio_two),        cmocka_unit_test(test_sigio_overflow),
        cmocka_unit_test(test_sigio_foreign),    cmocka_unit_test(test_sigio_moves),
        cmocka_unit_test(test_sigio_merges),     cmocka_unit_test(test_sigio_hints),
        cmocka_unit_test(test_sigio_end_behind), cmocka_unit_test(test_sigio_urgent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
#else
int main(void)
{
    puts("F_SETSIG is a facility of Linux");
    return 77;
}
#endif
