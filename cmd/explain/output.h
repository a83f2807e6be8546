/* SPDX-License-Identifier: MIT */
/* Where a document goes. */
#ifndef POLLUX_CMD_EXPLAIN_OUTPUT_H
#define POLLUX_CMD_EXPLAIN_OUTPUT_H

#include "cmd/explain/explain.h"

enum explain_form { EXPLAIN_JSON, EXPLAIN_SVG, EXPLAIN_HTML, EXPLAIN_PERFETTO };

/* Writes it to `file`, whole or not at all; "-" is standard output. 0 or -errno. */
int explain_write(const char *file, enum explain_form, const struct explain_document *);

#endif
