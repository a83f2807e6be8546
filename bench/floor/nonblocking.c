/* SPDX-License-Identifier: MIT */
/*
 * The limit of `nonblocking`: every connection is asked in turn, without any wait or pause, so it
 * always has a whole core (UNP 6.2). As fast as this model can be, as Pollux is without
 * --poll-pause.
 *
 * To accept(2) is tried only once in a while: on an empty queue it makes a socket and a file
 * before it finds out, and costs several times as much as a recv(2) that finds nothing.
 */
#include "floor.h"

#define CALLS_PER_ACCEPT 64

static int *all, count;

static void greet(int listener)
{
    for (int fd; (fd = floor_accept(listener, SOCK_NONBLOCK)) >= 0;)
        all[count++] = fd;
}

int main(int argc, char **argv)
{
    int listener = floor_listen(argc, argv, "", SOCK_NONBLOCK);
    int calls = 0;

    floor_make_rests();
    all = calloc(FLOOR_DESCRIPTORS, sizeof *all);
    if (!all)
        floor_die("calloc");
    for (;;) {
        if (count == 0 || calls >= CALLS_PER_ACCEPT) {
            greet(listener);
            calls = 0;
        }
        calls += count;
        for (int i = 0; i < count;) {
            int fd = all[i];

            if ((floor_stalled(fd) ? floor_flush(fd) : floor_echo(fd)) == FLOOR_OVER) {
                floor_close(fd);
                all[i] = all[--count];
            } else {
                i++;
            }
        }
    }
}
