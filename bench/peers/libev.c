/* SPDX-License-Identifier: MIT */
/*
 * Echo on libev. It has watchers and no buffers, so its idiomatic form is its best one: an ev_io
 * for each connection, set for the other direction when output waits. Reading and writing are those
 * of the limits by hand (floor.h).
 */
#include "floor.h"

#include <ev.h>

static void turn_to(struct ev_loop *loop, ev_io *w, int events)
{
    ev_io_stop(loop, w);
    ev_io_set(w, w->fd, events);
    ev_io_start(loop, w);
}

static void serve(struct ev_loop *loop, ev_io *w, int events)
{
    enum floor_state s = events & EV_WRITE ? floor_flush(w->fd) : floor_echo(w->fd);

    if (s == FLOOR_OVER) {
        ev_io_stop(loop, w);
        floor_close(w->fd);
        free(w);
    } else if ((s == FLOOR_STALLED) != ((events & EV_WRITE) != 0)) {
        turn_to(loop, w, s == FLOOR_STALLED ? EV_WRITE : EV_READ);
    }
}

static void greet(struct ev_loop *loop, ev_io *w, int events)
{
    int fd = floor_accept(w->fd, SOCK_NONBLOCK);
    ev_io *connection = fd < 0 ? NULL : malloc(sizeof *connection);

    (void)events;
    if (connection) {
        ev_io_init(connection, serve, fd, EV_READ);
        ev_io_start(loop, connection);
    } else if (fd >= 0) {
        close(fd);
    }
}

int main(int argc, char **argv)
{
    int listener = floor_listen(argc, argv, "", SOCK_NONBLOCK);
    struct ev_loop *loop = ev_loop_new(EVBACKEND_EPOLL);
    ev_io w;

    if (!loop)
        floor_die("ev_loop_new");
    floor_make_rests();
    ev_io_init(&w, greet, listener, EV_READ);
    ev_io_start(loop, &w);
    return ev_run(loop, 0);
}
