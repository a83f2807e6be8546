/* SPDX-License-Identifier: MIT */
/*
 * Why an arm lost, from its counters beside the best one's. Only what is so is said; whether it is
 * the cause, a counter cannot tell, so a reason must at least be able to make a good part of the
 * difference. For that, and for the order of the reasons, each has a price in nanoseconds per
 * message: measured where it is CPU time, otherwise taken from CALL_NS and SWITCH_NS.
 */
#include "cmd/compare/judge.h"

#include <math.h>
#include <pollux/pollux.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a system call that moves nothing takes with the mitigations of today, and a context switch
 * without the cold caches that come after it: in orders of magnitude. */
#define CALL_NS   250.0
#define SWITCH_NS 1500.0

/* A reason has to make so much of the difference in CPU. */
#define LEAST_PART 0.10
/* Where the difference is not one of CPU, it has to cost so much. */
#define LEAST_NS 50.0

/* The kernel divides CPU time by who is interrupted by its clock, 100 to 1000 times a second. From
 * so much of it on, the part in user space is known to within 10 % of the whole. */
#define SPLIT_SECONDS 0.5
#define SPLIT_LEAST   0.15 /* so much larger a part is worth a word */

#define REASONS_MAX 16
#define REASON_TEXT 140

/* ---- figures ---- */

/* Both sums of CPU, in seconds. */
static void sum_cpu(const struct workload *w, const struct cell *cell, double *user, double *all)
{
    *user = *all = 0;
    for (size_t i = 0; i < cell->nsamples; i++) {
        const struct sample *s = &cell->sample[i];
        double times = (w->idle ? 1 : s->messages) / 1e9;
        if (isnan(s->user_ns) || isnan(s->system_ns) || isnan(times))
            continue;
        *user += s->user_ns * times;
        *all += (s->user_ns + s->system_ns) * times;
    }
}

double judge_user_share(const struct workload *w, const struct cell *cell)
{
    double user, all;
    sum_cpu(w, cell, &user, &all);
    return all >= SPLIT_SECONDS ? user / all : NAN;
}

double judge_calls(const struct cell *cell)
{
    return CELL_MEDIAN(cell, calls_wait) + CELL_MEDIAN(cell, calls_ctl) +
           CELL_MEDIAN(cell, calls_accept) + CELL_MEDIAN(cell, calls_recv) +
           CELL_MEDIAN(cell, calls_send) + CELL_MEDIAN(cell, calls_other);
}

/* What is compared of an arm, per message. */
struct profile {
    double cpu, user_share;
    double user, system; /* CPU; NAN where the share is */
    double calls;        /* NAN without counters */
    double switches, wakeups;
};

static struct profile profile_of(const struct workload *w, const struct cell *cell)
{
    struct profile p = {.cpu = CELL_MEDIAN(cell, cpu_ns),
                        .user_share = judge_user_share(w, cell),
                        .calls = judge_calls(cell),
                        .switches = CELL_MEDIAN(cell, voluntary) + CELL_MEDIAN(cell, involuntary),
                        .wakeups = CELL_MEDIAN(cell, wakeups)};
    p.user = p.cpu * p.user_share;
    p.system = p.cpu - p.user;
    return p;
}

struct reasons {
    const struct comparison *c;
    size_t w, a, b;
    struct profile mine, best;
    struct {
        double price;
        char text[REASON_TEXT];
    } reason[REASONS_MAX];
    size_t n;
};

__attribute__((format(printf, 3, 4))) static void reason(struct reasons *r, double price,
                                                         const char *fmt, ...)
{
    va_list ap;
    if (r->n == REASONS_MAX)
        return;
    r->reason[r->n].price = price;
    va_start(ap, fmt);
    vsnprintf(r->reason[r->n++].text, REASON_TEXT, fmt, ap);
    va_end(ap);
}

/* "1.0", "0.41", "120": as many digits as say something. */
static const char *digits(double n, char buf[24])
{
    snprintf(buf, 24, "%.*f", n < 0.95 ? 2 : n < 99.5 ? 1 : 0, n);
    return buf;
}

/* ---- by the library's counters ---- */

static const struct {
    const char *name;
    size_t offset;
} kinds[] = {{"wait", offsetof(struct sample, calls_wait)},
             {"ctl", offsetof(struct sample, calls_ctl)},
             {"accept", offsetof(struct sample, calls_accept)},
             {"recv", offsetof(struct sample, calls_recv)},
             {"send", offsetof(struct sample, calls_send)},
             {"other", offsetof(struct sample, calls_other)}};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* How many more calls of a kind there are; 0 if not more, or not known. */
static double more_calls(const struct reasons *r, size_t kind)
{
    if (isnan(r->mine.calls - r->best.calls))
        return 0;
    double more = cell_median(&r->c->cell[r->w][r->a], kinds[kind].offset) -
                  cell_median(&r->c->cell[r->w][r->b], kinds[kind].offset);
    return more > 0 ? more : 0;
}

static void compare_calls(struct reasons *r)
{
    char n[24];
    for (size_t i = 0; i < KINDS; i++) {
        double more = more_calls(r, i);
        if (more > 0)
            reason(r, more * CALL_NS, "%s more %s calls per message", digits(more, n),
                   kinds[i].name);
    }
}

/* What more context switches, if they are known, do not make of a difference in CPU. */
static double without_switches(const struct reasons *r, double more)
{
    return more - fmax(r->mine.switches - r->best.switches, 0) * SWITCH_NS;
}

/* These two hand over all they watch at each wait: what a call of theirs costs grows with it. */
static bool passes_all(const struct arm *arm)
{
    return arm->model &&
           (strcmp(arm->model->name, "select") == 0 || strcmp(arm->model->name, "poll") == 0);
}

/* More CPU, and not because there are more calls: in the kernel, or in all where the part of it is
 * not known. */
static void compare_price_of_calls(struct reasons *r)
{
    bool split = !isnan(r->mine.system) && !isnan(r->best.system);
    double mine = split ? r->mine.system : r->mine.cpu;
    double best = split ? r->best.system : r->best.cpu;
    double more = without_switches(r, mine - best);
    unsigned watched = r->c->workload[r->w].load.connections;
    char all[64] = "", a[24], b[24];
    if (!(r->mine.calls > 0 && r->best.calls > 0 && more > 0) ||
        mine / r->mine.calls <= best / r->best.calls)
        return;
    if (passes_all(&r->c->arm[r->a]) && watched > 1)
        snprintf(all, sizeof(all), ", as each wait passes all %u descriptors", watched);
    digits(mine / r->mine.calls / 1e3, a);
    digits(best / r->best.calls / 1e3, b);
    reason(r, more, "a system call comes to %s us of CPU%s (best %s)%s", a,
           split ? " in the kernel" : "", b, all);
}

/* ---- by the kernel's account ---- */

static void compare_switches(struct reasons *r)
{
    double more = r->mine.switches - r->best.switches;
    char n[24];
    if (more > 0)
        reason(r, more * SWITCH_NS, "%s more context switches per message", digits(more, n));
}

/* Where a wake-up is the end of a wait, it is counted there. */
static void compare_wakeups(struct reasons *r)
{
    double more = r->mine.wakeups - r->best.wakeups;
    char n[24];
    if (more > 0 && more_calls(r, 0) < more / 2)
        reason(r, more * CALL_NS, "%s more wake-ups per message", digits(more, n));
}

static void compare_split(struct reasons *r)
{
    double user = r->mine.user - r->best.user, system = r->mine.system - r->best.system;
    char n[24];
    if (user > 0 && r->mine.user_share >= r->best.user_share + SPLIT_LEAST)
        reason(r, user, "%.2f of its CPU in user space (best %.2f)", r->mine.user_share,
               r->best.user_share);
    else if (user > 0)
        reason(r, user, "%s us more CPU per message in user space", digits(user / 1e3, n));
    /* With counters, the calls and what each takes say it better. */
    if (without_switches(r, system) > 0 && isnan(r->mine.calls - r->best.calls))
        reason(r, without_switches(r, system), "%s us more CPU per message in the kernel",
               digits(system / 1e3, n));
}

/* Nothing is sent: figures are per second, and the counters, which are per message, say nothing. */
static void compare_idle(struct reasons *r)
{
    double more = r->mine.switches - r->best.switches;
    reason(r, INFINITY, "busy for %.3f of a CPU while nothing is sent (best %.3f)",
           r->mine.cpu / 1e9, r->best.cpu / 1e9);
    if (more >= 10)
        reason(r, more * SWITCH_NS, "%.0f more context switches per second", more);
}

/* ---- the largest ---- */

static int by_price(const void *x, const void *y)
{
    double a = *(const double *)x, b = *(const double *)y; /* the price comes first */
    return (a < b) - (a > b);
}

void judge_why(const struct comparison *c, size_t w, size_t a, size_t b, char *buf, size_t cap)
{
    struct reasons r = {.c = c, .w = w, .a = a, .b = b};
    const struct workload *load = &c->workload[w];
    r.mine = profile_of(load, &c->cell[w][a]);
    r.best = profile_of(load, &c->cell[w][b]);
    buf[0] = '\0';
    if (load->idle) {
        compare_idle(&r);
    } else {
        compare_calls(&r);
        compare_price_of_calls(&r);
        compare_switches(&r);
        compare_wakeups(&r);
        compare_split(&r);
    }
    double gap = r.mine.cpu - r.best.cpu;
    double least = gap > 0 ? LEAST_PART * gap : LEAST_NS;
    qsort(r.reason, r.n, sizeof(r.reason[0]), by_price);
    for (size_t i = 0; i < r.n && i < 2 && r.reason[i].price >= least; i++)
        judge_append(buf, cap, "%s%s", i > 0 ? "; " : "", r.reason[i].text);
}
