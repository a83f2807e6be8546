/* SPDX-License-Identifier: MIT */
/*
 * Echo on libevent at its best: only its waiting is used, a persistent event for each connection
 * that is set anew for the other direction when output waits. Reading and writing are those of the
 * limits by hand (floor.h).
 */
#include "floor.h"

#include <event2/event.h>
#include <event2/event_struct.h>

static struct event_base *base;

static void serve(evutil_socket_t fd, short what, void *arg);

static void watch(struct event *e, evutil_socket_t fd, short what)
{
    event_assign(e, base, fd, (short)(what | EV_PERSIST), serve, e);
    event_add(e, NULL);
}

static void serve(evutil_socket_t fd, short what, void *arg)
{
    struct event *e = arg;
    enum floor_state s = what & EV_WRITE ? floor_flush(fd) : floor_echo(fd);

    if (s == FLOOR_OVER) {
        event_del(e);
        floor_close(fd);
        free(e);
    } else if ((s == FLOOR_STALLED) != ((what & EV_WRITE) != 0)) {
        event_del(e);
        watch(e, fd, s == FLOOR_STALLED ? EV_WRITE : EV_READ);
    }
}

static void greet(evutil_socket_t listener, short what, void *arg)
{
    int fd = floor_accept(listener, SOCK_NONBLOCK);
    struct event *e = fd < 0 ? NULL : malloc(sizeof *e);

    (void)what;
    (void)arg;
    if (e)
        watch(e, fd, EV_READ);
    else if (fd >= 0)
        close(fd);
}

int main(int argc, char **argv)
{
    int listener = floor_listen(argc, argv, "", SOCK_NONBLOCK);
    struct event_config *config = event_config_new();
    struct event *e;

    /* No time is needed, hence no clock; see event_config_set_flag() in event2/event.h. */
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_NO_CACHE_TIME);
    base = event_base_new_with_config(config);
    floor_make_rests();
    e = base ? event_new(base, listener, EV_READ | EV_PERSIST, greet, NULL) : NULL;
    if (!e || event_add(e, NULL) < 0)
        floor_die("event_new");
    return event_base_dispatch(base) < 0;
}
