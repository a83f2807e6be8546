/* SPDX-License-Identifier: MIT */
/* What the two ways of `pollux connect` share: one loop for both directions, or two threads. */
#ifndef POLLUX_CMD_CONNECT_H
#define POLLUX_CMD_CONNECT_H

#include "cmd/cmd.h"

#include <pollux/addr.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Exit status beyond those of every command. */
enum { STATUS_CUT = 3, STATUS_TIMEOUT = 4 };

/* A host name may stand for several addresses; more than these are not tried. */
#define CONNECT_ADDRS 16

/* Time for a connection to be established when --timeout does not say. */
#define CONNECT_TIME (10 * PLX_SECOND)

struct connect_values {
    int model;
    bool quit_on_empty;
    int64_t timeout_ns; /* 0 = not given */
};

struct connect_job {
    const struct connect_values *values;
    const char *text; /* the address as it was typed */
    struct plx_addr addrs[CONNECT_ADDRS];
    int naddrs;
    const char *model;
};

/* Where the input is: at the start of a line or not. */
struct connect_input {
    bool stops_on_empty; /* --quit-on-empty-line */
    bool in_line;
    bool over; /* no more input: nothing after this is sent */
};

/*
 * Reads up to `cap` bytes of standard input. Returns how many are to be sent: fewer than were read
 * if an empty line ended the input. 0 with `over` set at its end; 0 without if there is nothing at
 * the moment; -errno.
 */
ssize_t connect_read(struct connect_input *, char *buf, size_t cap);

/* Writes all of it to standard output. 0 or -errno. */
int connect_write(const void *p, size_t n);

/* What to print and return, so that both ways say the same. `err` is 0 or -errno. */
int connect_refused(const struct connect_job *, int err); /* could not connect */
int connect_cut(bool early, int err);                     /* the server ended it */
int connect_silent(const struct connect_job *);           /* --timeout passed */
int connect_input_failed(int err);
int connect_output_failed(int err);

/* The two ways. They return the exit status. */
int connect_loop(const struct connect_job *);
int connect_threads(const struct connect_job *);

#endif
