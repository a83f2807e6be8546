/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the account share: children of known behaviour, which are read from outside and
 * asked what they think themselves (getrusage(2)). They stand still while they are read, so that
 * load on the machine cannot change what is expected.
 *
 * A sanitizer may run a thread of its own in every process.
 */
#ifndef POLLUX_TEST_ACCOUNT_UTIL_H
#define POLLUX_TEST_ACCOUNT_UTIL_H

#include "cmd/measure/account.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define TICK    (10 * PLX_MSEC)
#define BURN    (200 * PLX_MSEC)
#define A_TENTH (BURN / 10)

struct child {
    pid_t pid;
    int in, out; /* the parent's ends of two pipes */
};

/* In the child: its ends. */
static int mine_in, mine_out;

/* Runs `fn` in a child, which ends when it returns. */
static inline struct child begin(void (*fn)(void))
{
    int down[2], up[2];
    assert_int_equal(pipe(down), 0);
    assert_int_equal(pipe(up), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(down[1]);
        close(up[0]);
        mine_in = down[0];
        mine_out = up[1];
        fn();
        _exit(0);
    }
    close(down[0]);
    close(up[1]);
    return (struct child){.pid = pid, .in = up[0], .out = down[1]};
}

/* The child says a number, and stands still until the parent lets it go on. */
static inline void stop_here(int64_t say)
{
    char go;
    if (write(mine_out, &say, sizeof(say)) != sizeof(say) || read(mine_in, &go, 1) != 1)
        _exit(1);
}

static inline int64_t hear(const struct child *c)
{
    int64_t said = 0;
    assert_int_equal(read(c->in, &said, sizeof(said)), sizeof(said));
    return said;
}

static inline void go_on(const struct child *c)
{
    assert_int_equal(write(c->out, "", 1), 1);
}

static inline void end(const struct child *c)
{
    int status;
    kill(c->pid, SIGKILL);
    close(c->in);
    close(c->out);
    assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
}

/* A line of /proc/PID/status, behind its key. */
static inline char *status_line(pid_t pid, const char *key, char *line, size_t cap)
{
    snprintf(line, cap, "/proc/%d/status", (int)pid);
    FILE *f = fopen(line, "re");
    assert_non_null(f);
    line[0] = '\0';
    while (fgets(line, (int)cap, f) && strncmp(line, key, strlen(key)) != 0)
        line[0] = '\0';
    fclose(f);
    assert_true(line[0]);
    return line + strlen(key) + 1;
}

/* Who has said something may still be on the way to its sleep; a reading in between would lack what
 * it spent since the last clock interrupt, and one more context switch follows. */
static inline void await_sleep(pid_t pid)
{
    char line[256];
    while (*status_line(pid, "State:", line, sizeof(line)) != 'S')
        sched_yield();
}

static inline struct account read_now(pid_t pid)
{
    struct account a;
    struct plx_why why = {"", ""};
    if (account_read(pid, &a, &why) != 0)
        fail_msg("%s", why.reason);
    return a;
}

static inline struct account settled(const struct child *c)
{
    await_sleep(c->pid);
    return read_now(c->pid);
}

static inline struct account between(const struct account *from, const struct account *to)
{
    struct account out;
    account_between(from, to, &out);
    return out;
}

static inline int64_t used_by(int who)
{
    struct rusage u;
    getrusage(who, &u);
    return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * PLX_SECOND +
           (u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000;
}

/* Spends CPU time in this thread, by its own clock. */
static inline void burn(int64_t ns)
{
    struct timespec t;
    int64_t from = -1, now;
    do {
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
        now = t.tv_sec * PLX_SECOND + t.tv_nsec;
        from = from < 0 ? now : from;
    } while (now - from < ns);
}

static inline void assert_near(int64_t got, int64_t expected, int64_t tolerance)
{
    if (got < expected - tolerance || got > expected + tolerance)
        fail_msg("%lld is not %lld +- %lld", (long long)got, (long long)expected,
                 (long long)tolerance);
}

#endif
