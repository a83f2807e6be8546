/* SPDX-License-Identifier: MIT */
/* See send.h. */
#include "engine/send.h"

#include <errno.h>

#define IOV_MOST 16

struct plx__sending plx__send_queue(struct plx_conn *c, int flags)
{
    struct iovec iov[IOV_MOST];
    int pieces = plx__conn_outgoing(c, iov, IOV_MOST);
    return (struct plx__sending){.asked = plx__iov_bytes(iov, pieces),
                                 .took = plx__sys_send(c->fd, iov, pieces, flags)};
}

void plx__send_rest(struct plx_conn *c)
{
    do {
        struct plx__sending s = plx__send_once(c, MSG_NOSIGNAL | MSG_DONTWAIT);
        int err = s.took < 0 ? errno : 0;
        if (err == EINTR)
            continue;
        /* ENOBUFS: the interface's queue is full; it drains like a socket buffer (send(2)). */
        if (err == EAGAIN || err == ENOBUFS) {
            PLX__COUNT(c->loop, eagain, 1);
            return;
        }
        plx__conn_sent(c, err ? -err : s.took);
        if (!plx__sent_whole(s))
            return;
        if (c->flags & PLX__F_RESUME) /* a generator: others have their turn */
            return;
    } while (plx__conn_want(c) & PLX__WANT_WRITE);
}
