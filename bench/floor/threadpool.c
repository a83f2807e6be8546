/* SPDX-License-Identifier: MIT */
/*
 * The limit of `threadpool`: a fixed number of threads, each of which accepts and serves one
 * connection after the other (UNP 30.11, without the lock around accept(2), which Linux does not
 * need). The main thread is one of them. What finds no thread waits in the backlog.
 */
#include "floor.h"

#include <pthread.h>

#define THREADS 64

static int listener;

static void *serve(void *arg)
{
    char buffer[FLOOR_BUFFER];

    (void)arg;
    for (;;) {
        int fd = floor_accept(listener, 0);

        if (fd >= 0)
            floor_serve(fd, buffer);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    int threads = argc == 4 ? atoi(argv[3]) : THREADS;
    pthread_attr_t attributes;

    listener = floor_listen(argc, argv, " [THREADS]", 0);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, (size_t)2 * FLOOR_BUFFER);
    for (int i = 1; i < threads; i++) {
        pthread_t thread;

        if (pthread_create(&thread, &attributes, serve, NULL) != 0)
            break; /* it is as large as the system allows */
    }
    serve(NULL);
}
