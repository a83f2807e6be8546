/* SPDX-License-Identifier: MIT */
/*
 * The limit of `io_uring`, first form: the ring only waits (one multishot poll for each connection,
 * multishot accept), and recv and send are plain calls on one hot buffer. That costs a system call
 * for each, and moves large messages through one buffer that stays in the cache, which a ring of
 * buffers does not; the other form is io_uring-recv.c.
 *
 * A multishot poll tells of changes only, so it is served as epoll-et is
 * (io_uring_prep_poll_multishot(3)). DEFER_TASKRUN with SINGLE_ISSUER: completions are made where
 * this thread waits, and do not interrupt it (io_uring_setup(2), Linux 6.1).
 */
#include "floor.h"

#include <liburing.h>
#include <poll.h>

#define ENTRIES     512
#define COMPLETIONS 8192
#define EDGES       (POLLIN | POLLOUT | POLLRDHUP)

/* user_data: the descriptor, above it the generation of its connection (a late completion must not
 * be taken for the next one's), and at the top what it is about. */
#define ACCEPT       (1ull << 63)
#define AGAIN        (1ull << 62) /* a connection that let others go first */
#define NOTHING      (1ull << 61)
#define PAUSE        (1ull << 60)
#define GENERATION   0xfffffffull
#define PAUSE_MILLIS 10

static struct io_uring ring;
static uint32_t *generations; /* by descriptor */
static int listener;

static struct io_uring_sqe *next(void)
{
    struct io_uring_sqe *sqe;

    while (!(sqe = io_uring_get_sqe(&ring)))
        io_uring_submit(&ring);
    return sqe;
}

static uint64_t data_of(int fd)
{
    return (generations[fd] & GENERATION) << 32 | (unsigned)fd;
}

static void ask_accept(void)
{
    struct io_uring_sqe *sqe = next();

    io_uring_prep_multishot_accept(sqe, listener, NULL, NULL, SOCK_NONBLOCK);
    sqe->user_data = ACCEPT;
}

static void ask_poll(int fd)
{
    struct io_uring_sqe *sqe = next();

    io_uring_prep_poll_multishot(sqe, fd, EDGES);
    sqe->user_data = data_of(fd);
}

/* The poll holds the socket: only when it is cancelled, too, the peer is told of the end. */
static void drop(int fd)
{
    struct io_uring_sqe *sqe = next();

    io_uring_prep_cancel64(sqe, data_of(fd), 0);
    sqe->user_data = NOTHING;
    generations[fd]++;
    floor_close(fd);
}

static void serve(int fd, unsigned events)
{
    enum floor_state s;

    if (events == POLLOUT && !floor_stalled(fd))
        return; /* each new connection can be written to, which nobody asked */
    s = floor_serve_edge(fd, (events & (POLLRDHUP | POLLHUP | POLLERR)) != 0);
    if (s == FLOOR_OVER) {
        drop(fd);
    } else if (s == FLOOR_MORE) {
        struct io_uring_sqe *sqe = next();

        io_uring_prep_nop(sqe);
        sqe->user_data = AGAIN | data_of(fd);
    }
}

static void on_accept(const struct io_uring_cqe *cqe)
{
    if (cqe->res >= 0)
        ask_poll(cqe->res);
    if (cqe->flags & IORING_CQE_F_MORE)
        return;
    if (cqe->res < 0 && floor_short_of(-cqe->res)) {
        static struct __kernel_timespec t = {.tv_nsec = PAUSE_MILLIS * 1000000};
        struct io_uring_sqe *sqe = next();

        io_uring_prep_timeout(sqe, &t, 0, 0);
        sqe->user_data = PAUSE;
    } else {
        ask_accept();
    }
}

static void on_poll(const struct io_uring_cqe *cqe)
{
    int fd = (int)(uint32_t)cqe->user_data;

    if ((cqe->user_data & ~AGAIN) != data_of(fd))
        return; /* of a connection that was dropped */
    if (cqe->user_data & AGAIN) {
        serve(fd, POLLIN | POLLRDHUP);
        return;
    }
    if (!(cqe->flags & IORING_CQE_F_MORE))
        ask_poll(fd); /* before serving it, which may drop it, and with it this */
    serve(fd, cqe->res < 0 ? POLLIN | POLLERR : (unsigned)cqe->res);
}

static void complete(const struct io_uring_cqe *cqe)
{
    if (cqe->user_data == ACCEPT)
        on_accept(cqe);
    else if (cqe->user_data == PAUSE)
        ask_accept();
    else if (cqe->user_data != NOTHING)
        on_poll(cqe);
}

int main(int argc, char **argv)
{
    struct io_uring_params p = {.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                                         IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE,
                                .cq_entries = COMPLETIONS};
    int rc;

    listener = floor_listen(argc, argv, "", 0);
    floor_make_rests();
    generations = calloc(FLOOR_DESCRIPTORS, sizeof *generations);
    rc = io_uring_queue_init_params(ENTRIES, &ring, &p);
    if (rc < 0 || !generations) {
        errno = -rc;
        floor_die("io_uring");
    }
    io_uring_register_ring_fd(&ring); /* where it is not known, it is not needed */
    ask_accept();
    for (;;) {
        struct io_uring_cqe *cqe;
        unsigned head, n = 0;

        io_uring_submit_and_wait(&ring, 1);
        io_uring_for_each_cqe(&ring, head, cqe)
        {
            complete(cqe);
            n++;
        }
        io_uring_cq_advance(&ring, n);
    }
}
