/* SPDX-License-Identifier: MIT */
/*
 * The limit of `sigio`: every change of a socket queues a real-time signal that names it (fcntl(2):
 * O_ASYNC, F_SETOWN, F_SETSIG; UNP 25 has the one signal of old). They are taken from a
 * signalfd(2), many with one read, which spares the sigwaitinfo(2) for each.
 *
 * When the queue is full a plain SIGIO comes instead: then it is emptied, and all is looked at.
 */
#include "floor.h"

#include <fcntl.h>
#include <sys/signalfd.h>

#define READY 128

static int listener, highest;
static int owing;              /* connections wait for whom no signal will come but our own */
static unsigned char *is_open; /* by descriptor: a signal may be late */
static sigset_t signals;

/* As if `fd` had changed, behind all that is queued. False: the queue is full. */
static int look_again(int fd)
{
    return sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = fd}) == 0;
}

static void serve(int fd, int to_end)
{
    enum floor_state s;

    do {
        s = floor_serve_edge(fd, to_end);
    } while (s == FLOOR_MORE && !look_again(fd));
    if (s == FLOOR_OVER) {
        is_open[fd] = 0;
        floor_close(fd);
    }
}

static void arm(int fd)
{
    if (fcntl(fd, F_SETOWN, getpid()) < 0 || fcntl(fd, F_SETSIG, SIGRTMIN) < 0 ||
        fcntl(fd, F_SETFL, O_ASYNC | O_NONBLOCK) < 0)
        floor_die("fcntl");
}

/* One connection, and whether there was one. Each has its own signal, so the accept(2) that finds
 * none is spared; out of descriptors the signals are gone, and all who wait are taken later. */
static int greet(void)
{
    int fd = floor_accept(listener, 0);

    if (fd < 0) {
        if (floor_short_of(errno) && !owing)
            owing = look_again(listener);
        return 0;
    }
    arm(fd);
    is_open[fd] = 1;
    if (fd > highest)
        highest = fd;
    serve(fd, 1); /* what came before it was armed had no signal */
    return 1;
}

static void greet_all(void)
{
    owing = 0;
    while (greet())
        ;
}

static void look_at_all(void)
{
    struct timespec at_once = {0};

    while (sigtimedwait(&signals, NULL, &at_once) > 0)
        ;
    greet_all();
    for (int fd = 0; fd <= highest; fd++) {
        if (is_open[fd])
            serve(fd, 1);
    }
}

int main(int argc, char **argv)
{
    int queue;

    listener = floor_listen(argc, argv, "", SOCK_NONBLOCK);
    floor_make_rests();
    is_open = calloc(FLOOR_DESCRIPTORS, 1);
    sigemptyset(&signals);
    sigaddset(&signals, SIGRTMIN);
    sigaddset(&signals, SIGIO);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    queue = signalfd(-1, &signals, 0);
    if (!is_open || queue < 0)
        floor_die("signalfd");
    arm(listener);
    look_at_all(); /* who came before it was armed */
    for (;;) {
        struct signalfd_siginfo ready[READY];
        ssize_t n = read(queue, ready, sizeof ready);

        for (ssize_t i = 0; i < n / (ssize_t)sizeof *ready; i++) {
            const struct signalfd_siginfo *s = &ready[i];
            int again = s->ssi_code == SI_QUEUE, fd = again ? s->ssi_int : s->ssi_fd;

            if (s->ssi_signo == (unsigned)SIGIO)
                look_at_all();
            else if (fd == listener && again)
                greet_all();
            else if (fd == listener)
                (void)greet();
            else if (is_open[fd])
                serve(fd, again); /* the end has a signal of its own, but that may be gone by */
        }
    }
}
