/* SPDX-License-Identifier: MIT */
/*
 * The same everywhere: what a client can see of a server must not tell which model it runs.
 *
 * A scenario is a server of the conformance tests (../conform: its process, its handler, its plain
 * clients) and a fixed sequence of what clients do. What they see is written down in a normal form,
 * in which chance has no part: bytes by number and sum, not by the pieces they came in; how it
 * ended; of times only whether a limit had passed. The transcripts of all models are compared with
 * that of one.
 */
#ifndef SAME_H
#define SAME_H

#include "../conform/conform.h"

struct scenario {
    const char *name;
    void (*run)(struct test *);
};
extern const struct scenario scenarios[]; /* ended by a NULL name */

/* Writes a line of the transcript of this scenario, which this process carries out. */
void see(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
