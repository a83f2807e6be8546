/* SPDX-License-Identifier: MIT */
/*
 * The drawing in the terminal: 100 columns, of which the process has its lane, then the kernel,
 * then the clients.
 *
 *      time ms     process                           kernel                    clients
 *       0.628 W epoll_pwait2 ---------------------->+
 *      30.677 W                                     |                          A sends 64 bytes
 *      30.781 W  1 ready <--------------------------+  30.2 ms
 *      30.784 C recv #1 ---------------------------->  64 bytes        6.45 us
 *
 * Every row is put together cell by cell, so that none can be wider.
 */
#include "cmd/explain/rows.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH   100
#define TIME_AT 0
#define GUTTER  11
#define PROCESS 13
#define WALL    42 /* between process and kernel */
#define KERNEL  44
#define TIME_IN 68 /* where a time in the kernel ends */
#define CLIENT  70

enum paint { PLAIN, BOLD, FAINT, RED, YELLOW, CYAN, GREEN };

struct canvas {
    FILE *f;
    bool colour;
    struct {
        const char *text; /* of one column */
        unsigned char letter;
        enum paint paint;
    } cells[WIDTH];
};

/* ---- cells ---- */

static void clear(struct canvas *c)
{
    for (size_t i = 0; i < WIDTH; i++) {
        c->cells[i].text = NULL;
        c->cells[i].letter = ' ';
        c->cells[i].paint = PLAIN;
    }
}

/* ASCII up to column `end`; returns the column behind it. */
static size_t put(struct canvas *c, size_t at, size_t end, enum paint paint, const char *text)
{
    for (; *text != '\0' && at < end && at < WIDTH; text++, at++) {
        unsigned char letter = (unsigned char)*text;

        c->cells[at].text = NULL;
        c->cells[at].letter = letter < ' ' || letter > '~' ? '?' : letter;
        c->cells[at].paint = paint;
    }
    return at;
}

static void put_right(struct canvas *c, size_t end, enum paint paint, const char *text)
{
    size_t n = strlen(text);

    put(c, n < end ? end - n : 0, end, paint, text);
}

static void symbol(struct canvas *c, size_t at, enum paint paint, const char *text)
{
    c->cells[at].text = text;
    c->cells[at].paint = paint;
}

static void line(struct canvas *c, size_t from, size_t to)
{
    for (; from < to; from++)
        symbol(c, from, FAINT, "─");
}

static const char *code(enum paint paint)
{
    static const char *const codes[] = {
        [PLAIN] = "\033[0m",   [BOLD] = "\033[1m",  [FAINT] = "\033[2m", [RED] = "\033[31m",
        [YELLOW] = "\033[33m", [CYAN] = "\033[36m", [GREEN] = "\033[32m"};

    return codes[paint];
}

static void flush_row(struct canvas *c)
{
    size_t n = WIDTH;
    enum paint now = PLAIN;

    while (n > 0 && c->cells[n - 1].text == NULL && c->cells[n - 1].letter == ' ')
        n--;
    for (size_t i = 0; i < n; i++) {
        if (c->colour && c->cells[i].paint != now) {
            if (now != PLAIN)
                fputs(code(PLAIN), c->f);
            now = c->cells[i].paint;
            if (now != PLAIN)
                fputs(code(now), c->f);
        }
        if (c->cells[i].text != NULL)
            fputs(c->cells[i].text, c->f);
        else
            fputc(c->cells[i].letter, c->f);
    }
    if (now != PLAIN)
        fputs(code(PLAIN), c->f);
    fputc('\n', c->f);
    clear(c);
}

/* Words in lines from column `at` on. */
static void wrap(struct canvas *c, size_t at, enum paint paint, const char *text)
{
    size_t column = at;

    while (*text != '\0') {
        size_t n = strcspn(text, " ");

        if (column > at && column + n > WIDTH) {
            flush_row(c);
            column = at;
        }
        char word[WIDTH + 1];

        snprintf(word, sizeof word, "%.*s", (int)(n < WIDTH ? n : WIDTH), text);
        column = put(c, column, WIDTH, paint, word) + 1;
        text += n + strspn(text + n, " ");
    }
    flush_row(c);
}

/* ---- rows ---- */

static void put_time(struct canvas *c, int64_t ns)
{
    char text[32];

    snprintf(text, sizeof text, "%.3f", (double)ns / 1e6);
    put_right(c, GUTTER - 1, FAINT, text);
}

static void put_phase(struct canvas *c, enum explain_row_phase phase)
{
    if (phase == EXPLAIN_WAITING)
        put(c, GUTTER, GUTTER + 1, YELLOW, "W");
    else if (phase == EXPLAIN_COPYING)
        put(c, GUTTER, GUTTER + 1, CYAN, "C");
}

static enum paint result_paint(const struct explain_event *e)
{
    return e->result < 0 || e->is_short ? RED : PLAIN;
}

/* The call's name, and the arrow into the kernel. */
static void put_call(struct canvas *c, const char *what)
{
    size_t at = put(c, PROCESS, WALL - 4, BOLD, what);

    line(c, at + 1, WALL - 1);
    symbol(c, WALL - 1, FAINT, "▶");
}

static void put_return(struct canvas *c, const struct explain_event *e)
{
    char result[64];
    char time[EXPLAIN_TIME];
    size_t at;

    explain_row_result(e, result, sizeof result);
    at = put(c, PROCESS + 2, WALL - 4, result_paint(e), result);
    symbol(c, at + 1, FAINT, "◀");
    line(c, at + 2, WALL);
    put_right(c, TIME_IN, PLAIN, explain_time(e->spent_ns, time));
}

static void put_result(struct canvas *c, const struct explain_event *e)
{
    char result[64];
    char time[EXPLAIN_TIME];

    explain_row_result(e, result, sizeof result);
    put(c, KERNEL, TIME_IN - 8, result_paint(e), result);
    put_right(c, TIME_IN, PLAIN,
              explain_time(e->count > 1 ? e->end_ns - e->begin_ns : e->spent_ns, time));
}

static void put_note(struct canvas *c, const struct explain_run *run, const struct explain_row *r)
{
    char text[96];
    char result[64];

    explain_row_process(run, r, text, sizeof text);
    if (r->event->kind == PLX_TRACE_COMPLETED) {
        /* It comes from the kernel, or from a thread of libc, and not by a call. */
        size_t at = put(c, PROCESS, WALL - 4, GREEN, text);

        explain_row_result(r->event, result, sizeof result);
        symbol(c, at + 1, FAINT, "◀");
        for (at += 2; at < WALL; at++)
            symbol(c, at, FAINT, "┄");
        put(c, KERNEL, TIME_IN, result_paint(r->event), result);
        return;
    }
    size_t at =
        put(c, PROCESS + 2, WALL - 1, r->event->kind == PLX_TRACE_STATE ? GREEN : FAINT, text);

    if (r->event->kind == PLX_TRACE_SUBMITTED) {
        for (at++; at < WALL - 1; at++)
            symbol(c, at, FAINT, "┄");
        symbol(c, WALL - 1, FAINT, "▶");
    }
}

static void put_step(struct canvas *c, const struct explain_step *s)
{
    char text[96];

    snprintf(text, sizeof text, "%s %s", s->client, s->text);
    put(c, CLIENT, WIDTH, s->result < 0 || strcmp(s->what, "gave up") == 0 ? RED : GREEN, text);
}

static void put_break(struct canvas *c, const struct explain_row *r)
{
    char time[EXPLAIN_TIME];

    symbol(c, GUTTER - 2, FAINT, "⋮");
    symbol(c, PROCESS, FAINT, "⋮");
    put(c, PROCESS + 2, WALL, FAINT, explain_time(r->span_ns, time));
    symbol(c, CLIENT, FAINT, "⋮");
}

static void put_repeat(struct canvas *c, const struct explain_row *r)
{
    char text[96];
    char size[EXPLAIN_TIME];
    char time[EXPLAIN_TIME];

    snprintf(text, sizeof text, "the last %zu row%s %" PRIu64 " times more%s%s", r->cycle,
             r->cycle == 1 ? "" : "s", r->times, r->bytes > 0 ? ", " : "",
             r->bytes > 0 ? explain_bytes(r->bytes, size) : "");
    symbol(c, PROCESS, FAINT, "↻");
    put(c, PROCESS + 2, TIME_IN - 9, FAINT, text);
    put_right(c, TIME_IN, FAINT, explain_time(r->span_ns, time));
}

static void put_message(struct canvas *c, const struct explain_message *m)
{
    char text[200];

    explain_row_message(m, text, sizeof text);
    symbol(c, GUTTER, CYAN, "└");
    wrap(c, PROCESS, CYAN, text);
}

static void put_act(struct canvas *c, const struct explain_act *a)
{
    size_t at;

    line(c, 0, PROCESS - 1);
    at = put(c, PROCESS, WIDTH - 1, BOLD, a->title);
    line(c, at + 1, WIDTH);
    flush_row(c);
}

/* The wall stands open while a call is in the kernel. */
static void put_wall(struct canvas *c, const struct explain_row *r)
{
    if (r->inside > 0)
        symbol(c, WALL, FAINT, "│");
    if (r->kind == EXPLAIN_ROW_BEGIN)
        symbol(c, WALL, FAINT, r->inside > 0 ? "┤" : "┐");
    if (r->kind == EXPLAIN_ROW_RETURN)
        symbol(c, WALL, FAINT, r->inside > 0 ? "┤" : "┘");
}

static void put_row(struct canvas *c, const struct explain_run *run, const struct explain_row *r)
{
    char text[96];

    if (r->kind == EXPLAIN_ROW_ACT) {
        put_act(c, r->act);
        return;
    }
    if (r->kind == EXPLAIN_ROW_MESSAGE) {
        put_message(c, r->message);
        return;
    }
    if (r->kind != EXPLAIN_ROW_BREAK)
        put_time(c, r->at_ns);
    put_phase(c, r->phase);
    put_wall(c, r);
    switch (r->kind) {
    case EXPLAIN_ROW_CALL:
        explain_row_process(run, r, text, sizeof text);
        put_call(c, text);
        put_result(c, r->event);
        break;
    case EXPLAIN_ROW_BEGIN:
        explain_row_process(run, r, text, sizeof text);
        put_call(c, text);
        break;
    case EXPLAIN_ROW_RETURN: put_return(c, r->event); break;
    case EXPLAIN_ROW_NOTE: put_note(c, run, r); break;
    case EXPLAIN_ROW_STEP: put_step(c, r->step); break;
    case EXPLAIN_ROW_BREAK: put_break(c, r); break;
    case EXPLAIN_ROW_REPEAT: put_repeat(c, r); break;
    case EXPLAIN_ROW_ACT:
    case EXPLAIN_ROW_MESSAGE: break;
    }
    flush_row(c);
}

/* ---- a run ---- */

static void put_head(struct canvas *c, const struct explain_run *run)
{
    size_t at = put(c, 0, WIDTH, BOLD, run->model);

    put(c, at, WIDTH, PLAIN, ": ");
    put(c, at + 2, WIDTH, PLAIN, run->summary);
    flush_row(c);
    if (run->facts.sentence[0] != '\0')
        wrap(c, 2, PLAIN, run->facts.sentence);
    if (run->facts.writes[0] != '\0')
        wrap(c, 2, PLAIN, run->facts.writes);
    put_right(c, GUTTER - 1, FAINT, "ms");
    put(c, PROCESS, WALL, FAINT, "process");
    put(c, KERNEL, CLIENT, FAINT, "kernel");
    put(c, CLIENT, WIDTH, FAINT, run->steps.n > 0 ? "clients" : "");
    flush_row(c);
}

static void put_facts(struct canvas *c, const struct explain_run *run)
{
    const struct explain_facts *f = &run->facts;
    char text[800];
    size_t n = 0;

    n = (size_t)snprintf(text, sizeof text,
                         "%" PRIu64 " message%s, %" PRIu64 " system calls:", f->messages,
                         f->messages == 1 ? "" : "s", f->system_calls);
    for (size_t i = 0; i < f->ncalls && n < sizeof text - 100; i++) {
        const struct explain_calls *k = &f->calls[i];

        n += (size_t)snprintf(text + n, sizeof text - n, "%s %.30s %" PRIu64, i > 0 ? "," : "",
                              k->name, k->count);
        if (k->eagain > 0)
            n += (size_t)snprintf(text + n, sizeof text - n, " (%" PRIu64 " EAGAIN)", k->eagain);
    }
    wrap(c, 2, PLAIN, text);
    if (run->lost > 0) {
        snprintf(text, sizeof text,
                 "%" PRIu64 " events were overwritten before they could be read.", run->lost);
        wrap(c, 2, RED, text);
    }
    if (run->complaint[0] != '\0')
        wrap(c, 2, RED, run->complaint);
}

static int put_run(struct canvas *c, const struct explain_run *run)
{
    struct explain_rows rows;
    int rc = explain_rows(run, &rows);

    if (rc < 0)
        return rc;
    put_head(c, run);
    for (size_t i = 0; i < rows.n; i++)
        put_row(c, run, &rows.items[i]);
    put_facts(c, run);
    free(rows.items);
    return 0;
}

int explain_text(FILE *f, const struct explain_document *d, bool colour)
{
    struct canvas c = {.f = f, .colour = colour};
    int rc = 0;

    clear(&c);
    for (size_t i = 0; i < d->n && rc == 0; i++) {
        if (i > 0)
            fputc('\n', f);
        if (d->runs[i].runs) {
            rc = put_run(&c, &d->runs[i]);
        } else {
            put(&c, put(&c, 0, WIDTH, BOLD, d->runs[i].model), WIDTH, RED, " cannot run here:");
            flush_row(&c);
            wrap(&c, 2, PLAIN, d->runs[i].why.reason);
        }
    }
    return rc;
}
