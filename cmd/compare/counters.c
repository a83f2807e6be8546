/* SPDX-License-Identifier: MIT */
/* See counters.h. */
#include "cmd/compare/counters.h"

#include <jansson.h>
#include <math.h>
#include <pollux/pollux.h>

/* A thread that others do not keep from it answers in less than one millisecond. The second one is
 * awaited when the load is over. */
#define FIRST_NS  (50 * PLX_MSEC)
#define SECOND_NS PLX_SECOND

static const struct {
    const char *name;
    size_t offset;
} kinds[COUNTERS_KINDS] = {
    {"calls_wait", offsetof(struct sample, calls_wait)},
    {"calls_ctl", offsetof(struct sample, calls_ctl)},
    {"calls_accept", offsetof(struct sample, calls_accept)},
    {"calls_recv", offsetof(struct sample, calls_recv)},
    {"calls_send", offsetof(struct sample, calls_send)},
    {"calls_other", offsetof(struct sample, calls_other)},
    {"wakeups", offsetof(struct sample, wakeups)},
};

static void take_answer(struct counters *c, struct proc *server, int64_t timeout_ns)
{
    char line[sizeof(server->line)];
    if (proc_line(server, line, sizeof(line), timeout_ns) != 1)
        return;
    json_t *stats = json_loads(line, 0, NULL);
    bool whole = json_is_integer(json_object_get(stats, "bytes_in"));
    c->bytes_in[c->answered] = json_integer_value(json_object_get(stats, "bytes_in"));
    for (size_t i = 0; i < COUNTERS_KINDS; i++) {
        const json_t *n = json_object_get(stats, kinds[i].name);
        whole = whole && json_is_integer(n);
        c->count[c->answered][i] = json_integer_value(n);
    }
    c->answered += whole;
    json_decref(stats);
}

void counters_ask(struct counters *c, struct proc *server)
{
    if (c->asked == 1)
        take_answer(c, server, FIRST_NS);
    if (c->asked > 1 || c->answered != c->asked)
        return; /* two signals under way may become one: it could not be told what is answered */
    c->asked++;
    proc_signal(server, SIGUSR1);
}

void counters_take(struct counters *c, struct proc *server, double message_bytes, struct sample *s)
{
    if (c->asked == 2)
        take_answer(c, server, SECOND_NS);
    double messages =
        c->answered == 2 ? (double)(c->bytes_in[1] - c->bytes_in[0]) / message_bytes : 0;
    for (size_t i = 0; i < COUNTERS_KINDS; i++) {
        double *to = (double *)(void *)((char *)s + kinds[i].offset);
        *to = messages > 0 ? (double)(c->count[1][i] - c->count[0][i]) / messages : NAN;
    }
}
