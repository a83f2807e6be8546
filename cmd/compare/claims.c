/* SPDX-License-Identifier: MIT */
/*
 * Nine beliefs about the models, put to the test. Each looks for the arms and workloads that it
 * speaks of; what was not measured, or is not sure, is said, and the answer is CANNOT TELL.
 */
#include "cmd/compare/claims.h"

#include <math.h>
#include <pollux/pollux.h>
#include <stdio.h>
#include <string.h>

#define FEW_CONNECTIONS  64
#define MANY_CONNECTIONS 500
#define SMALL_MESSAGE    256

/* "A whole core", as far as a shared machine has one to give; and what is none by any standard. */
#define WHOLE_CORE 0.90
#define NO_CORE    0.50

/* ---- what is there ---- */

size_t claim_model(const struct comparison *c, const char *name)
{
    for (size_t a = 0; a < c->narms; a++) {
        if (!c->arm[a].twin && c->arm[a].model && strcmp(c->arm[a].model->name, name) == 0)
            return a;
    }
    return NO_ARM;
}

bool claim_has(const struct comparison *c, size_t w, size_t a)
{
    return a != NO_ARM && judge_takes_part(c, w, a, judge_offset(METRIC_CPU));
}

bool claim_is_plain(const struct workload *w)
{
    return !w->idle && !w->half && w->load.arrival == LOAD_CLOSED &&
           w->load.mode == LOAD_PINGPONG && w->load.nsizes == 1;
}

/* Small ones on all connections. */
static bool all_active(const struct workload *w)
{
    return claim_is_plain(w) && w->load.active == w->load.connections &&
           w->load.size[0].bytes <= SMALL_MESSAGE;
}

/* ---- what it says ---- */

struct stats_interval claim_ratio(const struct comparison *c, size_t w, size_t a, size_t v,
                                  size_t b)
{
    return judge_pairs(c, &c->cell[w][a], &c->cell[v][b], judge_offset(METRIC_CPU),
                       judge_least(&c->workload[w], METRIC_CPU), w + a);
}

enum verdict claim_verdict(const struct comparison *c, size_t w, const struct stats_interval *i)
{
    return judge_interval(i, c->contest[w][METRIC_CPU].floor);
}

enum answer claim_if_more(enum verdict v)
{
    return v == VERDICT_LOSES ? HOLDS : v == VERDICT_CANNOT_TELL ? CANNOT : DOES_NOT;
}

static enum answer if_less(enum verdict v)
{
    return v == VERDICT_BEST ? HOLDS : v == VERDICT_CANNOT_TELL ? CANNOT : DOES_NOT;
}

enum answer claim_both(enum answer a, enum answer b)
{
    return a == DOES_NOT || b == DOES_NOT ? DOES_NOT : a == HOLDS && b == HOLDS ? HOLDS : CANNOT;
}

const char *claim_factor(double n, char buf[CLAIM_TEXT])
{
    snprintf(buf, CLAIM_TEXT, "%.*f", n < 9.995 ? 2 : n < 99.95 ? 1 : 0, n);
    return buf;
}

const char *claim_text(const struct stats_interval *i, char buf[CLAIM_TEXT])
{
    char centre[CLAIM_TEXT], low[CLAIM_TEXT], high[CLAIM_TEXT];
    claim_factor(exp(i->centre), centre);
    if (isnan(i->low))
        snprintf(buf, CLAIM_TEXT, "%.16s [too few rounds]", centre);
    else
        snprintf(buf, CLAIM_TEXT, "%.16s [%.16s to %.16s]", centre, claim_factor(exp(i->low), low),
                 claim_factor(exp(i->high), high));
    return buf;
}

/* ---- 2: few connections, all active ---- */

static enum answer claim_few_all(const struct comparison *c, char *figures, size_t cap)
{
    size_t select = claim_model(c, "select"), epoll = claim_model(c, "epoll");
    enum answer answer = HOLDS;
    size_t n = 0;
    char text[CLAIM_TEXT];
    for (size_t w = 0; w < c->nworkloads; w++) {
        const struct workload *load = &c->workload[w];
        if (!all_active(load) || load->load.connections > FEW_CONNECTIONS ||
            !claim_has(c, w, select) || !claim_has(c, w, epoll))
            continue;
        struct stats_interval i = claim_ratio(c, w, select, w, epoll);
        bool no_worse = i.high <= log1p(COMPARE_MARGIN);
        bool worse = !no_worse && claim_verdict(c, w, &i) == VERDICT_LOSES;
        answer = worse ? DOES_NOT : no_worse || answer == DOES_NOT ? answer : CANNOT;
        judge_append(figures, cap, "%s: select takes %s x epoll's CPU; ", load->name,
                     claim_text(&i, text));
        n++;
    }
    if (n > 0)
        return answer;
    judge_append(figures, cap,
                 "select and epoll were not measured with up to %d connections, all "
                 "active",
                 FEW_CONNECTIONS);
    return CANNOT;
}

/* ---- 3: a thread per connection ---- */

static enum answer claim_threads(const struct comparison *c, char *figures, size_t cap)
{
    size_t threads = claim_model(c, "threads"), epoll = claim_model(c, "epoll");
    size_t few = NO_ARM, many = NO_ARM;
    enum answer wins = CANNOT, loses = CANNOT;
    struct stats_interval i;
    char text[CLAIM_TEXT];
    for (size_t w = 0; w < c->nworkloads; w++) {
        unsigned n = c->workload[w].load.connections;
        if (!all_active(&c->workload[w]) || !claim_has(c, w, threads) || !claim_has(c, w, epoll))
            continue;
        if (n <= FEW_CONNECTIONS && (few == NO_ARM || n < c->workload[few].load.connections))
            few = w;
        if (n >= MANY_CONNECTIONS && (many == NO_ARM || n > c->workload[many].load.connections))
            many = w;
    }
    if (few != NO_ARM) {
        i = claim_ratio(c, few, threads, few, epoll);
        wins = if_less(claim_verdict(c, few, &i));
        judge_append(figures, cap, "%s: threads takes %s x epoll's CPU; ", c->workload[few].name,
                     claim_text(&i, text));
    } else {
        judge_append(figures, cap, "not measured with up to %d connections; ", FEW_CONNECTIONS);
    }
    if (many != NO_ARM) {
        i = claim_ratio(c, many, threads, many, epoll);
        loses = claim_if_more(claim_verdict(c, many, &i));
        judge_append(figures, cap, "%s: %s", c->workload[many].name, claim_text(&i, text));
    } else {
        judge_append(figures, cap, "not measured with %d active connections or more",
                     MANY_CONNECTIONS);
    }
    return claim_both(wins, loses);
}

/* ---- 4: polling ---- */

static enum answer burns_core(const struct comparison *c, size_t a, char *figures, size_t cap)
{
    for (size_t w = 0; w < c->nworkloads; w++) {
        if (!c->workload[w].idle || !claim_has(c, w, a))
            continue;
        double cores = CELL_MEDIAN(&c->cell[w][a], cpu_ns) / 1e9;
        judge_append(figures, cap, "idle, nonblocking takes %.2f of a CPU; ", cores);
        return cores >= WHOLE_CORE ? HOLDS : cores < NO_CORE ? DOES_NOT : CANNOT;
    }
    judge_append(figures, cap, "nonblocking was not measured on idle connections; ");
    return CANNOT;
}

/* Our own servers pause when they are asked to: --server 'NAME=pollux serve --poll-pause ...'. */
static size_t find_pausing(const struct comparison *c)
{
    for (size_t a = 0; a < c->narms; a++) {
        if (!c->arm[a].twin && strstr(c->arm[a].command, "--poll-pause"))
            return a;
    }
    return NO_ARM;
}

static enum answer pause_adds(const struct comparison *c, size_t a, char *figures, size_t cap)
{
    size_t pausing = find_pausing(c);
    char text[CLAIM_TEXT];
    for (size_t w = 0; w < c->nworkloads && a != NO_ARM && pausing != NO_ARM; w++) {
        size_t offset = offsetof(struct sample, p50_ns);
        if (c->workload[w].idle || !judge_takes_part(c, w, a, offset) ||
            !judge_takes_part(c, w, pausing, offset))
            continue;
        struct stats_interval i =
            judge_pairs(c, &c->cell[w][pausing], &c->cell[w][a], offset, 0, w);
        judge_append(figures, cap, "%s: with a pause half of the messages take %s x as long",
                     c->workload[w].name, claim_text(&i, text));
        return claim_if_more(claim_verdict(c, w, &i));
    }
    judge_append(figures, cap,
                 "no arm pauses (one would be --server 'NAME=pollux serve --model "
                 "nonblocking --poll-pause 1ms --listen {addr}:{port}')");
    return CANNOT;
}

static enum answer claim_polling(const struct comparison *c, char *figures, size_t cap)
{
    size_t a = claim_model(c, "nonblocking");
    enum answer burns = burns_core(c, a, figures, cap);
    return claim_both(burns, pause_adds(c, a, figures, cap));
}

/* ---- 5: edge-triggered ---- */

static enum answer claim_edges(const struct comparison *c, char *figures, size_t cap)
{
    size_t edge = claim_model(c, "epoll-et"), level = claim_model(c, "epoll");
    size_t offset = offsetof(struct sample, wakeups);
    unsigned fewer = 0, others = 0, open = 0;
    char shown[200] = "", text[64];
    for (size_t w = 0; w < c->nworkloads && edge != NO_ARM && level != NO_ARM; w++) {
        if (c->workload[w].idle || !judge_takes_part(c, w, edge, offset) ||
            !judge_takes_part(c, w, level, offset))
            continue;
        struct stats_interval i =
            judge_pairs(c, &c->cell[w][edge], &c->cell[w][level], offset, 0, w);
        enum verdict v = claim_verdict(c, w, &i);
        fewer += v == VERDICT_BEST;
        others += v == VERDICT_TIE || v == VERDICT_LOSES;
        open += v == VERDICT_CANNOT_TELL;
        if (fewer + others + open <= 3)
            judge_append(shown, sizeof(shown), "; %s: %s x", c->workload[w].name,
                         claim_text(&i, text));
    }
    if (fewer + others + open == 0) {
        judge_append(figures, cap, "epoll and epoll-et were not both measured");
        return CANNOT;
    }
    judge_append(
        figures, cap,
        "edge-triggered wakes up less often in %u of %u workloads, as often or more often in "
        "%u%s",
        fewer, fewer + others + open, others, shown);
    return others > 0 ? DOES_NOT : fewer > 0 && open == 0 ? HOLDS : CANNOT;
}

/* ---- 7: side by side ---- */

struct extreme {
    double least, most;
    size_t arm_least, arm_most;
};

static void stretch(struct extreme *e, double value, size_t a)
{
    if (isnan(e->least) || value < e->least) {
        e->least = value;
        e->arm_least = a;
    }
    if (isnan(e->most) || value > e->most) {
        e->most = value;
        e->arm_most = a;
    }
}

static double switches_of(const struct cell *cell)
{
    return CELL_MEDIAN(cell, voluntary) + CELL_MEDIAN(cell, involuntary);
}

/* How many models have both figures under a workload, and which have the least and the most. */
static size_t range_over(const struct comparison *c, size_t w, bool *seen, struct extreme *calls,
                         struct extreme *switches)
{
    size_t n = 0;
    *calls = *switches = (struct extreme){NAN, NAN, 0, 0};
    for (size_t a = 0; a < c->narms && !c->workload[w].idle; a++) {
        const struct cell *cell = &c->cell[w][a];
        if (c->arm[a].twin || !c->arm[a].model || cell->state != CELL_OK ||
            isnan(judge_calls(cell)) || isnan(switches_of(cell)))
            continue;
        stretch(calls, judge_calls(cell), a);
        stretch(switches, switches_of(cell), a);
        seen[a] = true;
        n++;
    }
    return n;
}

static enum answer claim_side_by_side(const struct comparison *c, char *figures, size_t cap)
{
    bool seen[COMPARE_ARMS_MAX] = {false}, missing[COMPARE_ARMS_MAX] = {false};
    struct extreme calls, switches;
    size_t widest = NO_ARM, most = 0, lacking = 0, models = 0;
    char names[120];
    for (size_t w = 0; w < c->nworkloads; w++) {
        size_t n = range_over(c, w, seen, &calls, &switches);
        if (n > most) {
            most = n;
            widest = w;
        }
    }
    for (size_t a = 0; a < c->narms; a++) {
        bool model = c->arm[a].model && c->arm[a].runs && !c->arm[a].twin;
        missing[a] = model && !seen[a];
        models += model;
        lacking += missing[a];
    }
    if (widest == NO_ARM) {
        judge_append(figures, cap, "no model has counters");
        return CANNOT;
    }
    range_over(c, widest, seen, &calls, &switches);
    judge_append(
        figures, cap,
        "%s, per message: %.2f (%s) to %.2f (%s) system calls, %.2f (%s) to %.2f (%s) context "
        "switches; ",
        c->workload[widest].name, calls.least, c->arm[calls.arm_least].name, calls.most,
        c->arm[calls.arm_most].name, switches.least, c->arm[switches.arm_least].name, switches.most,
        c->arm[switches.arm_most].name);
    if (lacking > 0)
        judge_append(figures, cap, "not counted: %s",
                     judge_names(c, missing, names, sizeof(names)));
    else
        judge_append(figures, cap, "%zu models that run here are in the tables", models);
    return lacking > 0 ? CANNOT : HOLDS;
}

/* ---- 8 and 9: inside a single call ---- */

static enum answer claim_writes(const struct comparison *c, char *figures, size_t cap)
{
    static const char *const names[] = {"threads", "epoll"};
    judge_append(figures, cap,
                 "who waits in a write, and how much it takes, shows in a trace of single "
                 "calls only, which a comparison does not make but pollux explain --scenario "
                 "buffer does");
    for (size_t w = 0; w < c->nworkloads; w++) {
        const struct workload *load = &c->workload[w];
        if (!claim_is_plain(load) || load->load.size[0].bytes < 1024 * 1024)
            continue;
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
            size_t a = claim_model(c, names[i]);
            double sends = a == NO_ARM ? NAN : CELL_MEDIAN(&c->cell[w][a], calls_send);
            if (sends > 0)
                judge_append(figures, cap, "; %s: %.1f send calls per message with %s", load->name,
                             sends, names[i]);
        }
    }
    return CANNOT;
}

static enum answer claim_phases(const struct comparison *c, char *figures, size_t cap)
{
    (void)c;
    judge_append(figures, cap,
                 "a comparison counts calls and adds up CPU; how long each call waited "
                 "and how long it copied shows in a trace of single calls only, which pollux "
                 "explain makes");
    return CANNOT;
}

/* ---- all ---- */

static const struct {
    const char *text;
    enum answer (*test)(const struct comparison *, char *figures, size_t cap);
} claims[COMPARE_CLAIMS] = {
    {"Many connections, few active: epoll beats select and poll, and the cost of select and poll "
     "grows with the connections watched.",
     claim_many_few},
    {"Few connections, all active: select is no worse than epoll.", claim_few_all},
    {"A thread per connection beats a selector at few connections, and loses as they grow.",
     claim_threads},
    {"Polling burns a whole core even when idle, and adds latency when it pauses.", claim_polling},
    {"Edge-triggered wakes up less often than level-triggered.", claim_edges},
    {"Copying the descriptor set to the kernel at each wait is what select and poll pay for.",
     claim_copying},
    {"System calls and switches per message, for every model, side by side.", claim_side_by_side},
    {"Blocking and non-blocking writes when the message is larger than the free socket buffer: who "
     "waits, how much is taken.",
     claim_writes},
    {"The two phases, for every model: time spent waiting and time spent copying.", claim_phases},
};

void compare_claims(struct comparison *c)
{
    static const char *const answers[] = {
        [HOLDS] = "HOLDS HERE", [DOES_NOT] = "DOES NOT HOLD HERE", [CANNOT] = "CANNOT TELL"};
    for (size_t i = 0; i < COMPARE_CLAIMS; i++) {
        struct claim *claim = &c->claim[i];
        *claim = (struct claim){.number = (int)i + 1, .text = claims[i].text};
        claim->answer = answers[claims[i].test(c, claim->figures, sizeof(claim->figures))];
        size_t n = strlen(claim->figures);
        if (n >= 2 && strcmp(claim->figures + n - 2, "; ") == 0)
            claim->figures[n - 2] = '\0';
    }
    c->nclaims = COMPARE_CLAIMS;
}
