/* SPDX-License-Identifier: MIT */
/*
 * Two threads and blocking calls: the first reads standard input and sends, the second receives
 * and prints. Plain sockets instead of the library's, because there a connection belongs to one
 * thread, and that each direction has a thread of its own is the very thing shown here.
 *
 * A thread that sits in read(2) or send(2) cannot be told that the server is gone. So the second
 * thread, which learns of it, ends the process then: _exit(2) after everything was printed.
 */
#include "cmd/connect.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pollux/pollux.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PIECE 65536

/* When standard input has something to read as the server ends, it may be its end: so long the
 * first thread gets to read it. Well below what "at once" means to a person. */
#define GRACE_NS (50 * PLX_MSEC)

struct client {
    const struct connect_job *job;
    int fd;
    _Atomic int64_t over_at; /* when the input ended and was sent; 0 = not yet */
    atomic_int send_error;   /* -errno of the first thread */
    int status;              /* of the second thread, valid after it was joined */
};

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * PLX_SECOND + t.tv_nsec;
}

/* ---- connecting ---- */

/* connect(2) with a time limit: begun without blocking, waited for, made blocking again. */
static int connect_one(const struct plx_addr *to, int64_t limit)
{
    int fd = socket(to->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    int err = connect(fd, &to->sa, to->len) < 0 ? errno : 0;
    int64_t deadline = now_ns() + limit;
    while (err == EINPROGRESS || err == EINTR) {
        int64_t left = deadline - now_ns();
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        int rc = left > 0 ? poll(&p, 1, (int)(left / PLX_MSEC) + 1) : 0;
        socklen_t len = sizeof(err);
        if (rc == 0)
            err = ETIMEDOUT;
        else if (rc > 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
            err = errno;
    }
    if (err == 0 && fcntl(fd, F_SETFL, 0) < 0)
        err = errno;
    if (err) {
        close(fd);
        return -err;
    }
    return fd;
}

static int connect_any(const struct connect_job *job)
{
    int64_t limit = job->values->timeout_ns ? job->values->timeout_ns : CONNECT_TIME;
    int rc = -ENOENT;
    for (int i = 0; i < job->naddrs; i++) {
        rc = connect_one(&job->addrs[i], limit);
        if (rc >= 0)
            break;
    }
    return rc;
}

/* ---- the second thread: receive and print ---- */

/* Whether the input is at its end or reaches it within the grace. */
static bool input_over(struct client *c)
{
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    int64_t until = now_ns() + (poll(&in, 1, 0) == 1 ? GRACE_NS : 0);
    while (!atomic_load(&c->over_at) && now_ns() < until)
        nanosleep(&(struct timespec){.tv_nsec = PLX_MSEC}, NULL);
    return atomic_load(&c->over_at) != 0;
}

/* Waits for something to receive. False: the time limit has passed since the end of the input and
 * since `moved`. */
static bool await_answer(struct client *c, int64_t moved)
{
    const int64_t limit = c->job->values->timeout_ns;
    for (;;) {
        int64_t over = atomic_load(&c->over_at);
        int64_t since = over > moved ? over : moved;
        int64_t left = limit == 0 ? -1 : (over ? since : now_ns()) + limit - now_ns();
        if (limit && left <= 0)
            return false;
        /* Without an end of input so far the wait is only cut into pieces of the limit, none of
         * which can reach beyond an end that comes meanwhile. */
        struct pollfd p = {.fd = c->fd, .events = POLLIN};
        if (poll(&p, 1, limit ? (int)(left / PLX_MSEC) + 1 : -1) > 0)
            return true;
    }
}

static int receive(struct client *c)
{
    static char buf[PIECE];
    int64_t moved = 0;
    for (;;) {
        if (!await_answer(c, moved))
            return connect_silent(c->job);
        ssize_t n = recv(c->fd, buf, sizeof(buf), 0);
        int err = n < 0 ? -errno : atomic_load(&c->send_error);
        if (n < 0 && errno == EINTR)
            continue;
        if (n > 0) {
            int rc = connect_write(buf, (size_t)n);
            if (rc < 0)
                return connect_output_failed(rc);
            moved = now_ns();
        } else if (input_over(c)) {
            return err ? connect_cut(false, err) : STATUS_DONE;
        } else {
            return connect_cut(true, err);
        }
    }
}

static void *second_thread(void *arg)
{
    struct client *c = arg;
    c->status = receive(c);
    if (!atomic_load(&c->over_at))
        _exit(c->status);
    return NULL;
}

/* ---- the first thread: read and send ---- */

static int send_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t w = send(fd, p, n, MSG_NOSIGNAL);
        if (w < 0 && errno != EINTR)
            return errno == EAGAIN ? -ETIMEDOUT : -errno; /* SO_SNDTIMEO: socket(7) */
        if (w > 0) {
            p += w;
            n -= (size_t)w;
        }
    }
    return 0;
}

/* Returns 0 at the end of the input, or after the server broke the connection, which the second
 * thread judges; else the exit status. */
static int send_input(struct client *c)
{
    struct connect_input in = {.stops_on_empty = c->job->values->quit_on_empty};
    static char buf[PIECE];
    while (!in.over) {
        ssize_t n = connect_read(&in, buf, sizeof(buf));
        if (n < 0)
            return connect_input_failed((int)n);
        if (n == 0 && !in.over) /* it is non-blocking, by somebody else's doing */
            poll(&(struct pollfd){.fd = STDIN_FILENO, .events = POLLIN}, 1, -1);
        int rc = send_all(c->fd, buf, (size_t)n);
        if (rc == -ETIMEDOUT)
            return connect_silent(c->job);
        if (rc < 0) {
            atomic_store(&c->send_error, rc);
            return 0;
        }
    }
    atomic_store(&c->over_at, now_ns());
    shutdown(c->fd, SHUT_WR);
    return 0;
}

int connect_threads(const struct connect_job *job)
{
    struct client c = {.job = job};
    pthread_t thread;
    c.fd = connect_any(job);
    if (c.fd < 0)
        return connect_refused(job, c.fd);
    int64_t limit = job->values->timeout_ns;
    struct timeval t = {.tv_sec = limit / PLX_SECOND, .tv_usec = limit % PLX_SECOND / 1000};
    if (limit)
        setsockopt(c.fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
    int rc = pthread_create(&thread, NULL, second_thread, &c);
    if (rc != 0) {
        close(c.fd);
        return cmd_fail(&cmd_connect, STATUS_USAGE, "cannot start a thread: %s",
                        plx_error_text(rc));
    }
    int status = send_input(&c);
    if (status != 0) /* standard input failed, or time is up: the second thread may wait for ever */
        _exit(status);
    pthread_join(thread, NULL);
    close(c.fd);
    return c.status;
}
