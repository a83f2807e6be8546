/* SPDX-License-Identifier: MIT */
/* See client.h. */
#include "cmd/explain/client.h"

#include "cmd/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pollux/pollux.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A window of a few segments of Ethernet's length. */
#define NARROW_BUFFER  (16 * 1024)
#define NARROW_SEGMENT 1448

#define END_NS (2 * PLX_SECOND) /* for the peer's end */

/* ---- steps ---- */

static int64_t now(const struct explain_script *s)
{
    return clock_ns() - s->run->zero_ns;
}

static void __attribute__((format(printf, 6, 7)))
note(const struct explain_peer *p, const char *what, int64_t begin_ns, int64_t asked,
     int64_t result, const char *fmt, ...)
{
    int64_t end_ns = now(p->s);
    struct explain_step *step = EXPLAIN_MORE(&p->s->run->steps);
    va_list ap;

    if (step == NULL) {
        p->s->failed = true;
        return;
    }
    step->act = p->s->act;
    step->what = what;
    step->begin_ns = begin_ns;
    step->end_ns = end_ns;
    step->asked = asked;
    step->result = result;
    memcpy(step->client, p->name, sizeof step->client);
    va_start(ap, fmt);
    vsnprintf(step->text, sizeof step->text, fmt, ap);
    va_end(ap);
}

void explain_silence(struct explain_script *s, const struct explain_peer *p, int64_t ns,
                     const char *text)
{
    int64_t begin = now(s);
    struct timespec pause = {.tv_sec = (time_t)(ns / PLX_SECOND),
                             .tv_nsec = (long)(ns % PLX_SECOND)};
    char time[EXPLAIN_TIME];

    if (s->failed)
        return;
    while (nanosleep(&pause, &pause) < 0 && errno == EINTR)
        continue;
    if (p != NULL)
        note(p, "wait", begin, 0, 0, "%s for %s", text, explain_time(now(s) - begin, time));
}

/* ---- connecting ---- */

static int connected(const struct explain_script *s, bool narrow)
{
    int buffer = NARROW_BUFFER;
    int segment = NARROW_SEGMENT;
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (narrow) {
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
        setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof segment);
    }
    if (connect(fd, (const struct sockaddr *)&s->to->sa, s->to->len) < 0) {
        int rc = -errno;

        close(fd);
        return rc;
    }
    return fd;
}

struct explain_peer explain_connect(struct explain_script *s, const char *name, bool narrow)
{
    struct explain_peer p = {.s = s, .fd = -1};
    int64_t begin = now(s);

    memcpy(p.name, name, strnlen(name, sizeof p.name - 1));
    if (s->failed)
        return p;
    p.fd = connected(s, narrow);
    note(&p, "connect", begin, 0, p.fd < 0 ? p.fd : 0, "connects%s",
         narrow ? " (small window)" : "");
    struct explain_client *c = EXPLAIN_MORE(&s->run->clients);

    if (c == NULL || p.fd < 0) {
        s->failed = true;
        return p;
    }
    memcpy(c->name, p.name, sizeof c->name);
    c->act = s->act;
    return p;
}

/* ---- when it arrived ---- */

/*
 * The kernel's own time of a segment's departure into the loopback device, from which it goes into
 * the receiver's queue at once. It is of the clock of the day (Documentation/networking/
 * timestamping.rst of Linux). EXPLAIN_NEVER where there is none.
 */
static int64_t departure(const struct explain_peer *p)
{
    union {
        char room[256];
        struct cmsghdr align;
    } control;
    struct msghdr msg = {.msg_control = control.room, .msg_controllen = sizeof control.room};
    struct timespec day;
    int64_t at = EXPLAIN_NEVER;

    if (recvmsg(p->fd, &msg, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
        return at;
    clock_gettime(CLOCK_REALTIME, &day);
    int64_t shift = clock_ns() - ((int64_t)day.tv_sec * PLX_SECOND + day.tv_nsec);

    for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c != NULL; c = CMSG_NXTHDR(&msg, c)) {
        struct timespec stamp[3];

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SO_TIMESTAMPING)
            continue;
        memcpy(stamp, CMSG_DATA(c), sizeof stamp);
        at = (int64_t)stamp[0].tv_sec * PLX_SECOND + stamp[0].tv_nsec + shift - p->s->run->zero_ns;
    }
    return at;
}

/* Asks for that time; not for longer than one send, for a stamp that nobody takes makes poll(2)
 * report an error. */
static void stamp(const struct explain_peer *p, bool on)
{
    int flags = on ? (int)(SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE |
                           SOF_TIMESTAMPING_OPT_TSONLY)
                   : 0;

    setsockopt(p->fd, SOL_SOCKET, SO_TIMESTAMPING, &flags, sizeof flags);
}

/* ---- sending and receiving ---- */

static const char zeros[64 * 1024];

static size_t piece(int64_t left)
{
    return left < (int64_t)sizeof zeros ? (size_t)left : sizeof zeros;
}

/* Sends what the socket takes now. Returns that, or -errno when it can take no more ever. */
static int64_t push(const struct explain_peer *p, int64_t bytes)
{
    int64_t done = 0;

    while (done < bytes) {
        ssize_t n = send(p->fd, zeros, piece(bytes - done), MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? done : -errno;
        done += n;
    }
    return done;
}

/* Waits until something of `events` holds. False at `until`. */
static bool ready(const struct explain_peer *p, short events, int64_t until)
{
    struct pollfd set = {.fd = p->fd, .events = events};
    int64_t left = until - now(p->s);
    int n = 0;

    while (left > 0) {
        n = poll(&set, 1, (int)((left + PLX_MSEC - 1) / PLX_MSEC));
        if (n != -1 || errno != EINTR)
            break;
        left = until - now(p->s);
    }
    return n > 0;
}

int64_t explain_send(struct explain_peer *p, int64_t bytes, int64_t answer, int64_t most_ns)
{
    char size[EXPLAIN_TIME];
    int64_t begin;
    int64_t arrived = EXPLAIN_NEVER;
    int64_t done = 0;

    if (p->s->failed)
        return 0;
    stamp(p, bytes <= NARROW_SEGMENT); /* of several segments some may leave later */
    begin = now(p->s);
    int64_t n = push(p, bytes < (int64_t)sizeof zeros ? bytes : (int64_t)sizeof zeros);
    int64_t first = now(p->s);

    arrived = departure(p);
    stamp(p, false);
    if (arrived < begin || arrived > first)
        arrived = first;
    while (n >= 0 && (done += n) < bytes && ready(p, POLLOUT, begin + most_ns))
        n = push(p, bytes - done);
    if (n < 0)
        note(p, "send", begin, bytes, n, "cannot send: %s", plx_error_text((int)n));
    else if (done < bytes)
        note(p, "send", begin, bytes, done, "sends %" PRId64 " of %" PRId64 ": full", done, bytes);
    else
        note(p, "send", begin, bytes, done, "sends %s", explain_bytes(bytes, size));
    struct explain_message *m = EXPLAIN_MORE(&p->s->run->messages);

    if (m == NULL) {
        p->s->failed = true;
        return done;
    }
    memcpy(m->client, p->name, sizeof m->client);
    m->act = p->s->act;
    m->bytes = bytes;
    m->answer = answer;
    m->sent_ns = begin;
    m->arrived_ns = arrived;
    m->shown_ns = m->answered_ns = m->received_ns = EXPLAIN_NEVER;
    return done;
}

/* The message of this client that is not yet answered. */
static void answered(const struct explain_peer *p)
{
    struct explain_run *run = p->s->run;

    for (size_t i = 0; i < run->messages.n; i++) {
        struct explain_message *m = &run->messages.items[i];

        if (strcmp(m->client, p->name) == 0 && m->received_ns == EXPLAIN_NEVER) {
            m->received_ns = now(p->s);
            return;
        }
    }
}

bool explain_receive(struct explain_peer *p, int64_t bytes, int64_t rest, int64_t most_ns)
{
    static char sink[16 * 1024];
    int64_t begin = now(p->s);
    int64_t left = rest;
    int64_t have = 0;
    ssize_t n = 1;
    char size[EXPLAIN_TIME];
    char time[EXPLAIN_TIME];

    if (p->s->failed)
        return false;
    while (have < bytes && n != 0 &&
           ready(p, (short)(left > 0 ? POLLIN | POLLOUT : POLLIN), begin + most_ns)) {
        int64_t pushed = left > 0 ? push(p, left) : 0;

        left -= pushed > 0 ? pushed : 0;
        n = recv(p->fd, sink, sizeof sink, MSG_DONTWAIT);
        if (n > 0)
            have += n;
        else if (n < 0 && errno != EAGAIN && errno != EINTR)
            break;
    }
    if (have >= bytes) {
        answered(p);
        note(p, "receive", begin, bytes, have, "receives %s%s", explain_bytes(have, size),
             rest > 0 ? ", sends rest" : "");
    } else if (have == 0 && n != 0) {
        note(p, "gave up", begin, bytes, 0, "has no answer after %s",
             explain_time(now(p->s) - begin, time));
    } else {
        note(p, "gave up", begin, bytes, have, "has only %s", explain_bytes(have, size));
    }
    return have >= bytes;
}

/* ---- ends ---- */

void explain_receive_end(struct explain_peer *p)
{
    char byte;
    int64_t begin = now(p->s);

    if (p->s->failed)
        return;
    ssize_t n = -1;

    errno = EAGAIN;
    while (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        if (!ready(p, POLLIN, begin + END_NS)) {
            note(p, "gave up", begin, 1, 0, "sees no end");
            return;
        }
        n = recv(p->fd, &byte, 1, MSG_DONTWAIT);
    }

    note(p, "receive", begin, 1, n < 0 ? -errno : n, "%s",
         n == 0  ? "receives the end"
         : n > 0 ? "receives more than it asked for"
                 : plx_error_text(errno));
}

void explain_shutdown(struct explain_peer *p)
{
    int64_t begin = now(p->s);

    if (p->s->failed)
        return;
    int rc = shutdown(p->fd, SHUT_WR) < 0 ? -errno : 0;

    note(p, "shutdown", begin, 0, rc, "half-closes: no more to send");
}

static void end(struct explain_peer *p, const char *what, const char *text)
{
    int64_t begin = now(p->s);

    if (p->fd < 0)
        return;
    close(p->fd);
    p->fd = -1;
    note(p, what, begin, 0, 0, "%s", text);
}

void explain_close(struct explain_peer *p)
{
    end(p, "close", "closes");
}

void explain_reset(struct explain_peer *p)
{
    struct linger none = {.l_onoff = 1, .l_linger = 0};

    if (p->fd >= 0)
        setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    end(p, "reset", "resets the connection");
}
