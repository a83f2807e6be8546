/* SPDX-License-Identifier: MIT */
/* A comparison's memory, and the figures in its cells. */
#include "cmd/compare/compare.h"
#include "cmd/compare/stats.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

struct comparison *comparison_open(void)
{
    struct comparison *c = calloc(1, sizeof(*c));
    if (c) {
        c->confidence = 0.95;
        c->resamples = 2000;
    }
    return c;
}

void comparison_close(struct comparison *c)
{
    if (!c)
        return;
    for (size_t w = 0; w < COMPARE_WORKLOADS_MAX; w++) {
        for (size_t a = 0; a < COMPARE_ARMS_MAX; a++) {
            free(c->cell[w][a].sample);
            hist_close(c->cell[w][a].latency);
        }
    }
    json_decref(c->command_line);
    json_decref(c->machine);
    free(c);
}

int cell_add(struct cell *cell, const struct sample *s)
{
    if (cell->nsamples == cell->room) {
        size_t room = cell->room ? 2 * cell->room : 8;
        struct sample *sample = realloc(cell->sample, room * sizeof(*sample));
        if (!sample)
            return -ENOMEM;
        cell->sample = sample;
        cell->room = room;
    }
    cell->sample[cell->nsamples++] = *s;
    return 0;
}

double cell_median(const struct cell *cell, size_t offset)
{
    double *v = cell->nsamples ? malloc(cell->nsamples * sizeof(*v)) : NULL;
    size_t n = 0;
    if (!v)
        return NAN;
    for (size_t i = 0; i < cell->nsamples; i++) {
        double value = *(const double *)(const void *)((const char *)&cell->sample[i] + offset);
        if (!isnan(value))
            v[n++] = value;
    }
    double median = stats_median(v, n);
    free(v);
    return median;
}
