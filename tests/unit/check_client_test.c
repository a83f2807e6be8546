/* SPDX-License-Identifier: MIT */
/*
 * The verifier of `pollux check` must find what is wrong. A server that corrupts cannot be had from
 * the program, so here are peers, a thread each, that are wrong in one way at a time.
 */
#include "cmd/check_client.h"

#include <errno.h>
#include <netinet/in.h>
#include <pollux/pollux.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h> /* wants the standard headers before it */

#define SIZE    ((size_t)3000001) /* more than a window, and odd */
#define PEERS   8
#define BAD     1234567 /* the offset at which a peer goes wrong */
#define STALL   (300 * PLX_MSEC)
#define PATIENT (20 * PLX_SECOND)

enum manner {
    HONEST,   /* an echo */
    CORRUPT,  /* one bit of one byte is wrong */
    SWAPPED,  /* two neighbours change places */
    SHORT,    /* keeps the last ten bytes, ends the stream cleanly */
    EXTRA,    /* one byte more, after our half-close */
    EARLY,    /* ends the stream in the middle */
    RESET,    /* breaks the connection in the middle */
    SILENT,   /* takes everything, answers nothing, stays */
    UNENDING, /* an echo that never ends the stream */
};

struct fixture;

struct peer {
    struct fixture *fixture;
    enum manner manner;
    pthread_t thread;
};

struct fixture {
    int listener;
    struct plx_addr addr;
    unsigned char *data;
    sem_t release; /* the client's run is over */
    struct peer peers[PEERS];
    unsigned npeers;
};

static void send_all(int fd, const unsigned char *p, size_t n)
{
    while (n > 0) {
        ssize_t w = send(fd, p, n, MSG_NOSIGNAL);
        if (w <= 0)
            return;
        p += w;
        n -= (size_t)w;
    }
}

static void reset(int fd)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

/* Reads the rest and lets the client close first. */
static void absorb(int fd)
{
    unsigned char buf[4096];
    while (recv(fd, buf, sizeof(buf), 0) > 0)
        ;
}

/* Spoils buf[0..n), which stands at `at` in the stream. Returns how much of it to send; `*stop` is
 * set when the peer ends there. */
static size_t spoil(enum manner manner, unsigned char *buf, size_t n, size_t at, bool *stop)
{
    bool here = at <= BAD && BAD < at + n;
    switch (manner) {
    case CORRUPT:
        if (here)
            buf[BAD - at] ^= 0x10;
        break;
    case SWAPPED: /* the bytes count upwards: neighbours always differ */
        if (here)
            buf[BAD - at]++;
        if (at <= BAD + 1 && BAD + 1 < at + n)
            buf[BAD + 1 - at]--;
        break;
    case SHORT:
        if (at + n > SIZE - 10)
            return at < SIZE - 10 ? SIZE - 10 - at : 0;
        break;
    case EARLY:
    case RESET: *stop = here; return here ? BAD - at : n;
    case SILENT: return 0;
    case HONEST:
    case EXTRA:
    case UNENDING: break;
    }
    return n;
}

static void *serve_one(void *arg)
{
    const struct peer *self = arg;
    const enum manner manner = self->manner;
    unsigned char buf[20000];
    int fd = accept(self->fixture->listener, NULL, NULL);
    size_t at = 0;
    bool stop = false;
    ssize_t n;
    while (!stop && (n = recv(fd, buf, sizeof(buf), 0)) > 0) {
        send_all(fd, buf, spoil(manner, buf, (size_t)n, at, &stop));
        at += (size_t)n;
    }
    if (manner == EXTRA)
        send_all(fd, buf, 1);
    if (manner == RESET)
        reset(fd);
    if (manner == EARLY) {
        shutdown(fd, SHUT_WR);
        absorb(fd);
    }
    if (manner == UNENDING || manner == SILENT)
        sem_wait(&self->fixture->release);
    close(fd);
    return NULL;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    f->data = malloc(SIZE);
    assert_non_null(f->data);
    for (size_t i = 0; i < SIZE; i++)
        f->data[i] = (unsigned char)i;
    assert_int_equal(plx_addr_parse("127.0.0.1:0", &f->addr, 1, NULL), 1);
    f->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(f->listener >= 0);
    assert_int_equal(bind(f->listener, &f->addr.sa, f->addr.len), 0);
    assert_int_equal(listen(f->listener, 64), 0);
    assert_int_equal(getsockname(f->listener, &f->addr.sa, &f->addr.len), 0);
    assert_int_equal(sem_init(&f->release, 0, 0), 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    for (unsigned i = 0; i < f->npeers; i++)
        assert_int_equal(sem_post(&f->release), 0);
    for (unsigned i = 0; i < f->npeers; i++)
        assert_int_equal(pthread_join(f->peers[i].thread, NULL), 0);
    sem_destroy(&f->release);
    close(f->listener);
    free(f->data);
    free(f);
    return 0;
}

static void add_peers(struct fixture *f, enum manner manner, unsigned n)
{
    for (; n > 0; n--) {
        struct peer *p = &f->peers[f->npeers++];
        *p = (struct peer){.fixture = f, .manner = manner};
        assert_int_equal(pthread_create(&p->thread, NULL, serve_one, p), 0);
    }
}

static struct check_result run(struct fixture *f, size_t size, int64_t stall_ns)
{
    struct check_load load = {.to = f->addr,
                              .data = f->data,
                              .size = size,
                              .connections = f->npeers,
                              .seed = 1,
                              .stall_ns = stall_ns};
    struct check_result result;
    check_client_run(&load, &result);
    return result;
}

/* One connection for each of `n` peers of one kind. */
static struct check_result run_with(void **state, enum manner manner, unsigned n, size_t size,
                                    int64_t stall_ns)
{
    add_peers(*state, manner, n);
    return run(*state, size, stall_ns);
}

static void expect_wrong(void **state, enum manner manner, size_t offset)
{
    struct check_result r = run_with(state, manner, 1, SIZE, PATIENT);
    assert_int_equal(r.verdict, CHECK_WRONG);
    assert_int_equal(r.connection, 1);
    assert_int_equal(r.offset, offset);
    assert_non_null(strstr(r.why, "connection 1"));
}

/* ---- right ---- */

static void right_when_honest(void **state)
{
    struct check_result r = run_with(state, HONEST, PEERS, SIZE, PATIENT);
    assert_string_equal(r.why, "");
    assert_int_equal(r.verdict, CHECK_OK);
    assert_int_equal(r.verified, PEERS * SIZE);
    assert_true(r.ns > 0);
}

static void right_when_empty(void **state)
{
    struct check_result r = run_with(state, HONEST, PEERS, 0, PATIENT);
    assert_int_equal(r.verdict, CHECK_OK);
    assert_int_equal(r.verified, 0);
}

static void right_with_one_byte(void **state)
{
    struct check_result r = run_with(state, HONEST, 1, 1, PATIENT);
    assert_int_equal(r.verdict, CHECK_OK);
    assert_int_equal(r.verified, 1);
}

/* ---- wrong ---- */

static void corrupt_byte(void **state)
{
    expect_wrong(state, CORRUPT, BAD);
}

static void swapped_bytes(void **state)
{
    expect_wrong(state, SWAPPED, BAD);
}

static void short_answer(void **state)
{
    expect_wrong(state, SHORT, SIZE - 10);
}

static void extra_byte(void **state)
{
    expect_wrong(state, EXTRA, SIZE);
}

static void early_end(void **state)
{
    expect_wrong(state, EARLY, BAD);
}

static void extra_byte_to_nothing(void **state)
{
    struct check_result r = run_with(state, EXTRA, 1, 0, PATIENT);
    assert_int_equal(r.verdict, CHECK_WRONG);
    assert_int_equal(r.offset, 0);
}

/* One of many is wrong: it is the one that is named, whichever of the peers got it. */
static void one_of_many(void **state)
{
    struct fixture *f = *state;
    add_peers(f, HONEST, 3);
    add_peers(f, CORRUPT, 1);
    struct check_result r = run(f, SIZE, PATIENT);
    assert_int_equal(r.verdict, CHECK_WRONG);
    assert_int_equal(r.offset, BAD);
    assert_in_range(r.connection, 1, 4);
}

/* ---- failed ---- */

static void reset_in_the_middle(void **state)
{
    struct check_result r = run_with(state, RESET, 1, SIZE, PATIENT);
    assert_int_equal(r.verdict, CHECK_FAILED);
    assert_non_null(strstr(r.why, "connection 1"));
}

static void silence(void **state)
{
    struct check_result r = run_with(state, SILENT, 1, 1000, STALL);
    assert_int_equal(r.verdict, CHECK_FAILED);
    assert_non_null(strstr(r.why, "nothing moved"));
    assert_true(r.ns >= STALL);
}

static void stream_without_end(void **state)
{
    struct check_result r = run_with(state, UNENDING, 1, SIZE, STALL);
    assert_int_equal(r.verdict, CHECK_FAILED);
    assert_int_equal(r.verified, SIZE);
    assert_non_null(strstr(r.why, "nothing moved"));
}

static void nobody_listens(void **state)
{
    struct fixture *f = *state;
    struct check_load load = {.to = f->addr, .connections = 3, .stall_ns = PATIENT};
    struct check_result r;
    close(f->listener);
    f->listener = -1;
    check_client_run(&load, &r);
    assert_int_equal(r.verdict, CHECK_FAILED);
    assert_non_null(strstr(r.why, plx_error_text(ECONNREFUSED)));
}

static void interruption(void **state)
{
    struct fixture *f = *state;
    static const volatile sig_atomic_t interrupted = 1;
    struct check_load load = {.to = f->addr,
                              .data = f->data,
                              .size = SIZE,
                              .connections = 1,
                              .stall_ns = PATIENT,
                              .interrupted = &interrupted};
    struct check_result r;
    check_client_run(&load, &r); /* the kernel completes the connection, nobody serves it */
    assert_int_equal(r.verdict, CHECK_INTERRUPTED);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(right_when_honest),  CASE(right_when_empty),    CASE(right_with_one_byte),
        CASE(corrupt_byte),       CASE(swapped_bytes),       CASE(short_answer),
        CASE(extra_byte),         CASE(early_end),           CASE(extra_byte_to_nothing),
        CASE(one_of_many),        CASE(reset_in_the_middle), CASE(silence),
        CASE(stream_without_end), CASE(nobody_listens),      CASE(interruption),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
