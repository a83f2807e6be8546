/* SPDX-License-Identifier: MIT */
/* Outgoing connections: begun here, non-blocking, for every engine; established by the engine. */
#include "core/core.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int plx_connect(struct plx_loop *l, const struct plx_addr *to, const struct plx_handler *handler,
                const void *state, struct plx_conn **out)
{
    return plx_connect_from(l, to, NULL, handler, state, out);
}

int plx_connect_from(struct plx_loop *l, const struct plx_addr *to, const struct plx_addr *from,
                     const struct plx_handler *handler, const void *state, struct plx_conn **out)
{
    if (out)
        *out = NULL;
    if (l->parent || !(l->row->pub.caps & PLX_CAP_CONNECT))
        return -EOPNOTSUPP;
    if (l->ended)
        return -ECANCELED;
    struct plx__socket s = {0};
    s.handler = handler;
    plx__peer_set(&s.peer, &to->sa, to->len);
    s.fd = plx__socket_connect(to, from, &s.connecting);
    if (s.fd < 0)
        return s.fd;
    int rc = l->engine->blocking_fds && !s.connecting ? plx__socket_blocking(s.fd, true) : 0;
    /* A thread may make the connection later than the caller keeps its state, and then fail. */
    if (rc == 0 && ((state && handler->state_size) || l->engine->end)) {
        s.made = plx__sys_calloc(1, sizeof(*s.made) + handler->state_size);
        if (s.made && state)
            memcpy(s.made->state, state, handler->state_size);
        rc = s.made ? 0 : -ENOMEM;
    }
    s.number = atomic_fetch_add(&l->group->numbers, 1) + 1;
    if (rc == 0)
        rc = l->engine->adopt(l, &s, out);
    if (rc < 0)
        plx__socket_drop(l, &s);
    return rc;
}
