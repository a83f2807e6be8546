/* SPDX-License-Identifier: MIT */
/* Socket addresses as people write them: HOST:PORT, [::1]:PORT, :PORT, unix:PATH. */
#ifndef POLLUX_ADDR_H
#define POLLUX_ADDR_H

#include <netinet/in.h>
#include <pollux/error.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

struct plx_addr {
    socklen_t len;
    union {
        struct sockaddr sa;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
    };
};

/* Room for any address written by plx_addr_format(), with its NUL. */
#define PLX_ADDR_TEXT 128

/*
 * Reads `text` into up to `cap` addresses (a host name may have several; numeric forms and unix
 * paths have one). An empty host means the loopback address 127.0.0.1, never the wildcard: a
 * server that is to be reachable from elsewhere says 0.0.0.0 or [::].
 * Returns how many were written, or
 *   -EINVAL        not an address (why says which part),
 *   -ENAMETOOLONG  a unix path longer than the system allows (107 bytes on Linux),
 *   -ENOENT        the host name is not known.
 * A host name is looked up with getaddrinfo(3), which may block. Any thread. `why` may be NULL.
 */
int plx_addr_parse(const char *text, struct plx_addr *out, int cap, struct plx_why *why);

/*
 * Writes the address as plx_addr_parse() reads it: "127.0.0.1:80", "[::1]:80", "unix:/run/x".
 * An unnamed unix socket is "unix:". Returns `buf`. Any thread.
 */
char *plx_addr_format(const struct plx_addr *, char *buf, size_t cap);

/* The port in host order; 0 for a unix address. Any thread. */
unsigned plx_addr_port(const struct plx_addr *);

#endif
