/* SPDX-License-Identifier: MIT */
/* Making a loop: its configuration with the defaults filled in, and its memory. */
#include "core/core.h"
#include "core/trace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int64_t time_or(int64_t value, int64_t standard)
{
    return value == 0 ? standard : value;
}

/* The clock of the limits counts milliseconds in 31 bits, which is 24.8 days. */
#define LIMIT_MOST (20 * 86400 * PLX_SECOND)

static int bad_limits(const struct plx_limits *m, struct plx_why *why)
{
    const int64_t times[] = {m->idle_ns, m->write_ns, m->linger_ns, m->connect_ns};
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        if ((times[i] < 0 && times[i] != PLX_OFF) || times[i] > LIMIT_MOST) {
            plx__why(why, "use a time of up to 20 days, or none",
                     "a time limit is negative or too long");
            return -EINVAL;
        }
    }
    if (m->low_water >= m->high_water) {
        plx__why(why, "choose low < high", "the low-water mark (%zu) is not below the high (%zu)",
                 m->low_water, m->high_water);
        return -EINVAL;
    }
    if (m->queue_cap < 2 * m->high_water || m->queue_cap > UINT32_MAX ||
        m->input_cap > UINT32_MAX / 4) {
        plx__why(why, "choose 2 x high-water <= queue cap <= 4 GiB; input cap <= 1 GiB",
                 "the caps on queues do not fit (high-water %zu, queue cap %zu, input cap %zu)",
                 m->high_water, m->queue_cap, m->input_cap);
        return -EINVAL;
    }
    return 0;
}

static int set_limits(struct plx_limits *to, const struct plx_limits *from, struct plx_why *why)
{
    *to = *from;
    if (!to->high_water)
        to->high_water = 256 * 1024;
    if (!to->low_water)
        to->low_water = to->high_water / 4;
    if (!to->queue_cap)
        to->queue_cap = to->high_water > 8u << 20 ? 2 * to->high_water : 16u << 20;
    if (!to->input_cap)
        to->input_cap = 1u << 20;
    to->idle_ns = time_or(to->idle_ns, 300 * PLX_SECOND);
    to->write_ns = time_or(to->write_ns, 30 * PLX_SECOND);
    to->linger_ns = time_or(to->linger_ns, 2 * PLX_SECOND);
    to->connect_ns = time_or(to->connect_ns, 10 * PLX_SECOND);
    return bad_limits(to, why);
}

static int set_config(struct plx_loop *l, const struct plx_loop_config *cfg, struct plx_why *why)
{
    l->log = cfg->log;
    l->pool_size = cfg->pool_size ? cfg->pool_size : 16;
    l->pool_queue = cfg->pool_queue ? cfg->pool_queue : 1024;
    l->offload_threads = cfg->offload_threads;
    l->offload_queue = cfg->offload_queue ? cfg->offload_queue : 1024;
    l->poll_pause_ns = cfg->poll_pause_ns;
    l->tick_ns = cfg->tick_ns;
    l->warn_blocked_ns = cfg->warn_blocked_ns;
    l->trace = cfg->trace;
    plx__observe(l);
    if (l->offload_threads > PLX__OFFLOAD_THREADS_MOST || l->offload_queue > 1000000) {
        plx__why(why, "offload threads 1 to 1024, offload queue 1 to 1 000 000",
                 "the pool for offloaded work is out of range");
        return -EINVAL;
    }
    if (l->pool_size > 4096 || l->pool_queue > 1000000 || l->poll_pause_ns < 0 || l->tick_ns < 0 ||
        l->warn_blocked_ns < 0) {
        plx__why(why, "pool size 1 to 4096, queue 1 to 1 000 000, times not negative",
                 "a field of the loop's configuration is out of range");
        return -EINVAL;
    }
    return set_limits(&l->limits, &cfg->limits, why);
}

static const struct plx__model *choose(const char *name, struct plx_why *why)
{
    if (!name || strcmp(name, "auto") == 0)
        return plx__row(plx_model_auto(NULL, NULL));
    const struct plx_model *m = plx_model_find(name);
    if (!m)
        plx__why(why, "see: pollux models", "no model is called \"%.64s\"", name);
    return plx__row(m);
}

static struct plx_loop *make(const struct plx__model *row)
{
    struct plx_loop *l = plx__sys_calloc(1, sizeof(*l));
    if (!l)
        return NULL;
    l->row = row;
    l->engine = row->engine;
    l->free_slot = UINT32_MAX;
    l->sweep_at = INT64_MAX;
    l->posted_end = &l->posted;
    l->jobs.back_end = &l->jobs.back;
    l->dirty_end = &l->dirty;
    l->counters = &l->own_counters;
    l->start = plx__clock();
    plx__loop_update(l);
    l->quiet_since = l->now;
    l->inbuf = plx__sys_malloc(PLX__INBUF + PLX__ANSWER);
    if (l->inbuf)
        l->answer = l->inbuf + PLX__INBUF;
    if (!l->inbuf || pthread_mutex_init(&l->post_lock, NULL) != 0) {
        free(l->inbuf);
        free(l);
        return NULL;
    }
    return l;
}

void plx__loop_free(struct plx_loop *l)
{
    pthread_mutex_destroy(&l->post_lock);
    plx__chunks_free(&l->chunks);
    plx__conns_free(l);
    free(l->slots);
    free(l->inbuf);
    free(l->state);
    free(l);
}

int plx_loop_open(const struct plx_loop_config *cfg, struct plx_loop **out, struct plx_why *why)
{
    const struct plx__model *row = choose(cfg->model, why);
    if (!row)
        return -ENOENT;
    int rc = plx_model_probe(&row->pub, why);
    if (rc < 0)
        return rc;
    plx__why(why, "", "no memory for a loop"); /* what the steps below say nothing about */
    struct plx_loop *l = make(row);
    if (!l)
        return -ENOMEM;
    rc = plx__group_init(&l->own_group);
    l->group = &l->own_group;
    if (rc == 0)
        rc = set_config(l, cfg, why);
    if (rc == 0 && !(l->state = plx__sys_calloc(1, l->engine->state_size)))
        rc = -ENOMEM;
    if (rc == 0)
        rc = l->engine->open(l, why);
    if (rc < 0) {
        plx__group_fini(&l->own_group);
        plx__loop_free(l);
        return rc;
    }
    *out = l;
    return 0;
}

int plx__loop_open_child(struct plx_loop *parent, struct plx__counters *counters,
                         struct plx_loop **out)
{
    struct plx_loop *l = make(parent->row);
    if (!l)
        return -ENOMEM;
    l->parent = parent;
    l->counters = counters;
    l->group = parent->group;
    l->limits = parent->limits;
    l->log = parent->log;
    l->offload_queue = parent->offload_queue;
    l->warn_blocked_ns = parent->warn_blocked_ns;
    l->trace = parent->trace;
    plx__observe(l);
    *out = l;
    return 0;
}
