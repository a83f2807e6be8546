/* SPDX-License-Identifier: MIT */
/*
 * The scripts that are run under each model. One connection is done with before the next act
 * begins, and every step has a time limit, so that the blocking model, which serves one connection
 * at a time, comes through as well: there the drawing shows who waits in the backlog.
 */
#include "cmd/explain/client.h"
#include "cmd/explain/server.h"

#include "cmd/clock.h"

#include <errno.h>
#include <pollux/pollux.h>
#include <stdlib.h>
#include <string.h>

#define TRACE_EVENTS ((size_t)1 << 20) /* between two acts; a polling loop writes some 10^6/s */

#define SMALL   64
#define LARGE   ((int64_t)512 * 1024)
#define LATE_NS (30 * PLX_MSEC)
#define NO_NS   (15 * PLX_MSEC) /* after which a client that waits its turn says so */
#define FULL_NS (20 * PLX_MSEC) /* for which nothing is read */
#define LAST_NS (5 * PLX_SECOND)
#define REST_NS (4 * PLX_MSEC) /* after each act, for the server to be done */

/* ---- acts ---- */

static void finish(struct explain_peer *p)
{
    explain_shutdown(p);
    explain_receive_end(p);
    explain_close(p);
}

static void late(struct explain_script *s)
{
    struct explain_peer a = explain_connect(s, "A", false);

    explain_silence(s, &a, LATE_NS, "is silent");
    explain_send(&a, SMALL, SMALL, LAST_NS);
    explain_receive(&a, SMALL, 0, LAST_NS);
    finish(&a);
}

static void two(struct explain_script *s)
{
    struct explain_peer b = explain_connect(s, "B", false);
    struct explain_peer c = explain_connect(s, "C", false);

    explain_silence(s, NULL, REST_NS, NULL);
    explain_send(&c, SMALL, SMALL, LAST_NS);
    bool answered = explain_receive(&c, SMALL, 0, NO_NS);

    explain_send(&b, SMALL, SMALL, LAST_NS);
    explain_receive(&b, SMALL, 0, LAST_NS);
    finish(&b);
    if (!answered)
        explain_receive(&c, SMALL, 0, LAST_NS);
    finish(&c);
}

static void large(struct explain_script *s)
{
    struct explain_peer d = explain_connect(s, "D", true);

    explain_silence(s, NULL, REST_NS, NULL);
    int64_t sent = explain_send(&d, LARGE, LARGE, FULL_NS);

    explain_silence(s, &d, FULL_NS, "reads nothing");
    explain_receive(&d, LARGE, LARGE - sent, LAST_NS);
    finish(&d);
}

static void half_close(struct explain_script *s)
{
    struct explain_peer e = explain_connect(s, "E", false);

    explain_silence(s, NULL, REST_NS, NULL);
    explain_send(&e, SMALL, SMALL, LAST_NS);
    explain_shutdown(&e);
    explain_receive(&e, SMALL, 0, LAST_NS);
    explain_receive_end(&e);
    explain_close(&e);
}

static void reset(struct explain_script *s)
{
    struct explain_peer f = explain_connect(s, "F", false);

    explain_silence(s, NULL, REST_NS, NULL);
    explain_send(&f, SMALL, SMALL, LAST_NS);
    explain_receive(&f, SMALL, 0, LAST_NS);
    explain_reset(&f);
}

static void write_large(struct explain_script *s)
{
    struct explain_peer g = explain_connect(s, "G", true);

    explain_silence(s, NULL, REST_NS, NULL);
    explain_send(&g, SMALL, LARGE, LAST_NS);
    explain_silence(s, &g, FULL_NS, "reads nothing");
    explain_receive(&g, LARGE, 0, LAST_NS);
    finish(&g);
}

struct act {
    const char *name, *title;
    void (*play)(struct explain_script *);
};

#define ACT_LATE                                                                                   \
    {                                                                                              \
        "late", "A client that is late with its first message", late                               \
    }

static const struct act exchange[] = {
    ACT_LATE,
    {"two", "Two clients at once, of which the first says nothing", two},
    {"large", "A message larger than the socket's buffers", large},
    {"halfclose", "A peer that half-closes and reads the rest", half_close},
    {"reset", "A peer that resets", reset},
    {NULL, NULL, NULL}};

/* The figure of the books: one message, for which there is time to wait. */
static const struct act one[] = {ACT_LATE, {NULL, NULL, NULL}};

static const struct act buffer[] = {
    {"write", "A write larger than the socket's free buffer", write_large}, {NULL, NULL, NULL}};

struct scenario {
    const char *name;
    const struct act *acts;
    size_t answer; /* bytes that the server answers with, 0 = what it was sent */
};

static const struct scenario scenarios[] = {
    {"exchange", exchange, 0}, {"late", one, 0}, {"buffer", buffer, (size_t)LARGE}};

const char *explain_scenario(size_t i)
{
    return i < sizeof scenarios / sizeof *scenarios ? scenarios[i].name : NULL;
}

/* ---- the whole ---- */

static bool begin_act(struct explain_run *run, const char *name, const char *title)
{
    int64_t at = clock_ns() - run->zero_ns;

    if (run->acts.n > 0)
        run->acts.items[run->acts.n - 1].end_ns = at;
    struct explain_act *act = EXPLAIN_MORE(&run->acts);

    if (act == NULL)
        return false;
    *act = (struct explain_act){.name = name, .title = title, .begin_ns = at, .end_ns = at};
    return true;
}

static int play(struct explain_run *run, const struct scenario *sc, const struct plx_trace *trace,
                const struct plx_addr *to)
{
    struct explain_script s = {.run = run, .trace = trace, .to = to};
    int rc = 0;

    for (const struct act *a = sc->acts; a->name != NULL && rc == 0; a++) {
        s.act = a->name;
        if (!begin_act(run, a->name, a->title))
            return -ENOMEM;
        a->play(&s);
        explain_silence(&s, NULL, REST_NS, NULL);
        rc = s.failed ? -EIO : explain_take(run, trace);
    }
    return rc;
}

static int compare_numbers(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* Connections are numbered in the order in which they are accepted, which is that in which they
 * were made: the clients connect one after another. */
static void match_clients(struct explain_run *run)
{
    uint64_t numbers[64];
    size_t n = 0;

    for (size_t i = 0; i < run->events.n && n < sizeof numbers / sizeof *numbers; i++) {
        const struct explain_event *e = &run->events.items[i];

        if (e->kind == PLX_TRACE_STATE && e->conn != 0 && strcmp(e->name, "accepted") == 0)
            numbers[n++] = e->conn;
    }
    if (n > 0)
        qsort(numbers, n, sizeof *numbers, compare_numbers);
    for (size_t k = 0; k < run->clients.n && k < n; k++) {
        struct explain_client *c = &run->clients.items[k];

        c->conn = numbers[k];
        for (size_t i = 0; i < run->steps.n; i++) {
            if (strcmp(run->steps.items[i].client, c->name) == 0)
                run->steps.items[i].conn = c->conn;
        }
        for (size_t i = 0; i < run->messages.n; i++) {
            if (strcmp(run->messages.items[i].client, c->name) == 0)
                run->messages.items[i].conn = c->conn;
        }
    }
}

static int record(struct explain_run *run, const struct plx_model *model, const struct scenario *sc,
                  struct plx_trace *trace)
{
    struct explain_server server;
    struct plx_why why = {"", ""};
    int rc;

    run->zero_ns = clock_ns();
    if (!begin_act(run, "start", "The server starts"))
        return -ENOMEM;
    rc = explain_server_start(&server, model, trace, sc->answer, &why);
    if (rc < 0) {
        snprintf(run->complaint, sizeof run->complaint, "the server did not start: %.100s",
                 why.reason[0] != '\0' ? why.reason : plx_error_text(rc));
        return rc == -ENOMEM ? rc : 0;
    }
    run->process = server.pid;
    rc = play(run, sc, trace, &server.addr);
    if (rc == -EIO)
        snprintf(run->complaint, sizeof run->complaint, "a client could not connect");
    int ended = begin_act(run, "end", "The server ends") ? explain_server_end(&server) : -ENOMEM;

    if (ended < 0)
        snprintf(run->complaint, sizeof run->complaint, "the server did not end as it should: %s",
                 ended == -ECHILD ? "it crashed" : plx_error_text(ended));
    run->duration_ns = clock_ns() - run->zero_ns;
    run->acts.items[run->acts.n - 1].end_ns = run->duration_ns;
    if (rc != -ENOMEM)
        rc = explain_take(run, trace);
    return rc;
}

int explain_record(struct explain_run *run, const struct plx_model *model, size_t scenario)
{
    struct plx_trace *trace = NULL;
    int rc;

    run->model = model->name;
    run->engine = model->engine;
    run->summary = model->summary;
    run->limits = model->limits;
    run->waits_in = model->waits_in;
    run->copies_in = model->copies_in;
    rc = explain_probe(model, &run->why);
    if (rc < 0) {
        if (run->why.reason[0] == '\0')
            snprintf(run->why.reason, sizeof run->why.reason, "%s", plx_error_text(rc));
        return 0;
    }
    run->runs = true;
    rc = plx_trace_open(TRACE_EVENTS, &trace);
    if (rc == 0)
        rc = record(run, model, &scenarios[scenario], trace);
    plx_trace_close(trace);
    if (explain_sort(run) < 0)
        rc = -ENOMEM;
    match_clients(run);
    explain_phases(run);
    explain_facts(run);
    return rc;
}
