/* SPDX-License-Identifier: MIT */
/* What stands in a row. Names may come from a file: nothing but printable ASCII goes on. */
#include "cmd/explain/rows.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

static void clean(char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < ' ' || (unsigned char)*text > '~')
            *text = '?';
    }
}

static void say_note(const struct explain_event *e, char *buf, size_t cap)
{
    char size[EXPLAIN_TIME];
    const char *error = explain_error(e->result);

    switch (e->kind) {
    case PLX_TRACE_CALLBACK:
        if (e->asked > 0)
            snprintf(buf, cap, "%s, %s", e->name, explain_bytes(e->asked, size));
        else
            snprintf(buf, cap, "%s", e->name);
        break;
    case PLX_TRACE_QUEUED: snprintf(buf, cap, "queue: %s", explain_bytes(e->result, size)); break;
    case PLX_TRACE_STATE:
        snprintf(buf, cap, "%s%s%s", e->name, error[0] != '\0' ? ": " : "", error);
        break;
    case PLX_TRACE_SUBMITTED: snprintf(buf, cap, "submits %s", e->name); break;
    case PLX_TRACE_COMPLETED:
    case PLX_TRACE_CALL:
    case PLX_TRACE_WOKEN: snprintf(buf, cap, "%s", e->name); break;
    }
}

void explain_row_process(const struct explain_run *run, const struct explain_row *r, char *buf,
                         size_t cap)
{
    const struct explain_event *e = r->event;
    char thread[24] = "";
    char conn[24] = "";
    char what[64];

    if (run->threads.n > 1)
        snprintf(thread, sizeof thread, "[%zu] ", e->thread);
    if (e->conn != 0)
        snprintf(conn, sizeof conn, " #%" PRIu64, e->conn);
    if (e->kind == PLX_TRACE_CALL)
        snprintf(what, sizeof what, "%s", e->name);
    else
        say_note(e, what, sizeof what);
    snprintf(buf, cap, "%s%s%s", thread, what, conn);
    clean(buf);
}

static void say_success(const struct explain_event *e, char *buf, size_t cap)
{
    char size[EXPLAIN_TIME];

    if (e->kind == PLX_TRACE_COMPLETED && strncmp(e->name, "accept", 6) == 0)
        snprintf(buf, cap, "descriptor %" PRId64, e->result);
    else if (explain_receives(e) && e->result == 0)
        snprintf(buf, cap, "end of data");
    else if (e->is_short)
        snprintf(buf, cap, "%" PRId64 " of %" PRId64, e->result, e->asked);
    else if (explain_receives(e) || explain_sends(e))
        snprintf(buf, cap, "%s", explain_bytes(e->result, size));
    else if (e->kind == PLX_TRACE_COMPLETED)
        snprintf(buf, cap, "done");
    else if (strcmp(e->name, "read") == 0 || strcmp(e->name, "write") == 0)
        snprintf(buf, cap, "%s", explain_bytes(e->result, size));
    else if (strcmp(e->name, "accept4") == 0)
        snprintf(buf, cap, "descriptor %" PRId64, e->result);
    else if (strcmp(e->name, "sigtimedwait") == 0)
        snprintf(buf, cap, "signal %" PRId64, e->result);
    else if (strcmp(e->name, "io_uring_enter") == 0)
        snprintf(buf, cap, "completions");
    else if (strcmp(e->name, "fork") == 0)
        snprintf(buf, cap, e->result == 0 ? "the child" : "child %" PRId64, e->result);
    else if (e->phase == PLX_TRACE_WAITS && e->result == 0)
        snprintf(buf, cap, "nothing");
    else if (e->phase == PLX_TRACE_WAITS)
        snprintf(buf, cap, "%" PRId64 " ready", e->result);
    else
        snprintf(buf, cap, "done");
}

void explain_row_result(const struct explain_event *e, char *buf, size_t cap)
{
    char what[64];

    if (e->result < 0)
        snprintf(what, sizeof what, "%s", explain_error(e->result));
    else
        say_success(e, what, sizeof what);
    if (e->count > 1)
        snprintf(buf, cap, "%s x %" PRIu64, what, e->count);
    else
        snprintf(buf, cap, "%s", what);
}

/* "in recv (the process is blocked)", "as a request in the kernel". */
static void say_where(const struct explain_phase *p, char *buf, size_t cap)
{
    if (strcmp(p->who, "process") == 0)
        snprintf(buf, cap, "in %.40s (the process is blocked)", p->call);
    else if (strcmp(p->who, "nobody") == 0)
        snprintf(buf, cap, "(nobody is blocked: %.40s says EAGAIN)", p->call);
    else if (strcmp(p->who, "library") == 0)
        snprintf(buf, cap, "in a thread of libc");
    else
        snprintf(buf, cap, "as a request in the kernel");
}

void explain_row_message(const struct explain_message *m, char *buf, size_t cap)
{
    const struct explain_phase *copying = &m->copying;
    const char *part = strcmp(m->act, "large") == 0 ? ", the first part" : "";
    char size[EXPLAIN_TIME];
    char wait[EXPLAIN_TIME];
    char copy[EXPLAIN_TIME];
    char where[96];
    char by[64];

    explain_bytes(m->bytes, size);
    explain_time(copying->end_ns - copying->begin_ns, copy);
    if (strcmp(copying->who, "process") == 0)
        snprintf(by, sizeof by, "in %.40s", copying->call);
    else
        snprintf(by, sizeof by, "%s",
                 strcmp(copying->who, "library") == 0 ? "by libc's thread" : "by the kernel");
    if (m->waiting.who == NULL) {
        snprintf(buf, cap, "%s's %s%s: there before the process asked; copying %s %s", m->client,
                 size, part, copy, by);
    } else {
        say_where(&m->waiting, where, sizeof where);
        snprintf(buf, cap, "%s's %s%s: waiting %s %s, copying %s %s", m->client, size, part,
                 explain_time(m->waiting.end_ns - m->waiting.begin_ns, wait), where, copy, by);
    }
    clean(buf);
}
