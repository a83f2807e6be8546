/* SPDX-License-Identifier: MIT */
/*
 * See table.h. A lack of memory is remembered and reported once, when the table is printed, so
 * that filling a table needs no error handling at every cell.
 */
#include "cmd/table.h"
#include "cmd/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GAP 2 /* blanks between columns */

struct cell {
    char *text;
    enum table_style style;
};

struct row {
    struct cell *cells;
    size_t n;
    char *note;
};

struct table {
    const struct table_column *columns;
    size_t ncolumns;
    struct row *rows;
    size_t nrows;
    bool failed;
};

struct table *table_open(const struct table_column *columns, size_t n)
{
    struct table *t = calloc(1, sizeof(*t));
    if (t) {
        t->columns = columns;
        t->ncolumns = n;
    }
    return t;
}

void table_close(struct table *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->nrows; i++) {
        for (size_t c = 0; c < t->rows[i].n; c++)
            free(t->rows[i].cells[c].text);
        free(t->rows[i].cells);
        free(t->rows[i].note);
    }
    free(t->rows);
    free(t);
}

void table_row(struct table *t)
{
    if (!t || t->failed)
        return;
    struct row *rows = realloc(t->rows, (t->nrows + 1) * sizeof(*rows));
    struct cell *cells = calloc(t->ncolumns, sizeof(*cells));
    if (rows)
        t->rows = rows;
    if (!rows || !cells) {
        free(cells);
        t->failed = true;
        return;
    }
    t->rows[t->nrows++] = (struct row){.cells = cells};
}

static char *format(struct table *t, const char *fmt, va_list ap)
{
    char *text;
    if (vasprintf(&text, fmt, ap) < 0) {
        t->failed = true;
        return NULL;
    }
    return text;
}

void table_cell(struct table *t, enum table_style style, const char *fmt, ...)
{
    if (!t || t->failed || t->nrows == 0)
        return;
    struct row *row = &t->rows[t->nrows - 1];
    if (row->n == t->ncolumns)
        return;
    va_list ap;
    va_start(ap, fmt);
    row->cells[row->n].text = format(t, fmt, ap);
    va_end(ap);
    row->cells[row->n++].style = style;
}

void table_note(struct table *t, const char *fmt, ...)
{
    if (!t || t->failed || t->nrows == 0)
        return;
    struct row *row = &t->rows[t->nrows - 1];
    va_list ap;
    va_start(ap, fmt);
    free(row->note);
    row->note = format(t, fmt, ap);
    va_end(ap);
}

static void print_text(const char *text, const char *paint, size_t width, bool right, bool last)
{
    size_t len = strlen(text);
    size_t pad = width > len ? width - len : 0;
    if (right)
        printf("%*s", (int)pad, "");
    printf("%s%s%s", paint, text, *paint ? "\033[0m" : "");
    if (!last)
        printf("%*s", (int)(right ? GAP : pad + GAP), "");
}

static void print_row(const struct table *t, const struct row *row, const size_t *widths,
                      bool colour)
{
    static const char *const paints[] = {[TABLE_PLAIN] = "",
                                         [TABLE_GOOD] = "\033[32m",
                                         [TABLE_BAD] = "\033[31m",
                                         [TABLE_FAINT] = "\033[2m"};
    size_t indent = 0;
    for (size_t c = 0; c < row->n; c++) {
        const char *paint = colour ? paints[row->cells[c].style] : "";
        bool last = c + 1 == row->n && !row->note;
        print_text(row->cells[c].text, paint, widths[c], t->columns[c].right, last);
        indent += widths[c] + GAP;
    }
    if (row->note)
        text_wrap(row->note, indent, indent, TEXT_TABLE_WIDTH);
    else
        putchar('\n');
}

static bool wants_colour(void)
{
    const char *no = getenv("NO_COLOR");
    return isatty(STDOUT_FILENO) && !(no && *no);
}

int table_print(const struct table *t)
{
    size_t *widths = t && !t->failed ? calloc(t->ncolumns, sizeof(*widths)) : NULL;
    if (!widths)
        return -ENOMEM;
    for (size_t c = 0; c < t->ncolumns; c++) {
        widths[c] = strlen(t->columns[c].title);
        for (size_t r = 0; r < t->nrows; r++) {
            size_t len = c < t->rows[r].n ? strlen(t->rows[r].cells[c].text) : 0;
            widths[c] = len > widths[c] ? len : widths[c];
        }
    }
    for (size_t c = 0; c < t->ncolumns; c++)
        print_text(t->columns[c].title, "", widths[c], t->columns[c].right, c + 1 == t->ncolumns);
    putchar('\n');
    for (size_t r = 0; r < t->nrows; r++)
        print_row(t, &t->rows[r], widths, wants_colour());
    free(widths);
    return 0;
}
