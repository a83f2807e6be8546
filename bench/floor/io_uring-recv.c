/* SPDX-License-Identifier: MIT */
/*
 * The limit of `io_uring`, second form: the ring does everything, so that a message costs a small
 * part of a system call. Multishot accept into direct descriptors, multishot receive into provided
 * buffers that the kernel fills bit by bit (io_uring_setup_buf_ring(3): IOU_PBUF_RING_INC, Linux
 * 6.12; without it each receive takes a whole, smaller one), sends from where the bytes landed.
 *
 *     received --> queue of segments --send, does not wait--> buffer given back
 *                                    \--not taken--> copied to a heap block --send that waits-->
 *
 * So a peer that does not read holds none of the buffers that all share, and is not read meanwhile.
 * One send at a time for each connection: two in a row could swap bytes when the first is short.
 * The end of the input is acted on when everything before it has been sent.
 */
#include "floor.h"

#include <liburing.h>
#include <stddef.h>

#define ENTRIES     512
#define COMPLETIONS 8192
#define GROUP       1
#define BUFFERS     16u /* few and large: they stay in the cache */
#define SMALL       64u /* how many where each receive takes a whole one */
#define MEMORY      (1u << 20)

/* What liburing 2.3's headers lack. */
#define PBUF_RING_INC  2u
#define CQE_F_BUF_MORE (1u << 4) /* the kernel goes on filling this buffer */

enum kind { ACCEPT = 1, PAUSE, RECEIVE, SEND, NOTHING };

struct segment {
    struct segment *next;
    char *block; /* its own memory; NULL: the bytes are in a buffer of the ring */
    char *at;
    size_t size;
    uint32_t buffer;
};

struct connection {
    struct segment *first, *last; /* what is to be sent; the first may be on its way */
    unsigned char receiving, cancelling, sending;
    unsigned char stalled; /* the socket took less than it was given, and has not yet caught up */
    unsigned char ended;   /* nothing more will be received */
};

static struct io_uring ring;
static struct io_uring_buf_ring *given;
static char *memory;
static unsigned buffers = BUFFERS;
static uint32_t filled[SMALL], users[SMALL]; /* of each buffer: bytes, segments */
static unsigned char whole[SMALL];           /* the kernel is done with it */
static struct connection *all;               /* by direct descriptor */
static struct segment *unused;
static int listener;

/* ---- asking ---- */

static struct io_uring_sqe *next_entry(void)
{
    struct io_uring_sqe *sqe;

    while (!(sqe = io_uring_get_sqe(&ring)))
        io_uring_submit(&ring);
    return sqe;
}

static uint64_t data_of(enum kind kind, uint32_t slot)
{
    return (uint64_t)kind << 32 | slot;
}

static void ask_accept(void)
{
    struct io_uring_sqe *sqe = next_entry();

    io_uring_prep_multishot_accept_direct(sqe, listener, NULL, NULL, 0);
    sqe->user_data = data_of(ACCEPT, 0);
}

static void ask_pause(void)
{
    static struct __kernel_timespec t = {.tv_nsec = 10000000};
    struct io_uring_sqe *sqe = next_entry();

    io_uring_prep_timeout(sqe, &t, 0, 0);
    sqe->user_data = data_of(PAUSE, 0);
}

static void ask_receive(uint32_t slot)
{
    struct io_uring_sqe *sqe = next_entry();

    io_uring_prep_recv_multishot(sqe, (int)slot, NULL, 0, 0);
    sqe->flags |= IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT;
    sqe->buf_group = GROUP;
    sqe->user_data = data_of(RECEIVE, slot);
    all[slot].receiving = 1;
}

static void ask_no_more(uint32_t slot)
{
    struct io_uring_sqe *sqe;

    if (!all[slot].receiving || all[slot].cancelling)
        return;
    sqe = next_entry();
    io_uring_prep_cancel64(sqe, data_of(RECEIVE, slot), 0);
    sqe->user_data = data_of(NOTHING, 0);
    all[slot].cancelling = 1;
}

static void ask_send(uint32_t slot, const char *at, size_t n, int flags)
{
    struct io_uring_sqe *sqe = next_entry();

    io_uring_prep_send(sqe, (int)slot, at, n, flags | MSG_NOSIGNAL);
    sqe->flags |= IOSQE_FIXED_FILE;
    sqe->user_data = data_of(SEND, slot);
    all[slot].sending = 1;
}

static void ask_close(uint32_t slot)
{
    struct io_uring_sqe *sqe = next_entry();

    io_uring_prep_close_direct(sqe, slot);
    sqe->user_data = data_of(NOTHING, 0);
}

/* ---- buffers ---- */

static void give(uint32_t buffer)
{
    unsigned size = MEMORY / buffers;

    filled[buffer] = 0;
    whole[buffer] = 0;
    io_uring_buf_ring_add(given, memory + (size_t)buffer * size, size, (unsigned short)buffer,
                          io_uring_buf_ring_mask(buffers), 0);
    io_uring_buf_ring_advance(given, 1);
}

static void give_if_unused(uint32_t buffer)
{
    if (whole[buffer] && users[buffer] == 0)
        give(buffer);
}

static int register_buffers(int incremental)
{
    struct io_uring_buf_reg r = {
        .ring_addr = (uint64_t)(uintptr_t)given, .ring_entries = buffers, .bgid = GROUP};
    uint16_t flags = incremental ? PBUF_RING_INC : 0;

    /* The field `flags`, which liburing 2.3 still calls `pad`. */
    memcpy((char *)&r + offsetof(struct io_uring_buf_reg, bgid) + sizeof r.bgid, &flags,
           sizeof flags);
    return io_uring_register_buf_ring(&ring, &r, 0);
}

static void make_buffers(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *entries = NULL, *bytes = NULL;
    int rc;

    if (posix_memalign(&entries, page, SMALL * sizeof(struct io_uring_buf)) != 0 ||
        posix_memalign(&bytes, page, MEMORY) != 0)
        floor_die("posix_memalign");
    given = entries;
    memory = bytes;
    rc = register_buffers(1);
    if (rc == -EINVAL) {
        buffers = SMALL;
        rc = register_buffers(0);
    }
    if (rc < 0) {
        errno = -rc;
        floor_die("io_uring_register_buf_ring");
    }
    io_uring_buf_ring_init(given);
    for (uint32_t i = 0; i < buffers; i++)
        give(i);
}

/* ---- what is to be sent ---- */

static struct segment *new_segment(void)
{
    struct segment *s = unused;

    if (s)
        unused = s->next;
    else if (!(s = malloc(sizeof *s)))
        floor_die("malloc");
    return s;
}

/* Moves its bytes to memory of its own, and gives the buffer back. */
static void copy_out(struct segment *s)
{
    s->block = malloc(s->size);
    if (!s->block)
        floor_die("malloc");
    memcpy(s->block, s->at, s->size);
    s->at = s->block;
    users[s->buffer]--;
    give_if_unused(s->buffer);
}

static void drop_first(struct connection *c)
{
    struct segment *s = c->first;

    c->first = s->next;
    if (s->block) {
        free(s->block);
    } else {
        users[s->buffer]--;
        give_if_unused(s->buffer);
    }
    s->next = unused;
    unused = s;
}

/* What continues the last segment goes with it in one send. */
static void add(struct connection *c, uint32_t buffer, char *at, size_t n)
{
    struct segment *s = c->last;

    if (c->first && !s->block && s->buffer == buffer && s->at + s->size == at &&
        !(c->sending && c->first == s)) {
        s->size += n;
        return;
    }
    s = new_segment();
    *s = (struct segment){.at = at, .size = n, .buffer = buffer};
    if (c->first)
        c->last->next = s;
    else
        c->first = s;
    c->last = s;
    users[buffer]++;
    if (c->stalled)
        copy_out(s);
}

/* ---- completions ---- */

/* Asks for what the connection can do now. */
static void settle(uint32_t slot)
{
    struct connection *c = &all[slot];

    if (c->sending)
        return;
    if (c->first) {
        ask_send(slot, c->first->at, c->first->size, c->stalled ? MSG_WAITALL : MSG_DONTWAIT);
        return;
    }
    c->stalled = 0;
    if (!c->ended && !c->receiving)
        ask_receive(slot);
    else if (c->ended && !c->receiving)
        ask_close(slot);
    else if (c->ended)
        ask_no_more(slot);
}

static void on_accept(const struct io_uring_cqe *cqe)
{
    if (cqe->res >= 0) {
        memset(&all[cqe->res], 0, sizeof *all);
        ask_receive((uint32_t)cqe->res);
    }
    if (cqe->flags & IORING_CQE_F_MORE)
        return;
    if (cqe->res < 0 && floor_short_of(-cqe->res))
        ask_pause();
    else
        ask_accept();
}

static void on_receive(const struct io_uring_cqe *cqe, uint32_t slot)
{
    struct connection *c = &all[slot];
    uint32_t buffer = cqe->flags >> IORING_CQE_BUFFER_SHIFT;

    if (!(cqe->flags & IORING_CQE_F_MORE))
        c->receiving = c->cancelling = 0;
    if (cqe->res > 0) {
        add(c, buffer, memory + (size_t)buffer * (MEMORY / buffers) + filled[buffer],
            (size_t)cqe->res);
        filled[buffer] += (uint32_t)cqe->res;
    }
    if ((cqe->flags & IORING_CQE_F_BUFFER) && !(cqe->flags & CQE_F_BUF_MORE)) {
        whole[buffer] = 1;
        give_if_unused(buffer);
    }
    /* ENOBUFS is normal: they are all on their way out, and back at the next turn. */
    if (cqe->res == 0 || (cqe->res < 0 && cqe->res != -ENOBUFS && cqe->res != -ECANCELED &&
                          cqe->res != -EINTR && cqe->res != -EAGAIN))
        c->ended = 1;
    settle(slot);
}

static void stall(uint32_t slot)
{
    struct connection *c = &all[slot];

    c->stalled = 1;
    for (struct segment *s = c->first; s; s = s->next) {
        if (!s->block)
            copy_out(s);
    }
    ask_no_more(slot);
}

static void on_send(const struct io_uring_cqe *cqe, uint32_t slot)
{
    struct connection *c = &all[slot];
    struct segment *s = c->first;

    c->sending = 0;
    if (cqe->res < 0 && cqe->res != -EAGAIN && cqe->res != -EINTR) {
        c->ended = 1;
        while (c->first)
            drop_first(c);
    } else if (cqe->res >= 0 && (size_t)cqe->res == s->size) {
        drop_first(c);
    } else {
        s->at += cqe->res > 0 ? cqe->res : 0;
        s->size -= cqe->res > 0 ? (size_t)cqe->res : 0;
        stall(slot);
    }
    settle(slot);
}

static void complete(const struct io_uring_cqe *cqe)
{
    uint32_t slot = (uint32_t)cqe->user_data;

    switch ((enum kind)(cqe->user_data >> 32)) {
    case ACCEPT: on_accept(cqe); break;
    case PAUSE: ask_accept(); break;
    case RECEIVE: on_receive(cqe, slot); break;
    case SEND: on_send(cqe, slot); break;
    case NOTHING: break;
    }
}

int main(int argc, char **argv)
{
    struct io_uring_params p = {.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                                         IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE,
                                .cq_entries = COMPLETIONS};
    struct rlimit limit;
    int rc;

    listener = floor_listen(argc, argv, "", 0);
    all = calloc(FLOOR_DESCRIPTORS, sizeof *all);
    if (!all)
        floor_die("calloc");
    getrlimit(RLIMIT_NOFILE, &limit); /* as many direct descriptors may there be */
    rc = io_uring_queue_init_params(ENTRIES, &ring, &p);
    if (rc == 0)
        rc = io_uring_register_files_sparse(&ring, (unsigned)limit.rlim_cur);
    if (rc < 0) {
        errno = -rc;
        floor_die("io_uring");
    }
    make_buffers();
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
