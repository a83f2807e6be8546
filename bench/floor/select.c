/* SPDX-License-Identifier: MIT */
/*
 * The limit of `select` (UNP 6.8). The sets are copied word by word up to the highest descriptor,
 * and in what comes back the next ready descriptor is found by its bit, not by asking for each.
 */
#include "floor.h"

#include <sys/select.h>

#define BITS  (8 * (int)sizeof(unsigned long))
#define WORDS (FD_SETSIZE / BITS)

#define PER_ACCEPT 32 /* descriptors that a select looks at for an accept in vain, about */

/* An fd_set is just that in Linux's interface: an array of long, the lowest bit first. */
union set {
    fd_set set;
    unsigned long words[WORDS];
};

static union set readers, writers; /* of which descriptor what is asked */
static int highest, stalled;

/* One for each report, for an accept(2) that finds none costs more than being told again, unless
 * there are so many connections that being told costs more. */
static void greet(int listener)
{
    for (int most = 1 + highest / PER_ACCEPT; most > 0; most--) {
        int fd = floor_accept(listener, SOCK_NONBLOCK);

        if (fd < 0)
            break;
        if (fd >= FD_SETSIZE) {
            close(fd); /* beyond the sets: writing there would be memory corruption */
            continue;
        }
        FD_SET(fd, &readers.set);
        if (fd > highest)
            highest = fd;
    }
}

static void drop(int fd)
{
    FD_CLR(fd, &readers.set);
    floor_close(fd);
    while (!FD_ISSET(highest, &readers.set) && !FD_ISSET(highest, &writers.set))
        highest--; /* the listener stays */
}

static void serve_reader(int fd)
{
    enum floor_state s = floor_echo(fd);

    if (s == FLOOR_OVER) {
        drop(fd);
    } else if (s == FLOOR_STALLED) {
        FD_CLR(fd, &readers.set);
        FD_SET(fd, &writers.set);
        stalled++;
    }
}

static void serve_writer(int fd)
{
    enum floor_state s = floor_flush(fd);

    if (s == FLOOR_STALLED)
        return;
    FD_CLR(fd, &writers.set);
    stalled--;
    if (s == FLOOR_OVER)
        drop(fd);
    else
        FD_SET(fd, &readers.set);
}

/* Calls `serve` for each descriptor in the first `words` of `ready`. */
static void for_each(const union set *ready, int words, void (*serve)(int fd))
{
    for (int i = 0; i < words; i++) {
        for (unsigned long word = ready->words[i]; word; word &= word - 1)
            serve(i * BITS + __builtin_ctzl(word));
    }
}

int main(int argc, char **argv)
{
    int listener = floor_listen(argc, argv, "", SOCK_NONBLOCK);

    floor_make_rests();
    FD_SET(listener, &readers.set);
    highest = listener;
    for (;;) {
        union set in, out;
        int words = highest / BITS + 1, ask_out = stalled > 0;

        memcpy(in.words, readers.words, (size_t)words * sizeof *in.words);
        if (ask_out)
            memcpy(out.words, writers.words, (size_t)words * sizeof *out.words);
        if (select(highest + 1, &in.set, ask_out ? &out.set : NULL, NULL, NULL) <= 0)
            continue;
        if (FD_ISSET(listener, &in.set)) {
            FD_CLR(listener, &in.set);
            greet(listener);
        }
        if (ask_out)
            for_each(&out, words, serve_writer);
        for_each(&in, words, serve_reader);
    }
}
