/* SPDX-License-Identifier: MIT */
/*
 * `pollux compare` before its first run: what can be typed, what it means, and what this machine
 * allows. The comparison itself is in cmd/compare/.
 *
 *     compare_options.c  the table of options        compare_limits.c  who cannot do what here
 *     compare_plan.c     what it means together      compare_pin.c     which CPUs for whom
 *     compare_arms.c     who is asked                compare_output.c  the directory of results
 *     compare_times.c    how long, how often         compare.c         the command
 */
#ifndef POLLUX_CMD_COMPARE_H
#define POLLUX_CMD_COMPARE_H

#include "cmd/cmd.h"
#include "cmd/compare/compare.h"
#include "cmd/measure/cpulist.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- compare_options.c ---- */

/* As typed. 0, NULL, false or an empty list = not given. */
struct compare_values {
    const char *models, *pin, *net, *output, *repeat;
    struct opt_list server, workload;
    int64_t budget_ns, rounds, seed;
    bool quick;

    /* No options: who repeats a comparison sets them to what its document says, so that the runs
     * are as long as they were. 0 = to be chosen. All three or none. */
    int64_t warmup_ns, measure_ns, idle_ns;
};

/* Without so many rounds there is no interval worth its name: a plan never has fewer, unless fewer
 * are asked for. */
#define COMPARE_ROUNDS_LEAST 5

extern const struct opt compare_options[];

/* With --repeat: nothing else was given but --output and --net, since the file fixes the rest. 0,
 * or -EINVAL with one line in `err`. Without --repeat: 0. */
int compare_repeat_check(const struct compare_values *, char *err, size_t errcap);

/* ---- compare_plan.c ---- */

struct compare_plan {
    unsigned least, most; /* rounds, as struct rounds_plan has them */
    int64_t round_ns;     /* what a round of all cells takes, about */
    int64_t estimate_ns;  /* what all of it takes, about; less, where contests are decided early */
    size_t reference;     /* the arm that has a twin */
};

/*
 * Turns what was typed into the beginning of a comparison, which comparison_open() has made: arms,
 * the last of which is the twin, workloads, cells that are CELL_EMPTY or CELL_EXCLUDED, and of the
 * method all but confidence and resamples; caveats of what is wrong already. With `repeat` the
 * caller first fills in the values from that file.
 *
 * Models are tried (plx_model_probe()): it takes some milliseconds. The limit on descriptors is
 * raised as far as needed and allowed. Returns 0, or -EINVAL with one line in `err` (1024 bytes are
 * enough): what is unknown, contradicts something or is too much, and what to do.
 */
int compare_plan_make(const struct compare_values *, struct comparison *, struct compare_plan *,
                      char *err, size_t errcap);

/* A caveat that holds from the beginning. */
void compare_plan_caveat(struct comparison *, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Writes one line, cut off where it does not fit. Returns -EINVAL. */
int compare_refuse(char *err, size_t cap, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- compare_arms.c ---- */

/* Adds the models and the servers, and tries the models. 0, or -EINVAL with one line in `err`. */
int compare_arms(const struct compare_values *, struct comparison *, char *err, size_t errcap);

/* Adds the twin, with its cells, once it is known who can do what. Returns the arm it is of. */
size_t compare_twin(struct comparison *);

/* ---- compare_times.c ---- */

/* Sets the times of the comparison, and the plan's rounds and estimates. False: so many rounds as
 * are needed do not fit into the budget; round_ns tells what one takes at least. */
bool compare_times(const struct compare_values *, struct comparison *, struct compare_plan *);

/* How long so many rounds (1 or more) take; what would not fit, as much as does. */
int64_t compare_rounds_ns(int64_t rounds, int64_t round_ns);

/* ---- compare_limits.c ---- */

/* What this machine allows; UINT64_MAX = no limit that we know of. */
struct compare_limits {
    uint64_t descriptors; /* of a process */
    uint64_t tasks;       /* threads and processes */
    uint64_t mappings;    /* of a process's memory: a thread's stack takes two */
};

/* Reads them, and raises that on descriptors to `connections` and what is needed besides. */
void compare_limits_read(unsigned connections, struct compare_limits *);

/* Marks the cells of arms that do not run here, or cannot do what the workload asks of them, as
 * CELL_EXCLUDED with the reason; all others as CELL_EMPTY. */
void compare_exclude(struct comparison *, const struct compare_limits *);

/* ---- compare_pin.c ---- */

/* The CPUs that this process may use. False if the system does not say; `out` is empty then. */
bool compare_allowed_cpus(struct cpulist *out);

/* The CPUs of the same core as `cpu`, itself included. False likewise. */
bool compare_same_core(unsigned cpu, struct cpulist *out);

/*
 * Sets pin, server_cpus and client_cpus by --pin (NULL = "auto"): none, "SERVER:CLIENT", or auto:
 * the server gets the first of the allowed CPUs, the client the first one of another core, or,
 * where there is no other core, the next one; a single CPU is shared. What is not as it should be
 * is a caveat. `same_core` as compare_same_core(). 0, or -EINVAL with one line in `err`.
 */
int compare_pin(const char *pin, const struct cpulist *allowed,
                bool (*same_core)(unsigned cpu, struct cpulist *out), struct comparison *,
                char *err, size_t errcap);

/* ---- compare_output.c ---- */

/*
 * Makes the directory of the results, with those above it, and makes sure that files can be written
 * in it. `output` NULL: pollux-compare-YYYYmmdd-HHMMSS in the current directory, which is new. What
 * an earlier comparison has left there will be replaced, but not the file `repeat` (may be NULL).
 * 0 with the name in `path` (PATH_MAX bytes), or -EINVAL with one line in `err`. Who then writes
 * nothing removes it with rmdir(2), which leaves a directory alone that is not empty.
 */
int compare_output_make(const char *output, const char *repeat, char *path, char *err,
                        size_t errcap);

#endif
