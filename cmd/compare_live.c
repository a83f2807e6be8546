/* SPDX-License-Identifier: MIT */
/* The line that shows a comparison while it runs, redrawn in place. */
#include "cmd/compare_run.h"

#include <pollux/error.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define COLUMNS_UNKNOWN 80
#define BAR             20

static bool shown;

void compare_live_tick(void *arg, const struct rounds_progress *p)
{
    struct winsize size = {0};
    char line[256], bar[BAR + 1];
    long long left = (p->left_ns + PLX_SECOND - 1) / PLX_SECOND;

    (void)arg;
    if (!isatty(STDERR_FILENO))
        return;
    for (int i = 0; i < BAR; i++)
        bar[i] = p->done * BAR > i + 0.5 ? '#' : '.';
    bar[BAR] = '\0';
    snprintf(line, sizeof(line), "[%s] %3.0f%%  at most %lld:%02lld left  round %u  %s  %s", bar,
             100 * p->done, left / 60, left % 60, p->round, p->workload ? p->workload->name : "",
             p->arm ? p->arm->name : "");
    ioctl(STDERR_FILENO, TIOCGWINSZ, &size);
    size_t width = size.ws_col ? size.ws_col : COLUMNS_UNKNOWN;
    /* A line that wraps could not be erased. */
    if (strlen(line) >= width)
        line[width - 1] = '\0';
    fprintf(stderr, "\r\033[K%s", line);
    fflush(stderr);
    shown = true;
}

void compare_live_end(void)
{
    if (shown)
        fputs("\r\033[K", stderr);
    shown = false;
}
