/* SPDX-License-Identifier: MIT */
/*
 * The other end: plain sockets and poll(2), nothing of the library but its address type. Every
 * wait has a limit, so that a server that forgot a connection is a failure and not a hang.
 */
#include "conform.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

static bool wait_for(int fd, short events, int64_t ns)
{
    struct pollfd p = {.fd = fd, .events = events};
    int64_t end = now() + ns;
    for (;;) {
        int64_t left = end - now();
        int rc = poll(&p, 1, left > 0 ? (int)(left / PLX_MSEC) + 1 : 0);
        if (rc > 0) {
            return true;
        }
        if (rc == 0 || (errno == EINTR && left <= 0)) {
            return false;
        }
    }
}

static int dial_socket(const struct plx_addr *to, const struct dial *d)
{
    int fd = socket(to->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    /* Before connect(2): the window is negotiated from it (tcp(7), SO_RCVBUF). */
    if (d && d->rcvbuf) {
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &d->rcvbuf, sizeof(d->rcvbuf));
    }
    if (d && d->from) {
        struct sockaddr_in in = {.sin_family = AF_INET};
        inet_pton(AF_INET, d->from, &in.sin_addr);
        if (bind(fd, (struct sockaddr *)&in, sizeof(in)) != 0) {
            int err = -errno;
            close(fd);
            return err;
        }
    }
    if (connect(fd, &to->sa, to->len) != 0) {
        int err = -errno;
        close(fd);
        return err;
    }
    int on = 1;
    if (to->sa.sa_family != AF_UNIX) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    }
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

int dial_errno(const struct plx_addr *to)
{
    return dial_socket(to, NULL);
}

int dial_with(const struct server *s, unsigned i, const struct dial *d)
{
    int fd = dial_socket(&s->addr[i], d);
    REQUIRE(s->t, fd >= 0, "connect: expected a connection, got %s", plx_error_name(fd));
    return fd;
}

int dial(const struct server *s)
{
    return dial_with(s, 0, NULL);
}

void put(const struct test *t, int fd, const void *p, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t k = send(fd, (const char *)p + done, n - done, MSG_NOSIGNAL);
        if (k > 0) {
            done += (size_t)k;
        } else if (errno != EAGAIN && errno != EINTR) {
            FAIL(t, "send: expected %zu bytes to be taken, got %s after %zu", n,
                 plx_error_name(errno), done);
        } else if (!wait_for(fd, POLLOUT, PATIENCE)) {
            FAIL(t, "send: expected %zu bytes to be taken, the server reads no more after %zu", n,
                 done);
        }
    }
}

void get(const struct test *t, int fd, void *p, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t k = recv(fd, (char *)p + done, n - done, 0);
        if (k > 0) {
            done += (size_t)k;
        } else if (k == 0) {
            FAIL(t, "recv: expected %zu bytes, got the end after %zu", n, done);
        } else if (errno != EAGAIN && errno != EINTR) {
            FAIL(t, "recv: expected %zu bytes, got %s after %zu", n, plx_error_name(errno), done);
        } else if (!wait_for(fd, POLLIN, PATIENCE)) {
            FAIL(t, "recv: expected %zu bytes, got %zu and then silence", n, done);
        }
    }
}

void get_text(const struct test *t, int fd, const char *text)
{
    char got[256];
    size_t n = strlen(text);
    get(t, fd, got, n);
    REQUIRE(t, memcmp(got, text, n) == 0, "answer: expected \"%s\", got \"%.*s\"", text, (int)n,
            got);
}

/* A byte that depends on stream and place, so that lost, doubled, swapped or strange bytes show.
 * The multipliers only have to be odd and to mix: Knuth's 2^32 / phi, and a prime. */
void pattern(unsigned char *p, size_t n, uint64_t tag, uint64_t offset)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t x = (uint32_t)(offset + i) * 2654435761u + (uint32_t)tag * 40503u;
        p[i] = (unsigned char)(x >> 24 ^ x >> 13);
    }
}

static void check_pattern(const struct test *t, const unsigned char *p, size_t n, uint64_t tag,
                          uint64_t offset)
{
    unsigned char want[4096];
    for (size_t done = 0; done < n;) {
        size_t k = n - done < sizeof(want) ? n - done : sizeof(want);
        pattern(want, k, tag, offset + done);
        for (size_t i = 0; i < k; i++) {
            REQUIRE(t, p[done + i] == want[i],
                    "byte %llu of stream %llu: expected 0x%02x, got 0x%02x",
                    (unsigned long long)(offset + done + i), (unsigned long long)tag, want[i],
                    p[done + i]);
        }
        done += k;
    }
}

void put_pattern(const struct test *t, int fd, uint64_t tag, uint64_t offset, size_t n)
{
    unsigned char piece[16384];
    for (size_t done = 0; done < n;) {
        size_t k = n - done < sizeof(piece) ? n - done : sizeof(piece);
        pattern(piece, k, tag, offset + done);
        put(t, fd, piece, k);
        done += k;
    }
}

void get_pattern(const struct test *t, int fd, uint64_t tag, uint64_t offset, size_t n)
{
    unsigned char piece[16384];
    for (size_t done = 0; done < n;) {
        size_t k = n - done < sizeof(piece) ? n - done : sizeof(piece);
        get(t, fd, piece, k);
        check_pattern(t, piece, k, tag, offset + done);
        done += k;
    }
}

/* Sends one piece if the socket takes it; returns what it took. */
static size_t send_some(const struct test *t, int fd, uint64_t tag, uint64_t offset, size_t n)
{
    unsigned char piece[16384];
    n = n < sizeof(piece) ? n : sizeof(piece);
    pattern(piece, n, tag, offset);
    ssize_t k = send(fd, piece, n, MSG_NOSIGNAL);
    if (k < 0 && errno != EAGAIN && errno != EINTR) {
        FAIL(t, "send: expected bytes to be taken, got %s at offset %llu", plx_error_name(errno),
             (unsigned long long)offset);
    }
    return k > 0 ? (size_t)k : 0;
}

static size_t recv_some(const struct test *t, int fd, uint64_t tag, uint64_t offset, size_t n)
{
    unsigned char piece[16384];
    ssize_t k = recv(fd, piece, n < sizeof(piece) ? n : sizeof(piece), 0);
    if (k == 0 || (k < 0 && errno != EAGAIN && errno != EINTR)) {
        FAIL(t, "recv: expected more bytes, got %s at offset %llu",
             k == 0 ? "the end" : plx_error_name(errno), (unsigned long long)offset);
    }
    if (k > 0) {
        check_pattern(t, piece, (size_t)k, tag, offset);
    }
    return k > 0 ? (size_t)k : 0;
}

void exchange(const struct test *t, int fd, uint64_t tag, uint64_t offset, size_t n, size_t piece)
{
    size_t out = 0, in = 0;
    while (in < n) {
        if (out < n) {
            out += send_some(t, fd, tag, offset + out, n - out < piece ? n - out : piece);
        }
        short events = (short)(POLLIN | (out < n ? POLLOUT : 0));
        REQUIRE(t, wait_for(fd, events, PATIENCE),
                "echo: expected %zu bytes, sent %zu, got %zu and then silence", n, out, in);
        in += recv_some(t, fd, tag, offset + in, n - in);
    }
}

size_t push(const struct test *t, int fd, uint64_t tag, size_t n, int64_t still_ns)
{
    size_t out = 0;
    while (out < n && wait_for(fd, POLLOUT, still_ns)) {
        out += send_some(t, fd, tag, out, n - out);
    }
    return out;
}

void echo_once(const struct test *t, int fd, uint64_t tag)
{
    put_pattern(t, fd, tag, 0, 100);
    get_pattern(t, fd, tag, 0, 100);
}

enum ending ending(int fd, int64_t timeout_ns, size_t *extra)
{
    char piece[65536];
    int64_t end = now() + timeout_ns;
    size_t n = 0;
    enum ending how = ENDING_OPEN;
    while (how == ENDING_OPEN && wait_for(fd, POLLIN, end - now())) {
        ssize_t k = recv(fd, piece, sizeof(piece), 0);
        if (k > 0) {
            n += (size_t)k;
        } else if (k == 0) {
            how = ENDING_EOF;
        } else if (errno != EAGAIN && errno != EINTR) {
            how = ENDING_RESET;
        }
    }
    if (extra) {
        *extra = n;
    }
    return how;
}

void expect_eof(const struct test *t, int fd, const char *what)
{
    static const char *const names[] = {"the end", "a reset", "an open connection"};
    size_t extra;
    enum ending how = ending(fd, PATIENCE, &extra);
    REQUIRE(t, how == ENDING_EOF && extra == 0, "%s: expected the end, got %s after %zu more bytes",
            what, names[how], extra);
}

bool quiet(int fd, int64_t ns)
{
    return !wait_for(fd, POLLIN, ns);
}

void hang_up(int fd)
{
    close(fd);
}

void reset(int fd)
{
    struct linger l = {.l_onoff = 1};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
    close(fd);
}

void half_close(const struct test *t, int fd)
{
    REQUIRE(t, shutdown(fd, SHUT_WR) == 0, "shutdown: %s", plx_error_name(errno));
}
