/* SPDX-License-Identifier: MIT */
/* The page of `pollux explain`: every model's run drawn on one axis of time, and played. */
#ifndef POLLUX_CMD_EXPLAIN_PAGE_H
#define POLLUX_CMD_EXPLAIN_PAGE_H

#include <stddef.h>
#include <stdio.h>

/*
 * Writes the page of a document of `pollux explain` (`size` bytes of JSON), flushes, and leaves the
 * stream open. 0 or -errno.
 */
int explain_page_write(FILE *, const char *json, size_t size);

#endif
