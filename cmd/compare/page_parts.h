/* SPDX-License-Identifier: MIT */
/*
 * The sources of the report: every file of cmd/compare/page/ by its name, and Chart.js by the name
 * "chart.js". Without that package there is no such part, and the report has tables but no plots.
 */
#ifndef POLLUX_CMD_COMPARE_PAGE_PARTS_H
#define POLLUX_CMD_COMPARE_PAGE_PARTS_H

#include "cmd/page.h"

/* Ended by a part without a name. */
extern const struct page_part page_parts[];

#endif
