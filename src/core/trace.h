/* SPDX-License-Identifier: MIT */
/*
 * Looking on. A loop that is observed (it has a trace, or warns of callbacks that hold it) reads
 * the clock around each callback; one that is not pays a branch. System calls come to the trace
 * through the seam (sys.h).
 */
#ifndef POLLUX_CORE_TRACE_H
#define POLLUX_CORE_TRACE_H

#include "core/core.h"

#include <pollux/trace.h>

/* Probes of the same events for other people's tools (perf, bpftrace, SystemTap; docs/explain.md):
 * a no-operation each, and a note in the file that says where it is. */
#if PLX_HAVE_SDT
#include <sys/sdt.h>
#define PLX__PROBE DTRACE_PROBE5
#else
#define PLX__PROBE(provider, probe, ...) ((void)0)
#endif

/* From now on the calling thread's system calls belong to the loop's trace, if it has one. */
void plx__trace_enter(const struct plx_loop *);
/* The thread, or a forked child, begins anew. */
void plx__trace_leave(void);

/* The loop's trace, its time for warnings and its log are set: look on from now on. */
void plx__observe(struct plx_loop *);

/* For a loop that is observed; use the wrappers below. */
void plx__trace_add(const struct plx_conn *, const struct plx_loop *, enum plx_trace_kind,
                    const char *name, int64_t asked, int64_t result);
void plx__callback_over(struct plx_conn *, const char *name, int64_t begin, size_t asked,
                        int64_t result);

/* An event of the loop or of one of its connections (which may be NULL). */
static inline void plx__trace(const struct plx_loop *l, const struct plx_conn *c,
                              enum plx_trace_kind kind, const char *name, int64_t asked,
                              int64_t result)
{
    PLX__PROBE(pollux, event, kind, name, c ? c->number : 0, asked, result);
    if (__builtin_expect(l->trace != NULL, 0))
        plx__trace_add(c, l, kind, name, asked, result);
}

/* Around a callback: when it began, 0 where nobody looks on; and that it is over. */
static inline int64_t plx__callback_begins(const struct plx_conn *c)
{
    return __builtin_expect(c->loop->observed, 0) ? plx__clock() : 0;
}
static inline void plx__callback_ends(struct plx_conn *c, const char *name, int64_t begin,
                                      size_t asked, int64_t result)
{
    PLX__PROBE(pollux, callback, name, c->number, c->fd, asked, result);
    if (__builtin_expect(begin != 0, 0))
        plx__callback_over(c, name, begin, asked, result);
}

#endif
