/* SPDX-License-Identifier: MIT */
/*
 * In the seam: the n-th call of a kind fails, once or from then on.
 *
 * A fault is honest: the system could answer so in the state that it then is in. So a close(2) that
 * fails has closed all the same, a descriptor that epoll does not know is taken out before, and an
 * asynchronous request is never called failed while it still runs.
 */
#include "faults.h"

#include <errno.h>
#include <string.h>

#if PLX_HAVE_LIBURING
#include <liburing.h>
#endif

int fault_at(enum site site)
{
    const struct plan *p = &shared->plan;
    if (!atomic_load(&shared->armed))
        return 0;
    unsigned n = atomic_fetch_add(&shared->calls[site], 1) + 1;
    if (site != p->site || p->nth == 0 || n < p->nth || (n > p->nth && !p->lasts))
        return 0;
    if (atomic_fetch_add(&shared->injected, 1) == 0)
        atomic_store(&shared->hit_start, !atomic_load(&shared->serving));
    return p->err;
}

/* ---- the plain way: the call is not made ---- */

#define FAILS_ERRNO(ret, name, to, params, args, fd, bytes)                                        \
    static ret fault_##name params                                                                 \
    {                                                                                              \
        int err = fault_at(SITE_##name);                                                           \
        if (!err)                                                                                  \
            return plx__system.name args;                                                          \
        errno = err;                                                                               \
        return -1;                                                                                 \
    }
#define FAILS_CODE(ret, name, to, params, args, fd, bytes)                                         \
    static ret fault_##name params                                                                 \
    {                                                                                              \
        int err = fault_at(SITE_##name);                                                           \
        return err ? err : plx__system.name args;                                                  \
    }
#define FAILS_NEGATIVE(ret, name, to, params, args, fd, bytes)                                     \
    static ret fault_##name params                                                                 \
    {                                                                                              \
        int err = fault_at(SITE_##name);                                                           \
        return err ? -err : plx__system.name args;                                                 \
    }
#define FAILS_MEMORY(ret, name, to, params, args, fd, bytes)                                       \
    static ret fault_##name params                                                                 \
    {                                                                                              \
        int err = fault_at(SITE_##name);                                                           \
        if (!err)                                                                                  \
            return track_##name args;                                                              \
        errno = err;                                                                               \
        return NULL;                                                                               \
    }
#define NEVER_FAILS(ret, name, to, params, args, fd, bytes)                                        \
    static ret fault_##name params                                                                 \
    {                                                                                              \
        return plx__system.name args;                                                              \
    }
PLX__SYS_ERRNO(FAILS_ERRNO)
PLX__SYS_CODE(FAILS_CODE)
PLX__SYS_STATUS(NEVER_FAILS)
PLX__SYS_NEGATIVE(FAILS_NEGATIVE)
PLX__SYS_MEMORY(FAILS_MEMORY)
PLX__SYS_SURE(NEVER_FAILS)

/* ---- where the state must agree with the answer ---- */

static int fails(int err)
{
    errno = err;
    return -1;
}

/* Done all the same: the descriptor is free whatever close(2) says. */
static int honest_close(int fd)
{
    int err = fault_at(SITE_close);
    int rc = plx__system.close(fd);
    return err ? fails(err) : rc;
}

static int honest_shutdown(int fd, int how)
{
    int err = fault_at(SITE_shutdown);
    int rc = plx__system.shutdown(fd, how);
    return err ? fails(err) : rc;
}

/* Interrupted, a connect goes on in the background. */
static int honest_connect(int fd, const struct sockaddr *a, socklen_t n)
{
    int err = fault_at(SITE_connect);
    if (err && err != EINTR)
        return fails(err);
    int rc = plx__system.connect(fd, a, n);
    return err ? fails(err) : rc;
}

/* A full pipe holds what is to be read: as good as written. */
static ssize_t honest_write(int fd, const void *p, size_t n)
{
    int err = fault_at(SITE_write);
    if (err && err != EAGAIN)
        return fails(err);
    ssize_t rc = plx__system.write(fd, p, n);
    return err ? fails(err) : rc;
}

static int honest_fcntl(int fd, int cmd, intptr_t arg)
{
    enum site site = cmd == F_DUPFD_CLOEXEC ? SITE_fcntl_dup
                     : cmd == F_SETSIG      ? SITE_fcntl_signal
                                            : SITE_fcntl;
    int err = fault_at(site);
    return err ? fails(err) : plx__system.fcntl(fd, cmd, arg);
}

static int honest_epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev)
{
    enum site site = op == EPOLL_CTL_ADD   ? SITE_epoll_add
                     : op == EPOLL_CTL_MOD ? SITE_epoll_mod
                                           : SITE_epoll_del;
    int err = fault_at(site);
    if (!err)
        return plx__system.epoll_ctl(epfd, op, fd, ev);
    if (err == EEXIST)
        (void)plx__system.epoll_ctl(epfd, EPOLL_CTL_ADD, fd, ev);
    else if (op != EPOLL_CTL_ADD)
        (void)plx__system.epoll_ctl(epfd, EPOLL_CTL_DEL, fd, ev);
    return fails(err);
}

/* Only of a request that is over: until then a helper thread writes into its memory. */
static int honest_aio_error(const struct aiocb *cb)
{
    int real = plx__system.aio_error(cb);
    int err = real == EINPROGRESS ? 0 : fault_at(SITE_aio_error);
    return err ? err : real;
}

/* A queue that overflowed says so with a plain SIGIO. */
static int honest_sigtimedwait(const sigset_t *set, siginfo_t *si, const struct timespec *ts)
{
    int err = fault_at(SITE_sigtimedwait);
    if (err)
        return fails(err);
    if (fault_at(SITE_signal_overflow)) {
        memset(si, 0, sizeof(*si));
        si->si_signo = SIGIO;
        return SIGIO;
    }
    return plx__system.sigtimedwait(set, si, ts);
}

/* A child of the library that crashed is a finding, whatever the library makes of it. */
static pid_t honest_waitpid(pid_t pid, int *status, int options)
{
    int err = fault_at(SITE_waitpid);
    if (err)
        return fails(err);
    pid_t rc = plx__system.waitpid(pid, status, options);
    if (rc > 0 && WIFSIGNALED(*status))
        atomic_store(&shared->crashed, true);
    return rc;
}

#if PLX_HAVE_LIBURING
#define NOP_INJECT_RESULT 1u /* IORING_NOP_INJECT_RESULT of Linux 6.11 */

/* The request becomes one that does nothing and completes with the error. */
static void prepared(struct io_uring_sqe *sqe)
{
    enum site site;
    switch (sqe->opcode) {
    case IORING_OP_ACCEPT: site = SITE_ring_accept; break;
    case IORING_OP_RECV: site = SITE_ring_recv; break;
    case IORING_OP_SEND: site = SITE_ring_send; break;
    case IORING_OP_POLL_ADD: site = SITE_ring_poll; break;
    default: return;
    }
    int err = fault_at(site);
    if (!err)
        return;
    uint64_t data = sqe->user_data;
    memset(sqe, 0, sizeof(*sqe));
    sqe->opcode = IORING_OP_NOP;
    sqe->fd = -1;
    sqe->user_data = data;
    sqe->rw_flags = (int)NOP_INJECT_RESULT;
    sqe->len = (unsigned)-err;
}
#endif

const struct plx__sys *inject_table(void)
{
    static struct plx__sys table = {
#define FAULTS_ENTRY(ret, name, to, params, args, fd, bytes) .name = fault_##name,
        PLX__SYS_ALL(FAULTS_ENTRY)
#undef FAULTS_ENTRY
    };
    table.close = honest_close;
    table.shutdown = honest_shutdown;
    table.connect = honest_connect;
    table.write = honest_write;
    table.fcntl = honest_fcntl;
    table.epoll_ctl = honest_epoll_ctl;
    table.aio_error = honest_aio_error;
    table.sigtimedwait = honest_sigtimedwait;
    table.waitpid = honest_waitpid;
#if PLX_HAVE_LIBURING
    table.prepared = prepared;
#endif
    return &table;
}
