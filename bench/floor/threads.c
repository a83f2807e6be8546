/* SPDX-License-Identifier: MIT */
/*
 * The limit of `threads`: a thread for each connection (UNP 26.4), detached, so that nobody has to
 * join it. The buffer is on its stack, which the C library keeps for the next thread.
 */
#include "floor.h"

#include <limits.h>
#include <pthread.h>
#include <stdint.h>

static void *serve(void *arg)
{
    char buffer[FLOOR_BUFFER];

    floor_serve((int)(intptr_t)arg, buffer);
    return NULL;
}

int main(int argc, char **argv)
{
    int listener = floor_listen(argc, argv, "", 0);
    pthread_attr_t attributes;

    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, (size_t)2 * FLOOR_BUFFER);
    for (;;) {
        int fd = floor_accept(listener, 0);
        pthread_t thread;

        if (fd < 0)
            continue;
        if (pthread_create(&thread, &attributes, serve, (void *)(intptr_t)fd) != 0) {
            close(fd); /* too many threads */
            floor_pause();
        }
    }
}
