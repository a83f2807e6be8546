/* SPDX-License-Identifier: MIT */
/*
 * The load for script/offload-trial: cheap and dear requests to `pollux serve --service slow`. It
 * uses nothing of Pollux.
 *
 *     slow ADDR PORT CLIENTS CHEAP_RATE DEAR_MS DEAR_RATE SECONDS
 *
 * One connection in sixteen asks for DEAR_MS milliseconds, the others for none; the rates are
 * requests per second of each kind, all connections together. It is an open loop: when a request is
 * due is fixed beforehand, and it is sent then, whatever is still owed. Latency counts from that
 * time. Prints a line for each answer after the first second: "cheap NANOSECONDS" or "dear ...".
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define OWED_MOST 1024 /* requests of one connection not answered: a power of two */
#define ANSWER    16

struct client {
    int fd;
    unsigned long sent, answered;
    long long due[OWED_MOST];
    char answer[ANSWER];
    size_t got;
};

/* Requests of one kind, in turn over the connections of that kind. */
struct kind {
    const char *name;
    char request[ANSWER];
    struct client *clients;
    size_t n;
    long long start, every; /* nanoseconds */
    unsigned long sent;
};

static long long warm; /* answers to what was due before are not told of */

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void give_up(const char *what)
{
    fprintf(stderr, "slow: %s\n", what);
    exit(1);
}

static long long now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int dial(const char *address, const char *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    if (inet_pton(AF_INET, address, &a.sin_addr) != 1)
        give_up("not an address");
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
        die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return fd;
}

static long long due(const struct kind *k)
{
    return k->start + (long long)k->sent * k->every;
}

static void send_one(struct kind *k)
{
    struct client *c = &k->clients[k->sent % k->n];
    size_t n = strlen(k->request);
    if (c->sent - c->answered == OWED_MOST)
        give_up("the server does not keep up");
    c->due[c->sent++ % OWED_MOST] = due(k);
    k->sent++;
    if (send(c->fd, k->request, n, MSG_NOSIGNAL) != (ssize_t)n)
        die("send");
}

static void take_byte(const struct kind *k, struct client *c, char byte, long long when)
{
    if (c->got == ANSWER)
        give_up("a wrong answer");
    c->answer[c->got++] = byte;
    if (byte != '\n')
        return;
    if (c->got != strlen(k->request) || memcmp(c->answer, k->request, c->got) != 0)
        give_up("a wrong answer");
    c->got = 0;
    long long since = c->due[c->answered++ % OWED_MOST];
    if (since >= warm)
        printf("%s %lld\n", k->name, when - since);
}

static void receive(const struct kind *k, struct client *c)
{
    char buffer[4096];
    ssize_t n = recv(c->fd, buffer, sizeof(buffer), 0);
    long long when = now();
    if (n <= 0)
        give_up("the server ended a connection");
    for (ssize_t i = 0; i < n; i++)
        take_byte(k, c, buffer[i], when);
}

static unsigned long owed(const struct kind *k)
{
    unsigned long sum = 0;
    for (size_t i = 0; i < k->n; i++)
        sum += k->clients[i].sent - k->clients[i].answered;
    return sum;
}

static void wait_until(int epoll, struct kind kinds[2], size_t cheap, long long until)
{
    struct epoll_event ev[64];
    long long left = until - now();
    struct timespec ts = {.tv_sec = left > 0 ? left / 1000000000 : 0,
                          .tv_nsec = left > 0 ? left % 1000000000 : 0};
    int n = epoll_pwait2(epoll, ev, 64, &ts, NULL);
    for (int i = 0; i < n; i++) {
        size_t who = ev[i].data.u64;
        bool dear = who >= cheap;
        receive(&kinds[dear], &kinds[dear].clients[dear ? who - cheap : who]);
    }
}

int main(int argc, char **argv)
{
    if (argc != 8 || atoi(argv[3]) < 2 || atof(argv[4]) <= 0 || atof(argv[6]) <= 0) {
        fprintf(stderr, "usage: slow ADDR PORT CLIENTS CHEAP_RATE DEAR_MS DEAR_RATE SECONDS\n");
        return 2;
    }
    size_t all = (size_t)atoi(argv[3]), dear = all < 16 ? 1 : all / 16, cheap = all - dear;
    struct client *clients = calloc(all, sizeof(*clients));
    int epoll = epoll_create1(0);
    if (!clients || epoll < 0)
        die("slow");
    for (size_t i = 0; i < all; i++) {
        struct epoll_event ev = {.events = EPOLLIN, .data.u64 = i};
        clients[i].fd = dial(argv[1], argv[2]);
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, clients[i].fd, &ev) < 0)
            die("epoll_ctl");
    }
    long long start = now() + 10000000;
    long long end = start + (long long)(atof(argv[7]) * 1e9) + 1000000000;
    warm = start + 1000000000;
    struct kind kinds[2] = {
        {"cheap", "0\n", clients, cheap, start, (long long)(1e9 / atof(argv[4])), 0},
        {"dear", "", clients + cheap, dear, start, (long long)(1e9 / atof(argv[6])), 0}};
    snprintf(kinds[1].request, sizeof(kinds[1].request), "%d\n", atoi(argv[5]));
    for (;;) {
        struct kind *k = &kinds[due(&kinds[1]) < due(&kinds[0])];
        if (due(k) >= end)
            break;
        if (now() >= due(k))
            send_one(k);
        else
            wait_until(epoll, kinds, cheap, due(k));
    }
    while (owed(&kinds[0]) + owed(&kinds[1]) > 0 && now() < end + 10000000000)
        wait_until(epoll, kinds, cheap, now() + 100000000);
    if (owed(&kinds[0]) + owed(&kinds[1]) > 0)
        give_up("answers are missing");
    return 0;
}
