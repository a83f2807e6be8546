/* SPDX-License-Identifier: MIT */
/* Prose on a terminal: words wrapped into a column. */
#ifndef POLLUX_CMD_TEXT_H
#define POLLUX_CMD_TEXT_H

#include <stddef.h>

/* The help and the tables of the program keep within these columns. */
#define TEXT_HELP_WIDTH  80
#define TEXT_TABLE_WIDTH 100

/*
 * Prints `text` to standard output in lines from column `indent` up to column `width`, ended by a
 * newline. The cursor stands at column `at`; if that is beyond `indent`, a new line is begun first.
 * Backquotes, which mark bold in the manual, are left out. A word that does not fit on any line is
 * not broken.
 */
void text_wrap(const char *text, size_t at, size_t indent, size_t width);

#endif
