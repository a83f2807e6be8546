/* SPDX-License-Identifier: MIT */
/* See repeat.h. */
#include "cmd/compare/repeat.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void __attribute__((format(printf, 2, 3))) say(struct repeat_result *r, const char *fmt, ...)
{
    va_list ap;
    if (r->nlines == REPEAT_LINES) {
        r->more++;
        return;
    }
    char *line = r->line[r->nlines++];
    va_start(ap, fmt);
    vsnprintf(line, REPEAT_LINE, fmt, ap);
    va_end(ap);
    /* What it quotes comes from a file of somebody else's, and must not move the cursor of a
     * terminal. */
    for (; *line != '\0'; line++) {
        if ((unsigned char)*line < ' ' || *line == 127)
            *line = '?';
    }
}

/* ---- the machines ---- */

/* What has to be the same; what changes from minute to minute or from build to build is not. */
static const char *const machine_keys[] = {
    "system",  "kernel",    "kernel_version", "architecture", "command_line", "cpu",
    "virtual", "container", "mitigations",    "limits",       "memory_bytes"};

static void difference(struct repeat_result *r, const char *key, const json_t *then,
                       const json_t *now)
{
    char *a = then ? json_dumps(then, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    char *b = now ? json_dumps(now, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    say(r, "%s: then %.90s, now %.90s", key, a ? a : "unknown", b ? b : "unknown");
    free(a);
    free(b);
}

/* Objects are gone into, so that what is said is small. The processor's clock varies by itself. */
static void compare_machines(struct repeat_result *r, const char *key, const json_t *then,
                             const json_t *now)
{
    if (then == now || (then && now && json_equal(then, now)))
        return;
    if (!json_is_object(then) || !json_is_object(now)) {
        difference(r, key, then, now);
        return;
    }
    void *at = json_object_iter((json_t *)(uintptr_t)then);
    for (; at; at = json_object_iter_next((json_t *)(uintptr_t)then, at)) {
        const char *name = json_object_iter_key(at);
        if (strcmp(name, "mhz") != 0)
            compare_machines(r, name, json_object_iter_value(at), json_object_get(now, name));
    }
}

/* ---- the results ---- */

static const json_t *find(const json_t *list, const char *key, const char *name, const char *key2,
                          const char *name2)
{
    size_t i;
    json_t *o;
    json_array_foreach((json_t *)(uintptr_t)list, i, o)
    {
        const char *a = json_string_value(json_object_get(o, key));
        const char *b = key2 ? json_string_value(json_object_get(o, key2)) : "";
        if (a && strcmp(a, name) == 0 && (!key2 || (b && strcmp(b, name2) == 0)))
            return o;
    }
    return NULL;
}

static const char *string_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

/* An arm is among the best, or behind them; NULL = open. */
static const char *side(const json_t *standing)
{
    const char *v = string_of(standing, "verdict");
    if (strcmp(v, "BEST") == 0 || strcmp(v, "TIE") == 0)
        return "among the best";
    return strcmp(v, "LOSES") == 0 ? "behind" : NULL;
}

static double number_of(const json_t *o, const char *key, double otherwise)
{
    const json_t *n = json_object_get(o, key);
    return json_is_number(n) ? json_number_value(n) : otherwise;
}

/* The best one has no interval beside itself. */
static bool intervals_touch(const json_t *a, const json_t *b)
{
    return number_of(a, "low", 1) <= number_of(b, "high", 1) &&
           number_of(b, "low", 1) <= number_of(a, "high", 1);
}

static void compare_contests(struct repeat_result *r, const json_t *then, const json_t *now)
{
    const char *workload = string_of(then, "workload");
    size_t i;
    json_t *was;
    json_array_foreach(json_object_get(then, "standings"), i, was)
    {
        const char *arm = string_of(was, "arm");
        const json_t *is = find(json_object_get(now, "standings"), "arm", arm, NULL, NULL);
        const char *before = side(was);
        const char *after = is ? side(is) : NULL;
        if (!before || !after)
            continue;
        r->compared++;
        if (strcmp(before, after) != 0 && !intervals_touch(was, is))
            say(r, "%s, %s: then %s (%.3f of the best), now %s (%.3f)", workload, arm, before,
                number_of(was, "ratio", 1), after, number_of(is, "ratio", 1));
    }
}

static const json_t *net_of(const json_t *results)
{
    return json_object_get(json_object_get(results, "method"), "net");
}

void repeat_judge(const json_t *then, const json_t *now, struct repeat_result *out)
{
    const json_t *contests = json_object_get(then, "contests");
    size_t i;
    json_t *contest;
    *out = (struct repeat_result){.verdict = REPEAT_REPRODUCED};
    for (size_t k = 0; k < sizeof(machine_keys) / sizeof(machine_keys[0]); k++)
        compare_machines(out, machine_keys[k],
                         json_object_get(json_object_get(then, "machine"), machine_keys[k]),
                         json_object_get(json_object_get(now, "machine"), machine_keys[k]));
    bool same_machine = out->nlines == 0;
    compare_machines(out, "net", net_of(then), net_of(now));
    if (out->nlines > 0) {
        out->verdict = same_machine ? REPEAT_DIFFERENT_NETWORK : REPEAT_DIFFERENT_MACHINE;
        return;
    }
    json_array_foreach((json_t *)(uintptr_t)contests, i, contest)
    {
        const json_t *other = strcmp(string_of(contest, "metric"), "cpu") == 0
                                  ? find(json_object_get(now, "contests"), "workload",
                                         string_of(contest, "workload"), "metric", "cpu")
                                  : NULL;
        if (other)
            compare_contests(out, contest, other);
    }
    if (out->nlines > 0)
        out->verdict = REPEAT_NOT;
}

const char *repeat_verdict_name(enum repeat_verdict v)
{
    static const char *const names[] = {[REPEAT_REPRODUCED] = "REPRODUCED",
                                        [REPEAT_NOT] = "NOT REPRODUCED",
                                        [REPEAT_DIFFERENT_NETWORK] = "DIFFERENT NETWORK",
                                        [REPEAT_DIFFERENT_MACHINE] = "DIFFERENT MACHINE"};
    return names[v];
}
