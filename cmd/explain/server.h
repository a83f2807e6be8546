/* SPDX-License-Identifier: MIT */
/* The server that is explained: a process of its own, whose loops write into a trace that it shares
 * with this one. */
#ifndef POLLUX_CMD_EXPLAIN_SERVER_H
#define POLLUX_CMD_EXPLAIN_SERVER_H

#include <pollux/pollux.h>
#include <pollux/trace.h>
#include <sys/types.h>

struct explain_server {
    pid_t pid; /* 0 = none */
    int control;
    struct plx_addr addr;
};

/* Starts one that answers each message with itself, or with `answer` bytes if that is not 0.
 * 0, or -errno and why. */
int explain_server_start(struct explain_server *, const struct plx_model *, struct plx_trace *,
                         size_t answer, struct plx_why *why);

/* Has it drain, and waits until it is gone; what does not go is killed. 0; -ETIMEDOUT; -ECHILD when
 * it had crashed. */
int explain_server_end(struct explain_server *);

#endif
