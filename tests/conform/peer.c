/* SPDX-License-Identifier: MIT */
/*
 * A plain echo server in a process of its own, one poll(2) loop, for the cases in which the library
 * is the client. It counts in shared memory what it saw: value[5] connections accepted, value[6]
 * the most that were open at once. A 'Q' that comes alone ends its connection after the echo.
 */
#include "conform.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PEER_CAP = 64 };

static void echo_or_end(struct pollfd *p, int *open)
{
    char piece[4096];
    ssize_t n = recv(p->fd, piece, sizeof(piece), 0);
    ssize_t sent = 0;
    /* Blocking: the test's messages are small enough for the socket's buffer. */
    while (n > 0 && sent < n) {
        ssize_t k = send(p->fd, piece + sent, (size_t)(n - sent), MSG_NOSIGNAL);
        if (k <= 0) {
            break;
        }
        sent += k;
    }
    if (n <= 0 || (n == 1 && piece[0] == 'Q')) {
        close(p->fd);
        p->fd = -1;
        (*open)--;
    }
}

static void peer_run(int listener)
{
    struct pollfd p[PEER_CAP + 1];
    int open = 0;
    memset(p, 0, sizeof(p));
    for (int i = 0; i <= PEER_CAP; i++) {
        p[i] = (struct pollfd){.fd = i ? -1 : listener, .events = POLLIN};
    }
    for (;;) {
        if (poll(p, PEER_CAP + 1, -1) < 0) {
            exit(1);
        }
        for (int i = 1; i <= PEER_CAP; i++) {
            if (p[i].fd >= 0 && p[i].revents) {
                echo_or_end(&p[i], &open);
            }
        }
        for (int i = 1; p[0].revents && i <= PEER_CAP; i++) {
            if (p[i].fd < 0 && (p[i].fd = accept(listener, NULL, NULL)) >= 0) {
                p[i].revents = 0;
                open++;
                atomic_fetch_add(&shared->value[5], 1);
                if (open > atomic_load(&shared->value[6])) {
                    atomic_store(&shared->value[6], open);
                }
                break;
            }
        }
    }
}

int listen_on_loopback(const struct test *t, struct plx_addr *out, int backlog)
{
    *out = (struct plx_addr){.len = sizeof(out->in)};
    out->in =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(t,
            fd >= 0 && bind(fd, &out->sa, out->len) == 0 && listen(fd, backlog) == 0 &&
                getsockname(fd, &out->sa, &out->len) == 0,
            "a listener on 127.0.0.1: %s", plx_error_name(errno));
    return fd;
}

pid_t peer_start(struct test *t, struct plx_addr *out)
{
    int listener = listen_on_loopback(t, out, 64);
    pid_t pid = fork_child(t);
    if (pid == 0) {
        peer_run(listener);
    }
    close(listener);
    return pid;
}
