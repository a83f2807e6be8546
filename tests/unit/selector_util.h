/* SPDX-License-Identifier: MIT */
/* What the two tests of the selector share. */
#ifndef POLLUX_TEST_SELECTOR_UTIL_H
#define POLLUX_TEST_SELECTOR_UTIL_H

#include <pollux/selector.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static inline struct plx_selector *open_selector(const char *name)
{
    struct plx_selector *s = NULL;
    assert_int_equal(plx_selector_open(name, &s, NULL), 0);
    assert_non_null(s);
    return s;
}

static inline void stream_pair(int fds[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
}

static inline void close_pair(const int fds[2])
{
    close(fds[0]);
    close(fds[1]);
}

static inline void put(int fd)
{
    assert_int_equal(write(fd, "x", 1), 1);
}

/* Reads until nothing is left; the number of bytes. */
static inline size_t take(int fd)
{
    char buf[4096];
    size_t sum = 0;
    for (ssize_t n; (n = read(fd, buf, sizeof(buf))) > 0;)
        sum += (size_t)n;
    return sum;
}

/* A TCP connection over loopback; both ends non-blocking. */
static inline void tcp_pair(int fds[2])
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
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    fcntl(fds[1], F_SETFL, O_NONBLOCK);
    close(ls);
}

/* Writes until nothing more fits. */
static inline void fill(int fd)
{
    char buf[4096] = {0};
    while (write(fd, buf, sizeof(buf)) > 0)
        ;
    assert_int_equal(errno, EAGAIN);
}

static inline int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * PLX_SECOND + t.tv_nsec;
}

/* One wait with room for one event: its bits, or the wait's result where it is not 1. */
static inline int one_hinted(struct plx_selector *s, int fd, int64_t timeout_ns)
{
    struct plx_ready r = {0};
    int rc = plx_selector_select(s, &r, 1, timeout_ns);
    if (rc != 1)
        return rc;
    assert_int_equal(r.fd, fd);
    return (int)r.events;
}

/* The same without the hint, which an edge may carry at any time. */
static inline int one(struct plx_selector *s, int fd, int64_t timeout_ns)
{
    int events = one_hinted(s, fd, timeout_ns);
    return events > 0 ? events & ~(int)PLX_MORE : events;
}

static inline uint64_t waits(const struct plx_selector *s)
{
    struct plx_selector_calls calls;
    plx_selector_count(s, &calls);
    return calls.wait;
}

#endif
