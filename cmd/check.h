/* SPDX-License-Identifier: MIT */
/* The parts of `pollux check`: the command (check.c), one model's turn (check_model.c), and what is
 * said about all of them (check_report.c). */
#ifndef POLLUX_CMD_CHECK_H
#define POLLUX_CMD_CHECK_H

#include "cmd/check_client.h"
#include "cmd/cmd.h"

#include <pollux/model.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct check_plan {
    const char *file; /* its name, or NULL for random bytes */
    const unsigned char *data;
    size_t size;
    unsigned connections;
    int64_t timeout_ns;
    uint64_t seed;
    bool progress; /* standard error is a terminal */
    const volatile sig_atomic_t *interrupted;
};

/* What became of one model. */
struct check_outcome {
    const struct plx_model *model;
    int unable; /* 0, or why it cannot run here: -errno and `why` */
    struct plx_why why;
    unsigned connections;
    struct check_result result;
    int64_t memory; /* the server's peak, bytes; 0 = not known */
};

/* Starts a server of that model, runs the load against it, compares the server's own counts,
 * ends it. */
void check_model(const struct check_plan *, const struct plx_model *, struct check_outcome *);

/* Prints the table and the line below it. 0 or -ENOMEM. */
int check_table(const struct check_plan *, const struct check_outcome *, size_t n);

/* The same as a JSON document; NULL without memory. */
struct json_t *check_document(const struct check_plan *, const struct check_outcome *, size_t n);

#endif
