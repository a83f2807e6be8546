/* SPDX-License-Identifier: MIT */
/*
 * The two system calls that every message takes. In a process with several threads glibc's recv(3)
 * and send(3) are cancellation points, and to open and close each of them takes four locked
 * instructions per message (nptl/cancellation.c). Nobody cancels a thread of ours, so the calls are
 * made by number. A sanitizer must see them by name: what they write, and whom they synchronize.
 *
 * As recv(2) and send(2): bytes, or -1 with errno.
 */
#ifndef POLLUX_CORE_SYS_H
#define POLLUX_CORE_SYS_H

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#if defined(__linux__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#undef SYS_recvfrom
#endif
#endif

static inline ssize_t plx__sys_recv(int fd, void *p, size_t n, int flags)
{
#if defined(SYS_recvfrom) && defined(SYS_sendto) /* some systems have only socketcall(2) */
    return syscall(SYS_recvfrom, fd, p, n, flags, NULL, NULL);
#else
    return recv(fd, p, n, flags);
#endif
}

/* Several pieces take a sendmsg(2), whose description of them the kernel must copy in first. */
static inline ssize_t plx__sys_send(int fd, struct iovec *iov, int n, int flags)
{
    if (n != 1) {
        struct msghdr msg = {.msg_iov = iov, .msg_iovlen = (size_t)n};
        return sendmsg(fd, &msg, flags);
    }
#if defined(SYS_recvfrom) && defined(SYS_sendto)
    return syscall(SYS_sendto, fd, iov->iov_base, iov->iov_len, flags, NULL, 0);
#else
    return send(fd, iov->iov_base, iov->iov_len, flags);
#endif
}

#endif
