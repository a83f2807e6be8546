/* SPDX-License-Identifier: MIT */
/*
 * The document of `pollux bench --json`. Times are nanoseconds, sizes bytes, rates per second,
 * shares 0 to 1. What is not known is null, never 0; what was not asked for is null too.
 */
#include "cmd/bench.h"
#include "cmd/utc.h"

#include <jansson.h>
#include <math.h>
#include <pollux/pollux.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCHEMA_VERSION 1
#define KIND           "pollux-bench"
#define KIND_MERGED    "pollux-bench-merge"

/* ---- values ---- */

/* A name of a file or a process need not be UTF-8, a JSON string must: what is not is replaced. */
static json_t *text(const char *s)
{
    json_t *value = json_string(s);
    char *copy;

    if (value != NULL)
        return value;
    copy = strdup(s);
    for (char *p = copy; p != NULL && *p != '\0'; p++) {
        if ((unsigned char)*p > '~')
            *p = '?';
    }
    value = copy != NULL ? json_string(copy) : NULL;
    free(copy);
    return value;
}

static json_t *text_or_null(const char *s)
{
    return s != NULL && *s != '\0' ? text(s) : json_null();
}

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *count(uint64_t value)
{
    return json_integer((json_int_t)value);
}

/* 0 stands for "none" in much of the configuration. */
static json_t *count_or_null(uint64_t value)
{
    return value != 0 ? count(value) : json_null();
}

static json_t *time_or_null(int64_t ns)
{
    return ns >= 0 ? json_integer(ns) : json_null();
}

static json_t *account_value(int64_t value)
{
    return value != ACCOUNT_NA ? json_integer(value) : json_null();
}

static json_t *percentiles(const struct hist *h)
{
    json_t *object;

    if (h == NULL || hist_count(h) == 0)
        return json_null();
    object = json_object();
    json_object_set_new(object, "count", count(hist_count(h)));
    json_object_set_new(object, "mean", number(hist_mean(h)));
    json_object_set_new(object, "min", json_integer(hist_min(h)));
    for (size_t i = 0; i < bench_npercentiles; i++)
        json_object_set_new(object, bench_percentiles[i].key,
                            json_integer(hist_percentile(h, bench_percentiles[i].percent)));
    json_object_set_new(object, "max", json_integer(hist_max(h)));
    return object;
}

/* ---- what was asked for ---- */

static json_t *sizes(const struct load_config *load)
{
    json_t *array = json_array();

    for (size_t i = 0; i < load->nsizes; i++)
        json_array_append_new(array,
                              json_pack("{s:I, s:I}", "bytes", (json_int_t)load->size[i].bytes,
                                        "weight", (json_int_t)load->size[i].weight));
    return array;
}

static json_t *config(const struct bench_plan *plan)
{
    const struct load_config *load = &plan->load;
    bool open_loop = load->arrival != LOAD_CLOSED;
    json_t *object = json_object();
    char address[PLX_ADDR_TEXT];
    const char *arrival = open_loop ? bench_arrival_name(load->arrival == LOAD_POISSON) : NULL;

    plx_addr_format(&load->to, address, sizeof address);
    json_object_set_new(object, "address", text(address));
    json_object_set_new(object, "source", text_or_null(plan->source));
    json_object_set_new(object, "sources", count_or_null(load->nsources));
    json_object_set_new(object, "loop", text(open_loop ? "open" : "closed"));
    json_object_set_new(object, "mode", text(bench_mode_name((size_t)load->mode)));
    json_object_set_new(object, "expect", text(bench_expect_name((size_t)load->expect)));
    json_object_set_new(object, "connections", count(load->connections));
    json_object_set_new(object, "active", count(load->active));
    json_object_set_new(object, "pipeline", open_loop ? json_null() : count(load->depth));
    json_object_set_new(object, "messages_per_connection",
                        load->mode == LOAD_CONNECT ? count(load->messages_per_connection)
                                                   : json_null());
    json_object_set_new(object, "sizes", sizes(load));
    json_object_set_new(object, "duration_ns", count_or_null((uint64_t)load->duration_ns));
    json_object_set_new(object, "messages", count_or_null(load->messages));
    json_object_set_new(object, "warmup_ns", json_integer(load->warmup_ns));
    json_object_set_new(object, "timeout_ns", json_integer(load->timeout_ns));
    json_object_set_new(object, "threads", count(load->threads));
    json_object_set_new(object, "connect_rate",
                        number(load->connect_rate > 0 ? load->connect_rate : NAN));
    json_object_set_new(object, "rate", number(open_loop ? load->rate : NAN));
    json_object_set_new(object, "arrival", text_or_null(arrival));
    json_object_set_new(object, "server_pid", count_or_null((uint64_t)load->server_pid));
    json_object_set_new(object, "seed", count(load->seed));
    return object;
}

/* ---- what came out ---- */

static json_t *errors(const struct load_result *r, const struct bench_judgement *j)
{
    json_t *object = json_object();

    json_object_set_new(object, "total", count(j->errors));
    for (size_t i = 0; i < LOAD_ERRORS; i++) {
        const struct load_failure *f = &r->failure[i];
        json_t *kind = json_object();

        json_object_set_new(kind, "count", count(f->count));
        json_object_set_new(kind, "first", f->count > 0 ? text_or_null(f->first) : json_null());
        json_object_set_new(object, load_error_name((enum load_error)i), kind);
    }
    return object;
}

static json_t *client(const struct load_result *r, const struct bench_judgement *j)
{
    json_t *object = json_object();

    json_object_set_new(object, "user_ns", json_integer(r->client_user_ns));
    json_object_set_new(object, "system_ns", json_integer(r->client_system_ns));
    json_object_set_new(object, "spun_ns", json_integer(r->client_spun_ns));
    json_object_set_new(object, "cpu_ns_per_message", number(j->client_ns));
    json_object_set_new(object, "spun_ns_per_message", number(j->client_spun_ns));
    json_object_set_new(object, "busiest_thread", number(r->client_busy));
    json_object_set_new(object, "waited_for_cpu", number(r->client_starved));
    json_object_set_new(object, "client_bound", json_boolean(j->client_bound));
    json_object_set_new(object, "cpus", text_or_null(r->client_cpus));
    return object;
}

static json_t *open_loop(const struct load_config *load, const struct load_result *r,
                         const struct bench_judgement *j)
{
    json_t *object;

    if (load->arrival == LOAD_CLOSED)
        return json_null();
    object = json_object();
    json_object_set_new(object, "asked", number(load->rate));
    json_object_set_new(object, "achieved", number(j->rate));
    json_object_set_new(object, "share", number(j->share));
    json_object_set_new(object, "rate_missed", json_boolean(j->rate_missed));
    json_object_set_new(object, "generator_late", json_boolean(j->late));
    json_object_set_new(object, "lag_ns", percentiles(r->lag));
    return object;
}

static json_t *little(const struct load_result *r, const struct bench_judgement *j)
{
    json_t *object = json_object();

    json_object_set_new(object, "in_flight", number(r->in_flight));
    json_object_set_new(object, "rate_x_latency", number(j->little));
    json_object_set_new(object, "off", number(j->little_off));
    json_object_set_new(object, "fine",
                        isnan(j->little_off) ? json_null() : json_boolean(j->little_fine));
    return object;
}

static json_t *server(const struct load_config *load, const struct load_result *r,
                      const struct bench_judgement *j)
{
    const struct account *a = &r->server;
    json_t *object;

    if (load->server_pid == 0)
        return json_null();
    object = json_object();
    json_object_set_new(object, "pid", json_integer(load->server_pid));
    json_object_set_new(object, "measured", json_boolean(r->has_server));
    json_object_set_new(object, "why_not",
                        r->has_server ? json_null() : text_or_null(r->server_why));
    if (!r->has_server)
        return object;
    json_object_set_new(object, "command", text_or_null(a->command));
    json_object_set_new(object, "cpu_ns", account_value(a->cpu_ns));
    json_object_set_new(object, "user_ns", account_value(a->user_ns));
    json_object_set_new(object, "system_ns", account_value(a->system_ns));
    json_object_set_new(object, "margin_ns", account_value(a->margin_ns));
    json_object_set_new(object, "cpu_ns_per_message", number(j->server_ns));
    json_object_set_new(object, "user_ns_per_message", number(j->server_user_ns));
    json_object_set_new(object, "system_ns_per_message", number(j->server_system_ns));
    json_object_set_new(object, "load", number(j->server_load));
    json_object_set_new(object, "voluntary_switches", account_value(a->voluntary));
    json_object_set_new(object, "involuntary_switches", account_value(a->involuntary));
    json_object_set_new(object, "voluntary_switches_per_message", number(j->voluntary));
    json_object_set_new(object, "involuntary_switches_per_message", number(j->involuntary));
    json_object_set_new(object, "peak_memory_bytes", account_value(a->peak_bytes));
    json_object_set_new(object, "memory_bytes", account_value(a->now_bytes));
    json_object_set_new(object, "processes", json_integer(a->processes));
    json_object_set_new(object, "tasks", json_integer(a->tasks));
    json_object_set_new(object, "kernel_workers", json_integer(a->kernel_workers));
    json_object_set_new(object, "cpus", text_or_null(a->cpus));
    json_object_set_new(object, "cpus_busy_ns", account_value(r->server_busy_ns));
    json_object_set_new(object, "cpus_busy_with_others", number(j->others));
    json_object_set_new(object, "cpus_shared_with_client", json_boolean(j->cpus_shared));
    return object;
}

/* Over the whole run, so that it can be compared with what the server says it served. */
static json_t *whole_run(const struct load_config *load, const struct load_result *r)
{
    json_t *object = json_object();

    json_object_set_new(object, "sent", count(r->sent));
    json_object_set_new(object, "answered", count(r->answered));
    json_object_set_new(object, "verified",
                        load->expect == LOAD_NONE ? json_null() : count(r->verified));
    json_object_set_new(object, "bytes_sent", count(r->bytes_sent));
    json_object_set_new(object, "bytes_received", count(r->bytes_received));
    json_object_set_new(object, "connections_opened", count(r->opened));
    json_object_set_new(object, "connections_lost", count(r->lost));
    json_object_set_new(object, "connect_ns", percentiles(r->connect));
    return object;
}

static json_t *result(const struct bench_plan *plan, const struct load_result *r,
                      const struct bench_judgement *j)
{
    json_t *object = json_object();

    json_object_set_new(object, "measured_ns", json_integer(r->measured_ns));
    json_object_set_new(object, "messages", count(r->messages));
    json_object_set_new(object, "messages_per_second", number(j->rate));
    json_object_set_new(object, "bytes_in", count(r->bytes_in));
    json_object_set_new(object, "bytes_out", count(r->bytes_out));
    json_object_set_new(object, "bytes_in_per_second", number(j->rate_in));
    json_object_set_new(object, "bytes_out_per_second", number(j->rate_out));
    json_object_set_new(object, "connections", count(r->connections));
    json_object_set_new(object, "connections_per_second",
                        number((double)r->connections / j->seconds));
    json_object_set_new(object, "latency_ns", percentiles(r->latency));
    json_object_set_new(object, "rate_counts", json_boolean(j->rate_counts));
    json_object_set_new(object, "latency_counts", json_boolean(j->latency_counts));
    json_object_set_new(object, "errors", errors(r, j));
    json_object_set_new(object, "whole_run", whole_run(&plan->load, r));
    json_object_set_new(object, "client", client(r, j));
    json_object_set_new(object, "open_loop", open_loop(&plan->load, r, j));
    json_object_set_new(object, "little", little(r, j));
    json_object_set_new(object, "server", server(&plan->load, r, j));
    return object;
}

static json_t *intervals(const struct load_result *r)
{
    json_t *array = json_array();

    for (size_t i = 0; i < r->nintervals; i++) {
        const struct load_interval *v = &r->interval[i];
        json_t *object = json_object();

        json_object_set_new(object, "at_ns", json_integer(v->at_ns));
        json_object_set_new(object, "length_ns", json_integer(v->length_ns));
        json_object_set_new(object, "messages", count(v->messages));
        json_object_set_new(object, "messages_per_second",
                            number((double)v->messages * 1e9 / (double)v->length_ns));
        json_object_set_new(object, "bytes_in", count(v->bytes_in));
        json_object_set_new(object, "bytes_out", count(v->bytes_out));
        json_object_set_new(object, "errors", count(v->errors));
        json_object_set_new(object, "p50_ns", time_or_null(v->p50_ns));
        json_object_set_new(object, "p99_ns", time_or_null(v->p99_ns));
        json_object_set_new(object, "max_ns", time_or_null(v->max_ns));
        json_object_set_new(object, "open", count(v->open));
        json_array_append_new(array, object);
    }
    return array;
}

static json_t *caveats(const struct bench_judgement *j)
{
    json_t *array = json_array();

    for (size_t i = 0; i < j->ncaveats; i++) {
        json_t *object = json_object();

        json_object_set_new(object, "name", text(j->caveat[i].name));
        json_object_set_new(object, "text", text(j->caveat[i].text));
        json_array_append_new(array, object);
    }
    return array;
}

/* ---- the documents ---- */

static json_t *utc_text(time_t when)
{
    struct utc utc;
    char buf[96];

    utc_split(when, &utc);
    snprintf(buf, sizeof buf, "%04d-%02d-%02dT%02d:%02d:%02dZ", utc.year, utc.month, utc.day,
             utc.hour, utc.minute, utc.second);
    return json_string(buf);
}

static json_t *head(const char *kind)
{
    json_t *doc = json_object();

    json_object_set_new(doc, "schema_version", json_integer(SCHEMA_VERSION));
    json_object_set_new(doc, "kind", json_string(kind));
    json_object_set_new(doc, "version", json_string(PLX_VERSION));
    json_object_set_new(doc, "command_line", cmd_words());
    return doc;
}

struct json_t *bench_json(const struct bench_plan *plan, const struct load_result *r,
                          const struct bench_judgement *j, struct json_t *machine, time_t started)
{
    json_t *doc = head(KIND);
    char complaint[1024];

    json_object_set_new(doc, "started", utc_text(started));
    json_object_set_new(doc, "verdict", json_string(bench_verdict_name(r->verdict)));
    json_object_set_new(doc, "complaint",
                        text_or_null(bench_complaint(r, complaint, sizeof complaint)));
    json_object_set_new(doc, "config", config(plan));
    json_object_set_new(doc, "machine", machine != NULL ? json_incref(machine) : json_null());
    json_object_set_new(doc, "result", result(plan, r, j));
    json_object_set_new(doc, "intervals", intervals(r));
    json_object_set_new(doc, "caveats", caveats(j));
    return doc;
}

struct json_t *bench_json_merged(const struct hist *sum, const struct opt_list *files)
{
    json_t *doc = head(KIND_MERGED);
    json_t *names = json_array();

    for (size_t i = 1; i < files->n; i++)
        json_array_append_new(names, text(files->item[i]));
    json_object_set_new(doc, "files", names);
    json_object_set_new(doc, "latency_ns", percentiles(sum));
    return doc;
}
