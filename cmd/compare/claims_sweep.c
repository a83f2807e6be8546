/* SPDX-License-Identifier: MIT */
/*
 * What waiting costs for connections on which nothing happens: the claims about many connections of
 * which few are active.
 */
#include "cmd/compare/claims.h"

#include <math.h>

/* A connection in five, or fewer, is few that are active. */
#define FEW_ACTIVE 5

/* Slower than any machine of today copies: bytes per nanosecond. */
#define COPY_SPEED 1.0

#define NO_WORKLOAD ((size_t)-1)

/* ---- where it was measured ---- */

static bool few_active(const struct workload *w)
{
    return claim_is_plain(w) && w->load.connections >= FEW_ACTIVE * w->load.active;
}

/* Where an arm was measured with few of many connections active, and with fewer connections of
 * which as many are active. NO_WORKLOAD = it was not. */
struct sweep {
    size_t large, small; /* workloads */
};

static struct sweep find_sweep(const struct comparison *c, size_t a, size_t beside)
{
    struct sweep s = {NO_WORKLOAD, NO_WORKLOAD};
    for (size_t w = 0; w < c->nworkloads; w++) {
        const struct load_config *load = &c->workload[w].load;
        if (few_active(&c->workload[w]) && claim_has(c, w, a) && claim_has(c, w, beside) &&
            (s.large == NO_WORKLOAD || load->connections > c->workload[s.large].load.connections ||
             (load->connections == c->workload[s.large].load.connections &&
              load->active < c->workload[s.large].load.active)))
            s.large = w;
    }
    for (size_t w = 0; s.large != NO_WORKLOAD && w < c->nworkloads; w++) {
        const struct load_config *load = &c->workload[w].load;
        const struct load_config *large = &c->workload[s.large].load;
        if (claim_is_plain(&c->workload[w]) && claim_has(c, w, a) &&
            load->active == large->active && load->size[0].bytes == large->size[0].bytes &&
            load->connections * FEW_ACTIVE <= large->connections &&
            (s.small == NO_WORKLOAD || load->connections < c->workload[s.small].load.connections))
            s.small = w;
    }
    return s;
}

/* ---- 1: who is dearer, and whose cost grows ---- */

static enum answer beats_and_grows(const struct comparison *c, const char *name, char *figures,
                                   size_t cap)
{
    size_t a = claim_model(c, name), epoll = claim_model(c, "epoll");
    struct sweep s = find_sweep(c, a, epoll);
    char text[CLAIM_TEXT];
    if (s.large == NO_WORKLOAD) {
        judge_append(figures, cap, "%s was not measured beside epoll with few active of many; ",
                     name);
        return CANNOT;
    }
    const struct load_config *load = &c->workload[s.large].load;
    struct stats_interval i = claim_ratio(c, s.large, a, s.large, epoll);
    enum answer beats = claim_if_more(claim_verdict(c, s.large, &i));
    judge_append(figures, cap, "%s takes %s x epoll's CPU at %u connections, %u active", name,
                 claim_text(&i, text), load->connections, load->active);
    if (s.small == NO_WORKLOAD) {
        judge_append(figures, cap, " (fewer, as many active: not measured); ");
        return claim_both(beats, CANNOT);
    }
    i = claim_ratio(c, s.large, a, s.small, a);
    enum answer grows = claim_if_more(claim_verdict(c, s.large, &i));
    judge_append(figures, cap, ", %s x its own at %u", claim_factor(exp(i.centre), text),
                 c->workload[s.small].load.connections);
    if (claim_has(c, s.small, epoll)) {
        i = claim_ratio(c, s.large, epoll, s.small, epoll);
        judge_append(figures, cap, " (epoll: %s)", claim_factor(exp(i.centre), text));
    }
    judge_append(figures, cap, "; ");
    return claim_both(beats, grows);
}

enum answer claim_many_few(const struct comparison *c, char *figures, size_t cap)
{
    enum answer s = beats_and_grows(c, "select", figures, cap);
    return claim_both(s, beats_and_grows(c, "poll", figures, cap));
}

/* ---- 6: what the growth is ---- */

/*
 * What grows with the descriptors that are watched, and how fast. poll(2) copies 8 bytes of each
 * descriptor to the kernel and 2 back, select(2) three bits each way. If a descriptor costs far
 * more at each wait than that takes, they pay for the rest of the wait: the kernel asks every
 * descriptor whether it is ready.
 */
static enum answer pays_for_copying(const struct comparison *c, const char *name, double bytes,
                                    char *figures, size_t cap)
{
    size_t a = claim_model(c, name);
    struct sweep s = find_sweep(c, a, a);
    if (s.large == NO_WORKLOAD || s.small == NO_WORKLOAD) {
        judge_append(figures, cap, "%s was not measured with few and with many watched; ", name);
        return CANNOT;
    }
    const struct cell *large = &c->cell[s.large][a], *small = &c->cell[s.small][a];
    struct stats_interval i = claim_ratio(c, s.large, a, s.small, a);
    enum verdict grows = claim_verdict(c, s.large, &i);
    double cpu[] = {CELL_MEDIAN(small, cpu_ns), CELL_MEDIAN(large, cpu_ns)};
    double kernel[] = {cpu[0] * (1 - judge_user_share(&c->workload[s.small], small)),
                       cpu[1] * (1 - judge_user_share(&c->workload[s.large], large))};
    /* Descriptors handed over per message. */
    double passed = CELL_MEDIAN(large, calls_wait) * c->workload[s.large].load.connections -
                    CELL_MEDIAN(small, calls_wait) * c->workload[s.small].load.connections;
    double part = (kernel[1] - kernel[0]) / (cpu[1] - cpu[0]);
    double each = (kernel[1] - kernel[0]) / passed;
    double copying = bytes / COPY_SPEED;
    if (grows != VERDICT_LOSES) {
        judge_append(figures, cap, "%s's CPU %s from %u to %u connections; ", name,
                     grows == VERDICT_CANNOT_TELL ? "is not surely more" : "did not grow",
                     c->workload[s.small].load.connections, c->workload[s.large].load.connections);
        return grows == VERDICT_CANNOT_TELL ? CANNOT : DOES_NOT;
    }
    if (isnan(each) || !(passed > 0)) {
        judge_append(figures, cap,
                     "%s: too little was measured to tell the kernel's part, or the waits per "
                     "message; ",
                     name);
        return CANNOT;
    }
    judge_append(
        figures, cap,
        "%s: %.0f %% of the growth is in the kernel, %.1f ns per descriptor and wait, of which "
        "copying %.3g bytes takes %.3g at most; ",
        name, 100 * part, each, bytes, copying);
    return part > 0.5 && each <= 2 * copying ? HOLDS : DOES_NOT;
}

enum answer claim_copying(const struct comparison *c, char *figures, size_t cap)
{
    enum answer s = pays_for_copying(c, "select", 0.75, figures, cap);
    return claim_both(s, pays_for_copying(c, "poll", 10, figures, cap));
}
