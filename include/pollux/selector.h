/* SPDX-License-Identifier: MIT */
/*
 * The selector: one contract over select, poll, epoll, kqueue, signal-driven I/O and busy polling.
 * The contract is that of Python's `selectors` module, in C.
 *
 * A selector belongs to one thread at a time; none of its functions may be called concurrently
 * for the same selector. It owns no descriptor that it is given.
 *
 * Readiness is a hint: a descriptor reported ready may still answer EAGAIN (select(2), BUGS), so
 * registered descriptors should be non-blocking.
 */
#ifndef POLLUX_SELECTOR_H
#define POLLUX_SELECTOR_H

#include <pollux/error.h>
#include <stddef.h>
#include <stdint.h>

/* What can be waited for ... */
#define PLX_READ  0x1u
#define PLX_WRITE 0x2u
/* ... and what is reported besides, asked for or not. Both are hints: read to the end first. */
#define PLX_HUP 0x4u /* the peer closed its sending side, or both sides are closed */
#define PLX_ERR 0x8u /* an error is pending: the next recv or send reports it */
/* Edge-triggered selectors only: a short read does not mean "drained" (end of stream or urgent
 * data is behind it), so read until EAGAIN. */
#define PLX_MORE 0x10u

/* Properties of a backend (plx_selector_caps). */
#define PLX_SEL_EDGE      0x1u  /* reports changes, not levels: read and write until EAGAIN */
#define PLX_SEL_SPINS     0x2u  /* never waits: reports everything as ready at once */
#define PLX_SEL_HINTS     0x4u  /* an edge selector that reports PLX_MORE reliably */
#define PLX_SEL_EXCLUSIVE 0x8u  /* can wake one of several waiters (EPOLLEXCLUSIVE) */
#define PLX_SEL_FILES     0x10u /* accepts regular files, always ready */

struct plx_selector;

struct plx_ready {
    int fd;
    unsigned events; /* PLX_READ | PLX_WRITE | PLX_HUP | PLX_ERR | PLX_MORE */
    void *data;      /* as registered */
};

struct plx_key {
    int fd;
    unsigned events;
    void *data;
};

/* The best of kqueue, epoll, poll, select that this system has. */
#define PLX_SELECTOR_DEFAULT NULL

/*
 * Opens the backend called `name`: "select", "poll", "epoll", "epoll-et", "kqueue", "sigio",
 * "polling", or PLX_SELECTOR_DEFAULT. plx_selector_close() frees it.
 *   -ENOENT      no backend of that name
 *   -ENOSYS      not on this system (why says so)
 *   -EMFILE -ENFILE -ENOMEM   as epoll_create1(2), kqueue(2)
 * `why` may be NULL.
 */
int plx_selector_open(const char *name, struct plx_selector **out, struct plx_why *why);

/* Ends the selector; registered descriptors stay open. NULL is allowed. */
void plx_selector_close(struct plx_selector *);

const char *plx_selector_name(const struct plx_selector *);
unsigned plx_selector_caps(const struct plx_selector *);

/* The first descriptor number that cannot be registered (FD_SETSIZE for select); 0 = no limit. */
int plx_selector_fd_limit(const struct plx_selector *);

/*
 * Watches `fd` for `events`, PLX_READ and/or PLX_WRITE. `data` comes back with every event.
 *   -EEXIST  registered already       -EBADF  not an open descriptor
 *   -EINVAL  no event, or an unknown one
 *   -ERANGE  the descriptor is beyond plx_selector_fd_limit()
 *   -EPERM   the kind of file cannot be waited for (a regular file with epoll)
 *   -ENOMEM -ENOSPC  as epoll_ctl(2)
 */
int plx_selector_register(struct plx_selector *, int fd, unsigned events, void *data);

/* As plx_selector_register(), but wakes only one of several selectors that watch the same
 * descriptor. -EOPNOTSUPP where the backend has no PLX_SEL_EXCLUSIVE. Cannot be modified later
 * (-EINVAL). */
int plx_selector_register_exclusive(struct plx_selector *, int fd, unsigned events, void *data);

/* Changes events and data of a registered descriptor. -ENOENT not registered; else as register. */
int plx_selector_modify(struct plx_selector *, int fd, unsigned events, void *data);

/* Forgets `fd`; succeeds when it was closed (or closed and reused) in the meantime.
 * -ENOENT not registered. */
int plx_selector_unregister(struct plx_selector *, int fd);

/*
 * Waits until something is ready and writes up to `cap` events (1 or more) to `out`; read and
 * write readiness of one descriptor come in one event. `timeout_ns` < 0 waits for ever, 0 does not
 * block, > 0 is rounded up to what the system call can express: never early. With nothing
 * registered the timeout is still honoured.
 * Returns the number of events, 0 after the timeout, or
 *   -EINTR   a signal came in: reported, never swallowed    -EINVAL  cap < 1
 *   -EBADF   a registered descriptor was closed (select; it is reported as PLX_ERR by the others)
 *   -ENOMEM
 */
int plx_selector_select(struct plx_selector *, struct plx_ready *out, int cap, int64_t timeout_ns);

/* What is known of one descriptor: 0, or -ENOENT. */
int plx_selector_get_key(const struct plx_selector *, int fd, struct plx_key *out);

/*
 * All registered descriptors in ascending order: writes up to `cap` keys and returns how many
 * there are in total (which may be more than `cap`).
 */
size_t plx_selector_get_map(const struct plx_selector *, struct plx_key *out, size_t cap);

/* System calls made so far: waits, and changes of the interest (epoll_ctl, kevent, fcntl). */
struct plx_selector_calls {
    uint64_t wait, ctl;
};
void plx_selector_count(const struct plx_selector *, struct plx_selector_calls *out);

/* Writes the names of all backends, NULL-terminated, best first. Static storage. Any thread. */
const char *const *plx_selector_names(void);

/*
 * ---- writing a backend ----
 *
 * A backend is a few functions over `state_size` bytes that the front allocates (zeroed). They
 * begin with a struct plx_selector_calls, in which the backend counts its system calls. The front
 * keeps the table of descriptors, checks arguments, fills in `data`, drops what was not registered
 * for, and drops stale events.
 */
struct plx_event {
    int fd;
    uint32_t tag;    /* as given to ctl, or 0 where the system call carries none back */
    unsigned events; /* PLX_* */
};

/* Bits of `now` in ctl beside PLX_READ|PLX_WRITE. */
#define PLX_CTL_EXCLUSIVE 0x100u

struct plx_selector_ops {
    const char *name;
    unsigned caps; /* PLX_SEL_* */
    int fd_limit;  /* first descriptor refused, 0 = none */
    size_t state_size;
    /* Whether it can run here, really tried; 0 or -errno with the reason. */
    int (*probe)(struct plx_why *);
    int (*init)(void *state);
    /* Interest of fd changes from `old` to `now`; 0 = none (register: old == 0; unregister:
     * now == 0). -errno as plx_selector_register(). On failure nothing has changed. */
    int (*ctl)(void *state, int fd, uint32_t tag, unsigned old, unsigned now);
    /* fd, which is registered, is about to be closed, and that takes it out of the kernel's set:
     * what is left to do. A file that lives on through a duplicate may still be reported. NULL: as
     * ctl with now == 0. */
    void (*closing)(void *state, int fd);
    /* As plx_selector_select(), except that 0 may come early: the front waits again. */
    int (*wait)(void *state, struct plx_event *, int cap, int64_t timeout_ns);
    void (*fini)(void *state);
};

#endif
