/* SPDX-License-Identifier: MIT */
/* See arm.h. */
#include "cmd/compare/arm.h"

#include "cmd/clock.h"
#include "cmd/compare/counters.h"
#include "cmd/measure/cpulist.h"
#include "cmd/proc.h"

#include <errno.h>
#include <math.h>
#include <pollux/pollux.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define START_NS   (10 * PLX_SECOND) /* until it listens */
#define END_NS     (5 * PLX_SECOND)  /* until it is gone, once asked */
#define TIMEOUT_NS (10 * PLX_SECOND) /* of a message */

struct turn {
    const struct arm_run *run;
    struct proc server;
    struct plx_addr to;
    struct counters counters;
    int64_t base_bytes; /* its memory before the first connection */
    char *why;
    size_t whycap;
};

static int __attribute__((format(printf, 2, 3))) invalid(struct turn *t, const char *fmt, ...)
{
    char last[160];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(t->why, t->whycap, fmt, ap);
    va_end(ap);
    if (t->server.err > 0 && *proc_complaint(&t->server, last, sizeof(last)) && n >= 0 &&
        (size_t)n < t->whycap)
        snprintf(t->why + n, t->whycap - (size_t)n, "; its last words: %s", last);
    return -EPROTO;
}

int arm_bind(const char *cpus)
{
    struct cpulist list;
    cpu_set_t set;
    if (!*cpus)
        return 0;
    if (!cpulist_parse(cpus, &list))
        return -EINVAL;
    CPU_ZERO(&set);
    for (unsigned i = 0; i < CPU_SETSIZE; i++) {
        if (cpulist_has(&list, i))
            CPU_SET(i, &set);
    }
    return sched_setaffinity(0, sizeof(set), &set) < 0 ? -errno : 0;
}

/* ---- the server: a model of ours ---- */

static int start_model(struct turn *t)
{
    const struct load_config *load = &t->run->workload->load;
    char address[32], count[24], pool[24];
    /* Short connections that are being closed still count while the next ones come. */
    unsigned room = load->connections + (load->mode == LOAD_CONNECT ? 10000 : 16);
    unsigned threads =
        load->connections < COMPARE_POOL_MOST ? load->connections : COMPARE_POOL_MOST;
    snprintf(address, sizeof(address), "%s:0", net_address(t->run->net));
    snprintf(count, sizeof(count), "%u", room);
    snprintf(pool, sizeof(pool), "%u", threads);
    const char *const args[] = {"serve",
                                "--model",
                                t->run->arm->model->name,
                                "--service",
                                "echo",
                                "--listen",
                                address,
                                "--max-connections",
                                count,
                                "--pool-size",
                                pool,
                                "--backlog",
                                "4096",
                                "--idle-timeout",
                                "none",
                                "--stats",
                                "1h",
                                NULL};
    return proc_start(&t->server, args, t->run->interrupted);
}

static int await_model(struct turn *t)
{
    static const char ready[] = "pollux: listening on ";
    char line[512];
    int rc = proc_line(&t->server, line, sizeof(line), START_NS);
    if (rc == -EINTR)
        return rc;
    if (rc <= 0 || strncmp(line, ready, sizeof(ready) - 1) != 0)
        return invalid(t, "the server did not get ready%s%s", rc < 0 ? ": " : "",
                       rc < 0 ? plx_error_text(rc) : "");
    char *addr = line + sizeof(ready) - 1;
    addr[strcspn(addr, " ")] = '\0';
    rc = plx_addr_parse(addr, &t->to, 1, NULL);
    return rc < 0 ? invalid(t, "the server listens on a strange address: %s", addr) : 0;
}

/* ---- the server: somebody else's ---- */

/* A port of this address that is free now: the system gives one, and it is given back. */
static int free_port(const char *address, struct plx_addr *to)
{
    char text[32];
    snprintf(text, sizeof(text), "%s:0", address);
    int rc = plx_addr_parse(text, to, 1, NULL);
    int fd = rc < 0 ? -1 : socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return rc < 0 ? rc : -errno;
    int on = 1;
    rc = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (rc == 0)
        rc = bind(fd, &to->sa, to->len);
    if (rc == 0)
        rc = getsockname(fd, &to->sa, &to->len);
    rc = rc < 0 ? -errno : 0;
    close(fd);
    return rc;
}

/* Puts the address and the port in place of {addr} and {port}. */
static int fill_in(const char *command, const char *address, unsigned port, char *out, size_t cap)
{
    size_t at = 0;
    while (*command) {
        int n;
        if (strncmp(command, "{addr}", 6) == 0 || strncmp(command, "{port}", 6) == 0) {
            n = command[1] == 'a' ? snprintf(out + at, cap - at, "%s", address)
                                  : snprintf(out + at, cap - at, "%u", port);
            command += 6;
        } else {
            n = snprintf(out + at, cap - at, "%c", *command++);
        }
        if (n < 0 || (size_t)n >= cap - at)
            return -E2BIG;
        at += (size_t)n;
    }
    return 0;
}

static int start_command(struct turn *t)
{
    const char *address = net_address(t->run->net);
    char line[1024];
    int rc = free_port(address, &t->to);
    if (rc == 0)
        rc = fill_in(t->run->arm->command, address, plx_addr_port(&t->to), line, sizeof(line));
    return rc == 0 ? proc_start_command(&t->server, line, t->run->interrupted) : rc;
}

/* It says nothing that we know of: try to connect until it can be done. */
static int await_command(struct turn *t)
{
    struct timespec pause = {.tv_nsec = (long)(5 * PLX_MSEC)};
    for (int64_t end = clock_ns() + START_NS; clock_ns() < end;) {
        if (t->run->interrupted && *t->run->interrupted)
            return -EINTR;
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
            return invalid(t, "socket: %s", plx_error_text(errno));
        int rc = connect(fd, &t->to.sa, t->to.len);
        close(fd);
        if (rc == 0)
            return 0;
        if (proc_ended(&t->server))
            return invalid(t, "the command ended before it listened at {addr}:{port}");
        nanosleep(&pause, NULL);
    }
    return invalid(t, "the command did not listen at {addr}:{port} within %.0f s",
                   (double)START_NS / 1e9);
}

/* ---- its end ---- */

/* Asks it to end and sees to it that it does. */
static int end_server(struct turn *t)
{
    char line[sizeof(t->server.line)];
    int rc;
    proc_signal(&t->server, SIGTERM);
    do
        rc = proc_line(&t->server, line, sizeof(line), END_NS);
    while (rc == 1);
    return proc_end(&t->server, rc < 0 ? 0 : END_NS);
}

/* ---- the load ---- */

static double per(int64_t ns, double n)
{
    return ns == ACCOUNT_NA || !(n > 0) ? NAN : (double)ns / n;
}

static double latency_at(const struct load_result *r, double percent)
{
    return hist_count(r->latency) > 0 ? (double)hist_percentile(r->latency, percent) : NAN;
}

static void fill_sample(const struct turn *t, const struct load_result *r, struct sample *s)
{
    const struct workload *w = t->run->workload;
    const struct account *a = &r->server;
    double seconds = (double)r->measured_ns / 1e9;
    bool connect = w->load.mode == LOAD_CONNECT;
    /* What the server's cost is divided by: what it did between the readings of its account. */
    double units = w->idle ? (double)r->server_ns / 1e9 : (double)r->server_messages;
    s->messages = (double)r->messages;
    s->rate = seconds > 0 ? (double)(connect ? r->connections : r->messages) / seconds : NAN;
    s->p50_ns = latency_at(r, 50);
    s->p99_ns = latency_at(r, 99);
    s->p999_ns = latency_at(r, 99.9);
    s->client_busy = r->client_busy + r->client_starved; /* what it had no CPU for is gone, too */
    s->cpu_ns = s->user_ns = s->system_ns = s->voluntary = s->involuntary = NAN;
    s->memory_bytes = s->per_connection = s->server_busy = NAN;
    if (!r->has_server)
        return;
    s->cpu_ns = per(a->cpu_ns, units);
    s->user_ns = per(a->user_ns, units);
    s->system_ns = per(a->system_ns, units);
    s->voluntary = per(a->voluntary, units);
    s->involuntary = per(a->involuntary, units);
    s->server_busy = per(a->cpu_ns, (double)r->server_ns);
    if (a->peak_bytes != ACCOUNT_NA)
        s->memory_bytes = (double)a->peak_bytes;
    if (a->now_bytes != ACCOUNT_NA && t->base_bytes >= 0 && !connect)
        s->per_connection = (double)(a->now_bytes - t->base_bytes) / w->load.connections;
}

static const char *first_failure(const struct load_result *r)
{
    for (int i = LOAD_ERRORS; i-- > 0;) {
        if (r->failure[i].count > 0)
            return r->failure[i].first;
    }
    return "";
}

static double mean_size(const struct load_config *load)
{
    double bytes = 0, weight = 0;
    for (size_t i = 0; i < load->nsizes; i++) {
        bytes += load->size[i].bytes * (double)load->size[i].weight;
        weight += load->size[i].weight;
    }
    return bytes / weight;
}

static void ask(void *arg)
{
    struct turn *t = arg;
    counters_ask(&t->counters, &t->server);
}

/* Loads it. 0: `s` is filled in. */
static int load(struct turn *t, struct sample *s, struct hist *latency)
{
    const struct arm_run *run = t->run;
    struct load_config cfg = run->workload->load;
    struct load_result r;
    cfg.to = t->to;
    cfg.timeout_ns = TIMEOUT_NS;
    cfg.seed = run->seed;
    cfg.server_pid = t->server.pid;
    cfg.interrupted = run->interrupted;
    cfg.tick = run->tick;
    cfg.arg = run->arg;
    if (run->arm->model) {
        cfg.account = ask;
        cfg.account_arg = t;
    }
    if (run->rate > 0)
        cfg.rate = run->rate;
    if (run->workload->idle) {
        /* One message, in the warm-up, shows that it is there; the next would be due in a year. */
        cfg.arrival = LOAD_CONSTANT;
        cfg.rate = 1.0 / (365.0 * 86400);
    }
    load_run(&cfg, &r);
    int rc = 0;
    if (r.verdict == LOAD_INTERRUPTED)
        rc = -EINTR;
    else if (r.verdict == LOAD_CANNOT)
        rc = invalid(t, "%s", r.why);
    else if (r.verdict != LOAD_OK)
        rc = invalid(t, "%s: %s", r.verdict == LOAD_INVALID ? "wrong answers" : "the load failed",
                     first_failure(&r));
    if (rc == 0) {
        fill_sample(t, &r, s);
        counters_take(&t->counters, &t->server, mean_size(&cfg), s);
        hist_add(latency, r.latency);
    }
    load_result_free(&r);
    return rc;
}

/* What it starts with, it inherits from this thread: CPUs, and its end of the network. */
static int start_server(struct turn *t)
{
    const struct arm_run *run = t->run;
    (void)arm_bind(run->server_cpus);
    int rc = net_enter(run->net, NET_SERVER);
    if (rc == 0)
        rc = run->arm->model ? start_model(t) : start_command(t);
    (void)net_enter(run->net, NET_CLIENT); /* if it failed, no connection would be made */
    (void)arm_bind(run->client_cpus);
    return rc;
}

int arm_measure(const struct arm_run *run, struct sample *out, struct hist *latency, char *why,
                size_t whycap)
{
    struct turn t = {.run = run, .why = why, .whycap = whycap, .base_bytes = -1};
    int64_t peak;
    *out = (struct sample){0};
    int rc = start_server(&t);
    if (rc < 0)
        return invalid(&t, "cannot start it: %s", plx_error_text(rc));
    rc = run->arm->model ? await_model(&t) : await_command(&t);
    if (rc == 0 && account_memory(t.server.pid, &peak, &t.base_bytes) < 0)
        t.base_bytes = -1;
    if (rc == 0)
        rc = load(&t, out, latency);
    int ended = end_server(&t);
    /* Somebody else's program may take the signal as its death. */
    if (rc == 0 && run->arm->model && (ended < 0 || t.server.status != 0))
        rc = ended == -EINTR ? -EINTR : invalid(&t, "the server did not end as it should");
    proc_close(&t.server);
    return rc;
}
