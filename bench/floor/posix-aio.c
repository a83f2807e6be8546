/* SPDX-License-Identifier: MIT */
/*
 * The limit of `posix-aio` (aio(7)) with glibc, whose AIO is helper threads that block in read(2):
 * a pending read for each connection, and so a helper for each. A completion is a real-time signal
 * that carries its connection (SIGEV_SIGNAL, sigevent(7)), taken from a signalfd(2), many with one
 * read; aio_suspend(3) would look through all of them each time.
 *
 * The answer is a plain send at once; what the socket does not take becomes an aio_write. No read
 * is pending meanwhile: glibc runs the requests of one descriptor one after the other.
 * Accepting, which AIO does not know, is the main thread's; completions are another one's.
 */
#include "floor.h"

#include <aio.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/signalfd.h>

#define CONNECTIONS 10000
#define READY       64

struct connection {
    struct aiocb request;
    int writes; /* the request is the rest of an answer */
    char buffer[FLOOR_BUFFER];
};

static int most, count; /* connections: each may have a signal queued, and none may be lost */

static void drop(struct connection *c)
{
    close(c->request.aio_fildes);
    free(c);
    __atomic_fetch_sub(&count, 1, __ATOMIC_RELAXED);
}

static void submit(struct connection *c)
{
    if ((c->writes ? aio_write(&c->request) : aio_read(&c->request)) < 0)
        drop(c); /* no helper to be had */
}

static void ask_read(struct connection *c)
{
    c->writes = 0;
    c->request.aio_buf = c->buffer;
    c->request.aio_nbytes = FLOOR_BUFFER;
    submit(c);
}

/* Sends what is left of the answer, `n` bytes from `at` on. */
static void ask_write(struct connection *c, volatile char *at, size_t n)
{
    c->writes = 1;
    c->request.aio_buf = at;
    c->request.aio_nbytes = n;
    submit(c);
}

static void answer(struct connection *c, size_t n)
{
    ssize_t sent = send(c->request.aio_fildes, c->buffer, n, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (sent == (ssize_t)n)
        ask_read(c);
    else if (sent >= 0)
        ask_write(c, c->buffer + sent, n - (size_t)sent);
    else if (errno == EAGAIN || errno == EINTR)
        ask_write(c, c->buffer, n);
    else
        drop(c);
}

static void complete(struct connection *c)
{
    int err = aio_error(&c->request);
    ssize_t n = aio_return(&c->request);

    if (err == EINTR)
        submit(c);
    else if (err != 0 || n <= 0)
        drop(c);
    else if (!c->writes)
        answer(c, (size_t)n);
    else if ((size_t)n < c->request.aio_nbytes)
        ask_write(c, (volatile char *)c->request.aio_buf + n, c->request.aio_nbytes - (size_t)n);
    else
        ask_read(c);
}

static void *take_completions(void *arg)
{
    int completions = *(int *)arg;

    for (;;) {
        struct signalfd_siginfo ready[READY];
        ssize_t n = read(completions, ready, sizeof ready);

        for (ssize_t i = 0; i < n / (ssize_t)sizeof *ready; i++)
            complete((struct connection *)(uintptr_t)ready[i].ssi_ptr);
    }
    return NULL;
}

static void greet(int listener)
{
    int fd = floor_accept(listener, 0);
    struct connection *c;

    if (fd < 0)
        return;
    c = __atomic_load_n(&count, __ATOMIC_RELAXED) < most ? malloc(sizeof *c) : NULL;
    if (!c) {
        close(fd);
        return;
    }
    __atomic_fetch_add(&count, 1, __ATOMIC_RELAXED);
    c->request = (struct aiocb){.aio_fildes = fd,
                                .aio_sigevent = {.sigev_notify = SIGEV_SIGNAL,
                                                 .sigev_signo = SIGRTMIN,
                                                 .sigev_value.sival_ptr = c}};
    ask_read(c);
}

int main(int argc, char **argv)
{
    int listener = floor_listen(argc, argv, "", 0), completions;
    struct aioinit helpers = {
        .aio_threads = CONNECTIONS, .aio_num = CONNECTIONS, .aio_idle_time = 1};
    struct rlimit queued;
    sigset_t signals;
    pthread_t thread;

    getrlimit(RLIMIT_SIGPENDING, &queued);
    most = queued.rlim_cur < CONNECTIONS ? (int)queued.rlim_cur : CONNECTIONS;
    aio_init(&helpers);
    sigemptyset(&signals);
    sigaddset(&signals, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    completions = signalfd(-1, &signals, 0);
    if (completions < 0 || pthread_create(&thread, NULL, take_completions, &completions) != 0)
        floor_die("signalfd");
    for (;;)
        greet(listener);
}
