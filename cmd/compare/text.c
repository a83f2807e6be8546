/* SPDX-License-Identifier: MIT */
/*
 * The comparison on a terminal, for somebody with a minute: a table for each workload, who is best
 * in which, then the claims and what to bear in mind. There is no winner of all.
 */
#include "cmd/text.h"
#include "cmd/compare/judge.h"
#include "cmd/measure/machine.h"
#include "cmd/table.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NAME_COLUMNS 12
#define SHORT        12 /* bytes of a figure, NUL included */

/* ---- figures, as short as they can be read ---- */

/* "9.5us", "210us", "1.2ms". */
static const char *scaled(double v, const char *const *unit, size_t units, double step, char *buf)
{
    size_t u = 0;
    if (isnan(v))
        return "n/a";
    v = fmax(v, 0);
    for (; u + 1 < units && v >= 0.9995 * step; u++)
        v /= step;
    snprintf(buf, SHORT, "%.*f%s", v >= 9.95 || u == 0 ? 0 : 1, fmin(v, 99999), unit[u]);
    return buf;
}

static const char *time_text(double ns, char *buf)
{
    static const char *const units[] = {"ns", "us", "ms", "s"};
    return scaled(ns, units, 4, 1000, buf);
}

static const char *count_text(double n, char *buf)
{
    static const char *const units[] = {"", "k", "M", "G"};
    return scaled(n, units, 4, 1000, buf);
}

static const char *bytes_text(double n, char *buf)
{
    static const char *const units[] = {"B", "kB", "MB", "GB"};
    return scaled(n, units, 4, 1000, buf);
}

/* "2.13", "12.3", "123" */
static const char *figure(double v, char *buf)
{
    if (isnan(v))
        return "n/a";
    snprintf(buf, SHORT, "%.*f", v < 9.995 ? 2 : v < 99.95 ? 1 : 0, fmin(v, 99999));
    return buf;
}

static const char *ratio_figure(double v, char *buf)
{
    return v > 999 ? ">999" : figure(v, buf);
}

/* "0.91+2.80": user and system; the sum where the parts are not known. */
static const char *cpu_text(const struct workload *w, const struct cell *cell, char *buf)
{
    char user[SHORT], system[SHORT];
    double cpu = CELL_MEDIAN(cell, cpu_ns) / (w->idle ? 1e6 : 1e3);
    double share = judge_user_share(w, cell);
    if (isnan(cpu) || isnan(share))
        return figure(cpu, buf);
    snprintf(buf, 2 * SHORT, "%s+%s", figure(cpu * share, user), figure(cpu * (1 - share), system));
    return buf;
}

/* ---- words ---- */

/* What others have written (commands, names, the last words of a server), fit for a terminal: a
 * byte is a column, and no word is longer than a line. */
static char *clean(char *text, size_t cap)
{
    size_t word = 0;
    for (size_t i = 0; text[i] != '\0'; i++) {
        if ((unsigned char)text[i] < ' ' || (unsigned char)text[i] > '~')
            text[i] = '?';
        word = text[i] == ' ' ? 0 : word + 1;
        if (word > 60 && strlen(text) + 1 < cap) {
            memmove(text + i + 1, text + i, strlen(text + i) + 1);
            text[i] = ' ';
            word = 0;
        }
    }
    return text;
}

/* "LABEL  text", wrapped; the text begins at column `indent`. */
__attribute__((format(printf, 3, 4))) static void say(const char *label, size_t indent,
                                                      const char *fmt, ...)
{
    char text[2048];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    printf("%-*s", (int)indent, label);
    text_wrap(clean(text, sizeof(text)), strlen(label) > indent ? strlen(label) : indent, indent,
              TEXT_TABLE_WIDTH);
}

/* The name of an arm in a column: both its ends, since names that differ in the end are common. */
static const char *short_name(const char *name, char buf[NAME_COLUMNS + 1])
{
    size_t n = strlen(name);
    if (n <= NAME_COLUMNS)
        snprintf(buf, NAME_COLUMNS + 1, "%s", name);
    else
        snprintf(buf, NAME_COLUMNS + 1, "%.5s~%s", name, name + n - (NAME_COLUMNS - 6));
    return buf;
}

/* The arms that have this verdict, as "; LABEL: a, b"; `ratios`: with by how much. */
static void append_arms(const struct comparison *c, const struct contest *contest, enum verdict v,
                        const char *label, bool ratios, char *buf, size_t cap)
{
    char a[SHORT], b[SHORT], d[SHORT];
    size_t n = 0;
    for (size_t i = 0; i < c->narms; i++) {
        const struct standing *s = &contest->standing[i];
        if (s->verdict != v || c->arm[i].twin)
            continue;
        if (n++ == 0)
            judge_append(buf, cap, "; %s: ", label);
        judge_append(buf, cap, "%s%s", n > 1 ? ", " : "", c->arm[i].name);
        if (ratios && !isnan(s->low))
            judge_append(buf, cap, " %s [%s %s]", ratio_figure(s->ratio, a),
                         ratio_figure(s->low, b), ratio_figure(s->high, d));
    }
}

/* ---- the table of a workload ---- */

static const struct table_column busy_columns[] = {
    {"arm", false},  {"/s", true},     {"p50", true}, {"p99", true},     {"CPU us", true},
    {"calls", true}, {"switch", true}, {"mem", true}, {"verdict", false}};
static const struct table_column idle_columns[] = {
    {"arm", false}, {"CPU ms/s", true}, {"switch/s", true}, {"mem", true}, {"verdict", false}};

static void put_verdict(struct table *t, const struct standing *s)
{
    static const enum table_style styles[] = {[VERDICT_BEST] = TABLE_GOOD,
                                              [VERDICT_TIE] = TABLE_GOOD,
                                              [VERDICT_LOSES] = TABLE_BAD,
                                              [VERDICT_CANNOT_TELL] = TABLE_PLAIN,
                                              [VERDICT_INVALID] = TABLE_BAD};
    char a[SHORT], b[SHORT], d[SHORT];
    if (s->verdict == VERDICT_BEST || isnan(s->ratio))
        table_cell(t, styles[s->verdict], "%s", verdict_name(s->verdict));
    else if (isnan(s->low))
        table_cell(t, styles[s->verdict], "%-11s %s", verdict_name(s->verdict),
                   ratio_figure(s->ratio, a));
    else
        table_cell(t, styles[s->verdict], "%-11s %s [%s %s]", verdict_name(s->verdict),
                   ratio_figure(s->ratio, a), ratio_figure(s->low, b), ratio_figure(s->high, d));
}

static void put_arm(const struct comparison *c, size_t w, size_t a, struct table *t)
{
    const struct standing *s = &c->contest[w][METRIC_CPU].standing[a];
    const struct cell *cell = &c->cell[w][a];
    char name[NAME_COLUMNS + 1], cpu[2 * SHORT], buf[SHORT];
    char mark = s->verdict == VERDICT_BEST ? '*' : s->verdict == VERDICT_TIE ? '=' : ' ';
    table_row(t);
    table_cell(t, mark == ' ' ? TABLE_PLAIN : TABLE_GOOD, "%c%s", mark,
               short_name(c->arm[a].name, name));
    if (cell->state == CELL_INVALID) {
        char why[400];
        snprintf(why, sizeof(why), "%s", cell->why);
        table_note(t, "INVALID: %s", clean(why, sizeof(why)));
        return;
    }
    if (!c->workload[w].idle) {
        table_cell(t, TABLE_PLAIN, "%s", count_text(CELL_MEDIAN(cell, rate), buf));
        table_cell(t, TABLE_PLAIN, "%s", time_text(CELL_MEDIAN(cell, p50_ns), buf));
        table_cell(t, TABLE_PLAIN, "%s", time_text(CELL_MEDIAN(cell, p99_ns), buf));
    }
    table_cell(t, TABLE_PLAIN, "%s", cpu_text(&c->workload[w], cell, cpu));
    if (!c->workload[w].idle)
        table_cell(t, TABLE_PLAIN, "%s", figure(judge_calls(cell), buf));
    table_cell(t, TABLE_PLAIN, "%s",
               figure(CELL_MEDIAN(cell, voluntary) + CELL_MEDIAN(cell, involuntary), buf));
    table_cell(t, TABLE_PLAIN, "%s", bytes_text(CELL_MEDIAN(cell, per_connection), buf));
    put_verdict(t, s);
}

/* Who has the least CPU first, those without figures last. Returns how many. */
static size_t put_in_order(const struct comparison *c, size_t w, size_t *order)
{
    const struct contest *contest = &c->contest[w][METRIC_CPU];
    double key[COMPARE_ARMS_MAX];
    size_t n = 0;
    for (size_t a = 0; a < c->narms; a++) {
        enum cell_state state = c->cell[w][a].state;
        if (c->arm[a].twin || (state != CELL_OK && state != CELL_INVALID))
            continue;
        double value = contest->standing[a].value;
        size_t at = n++;
        key[a] = a == contest->best && contest->held ? -1 : isnan(value) ? INFINITY : value;
        for (; at > 0 && key[order[at - 1]] > key[a]; at--)
            order[at] = order[at - 1];
        order[at] = a;
    }
    return n;
}

static void print_table(const struct comparison *c, size_t w)
{
    bool idle = c->workload[w].idle;
    size_t order[COMPARE_ARMS_MAX];
    size_t n = put_in_order(c, w, order);
    struct table *t = table_open(idle ? idle_columns : busy_columns,
                                 idle ? sizeof(idle_columns) / sizeof(idle_columns[0])
                                      : sizeof(busy_columns) / sizeof(busy_columns[0]));
    for (size_t i = 0; i < n; i++)
        put_arm(c, w, order[i], t);
    if (n == 0)
        puts("  nothing was measured");
    else if (table_print(t) < 0)
        puts("  out of memory");
    table_close(t);
}

/* ---- what is below it ---- */

#define LABEL 8

/* The reason in a few words: what comes before the remedy. */
static void append_reason(const char *why, char *buf, size_t cap)
{
    judge_append(buf, cap, " (%.*s)", (int)strcspn(why, ";"), why);
}

static void print_excluded(const struct comparison *c, size_t w)
{
    char text[1500] = "";
    for (size_t a = 0; a < c->narms; a++) {
        if (!c->arm[a].runs || c->cell[w][a].state != CELL_EXCLUDED || c->arm[a].twin)
            continue;
        judge_append(text, sizeof(text), "%s%s", text[0] ? ", " : "", c->arm[a].name);
        append_reason(c->cell[w][a].why, text, sizeof(text));
    }
    if (text[0])
        say("without", LABEL, "%s", text);
}

/* Rate and p99, where they can be contests at all. */
static void print_contest(const struct comparison *c, size_t w, enum metric m)
{
    const struct contest *contest = &c->contest[w][m];
    bool open = judge_open_loop(&c->workload[w]);
    char text[1500];
    if (c->workload[w].idle || open != (m == METRIC_P99))
        return;
    if (!contest->held) {
        say(metric_name(m), LABEL, "not compared: %s", contest->not_held);
        return;
    }
    snprintf(text, sizeof(text), "best: %s", c->arm[contest->best].name);
    append_arms(c, contest, VERDICT_TIE, "tied", false, text, sizeof(text));
    append_arms(c, contest, VERDICT_LOSES, "lose", true, text, sizeof(text));
    append_arms(c, contest, VERDICT_CANNOT_TELL, "cannot tell", false, text, sizeof(text));
    say(metric_name(m), LABEL, "%s (noise %.1f %%)", text, 100 * contest->floor);
}

static void print_reasons(const struct comparison *c, size_t w, enum verdict v, const char *label)
{
    const struct contest *contest = &c->contest[w][METRIC_CPU];
    for (size_t a = 0; a < c->narms && contest->held; a++) {
        const struct standing *s = &contest->standing[a];
        /* Of an INVALID arm the reason stands in its row already. */
        if (s->verdict != v || s->why[0] == '\0' || c->arm[a].twin ||
            c->cell[w][a].state != CELL_OK)
            continue;
        say(label, LABEL, "%s: %s", c->arm[a].name, s->why);
        label = "";
    }
}

static unsigned rounds_of(const struct comparison *c, size_t w)
{
    size_t most = 0;
    for (size_t a = 0; a < c->narms; a++)
        most = c->cell[w][a].nsamples > most ? c->cell[w][a].nsamples : most;
    return (unsigned)most;
}

static void print_workload(const struct comparison *c, size_t w)
{
    const struct workload *load = &c->workload[w];
    const struct contest *cpu = &c->contest[w][METRIC_CPU];
    unsigned rounds = rounds_of(c, w);
    char rate[32] = "";
    if (load->half && load->load.rate > 0)
        snprintf(rate, sizeof(rate), " (%.0f/s)", load->load.rate);
    putchar('\n');
    say("", 0, "%s: %s%s; %u round%s", load->name, load->title, rate, rounds,
        rounds == 1 ? "" : "s");
    print_table(c, w);
    if (!cpu->held)
        say("cpu", LABEL, "not compared: %s", cpu->not_held);
    else
        say("noise", LABEL, "%.1f %%", 100 * cpu->floor);
    print_contest(c, w, METRIC_RATE);
    print_contest(c, w, METRIC_P99);
    print_reasons(c, w, VERDICT_LOSES, "why");
    print_reasons(c, w, VERDICT_INVALID, "lacks");
    print_excluded(c, w);
}

/* ---- all of them ---- */

static void print_head(const struct comparison *c)
{
    char line[400], text[1500] = "";
    size_t arms = 0;
    for (size_t a = 0; a < c->narms; a++) {
        arms += c->arm[a].runs && !c->arm[a].twin;
        if (c->arm[a].runs)
            continue;
        judge_append(text, sizeof(text), "%s%s", text[0] ? ", " : "", c->arm[a].name);
        append_reason(c->arm[a].why, text, sizeof(text));
    }
    say("", 0, "%s%zu arms under %zu workload%s in %u round%s of %.2g s a run; %.0f s in all",
        c->partial ? "PARTIAL, interrupted: " : "", arms, c->nworkloads,
        c->nworkloads == 1 ? "" : "s", c->rounds, c->rounds == 1 ? "" : "s",
        (double)c->measure_ns / 1e9, (double)c->took_ns / 1e9);
    if (c->machine)
        say("", 0, "%s", machine_line(c->machine, line, sizeof(line)));
    if (text[0])
        say("", 0, "Not on this machine: %s", text);
    putchar('\n');
    say("", 0,
        "Each arm is held against the one with the least CPU (*): ratio of CPU per message and "
        "[%.0f "
        "%% interval]. TIE (=): surely within %.0f %%, or within the noise where that is more. "
        "LOSES: surely beyond the noise, which is what an arm differs from itself. CPU is user + "
        "system; calls are system calls, switch is context switches, both per message; mem is per "
        "connection.",
        100 * c->confidence, 100 * COMPARE_MARGIN);
}

static void print_best(const struct comparison *c)
{
    size_t indent = 0;
    for (size_t w = 0; w < c->nworkloads; w++) {
        size_t n = strlen(c->workload[w].name) + 4;
        indent = n > indent && n <= 32 ? n : indent;
    }
    puts("\nLeast CPU, by workload (there is no winner of all loads)");
    for (size_t w = 0; w < c->nworkloads; w++) {
        const struct contest *contest = &c->contest[w][METRIC_CPU];
        char text[1500], label[COMPARE_NAME + 4];
        if (!contest->held)
            continue;
        snprintf(text, sizeof(text), "%s", c->arm[contest->best].name);
        append_arms(c, contest, VERDICT_TIE, "tied with it", false, text, sizeof(text));
        append_arms(c, contest, VERDICT_CANNOT_TELL, "cannot tell", false, text, sizeof(text));
        snprintf(label, sizeof(label), "  %s", c->workload[w].name);
        say(label, indent, "%s", text);
    }
}

static void print_claims(const struct comparison *c)
{
    enum { TEXT = 25 };
    char label[32];
    puts("\nClaims");
    for (size_t i = 0; i < c->nclaims; i++) {
        const struct claim *claim = &c->claim[i];
        snprintf(label, sizeof(label), "  %d  %s", claim->number, claim->answer);
        say(label, TEXT, "%s", claim->text);
        say("", TEXT, "%s", claim->figures);
    }
}

void compare_print(const struct comparison *c)
{
    print_head(c);
    for (size_t w = 0; w < c->nworkloads; w++)
        print_workload(c, w);
    print_best(c);
    print_claims(c);
    if (c->ncaveats > 0)
        puts("\nCaveats");
    for (size_t i = 0; i < c->ncaveats; i++)
        say("  -", 4, "%s", c->caveat[i].text);
}
