/* SPDX-License-Identifier: MIT */
/*
 * poll(2): no limit on descriptors, but the kernel copies and walks the whole set at every wait,
 * and so do we, until as many are found as poll said.
 *
 * ppoll(2) is called instead where it exists, for its nanoseconds: poll's milliseconds would round
 * a timer of 100 us up to ten times its length.
 */
#include "core/core.h"
#include "selector/backends.h"
#include "selector/pollset.h"

#include <errno.h>
#include <string.h>

#if defined(__linux__) || defined(__FreeBSD__) || defined(__OpenBSD__) || defined(__NetBSD__)
#define HAVE_PPOLL 1
#else
#define HAVE_PPOLL 0
#endif

struct poll_state {
    struct plx_selector_calls calls;
    struct plx__pollset set;
    bool coarse; /* ppoll is refused (a seccomp filter, an old kernel) */
};

static int wait_for(struct poll_state *s, int64_t timeout_ns)
{
    nfds_t n = (nfds_t)s->set.n;
    s->calls.wait++;
#if HAVE_PPOLL
    if (timeout_ns > 0 && !s->coarse) {
        struct timespec ts = plx__selector_timespec(timeout_ns);
        int rc = plx__sys_ppoll(s->set.at, n, &ts, NULL);
        /* Filters of older container runtimes answer EPERM to calls they do not know. */
        if (rc >= 0 || (errno != ENOSYS && errno != EPERM))
            return rc < 0 ? -errno : rc;
        s->coarse = true;
        s->calls.wait++;
    }
#endif
    int rc = plx__sys_poll(s->set.at, n, plx__selector_ms(timeout_ns));
    return rc < 0 ? -errno : rc;
}

PLX__HOT static int poll_wait(void *state, struct plx_event *out, int cap, int64_t timeout_ns)
{
    struct poll_state *s = state;
    int ready = wait_for(s, timeout_ns);
    if (ready > cap)
        ready = cap;
    int n = 0;
    int i = s->set.next;
    while (n < ready) {
        if (i >= s->set.n) /* the set may have shrunk since */
            i = 0;
        const struct pollfd *p = &s->set.at[i++];
        if (p->revents)
            out[n++] = (struct plx_event){.fd = p->fd, .events = plx__pollset_found(p->revents)};
    }
    s->set.next = i;
    return ready;
}

static int poll_ctl(void *state, int fd, uint32_t tag, unsigned old, unsigned now)
{
    (void)tag;
    (void)old;
    struct poll_state *s = state;
    s->calls.ctl += now ? 1 : 0;
    return plx__pollset_ctl(&s->set, fd, now);
}

static int poll_init(void *state)
{
    (void)state;
    return 0;
}

static void poll_fini(void *state)
{
    struct poll_state *s = state;
    plx__pollset_free(&s->set);
}

static int poll_probe(struct plx_why *why)
{
    if (plx__sys_poll(NULL, 0, 0) == 0)
        return 0;
    int err = errno;
    plx__why(why, "", "poll: %s", strerror(err));
    return -err;
}

const struct plx_selector_ops plx__poll_ops = {
    .name = "poll",
    .caps = PLX_SEL_FILES,
    .state_size = sizeof(struct poll_state),
    .probe = poll_probe,
    .init = poll_init,
    .ctl = poll_ctl,
    .wait = poll_wait,
    .fini = poll_fini,
};
