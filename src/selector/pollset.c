/* SPDX-License-Identifier: MIT */
/* The registered descriptors as poll(2) wants them. Shared by poll, polling and sigio. */
#include "selector/pollset.h"

#include "selector/backends.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

short plx__pollset_asked(unsigned events)
{
    return (short)((events & PLX_READ ? POLLIN : 0) | (events & PLX_WRITE ? POLLOUT : 0));
}

unsigned plx__pollset_found(short revents)
{
    unsigned events = 0;
    if (revents & POLLIN)
        events |= PLX_READ;
    if (revents & POLLOUT)
        events |= PLX_WRITE;
    if (revents & POLLHUP)
        events |= PLX_HUP | PLX_READ | PLX_WRITE;
    if (revents & (POLLERR | POLLNVAL))
        events |= PLX_ERR | PLX_READ | PLX_WRITE;
    return events;
}

/* The last one moves into the gap. */
static void take_out(struct plx__pollset *p, int fd)
{
    int gap = p->where[fd] - 1;
    struct pollfd last = p->at[--p->n];
    p->at[gap] = last;
    p->where[last.fd] = gap + 1;
    p->where[fd] = 0;
}

static int put_in(struct plx__pollset *p, int fd)
{
    void *where = p->where;
    int rc = plx__selector_grow(&where, &p->where_room, (size_t)fd + 1, sizeof(*p->where));
    p->where = where;
    if (rc < 0)
        return rc;
    void *at = p->at;
    rc = plx__selector_grow(&at, &p->room, (size_t)p->n + 1, sizeof(*p->at));
    p->at = at;
    if (rc < 0)
        return rc;
    p->at[p->n] = (struct pollfd){.fd = fd};
    p->where[fd] = ++p->n;
    return 0;
}

int plx__pollset_ctl(struct plx__pollset *p, int fd, unsigned now)
{
    if (!now) {
        take_out(p, fd);
        return 0;
    }
    if (plx__sys_fcntl(fd, F_GETFD, 0) < 0)
        return -errno;
    if ((size_t)fd >= p->where_room || !p->where[fd]) {
        int rc = put_in(p, fd);
        if (rc < 0)
            return rc;
    }
    p->at[p->where[fd] - 1].events = plx__pollset_asked(now);
    return 0;
}

void plx__pollset_free(struct plx__pollset *p)
{
    free(p->at);
    free(p->where);
}
