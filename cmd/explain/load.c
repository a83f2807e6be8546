/* SPDX-License-Identifier: MIT */
/*
 * A document read back. It may come from anywhere: whatever is missing or of another kind is 0 or
 * empty, an index that points nowhere is dropped; only what is not such a document at all is
 * refused. Phases and facts are those of the file.
 */
#include "cmd/explain/explain.h"
#include "cmd/explain/names.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const char *text(const json_t *from, const char *key)
{
    const char *s = json_string_value(json_object_get(from, key));

    return s != NULL ? s : "";
}

/* No number is so large that a difference or sum of two would not fit. */
#define MOST ((int64_t)1 << 60)

static int64_t bounded(const json_t *v)
{
    int64_t n = json_integer_value(v);

    return n > MOST ? MOST : n < -MOST ? -MOST : n;
}

static int64_t integer(const json_t *from, const char *key)
{
    return bounded(json_object_get(from, key));
}

static int64_t moment(const json_t *from, const char *key)
{
    const json_t *v = json_object_get(from, key);

    return json_is_integer(v) ? bounded(v) : EXPLAIN_NEVER;
}

static bool flag(const json_t *from, const char *key)
{
    return json_is_true(json_object_get(from, key));
}

static void copy(char *to, size_t cap, const json_t *from, const char *key)
{
    snprintf(to, cap, "%s", text(from, key));
}

static size_t name_index(const char *const *names, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(names[i], name) == 0)
            return i;
    }
    return n;
}

/* ---- what happened ---- */

static bool load_event(const json_t *j, struct explain_run *run)
{
    size_t kind = name_index(explain_kinds, EXPLAIN_KINDS, text(j, "kind"));
    size_t phase = name_index(explain_phase_names, EXPLAIN_PHASES, text(j, "phase"));
    struct explain_event *e = EXPLAIN_MORE(&run->events);

    if (e == NULL)
        return false;
    e->number = (uint64_t)integer(j, "number");
    e->thread = (size_t)integer(j, "thread");
    if (e->thread >= run->threads.n)
        e->thread = 0;
    e->begin_ns = integer(j, "begin_ns");
    e->end_ns = integer(j, "end_ns");
    if (e->end_ns < e->begin_ns)
        e->end_ns = e->begin_ns;
    e->spent_ns = integer(j, "spent_ns");
    e->count = integer(j, "count") > 0 ? (uint64_t)integer(j, "count") : 1;
    e->name = text(j, "name");
    e->kind = kind < EXPLAIN_KINDS ? (enum plx_trace_kind)kind : PLX_TRACE_STATE;
    e->phase = phase < EXPLAIN_PHASES ? (enum plx_trace_phase)phase : PLX_TRACE_CONTROLS;
    e->fd = (int)integer(j, "fd");
    e->conn = (uint64_t)integer(j, "conn");
    e->asked = integer(j, "asked");
    e->result = integer(j, "result");
    e->is_short = flag(j, "short");
    return true;
}

static bool load_step(const json_t *j, struct explain_run *run)
{
    struct explain_step *s = EXPLAIN_MORE(&run->steps);

    if (s == NULL)
        return false;
    copy(s->client, sizeof s->client, j, "client");
    copy(s->text, sizeof s->text, j, "text");
    s->conn = (uint64_t)integer(j, "conn");
    s->act = text(j, "act");
    s->what = text(j, "what");
    s->begin_ns = integer(j, "begin_ns");
    s->end_ns = integer(j, "end_ns");
    s->asked = integer(j, "asked");
    s->result = integer(j, "result");
    return true;
}

static struct explain_phase load_phase(const json_t *j, const struct explain_run *run)
{
    struct explain_phase p = {.who = NULL};
    int64_t event = integer(j, "event");

    if (json_is_object(j) && event >= 0 && (size_t)event < run->events.n)
        p = (struct explain_phase){.who = text(j, "who"),
                                   .call = text(j, "call"),
                                   .begin_ns = integer(j, "begin_ns"),
                                   .end_ns = integer(j, "end_ns"),
                                   .event = (size_t)event};
    return p;
}

static void load_calls(const json_t *list, struct explain_calls *calls, size_t cap, size_t *n)
{
    size_t i;
    const json_t *j;

    json_array_foreach(list, i, j)
    {
        if (*n == cap)
            return;
        calls[(*n)++] = (struct explain_calls){.name = text(j, "name"),
                                               .count = (uint64_t)integer(j, "count"),
                                               .eagain = (uint64_t)integer(j, "eagain"),
                                               .shorts = (uint64_t)integer(j, "short"),
                                               .spent_ns = integer(j, "ns")};
    }
}

static bool load_message(const json_t *j, struct explain_run *run)
{
    struct explain_message *m = EXPLAIN_MORE(&run->messages);

    if (m == NULL)
        return false;
    copy(m->client, sizeof m->client, j, "client");
    m->conn = (uint64_t)integer(j, "conn");
    m->act = text(j, "act");
    m->bytes = integer(j, "bytes");
    m->answer = integer(j, "answer");
    m->sent_ns = integer(j, "sent_ns");
    m->arrived_ns = integer(j, "arrived_ns");
    m->waiting = load_phase(json_object_get(j, "waiting"), run);
    m->copying = load_phase(json_object_get(j, "copying"), run);
    m->shown_ns = moment(j, "shown_ns");
    m->answered_ns = moment(j, "answered_ns");
    m->received_ns = moment(j, "received_ns");
    load_calls(json_object_get(j, "calls"), m->calls, sizeof m->calls / sizeof *m->calls,
               &m->ncalls);
    return true;
}

static bool load_thread(const json_t *j, struct explain_run *run)
{
    struct explain_thread *t = EXPLAIN_MORE(&run->threads);

    if (t == NULL)
        return false;
    *t = (struct explain_thread){.process = (int)integer(j, "process"),
                                 .thread = (int)integer(j, "thread"),
                                 .name = text(j, "name")};
    return true;
}

static bool load_client(const json_t *j, struct explain_run *run)
{
    struct explain_client *c = EXPLAIN_MORE(&run->clients);

    if (c == NULL)
        return false;
    copy(c->name, sizeof c->name, j, "name");
    c->conn = (uint64_t)integer(j, "conn");
    c->act = text(j, "act");
    return true;
}

static bool load_act(const json_t *j, struct explain_run *run)
{
    struct explain_act *a = EXPLAIN_MORE(&run->acts);

    if (a == NULL)
        return false;
    *a = (struct explain_act){.name = text(j, "name"),
                              .title = text(j, "title"),
                              .begin_ns = integer(j, "begin_ns"),
                              .end_ns = integer(j, "end_ns")};
    return true;
}

/* ---- a run ---- */

static void load_facts(const json_t *j, struct explain_facts *f)
{
    copy(f->waits, sizeof f->waits, j, "waits");
    copy(f->copies, sizeof f->copies, j, "copies");
    copy(f->sentence, sizeof f->sentence, j, "sentence");
    copy(f->writes, sizeof f->writes, j, "writes");
    f->known = json_is_boolean(json_object_get(j, "blocked"));
    f->blocked = flag(j, "blocked");
    f->synchronous = flag(j, "synchronous");
    f->waiting_ns = integer(j, "waiting_ns");
    f->copying_ns = integer(j, "copying_ns");
    f->small_calls = (uint64_t)integer(j, "calls_per_small_message");
    f->messages = (uint64_t)integer(j, "messages");
    f->system_calls = (uint64_t)integer(j, "system_calls");
    f->queue_peak = integer(j, "queue_peak");
    load_calls(json_object_get(j, "calls"), f->calls, EXPLAIN_NAMES, &f->ncalls);
}

/* Threads before events, which refer to them; events before messages, likewise. */
static bool load_lists(const json_t *j, struct explain_run *run)
{
    static const struct {
        const char *key;
        bool (*load)(const json_t *, struct explain_run *);
    } lists[] = {{"threads", load_thread}, {"clients", load_client}, {"acts", load_act},
                 {"steps", load_step},     {"events", load_event},   {"messages", load_message}};
    size_t i;
    const json_t *item;

    for (size_t k = 0; k < sizeof lists / sizeof *lists; k++) {
        json_array_foreach(json_object_get(j, lists[k].key), i, item)
        {
            if (!lists[k].load(item, run))
                return false;
        }
    }
    /* An event is of some thread, also in a file that names none. */
    return run->threads.n > 0 || EXPLAIN_MORE(&run->threads) != NULL;
}

static bool load_run(const json_t *j, struct explain_run *run)
{
    run->model = text(j, "name");
    run->engine = text(j, "engine");
    run->summary = text(j, "summary");
    run->limits = text(j, "limits");
    run->waits_in = text(j, "waits_in");
    run->copies_in = text(j, "copies_in");
    run->runs = flag(j, "runs");
    copy(run->why.reason, sizeof run->why.reason, j, "reason");
    copy(run->why.remedy, sizeof run->why.remedy, j, "remedy");
    copy(run->complaint, sizeof run->complaint, j, "complaint");
    run->zero_ns = integer(j, "zero_ns");
    run->duration_ns = integer(j, "duration_ns");
    run->lost = (uint64_t)integer(j, "lost");
    load_facts(json_object_get(j, "facts"), &run->facts);
    if (!load_lists(j, run))
        return false;
    for (size_t i = 0; i < run->threads.n; i++) {
        if (run->threads.items[i].name == NULL)
            run->threads.items[i].name = "";
    }
    return true;
}

int explain_load(const char *file, struct explain_document *d, char *err, size_t errcap)
{
    json_error_t why;
    const json_t *models;
    const json_t *j;
    size_t i;

    *d = (struct explain_document){.program = ""};
    d->root = json_load_file(file, 0, &why);
    if (d->root == NULL) {
        snprintf(err, errcap, "%s: line %d: %s", file, why.line, why.text);
        return -EINVAL;
    }
    models = json_object_get(d->root, "models");
    if (integer(d->root, "schema_version") != EXPLAIN_SCHEMA_VERSION || !json_is_array(models) ||
        json_array_size(models) == 0) {
        snprintf(err, errcap,
                 "%s is not a document of pollux explain --json or pollux serve --trace", file);
        return -EINVAL;
    }
    d->program = text(d->root, "program");
    d->version = text(d->root, "version");
    d->scenario = text(d->root, "scenario");
    d->command = json_incref(json_object_get(d->root, "command"));
    d->machine = json_incref(json_object_get(d->root, "machine"));
    copy(d->machine_line, sizeof d->machine_line, d->root, "machine_line");
    d->runs = calloc(json_array_size(models), sizeof *d->runs);
    if (d->runs == NULL)
        return -ENOMEM;
    json_array_foreach(models, i, j)
    {
        d->n++;
        if (!load_run(j, &d->runs[i])) {
            snprintf(err, errcap, "out of memory");
            return -ENOMEM;
        }
    }
    return 0;
}
