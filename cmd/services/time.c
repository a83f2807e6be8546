/* SPDX-License-Identifier: MIT */
/* time (RFC 868): the seconds since 1900 as 32 bits in network order, then the end. The number
 * wraps in 2036, which is the protocol's limit. */
#include "cmd/services/service.h"

#include <arpa/inet.h>
#include <time.h>

#define SECONDS_1900_TO_1970 2208988800 /* RFC 868 */

static int on_open(struct plx_conn *conn)
{
    uint32_t now = htonl((uint32_t)(time(NULL) + SECONDS_1900_TO_1970));
    int rc = plx_send(conn, &now, sizeof now);

    plx_finish(conn);
    return rc < 0 ? rc : 0;
}

const struct plx_handler service_time = {.name = "time", .on_open = on_open};
