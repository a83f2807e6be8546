/* SPDX-License-Identifier: MIT */
/*
 * `pollux bench` around the load generator (cmd/load/load.h), in parts:
 *
 *     bench_options.c  what can be typed             bench_live.c     the live line
 *     bench_plan.c     what it means                 bench_report.c   the summary
 *     bench_limits.c   whether this machine can      bench_picture.c  its drawings
 *     bench_judge.c    what may be concluded         bench_json.c     the document
 *     bench.c          the command, the run, `bench merge`
 *
 * The judgement has one place, because the summary and the document must not differ in it.
 */
#ifndef POLLUX_CMD_BENCH_H
#define POLLUX_CMD_BENCH_H

#include "cmd/cmd.h"
#include "cmd/load/load.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* Beside those of every command: the measurement is not valid. */
#define STATUS_INVALID 3

/* ---- bench_options.c ---- */

/* As typed. 0, NULL or an empty list = not given: the defaults depend on each other, and merge
 * refuses what was given. A list is a choice, of which the last one counts. PLX_OFF is "none". */
struct bench_values {
    int64_t connections, active, pipeline, size, duration_ns, messages;
    int64_t messages_per_connection, warmup_ns, threads, ramp_ns, connect_rate, rate;
    int64_t timeout_ns, server_pid, seed;
    struct opt_list mode, arrival, expect;
    const char *size_mix, *source, *json, *histogram;
};

extern const struct opt bench_options[];

/* Names of enum load_mode, load_expect, load_arrival; NULL past the end. Arrival 0 is "constant".
 */
const char *bench_mode_name(size_t i);
const char *bench_expect_name(size_t i);
const char *bench_arrival_name(size_t i);

/* Refuses, for `bench merge`, all options but --json and --histogram: -EINVAL with one line in
 * `err`, which names the option. */
int bench_merge_check(const struct bench_values *, char *err, size_t errcap);

/* ---- bench_plan.c ---- */

/* What it means. */
struct bench_plan {
    struct load_config load;      /* without tick and interrupted */
    const char *target;           /* ADDR, as typed */
    const char *source;           /* the CIDR, as typed, or NULL */
    const char *json, *histogram; /* files, "-" = standard output, or NULL */
};

/*
 * Turns what was typed into a plan, all defaults filled in; looks up the host name of `target`.
 * Returns 0, or -EINVAL with one line in `err` (OPT_TEXT_MAX bytes are enough) that names the
 * options which contradict each other, and what to do.
 */
int bench_plan_make(const struct bench_values *, const char *target, struct bench_plan *, char *err,
                    size_t errcap);

/* ---- bench_limits.c ---- */

/* Ports, source addresses, descriptors, and the process of --server-pid. The limit on descriptors
 * is raised where it can be; where it cannot, threads may get tables of their own
 * (load_config.own_descriptors). 0, or -EINVAL with one line in `err`: need, limit, remedy. */
int bench_limits_check(struct bench_plan *, char *err, size_t errcap);

/* Whether both files can be told from each other, and can be written. They are not touched.
 * Likewise. */
int bench_files_check(const char *json, const char *histogram, char *err, size_t errcap);

/* Whether the address is of this machine, so that no network is in between. */
bool bench_is_local(const struct plx_addr *);

/* ---- bench_judge.c ---- */

#define BENCH_CAVEATS_MAX 16

struct bench_caveat {
    const char *name; /* "client-bound": for programs */
    char text[400];
};

/* What follows from a result. A double that is not known is NAN. */
struct bench_judgement {
    double seconds;                 /* measured */
    double rate, rate_in, rate_out; /* messages and bytes per second */
    double client_ns;               /* CPU per message, user and system */
    double client_spun_ns;          /* besides: waiting for the moment to send */
    bool client_bound;

    double share;        /* open loop: achieved rate / asked rate */
    bool rate_missed;    /* it was not reached */
    bool late;           /* the generator's own lag is too large a part of the latency */
    bool rate_counts;    /* nothing failed, and the client was not the limit */
    bool latency_counts; /* likewise, and none of the above */

    double little;          /* rate x mean time under way: what in_flight should be */
    double little_off;      /* in_flight / little - 1; NAN = it cannot be told */
    const char *little_why; /* why it cannot be told, or NULL */
    bool little_fine;

    /* Per message; with --server-pid. */
    double server_ns, server_user_ns, server_system_ns, voluntary, involuntary;
    double server_load; /* CPUs kept busy by the server: its CPU time / measured time */
    double others;    /* share of its CPUs' busy time that neither server nor client account for */
    bool cpus_shared; /* server and client may run on the same CPUs */

    uint64_t errors; /* of all kinds */
    struct bench_caveat caveat[BENCH_CAVEATS_MAX];
    size_t ncaveats;
};

void bench_judge(const struct bench_plan *, const struct load_result *, struct bench_judgement *);

/* "ok", "failed", "invalid", "interrupted", "cannot". */
const char *bench_verdict_name(enum load_verdict);

/* One line about what went wrong while running: "3 of 64 connections were lost: ...". Empty for
 * LOAD_OK. Returns `buf`. */
char *bench_complaint(const struct load_result *, char *buf, size_t cap);

/* The percentiles that are shown. */
struct bench_percentile {
    double percent;
    const char *name, *key; /* "p99.9", "p99_9" */
};
extern const struct bench_percentile bench_percentiles[];
extern const size_t bench_npercentiles;

/* ---- bench_live.c ---- */

/* Redraws the line on standard error; has the type of load_config.tick, `arg` is not used. */
void bench_live_tick(void *arg, const struct load_progress *);
void bench_live_end(void); /* erases it, if there is one */

/* Writes what is shown of the progress, at most `width` columns: what matters least is left out
 * first. Returns `buf`. */
char *bench_live_line(const struct load_progress *, size_t width, char *buf, size_t cap);

/* ---- bench_report.c ---- */

/* The summary, to standard output. `machine` is a line about it. */
void bench_report(const struct bench_plan *, const struct load_result *,
                  const struct bench_judgement *, const char *machine);

/* The sum of histograms. */
void bench_report_merged(const struct hist *, size_t nfiles);

/* Figures for people, in up to four digits: "412 us", "152,340", "9.75 MB". Negative times and
 * doubles that are NAN are "n/a". Return `buf`, BENCH_TEXT bytes. */
#define BENCH_TEXT 32
char *bench_time(double ns, char *buf);
char *bench_count(double n, char *buf);
char *bench_bytes(double n, char *buf);

/* ---- bench_picture.c ---- */

/* A bar for each class of latencies (1, 2, 5, 10, ...), to standard output; nothing if `h` is
 * empty. */
void bench_picture_latency(const struct hist *h);

/* A line of at most `width` columns, a mark for the rate of each interval (of a few, if there are
 * more); `low` and `high` are the smallest and the largest. Returns how many intervals a mark
 * stands for, 0 = nothing was drawn. */
size_t bench_picture_rates(const struct load_interval *, size_t n, size_t width, double *low,
                           double *high);

/* ---- bench_json.c ---- */

struct json_t;

/* The document of --json; NULL without memory. `machine` is of machine_json(), or NULL. */
struct json_t *bench_json(const struct bench_plan *, const struct load_result *,
                          const struct bench_judgement *, struct json_t *machine, time_t started);
struct json_t *bench_json_merged(const struct hist *, const struct opt_list *files);

#endif
