/* SPDX-License-Identifier: MIT */
/*
 * upper: ASCII letters in upper case, each chunk followed by the suffix. A chunk is what one call
 * of on_data brings, so where TCP cuts the stream decides where suffixes stand: that is the point
 * of the exercise this service comes from, it makes the boundaries of received chunks visible.
 */
#include "cmd/services/service.h"

static ssize_t on_data(struct plx_conn *conn, const void *p, size_t n)
{
    const struct service_config *config = plx_conn_handler(conn)->user;
    const unsigned char *in = p;
    char out[SERVICE_PIECE];
    int rc;

    for (size_t done = 0; done < n;) {
        size_t len = n - done < sizeof out ? n - done : sizeof out;

        /* Not toupper(3): its answer depends on the locale, and bytes of UTF-8 must pass. */
        for (size_t i = 0; i < len; i++) {
            unsigned char c = in[done + i];
            out[i] = (char)(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
        }
        rc = plx_send(conn, out, len);
        if (rc < 0)
            return rc;
        done += len;
    }
    rc = config->suffix_len > 0 ? plx_send(conn, config->suffix, config->suffix_len) : 0;
    return rc < 0 ? rc : (ssize_t)n;
}

const struct plx_handler service_upper = {.name = "upper", .on_data = on_data};
