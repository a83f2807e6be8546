/* SPDX-License-Identifier: MIT */
/* Log lines: formatted on the stack, handed to the callback, never allocated. */
#include "core/core.h"

#include <arpa/inet.h>
#include <stdio.h>

void plx__log(const struct plx_loop *l, enum plx_level level, const char *fmt, ...)
{
    if (!plx__logs(l, level))
        return;
    char line[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
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
