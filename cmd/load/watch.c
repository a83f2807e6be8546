/* SPDX-License-Identifier: MIT */
/*
 * Looking on while the threads work: what they have counted is added up, a hundred times a second
 * for what is under way, ten times for people, once for the series of intervals; at the ends of the
 * measured time the server's account is read.
 */
#include "cmd/load/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLE_NS   (10 * PLX_MSEC)
#define TICK_NS     (100 * PLX_MSEC)
#define INTERVAL_NS PLX_SECOND

struct sum run_sum(const struct run *run)
{
    struct sum s = {.at_ns = clock_ns()};
    for (unsigned i = 0; i < run->nworkers; i++) {
        const struct counters *c = &run->worker[i].counters;
        /* In this order a message under way is never counted as less than none. */
        s.answered += counted(&c->answered);
        s.dropped += counted(&c->dropped);
        s.sent += counted(&c->sent);
        s.bytes_in += counted(&c->bytes_received);
        s.bytes_out += counted(&c->bytes_sent);
        s.opened += counted(&c->opened);
        s.lost += counted(&c->lost);
        s.errors += counted(&c->errors);
        s.open += counted(&c->open);
        s.connecting += counted(&c->connecting);
    }
    return s;
}

static void latencies(const struct run *run, struct hist *to)
{
    hist_clear(to);
    for (unsigned i = 0; i < run->nworkers; i++)
        hist_add(to, run->worker[i].latency);
}

bool run_all_at(const struct run *run, enum worker_state s)
{
    for (unsigned i = 0; i < run->nworkers; i++) {
        if (atomic_load(&run->worker[i].state) < (int)s)
            return false;
    }
    return true;
}

/* ---- intervals ---- */

static void add_interval(struct run *run, const struct sum *s)
{
    struct load_result *r = run->result;
    const struct sum *from = &run->last_interval;
    if (r->nintervals == run->room) {
        size_t room = run->room ? 2 * run->room : 64;
        struct load_interval *more = realloc(r->interval, room * sizeof(*more));
        if (!more)
            return;
        r->interval = more;
        run->room = room;
    }
    latencies(run, run->now);
    hist_between(run->between, run->then, run->now);
    bool any = hist_count(run->between) > 0;
    run->p50 = any ? hist_percentile(run->between, 50) : -1;
    run->p99 = any ? hist_percentile(run->between, 99) : -1;
    r->interval[r->nintervals++] = (struct load_interval){
        .at_ns = from->at_ns - run->load.measure_ns,
        .length_ns = s->at_ns - from->at_ns,
        .messages = s->answered - from->answered,
        .bytes_in = s->bytes_in - from->bytes_in,
        .bytes_out = s->bytes_out - from->bytes_out,
        .errors = s->errors - from->errors,
        .p50_ns = run->p50,
        .p99_ns = run->p99,
        .max_ns = any ? hist_max(run->between) : -1,
        .open = (unsigned)s->open,
    };
    hist_copy(run->then, run->now);
    run->last_interval = *s;
}

/* ---- the server's account ---- */

/*
 * To read it takes a moment for each of the server's tasks, while they go on working: a tenth of a
 * second for a thousand. Both readings go through them in the same order, and the second one begins
 * early enough to end with the load, so what is between the two is as long for every task, and as
 * long as between the two looks at our own counters just before.
 */
static bool read_account(struct run *run, struct account *to)
{
    struct load_result *r = run->result;
    struct plx_why why = {"", ""};
    int rc = account_read(run->cfg->server_pid, to, &why);
    if (rc < 0)
        snprintf(r->server_why, sizeof(r->server_why), "%.199s",
                 *why.reason ? why.reason : plx_error_text(rc));
    return rc == 0;
}

static void account_begin(struct run *run)
{
    int64_t begin = clock_ns();
    if (run->cfg->account)
        run->cfg->account(run->cfg->account_arg);
    run->account_from = run_sum(run);
    if (!run->cfg->server_pid)
        return;
    run->result->has_server = read_account(run, &run->from);
    if (run->result->has_server)
        run->busy_from = account_busy_ns(run->from.cpus);
    run->account_took_ns = clock_ns() - begin;
}

static void account_end(struct run *run)
{
    struct load_result *r = run->result;
    struct account to;
    if (run->accounted)
        return;
    run->accounted = true;
    if (run->cfg->account)
        run->cfg->account(run->cfg->account_arg);
    struct sum s = run_sum(run);
    r->server_messages = s.answered - run->account_from.answered;
    r->server_ns = s.at_ns - run->account_from.at_ns;
    if (!r->has_server)
        return;
    r->has_server = read_account(run, &to);
    if (!r->has_server)
        return;
    account_between(&run->from, &to, &r->server);
    int64_t busy = account_busy_ns(run->from.cpus);
    r->server_busy_ns =
        busy == ACCOUNT_NA || run->busy_from == ACCOUNT_NA ? ACCOUNT_NA : busy - run->busy_from;
}

void run_measured(struct run *run)
{
    if (run->measured || !run->measuring)
        return;
    account_end(run);
    run->measured = true;
    struct sum s = run_sum(run);
    add_interval(run, &s);
}

/* ---- ticks and samples ---- */

/* The live figures are of the last interval; before there is one, of what has come so far. */
static void early_percentiles(struct run *run)
{
    if (run->result->nintervals > 0 || !run->measuring)
        return;
    latencies(run, run->now);
    if (hist_count(run->now) > 0) {
        run->p50 = hist_percentile(run->now, 50);
        run->p99 = hist_percentile(run->now, 99);
    }
}

static double done_part(const struct run *run, const struct sum *s, int64_t now)
{
    const struct load *l = &run->load;
    if (run->cfg->messages)
        return (double)s->answered / (double)run->cfg->messages;
    if (l->begin_ns == 0)
        return 0;
    double part = (double)(now - l->begin_ns) / (double)(l->end_ns - l->begin_ns);
    return part > 1 ? 1 : part;
}

static void tick(struct run *run)
{
    const struct load *l = &run->load;
    struct sum s = run_sum(run);
    struct load_progress p = {.left_ns = -1};
    int64_t span = s.at_ns - run->last_tick.at_ns;
    double rate =
        span > 0 ? (double)(s.answered - run->last_tick.answered) * 1e9 / (double)span : 0;
    run->rate = run->rate > 0 ? 0.7 * run->rate + 0.3 * rate : rate;
    run->last_tick = s;
    if (!run->cfg->tick)
        return;
    early_percentiles(run);
    int64_t since = run->started_ns;
    p.phase = LOAD_CONNECTING;
    if (l->begin_ns) {
        bool draining = s.at_ns >= l->end_ns || run_all_at(run, WORKER_DRAINING);
        p.phase = draining ? LOAD_DRAINING : s.at_ns < l->measure_ns ? LOAD_WARMUP : LOAD_MEASURING;
        since = draining                 ? (s.at_ns < l->end_ns ? s.at_ns : l->end_ns)
                : p.phase == LOAD_WARMUP ? l->begin_ns
                                         : l->measure_ns;
        if (l->end_ns != INT64_MAX)
            p.left_ns = draining ? 0 : l->end_ns - s.at_ns;
    }
    p.phase_ns = s.at_ns - since;
    p.done = done_part(run, &s, s.at_ns);
    p.open = (unsigned)s.open;
    p.rate = run->rate;
    p.p50_ns = run->p50;
    p.p99_ns = run->p99;
    p.answered = s.answered;
    p.errors = s.errors;
    run->cfg->tick(run->cfg->arg, &p);
}

static void sample(struct run *run)
{
    if (!run->measuring || run->measured)
        return;
    struct sum s = run_sum(run);
    double n = (double)s.sent - (double)s.answered - (double)s.dropped;
    if (run->cfg->mode == LOAD_CONNECT) /* there a message begins with its connection */
        n += (double)s.connecting;
    run->under_way += n;
    run->samples++;
}

/* When the second reading of the account begins; INT64_MAX = not by the clock. */
static int64_t account_end_at(const struct run *run)
{
    const struct load *l = &run->load;
    if (!run->measuring || run->accounted || l->end_ns == INT64_MAX)
        return INT64_MAX;
    return l->end_ns - run->account_took_ns;
}

int64_t run_watch(struct run *run)
{
    const struct load *l = &run->load;
    int64_t now = clock_ns();
    if (l->begin_ns && !run->measuring && now >= l->measure_ns) {
        run->measuring = true;
        account_begin(run);
        run->last_interval = run->account_from;
        run->next_interval_ns = run->last_interval.at_ns + INTERVAL_NS;
        now = clock_ns();
    }
    if (now >= account_end_at(run)) {
        account_end(run);
        now = clock_ns();
    }
    if (now >= l->end_ns)
        run_measured(run);
    if (run->measuring && !run->measured && now >= run->next_interval_ns) {
        struct sum s = run_sum(run);
        add_interval(run, &s);
        run->next_interval_ns += INTERVAL_NS;
    }
    if (now >= run->next_sample_ns) {
        sample(run);
        run->next_sample_ns = now + SAMPLE_NS;
    }
    if (now >= run->next_tick_ns) {
        tick(run);
        run->next_tick_ns = now + TICK_NS;
    }
    int64_t next = run->next_sample_ns;
    if (l->begin_ns && !run->measuring && l->measure_ns < next)
        next = l->measure_ns;
    if (account_end_at(run) < next)
        next = account_end_at(run);
    if (run->measuring && !run->measured && l->end_ns < next)
        next = l->end_ns;
    return next;
}
