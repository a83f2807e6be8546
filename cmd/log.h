/* SPDX-License-Identifier: MIT */
/*
 * Where log lines go: the console, and a file, each with a level of its own.
 *
 * Every line is one write(2). On a file opened with O_APPEND the kernel makes each such write whole
 * and puts it at the end, so threads and the processes of the fork model need no lock between
 * them, and no buffer can be duplicated by fork(2).
 */
#ifndef POLLUX_CMD_LOG_H
#define POLLUX_CMD_LOG_H

#include <pollux/error.h>

struct log {
    enum plx_level console; /* lines up to this level go to standard error, as "pollux: LINE" */
    enum plx_level file;    /* ... and up to this one to the file, with time, process and level */
    const char *path;       /* kept, not copied; NULL = no file */
    int fd;                 /* never changes while the log is open, see log_reopen() */
};

/* Opens the file, if there is one; the other fields are set by the caller. 0 or -errno. */
int log_open(struct log *);

void log_close(struct log *);

/*
 * Begins a new file under the same path, for a rotation that renamed the old one. Other threads
 * may log meanwhile. Processes of connections that were there before keep the old file.
 * 0, or -errno: then the old file stays in use.
 */
int log_reopen(struct log *);

/* One line, without a newline. `arg` is a struct log *. Has the type of plx_log.fn. Any thread. */
void log_line(void *arg, enum plx_level, const char *line);

/* Likewise, formatted. */
void log_print(struct log *, enum plx_level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* What the library is given: log_line() with the more talkative of the two levels. */
struct plx_log log_sink(struct log *);

#endif
