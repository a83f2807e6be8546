/* SPDX-License-Identifier: MIT */
/*
 * A child that is this program again: started, listened to, measured, and ended by its id.
 *
 * The child gets a process group of its own, so that what it forks can be ended with it, and is
 * asked by the kernel to end when its parent dies (PR_SET_PDEATHSIG): nothing is left behind even
 * when the parent is killed. One thread; its calls for one child are not concurrent.
 */
#ifndef POLLUX_CMD_PROC_H
#define POLLUX_CMD_PROC_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct proc {
    pid_t pid;   /* 0 = none, or ended */
    int out;     /* its standard output, a pipe */
    int err;     /* its standard error, an unlinked file: it can never block on it */
    int status;  /* as waitpid(2), once it has ended */
    int64_t mem; /* the most memory seen by proc_sample(), bytes; 0 = not known */
    size_t have; /* bytes of `line` */
    char line[4096];
    /* Waits end with -EINTR once this is set by a signal handler; may be NULL. */
    const volatile sig_atomic_t *interrupted;
};

/*
 * Starts `pollux ARGS...` (`args` ends with NULL and is without the program's own name) from
 * /proc/self/exe. 0 or -errno; nothing is left behind on failure.
 */
int proc_start(struct proc *, const char *const *args, const volatile sig_atomic_t *interrupted);

/* Likewise a command of /bin/sh; the shell is replaced by the program that it names. What it
 * prints is not handed out by proc_line(), it stands with its errors. */
int proc_start_command(struct proc *, const char *command,
                       const volatile sig_atomic_t *interrupted);

/* Whether it has ended by itself; proc_end() is to be called all the same. */
bool proc_ended(struct proc *);

/*
 * The next line of its standard output, without the newline. Returns 1, 0 at the end of output,
 * -ETIMEDOUT, -EINTR, or -errno of read(2). A line longer than the buffer comes in parts.
 */
int proc_line(struct proc *, char *line, size_t cap, int64_t timeout_ns);

/*
 * Looks at the memory it has now. For a single process this is its peak resident set (VmHWM in
 * proc(5)), however late it is asked. While the child has children, it is the sum of their
 * proportional shares (Pss), in which a page that several of them share counts once; only
 * moments that are looked at are seen.
 */
void proc_sample(struct proc *);

/* Sends it a signal. */
void proc_signal(const struct proc *, int signo);

/*
 * Waits for its end, at most `timeout_ns`; then kills its group. Closes what belongs to it except
 * its standard error. Returns 0, -ETIMEDOUT when it had to be killed, -EINTR likewise.
 */
int proc_end(struct proc *, int64_t timeout_ns);

/* The last line it wrote to standard error, or "". Returns `buf`. */
char *proc_complaint(const struct proc *, char *buf, size_t cap);

/* Forgets an ended child. */
void proc_close(struct proc *);

#endif
