/* SPDX-License-Identifier: MIT */
/*
 * The services of `pollux serve`: what a server says back. A service is a handler and nothing else:
 * one file, and one row in the table of service.c.
 *
 * A handler runs under every model, so it keeps to its own connection: what it must remember is in
 * plx_conn_state(), and what all connections share (struct service_config, as handler->user) is
 * only read.
 */
#ifndef POLLUX_CMD_SERVICE_H
#define POLLUX_CMD_SERVICE_H

#include <pollux/conn.h>
#include <stdbool.h>
#include <stddef.h>

struct service_config {
    const char *suffix; /* upper: what follows each chunk; "" = nothing */
    size_t suffix_len;
    bool offload; /* slow: compute elsewhere than in the thread that serves */
};

struct service {
    const struct plx_handler *handler; /* its name is the service's; `user` is set on a copy */
    const char *summary;               /* one line for the manual, without a full stop */
};

/* Row `i` of the table, NULL past its end. */
const struct service *service_at(size_t i);

/* The name of row `i`, NULL past the end: a choice function for options. */
const char *service_name(size_t i);
const char *service_summary(size_t i);

extern const struct plx_handler service_echo, service_upper, service_capitalize, service_goodbye,
    service_discard, service_daytime, service_time, service_chargen, service_slow;

/* How much a service transforms at a time, on the stack. */
#define SERVICE_PIECE 4096

#endif
