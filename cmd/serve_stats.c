/* SPDX-License-Identifier: MIT */
/*
 * The counters as JSON, one document per line. A line is one write(2), because the discard service
 * shares standard output with it from other threads.
 */
#include "cmd/serve_stats.h"

#include "cmd/utc.h"

#include <jansson.h>
#include <pollux/pollux.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define SCHEMA_VERSION 1

#define FIELD(name)                                                                                \
    {                                                                                              \
#name, offsetof(struct plx_stats, name)                                                    \
    }

static const struct {
    const char *name;
    size_t offset;
} fields[] = {
    FIELD(accepted),      FIELD(refused),        FIELD(closed),        FIELD(open),
    FIELD(messages),      FIELD(bytes_in),       FIELD(bytes_out),     FIELD(throttled),
    FIELD(timeouts_idle), FIELD(timeouts_write), FIELD(resets),        FIELD(overflows),
    FIELD(errors),        FIELD(accept_errors),  FIELD(accept_pauses), FIELD(wakeups),
    FIELD(eagain),        FIELD(blocked),        FIELD(calls_wait),    FIELD(calls_ctl),
    FIELD(calls_accept),  FIELD(calls_recv),     FIELD(calls_send),    FIELD(calls_other),
};

/* How the kernel spread the connections. */
static json_t *accepted_by_worker(const struct plx_server *server)
{
    json_t *list = json_array();
    struct plx_stats stats;

    for (unsigned w = 0; plx_server_worker_stats(server, w, &stats) == 0; w++)
        json_array_append_new(list, json_integer((json_int_t)stats.accepted));
    return list;
}

void serve_stats_print(const struct plx_server *server, bool final)
{
    struct plx_stats stats;
    struct timespec now;
    struct utc utc;
    char when[64];
    json_t *line;
    char *text;

    plx_server_stats(server, &stats);
    clock_gettime(CLOCK_REALTIME, &now);
    utc_split(now.tv_sec, &utc);
    snprintf(when, sizeof when, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ", utc.year, utc.month,
             utc.day, utc.hour, utc.minute, utc.second, now.tv_nsec / 1000000);
    line = json_pack("{s:i, s:s, s:s, s:b}", "schema_version", SCHEMA_VERSION, "time", when,
                     "model", plx_server_model(server)->name, "final", final);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        uint64_t value = *(const uint64_t *)(const void *)((const char *)&stats + fields[i].offset);

        json_object_set_new(line, fields[i].name, json_integer((json_int_t)value));
    }
    json_object_set_new(line, "accepted_by_worker", accepted_by_worker(server));
    text = json_dumps(line, JSON_COMPACT);
    json_decref(line);
    if (text != NULL) {
        /* dprintf(3) writes a line of this length in one go. If nobody reads it, serving goes on:
         * the counters are no reason to end. */
        (void)dprintf(STDOUT_FILENO, "%s\n", text);
        free(text);
    }
}
