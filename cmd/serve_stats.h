/* SPDX-License-Identifier: MIT */
/* The counters of pollux serve --stats. */
#ifndef POLLUX_CMD_SERVE_STATS_H
#define POLLUX_CMD_SERVE_STATS_H

#include <pollux/server.h>
#include <stdbool.h>

/* Writes one line of JSON to standard output; `final` marks the last one. */
void serve_stats_print(const struct plx_server *, bool final);

#endif
