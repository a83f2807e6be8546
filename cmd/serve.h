/* SPDX-License-Identifier: MIT */
/* pollux serve in two parts: what it takes and what the manual says (serve_options.c), and what it
 * does (serve.c). */
#ifndef POLLUX_CMD_SERVE_H
#define POLLUX_CMD_SERVE_H

#include "cmd/opt.h"

/* The options' values. Times are nanoseconds; PLX_OFF where "none" was given. */
struct serve_values {
    int model, service, accept; /* indices of their choices */
    int log_level, log_file_level;
    const char *suffix, *log_file, *port_file, *trace;
    struct opt_list listen;
    int64_t workers, pool_size, pool_queue, poll_pause;
    int64_t backlog, max_connections, max_per_ip;
    int64_t idle_timeout, write_timeout, drain, tick, stats;
    int64_t high_water, low_water;
    int64_t trace_events;
    int64_t warn_blocked, offload_threads;
    bool offload;
    bool own_descriptors;
};

/* The run function of the command. */
int serve_run(const void *values, const struct opt_list *args);

#endif
