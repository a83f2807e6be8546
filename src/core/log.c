/* SPDX-License-Identifier: MIT */
/*
 * Log lines: formatted on the stack, handed to the callback, never allocated.
 *
 * What is worth a warning, a stranger can often cause as fast as he can connect: each time a place
 * becomes free and is taken again is two lines. So warnings and errors are bounded here, for all
 * who log and whatever they log: of one kind, which is one format string, a server says a line a
 * second, and the next one tells how many were left out. The levels above are a line for each
 * connection or each piece of input, which is what those who choose them ask for.
 */
#include "core/core.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define BETWEEN PLX_SECOND
#define NOTE    48 /* bytes that " (N more not shown)" may take */

/* The kind's place in the table. There are more places than kinds; should there ever be fewer, the
 * last ones share a place and are still bounded. */
static struct plx__log_kind *kind_of(struct plx__group *g, const char *fmt)
{
    size_t i = 0;
    for (; i < PLX__LOG_KINDS - 1; i++) {
        const char *taken = NULL;
        if (atomic_compare_exchange_strong(&g->said[i].fmt, &taken, fmt) || taken == fmt)
            break;
    }
    return &g->said[i];
}

/* Whether a line of this kind may be said now; then `*held` is how many could not since the last.
 * Workers share the table without a lock: of several at once, the one that moves the time says it.
 */
static bool may_say(struct plx__log_kind *kind, uint64_t *held)
{
    int64_t now = plx__clock_coarse();
    int64_t next = atomic_load(&kind->next_ns);
    if (now < next || !atomic_compare_exchange_strong(&kind->next_ns, &next, now + BETWEEN)) {
        atomic_fetch_add(&kind->held, 1);
        return false;
    }
    *held = atomic_exchange(&kind->held, 0);
    return true;
}

void plx__log(const struct plx_loop *l, enum plx_level level, const char *fmt, ...)
{
    uint64_t held = 0;
    if (!plx__logs(l, level) || (level <= PLX_LOG_WARN && !may_say(kind_of(l->group, fmt), &held)))
        return;
    char line[512 + NOTE];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof(line) - NOTE, fmt, ap);
    va_end(ap);
    if (held)
        snprintf(line + strlen(line), NOTE, " (%llu more not shown)", (unsigned long long)held);
    l->log.fn(l->log.arg, level, line);
}

char *plx__peer_text(const struct plx__peer *p, char *buf, size_t cap)
{
    char ip[INET6_ADDRSTRLEN];
    if ((p->family == AF_INET || p->family == AF_INET6) &&
        inet_ntop(p->family, p->ip, ip, sizeof(ip)))
        snprintf(buf, cap, "%s, %u", ip, (unsigned)p->port);
    else
        snprintf(buf, cap, "%s", p->family == AF_UNIX ? "unix, 0" : "?, 0");
    return buf;
}

void plx__log_bytes(const struct plx_conn *c, const void *p, size_t n)
{
    enum { SHOWN = 64 };
    const unsigned char *from = p;
    char text[SHOWN * 4 + 4], peer[PLX_ADDR_TEXT];
    size_t at = 0;
    for (size_t i = 0; i < n && i < SHOWN; i++) {
        if (from[i] >= 0x20 && from[i] < 0x7f && from[i] != '\\')
            text[at++] = (char)from[i];
        else
            at += (size_t)snprintf(text + at, 5, "\\x%02x", from[i]);
    }
    snprintf(text + at, sizeof(text) - at, "%s", n > SHOWN ? "..." : "");
    plx__log(c->loop, PLX_LOG_DEBUG, "received %zu bytes from %s: %s", n,
             plx__peer_text(&c->peer, peer, sizeof(peer)), text);
}
