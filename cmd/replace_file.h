/* SPDX-License-Identifier: MIT */
/* A file that is there whole or not at all. */
#ifndef POLLUX_CMD_REPLACE_FILE_H
#define POLLUX_CMD_REPLACE_FILE_H

/*
 * Calls `fill` with a descriptor of a new file beside `path`, which it writes to and leaves open,
 * and puts the file in `path`'s place if that succeeded (0). It can be read by everybody. Otherwise
 * what was there stays, and nothing is left behind. 0, what `fill` returned, or -errno.
 */
int replace_file(const char *path, int (*fill)(int fd, void *arg), void *arg);

#endif
