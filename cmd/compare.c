/* SPDX-License-Identifier: MIT */
/* `pollux compare`: the command, and what it leaves behind. */
#include "cmd/compare/repeat.h"
#include "cmd/compare_run.h"
#include "cmd/interrupt.h"
#include "cmd/measure/machine.h"

#include <errno.h>
#include <jansson.h>
#include <pollux/pollux.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES 1200

/* ---- what it leaves behind ---- */

static int write_results(const char *dir, json_t *doc)
{
    char file[PATH_MAX + 32], part[PATH_MAX + 40];
    snprintf(file, sizeof(file), "%s/results.json", dir);
    snprintf(part, sizeof(part), "%s.part", file);
    if (json_dump_file(doc, part, JSON_INDENT(1)) < 0 || rename(part, file) < 0) {
        int err = errno;
        (void)unlink(part);
        return cmd_fail(&cmd_compare, STATUS_FAILED, "%s: %s", file, plx_error_text(err));
    }
    return STATUS_DONE;
}

static int write_page(const char *dir, const json_t *doc)
{
    char file[PATH_MAX + 32];
    snprintf(file, sizeof(file), "%s/report.html", dir);
    int rc = compare_write_page(file, doc);
    return rc < 0 ? cmd_fail(&cmd_compare, STATUS_FAILED, "%s: %s", file, plx_error_text(rc))
                  : STATUS_DONE;
}

static int write_script(const char *dir)
{
    char file[PATH_MAX + 32];
    snprintf(file, sizeof(file), "%s/repeat.sh", dir);
    FILE *f = fopen(file, "we");
    if (f) {
        fputs("#!/bin/sh\n"
              "# Makes this comparison again, and says whether the results are the same.\n"
              "exec \"${POLLUX:-pollux}\" compare --repeat \"$(dirname \"$0\")/results.json\" "
              "\"$@\"\n",
              f);
        fchmod(fileno(f), 0755);
    }
    if (!f || fclose(f) == EOF)
        return cmd_fail(&cmd_compare, STATUS_FAILED, "%s: %s", file, plx_error_text(errno));
    return STATUS_DONE;
}

static int leave(const char *dir, json_t *doc)
{
    int status = write_results(dir, doc);
    if (status == STATUS_DONE)
        status = write_page(dir, doc);
    if (status == STATUS_DONE)
        status = write_script(dir);
    if (status == STATUS_DONE)
        printf(
            "\nReport      %s/report.html\nResults     %s/results.json\nAgain       %s/repeat.sh\n",
            dir, dir, dir);
    return status;
}

/* ---- the whole ---- */

static bool any_figures(const struct comparison *c)
{
    for (size_t w = 0; w < c->nworkloads; w++) {
        for (size_t a = 0; a < c->narms; a++) {
            if (c->cell[w][a].nsamples > 0)
                return true;
        }
    }
    return false;
}

static void print_repeat(const json_t *then, const json_t *now)
{
    struct repeat_result r;
    repeat_judge(then, now, &r);
    printf("\n%s", repeat_verdict_name(r.verdict));
    if (r.verdict == REPEAT_REPRODUCED)
        printf(": of %u verdicts that both comparisons have reached none disagrees", r.compared);
    puts("");
    for (size_t i = 0; i < r.nlines; i++)
        printf("  %s\n", r.line[i]);
    if (r.more > 0)
        printf("  and %zu more\n", r.more);
}

static int compare(struct comparison *c, const struct compare_plan *plan, const struct net *net,
                   const char *dir, const json_t *then)
{
    struct rounds_plan rounds = {.least = plan->least,
                                 .most = plan->most,
                                 .net = net,
                                 .interrupted = &interrupted,
                                 .tick = compare_live_tick};
    c->command_line = cmd_words();
    c->started = time(NULL);
    fprintf(stderr, "pollux compare: %zu arms under %zu workloads, about %lld s\n", c->narms,
            c->nworkloads, (long long)(plan->estimate_ns / PLX_SECOND) + 1);
    interrupt_catch(true);
    signal(SIGPIPE, SIG_IGN); /* a reader of the summary that goes away is an error, not an end */
    int rc = rounds_run(c, &rounds);
    compare_live_end();
    if (rc < 0 && rc != -EINTR)
        return cmd_fail(&cmd_compare, STATUS_FAILED, "%s", plx_error_text(rc));
    if (!any_figures(c)) {
        (void)rmdir(dir);
        return interrupted ? 128 + interrupted
                           : cmd_fail(&cmd_compare, STATUS_FAILED, "no arm gave a valid figure: %s",
                                      c->cell[0][0].why);
    }
    json_t *doc = compare_to_json(c);
    if (!doc)
        return cmd_fail(&cmd_compare, STATUS_FAILED, "out of memory");
    compare_print(c);
    if (then && !c->partial)
        print_repeat(then, doc);
    int status = leave(dir, doc);
    json_decref(doc);
    if (status == STATUS_DONE && interrupted)
        status = cmd_fail(&cmd_compare, 128 + interrupted, "interrupted: the results are partial");
    return status;
}

static int run(const void *arg, const struct opt_list *args)
{
    struct compare_values values = *(const struct compare_values *)arg;
    struct compare_repeated repeated = {0};
    struct compare_plan plan;
    struct net net;
    char err[LINE_BYTES], dir[PATH_MAX];
    struct comparison *c = comparison_open();
    (void)args;
    if (!c)
        return cmd_fail(&cmd_compare, STATUS_FAILED, "out of memory");
    int rc = compare_repeat_check(&values, err, sizeof(err));
    if (rc == 0 && values.repeat)
        rc = compare_repeat_read(values.repeat, &values, &repeated, err, sizeof(err));
    c->netns = rc == 0 && values.net && strcmp(values.net, "netns") == 0;
    /* Before the plan, which tries the models: they may leave threads behind. */
    if (net_open(&net, c->netns, err, sizeof(err)) < 0)
        rc = -EINVAL;
    /* In the network that counts, and before the plan, which may raise a limit. */
    c->machine = machine_json();
    if (rc == 0)
        rc = compare_plan_make(&values, c, &plan, err, sizeof(err));
    if (rc == 0)
        rc = net_join(&net, c->server_cpus, c->client_cpus, err, sizeof(err));
    c->steered = net.steered;
    if (rc == 0)
        rc = compare_output_make(values.output, values.repeat, dir, err, sizeof(err));
    int status = rc != 0 ? cmd_fail(&cmd_compare, STATUS_USAGE, "%s", err)
                         : compare(c, &plan, &net, dir, repeated.then);
    net_close(&net);
    comparison_close(c);
    compare_repeat_free(&repeated);
    return status;
}

/* ---- the command ---- */

static const char *const description[] = {
    "Measures the I/O models of this machine, and any other server, under the same loads, side by "
    "side, and says which one wins for which load, by how much, and how sure that is.",
    "A comparison is made in rounds. In each round every arm (a model, or a command of `--server`) "
    "runs once under every workload, in an order drawn anew; differences are taken between runs of "
    "the same round, and the interval of their centre is made by a bootstrap. One arm takes part "
    "twice: what it differs from itself is noise, and no smaller difference is reported.",
    "The verdicts are `BEST`, `TIE` (surely within a few per cent of the best), `LOSES` (surely "
    "behind it) and `CANNOT TELL`. There is no winner of all: who is best changes with the load.",
    "The server's CPU time per message, user and system, all its threads, processes and kernel "
    "workers included, is what the verdicts are about. The rate is compared only where the client "
    "was not the limit, and latency only at a fixed rate.",
    "It leaves `results.json` (all figures of all runs), `report.html` (to look at; it needs no "
    "network) and `repeat.sh` in the output directory.",
    NULL};

static const struct cmd_exit exits[] = {
    {STATUS_DONE, "The comparison is complete, whatever its verdicts."},
    {STATUS_FAILED, "No arm gave a valid figure, or the results could not be written."},
    {STATUS_USAGE,
     "Wrong usage, or the network of --net cannot be made, or the output directory not be "
     "written. Nothing was measured."},
    {130, "Interrupted by SIGINT; 129 by SIGHUP, 143 by SIGTERM. What was measured is written, "
          "marked as partial."},
    {0, NULL}};

static const struct cmd_example examples[] = {
    {"pollux compare --quick", "The main question in about a minute."},
    {"pollux compare -m epoll,io_uring -w 64x64B --budget 5m",
     "Two models under one load, until it is decided or five minutes are over."},
    {"pollux compare -m epoll --server 'mine=./my-server {addr} {port}'",
     "Your own server, which echoes, beside a model."},
    {"pollux compare --repeat results.json", "Whether somebody's results hold here."},
    {NULL, NULL}};

const struct cmd cmd_compare = {
    .name = "compare",
    .summary = "find out which model wins for which load here, and how sure that is",
    .args = "",
    .options = compare_options,
    .description = description,
    .exits = exits,
    .examples = examples,
    .see_also = "pollux(1), pollux-bench(1), pollux-models(1), pollux-serve(1), taskset(1)",
    .values_size = sizeof(struct compare_values),
    .run = run,
};
