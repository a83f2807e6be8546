/* SPDX-License-Identifier: MIT */
/*
 * The server that `pollux compare` is tried on: an echo around epoll(7) that can be made slower by
 * a known amount. It uses nothing of Pollux.
 *
 *     echo ADDR PORT WORK     WORK: nanoseconds of CPU to spend on each read, besides
 *
 * SIGTERM ends it. The work is a loop of so many turns as were found at the start to take that
 * long: to look at a clock for each message would itself be work. An answer is written at once; a
 * peer that does not take its answers is dropped.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static char buffer[65536];

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void work(long turns)
{
    for (volatile long i = 0; i < turns; i++)
        ;
}

static double cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* The best of several tries: what comes between makes a turn look slower, never faster. */
static long turns_for(long ns)
{
    const long turns = 1000000;
    double best = 1e18;
    for (int i = 0; i < 20; i++) {
        double from = cpu_ns();
        work(turns);
        double took = cpu_ns() - from;
        best = took < best ? took : best;
    }
    return (long)((double)ns * (double)turns / best);
}

static int listen_at(const char *addr, const char *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    if (fd < 0 || inet_pton(AF_INET, addr, &at.sin_addr) != 1 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 4096) < 0)
        die(addr);
    return fd;
}

static void take(int ep, int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), on = 1;
    struct epoll_event want = {.events = EPOLLIN, .data.fd = fd};
    if (fd < 0)
        return;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &want) < 0)
        die("epoll_ctl");
}

static void serve(int fd, long turns)
{
    ssize_t n = recv(fd, buffer, sizeof(buffer), 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    work(turns);
    if (n <= 0 || send(fd, buffer, (size_t)n, MSG_NOSIGNAL) != n)
        close(fd);
}

int main(int argc, char **argv)
{
    struct epoll_event event[64], want = {.events = EPOLLIN};
    if (argc != 4) {
        fprintf(stderr, "usage: echo ADDR PORT WORK\n");
        return 2;
    }
    long turns = turns_for(atol(argv[3]));
    int listener = listen_at(argv[1], argv[2]), ep = epoll_create1(EPOLL_CLOEXEC);
    want.data.fd = listener;
    if (ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, listener, &want) < 0)
        die("epoll");
    for (;;) {
        int n = epoll_wait(ep, event, 64, -1);
        for (int i = 0; i < n; i++) {
            if (event[i].data.fd == listener)
                take(ep, listener);
            else
                serve(event[i].data.fd, turns);
        }
    }
}
