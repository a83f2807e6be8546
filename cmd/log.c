/* SPDX-License-Identifier: MIT */
/* The log's sink. Nothing here allocates or locks, because it runs after fork(2) too. */
#include "cmd/log.h"

#include "cmd/utc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A line longer than this is cut: what a peer sent is no reason to log without bound. */
#define LINE_MAX_BYTES 1024

static int open_file(const char *path)
{
    /* O_NONBLOCK so that a FIFO without a reader is an error instead of a hang; it changes nothing
     * for a regular file. */
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0644);

    return fd < 0 ? -errno : fd;
}

int log_open(struct log *log)
{
    log->fd = -1;
    if (log->path == NULL)
        return 0;
    log->fd = open_file(log->path);
    return log->fd < 0 ? log->fd : 0;
}

void log_close(struct log *log)
{
    if (log->fd >= 0)
        close(log->fd);
    log->fd = -1;
}

int log_reopen(struct log *log)
{
    int rc = 0;
    int fd;

    if (log->fd < 0)
        return 0;
    fd = open_file(log->path);
    if (fd < 0)
        return fd;
    /* The new file takes the old one's number in one step, so a thread that is about to write
     * finds either the old or the new file behind it, never a closed descriptor. */
    if (dup3(fd, log->fd, O_CLOEXEC) < 0)
        rc = -errno;
    close(fd);
    return rc;
}

static void put(int fd, const char *head, const char *line)
{
    char buf[LINE_MAX_BYTES + 128];
    int n = snprintf(buf, sizeof buf - 1, "%s%.*s", head, LINE_MAX_BYTES, line);
    size_t len = (size_t)n < sizeof buf - 1 ? (size_t)n : sizeof buf - 2;
    ssize_t written;

    /* A line is a line, whatever it quotes. */
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)buf[i] < ' ' || buf[i] == 127)
            buf[i] = '?';
    }
    buf[len++] = '\n';
    /* A full disk or a closed terminal is no reason to stop serving: the result is not used. */
    do {
        written = write(fd, buf, len);
    } while (written < 0 && errno == EINTR);
}

void log_line(void *arg, enum plx_level level, const char *line)
{
    static const char *const names[] = {"error", "warn ", "info ", "debug"};
    struct log *log = arg;
    int saved = errno;

    if (level <= log->console)
        put(STDERR_FILENO, "pollux: ", line);
    if (log->fd >= 0 && level <= log->file) {
        struct timespec now;
        struct utc utc;
        char head[96];

        clock_gettime(CLOCK_REALTIME, &now);
        utc_split(now.tv_sec, &utc);
        snprintf(head, sizeof head, "%04d-%02d-%02dT%02d:%02d:%02d.%06ldZ %ld %s ", utc.year,
                 utc.month, utc.day, utc.hour, utc.minute, utc.second, now.tv_nsec / 1000,
                 (long)getpid(), names[level]);
        put(log->fd, head, line);
    }
    errno = saved;
}

void log_print(struct log *log, enum plx_level level, const char *fmt, ...)
{
    char line[LINE_MAX_BYTES];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    log_line(log, level, line);
}

struct plx_log log_sink(struct log *log)
{
    enum plx_level level = log->fd >= 0 && log->file > log->console ? log->file : log->console;

    return (struct plx_log){.fn = log_line, .arg = log, .level = level};
}
