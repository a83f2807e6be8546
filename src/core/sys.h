/* SPDX-License-Identifier: MIT */
/*
 * The one seam between the library and the system: every call that the kernel, the C library's AIO
 * or the allocator may refuse goes through plx__sys_NAME().
 *
 * Usually nothing is there and the call is made where it stands, for the price of one branch that
 * is never taken (docs/performance.md). plx__seam_set() puts a table in between: the trace
 * (trace.c), faults and the network in memory (tests/). The lists below are the one place that
 * names the calls; the table, the wrappers and what stands in between are all made from them.
 *
 * Each entry: what it returns, its name, what is called in the end, parameters, arguments; and for
 * those who look on: the descriptor that it is about (-1 = none) and how many bytes it is asked
 * for.
 */
#ifndef POLLUX_CORE_SYS_H
#define POLLUX_CORE_SYS_H

#include <aio.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/epoll.h>
#include <sys/signalfd.h>
#endif

struct io_uring;
struct io_uring_params;
struct io_uring_sqe;

/*
 * recv(2) and send(2), which every message takes, without the C library in between. In a process
 * with several threads glibc's are cancellation points, and to open and close each of them takes
 * four locked instructions (nptl/cancellation.c); nobody cancels a thread of ours. And a process
 * for each connection finds none of its pages in the translation buffer when its turn comes, so
 * each page less is worth half a per cent of a message (docs/performance.md).
 *
 * How a call is made: syscall(2), "Architecture calling conventions". A sanitizer must see them by
 * name: what they write, and whom they synchronize.
 */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PLX__BY_NAME 1
#elif defined(__has_feature) /* clang */
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define PLX__BY_NAME 1
#endif
#endif

#if !defined(PLX__BY_NAME) && defined(__linux__) && defined(__x86_64__) && !defined(__ILP32__)
#include <sys/syscall.h>
static inline long plx__kernel(long number, long fd, const void *p, size_t n, long flags)
{
    register long flags_r10 __asm__("r10") = flags;
    register long addr_r8 __asm__("r8") = 0;
    register long length_r9 __asm__("r9") = 0;
    long rc;
    __asm__ volatile("syscall"
                     : "=a"(rc)
                     : "0"(number), "D"(fd), "S"(p), "d"(n), "r"(flags_r10), "r"(addr_r8),
                       "r"(length_r9)
                     : "rcx", "r11", "memory");
    return rc;
}
#define PLX__KERNEL 1
#elif !defined(PLX__BY_NAME) && defined(__linux__) && defined(__aarch64__)
#include <sys/syscall.h>
static inline long plx__kernel(long number, long fd, const void *p, size_t n, long flags)
{
    register long number_x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = fd;
    register long x1 __asm__("x1") = (long)p;
    register long x2 __asm__("x2") = (long)n;
    register long x3 __asm__("x3") = flags;
    register long x4 __asm__("x4") = 0;
    register long x5 __asm__("x5") = 0;
    __asm__ volatile("svc 0"
                     : "+r"(x0)
                     : "r"(number_x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                     : "memory");
    return x0;
}
#define PLX__KERNEL 1
#endif

#ifdef PLX__KERNEL
static inline ssize_t plx__as_libc(long rc)
{
    if (__builtin_expect(rc < 0, 0)) {
        errno = (int)-rc;
        return -1;
    }
    return rc;
}
#endif

static inline ssize_t plx__do_recv(int fd, void *p, size_t n, int flags)
{
#ifdef PLX__KERNEL
    return plx__as_libc(plx__kernel(SYS_recvfrom, fd, p, n, flags));
#else
    return recv(fd, p, n, flags);
#endif
}

static inline ssize_t plx__do_send_piece(int fd, const void *p, size_t n, int flags)
{
#ifdef PLX__KERNEL
    return plx__as_libc(plx__kernel(SYS_sendto, fd, p, n, flags));
#else
    return send(fd, p, n, flags);
#endif
}

/* Several pieces take a sendmsg(2), whose description of them the kernel must copy in first. */
static inline ssize_t plx__do_send(int fd, struct iovec *iov, int n, int flags)
{
    if (n == 1)
        return plx__do_send_piece(fd, iov->iov_base, iov->iov_len, flags);
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = (size_t)n};
    return sendmsg(fd, &msg, flags);
}

/* What every message passes through lies side by side, in few pages: the linker puts together what
 * is marked (ld's .text.hot). */
#define PLX__HOT __attribute__((hot))

static inline size_t plx__iov_bytes(const struct iovec *iov, int n)
{
    size_t bytes = 0;
    for (int i = 0; i < n; i++)
        bytes += iov[i].iov_len;
    return bytes;
}

/* The third argument of fcntl(2) is an int or a pointer. */
static inline int plx__do_fcntl(int fd, int cmd, intptr_t arg)
{
    return fcntl(fd, cmd, arg);
}

/* ---- the calls ---- */

/* -1 and errno. The first two are those that every message takes. */
#define PLX__SYS_ERRNO(CALL)                                                                       \
    CALL(ssize_t, recv, plx__do_recv, (int fd, void *p, size_t n, int flags), (fd, p, n, flags),   \
         fd, n)                                                                                    \
    CALL(ssize_t, send, plx__do_send, (int fd, struct iovec *iov, int n, int flags),               \
         (fd, iov, n, flags), fd, plx__iov_bytes(iov, n))                                          \
    CALL(ssize_t, read, read, (int fd, void *p, size_t n), (fd, p, n), fd, n)                      \
    CALL(ssize_t, write, write, (int fd, const void *p, size_t n), (fd, p, n), fd, n)              \
    CALL(int, socket, socket, (int family, int type, int protocol), (family, type, protocol), -1,  \
         0)                                                                                        \
    CALL(int, bind, bind, (int fd, const struct sockaddr *a, socklen_t n), (fd, a, n), fd, 0)      \
    CALL(int, listen, listen, (int fd, int backlog), (fd, backlog), fd, 0)                         \
    CALL(int, accept4, accept4, (int fd, struct sockaddr *a, socklen_t *n, int flags),             \
         (fd, a, n, flags), fd, 0)                                                                 \
    CALL(int, connect, connect, (int fd, const struct sockaddr *a, socklen_t n), (fd, a, n), fd,   \
         0)                                                                                        \
    CALL(int, shutdown, shutdown, (int fd, int how), (fd, how), fd, 0)                             \
    CALL(int, close, close, (int fd), (fd), fd, 0)                                                 \
    CALL(int, getsockname, getsockname, (int fd, struct sockaddr *a, socklen_t *n), (fd, a, n),    \
         fd, 0)                                                                                    \
    CALL(int, getpeername, getpeername, (int fd, struct sockaddr *a, socklen_t *n), (fd, a, n),    \
         fd, 0)                                                                                    \
    CALL(int, getsockopt, getsockopt, (int fd, int level, int name, void *p, socklen_t *n),        \
         (fd, level, name, p, n), fd, 0)                                                           \
    CALL(int, setsockopt, setsockopt, (int fd, int level, int name, const void *p, socklen_t n),   \
         (fd, level, name, p, n), fd, 0)                                                           \
    CALL(int, fcntl, plx__do_fcntl, (int fd, int cmd, intptr_t arg), (fd, cmd, arg), fd, 0)        \
    CALL(int, ioctl, ioctl, (int fd, unsigned long request, void *p), (fd, request, p), fd, 0)     \
    CALL(int, pipe2, pipe2, (int fds[2], int flags), (fds, flags), -1, 0)                          \
    CALL(int, poll, poll, (struct pollfd * p, nfds_t n, int ms), (p, n, ms), -1, n)                \
    CALL(int, ppoll, ppoll,                                                                        \
         (struct pollfd * p, nfds_t n, const struct timespec *ts, const sigset_t *mask),           \
         (p, n, ts, mask), -1, n)                                                                  \
    CALL(int, pselect, pselect,                                                                    \
         (int n, fd_set *in, fd_set *out, fd_set *other, const struct timespec *ts,                \
          const sigset_t *mask),                                                                   \
         (n, in, out, other, ts, mask), -1, n)                                                     \
    CALL(int, sigtimedwait, sigtimedwait,                                                          \
         (const sigset_t *set, siginfo_t *si, const struct timespec *ts), (set, si, ts), -1, 1)    \
    CALL(pid_t, fork, fork, (void), (), -1, 0)                                                     \
    CALL(pid_t, waitpid, waitpid, (pid_t pid, int *status, int options), (pid, status, options),   \
         -1, 0)                                                                                    \
    CALL(int, aio_read, aio_read, (struct aiocb * cb), (cb), cb->aio_fildes, cb->aio_nbytes)       \
    CALL(int, aio_write, aio_write, (struct aiocb * cb), (cb), cb->aio_fildes, cb->aio_nbytes)     \
    CALL(int, aio_suspend, aio_suspend,                                                            \
         (const struct aiocb *const list[], int n, const struct timespec *ts), (list, n, ts), -1,  \
         n)                                                                                        \
    PLX__SYS_LINUX(CALL)

#if defined(__linux__)
int plx__do_epoll_pwait2(int fd, struct epoll_event *ev, int n, const struct timespec *ts);
#define PLX__SYS_LINUX(CALL)                                                                       \
    CALL(int, epoll_create1, epoll_create1, (int flags), (flags), -1, 0)                           \
    CALL(int, epoll_ctl, epoll_ctl, (int epfd, int op, int fd, struct epoll_event *ev),            \
         (epfd, op, fd, ev), fd, 0)                                                                \
    CALL(int, epoll_wait, epoll_wait, (int epfd, struct epoll_event *ev, int n, int ms),           \
         (epfd, ev, n, ms), -1, n)                                                                 \
    CALL(int, epoll_pwait2, plx__do_epoll_pwait2,                                                  \
         (int epfd, struct epoll_event *ev, int n, const struct timespec *ts), (epfd, ev, n, ts),  \
         -1, n)                                                                                    \
    CALL(int, signalfd, signalfd, (int fd, const sigset_t *set, int flags), (fd, set, flags), fd, 0)
#else
#define PLX__SYS_LINUX(CALL)
#endif

/* The error itself, positive; 0 = done. */
#define PLX__SYS_CODE(CALL)                                                                        \
    CALL(int, pthread_create, pthread_create,                                                      \
         (pthread_t * thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg),         \
         (thread, attr, fn, arg), -1, 0)                                                           \
    CALL(int, clock_nanosleep, clock_nanosleep,                                                    \
         (clockid_t clock, int flags, const struct timespec *ts, struct timespec *left),           \
         (clock, flags, ts, left), -1, 0)

/* The same of a function that asks nobody: it reads what the C library wrote. */
#define PLX__SYS_STATUS(CALL)                                                                      \
    CALL(int, aio_error, aio_error, (const struct aiocb *cb), (cb), cb->aio_fildes, 0)

/* -errno. What of liburing the library calls; io_uring_enter(2) with and without a wait is one. */
#if PLX_HAVE_LIBURING
int plx__do_uring_setup(unsigned entries, struct io_uring *, struct io_uring_params *);
int plx__do_uring_enter(struct io_uring *, bool wait, const struct timespec *timeout);
#define PLX__SYS_NEGATIVE(CALL)                                                                    \
    CALL(int, io_uring_setup, plx__do_uring_setup,                                                 \
         (unsigned n, struct io_uring *ring, struct io_uring_params *p), (n, ring, p), -1, n)      \
    CALL(int, io_uring_enter, plx__do_uring_enter,                                                 \
         (struct io_uring * ring, bool wait, const struct timespec *ts), (ring, wait, ts), -1, 0)
#else
#define PLX__SYS_NEGATIVE(CALL)
#endif

/* NULL and ENOMEM. */
#define PLX__SYS_MEMORY(CALL)                                                                      \
    CALL(void *, malloc, malloc, (size_t n), (n), -1, n)                                           \
    CALL(void *, calloc, calloc, (size_t n, size_t size), (n, size), -1, (n)*size)                 \
    CALL(void *, realloc, realloc, (void *p, size_t n), (p, n), -1, n)

/* Cannot fail. */
#define PLX__SYS_SURE(CALL)                                                                        \
    CALL(int, clock_gettime, clock_gettime, (clockid_t clock, struct timespec * ts), (clock, ts),  \
         -1, 0)

#define PLX__SYS_ALL(CALL)                                                                         \
    PLX__SYS_ERRNO(CALL)                                                                           \
    PLX__SYS_CODE(CALL)                                                                            \
    PLX__SYS_STATUS(CALL) PLX__SYS_NEGATIVE(CALL) PLX__SYS_MEMORY(CALL) PLX__SYS_SURE(CALL)

/* ---- the table and the wrappers ---- */

struct plx__sys {
/* Parameters come in parentheses of their own. NOLINTNEXTLINE(bugprone-macro-parentheses) */
#define PLX__MEMBER(ret, name, to, params, args, fd, bytes) ret(*name) params;
    PLX__SYS_ALL(PLX__MEMBER)
#undef PLX__MEMBER
    /* A request that is about to be handed to the ring; may be changed into another. NULL = none.
     */
    void (*prepared)(struct io_uring_sqe *);
};

/* What is in between, or NULL; and the system itself, for those who pass calls on. */
extern _Atomic(const struct plx__sys *) plx__seam;
extern const struct plx__sys plx__system;

/* Before any other thread uses the library, or where what was and what is agree with each other. */
void plx__seam_set(const struct plx__sys *);

static inline const struct plx__sys *plx__seam_get(void)
{
    return atomic_load_explicit(&plx__seam, memory_order_acquire);
}

#define PLX__WRAPPER(ret, name, to, params, args, fd, bytes)                                       \
    static inline ret plx__sys_##name params                                                       \
    {                                                                                              \
        const struct plx__sys *seam = plx__seam_get();                                             \
        return __builtin_expect(seam != NULL, 0) ? seam->name args : to args;                      \
    }
PLX__SYS_ALL(PLX__WRAPPER)
#undef PLX__WRAPPER

/* plx__sys_send() of one piece, which then needs no description in memory. */
ssize_t plx__seam_send_piece(int fd, const void *p, size_t n, int flags);
static inline ssize_t plx__sys_send_piece(int fd, const void *p, size_t n, int flags)
{
    return __builtin_expect(plx__seam_get() != NULL, 0) ? plx__seam_send_piece(fd, p, n, flags)
                                                        : plx__do_send_piece(fd, p, n, flags);
}

static inline void plx__sys_prepared(struct io_uring_sqe *sqe)
{
    const struct plx__sys *seam = plx__seam_get();
    if (__builtin_expect(seam != NULL, 0) && seam->prepared)
        seam->prepared(sqe);
}

#endif
