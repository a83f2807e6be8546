/* SPDX-License-Identifier: MIT */
/*
 * The selector's front: what all backends have in common.
 *
 * It keeps a table indexed by descriptor. Every registration gets a number of its own, the tag,
 * which travels through the kernel where the system call can carry it (epoll_event.data,
 * kevent.udata). An event whose tag is not the table's belongs to a registration that is over and
 * is dropped: a late event never reaches a descriptor that was reused.
 *
 * Such an orphan exists only when a descriptor was closed before it was unregistered and its file
 * lives on through a duplicate (epoll(7), "Q6"). Nobody can remove it any more, for the removal
 * needs the descriptor, and as a level it would be reported for ever. So the first orphan makes the
 * front move all registrations to a new kernel object; the old one takes the orphan with it.
 */
#include "core/core.h"
#include "selector/backends.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define REPORTED (PLX_HUP | PLX_ERR | PLX_MORE) /* asked for or not */

struct entry {
    void *data;
    uint32_t tag;
    uint32_t events; /* 0 = not registered; PLX_CTL_EXCLUSIVE included */
};

struct plx_selector {
    const struct plx_selector_ops *ops;
    void *state; /* the backend's; begins with struct plx_selector_calls */
    struct entry *table;
    size_t table_room;
    size_t registered;
    uint32_t last_tag;
    struct plx_event *events; /* what the backend reports, before it is checked */
    size_t events_room;
};

/* Best first; PLX_SELECTOR_DEFAULT takes the first of the level-triggered ones that opens. */
static const struct plx_selector_ops *const backends[] = {
    &plx__kqueue_ops,   &plx__epoll_ops, &plx__poll_ops,    &plx__select_ops,
    &plx__epoll_et_ops, &plx__sigio_ops, &plx__polling_ops,
};
#define BACKENDS (sizeof(backends) / sizeof(backends[0]))
#define DEFAULTS 4

/* ---- for the backends ---- */

struct timespec plx__selector_timespec(int64_t ns)
{
    int64_t most = 100000000 * PLX_SECOND;
    if (ns > most)
        ns = most;
    return (struct timespec){.tv_sec = (time_t)(ns / PLX_SECOND),
                             .tv_nsec = (long)(ns % PLX_SECOND)};
}

int plx__selector_ms(int64_t ns)
{
    if (ns < 0)
        return -1;
    int64_t ms = ns / PLX_MSEC + (ns % PLX_MSEC ? 1 : 0);
    return ms > INT_MAX ? INT_MAX : (int)ms;
}

int plx__selector_grow(void **items, size_t *room, size_t need, size_t size)
{
    if (need <= *room)
        return 0;
    size_t now = *room ? *room : 16;
    while (now < need)
        now *= 2;
    char *grown = now > SIZE_MAX / size ? NULL : plx__sys_realloc(*items, now * size);
    if (!grown)
        return -ENOMEM;
    memset(grown + *room * size, 0, (now - *room) * size);
    *items = grown;
    *room = now;
    return 0;
}

/* ---- opening and closing ---- */

static int open_state(const struct plx_selector_ops *ops, void **out)
{
    void *state = plx__sys_calloc(1, ops->state_size);
    if (!state)
        return -ENOMEM;
    int rc = ops->init(state);
    if (rc < 0) {
        free(state);
        return rc;
    }
    *out = state;
    return 0;
}

int plx__selector_open(const struct plx_selector_ops *ops, struct plx_selector **out,
                       struct plx_why *why)
{
    struct plx_selector *s = plx__sys_calloc(1, sizeof(*s));
    if (!s) {
        plx__why(why, "", "out of memory");
        return -ENOMEM;
    }
    s->ops = ops;
    int rc = open_state(ops, &s->state);
    if (rc < 0) {
        /* The probe knows the words, unless the fault was there only a moment ago. */
        if (ops->probe(why) >= 0)
            plx__why(why, "", "%s: %s", ops->name, plx_error_text(rc));
        free(s);
        return rc;
    }
    *out = s;
    return 0;
}

static int open_default(struct plx_selector **out, struct plx_why *why)
{
    int rc = -ENOSYS;
    for (size_t i = 0; i < DEFAULTS; i++) {
        rc = plx__selector_open(backends[i], out, why);
        if (rc == 0)
            break;
    }
    return rc;
}

int plx_selector_open(const char *name, struct plx_selector **out, struct plx_why *why)
{
    if (!name)
        return open_default(out, why);
    for (size_t i = 0; i < BACKENDS; i++) {
        if (!strcmp(backends[i]->name, name))
            return plx__selector_open(backends[i], out, why);
    }
    plx__why(why, "use one of plx_selector_names()", "no selector is called '%.64s'", name);
    return -ENOENT;
}

void plx_selector_close(struct plx_selector *s)
{
    if (!s)
        return;
    s->ops->fini(s->state);
    free(s->state);
    free(s->table);
    free(s->events);
    free(s);
}

/* ---- registering ---- */

static struct entry *find(const struct plx_selector *s, int fd)
{
    if (fd < 0 || (size_t)fd >= s->table_room || !s->table[fd].events)
        return NULL;
    return &s->table[fd];
}

static bool bad_events(unsigned events)
{
    return !events || (events & ~(PLX_READ | PLX_WRITE));
}

static int add(struct plx_selector *s, int fd, unsigned events, unsigned flags, void *data)
{
    if (bad_events(events))
        return -EINVAL;
    if (fd < 0)
        return -EBADF;
    if (s->ops->fd_limit && fd >= s->ops->fd_limit)
        return -ERANGE;
    if (find(s, fd))
        return -EEXIST;
    /* Asked before the table grows to it: a number nobody opened must not cost memory. Backends
     * whose system call tells anyway are spared the question unless the table has to grow. */
    if ((size_t)fd >= s->table_room && plx__sys_fcntl(fd, F_GETFD, 0) < 0)
        return -EBADF;
    void *table = s->table;
    int rc = plx__selector_grow(&table, &s->table_room, (size_t)fd + 1, sizeof(*s->table));
    s->table = table;
    if (rc < 0)
        return rc;
    if (++s->last_tag == 0) /* 0 means that an event carries none */
        s->last_tag = 1;
    rc = s->ops->ctl(s->state, fd, s->last_tag, 0, events | flags);
    if (rc < 0)
        return rc;
    s->table[fd] = (struct entry){.data = data, .tag = s->last_tag, .events = events | flags};
    s->registered++;
    return 0;
}

int plx_selector_register(struct plx_selector *s, int fd, unsigned events, void *data)
{
    return add(s, fd, events, 0, data);
}

int plx_selector_register_exclusive(struct plx_selector *s, int fd, unsigned events, void *data)
{
    if (!(s->ops->caps & PLX_SEL_EXCLUSIVE))
        return -EOPNOTSUPP;
    return add(s, fd, events, PLX_CTL_EXCLUSIVE, data);
}

/* The backend is called even where the events stay as they are: that arms an edge once more, and
 * finds out that the descriptor was closed and reused. */
int plx_selector_modify(struct plx_selector *s, int fd, unsigned events, void *data)
{
    if (bad_events(events))
        return -EINVAL;
    struct entry *e = find(s, fd);
    if (!e)
        return -ENOENT;
    if (e->events & PLX_CTL_EXCLUSIVE)
        return -EINVAL;
    int rc = s->ops->ctl(s->state, fd, e->tag, e->events, events);
    if (rc < 0)
        return rc;
    e->events = events;
    e->data = data;
    return 0;
}

int plx_selector_unregister(struct plx_selector *s, int fd)
{
    struct entry *e = find(s, fd);
    if (!e)
        return -ENOENT;
    int rc = s->ops->ctl(s->state, fd, e->tag, e->events, 0);
    if (rc < 0)
        return rc;
    *e = (struct entry){0};
    s->registered--;
    return 0;
}

void plx__selector_closing(struct plx_selector *s, int fd)
{
    struct entry *e = find(s, fd);
    if (!s->ops->closing) {
        (void)plx_selector_unregister(s, fd);
    } else if (e) {
        s->ops->closing(s->state, fd);
        *e = (struct entry){0};
        s->registered--;
    }
}

/* ---- waiting ---- */

/* Leaves the kernel object with all its orphans for a new one. Without the means to do so
 * everything stays as it was: the orphans go on being dropped, at the price of the wakeups. */
static void leave_orphans(struct plx_selector *s)
{
    void *state;
    if (open_state(s->ops, &state) < 0)
        return;
    for (size_t fd = 0; fd < s->table_room; fd++) {
        const struct entry *e = &s->table[fd];
        if (!e->events)
            continue;
        int rc = s->ops->ctl(state, (int)fd, e->tag, 0, e->events);
        if (rc < 0 && rc != -EBADF) { /* EBADF: closed, to be unregistered yet */
            s->ops->fini(state);
            free(state);
            return;
        }
    }
    struct plx_selector_calls *now = state;
    const struct plx_selector_calls *then = s->state;
    now->wait += then->wait;
    now->ctl += then->ctl;
    s->ops->fini(s->state);
    free(s->state);
    s->state = state;
}

/* What the caller gets of `n` events. */
static int sift(struct plx_selector *s, int n, struct plx_ready *out)
{
    int kept = 0;
    bool orphans = false;
    for (int i = 0; i < n; i++) {
        const struct plx_event *ev = &s->events[i];
        const struct entry *e = find(s, ev->fd);
        if (__builtin_expect(!e || (ev->tag && e->tag != ev->tag), 0)) {
            orphans |= ev->tag != 0;
            continue;
        }
        unsigned events = ev->events & (e->events | REPORTED);
        if (events)
            out[kept++] = (struct plx_ready){.fd = ev->fd, .events = events, .data = e->data};
    }
    if (orphans)
        leave_orphans(s);
    return kept;
}

static int64_t clock_ns(void)
{
    struct timespec t;
    plx__sys_clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * PLX_SECOND + t.tv_nsec;
}

static int64_t deadline_after(int64_t timeout_ns)
{
    int64_t now = clock_ns();
    return timeout_ns > INT64_MAX - now ? INT64_MAX : now + timeout_ns;
}

PLX__HOT int plx__selector_wait(struct plx_selector *s, struct plx_ready *out, int cap,
                                int64_t timeout_ns)
{
    if (cap < 1)
        return -EINVAL;
    /* One descriptor is one event, so no more than the registered ones can come. */
    if ((size_t)cap > s->registered)
        cap = s->registered ? (int)s->registered : 1;
    void *events = s->events;
    int rc = plx__selector_grow(&events, &s->events_room, (size_t)cap, sizeof(*s->events));
    s->events = events;
    if (rc < 0)
        return rc;
    int n = s->ops->wait(s->state, s->events, cap, timeout_ns);
    return n > 0 ? sift(s, n, out) : n;
}

int plx_selector_select(struct plx_selector *s, struct plx_ready *out, int cap, int64_t timeout_ns)
{
    int64_t deadline = timeout_ns > 0 ? deadline_after(timeout_ns) : 0;
    for (;;) {
        int n = plx__selector_wait(s, out, cap, timeout_ns);
        if (n != 0 || timeout_ns == 0)
            return n;
        if (timeout_ns > 0) {
            timeout_ns = deadline - clock_ns();
            if (timeout_ns <= 0)
                return 0;
        }
    }
}

/* ---- asking ---- */

const char *plx_selector_name(const struct plx_selector *s)
{
    return s->ops->name;
}

unsigned plx_selector_caps(const struct plx_selector *s)
{
    return s->ops->caps;
}

int plx_selector_fd_limit(const struct plx_selector *s)
{
    return s->ops->fd_limit;
}

static struct plx_key key_of(const struct plx_selector *s, int fd)
{
    const struct entry *e = &s->table[fd];
    return (struct plx_key){
        .fd = fd, .events = e->events & (PLX_READ | PLX_WRITE), .data = e->data};
}

int plx_selector_get_key(const struct plx_selector *s, int fd, struct plx_key *out)
{
    if (!find(s, fd))
        return -ENOENT;
    *out = key_of(s, fd);
    return 0;
}

size_t plx_selector_get_map(const struct plx_selector *s, struct plx_key *out, size_t cap)
{
    size_t n = 0;
    for (size_t fd = 0; fd < s->table_room && n < cap; fd++) {
        if (s->table[fd].events)
            out[n++] = key_of(s, (int)fd);
    }
    return s->registered;
}

void plx_selector_count(const struct plx_selector *s, struct plx_selector_calls *out)
{
    *out = *(const struct plx_selector_calls *)s->state;
}

const char *const *plx_selector_names(void)
{
    /* In the order of `backends`; the unit test holds the two together. */
    static const char *const names[] = {"kqueue",   "epoll", "poll",    "select",
                                        "epoll-et", "sigio", "polling", NULL};
    return names;
}
