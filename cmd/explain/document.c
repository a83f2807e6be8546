/* SPDX-License-Identifier: MIT */
/* The document that --json writes, and that the page and --from read (docs/explain.md). */
#include "cmd/explain/explain.h"
#include "cmd/explain/names.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static json_t *number(int64_t n)
{
    return json_integer(n);
}

/* A time that may be unknown. */
static json_t *moment(int64_t ns)
{
    return ns == EXPLAIN_NEVER ? json_null() : json_integer(ns);
}

static json_t *error(int64_t result)
{
    return result < 0 ? json_string(explain_error(result)) : json_null();
}

static json_t *text_or_null(const char *text)
{
    return text != NULL && text[0] != '\0' ? json_string(text) : json_null();
}

/* ---- what happened ---- */

static json_t *event(const struct explain_event *e)
{
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:s, s:s, s:o, s:i, s:o, s:o, s:o, s:o, s:b, s:o, s:o}", "number",
        number((int64_t)e->number), "thread", number((int64_t)e->thread), "begin_ns",
        number(e->begin_ns), "end_ns", number(e->end_ns), "kind", explain_kinds[e->kind], "name",
        e->name, "phase",
        e->kind == PLX_TRACE_CALL ? json_string(explain_phase_names[e->phase]) : json_null(), "fd",
        e->fd, "conn", number((int64_t)e->conn), "asked", number(e->asked), "result",
        number(e->result), "error", error(e->result), "short", (int)e->is_short, "count",
        number((int64_t)e->count), "spent_ns", number(e->spent_ns));
}

static json_t *step(const struct explain_step *s)
{
    return json_pack("{s:s, s:o, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:s}", "client", s->client,
                     "conn", number((int64_t)s->conn), "act", s->act, "what", s->what, "begin_ns",
                     number(s->begin_ns), "end_ns", number(s->end_ns), "asked", number(s->asked),
                     "result", number(s->result), "error", error(s->result), "text", s->text);
}

static json_t *phase(const struct explain_phase *p)
{
    if (p->who == NULL)
        return json_null();
    return json_pack("{s:s, s:s, s:o, s:o, s:o}", "who", p->who, "call", p->call, "begin_ns",
                     number(p->begin_ns), "end_ns", number(p->end_ns), "event",
                     number((int64_t)p->event));
}

static json_t *message(const struct explain_message *m)
{
    json_t *calls = json_array();

    for (size_t i = 0; i < m->ncalls; i++)
        json_array_append_new(calls, json_pack("{s:s, s:o, s:o}", "name", m->calls[i].name, "count",
                                               number((int64_t)m->calls[i].count), "eagain",
                                               number((int64_t)m->calls[i].eagain)));
    return json_pack("{s:s, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "client",
                     m->client, "conn", number((int64_t)m->conn), "act", m->act, "bytes",
                     number(m->bytes), "answer", number(m->answer), "sent_ns", number(m->sent_ns),
                     "arrived_ns", number(m->arrived_ns), "waiting", phase(&m->waiting), "copying",
                     phase(&m->copying), "shown_ns", moment(m->shown_ns), "answered_ns",
                     moment(m->answered_ns), "received_ns", moment(m->received_ns), "calls", calls);
}

static json_t *facts(const struct explain_facts *f)
{
    json_t *calls = json_array();
    double messages = f->messages > 0 ? (double)f->messages : 1;

    for (size_t i = 0; i < f->ncalls; i++)
        json_array_append_new(calls,
                              json_pack("{s:s, s:o, s:o, s:o, s:o}", "name", f->calls[i].name,
                                        "count", number((int64_t)f->calls[i].count), "eagain",
                                        number((int64_t)f->calls[i].eagain), "short",
                                        number((int64_t)f->calls[i].shorts), "ns",
                                        number(f->calls[i].spent_ns)));
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "waits",
        text_or_null(f->waits), "copies", text_or_null(f->copies), "blocked",
        f->known ? json_boolean(f->blocked) : json_null(), "synchronous",
        f->known ? json_boolean(f->synchronous) : json_null(), "messages",
        number((int64_t)f->messages), "system_calls", number((int64_t)f->system_calls),
        "calls_per_message", json_real((double)f->system_calls / messages),
        "calls_per_small_message", f->known ? number((int64_t)f->small_calls) : json_null(),
        "calls", calls, "waiting_ns", f->known ? number(f->waiting_ns) : json_null(), "copying_ns",
        f->known ? number(f->copying_ns) : json_null(), "queue_peak", number(f->queue_peak),
        "sentence", text_or_null(f->sentence), "writes", text_or_null(f->writes));
}

/* ---- a run ---- */

static json_t *threads(const struct explain_run *run)
{
    json_t *list = json_array();

    for (size_t i = 0; i < run->threads.n; i++) {
        const struct explain_thread *t = &run->threads.items[i];

        json_array_append_new(list, json_pack("{s:i, s:i, s:i, s:s}", "id", (int)i, "process",
                                              t->process, "thread", t->thread, "name", t->name));
    }
    return list;
}

static json_t *clients(const struct explain_run *run)
{
    json_t *list = json_array();

    for (size_t i = 0; i < run->clients.n; i++) {
        const struct explain_client *c = &run->clients.items[i];

        json_array_append_new(list, json_pack("{s:s, s:o, s:s}", "name", c->name, "conn",
                                              number((int64_t)c->conn), "act", c->act));
    }
    return list;
}

static json_t *acts(const struct explain_run *run)
{
    json_t *list = json_array();

    for (size_t i = 0; i < run->acts.n; i++) {
        const struct explain_act *a = &run->acts.items[i];

        json_array_append_new(list, json_pack("{s:s, s:s, s:o, s:o}", "name", a->name, "title",
                                              a->title, "begin_ns", number(a->begin_ns), "end_ns",
                                              number(a->end_ns)));
    }
    return list;
}

static json_t *run_json(const struct explain_run *run)
{
    json_t *steps = json_array();
    json_t *messages = json_array();
    json_t *events = json_array();

    for (size_t i = 0; i < run->steps.n; i++)
        json_array_append_new(steps, step(&run->steps.items[i]));
    for (size_t i = 0; i < run->messages.n; i++)
        json_array_append_new(messages, message(&run->messages.items[i]));
    for (size_t i = 0; i < run->events.n; i++)
        json_array_append_new(events, event(&run->events.items[i]));
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o,"
                     " s:o, s:o, s:o, s:o, s:o}",
                     "name", run->model, "engine", run->engine, "summary", run->summary, "limits",
                     run->limits, "waits_in", run->waits_in, "copies_in", run->copies_in, "runs",
                     (int)run->runs, "reason", run->why.reason, "remedy", run->why.remedy,
                     "complaint", text_or_null(run->complaint), "zero_ns", number(run->zero_ns),
                     "duration_ns", number(run->duration_ns), "lost", number((int64_t)run->lost),
                     "threads", threads(run), "clients", clients(run), "acts", acts(run), "steps",
                     steps, "messages", messages, "facts",
                     run->runs ? facts(&run->facts) : json_null(), "events", events);
}

struct json_t *explain_json(const struct explain_document *d)
{
    json_t *models = json_array();

    for (size_t i = 0; i < d->n; i++)
        json_array_append_new(models, run_json(&d->runs[i]));
    return json_pack("{s:i, s:s, s:s, s:o, s:O?, s:O?, s:s, s:o}", "schema_version",
                     EXPLAIN_SCHEMA_VERSION, "program", d->program, "version", d->version,
                     "scenario", text_or_null(d->scenario), "command", d->command, "machine",
                     d->machine, "machine_line", d->machine_line, "models", models);
}

void explain_document_free(struct explain_document *d)
{
    for (size_t i = 0; i < d->n; i++)
        explain_run_free(&d->runs[i]);
    free(d->runs);
    json_decref(d->command);
    json_decref(d->machine);
    json_decref(d->root);
}
