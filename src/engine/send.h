/* SPDX-License-Identifier: MIT */
/* What the engines share: writing from wherever the bytes lie. */
#ifndef POLLUX_ENGINE_SEND_H
#define POLLUX_ENGINE_SEND_H

#include "core/flow.h"

/* What one send(2) was asked for, and took: -1 with errno. */
struct plx__sending {
    size_t asked;
    ssize_t took;
};

struct plx__sending plx__send_queue(struct plx_conn *, int flags);

/* One send(2) of what is outgoing, some of it at least. */
static inline struct plx__sending plx__send_once(struct plx_conn *c, int flags)
{
    PLX__COUNT(c->loop, calls_send, 1);
    if (__builtin_expect(c->out.head != NULL, 0))
        return plx__send_queue(c, flags);
    struct iovec loan = plx__conn_loan(c);
    return (struct plx__sending){
        .asked = loan.iov_len,
        .took = plx__sys_send_piece(c->fd, loan.iov_base, loan.iov_len, flags)};
}

static inline bool plx__sent_whole(struct plx__sending s)
{
    return __builtin_expect(s.took >= 0 && (size_t)s.took == s.asked, 1);
}

/* For the completion engines, in front of a request to write: writes what the socket takes without
 * waiting. Not while such a request is in flight. What is left over is still wanted
 * (PLX__WANT_WRITE). A system call that does not wait costs less than a request and its
 * completion. */
void plx__send_rest(struct plx_conn *);
static inline void plx__send_now(struct plx_conn *c)
{
    if (plx__conn_want(c) & PLX__WANT_WRITE)
        plx__send_rest(c);
}

#endif
