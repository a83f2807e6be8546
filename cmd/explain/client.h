/* SPDX-License-Identifier: MIT */
/*
 * Clients of the script: plain sockets, whose every step is timed and noted down. A step that does
 * not come to its end is given up, so that the script goes on whatever the server does.
 */
#ifndef POLLUX_CMD_EXPLAIN_CLIENT_H
#define POLLUX_CMD_EXPLAIN_CLIENT_H

#include "cmd/explain/explain.h"

#include <pollux/addr.h>

struct explain_script {
    struct explain_run *run;
    const struct plx_trace *trace;
    const struct plx_addr *to;
    const char *act;
    bool failed; /* no memory, or no connection: nothing more is done */
};

struct explain_peer {
    struct explain_script *s;
    int fd;
    char name[4];
};

/* Connects. `narrow`: with small buffers and short segments, as a slow peer over a real network has
 * them, so that a server's answer soon meets a full socket. */
struct explain_peer explain_connect(struct explain_script *, const char *name, bool narrow);

/* Sends a message and expects `answer` bytes for it. Ends when all is on its way, when the socket
 * takes no more for `most_ns`, or fails. Returns how much went out. */
int64_t explain_send(struct explain_peer *, int64_t bytes, int64_t answer, int64_t most_ns);

/* Receives that many bytes, sending the `rest` of its message meanwhile. False when they are not
 * there after `most_ns`. */
bool explain_receive(struct explain_peer *, int64_t bytes, int64_t rest, int64_t most_ns);

void explain_receive_end(struct explain_peer *);
void explain_shutdown(struct explain_peer *);
void explain_close(struct explain_peer *);
void explain_reset(struct explain_peer *);

/* Nothing is done for a while; `peer` may be NULL, then nobody is said to be silent. */
void explain_silence(struct explain_script *, const struct explain_peer *, int64_t ns,
                     const char *text);

#endif
