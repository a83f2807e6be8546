/* SPDX-License-Identifier: MIT */
/*
 * A table of text with aligned columns. Widths are counted in bytes: the texts are ASCII. The
 * rows are kept until the end, because a column is as wide as its widest cell.
 */
#ifndef POLLUX_CMD_TABLE_H
#define POLLUX_CMD_TABLE_H

#include <stdbool.h>
#include <stddef.h>

struct table_column {
    const char *title;
    bool right; /* numbers */
};

enum table_style { TABLE_PLAIN, TABLE_GOOD, TABLE_BAD, TABLE_FAINT };

struct table;

/* `columns` is not copied. NULL without memory; all functions below then do nothing but
 * table_print(), which says so. */
struct table *table_open(const struct table_column *columns, size_t n);
void table_close(struct table *);

void table_row(struct table *);
/* The next cell of the row. */
void table_cell(struct table *, enum table_style, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Text that takes the place of all cells that are left, and is wrapped at TEXT_TABLE_WIDTH. */
void table_note(struct table *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Prints it with its titles to standard output, coloured if that is a terminal and NO_COLOR
 * (no-color.org) is not set. 0 or -ENOMEM. */
int table_print(const struct table *);

#endif
