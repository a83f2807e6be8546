/* SPDX-License-Identifier: MIT */
/* `pollux bench`: the command, a run from the plan to the exit status, and `pollux bench merge`. */
#include "cmd/bench.h"
#include "cmd/interrupt.h"
#include "cmd/measure/machine.h"

#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* One line of an error; what was typed is part of it. */
#define LINE_MAX_BYTES 1024

static bool is_stdout(const char *file)
{
    return file != NULL && strcmp(file, "-") == 0;
}

/* Where the figures go besides the summary. STATUS_DONE or STATUS_FAILED, which is said. */
static int save(const char *histogram, const struct hist *h)
{
    struct plx_why why = {.reason = ""};
    int rc = histogram != NULL ? hist_save(h, histogram, &why) : 0;

    return rc < 0 ? cmd_fail_why(&cmd_bench, STATUS_FAILED, rc, &why) : STATUS_DONE;
}

/* ---- a run ---- */

static int status_of(enum load_verdict verdict)
{
    switch (verdict) {
    case LOAD_OK: return STATUS_DONE;
    case LOAD_INVALID: return STATUS_INVALID;
    case LOAD_CANNOT: return STATUS_USAGE;
    case LOAD_INTERRUPTED: return 128 + interrupted; /* as a shell says it */
    case LOAD_FAILED: break;
    }
    return STATUS_FAILED;
}

static int publish(const struct bench_plan *plan, const struct load_result *r,
                   struct json_t *machine, time_t started)
{
    struct bench_judgement j;
    char text[LINE_MAX_BYTES];
    char line[LINE_MAX_BYTES];
    int status = status_of(r->verdict);
    int written;

    bench_judge(plan, r, &j);
    if (!is_stdout(plan->json) && !is_stdout(plan->histogram)) {
        bench_report(plan, r, &j,
                     machine != NULL ? machine_line(machine, line, sizeof line) : "n/a");
        fflush(stdout); /* so that it stands above the line that says what went wrong */
    }
    /* A histogram has no verdict: one of wrong answers must not get among others. */
    written = r->verdict == LOAD_INVALID ? STATUS_DONE : save(plan->histogram, r->latency);
    if (plan->json != NULL &&
        cmd_json(&cmd_bench, plan->json, bench_json(plan, r, &j, machine, started)) != 0)
        written = STATUS_FAILED;
    if (status != STATUS_DONE)
        cmd_fail(&cmd_bench, status, "%s", bench_complaint(r, text, sizeof text));
    return status != STATUS_DONE ? status : written;
}

static int run_load(const struct bench_values *values, const char *target)
{
    struct bench_plan plan;
    struct load_result result;
    char err[LINE_MAX_BYTES];
    time_t started = time(NULL);
    json_t *machine;
    int status;

    if (bench_plan_make(values, target, &plan, err, sizeof err) < 0 ||
        bench_files_check(plan.json, plan.histogram, err, sizeof err) < 0 ||
        bench_limits_check(&plan, err, sizeof err) < 0)
        return cmd_fail(&cmd_bench, STATUS_USAGE, "%s", err);
    if (isatty(STDERR_FILENO))
        plan.load.tick = bench_live_tick;
    plan.load.interrupted = &interrupted;
    /* Before the run: the load average that matters is the one which was there without us. */
    machine = machine_json();
    interrupt_catch(true);
    signal(SIGPIPE, SIG_IGN); /* a reader of the summary that goes away is an error, not an end */
    load_run(&plan.load, &result);
    bench_live_end();
    if (result.verdict == LOAD_CANNOT)
        status = cmd_fail(&cmd_bench, STATUS_USAGE, "%s", result.why);
    else
        status = publish(&plan, &result, machine, started);
    load_result_free(&result);
    json_decref(machine);
    return status;
}

/* ---- merge ---- */

static int publish_sum(const struct bench_values *values, const struct hist *sum,
                       const struct opt_list *args)
{
    int status;

    if (!is_stdout(values->json) && !is_stdout(values->histogram))
        bench_report_merged(sum, args->n - 1);
    status = save(values->histogram, sum);
    if (values->json != NULL &&
        cmd_json(&cmd_bench, values->json, bench_json_merged(sum, args)) != STATUS_DONE)
        status = STATUS_FAILED;
    return status;
}

static int merge(const struct bench_values *values, const struct opt_list *args)
{
    struct plx_why why = {.reason = ""};
    char err[LINE_MAX_BYTES];
    struct hist *sum;
    int status = STATUS_DONE;

    if (args->n < 2)
        return cmd_fail(&cmd_bench, STATUS_USAGE,
                        "merge: which histograms? Usage: pollux bench "
                        "merge FILE... [--histogram FILE]");
    if (bench_merge_check(values, err, sizeof err) < 0 ||
        bench_files_check(values->json, values->histogram, err, sizeof err) < 0)
        return cmd_fail(&cmd_bench, STATUS_USAGE, "%s", err);
    sum = hist_open();
    if (sum == NULL)
        return cmd_fail(&cmd_bench, STATUS_USAGE, "out of memory");
    for (size_t i = 1; i < args->n && status == STATUS_DONE; i++) {
        int rc = hist_load(sum, args->item[i], &why);

        if (rc < 0)
            status = cmd_fail_why(&cmd_bench, STATUS_USAGE, rc, &why);
    }
    if (status == STATUS_DONE)
        status = publish_sum(values, sum, args);
    hist_close(sum);
    return status;
}

/* ---- the command ---- */

static int run(const void *values, const struct opt_list *args)
{
    if (strcmp(args->item[0], "merge") == 0)
        return merge(values, args);
    if (args->n > 1)
        return cmd_fail(&cmd_bench, STATUS_USAGE,
                        "unexpected argument %s; usage: pollux bench [OPTIONS] ADDR",
                        args->item[1]);
    return run_load(values, args->item[0]);
}

static const char *const description[] = {
    "Loads the server at ADDR, verifies every byte of its answers, and says how fast they came. "
    "`pollux bench merge` adds up histograms of earlier runs.",
    "There are two kinds of load, and a figure of one is none of the other. In the closed loop, "
    "which is the default, each connection sends its next message when an answer has come: that "
    "finds out how much a server can do, but while the server stands still the client waits with "
    "it, and a pause counts once for each connection instead of for all who would have come "
    "meanwhile. In the open loop (`--rate`) messages are due at times fixed beforehand, and "
    "latency counts from the time at which a message should have left: that is what users of that "
    "rate would see, pauses included.",
    "`The answers.` The server is to send back what it is sent (`pollux serve`), or the same in "
    "upper case (`--expect upper`). Each message is made of the number of its connection, its own "
    "number and a pattern, so that an answer which is wrong, late by one, or another connection's "
    "is found out. One wrong byte ends the run and makes it INVALID, with exit status 3: a server "
    "that answers wrongly has no speed.",
    "`CLIENT-BOUND` means that a thread of this client was busy for more than 90 % of the time. "
    "The rate is then the client's limit and says nothing about the server; what still holds is "
    "the server's CPU time per message, measured with `--server-pid`. Give the client more "
    "`--threads`, and CPUs of its own: on one machine let server and client not share any, for "
    "example by `taskset -c 0 pollux serve` and `taskset -c 1 pollux bench`. With `--server-pid` "
    "a caveat says if they may share one.",
    "`The summary` begins with the rate, the median and the 99th percentile of the latency, and "
    "the errors. Rates count the answers that came within the measured time, latencies are those "
    "of the messages that began in it. `Little` compares the messages under way, as counted, with "
    "what rate and mean latency say they should be (Little's law); the two are measured apart, so "
    "that a mistake in either shows. `Server` counts all threads, children and kernel workers of "
    "the process. What could not be read is n/a. `Caveats` are what limits these figures.",
    "`Histograms` written with `--histogram` are whole, and can be added: those of several runs or "
    "machines make one, from which percentiles follow. Percentiles themselves cannot be averaged. "
    "Up to 63 files are added at a time, and sums can be added again. An INVALID run writes none.",
    "All connections are made before the warm-up begins, but for those of `--mode connect`. Of a "
    "host name the first address is used. The number of open files is raised as far as allowed; if "
    "that or the number of ports is too small, the run does not begin.",
    "While a terminal watches, progress is shown on standard error. Colour is used on a terminal "
    "only, and not if NO_COLOR is set. SIGINT and SIGTERM end the run, and what was measured until "
    "then is reported.",
    NULL};

static const struct cmd_exit exits[] = {
    {STATUS_DONE, "The run is complete, and every answer was right. Caveats do not count."},
    {STATUS_FAILED, "Connections or answers were lost. What was measured is reported "
                    "all the same."},
    {STATUS_USAGE, "Wrong usage, options that contradict each other, too few descriptors or ports, "
                   "a file that cannot be read or written. Nothing was sent."},
    {STATUS_INVALID, "Not valid: an answer was wrong. Connection and offset are named."},
    {130, "Interrupted by SIGINT; 129 by SIGHUP, 143 by SIGTERM. What was measured is reported."},
    {0, NULL}};

static const struct cmd_example examples[] = {
    {"pollux bench :7000", "How much it can do: 64 connections, 64 bytes, ten seconds."},
    {"pollux bench --rate 20k --duration 1m :7000",
     "What users see at 20 000 messages per second: the open loop."},
    {"taskset -c 1 pollux bench --server-pid 4711 --json run.json :7000",
     "On a CPU of its own, with what each message costs the server, as a document."},
    {"pollux bench -c 10k --active 100 --source 127.0.1.0/24 :7000",
     "Ten thousand connections, of which a hundred are busy."},
    {"pollux bench --mode connect --messages-per-connection 10 :7000",
     "Short connections: how many per second."},
    {"pollux bench merge monday.hist tuesday.hist --histogram both.hist",
     "The percentiles of two runs together, which --histogram had written."},
    {NULL, NULL}};

const struct cmd cmd_bench = {
    .name = "bench",
    .summary = "load a server, verify its answers and measure both",
    .args = "ADDR | merge FILE...",
    .min_args = 1,
    .max_args = OPT_LIST_MAX,
    .arg_flags = OPT_FILE,
    .options = bench_options,
    .description = description,
    .exits = exits,
    .examples = examples,
    .see_also = "pollux-serve(1), pollux-check(1), taskset(1), proc(5)",
    .values_size = sizeof(struct bench_values),
    .run = run,
};
