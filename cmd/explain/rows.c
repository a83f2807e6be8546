/* SPDX-License-Identifier: MIT */
/*
 * See rows.h. A call whose begin and end have nothing between them is one row; otherwise it is two,
 * and what happened meanwhile stands between. Rows that repeat are folded: a large message goes
 * through the same three calls again and again.
 */
#include "cmd/explain/rows.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Longer than this is cut out. */
#define BREAK_NS PLX_MSEC
/* A cycle of so many rows is looked for; a polling loop over two descriptors has about that. */
#define CYCLE_MOST 9

/* ---- in the order of time ---- */

static struct explain_row *add(struct explain_rows *rows, enum explain_row_kind kind, int64_t at)
{
    struct explain_row *r = EXPLAIN_MORE(rows);

    if (r != NULL) {
        r->kind = kind;
        r->at_ns = at;
    }
    return r;
}

static bool add_event(struct explain_rows *rows, const struct explain_event *e)
{
    struct explain_row *r;
    bool call = e->kind == PLX_TRACE_CALL && e->count == 1;

    if (e->kind == PLX_TRACE_WOKEN) /* the wait's return says it */
        return true;
    r = add(rows,
            e->kind != PLX_TRACE_CALL ? EXPLAIN_ROW_NOTE
            : call                    ? EXPLAIN_ROW_BEGIN
                                      : EXPLAIN_ROW_CALL,
            e->begin_ns);
    if (r == NULL)
        return false;
    r->event = e;
    if (call) {
        r = add(rows, EXPLAIN_ROW_RETURN, e->end_ns);
        if (r == NULL)
            return false;
        r->event = e;
    }
    return true;
}

/* A receive is drawn when it is done, everything else when it begins. */
static bool add_step(struct explain_rows *rows, const struct explain_step *s)
{
    bool late = strcmp(s->what, "receive") == 0 || strcmp(s->what, "gave up") == 0;
    struct explain_row *r = add(rows, EXPLAIN_ROW_STEP, late ? s->end_ns : s->begin_ns);

    if (r != NULL)
        r->step = s;
    return r != NULL;
}

static bool add_message(struct explain_rows *rows, const struct explain_message *m)
{
    if (m->copying.who == NULL)
        return true;
    struct explain_row *r = add(rows, EXPLAIN_ROW_MESSAGE, m->copying.end_ns);

    if (r != NULL)
        r->message = m;
    return r != NULL;
}

static bool add_all(const struct explain_run *run, struct explain_rows *rows)
{
    for (size_t i = 0; i < run->acts.n; i++) {
        struct explain_row *r = add(rows, EXPLAIN_ROW_ACT, run->acts.items[i].begin_ns);

        if (r == NULL)
            return false;
        r->act = &run->acts.items[i];
    }
    for (size_t i = 0; i < run->steps.n; i++) {
        if (!add_step(rows, &run->steps.items[i]))
            return false;
    }
    for (size_t i = 0; i < run->events.n; i++) {
        if (!add_event(rows, &run->events.items[i]))
            return false;
    }
    for (size_t i = 0; i < run->messages.n; i++) {
        if (!add_message(rows, &run->messages.items[i]))
            return false;
    }
    return true;
}

/* At the same time a return comes before what follows from it, and its message right behind it. */
static int rank(const struct explain_row *r)
{
    static const int ranks[] = {
        [EXPLAIN_ROW_ACT] = 0,     [EXPLAIN_ROW_RETURN] = 2, [EXPLAIN_ROW_NOTE] = 3,
        [EXPLAIN_ROW_MESSAGE] = 4, [EXPLAIN_ROW_STEP] = 5,   [EXPLAIN_ROW_BEGIN] = 6,
        [EXPLAIN_ROW_CALL] = 6};

    /* One that takes no time at all begins before it returns. */
    return r->kind == EXPLAIN_ROW_BEGIN && r->event->begin_ns == r->event->end_ns ? 1
                                                                                  : ranks[r->kind];
}

static int by_time(const void *a, const void *b)
{
    const struct explain_row *x = a;
    const struct explain_row *y = b;

    if (x->at_ns != y->at_ns)
        return x->at_ns < y->at_ns ? -1 : 1;
    if (rank(x) != rank(y))
        return rank(x) - rank(y);
    if (x->event != NULL && y->event != NULL && x->event != y->event)
        return x->event->number < y->event->number ? -1 : 1;
    return 0;
}

/* ---- calls in one row, breaks, phases ---- */

/* One that waited is worth to be seen. */
static bool is_long(const struct explain_event *e)
{
    return e->count == 1 && e->end_ns - e->begin_ns > BREAK_NS;
}

/* And headings with nothing below them go. */
static void join_calls(struct explain_rows *rows)
{
    size_t kept = 0;

    for (size_t i = 0; i < rows->n; i++) {
        struct explain_row r = rows->items[i];

        if (r.kind == EXPLAIN_ROW_ACT &&
            (i + 1 == rows->n || rows->items[i + 1].kind == EXPLAIN_ROW_ACT))
            continue;
        if (r.kind == EXPLAIN_ROW_BEGIN && i + 1 < rows->n && rows->items[i + 1].event == r.event &&
            !is_long(r.event)) {
            r.kind = EXPLAIN_ROW_CALL;
            i++;
        }
        rows->items[kept++] = r;
    }
    rows->n = kept;
}

static int64_t row_end(const struct explain_row *r)
{
    return r->kind == EXPLAIN_ROW_CALL && r->event ? r->event->end_ns : r->at_ns;
}

static bool add_breaks(struct explain_rows *rows)
{
    struct explain_rows out = {NULL, 0, 0};
    int64_t last = rows->n > 0 ? rows->items[0].at_ns : 0;

    for (size_t i = 0; i < rows->n; i++) {
        const struct explain_row *r = &rows->items[i];
        struct explain_row *copy;

        if (r->at_ns - last > BREAK_NS && r->kind != EXPLAIN_ROW_ACT) {
            struct explain_row *pause = add(&out, EXPLAIN_ROW_BREAK, last);

            if (pause == NULL)
                goto out;
            pause->span_ns = r->at_ns - last;
        }
        copy = EXPLAIN_MORE(&out);
        if (copy == NULL)
            goto out;
        *copy = *r;
        last = row_end(r) > last ? row_end(r) : last;
    }
    free(rows->items);
    *rows = out;
    return true;
out:
    free(out.items);
    return false;
}

static bool within(const struct explain_phase *p, int64_t at)
{
    return p->who != NULL && at >= p->begin_ns && at <= p->end_ns;
}

/* Each row's phase, and how many calls are in the kernel there. */
static void mark(const struct explain_run *run, struct explain_rows *rows)
{
    unsigned inside = 0;

    for (size_t i = 0; i < rows->n; i++) {
        struct explain_row *r = &rows->items[i];

        if (r->kind == EXPLAIN_ROW_RETURN && inside > 0)
            inside--;
        r->inside = inside;
        if (r->kind == EXPLAIN_ROW_BEGIN)
            inside++;
        if (r->kind == EXPLAIN_ROW_ACT || r->kind == EXPLAIN_ROW_MESSAGE)
            continue;
        for (size_t k = 0; k < run->messages.n; k++) {
            const struct explain_message *m = &run->messages.items[k];

            if (within(&m->copying, r->at_ns))
                r->phase = EXPLAIN_COPYING;
            else if (within(&m->waiting, r->at_ns) && r->phase == EXPLAIN_NO_PHASE)
                r->phase = EXPLAIN_WAITING;
        }
    }
}

/* ---- repetitions ---- */

static bool is_alike(const struct explain_row *a, const struct explain_row *b)
{
    if (a->kind != b->kind || a->event == NULL || b->event == NULL)
        return false;
    const struct explain_event *x = a->event;
    const struct explain_event *y = b->event;

    if (is_long(x) || is_long(y))
        return false;
    return x->kind == y->kind && x->thread == y->thread && x->conn == y->conn && x->fd == y->fd &&
           (x->result < 0 ? x->result : 0) == (y->result < 0 ? y->result : 0) &&
           strcmp(x->name, y->name) == 0;
}

/* How often the `cycle` rows at `i` stand there one after another. */
static size_t cycles(const struct explain_rows *rows, size_t i, size_t cycle)
{
    size_t n = 1;

    for (;; n++) {
        for (size_t k = 0; k < cycle; k++) {
            size_t at = i + n * cycle + k;

            if (at >= rows->n || !is_alike(&rows->items[i + k], &rows->items[at]))
                return n;
        }
    }
}

static void summarize(const struct explain_rows *rows, size_t from, size_t to,
                      struct explain_row *repeat)
{
    for (size_t i = from; i < to; i++) {
        const struct explain_row *r = &rows->items[i];

        if (r->event != NULL && r->kind != EXPLAIN_ROW_BEGIN && explain_receives(r->event) &&
            r->event->result > 0)
            repeat->bytes += r->event->result;
        repeat->span_ns = row_end(r) - repeat->at_ns;
    }
}

/* Rewrites in place: a fold is never longer than what it replaces. */
static void fold(struct explain_rows *rows)
{
    size_t kept = 0;
    size_t i = 0;

    while (i < rows->n) {
        size_t best = 0;
        size_t cycle = 0;

        for (size_t c = 1; c <= CYCLE_MOST; c++) {
            size_t n = cycles(rows, i, c);

            if (n >= 3 && (n - 1) * c > best) {
                best = (n - 1) * c;
                cycle = c;
            }
        }
        if (best == 0) {
            rows->items[kept++] = rows->items[i++];
            continue;
        }
        struct explain_row repeat = {.kind = EXPLAIN_ROW_REPEAT,
                                     .at_ns = rows->items[i + cycle].at_ns,
                                     .times = best / cycle,
                                     .cycle = cycle,
                                     .phase = rows->items[i + cycle].phase,
                                     .inside = rows->items[i + cycle].inside};

        summarize(rows, i + cycle, i + cycle + best, &repeat);
        for (size_t k = 0; k < cycle; k++)
            rows->items[kept++] = rows->items[i + k];
        rows->items[kept++] = repeat;
        i += cycle + best;
    }
    rows->n = kept;
}

int explain_rows(const struct explain_run *run, struct explain_rows *rows)
{
    *rows = (struct explain_rows){NULL, 0, 0};
    if (!add_all(run, rows))
        goto out;
    if (rows->n > 0)
        qsort(rows->items, rows->n, sizeof *rows->items, by_time);
    join_calls(rows);
    if (!add_breaks(rows))
        goto out;
    mark(run, rows);
    fold(rows);
    return 0;
out:
    free(rows->items);
    rows->items = NULL;
    return -ENOMEM;
}
