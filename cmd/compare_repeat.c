/* SPDX-License-Identifier: MIT */
/* --repeat: the options of an earlier comparison, out of its document. */
#include "cmd/compare/net.h"
#include "cmd/compare_run.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *text_at(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

/* No run is as long as this; and what follows from so long ones can still be counted. */
#define RUN_SECONDS_MOST 3600.0

/* Seconds as nanoseconds; -1: a run cannot take that long. */
static int64_t time_at(const json_t *o, const char *key)
{
    const json_t *n = json_object_get(o, key);
    double seconds = json_is_number(n) ? json_number_value(n) : 0;
    return seconds >= 0 && seconds <= RUN_SECONDS_MOST ? (int64_t)(seconds * 1e9 + 0.5) : -1;
}

static int64_t count_at(const json_t *o, const char *key)
{
    return (int64_t)json_integer_value(json_object_get(o, key));
}

/* NULL if there is none of this name. */
static const char *kind_of_net(const char *name)
{
    const char *kind;
    for (size_t i = 0; (kind = net_kind(i)) && strcmp(kind, name) != 0;)
        i++;
    return kind;
}

static const char *keep(struct compare_repeated *r, const char *a, const char *b)
{
    size_t n = strlen(a) + strlen(b) + 1;
    char *s = malloc(n);
    if (!s)
        return NULL;
    snprintf(s, n, "%s%s", a, b);
    r->kept[r->nkept++] = s;
    return s;
}

static void keep_arms(struct compare_repeated *r, struct compare_values *v, const json_t *arms)
{
    char models[2048] = "";
    size_t i;
    json_t *arm;
    json_array_foreach((json_t *)(uintptr_t)arms, i, arm)
    {
        const char *name = text_at(arm, "name");
        if (!json_is_null(json_object_get(arm, "twin_of")))
            continue;
        if (strcmp(text_at(arm, "kind"), "model") == 0) {
            size_t at = strlen(models);
            snprintf(models + at, sizeof(models) - at, "%s%s", at ? "," : "", name);
        } else if (v->server.n < OPT_LIST_MAX) {
            char prefix[COMPARE_NAME + 1];
            snprintf(prefix, sizeof(prefix), "%.47s=", name);
            v->server.item[v->server.n++] = keep(r, prefix, text_at(arm, "command"));
        }
    }
    v->models = keep(r, *models ? models : "none", "");
}

static void keep_workloads(struct compare_repeated *r, struct compare_values *v,
                           const json_t *workloads)
{
    size_t i;
    json_t *w;
    json_array_foreach((json_t *)(uintptr_t)workloads, i, w)
    {
        char prefix[COMPARE_NAME + 1];
        snprintf(prefix, sizeof(prefix), "%.47s=", text_at(w, "name"));
        if (v->workload.n < OPT_LIST_MAX)
            v->workload.item[v->workload.n++] = keep(r, prefix, text_at(w, "spec"));
    }
}

/* Whether it could have been typed. */
static bool is_allowed(const char *option, int64_t value)
{
    const struct opt *o = opt_find(compare_options, option, strlen(option));
    return value >= o->min && value <= o->max;
}

static int read_numbers(const char *file, const json_t *method, struct compare_values *v, char *err,
                        size_t errcap)
{
    v->rounds = count_at(method, "rounds");
    v->seed = count_at(method, "seed");
    v->warmup_ns = time_at(method, "warmup_seconds");
    v->measure_ns = time_at(method, "measure_seconds");
    v->idle_ns = time_at(method, "idle_seconds");
    if (v->rounds == 0 || v->measure_ns == 0)
        return compare_refuse(err, errcap, "--repeat %s: it ended before a round was made", file);
    if (!is_allowed("rounds", v->rounds) || !is_allowed("seed", v->seed) || v->warmup_ns < 0 ||
        v->measure_ns < 0 || v->idle_ns < 0)
        return compare_refuse(err, errcap,
                              "--repeat %s: no comparison has such rounds, times or seed as it "
                              "says",
                              file);
    return 0;
}

int compare_repeat_read(const char *file, struct compare_values *v, struct compare_repeated *r,
                        char *err, size_t errcap)
{
    json_error_t why;
    *r = (struct compare_repeated){.then = json_load_file(file, JSON_REJECT_DUPLICATES, &why)};
    if (!r->then)
        return compare_refuse(err, errcap, "--repeat %s: %s", file, why.text);
    const json_t *method = json_object_get(r->then, "method");
    const json_t *arms = json_object_get(r->then, "arms");
    const json_t *workloads = json_object_get(r->then, "workloads");
    if (strcmp(text_at(r->then, "kind"), "pollux-comparison") != 0 ||
        count_at(r->then, "schema_version") != 1 || !json_is_object(method) ||
        json_array_size(arms) == 0 || json_array_size(workloads) == 0)
        return compare_refuse(err, errcap,
                              "--repeat %s: not the results.json of a comparison that this version "
                              "of pollux can read",
                              file);
    if (json_array_size(arms) > COMPARE_ARMS_MAX || json_array_size(workloads) > OPT_LIST_MAX)
        return compare_refuse(err, errcap, "--repeat %s: too many arms or workloads", file);
    if (!v->net && !(v->net = kind_of_net(text_at(method, "net"))))
        return compare_refuse(err, errcap,
                              "--repeat %s: this version of pollux does not know its network; give "
                              "another one by --net",
                              file);
    keep_arms(r, v, arms);
    keep_workloads(r, v, workloads);
    v->pin = keep(r, text_at(method, "pin"), "");
    return read_numbers(file, method, v, err, errcap);
}

void compare_repeat_free(struct compare_repeated *r)
{
    for (size_t i = 0; i < r->nkept; i++)
        free(r->kept[i]);
    json_decref(r->then);
}
