/* SPDX-License-Identifier: MIT */
/*
 * The trace in the Chrome trace event format ("Trace Event Format", a document of the Chromium
 * project), which ui.perfetto.dev opens. All models begin at 0, so that they lie below each other.
 *
 *   calls, callbacks     slices ("X") on the thread that made them
 *   folded calls         asynchronous slices ("b", "e"): those of several descriptors overlap
 *   requests, phases     asynchronous slices, from submission to completion
 *   queues               counters ("C")
 *   the rest             instants ("i")
 *   clients              a process of their own for each model, a thread for each client
 */
#include "cmd/explain/explain.h"
#include "cmd/explain/names.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* No process has such a number (PID_MAX_LIMIT of Linux is 2^22). */
#define CLIENTS_FROM 10000000

struct perfetto {
    json_t *events;
    const struct explain_run *run;
    int clients; /* the process that stands for them */
    int process; /* the server's main one */
    int64_t ids; /* asynchronous slices so far */
};

static double micro(int64_t ns)
{
    return (double)ns / 1000.0;
}

/* Takes `args`. */
static void put(struct perfetto *p, const char *kind, const char *category, const char *name,
                int process, int thread, int64_t at, json_t *args)
{
    json_array_append_new(p->events, json_pack("{s:s, s:s, s:s, s:i, s:i, s:f, s:o}", "ph", kind,
                                               "cat", category, "name", name, "pid", process, "tid",
                                               thread, "ts", micro(at), "args", args));
}

static json_t *last(struct perfetto *p)
{
    return json_array_get(p->events, json_array_size(p->events) - 1);
}

static void put_slice(struct perfetto *p, const char *category, const char *name, int process,
                      int thread, int64_t begin, int64_t end, json_t *args)
{
    put(p, "X", category, name, process, thread, begin, args);
    json_object_set_new(last(p), "dur", json_real(micro(end - begin)));
}

static void put_async(struct perfetto *p, const char *category, const char *name, int process,
                      int thread, int64_t begin, int64_t end, json_t *args)
{
    int64_t id = ++p->ids;

    put(p, "b", category, name, process, thread, begin, args);
    json_object_set_new(last(p), "id", json_integer(id));
    put(p, "e", category, name, process, thread, end, json_object());
    json_object_set_new(last(p), "id", json_integer(id));
}

static void put_name(struct perfetto *p, const char *what, int process, int thread,
                     const char *name)
{
    put(p, "M", "__metadata", what, process, thread, 0, json_pack("{s:s}", "name", name));
}

/* ---- the server ---- */

static json_t *arguments(const struct explain_event *e)
{
    json_t *args = json_pack("{s:I, s:I, s:I, s:I}", "asked", (json_int_t)e->asked, "result",
                             (json_int_t)e->result, "connection", (json_int_t)e->conn, "number",
                             (json_int_t)e->number);

    if (e->fd >= 0)
        json_object_set_new(args, "fd", json_integer(e->fd));
    if (e->result < 0)
        json_object_set_new(args, "error", json_string(explain_error(e->result)));
    if (e->count > 1)
        json_object_set_new(args, "times", json_integer((json_int_t)e->count));
    return args;
}

/* The first completion after it that is the request's. */
static const struct explain_event *completion(const struct explain_run *run, size_t submitted)
{
    const struct explain_event *s = &run->events.items[submitted];

    for (size_t i = submitted + 1; i < run->events.n; i++) {
        const struct explain_event *e = &run->events.items[i];

        if (e->kind == PLX_TRACE_COMPLETED && e->conn == s->conn && strcmp(e->name, s->name) == 0)
            return e;
        /* Another of the same kind was handed over: this one's completion has been lost. */
        if (e->kind == PLX_TRACE_SUBMITTED && e->conn == s->conn && strcmp(e->name, s->name) == 0)
            return NULL;
    }
    return NULL;
}

static void put_event(struct perfetto *p, size_t index)
{
    const struct explain_event *e = &p->run->events.items[index];
    const struct explain_thread *t = &p->run->threads.items[e->thread];
    const struct explain_event *done;
    const char *category = explain_kinds[e->kind];
    char name[64];

    switch (e->kind) {
    case PLX_TRACE_CALL:
    case PLX_TRACE_CALLBACK:
        if (e->count > 1)
            put_async(p, "polling", e->name, t->process, t->thread, e->begin_ns, e->end_ns,
                      arguments(e));
        else
            put_slice(p, e->kind == PLX_TRACE_CALL ? explain_phase_names[e->phase] : category,
                      e->name, t->process, t->thread, e->begin_ns, e->end_ns, arguments(e));
        break;
    case PLX_TRACE_SUBMITTED:
        done = completion(p->run, index);
        snprintf(name, sizeof name, "%s #%" PRIu64, e->name, e->conn);
        if (done != NULL)
            put_async(p, "request", name, t->process, t->thread, e->begin_ns, done->begin_ns,
                      arguments(done));
        break;
    case PLX_TRACE_QUEUED:
        snprintf(name, sizeof name, "queue #%" PRIu64, e->conn);
        put(p, "C", category, name, t->process, t->thread, e->begin_ns,
            json_pack("{s:I}", "bytes", (json_int_t)e->result));
        break;
    case PLX_TRACE_COMPLETED:
    case PLX_TRACE_STATE:
    case PLX_TRACE_WOKEN:
        if (e->count > 1)
            break;
        snprintf(name, sizeof name, "%s%.40s", e->kind == PLX_TRACE_COMPLETED ? "completed " : "",
                 e->name);
        put(p, "i", category, name, t->process, t->thread, e->begin_ns, arguments(e));
        json_object_set_new(last(p), "s", json_string("t"));
        break;
    }
}

static void put_server(struct perfetto *p)
{
    char name[96];

    for (size_t i = 0; i < p->run->threads.n; i++) {
        const struct explain_thread *t = &p->run->threads.items[i];

        snprintf(name, sizeof name, "%.40s: server%s", p->run->model,
                 t->process != p->process ? ", a connection's process" : "");
        put_name(p, "process_name", t->process, t->process, name);
        put_name(p, "thread_name", t->process, t->thread, t->name);
    }
    for (size_t i = 0; i < p->run->events.n; i++)
        put_event(p, i);
}

/* ---- the clients, and the phases of their messages ---- */

static int client_thread(const struct perfetto *p, const char *client)
{
    for (size_t i = 0; i < p->run->clients.n; i++) {
        if (strcmp(p->run->clients.items[i].name, client) == 0)
            return p->clients + 1 + (int)i;
    }
    return p->clients;
}

static void put_phase(struct perfetto *p, const struct explain_message *m, const char *what,
                      const struct explain_phase *phase)
{
    char name[96];

    if (phase->who == NULL)
        return;
    snprintf(name, sizeof name, "%s: %s in %.40s", m->client, what, phase->call);
    put_async(p, "phase", name, p->process, p->process, phase->begin_ns, phase->end_ns,
              json_pack("{s:s, s:I, s:I}", "who", phase->who, "bytes", (json_int_t)m->bytes,
                        "connection", (json_int_t)m->conn));
}

static void put_clients(struct perfetto *p)
{
    char name[96];

    if (p->run->clients.n == 0)
        return;
    snprintf(name, sizeof name, "%.40s: clients", p->run->model);
    put_name(p, "process_name", p->clients, p->clients, name);
    for (size_t i = 0; i < p->run->clients.n; i++)
        put_name(p, "thread_name", p->clients, p->clients + 1 + (int)i,
                 p->run->clients.items[i].name);
    for (size_t i = 0; i < p->run->steps.n; i++) {
        const struct explain_step *s = &p->run->steps.items[i];

        put_slice(p, s->what, s->text, p->clients, client_thread(p, s->client), s->begin_ns,
                  s->end_ns,
                  json_pack("{s:I, s:I, s:I}", "asked", (json_int_t)s->asked, "result",
                            (json_int_t)s->result, "connection", (json_int_t)s->conn));
    }
    for (size_t i = 0; i < p->run->messages.n; i++) {
        put_phase(p, &p->run->messages.items[i], "waiting", &p->run->messages.items[i].waiting);
        put_phase(p, &p->run->messages.items[i], "copying", &p->run->messages.items[i].copying);
    }
}

int explain_perfetto(FILE *f, const struct explain_document *d)
{
    struct perfetto p = {.events = json_array()};
    json_t *doc;
    int rc = 0;

    for (size_t i = 0; i < d->n; i++) {
        p.run = &d->runs[i];
        p.clients = CLIENTS_FROM + 1000 * (int)i;
        p.process = p.run->threads.n > 0 ? p.run->threads.items[0].process : 0;
        put_server(&p);
        put_clients(&p);
    }
    doc = json_pack("{s:o, s:s, s:{s:s, s:s}}", "traceEvents", p.events, "displayTimeUnit", "ns",
                    "otherData", "program", d->program, "machine", d->machine_line);
    if (doc == NULL || json_dumpf(doc, f, JSON_COMPACT) != 0)
        rc = doc == NULL ? -ENOMEM : errno != 0 ? -errno : -EIO;
    json_decref(doc);
    return rc;
}
