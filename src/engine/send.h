/* SPDX-License-Identifier: MIT */
/* What the completion engines share: writing at once, in front of a request to do so. */
#ifndef POLLUX_ENGINE_SEND_H
#define POLLUX_ENGINE_SEND_H

#include "core/core.h"

/* Writes what the socket takes without waiting, from wherever it lies. Not while a request to write
 * is in flight. What is left over is still wanted (PLX__WANT_WRITE). */
void plx__send_now(struct plx_conn *);

#endif
