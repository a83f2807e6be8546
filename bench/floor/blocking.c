/* SPDX-License-Identifier: MIT */
/* The limit of `blocking`: one connection at a time, the others wait in the backlog (UNP 30.4). */
#include "floor.h"

int main(int argc, char **argv)
{
    int listener = floor_listen(argc, argv, "", 0);

    for (;;) {
        int fd = floor_accept(listener, 0);

        if (fd >= 0)
            floor_serve(fd, floor_buffer);
    }
}
