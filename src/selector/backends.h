/* SPDX-License-Identifier: MIT */
/* Inside the library: the backends, opening a selector over one of them, and what they share. */
#ifndef POLLUX_SELECTOR_BACKENDS_H
#define POLLUX_SELECTOR_BACKENDS_H

#include "core/sys.h"

#include <pollux/selector.h>
#include <time.h>

extern const struct plx_selector_ops plx__polling_ops; /* everything is always ready */
extern const struct plx_selector_ops plx__select_ops;
extern const struct plx_selector_ops plx__poll_ops;
extern const struct plx_selector_ops plx__epoll_ops;
extern const struct plx_selector_ops plx__epoll_et_ops;
extern const struct plx_selector_ops plx__kqueue_ops;
extern const struct plx_selector_ops plx__sigio_ops;

/* As plx_selector_open(), by operations instead of by name. */
int plx__selector_open(const struct plx_selector_ops *, struct plx_selector **out,
                       struct plx_why *why);

/* As plx_selector_select(), but may return 0 before the timeout: it does not look at the clock. */
int plx__selector_wait(struct plx_selector *, struct plx_ready *out, int cap, int64_t timeout_ns);

/* As plx_selector_unregister(), of a descriptor that is closed next: spares the system call where
 * closing does what it would do. */
void plx__selector_closing(struct plx_selector *, int fd);

/* For a wait: `ns` > 0 as the kernel takes it, in full precision. Clamped to what every system
 * accepts (kevent and select of some BSDs refuse more than 100 000 000 s with EINVAL). */
struct timespec plx__selector_timespec(int64_t ns);

/* For a wait that knows milliseconds only: rounded up and clamped; negative = for ever. */
int plx__selector_ms(int64_t ns);

/* Makes room for `need` items of `size` bytes: doubles, zeroes what is new. -ENOMEM. */
int plx__selector_grow(void **items, size_t *room, size_t need, size_t size);

#endif
