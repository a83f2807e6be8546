/* SPDX-License-Identifier: MIT */
/*
 * --repeat of pollux compare: a results.json that somebody has sent. Input: the document, and after
 * a NUL another one, that of now. What is read must be what could have been typed, and what is said
 * of the two must be fit for a terminal.
 */
#include "fuzz.h"
#include "resolve.h"

#include "cmd/compare/repeat.h"
#include "cmd/compare_run.h"

#include <errno.h>
#include <jansson.h>

#define LINE 1200

/* The range of an option. */
static const struct opt *row(const char *name)
{
    return opt_find(compare_options, name, strlen(name));
}

static void check_number(const char *name, int64_t value)
{
    CHECK(value >= row(name)->min && value <= row(name)->max);
}

/* The times that follow, for all arms that there can be under one workload. */
static void check_times(const struct compare_values *v, const struct workload *w)
{
    static struct comparison *c;
    struct compare_plan plan;
    if (c == NULL)
        c = comparison_open();
    CHECK(c != NULL);
    c->narms = COMPARE_ARMS_MAX;
    c->nworkloads = 1;
    c->workload[0] = *w;
    memset(&plan, 0, sizeof(plan));
    (void)compare_times(v, c, &plan);
    CHECK(plan.round_ns > 0 && plan.estimate_ns >= plan.round_ns);
    CHECK(plan.most == v->rounds && plan.least == plan.most);
}

static void check_values(const struct compare_values *v)
{
    char err[LINE];
    struct workload w;
    CHECK(v->models != NULL && v->pin != NULL && v->net != NULL);
    check_number("rounds", v->rounds);
    check_number("seed", v->seed);
    CHECK(v->measure_ns > 0 && v->warmup_ns >= 0 && v->idle_ns >= 0);
    CHECK(v->server.n <= OPT_LIST_MAX && v->workload.n <= OPT_LIST_MAX);
    for (size_t i = 0; i < v->server.n; i++)
        CHECK(strchr(v->server.item[i], '=') != NULL);
    for (size_t i = 0; i < v->workload.n; i++) {
        if (workload_parse(v->workload.item[i], &w, err, sizeof(err)) == 0)
            check_times(v, &w);
    }
}

static void check_verdict(const json_t *then, const json_t *now)
{
    struct repeat_result *r = fuzz_alloc(sizeof(*r));
    repeat_judge(then, now, r);
    CHECK(repeat_verdict_name(r->verdict) != NULL);
    CHECK(r->nlines <= REPEAT_LINES && (r->more == 0 || r->nlines == REPEAT_LINES));
    CHECK((r->nlines == 0) == (r->verdict == REPEAT_REPRODUCED));
    for (size_t i = 0; i < r->nlines; i++)
        CHECK(r->line[i][0] != '\0' && is_line(r->line[i]));
    free(r);
}

/* A comparison and itself are of one machine. (They may differ where a name stands in the document
 * twice, which no comparison of ours has.) */
static void check_same(const json_t *doc)
{
    struct repeat_result r;
    json_t *copy = json_deep_copy(doc);
    CHECK(copy != NULL);
    repeat_judge(doc, copy, &r);
    CHECK(r.verdict == REPEAT_REPRODUCED || r.verdict == REPEAT_NOT);
    json_decref(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size > 0 ? memchr(data, '\0', size) : NULL;
    size_t n = end != NULL ? (size_t)(end - data) : size;
    struct compare_values v = {.models = NULL};
    struct compare_repeated repeated;
    char err[LINE] = "";
    json_t *now = end != NULL ? json_loadb((const char *)end + 1, size - n - 1, 0, NULL) : NULL;

    int rc = compare_repeat_read(fuzz_file(data, n), &v, &repeated, err, sizeof(err));
    CHECK(rc == 0 || rc == -EINVAL);
    CHECK((rc == 0) == (err[0] == '\0'));
    if (rc == 0) {
        check_values(&v);
        check_same(repeated.then);
        if (now != NULL) {
            check_verdict(repeated.then, now);
            check_verdict(now, repeated.then);
        }
    }
    compare_repeat_free(&repeated);
    json_decref(now);
    return 0;
}
