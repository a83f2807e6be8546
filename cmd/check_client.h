/* SPDX-License-Identifier: MIT */
/*
 * The load of `pollux check`: many connections to an echo server, each of which sends the same
 * bytes in pieces of its own odd sizes, half-closes, and compares every byte that comes back.
 */
#ifndef POLLUX_CMD_CHECK_CLIENT_H
#define POLLUX_CMD_CHECK_CLIENT_H

#include <pollux/addr.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>

struct check_load {
    struct plx_addr to;
    const unsigned char *data; /* what every connection sends; may be NULL for size 0 */
    size_t size;
    unsigned connections;
    uint64_t seed;    /* of the sizes of the pieces: equal seeds send equal pieces */
    int64_t stall_ns; /* give up when nothing moves on any connection for so long */

    /* Called some ten times a second with the bytes verified so far; may be NULL. */
    void (*tick)(void *arg, uint64_t verified);
    void *arg;
    /* Ends the run once a signal handler has set it; may be NULL. */
    const volatile sig_atomic_t *interrupted;
};

enum check_verdict {
    CHECK_OK,
    CHECK_WRONG,      /* the server answered something else: `connection`, `offset` */
    CHECK_FAILED,     /* an error, a stall */
    CHECK_INTERRUPTED /* by a signal */
};

struct check_result {
    enum check_verdict verdict;
    unsigned connection; /* CHECK_WRONG: the first that differed, from 1 */
    uint64_t offset;     /* ... and where */
    uint64_t verified;   /* bytes that came back right, all connections */
    int64_t ns;          /* from the first connection's start to the last one's end */
    char why[160];       /* in words, unless CHECK_OK */
};

/* Runs it on a loop of its own, on this thread, to its end. */
void check_client_run(const struct check_load *, struct check_result *);

#endif
