/* SPDX-License-Identifier: MIT */
/* echo (RFC 862): the same bytes. What the peer does not read back stops further input, because
 * plx_send() beyond the high-water mark does. */
#include "cmd/services/service.h"

/* With what the library does for each message in the same pages. */
__attribute__((hot)) static ssize_t on_data(struct plx_conn *conn, const void *p, size_t n)
{
    int rc = plx_send(conn, p, n);

    return rc < 0 ? rc : (ssize_t)n;
}

const struct plx_handler service_echo = {.name = "echo", .on_data = on_data};
