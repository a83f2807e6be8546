/* SPDX-License-Identifier: MIT */
/* How a case fails, says something, and waits. */
#include "conform.h"

#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct shared *shared;

static void end_groups(void)
{
    for (int i = 0; i < GROUPS; i++) {
        int group = atomic_load(&shared->group[i]);
        if (group > 0) {
            kill(-group, SIGKILL);
        }
    }
}

void fail(const struct test *t, const char *file, int line, const char *fmt, ...)
{
    char text[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    const char *base = strrchr(file, '/');
    fprintf(stderr, "conform: FAIL model=%s case=%s: %s (%s:%d)\n", t->model->name, t->row->name,
            text, base ? base + 1 : file, line);
    if (atomic_load(&shared->broken)) {
        fprintf(stderr, "conform:      and a contract was broken before: %s\n",
                shared->broken_what);
    }
    end_groups();
    fflush(NULL);
    _exit(1);
}

void note(const struct test *t, const char *fmt, ...)
{
    char text[300];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    printf("  note %s/%s: %s\n", t->model->name, t->row->name, text);
}

void expect_equal(const struct test *t, const char *file, int line, const char *what,
                  long long expected, long long got)
{
    if (expected != got) {
        fail(t, file, line, "%s: expected %lld, got %lld", what, expected, got);
    }
}

int64_t now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * PLX_SECOND + ts.tv_nsec;
}

void nap(int64_t ns)
{
    struct timespec ts = {.tv_sec = ns / PLX_SECOND, .tv_nsec = (long)(ns % PLX_SECOND)};
    while (nanosleep(&ts, &ts) != 0) {
    }
}

bool has(const struct test *t, unsigned caps)
{
    return (t->model->caps & caps) == caps;
}

bool is(const struct test *t, const char *model)
{
    return strcmp(t->model->name, model) == 0;
}

/* Busy polling takes a core by design: the one model whose CPU time proves nothing. */
bool spins(const struct test *t)
{
    return is(t, "nonblocking");
}

const struct record *closed_record(const struct test *t, int i)
{
    struct record *r = &shared->record[i];
    AWAIT(t, atomic_load(&r->closes) > 0, "connection %d: on_close: expected a call, got none", i);
    return r;
}
