/* SPDX-License-Identifier: MIT */
/*
 * epoll(7), level-triggered (`epoll`) and edge-triggered (`epoll-et`).
 *
 * Level: EPOLLRDHUP is not asked for. A peer that closed only its sending side would be reported
 * for ever, for that level never falls, while there may be nothing to do but write.
 *
 * Edge: EPOLLRDHUP and EPOLLPRI are asked for as hints. epoll(7) says that a short read means
 * "drained" on a stream; an end of stream or an urgent byte behind it makes no further edge, and
 * PLX_MORE is how the caller learns to read until EAGAIN. A hang-up and an error report both
 * directions as ready, so that whoever waits for either acts.
 *
 * The descriptor and the front's tag travel in data.u64.
 */
#include "core/core.h"
#include "selector/backends.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#ifdef __linux__
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>

struct epoll_state {
    struct plx_selector_calls calls;
    int epfd;
    bool edge;
    bool coarse; /* epoll_pwait2 is refused */
    struct epoll_event *events;
    size_t room;
};

static uint32_t asked(const struct epoll_state *s, unsigned events)
{
    uint32_t bits = 0;
    if (events & PLX_READ)
        bits |= EPOLLIN;
    if (events & PLX_WRITE)
        bits |= EPOLLOUT;
    if (s->edge)
        bits |= EPOLLET;
    /* EPOLLEXCLUSIVE goes with none of the hints (epoll_ctl(2), EINVAL). */
    if (events & PLX_CTL_EXCLUSIVE)
        bits |= EPOLLEXCLUSIVE;
    else if (s->edge)
        bits |= EPOLLRDHUP | EPOLLPRI;
    return bits;
}

static unsigned found(const struct epoll_state *s, uint32_t bits)
{
    unsigned events = 0;
    if (bits == EPOLLIN) /* nearly always, and of an edge the next */
        return PLX_READ;
    if (bits == (EPOLLIN | EPOLLOUT))
        return PLX_READ | PLX_WRITE;
    if (bits & EPOLLIN)
        events |= PLX_READ;
    if (bits & EPOLLOUT)
        events |= PLX_WRITE;
    if (bits & EPOLLPRI)
        events |= PLX_READ;
    if (bits & EPOLLRDHUP)
        events |= PLX_HUP;
    if (bits & EPOLLHUP)
        events |= PLX_HUP | PLX_READ | PLX_WRITE;
    if (bits & EPOLLERR)
        events |= PLX_ERR | PLX_READ | PLX_WRITE;
    if (s->edge && (bits & (EPOLLRDHUP | EPOLLPRI | EPOLLHUP | EPOLLERR)))
        events |= PLX_MORE;
    return events;
}

static int call(struct epoll_state *s, int op, int fd, struct epoll_event *ev)
{
    s->calls.ctl++;
    return plx__sys_epoll_ctl(s->epfd, op, fd, ev) < 0 ? -errno : 0;
}

/* A descriptor that was closed without the front's knowledge left the set by itself, and one that
 * was closed and made again by dup(2) may still be in it (epoll(7), "Q1"): the front's word is what
 * counts, and the set is made to agree. */
static int epoll_change(void *state, int fd, uint32_t tag, unsigned old, unsigned now)
{
    struct epoll_state *s = state;
    struct epoll_event ev = {.events = asked(s, now),
                             .data.u64 = (uint64_t)tag << 32 | (uint32_t)fd};
    if (!now) {
        int rc = call(s, EPOLL_CTL_DEL, fd, &ev);
        return rc == -ENOENT || rc == -EBADF || rc == -EPERM ? 0 : rc;
    }
    int rc = call(s, old ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &ev);
    if (rc == -ENOENT)
        return call(s, EPOLL_CTL_ADD, fd, &ev);
    if (rc == -EEXIST) {
        /* Not MOD, which EPOLLEXCLUSIVE forbids on either side. */
        call(s, EPOLL_CTL_DEL, fd, &ev);
        rc = call(s, EPOLL_CTL_ADD, fd, &ev);
    }
    return rc;
}

/* Closing the last descriptor of a file takes it out of every set (epoll(7), "Q6"). */
static void epoll_closing(void *state, int fd)
{
    (void)state;
    (void)fd;
}

/* epoll_wait's milliseconds would round a timer of 100 us up to ten times its length;
 * epoll_pwait2(2) (Linux 5.11) takes nanoseconds. It is called by number, since glibc has it only
 * from 2.35, with the kernel's own 64-bit timespec. */
int plx__do_epoll_pwait2(int fd, struct epoll_event *ev, int n, const struct timespec *ts)
{
#ifdef SYS_epoll_pwait2
    int64_t wide[2] = {ts->tv_sec, ts->tv_nsec};
    return (int)syscall(SYS_epoll_pwait2, fd, ev, n, wide, NULL, (size_t)0);
#else
    errno = ENOSYS;
    return -1;
#endif
}

static int wait_for(struct epoll_state *s, int cap, int64_t timeout_ns)
{
    s->calls.wait++;
    if (timeout_ns > 0 && !s->coarse) {
        struct timespec ts = plx__selector_timespec(timeout_ns);
        int rc = plx__sys_epoll_pwait2(s->epfd, s->events, cap, &ts);
        /* Filters of older container runtimes answer EPERM to calls they do not know. */
        if (rc >= 0 || (errno != ENOSYS && errno != EPERM))
            return rc < 0 ? -errno : rc;
        s->coarse = true;
        s->calls.wait++;
    }
    int rc = plx__sys_epoll_wait(s->epfd, s->events, cap, plx__selector_ms(timeout_ns));
    return rc < 0 ? -errno : rc;
}

PLX__HOT static int epoll_await(void *state, struct plx_event *out, int cap, int64_t timeout_ns)
{
    struct epoll_state *s = state;
    void *events = s->events;
    int rc = plx__selector_grow(&events, &s->room, (size_t)cap, sizeof(*s->events));
    s->events = events;
    if (rc < 0)
        return rc;
    int n = wait_for(s, cap, timeout_ns);
    for (int i = 0; i < n; i++) {
        uint64_t data = s->events[i].data.u64;
        out[i] = (struct plx_event){.fd = (int)(data & UINT32_MAX),
                                    .tag = (uint32_t)(data >> 32),
                                    .events = found(s, s->events[i].events)};
    }
    return n;
}

static int init_level(void *state)
{
    struct epoll_state *s = state;
    s->epfd = plx__sys_epoll_create1(EPOLL_CLOEXEC);
    return s->epfd < 0 ? -errno : 0;
}

static int init_edge(void *state)
{
    struct epoll_state *s = state;
    s->edge = true;
    return init_level(state);
}

static void epoll_fini(void *state)
{
    struct epoll_state *s = state;
    plx__sys_close(s->epfd);
    free(s->events);
}

static int epoll_probe(struct plx_why *why)
{
    struct epoll_state s = {0};
    int rc = init_level(&s);
    if (rc == 0) {
        struct epoll_event ev;
        rc = plx__sys_epoll_wait(s.epfd, &ev, 1, 0) < 0 ? -errno : 0;
        epoll_fini(&s);
    }
    if (rc < 0)
        plx__why(why, rc == -EMFILE ? "raise the limit on open files (ulimit -n)" : "",
                 "epoll_create1, epoll_wait: %s", strerror(-rc));
    return rc;
}

#define STATE_SIZE sizeof(struct epoll_state)
#else
#include "selector/absent.h"
#define init_level    plx__absent_init
#define init_edge     plx__absent_init
#define epoll_change  plx__absent_ctl
#define epoll_closing NULL
#define epoll_await   plx__absent_wait
#define epoll_fini    plx__absent_fini
#define STATE_SIZE    sizeof(struct plx_selector_calls)

static int epoll_probe(struct plx_why *why)
{
    return plx__absent_probe(why, "epoll is a facility of Linux");
}
#endif

const struct plx_selector_ops plx__epoll_ops = {
    .name = "epoll",
    .caps = PLX_SEL_EXCLUSIVE,
    .state_size = STATE_SIZE,
    .probe = epoll_probe,
    .init = init_level,
    .ctl = epoll_change,
    .closing = epoll_closing,
    .wait = epoll_await,
    .fini = epoll_fini,
};

const struct plx_selector_ops plx__epoll_et_ops = {
    .name = "epoll-et",
    .caps = PLX_SEL_EDGE | PLX_SEL_HINTS | PLX_SEL_EXCLUSIVE,
    .state_size = STATE_SIZE,
    .probe = epoll_probe,
    .init = init_edge,
    .ctl = epoll_change,
    .closing = epoll_closing,
    .wait = epoll_await,
    .fini = epoll_fini,
};
