/* SPDX-License-Identifier: MIT */
/* Errors in words. */
#include "core/core.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *plx_error_name(int err)
{
    if (!err)
        return "OK";
    const char *name = strerrorname_np(abs(err));
    return name ? name : "E?";
}

const char *plx_error_text(int err)
{
    /* Where the usual text misleads, because here the error comes from a limit of the library. */
    switch (abs(err)) {
    case 0: return "no error";
    case ENOBUFS: return "output queue over its limit";
    case EMSGSIZE: return "input over its limit";
    case ETIMEDOUT: return "timed out";
    case ECANCELED: return "ended by the server";
    default: break;
    }
    const char *text = strerrordesc_np(abs(err));
    return text ? text : "unknown error";
}

void plx__why(struct plx_why *why, const char *remedy, const char *fmt, ...)
{
    if (!why)
        return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why->reason, sizeof(why->reason), fmt, ap);
    va_end(ap);
    snprintf(why->remedy, sizeof(why->remedy), "%s", remedy ? remedy : "");
}
