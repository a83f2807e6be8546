/* SPDX-License-Identifier: MIT */
/* A run as rows from top to bottom, in the order of time: what the terminal's drawing and the
 * figures have in common. */
#ifndef POLLUX_CMD_EXPLAIN_ROWS_H
#define POLLUX_CMD_EXPLAIN_ROWS_H

#include "cmd/explain/explain.h"

enum explain_row_kind {
    EXPLAIN_ROW_ACT,     /* a heading */
    EXPLAIN_ROW_CALL,    /* a call during which nothing else happened; also folded ones */
    EXPLAIN_ROW_BEGIN,   /* a call goes into the kernel ... */
    EXPLAIN_ROW_RETURN,  /* ... and comes back */
    EXPLAIN_ROW_NOTE,    /* anything else of the server's: it takes no time */
    EXPLAIN_ROW_STEP,    /* a client's */
    EXPLAIN_ROW_MESSAGE, /* a message is answered: its phases are known */
    EXPLAIN_ROW_BREAK,   /* nothing for a while: `span_ns` */
    EXPLAIN_ROW_REPEAT   /* the `cycle` rows before, again `times` times, within `span_ns`; they
                          * moved `bytes` more */
};

/* Of what is about to be drawn at its time. */
enum explain_row_phase { EXPLAIN_NO_PHASE, EXPLAIN_WAITING, EXPLAIN_COPYING };

struct explain_row {
    enum explain_row_kind kind;
    int64_t at_ns;
    const struct explain_act *act;
    const struct explain_event *event;
    const struct explain_step *step;
    const struct explain_message *message;
    int64_t span_ns, bytes;
    uint64_t times;
    size_t cycle;
    enum explain_row_phase phase;
    unsigned inside; /* calls in the kernel across this row: begun above, to return below */
};

struct explain_rows {
    struct explain_row *items;
    size_t n, cap;
};

/* 0 or -ENOMEM. The rows point into the run; free(rows->items). */
int explain_rows(const struct explain_run *, struct explain_rows *rows);

/* What stands in the process's lane: "recv #1", "[2] on_data #1 64 bytes". ASCII only. */
void explain_row_process(const struct explain_run *, const struct explain_row *, char *buf,
                         size_t cap);

/* What a call brought: "64 bytes", "EAGAIN", "4096 of 65536", "1 ready". */
void explain_row_result(const struct explain_event *, char *buf, size_t cap);

/* "A's 64 bytes: waiting 30.2 ms in recv (the process is blocked), copying 12.3 us in recv". */
void explain_row_message(const struct explain_message *, char *buf, size_t cap);

#endif
