/* SPDX-License-Identifier: MIT */
#include "cmd/compare/fields.h"

#define FIELD(name)                                                                                \
    {                                                                                              \
#name, offsetof(struct sample, name), false                                                \
    }
#define CALL(name, kind)                                                                           \
    {                                                                                              \
        kind, offsetof(struct sample, name), true                                                  \
    }

const struct compare_field compare_fields[] = {
    FIELD(rate),
    FIELD(p50_ns),
    FIELD(p99_ns),
    FIELD(p999_ns),
    FIELD(cpu_ns),
    FIELD(user_ns),
    FIELD(system_ns),
    FIELD(voluntary),
    FIELD(involuntary),
    CALL(calls_wait, "wait"),
    CALL(calls_ctl, "ctl"),
    CALL(calls_accept, "accept"),
    CALL(calls_recv, "recv"),
    CALL(calls_send, "send"),
    CALL(calls_other, "other"),
    FIELD(wakeups),
    FIELD(memory_bytes),
    FIELD(per_connection),
    FIELD(client_busy),
    FIELD(server_busy),
    FIELD(messages),
    {0},
};
