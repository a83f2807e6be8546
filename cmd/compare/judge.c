/* SPDX-License-Identifier: MIT */
/*
 * Who is best, and who is not: per workload and metric. docs/comparing.md has the method.
 *
 * Every arm is held against the best one in pairs, samples of the same round: what the machine did
 * meanwhile (another guest of the same host, the clock's frequency) is in both and drops out of
 * their ratio. Centre and interval of the ratios are those of stats.h, on the logarithmic scale.
 *
 * How large a difference is found, by simulation (tests/unit/compare_judge_test.c): the machine as
 * a whole drifts by 10 % up or down from round to round, each run is off by some per cent (standard
 * deviation) and one in 25 by half. Of 1000 comparisons of two servers and a twin:
 *
 *                           the same server twice      the second slower by 10 %
 *     rounds       noise    TIE      LOSES             LOSES (never TIE)
 *     10           2, 4 %   78, 17   0.2, 0.4 %        90, 76 %
 *     15           2, 4 %   84, 41   0.0, 0.2 %        98, 91 %
 *     20           2, 4 %   99, 65   0.0, 0.3 %        100, 99 %
 *     10 to 35     2, 4 %   100, 97  0.2, 2.0 %        100, 100 %     (looking after each)
 *     10 to 35     5 %      88       3.4 %             100 %
 *
 * What is neither is CANNOT TELL. The intervals are of 95 % each, not of all together, and the best
 * is chosen after looking: of twelve arms that are the same, with 3 % of noise, one or another is
 * called a loser in one contest of ten.
 */
#include "cmd/compare/judge.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An open loop that reached less than this share of its rate did not carry the load. Runs are
 * short, so that a few messages more or less at their ends are of some weight. */
#define RATE_LEAST 0.98

const char *metric_name(enum metric m)
{
    static const char *const names[] = {
        [METRIC_CPU] = "cpu", [METRIC_RATE] = "rate", [METRIC_P99] = "p99"};
    return names[m];
}

const char *verdict_name(enum verdict v)
{
    static const char *const names[] = {[VERDICT_BEST] = "BEST",
                                        [VERDICT_TIE] = "TIE",
                                        [VERDICT_LOSES] = "LOSES",
                                        [VERDICT_CANNOT_TELL] = "CANNOT TELL",
                                        [VERDICT_INVALID] = "INVALID"};
    return names[v];
}

void judge_append(char *buf, size_t cap, const char *fmt, ...)
{
    size_t used = strlen(buf);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(buf + used, cap - used, fmt, ap);
    va_end(ap);
}

char *judge_names(const struct comparison *c, const bool *set, char *buf, size_t cap)
{
    enum { SHOWN = 3 };
    size_t n = 0, shown = 0;
    for (size_t a = 0; a < c->narms; a++)
        n += set[a];
    buf[0] = '\0';
    for (size_t a = 0; a < c->narms && shown < SHOWN; a++) {
        if (!set[a])
            continue;
        const char *between = shown == 0 ? "" : shown + 1 == n ? " and " : ", ";
        judge_append(buf, cap, "%s%.32s", between, c->arm[a].name);
        shown++;
    }
    if (n > shown)
        judge_append(buf, cap, " and %zu more", n - shown);
    return buf;
}

/* ---- figures ---- */

bool judge_open_loop(const struct workload *w)
{
    return !w->idle && (w->half || w->load.arrival != LOAD_CLOSED);
}

size_t judge_offset(enum metric m)
{
    static const size_t offsets[] = {[METRIC_CPU] = offsetof(struct sample, cpu_ns),
                                     [METRIC_RATE] = offsetof(struct sample, rate),
                                     [METRIC_P99] = offsetof(struct sample, p99_ns)};
    return offsets[m];
}

double judge_least(const struct workload *w, enum metric m)
{
    return w->idle && m == METRIC_CPU ? JUDGE_IDLE_LEAST : 0;
}

/* NAN where there is nothing that has a logarithm. */
static double logarithm(const struct sample *s, size_t offset, double least)
{
    double value = *(const double *)(const void *)((const char *)s + offset);
    if (value < least)
        value = least;
    return value > 0 && isfinite(value) ? log(value) : NAN;
}

bool judge_takes_part(const struct comparison *c, size_t w, size_t a, size_t offset)
{
    const struct cell *cell = &c->cell[w][a];
    return !c->arm[a].twin && cell->state == CELL_OK && isfinite(cell_median(cell, offset));
}

struct stats_interval judge_pairs(const struct comparison *c, const struct cell *a,
                                  const struct cell *b, size_t offset, double least, uint64_t salt)
{
    struct stats_interval out = {NAN, NAN, NAN};
    double *pairs = malloc((a->nsamples + 1) * sizeof(*pairs));
    size_t n = 0;
    if (!pairs)
        return out;
    for (size_t i = 0, k = 0; i < a->nsamples; i++) {
        while (k < b->nsamples && b->sample[k].round < a->sample[i].round)
            k++;
        if (k == b->nsamples || b->sample[k].round != a->sample[i].round)
            continue;
        double d =
            logarithm(&a->sample[i], offset, least) - logarithm(&b->sample[k], offset, least);
        if (!isnan(d))
            pairs[n++] = d;
    }
    /* Without memory there is no interval, and CANNOT TELL follows. */
    (void)stats_interval(pairs, n, c->confidence, c->resamples, c->seed ^ (salt << 20), &out);
    free(pairs);
    return out;
}

enum verdict judge_interval(const struct stats_interval *i, double floor)
{
    double margin = floor > COMPARE_MARGIN ? fmin(floor, JUDGE_FLOOR_MOST) : COMPARE_MARGIN;
    if (i->low >= -log1p(margin) && i->high <= log1p(margin))
        return VERDICT_TIE;
    if (i->low > log1p(floor))
        return VERDICT_LOSES;
    return i->high < -log1p(floor) ? VERDICT_BEST : VERDICT_CANNOT_TELL;
}

/* ---- what is noise ---- */

/* What a twin and its arm differ by; the most if there are several, NAN without one. */
static double own_floor(const struct comparison *c, size_t w, enum metric m)
{
    double floor = NAN;
    for (size_t a = 0; a < c->narms; a++) {
        const struct cell *twin = &c->cell[w][a];
        if (!c->arm[a].twin || twin->state != CELL_OK || c->cell[w][c->arm[a].of].state != CELL_OK)
            continue;
        struct stats_interval i = judge_pairs(c, twin, &c->cell[w][c->arm[a].of], judge_offset(m),
                                              judge_least(&c->workload[w], m), 0);
        if (!isnan(i.low)) /* of fewer rounds it would be chance */
            floor = fmax(isnan(floor) ? 0 : floor, expm1(fabs(i.centre)));
    }
    return floor;
}

/* Of another workload's floors: the one in the middle. Idle servers are noisy in their own way. */
static double others_floor(const struct comparison *c, size_t w, const double *floor)
{
    double known[COMPARE_WORKLOADS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < c->nworkloads; i++) {
        if (!isnan(floor[i]) && c->workload[i].idle == c->workload[w].idle)
            known[n++] = floor[i];
    }
    return stats_median(known, n);
}

static void find_floors(struct comparison *c, enum metric m,
                        enum floor_source source[COMPARE_WORKLOADS_MAX][METRICS])
{
    double floor[COMPARE_WORKLOADS_MAX];
    for (size_t w = 0; w < c->nworkloads; w++)
        floor[w] = own_floor(c, w, m);
    for (size_t w = 0; w < c->nworkloads; w++) {
        double others = others_floor(c, w, floor);
        source[w][m] = !isnan(floor[w]) ? FLOOR_TWIN
                       : !isnan(others) ? FLOOR_OTHERS
                                        : FLOOR_ASSUMED;
        c->contest[w][m].floor = !isnan(floor[w]) ? floor[w]
                                 : !isnan(others) ? others
                                                  : JUDGE_FLOOR_ASSUMED;
    }
}

/* ---- who is in it ---- */

/* Where rates are not the server's, neither they nor latencies are compared. */
static bool client_was_limit(const struct comparison *c, size_t w, const bool *in, char *why,
                             size_t cap)
{
    bool bound[COMPARE_ARMS_MAX] = {false};
    char names[128];
    bool any = false;
    for (size_t a = 0; a < c->narms; a++) {
        bound[a] = in[a] && CELL_MEDIAN(&c->cell[w][a], client_busy) > JUDGE_CLIENT_BUSY;
        any |= bound[a];
    }
    if (any)
        snprintf(why, cap,
                 "the client was the limit, busy for more than %.0f %% of the time, with %s",
                 100 * JUDGE_CLIENT_BUSY, judge_names(c, bound, names, sizeof(names)));
    return any;
}

/* The rate that an open loop asked for: it is known, or whoever came nearest tells. */
static double asked_rate(const struct comparison *c, size_t w)
{
    double asked = c->workload[w].load.rate;
    for (size_t a = 0; !(c->workload[w].load.rate > 0) && a < c->narms; a++)
        asked = fmax(asked, CELL_MEDIAN(&c->cell[w][a], rate));
    return asked;
}

/* A rate that was missed has no latency verdict: messages waited that were never sent. */
static void leave_out_late(const struct comparison *c, size_t w, bool *in, struct contest *contest)
{
    double asked = asked_rate(c, w);
    for (size_t a = 0; a < c->narms; a++) {
        double rate = CELL_MEDIAN(&c->cell[w][a], rate);
        if (!in[a] || rate >= RATE_LEAST * asked)
            continue;
        in[a] = false;
        snprintf(contest->standing[a].why, sizeof(contest->standing[a].why),
                 "it missed the rate: %.0f/s of %.0f/s", rate, asked);
    }
}

static bool is_held(const struct comparison *c, size_t w, enum metric m, bool *in,
                    struct contest *contest)
{
    const struct workload *load = &c->workload[w];
    char *why = contest->not_held;
    size_t cap = sizeof(contest->not_held);
    bool any = false;
    for (size_t a = 0; a < c->narms; a++)
        in[a] = judge_takes_part(c, w, a, judge_offset(m));
    if (m != METRIC_CPU && load->idle)
        snprintf(why, cap, "nothing is sent");
    else if (m == METRIC_RATE && judge_open_loop(load))
        snprintf(why, cap, "the rate is fixed");
    else if (m == METRIC_P99 && !judge_open_loop(load))
        snprintf(why, cap, "in a closed loop latency only mirrors the rate; a fixed rate tells it");
    else if (m == METRIC_CPU || !client_was_limit(c, w, in, why, cap)) {
        if (m == METRIC_P99)
            leave_out_late(c, w, in, contest);
        for (size_t a = 0; a < c->narms; a++)
            any |= in[a];
        if (!any)
            snprintf(why, cap, "there is no figure of any arm");
    }
    return any;
}

/* ---- the best ---- */

/* The logarithms of all that are in it, for the rounds that all of them have; the mean of each
 * round is taken off. Returns how many rounds; `table` has room for all of `first`. */
static size_t common_rounds(const struct comparison *c, size_t w, enum metric m, const bool *in,
                            const struct cell *first, double *table)
{
    size_t at[COMPARE_ARMS_MAX] = {0};
    size_t n = 0;
    for (size_t i = 0; i < first->nsamples; i++) {
        unsigned round = first->sample[i].round;
        double *row = &table[n * COMPARE_ARMS_MAX];
        double sum = 0, count = 0;
        for (size_t a = 0; a < c->narms; a++) {
            const struct cell *cell = &c->cell[w][a];
            if (!in[a])
                continue;
            while (at[a] < cell->nsamples && cell->sample[at[a]].round < round)
                at[a]++;
            row[a] = at[a] < cell->nsamples && cell->sample[at[a]].round == round
                         ? logarithm(&cell->sample[at[a]], judge_offset(m), 0)
                         : NAN;
            sum += row[a];
            count++;
        }
        for (size_t a = 0; a < c->narms; a++)
            row[a] -= sum / count;
        if (!isnan(sum))
            n++;
    }
    return n;
}

/* By what an arm is placed: less is better. By the rounds that all have, without their drift, or
 * where there is none (or a value was 0, as of idle servers) by the median. */
static void score(const struct comparison *c, size_t w, enum metric m, const bool *in, double *out)
{
    const struct cell *first = NULL;
    for (size_t a = c->narms; a-- > 0;)
        first = in[a] ? &c->cell[w][a] : first;
    double *table = first ? calloc(first->nsamples * (COMPARE_ARMS_MAX + 1), sizeof(*table)) : NULL;
    size_t n = table ? common_rounds(c, w, m, in, first, table) : 0;
    double *column = table ? table + first->nsamples * COMPARE_ARMS_MAX : NULL;
    double sign = m == METRIC_RATE ? -1 : 1;
    for (size_t a = 0; a < c->narms; a++) {
        if (!in[a])
            continue;
        for (size_t i = 0; i < n; i++)
            column[i] = table[i * COMPARE_ARMS_MAX + a];
        out[a] = sign *
                 (n > 0 ? stats_midmean(column, n) : cell_median(&c->cell[w][a], judge_offset(m)));
    }
    free(table);
}

static size_t find_best(const struct comparison *c, size_t w, enum metric m, const bool *in)
{
    double scores[COMPARE_ARMS_MAX];
    size_t best = COMPARE_ARMS_MAX;
    score(c, w, m, in, scores);
    for (size_t a = 0; a < c->narms; a++) {
        if (in[a] && (best == COMPARE_ARMS_MAX || scores[a] < scores[best]))
            best = a;
    }
    return best;
}

/* ---- the standings ---- */

/* Somebody without a figure. */
static void explain_absence(const struct comparison *c, size_t w, size_t a, struct standing *s)
{
    const struct cell *cell = &c->cell[w][a];
    const struct arm *arm = &c->arm[a];
    const char *why = arm->twin              ? "it is measured for the noise only"
                      : cell->why[0] != '\0' ? cell->why
                      : !arm->runs           ? arm->why
                      : cell->nsamples == 0  ? "it was not measured"
                      : !c->workload[w].idle && !(CELL_MEDIAN(cell, messages) > 0)
                          ? "no message was answered within the measured time"
                          : "the figure could not be read";
    s->verdict = VERDICT_INVALID;
    if (s->why[0] == '\0')
        snprintf(s->why, sizeof(s->why), "%s", why);
}

static void stand(const struct comparison *c, size_t w, enum metric m, size_t a,
                  struct contest *contest)
{
    struct standing *s = &contest->standing[a];
    size_t best = contest->best;
    uint64_t salt = (w * METRICS + m) * COMPARE_ARMS_MAX + a + 1;
    double sign = m == METRIC_RATE ? -1 : 1;
    if (a == best) {
        s->ratio = s->low = s->high = 1;
        s->verdict = VERDICT_BEST;
        return;
    }
    struct stats_interval i = judge_pairs(c, &c->cell[w][a], &c->cell[w][best], judge_offset(m),
                                          judge_least(&c->workload[w], m), salt);
    s->ratio = exp(i.centre);
    s->low = exp(i.low);
    s->high = exp(i.high);
    struct stats_interval worse = {sign * i.centre, sign > 0 ? i.low : -i.high,
                                   sign > 0 ? i.high : -i.low};
    s->verdict = judge_interval(&worse, contest->floor);
    /* The others' rounds made it the best; by the rounds of these two alone it is not. */
    if (s->verdict == VERDICT_BEST)
        s->verdict = VERDICT_CANNOT_TELL;
    if (s->verdict == VERDICT_LOSES)
        judge_why(c, w, a, best, s->why, sizeof(s->why));
}

static void hold(struct comparison *c, size_t w, enum metric m)
{
    struct contest *contest = &c->contest[w][m];
    bool in[COMPARE_ARMS_MAX] = {false};
    contest->held = is_held(c, w, m, in, contest);
    contest->best = contest->held ? find_best(c, w, m, in) : 0;
    for (size_t a = 0; a < c->narms; a++) {
        struct standing *s = &contest->standing[a];
        const struct cell *cell = &c->cell[w][a];
        s->value = cell->state == CELL_OK ? cell_median(cell, judge_offset(m)) : NAN;
        s->ratio = s->low = s->high = NAN;
        if (!in[a])
            explain_absence(c, w, a, s);
        else if (contest->held)
            stand(c, w, m, a, contest);
        else
            s->verdict = VERDICT_CANNOT_TELL;
    }
}

void compare_judge(struct comparison *c)
{
    enum floor_source floors[COMPARE_WORKLOADS_MAX][METRICS];
    memset(c->contest, 0, sizeof(c->contest));
    for (enum metric m = 0; m < METRICS; m++) {
        find_floors(c, m, floors);
        for (size_t w = 0; w < c->nworkloads; w++)
            hold(c, w, m);
    }
    compare_claims(c);
    compare_caveats(c, floors);
}
