/* SPDX-License-Identifier: MIT */
/* daytime (RFC 867): the date and time as a line of text, then the end. The RFC leaves the format
 * open; this is the first one it suggests, in UTC: "Tuesday, February 22, 1982 17:37:43-UTC". */
#include "cmd/services/service.h"
#include "cmd/utc.h"

#include <stdio.h>
#include <time.h>

static int on_open(struct plx_conn *conn)
{
    static const char *const days[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                       "Thursday", "Friday", "Saturday"};
    static const char *const months[] = {"January",   "February", "March",    "April",
                                         "May",       "June",     "July",     "August",
                                         "September", "October",  "November", "December"};
    struct utc now;
    char line[96];
    int n;
    int rc;

    utc_split(time(NULL), &now);
    n = snprintf(line, sizeof line, "%s, %s %d, %d %02d:%02d:%02d-UTC\r\n", days[now.weekday],
                 months[now.month - 1], now.day, now.year, now.hour, now.minute, now.second);
    rc = plx_send(conn, line, (size_t)n);
    plx_finish(conn);
    return rc < 0 ? rc : 0;
}

const struct plx_handler service_daytime = {.name = "daytime", .on_open = on_open};
