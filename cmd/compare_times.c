/* SPDX-License-Identifier: MIT */
/*
 * How the time of a comparison is divided.
 *
 * Many short runs tell more than a few long ones: what differs from one run to the next of the same
 * server (where its memory and its threads came to lie, what else the machine did) is more than
 * what a longer run would average out, and only another run shows it. So the time goes into rounds
 * first, and runs become longer when there is enough of it.
 */
#include "cmd/compare.h"

#include <pollux/pollux.h>
#include <string.h>

/* With so many rounds an interval is a good one, and looked at for the first time; and so many are
 * planned for. */
#define ROUNDS_LOOK    10
#define ROUNDS_PLANNED 15

/* How long a run is measured: below the least, most of the time would go into starting servers. */
#define MEASURE_LEAST (100 * PLX_MSEC)
#define MEASURE_USUAL (500 * PLX_MSEC)
#define MEASURE_MOST  (1000 * PLX_MSEC)
#define MEASURE_STEP  (10 * PLX_MSEC)
#define WARMUP_LEAST  (25 * PLX_MSEC) /* else a quarter of the measured time */

/* And longer with many connections: until each that sends has done so some times, and so long that
 * the reading of the server's account, task by task, is a small part of it. */
#define WARMUP_EACH  (PLX_MSEC / 20)
#define MEASURE_EACH (PLX_MSEC * 3 / 10) /* but not above MEASURE_MOST */

#define BUDGET       (30 * 60 * PLX_SECOND)
#define QUICK_BUDGET (60 * PLX_SECOND)
#define QUICK_IDLE   (200 * PLX_MSEC)

/* To idle costs time and little else: all runs of an arm make a minute, unless that would be more
 * than a quarter of the budget. */
#define IDLE_IN_ALL (60 * PLX_SECOND)
#define IDLE_USUAL  (2 * PLX_SECOND) /* a run, where there is no budget */

/* What a run takes besides: to start a server and to end it, and for each connection. For the
 * estimate only: during the rounds the time is taken from the clock. */
#define START_NS      (20 * PLX_MSEC)
#define CONNECTION_NS (PLX_MSEC / 10)
#define TASK_NS       (PLX_MSEC * 4 / 10) /* with a thread or a process of its own */

#define ESTIMATE_MOST (INT64_MAX / 2) /* 146 years */

/* ---- a round ---- */

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Sets how long the runs of a workload are. */
static void set_run(const struct comparison *c, struct workload *w)
{
    int64_t each = w->load.connections * MEASURE_EACH;

    w->load.warmup_ns = larger(c->warmup_ns, w->load.active * WARMUP_EACH);
    w->load.duration_ns = larger(c->measure_ns, each < MEASURE_MOST ? each : MEASURE_MOST);
    if (w->idle)
        w->load.duration_ns = larger(c->idle_ns, w->load.duration_ns);
}

static int64_t run_of(const struct arm *arm, const struct load_config *load)
{
    bool tasks = arm->model != NULL && strcmp(arm->model->engine, "blocking") == 0;

    return START_NS + load->connections * (tasks ? TASK_NS : CONNECTION_NS) + load->warmup_ns +
           load->duration_ns;
}

/* Sets the times of all runs; returns what a round of them takes. */
static int64_t set_runs(struct comparison *c)
{
    int64_t sum = 0;

    for (size_t w = 0; w < c->nworkloads; w++) {
        set_run(c, &c->workload[w]);
        for (size_t a = 0; a < c->narms; a++) {
            if (c->cell[w][a].state == CELL_EMPTY)
                sum += run_of(&c->arm[a], &c->workload[w].load);
        }
    }
    return sum;
}

static int64_t count_idle(const struct comparison *c)
{
    int64_t n = 0;

    for (size_t w = 0; w < c->nworkloads; w++) {
        for (size_t a = 0; a < c->narms && c->workload[w].idle; a++)
            n += c->cell[w][a].state == CELL_EMPTY;
    }
    return n;
}

/* ---- a run ---- */

/* Sets all three times by the length of a run; returns what a round takes. */
static int64_t set_measure(int64_t measure, int64_t rounds, struct comparison *c)
{
    int64_t idle = IDLE_USUAL;
    int64_t nidle = count_idle(c);

    c->measure_ns = measure;
    c->warmup_ns = larger(measure / 4, WARMUP_LEAST);
    if (c->budget_ns != 0 && nidle != 0)
        idle = c->budget_ns / 4 / (nidle * rounds);
    if (idle > IDLE_IN_ALL / rounds)
        idle = IDLE_IN_ALL / rounds;
    c->idle_ns = larger(idle, measure);
    return set_runs(c);
}

/* The longest run with which so many rounds fit into the budget, or the shortest one. */
static int64_t fit_measure(int64_t rounds, struct comparison *c)
{
    int64_t measure = MEASURE_MOST;

    while (measure > MEASURE_LEAST && set_measure(measure, rounds, c) > c->budget_ns / rounds)
        measure -= MEASURE_STEP;
    return set_measure(measure, rounds, c);
}

static void set_quick(struct comparison *c, struct compare_plan *plan)
{
    c->measure_ns = MEASURE_LEAST;
    c->warmup_ns = WARMUP_LEAST;
    c->idle_ns = QUICK_IDLE;
    plan->round_ns = set_runs(c);
    c->budget_ns = QUICK_BUDGET;
}

/* How long runs are. With `repeat` as long as they were. */
static void set_lengths(const struct compare_values *v, struct comparison *c,
                        struct compare_plan *plan)
{
    int64_t rounds = v->rounds != 0 ? v->rounds : ROUNDS_PLANNED;

    c->budget_ns = v->budget_ns;
    if (v->measure_ns != 0) {
        c->warmup_ns = v->warmup_ns;
        c->measure_ns = v->measure_ns;
        c->idle_ns = v->idle_ns;
        plan->round_ns = set_runs(c);
    } else if (v->quick) {
        set_quick(c, plan);
    } else if (v->budget_ns != 0) {
        plan->round_ns = fit_measure(rounds, c);
    } else if (v->rounds != 0) {
        plan->round_ns = set_measure(MEASURE_USUAL, rounds, c);
    } else {
        /* Half an hour is for everything; for less, what the usual runs of it take. */
        c->budget_ns = BUDGET;
        plan->round_ns = set_measure(MEASURE_USUAL, rounds, c);
        if (plan->round_ns * rounds < BUDGET)
            c->budget_ns = plan->round_ns * rounds;
        else
            plan->round_ns = fit_measure(rounds, c);
    }
}

/* ---- rounds ---- */

/* The longest workloads of all arms in the most rounds take longer than can be counted. */
int64_t compare_rounds_ns(int64_t rounds, int64_t round_ns)
{
    return round_ns > ESTIMATE_MOST / rounds ? ESTIMATE_MOST : rounds * round_ns;
}

/* How many, when it is known what one takes. False: they do not fit into the budget. */
static bool set_rounds(const struct compare_values *v, struct comparison *c,
                       struct compare_plan *plan)
{
    int64_t fit = plan->round_ns > 0 ? c->budget_ns / plan->round_ns : 0;

    plan->most = (unsigned)v->rounds;
    if (v->rounds != 0) {
        plan->least = plan->most;
        /* What was asked for is made, whatever it takes; unless there is a budget too. */
        if (v->quick)
            c->budget_ns = 0;
        plan->estimate_ns = compare_rounds_ns(v->rounds, plan->round_ns);
        return v->budget_ns == 0 || v->measure_ns != 0 || plan->estimate_ns <= v->budget_ns;
    }
    plan->least = fit >= ROUNDS_LOOK && !v->quick ? ROUNDS_LOOK : COMPARE_ROUNDS_LEAST;
    plan->estimate_ns = c->budget_ns;
    if (plan->estimate_ns < plan->least * plan->round_ns)
        plan->estimate_ns = plan->least * plan->round_ns;
    return v->budget_ns == 0 || v->measure_ns != 0 || fit >= COMPARE_ROUNDS_LEAST;
}

bool compare_times(const struct compare_values *v, struct comparison *c, struct compare_plan *plan)
{
    set_lengths(v, c, plan);
    return set_rounds(v, c, plan);
}
