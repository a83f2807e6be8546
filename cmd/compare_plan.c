/* SPDX-License-Identifier: MIT */
/* What the options of `pollux compare` mean together: the defaults, and every contradiction. */
#include "cmd/compare.h"

#include <errno.h>
#include <pollux/pollux.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define ALL_BUILTINS SIZE_MAX

/* ---- words ---- */

int compare_refuse(char *err, size_t cap, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(err, cap, fmt, ap);
    va_end(ap);
    return -EINVAL;
}

void compare_plan_caveat(struct comparison *c, const char *name, const char *fmt, ...)
{
    struct compare_caveat *caveat;
    va_list ap;

    if (c->nplanned == COMPARE_CAVEATS_MAX)
        return;
    caveat = &c->caveat[c->nplanned++];
    c->ncaveats = c->nplanned;
    snprintf(caveat->name, sizeof caveat->name, "%s", name);
    va_start(ap, fmt);
    vsnprintf(caveat->text, sizeof caveat->text, fmt, ap);
    va_end(ap);
}

/* "90s", "2m": rounded up, so that what is asked for is enough. */
static char *time_text(int64_t ns, char *buf)
{
    return unit_format(UNIT_TIME, (ns + PLX_SECOND - 1) / PLX_SECOND * PLX_SECOND, buf, UNIT_TEXT);
}

/* ---- workloads ---- */

static int add_workload(const char *text, struct comparison *c, char *err, size_t cap)
{
    struct workload *w = &c->workload[c->nworkloads];
    int rc;

    if (c->nworkloads == COMPARE_WORKLOADS_MAX)
        return compare_refuse(err, cap, "--workload: more than %d of them; leave some out",
                              COMPARE_WORKLOADS_MAX);
    rc = workload_parse(text, w, err, cap);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < c->nworkloads; i++) {
        if (strcmp(c->workload[i].name, w->name) == 0)
            return compare_refuse(err, cap, "--workload %s is given twice; leave one of them out",
                                  w->name);
    }
    c->nworkloads++;
    return 0;
}

/* The first `most` of those of --quick, or all there are (ALL_BUILTINS). */
static void add_builtins(size_t most, struct comparison *c)
{
    const struct workload *w;
    bool quick = false;

    for (size_t i = 0; (w = workload_builtin(i, &quick)) != NULL; i++) {
        if ((quick || most == ALL_BUILTINS) && c->nworkloads < most &&
            c->nworkloads < COMPARE_WORKLOADS_MAX)
            c->workload[c->nworkloads++] = *w;
    }
}

static size_t count_quick(void)
{
    size_t n = 0;
    bool quick;

    for (size_t i = 0; workload_builtin(i, &quick) != NULL; i++)
        n += quick;
    return n;
}

/* The client may have a thread on each of its CPUs. */
static void set_threads(struct comparison *c)
{
    struct cpulist list;
    unsigned cpus = 1;

    if (cpulist_parse(c->client_cpus, &list) && cpulist_count(&list) > 0)
        cpus = (unsigned)cpulist_count(&list);
    if (cpus > LOAD_THREADS_MAX)
        cpus = LOAD_THREADS_MAX;
    for (size_t w = 0; w < c->nworkloads; w++) {
        struct load_config *load = &c->workload[w].load;

        load->threads = cpus < load->active ? cpus : load->active;
    }
}

static int check_cells(const struct comparison *c, bool typed, char *err, size_t cap)
{
    size_t all = 0;

    for (size_t w = 0; w < c->nworkloads; w++) {
        size_t n = 0;

        for (size_t a = 0; a < c->narms; a++)
            n += c->cell[w][a].state == CELL_EMPTY;
        if (n == 0 && typed)
            return compare_refuse(err, cap, "--workload %s: nobody can do this; %s: %s",
                                  c->workload[w].name, c->arm[0].name, c->cell[w][0].why);
        all += n;
    }
    if (all == 0) /* can only be a machine that allows next to nothing */
        return compare_refuse(err, cap, "nothing can be measured here; %s, %s: %s", c->arm[0].name,
                              c->workload[0].name, c->cell[0][0].why);
    return 0;
}

/* ---- the whole ---- */

static int refuse_budget(const struct compare_values *v, const struct comparison *c,
                         const struct compare_plan *plan, char *err, size_t cap)
{
    int64_t rounds = v->rounds != 0 ? v->rounds : COMPARE_ROUNDS_LEAST;
    size_t arms = 0;
    char budget[UNIT_TEXT];
    char need[UNIT_TEXT];

    for (size_t i = 0; i < c->narms; i++)
        arms += c->arm[i].runs;
    return compare_refuse(
        err, cap,
        "--budget %s is too short: %lld rounds of %zu workload%s with %zu arms, of which one is "
        "another's twin, take about %s; give that, or fewer of --workload, --models%s",
        time_text(v->budget_ns, budget), (long long)rounds, c->nworkloads,
        c->nworkloads == 1 ? "" : "s", arms,
        time_text(compare_rounds_ns(rounds, plan->round_ns), need),
        v->rounds != 0 ? " or --rounds" : "");
}

/* Everything that depends on which workloads it is; `most` is of the built-in ones, if none were
 * named. 0, -EINVAL, or 1: they do not fit. */
static int arrange(const struct compare_values *v, size_t most, struct comparison *c,
                   struct compare_plan *plan, char *err, size_t cap)
{
    struct compare_limits limits;
    unsigned connections = 0;
    int rc = 0;

    c->nworkloads = 0;
    for (size_t i = 0; rc == 0 && i < v->workload.n; i++)
        rc = add_workload(v->workload.item[i], c, err, cap);
    if (rc < 0)
        return rc;
    if (v->workload.n == 0)
        add_builtins(most, c);
    set_threads(c);
    for (size_t w = 0; w < c->nworkloads; w++)
        connections = c->workload[w].load.connections > connections
                          ? c->workload[w].load.connections
                          : connections;
    compare_limits_read(connections, &limits);
    compare_exclude(c, &limits);
    rc = check_cells(c, v->workload.n > 0, err, cap);
    if (rc < 0)
        return rc;
    plan->reference = compare_twin(c);
    return compare_times(v, c, plan) ? 0 : 1;
}

static int check_pairs(const struct compare_values *v, char *err, size_t cap)
{
    if (v->quick && v->budget_ns != 0)
        return compare_refuse(err, cap,
                              "--quick and --budget contradict each other: both say how long it "
                              "may take; leave one of them out");
    return 0;
}

/* JSON and those who read it keep whole numbers below 2^53. */
static uint64_t some_seed(void)
{
    uint64_t seed = 0;

    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != (ssize_t)sizeof seed)
        seed = 1;
    seed &= ((uint64_t)1 << 53) - 1;
    return seed != 0 ? seed : 1;
}

int compare_plan_make(const struct compare_values *v, struct comparison *c,
                      struct compare_plan *plan, char *err, size_t errcap)
{
    struct cpulist allowed;
    size_t arms;
    int rc;

    memset(plan, 0, sizeof *plan);
    c->seed = v->seed != 0 ? (uint64_t)v->seed : some_seed();
    c->quick = v->quick;
    (void)compare_allowed_cpus(&allowed);
    if ((rc = check_pairs(v, err, errcap)) < 0 || (rc = compare_arms(v, c, err, errcap)) < 0 ||
        (rc = compare_pin(v->pin, &allowed, compare_same_core, c, err, errcap)) < 0)
        return rc;
    arms = c->narms;
    rc = arrange(v, v->quick ? count_quick() : ALL_BUILTINS, c, plan, err, errcap);
    /* Fewer workloads rather than fewer rounds. */
    for (size_t most = count_quick(); rc > 0 && v->workload.n == 0 && most > 0; most--) {
        c->narms = arms;
        rc = arrange(v, most, c, plan, err, errcap);
        if (rc == 0)
            compare_plan_caveat(c, "short-budget",
                                "The time was too short for all built-in workloads: these are the "
                                "%zu that matter most.",
                                c->nworkloads);
    }
    return rc > 0 ? refuse_budget(v, c, plan, err, errcap) : rc;
}
