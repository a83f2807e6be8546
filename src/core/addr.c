/* SPDX-License-Identifier: MIT */
/* Socket addresses as text. The grammar is in addr.h. */
#include "core/core.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int bad(struct plx_why *why, const char *text, const char *what)
{
    plx__why(why, "write HOST:PORT, [IPV6]:PORT, :PORT or unix:PATH", "\"%.96s\": %s", text, what);
    return -EINVAL;
}

static int parse_unix(const char *path, struct plx_addr *a, struct plx_why *why)
{
    size_t n = strlen(path);
    memset(a, 0, sizeof(*a));
    if (n == 0)
        return bad(why, "unix:", "the path is missing");
    if (n >= sizeof(a->un.sun_path)) {
        plx__why(why, "use a shorter path, or a relative one",
                 "unix:%.80s...: the path has %zu bytes, at most %zu fit in a socket address", path,
                 n, sizeof(a->un.sun_path) - 1);
        return -ENAMETOOLONG;
    }
    a->un.sun_family = AF_UNIX;
    memcpy(a->un.sun_path, path, n + 1);
    a->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + 1);
    return 1;
}

static int parse_port(const char *s)
{
    if (!*s || strlen(s) > 5 || strspn(s, "0123456789") != strlen(s))
        return -1;
    long port = strtol(s, NULL, 10);
    return port <= 65535 ? (int)port : -1;
}

static int resolve(const char *text, const char *host, const char *port, struct plx_addr *out,
                   int cap, struct plx_why *why)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    int rc = getaddrinfo(host, port, &hints, &list);
    if (rc != 0) {
        plx__why(why, "check the spelling, or give the address in numbers", "\"%.96s\": %s", text,
                 rc == EAI_SYSTEM ? plx_error_text(errno) : gai_strerror(rc));
        return rc == EAI_MEMORY ? -ENOMEM : -ENOENT;
    }
    int n = 0;
    for (const struct addrinfo *ai = list; ai && n < cap; ai = ai->ai_next) {
        if (ai->ai_family != AF_INET && ai->ai_family != AF_INET6)
            continue;
        memset(&out[n], 0, sizeof(out[n]));
        memcpy(&out[n].sa, ai->ai_addr, ai->ai_addrlen);
        out[n++].len = ai->ai_addrlen;
    }
    freeaddrinfo(list);
    return n > 0 ? n : bad(why, text, "the host has no IPv4 or IPv6 address");
}

int plx_addr_parse(const char *text, struct plx_addr *out, int cap, struct plx_why *why)
{
    if (cap < 1)
        return -EINVAL;
    if (strncmp(text, "unix:", 5) == 0)
        return parse_unix(text + 5, out, why);
    char host[256];
    const char *colon, *from = text;
    if (*text == '[') {
        const char *end = strchr(text, ']');
        if (!end || end[1] != ':')
            return bad(why, text, "an IPv6 address is written [ADDRESS]:PORT");
        from = text + 1;
        colon = end + 1;
        snprintf(host, sizeof(host), "%.*s", (int)(end - from), from);
        struct in6_addr probe;
        char bare[256];
        snprintf(bare, sizeof(bare), "%.*s", (int)strcspn(host, "%"), host);
        if (inet_pton(AF_INET6, bare, &probe) != 1)
            return bad(why, text, "not an IPv6 address in the brackets");
    } else {
        colon = strrchr(text, ':');
        if (!colon)
            return bad(why, text, "the port is missing");
        if (strchr(text, ':') != colon)
            return bad(why, text, "an IPv6 address is written [ADDRESS]:PORT");
        if ((size_t)(colon - from) >= sizeof(host))
            return bad(why, text, "the host name is too long");
        snprintf(host, sizeof(host), "%.*s", (int)(colon - from), from);
    }
    if (parse_port(colon + 1) < 0)
        return bad(why, text, "the port is not a number from 0 to 65535");
    return resolve(text, *host ? host : "127.0.0.1", colon + 1, out, cap, why);
}

char *plx_addr_format(const struct plx_addr *a, char *buf, size_t cap)
{
    char ip[INET6_ADDRSTRLEN];
    if (a->len && a->sa.sa_family == AF_INET &&
        inet_ntop(AF_INET, &a->in.sin_addr, ip, sizeof(ip))) {
        snprintf(buf, cap, "%s:%u", ip, plx_addr_port(a));
    } else if (a->len && a->sa.sa_family == AF_INET6 &&
               inet_ntop(AF_INET6, &a->in6.sin6_addr, ip, sizeof(ip))) {
        if (a->in6.sin6_scope_id)
            snprintf(buf, cap, "[%s%%%u]:%u", ip, a->in6.sin6_scope_id, plx_addr_port(a));
        else
            snprintf(buf, cap, "[%s]:%u", ip, plx_addr_port(a));
    } else {
        /* The path of an accepted peer need not be terminated: its length is the address's. */
        size_t head = offsetof(struct sockaddr_un, sun_path);
        size_t n = a->len > head ? a->len - head : 0;
        snprintf(buf, cap, "unix:%.*s", (int)strnlen(a->un.sun_path, n), a->un.sun_path);
    }
    return buf;
}

unsigned plx_addr_port(const struct plx_addr *a)
{
    if (a->sa.sa_family == AF_INET)
        return ntohs(a->in.sin_port);
    if (a->sa.sa_family == AF_INET6)
        return ntohs(a->in6.sin6_port);
    return 0;
}
