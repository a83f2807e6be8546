/* SPDX-License-Identifier: MIT */
/*
 * One run: the same scenario each time, with one fault in it, and what became of it.
 *
 *   start -> clients of all kinds, outgoing connections, a watch, a post -> the fault phase is over
 *     -> a probe -> a client that stays -> drain -> nothing is left
 *
 * A fault that strikes once stays armed until it has struck, so that the later calls are those of
 * the drain. One that lasts is over after a moment: then whoever still waits must be served.
 */
#include "faults.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define LASTING MS(150)

struct run {
    const char *model;
    const struct plan *plan;
    unsigned flags;
    struct verdict *out;
    pid_t pid;
    int control;
};

__attribute__((format(printf, 2, 3))) static void wrong(struct run *r, const char *fmt, ...)
{
    va_list ap;
    if (!r->out->ok)
        return; /* the first is the cause */
    r->out->ok = false;
    va_start(ap, fmt);
    vsnprintf(r->out->what, sizeof(r->out->what), fmt, ap);
    va_end(ap);
}

static bool hears(struct run *r, const char *what)
{
    struct pollfd p = {.fd = r->control, .events = POLLIN};
    char byte;
    if (poll(&p, 1, (int)(PATIENCE / PLX_MSEC)) == 0) {
        wrong(r, "hangs: %s", what);
        return false;
    }
    if (recv(r->control, &byte, 1, 0) != 1) {
        wrong(r, "the server's process ended: %s", what);
        return false;
    }
    return true;
}

static bool ask(struct run *r, char command, const char *what)
{
    if (send(r->control, &command, 1, MSG_NOSIGNAL) != 1) {
        wrong(r, "the server's process ended before: %s", what);
        return false;
    }
    return hears(r, what);
}

static void begin(struct run *r, const struct plx_addr *backend)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
        perror("faults: socketpair");
        exit(1);
    }
    fflush(NULL);
    r->pid = fork();
    if (r->pid < 0) {
        perror("faults: fork");
        exit(1);
    }
    if (r->pid == 0) {
        close(ends[0]);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        setpgid(0, 0);
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        server_main(r->model, ends[1], backend);
    }
    setpgid(r->pid, r->pid);
    close(ends[1]);
    r->control = ends[0];
}

/* ---- the judgement ---- */

static void judge_clients(struct run *r, const struct client *c, int n)
{
    for (int i = 0; i < n; i++) {
        if (c[i].end == CORRUPT)
            wrong(r, "client %d: a wrong byte at %zu", i, c[i].got - 1);
        if (c[i].end == RUNNING && c[i].kind != STAYS)
            wrong(r, "client %d (kind %d) hangs: sent %zu, got %zu of %zu", i, (int)c[i].kind,
                  c[i].sent, c[i].got, c[i].total);
        r->out->hurt += c[i].end == HURT;
    }
}

static void judge_start(struct run *r)
{
    bool at_start = atomic_load(&shared->hit_start);
    r->out->start_failed = shared->start_rc < 0;
    if (r->out->start_failed && !(r->flags & (AT_START | F_START)))
        wrong(r, "the start failed: %s (%s)", plx_error_name(shared->start_rc), shared->why);
    if ((r->flags & F_START) && at_start && !r->out->start_failed)
        wrong(r, "the start succeeded");
    if ((r->flags & F_START) && r->out->start_failed && shared->start_rc != -r->plan->err)
        wrong(r, "the start failed with %s", plx_error_name(shared->start_rc));
}

/* Everybody who lost his connection has been counted by somebody. */
static void judge_counters(struct run *r)
{
    const struct plx_stats *s = &shared->stats;
    uint64_t counted =
        s->refused + s->errors + s->resets + s->overflows + s->timeouts_idle + s->timeouts_write;
    if (r->out->hurt && !(r->flags & (HURTS | F_RUN)))
        wrong(r, "%d clients lost their connections", r->out->hurt);
    if (!r->out->run_failed && counted < (uint64_t)r->out->hurt)
        wrong(r, "%d clients lost their connections, %llu were counted", r->out->hurt,
              (unsigned long long)counted);
    if (s->open != 0 || s->accepted + s->connected != s->closed)
        wrong(r, "counters: accepted %llu, connected %llu, closed %llu, open %llu",
              (unsigned long long)s->accepted, (unsigned long long)s->connected,
              (unsigned long long)s->closed, (unsigned long long)s->open);
    if (atomic_load(&shared->opens) != atomic_load(&shared->closes))
        wrong(r, "on_open %d times, on_close %d times", atomic_load(&shared->opens),
              atomic_load(&shared->closes));
}

static void judge_end(struct run *r)
{
    if (shared->trouble[0])
        wrong(r, "%s", shared->trouble);
    if (atomic_load(&shared->crashed))
        wrong(r, "a process of a connection crashed");
    r->out->run_failed = shared->end_rc < 0;
    if (r->out->run_failed && !(r->flags & F_RUN))
        wrong(r, "the server ended with %s", plx_error_name(shared->end_rc));
    judge_start(r);
    judge_counters(r);
}

/* ---- the scenario ---- */

static void await_answers(struct run *r, int64_t until)
{
    while (atomic_load(&shared->answered) < atomic_load(&shared->asked)) {
        if (atomic_load(&shared->ended))
            return;
        if (clock_now() > until) {
            wrong(r, "of %d connections, loans, posts and watches %d came to an end",
                  atomic_load(&shared->asked), atomic_load(&shared->answered));
            return;
        }
        nanosleep(&(struct timespec){.tv_nsec = MS(1)}, NULL);
    }
}

/* A connection that is refused although the fault is over: the listener may still be pausing. */
static bool probe(struct run *r, struct client *c, enum client_kind kind)
{
    int64_t until = clock_now() + 5 * PLX_SECOND;
    while (clock_now() < until) {
        client_begin(c, kind, 99, &shared->addr);
        (void)clients_turn(c, 1, until);
        if (c->end == EXACT || (c->end == RUNNING && c->got == c->total))
            return true;
        if (atomic_load(&shared->ended))
            return false;
        judge_clients(r, c, 1);
        if (c->end == HURT && atomic_load(&shared->armed) && atomic_load(&shared->injected) &&
            !(r->flags & LASTS))
            continue; /* it met the fault itself */
        nanosleep(&(struct timespec){.tv_nsec = MS(20)}, NULL);
    }
    wrong(r, "no answer to a probe");
    return false;
}

static void serve(struct run *r)
{
    static const enum client_kind kinds[] = {SMALL, LARGE, HALF, RESET, TICK, PAUSED, SMALL, LARGE};
    enum { N = sizeof(kinds) / sizeof(kinds[0]) };
    struct client c[N], stays = {.fd = -1};
    for (unsigned i = 0; i < N; i++)
        client_begin(&c[i], kinds[i], i + 1, &shared->addr);
    bool there = ask(r, 'a', "beginning connections of its own");
    if (r->plan->lasts && there) {
        (void)clients_turn(c, N, clock_now() + LASTING);
        atomic_store(&shared->armed, false);
    }
    if (there)
        (void)clients_turn(c, N, clock_now() + PATIENCE);
    judge_clients(r, c, N);
    for (unsigned i = 0; i < N; i++)
        client_drop(&c[i]);
    if (there && r->out->ok)
        await_answers(r, clock_now() + PATIENCE);
    if (there && r->out->ok)
        (void)probe(r, &stays, SMALL);
    if (there && r->out->ok && probe(r, &stays, STAYS) && ask(r, 's', "counting")) {
        /* It is there when the drain begins, and has had all it is owed. */
        char d = 'd';
        (void)!send(r->control, &d, 1, MSG_NOSIGNAL);
        if (!client_sees_end(&stays, clock_now() + PATIENCE))
            wrong(r, "a drain that its client does not see");
        client_drop(&stays);
        (void)hears(r, "draining");
    } else if (there && r->out->ok) { /* the loop has failed */
        (void)ask(r, 'd', "draining");
    }
    client_drop(&stays);
}

static void await_exit(struct run *r)
{
    int status = 0;
    int64_t until = clock_now() + PATIENCE;
    if (!r->out->ok)
        until = clock_now() + MS(300);
    pid_t rc;
    while ((rc = waitpid(r->pid, &status, WNOHANG)) == 0 && clock_now() < until)
        nanosleep(&(struct timespec){.tv_nsec = MS(1) / 2}, NULL);
    if (rc == 0) {
        wrong(r, "hangs: its end");
        kill(-r->pid, SIGKILL);
        (void)waitpid(r->pid, &status, 0);
        return;
    }
    if (WIFSIGNALED(status)) {
        r->out->ok = true; /* more to the point than what the clients saw of it */
        wrong(r, "the server's process ended by signal %d", WTERMSIG(status));
    } else if (WEXITSTATUS(status) != 0) {
        wrong(r, "the server's process ended with status %d", WEXITSTATUS(status));
    }
    if (kill(-r->pid, SIGKILL) == 0)
        wrong(r, "a process of it is left");
}

void run_once(const char *model, const struct plan *plan, unsigned flags,
              const struct plx_addr *backend, struct verdict *out)
{
    struct run r = {.model = model, .plan = plan, .flags = flags, .out = out};
    *out = (struct verdict){.ok = true};
    memset(shared, 0, sizeof(*shared));
    shared->plan = *plan;
    atomic_store(&shared->dice, plan->seed);
    atomic_store(&shared->armed, true);
    begin(&r, backend);
    if (hears(&r, "starting"))
        serve(&r);
    close(r.control);
    await_exit(&r);
    if (out->ok)
        judge_end(&r);
    else if (shared->trouble[0])
        snprintf(out->what + strlen(out->what), sizeof(out->what) - strlen(out->what), "; %.150s",
                 shared->trouble);
    out->injected = atomic_load(&shared->injected) > 0;
    for (int i = 0; i < NSITES; i++)
        out->calls[i] = atomic_load(&shared->calls[i]);
}
