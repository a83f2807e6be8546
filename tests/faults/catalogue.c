/* SPDX-License-Identifier: MIT */
/*
 * The catalogue of faults: which call may fail with what, and what is to become of it.
 *
 *   R  again now              flags 0: nobody notices
 *   W  wait for readiness     flags 0
 *   B  leave it for a while   LASTS: goes on when the fault is over
 *   C  close that connection  HURTS: counted, and nobody else
 *   F  refuse to start        F_START: with the error and a reason
 *   I  ignore                 flags 0
 *
 * And which models make the call. A row that a model does not meet must be excused here, in words;
 * the run fails otherwise.
 */
#include "faults.h"

#include <errno.h>
#include <string.h>

#if PLX_HAVE_LIBURING
#include <liburing.h>
#endif

#define ROW(site, err, flags)                                                                      \
    {                                                                                              \
#site, SITE_##site, err, flags                                                             \
    }
#define NET(err) ROW(accept4, err, 0)

const struct row catalogue[] = {
    ROW(socket, EMFILE, F_START),
    ROW(socket, ENFILE, F_START),
    ROW(socket, ENOBUFS, F_START),
    ROW(socket, ENOMEM, F_START),
    ROW(socket, EACCES, F_START),
    ROW(socket, EAFNOSUPPORT, F_START),
    ROW(bind, EADDRINUSE, F_START),
    ROW(bind, EADDRNOTAVAIL, F_START),
    ROW(bind, EACCES, F_START),
    ROW(bind, EINVAL, F_START),
    ROW(listen, EADDRINUSE, F_START),
    ROW(getsockname, ENOBUFS, F_START),
    ROW(setsockopt, ENOPROTOOPT, AT_START),
    ROW(setsockopt, EINVAL, AT_START),

    ROW(accept4, EAGAIN, NOT_EDGE),
    ROW(accept4, EINTR, 0),
    ROW(accept4, ECONNABORTED, LASTS),
    NET(ENETDOWN),
    NET(EPROTO),
    NET(ENOPROTOOPT),
    NET(EHOSTDOWN),
    NET(ENONET),
    NET(EHOSTUNREACH),
    NET(EOPNOTSUPP),
    NET(ENETUNREACH),
    ROW(accept4, EPERM, LASTS),
    ROW(accept4, EMFILE, HURTS | LASTS),
    ROW(accept4, ENFILE, HURTS | LASTS),
    ROW(accept4, ENOBUFS, LASTS),
    ROW(accept4, ENOMEM, LASTS),
    ROW(accept4, EINVAL, NOT_EDGE),

    ROW(recv, EAGAIN, NOT_EDGE | NOT_RING),
    ROW(recv, EINTR, 0),
    ROW(recv, ECONNRESET, HURTS),
    ROW(recv, ETIMEDOUT, HURTS),
    ROW(recv, EHOSTUNREACH, HURTS),
    ROW(recv, ENETUNREACH, HURTS),
    ROW(recv, ENOTCONN, HURTS),
    ROW(recv, ENOMEM, HURTS | LASTS),

    ROW(send, EAGAIN, NOT_EDGE),
    ROW(send, EINTR, 0),
    ROW(send, ENOBUFS, LASTS),
    ROW(send, EPIPE, HURTS),
    ROW(send, ECONNRESET, HURTS | LASTS),
    ROW(send, ETIMEDOUT, HURTS),
    ROW(close, EINTR, 0),
    ROW(close, EIO, LASTS),
    ROW(shutdown, ENOTCONN, 0),

    ROW(connect, EINTR, 0),
    ROW(connect, EAGAIN, 0),
    ROW(connect, ENETUNREACH, 0),
    ROW(connect, EADDRNOTAVAIL, LASTS),
    ROW(getsockopt, ENOBUFS, 0),
    ROW(getpeername, ENOBUFS, 0),

    ROW(epoll_create1, EMFILE, F_START),
    ROW(epoll_create1, ENFILE, F_START),
    ROW(epoll_create1, ENOMEM, F_START),
    ROW(epoll_add, EEXIST, 0),
    ROW(epoll_add, ENOSPC, AT_START | HURTS | LASTS),
    ROW(epoll_add, ENOMEM, AT_START | HURTS | LASTS),
    ROW(epoll_add, EPERM, AT_START | HURTS),
    ROW(epoll_mod, ENOENT, 0),
    ROW(epoll_del, ENOENT, LASTS),
    ROW(epoll_del, EBADF, 0),
    ROW(epoll_del, EPERM, 0),
    ROW(epoll_wait, EINTR, AT_START),
    ROW(epoll_wait, ENOMEM, AT_START | LASTS),
    ROW(epoll_pwait2, EINTR, 0),
    ROW(epoll_pwait2, ENOMEM, LASTS),
    ROW(epoll_pwait2, ENOSYS, LASTS),
    ROW(epoll_pwait2, EPERM, 0),
    ROW(poll, EINTR, AT_START),
    ROW(poll, ENOMEM, AT_START | LASTS),
    ROW(poll, EINVAL, AT_START | F_RUN),
    ROW(ppoll, EINTR, 0),
    ROW(ppoll, ENOMEM, LASTS),
    ROW(ppoll, EINVAL, F_RUN),
    ROW(ppoll, ENOSYS, 0),
    ROW(pselect, EINTR, AT_START),
    ROW(pselect, ENOMEM, AT_START | LASTS),
    ROW(pselect, EBADF, AT_START | LASTS),

    ROW(io_uring_setup, ENOSYS, F_START),
    ROW(io_uring_setup, EPERM, F_START),
    ROW(io_uring_setup, EMFILE, F_START),
    ROW(io_uring_setup, ENFILE, F_START),
    ROW(io_uring_setup, ENOMEM, AT_START | LASTS),
    ROW(io_uring_setup, EINVAL, AT_START | LASTS),
    ROW(io_uring_enter, EINTR, 0),
    ROW(io_uring_enter, EAGAIN, LASTS),
    ROW(io_uring_enter, EBUSY, LASTS),
    ROW(io_uring_enter, EBADR, F_RUN | HURTS),
    ROW(io_uring_enter, EOWNERDEAD, F_RUN | HURTS),
    ROW(ring_accept, EINTR, 0),
    ROW(ring_accept, ECONNABORTED, 0),
    ROW(ring_accept, EPROTO, 0),
    ROW(ring_accept, EPERM, LASTS),
    ROW(ring_accept, EMFILE, HURTS | LASTS),
    ROW(ring_accept, ENFILE, HURTS | LASTS),
    ROW(ring_accept, ENOBUFS, LASTS),
    ROW(ring_accept, ENOMEM, LASTS),
    ROW(ring_accept, ECANCELED, 0),
    ROW(ring_accept, EINVAL, 0),
    ROW(ring_recv, ENOBUFS, LASTS),
    ROW(ring_recv, EINTR, 0),
    ROW(ring_recv, EAGAIN, 0),
    ROW(ring_recv, ECANCELED, LASTS),
    ROW(ring_recv, EINVAL, 0),
    ROW(ring_recv, ECONNRESET, HURTS),
    ROW(ring_recv, ETIMEDOUT, HURTS),
    ROW(ring_recv, EHOSTUNREACH, HURTS),
    ROW(ring_recv, ENOMEM, HURTS | LASTS),
    ROW(ring_send, EPIPE, HURTS),
    ROW(ring_send, ECONNRESET, HURTS | LASTS),
    ROW(ring_send, EAGAIN, 0),
    ROW(ring_send, EINTR, 0),
    ROW(ring_send, ENOBUFS, LASTS),
    ROW(ring_send, ECANCELED, 0),
    ROW(ring_poll, ECANCELED, 0),
    ROW(ring_poll, ENOMEM, HURTS | LASTS),

    ROW(pthread_create, EAGAIN, AT_START | HURTS | LASTS),
    ROW(fork, EAGAIN, HURTS | LASTS),
    ROW(fork, ENOMEM, HURTS),
    ROW(waitpid, EINTR, 0),
    ROW(malloc, ENOMEM, AT_START | HURTS | LASTS | EVERY),
    ROW(calloc, ENOMEM, AT_START | HURTS | LASTS | EVERY),
    ROW(realloc, ENOMEM, AT_START | HURTS | LASTS | EVERY),

    ROW(fcntl_signal, EINVAL, AT_START | HURTS | F_RUN | LASTS),
    ROW(sigtimedwait, EINTR, AT_START),
    ROW(sigtimedwait, EAGAIN, AT_START),
    ROW(signal_overflow, EOVERFLOW, AT_START),
    ROW(signalfd, EMFILE, 0),
    ROW(signalfd, ENODEV, 0),
    ROW(signalfd, ENOMEM, LASTS),

    ROW(aio_read, EAGAIN, AT_START | LASTS),
    ROW(aio_write, EAGAIN, LASTS),
    ROW(aio_suspend, EINTR, 0),
    ROW(aio_suspend, EAGAIN, 0),
    ROW(aio_error, ECANCELED, AT_START | HURTS),
    ROW(aio_error, EIO, AT_START | HURTS),
    ROW(fcntl_dup, EMFILE, HURTS | LASTS),

    ROW(pipe2, EMFILE, F_START | HURTS | LASTS),
    ROW(pipe2, ENFILE, F_START | HURTS),
    ROW(read, EAGAIN, 0),
    ROW(read, EINTR, 0),
    ROW(write, EAGAIN, AT_START),
    ROW(write, EINTR, AT_START),
    ROW(clock_nanosleep, EINTR, 0),
};
const size_t catalogue_rows = sizeof(catalogue) / sizeof(catalogue[0]);

/* Rows about an order of events rather than an error: no call can be made to fail for them. */
const struct elsewhere elsewhere[] = {
    {"a hang-up is a hint: read to the end first", "conform last_words, reset_in_transfer"},
    {"an event of an earlier owner of the descriptor", "conform descriptor_reuse; unit.selector"},
    {"edges: a budget, and none is lost", "conform slow_reader_alone, generator; disorder here"},
    {"urgent bytes stand in the stream", "conform urgent"},
    {"select: descriptors from FD_SETSIZE on", "conform select_limit"},
    {"select: EBADF because of a closed descriptor", "unit.shortage"},
    {"a pass without anything ready does not spin", "conform loop_time; unit.shortage"},
    {"aio: a pending read does not hold up a write", "conform speaks_first, slow_reader"},
    {"errors of kqueue", "compile.kqueue: this system has none"},
    {NULL, NULL},
};

/* ---- where a call is made ---- */

#define BLOCKING "blocking fork threads threadpool"
#define CONNECTS                                                                                   \
    "blocking threads threadpool nonblocking select poll epoll epoll-et sigio "                    \
    "posix-aio io_uring"

static const struct {
    enum site site;
    const char *models; /* that make it */
    const char *others; /* why the others do not */
} made_by[] = {
    {SITE_connect, CONNECTS, "it has no outgoing connections"},
    {SITE_getsockopt, CONNECTS, "it has no outgoing connections"},
    {SITE_getpeername, CONNECTS, "it has no outgoing connections"},
    {SITE_epoll_create1, "epoll epoll-et", "it does not wait in epoll"},
    {SITE_epoll_add, "epoll epoll-et", "it does not wait in epoll"},
    {SITE_epoll_mod, "epoll", "edges are registered once and never changed; others have no epoll"},
    {SITE_epoll_del, "epoll epoll-et", "it does not wait in epoll"},
    {SITE_epoll_wait, "epoll epoll-et", "it does not wait in epoll"},
    {SITE_epoll_pwait2, "epoll epoll-et", "it does not wait in epoll"},
    {SITE_poll, "poll posix-aio sigio epoll-et nonblocking",
     "it does not wait in poll (it may at an end)"},
    {SITE_ppoll, BLOCKING " poll", "it does not wait in ppoll"},
    {SITE_pselect, "select", "it does not wait in select"},
    {SITE_io_uring_setup, "io_uring", "it has no ring"},
    {SITE_io_uring_enter, "io_uring", "it has no ring"},
    {SITE_ring_accept, "io_uring", "it has no ring"},
    {SITE_ring_recv, "io_uring", "it has no ring"},
    {SITE_ring_send, "io_uring", "it has no ring"},
    {SITE_ring_poll, "io_uring", "it has no ring"},
    {SITE_fork, "fork", "it makes no processes"},
    {SITE_waitpid, "fork", "it makes no processes"},
    {SITE_fcntl_signal, "sigio", "it asks for no signals"},
    {SITE_sigtimedwait, "sigio", "it asks for no signals"},
    {SITE_signal_overflow, "sigio", "it asks for no signals"},
    {SITE_signalfd, "sigio", "it asks for no signals"},
    {SITE_aio_read, "posix-aio", "it has no asynchronous requests"},
    {SITE_aio_write, "posix-aio", "it has no asynchronous requests"},
    {SITE_aio_suspend, "posix-aio", "it has no asynchronous requests"},
    {SITE_aio_error, "posix-aio", "it has no asynchronous requests"},
    {SITE_fcntl_dup, "posix-aio", "it needs one descriptor for a connection"},
    {SITE_clock_nanosleep, BLOCKING, "no thread of it sleeps for a paused connection"},
    {SITE_read, "nonblocking select poll epoll epoll-et sigio io_uring posix-aio " BLOCKING, ""},
};

static bool listed(const char *list, const char *model)
{
    size_t n = strlen(model);
    for (const char *at = list; (at = strstr(at, model)); at += n) {
        if ((at == list || at[-1] == ' ') && (at[n] == ' ' || !at[n]))
            return true;
    }
    return false;
}

const char *site_excused(enum site site, const char *model)
{
    for (size_t i = 0; i < sizeof(made_by) / sizeof(made_by[0]); i++) {
        if (made_by[i].site == site)
            return listed(made_by[i].models, model) ? NULL : made_by[i].others;
    }
    return NULL;
}

static bool ring_fails_on_request = true;

const char *row_excused(const struct row *r, const char *model)
{
    if ((r->flags & NOT_EDGE) && listed("epoll-et sigio", model))
        return "an edge promises that EAGAIN is the truth: the real one occurs in every run";
    if ((r->flags & NOT_RING) && listed("io_uring", model))
        return "it asks only after the ring has said that there is something, or nothing more";
    if (r->site >= SITE_ring_accept && !ring_fails_on_request)
        return "this kernel cannot make a request fail (IORING_NOP_INJECT_RESULT, Linux 6.11)";
    return NULL;
}

void catalogue_probe(void)
{
#if PLX_HAVE_LIBURING
    struct io_uring ring;
    struct io_uring_cqe *cqe = NULL;
    ring_fails_on_request = false;
    if (io_uring_queue_init(4, &ring, 0) < 0)
        return;
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
    io_uring_prep_nop(sqe);
    sqe->rw_flags = 1;
    sqe->len = (unsigned)-EXDEV;
    ring_fails_on_request = io_uring_submit_and_wait(&ring, 1) >= 0 &&
                            io_uring_peek_cqe(&ring, &cqe) == 0 && cqe->res == -EXDEV;
    io_uring_queue_exit(&ring);
#endif
}

const char *site_name(enum site s)
{
    static const char *const names[] = {
#define FAULTS_NAME(ret, name, to, params, args, fd, bytes) #name,
        PLX__SYS_ALL(FAULTS_NAME) "epoll_ctl(ADD)",
        "epoll_ctl(MOD)",
        "epoll_ctl(DEL)",
        "fcntl(F_DUPFD)",
        "fcntl(F_SETSIG)",
        "overflow of signals",
        "accept in the ring",
        "recv in the ring",
        "send in the ring",
        "poll in the ring",
    };
    return names[s];
}
