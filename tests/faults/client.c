/* SPDX-License-Identifier: MIT */
/*
 * The clients, by raw system calls, all at once in one poll(2). What a client gets back is either
 * exactly what it sent, or cut short by the end of its connection: anything else is corruption.
 *
 * The first byte of a stream says what the handler is to do with it (handler.c).
 */
#include "faults.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#define CLIENTS_MOST 16

int64_t clock_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * PLX_SECOND + ts.tv_nsec;
}

static const struct {
    char first;
    size_t total;
} kinds[] = {
    [SMALL] = {'e', 1000}, [LARGE] = {'e', 300000}, [HALF] = {'e', 3000}, [RESET] = {'e', 500},
    [TICK] = {'t', 64},    [PAUSED] = {'p', 20000}, [STAYS] = {'e', 200},
};

static unsigned char byte_at(const struct client *c, size_t i)
{
    return i == 0 ? (unsigned char)kinds[c->kind].first
                  : (unsigned char)(c->seed * 131u + i * 7u + (i >> 8) * 13u);
}

static void over(struct client *c, enum client_end end)
{
    c->end = end;
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
}

void client_drop(struct client *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
}

void client_begin(struct client *c, enum client_kind kind, unsigned seed, const struct plx_addr *to)
{
    *c = (struct client){.kind = kind, .seed = seed, .total = kinds[kind].total};
    c->fd = socket(to->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (c->fd < 0) {
        perror("faults: socket");
        exit(1);
    }
    if (kind == LARGE) {
        /* So that the server's socket fills: small segments keep its buffer small, too. */
        int small = 16384, segment = 1400;
        (void)setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
        (void)setsockopt(c->fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof(segment));
    }
    if (connect(c->fd, &to->sa, to->len) == 0)
        c->connected = true;
    else if (errno != EINPROGRESS)
        over(c, HURT);
}

static void reset(struct client *c)
{
    struct linger abort = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &abort, sizeof(abort));
    over(c, EXACT);
}

static void push(struct client *c)
{
    unsigned char buf[8192];
    while (c->end == RUNNING && c->sent < c->total) {
        size_t n = c->total - c->sent < sizeof(buf) ? c->total - c->sent : sizeof(buf);
        for (size_t i = 0; i < n; i++)
            buf[i] = byte_at(c, c->sent + i);
        ssize_t k = send(c->fd, buf, n, MSG_NOSIGNAL);
        if (k < 0) {
            bool blocked = errno == EAGAIN;
            if (!blocked) /* the answers that came before may be there yet */
                c->sent = c->total;
            if (!blocked && c->kind == RESET)
                over(c, EXACT);
            return;
        }
        c->sent += (size_t)k;
        c->wrote = clock_now();
    }
    if (c->kind == RESET) {
        reset(c);
    } else if (c->sent == c->total && !c->half_closed && (c->kind == HALF || c->got == c->total)) {
        if (c->kind != STAYS)
            (void)shutdown(c->fd, SHUT_WR);
        c->half_closed = true;
    }
}

/* A large one reads only when it has not been able to write for a while: till then the server's
 * socket has filled, and it has met EAGAIN. */
static bool reads(const struct client *c)
{
    return c->kind != LARGE || clock_now() - c->wrote > MS(8);
}

static void pull(struct client *c)
{
    unsigned char buf[16384];
    if (!reads(c))
        return;
    for (;;) {
        ssize_t n = recv(c->fd, buf, sizeof(buf), 0);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            bool all = c->got == c->total && (n == 0 || c->kind == STAYS);
            over(c, all ? EXACT : HURT);
            return;
        }
        for (ssize_t i = 0; i < n; i++) {
            if (c->got == c->total || buf[i] != byte_at(c, c->got++)) {
                over(c, CORRUPT);
                return;
            }
        }
    }
}

static void step(struct client *c, short revents)
{
    if (!c->connected) {
        int err = 0;
        socklen_t len = sizeof(err);
        if (!revents)
            return;
        if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0 || err) {
            over(c, HURT);
            return;
        }
        c->connected = true;
    }
    push(c);
    if (c->end == RUNNING)
        pull(c);
    if (c->end == RUNNING)
        push(c); /* its end, once it has everything */
}

static bool waits(const struct client *c)
{
    return c->end == RUNNING && !(c->kind == STAYS && c->got == c->total);
}

int clients_turn(struct client *c, int n, int64_t until)
{
    for (;;) {
        struct pollfd set[CLIENTS_MOST];
        int left = 0;
        bool holds = false;
        for (int i = 0; i < n; i++) {
            left += waits(&c[i]);
            bool writes = !c[i].connected || c[i].sent < c[i].total;
            holds |= c[i].end == RUNNING && !reads(&c[i]);
            set[i] = (struct pollfd){
                .fd = c[i].end == RUNNING ? c[i].fd : -1,
                .events = (short)((reads(&c[i]) ? POLLIN : 0) | (writes ? POLLOUT : 0))};
        }
        int64_t rest = until - clock_now();
        if (!left || rest <= 0)
            return left;
        (void)poll(set, (nfds_t)n, holds ? 2 : (int)(rest / PLX_MSEC) + 1);
        for (int i = 0; i < n; i++) {
            if (c[i].end == RUNNING && (set[i].revents || c[i].connected))
                step(&c[i], set[i].revents);
        }
    }
}

bool client_sees_end(struct client *c, int64_t until)
{
    char byte;
    while (c->fd >= 0 && clock_now() < until) {
        struct pollfd p = {.fd = c->fd, .events = POLLIN};
        (void)poll(&p, 1, (int)((until - clock_now()) / PLX_MSEC) + 1);
        ssize_t n = recv(c->fd, &byte, 1, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN))
            return true;
    }
    return c->fd < 0; /* seen already */
}

/* ---- what outgoing connections go to ---- */

static _Noreturn void backend_main(int listener)
{
    enum { ROOM = 64 };
    struct pollfd set[ROOM] = {{.fd = listener, .events = POLLIN}};
    nfds_t n = 1;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        (void)poll(set, n, -1);
        if (set[0].revents && n < ROOM) {
            int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
            if (fd >= 0)
                set[n++] = (struct pollfd){.fd = fd, .events = POLLIN};
        }
        for (nfds_t i = 1; i < n; i++) {
            char buf[4096];
            if (!set[i].revents)
                continue;
            ssize_t k = recv(set[i].fd, buf, sizeof(buf), MSG_DONTWAIT);
            if (k > 0) {
                (void)!send(set[i].fd, buf, (size_t)k, MSG_NOSIGNAL);
            } else if (k == 0 || errno != EAGAIN) {
                close(set[i].fd);
                set[i--] = set[--n];
            }
        }
    }
}

pid_t backend_start(struct plx_addr *out)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *out = (struct plx_addr){.len = sizeof(out->in),
                             .in = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}}};
    if (fd < 0 || bind(fd, &out->sa, out->len) < 0 || listen(fd, 64) < 0 ||
        getsockname(fd, &out->sa, &out->len) < 0)
        return -1;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        backend_main(fd);
    close(fd);
    return pid;
}
