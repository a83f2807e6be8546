/* SPDX-License-Identifier: MIT */
/*
 * POSIX AIO has no way to wait for a listening socket, a connect in progress or somebody else's
 * descriptor. This thread does, with poll(2), and wakes the loop. It handles a handful of
 * descriptors; the bytes of connections never pass here.
 */
#include "engine/lookout.h"
#include "selector/pollset.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

/* How long to wait before asking again for what there was no memory for. */
#define SHORTAGE_MS 20

struct entry {
    struct entry *next;
    void *owner;
    uint64_t id; /* of this registration: a late answer must not reach a newer one */
    int fd;
    unsigned events, ready;
    bool taken; /* told to the loop, which has not rearmed yet */
};

struct snapshot {
    struct pollfd *fds;
    uint64_t *ids;
    size_t cap;
};

struct plx__lookout {
    pthread_t thread;
    pthread_mutex_t lock;
    struct entry *entries;
    uint64_t ids;
    bool closing;
    struct snapshot
        seen;    /* the thread's; made before it, so that it cannot fail for want of memory */
    bool partly; /* it has no room for all entries */
    struct plx__wake poke;  /* to the thread */
    struct plx__wake *wake; /* to the loop */
};

static bool grow(struct snapshot *s)
{
    size_t cap = s->cap ? s->cap * 2 : 16;
    struct pollfd *fds = plx__sys_realloc(s->fds, cap * sizeof(*fds));
    if (fds)
        s->fds = fds;
    uint64_t *ids = fds ? plx__sys_realloc(s->ids, cap * sizeof(*ids)) : NULL;
    if (!ids)
        return false;
    s->ids = ids;
    s->cap = cap;
    return true;
}

/* What to wait for now. Without memory for all, the rest has its turn at the next wait. */
static nfds_t take_snapshot(struct plx__lookout *lo, struct snapshot *s)
{
    size_t n = 0;
    lo->partly = false;
    s->fds[n++] = (struct pollfd){.fd = lo->poke.rd, .events = POLLIN};
    for (const struct entry *e = lo->entries; e; e = e->next) {
        if (e->taken || e->ready)
            continue;
        lo->partly = n == s->cap && !grow(s);
        if (lo->partly)
            break;
        s->ids[n] = e->id;
        s->fds[n++] = (struct pollfd){.fd = e->fd, .events = plx__pollset_asked(e->events)};
    }
    return (nfds_t)n;
}

static bool note_ready(struct plx__lookout *lo, const struct snapshot *s, nfds_t n)
{
    bool any = false;
    for (nfds_t i = 1; i < n; i++) {
        if (!s->fds[i].revents)
            continue;
        for (struct entry *e = lo->entries; e; e = e->next) {
            if (e->id == s->ids[i]) {
                e->ready = plx__pollset_answer(e->events, s->fds[i].revents);
                any = true;
            }
        }
    }
    return any;
}

static void *lookout_main(void *arg)
{
    struct plx__lookout *lo = arg;
    struct snapshot *s = &lo->seen;
    pthread_mutex_lock(&lo->lock);
    while (!lo->closing) {
        nfds_t n = take_snapshot(lo, s);
        int ms = lo->partly ? SHORTAGE_MS : -1;
        pthread_mutex_unlock(&lo->lock);
        int ready = plx__sys_poll(s->fds, n, ms);
        if (ready < 0 && errno != EINTR)
            plx__nap(SHORTAGE_MS * PLX_MSEC);
        if (ready > 0 && s->fds[0].revents)
            plx__wake_clear(&lo->poke);
        pthread_mutex_lock(&lo->lock);
        if (ready > 0 && note_ready(lo, s, n))
            plx__wake_signal(lo->wake);
    }
    pthread_mutex_unlock(&lo->lock);
    return NULL;
}

static void destroy(struct plx__lookout *lo)
{
    pthread_mutex_destroy(&lo->lock);
    plx__wake_close(&lo->poke);
    free(lo->seen.fds);
    free(lo->seen.ids);
    free(lo);
}

int plx__lookout_open(struct plx__wake *wake, struct plx__lookout **out)
{
    struct plx__lookout *lo = plx__sys_calloc(1, sizeof(*lo));
    if (!lo)
        return -ENOMEM;
    lo->wake = wake;
    int rc = plx__wake_open(&lo->poke, false);
    if (rc < 0) {
        free(lo);
        return rc;
    }
    pthread_mutex_init(&lo->lock, NULL);
    rc = grow(&lo->seen) ? 0 : -ENOMEM;
    if (rc == 0)
        rc = plx__thread_start(&lo->thread, 65536, "plx-lookout", lookout_main, lo);
    if (rc < 0) {
        destroy(lo);
        return rc;
    }
    *out = lo;
    return 0;
}

void plx__lookout_close(struct plx__lookout *lo)
{
    pthread_mutex_lock(&lo->lock);
    lo->closing = true;
    pthread_mutex_unlock(&lo->lock);
    plx__wake_signal(&lo->poke);
    pthread_join(lo->thread, NULL);
    while (lo->entries) {
        struct entry *e = lo->entries;
        lo->entries = e->next;
        free(e);
    }
    destroy(lo);
}

int plx__lookout_set(struct plx__lookout *lo, int fd, unsigned events, void *owner)
{
    int rc = 0;
    pthread_mutex_lock(&lo->lock);
    struct entry **at = &lo->entries;
    while (*at && (*at)->owner != owner)
        at = &(*at)->next;
    struct entry *e = *at;
    if (e && !events) {
        *at = e->next;
        free(e);
    } else if (events) {
        if (!e) {
            e = plx__sys_calloc(1, sizeof(*e));
            if (e) {
                e->next = lo->entries;
                lo->entries = e;
            }
        }
        if (e) {
            struct entry *next = e->next;
            *e = (struct entry){
                .next = next, .owner = owner, .id = ++lo->ids, .fd = fd, .events = events};
        } else {
            rc = -ENOMEM;
        }
    }
    pthread_mutex_unlock(&lo->lock);
    plx__wake_signal(&lo->poke);
    return rc;
}

void *plx__lookout_take(struct plx__lookout *lo, unsigned *events)
{
    void *owner = NULL;
    pthread_mutex_lock(&lo->lock);
    for (struct entry *e = lo->entries; e && !owner; e = e->next) {
        if (e->ready) {
            *events = e->ready;
            e->ready = 0;
            e->taken = true;
            owner = e->owner;
        }
    }
    pthread_mutex_unlock(&lo->lock);
    return owner;
}

void plx__lookout_rearm(struct plx__lookout *lo)
{
    bool any = false;
    pthread_mutex_lock(&lo->lock);
    for (struct entry *e = lo->entries; e; e = e->next) {
        any |= e->taken;
        e->taken = false;
    }
    pthread_mutex_unlock(&lo->lock);
    if (any)
        plx__wake_signal(&lo->poke);
}
