/* SPDX-License-Identifier: MIT */
/*
 * Sockets as the core makes and ends them. Everything between, the engines do.
 *
 * Options are set on the listening socket, where accepted sockets inherit them on Linux and the
 * BSDs: no system call per connection.
 *   TCP_NODELAY    an answer leaves when it is written
 *   SO_OOBINLINE   an urgent byte is data like any other: none is lost, and every model agrees
 *   SO_KEEPALIVE   a peer that vanished without a word is found out in the end
 */
#include "core/core.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

void plx__peer_set(struct plx__peer *p, const struct sockaddr *sa, socklen_t len)
{
    *p = (struct plx__peer){0};
    if (len < (socklen_t)sizeof(sa->sa_family))
        return;
    p->family = sa->sa_family;
    if (sa->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)sa;
        memcpy(p->ip, &in->sin_addr, 4);
        p->port = ntohs(in->sin_port);
    } else if (sa->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)sa;
        memcpy(p->ip, &in6->sin6_addr, 16);
        p->port = ntohs(in6->sin6_port);
        p->scope = in6->sin6_scope_id;
    }
}

void plx__peer_get(const struct plx__peer *p, struct plx_addr *out)
{
    memset(out, 0, sizeof(*out));
    if (p->family == AF_INET) {
        out->in.sin_family = AF_INET;
        memcpy(&out->in.sin_addr, p->ip, 4);
        out->in.sin_port = htons(p->port);
        out->len = sizeof(out->in);
    } else if (p->family == AF_INET6) {
        out->in6.sin6_family = AF_INET6;
        memcpy(&out->in6.sin6_addr, p->ip, 16);
        out->in6.sin6_port = htons(p->port);
        out->in6.sin6_scope_id = p->scope;
        out->len = sizeof(out->in6);
    }
}

void plx__socket_peer(int fd, struct plx__peer *p)
{
    struct plx_addr a = {.len = sizeof(a) - offsetof(struct plx_addr, sa)};
    if (plx__sys_getpeername(fd, &a.sa, &a.len) == 0)
        plx__peer_set(p, &a.sa, a.len);
}

static void stream_options(int fd, int family)
{
    int on = 1;
    /* Each may be refused by an exotic stack; none is needed for right answers but OOBINLINE,
     * which every TCP has. */
    if (family == AF_UNIX)
        return;
    (void)plx__sys_setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)plx__sys_setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
    (void)plx__sys_setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
}

static const char *listen_remedy(int err)
{
    switch (err) {
    case EADDRINUSE: return "stop the program that uses it, or choose another port (0 = any free)";
    case EADDRNOTAVAIL: return "use an address of this machine: ip address";
    case EACCES: return "use a port from 1024, or grant CAP_NET_BIND_SERVICE";
    case EEXIST: return "remove the file if no server uses it, or choose another path";
    case ENOENT: return "make its directory first";
    case EMFILE: return "raise the limit on open files: ulimit -n";
    default: return "";
    }
}

/* bind(2) answers EADDRINUSE for any existing path; say rather whether there is a server. */
static int unix_in_use(const struct plx_addr *a)
{
    struct stat st;
    return a->sa.sa_family == AF_UNIX && lstat(a->un.sun_path, &st) == 0 ? EEXIST : EADDRINUSE;
}

int plx__socket_listen(const struct plx_addr *a, bool reuseport, int backlog, bool blocking,
                       struct plx_why *why)
{
    char text[PLX_ADDR_TEXT];
    plx_addr_format(a, text, sizeof(text));
    int family = a->sa.sa_family, on = 1;
    int fd =
        plx__sys_socket(family, SOCK_STREAM | SOCK_CLOEXEC | (blocking ? 0 : SOCK_NONBLOCK), 0);
    if (fd < 0) {
        int err = errno;
        plx__why(why, listen_remedy(err), "socket for %s: %s", text, plx_error_text(err));
        return -err;
    }
    const char *call = "bind";
    int rc = 0;
    if (family != AF_UNIX)
        rc = plx__sys_setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on,
                                 sizeof(on)); /* rebind in TIME_WAIT */
    if (rc == 0 && family == AF_INET6)
        rc = plx__sys_setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    if (rc == 0 && reuseport)
        rc = plx__sys_setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    stream_options(fd, family);
    if (rc == 0)
        rc = plx__sys_bind(fd, &a->sa, a->len);
    bool bound = rc == 0;
    if (rc == 0) {
        call = "listen";
        rc = plx__sys_listen(fd, backlog); /* EADDRINUSE can come as late as here */
    }
    if (rc < 0) {
        int err = errno;
        if (err == EADDRINUSE && !bound)
            err = unix_in_use(a);
        if (bound && family == AF_UNIX)
            (void)unlink(a->un.sun_path);
        plx__sys_close(fd);
        plx__why(why, listen_remedy(err), "%s %s: %s", call, text, plx_error_text(err));
        return -err;
    }
    return fd;
}

/*
 * Binds an outgoing socket to its source address. Without a port the choice is left to connect(2)
 * (ip(7), Linux 4.2): it knows the destination, so that a port is taken only for that one; bind(2)
 * would have to take it from all destinations, and from connections without a source address too.
 * Where the option is missing the connections work, and the limit comes sooner.
 */
static int bind_source(int fd, const struct plx_addr *from)
{
    bool any_port = plx_addr_port(from) == 0;
#ifdef IP_BIND_ADDRESS_NO_PORT
    int on = 1;
    if (any_port) /* IPPROTO_IP for IPv6 as well */
        (void)plx__sys_setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
#endif
    if (plx__sys_bind(fd, &from->sa, from->len) == 0)
        return 0;
    /* No port is free: bind(2) has another word for it than connect(2). */
    return any_port && errno == EADDRINUSE ? -EADDRNOTAVAIL : -errno;
}

/* Linux binds to a broadcast or multicast address, and connects from another one without a word. */
static bool comes_from(int fd, const struct plx_addr *from)
{
    static const struct plx__peer wildcard;
    struct plx_addr a = {.len = sizeof(a) - offsetof(struct plx_addr, sa)};
    struct plx__peer wanted, got = {0};
    plx__peer_set(&wanted, &from->sa, from->len);
    if (memcmp(wanted.ip, wildcard.ip, sizeof(wanted.ip)) == 0)
        return true;
    if (plx__sys_getsockname(fd, &a.sa, &a.len) == 0)
        plx__peer_set(&got, &a.sa, a.len);
    return memcmp(wanted.ip, got.ip, sizeof(wanted.ip)) == 0;
}

int plx__socket_connect(const struct plx_addr *to, const struct plx_addr *from, bool *connecting)
{
    int family = to->sa.sa_family, rc = 0;
    if (from && (from->sa.sa_family != family || family == AF_UNIX))
        return -EINVAL;
    int fd = plx__sys_socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    stream_options(fd, family);
    if (from)
        rc = bind_source(fd, from);
    if (rc == 0 && plx__sys_connect(fd, &to->sa, to->len) < 0)
        rc = -errno;
    /* Interrupted, it goes on in the background like EINPROGRESS (connect(2)). */
    *connecting = rc == -EINPROGRESS || rc == -EINTR;
    if (*connecting)
        rc = 0;
    if (rc == 0 && from && !comes_from(fd, from))
        rc = -EADDRNOTAVAIL;
    if (rc < 0)
        plx__sys_close(fd);
    return rc < 0 ? rc : fd;
}

int plx__socket_blocking(int fd, bool on)
{
    int flags = plx__sys_fcntl(fd, F_GETFL, 0);
    if (flags < 0)
        return -errno;
    int wanted = on ? flags & ~O_NONBLOCK : flags | O_NONBLOCK;
    return wanted == flags || plx__sys_fcntl(fd, F_SETFL, wanted) == 0 ? 0 : -errno;
}

int plx__socket_connected(int fd)
{
    int err = 0;
    socklen_t len = sizeof(err);
    if (plx__sys_getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
        return errno;
    if (err)
        return err;
    /* Readiness is a hint: no error yet does not mean connected (UNP section 16.4). */
    struct plx_addr a = {.len = sizeof(a) - offsetof(struct plx_addr, sa)};
    if (plx__sys_getpeername(fd, &a.sa, &a.len) == 0)
        return 0;
    return errno == ENOTCONN ? EINPROGRESS : errno;
}

uint32_t plx__socket_unacked(int fd)
{
    int n = 0;
    return plx__sys_ioctl(fd, SIOCOUTQ, &n) == 0 && n > 0 ? (uint32_t)n : 0;
}

uint32_t plx__socket_unread(int fd)
{
    int n = 0;
    return plx__sys_ioctl(fd, FIONREAD, &n) == 0 && n > 0 ? (uint32_t)n : 0;
}

bool plx__socket_silent(int fd)
{
    char byte;
    return plx__sys_recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

void plx__socket_close(int fd, bool reset)
{
    if (reset) {
        struct linger abort = {.l_onoff = 1, .l_linger = 0};
        (void)plx__sys_setsockopt(fd, SOL_SOCKET, SO_LINGER, &abort, sizeof(abort));
    }
    plx__sys_close(fd); /* never again on EINTR: the descriptor is free already (close(2)) */
}

int plx__wake_open(struct plx__wake *w, bool blocking_reader)
{
    int fds[2];
    w->source.kind = PLX__WAKE;
    if (plx__sys_pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    w->rd = fds[0];
    w->wr = fds[1];
    atomic_init(&w->set, false);
    int rc = blocking_reader ? plx__socket_blocking(w->rd, true) : 0;
    if (rc < 0)
        plx__wake_close(w);
    return rc;
}

void plx__wake_signal(struct plx__wake *w)
{
    int saved = errno; /* may run in a signal handler */
    if (!atomic_exchange(&w->set, true)) {
        /* Full means that a wake-up is pending: as good. But `set` without a byte would be no
         * wake-up ever again. */
        while (plx__sys_write(w->wr, "", 1) < 0 && errno == EINTR) {
        }
    }
    errno = saved;
}

void plx__wake_clear(struct plx__wake *w)
{
    char sink[64];
    /* Read, then clear, then (the caller) look for what was asked. Whoever signals between the
     * first two writes no byte, but what he asked for was stored before and is seen by the look;
     * the other order could swallow his byte and leave `set` true for ever. */
    ssize_t n = plx__sys_read(w->rd, sink, sizeof(sink));
    (void)n; /* EAGAIN: readiness was spurious */
    atomic_store(&w->set, false);
}

void plx__wake_close(struct plx__wake *w)
{
    plx__sys_close(w->rd);
    plx__sys_close(w->wr);
}
