/* SPDX-License-Identifier: MIT */
/* The line that shows a run while it runs. It is redrawn in place, within the terminal's width of
 * that moment: a line that wraps could not be erased. */
#include "cmd/bench.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define COLUMNS_UNKNOWN 80
#define FIELD_TEXT      64

/* In the order in which they stand; on 80 columns there is room for all. */
enum field { PHASE, RATE, LATENCY, OPEN, ERRORS, LEFT, FIELDS };

static const char *phase_name(enum load_phase phase)
{
    static const char *const names[] = {[LOAD_CONNECTING] = "connect",
                                        [LOAD_WARMUP] = "warm-up",
                                        [LOAD_MEASURING] = "measure",
                                        [LOAD_DRAINING] = "drain"};

    return names[phase];
}

/* Three digits: "645", "90.5k", "1.03M". */
static char *short_count(double n, char *buf)
{
    static const char *const units[] = {"", "k", "M", "G"};
    size_t i = 0;

    for (; n >= 999.5 && i < 3; i++)
        n /= 1000;
    snprintf(buf, BENCH_TEXT, "%.*f%s", i == 0 || n >= 99.95 ? 0 : n >= 9.995 ? 1 : 2, n, units[i]);
    return buf;
}

static void put_time(char *out, int64_t ns, const char *what)
{
    int64_t seconds = (ns + PLX_SECOND - 1) / PLX_SECOND;

    if (seconds >= 3600)
        snprintf(out, FIELD_TEXT, "%lld:%02lld h %s", (long long)(seconds / 3600),
                 (long long)(seconds / 60 % 60), what);
    else if (seconds >= 60)
        snprintf(out, FIELD_TEXT, "%lld:%02lld m %s", (long long)(seconds / 60),
                 (long long)(seconds % 60), what);
    else
        snprintf(out, FIELD_TEXT, "%lld s %s", (long long)seconds, what);
}

static void fill_fields(const struct load_progress *p, char field[FIELDS][FIELD_TEXT])
{
    char a[BENCH_TEXT];
    char b[BENCH_TEXT];

    memset(field, 0, (size_t)FIELDS * FIELD_TEXT);
    if (p->done >= 0)
        snprintf(field[PHASE], FIELD_TEXT, "%-7s %3.0f%%", phase_name(p->phase), 100 * p->done);
    else
        snprintf(field[PHASE], FIELD_TEXT, "%-7s", phase_name(p->phase));
    if (p->phase != LOAD_CONNECTING) {
        snprintf(field[RATE], FIELD_TEXT, "%5s/s", short_count(p->rate, a));
        snprintf(field[LATENCY], FIELD_TEXT, "p50/p99 %7s %7s", bench_time((double)p->p50_ns, a),
                 bench_time((double)p->p99_ns, b));
    }
    snprintf(field[OPEN], FIELD_TEXT, "%s open", short_count(p->open, a));
    if (p->errors == 0)
        snprintf(field[ERRORS], FIELD_TEXT, "no errors");
    else
        snprintf(field[ERRORS], FIELD_TEXT, "%s ERROR%s", short_count((double)p->errors, a),
                 p->errors == 1 ? "" : "S");
    if (p->left_ns >= 0)
        put_time(field[LEFT], p->left_ns, "left");
    else
        put_time(field[LEFT], p->phase_ns, "so far");
}

char *bench_live_line(const struct load_progress *p, size_t width, char *buf, size_t cap)
{
    /* What goes first when there is no room. */
    static const enum field order[FIELDS] = {OPEN, LEFT, PHASE, LATENCY, ERRORS, RATE};
    char field[FIELDS][FIELD_TEXT];
    size_t used = 0;
    size_t most = width < cap ? width : cap - 1;

    fill_fields(p, field);
    for (size_t i = 0; i < FIELDS; i++)
        used += field[i][0] != '\0' ? strlen(field[i]) + 2 : 0;
    for (size_t i = 0; i < FIELDS && used > most + 2; i++) {
        char *least = field[order[i]];

        used -= least[0] != '\0' ? strlen(least) + 2 : 0;
        least[0] = '\0';
    }
    buf[0] = '\0';
    for (size_t i = 0; i < FIELDS; i++) {
        size_t at = strlen(buf);

        if (field[i][0] != '\0')
            snprintf(buf + at, cap - at, "%s%s", at > 0 ? "  " : "", field[i]);
    }
    return buf;
}

static size_t terminal_width(void)
{
    struct winsize size;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return COLUMNS_UNKNOWN;
}

void bench_live_tick(void *arg, const struct load_progress *p)
{
    char line[FIELDS * (FIELD_TEXT + 2)];

    (void)arg;
    /* In the last column a terminal may wrap. */
    fprintf(stderr, "\r\033[K%s", bench_live_line(p, terminal_width() - 1, line, sizeof line));
    fflush(stderr);
}

void bench_live_end(void)
{
    if (isatty(STDERR_FILENO))
        fputs("\r\033[K", stderr);
}
