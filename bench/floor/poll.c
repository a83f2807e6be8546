/* SPDX-License-Identifier: MIT */
/*
 * The limit of `poll` (UNP 6.11): the array has no gaps, and looking through it ends with the last
 * ready entry. The first entry is the listening socket.
 */
#include "floor.h"

#include <poll.h>

#define PER_ACCEPT 32 /* entries that a poll looks at for the price of an accept in vain, about */

static struct pollfd *all;
static nfds_t count;

/* One for each report, for an accept(2) that finds none costs more than being told again, unless
 * there are so many connections that being told costs more. */
static void greet(int listener)
{
    for (nfds_t most = 1 + count / PER_ACCEPT; most > 0; most--) {
        int fd = floor_accept(listener, SOCK_NONBLOCK);

        if (fd < 0)
            break;
        all[count++] = (struct pollfd){.fd = fd, .events = POLLIN};
    }
}

/* Whether the entry is still there. */
static int serve(struct pollfd *p)
{
    enum floor_state s = p->events == POLLOUT ? floor_flush(p->fd) : floor_echo(p->fd);

    if (s == FLOOR_OVER) {
        floor_close(p->fd);
        *p = all[--count];
        return 0;
    }
    p->events = s == FLOOR_STALLED ? POLLOUT : POLLIN;
    return 1;
}

int main(int argc, char **argv)
{
    int listener = floor_listen(argc, argv, "", SOCK_NONBLOCK);

    floor_make_rests();
    all = calloc(FLOOR_DESCRIPTORS, sizeof *all);
    if (!all)
        floor_die("calloc");
    all[count++] = (struct pollfd){.fd = listener, .events = POLLIN};
    for (;;) {
        int ready = poll(all, count, -1);
        int waiting = ready > 0 && all[0].revents;

        ready -= waiting;
        for (nfds_t i = 1; ready > 0 && i < count;) {
            if (all[i].revents) {
                ready--;
                if (!serve(&all[i]))
                    continue; /* the last has taken its place */
            }
            i++;
        }
        if (waiting) /* last: what is new was not asked about */
            greet(listener);
    }
}
