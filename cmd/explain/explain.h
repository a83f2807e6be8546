/* SPDX-License-Identifier: MIT */
/*
 * What `pollux explain` knows of a run: what the server did, as its trace has it; what the clients
 * did; and what becomes of each message out of both. Everything that draws (text.c, svg.c,
 * perfetto.c, page.c by way of the document) draws from this, and knows no model by its name.
 *
 * Times are nanoseconds since the model's `zero_ns`, which is CLOCK_MONOTONIC; server and clients
 * share that clock. Strings are static storage or belong to the run's document.
 */
#ifndef POLLUX_CMD_EXPLAIN_EXPLAIN_H
#define POLLUX_CMD_EXPLAIN_EXPLAIN_H

#include <pollux/model.h>
#include <pollux/trace.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

struct json_t;

#define EXPLAIN_SCHEMA_VERSION 1

/* No time is known. */
#define EXPLAIN_NEVER INT64_MIN

/* One of the trace's events, or a run of equal ones folded into one: what busy polling finds
 * nothing with, thousands of times. Then `begin_ns` is the first one's, `end_ns` the last one's,
 * and `spent_ns` the sum of the time inside. */
struct explain_event {
    uint64_t number;
    size_t thread; /* index of the run's threads */
    int64_t begin_ns, end_ns, spent_ns;
    uint64_t count;
    const char *name;
    enum plx_trace_kind kind;
    enum plx_trace_phase phase;
    int fd;
    uint64_t conn;
    int64_t asked, result;
    bool is_short; /* a send that took less than it was given */
};

struct explain_thread {
    int process, thread;
    const char *name; /* "main", "thread", "process" */
};

/* A part of the script. */
struct explain_act {
    const char *name, *title;
    int64_t begin_ns, end_ns;
};

/* What a client did. */
struct explain_step {
    char client[4]; /* "A" */
    uint64_t conn;  /* the server's number of its connection, 0 = it never got one */
    const char *act, *what;
    int64_t begin_ns, end_ns;
    int64_t asked, result; /* bytes; result < 0 = -errno */
    char text[80];
};

struct explain_client {
    char name[4];
    uint64_t conn;
    const char *act;
};

/* Who does it: "process", "kernel", "library", "nobody"; NULL = there is no such phase. */
struct explain_phase {
    const char *who, *call;
    int64_t begin_ns, end_ns;
    size_t event; /* index of the event that it is read from */
};

struct explain_calls {
    const char *name;
    uint64_t count, eagain, shorts;
    int64_t spent_ns;
};

#define EXPLAIN_NAMES 48 /* different system calls in a run */

struct explain_message {
    char client[4];
    uint64_t conn;
    const char *act;
    int64_t bytes, answer; /* its length, and that of what is to come back */
    int64_t sent_ns, arrived_ns;
    struct explain_phase waiting, copying;
    int64_t shown_ns, answered_ns, received_ns; /* or EXPLAIN_NEVER */
    struct explain_calls calls[8];
    size_t ncalls;
};

struct explain_facts {
    char waits[128], copies[128], sentence[320];
    char writes[200]; /* of the largest write, if it met a full socket */
    bool known;       /* of the first message: the rest of this block */
    bool blocked, synchronous;
    int64_t waiting_ns, copying_ns;
    uint64_t small_calls;
    /* of all that was served, without what starts and ends the server */
    uint64_t messages, system_calls;
    int64_t queue_peak;
    struct explain_calls calls[EXPLAIN_NAMES];
    size_t ncalls;
};

/* A growing array of any of these; `items` is NULL as long as it is empty. */
#define EXPLAIN_LIST(type)                                                                         \
    struct {                                                                                       \
        type *items;                                                                               \
        size_t n, cap;                                                                             \
    }

/* One model's run. */
struct explain_run {
    const char *model, *engine, *summary, *limits, *waits_in, *copies_in;
    bool runs;
    struct plx_why why;  /* why it does not */
    char complaint[160]; /* what went wrong on the way, or "" */
    int64_t zero_ns, duration_ns;
    int process;       /* the server's */
    uint64_t lost;     /* events overwritten before they were read */
    uint64_t expected; /* the trace's number of the event to go on with */
    EXPLAIN_LIST(struct explain_thread) threads;
    EXPLAIN_LIST(struct explain_client) clients;
    EXPLAIN_LIST(struct explain_act) acts;
    EXPLAIN_LIST(struct explain_step) steps;
    EXPLAIN_LIST(struct explain_message) messages;
    EXPLAIN_LIST(struct explain_event) events;
    EXPLAIN_LIST(size_t) open; /* events of the end that may be folded on */
    struct explain_facts facts;
};

struct explain_document {
    const char *program; /* "pollux explain", "pollux serve" */
    const char *version;
    const char *scenario; /* or NULL */
    struct json_t *command, *machine;
    char machine_line[200];
    struct json_t *root; /* where strings are when it was read from a file; or NULL */
    struct explain_run *runs;
    size_t n;
};

/* ---- a list ---- */

/* Makes room for one more item and returns it zeroed, NULL without memory. */
void *explain_more(void *list, size_t size);
#define EXPLAIN_MORE(list) explain_more((list), sizeof(*(list)->items))

/* ---- one run (run.c, record.c, script.c, server.c) ---- */

/* Name number i of the scenarios, NULL past the end. */
const char *explain_scenario(size_t i);

/* plx_model_probe() in a process of its own: what a probe leaves behind in this one (the C
 * library's AIO starts threads, which fork(2) does not copy) would be missing in the servers. */
int explain_probe(const struct plx_model *, struct plx_why *why);

/* Runs the scenario under the model and makes out what happened. The outcome is in `run` (zeroed
 * by the caller), also when it went wrong. 0, or -ENOMEM. One thread; forks. */
int explain_record(struct explain_run *run, const struct plx_model *, size_t scenario);

void explain_run_free(struct explain_run *);

/* Takes what the trace has so far, folded. 0 or -ENOMEM. */
int explain_take(struct explain_run *, const struct plx_trace *);

/* Puts the events in the order in which they began; once all are taken. 0 or -ENOMEM. */
int explain_sort(struct explain_run *);

/* ---- what it means (phases.c, facts.c) ---- */

void explain_phases(struct explain_run *);
void explain_facts(struct explain_run *);

/* ---- the document (document.c, load.c) ---- */

/* NULL without memory. */
struct json_t *explain_json(const struct explain_document *);

/* Reads one. 0, or -errno with one line in `err`. explain_document_free() in any case. */
int explain_load(const char *file, struct explain_document *, char *err, size_t errcap);

void explain_document_free(struct explain_document *);

/* ---- drawing: 0, or -errno; what does not reach the file is for its closing to say ---- */

int explain_text(FILE *, const struct explain_document *, bool colour);
int explain_svg(FILE *, const struct explain_document *);
int explain_perfetto(FILE *, const struct explain_document *);

/* ---- small things that several of them need (words.c) ---- */

/* "12.3 us", "30.0 ms", "1.50 s". Returns `buf`, of EXPLAIN_TIME bytes. */
#define EXPLAIN_TIME 24
char *explain_time(int64_t ns, char *buf);

/* "64 bytes", "64 KiB" where it is a multiple. Returns `buf`, of EXPLAIN_TIME bytes. */
char *explain_bytes(int64_t n, char *buf);

/* The name of an error, "EAGAIN", static; "" for 0 and more. */
const char *explain_error(int64_t result);

/* Whether it brought bytes of a connection in, or took them out: a call, or a request's completion.
 */
bool explain_receives(const struct explain_event *);
bool explain_sends(const struct explain_event *);

#endif
