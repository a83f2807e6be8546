/* SPDX-License-Identifier: MIT */
/*
 * The summary: the headline for somebody with five seconds, then the rest, within 100 columns. A
 * figure that is not known is n/a.
 */
#include "cmd/bench.h"
#include "cmd/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LABEL_COLUMNS 13
#define RATE_COLUMNS  40
#define MIB           (1024.0 * 1024.0)

/* ---- figures for people ---- */

static char *scaled(double value, const char *unit, char *buf)
{
    int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;

    snprintf(buf, BENCH_TEXT, "%.*f %s", decimals, value, unit);
    return buf;
}

char *bench_time(double ns, char *buf)
{
    if (isnan(ns) || ns < 0)
        snprintf(buf, BENCH_TEXT, "n/a");
    else if (ns < 999.5)
        snprintf(buf, BENCH_TEXT, "%.0f ns", ns);
    else if (ns < 999.5e3)
        scaled(ns / 1e3, "us", buf);
    else if (ns < 999.5e6)
        scaled(ns / 1e6, "ms", buf);
    else
        scaled(ns / 1e9, "s", buf);
    return buf;
}

char *bench_count(double n, char *buf)
{
    char digits[BENCH_TEXT];
    size_t len;
    size_t at = 0;

    if (isnan(n) || n < 0 || n > 9e15) {
        snprintf(buf, BENCH_TEXT, "n/a");
        return buf;
    }
    if (n > 0 && n < 0.001) {
        snprintf(buf, BENCH_TEXT, "<0.001");
        return buf;
    }
    if (n < 99.95 && n != (double)(int64_t)n) {
        snprintf(buf, BENCH_TEXT, "%.*f", n < 0.0995 ? 3 : n < 9.995 ? 2 : 1, n);
        return buf;
    }
    snprintf(digits, sizeof digits, "%.0f", n);
    len = strlen(digits);
    for (size_t i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            buf[at++] = ',';
        buf[at++] = digits[i];
    }
    buf[at] = '\0';
    return buf;
}

char *bench_bytes(double n, char *buf)
{
    if (isnan(n) || n < 0)
        snprintf(buf, BENCH_TEXT, "n/a");
    else if (n < 999.5)
        snprintf(buf, BENCH_TEXT, "%.0f B", n);
    else if (n < 999.5e3)
        scaled(n / 1e3, "kB", buf);
    else if (n < 999.5e6)
        scaled(n / 1e6, "MB", buf);
    else
        scaled(n / 1e9, "GB", buf);
    return buf;
}

/* ---- lines ---- */

/* "Label        text", wrapped. What a server or a process is called may be in the text. */
__attribute__((format(printf, 2, 3))) static void line(const char *label, const char *fmt, ...)
{
    char text[1024];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    for (char *p = text; *p != '\0'; p++) {
        if ((unsigned char)*p < ' ' || (unsigned char)*p > '~')
            *p = '?';
    }
    printf("%-*s", LABEL_COLUMNS, label);
    text_wrap(text, LABEL_COLUMNS, LABEL_COLUMNS, TEXT_TABLE_WIDTH);
}

static const char *plural(uint64_t n)
{
    return n == 1 ? "" : "s";
}

static void print_alarm(const char *text)
{
    const char *no = getenv("NO_COLOR");
    bool colour = isatty(STDOUT_FILENO) && (no == NULL || *no == '\0');

    printf("%s%s%s", colour ? "\033[1;31m" : "", text, colour ? "\033[0m" : "");
}

/* ---- the head ---- */

static void print_sizes(const struct load_config *load, char *buf, size_t cap)
{
    char size[UNIT_TEXT];

    buf[0] = '\0';
    for (size_t i = 0; i < load->nsizes; i++) {
        size_t at = strlen(buf);

        unit_format(UNIT_SIZE, load->size[i].bytes, size, sizeof size);
        if (load->nsizes == 1)
            snprintf(buf, cap, "%s bytes", size);
        else
            snprintf(buf + at, cap - at, "%s%s:%" PRIu32, i > 0 ? "," : "sizes ", size,
                     load->size[i].weight);
    }
}

/* " with 16 under way each", " of 10 messages each", or nothing. */
static char *describe_depth(const struct load_config *load, char *buf, size_t cap)
{
    buf[0] = '\0';
    if (load->mode == LOAD_STREAM && load->expect == LOAD_NONE)
        snprintf(buf, cap, " that await no answers");
    else if (load->mode == LOAD_CONNECT)
        snprintf(buf, cap, " with %u message%s each", load->messages_per_connection,
                 plural(load->messages_per_connection));
    else if (load->depth > 1)
        snprintf(buf, cap, " with %u under way each", load->depth);
    return buf;
}

static void print_load(const struct bench_plan *plan, const struct load_result *r)
{
    const struct load_config *load = &plan->load;
    char sizes[LOAD_SIZES_MAX * UNIT_TEXT];
    char depth[64];
    char active[64] = "";
    char source[128] = "";
    char warmup[64] = "without warm-up";
    char loop[64] = "closed loop";
    char a[BENCH_TEXT];
    char b[BENCH_TEXT];

    print_sizes(load, sizes, sizeof sizes);
    describe_depth(load, depth, sizeof depth);
    if (load->active != load->connections)
        snprintf(active, sizeof active, " (%s of them active)", bench_count(load->active, a));
    if (plan->source != NULL)
        snprintf(source, sizeof source, " from %.64s", plan->source);
    if (load->arrival != LOAD_CLOSED)
        snprintf(loop, sizeof loop, "open loop, %s/s, %s", bench_count(load->rate, a),
                 bench_arrival_name(load->arrival == LOAD_POISSON));
    if (load->warmup_ns > 0)
        snprintf(warmup, sizeof warmup, "after %s of warm-up",
                 bench_time((double)load->warmup_ns, a));
    line("Load", "%s: %s, %s, %s connection%s%s%s%s, messages of %s, %u thread%s; measured %s %s",
         plan->target, loop, bench_mode_name((size_t)load->mode), bench_count(load->connections, b),
         plural(load->connections), active, source, depth, sizes, load->threads,
         plural(load->threads), bench_time((double)r->measured_ns, a), warmup);
}

/* The run's state in one word, if it is not simply well. */
static void print_verdict(const struct load_result *r, const struct bench_judgement *j)
{
    static const struct {
        const char *word, *meaning;
    } texts[] = {
        [LOAD_OK] = {NULL, NULL},
        [LOAD_FAILED] = {"FAILED", "there were errors; what was measured all the same:"},
        [LOAD_INVALID] = {"INVALID", "an answer was wrong; no figure below counts"},
        [LOAD_INTERRUPTED] = {"INTERRUPTED", "what was measured until then:"},
        [LOAD_CANNOT] = {"CANNOT", "it did not begin"},
    };

    if (texts[r->verdict].word != NULL) {
        print_alarm(texts[r->verdict].word);
        printf("  %s\n", r->measured_ns > 0 ? texts[r->verdict].meaning : "nothing was measured");
    }
    if (j->client_bound && r->verdict != LOAD_INVALID) {
        print_alarm("CLIENT-BOUND");
        printf("  the client was the limit: only the server's CPU per message may be compared\n");
    }
}

static void print_headline(const struct load_config *load, const struct load_result *r,
                           const struct bench_judgement *j)
{
    bool any = hist_count(r->latency) > 0;
    char rate[BENCH_TEXT];
    char connections[BENCH_TEXT];
    char p50[BENCH_TEXT];
    char p99[BENCH_TEXT];
    char errors[BENCH_TEXT];

    printf("%s messages/s", bench_count(j->rate, rate));
    if (load->mode == LOAD_CONNECT)
        printf(", %s connections/s", bench_count((double)r->connections / j->seconds, connections));
    printf("   p50 %s   p99 %s   ",
           bench_time(any ? (double)hist_percentile(r->latency, 50) : -1, p50),
           bench_time(any ? (double)hist_percentile(r->latency, 99) : -1, p99));
    if (j->errors == 0)
        printf("no errors\n\n");
    else
        printf("%s ERROR%s\n\n", bench_count((double)j->errors, errors), j->errors == 1 ? "" : "S");
}

/* ---- latency ---- */

static void print_percentiles(const char *label, const struct hist *h)
{
    char text[BENCH_TEXT];

    printf("%-*s", LABEL_COLUMNS, label);
    for (size_t i = 0; i < bench_npercentiles; i++)
        printf("%-11s", bench_percentiles[i].name);
    printf("%-11s%s\n%*s", "max", "mean", LABEL_COLUMNS, "");
    for (size_t i = 0; i < bench_npercentiles; i++)
        printf("%-11s", bench_time((double)hist_percentile(h, bench_percentiles[i].percent), text));
    printf("%-11s", bench_time((double)hist_max(h), text));
    printf("%s\n", bench_time(hist_mean(h), text));
}

static void print_latency(const struct load_result *r, const struct bench_judgement *j)
{
    if (hist_count(r->latency) == 0) {
        line("Latency", "n/a");
        return;
    }
    print_percentiles("Latency", r->latency);
    if (j->rate_missed || j->late)
        line("", "NO LATENCY VERDICT: %s, see the caveats",
             j->rate_missed ? "the rate was missed" : "the generator was late itself");
    putchar('\n');
    bench_picture_latency(r->latency);
    putchar('\n');
}

static void print_rates(const struct load_result *r)
{
    double low = 0;
    double high = 0;
    char a[BENCH_TEXT];
    char b[BENCH_TEXT];
    char c[BENCH_TEXT];
    size_t each;

    if (r->nintervals < 2)
        return;
    printf("%-*s", LABEL_COLUMNS, "Rate");
    each = bench_picture_rates(r->interval, r->nintervals, RATE_COLUMNS, &low, &high);
    printf("  %s to %s messages/s, a mark for %s\n", bench_count(low, a), bench_count(high, b),
           bench_time((double)r->interval[0].length_ns * (double)each, c));
}

/* ---- counts ---- */

static void print_counts(const struct load_config *load, const struct load_result *r,
                         const struct bench_judgement *j)
{
    char a[BENCH_TEXT];
    char b[BENCH_TEXT];
    char c[BENCH_TEXT];
    char verified[64];

    if (load->expect == LOAD_NONE)
        snprintf(verified, sizeof verified, "none verified");
    else if (r->verified == r->sent)
        snprintf(verified, sizeof verified, "every byte verified");
    else
        snprintf(verified, sizeof verified, "%s answered rightly",
                 bench_count((double)r->verified, a));
    line("Messages", "%s measured; %s sent in all, %s", bench_count((double)r->messages, b),
         bench_count((double)r->sent, c), verified);
    line("Bytes", "%s/s out, %s/s in; %s and %s measured", bench_bytes(j->rate_out, a),
         bench_bytes(j->rate_in, b), bench_bytes((double)r->bytes_out, c),
         bench_bytes((double)r->bytes_in, verified));
}

static void print_connections(const struct load_result *r)
{
    bool any = hist_count(r->connect) > 0;
    char a[BENCH_TEXT];
    char b[BENCH_TEXT];
    char c[BENCH_TEXT];
    char d[BENCH_TEXT];
    char e[BENCH_TEXT];

    if (!any) {
        line("Connections", "%s made, %s lost", bench_count((double)r->opened, a),
             bench_count((double)r->lost, b));
        return;
    }
    line("Connections", "%s made, %s lost; made within p50 %s, p99 %s, max %s",
         bench_count((double)r->opened, a), bench_count((double)r->lost, b),
         bench_time((double)hist_percentile(r->connect, 50), c),
         bench_time((double)hist_percentile(r->connect, 99), d),
         bench_time((double)hist_max(r->connect), e));
}

static void print_errors(const struct load_result *r, const struct bench_judgement *j)
{
    char n[BENCH_TEXT];

    if (j->errors == 0)
        line("Errors", "none");
    for (size_t i = 0; i < LOAD_ERRORS; i++) {
        const struct load_failure *f = &r->failure[i];

        if (f->count > 0)
            line("Errors", "%s %s%s%s", load_error_name((enum load_error)i),
                 bench_count((double)f->count, n), f->count == 1 ? ": " : ", first: ", f->first);
    }
}

/* ---- what it cost, and whether it adds up ---- */

static void print_client(const struct load_config *load, const struct load_result *r,
                         const struct bench_judgement *j)
{
    char a[BENCH_TEXT];
    char b[BENCH_TEXT];
    char spun[96] = "";
    char lag[BENCH_TEXT];
    char rate[BENCH_TEXT];

    if (r->client_spun_ns > 0)
        snprintf(spun, sizeof spun, " and %s more in waiting for the moment to send",
                 bench_time(j->client_spun_ns, b));
    line("Client", "%s of CPU per message%s; %s %.0f %% busy, %.0f %% without a CPU; CPUs %s",
         bench_time(j->client_ns, a), spun,
         load->threads == 1 ? "its thread was" : "its busiest thread was", 100 * r->client_busy,
         100 * r->client_starved, r->client_cpus[0] != '\0' ? r->client_cpus : "n/a");
    if (load->arrival != LOAD_CLOSED)
        line("Open loop", "%s/s asked, %s/s achieved (%.2f %%); the generator's own lag: p99 %s",
             bench_count(load->rate, a), bench_count(j->rate, rate), 100 * j->share,
             bench_time(hist_count(r->lag) > 0 ? (double)hist_percentile(r->lag, 99) : -1, lag));
    if (j->little_why != NULL)
        line("Little", "%s under way in the mean; %s", bench_count(r->in_flight, a), j->little_why);
    else
        line("Little", "%s under way in the mean, rate x mean latency makes %s (%.1f %% off): %s",
             bench_count(r->in_flight, a), bench_count(j->little, b), 100 * fabs(j->little_off),
             j->little_fine ? "fine" : "NOT FINE");
}

static char *memory(int64_t bytes, char *buf)
{
    if (bytes == ACCOUNT_NA)
        snprintf(buf, BENCH_TEXT, "n/a");
    else
        snprintf(buf, BENCH_TEXT, "%.1f MiB", (double)bytes / MIB);
    return buf;
}

static void print_server(const struct load_config *load, const struct load_result *r,
                         const struct bench_judgement *j)
{
    const struct account *s = &r->server;
    char a[BENCH_TEXT];
    char b[BENCH_TEXT];
    char c[BENCH_TEXT];
    char busy[BENCH_TEXT];

    if (load->server_pid == 0) {
        line("Server", "its cost was not measured; --server-pid PID does");
        return;
    }
    if (!r->has_server) {
        line("Server", "pid %ld: n/a: %s", (long)load->server_pid, r->server_why);
        return;
    }
    line("Server", "pid %ld (%s): %s of CPU per message (%s user, %s system)",
         (long)load->server_pid, s->command, bench_time(j->server_ns, a),
         bench_time(j->server_user_ns, b), bench_time(j->server_system_ns, c));
    line("", "context switches per message: %s voluntary, %s involuntary",
         bench_count(j->voluntary, a), bench_count(j->involuntary, b));
    line("", "peak memory %s, now %s; %d process%s, %d task%s, %d kernel worker%s",
         memory(s->peak_bytes, a), memory(s->now_bytes, b), s->processes,
         s->processes == 1 ? "" : "es", s->tasks, plural((uint64_t)s->tasks), s->kernel_workers,
         plural((uint64_t)s->kernel_workers));
    if (isnan(j->others))
        line("", "CPUs %s: how busy they were is n/a", s->cpus[0] != '\0' ? s->cpus : "n/a");
    else
        line("", "CPUs %s were busy for %s, the server for %s of it%s; %.0f %% is in no account",
             s->cpus, bench_time((double)r->server_busy_ns, busy),
             bench_time(j->server_load * j->seconds * 1e9, c),
             j->cpus_shared ? ", the client on some of them too" : "", 100 * j->others);
}

static void print_caveats(const struct bench_judgement *j)
{
    if (j->ncaveats == 0)
        return;
    printf("\nCaveats\n");
    for (size_t i = 0; i < j->ncaveats; i++) {
        printf("  - ");
        text_wrap(j->caveat[i].text, 4, 4, TEXT_TABLE_WIDTH);
    }
}

/* ---- the whole ---- */

void bench_report(const struct bench_plan *plan, const struct load_result *r,
                  const struct bench_judgement *j, const char *machine)
{
    print_verdict(r, j);
    if (r->measured_ns == 0) {
        putchar('\n');
        print_connections(r);
        print_errors(r, j);
        return;
    }
    print_headline(&plan->load, r, j);
    print_load(plan, r);
    putchar('\n');
    print_latency(r, j);
    print_rates(r);
    print_counts(&plan->load, r, j);
    print_connections(r);
    print_errors(r, j);
    print_client(&plan->load, r, j);
    print_server(&plan->load, r, j);
    line("Machine", "%s", machine);
    print_caveats(j);
}

void bench_report_merged(const struct hist *sum, size_t nfiles)
{
    char n[BENCH_TEXT];

    line("Messages", "%s, of %zu file%s", bench_count((double)hist_count(sum), n), nfiles,
         plural(nfiles));
    if (hist_count(sum) == 0)
        return;
    print_percentiles("Latency", sum);
    putchar('\n');
    bench_picture_latency(sum);
}
