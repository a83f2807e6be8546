/* SPDX-License-Identifier: MIT */
/* How the document calls kinds and phases: written by document.c, read by load.c, shown by all. */
#ifndef POLLUX_CMD_EXPLAIN_NAMES_H
#define POLLUX_CMD_EXPLAIN_NAMES_H

#include <pollux/trace.h>

static const char *const explain_kinds[] = {
    [PLX_TRACE_CALL] = "call",           [PLX_TRACE_SUBMITTED] = "submitted",
    [PLX_TRACE_COMPLETED] = "completed", [PLX_TRACE_CALLBACK] = "callback",
    [PLX_TRACE_QUEUED] = "queued",       [PLX_TRACE_STATE] = "state",
    [PLX_TRACE_WOKEN] = "woken"};

static const char *const explain_phase_names[] = {
    [PLX_TRACE_WAITS] = "waits", [PLX_TRACE_COPIES] = "copies", [PLX_TRACE_CONTROLS] = "controls"};

#define EXPLAIN_KINDS  (sizeof explain_kinds / sizeof *explain_kinds)
#define EXPLAIN_PHASES (sizeof explain_phase_names / sizeof *explain_phase_names)

#endif
