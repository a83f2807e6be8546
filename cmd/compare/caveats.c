/* SPDX-License-Identifier: MIT */
/* What takes something away from the figures: each reservation once, with what follows from it.
 * What the plan knew beforehand (how it was pinned, what was left out) stands there already. */
#include "cmd/compare/judge.h"

#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* From so many rounds on, the usual scatter of a shared machine allows to find 10 %. */
#define ROUNDS_ENOUGH 10

/* A floor is worth a word from here on. */
#define FLOOR_LARGE COMPARE_MARGIN

__attribute__((format(printf, 3, 4))) static void caveat(struct comparison *c, const char *name,
                                                         const char *fmt, ...)
{
    struct compare_caveat *to;
    va_list ap;
    if (c->ncaveats == COMPARE_CAVEATS_MAX)
        return;
    to = &c->caveat[c->ncaveats++];
    snprintf(to->name, sizeof(to->name), "%s", name);
    va_start(ap, fmt);
    vsnprintf(to->text, sizeof(to->text), fmt, ap);
    va_end(ap);
}

/* The names of workloads, "64x64B, 1x64B and 3 more". */
static char *workloads(const struct comparison *c, const bool *set, char *buf, size_t cap)
{
    enum { SHOWN = 3 };
    size_t n = 0, shown = 0;
    for (size_t w = 0; w < c->nworkloads; w++)
        n += set[w];
    buf[0] = '\0';
    for (size_t w = 0; w < c->nworkloads && shown < SHOWN; w++) {
        if (!set[w])
            continue;
        judge_append(buf, cap, "%s%.24s",
                     shown == 0       ? ""
                     : shown + 1 == n ? " and "
                                      : ", ",
                     c->workload[w].name);
        shown++;
    }
    if (n > shown)
        judge_append(buf, cap, " and %zu more", n - shown);
    return buf;
}

/* ---- the place ---- */

static void about_place(struct comparison *c)
{
    const char *hypervisor = json_string_value(json_object_get(c->machine, "virtual"));
    if (!c->netns)
        caveat(c, "loopback",
               "Loopback: the sender pays for the receiver's softirq, so the server is charged "
               "with work of the client, and the reverse. A network in between gives other "
               "figures.");
    else if (c->steered)
        caveat(c, "netns",
               "One machine, without a wire, a card or its driver: client and server are joined by "
               "a veth pair. Each end receives on its own CPUs, interrupted by the other's and not "
               "by a card; what an idle CPU receives is in nobody's account.");
    else
        caveat(c, "netns",
               "One machine, without a wire, a card or its driver: client and server are joined by "
               "a veth pair. As over loopback, the sender pays for the receiver's softirq: to make "
               "each end receive on its own CPUs takes --pin and Linux 6.3.");
    if (hypervisor)
        caveat(
            c, "virtual-machine",
            "A virtual machine (%.40s): others on the same host take CPU at times that nobody here "
            "sees, and what enters the kernel may cost more than on bare metal.",
            strcmp(hypervisor, "unknown") == 0 ? "its hypervisor is not known" : hypervisor);
}

/* ---- the runs ---- */

/* By how much a ratio of CPU may typically be off: the median of all intervals; NAN = no interval.
 */
static double usual_reach(const struct comparison *c)
{
    double reach[COMPARE_WORKLOADS_MAX * COMPARE_ARMS_MAX];
    size_t n = 0;
    for (size_t w = 0; w < c->nworkloads; w++) {
        const struct contest *contest = &c->contest[w][METRIC_CPU];
        for (size_t a = 0; a < c->narms && contest->held && !c->workload[w].idle; a++) {
            const struct standing *s = &contest->standing[a];
            if (a != contest->best && isfinite(s->low))
                reach[n++] = sqrt(s->high / s->low) - 1;
        }
    }
    return stats_median(reach, n);
}

static void about_rounds(struct comparison *c)
{
    double reach = usual_reach(c);
    if (c->partial)
        caveat(
            c, "partial",
            "Interrupted: not everything was measured, and some arms in fewer rounds than others.");
    if (c->rounds < STATS_LEAST)
        caveat(c, "few-rounds",
               "%u round%s only: there is no interval below %d, and no verdict. More --budget, or "
               "--rounds.",
               c->rounds, c->rounds == 1 ? "" : "s", STATS_LEAST);
    else if (c->rounds < ROUNDS_ENOUGH && isfinite(reach))
        caveat(
            c, "few-rounds",
            "%u rounds at most: the ratios of CPU are known to within %.0f %% as a rule, and what "
            "differs by less is not told apart. More --budget, or --rounds, narrows it.",
            c->rounds, ceil(100 * reach));
    else if (c->rounds < ROUNDS_ENOUGH)
        caveat(c, "few-rounds",
               "%u rounds at most: only large differences are found. More --budget, "
               "or --rounds, narrows the intervals.",
               c->rounds);
}

static void about_client(struct comparison *c)
{
    bool bound[COMPARE_WORKLOADS_MAX] = {false};
    bool any = false;
    char names[120];
    for (size_t w = 0; w < c->nworkloads; w++) {
        for (size_t a = 0; a < c->narms; a++)
            bound[w] |= c->cell[w][a].state == CELL_OK &&
                        CELL_MEDIAN(&c->cell[w][a], client_busy) > JUDGE_CLIENT_BUSY;
        any |= bound[w];
    }
    if (any)
        caveat(c, "client-bound",
               "CLIENT-BOUND: in %s the client was busy for more than %.0f %% of its time, so the "
               "rate "
               "is what it can do, not the server. Only the server's CPU is compared there.",
               workloads(c, bound, names, sizeof(names)), 100 * JUDGE_CLIENT_BUSY);
}

/* ---- the noise ---- */

static void about_floors(struct comparison *c, enum floor_source floors[][METRICS])
{
    bool borrowed[COMPARE_WORKLOADS_MAX] = {false}, assumed[COMPARE_WORKLOADS_MAX] = {false};
    bool large[COMPARE_WORKLOADS_MAX] = {false};
    bool any_borrowed = false, any_assumed = false, any_large = false;
    double most = 0;
    char names[120];
    for (size_t w = 0; w < c->nworkloads; w++) {
        if (!c->contest[w][METRIC_CPU].held)
            continue;
        double floor = c->contest[w][METRIC_CPU].floor;
        any_borrowed |= borrowed[w] = floors[w][METRIC_CPU] == FLOOR_OTHERS;
        any_assumed |= assumed[w] = floors[w][METRIC_CPU] == FLOOR_ASSUMED;
        any_large |= large[w] = floor > FLOOR_LARGE;
        most = fmax(most, floor);
    }
    if (any_assumed)
        caveat(
            c, "no-twin",
            "In %s no arm was measured twice (A/A), or not in %d rounds: %.0f %% is taken for the "
            "noise, for no better reason than that it is usual.",
            workloads(c, assumed, names, sizeof(names)), STATS_LEAST, 100 * JUDGE_FLOOR_ASSUMED);
    if (any_borrowed)
        caveat(
            c, "borrowed-floor",
            "In %s no arm was measured twice (A/A): the noise of the other workloads is taken for "
            "theirs.",
            workloads(c, borrowed, names, sizeof(names)));
    if (any_large)
        caveat(c, "large-floor",
               "In %s the same arm, measured twice, differed from itself by more than %.0f %% "
               "(%.0f %% "
               "at most): smaller differences are lost in the noise there.",
               workloads(c, large, names, sizeof(names)), 100 * FLOOR_LARGE, 100 * most);
}

/* ---- the arms ---- */

static void about_arms(struct comparison *c)
{
    bool invalid[COMPARE_ARMS_MAX] = {false};
    bool any = false;
    const char *why = "";
    char names[120];
    for (size_t a = 0; a < c->narms; a++) {
        for (size_t w = 0; w < c->nworkloads; w++) {
            if (c->cell[w][a].state != CELL_INVALID)
                continue;
            why = any ? why : c->cell[w][a].why;
            any = invalid[a] = true;
        }
    }
    if (any)
        caveat(c, "invalid-arms",
               "INVALID in one workload or more, and without figures there: %s. First: %.150s",
               judge_names(c, invalid, names, sizeof(names)), why);
}

void compare_caveats(struct comparison *c, enum floor_source floors[COMPARE_WORKLOADS_MAX][METRICS])
{
    c->ncaveats = c->nplanned;
    about_place(c);
    about_rounds(c);
    about_client(c);
    about_floors(c, floors);
    about_arms(c);
}
