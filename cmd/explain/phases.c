/* SPDX-License-Identifier: MIT */
/*
 * What became of each message: who waited for it, in which call, and who copied it. Made out from
 * the events alone: nothing here knows which model ran.
 *
 * The data came                                                            waiting        copying
 *   in a receiving call that had begun before the data was there           that call      that call
 *   in one after a call that waited and came back with events              that wait      the call
 *   in one after others of the same connection had said EAGAIN             nobody waits   the call
 *   in one, and nobody had looked before                                   none           the call
 *   with a request's completion                                            the request    its owner
 *
 * A blocked receive is split where the data arrived. What the process needs to run again once it is
 * woken counts into what follows: into the copying phase there, into the waiting phase of a wait.
 */
#include "cmd/explain/explain.h"

#include <errno.h>
#include <string.h>

static bool is_call(const struct explain_event *e)
{
    return e->kind == PLX_TRACE_CALL;
}

/* One that said EAGAIN came back at once. */
static bool is_wait(const struct explain_event *e)
{
    return is_call(e) && e->phase == PLX_TRACE_WAITS && e->result != -EAGAIN;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Since when a message of the connection could have been received: it was accepted, or the one
 * before was answered. */
static int64_t ready_since(const struct explain_run *run, size_t message)
{
    const struct explain_message *m = &run->messages.items[message];
    int64_t since = INT64_MIN;

    for (size_t i = 0; i < run->events.n; i++) {
        const struct explain_event *e = &run->events.items[i];

        if (e->conn == m->conn && e->kind == PLX_TRACE_STATE && strcmp(e->name, "accepted") == 0)
            since = e->begin_ns;
    }
    for (size_t i = 0; i < message; i++) {
        const struct explain_message *before = &run->messages.items[i];

        if (before->conn == m->conn && before->answered_ns != EXPLAIN_NEVER)
            since = later(since, before->answered_ns);
    }
    return since;
}

/* The event with which the first bytes of the message came to the process. */
static const struct explain_event *find_copy(const struct explain_run *run,
                                             const struct explain_message *m)
{
    const struct explain_event *found = NULL;

    for (size_t i = 0; i < run->events.n; i++) {
        const struct explain_event *e = &run->events.items[i];

        if (e->conn == m->conn && explain_receives(e) && e->result > 0 && e->end_ns >= m->sent_ns &&
            (found == NULL || e->end_ns < found->end_ns))
            found = e;
    }
    return found;
}

static size_t index_of(const struct explain_run *run, const struct explain_event *e)
{
    return (size_t)(e - run->events.items);
}

/* ---- the process calls ---- */

/* The last wait of that thread that was over before the call began, but not before the data was
 * there. One that was over before the connection was accepted was for something else. */
static const struct explain_event *find_wait(const struct explain_run *run,
                                             const struct explain_event *copy, int64_t arrived,
                                             int64_t since)
{
    const struct explain_event *found = NULL;

    for (size_t i = 0; i < run->events.n; i++) {
        const struct explain_event *e = &run->events.items[i];

        if (is_wait(e) && e->thread == copy->thread && e->end_ns <= copy->begin_ns &&
            e->begin_ns <= arrived && e->end_ns >= arrived && e->end_ns > since)
            found = e;
    }
    return found;
}

/* What found nothing on this connection just before. */
static const struct explain_event *find_refusal(const struct explain_run *run,
                                                const struct explain_event *copy)
{
    const struct explain_event *found = NULL;

    for (size_t i = 0; i < index_of(run, copy); i++) {
        const struct explain_event *e = &run->events.items[i];

        if (is_call(e) && explain_receives(e) && e->conn == copy->conn &&
            e->thread == copy->thread && e->end_ns <= copy->begin_ns)
            found = e->result == -EAGAIN ? e : NULL;
    }
    return found;
}

/* The first wait that began after `since`: the process may have been woken for others. */
static int64_t first_wait(const struct explain_run *run, const struct explain_event *wait,
                          int64_t since)
{
    for (size_t i = 0; i <= index_of(run, wait); i++) {
        const struct explain_event *e = &run->events.items[i];

        if (is_wait(e) && e->thread == wait->thread && e->end_ns > since)
            return later(e->begin_ns, since);
    }
    return wait->begin_ns;
}

static void by_call(const struct explain_run *run, struct explain_message *m, int64_t since,
                    const struct explain_event *copy)
{
    int64_t arrived = earlier(m->arrived_ns, copy->end_ns);
    const struct explain_event *wait = find_wait(run, copy, arrived, since);
    const struct explain_event *refusal = find_refusal(run, copy);

    m->copying = (struct explain_phase){.who = "process",
                                        .call = copy->name,
                                        .begin_ns = later(arrived, copy->begin_ns),
                                        .end_ns = copy->end_ns,
                                        .event = index_of(run, copy)};
    if (copy->begin_ns < arrived)
        m->waiting = (struct explain_phase){.who = "process",
                                            .call = copy->name,
                                            .begin_ns = copy->begin_ns,
                                            .end_ns = arrived,
                                            .event = index_of(run, copy)};
    else if (wait != NULL)
        m->waiting = (struct explain_phase){.who = "process",
                                            .call = wait->name,
                                            .begin_ns = first_wait(run, wait, since),
                                            .end_ns = wait->end_ns,
                                            .event = index_of(run, wait)};
    else if (refusal != NULL)
        m->waiting = (struct explain_phase){.who = "nobody",
                                            .call = refusal->name,
                                            .begin_ns = refusal->begin_ns,
                                            .end_ns = copy->begin_ns,
                                            .event = index_of(run, refusal)};
}

/* ---- a request was handed over ---- */

static void by_request(const struct explain_run *run, struct explain_message *m, int64_t since,
                       const struct explain_event *done)
{
    /* A request that the C library serves is named after its own calls. */
    const char *who = strncmp(done->name, "aio_", 4) == 0 ? "library" : "kernel";
    int64_t arrived = earlier(m->arrived_ns, done->end_ns);
    int64_t submitted = since;
    const struct explain_event *wait = NULL;

    for (size_t i = 0; i < run->events.n; i++) {
        const struct explain_event *e = &run->events.items[i];

        if (e->kind == PLX_TRACE_SUBMITTED && e->conn == m->conn &&
            strcmp(e->name, done->name) == 0 && e->begin_ns <= arrived)
            submitted = later(submitted, e->begin_ns);
        if (is_wait(e) && e->thread == done->thread && e->end_ns <= done->end_ns &&
            e->end_ns >= arrived && e->begin_ns <= arrived)
            wait = e;
    }
    m->copying = (struct explain_phase){.who = who,
                                        .call = done->name,
                                        .begin_ns = arrived,
                                        .end_ns = done->end_ns,
                                        .event = index_of(run, done)};
    if (submitted < arrived)
        m->waiting = (struct explain_phase){.who = who,
                                            .call = wait != NULL ? wait->name : done->name,
                                            .begin_ns = submitted,
                                            .end_ns = arrived,
                                            .event = wait != NULL ? index_of(run, wait)
                                                                  : index_of(run, done)};
}

/* ---- the answer, and what it took ---- */

static void find_times(const struct explain_run *run, struct explain_message *m, int64_t since,
                       const struct explain_event *copy)
{
    int64_t left = m->answer;

    for (size_t i = 0; i < run->events.n; i++) {
        const struct explain_event *e = &run->events.items[i];

        if (e->conn != m->conn || e->end_ns < copy->begin_ns || e->begin_ns < since)
            continue;
        if (e->kind == PLX_TRACE_CALLBACK && strcmp(e->name, "on_data") == 0 &&
            m->shown_ns == EXPLAIN_NEVER)
            m->shown_ns = e->begin_ns;
        if (explain_sends(e) && e->result > 0 && left > 0) {
            left -= e->result;
            if (left <= 0)
                m->answered_ns = e->end_ns;
        }
    }
}

static void count_call(struct explain_message *m, const struct explain_event *e)
{
    size_t i = 0;

    while (i < m->ncalls && strcmp(m->calls[i].name, e->name) != 0)
        i++;
    if (i == sizeof m->calls / sizeof *m->calls)
        return;
    m->ncalls += i == m->ncalls;
    m->calls[i].name = e->name;
    m->calls[i].count += e->count;
    m->calls[i].eagain += e->result == -EAGAIN ? e->count : 0;
    m->calls[i].shorts += e->is_short;
    m->calls[i].spent_ns += e->spent_ns;
}

/* The connection's calls since it could be received, and the waits from the time it was sent. What
 * it took to accept the connection is not the message's. */
static void count_calls(const struct explain_run *run, struct explain_message *m, int64_t since,
                        const struct explain_event *copy)
{
    int64_t until = m->answered_ns != EXPLAIN_NEVER ? m->answered_ns : run->duration_ns;

    for (size_t i = 0; i < run->events.n; i++) {
        const struct explain_event *e = &run->events.items[i];
        bool own = e->conn == m->conn && e->begin_ns >= since &&
                   (e->phase == PLX_TRACE_COPIES || e->begin_ns >= m->sent_ns);
        bool waited = is_wait(e) && e->thread == copy->thread && e->end_ns >= m->sent_ns;

        if (is_call(e) && (own || waited) && e->begin_ns < until)
            count_call(m, e);
    }
}

void explain_phases(struct explain_run *run)
{
    for (size_t i = 0; i < run->messages.n; i++) {
        struct explain_message *m = &run->messages.items[i];
        const struct explain_event *copy = m->conn != 0 ? find_copy(run, m) : NULL;
        int64_t since = ready_since(run, i);

        if (copy == NULL)
            continue;
        if (is_call(copy))
            by_call(run, m, since, copy);
        else
            by_request(run, m, since, copy);
        find_times(run, m, since, copy);
        count_calls(run, m, since, copy);
    }
}
