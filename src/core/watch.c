/* SPDX-License-Identifier: MIT */
/* Watched descriptors: other people's libraries, terminals, pipes. The engine waits for them. */
#include "core/core.h"

#include <errno.h>
#include <stdlib.h>

int plx_watch_start(struct plx_loop *l, int fd, unsigned events, void (*fn)(int, unsigned, void *),
                    void *arg, struct plx_watch **out)
{
    if (!fn || !events || (events & ~(PLX_READ | PLX_WRITE)))
        return -EINVAL;
    if (l->parent || !(l->row->pub.caps & PLX_CAP_WATCH))
        return -EOPNOTSUPP;
    if (l->ended)
        return -ECANCELED;
    for (const struct plx_watch *w = l->watches; w; w = w->next) {
        if (w->fd == fd)
            return -EEXIST;
    }
    struct plx_watch *w = plx__sys_calloc(1, sizeof(*w));
    if (!w)
        return -ENOMEM;
    *w = (struct plx_watch){.source.kind = PLX__WATCH, .loop = l, .fd = fd, .fn = fn, .arg = arg};
    int rc = l->engine->watch(l, w, 0, events);
    if (rc < 0) {
        free(w);
        return rc;
    }
    w->events = events;
    w->next = l->watches;
    l->watches = w;
    if (out)
        *out = w;
    return 0;
}

int plx_watch_modify(struct plx_watch *w, unsigned events)
{
    if (events & ~(PLX_READ | PLX_WRITE))
        return -EINVAL;
    int rc = events == w->events ? 0 : w->loop->engine->watch(w->loop, w, w->events, events);
    if (rc >= 0)
        w->events = events;
    return rc;
}

void plx_watch_stop(struct plx_watch *w)
{
    if (!w || w->stopped)
        return;
    struct plx_loop *l = w->loop;
    w->stopped = true;
    if (w->events)
        (void)l->engine->watch(l, w, w->events, 0);
    w->events = 0;
    for (struct plx_watch **at = &l->watches; *at; at = &(*at)->next) {
        if (*at == w) {
            *at = w->next;
            break;
        }
    }
    w->next_dead = l->dead_watches; /* an event of this turn may still name it */
    l->dead_watches = w;
}
