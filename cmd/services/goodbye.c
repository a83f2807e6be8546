/* SPDX-License-Identifier: MIT */
/* goodbye: answers the first bytes with one sentence and closes. plx_finish() discards what still
 * comes, because a close with unread input would be a reset that destroys the sentence. */
#include "cmd/services/service.h"

static ssize_t on_data(struct plx_conn *conn, const void *p, size_t n)
{
    static const char answer[] = "Server:Good Bye.";
    int rc = plx_send(conn, answer, sizeof answer - 1);

    (void)p;
    plx_finish(conn);
    return rc < 0 ? rc : (ssize_t)n;
}

const struct plx_handler service_goodbye = {.name = "goodbye", .on_data = on_data};
