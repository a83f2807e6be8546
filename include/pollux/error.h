/* SPDX-License-Identifier: MIT */
/* Errors in words, and the log callback. */
#ifndef POLLUX_ERROR_H
#define POLLUX_ERROR_H

/* In a configuration field where 0 stands for the default: no such limit. */
#define PLX_OFF (-1)

#define PLX_SECOND  1000000000LL /* nanoseconds */
#define PLX_MSEC    1000000LL
#define PLX_FOREVER (-1LL)

/*
 * Why something cannot be done, in words for a person. Filled by functions that take one;
 * both texts are NUL-terminated, `remedy` is empty where nobody can do anything about it.
 */
struct plx_why {
    char reason[192]; /* "io_uring_setup: Operation not permitted (kernel.io_uring_disabled=2)" */
    char remedy[192]; /* "sysctl kernel.io_uring_disabled=0" */
};

/*
 * The symbolic name of an error ("ECONNRESET") for `err` = errno or -errno; "OK" for 0 and
 * "E?" for a number this system has no name for. Static storage. Any thread.
 */
const char *plx_error_name(int err);

/* What the error means, for a person; never NULL. Static or thread-local storage. Any thread. */
const char *plx_error_text(int err);

enum plx_level { PLX_LOG_ERROR, PLX_LOG_WARN, PLX_LOG_INFO, PLX_LOG_DEBUG };

/*
 * Where the library's log lines go. `fn` gets one line without a newline; it may be called from
 * any thread that runs a loop (and from a connection's own process in the fork model), so it must
 * be thread-safe and must not call back into the library. Lines above `level` are not formatted.
 * Of ERROR and WARN a loop, or all workers of a server together, say at most one line of a kind
 * each second, and the next one how many were left out, so peers cannot fill a disk with them.
 * INFO is a line for each connection that comes and goes, DEBUG one for each piece of input.
 * `fn` == NULL: no log.
 */
struct plx_log {
    void (*fn)(void *arg, enum plx_level level, const char *line);
    void *arg;
    enum plx_level level;
};

#endif
