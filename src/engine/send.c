/* SPDX-License-Identifier: MIT */
/* See send.h. A system call that does not wait costs less than a request and its completion. */
#include "engine/send.h"

#include "core/sys.h"

#include <errno.h>

#define IOV_MOST 16

void plx__send_now(struct plx_conn *c)
{
    while (plx__conn_want(c) & PLX__WANT_WRITE) {
        struct iovec iov[IOV_MOST];
        int pieces = plx__conn_outgoing(c, iov, IOV_MOST);
        size_t asked = 0;
        for (int i = 0; i < pieces; i++)
            asked += iov[i].iov_len;
        ssize_t n = plx__sys_send(c->fd, iov, pieces, MSG_NOSIGNAL | MSG_DONTWAIT);
        int err = n < 0 ? errno : 0;
        PLX__COUNT(c->loop, calls_send, 1);
        if (err == EINTR)
            continue;
        /* ENOBUFS: the interface's queue is full; it drains like a socket buffer (send(2)). */
        if (err == EAGAIN || err == ENOBUFS) {
            PLX__COUNT(c->loop, eagain, 1);
            return;
        }
        plx__conn_sent(c, err ? -err : n);
        if (err || (size_t)n < asked)
            return;
        if (c->flags & PLX__F_RESUME) /* a generator: others have their turn */
            return;
    }
}
