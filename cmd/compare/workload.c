/* SPDX-License-Identifier: MIT */
/*
 * What is asked of a server: the workloads that every comparison knows, and those that people write
 * themselves. Both are texts of the same kind, and one parser reads them. Values, ranges and
 * contradictions are those of `pollux bench`, asked of its own table and plan, so that a workload
 * means here what its options mean there.
 */
#include "cmd/bench.h"
#include "cmd/compare/compare.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The plan of `pollux bench` wants to know where to; nobody connects there. */
#define NOWHERE "127.0.0.1:1"

/* ---- the built-in ones ---- */

struct builtin {
    const char *name, *spec;
    bool quick;
    const char *sweep; /* NULL = none */
    double at;
};

/*
 * The first nine are the loads that people ask about. Then the sweep over the connections, of which
 * ten send whatever their number: what the waiting costs for those that do not. Then what the map
 * of winners needs beside the loads above: 64 B to 64 KiB over 1, 64 and 1000 connections. Then a
 * message that is larger than what a socket has room for (with tcp_wmem as Linux sets it, 4 MiB at
 * most, from which the kernel's own share is taken). Last what it costs when nobody sends. Where
 * the time is too short for those of --quick, the last ones of these are left out.
 */
static const struct builtin builtins[] = {
    {"1x64B", "connections=1,size=64", true, NULL, 0},
    {"64x64B", "connections=64,size=64", true, NULL, 0},
    {"64x64B-p16", "connections=64,size=64,pipeline=16", false, NULL, 0},
    {"64x16KiB", "connections=64,size=16k", false, NULL, 0},
    {"1000x64B", "connections=1000,size=64", false, NULL, 0},
    {"10000x64B-100active", "connections=10000,active=100,size=64", false, NULL, 0},
    {"1x64KiB-stream", "connections=1,size=64k,mode=stream,pipeline=4", false, NULL, 0},
    {"64x64B-short", "connections=64,size=64,mode=connect", false, NULL, 0},
    {"64x64B-half", "connections=64,size=64,rate=half", false, NULL, 0},
    {"10x64B-10active", "connections=10,active=10,size=64", true, "connections", 10},
    {"100x64B-10active", "connections=100,active=10,size=64", false, "connections", 100},
    {"1000x64B-10active", "connections=1000,active=10,size=64", true, "connections", 1000},
    {"10000x64B-10active", "connections=10000,active=10,size=64", false, "connections", 10000},
    {"1x1KiB", "connections=1,size=1k", false, NULL, 0},
    {"1x16KiB", "connections=1,size=16k", false, NULL, 0},
    {"1x64KiB", "connections=1,size=64k", false, NULL, 0},
    {"64x1KiB", "connections=64,size=1k", false, NULL, 0},
    {"64x64KiB", "connections=64,size=64k", false, NULL, 0},
    {"1000x1KiB", "connections=1000,size=1k", false, NULL, 0},
    {"1000x16KiB", "connections=1000,size=16k", false, NULL, 0},
    {"1000x64KiB", "connections=1000,size=64k", false, NULL, 0},
    {"1x4MiB", "connections=1,size=4M", false, NULL, 0},
    {"64-idle", "connections=64,idle", true, NULL, 0},
};

#define NBUILTINS (sizeof builtins / sizeof *builtins)

static const char *builtin_name(size_t i)
{
    return i < NBUILTINS ? builtins[i].name : NULL;
}

/* ---- a line about what is wrong ---- */

__attribute__((format(printf, 3, 4))) static int refuse(char *err, size_t cap, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(err, cap, fmt, ap);
    va_end(ap);
    return -EINVAL;
}

/* What `pollux bench` says of its options, said of keys: without their dashes. */
static int refuse_as_bench(const char *name, char *line, char *err, size_t cap)
{
    char *to = line;

    for (const char *from = line; *from != '\0';) {
        if (from[0] == '-' && from[1] == '-' && islower((unsigned char)from[2]))
            from += 2;
        *to++ = *from++;
    }
    *to = '\0';
    return refuse(err, cap, "--workload %s: %s", name, line);
}

/* ---- keys ---- */

/* Those of the options of `pollux bench` that say what is asked of a server, and one more. */
static const char *const keys[] = {"connections", "active", "size",    "pipeline",
                                   "mode",        "rate",   "arrival", "messages-per-connection",
                                   "idle"};

#define NKEYS    (sizeof keys / sizeof *keys)
#define IDLE     (NKEYS - 1)
#define WORD_MAX 160 /* "--key=value": a whole SPEC fits */

static const char *key_name(size_t i)
{
    return i < NKEYS ? keys[i] : NULL;
}

/* The number of the key; NKEYS = there is none. */
static size_t find_key(const char *text, size_t len)
{
    size_t i = 0;

    while (i < NKEYS && (strlen(keys[i]) != len || memcmp(keys[i], text, len) != 0))
        i++;
    return i;
}

/* A SPEC taken apart. */
struct spec {
    const char *name;
    bool given[NKEYS];
    bool half;
    char words[NKEYS][WORD_MAX]; /* as options of `pollux bench` */
    char *argv[NKEYS];
    int argc;
};

static int unknown_key(const struct spec *s, const char *key, char *err, size_t cap)
{
    const char *near = opt_nearest(key, key_name);
    char all[256] = "";

    if (near != NULL)
        return refuse(err, cap, "--workload %s: unknown key %s; did you mean %s?", s->name, key,
                      near);
    for (size_t i = 0; i < NKEYS; i++) {
        size_t used = strlen(all);

        snprintf(all + used, sizeof all - used, "%s%s", i > 0 ? ", " : "", keys[i]);
    }
    return refuse(err, cap, "--workload %s: unknown key %s; valid are %s", s->name,
                  key[0] != '\0' ? key : "\"\"", all);
}

/* One "key=value", or "idle"; `part` is cut at the sign. */
static int take_part(struct spec *s, char *part, char *err, size_t cap)
{
    char *value = strchr(part, '=');
    size_t key;

    if (value != NULL)
        *value++ = '\0';
    key = find_key(part, strlen(part));
    if (key == NKEYS)
        return unknown_key(s, part, err, cap);
    if (s->given[key])
        return refuse(err, cap, "--workload %s: %s is given twice; leave one of them out", s->name,
                      part);
    s->given[key] = true;
    if (key == IDLE) {
        if (value != NULL)
            return refuse(err, cap, "--workload %s: idle takes no value", s->name);
        return 0;
    }
    if (value == NULL || *value == '\0')
        return refuse(err, cap, "--workload %s: %s needs a value: %s=...", s->name, part, part);
    /* The rate that half of the slowest is, is not known yet. */
    s->half = s->half || (strcmp(part, "rate") == 0 && strcmp(value, "half") == 0);
    snprintf(s->words[s->argc], WORD_MAX, "--%s=%s", part,
             strcmp(part, "rate") == 0 && s->half ? "1" : value);
    s->argv[s->argc] = s->words[s->argc];
    s->argc++;
    return 0;
}

static int take_apart(const char *text, struct spec *s, char *err, size_t cap)
{
    char copy[WORD_MAX];
    char *rest = copy;
    char *part;
    int rc = 0;

    snprintf(copy, sizeof copy, "%s", text);
    while (rc == 0 && (part = strsep(&rest, ",")) != NULL)
        rc = take_part(s, part, err, cap);
    return rc;
}

static int check_idle(const struct spec *s, char *err, size_t cap)
{
    for (size_t i = 0; i < NKEYS && s->given[IDLE]; i++) {
        if (s->given[i] && i != IDLE && strcmp(keys[i], "connections") != 0)
            return refuse(err, cap,
                          "--workload %s: idle and %s contradict each other: on idle connections "
                          "nothing is sent; leave one of them out",
                          s->name, keys[i]);
    }
    return 0;
}

/* ---- what they mean ---- */

static int make_load(struct spec *s, struct load_config *load, char *err, size_t cap)
{
    struct opt table[NKEYS + 1] = {{0}};
    struct cmd cmd = {.name = "compare", .args = "", .options = table};
    struct bench_values values = {0};
    struct bench_plan plan;
    struct opt_list args = {.n = 0};
    char line[2 * OPT_TEXT_MAX];

    for (size_t i = 0; i < IDLE; i++)
        table[i] = *opt_find(bench_options, keys[i], strlen(keys[i]));
    if (opt_parse(&cmd, s->argc, s->argv, &values, &args, line, sizeof line) < 0 ||
        bench_plan_make(&values, NOWHERE, &plan, line, sizeof line) < 0)
        return refuse_as_bench(s->name, line, err, cap);
    *load = plan.load;
    memset(&load->to, 0, sizeof load->to);
    load->duration_ns = 0;
    load->warmup_ns = 0;
    load->timeout_ns = 0;
    if (s->half)
        load->rate = 0;
    return 0;
}

/* ---- titles ---- */

__attribute__((format(printf, 3, 4))) static void append(char *buf, size_t cap, const char *fmt,
                                                         ...)
{
    size_t used = strlen(buf);
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(buf + used, cap - used, fmt, ap);
    va_end(ap);
}

static void append_size(char *buf, size_t cap, uint32_t bytes)
{
    if (bytes % (1024 * 1024) == 0)
        append(buf, cap, "%u MiB", bytes / (1024 * 1024));
    else if (bytes % 1024 == 0)
        append(buf, cap, "%u KiB", bytes / 1024);
    else
        append(buf, cap, "%u B", bytes);
}

static void append_manner(char *buf, size_t cap, const struct workload *w)
{
    const struct load_config *load = &w->load;
    const char *at_random = load->arrival == LOAD_POISSON ? ", at random times" : "";

    if (w->half)
        append(buf, cap, ", at half the slowest rate%s", at_random);
    else if (load->arrival != LOAD_CLOSED)
        append(buf, cap, ", %.0f/s in all%s", load->rate, at_random);
    else if (load->mode == LOAD_PINGPONG)
        append(buf, cap, ", ping-pong");
    else
        append(buf, cap, ", %s, %u under way each",
               load->mode == LOAD_STREAM ? "streamed" : "pipelined", load->depth);
}

/* "64 connections, 64 B each, ping-pong" */
static void make_title(struct workload *w)
{
    const struct load_config *load = &w->load;
    char *buf = w->title;
    size_t cap = sizeof w->title;
    const char *plural = load->connections == 1 ? "" : "s";
    unsigned messages = load->messages_per_connection;

    if (load->mode == LOAD_CONNECT && load->active == load->connections)
        append(buf, cap, "%u short connection%s at a time", load->connections, plural);
    else
        append(buf, cap, "%u connection%s", load->connections, plural);
    if (load->active < load->connections)
        append(buf, cap, ", %u %s", load->active, load->mode == LOAD_CONNECT ? "short" : "active");
    if (w->idle) {
        append(buf, cap, ", idle");
        return;
    }
    append(buf, cap, ", ");
    append_size(buf, cap, load->size[0].bytes);
    append(buf, cap, " each");
    if (load->mode == LOAD_CONNECT)
        append(buf, cap, ", %u message%s per connection", messages, messages == 1 ? "" : "s");
    else
        append_manner(buf, cap, w);
}

/* ---- the whole ---- */

bool compare_name_fits(const char *name, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!isalnum((unsigned char)name[i]) && (i == 0 || strchr("._+-", name[i]) == NULL))
            return false;
    }
    return len > 0 && len < COMPARE_NAME;
}

static int parse_spec(const char *name, size_t len, const char *spec, struct workload *out,
                      char *err, size_t cap)
{
    struct spec s = {.name = out->name};
    int rc;

    memset(out, 0, sizeof *out);
    snprintf(out->name, sizeof out->name, "%.*s", (int)len, name);
    if (*spec == '\0')
        return refuse(err, cap,
                      "--workload %s=: nothing is said of it; give for example "
                      "connections=64,size=1k",
                      out->name);
    if (strlen(spec) >= sizeof out->spec)
        return refuse(err, cap, "--workload %s: longer than %zu bytes", out->name,
                      sizeof out->spec - 1);
    snprintf(out->spec, sizeof out->spec, "%s", spec);
    if ((rc = take_apart(spec, &s, err, cap)) < 0 || (rc = check_idle(&s, err, cap)) < 0 ||
        (rc = make_load(&s, &out->load, err, cap)) < 0)
        return rc;
    out->half = s.half;
    out->idle = s.given[IDLE];
    make_title(out);
    return 0;
}

const struct workload *workload_builtin(size_t i, bool *quick)
{
    static struct workload made[NBUILTINS];
    const struct builtin *row;
    char err[OPT_TEXT_MAX];

    if (i >= NBUILTINS)
        return NULL;
    row = &builtins[i];
    /* A row that cannot be read would be without connections; the unit test reads them all. */
    if (made[i].load.connections == 0 &&
        parse_spec(row->name, strlen(row->name), row->spec, &made[i], err, sizeof err) == 0 &&
        row->sweep != NULL) {
        snprintf(made[i].sweep, sizeof made[i].sweep, "%s", row->sweep);
        made[i].at = row->at;
    }
    *quick = row->quick;
    return &made[i];
}

static const struct workload *find_builtin(const char *name)
{
    bool quick;

    for (size_t i = 0; i < NBUILTINS; i++) {
        if (strcmp(builtins[i].name, name) == 0)
            return workload_builtin(i, &quick);
    }
    return NULL;
}

static int unknown_name(const char *name, char *err, size_t cap)
{
    const char *near = opt_nearest(name, builtin_name);

    if (near != NULL)
        return refuse(err, cap, "--workload %s: unknown; did you mean %s?", name, near);
    return refuse(err, cap,
                  "--workload %s: no built-in workload has this name; give NAME=SPEC for one of "
                  "your own, such as mine=connections=64,size=1k",
                  name);
}

/* Whether both ask the same. What is not set in one of them is 0 in both. */
static bool same_load(const struct workload *a, const struct workload *b)
{
    const struct load_config *x = &a->load;
    const struct load_config *y = &b->load;

    return x->mode == y->mode && x->connections == y->connections && x->active == y->active &&
           x->depth == y->depth && x->size[0].bytes == y->size[0].bytes &&
           x->messages_per_connection == y->messages_per_connection && x->arrival == y->arrival &&
           x->rate >= y->rate && x->rate <= y->rate && a->half == b->half && a->idle == b->idle;
}

int workload_parse(const char *text, struct workload *out, char *err, size_t errcap)
{
    size_t len = strcspn(text, "=");
    const struct workload *builtin;
    int rc;

    if (text[len] == '\0') {
        builtin = find_builtin(text);
        if (builtin == NULL)
            return unknown_name(text, err, errcap);
        *out = *builtin;
        return 0;
    }
    if (find_key(text, len) < NKEYS)
        return refuse(err, errcap, "--workload %s: it has no name; give NAME=%s", text, text);
    if (!compare_name_fits(text, len))
        return refuse(err, errcap,
                      "--workload %s: the name is not one of 1 to %d letters, digits and . _ + -",
                      text, COMPARE_NAME - 1);
    rc = parse_spec(text, len, text + len + 1, out, err, errcap);
    builtin = rc == 0 ? find_builtin(out->name) : NULL;
    if (builtin == NULL)
        return rc;
    /* Results are told apart by the names of their workloads. */
    if (!same_load(out, builtin))
        return refuse(err, errcap,
                      "--workload %s: this is the name of a built-in one that is something else "
                      "(%s); take another name",
                      out->name, builtin->spec);
    *out = *builtin;
    return 0;
}
