/* SPDX-License-Identifier: MIT */
/* The system calls of the library, as the network in memory answers them; waits are in waits.c. */
#include "sim.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

/* ---- what each call has in common ---- */

static struct sim_end *enter(int fd)
{
    sim_step();
    struct sim_end *e = net_find(fd);
    if (!e)
        errno = EBADF;
    return e;
}

static struct sim_end *enter_or_stop(int fd)
{
    sim_step_or_stop();
    struct sim_end *e = net_find(fd);
    if (!e)
        errno = EBADF;
    return e;
}

static bool foreign(int fd)
{
    return fd >= 0 && fd < SIM_FIRST;
}

/* ---- bytes ---- */

static ssize_t take(struct sim_end *e, void *p, size_t n, bool peek)
{
    if (e->state == END_CONNECTING || e->kind == END_NEW)
        return sim_fail(ENOTCONN);
    if (e->rx.n) {
        n = n < e->rx.n ? n : e->rx.n;
        if (peek) {
            memcpy(p, e->rx.p + e->rx.from, n);
            return (ssize_t)n;
        }
        bytes_take(&e->rx, p, n);
        e->moved = sim_now();
        net_pump(e->peer);
        return (ssize_t)n;
    }
    if (e->err) { /* after what came before it, and once: tcp_recvmsg() */
        int err = e->err;
        if (!peek)
            e->err = 0;
        return sim_fail(err);
    }
    return e->got_fin || e->state == END_DEAD ? 0 : sim_fail(EAGAIN);
}

static ssize_t sim_recv(int fd, void *p, size_t n, int flags)
{
    struct sim_end *e = enter_or_stop(fd);
    if (!e)
        return -1;
    if (e->kind != END_STREAM && e->kind != END_NEW)
        return sim_fail(ENOTSOCK);
    bool peek = flags & MSG_PEEK;
    struct sim_account *a = sim_account();
    ssize_t got = !peek && sim_interrupted() ? sim_fail(EINTR) : take(e, p, n, peek);
    a->recv += !peek;
    a->eagain += !peek && got < 0 && errno == EAGAIN;
    a->bytes_in += !peek && got > 0 ? (uint64_t)got : 0;
    sim_note("recv %d %zu = %zd", fd, n, got < 0 ? -errno : got);
    return got;
}

static ssize_t give(struct sim_end *e, const struct iovec *iov, int n)
{
    if (e->err) {
        int err = e->err;
        e->err = 0;
        return sim_fail(err);
    }
    if (e->kind == END_NEW || e->state == END_DEAD || e->fin)
        return sim_fail(EPIPE);
    size_t asked = plx__iov_bytes(iov, n), room = net_room(e), done = 0;
    if (e->state == END_CONNECTING || room == 0) {
        e->no_room = true;
        return sim_fail(EAGAIN);
    }
    if (asked > 1 && once_in(&sim.dice, sim.weather.short_in)) {
        size_t less = (size_t)between(&sim.dice, 1, (int64_t)asked - 1);
        if (less < room) {
            room = less;
            e->squeezed = true;
            sim_later(between(&sim.dice, 0, MSECS(20)), EV_ROOM, e);
        }
    }
    for (int i = 0; i < n && done < room; i++) {
        size_t piece = iov[i].iov_len < room - done ? iov[i].iov_len : room - done;
        bytes_add(&e->tx, iov[i].iov_base, piece);
        done += piece;
    }
    if (done < asked)
        e->no_room = true;
    else
        e->squeezed = false;
    e->moved = e->sent = sim_now();
    net_pump(e);
    return (ssize_t)done;
}

static ssize_t sim_send(int fd, struct iovec *iov, int n, int flags)
{
    (void)flags;
    struct sim_end *e = enter_or_stop(fd);
    if (!e)
        return -1;
    struct sim_account *a = sim_account();
    ssize_t done = sim_interrupted() ? sim_fail(EINTR) : give(e, iov, n);
    a->send++;
    a->eagain += done < 0 && errno == EAGAIN;
    a->bytes_out += done > 0 ? (uint64_t)done : 0;
    sim_note("send %d %zu = %zd", fd, plx__iov_bytes(iov, n), done < 0 ? -errno : done);
    return done;
}

static ssize_t sim_read(int fd, void *p, size_t n)
{
    struct sim_end *e = enter(fd);
    if (!e || e->kind != END_PIPE)
        return sim_fail(EBADF);
    if (!e->rx.n)
        return e->peer ? sim_fail(EAGAIN) : 0;
    n = n < e->rx.n ? n : e->rx.n;
    bytes_take(&e->rx, p, n);
    return (ssize_t)n;
}

static ssize_t sim_write(int fd, const void *p, size_t n)
{
    struct sim_end *e = enter(fd);
    if (!e || e->kind != END_PIPE)
        return sim_fail(EBADF);
    if (!e->peer)
        return sim_fail(EPIPE);
    bytes_add(&e->peer->rx, p, n);
    net_wake(e->peer);
    sim_note("write %d %zu", fd, n);
    return (ssize_t)n;
}

static int sim_pipe2(int fds[2], int flags)
{
    sim_step();
    struct sim_end *in = net_new(END_PIPE), *out = net_new(END_PIPE);
    in->nonblock = out->nonblock = flags & O_NONBLOCK;
    in->state = out->state = END_OPEN;
    fds[0] = net_descriptor(in);
    fds[1] = net_descriptor(out);
    if (fds[1] < 0) {
        if (fds[0] >= 0)
            net_close(in);
        return sim_fail(EMFILE);
    }
    in->peer = out;
    out->peer = in;
    return 0;
}

/* ---- making and ending sockets ---- */

static int sim_socket(int family, int type, int protocol)
{
    (void)protocol;
    sim_step();
    if (family != AF_INET)
        return sim_fail(EAFNOSUPPORT);
    struct sim_end *e = net_new(END_NEW);
    e->nonblock = type & SOCK_NONBLOCK;
    int fd = net_descriptor(e);
    sim_note("socket = %d", fd);
    return fd < 0 ? sim_fail(-fd) : fd;
}

static uint16_t port_of(const struct sockaddr *a)
{
    struct sockaddr_in in;
    memcpy(&in, a, sizeof(in));
    return ntohs(in.sin_port);
}

static void tell(uint16_t port, struct sockaddr *a, socklen_t *n)
{
    struct sockaddr_in in = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    memcpy(a, &in, *n < sizeof(in) ? *n : sizeof(in));
    *n = sizeof(in);
}

static int sim_bind(int fd, const struct sockaddr *a, socklen_t n)
{
    struct sim_end *e = enter(fd);
    if (!e || n < sizeof(struct sockaddr_in))
        return -1;
    int err = net_bind(e, port_of(a));
    return err ? sim_fail(err) : 0;
}

static int sim_listen(int fd, int backlog)
{
    struct sim_end *e = enter(fd);
    if (!e)
        return -1;
    e->kind = END_LISTENER;
    e->backlog = backlog;
    e->queue = calloc((size_t)backlog, sizeof(struct sim_end *));
    if (!e->queue)
        abort();
    sim_note("listen %d port %u", fd, e->port);
    return 0;
}

static int accept_one(struct sim_end *l, struct sockaddr *a, socklen_t *n, int flags)
{
    if (l->kind != END_LISTENER || !l->backlog)
        return sim_fail(EINVAL);
    if (sim_interrupted())
        return sim_fail(EINTR);
    if (!l->queued)
        return sim_fail(EAGAIN);
    struct sim_end *e = l->queue[0];
    bool aborted = once_in(&sim.dice, sim.weather.aborted_in);
    if (!aborted && net_descriptor(e) < 0)
        return sim_fail(EMFILE);
    memmove(l->queue, l->queue + 1, (size_t)--l->queued * sizeof(struct sim_end *));
    if (aborted) {
        net_event(EV_RESET, e);
        if (e->peer)
            net_event(EV_RESET, e->peer);
        return sim_fail(ECONNABORTED);
    }
    e->nonblock = flags & SOCK_NONBLOCK;
    e->moved = sim_now();
    if (a)
        tell(e->peer_port, a, n);
    return e->fd;
}

static int sim_accept4(int fd, struct sockaddr *a, socklen_t *n, int flags)
{
    struct sim_end *l = enter(fd);
    if (!l)
        return -1;
    int got = accept_one(l, a, n, flags);
    struct sim_account *acc = sim_account();
    acc->accept++;
    acc->accepted += got >= 0;
    acc->eagain += got < 0 && errno == EAGAIN;
    sim_note("accept4 %d = %d", fd, got < 0 ? -errno : got);
    return got;
}

static int sim_connect(int fd, const struct sockaddr *a, socklen_t n)
{
    struct sim_end *e = enter(fd);
    if (!e || n < sizeof(struct sockaddr_in))
        return -1;
    int err = net_connect(e, port_of(a));
    sim_note("connect %d port %u = %d", fd, port_of(a), -err);
    return err ? sim_fail(err) : 0;
}

static int sim_shutdown(int fd, int how)
{
    struct sim_end *e = enter(fd);
    if (!e)
        return -1;
    if (e->kind == END_LISTENER) { /* Linux: it listens no more */
        e->backlog = 0;
        net_wake(e);
        return 0;
    }
    if (e->kind != END_STREAM || e->state != END_OPEN)
        return sim_fail(ENOTCONN);
    if (how != SHUT_RD)
        net_shut(e);
    sim_note("shutdown %d %d", fd, how);
    return 0;
}

static int sim_close(int fd)
{
    if (foreign(fd))
        return plx__system.close(fd);
    struct sim_end *e = enter(fd);
    if (!e)
        return -1;
    net_close(e);
    sim_note("close %d", fd);
    return 0;
}

/* ---- asking ---- */

static int sim_getsockname(int fd, struct sockaddr *a, socklen_t *n)
{
    struct sim_end *e = enter(fd);
    if (!e)
        return -1;
    tell(e->port, a, n);
    return 0;
}

static int sim_getpeername(int fd, struct sockaddr *a, socklen_t *n)
{
    struct sim_end *e = enter(fd);
    if (!e)
        return -1;
    if (e->kind != END_STREAM || e->state != END_OPEN)
        return sim_fail(ENOTCONN);
    tell(e->peer_port, a, n);
    return 0;
}

static int sim_getsockopt(int fd, int level, int name, void *p, socklen_t *n)
{
    struct sim_end *e = enter(fd);
    if (!e)
        return -1;
    if (level != SOL_SOCKET || name != SO_ERROR || *n < sizeof(int))
        return sim_fail(ENOPROTOOPT);
    memcpy(p, &e->err, sizeof(int));
    sim_note("getsockopt %d SO_ERROR = %d", fd, e->err);
    e->err = 0;
    return 0;
}

static int sim_setsockopt(int fd, int level, int name, const void *p, socklen_t n)
{
    struct sim_end *e = enter(fd);
    if (!e)
        return -1;
    if (level == SOL_SOCKET && name == SO_LINGER) {
        struct linger l;
        if (n < sizeof(l))
            return sim_fail(EINVAL);
        memcpy(&l, p, sizeof(l));
        e->abort = l.l_onoff && l.l_linger == 0;
    }
    return 0;
}

static int sim_fcntl(int fd, int cmd, intptr_t arg)
{
    if (foreign(fd))
        return plx__system.fcntl(fd, cmd, arg);
    struct sim_end *e = enter(fd);
    if (!e)
        return -1;
    switch (cmd) {
    case F_GETFD: return FD_CLOEXEC;
    case F_GETFL: return O_RDWR | (e->nonblock ? O_NONBLOCK : 0);
    case F_SETFL: e->nonblock = arg & O_NONBLOCK; return 0;
    default: return sim_fail(EINVAL);
    }
}

static int sim_ioctl(int fd, unsigned long request, void *p)
{
    struct sim_end *e = enter(fd);
    if (!e)
        return -1;
    if (request != SIOCOUTQ && request != FIONREAD)
        return sim_fail(ENOTTY);
    int n = (int)(request == SIOCOUTQ ? e->tx.n : e->rx.n);
    memcpy(p, &n, sizeof(n));
    return 0;
}

/* ---- the table; what is not in it, no loop that runs here may call ---- */

const struct plx__sys sim_calls = {
    .recv = sim_recv,
    .send = sim_send,
    .read = sim_read,
    .write = sim_write,
    .socket = sim_socket,
    .bind = sim_bind,
    .listen = sim_listen,
    .accept4 = sim_accept4,
    .connect = sim_connect,
    .shutdown = sim_shutdown,
    .close = sim_close,
    .getsockname = sim_getsockname,
    .getpeername = sim_getpeername,
    .getsockopt = sim_getsockopt,
    .setsockopt = sim_setsockopt,
    .fcntl = sim_fcntl,
    .ioctl = sim_ioctl,
    .pipe2 = sim_pipe2,
    .poll = sim_poll,
    .ppoll = sim_ppoll,
    .pselect = sim_pselect,
    .epoll_create1 = sim_epoll_create1,
    .epoll_ctl = sim_epoll_ctl,
    .epoll_wait = sim_epoll_wait,
    .epoll_pwait2 = sim_epoll_pwait2,
    .clock_gettime = sim_clock_gettime,
    .clock_nanosleep = sim_clock_nanosleep,
    .malloc = malloc,
    .calloc = calloc,
    .realloc = realloc,
};

/* ---- what tests ask of a descriptor ---- */

uint16_t sim_port(int fd)
{
    const struct sim_end *e = net_find(fd);
    return e ? e->port : 0;
}

uint16_t sim_peer_port(int fd)
{
    const struct sim_end *e = net_find(fd);
    return e ? e->peer_port : 0;
}

int64_t sim_silent(int fd)
{
    const struct sim_end *e = net_find(fd);
    return e ? sim_now() - e->moved : 0;
}

int64_t sim_sent_nothing(int fd)
{
    const struct sim_end *e = net_find(fd);
    return e ? sim_now() - e->sent : 0;
}
