/* SPDX-License-Identifier: MIT */
/*
 * Setting an io_uring up: flags, provided buffers, and why it cannot be, in words.
 *
 * Features are found by trying, never by version: setup flags are dropped one set after the other
 * when the kernel refuses them, incremental buffers likewise.
 * Sources: io_uring_setup(2), io_uring_provided_buffers(7).
 */
#if PLX_HAVE_LIBURING

#include "engine/uring.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* IOU_PBUF_RING_INC (Linux 6.12), which liburing 2.3's headers lack; a kernel without it refuses.
 */
#define PBUF_RING_INC 2u

#define SQ_ENTRIES 256u
#define CQ_ENTRIES 4096u
/* Few and large when the kernel fills a buffer bit by bit, so that they stay in the cache; more
 * and smaller when each completion takes a whole one. 1 MiB either way. */
#define BUFS_INC   16u
#define BUFS_BYTES (1u << 20)

/* ---- provided buffers ---- */

void plx__ring_give(struct plx__ring *r, unsigned id)
{
    r->filled[id] = 0;
    io_uring_buf_ring_add(r->bufs, r->memory + (size_t)id * r->buf_size, r->buf_size,
                          (unsigned short)id, io_uring_buf_ring_mask(r->nbufs), 0);
    io_uring_buf_ring_advance(r->bufs, 1);
}

static int register_buffers(struct plx__ring *r, unsigned n, bool incremental)
{
    struct io_uring_buf_reg reg = {
        .ring_addr = (uint64_t)(uintptr_t)r->bufs, .ring_entries = n, .bgid = PLX__RING_GROUP};
    if (incremental) { /* the field `flags`, which liburing 2.3 still calls `pad` */
        uint16_t flags = PBUF_RING_INC;
        memcpy((char *)&reg + offsetof(struct io_uring_buf_reg, bgid) + sizeof(reg.bgid), &flags,
               sizeof(flags));
    }
    return io_uring_register_buf_ring(&r->ring, &reg, 0);
}

static int make_buffers(struct plx__ring *r)
{
    void *bufs = NULL, *memory = NULL;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (posix_memalign(&bufs, page, PLX__RING_BUFS * sizeof(struct io_uring_buf)) != 0 ||
        posix_memalign(&memory, page, BUFS_BYTES) != 0) {
        free(bufs);
        return -ENOMEM;
    }
    r->bufs = bufs;
    r->memory = memory;
    r->nbufs = BUFS_INC;
    int rc = register_buffers(r, r->nbufs, true);
    if (rc == -EINVAL) {
        r->nbufs = PLX__RING_BUFS;
        rc = register_buffers(r, r->nbufs, false);
    }
    r->buf_size = BUFS_BYTES / r->nbufs;
    if (rc < 0)
        return rc;
    io_uring_buf_ring_init(r->bufs);
    for (unsigned i = 0; i < r->nbufs; i++)
        plx__ring_give(r, i);
    return 0;
}

/* ---- setting up ---- */

int plx__do_uring_setup(unsigned entries, struct io_uring *ring, struct io_uring_params *p)
{
    return io_uring_queue_init_params(entries, ring, p);
}

/* Hands over what is prepared, and waits for a completion if asked to: for ever without a timeout.
 */
int plx__do_uring_enter(struct io_uring *ring, bool wait, const struct timespec *timeout)
{
    struct io_uring_cqe *cqe;
    struct __kernel_timespec ts = {0};
    if (!wait)
        return io_uring_submit_and_get_events(ring);
    if (timeout)
        ts = (struct __kernel_timespec){.tv_sec = timeout->tv_sec, .tv_nsec = timeout->tv_nsec};
    return io_uring_submit_and_wait_timeout(ring, &cqe, 1, timeout ? &ts : NULL, NULL);
}

static int set_up_ring(struct plx__ring *r)
{
    /* Best first. Without DEFER_TASKRUN completions interrupt the process, which costs more than
     * epoll does; the ring still works. */
    static const unsigned flags[] = {
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_R_DISABLED |
            IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE,
        IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE,
        IORING_SETUP_CQSIZE,
    };
    int rc = -EINVAL;
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]) && rc == -EINVAL; i++) {
        unsigned sq = SQ_ENTRIES, cq = CQ_ENTRIES;
        do { /* kernels before 5.12 charge the rings to RLIMIT_MEMLOCK: a smaller one may fit */
            struct io_uring_params p = {.flags = flags[i], .cq_entries = cq};
            rc = plx__sys_io_uring_setup(sq, &r->ring, &p);
            sq /= 2;
            cq /= 2;
        } while (rc == -ENOMEM && sq >= 8);
        r->disabled = rc == 0 && (flags[i] & IORING_SETUP_R_DISABLED);
    }
    return rc;
}

/* io_uring_disabled says who may: 0 all, 1 a group, 2 nobody. -1 where there is no such switch. */
static int disabled_by_sysctl(void)
{
    int v = -1;
    FILE *f = fopen("/proc/sys/kernel/io_uring_disabled", "re");
    if (f) {
        if (fscanf(f, "%d", &v) != 1)
            v = -1;
        fclose(f);
    }
    return v;
}

static void explain_setup(int rc, struct plx_why *why)
{
    int v = disabled_by_sysctl();
    if (rc == -EPERM && v > 0)
        plx__why(why, "sysctl kernel.io_uring_disabled=0",
                 "io_uring_setup: forbidden by kernel.io_uring_disabled=%d", v);
    else if (rc == -EPERM || rc == -EACCES)
        plx__why(why, "allow io_uring_setup, io_uring_enter, io_uring_register in its profile",
                 "io_uring_setup: forbidden, probably by a seccomp filter (containers have one)");
    else if (rc == -ENOSYS)
        plx__why(why, "use a kernel with CONFIG_IO_URING, and no seccomp filter that hides it",
                 "io_uring_setup: this kernel does not offer it");
    else if (rc == -ENOMEM)
        plx__why(why, "raise the limit on locked memory: ulimit -l",
                 "io_uring_setup: not enough (locked) memory");
    else if (rc == -EMFILE || rc == -ENFILE)
        plx__why(why, "raise the limit on open files: ulimit -n", "io_uring_setup: %s",
                 plx_error_text(rc));
    else
        plx__why(why, "", "io_uring_setup: %s", plx_error_text(rc));
}

static bool has_operations(struct io_uring *ring)
{
    static const int needed[] = {IORING_OP_ACCEPT, IORING_OP_RECV, IORING_OP_SEND,
                                 IORING_OP_POLL_ADD, IORING_OP_ASYNC_CANCEL};
    struct io_uring_probe *p = io_uring_get_probe_ring(ring);
    bool ok = p != NULL;
    for (size_t i = 0; ok && i < sizeof(needed) / sizeof(needed[0]); i++)
        ok = io_uring_opcode_supported(p, needed[i]);
    io_uring_free_probe(p);
    return ok;
}

void plx__ring_close(struct plx__ring *r)
{
    if (!r->dead)
        io_uring_queue_exit(&r->ring);
    free(r->bufs);
    free(r->memory);
}

int plx__ring_open(struct plx__ring *r, struct plx_why *why)
{
    int rc = set_up_ring(r);
    if (rc < 0) {
        explain_setup(rc, why);
        return rc;
    }
    if (!has_operations(&r->ring)) {
        plx__why(why, "use Linux 5.19 or later", "io_uring here lacks an operation on sockets");
        rc = -ENOSYS;
    } else {
        rc = make_buffers(r);
        if (rc < 0)
            plx__why(why, rc == -EINVAL ? "use Linux 5.19 or later" : "raise ulimit -l",
                     "io_uring: a ring of provided buffers: %s", plx_error_text(rc));
    }
    if (rc < 0)
        plx__ring_close(r);
    r->multishot = true;
    return rc;
}

#else
/* ISO C wants something in every translation unit. */
typedef int plx__no_liburing;
#endif
