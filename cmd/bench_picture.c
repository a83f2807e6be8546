/* SPDX-License-Identifier: MIT */
/*
 * Two drawings in text: how latencies are distributed, and how the rate went. In Unicode's blocks
 * where the locale has them, in ASCII elsewhere.
 */
#include "cmd/bench.h"

#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

#define BAR_COLUMNS 56

/* As many rows as are taken in at a glance; classes are made as fine as that allows. */
#define ROWS_MOST 14

/* So much at either end is put together: a single outlier must not make all rows coarse. */
#define TAIL_PERCENT 0.1

/* From 1 ns to above HIST_MOST, ten classes to a power of ten at most. */
#define CLASSES_MAX 140

/* The program keeps to the C locale; what the terminal shows is the user's. */
static bool has_unicode(void)
{
    locale_t locale = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
    bool yes = false;

    if (locale != (locale_t)0) {
        yes = strcmp(nl_langinfo_l(CODESET, locale), "UTF-8") == 0;
        freelocale(locale);
    }
    return yes;
}

/* ---- latencies ---- */

/* Class i is from edge[i] (included) to edge[i + 1]. Those outside of first .. last have few values
 * in all, and count as `below` and `above`. */
struct classes {
    double edge[CLASSES_MAX + 1];
    uint64_t count[CLASSES_MAX];
    size_t n, first, last;
    uint64_t below, above;
};

static size_t class_of(const struct classes *c, double value)
{
    size_t i = 0;

    while (i + 1 < c->n && value >= c->edge[i + 1])
        i++;
    return i;
}

/* Divides every power of ten at these values. Returns how many rows that makes. */
static size_t make_classes(struct classes *c, const struct hist *h, const double *steps,
                           size_t nsteps)
{
    memset(c, 0, sizeof *c);
    for (int64_t decade = 1; decade < 2 * HIST_MOST; decade *= 10) {
        for (size_t i = 0; i < nsteps && c->n < CLASSES_MAX; i++)
            c->edge[c->n++] = (double)decade * steps[i];
    }
    c->n--; /* the last edge is only an end */
    c->first = class_of(c, (double)hist_percentile(h, TAIL_PERCENT));
    c->last = class_of(c, (double)hist_percentile(h, 100 - TAIL_PERCENT));
    return c->last - c->first + 1;
}

static void choose_classes(struct classes *c, const struct hist *h)
{
    static const double tenths[] = {1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8};
    static const double thirds[] = {1, 2, 5};
    static const double whole[] = {1};

    if (make_classes(c, h, tenths, sizeof tenths / sizeof *tenths) > ROWS_MOST &&
        make_classes(c, h, thirds, sizeof thirds / sizeof *thirds) > ROWS_MOST)
        make_classes(c, h, whole, sizeof whole / sizeof *whole);
}

static void count_bucket(void *arg, int64_t low, int64_t high, uint64_t count)
{
    struct classes *c = arg;
    size_t i = class_of(c, ((double)low + (double)high) / 2);

    if (i < c->first)
        c->below += count;
    else if (i > c->last)
        c->above += count;
    else
        c->count[i] += count;
}

/* A bar of up to BAR_COLUMNS columns, in eighths of one; what is there at all is seen. */
static void print_bar(double share)
{
    static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    bool unicode = has_unicode();
    unsigned length = (unsigned)((share < 1 ? share : 1) * BAR_COLUMNS * 8 + 0.5);

    fputs("  ", stdout);
    length += length == 0;
    for (unsigned i = 0; i < length / 8; i++)
        fputs(unicode ? "█" : "#", stdout);
    if (unicode)
        fputs(eighths[length % 8], stdout);
    else if (length % 8 > 0)
        putchar(length % 8 >= 4 ? '#' : '.');
}

/* Edges are round numbers: "20 us", "1.5 ms". */
static char *edge_text(double ns, char *buf)
{
    static const char *const units[] = {"ns", "us", "ms", "s"};
    size_t i = 0;

    for (; ns >= 999 && i < 3; i++)
        ns /= 1000;
    snprintf(buf, BENCH_TEXT, "%.4g %s", ns, units[i]);
    return buf;
}

static void print_row(const char *from, const char *dash, const char *to, uint64_t count,
                      uint64_t most, double total)
{
    double percent = 100 * (double)count / total;

    printf("  %7s %1s %7s  ", from, dash, to);
    if (percent > 0 && percent < 0.001)
        printf("<0.001 %%");
    else
        printf("%6.*f %%", percent >= 10 || count == 0 ? 1 : percent >= 0.1 ? 2 : 3, percent);
    if (count > 0)
        print_bar((double)count / (double)most);
    putchar('\n');
}

void bench_picture_latency(const struct hist *h)
{
    struct classes c;
    double total = (double)hist_count(h);
    uint64_t most = 0;
    char low[BENCH_TEXT];
    char high[BENCH_TEXT];

    if (total == 0)
        return;
    choose_classes(&c, h);
    hist_each(h, count_bucket, &c);
    for (size_t i = c.first; i <= c.last; i++)
        most = c.count[i] > most ? c.count[i] : most;
    if (c.below > 0)
        print_row("below", "", edge_text(c.edge[c.first], high), c.below, most, total);
    for (size_t i = c.first; i <= c.last; i++)
        print_row(edge_text(c.edge[i], low), "-", edge_text(c.edge[i + 1], high), c.count[i], most,
                  total);
    if (c.above > 0)
        print_row("above", "", edge_text(c.edge[c.last + 1], low), c.above, most, total);
}

/* ---- the rate ---- */

/* Intervals i .. i+n-1 together. */
static double rate_of(const struct load_interval *interval, size_t n)
{
    double messages = 0;
    double ns = 0;

    for (size_t i = 0; i < n; i++) {
        messages += (double)interval[i].messages;
        ns += (double)interval[i].length_ns;
    }
    return ns > 0 ? messages * 1e9 / ns : 0;
}

size_t bench_picture_rates(const struct load_interval *interval, size_t n, size_t width,
                           double *low, double *high)
{
    static const char *const blocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    static const char ascii[] = ".:-=+*#@";
    size_t each = (n + width - 1) / width;
    bool unicode = has_unicode();

    if (n == 0)
        return 0;
    *low = *high = rate_of(interval, each);
    for (size_t i = 0; i < n; i += each) {
        double rate = rate_of(interval + i, i + each <= n ? each : n - i);

        *low = rate < *low ? rate : *low;
        *high = rate > *high ? rate : *high;
    }
    for (size_t i = 0; i < n; i += each) {
        double rate = rate_of(interval + i, i + each <= n ? each : n - i);
        /* From 0 up, so that a small difference looks small. */
        size_t level = *high > 0 ? (size_t)(rate / *high * 7 + 0.5) : 0;

        if (unicode)
            fputs(blocks[level], stdout);
        else
            putchar(ascii[level]);
    }
    return each;
}
