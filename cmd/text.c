/* SPDX-License-Identifier: MIT */
/* Prose on a terminal. Everything printed this way is ASCII, so that a byte is a column. */
#include "cmd/text.h"

#include <stdio.h>
#include <string.h>

static size_t word_width(const char *word, size_t len)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++)
        n += word[i] != '`';
    return n;
}

static void put_word(const char *word, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (word[i] != '`')
            putchar(word[i]);
    }
}

void text_wrap(const char *text, size_t at, size_t indent, size_t width)
{
    size_t column = at;
    int first = 1; /* of its line */

    if (at > indent) {
        putchar('\n');
        column = 0;
    }
    for (;;) {
        size_t len;
        size_t shown;

        text += strspn(text, " \n");
        len = strcspn(text, " \n");
        if (len == 0)
            break;
        shown = word_width(text, len);
        if (!first && column + 1 + shown > width) {
            putchar('\n');
            column = 0;
            first = 1;
        }
        if (first) {
            printf("%*s", (int)(indent - column), "");
            column = indent;
        } else {
            putchar(' ');
            column++;
        }
        put_word(text, len);
        column += shown;
        text += len;
        first = 0;
    }
    putchar('\n');
}
