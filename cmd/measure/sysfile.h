/* SPDX-License-Identifier: MIT */
/*
 * Small text files in which the kernel answers: proc(5), sysfs(5), cgroups(7). Any thread.
 */
#ifndef POLLUX_CMD_MEASURE_SYSFILE_H
#define POLLUX_CMD_MEASURE_SYSFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Room for any of them, /proc/PID/status with its lists of groups and of memory nodes included. */
#define SYSFILE_TEXT 16384

/*
 * Reads the file that printf(3) names into `buf`, at most cap - 1 bytes of it, without the newline
 * at its end. Returns how many, or -errno with an empty text.
 */
ssize_t sysfile_read(char *buf, size_t cap, const char *path, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * What stands after `key` ("VmHWM:") at the beginning of a line, blanks passed over; it goes on to
 * the end of the text, not of the line. NULL if there is no such line.
 */
const char *sysfile_after(const char *text, const char *key);

/* Copies a text up to the end of its line. Returns `buf`; "" if it does not fit. */
char *sysfile_line(const char *text, char *buf, size_t cap);

/* The number after `key` in `text`; false if there is none. */
bool sysfile_number(const char *text, const char *key, int64_t *out);

#endif
