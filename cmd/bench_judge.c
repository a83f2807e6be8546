/* SPDX-License-Identifier: MIT */
/*
 * What may be concluded from a run, and what may not. Each limit stands here once, with its reason;
 * the rules are those of docs/bench.md.
 */
#include "cmd/bench.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Above this share of its thread's time a generator is not sure to send when it could. */
#define CLIENT_BUSY_MOST 0.90

/* An open loop that reached less than this share of its rate did not make the load asked for. */
#define RATE_LEAST 0.99

/* The generator's own lag may be so much of the latency, both at p99. */
#define LAG_MOST 0.10

/* How far Little's law may be off. Messages that cross an end of the measured time blur both of its
 * sides, by at most as many as are under way: with so many times more messages, by less than that.
 */
#define LITTLE_MOST     0.05
#define LITTLE_MESSAGES 50.0

/* By chance it may be off too; from this part of the whole on a check would mean nothing. The
 * generator samples a hundred times a second (cmd/load/watch.c). */
#define LITTLE_NOISE 0.25
#define SAMPLE_NS    1e7

/* Work of others on the server's CPUs is worth a word from this share of what they did on, and of
 * what they could have done. */
#define OTHERS_OF_BUSY 0.10
#define OTHERS_OF_ALL  0.05

/* The server's CPU time is told with so large a doubt before that is said. */
#define MARGIN_MOST 0.02

/* A percentile is worth its name with so many messages above it. */
#define TAIL_LEAST 10.0

const struct bench_percentile bench_percentiles[] = {{50, "p50", "p50"},
                                                     {90, "p90", "p90"},
                                                     {99, "p99", "p99"},
                                                     {99.9, "p99.9", "p99_9"},
                                                     {99.99, "p99.99", "p99_99"}};
const size_t bench_npercentiles = sizeof bench_percentiles / sizeof *bench_percentiles;

const char *bench_verdict_name(enum load_verdict verdict)
{
    static const char *const names[] = {[LOAD_OK] = "ok",
                                        [LOAD_FAILED] = "failed",
                                        [LOAD_INVALID] = "invalid",
                                        [LOAD_INTERRUPTED] = "interrupted",
                                        [LOAD_CANNOT] = "cannot"};

    return names[verdict];
}

/* ---- figures ---- */

static double per(double what, double of)
{
    return of > 0 ? what / of : NAN;
}

static double known(int64_t value)
{
    return value == ACCOUNT_NA ? NAN : (double)value;
}

static void judge_client(const struct load_result *r, struct bench_judgement *j)
{
    double messages = (double)r->messages;

    j->seconds = (double)r->measured_ns / 1e9;
    j->rate = per(messages, j->seconds);
    j->rate_in = per((double)r->bytes_in, j->seconds);
    j->rate_out = per((double)r->bytes_out, j->seconds);
    double spent = (double)r->client_user_ns + (double)r->client_system_ns;

    j->client_ns = per(fmax(0, spent - (double)r->client_spun_ns), messages);
    j->client_spun_ns = per((double)r->client_spun_ns, messages);
    j->client_bound = r->client_busy + r->client_starved > CLIENT_BUSY_MOST;
    for (size_t i = 0; i < LOAD_ERRORS; i++)
        j->errors += r->failure[i].count;
}

static void judge_open_loop(const struct load_config *load, const struct load_result *r,
                            struct bench_judgement *j)
{
    double expected = load->rate * j->seconds;
    /* The last answer may come just after the end, and the first message leave just after the
     * beginning. What is drawn at random varies besides, by the root of its mean: three times that
     * is exceeded once in a thousand runs. */
    double slack = 2 + (load->arrival == LOAD_POISSON ? 3 * sqrt(expected) : 0);

    j->share = NAN;
    if (load->arrival == LOAD_CLOSED)
        return;
    j->share = per((double)r->messages, expected);
    j->rate_missed = (double)r->messages + slack < RATE_LEAST * expected;
    j->late =
        r->lag != NULL && hist_count(r->lag) > 0 && hist_count(r->latency) > 0 &&
        (double)hist_percentile(r->lag, 99) > LAG_MOST * (double)hist_percentile(r->latency, 99);
}

struct spread {
    double sum, squares, count;
};

static void add_spread(void *arg, int64_t low, int64_t high, uint64_t count)
{
    struct spread *s = arg;
    double value = ((double)low + (double)high) / 2;

    s->count += (double)count;
    s->sum += value * (double)count;
    s->squares += value * value * (double)count;
}

/*
 * How far the mean of samples may be off by chance. In the closed loop the number under way is
 * nearly constant. In the open loop it comes and goes: by its root if messages come and go one by
 * one, and by rate x deviation of the latency if they wait for the same thing together. Samples
 * that are nearer to each other than a message takes are not independent.
 */
static double little_noise(const struct load_config *load, const struct load_result *r,
                           const struct bench_judgement *j)
{
    struct spread s = {0};
    double mean;
    double together;
    double samples;

    if (load->arrival == LOAD_CLOSED)
        return 0;
    hist_each(r->latency, add_spread, &s);
    mean = s.sum / s.count;
    together = j->rate / 1e9 * sqrt(fmax(0, s.squares / s.count - mean * mean));
    samples = (double)r->measured_ns / fmax(SAMPLE_NS, 2 * mean);
    return 3 * sqrt((j->little + together * together) / samples);
}

static const char *little_unknown(const struct load_result *r, const struct bench_judgement *j,
                                  double noise)
{
    if (hist_count(r->latency) == 0)
        return "there are no latencies to compare it with";
    if (j->rate_missed)
        return "no check, because more came than left";
    if ((double)r->messages < LITTLE_MESSAGES * r->in_flight || !(j->little > 0) ||
        noise > LITTLE_NOISE * j->little)
        return "too short a run for a check";
    return NULL;
}

static void judge_little(const struct load_config *load, const struct load_result *r,
                         struct bench_judgement *j)
{
    /* A message of the open loop that is late is not under way yet, though its latency counts. */
    double late = r->lag != NULL ? hist_mean(r->lag) : 0;
    double noise = 0;

    j->little = NAN;
    j->little_off = NAN;
    if (hist_count(r->latency) > 0) {
        j->little = j->rate * (hist_mean(r->latency) - late) / 1e9;
        noise = little_noise(load, r, j);
    }
    j->little_why = little_unknown(r, j, noise);
    if (j->little_why != NULL)
        return;
    j->little_off = r->in_flight / j->little - 1;
    j->little_fine = fabs(r->in_flight - j->little) <= LITTLE_MOST * j->little + noise;
}

static void judge_server(const struct load_result *r, struct bench_judgement *j)
{
    const struct account *a = &r->server;
    /* What came between the two readings of the account: not exactly the measured time. */
    double messages = (double)r->server_messages;
    double seconds = (double)r->server_ns / 1e9;
    double client = (double)r->client_user_ns + (double)r->client_system_ns;
    double spent = r->has_server ? known(a->cpu_ns) : NAN;
    double busy = r->has_server ? known(r->server_busy_ns) : NAN;

    j->cpus_shared = r->has_server && account_cpus_overlap(a->cpus, r->client_cpus);
    j->server_ns = per(spent, messages);
    j->server_user_ns = r->has_server ? per(known(a->user_ns), messages) : NAN;
    j->server_system_ns = r->has_server ? per(known(a->system_ns), messages) : NAN;
    j->server_load = per(spent / 1e9, seconds);
    j->voluntary = r->has_server ? per(known(a->voluntary), messages) : NAN;
    j->involuntary = r->has_server ? per(known(a->involuntary), messages) : NAN;
    j->others = per(busy - spent - (j->cpus_shared ? client : 0), busy);
    if (j->others < 0)
        j->others = 0; /* CPUs count in clock ticks, the accounts in finer steps */
}

/* ---- caveats ---- */

__attribute__((format(printf, 3, 4))) static void caveat(struct bench_judgement *j,
                                                         const char *name, const char *fmt, ...)
{
    struct bench_caveat *c;
    va_list ap;

    if (j->ncaveats == BENCH_CAVEATS_MAX)
        return;
    c = &j->caveat[j->ncaveats++];
    c->name = name;
    va_start(ap, fmt);
    vsnprintf(c->text, sizeof c->text, fmt, ap);
    va_end(ap);
}

static void add_load_caveats(const struct load_config *load, const struct load_result *r,
                             struct bench_judgement *j)
{
    char a[BENCH_TEXT];
    char b[BENCH_TEXT];

    if (j->client_bound)
        caveat(
            j, "client-bound",
            "CLIENT-BOUND: the generator's busiest thread was busy for %.1f %% of the time, and "
            "for %.1f %% it was ready and found no CPU free, so the rate is what this client can "
            "do, not what the server can. Only the server's CPU per message may be compared "
            "then. Give it more --threads, and CPUs of their own.",
            100 * r->client_busy, 100 * r->client_starved);
    if (j->rate_missed)
        caveat(j, "rate-missed",
               "The rate was missed: no latency verdict. %s/s were asked for and %s/s achieved "
               "(%.1f %%).",
               bench_count(load->rate, a), bench_count(j->rate, b), 100 * j->share);
    if (j->late)
        caveat(j, "generator-late",
               "The generator was late itself: no latency verdict. The p99 of its lag is %s, more "
               "than a tenth of the p99 latency of %s.",
               bench_time((double)hist_percentile(r->lag, 99), a),
               bench_time((double)hist_percentile(r->latency, 99), b));
    if (j->little_why == NULL && !j->little_fine)
        caveat(j, "little",
               "Little's law does not hold: %s messages were under way in the mean, rate x mean "
               "latency makes %s. Something between the two was not measured.",
               bench_count(r->in_flight, a), bench_count(j->little, b));
}

/* How many percentiles the sample is large enough for. */
static size_t supported(uint64_t count)
{
    size_t n = 0;

    while (n < bench_npercentiles &&
           (double)count * (100 - bench_percentiles[n].percent) / 100 >= TAIL_LEAST)
        n++;
    return n;
}

static void add_sample_caveats(const struct load_config *load, const struct load_result *r,
                               struct bench_judgement *j)
{
    uint64_t count = hist_count(r->latency);
    size_t n = supported(count);
    char a[BENCH_TEXT];

    if (r->messages == 0)
        caveat(j, "no-messages",
               "No message was answered in the measured time: there is no rate, "
               "and no latency.");
    if (count > 0 && n < bench_npercentiles)
        caveat(j, "few-messages", "Of %s messages fewer than ten are above %s: %s on chance.",
               bench_count((double)count, a), bench_percentiles[n].name,
               n + 1 < bench_npercentiles ? "it and what is beyond rest" : "it rests");
    if (load->warmup_ns == 0)
        caveat(j, "no-warm-up",
               "No warm-up: what happens once, at the beginning, is part of the figures.");
    if (load->expect == LOAD_NONE)
        caveat(j, "not-verified",
               "The answers were not verified (--expect none): a server that answers wrongly may "
               "well be faster.");
}

static void add_place_caveats(const struct load_config *load, const struct load_result *r,
                              struct bench_judgement *j)
{
    double possible = (double)r->server_ns / 1e9 * account_cpus_count(r->server.cpus);
    double busy = r->has_server ? known(r->server_busy_ns) / 1e9 : NAN;
    char margin[BENCH_TEXT];

    if (load->to.sa.sa_family == AF_UNIX)
        caveat(j, "loopback",
               "A unix socket: there is no network in between, and the sender pays for much of "
               "the receiver's work.");
    else if (bench_is_local(&load->to))
        caveat(j, "loopback",
               "Loopback: the sender pays for the receiver's softirq, so each side is charged "
               "with work of the other. A network in between gives other figures.");
    if (j->cpus_shared)
        caveat(j, "shared-cpus",
               "Server (CPUs %s) and client (CPUs %s) may run on the same CPUs and take them from "
               "each other. Pin them apart with taskset(1).",
               r->server.cpus, r->client_cpus);
    if (j->others > OTHERS_OF_BUSY && j->others * busy > OTHERS_OF_ALL * possible)
        caveat(j, "others",
               "%.0f %% of the time for which the server's CPUs (%s) were busy is in the account "
               "of neither the server nor this client: other programs, or the kernel's work for "
               "the network.",
               100 * j->others, r->server.cpus);
    if (r->has_server && r->server.forgets_children)
        caveat(j, "forgotten-children",
               "The server ignores SIGCHLD, so the kernel forgets what its ended children spent: "
               "the server's CPU is more than is said here.");
    if (r->has_server && r->server.cpu_ns != ACCOUNT_NA &&
        (double)r->server.margin_ns > MARGIN_MOST * (double)r->server.cpu_ns)
        caveat(j, "coarse-account",
               "The server's CPU time is known to within %s only, which is more than 2 %% of it. "
               "Measure for longer.",
               bench_time((double)r->server.margin_ns, margin));
    if (load->server_pid != 0 && !r->has_server)
        caveat(j, "server-unread", "What the server cost could not be read: %s", r->server_why);
}

/* ---- in words ---- */

/* What happened first, of the kinds from `from` on; adds how often the later kinds did. */
static size_t describe_failures(const struct load_result *r, size_t from, char *buf, size_t cap)
{
    size_t used = 0;

    for (size_t i = from; i < LOAD_ERRORS && used < cap; i++) {
        const struct load_failure *f = &r->failure[i];
        const char *name = load_error_name((enum load_error)i);

        if (f->count == 0)
            continue;
        if (used == 0)
            used += (size_t)snprintf(buf, cap, "%s: %s", name, f->first);
        else
            used += (size_t)snprintf(buf + used, cap - used, "; and %s: %llu", name,
                                     (unsigned long long)f->count);
    }
    return used;
}

static void complain_of_failures(const struct load_result *r, char *buf, size_t cap)
{
    uint64_t refused = r->failure[LOAD_ERR_CONNECT].count;
    char what[600] = "no reason is known";
    uint64_t n = 0;

    for (size_t i = 0; i < LOAD_ERRORS; i++)
        n += r->failure[i].count;
    describe_failures(r, LOAD_ERR_CONNECT, what, sizeof what);
    if (r->lost > 0 && refused == 0)
        snprintf(buf, cap, "%llu of %llu connections were lost: %s", (unsigned long long)r->lost,
                 (unsigned long long)r->opened, what);
    else if (refused > 0 && refused == n)
        snprintf(buf, cap, "%llu of %llu connections could not be made: %s",
                 (unsigned long long)refused, (unsigned long long)(r->opened + refused),
                 r->failure[LOAD_ERR_CONNECT].first);
    else
        snprintf(buf, cap, "%llu error%s: %s", (unsigned long long)n, n == 1 ? "" : "s", what);
}

char *bench_complaint(const struct load_result *r, char *buf, size_t cap)
{
    uint64_t wrong = r->failure[LOAD_ERR_MISMATCH].count;

    buf[0] = '\0';
    switch (r->verdict) {
    case LOAD_OK: break;
    case LOAD_CANNOT: snprintf(buf, cap, "%s", r->why); break;
    case LOAD_FAILED: complain_of_failures(r, buf, cap); break;
    case LOAD_INVALID:
        snprintf(buf, cap, "not valid, %llu wrong answer%s: %s", (unsigned long long)wrong,
                 wrong == 1 ? "" : "s; the first", r->failure[LOAD_ERR_MISMATCH].first);
        break;
    case LOAD_INTERRUPTED:
        snprintf(buf, cap, "interrupted; the figures are of the %.2f s that were measured",
                 (double)r->measured_ns / 1e9);
        break;
    }
    return buf;
}

/* ---- the whole ---- */

void bench_judge(const struct bench_plan *plan, const struct load_result *r,
                 struct bench_judgement *j)
{
    memset(j, 0, sizeof *j);
    judge_client(r, j);
    judge_open_loop(&plan->load, r, j);
    judge_little(&plan->load, r, j);
    judge_server(r, j);
    j->rate_counts = (r->verdict == LOAD_OK || r->verdict == LOAD_INTERRUPTED) && r->messages > 0 &&
                     !j->client_bound;
    j->latency_counts = j->rate_counts && hist_count(r->latency) > 0 && !j->rate_missed && !j->late;
    add_load_caveats(&plan->load, r, j);
    add_sample_caveats(&plan->load, r, j);
    add_place_caveats(&plan->load, r, j);
}
