/* SPDX-License-Identifier: MIT */
/*
 * epoll(7) over the network in memory, level- and edge-triggered.
 *
 * An edge is what Linux makes one of: every wake-up of the socket, whatever for; and each
 * epoll_ctl(2) that adds or changes. A descriptor that is closed leaves its sets.
 */
#include "sim.h"

#include <errno.h>
#include <stdlib.h>

static struct sim_watch *find(const struct sim_end *set, int fd)
{
    const struct sim_end *e = net_find(fd);
    for (size_t i = 0; e && i < set->nset; i++) {
        if (set->set[i].fd == fd && set->set[i].serial == e->serial)
            return &set->set[i];
    }
    return NULL;
}

static void forget_closed(struct sim_end *set)
{
    for (size_t i = 0; i < set->nset;) {
        const struct sim_end *e = net_find(set->set[i].fd);
        if (e && e->serial == set->set[i].serial)
            i++;
        else
            set->set[i] = set->set[--set->nset];
    }
}

int sim_ctl_epoll(int epfd, int op, int fd, const struct epoll_event *ev)
{
    struct sim_end *set = net_find(epfd);
    struct sim_end *e = net_find(fd);
    if (!set || !e)
        return sim_fail(EBADF);
    forget_closed(set);
    struct sim_watch *w = find(set, fd);
    if (op == EPOLL_CTL_DEL) {
        if (!w)
            return sim_fail(ENOENT);
        *w = set->set[--set->nset];
        return 0;
    }
    if (op == EPOLL_CTL_ADD ? w != NULL : w == NULL)
        return sim_fail(w ? EEXIST : ENOENT);
    if (!w) {
        if (set->nset == set->set_room) {
            set->set_room = set->set_room ? set->set_room * 2 : 16;
            set->set = realloc(set->set, set->set_room * sizeof(*set->set));
            if (!set->set)
                abort();
        }
        w = &set->set[set->nset++];
    }
    *w = (struct sim_watch){.fd = fd,
                            .serial = e->serial,
                            .seen = e->wakes - 1, /* as if woken now */
                            .events = ev->events,
                            .data = ev->data.u64};
    return 0;
}

static uint32_t ready(const struct sim_watch *w)
{
    struct sim_end *e = net_find(w->fd);
    if (!e || e->serial != w->serial || ((w->events & EPOLLET) && w->seen == e->wakes))
        return 0;
    /* The bits of poll(2) and epoll(7) are the same on Linux. */
    uint32_t found = (uint32_t)net_ready(e) & (w->events | EPOLLERR | EPOLLHUP);
    if ((w->events & EPOLLOUT) && !(found & EPOLLOUT))
        e->no_room = true;
    return found;
}

static int look(void *arg)
{
    const struct sim_end *set = arg;
    int n = 0;
    for (size_t i = 0; i < set->nset; i++)
        n += ready(&set->set[i]) != 0;
    return n;
}

static int gather(struct sim_end *set, struct epoll_event *ev, int most)
{
    int n = 0;
    if (set->next >= set->nset)
        set->next = 0;
    for (size_t i = 0; i < set->nset && n < most; i++) {
        struct sim_watch *w = &set->set[(set->next + i) % set->nset];
        uint32_t found = ready(w);
        if (!found)
            continue;
        if (n && once_in(&sim.dice, sim.weather.late_in))
            continue; /* as if the list had been longer than the array */
        w->seen = net_find(w->fd)->wakes;
        ev[n].events = found;
        ev[n++].data.u64 = w->data;
    }
    set->next++;
    return n;
}

int sim_wait_epoll(int fd, struct epoll_event *ev, int n, int64_t until)
{
    struct sim_end *set = net_find(fd);
    if (!set || set->kind != END_EPOLL)
        return sim_fail(EBADF);
    forget_closed(set);
    int found = sim_await(look, set, until) ? gather(set, ev, n) : 0;
    if (set->nset && found < n && once_in(&sim.dice, sim.weather.spurious_in)) {
        const struct sim_watch *w = &set->set[below(&sim.dice, set->nset)];
        ev[found].events = w->events & (EPOLLIN | EPOLLOUT);
        ev[found].data.u64 = w->data;
        found += ev[found].events != 0;
    }
    sim_note("epoll_wait %d = %d", fd, found);
    return found;
}
