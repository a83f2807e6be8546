/* SPDX-License-Identifier: MIT */
/* Commands that run for long and end in order when they are interrupted. */
#ifndef POLLUX_CMD_INTERRUPT_H
#define POLLUX_CMD_INTERRUPT_H

#include <signal.h>
#include <stdbool.h>

/* The number of the signal that came, 0 = none yet. Its status is 128 + the number, as a shell
 * says it. */
extern volatile sig_atomic_t interrupted;

/* From now on SIGINT, SIGTERM and SIGHUP set it, but for those that are ignored (nohup(1), a
 * shell's background job). `once`: a second one ends the process as if nobody caught it. Main
 * thread. */
void interrupt_catch(bool once);

#endif
