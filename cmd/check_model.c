/* SPDX-License-Identifier: MIT */
/*
 * One model's turn: `pollux serve` as a child, the load against it, and the server's own counts
 * compared with what the client saw. The server is a process of its own, so that its memory can be
 * told from the client's, a crash is a verdict, and the program is checked as people use it.
 */
#include "cmd/check.h"
#include "cmd/proc.h"

#include <errno.h>
#include <jansson.h>
#include <pollux/pollux.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define START_NS (20 * PLX_SECOND) /* to say where it listens; a loaded machine is slow */
#define END_NS   (20 * PLX_SECOND) /* to drain, after every client has gone */

struct turn {
    const struct check_plan *plan;
    struct check_outcome *outcome;
    struct proc server;
    uint64_t total; /* bytes that are to come back */
    uint64_t shown; /* verified bytes at the last line of progress */
};

static void failed(struct check_outcome *o, const char *what, const char *detail)
{
    o->result.verdict = CHECK_FAILED;
    snprintf(o->result.why, sizeof(o->result.why), "%s%s%.110s", what, *detail ? ": " : "", detail);
}

/* Says that the server failed in its own words, if it had any. */
static void server_failed(struct turn *t, const char *what)
{
    char line[256];
    failed(t->outcome, what, proc_complaint(&t->server, line, sizeof(line)));
}

/* ---- the server ---- */

static int start_server(struct turn *t)
{
    const char *model = t->outcome->model->name;
    char count[24];
    char queue[24];
    /* Room for some more than will come: the limits are not what is checked here. A queue of
     * waiting connections exists in some models only, but then must hold all of them. */
    snprintf(count, sizeof(count), "%u", t->outcome->connections + 16);
    snprintf(queue, sizeof(queue), "%u", t->outcome->connections + 1024);
    const char *const args[] = {"serve", "--model",      model,         "--service",
                                "echo",  "--listen",     "127.0.0.1:0", "--max-connections",
                                count,   "--pool-queue", queue,         "--idle-timeout",
                                "none",  "--stats",      "1h",          NULL};
    int rc = proc_start(&t->server, args, t->plan->interrupted);
    if (rc < 0)
        failed(t->outcome, "cannot start the server", plx_error_text(rc));
    return rc;
}

/* Reads the address from the line that says that the server is ready. */
static int await_server(struct turn *t, struct plx_addr *to)
{
    static const char ready[] = "pollux: listening on ";
    char line[512];
    int rc = proc_line(&t->server, line, sizeof(line), START_NS);
    if (rc == -EINTR) {
        t->outcome->result.verdict = CHECK_INTERRUPTED;
        return rc;
    }
    if (rc < 0) {
        failed(t->outcome, "the server did not get ready", plx_error_text(rc));
        return rc;
    }
    if (rc == 0 || strncmp(line, ready, sizeof(ready) - 1) != 0) {
        server_failed(t, "the server did not start");
        return -EPROTO;
    }
    char *addr = line + sizeof(ready) - 1;
    addr[strcspn(addr, " ")] = '\0';
    rc = plx_addr_parse(addr, to, 1, NULL);
    if (rc < 0)
        failed(t->outcome, "the server listens on a strange address", addr);
    return rc;
}

/* Takes the server's last words, a line of counters, and compares. */
static void compare_counts(struct turn *t, const char *line)
{
    json_t *stats = json_loads(line, 0, NULL);
    json_int_t in = -1;
    json_int_t out = -1;
    if (!stats || json_unpack(stats, "{s:I, s:I}", "bytes_in", &in, "bytes_out", &out) < 0) {
        server_failed(t, "the server gave no final counts");
    } else if ((uint64_t)in != t->total || (uint64_t)out != t->total) {
        char what[100];
        snprintf(what, sizeof(what), "%lld bytes in and %lld out instead of %llu", (long long)in,
                 (long long)out, (unsigned long long)t->total);
        failed(t->outcome, "the server counted", what);
    }
    json_decref(stats);
}

/* Asks the server to end and waits for it; afterwards it is gone in any case. The first thing
 * that went wrong stays the verdict, unless a crash explains it. */
static void end_server(struct turn *t)
{
    const struct check_result *r = &t->outcome->result;
    char line[sizeof(t->server.line)];
    char last[sizeof(line)] = "";
    int rc;
    proc_sample(&t->server);
    proc_signal(&t->server, SIGTERM);
    while ((rc = proc_line(&t->server, line, sizeof(line), END_NS)) == 1)
        memcpy(last, line, sizeof(last));
    int ended = proc_end(&t->server, rc == -ETIMEDOUT ? 0 : END_NS);
    int status = t->server.status;
    /* What the clients saw of a crash is only its effect. */
    bool crashed = ended == 0 && WIFSIGNALED(status);
    if (r->verdict != CHECK_OK && !(r->verdict == CHECK_FAILED && crashed))
        return;
    if (rc == -EINTR || ended == -EINTR) {
        t->outcome->result.verdict = CHECK_INTERRUPTED;
    } else if (ended < 0) {
        server_failed(t, "the server did not end when asked to");
    } else if (crashed) {
        failed(t->outcome, "the server was ended by a signal", strsignal(WTERMSIG(status)));
    } else if (WEXITSTATUS(status) != 0) {
        server_failed(t, "the server ended with an error");
    } else {
        compare_counts(t, last);
    }
}

/* ---- the load ---- */

static void tick(void *arg, uint64_t verified)
{
    struct turn *t = arg;
    proc_sample(&t->server);
    if (!t->plan->progress)
        return;
    double percent = t->total ? 100.0 * (double)verified / (double)t->total : 100.0;
    /* A tick is a tenth of a second. */
    double rate = (double)(verified - t->shown) * 10 / (1024 * 1024);
    t->shown = verified;
    fprintf(stderr, "\r\033[K%-12s %3.0f%% %8.0f MiB/s", t->outcome->model->name, percent, rate);
}

static unsigned connections_for(const struct check_plan *plan, const struct plx_model *m)
{
    if (!(m->caps & PLX_CAP_CONCURRENT))
        return 1;
    if (m->max_connections > 0 && m->max_connections < plan->connections)
        return m->max_connections;
    return plan->connections;
}

void check_model(const struct check_plan *plan, const struct plx_model *model,
                 struct check_outcome *out)
{
    struct turn t = {.plan = plan, .outcome = out};
    *out = (struct check_outcome){.model = model, .connections = connections_for(plan, model)};
    out->unable = plx_model_probe(model, &out->why);
    if (out->unable)
        return;
    t.total = (uint64_t)out->connections * plan->size;
    if (start_server(&t) < 0)
        return;
    struct check_load load = {
        .data = plan->data,
        .size = plan->size,
        .connections = out->connections,
        .seed = plan->seed,
        .stall_ns = plan->timeout_ns,
        .tick = tick,
        .arg = &t,
        .interrupted = plan->interrupted,
    };
    if (await_server(&t, &load.to) >= 0)
        check_client_run(&load, &out->result);
    end_server(&t);
    out->memory = t.server.mem;
    proc_close(&t.server);
    if (plan->progress)
        fputs("\r\033[K", stderr);
}
