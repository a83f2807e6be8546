/* SPDX-License-Identifier: MIT */
/*
 * A comparison: arms (models, or other people's servers) under workloads, in rounds. This is its
 * data, which every part of the room reads; docs/comparing.md has the method.
 *
 *     workload.c  what is asked of a server          rounds.c   who runs when, until when
 *     arm.c       a server started, loaded, ended    judge.c    what may be concluded
 *     results.c   the document: written and read     claims.c   nine beliefs, put to the test
 *     stats.c     the centre and its interval        why.c      the reasons of the losers
 *     caveats.c   what to bear in mind               data.c     memory, and medians
 *     text.c      the table on a terminal            page.c     the report to look at
 *     net.c       loopback, or two namespaces
 *
 * Figures that are not known are NAN in doubles, and null in the document; never 0.
 */
#ifndef POLLUX_CMD_COMPARE_COMPARE_H
#define POLLUX_CMD_COMPARE_COMPARE_H

#include "cmd/load/load.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_t;
struct plx_model;

#define COMPARE_ARMS_MAX      48
#define COMPARE_WORKLOADS_MAX 48
#define COMPARE_NAME          48 /* bytes of a name, NUL included */

/* `threadpool` is started with as many threads as there are connections, up to so many: those
 * beyond wait until another connection ends (see --pool-size of pollux serve). */
#define COMPARE_POOL_MOST 4096

/* What is asked of a server. */
struct workload {
    char name[COMPARE_NAME]; /* "64x64B": for tables and options */
    char title[120];         /* "64 connections, 64 B each, ping-pong" */
    char spec[120];          /* as -w takes it after NAME=: "connections=64,size=64" */
    /* connections, active, depth, mode, expect, sizes, messages_per_connection, arrival; no
     * address. rate is 0 with `half`. The plan adds threads, warmup_ns and duration_ns: those of
     * this workload's runs, which are longer than the comparison's where there is reason to. */
    struct load_config load;
    bool half; /* open loop at half the rate that the slowest arm reached in the closed loop */
    bool idle; /* the connections are held and nothing is sent: CPU per second is measured */
    /* Which sweep it is a point of, and where: "connections" at 64; "" = none. */
    char sweep[24];
    double at;
};

/* Who is asked. */
struct arm {
    char name[COMPARE_NAME];
    const struct plx_model *model; /* NULL = `command` */
    char command[512];             /* with {addr} and {port} */
    bool twin; /* the arm `of` once more: what the two differ by is noise (A/A) */
    size_t of;
    bool runs;                /* on this machine at all */
    char why[256];            /* not: reason; remedy */
    unsigned max_connections; /* 0 = no limit of its own */
};

/* One run of an arm under a workload. Per message, unless it says otherwise. */
struct sample {
    unsigned round;    /* from 1 */
    unsigned position; /* in the round's random order, from 1 */
    double rate;       /* messages per second; LOAD_CONNECT: connections */
    double p50_ns, p99_ns, p999_ns;
    double cpu_ns, user_ns, system_ns; /* of the server, all its tasks and kernel workers; idle: per
                                        * second */
    double voluntary, involuntary;     /* context switches */
    /* System calls by kind and wake-ups, of the library's own counters: models only. */
    double calls_wait, calls_ctl, calls_accept, calls_recv, calls_send, calls_other, wakeups;
    double memory_bytes;   /* at most, in all */
    double per_connection; /* bytes of memory that a connection added */
    double client_busy;    /* 0 to 1 */
    double server_busy;    /* CPUs, of those it may use */
    double messages;       /* in the measured time */
};

enum cell_state {
    CELL_EMPTY, /* not measured (yet) */
    CELL_OK,
    CELL_EXCLUDED, /* the arm cannot do this; `why` */
    CELL_INVALID   /* it went wrong, or answered wrongly; `why` */
};

struct cell {
    enum cell_state state;
    char why[300];
    struct sample *sample; /* in the order of the rounds */
    size_t nsamples, room;
    struct hist *latency; /* of all its runs together; NULL = none */
};

/* ---- what is concluded (judge.c) ---- */

/*
 * What is surely within this of the best counts as no difference. So much is moved by changes that
 * mean nothing, such as the order of linking or the size of the environment (T. Mytkowicz and
 * others: Producing Wrong Data Without Doing Anything Obviously Wrong!, ASPLOS 2009).
 */
#define COMPARE_MARGIN 0.05

enum metric { METRIC_CPU, METRIC_RATE, METRIC_P99, METRICS }; /* "cpu", "rate", "p99" */

enum verdict {
    VERDICT_BEST,        /* this is who the others are compared with */
    VERDICT_TIE,         /* the interval lies within what counts as no difference */
    VERDICT_LOSES,       /* the interval lies beyond the noise: a WIN for the best */
    VERDICT_CANNOT_TELL, /* neither */
    VERDICT_INVALID      /* no figure */
};

/* An arm beside the best one, by one metric under one workload. */
struct standing {
    double value;            /* median over the rounds, in the metric's unit */
    double ratio, low, high; /* this arm / the best, of pairs: their centre (stats.h) and its
                              * confidence interval, NAN below three pairs. Above 1 is worse for
                              * METRIC_CPU and METRIC_P99, below 1 for METRIC_RATE */
    enum verdict verdict;
    char why[300]; /* of a loser: what its counters tell, "2.0 more system calls per message" */
};

struct contest {
    bool held;          /* the metric says something here */
    char not_held[160]; /* otherwise: why it does not */
    double floor;       /* A/A: differences up to this are noise: 0.02 is 2 % */
    size_t best;        /* arm */
    struct standing standing[COMPARE_ARMS_MAX];
};

struct claim {
    int number;
    const char *text;
    const char *answer; /* "HOLDS HERE", "DOES NOT HOLD HERE", "CANNOT TELL" */
    char figures[400];
};
#define COMPARE_CLAIMS 9

struct compare_caveat {
    char name[32];
    char text[300];
};
#define COMPARE_CAVEATS_MAX 64

/* ---- the whole ---- */

struct comparison {
    struct arm arm[COMPARE_ARMS_MAX];
    size_t narms;
    struct workload workload[COMPARE_WORKLOADS_MAX];
    size_t nworkloads;
    struct cell cell[COMPARE_WORKLOADS_MAX][COMPARE_ARMS_MAX];

    /* The method. */
    uint64_t seed;
    unsigned rounds; /* made, of the workload that had most */
    int64_t budget_ns, warmup_ns, measure_ns;
    int64_t idle_ns;    /* instead of measure_ns, of a workload that is idle. All three are
                         * the shortest: see workload.load for each one's own */
    double confidence;  /* 0.95 */
    unsigned resamples; /* of the bootstrap */
    char pin[264];      /* as given: "auto", "0:1" */
    char server_cpus[128], client_cpus[128];
    bool netns;   /* over two network namespaces, not over loopback (net.h) */
    bool steered; /* in which each end receives on its own CPUs */
    bool partial; /* interrupted */
    bool quick;
    int64_t started; /* seconds since 1970, UTC */
    int64_t took_ns;
    struct json_t *command_line; /* an array of its words */
    struct json_t *machine;      /* machine_json() */

    /* What follows from it. */
    struct contest contest[COMPARE_WORKLOADS_MAX][METRICS];
    struct claim claim[COMPARE_CLAIMS];
    size_t nclaims;
    struct compare_caveat caveat[COMPARE_CAVEATS_MAX];
    size_t ncaveats;
    size_t nplanned; /* the first of them, which the plan came with: compare_judge() keeps them */
};

/* NULL without memory. */
struct comparison *comparison_open(void);
void comparison_close(struct comparison *);

/* Adds a sample; 0 or -ENOMEM. */
int cell_add(struct cell *, const struct sample *);

/* The median over the rounds of a field of the samples; NAN when none of them has it. */
double cell_median(const struct cell *, size_t offset_in_sample);
#define CELL_MEDIAN(cell, field) cell_median((cell), offsetof(struct sample, field))

/* ---- workload.c ---- */

/* The built-in ones: row i, NULL past the end. `quick`: is it one of those of --quick? */
const struct workload *workload_builtin(size_t i, bool *quick);

/*
 * Reads "NAME=SPEC", or the NAME of a built-in one. SPEC is a list of key=value, as the options of
 * pollux bench: connections=1000,active=100,size=64,pipeline=16,mode=stream,rate=10000 (or
 * rate=half), arrival=poisson,messages-per-connection=1,idle. The name of a built-in one may be
 * given another SPEC only if that says the same. 0, or -EINVAL with one line in `err`, which begins
 * with --workload.
 */
int workload_parse(const char *text, struct workload *out, char *err, size_t errcap);

/* Whether this may be the name of an arm or of a workload: letters, digits and . _ + -, of which
 * the first is a letter or a digit. */
bool compare_name_fits(const char *name, size_t len);

/* ---- judge.c, claims.c: fill in contest[], claim[], caveat[] from what was measured ---- */

void compare_judge(struct comparison *);
void compare_claims(struct comparison *); /* called by compare_judge() */
const char *metric_name(enum metric);     /* "cpu", "rate", "p99" */
const char *verdict_name(enum verdict);   /* "BEST", "TIE", "LOSES", "CANNOT TELL", "INVALID" */

/* ---- results.c ---- */

/* The document; NULL without memory. */
struct json_t *compare_to_json(const struct comparison *);

/* ---- text.c: at most 100 columns, to standard output ---- */

void compare_print(const struct comparison *);

/* ---- page.c ---- */

/* Writes the report, one file that needs nothing else. 0 or -errno. */
int compare_write_page(const char *file, const struct json_t *results);

#endif
