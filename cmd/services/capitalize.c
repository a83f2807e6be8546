/* SPDX-License-Identifier: MIT */
/*
 * capitalize: the first letter of each line in upper case, all others in lower case. Whether a
 * line's first letter has gone by is remembered across chunks, so the answer does not depend on
 * where TCP cuts the stream.
 */
#include "cmd/services/service.h"

#include <stdbool.h>

struct state {
    bool seen; /* this line's first letter */
};

static char capital(struct state *state, unsigned char c)
{
    bool lower = c >= 'a' && c <= 'z';
    bool upper = c >= 'A' && c <= 'Z';

    if (c == '\n') {
        state->seen = false;
    } else if (lower || upper) {
        c = (unsigned char)(state->seen ? c | 0x20 : c & ~0x20); /* the bit of ASCII's case */
        state->seen = true;
    }
    return (char)c;
}

static ssize_t on_data(struct plx_conn *conn, const void *p, size_t n)
{
    struct state *state = plx_conn_state(conn);
    const unsigned char *in = p;
    char out[SERVICE_PIECE];

    for (size_t done = 0; done < n;) {
        size_t len = n - done < sizeof out ? n - done : sizeof out;
        int rc;

        for (size_t i = 0; i < len; i++)
            out[i] = capital(state, in[done + i]);
        rc = plx_send(conn, out, len);
        if (rc < 0)
            return rc;
        done += len;
    }
    return (ssize_t)n;
}

const struct plx_handler service_capitalize = {
    .name = "capitalize", .state_size = sizeof(struct state), .on_data = on_data};
