/* SPDX-License-Identifier: MIT */
/*
 * chargen (RFC 864): lines of 72 characters without end, each beginning one character later in the
 * ring of the 95 printable ones. Input is thrown away. The speed is the peer's: lines are made
 * until the queue passes its high-water mark, and again when it has drained.
 *
 * The RFC knows one end: the peer closes the connection, and the next send fails. Because the queue
 * is refilled as soon as it has drained, input is hardly ever looked at, so a peer that only ends
 * its sending side goes on getting lines, and a polite end of the server lasts until its limit.
 */
#include "cmd/services/service.h"

#define FIRST   ' '
#define RING    95 /* ' ' to '~' */
#define COLUMNS 72
#define LINES   32 /* made at a time */

struct state {
    unsigned line; /* the ring's index at which the next line begins */
};

static int fill(struct plx_conn *conn)
{
    struct state *state = plx_conn_state(conn);
    char text[LINES * (COLUMNS + 2)];
    int rc = 0;

    while (rc == 0) {
        size_t n = 0;

        for (unsigned i = 0; i < LINES; i++) {
            for (unsigned column = 0; column < COLUMNS; column++)
                text[n++] = (char)(FIRST + (state->line + column) % RING);
            text[n++] = '\r';
            text[n++] = '\n';
            state->line = (state->line + 1) % RING;
        }
        rc = plx_send(conn, text, n);
    }
    return rc < 0 ? rc : 0;
}

static int on_open(struct plx_conn *conn)
{
    return fill(conn);
}

static void on_drain(struct plx_conn *conn)
{
    /* An error here ended the connection, and on_close reports it. After plx_finish() (the peer
     * finished, or the server drains) it is -EPIPE: there is nothing more to say. */
    (void)fill(conn);
}

const struct plx_handler service_chargen = {.name = "chargen",
                                            .state_size = sizeof(struct state),
                                            .on_open = on_open,
                                            .on_drain = on_drain};
