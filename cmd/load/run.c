/* SPDX-License-Identifier: MIT */
/*
 * The run: starts the threads, leads them from phase to phase, and puts together what they have
 * found. The caller's thread does this.
 */
#include "cmd/load/run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

const char *load_error_name(enum load_error kind)
{
    static const char *const names[] = {[LOAD_ERR_CONNECT] = "connect",
                                        [LOAD_ERR_READ] = "read",
                                        [LOAD_ERR_WRITE] = "write",
                                        [LOAD_ERR_TIMEOUT] = "timeout",
                                        [LOAD_ERR_MISMATCH] = "mismatch"};
    return names[kind];
}

/* Waits until all threads have come to `s`, or the run is to end before. */
static void await(struct run *run, enum worker_state s)
{
    struct load *l = &run->load;
    for (;;) {
        int64_t next = run_watch(run);
        struct timespec at = {.tv_sec = (time_t)(next / PLX_SECOND),
                              .tv_nsec = (long)(next % PLX_SECOND)};
        pthread_mutex_lock(&l->lock);
        bool over = run_all_at(run, s) || l->invalid;
        if (!over)
            (void)pthread_cond_timedwait(&l->changed, &l->lock, &at);
        pthread_mutex_unlock(&l->lock);
        if (run->cfg->interrupted && *run->cfg->interrupted)
            run->interrupted = over = true;
        if (over)
            return;
    }
}

static void measure(struct run *run)
{
    const struct load_config *cfg = run->cfg;
    struct load *l = &run->load;
    l->begin_ns = clock_ns();
    l->measure_ns = l->begin_ns + cfg->warmup_ns;
    l->end_ns = cfg->duration_ns ? l->measure_ns + cfg->duration_ns : INT64_MAX;
    run->last_tick = run_sum(run);
    run_watch(run);
    for (unsigned i = 0; i < run->running; i++)
        worker_start(&run->worker[i]);
    await(run, WORKER_DONE);
    run_measured(run);
    if (!run->interrupted)
        return;
    for (unsigned i = 0; i < run->running; i++)
        worker_halt(&run->worker[i]);
    /* What is under way may still come, but whoever interrupts wants to see the end. */
    for (int64_t end = clock_ns() + PLX_SECOND; clock_ns() < end && !l->invalid;) {
        if (run_all_at(run, WORKER_DONE))
            break;
        nanosleep(&(struct timespec){.tv_nsec = (long)PLX_MSEC}, NULL);
    }
}

/* ---- putting it together ---- */

static void add_worker(struct load_result *r, const struct worker *w)
{
    const struct mark *from = &w->mark[0], *to = &w->mark[1];
    hist_add(r->latency, w->latency);
    hist_add(r->connect, w->connect);
    hist_add(r->lag, w->lag);
    if (!from->made || !to->made)
        return;
    int64_t span = to->at_ns - from->at_ns;
    int64_t cpu = to->user_ns - from->user_ns + to->system_ns - from->system_ns;
    int64_t spun = to->spun_ns - from->spun_ns;
    double busy = span > 0 && cpu > spun ? (double)(cpu - spun) / (double)span : 0;
    double starved = span > 0 ? (double)(to->starved_ns - from->starved_ns) / (double)span : 0;
    if (starved > r->client_starved)
        r->client_starved = starved;
    if (span > r->measured_ns)
        r->measured_ns = span;
    if (busy > r->client_busy)
        r->client_busy = busy > 1 ? 1 : busy;
    r->client_spun_ns += spun;
    r->client_user_ns += to->user_ns - from->user_ns;
    r->client_system_ns += to->system_ns - from->system_ns;
    r->messages += to->answered - from->answered;
    r->bytes_in += to->bytes_in - from->bytes_in;
    r->bytes_out += to->bytes_out - from->bytes_out;
    r->connections += to->opened - from->opened;
}

static void conclude(struct run *run)
{
    struct load_result *r = run->result;
    struct sum s = run_sum(run);
    r->sent = s.sent;
    r->answered = s.answered;
    r->verified = run->cfg->expect == LOAD_NONE ? 0 : s.answered;
    r->bytes_sent = s.bytes_out;
    r->bytes_received = s.bytes_in;
    r->opened = s.opened;
    r->lost = s.lost;
    memcpy(r->failure, run->load.failure, sizeof(r->failure));
    for (unsigned i = 0; i < run->running; i++)
        add_worker(r, &run->worker[i]);
    r->in_flight = run->samples ? run->under_way / (double)run->samples : 0;
    if (run->load.invalid)
        r->verdict = LOAD_INVALID;
    else if (s.errors > 0)
        r->verdict = LOAD_FAILED;
    else
        r->verdict = run->interrupted ? LOAD_INTERRUPTED : LOAD_OK;
}

/* ---- opening ---- */

static int cannot(struct run *run, int err, const struct plx_why *why)
{
    struct load_result *r = run->result;
    r->verdict = LOAD_CANNOT;
    snprintf(r->why, sizeof(r->why), "%s%s%s",
             why && *why->reason ? why->reason : plx_error_text(err),
             why && *why->remedy ? "; " : "", why && *why->remedy ? why->remedy : "");
    return err;
}

static int open_shared(struct run *run)
{
    struct load *l = &run->load;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->changed, &attr);
    pthread_condattr_destroy(&attr);
    l->cfg = run->cfg;
    l->end_ns = INT64_MAX;
    for (size_t i = 0; i < run->cfg->nsizes; i++) {
        if (run->cfg->size[i].bytes > l->largest)
            l->largest = run->cfg->size[i].bytes;
    }
    l->payload = payload_open(l->largest, run->cfg->seed);
    run->worker = calloc(run->cfg->threads, sizeof(*run->worker));
    run->now = hist_open();
    run->then = hist_open();
    run->between = hist_open();
    run->result->latency = hist_open();
    run->result->connect = hist_open();
    run->result->lag = hist_open();
    return l->payload && run->worker && run->now && run->then && run->between &&
                   run->result->latency && run->result->connect && run->result->lag
               ? 0
               : -ENOMEM;
}

static int open_workers(struct run *run)
{
    struct plx_why why = {"", ""};
    int rc = open_shared(run);
    for (unsigned i = 0; rc == 0 && i < run->cfg->threads; i++) {
        rc = worker_open(&run->worker[i], &run->load, i, &why);
        run->nworkers = i + 1;
    }
    if (rc < 0)
        return cannot(run, rc, &why);
    for (; rc == 0 && run->running < run->nworkers; run->running += rc == 0)
        rc = worker_run(&run->worker[run->running]);
    return rc < 0 ? cannot(run, rc, NULL) : 0;
}

static void close_workers(struct run *run)
{
    for (unsigned i = 0; i < run->running; i++)
        worker_finish(&run->worker[i]);
    for (unsigned i = 0; i < run->running; i++)
        pthread_join(run->worker[i].thread, NULL);
    for (unsigned i = run->running; i < run->nworkers; i++)
        plx_loop_close(run->worker[i].loop);
}

static void free_run(struct run *run)
{
    for (unsigned i = 0; i < run->nworkers; i++)
        worker_close(&run->worker[i]);
    free(run->worker);
    payload_close(run->load.payload);
    hist_close(run->now);
    hist_close(run->then);
    hist_close(run->between);
    pthread_cond_destroy(&run->load.changed);
    pthread_mutex_destroy(&run->load.lock);
}

void load_run(const struct load_config *cfg, struct load_result *result)
{
    struct run run = {.cfg = cfg, .result = result, .p50 = -1, .p99 = -1};
    struct account self;
    *result = (struct load_result){.server_busy_ns = ACCOUNT_NA};
    if (account_read(getpid(), &self, NULL) == 0)
        memcpy(result->client_cpus, self.cpus, sizeof(self.cpus));
    run.started_ns = clock_ns();
    run.last_tick.at_ns = run.started_ns;
    int rc = open_workers(&run);
    if (rc == 0) {
        await(&run, WORKER_READY);
        /* Short connections are made when it starts, the others are there now, or not at all. */
        bool any = cfg->mode == LOAD_CONNECT || run_sum(&run).opened > 0;
        if (any && !run.interrupted && !run.load.invalid)
            measure(&run);
    }
    close_workers(&run);
    if (rc == 0)
        conclude(&run);
    free_run(&run);
}

void load_result_free(struct load_result *r)
{
    hist_close(r->latency);
    hist_close(r->connect);
    hist_close(r->lag);
    free(r->interval);
}
