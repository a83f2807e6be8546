/* SPDX-License-Identifier: MIT */
/*
 * The sources of the page of `pollux explain`: every file of cmd/explain/page/ by its name, and
 * what it shares with the report of `pollux compare` (the list is in cmake/PolluxPage.cmake).
 */
#ifndef POLLUX_CMD_EXPLAIN_PAGE_PARTS_H
#define POLLUX_CMD_EXPLAIN_PAGE_PARTS_H

#include "cmd/page.h"

/* Ended by a part without a name. */
extern const struct page_part explain_page_parts[];

#endif
