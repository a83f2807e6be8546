/* SPDX-License-Identifier: MIT */
/*
 * What the hand-written limits share: the command line, the listening socket, the end, and the two
 * ways to echo what one recv(2) brought (where it may wait, and where it must not). Each program
 * adds only how it waits. Also for the peers, hence valid as C and as C++.
 *
 * One program includes this in one file: the state is static, and what it does not use costs it
 * nothing. Nothing here is thread-safe but floor_serve(), floor_accept() and floor_short_of().
 */
#ifndef FLOOR_H
#define FLOOR_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FLOOR_BUFFER  65536
#define FLOOR_BACKLOG 4096
/* Tables are indexed by descriptor; pages that are never touched cost nothing. */
#define FLOOR_DESCRIPTORS (1u << 20)
/* Full buffers in a row for one connection, where nothing but the loop itself sees to fairness. */
#define FLOOR_BUDGET 16

/* ---- beginning and end ---- */

__attribute__((noreturn)) static inline void floor_die(const char *what)
{
    perror(what);
    exit(1);
}

/* _exit(2) is safe in a handler, and there is nothing to put in order. */
static inline void floor_on_term(int signo)
{
    (void)signo;
    _exit(0);
}

/* All the descriptors that this process may have, but no more than the tables hold. */
static inline void floor_raise_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max < FLOOR_DESCRIPTORS ? limit.rlim_max : FLOOR_DESCRIPTORS;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* Takes ADDR and PORT from the command line and arranges for the end by SIGTERM. `more` is what
 * the usage line shows behind them, "" = nothing more is taken. */
static inline struct sockaddr_in floor_begin(int argc, char **argv, const char *more)
{
    struct sockaddr_in a;
    char *rest = NULL;
    unsigned long port = argc > 2 ? strtoul(argv[2], &rest, 10) : 0;

    memset(&a, 0, sizeof a);
    a.sin_family = AF_INET;
    if (argc < 3 || argc > (*more ? 4 : 3) || inet_pton(AF_INET, argv[1], &a.sin_addr) != 1 ||
        rest == argv[2] || *rest || port > 65535) {
        fprintf(stderr, "usage: %s ADDR PORT%s\n", argv[0], more);
        exit(2);
    }
    a.sin_port = htons((uint16_t)port);
    signal(SIGTERM, floor_on_term);
    floor_raise_limit();
    return a;
}

/* Says where `listener` listens; connections are accepted by the kernel from here on. */
static inline void floor_announce(int listener)
{
    struct sockaddr_in a;
    socklen_t length = sizeof a;
    char text[INET_ADDRSTRLEN];

    if (getsockname(listener, (struct sockaddr *)&a, &length) < 0)
        floor_die("getsockname");
    printf("listening on %s:%u\n", inet_ntop(AF_INET, &a.sin_addr, text, sizeof text),
           (unsigned)ntohs(a.sin_port));
    fflush(stdout);
}

/* Linux hands TCP_NODELAY down to the connections that are accepted: a call less for each. `type`
 * is 0 or SOCK_NONBLOCK, of the listening socket. */
static inline int floor_listen(int argc, char **argv, const char *more, int type)
{
    struct sockaddr_in a = floor_begin(argc, argv, more);
    int fd = socket(AF_INET, SOCK_STREAM | type, 0), on = 1;

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0 ||
        bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, FLOOR_BACKLOG) < 0)
        floor_die("listen");
    floor_announce(fd);
    return fd;
}

static inline void floor_pause(void)
{
    struct timespec t;

    t.tv_sec = 0;
    t.tv_nsec = 10 * 1000 * 1000;
    nanosleep(&t, NULL);
}

/* Whether accept(2) failed for want of something that another attempt would not find at once. */
static inline int floor_short_of(int err)
{
    return err == EMFILE || err == ENFILE || err == ENOBUFS || err == ENOMEM;
}

/* The next connection, or -1: none, or it was gone already, or this is out of descriptors; then it
 * pauses, for the listening socket stays readable. errno says which. `type` is 0 or SOCK_NONBLOCK.
 */
static inline int floor_accept(int listener, int type)
{
    int fd = accept4(listener, NULL, NULL, type), err = errno;

    if (fd < 0 && floor_short_of(err))
        floor_pause();
    errno = err;
    return fd;
}

/* ---- where calls may wait ---- */

/* Echoes until the peer has finished or is gone, and closes. */
static inline void floor_serve(int fd, char *buffer)
{
    ssize_t n, sent;

    while ((n = recv(fd, buffer, FLOOR_BUFFER, 0)) > 0 || (n < 0 && errno == EINTR)) {
        for (ssize_t at = 0; at < n; at += sent) {
            sent = send(fd, buffer + at, (size_t)(n - at), MSG_NOSIGNAL);
            if (sent < 0 && errno != EINTR)
                goto out;
            if (sent < 0)
                sent = 0;
        }
    }
out:
    close(fd);
}

/* ---- where they must not ---- */

/* Of a non-blocking socket. A connection is either read or, as long as its output waits, written
 * and not read: so the end of its input is only ever seen with nothing left to send. */
enum floor_state {
    FLOOR_MORE,    /* the buffer was full: there may be more to read */
    FLOOR_SHORT,   /* it was not: on a stream that means drained (epoll(7)) */
    FLOOR_EMPTY,   /* there was nothing to read */
    FLOOR_STALLED, /* output waits; go on with floor_flush() when the socket can be written to */
    FLOOR_OVER     /* the peer has finished, or is gone; to be closed */
};

/* What the socket did not take. Few connections have any: all others share one buffer. */
struct floor_rest {
    char *bytes; /* NULL: nothing waits */
    size_t from, to;
};

static struct floor_rest *floor_rests; /* by descriptor */
static char floor_buffer[FLOOR_BUFFER];

static inline void floor_make_rests(void)
{
    floor_rests = (struct floor_rest *)calloc(FLOOR_DESCRIPTORS, sizeof *floor_rests);
    if (!floor_rests)
        floor_die("calloc");
}

static inline int floor_stalled(int fd)
{
    return floor_rests[fd].bytes != NULL;
}

static inline enum floor_state floor_keep(int fd, const char *bytes, size_t n)
{
    struct floor_rest *r = &floor_rests[fd];

    r->bytes = (char *)malloc(n);
    if (!r->bytes)
        return FLOOR_OVER;
    memcpy(r->bytes, bytes, n);
    r->from = 0;
    r->to = n;
    return FLOOR_STALLED;
}

/* One recv, and one send of what it brought. */
static inline enum floor_state floor_echo(int fd)
{
    ssize_t n = recv(fd, floor_buffer, sizeof floor_buffer, 0), sent;

    if (n <= 0)
        return n < 0 && errno == EAGAIN  ? FLOOR_EMPTY
               : n < 0 && errno == EINTR ? FLOOR_MORE
                                         : FLOOR_OVER;
    sent = send(fd, floor_buffer, (size_t)n, MSG_NOSIGNAL);
    if (sent == n)
        return n == sizeof floor_buffer ? FLOOR_MORE : FLOOR_SHORT;
    if (sent < 0 && errno != EAGAIN && errno != EINTR)
        return FLOOR_OVER;
    if (sent < 0)
        sent = 0;
    return floor_keep(fd, floor_buffer + sent, (size_t)(n - sent));
}

/* Writes what waited: FLOOR_STALLED, or FLOOR_MORE when it is gone, or FLOOR_OVER. */
static inline enum floor_state floor_flush(int fd)
{
    struct floor_rest *r = &floor_rests[fd];

    while (r->from < r->to) {
        ssize_t n = send(fd, r->bytes + r->from, r->to - r->from, MSG_NOSIGNAL);

        if (n < 0 && errno == EAGAIN)
            return FLOOR_STALLED;
        if (n < 0 && errno != EINTR)
            return FLOOR_OVER;
        if (n > 0)
            r->from += (size_t)n;
    }
    free(r->bytes);
    r->bytes = NULL;
    return FLOOR_MORE;
}

/* After FLOOR_OVER. */
static inline void floor_close(int fd)
{
    if (floor_stalled(fd)) {
        free(floor_rests[fd].bytes);
        floor_rests[fd].bytes = NULL;
    }
    close(fd);
}

/* Where only changes are told (edges, signals): all that can be done for `fd`, of which something
 * was told. `to_end`: the peer may have finished, so a short read is not the last; else the recv
 * that would say EAGAIN is spared. FLOOR_MORE: the budget is spent, it has to be called again. */
static inline enum floor_state floor_serve_edge(int fd, int to_end)
{
    enum floor_state s;

    if (floor_stalled(fd)) {
        s = floor_flush(fd);
        if (s != FLOOR_MORE)
            return s;
        to_end = 1; /* what was told while it was stalled was not looked at */
    }
    for (int i = 0; i < FLOOR_BUDGET; i++) {
        s = floor_echo(fd);
        if (s > FLOOR_SHORT || (s == FLOOR_SHORT && !to_end))
            return s;
    }
    return FLOOR_MORE;
}

#endif
