/* SPDX-License-Identifier: MIT */
/*
 * Pages to look at: one file of HTML with its style, its scripts and the document in it, which a
 * browser opens from the disk without asking anybody for anything. The sources of a page are files
 * that the build turns into arrays (cmake/PolluxPage.cmake).
 */
#ifndef POLLUX_CMD_PAGE_H
#define POLLUX_CMD_PAGE_H

#include <stddef.h>
#include <stdio.h>

struct page_part {
    const char *name;
    const unsigned char *text; /* not ended by a NUL */
    size_t size;
};

/*
 * Writes the part `frame` of `parts` (ended by a part without a name), each place "{{NAME}}" in it
 * filled with the part of that name. {{results}} is the document: `size` bytes of JSON. {{nonce}}
 * is a number that nobody can know who wrote a name which the document holds. A place without a
 * part stays empty. Writes all of it and flushes, and leaves `out` open. 0 or -errno.
 */
int page_write(FILE *out, const struct page_part *parts, const char *frame, const char *json,
               size_t size);

#endif
