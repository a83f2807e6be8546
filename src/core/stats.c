/* SPDX-License-Identifier: MIT */
/*
 * Counters. Each block has one writer, so plain loads and stores that are merely declared atomic
 * are enough, and a reader on another thread sees each of them whole. A connection that runs in a
 * thread or process of its own counts in a block that its accepting loop can read.
 */
#include "core/core.h"

void plx_stats_add(struct plx_stats *a, const struct plx_stats *b)
{
    uint64_t *to = (uint64_t *)a;
    const uint64_t *from = (const uint64_t *)b;
    for (size_t i = 0; i < PLX__NSTATS; i++)
        to[i] += from[i];
}

void plx__stats_add(struct plx_stats *out, const struct plx__counters *from)
{
    struct plx_stats one;
    uint64_t *v = (uint64_t *)&one;
    for (size_t i = 0; i < PLX__NSTATS; i++)
        v[i] = atomic_load_explicit(&from->v[i], memory_order_relaxed);
    plx_stats_add(out, &one);
}

void plx_loop_stats(const struct plx_loop *l, struct plx_stats *out)
{
    *out = (struct plx_stats){0};
    plx__stats_add(out, l->counters);
    if (l->engine->stats && !l->parent)
        l->engine->stats(l, out);
    uint64_t begun = out->accepted + out->connected;
    out->open = begun > out->closed ? begun - out->closed : 0;
}
