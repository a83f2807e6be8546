/* SPDX-License-Identifier: MIT */
/* What `pollux serve --trace` writes: the last events of the server's loops, as a document that
 * `pollux explain --from` draws. */
#ifndef POLLUX_CMD_SERVE_TRACE_H
#define POLLUX_CMD_SERVE_TRACE_H

#include <pollux/model.h>
#include <pollux/trace.h>
#include <stdint.h>

struct serve_trace {
    const char *path; /* NULL = there is none; a name that ends in .perfetto.json asks for that */
    struct plx_trace *trace;
    const struct plx_model *model;
    int64_t zero_ns;
};

/* Begins, and writes the file a first time, so that one that cannot be written is known at once.
 * 0 or -errno. `path` is kept, not copied; NULL does nothing. */
int serve_trace_open(struct serve_trace *, const char *path, int64_t events,
                     const struct plx_model *);

/* Writes the file, whole or not at all. 0 or -errno. Any one thread, also while the loops run. */
int serve_trace_write(const struct serve_trace *);

/* After the loops are closed. */
void serve_trace_close(struct serve_trace *);

#endif
