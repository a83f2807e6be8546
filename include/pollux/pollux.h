/* SPDX-License-Identifier: MIT */
/*
 * libpollux: write what a connection does once, run it under every I/O model.
 *
 *     static ssize_t echo(struct plx_conn *c, const void *p, size_t n)
 *     {
 *         int rc = plx_send(c, p, n);
 *         return rc < 0 ? rc : (ssize_t)n;
 *     }
 *     static const struct plx_handler handler = {.name = "echo", .on_data = echo};
 *
 * Conventions of every function of the library:
 *  - Result: 0 or a positive value is success; a failure is -errno, never a bare -1.
 *  - The library never prints, never exits, and never changes the process's signal dispositions
 *    except through plx_signal_start(), which is asked to.
 *  - Times are nanoseconds (int64_t) on CLOCK_MONOTONIC; sizes are bytes.
 *  - In configuration 0 means "the default", PLX_OFF means "no such limit".
 *  - Unless a function says "any thread", call it on the thread that runs the loop concerned.
 */
#ifndef POLLUX_H
#define POLLUX_H

#include <pollux/addr.h>
#include <pollux/client.h>
#include <pollux/conn.h>
#include <pollux/error.h>
#include <pollux/loop.h>
#include <pollux/model.h>
#include <pollux/selector.h>
#include <pollux/server.h>
#include <pollux/trace.h>

#define PLX_VERSION "0.1.0"

#endif
