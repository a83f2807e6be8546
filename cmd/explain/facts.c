/* SPDX-License-Identifier: MIT */
/* What is to be said about a run as a whole, in numbers and in words. */
#include "cmd/explain/explain.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static bool says(const struct explain_phase *p, const char *who)
{
    return p->who != NULL && strcmp(p->who, who) == 0;
}

static uint64_t refusals(const struct explain_message *m, const char *call)
{
    for (size_t i = 0; i < m->ncalls; i++) {
        if (strcmp(m->calls[i].name, call) == 0)
            return m->calls[i].eagain;
    }
    return 0;
}

static void say_waits(struct explain_facts *f, const struct explain_message *m)
{
    const struct explain_phase *p = &m->waiting;

    if (says(p, "process"))
        snprintf(f->waits, sizeof f->waits, "in %s", p->call);
    else if (says(p, "nobody"))
        snprintf(f->waits, sizeof f->waits, "nowhere: %s said EAGAIN %" PRIu64 " times", p->call,
                 refusals(m, p->call));
    else if (says(p, "kernel"))
        snprintf(f->waits, sizeof f->waits, "in the kernel: a request to receive was there before");
    else if (says(p, "library"))
        snprintf(f->waits, sizeof f->waits, "in a thread of the C library, for %s",
                 m->copying.call);
    else
        snprintf(f->waits, sizeof f->waits, "nowhere: the data was there first");
}

static void say_copies(struct explain_facts *f, const struct explain_message *m)
{
    const struct explain_phase *p = &m->copying;

    if (says(p, "kernel"))
        snprintf(f->copies, sizeof f->copies, "in the kernel, before the completion");
    else if (says(p, "library"))
        snprintf(f->copies, sizeof f->copies, "in a thread of the C library");
    else
        snprintf(f->copies, sizeof f->copies, "in %s", p->call);
}

static void say_sentence(struct explain_run *run, const struct explain_message *m)
{
    struct explain_facts *f = &run->facts;
    char wait[EXPLAIN_TIME];
    char copy[EXPLAIN_TIME];
    const char *waits = m->waiting.call;

    explain_time(f->waiting_ns, wait);
    explain_time(f->copying_ns, copy);
    if (says(&m->waiting, "process") && strcmp(waits, m->copying.call) == 0)
        snprintf(f->sentence, sizeof f->sentence,
                 "The process is blocked in %s until data is there (%s), and in the same call "
                 "while it is copied (%s).",
                 waits, wait, copy);
    else if (says(&m->waiting, "process"))
        snprintf(f->sentence, sizeof f->sentence,
                 "The process is blocked in %s until something is ready (%s); then it calls %s, "
                 "which copies the data (%s).",
                 waits, wait, m->copying.call, copy);
    else if (says(&m->waiting, "nobody"))
        snprintf(f->sentence, sizeof f->sentence,
                 "Nobody is blocked: %s returned EAGAIN %" PRIu64 " times in %s; then it copied "
                 "the data (%s).",
                 waits, refusals(m, waits), wait, copy);
    else if (says(&m->waiting, "kernel"))
        snprintf(f->sentence, sizeof f->sentence,
                 "A request waits in the kernel (%s), and the kernel copies the data; the process "
                 "learns of it when all is done (%s after the arrival).",
                 wait, copy);
    else if (says(&m->waiting, "library"))
        snprintf(f->sentence, sizeof f->sentence,
                 "A thread of the C library waits (%s) and copies the data; the process learns of "
                 "it when all is done (%s after the arrival).",
                 wait, copy);
    else
        snprintf(f->sentence, sizeof f->sentence,
                 "The data was there before the process asked; %s copied it (%s).", m->copying.call,
                 copy);
}

/* ---- numbers ---- */

static void count(struct explain_facts *f, const struct explain_event *e)
{
    size_t i = 0;

    while (i < f->ncalls && strcmp(f->calls[i].name, e->name) != 0)
        i++;
    if (i == EXPLAIN_NAMES)
        return;
    f->ncalls += i == f->ncalls;
    f->calls[i].name = e->name;
    f->calls[i].count += e->count;
    f->calls[i].eagain += e->result == -EAGAIN ? e->count : 0;
    f->calls[i].shorts += e->is_short;
    f->calls[i].spent_ns += e->spent_ns;
}

static int by_count(const void *a, const void *b)
{
    const struct explain_calls *x = a;
    const struct explain_calls *y = b;

    if (x->count != y->count)
        return x->count < y->count ? 1 : -1;
    return strcmp(x->name, y->name);
}

/* From the first client to the last; of a server's recording, all of it. */
static void count_all(struct explain_run *run)
{
    struct explain_facts *f = &run->facts;
    int64_t from = run->acts.n > 1 ? run->acts.items[1].begin_ns : INT64_MIN;
    int64_t to = run->acts.n > 1 ? run->acts.items[run->acts.n - 1].begin_ns : INT64_MAX;

    for (size_t i = 0; i < run->events.n; i++) {
        const struct explain_event *e = &run->events.items[i];

        if (e->end_ns < from || e->begin_ns > to)
            continue;
        if (e->kind == PLX_TRACE_QUEUED && e->result > f->queue_peak)
            f->queue_peak = e->result;
        if (e->kind == PLX_TRACE_CALLBACK && strcmp(e->name, "on_data") == 0 && run->acts.n == 0)
            f->messages++;
        if (e->kind != PLX_TRACE_CALL)
            continue;
        f->system_calls += e->count;
        count(f, e);
    }
    if (run->acts.n > 0)
        f->messages = run->messages.n;
    qsort(f->calls, f->ncalls, sizeof *f->calls, by_count);
}

/* What became of the largest write, where the socket did not have room for all of it. */
static void say_writes(struct explain_run *run)
{
    struct explain_facts *f = &run->facts;
    const struct explain_event *largest = NULL;
    char size[EXPLAIN_TIME];
    char time[EXPLAIN_TIME];

    for (size_t i = 0; i < run->events.n; i++) {
        const struct explain_event *e = &run->events.items[i];
        bool full = e->is_short || e->spent_ns > PLX_MSEC;

        if (e->kind == PLX_TRACE_CALL && explain_sends(e) && e->result > 0 && full &&
            (largest == NULL || e->asked > largest->asked))
            largest = e;
    }
    if (largest == NULL)
        return;
    explain_bytes(largest->asked, size);
    if (largest->is_short)
        snprintf(f->writes, sizeof f->writes,
                 "Of a write of %s %s takes %" PRId64 " bytes at once; the rest is queued (at most "
                 "%" PRId64 " bytes), and the process goes on.",
                 size, largest->name, largest->result, f->queue_peak);
    else
        snprintf(f->writes, sizeof f->writes,
                 "A write of %s blocks the process in %s for %s, until all of it is taken.", size,
                 largest->name, explain_time(largest->spent_ns, time));
}

void explain_facts(struct explain_run *run)
{
    struct explain_facts *f = &run->facts;
    const struct explain_message *m = run->messages.n > 0 ? &run->messages.items[0] : NULL;

    *f = (struct explain_facts){.messages = 0};
    count_all(run);
    say_writes(run);
    if (m == NULL || m->copying.who == NULL)
        return;
    f->known = true;
    f->blocked = says(&m->waiting, "process");
    f->synchronous = says(&m->copying, "process");
    f->waiting_ns = m->waiting.end_ns - m->waiting.begin_ns;
    f->copying_ns = m->copying.end_ns - m->copying.begin_ns;
    for (size_t i = 0; i < m->ncalls; i++)
        f->small_calls += m->calls[i].count;
    say_waits(f, m);
    say_copies(f, m);
    say_sentence(run, m);
}
