/* SPDX-License-Identifier: MIT */
/*
 * slow: computes. A request is a line with a number of milliseconds, 0 to 10000; so long a
 * processor is kept busy for it, and the answer is the number again. What is no such line is
 * answered with "error". Requests of one connection are answered in order.
 *
 * Without --offload the computing is done in on_data, as a service does that knows no better: a
 * model that serves all connections in one thread serves nobody else meanwhile. With it the thread
 * that serves is free: a pool computes, and input of this connection is paused until it has. If so
 * much waits for the pool already that it takes no more, the answer is "busy". A request for 0 is
 * answered at once all the same: it costs less than to hand it over.
 */
#include "cmd/services/service.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define MOST_MS  10000
#define LINE_MAX 64

static int64_t cpu_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* Computes for so much of the processor's time, not of the clock's: on a busy machine a request
 * costs what it costs. (xorshift: G. Marsaglia, Journal of Statistical Software 8(14), 2003.) */
static void compute(uintptr_t ms)
{
    int64_t until = cpu_ns() + (int64_t)ms * 1000000;
    volatile uint32_t result = 0;
    uint32_t x = 2463534242;

    do {
        for (int i = 0; i < 1000; i++) {
            x ^= x << 13;
            x ^= x >> 17;
            x ^= x << 5;
        }
        result = x;
    } while (cpu_ns() < until);
    (void)result;
}

/* The number in a line, or -1. */
static int parse(const char *line, size_t n)
{
    int ms = 0;

    if (n > 0 && line[n - 1] == '\r')
        n--;
    if (n < 1 || n > 5)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (line[i] < '0' || line[i] > '9')
            return -1;
        ms = ms * 10 + (line[i] - '0');
    }
    return ms <= MOST_MS ? ms : -1;
}

static int answer(struct plx_conn *conn, uintptr_t ms)
{
    char text[16];
    int n = snprintf(text, sizeof text, "%" PRIuPTR "\n", ms);

    return plx_send(conn, text, (size_t)n);
}

/* On a thread of the pool. The number itself is the argument, so there is nothing to free. */
static void work(void *arg)
{
    compute((uintptr_t)arg);
}

static void done(struct plx_conn *conn, void *arg)
{
    if (conn == NULL) /* it has gone meanwhile */
        return;
    (void)answer(conn, (uintptr_t)arg); /* an error ended the connection, on_close tells of it */
    plx_resume(conn);
}

static int serve_line(struct plx_conn *conn, const char *line, size_t n)
{
    const struct service_config *config = plx_conn_handler(conn)->user;
    int ms = parse(line, n);

    if (ms < 0)
        return plx_send(conn, "error\n", 6);
    if (!config->offload || ms == 0) {
        compute((uintptr_t)ms);
        return answer(conn, (uintptr_t)ms);
    }
    if (plx_offload(conn, work, done, (void *)(uintptr_t)ms) < 0)
        return plx_send(conn, "busy\n", 5);
    plx_pause(conn); /* what has arrived behind this line is shown again after plx_resume() */
    return 0;
}

/* One line at a time: what is left is shown again at once, or later where it must wait. */
static ssize_t on_data(struct plx_conn *conn, const void *p, size_t n)
{
    const char *end = memchr(p, '\n', n < LINE_MAX ? n : LINE_MAX);
    int rc;

    if (end == NULL && n < LINE_MAX)
        return 0;
    if (end == NULL) { /* no number is as long: it is not read to its end */
        rc = plx_send(conn, "error\n", 6);
        plx_finish(conn);
        return rc < 0 ? rc : (ssize_t)n;
    }
    rc = serve_line(conn, p, (size_t)(end - (const char *)p));
    return rc < 0 ? rc : end + 1 - (const char *)p;
}

const struct plx_handler service_slow = {.name = "slow", .on_data = on_data};
