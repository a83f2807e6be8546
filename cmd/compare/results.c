/* SPDX-License-Identifier: MIT */
/* The document of a comparison: docs/comparing.md describes its fields. */
#include "cmd/compare/compare.h"
#include "cmd/compare/fields.h"
#include "cmd/compare/net.h"
#include "cmd/utc.h"

#include <jansson.h>
#include <math.h>
#include <pollux/pollux.h>
#include <stdio.h>

#define SCHEMA_VERSION 1

static json_t *number(double n)
{
    return isfinite(n) ? json_real(n) : json_null();
}

static json_t *text(const char *s)
{
    return s && *s ? json_string(s) : json_null();
}

/* ---- samples ---- */

static bool has_calls(const struct sample *s)
{
    return isfinite(s->calls_wait);
}

static void add_fields(json_t *to, const struct sample *s)
{
    json_t *calls = has_calls(s) ? json_object() : json_null();
    for (const struct compare_field *f = compare_fields; f->name; f++)
        json_object_set_new(f->call ? calls : to, f->name, number(COMPARE_FIELD(s, f)));
    json_object_set_new(to, "calls", calls);
}

static json_t *sample_json(const struct sample *s)
{
    json_t *o = json_pack("{s:i, s:i}", "round", (int)s->round, "position", (int)s->position);
    add_fields(o, s);
    return o;
}

static json_t *median_json(const struct cell *cell)
{
    struct sample m = {0};
    json_t *o = json_object();
    for (const struct compare_field *f = compare_fields; f->name; f++)
        *(double *)(void *)((char *)&m + f->offset) = cell_median(cell, f->offset);
    add_fields(o, &m);
    return o;
}

static void add_bucket(void *arg, int64_t low, int64_t high, uint64_t count)
{
    json_array_append_new(
        arg, json_pack("[I, I, I]", (json_int_t)low, (json_int_t)high, (json_int_t)count));
}

static json_t *cell_json(const struct comparison *c, size_t w, size_t a)
{
    static const char *const states[] = {[CELL_EMPTY] = "empty",
                                         [CELL_OK] = "ok",
                                         [CELL_EXCLUDED] = "excluded",
                                         [CELL_INVALID] = "invalid"};
    const struct cell *cell = &c->cell[w][a];
    json_t *samples = json_array();
    json_t *latency = json_null();
    for (size_t i = 0; i < cell->nsamples; i++)
        json_array_append_new(samples, sample_json(&cell->sample[i]));
    if (cell->latency && hist_count(cell->latency) > 0) {
        latency = json_array();
        hist_each(cell->latency, add_bucket, latency);
    }
    return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o}", "workload", c->workload[w].name, "arm",
                     c->arm[a].name, "state", states[cell->state], "why", text(cell->why),
                     "samples", samples, "median", median_json(cell), "latency", latency);
}

/* ---- arms, workloads ---- */

static json_t *arm_json(const struct comparison *c, const struct arm *a)
{
    return json_pack("{s:s, s:s, s:o, s:o, s:b, s:o, s:o}", "name", a->name, "kind",
                     a->model ? "model" : "command", "command", text(a->command), "twin_of",
                     a->twin ? json_string(c->arm[a->of].name) : json_null(), "runs", a->runs,
                     "why", text(a->why), "max_connections",
                     a->max_connections ? json_integer(a->max_connections) : json_null());
}

static json_t *workload_json(const struct workload *w)
{
    static const char *const modes[] = {[LOAD_PINGPONG] = "pingpong",
                                        [LOAD_PIPELINE] = "pipeline",
                                        [LOAD_STREAM] = "stream",
                                        [LOAD_CONNECT] = "connect"};
    const struct load_config *l = &w->load;
    return json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:o, s:b, s:b, s:o, s:o}", "name",
                     w->name, "title", w->title, "spec", w->spec, "mode", modes[l->mode],
                     "connections", (json_int_t)l->connections, "active", (json_int_t)l->active,
                     "pipeline", (json_int_t)l->depth, "size", (json_int_t)l->size[0].bytes, "rate",
                     l->arrival != LOAD_CLOSED && l->rate > 0 ? json_real(l->rate) : json_null(),
                     "half", w->half, "idle", w->idle, "sweep", text(w->sweep), "at",
                     *w->sweep ? json_real(w->at) : json_null());
}

/* ---- what follows ---- */

static json_t *standing_json(const struct arm *a, const struct standing *s)
{
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:s, s:o}", "arm", a->name, "value",
                     number(s->value), "ratio", number(s->ratio), "low", number(s->low), "high",
                     number(s->high), "verdict", verdict_name(s->verdict), "why", text(s->why));
}

static json_t *contest_json(const struct comparison *c, size_t w, enum metric m)
{
    const struct contest *contest = &c->contest[w][m];
    json_t *standings = json_array();
    for (size_t a = 0; contest->held && a < c->narms; a++) {
        if (!c->arm[a].twin)
            json_array_append_new(standings, standing_json(&c->arm[a], &contest->standing[a]));
    }
    return json_pack("{s:s, s:s, s:b, s:o, s:o, s:o, s:o}", "workload", c->workload[w].name,
                     "metric", metric_name(m), "held", contest->held, "not_held",
                     text(contest->held ? NULL : contest->not_held), "floor",
                     contest->held ? number(contest->floor) : json_null(), "best",
                     contest->held ? json_string(c->arm[contest->best].name) : json_null(),
                     "standings", standings);
}

static json_t *method_json(const struct comparison *c)
{
    return json_pack("{s:I, s:i, s:f, s:f, s:f, s:f, s:f, s:i, s:s, s:s, s:s, s:s}", "seed",
                     (json_int_t)c->seed, "rounds", (int)c->rounds, "budget_seconds",
                     (double)c->budget_ns / 1e9, "warmup_seconds", (double)c->warmup_ns / 1e9,
                     "measure_seconds", (double)c->measure_ns / 1e9, "idle_seconds",
                     (double)c->idle_ns / 1e9, "confidence", c->confidence, "resamples",
                     (int)c->resamples, "pin", c->pin, "net", net_kind(c->netns), "server_cpus",
                     c->server_cpus, "client_cpus", c->client_cpus);
}

json_t *compare_to_json(const struct comparison *c)
{
    json_t *arms = json_array(), *workloads = json_array(), *cells = json_array();
    json_t *contests = json_array(), *claims = json_array(), *caveats = json_array();
    char started[64];
    struct utc utc;
    for (size_t a = 0; a < c->narms; a++)
        json_array_append_new(arms, arm_json(c, &c->arm[a]));
    for (size_t w = 0; w < c->nworkloads; w++) {
        json_array_append_new(workloads, workload_json(&c->workload[w]));
        for (size_t a = 0; a < c->narms; a++)
            json_array_append_new(cells, cell_json(c, w, a));
        for (int m = 0; m < METRICS; m++)
            json_array_append_new(contests, contest_json(c, w, (enum metric)m));
    }
    for (size_t i = 0; i < c->nclaims; i++)
        json_array_append_new(claims,
                              json_pack("{s:i, s:s, s:s, s:s}", "number", c->claim[i].number,
                                        "text", c->claim[i].text, "answer", c->claim[i].answer,
                                        "figures", c->claim[i].figures));
    for (size_t i = 0; i < c->ncaveats; i++)
        json_array_append_new(
            caveats, json_pack("{s:s, s:s}", "name", c->caveat[i].name, "text", c->caveat[i].text));
    utc_split(c->started, &utc);
    snprintf(started, sizeof(started), "%04d-%02d-%02dT%02d:%02d:%02dZ", utc.year, utc.month,
             utc.day, utc.hour, utc.minute, utc.second);
    return json_pack(
        "{s:i, s:s, s:s, s:s, s:f, s:O, s:b, s:b, s:O, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
        "schema_version", SCHEMA_VERSION, "kind", "pollux-comparison", "version", PLX_VERSION,
        "started", started, "took_seconds", (double)c->took_ns / 1e9, "command_line",
        c->command_line, "partial", c->partial, "quick", c->quick, "machine", c->machine, "method",
        method_json(c), "arms", arms, "workloads", workloads, "cells", cells, "contests", contests,
        "claims", claims, "caveats", caveats);
}
