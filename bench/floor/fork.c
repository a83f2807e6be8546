/* SPDX-License-Identifier: MIT */
/*
 * The limit of `fork`: a process for each connection (UNP 4.8). SIGCHLD is caught and not ignored
 * (UNP 5.9): what a child has cost is added to its parent's account only if it is waited for.
 */
#include "floor.h"

#include <sys/prctl.h>
#include <sys/wait.h>

static void on_child(int signo)
{
    int saved = errno;

    (void)signo;
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
    errno = saved;
}

static void serve(pid_t parent, int listener, int fd)
{
    /* Children end with their parent, also with one that has ended meanwhile. */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() == parent) {
        close(listener);
        floor_serve(fd, floor_buffer);
    }
    _exit(0);
}

int main(int argc, char **argv)
{
    int listener = floor_listen(argc, argv, "", 0);
    struct sigaction sa = {.sa_handler = on_child, .sa_flags = SA_RESTART | SA_NOCLDSTOP};
    pid_t parent = getpid();

    sigaction(SIGCHLD, &sa, NULL);
    for (;;) {
        int fd = floor_accept(listener, 0);
        pid_t pid;

        if (fd < 0)
            continue;
        pid = fork();
        if (pid == 0)
            serve(parent, listener, fd);
        if (pid < 0)
            floor_pause(); /* too many processes: the peer is dropped */
        close(fd);
    }
}
