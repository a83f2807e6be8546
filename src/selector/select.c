/* SPDX-License-Identifier: MIT */
/*
 * select(2): bit maps of descriptors, copied to the kernel and back at every wait, since it writes
 * its answer over the question. A descriptor of FD_SETSIZE or more is memory corruption (select(2),
 * "BUGS"), so the front refuses it: fd_limit.
 *
 * pselect(2) is called for its nanoseconds; it is the same call without a mask of signals.
 * There are no hints: a hang-up is a readable descriptor, an error a readable and writable one.
 */
#include "core/core.h"
#include "selector/backends.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/select.h>

struct select_state {
    struct plx_selector_calls calls;
    fd_set reading, writing; /* registered */
    fd_set in, out;          /* the kernel's answer */
    int past;                /* the highest registered descriptor plus 1 */
    int next;                /* where a scan starts: behind the last one reported */
};

static void note(fd_set *set, int fd, unsigned wanted)
{
    if (wanted)
        FD_SET(fd, set);
    else
        FD_CLR(fd, set);
}

static int select_ctl(void *state, int fd, uint32_t tag, unsigned old, unsigned now)
{
    (void)tag;
    (void)old;
    struct select_state *s = state;
    if (now) {
        s->calls.ctl++;
        if (plx__sys_fcntl(fd, F_GETFD, 0) < 0)
            return -errno;
    }
    note(&s->reading, fd, now & PLX_READ);
    note(&s->writing, fd, now & PLX_WRITE);
    if (now && fd >= s->past)
        s->past = fd + 1;
    while (s->past > 0 && !FD_ISSET(s->past - 1, &s->reading) &&
           !FD_ISSET(s->past - 1, &s->writing))
        s->past--;
    return 0;
}

/* Whether any of the 64 descriptors from `fd`, a multiple of 64, is ready. The layout of an fd_set
 * is contiguous everywhere, in words of 32 or 64 bits, so this holds for either byte order. */
static bool any_of_64(const struct select_state *s, int fd)
{
    uint64_t in;
    uint64_t out;
    memcpy(&in, (const char *)&s->in + fd / 8, sizeof(in));
    memcpy(&out, (const char *)&s->out + fd / 8, sizeof(out));
    return in | out;
}

/* Reports what is ready in [from, to), up to `cap`; `*last` becomes the last one reported. */
static int scan(const struct select_state *s, int from, int to, struct plx_event *ev, int cap,
                int *last)
{
    int n = 0;
    for (int fd = from; fd < to && n < cap; fd++) {
        if (fd % 64 == 0 && !any_of_64(s, fd)) {
            fd += 63;
            continue;
        }
        unsigned events =
            (FD_ISSET(fd, &s->in) ? PLX_READ : 0u) | (FD_ISSET(fd, &s->out) ? PLX_WRITE : 0u);
        if (events) {
            ev[n++] = (struct plx_event){.fd = fd, .events = events};
            *last = fd;
        }
    }
    return n;
}

static int select_wait(void *state, struct plx_event *ev, int cap, int64_t timeout_ns)
{
    struct select_state *s = state;
    s->in = s->reading;
    s->out = s->writing;
    struct timespec ts = plx__selector_timespec(timeout_ns);
    s->calls.wait++;
    int rc = plx__sys_pselect(s->past, &s->in, &s->out, NULL, timeout_ns < 0 ? NULL : &ts, NULL);
    if (rc <= 0)
        return rc < 0 ? -errno : 0;
    int last = 0;
    int n = scan(s, s->next, s->past, ev, cap, &last);
    if (n < cap) {
        int to = s->next < s->past ? s->next : s->past;
        n += scan(s, 0, to, ev + n, cap - n, &last);
    }
    s->next = last + 1;
    return n;
}

static int select_init(void *state)
{
    struct select_state *s = state;
    FD_ZERO(&s->reading);
    FD_ZERO(&s->writing);
    return 0;
}

static void select_fini(void *state)
{
    (void)state;
}

static int select_probe(struct plx_why *why)
{
    struct timespec none = {0};
    if (plx__sys_pselect(0, NULL, NULL, NULL, &none, NULL) == 0)
        return 0;
    int err = errno;
    plx__why(why, "", "pselect: %s", strerror(err));
    return -err;
}

const struct plx_selector_ops plx__select_ops = {
    .name = "select",
    .caps = PLX_SEL_FILES,
    .fd_limit = FD_SETSIZE,
    .state_size = sizeof(struct select_state),
    .probe = select_probe,
    .init = select_init,
    .ctl = select_ctl,
    .wait = select_wait,
    .fini = select_fini,
};
