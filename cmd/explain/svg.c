/* SPDX-License-Identifier: MIT */
/*
 * The figures: one for each model, in the manner in which these models have been drawn since
 * Stevens: the process on the left, the kernel on the right, an arrow for each call and each
 * return, a bracket for each phase. Only that the times are measured. Several figures stand side by
 * side.
 */
#include "cmd/explain/rows.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH   1010 /* of a figure */
#define COLUMNS 3
#define HEAD    134
#define FOOT    30
#define TIME    246 /* right end of the times, left of which the brackets are */
#define BRACKET 176
#define PROCESS 440
#define KERNEL  600
#define CLIENT  776

struct figure {
    FILE *f;
    const struct explain_run *run;
    struct explain_rows rows;
    int y;
    /* Where the rows of a phase begin and end that no bracket is drawn for yet; -1 = none. */
    int from[3], to[3];
};

static void escape(FILE *f, const char *text)
{
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '<': fputs("&lt;", f); break;
        case '>': fputs("&gt;", f); break;
        case '&': fputs("&amp;", f); break;
        case '"': fputs("&quot;", f); break;
        default: fputc((unsigned char)*text < ' ' || *text == 127 ? '?' : *text, f);
        }
    }
}

static void text(FILE *f, int x, int y, const char *kind, const char *s)
{
    fprintf(f, "<text x=\"%d\" y=\"%d\" class=\"%s\">", x, y, kind);
    escape(f, s);
    fputs("</text>\n", f);
}

static void line(FILE *f, int x1, int y1, int x2, int y2, const char *kind)
{
    fprintf(f, "<line x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\" class=\"%s\"/>\n", x1, y1, x2, y2,
            kind);
}

static int row_height(const struct explain_row *r)
{
    switch (r->kind) {
    case EXPLAIN_ROW_ACT: return 40;
    case EXPLAIN_ROW_CALL: return 28;
    case EXPLAIN_ROW_BREAK: return 34;
    case EXPLAIN_ROW_MESSAGE: return 6;
    case EXPLAIN_ROW_BEGIN:
    case EXPLAIN_ROW_RETURN:
    case EXPLAIN_ROW_NOTE:
    case EXPLAIN_ROW_STEP:
    case EXPLAIN_ROW_REPEAT: break;
    }
    return 22;
}

static int figure_height(const struct explain_rows *rows)
{
    int y = HEAD + FOOT;

    for (size_t i = 0; i < rows->n; i++)
        y += row_height(&rows->items[i]);
    return y;
}

/* ---- phases ---- */

static void bracket(const struct figure *g, int from, int to, const char *kind, const char *what,
                    const struct explain_phase *p)
{
    char first[64];
    char second[64];
    char time[EXPLAIN_TIME];
    int middle = (from + to) / 2;

    fprintf(g->f, "<path d=\"M%d %dh-8V%dh8\" class=\"%s\"/>\n", BRACKET + 8, from, to, kind);
    snprintf(first, sizeof first, "%s %s", what, explain_time(p->end_ns - p->begin_ns, time));
    snprintf(second, sizeof second, "%s %.24s",
             strcmp(p->who, "nobody") == 0    ? "nobody blocked,"
             : strcmp(p->who, "process") == 0 ? "process, in"
             : strcmp(p->who, "kernel") == 0  ? "kernel, for"
                                              : "libc, for",
             p->call);
    text(g->f, BRACKET - 8, middle, "phase", first);
    text(g->f, BRACKET - 8, middle + 12, "who", second);
}

static void note_phase(struct figure *g, enum explain_row_phase phase, int from, int to)
{
    if (phase == EXPLAIN_NO_PHASE)
        return;
    if (g->from[phase] < 0)
        g->from[phase] = from;
    g->to[phase] = to;
}

static void draw_phases(struct figure *g, const struct explain_message *m)
{
    int from = g->from[EXPLAIN_COPYING];
    int to = g->to[EXPLAIN_COPYING];

    if (m->waiting.who != NULL && g->from[EXPLAIN_WAITING] >= 0) {
        int until = g->to[EXPLAIN_WAITING];

        if (from >= 0 && until > from)
            until = from;
        /* Where both are in one call, the copying phase has no rows of its own. */
        bracket(g, g->from[EXPLAIN_WAITING] + 3, until - 3, "waiting", "waiting", &m->waiting);
    }
    if (from < 0)
        from = to = g->y;
    bracket(g, from + 3, to > from + 6 ? to - 3 : from + 24, "copying", "copying", &m->copying);
    for (int i = 0; i < 3; i++)
        g->from[i] = -1;
}

/* ---- rows ---- */

static void arrow(const struct figure *g, int x1, int x2, int y, const char *kind)
{
    fprintf(g->f,
            "<line x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\" class=\"%s\" "
            "marker-end=\"url(#head)\"/>\n",
            x1, y, x2, y, kind);
}

static void put_time(const struct figure *g, int64_t ns, int y)
{
    char s[32];

    snprintf(s, sizeof s, "%.3f", (double)ns / 1e6);
    text(g->f, TIME, y, "time", s);
}

static void put_result(const struct figure *g, const struct explain_event *e, int y)
{
    char result[64];
    char s[96];
    char time[EXPLAIN_TIME];

    explain_row_result(e, result, sizeof result);
    if (e->kind == PLX_TRACE_CALL)
        snprintf(s, sizeof s, "%s, %s", result,
                 explain_time(e->count > 1 ? e->end_ns - e->begin_ns : e->spent_ns, time));
    else
        snprintf(s, sizeof s, "%s", result);
    text(g->f, KERNEL + 12, y, e->result < 0 || e->is_short ? "bad" : "result", s);
}

static void put_call(const struct figure *g, const struct explain_row *r, int y)
{
    char s[96];

    explain_row_process(g->run, r, s, sizeof s);
    text(g->f, PROCESS - 12, y + 4, "call", s);
}

static void put_note(const struct figure *g, const struct explain_row *r, int y)
{
    char s[96];

    explain_row_process(g->run, r, s, sizeof s);
    text(g->f, PROCESS - 12, y + 4, r->event->kind == PLX_TRACE_STATE ? "state" : "note", s);
    if (r->event->kind == PLX_TRACE_SUBMITTED)
        arrow(g, PROCESS, KERNEL - 2, y, "request");
    if (r->event->kind == PLX_TRACE_COMPLETED) {
        arrow(g, KERNEL, PROCESS + 2, y, "request");
        put_result(g, r->event, y + 4);
    }
}

static void put_step(const struct figure *g, const struct explain_step *s, int y)
{
    char what[96];
    bool bad = s->result < 0 || strcmp(s->what, "gave up") == 0;

    snprintf(what, sizeof what, "%s %s", s->client, s->text);
    text(g->f, CLIENT, y + 4, bad ? "bad" : "client", what);
    if (strcmp(s->what, "wait") == 0 || strcmp(s->what, "gave up") == 0)
        return;
    if (strcmp(s->what, "receive") == 0)
        arrow(g, KERNEL, CLIENT - 8, y, "wire");
    else
        arrow(g, CLIENT - 6, KERNEL + 2, y, "wire");
}

static void put_break(const struct figure *g, const struct explain_row *r, int y)
{
    char time[EXPLAIN_TIME];

    for (int x = PROCESS; x <= KERNEL; x += KERNEL - PROCESS)
        fprintf(g->f, "<path d=\"M%d %dl8 4l-16 6l8 4\" class=\"cut\"/>\n", x, y - 7);
    text(g->f, (PROCESS + KERNEL) / 2, y + 4, "idle", explain_time(r->span_ns, time));
}

static void put_repeat(const struct figure *g, const struct explain_row *r, int y)
{
    char s[128];
    char size[EXPLAIN_TIME];
    char time[EXPLAIN_TIME];

    snprintf(s, sizeof s, "the last %zu rows %" PRIu64 " times more%s%s, %s", r->cycle, r->times,
             r->bytes > 0 ? ", " : "", r->bytes > 0 ? explain_bytes(r->bytes, size) : "",
             explain_time(r->span_ns, time));
    text(g->f, (PROCESS + KERNEL) / 2, y + 4, "repeat", s);
}

/* The lanes beside a row: where a call is in the kernel the process only waits. */
static void put_lanes(const struct figure *g, const struct explain_row *r, int height)
{
    bool several = g->run->threads.n > 1;

    line(g->f, PROCESS, g->y, PROCESS, g->y + height,
         r->inside > 0 && !several ? "lane blocked" : "lane");
    line(g->f, KERNEL, g->y, KERNEL, g->y + height, r->inside > 0 ? "lane busy" : "lane");
}

static void put_row(struct figure *g, const struct explain_row *r)
{
    int height = row_height(r);
    int y = g->y + height / 2;

    if (r->kind == EXPLAIN_ROW_MESSAGE) {
        draw_phases(g, r->message);
    } else if (r->kind != EXPLAIN_ROW_ACT) {
        note_phase(g, r->phase, g->y, g->y + height);
        if (r->phase == EXPLAIN_NO_PHASE)
            g->from[EXPLAIN_WAITING] = g->from[EXPLAIN_COPYING] = -1;
    }
    put_lanes(g, r, height);
    if (r->kind != EXPLAIN_ROW_BREAK && r->kind != EXPLAIN_ROW_ACT &&
        r->kind != EXPLAIN_ROW_MESSAGE)
        put_time(g, r->at_ns, y + 4);
    switch (r->kind) {
    case EXPLAIN_ROW_ACT: text(g->f, PROCESS + 12, y + 8, "act", r->act->title); break;
    case EXPLAIN_ROW_CALL:
        put_call(g, r, y);
        arrow(g, PROCESS, KERNEL - 2, y - 5, "go");
        arrow(g, KERNEL, PROCESS + 2, y + 6, "back");
        put_result(g, r->event, y + 5);
        break;
    case EXPLAIN_ROW_BEGIN:
        put_call(g, r, y);
        arrow(g, PROCESS, KERNEL - 2, y, "go");
        break;
    case EXPLAIN_ROW_RETURN:
        arrow(g, KERNEL, PROCESS + 2, y, "back");
        put_result(g, r->event, y + 4);
        put_call(g, r, y);
        break;
    case EXPLAIN_ROW_NOTE: put_note(g, r, y); break;
    case EXPLAIN_ROW_STEP: put_step(g, r->step, y); break;
    case EXPLAIN_ROW_BREAK: put_break(g, r, y); break;
    case EXPLAIN_ROW_REPEAT: put_repeat(g, r, y); break;
    case EXPLAIN_ROW_MESSAGE: break;
    }
    g->y += height;
}

/* ---- figures ---- */

/* A sentence in lines of so many letters; returns where the next one goes. */
static int put_sentence(FILE *f, int x, int y, const char *s)
{
    char row[128];

    for (size_t n; *s != '\0'; s += n + strspn(s + n, " "), y += 16) {
        n = strlen(s);
        if (n > 118) {
            n = 118;
            while (n > 60 && s[n] != ' ')
                n--;
        }
        snprintf(row, sizeof row, "%.*s", (int)n, s);
        text(f, x, y, "sentence", row);
    }
    return y;
}

static void put_figure(struct figure *g)
{
    char title[200];

    g->y = HEAD;
    for (int i = 0; i < 3; i++)
        g->from[i] = -1;
    snprintf(title, sizeof title, "%.40s: %.120s", g->run->model, g->run->summary);
    text(g->f, 30, 34, "title", title);
    if (g->run->runs)
        put_sentence(g->f, 30, put_sentence(g->f, 30, 56, g->run->facts.sentence),
                     g->run->facts.writes);
    else
        put_sentence(g->f, 30, 56, g->run->why.reason);
    text(g->f, TIME, HEAD - 10, "lanes time", "ms");
    text(g->f, PROCESS, HEAD - 10, "lanes", "process");
    text(g->f, KERNEL, HEAD - 10, "lanes", "kernel");
    if (g->run->steps.n > 0)
        text(g->f, CLIENT + 60, HEAD - 10, "lanes", "clients");
    for (size_t i = 0; i < g->rows.n; i++)
        put_row(g, &g->rows.items[i]);
}

static void put_style(FILE *f)
{
    fputs("<style>\n"
          "svg{--ink:#1b1f24;--faint:#6e7781;--wait:#9a6700;--copy:#0969da;--bad:#cf222e;"
          "--good:#1a7f37;--paper:#fff}\n"
          "@media(prefers-color-scheme:dark){svg{--ink:#e6edf3;--faint:#8d96a0;--wait:#d29922;"
          "--copy:#58a6ff;--bad:#ff7b72;--good:#3fb950;--paper:#0d1117}}\n"
          "text{font:12px ui-monospace,Menlo,Consolas,monospace;fill:var(--ink)}\n"
          ".paper{fill:var(--paper)}\n"
          ".title{font:bold 18px system-ui,sans-serif}\n"
          ".sentence,.act,.lanes{font-family:system-ui,sans-serif}\n"
          ".sentence{font-size:13px;fill:var(--faint)}\n"
          ".act{font-size:13px;font-weight:bold}\n"
          ".lanes{font-size:12px;font-weight:bold;text-anchor:middle}\n"
          ".time{font-size:10px;fill:var(--faint);text-anchor:end}\n"
          ".call,.note,.state{text-anchor:end}.call{font-weight:bold}\n"
          ".note{fill:var(--faint)}.state,.client{fill:var(--good)}\n"
          ".bad{fill:var(--bad)}\n"
          ".idle,.repeat{text-anchor:middle;fill:var(--faint)}\n"
          ".idle,.repeat,.act{paint-order:stroke;stroke:var(--paper);stroke-width:4px}\n"
          ".phase{text-anchor:end;font-weight:bold}.who{text-anchor:end;font-size:10px;"
          "fill:var(--faint)}\n"
          ".waiting{stroke:var(--wait)}.copying{stroke:var(--copy)}\n"
          ".waiting,.copying{fill:none;stroke-width:2.5}\n"
          ".lane{stroke:var(--ink);stroke-width:1.5}\n"
          ".blocked{stroke-dasharray:2 4;stroke:var(--faint)}\n"
          ".busy{stroke-width:5;stroke:var(--wait)}\n"
          ".go,.back{stroke:var(--ink)}.back{stroke:var(--faint)}\n"
          ".request{stroke:var(--copy);stroke-dasharray:5 3}\n"
          ".wire{stroke:var(--good);stroke-dasharray:3 3}\n"
          ".cut{fill:none;stroke:var(--paper);stroke-width:6}\n"
          "#head path{fill:var(--faint)}\n"
          "</style>\n"
          "<defs><marker id=\"head\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" "
          "markerHeight=\"7\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\"/></marker></defs>\n",
          f);
}

/* As many as fit stand side by side, each row of them as high as its highest. */
static void put_all(FILE *f, struct figure *figures, size_t n)
{
    size_t columns = n < COLUMNS ? n : COLUMNS;
    int height = 0;
    int most = 0;

    for (size_t i = 0; i < n; i++) {
        int h = figure_height(&figures[i].rows);

        most = i % columns == 0 || h > most ? h : most;
        if (i + 1 == n || (i + 1) % columns == 0)
            height += most;
    }
    fprintf(f,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
            "viewBox=\"0 0 %d %d\">\n",
            (int)columns * WIDTH, height, (int)columns * WIDTH, height);
    put_style(f);
    fprintf(f, "<rect class=\"paper\" width=\"%d\" height=\"%d\"/>\n", (int)columns * WIDTH,
            height);
    int top = 0;

    for (size_t i = 0; i < n; i++) {
        int h = figure_height(&figures[i].rows);

        if (i % columns == 0) {
            top += i > 0 ? most : 0;
            most = 0;
        }
        most = h > most ? h : most;
        fprintf(f, "<g id=\"model-");
        escape(f, figures[i].run->model);
        fprintf(f, "\" transform=\"translate(%d,%d)\">\n", (int)(i % columns) * WIDTH, top);
        put_figure(&figures[i]);
        fputs("</g>\n", f);
    }
    fputs("</svg>\n", f);
}

int explain_svg(FILE *f, const struct explain_document *d)
{
    struct figure *figures = calloc(d->n + 1, sizeof *figures);
    int rc = figures != NULL ? 0 : -ENOMEM;

    for (size_t i = 0; i < d->n && rc == 0; i++) {
        figures[i].f = f;
        figures[i].run = &d->runs[i];
        rc = explain_rows(&d->runs[i], &figures[i].rows);
    }
    if (rc == 0)
        put_all(f, figures, d->n);
    for (size_t i = 0; figures != NULL && i < d->n; i++)
        free(figures[i].rows.items);
    free(figures);
    return rc;
}
