/* SPDX-License-Identifier: MIT */
/* The calls that tell the time and let it pass. */
#include "sim.h"

#include <errno.h>

bool sim_interrupted(void)
{
    return once_in(&sim.dice, sim.weather.eintr_in);
}

/* ---- time ---- */

int sim_clock_gettime(clockid_t clock, struct timespec *ts)
{
    int64_t now = sim_now();
    if (clock == CLOCK_MONOTONIC_COARSE)
        now -= now % MSECS(4); /* a tick of 250 Hz */
    *ts = (struct timespec){.tv_sec = (time_t)(now / PLX_SECOND),
                            .tv_nsec = (long)(now % PLX_SECOND)};
    return 0;
}

static int64_t nanoseconds(const struct timespec *ts)
{
    return (int64_t)ts->tv_sec * PLX_SECOND + ts->tv_nsec;
}

int sim_clock_nanosleep(clockid_t clock, int flags, const struct timespec *ts,
                        struct timespec *left)
{
    (void)clock;
    (void)left;
    sim_step_or_stop();
    sim_account()->wait++;
    sim_sleep(flags & TIMER_ABSTIME ? nanoseconds(ts) - sim_now() : nanoseconds(ts));
    return 0;
}

/* ---- waiting ---- */

struct question {
    struct pollfd *p;
    nfds_t n;
};

static int look(void *arg)
{
    struct question *q = arg;
    int found = 0;
    for (nfds_t i = 0; i < q->n; i++) {
        struct pollfd *p = &q->p[i];
        const struct sim_end *e = net_find(p->fd);
        p->revents = e ? (short)(net_ready(e) & (p->events | POLLERR | POLLHUP)) : POLLNVAL;
        found += p->revents != 0;
    }
    return found;
}

static int64_t deadline(int64_t timeout)
{
    return timeout < 0 || timeout > INT64_MAX - sim_now() ? INT64_MAX : sim_now() + timeout;
}

/* Who is found without room is told when there is some. */
static void remember_room(const struct question *q)
{
    for (nfds_t i = 0; i < q->n; i++) {
        struct sim_end *e = net_find(q->p[i].fd);
        if (e && (q->p[i].events & POLLOUT) && !(q->p[i].revents & POLLOUT))
            e->no_room = true;
    }
}

/* Readiness is a hint, in both directions. */
static int mislead(const struct question *q, int found)
{
    if (found > 1 && once_in(&sim.dice, sim.weather.late_in)) {
        struct pollfd *p = &q->p[below(&sim.dice, q->n)];
        if (p->revents) {
            p->revents = 0;
            found--;
        }
    }
    if (q->n && once_in(&sim.dice, sim.weather.spurious_in)) {
        struct pollfd *p = &q->p[below(&sim.dice, q->n)];
        found += p->revents == 0 && p->events != 0;
        p->revents |= p->events;
    }
    return found;
}

static int wait_for(struct question *q, int64_t timeout)
{
    sim_step_or_stop();
    sim_account()->wait++;
    if (timeout != 0 && sim_interrupted())
        return sim_fail(EINTR);
    int found = sim_await(look, q, deadline(timeout));
    remember_room(q);
    found = mislead(q, found);
    sim_note("poll %d for %lld = %d", (int)q->n, (long long)timeout, found);
    return found;
}

int sim_poll(struct pollfd *p, nfds_t n, int ms)
{
    return wait_for(&(struct question){p, n}, ms < 0 ? -1 : ms * MSECS(1));
}

int sim_ppoll(struct pollfd *p, nfds_t n, const struct timespec *ts, const sigset_t *mask)
{
    (void)mask;
    return wait_for(&(struct question){p, n}, ts ? nanoseconds(ts) : -1);
}

int sim_pselect(int n, fd_set *in, fd_set *out, fd_set *other, const struct timespec *ts,
                const sigset_t *mask)
{
    (void)other;
    (void)mask;
    struct pollfd p[SIM_MOST];
    struct question q = {p, 0};
    for (int fd = 0; fd < n; fd++) {
        int events = (FD_ISSET(fd, in) ? POLLIN : 0) | (FD_ISSET(fd, out) ? POLLOUT : 0);
        if (events)
            p[q.n++] = (struct pollfd){.fd = fd, .events = (short)events};
    }
    int rc = wait_for(&q, ts ? nanoseconds(ts) : -1);
    if (rc < 0)
        return rc;
    rc = 0;
    for (nfds_t i = 0; i < q.n; i++) {
        bool readable = (p[i].events & POLLIN) && (p[i].revents & (POLLIN | POLLHUP | POLLERR));
        bool writable = (p[i].events & POLLOUT) && (p[i].revents & (POLLOUT | POLLERR));
        if (!readable && (p[i].events & POLLIN))
            FD_CLR(p[i].fd, in);
        if (!writable && (p[i].events & POLLOUT))
            FD_CLR(p[i].fd, out);
        rc += readable + writable;
    }
    return rc;
}

int sim_epoll_create1(int flags)
{
    (void)flags;
    sim_step();
    int fd = net_descriptor(net_new(END_EPOLL));
    return fd < 0 ? sim_fail(-fd) : fd;
}

int sim_epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev)
{
    sim_step();
    sim_account()->ctl++;
    return sim_ctl_epoll(epfd, op, fd, ev);
}

int sim_epoll_wait(int fd, struct epoll_event *ev, int n, int ms)
{
    sim_step_or_stop();
    sim_account()->wait++;
    if (ms != 0 && sim_interrupted())
        return sim_fail(EINTR);
    return sim_wait_epoll(fd, ev, n, deadline(ms < 0 ? -1 : ms * MSECS(1)));
}

int sim_epoll_pwait2(int fd, struct epoll_event *ev, int n, const struct timespec *ts)
{
    sim_step_or_stop();
    sim_account()->wait++;
    if (sim_interrupted())
        return sim_fail(EINTR);
    return sim_wait_epoll(fd, ev, n, deadline(nanoseconds(ts)));
}
