/* SPDX-License-Identifier: MIT */
/*
 * Busy polling, the selector of the `nonblocking` model: it asks the kernel nothing and reports
 * every descriptor as ready for what it was registered for, at once. The caller's recv finds out;
 * EAGAIN means "not yet". That is legal, since readiness is a hint, and it is what makes the model
 * burn a core: PLX_SEL_SPINS says so.
 */
#include "core/core.h"
#include "selector/backends.h"
#include "selector/pollset.h"

#include <errno.h>

struct polling_state {
    struct plx_selector_calls calls;
    struct plx__pollset set;
};

/* With nothing registered the wait is an ordinary sleep. Linux measures it on CLOCK_MONOTONIC
 * (nanosleep(2), "VERSIONS"); the front repeats it until its own monotonic deadline anyway. */
static int sleep_for(struct polling_state *s, int64_t timeout_ns)
{
    if (timeout_ns == 0)
        return 0;
    struct timespec ts = plx__selector_timespec(timeout_ns < 0 ? INT64_MAX : timeout_ns);
    s->calls.wait++;
    return nanosleep(&ts, NULL) < 0 ? -errno : 0;
}

static int polling_wait(void *state, struct plx_event *out, int cap, int64_t timeout_ns)
{
    struct polling_state *s = state;
    if (s->set.n == 0)
        return sleep_for(s, timeout_ns);
    int n = cap < s->set.n ? cap : s->set.n;
    int from = s->set.next;
    for (int i = 0; i < n; i++) {
        if (from >= s->set.n)
            from = 0;
        const struct pollfd *p = &s->set.at[from++];
        out[i] = (struct plx_event){.fd = p->fd, .events = plx__pollset_found(p->events)};
    }
    s->set.next = from;
    return n;
}

static int polling_ctl(void *state, int fd, uint32_t tag, unsigned old, unsigned now)
{
    (void)tag;
    (void)old;
    struct polling_state *s = state;
    s->calls.ctl += now ? 1 : 0;
    return plx__pollset_ctl(&s->set, fd, now);
}

static int polling_init(void *state)
{
    (void)state;
    return 0;
}

static void polling_fini(void *state)
{
    struct polling_state *s = state;
    plx__pollset_free(&s->set);
}

/* Nothing is asked of the system, so nothing can be missing. */
static int polling_probe(struct plx_why *why)
{
    (void)why;
    return 0;
}

const struct plx_selector_ops plx__polling_ops = {
    .name = "polling",
    .caps = PLX_SEL_SPINS | PLX_SEL_FILES,
    .state_size = sizeof(struct polling_state),
    .probe = polling_probe,
    .init = polling_init,
    .ctl = polling_ctl,
    .wait = polling_wait,
    .fini = polling_fini,
};
