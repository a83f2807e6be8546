/* SPDX-License-Identifier: MIT */
/*
 * getaddrinfo(3) that reads numbers and knows no names: a made-up host name must not be asked of a
 * name server. Included once by each target that reads addresses; the system's own function does
 * the reading.
 */
#ifndef POLLUX_TEST_RESOLVE_H
#define POLLUX_TEST_RESOLVE_H

#include <dlfcn.h>
#include <netdb.h>

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **list)
{
    static int (*next)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    struct addrinfo numeric = *hints;
    if (next == NULL)
        *(void **)(void *)&next = dlsym(RTLD_NEXT, "getaddrinfo");
    numeric.ai_flags |= AI_NUMERICHOST;
    return next(node, service, &numeric, list);
}

#endif
