/* SPDX-License-Identifier: MIT */
/*
 * The server between two load generators: for every SIZE bytes that a connection sends, one fixed
 * HTTP answer of SIZE bytes, whatever was in them. wrk sees HTTP, `pollux bench --expect none` sees
 * answers of the right length, and the server does the same work for both and reads neither. It is
 * one thread around epoll(7) and uses nothing of Pollux.
 *
 *     server SIZE WORK     WORK: nanoseconds of CPU time to spend on each message
 *
 * prints "listening on 127.0.0.1:PORT"; at each SIGUSR1 one line "answered MESSAGES" with the total
 * so far, which is the count that both generators' figures are held against. SIGTERM ends it.
 *
 * An answer is written at once. A peer that does not take its answers is dropped: a generator that
 * waits for each answer leaves no queue.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SIZE_MAX_HERE 65536
#define DESCRIPTORS   65536

static char answer[SIZE_MAX_HERE + 1];
static size_t size;
static long work_ns;
static uint64_t answered;
static size_t have[DESCRIPTORS]; /* of the message that is not complete yet, by descriptor */

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void make_answer(void)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: %05zu\r\n\r\n";
    size_t n = (size_t)snprintf(NULL, 0, head, (size_t)0);

    if (size < n || size > SIZE_MAX_HERE) {
        fprintf(stderr, "server: SIZE is %zu to %d\n", n, SIZE_MAX_HERE);
        exit(2);
    }
    memset(answer, 'x', size);
    snprintf(answer, size + 1, head, size - n);
    answer[n] = 'x'; /* where the text ended */
}

/* Of this thread: time during which another one had the processor is no work. */
static int64_t cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void work(void)
{
    int64_t end;

    if (work_ns <= 0)
        return;
    for (end = cpu_ns() + work_ns; cpu_ns() < end;)
        ;
}

/* 0, or -1: the connection is to be closed. */
static int serve(int fd)
{
    static char input[SIZE_MAX_HERE];
    ssize_t n = recv(fd, input, sizeof input, 0);

    if (n <= 0)
        return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
    have[fd] += (size_t)n;
    for (; have[fd] >= size; have[fd] -= size) {
        work();
        if (send(fd, answer, size, MSG_NOSIGNAL) != (ssize_t)size)
            return -1;
        answered++;
    }
    return 0;
}

static void watch(int set, int fd)
{
    struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};

    if (epoll_ctl(set, EPOLL_CTL_ADD, fd, &e) < 0)
        die("epoll_ctl");
}

static void greet(int set, int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), on = 1;

    if (fd < 0)
        return;
    if (fd >= DESCRIPTORS) {
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    have[fd] = 0;
    watch(set, fd);
}

static int listen_here(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 4096) < 0 ||
        getsockname(fd, (struct sockaddr *)&a, &length) < 0)
        die("listen");
    printf("listening on 127.0.0.1:%u\n", (unsigned)ntohs(a.sin_port));
    fflush(stdout);
    return fd;
}

static int signals_here(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

/* Answers a signal; whether it was the one to end. */
static int answer_signal(int signals)
{
    struct signalfd_siginfo s;

    if (read(signals, &s, sizeof s) != sizeof s)
        return 0;
    if (s.ssi_signo == SIGTERM)
        return 1;
    printf("answered %llu\n", (unsigned long long)answered);
    fflush(stdout);
    return 0;
}

int main(int argc, char **argv)
{
    struct epoll_event ready[512];
    int set = epoll_create1(EPOLL_CLOEXEC), signals = signals_here(), listener;

    if (argc != 3) {
        fprintf(stderr, "usage: server SIZE WORK\n");
        return 2;
    }
    size = strtoul(argv[1], NULL, 10);
    work_ns = strtol(argv[2], NULL, 10);
    make_answer();
    listener = listen_here();
    watch(set, listener);
    watch(set, signals);
    for (;;) {
        int n = epoll_wait(set, ready, sizeof ready / sizeof *ready, -1);

        for (int i = 0; i < n; i++) {
            int fd = ready[i].data.fd;

            if (fd == listener)
                greet(set, fd);
            else if (fd != signals)
                (void)(serve(fd) < 0 && close(fd));
            else if (answer_signal(fd))
                return 0;
        }
    }
}
