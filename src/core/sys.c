/* SPDX-License-Identifier: MIT */
/* The seam's state, and the system itself as a table. See sys.h. */
#include "core/sys.h"

_Atomic(const struct plx__sys *) plx__seam;

void plx__seam_set(const struct plx__sys *to)
{
    atomic_store_explicit(&plx__seam, to, memory_order_release);
}

ssize_t plx__seam_send_piece(int fd, const void *p, size_t n, int flags)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)p, .iov_len = n};
    return plx__sys_send(fd, &iov, 1, flags);
}

#define PLX__DIRECT(ret, name, to, params, args, fd, bytes)                                        \
    static ret system_##name params                                                                \
    {                                                                                              \
        return to args;                                                                            \
    }
PLX__SYS_ALL(PLX__DIRECT)

const struct plx__sys plx__system = {
#define PLX__ENTRY(ret, name, to, params, args, fd, bytes) .name = system_##name,
    PLX__SYS_ALL(PLX__ENTRY)};
