/* SPDX-License-Identifier: MIT */
/*
 * The limit of `epoll-et`: edge-triggered (epoll(7)). A connection is registered once, for both
 * directions, and never again. A short read means drained, so the second recv is spared; only
 * EPOLLRDHUP says that the end is behind it (epoll_ctl(2)). The listening socket stays
 * level-triggered, which spares the accept(2) that finds none.
 */
#include "floor.h"

#include <sys/epoll.h>

#define READY 512
#define EDGES (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET)

static void watch(int set, int how, int fd, unsigned events)
{
    struct epoll_event e = {.events = events, .data.fd = fd};

    if (epoll_ctl(set, how, fd, &e) < 0)
        floor_die("epoll_ctl");
}

static void greet(int set, int listener)
{
    int fd = floor_accept(listener, SOCK_NONBLOCK);

    if (fd >= 0)
        watch(set, EPOLL_CTL_ADD, fd, EDGES);
}

static void serve(int set, int fd, unsigned events)
{
    enum floor_state s;

    if (events == EPOLLOUT && !floor_stalled(fd))
        return; /* each new connection can be written to, which nobody asked */
    s = floor_serve_edge(fd, (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0);
    if (s == FLOOR_OVER)
        floor_close(fd);
    else if (s == FLOOR_MORE) /* others have their turn: then it is reported anew */
        watch(set, EPOLL_CTL_MOD, fd, EDGES);
}

int main(int argc, char **argv)
{
    int listener = floor_listen(argc, argv, "", SOCK_NONBLOCK);
    int set = epoll_create1(0);

    floor_make_rests();
    watch(set, EPOLL_CTL_ADD, listener, EPOLLIN);
    for (;;) {
        struct epoll_event ready[READY];
        int n = epoll_wait(set, ready, READY, -1);

        for (int i = 0; i < n; i++) {
            if (ready[i].data.fd == listener)
                greet(set, listener);
            else
                serve(set, ready[i].data.fd, ready[i].events);
        }
    }
}
