/* SPDX-License-Identifier: MIT */
/* What several parts of `pollux explain` say or ask: times, sizes, errors, kinds of calls. */
#include "cmd/explain/explain.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void *explain_more(void *list, size_t size)
{
    /* Every list of explain.h begins like this one; its pointer is of another type, so it is
     * copied out and in. */
    struct any {
        void *items;
        size_t n, cap;
    } a;

    memcpy(&a, list, sizeof a);
    if (a.n == a.cap) {
        size_t cap = a.cap > 0 ? 2 * a.cap : 64;
        void *items = realloc(a.items, cap * size);

        if (items == NULL)
            return NULL;
        a.items = items;
        a.cap = cap;
    }
    void *item = (char *)a.items + a.n++ * size;

    memset(item, 0, size);
    memcpy(list, &a, sizeof a);
    return item;
}

char *explain_time(int64_t ns, char *buf)
{
    double t = (double)ns;
    const char *unit = "ns";

    if (ns >= PLX_SECOND || ns <= -PLX_SECOND) {
        t /= 1e9;
        unit = "s";
    } else if (ns >= PLX_MSEC || ns <= -PLX_MSEC) {
        t /= 1e6;
        unit = "ms";
    } else if (ns >= 1000 || ns <= -1000) {
        t /= 1e3;
        unit = "us";
    }
    double size = t < 0 ? -t : t;
    int digits = strcmp(unit, "ns") == 0 || size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2;

    snprintf(buf, EXPLAIN_TIME, "%.*f %s", digits, t, unit);
    return buf;
}

char *explain_bytes(int64_t n, char *buf)
{
    if (n >= 1024 && n % 1024 == 0)
        snprintf(buf, EXPLAIN_TIME, "%" PRId64 " KiB", n / 1024);
    else
        snprintf(buf, EXPLAIN_TIME, "%" PRId64 " byte%s", n, n == 1 ? "" : "s");
    return buf;
}

const char *explain_error(int64_t result)
{
    return result < 0 && result > -4096 ? plx_error_name((int)result) : "";
}

static bool begins(const char *name, const char *with)
{
    return strncmp(name, with, strlen(with)) == 0;
}

/* A call that moves a connection's bytes, or a completion of a request that did. */
static bool moves(const struct explain_event *e)
{
    return (e->kind == PLX_TRACE_CALL && e->phase == PLX_TRACE_COPIES) ||
           e->kind == PLX_TRACE_COMPLETED;
}

bool explain_receives(const struct explain_event *e)
{
    return moves(e) && (begins(e->name, "recv") || begins(e->name, "aio_read"));
}

bool explain_sends(const struct explain_event *e)
{
    return moves(e) && (begins(e->name, "send") || begins(e->name, "aio_write"));
}
