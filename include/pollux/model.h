/* SPDX-License-Identifier: MIT */
/* The table of I/O models: what there is, what each can do, whether it runs here. */
#ifndef POLLUX_MODEL_H
#define POLLUX_MODEL_H

#include <pollux/error.h>
#include <stdbool.h>
#include <stddef.h>

/* What a model can do. */
#define PLX_CAP_POST       0x001u /* a connection can be reached from elsewhere (plx_conn_post) */
#define PLX_CAP_WATCH      0x002u /* plx_watch_start() */
#define PLX_CAP_CONCURRENT 0x004u /* serves more than one connection at a time */
#define PLX_CAP_EXCLUSIVE  0x008u /* --accept exclusive */
#define PLX_CAP_ISOLATED   0x010u /* a crash in one connection touches no other */
#define PLX_CAP_STALL      0x020u /* a callback that is slow holds up only its own connection */
#define PLX_CAP_CONNECT    0x040u /* plx_connect() */
#define PLX_CAP_SHARED     0x080u /* --accept shared with several workers */

struct plx_model {
    const char *name;
    const char *engine;       /* "blocking", "readiness", "proactor", or "" */
    const char *waits_in;     /* phase 1: which call waits for the data */
    const char *copies_in;    /* phase 2: which call copies it */
    const char *summary;      /* one line */
    const char *limits;       /* what it cannot do, in words; "" = nothing particular */
    unsigned caps;            /* PLX_CAP_* */
    unsigned max_connections; /* per loop; 0 = memory and descriptors only */
};

/* Row `i` of the table, NULL past its end. Static storage. Any thread. */
const struct plx_model *plx_model_at(size_t i);

/* The row called `name` ("auto" included), or NULL. Any thread. */
const struct plx_model *plx_model_find(const char *name);

/*
 * Whether the model runs here: sets up for real what it needs, and takes it down again.
 * 0, or -errno with reason and remedy in `why` (which may be NULL). Any thread.
 *   -ENOSYS  not on this system, or not built yet    -EPERM  forbidden here (why says by what)
 *   -ENOMEM -EMFILE -ENFILE  a limit
 * Of `posix-aio` glibc starts a helper thread, which a child that is forked later has not got while
 * it believes it has: probe, and serve, in the same process.
 */
int plx_model_probe(const struct plx_model *, struct plx_why *why);

/*
 * What "auto" takes: the best model whose probe succeeds. Calls `passed` (may be NULL) for each
 * better one that it had to pass over. Never NULL on a system that has poll(2). Any thread.
 */
const struct plx_model *plx_model_auto(void (*passed)(const struct plx_model *,
                                                      const struct plx_why *, void *arg),
                                       void *arg);

#endif
