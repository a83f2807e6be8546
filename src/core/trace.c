/* SPDX-License-Identifier: MIT */
/*
 * The trace: a ring of fixed size in shared memory, so that forked children of a loop write to it
 * too. Lock-free: a writer takes a number, and with it a place, by one atomic addition; the place's
 * own number says when it is complete, before and after the reader copies it (a sequence lock,
 * H.-J. Boehm, "Can Seqlocks Get Along With Programming Language Memory Models?", 2012).
 *
 * System calls come through the seam: while any trace is open a table stands in it that times each
 * call made by a thread that has entered a loop with a trace, and passes all on to what was there
 * before. The process's own threads only: what glibc's AIO helpers or the kernel's workers call is
 * not seen.
 */
#include "core/trace.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#if PLX_HAVE_LIBURING
#include <liburing.h>
#endif
#if defined(__linux__)
#include <sys/syscall.h>
#endif

#define EVENTS_MOST (16u << 20)
/* Descriptors whose connection is known; the numbers of others are written without one. */
#define FDS 65536

/* An event as it lies in the ring: words, so that a reader may look while a writer writes. */
enum word { BEGIN, END, NAME, KIND, WHO, FD, CONN, ASKED, RESULT, WORDS };
struct record {
    _Atomic uint64_t number; /* 1 + the event's; 0 = being written */
    _Atomic uint64_t words[WORDS];
};

struct ring {
    _Atomic uint64_t next;
    struct record records[];
};

struct plx_trace {
    struct ring *ring;
    size_t events, bytes;
    _Atomic uint64_t conns[FDS]; /* of this process: whose a descriptor is */
};

/* What the calling thread writes to, and who it is. */
static _Thread_local struct plx_trace *here;
static _Thread_local uint64_t who;

static pthread_mutex_t opening = PTHREAD_MUTEX_INITIALIZER;
static unsigned open_traces;          /* under `opening` */
static const struct plx__sys *beyond; /* what the calls are passed on to */

static uint64_t calling_thread(void)
{
#if defined(__linux__)
    return (uint64_t)getpid() << 32 | (uint32_t)syscall(SYS_gettid);
#else
    return (uint64_t)getpid() << 32;
#endif
}

void plx__trace_leave(void)
{
    here = NULL;
}

void plx__trace_enter(const struct plx_loop *l)
{
    if (here == l->trace)
        return;
    here = l->trace;
    who = calling_thread();
}

/* ---- writing ---- */

/* A sequence lock of each record (Boehm, Can Seqlocks Get Along With Programming Language Memory
 * Models?, 2012): who reads one of the new words reads a number other than the old one after it.
 * Without fences, which ThreadSanitizer does not know. */
static void write_event(struct plx_trace *t, const uint64_t words[WORDS])
{
    uint64_t number = atomic_fetch_add_explicit(&t->ring->next, 1, memory_order_relaxed);
    struct record *r = &t->ring->records[number & (t->events - 1)];
    atomic_store_explicit(&r->number, 0, memory_order_relaxed);
    for (int i = 0; i < WORDS; i++)
        atomic_store_explicit(&r->words[i], words[i], memory_order_release);
    atomic_store_explicit(&r->number, number + 1, memory_order_release);
}

static uint64_t conn_of(struct plx_trace *t, int fd)
{
    return fd >= 0 && fd < FDS ? atomic_load_explicit(&t->conns[fd], memory_order_relaxed) : 0;
}

static uint64_t kind_word(enum plx_trace_kind kind, enum plx_trace_phase phase)
{
    return (uint64_t)kind << 8 | (uint64_t)phase;
}

static void add(struct plx_trace *t, int64_t begin, int64_t end, const char *name, uint64_t kind,
                int fd, uint64_t conn, int64_t asked, int64_t result)
{
    const uint64_t words[WORDS] = {[BEGIN] = (uint64_t)begin,
                                   [END] = (uint64_t)end,
                                   [NAME] = (uintptr_t)name,
                                   [KIND] = kind,
                                   [WHO] = who,
                                   [FD] = (uint64_t)(int64_t)fd,
                                   [CONN] = conn,
                                   [ASKED] = (uint64_t)asked,
                                   [RESULT] = (uint64_t)result};
    write_event(t, words);
}

void plx__trace_add(const struct plx_conn *c, const struct plx_loop *l, enum plx_trace_kind kind,
                    const char *name, int64_t asked, int64_t result)
{
    int64_t now = plx__clock();
    int fd = c ? c->fd : -1;
    if (c && fd >= 0 && fd < FDS)
        atomic_store_explicit(&l->trace->conns[fd], c->number, memory_order_relaxed);
    add(l->trace, now, now, name, kind_word(kind, PLX_TRACE_CONTROLS), fd, c ? c->number : 0, asked,
        result);
}

/* ---- the table in the seam ---- */

/* The calls that wait for something, and those that move a connection's bytes. */
#define WAITS(name)                                                                                \
    (is(name, "poll") || is(name, "ppoll") || is(name, "pselect") || is(name, "epoll_wait") ||     \
     is(name, "epoll_pwait2") || is(name, "sigtimedwait") || is(name, "aio_suspend") ||            \
     is(name, "io_uring_enter") || is(name, "clock_nanosleep") || is(name, "read"))
#define COPIES(name) (is(name, "recv") || is(name, "send"))

static inline bool is(const char *a, const char *b)
{
    return strcmp(a, b) == 0; /* of two literals: folded by the compiler */
}

static void called(const char *name, enum plx_trace_phase phase, int64_t begin, int fd,
                   int64_t asked, int64_t result)
{
    struct plx_trace *t = here;
    if (is(name, "fork") && result == 0) /* the child */
        who = calling_thread();
    add(t, begin, plx__clock(), name, kind_word(PLX_TRACE_CALL, phase), fd, conn_of(t, fd), asked,
        result);
}

#define PHASE(name)                                                                                \
    (WAITS(#name) ? PLX_TRACE_WAITS : COPIES(#name) ? PLX_TRACE_COPIES : PLX_TRACE_CONTROLS)

/* A failed call's result is what it said the way it says it, as -errno. */
#define TRACED(ret, name, params, args, fd, asked, failure)                                        \
    static ret traced_##name params                                                                \
    {                                                                                              \
        if (!here)                                                                                 \
            return beyond->name args;                                                              \
        const int about = (fd);                                                                    \
        const int64_t much = (int64_t)(asked);                                                     \
        const int64_t begin = plx__clock();                                                        \
        ret rc = beyond->name args;                                                                \
        const int err = errno;                                                                     \
        called(#name, PHASE(name), begin, about, much, (failure));                                 \
        errno = err;                                                                               \
        return rc;                                                                                 \
    }
#define TRACED_ERRNO(ret, name, to, params, args, fd, asked)                                       \
    TRACED(ret, name, params, args, fd, asked, rc < 0 ? -err : (int64_t)rc)
#define TRACED_CODE(ret, name, to, params, args, fd, asked)                                        \
    TRACED(ret, name, params, args, fd, asked, -(int64_t)rc)
#define TRACED_NEGATIVE(ret, name, to, params, args, fd, asked)                                    \
    TRACED(ret, name, params, args, fd, asked, (int64_t)rc)
/* These are no system calls, as a rule. */
#define PASSED_ON(ret, name, to, params, args, fd, asked)                                          \
    static ret traced_##name params                                                                \
    {                                                                                              \
        return beyond->name args;                                                                  \
    }
PLX__SYS_ERRNO(TRACED_ERRNO)
PLX__SYS_CODE(TRACED_CODE)
PLX__SYS_NEGATIVE(TRACED_NEGATIVE)
PLX__SYS_STATUS(PASSED_ON)
PLX__SYS_MEMORY(PASSED_ON)
PLX__SYS_SURE(PASSED_ON)

#if PLX_HAVE_LIBURING
static const char *operation(unsigned char opcode)
{
    switch (opcode) {
    case IORING_OP_RECV: return "recv";
    case IORING_OP_SEND: return "send";
    case IORING_OP_ACCEPT: return "accept";
    case IORING_OP_POLL_ADD: return "poll";
    case IORING_OP_ASYNC_CANCEL: return "cancel";
    default: return "request";
    }
}

static void traced_prepared(struct io_uring_sqe *sqe)
{
    if (beyond->prepared)
        beyond->prepared(sqe);
    if (!here)
        return;
    int64_t now = plx__clock();
    int fd = sqe->opcode == IORING_OP_ASYNC_CANCEL ? -1 : sqe->fd;
    add(here, now, now, operation(sqe->opcode), kind_word(PLX_TRACE_SUBMITTED, PLX_TRACE_CONTROLS),
        fd, conn_of(here, fd), sqe->len, 0);
}
#else
#define traced_prepared NULL
#endif

static const struct plx__sys traced = {
#define ENTRY(ret, name, to, params, args, fd, asked) .name = traced_##name,
    PLX__SYS_ALL(ENTRY).prepared = traced_prepared};

/* ---- callbacks ---- */

void plx__observe(struct plx_loop *l)
{
    l->observed = l->trace || l->warn_blocked_ns > 0;
    l->inspected = l->observed || plx__logs(l, PLX_LOG_DEBUG);
}

static void warn(struct plx_conn *c, const char *name, int64_t took)
{
    struct plx_loop *l = c->loop;
    PLX__COUNT(l, blocked, 1);
    if (!plx__logs(l, PLX_LOG_WARN))
        return;
    struct plx__peer peer = c->peer;
    if (!peer.family) /* an engine that accepts without asking */
        plx__socket_peer(c->fd, &peer);
    char text[PLX_ADDR_TEXT];
    plx__log(l, PLX_LOG_WARN, "%s of connection %llu (%s) held its loop for %.1f ms", name,
             (unsigned long long)c->number, plx__peer_text(&peer, text, sizeof(text)),
             (double)took / (double)PLX_MSEC);
}

void plx__callback_over(struct plx_conn *c, const char *name, int64_t begin, size_t asked,
                        int64_t result)
{
    struct plx_loop *l = c->loop;
    int64_t end = plx__clock();
    if (l->trace)
        add(l->trace, begin, end, name, kind_word(PLX_TRACE_CALLBACK, PLX_TRACE_CONTROLS), c->fd,
            c->number, (int64_t)asked, result);
    if (l->warn_blocked_ns > 0 && end - begin > l->warn_blocked_ns)
        warn(c, name, end - begin);
}

/* ---- opening, reading ---- */

int plx_trace_open(size_t events, struct plx_trace **out)
{
    if (events < 1 || events > EVENTS_MOST)
        return -EINVAL;
    struct plx_trace *t = calloc(1, sizeof(*t));
    if (!t)
        return -ENOMEM;
    for (t->events = 1; t->events < events;)
        t->events *= 2;
    t->bytes = sizeof(struct ring) + t->events * sizeof(struct record);
    void *p = mmap(NULL, t->bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        free(t);
        return -ENOMEM;
    }
    t->ring = p;
    pthread_mutex_lock(&opening);
    if (open_traces++ == 0) {
        const struct plx__sys *there = plx__seam_get();
        beyond = there ? there : &plx__system;
        plx__seam_set(&traced);
    }
    pthread_mutex_unlock(&opening);
    *out = t;
    return 0;
}

void plx_trace_close(struct plx_trace *t)
{
    if (!t)
        return;
    if (here == t)
        here = NULL;
    pthread_mutex_lock(&opening);
    if (--open_traces == 0)
        plx__seam_set(beyond == &plx__system ? NULL : beyond);
    pthread_mutex_unlock(&opening);
    munmap(t->ring, t->bytes);
    free(t);
}

/* Copies event `number` out; false when it is not (or no longer, or not yet) there. */
static bool read_event(const struct plx_trace *t, uint64_t number, struct plx_trace_event *out)
{
    struct record *r = &t->ring->records[number & (t->events - 1)];
    uint64_t words[WORDS];
    if (atomic_load_explicit(&r->number, memory_order_acquire) != number + 1)
        return false;
    for (int i = 0; i < WORDS; i++)
        words[i] = atomic_load_explicit(&r->words[i], memory_order_acquire);
    if (atomic_load_explicit(&r->number, memory_order_relaxed) != number + 1)
        return false;
    *out = (struct plx_trace_event){.number = number,
                                    .begin_ns = (int64_t)words[BEGIN],
                                    .end_ns = (int64_t)words[END],
                                    .name = (const char *)(uintptr_t)words[NAME],
                                    .kind = (enum plx_trace_kind)(words[KIND] >> 8),
                                    .phase = (enum plx_trace_phase)(words[KIND] & 0xff),
                                    .process = (int)(words[WHO] >> 32),
                                    .thread = (int)(uint32_t)words[WHO],
                                    .fd = (int)(int64_t)words[FD],
                                    .conn = words[CONN],
                                    .asked = (int64_t)words[ASKED],
                                    .result = (int64_t)words[RESULT]};
    return true;
}

size_t plx_trace_read(const struct plx_trace *t, uint64_t *from, struct plx_trace_event *out,
                      size_t cap)
{
    uint64_t next = atomic_load_explicit(&t->ring->next, memory_order_acquire);
    uint64_t oldest = next > t->events ? next - t->events : 0;
    uint64_t at = *from > oldest ? *from : oldest;
    size_t n = 0;
    for (; at < next && n < cap; at++)
        n += read_event(t, at, &out[n]);
    *from = at;
    return n;
}
