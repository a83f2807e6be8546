/* SPDX-License-Identifier: MIT */
/*
 * The limit of `epoll`: level-triggered (epoll(7)). One recv per report; what it leaves is
 * reported again. Closing takes a descriptor out of the set.
 */
#include "floor.h"

#include <sys/epoll.h>

#define READY 512

static void watch(int set, int how, int fd, unsigned events)
{
    struct epoll_event e = {.events = events, .data.fd = fd};

    if (epoll_ctl(set, how, fd, &e) < 0)
        floor_die("epoll_ctl");
}

/* One for each report: an accept(2) that finds none costs more than being told again. */
static void greet(int set, int listener)
{
    int fd = floor_accept(listener, SOCK_NONBLOCK);

    if (fd >= 0)
        watch(set, EPOLL_CTL_ADD, fd, EPOLLIN);
}

static void serve(int set, int fd)
{
    enum floor_state s;

    if (floor_stalled(fd)) {
        s = floor_flush(fd);
        if (s == FLOOR_MORE)
            watch(set, EPOLL_CTL_MOD, fd, EPOLLIN);
    } else {
        s = floor_echo(fd);
        if (s == FLOOR_STALLED)
            watch(set, EPOLL_CTL_MOD, fd, EPOLLOUT);
    }
    if (s == FLOOR_OVER)
        floor_close(fd);
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
                serve(set, ready[i].data.fd);
        }
    }
}
