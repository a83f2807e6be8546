/* SPDX-License-Identifier: MIT */
/*
 * kqueue(2) of the BSDs and macOS, level-triggered. Reading and writing are two filters of one
 * descriptor there; their events in one wait are merged here. A descriptor's filters vanish when it
 * is closed. The front's tag travels in udata.
 *
 * Each change is a call of its own with no room for events: so its error is the call's error, on
 * every BSD, and no event is taken before its time. (EV_RECEIPT would save a call where both
 * filters change at once, but NetBSD before 10 has it not.)
 */
#include "core/core.h"
#include "selector/backends.h"

#if !defined(PLX_HAVE_KQUEUE) &&                                                                   \
    (defined(__FreeBSD__) || defined(__OpenBSD__) || defined(__NetBSD__) ||                        \
     defined(__DragonFly__) || defined(__APPLE__))
#define PLX_HAVE_KQUEUE 1
#endif

#if PLX_HAVE_KQUEUE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include <sys/event.h>
#include <unistd.h>

struct merged {
    unsigned batch; /* the wait that reported this descriptor last ... */
    int slot;       /* ... and where in its output */
};

struct kqueue_state {
    struct plx_selector_calls calls;
    int kq;
    unsigned batch;
    struct merged *table; /* by descriptor */
    size_t table_room;
    struct kevent *events;
    size_t room;
};

/* Sets one filter. The types of filter, flags and udata differ between the BSDs; EV_SET casts. */
static int change(struct kqueue_state *s, int fd, int filter, int flags, uint32_t tag)
{
    struct kevent kev;
    EV_SET(&kev, (uintptr_t)fd, filter, flags, 0, 0, (void *)(uintptr_t)tag);
    s->calls.ctl++;
    return kevent(s->kq, &kev, 1, NULL, 0, NULL) < 0 ? -errno : 0;
}

/* A descriptor that was closed has no filters any more: ENOENT, or EBADF. */
static int drop(struct kqueue_state *s, int fd, int filter)
{
    int rc = change(s, fd, filter, EV_DELETE, 0);
    return rc == -ENOENT || rc == -EBADF ? 0 : rc;
}

/* What is wanted is added even where it was there before, which costs nothing extra for the one
 * filter most have, and finds a descriptor that was closed and reused. */
static int kqueue_ctl(void *state, int fd, uint32_t tag, unsigned old, unsigned now)
{
    struct kqueue_state *s = state;
    void *table = s->table;
    int rc = plx__selector_grow(&table, &s->table_room, (size_t)fd + 1, sizeof(*s->table));
    s->table = table;
    if (rc < 0)
        return rc;
    if (now & PLX_READ)
        rc = change(s, fd, EVFILT_READ, EV_ADD, tag);
    if (rc == 0 && (now & PLX_WRITE)) {
        rc = change(s, fd, EVFILT_WRITE, EV_ADD, tag);
        if (rc < 0 && (now & ~old & PLX_READ))
            drop(s, fd, EVFILT_READ); /* on failure nothing has changed */
    }
    if (rc < 0)
        return rc;
    unsigned gone = old & ~now;
    if (gone & PLX_READ)
        rc = drop(s, fd, EVFILT_READ);
    if (rc == 0 && (gone & PLX_WRITE))
        rc = drop(s, fd, EVFILT_WRITE);
    return rc;
}

static unsigned found(const struct kevent *kev)
{
    if (kev->flags & EV_ERROR)
        return PLX_ERR | PLX_READ | PLX_WRITE;
    unsigned events = kev->filter == EVFILT_READ ? PLX_READ : PLX_WRITE;
    if (kev->flags & EV_EOF) {
        events |= PLX_HUP | PLX_READ;
        if (kev->fflags) /* the socket's error (kqueue(2), EVFILT_READ) */
            events |= PLX_ERR;
    }
    return events;
}

/* `cap` is 1 or more, so kevent always has room for an event: with none it would ignore the
 * timeout and return at once (FreeBSD's kqueue(2)). */
static int kqueue_wait(void *state, struct plx_event *out, int cap, int64_t timeout_ns)
{
    struct kqueue_state *s = state;
    void *events = s->events;
    int rc = plx__selector_grow(&events, &s->room, (size_t)cap, sizeof(*s->events));
    s->events = events;
    if (rc < 0)
        return rc;
    struct timespec ts = plx__selector_timespec(timeout_ns);
    s->calls.wait++;
    int got = kevent(s->kq, NULL, 0, s->events, cap, timeout_ns < 0 ? NULL : &ts);
    if (got < 0)
        return -errno;
    if (++s->batch == 0) /* 0 is what entries of the table begin with */
        s->batch = 1;
    int n = 0;
    for (int i = 0; i < got; i++) {
        const struct kevent *kev = &s->events[i];
        struct merged *m = &s->table[kev->ident];
        uint32_t tag = (uint32_t)(uintptr_t)kev->udata;
        if (m->batch == s->batch && out[m->slot].tag == tag) {
            out[m->slot].events |= found(kev);
            continue;
        }
        *m = (struct merged){.batch = s->batch, .slot = n};
        out[n++] = (struct plx_event){.fd = (int)kev->ident, .tag = tag, .events = found(kev)};
    }
    return n;
}

static int kqueue_init(void *state)
{
    struct kqueue_state *s = state;
    s->kq = kqueue();
    if (s->kq < 0)
        return -errno;
    if (fcntl(s->kq, F_SETFD, FD_CLOEXEC) < 0) {
        int err = errno;
        close(s->kq);
        return -err;
    }
    return 0;
}

static void kqueue_fini(void *state)
{
    struct kqueue_state *s = state;
    close(s->kq);
    free(s->table);
    free(s->events);
}

static int kqueue_probe(struct plx_why *why)
{
    struct kqueue_state s = {0};
    int rc = kqueue_init(&s);
    if (rc < 0) {
        plx__why(why, rc == -EMFILE ? "raise the limit on open files (ulimit -n)" : "",
                 "kqueue: %s", strerror(-rc));
        return rc;
    }
    kqueue_fini(&s);
    return 0;
}

#define STATE_SIZE sizeof(struct kqueue_state)
#else
#include "selector/absent.h"
#define kqueue_init plx__absent_init
#define kqueue_ctl  plx__absent_ctl
#define kqueue_wait plx__absent_wait
#define kqueue_fini plx__absent_fini
#define STATE_SIZE  sizeof(struct plx_selector_calls)

static int kqueue_probe(struct plx_why *why)
{
    return plx__absent_probe(why, "kqueue is a facility of the BSDs and macOS");
}
#endif

const struct plx_selector_ops plx__kqueue_ops = {
    .name = "kqueue",
    .state_size = STATE_SIZE,
    .probe = kqueue_probe,
    .init = kqueue_init,
    .ctl = kqueue_ctl,
    .wait = kqueue_wait,
    .fini = kqueue_fini,
};
