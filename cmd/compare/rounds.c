/* SPDX-License-Identifier: MIT */
/* See rounds.h. */
#include "cmd/compare/rounds.h"

#include "cmd/clock.h"
#include "cmd/compare/arm.h"
#include "cmd/random.h"

#include <errno.h>
#include <math.h>
#include <pollux/error.h>

/* Starting a server and ending it takes about so long: for the estimate before the first run. */
#define START_NS (60 * PLX_MSEC)

struct rounds {
    struct comparison *c;
    const struct rounds_plan *plan;
    uint64_t random;
    int64_t begin_ns;
    int64_t spent_ns; /* in runs, with what is around them */
    unsigned runs;
    struct rounds_progress progress;
    bool decided[COMPARE_WORKLOADS_MAX];
    double rate[COMPARE_WORKLOADS_MAX]; /* of those with `half`; 0 = not known yet */
};

static bool takes_part(const struct rounds *r, size_t w, size_t a)
{
    const struct cell *cell = &r->c->cell[w][a];
    return !r->decided[w] && r->c->arm[a].runs &&
           (cell->state == CELL_EMPTY || cell->state == CELL_OK);
}

static unsigned count_runs(const struct rounds *r)
{
    unsigned n = 0;
    for (size_t w = 0; w < r->c->nworkloads; w++) {
        for (size_t a = 0; a < r->c->narms; a++)
            n += takes_part(r, w, a);
    }
    return n;
}

/* What a round will take, from what runs have taken so far. */
static int64_t round_ns(const struct rounds *r)
{
    int64_t one = r->runs ? r->spent_ns / r->runs : START_NS + r->c->warmup_ns + r->c->measure_ns;
    return one * count_runs(r);
}

/* ---- progress ---- */

static void tell(struct rounds *r)
{
    const struct rounds_plan *plan = r->plan;
    int64_t spent = clock_ns() - r->begin_ns;
    int64_t whole = r->c->budget_ns;
    if (!plan->tick)
        return;
    if (plan->most > 0 && r->runs > 0) {
        int64_t all = r->spent_ns / r->runs * count_runs(r) * plan->most;
        whole = whole > 0 && whole < all ? whole : all;
    } else if (plan->most > 0 && whole == 0) {
        whole = round_ns(r) * plan->most;
    }
    r->progress.left_ns = whole > spent ? whole - spent : 0;
    r->progress.done = whole > spent ? (double)spent / (double)whole : 1;
    plan->tick(plan->arg, &r->progress);
}

static void load_tick(void *arg, const struct load_progress *p)
{
    (void)p;
    tell(arg);
}

/* ---- one run ---- */

static int run_once(struct rounds *r, size_t w, size_t a, double rate, unsigned position)
{
    struct comparison *c = r->c;
    struct cell *cell = &c->cell[w][a];
    struct sample s;
    struct arm_run run = {
        .arm = &c->arm[a],
        .workload = &c->workload[w],
        .server_cpus = c->server_cpus,
        .client_cpus = c->client_cpus,
        .net = r->plan->net,
        .rate = rate,
        .seed = c->seed,
        .interrupted = r->plan->interrupted,
        .tick = load_tick,
        .arg = r,
    };
    r->progress.workload = run.workload;
    r->progress.arm = run.arm;
    tell(r);
    int64_t begin = clock_ns();
    if (!cell->latency && !(cell->latency = hist_open()))
        return -ENOMEM;
    int rc = arm_measure(&run, &s, cell->latency, cell->why, sizeof(cell->why));
    r->spent_ns += clock_ns() - begin;
    r->runs++;
    if (rc == -EPROTO) {
        cell->state = CELL_INVALID;
        return 0;
    }
    if (rc < 0)
        return rc;
    s.round = r->progress.round;
    s.position = position;
    cell->state = CELL_OK;
    return cell_add(cell, &s);
}

/* ---- the rate of an open loop that depends on what the arms can do ---- */

static bool same_shape(const struct workload *a, const struct workload *b)
{
    return a->load.arrival == LOAD_CLOSED && !a->idle && a->load.mode == LOAD_PINGPONG &&
           a->load.connections == b->load.connections && a->load.active == b->load.active &&
           a->load.nsizes == 1 && b->load.nsizes == 1 &&
           a->load.size[0].bytes == b->load.size[0].bytes;
}

/* The rate that the slowest reached in the closed loop of the same shape; 0 = not measured. */
static double slowest_rate(const struct comparison *c, const struct workload *half)
{
    double slowest = 0;
    for (size_t w = 0; w < c->nworkloads; w++) {
        if (!same_shape(&c->workload[w], half))
            continue;
        for (size_t a = 0; a < c->narms; a++) {
            double rate = CELL_MEDIAN(&c->cell[w][a], rate);
            if (rate > 0 && (slowest == 0 || rate < slowest))
                slowest = rate;
        }
    }
    return slowest;
}

/* Nobody has measured that shape: a closed-loop run of each arm finds it out, and is not counted.
 */
static int find_slowest(struct rounds *r, size_t w, double *slowest)
{
    struct comparison *c = r->c;
    struct workload closed = c->workload[w];
    struct hist *latency = hist_open();
    int rc = latency ? 0 : -ENOMEM;
    closed.load.arrival = LOAD_CLOSED;
    for (size_t a = 0; rc == 0 && a < c->narms; a++) {
        struct sample s;
        char why[300];
        if (!takes_part(r, w, a) || c->arm[a].twin)
            continue;
        struct arm_run run = {.arm = &c->arm[a],
                              .workload = &closed,
                              .server_cpus = c->server_cpus,
                              .client_cpus = c->client_cpus,
                              .net = r->plan->net,
                              .seed = c->seed,
                              .interrupted = r->plan->interrupted};
        rc = arm_measure(&run, &s, latency, why, sizeof(why));
        if (rc == 0 && s.rate > 0 && (*slowest == 0 || s.rate < *slowest))
            *slowest = s.rate;
        if (rc == -EPROTO) /* its counted run will say so */
            rc = 0;
    }
    hist_close(latency);
    return rc;
}

static int set_half_rate(struct rounds *r, size_t w)
{
    double slowest = slowest_rate(r->c, &r->c->workload[w]);
    int rc = slowest > 0 ? 0 : find_slowest(r, w, &slowest);
    if (rc == 0 && slowest > 0) {
        r->rate[w] = floor(slowest / 2);
        r->c->workload[w].load.rate = r->rate[w];
    }
    return rc;
}

/* ---- a round ---- */

static void shuffle(struct rounds *r, size_t *list, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t k = (size_t)(random_next(&r->random) % i);
        size_t kept = list[i - 1];
        list[i - 1] = list[k];
        list[k] = kept;
    }
}

static int run_workload(struct rounds *r, size_t w)
{
    struct comparison *c = r->c;
    size_t order[COMPARE_ARMS_MAX], n = 0;
    int rc = 0;
    for (size_t a = 0; a < c->narms; a++) {
        if (takes_part(r, w, a))
            order[n++] = a;
    }
    if (c->workload[w].half && r->rate[w] == 0 && n > 0)
        rc = set_half_rate(r, w);
    shuffle(r, order, n);
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = run_once(r, w, order[i], r->rate[w], (unsigned)i + 1);
    return rc;
}

/* Those whose rate depends on the others come last. */
static int run_round(struct rounds *r)
{
    int rc = 0;
    for (int half = 0; half <= 1; half++) {
        for (size_t w = 0; rc == 0 && w < r->c->nworkloads; w++) {
            if (r->c->workload[w].half == (bool)half)
                rc = run_workload(r, w);
        }
    }
    return rc;
}

/* ---- when it is enough ---- */

/* A contest is decided when no standing is open. The interval was made for one look: by looking
 * after each round one errs somewhat more often, which is why there are rounds before the first
 * look. */
static void decide(struct rounds *r)
{
    struct comparison *c = r->c;
    compare_judge(c);
    for (size_t w = 0; w < c->nworkloads; w++) {
        const struct contest *contest = &c->contest[w][METRIC_CPU];
        bool open = false;
        for (size_t a = 0; a < c->narms && contest->held; a++)
            open |= contest->standing[a].verdict == VERDICT_CANNOT_TELL;
        r->decided[w] = contest->held && !open;
    }
}

int rounds_run(struct comparison *c, const struct rounds_plan *plan)
{
    struct rounds r = {.c = c, .plan = plan, .random = c->seed, .begin_ns = clock_ns()};
    int rc = 0;
    while (rc == 0) {
        if (plan->most > 0 && c->rounds == plan->most)
            break;
        if (c->rounds >= plan->least) {
            /* A number of rounds that was asked for is made. */
            if (plan->most == 0)
                decide(&r);
            int64_t spent = clock_ns() - r.begin_ns;
            if (count_runs(&r) == 0 || (c->budget_ns > 0 && spent + round_ns(&r) > c->budget_ns))
                break;
        }
        r.progress.round = c->rounds + 1;
        rc = run_round(&r);
        if (rc == 0)
            c->rounds++;
    }
    c->partial = rc == -EINTR;
    c->took_ns = clock_ns() - r.begin_ns;
    compare_judge(c);
    return rc;
}
