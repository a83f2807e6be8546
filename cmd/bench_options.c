/* SPDX-License-Identifier: MIT */
/*
 * What `pollux bench` takes. Defaults are not in the rows, but filled in by bench_plan.c: many
 * depend on other options, and a contradiction is one only if both sides were typed.
 */
#include "cmd/bench.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MILLION ((int64_t)1000000)
#define DAY     (24 * 3600 * PLX_SECOND)

/* ---- names ---- */

const char *bench_mode_name(size_t i)
{
    static const char *const names[] = {[LOAD_PINGPONG] = "pingpong",
                                        [LOAD_PIPELINE] = "pipeline",
                                        [LOAD_STREAM] = "stream",
                                        [LOAD_CONNECT] = "connect"};

    return i < sizeof names / sizeof *names ? names[i] : NULL;
}

const char *bench_expect_name(size_t i)
{
    static const char *const names[] = {
        [LOAD_ECHO] = "echo", [LOAD_UPPER] = "upper", [LOAD_NONE] = "none"};

    return i < sizeof names / sizeof *names ? names[i] : NULL;
}

const char *bench_arrival_name(size_t i)
{
    static const char *const names[] = {"constant", "poisson"};

    return i < sizeof names / sizeof *names ? names[i] : NULL;
}

/* ---- the table ---- */

#define AT(field) .offset = offsetof(struct bench_values, field)

const struct opt bench_options[] = {
    {.name = "connections",
     .brief = 'c',
     .kind = OPT_COUNT,
     AT(connections),
     .arg = "N",
     .min = 1,
     .max = MILLION,
     .help = "How many connections at once; 64 if not given."},
    {.name = "active",
     .kind = OPT_COUNT,
     AT(active),
     .arg = "N",
     .min = 1,
     .max = MILLION,
     .help = "How many of them send; the others are held open, idle. All if not given."},
    {.name = "mode",
     .kind = OPT_LIST,
     AT(mode),
     .arg = "MODE",
     .choice = bench_mode_name,
     .help = "`pingpong`: each connection awaits the answer before it sends the next message. "
             "`pipeline`: it keeps several under way. `stream`: in bulk. `connect`: short "
             "connections, made and closed again and again. If not given, pingpong, or pipeline "
             "where --pipeline is above 1."},
    {.name = "pipeline",
     .brief = 'P',
     .kind = OPT_COUNT,
     AT(pipeline),
     .arg = "N",
     .min = 1,
     .max = LOAD_DEPTH_MAX,
     .help = "How many messages each connection keeps under way. If not given, 1; 16 with --mode "
             "pipeline; with --mode stream as many as make 512k, but 4 at least."},
    {.name = "size",
     .brief = 's',
     .kind = OPT_SIZE,
     AT(size),
     .arg = "SIZE",
     .min = 1,
     .max = LOAD_SIZE_MAX,
     .help = "Bytes of a message; 64 if not given."},
    {.name = "size-mix",
     .kind = OPT_TEXT,
     AT(size_mix),
     .arg = "SIZE:WEIGHT,...",
     .help = "Messages of up to 16 sizes, each drawn as often as its weight says: 64:9,4k:1 is "
             "one large message in ten."},
    {.name = "duration",
     .brief = 'd',
     .kind = OPT_TIME,
     AT(duration_ns),
     .arg = "TIME",
     .min = 10 * PLX_MSEC,
     .max = 7 * DAY,
     .help = "How long to measure; 10s if not given."},
    {.name = "messages",
     .brief = 'n',
     .kind = OPT_COUNT,
     AT(messages),
     .arg = "N",
     .min = 1,
     .max = MILLION * MILLION,
     .help = "Send so many messages in all, however long that takes, instead of --duration."},
    {.name = "messages-per-connection",
     .kind = OPT_COUNT,
     AT(messages_per_connection),
     .arg = "N",
     .min = 1,
     .max = MILLION,
     .help = "With --mode connect: how many messages until a connection is closed; 1 if not "
             "given."},
    {.name = "warmup",
     .kind = OPT_TIME,
     .flags = OPT_NONE,
     AT(warmup_ns),
     .arg = "TIME",
     .min = PLX_MSEC,
     .max = DAY,
     .help = "Load for so long before the measured time begins. If not given, 1s, but a fifth of "
             "a duration below 5s, and none with --messages."},
    {.name = "threads",
     .brief = 't',
     .kind = OPT_COUNT,
     AT(threads),
     .arg = "N",
     .min = 1,
     .max = LOAD_THREADS_MAX,
     .help = "Threads that make the load, each with its share of the connections; 1 if not "
             "given."},
    {.name = "rate",
     .kind = OPT_COUNT,
     AT(rate),
     .arg = "N",
     .min = 1,
     .max = 100 * MILLION,
     .help = "Open loop: N messages per second over all connections, at times fixed beforehand. "
             "Latency counts from the time at which a message should have left."},
    {.name = "arrival",
     .kind = OPT_LIST,
     AT(arrival),
     .arg = "HOW",
     .choice = bench_arrival_name,
     .help = "With --rate: evenly spaced, or at random as independent users come (a Poisson "
             "process). Constant if not given."},
    {.name = "ramp",
     .kind = OPT_TIME,
     AT(ramp_ns),
     .arg = "TIME",
     .min = PLX_MSEC,
     .max = DAY,
     .help = "Spread the making of the connections over TIME. If not given, they are made as fast "
             "as they are accepted."},
    {.name = "connect-rate",
     .kind = OPT_COUNT,
     AT(connect_rate),
     .arg = "N",
     .min = 1,
     .max = MILLION,
     .help = "Begin at most N connections per second."},
    {.name = "source",
     .kind = OPT_TEXT,
     AT(source),
     .arg = "CIDR",
     .help = "Connect from the addresses of CIDR in turn (127.0.1.0/24), so that the ports of a "
             "single address are not the limit. All of 127.0.0.0/8 is usable on Linux."},
    {.name = "expect",
     .kind = OPT_LIST,
     AT(expect),
     .arg = "WHAT",
     .choice = bench_expect_name,
     .help = "What every answer is compared with, byte for byte: the message itself, or the "
             "message in upper case. With `none` answers are not looked at. Echo if not given."},
    {.name = "timeout",
     .kind = OPT_TIME,
     AT(timeout_ns),
     .arg = "TIME",
     .min = PLX_MSEC,
     .max = DAY,
     .help = "A connection has failed when it is not established, or nothing of an awaited answer "
             "comes, for so long; 5s if not given."},
    {.name = "server-pid",
     .kind = OPT_COUNT,
     AT(server_pid),
     .arg = "PID",
     .min = 1,
     .max = 4 * MILLION + 194304, /* 2^22, the most that Linux has */
     .help = "Measure too what the load costs this process, with all its threads, children and "
             "kernel workers."},
    {.name = "seed",
     .kind = OPT_COUNT,
     AT(seed),
     .arg = "N",
     .min = 1,
     .max = MILLION * MILLION,
     .help = "Where the random numbers begin: contents, sizes and arrivals are the same in every "
             "run with the same N; 1 if not given."},
    {.name = "json",
     .kind = OPT_TEXT,
     .flags = OPT_FILE,
     AT(json),
     .arg = "FILE",
     .help = "Write one JSON document with everything to `FILE`; `-` is standard output, instead "
             "of the summary."},
    {.name = "histogram",
     .kind = OPT_TEXT,
     .flags = OPT_FILE,
     AT(histogram),
     .arg = "FILE",
     .help = "Write the whole latency histogram to `FILE`, to be added to others by `pollux bench "
             "merge`; `-` is standard output, instead of the summary."},
    {0}};

/* ---- merge ---- */

/* Whether the field of a row was given. */
static bool was_given(const struct bench_values *v, const struct opt *o)
{
    const char *field = (const char *)v + o->offset;
    const char *text;
    int64_t number;
    size_t n;

    switch (o->kind) {
    case OPT_LIST: memcpy(&n, field + offsetof(struct opt_list, n), sizeof n); return n > 0;
    case OPT_TEXT: memcpy(&text, field, sizeof text); return text != NULL;
    case OPT_COUNT:
    case OPT_SIZE:
    case OPT_TIME: memcpy(&number, field, sizeof number); return number != 0;
    case OPT_FLAG:
    case OPT_CHOICE: break; /* there is none */
    }
    return false;
}

int bench_merge_check(const struct bench_values *v, char *err, size_t errcap)
{
    for (const struct opt *o = bench_options; o->name != NULL; o++) {
        if (was_given(v, o) && strcmp(o->name, "json") != 0 && strcmp(o->name, "histogram") != 0) {
            snprintf(err, errcap, "--%s is for a run; merge takes --histogram and --json only",
                     o->name);
            return -EINVAL;
        }
    }
    return 0;
}
