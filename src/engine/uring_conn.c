/* SPDX-License-Identifier: MIT */
/* The io_uring engine's connections: how each receives, sends and ends. The states of a receive are
 * drawn in uring.c. */
#if PLX_HAVE_LIBURING

#include "engine/send.h"
#include "engine/uring.h"

#include <errno.h>
#include <poll.h>

/* IORING_CQE_F_BUF_MORE (Linux 6.12), which liburing 2.3's headers lack: the buffer goes on. */
#define CQE_F_BUF_MORE (1u << 4)
#define DRAIN_BUDGET   16 /* receives in a row for one connection that drains */
#define READ_BUDGET    4  /* ... that is polled */
/* What one receive brings is large or small, and so often in a row before the way is changed: to
 * change it costs a cancellation. Between the two nothing changes. */
#define LARGE  8192
#define SMALL  2048
#define STREAK 8

static uint64_t plx__ring_conn_data(enum plx__ring_op kind, const struct plx_conn *c)
{
    return (uint64_t)kind << 56 | (uint64_t)(c->generation & 0xffffffu) << 32 | c->slot;
}

/* ---- receiving and sending ---- */

static void arm_receive(struct plx_loop *l, struct plx_conn *c)
{
    struct plx__ring *r = l->state;
    struct io_uring_sqe *sqe = plx__ring_sqe(l);
    if (c->eng.ring.by_poll) {
        /* POLLRDHUP: an end behind the bytes makes no second event. */
        io_uring_prep_poll_multishot(sqe, c->fd, POLLIN | POLLRDHUP);
        plx__ring_hand_over(sqe, plx__ring_conn_data(PLX__RING_RECV, c));
        c->eng.ring.receiving = PLX__RING_POLLED;
        return;
    }
    if (r->multishot)
        io_uring_prep_recv_multishot(sqe, c->fd, NULL, 0, 0);
    else
        io_uring_prep_recv(sqe, c->fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = PLX__RING_GROUP;
    plx__ring_hand_over(sqe, plx__ring_conn_data(PLX__RING_RECV, c));
    c->eng.ring.receiving = r->multishot ? PLX__RING_MULTISHOT : 1;
}

static void cancel_receive(struct plx_loop *l, struct plx_conn *c)
{
    if (!c->eng.ring.receiving || c->eng.ring.cancelling)
        return;
    c->eng.ring.cancelling = 1;
    plx__ring_cancel(l, plx__ring_conn_data(PLX__RING_RECV, c));
}

/* Large input goes another way than small. */
static void note_size(struct plx_loop *l, struct plx_conn *c, size_t n)
{
    bool other = c->eng.ring.by_poll ? n < SMALL : n >= LARGE;
    c->eng.ring.streak = (uint8_t)(other ? c->eng.ring.streak + 1 : 0);
    if (c->eng.ring.streak < STREAK)
        return;
    c->eng.ring.streak = 0;
    c->eng.ring.by_poll = !c->eng.ring.by_poll;
    cancel_receive(l, c); /* armed again, the other way, once that is back */
}

static void send_now(struct plx_conn *c)
{
    if (!c->eng.ring.sending)
        plx__send_now(c);
}

/* The rest goes through the ring, a chunk at a time: the queue's front stays in place. */
static void submit_send(struct plx_loop *l, struct plx_conn *c)
{
    struct iovec iov;
    if (plx__conn_outgoing(c, &iov, 1) != 1)
        return;
    struct io_uring_sqe *sqe = plx__ring_sqe(l);
    io_uring_prep_send(sqe, c->fd, iov.iov_base, iov.iov_len, MSG_NOSIGNAL);
    plx__ring_hand_over(sqe, plx__ring_conn_data(PLX__RING_SEND, c));
    c->eng.ring.sending = 1;
    plx__conn_stalled(c);
}

/* One plain receive, without waiting. False: there was nothing. `*full`: there may be more. */
static bool receive_now(struct plx_loop *l, struct plx_conn *c, bool *full)
{
    ssize_t n = plx__sys_recv(c->fd, l->inbuf, PLX__INBUF, MSG_DONTWAIT);
    int err = n < 0 ? errno : 0;
    PLX__COUNT(l, calls_recv, 1);
    *full = n == PLX__INBUF || err == EINTR;
    if (err == EAGAIN) {
        PLX__COUNT(l, eagain, 1);
        return false;
    }
    if (err != EINTR) {
        if (n > 0 && c->eng.ring.by_poll)
            note_size(l, c, (size_t)n);
        plx__conn_received(c, l->inbuf, err ? -err : n);
        send_now(c);
        plx__conn_release(c);
    }
    return true;
}

/* A draining connection: what has arrived is taken without waiting, then it is quiet. */
static void receive_rest(struct plx_loop *l, struct plx_conn *c)
{
    bool full;
    for (int i = 0; i < DRAIN_BUDGET; i++) {
        if (c->phase != PLX__OPEN || !(plx__conn_want(c) & PLX__WANT_READ))
            return;
        if (!receive_now(l, c, &full)) {
            plx__conn_quiet(c);
            return;
        }
    }
    plx__conn_dirty(c); /* others have their turn */
}

void plx__ring_glance(struct plx_loop *l, struct plx_conn *c)
{
    bool full;
    if (!c->eng.ring.receiving) /* else the order of the bytes would be lost */
        (void)receive_now(l, c, &full);
}

static void retire_when_done(struct plx_loop *l, struct plx_conn *c)
{
    cancel_receive(l, c);
    if (c->eng.ring.sending == 1) {
        plx__ring_cancel(l, plx__ring_conn_data(PLX__RING_SEND, c));
        c->eng.ring.sending = 2; /* asked once is enough */
    }
    if (c->eng.ring.polling == 1) {
        plx__ring_cancel(l, plx__ring_conn_data(PLX__RING_CONNECT, c));
        c->eng.ring.polling = 2;
    }
    if (!c->eng.ring.receiving && !c->eng.ring.sending && !c->eng.ring.polling)
        plx__conn_retire(c);
}

void plx__ring_settle(struct plx_loop *l, struct plx_conn *c)
{
    if (plx__conn_want(c) == PLX__WANT_READ && c->eng.ring.receiving &&
        !(c->flags & PLX__F_DRAINING))
        return; /* the usual end of a completion */
    bool draining = (c->flags & PLX__F_DRAINING) && c->phase == PLX__OPEN;
    if (draining && c->eng.ring.receiving)
        cancel_receive(l, c);
    else if (draining)
        receive_rest(l, c);
    send_now(c);
    unsigned want = plx__conn_want(c);
    if ((want & PLX__WANT_WRITE) && !c->eng.ring.sending)
        submit_send(l, c);
    if ((want & PLX__WANT_FIN) && !c->eng.ring.sending) {
        (void)plx__sys_shutdown(c->fd, SHUT_WR);
        PLX__COUNT(l, calls_other, 1);
        plx__conn_fin_sent(c);
        want = plx__conn_want(c);
    }
    if (want & PLX__WANT_RETIRE) {
        retire_when_done(l, c);
        return;
    }
    if ((want & PLX__WANT_CONNECT) && !c->eng.ring.polling) {
        struct io_uring_sqe *sqe = plx__ring_sqe(l);
        io_uring_prep_poll_add(sqe, c->fd, POLLOUT);
        plx__ring_hand_over(sqe, plx__ring_conn_data(PLX__RING_CONNECT, c));
        c->eng.ring.polling = 1;
    }
    if (!(want & PLX__WANT_READ))
        cancel_receive(l, c);
    else if (!c->eng.ring.receiving && !(c->flags & PLX__F_DIRTY))
        arm_receive(l, c);
}

int plx__ring_adopt(struct plx_loop *l, const struct plx__socket *s, struct plx_conn **out)
{
    struct plx_conn *c = plx__conn_new(l, s);
    if (!c)
        return -ENOMEM;
    plx__conn_opened(c);
    plx__ring_settle(l, c);
    if (out)
        *out = c;
    return 0;
}

/* ---- completions ---- */

void plx__ring_take_data(struct plx_loop *l, struct plx_conn *c, const struct io_uring_cqe *cqe)
{
    struct plx__ring *r = l->state;
    unsigned id = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
    if (c) {
        note_size(l, c, (size_t)cqe->res);
        plx__conn_received(c, r->memory + (size_t)id * r->buf_size + r->filled[id], cqe->res);
        send_now(c);
        plx__conn_release(c);
    }
    r->filled[id] += (uint32_t)cqe->res;
    if (!(cqe->flags & CQE_F_BUF_MORE))
        plx__ring_give(r, id);
}

/* Somebody's multishot has taken all the buffers. It is armed again at the end of the turn, when
 * they are back; but then the same one may be first again. So that none starves, each who went
 * without gets one plain receive. */
static void without_buffers(struct plx_loop *l, struct plx_conn *c)
{
    bool full;
    if (!c->eng.ring.receiving && (plx__conn_want(c) & PLX__WANT_READ))
        (void)receive_now(l, c, &full);
    plx__conn_dirty(c);
}

/* The poll tells of changes: all there is must be read. A short receive has done that, unless the
 * peer's end or an error comes behind it (epoll(7) says so of edges, and these are the same). */
static void on_readable(struct plx_loop *l, struct plx_conn *c, int mask)
{
    bool last = mask & (POLLRDHUP | POLLHUP | POLLERR), full = true;
    for (int i = 0; i < READ_BUDGET; i++) {
        if (!(plx__conn_want(c) & PLX__WANT_READ) || !(full || last) || !receive_now(l, c, &full))
            return;
    }
    if (full || last)
        cancel_receive(l, c); /* others have their turn; armed again it tells at once */
}

void plx__ring_received(struct plx_loop *l, struct plx_conn *c, const struct io_uring_cqe *cqe)
{
    struct plx__ring *r = l->state;
    bool polled = c->eng.ring.receiving == PLX__RING_POLLED;
    bool multishot = c->eng.ring.receiving == PLX__RING_MULTISHOT;
    if (!(cqe->flags & IORING_CQE_F_MORE)) {
        c->eng.ring.receiving = 0;
        c->eng.ring.cancelling = 0;
    }
    if (cqe->res <= 0 &&
        (cqe->flags & (IORING_CQE_F_BUFFER | CQE_F_BUF_MORE)) == IORING_CQE_F_BUFFER)
        plx__ring_give(r, cqe->flags >> IORING_CQE_BUFFER_SHIFT); /* taken and not used */
    if (cqe->res >= 0 && polled)
        on_readable(l, c, cqe->res);
    else if (cqe->res > 0)
        plx__ring_take_data(l, c, cqe);
    else if (cqe->res == 0)
        plx__conn_received(c, NULL, 0);
    else if (cqe->res == -ENOBUFS)
        without_buffers(l, c);
    else if (cqe->res == -EINVAL && multishot)
        r->multishot = false; /* Linux before 6.0: one receive at a time */
    else if (cqe->res != -ECANCELED && cqe->res != -EINTR && cqe->res != -EAGAIN)
        plx__conn_received(c, NULL, cqe->res);
    plx__ring_settle(l, c);
}

void plx__ring_sent(struct plx_loop *l, struct plx_conn *c, int res)
{
    c->eng.ring.sending = 0;
    if (res >= 0)
        plx__conn_sent(c, res);
    else if (res != -ECANCELED && res != -EINTR && res != -EAGAIN && res != -ENOBUFS)
        plx__conn_sent(c, res);
    plx__ring_settle(l, c);
}

void plx__ring_connected(struct plx_loop *l, struct plx_conn *c)
{
    c->eng.ring.polling = 0;
    int err = plx__socket_connected(c->fd);
    PLX__COUNT(l, calls_other, 2);
    /* From here on the kernel waits: O_NONBLOCK would make a receive in the ring answer EAGAIN. */
    if (!err)
        err = -plx__socket_blocking(c->fd, true);
    if (err != EINPROGRESS)
        plx__conn_connected(c, err);
    plx__ring_settle(l, c);
}

#else
/* ISO C wants something in every translation unit. */
typedef int plx__no_liburing_connections;
#endif
