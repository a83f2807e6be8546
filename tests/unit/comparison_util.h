/* SPDX-License-Identifier: MIT */
/* Made-up comparisons: arms and workloads by name, and samples as a shared machine would give. */
#ifndef POLLUX_TESTS_UNIT_COMPARISON_UTIL_H
#define POLLUX_TESTS_UNIT_COMPARISON_UTIL_H

#include "cmd/compare/compare.h"
#include "cmd/random.h"

#include <math.h>
#include <pollux/model.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static inline struct comparison *new_comparison(void)
{
    struct comparison *c = comparison_open();
    assert_non_null(c);
    c->seed = 7;
    c->measure_ns = 300000000;
    snprintf(c->pin, sizeof(c->pin), "auto");
    return c;
}

/* An arm that runs the model of this name, or if there is none a command. */
static inline size_t add_arm(struct comparison *c, const char *name)
{
    struct arm *a = &c->arm[c->narms];
    snprintf(a->name, sizeof(a->name), "%s", name);
    a->model = plx_model_find(name);
    if (!a->model)
        snprintf(a->command, sizeof(a->command), "%s {addr} {port}", name);
    a->runs = true;
    return c->narms++;
}

static inline size_t add_twin(struct comparison *c, size_t of)
{
    size_t a = add_arm(c, "twin");
    c->arm[a].twin = true;
    c->arm[a].of = of;
    return a;
}

/* Ping-pong of 64 B in the closed loop. */
static inline size_t add_workload(struct comparison *c, unsigned connections, unsigned active)
{
    struct workload *w = &c->workload[c->nworkloads];
    snprintf(w->name, sizeof(w->name), "%ux64B-%uactive", connections, active);
    snprintf(w->title, sizeof(w->title), "%u connections, %u active, 64 B each, ping-pong",
             connections, active);
    w->load.mode = LOAD_PINGPONG;
    w->load.connections = connections;
    w->load.active = active;
    w->load.depth = 1;
    w->load.nsizes = 1;
    w->load.size[0] = (struct load_size){64, 1};
    return c->nworkloads++;
}

static inline size_t add_idle(struct comparison *c)
{
    size_t w = add_workload(c, 64, 64);
    c->workload[w].idle = true;
    snprintf(c->workload[w].name, sizeof(c->workload[w].name), "64-idle");
    return w;
}

static inline size_t add_open_loop(struct comparison *c, double rate)
{
    size_t w = add_workload(c, 64, 64);
    c->workload[w].load.arrival = LOAD_CONSTANT;
    c->workload[w].load.rate = rate;
    snprintf(c->workload[w].name, sizeof(c->workload[w].name), "64-rate");
    return w;
}

/* A message that takes `cpu_ns`, a quarter of it in user space, on a server that is the limit, for
 * three seconds. */
static inline struct sample usual_sample(double cpu_ns)
{
    return (struct sample){.rate = 1e9 / cpu_ns,
                           .p50_ns = 50 * cpu_ns,
                           .p99_ns = 90 * cpu_ns,
                           .p999_ns = 150 * cpu_ns,
                           .cpu_ns = cpu_ns,
                           .user_ns = cpu_ns / 4,
                           .system_ns = cpu_ns * 3 / 4,
                           .calls_wait = 0.1,
                           .calls_recv = 1,
                           .calls_send = 1,
                           .wakeups = 0.1,
                           .memory_bytes = 4e6,
                           .per_connection = 1000,
                           .client_busy = 0.5,
                           .server_busy = 1,
                           .messages = 3e9 / cpu_ns};
}

static inline void put_sample(struct comparison *c, size_t w, size_t a, unsigned round,
                              struct sample s)
{
    s.round = round;
    s.position = 1;
    c->cell[w][a].state = CELL_OK;
    assert_int_equal(cell_add(&c->cell[w][a], &s), 0);
    if (round > c->rounds)
        c->rounds = round;
}

/* `rounds` samples that are all the same but for half a per cent, which depends on the round. */
static inline void put_samples(struct comparison *c, size_t w, size_t a, unsigned rounds,
                               struct sample s)
{
    static const double off[] = {1, 1.004, 0.997, 1.001, 0.996, 1.005, 0.999, 1.002};
    for (unsigned r = 1; r <= rounds; r++) {
        struct sample t = s;
        double by = off[(r + 3 * a) % 8];
        t.cpu_ns *= by;
        t.user_ns *= by;
        t.system_ns *= by;
        t.rate /= by;
        t.p50_ns *= by;
        t.p99_ns *= by;
        put_sample(c, w, a, r, t);
    }
}

/* ---- noise ---- */

/* Of the normal distribution, with mean 0 and deviation 1 (G. Box, M. Muller, 1958). */
static inline double normal(uint64_t *random)
{
    double radius = sqrt(-2 * log(random_unit(random)));
    return radius * cos(6.283185307179586 * random_unit(random));
}

/* What a run is off by: a few per cent (the deviation is `noise`), and one in 25 by half. */
static inline double off_by(double noise, uint64_t *random)
{
    return exp(noise * normal(random)) * (random_unit(random) < 0.04 ? 1.5 : 1);
}

#endif
