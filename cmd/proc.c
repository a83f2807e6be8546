/* SPDX-License-Identifier: MIT */
/*
 * See proc.h. fork(2) and execv(2) instead of posix_spawn(3), because a spawned child cannot be
 * given PR_SET_PDEATHSIG; the callers have one thread when they start a child.
 */
#include "cmd/proc.h"

#include "cmd/clock.h"
#include "cmd/measure/account.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pollux/error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A wait looks at `interrupted` so often: a signal that comes between the look and the system
 * call is noticed at the next. */
#define SLICE_MS 100

/* How often an end is looked for. */
#define REAP_NS (2 * PLX_MSEC)

#define ARGS_MAX 32
#define ARG_TEXT 4096

/* Runs in the child, between fork and exec. */
static void become(const char *file, char *const *argv, int out, int err, pid_t parent)
{
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) /* it died before it could be watched */
        _exit(127);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);

    int in = open("/dev/null", O_RDONLY);
    if (in >= 0 && dup2(in, 0) == 0 && dup2(out, 1) == 1 && dup2(err, 2) == 2)
        execv(file, argv);
    dprintf(err, "%s: %s\n", file, strerror(errno));
    _exit(127);
}

/* `quiet`: what it prints goes where its errors go, since nobody reads it. */
static int start(struct proc *p, const char *file, char *const *argv, bool quiet,
                 const volatile sig_atomic_t *interrupted)
{
    int out[2] = {-1, -1};
    int err = memfd_create("pollux-stderr", MFD_CLOEXEC);
    pid_t parent = getpid();
    pid_t pid = -1;
    if (err >= 0 && pipe2(out, O_CLOEXEC) == 0)
        pid = fork();
    if (pid == 0)
        become(file, argv, quiet ? err : out[1], err, parent);
    int rc = pid < 0 ? -errno : 0;
    if (out[1] >= 0)
        close(out[1]);
    if (rc < 0) {
        if (out[0] >= 0)
            close(out[0]);
        if (err >= 0)
            close(err);
        return rc;
    }
    *p = (struct proc){.pid = pid, .out = out[0], .err = err, .interrupted = interrupted};
    return 0;
}

int proc_start(struct proc *p, const char *const *args, const volatile sig_atomic_t *interrupted)
{
    char name[] = "pollux";
    char *argv[ARGS_MAX + 2] = {name};
    size_t n = 0;
    for (; args[n]; n++) {
        if (n == ARGS_MAX)
            return -E2BIG;
        argv[n + 1] = (char *)args[n]; /* exec(3): the strings are not modified */
    }
    return start(p, "/proc/self/exe", argv, false, interrupted);
}

int proc_start_command(struct proc *p, const char *command,
                       const volatile sig_atomic_t *interrupted)
{
    char line[ARG_TEXT];
    char shell[] = "sh", option[] = "-c";
    /* In place of the shell, so that the process that is measured and ended is the program. */
    int n = snprintf(line, sizeof(line), "exec %s", command);
    if (n < 0 || (size_t)n >= sizeof(line))
        return -E2BIG;
    char *const argv[] = {shell, option, line, NULL};
    return start(p, "/bin/sh", argv, true, interrupted);
}

bool proc_ended(struct proc *p)
{
    siginfo_t info = {.si_pid = 0};
    return p->pid == 0 ||
           (waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid);
}

static bool is_interrupted(const struct proc *p)
{
    return p->interrupted && *p->interrupted;
}

/* Hands out the first `n` bytes that were read; the newline after them goes too. */
static int take_line(struct proc *p, size_t n, char *line, size_t cap)
{
    snprintf(line, cap, "%.*s", (int)n, p->line);
    size_t used = n < p->have ? n + 1 : n;
    memmove(p->line, p->line + used, p->have - used);
    p->have -= used;
    return 1;
}

/* Waits until there is something to read. 0, or as proc_line(). */
static int await_output(const struct proc *p, int64_t deadline)
{
    for (;;) {
        if (is_interrupted(p))
            return -EINTR;
        int64_t left = deadline - clock_ns();
        if (left <= 0)
            return -ETIMEDOUT;
        int ms = left > SLICE_MS * PLX_MSEC ? SLICE_MS : (int)(left / PLX_MSEC) + 1;
        struct pollfd fd = {.fd = p->out, .events = POLLIN};
        int rc = poll(&fd, 1, ms);
        if (rc > 0)
            return 0;
        if (rc < 0 && errno != EINTR)
            return -errno;
    }
}

int proc_line(struct proc *p, char *line, size_t cap, int64_t timeout_ns)
{
    int64_t deadline = clock_ns() + timeout_ns;
    for (;;) {
        const char *end = memchr(p->line, '\n', p->have);
        if (end)
            return take_line(p, (size_t)(end - p->line), line, cap);
        if (p->have == sizeof(p->line))
            return take_line(p, p->have, line, cap);
        int rc = await_output(p, deadline);
        if (rc < 0)
            return rc;
        ssize_t n = read(p->out, p->line + p->have, sizeof(p->line) - p->have);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0)
            return p->have ? take_line(p, p->have, line, cap) : 0;
        if (n > 0)
            p->have += (size_t)n;
    }
}

void proc_sample(struct proc *p)
{
    int64_t peak;
    if (p->pid != 0 && account_memory(p->pid, &peak, NULL) == 0 && peak > p->mem)
        p->mem = peak;
}

void proc_signal(const struct proc *p, int signo)
{
    if (p->pid > 0)
        kill(p->pid, signo);
}

int proc_end(struct proc *p, int64_t timeout_ns)
{
    int64_t deadline = clock_ns() + timeout_ns;
    int rc = 0;
    if (p->pid == 0)
        return 0;
    for (;;) {
        pid_t got = waitpid(p->pid, &p->status, WNOHANG);
        if (got == p->pid || (got < 0 && errno != EINTR))
            break;
        rc = clock_ns() >= deadline ? -ETIMEDOUT : is_interrupted(p) ? -EINTR : 0;
        if (rc < 0) {
            /* Not reaped yet, so the id is still its own. */
            kill(-p->pid, SIGKILL);
            kill(p->pid, SIGKILL); /* it may not have made its group yet */
            while (waitpid(p->pid, &p->status, 0) < 0 && errno == EINTR)
                ;
            break;
        }
        nanosleep(&(struct timespec){.tv_nsec = REAP_NS}, NULL);
    }
    close(p->out);
    p->pid = 0;
    return rc;
}

char *proc_complaint(const struct proc *p, char *buf, size_t cap)
{
    off_t size = lseek(p->err, 0, SEEK_END);
    off_t from = size > (off_t)cap - 1 ? size - (off_t)cap + 1 : 0;
    ssize_t n = size > 0 ? pread(p->err, buf, cap - 1, from) : 0;
    buf[n > 0 ? n : 0] = '\0';
    size_t len = strlen(buf);
    while (len > 0 && buf[len - 1] == '\n')
        buf[--len] = '\0';
    const char *line = strrchr(buf, '\n');
    if (line)
        memmove(buf, line + 1, strlen(line));
    return buf;
}

void proc_close(struct proc *p)
{
    close(p->err);
    p->err = -1;
}
