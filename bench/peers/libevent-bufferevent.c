/* SPDX-License-Identifier: MIT */
/*
 * Echo on libevent as its book shows it: a bufferevent for each connection, evconnlistener to
 * accept, and evbuffer_add_buffer(), which hands the input over as output without a copy.
 *
 * Beyond the book's example only what correctness asks: while more than QUEUE_MOST bytes wait to be
 * written the connection is not read, and what waits at the peer's end is sent before the close.
 */
#include "floor.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

#define QUEUE_MOST FLOOR_BUFFER

static void on_event(struct bufferevent *b, short what, void *arg);

static void on_read(struct bufferevent *b, void *arg)
{
    struct evbuffer *out = bufferevent_get_output(b);

    (void)arg;
    evbuffer_add_buffer(out, bufferevent_get_input(b));
    if (evbuffer_get_length(out) > QUEUE_MOST)
        bufferevent_disable(b, EV_READ);
}

/* All has been written. */
static void on_written(struct bufferevent *b, void *arg)
{
    (void)arg;
    if (!(bufferevent_get_enabled(b) & EV_READ))
        bufferevent_enable(b, EV_READ);
}

static void on_last_written(struct bufferevent *b, void *arg)
{
    (void)arg;
    bufferevent_free(b);
}

static void on_event(struct bufferevent *b, short what, void *arg)
{
    (void)arg;
    if ((what & BEV_EVENT_EOF) && evbuffer_get_length(bufferevent_get_output(b)) > 0) {
        bufferevent_disable(b, EV_READ);
        bufferevent_setcb(b, NULL, on_last_written, on_event, NULL);
    } else if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) {
        bufferevent_free(b);
    }
}

static void on_connection(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *a,
                          int length, void *arg)
{
    struct bufferevent *b =
        bufferevent_socket_new(evconnlistener_get_base(listener), fd, BEV_OPT_CLOSE_ON_FREE);
    int on = 1;

    (void)a;
    (void)length;
    (void)arg;
    if (!b) {
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    bufferevent_setcb(b, on_read, on_written, on_event, NULL);
    bufferevent_enable(b, EV_READ | EV_WRITE);
}

static void on_accept_failed(struct evconnlistener *listener, void *arg)
{
    (void)listener;
    (void)arg;
    if (floor_short_of(EVUTIL_SOCKET_ERROR()))
        floor_pause();
}

int main(int argc, char **argv)
{
    struct sockaddr_in a = floor_begin(argc, argv, "");
    struct event_base *base = event_base_new();
    struct evconnlistener *listener =
        base ? evconnlistener_new_bind(base, on_connection, NULL,
                                       LEV_OPT_REUSEABLE | LEV_OPT_CLOSE_ON_FREE, FLOOR_BACKLOG,
                                       (struct sockaddr *)&a, sizeof a)
             : NULL;

    signal(SIGPIPE, SIG_IGN); /* which the library leaves to its user */
    if (!listener)
        floor_die("evconnlistener_new_bind");
    evconnlistener_set_error_cb(listener, on_accept_failed);
    floor_announce(evconnlistener_get_fd(listener));
    return event_base_dispatch(base) < 0;
}
