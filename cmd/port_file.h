/* SPDX-License-Identifier: MIT */
/*
 * The ready lines as a file, for those who start a server and must know its port. Who waits for
 * the file to appear finds it complete: it is written under another name and renamed.
 */
#ifndef POLLUX_CMD_PORT_FILE_H
#define POLLUX_CMD_PORT_FILE_H

#include <sys/types.h>

struct port_file {
    const char *path; /* NULL: none was written; kept, not copied */
    dev_t device;     /* which file it was ... */
    ino_t inode;      /* ... so that a later server's file of that name is not removed */
};

/* Writes `text` to `path`; what was there is replaced. 0 or -errno; then nothing is left behind. */
int port_file_write(struct port_file *, const char *path, const char *text);

/* Removes it, if it was written and is still the same file. */
void port_file_remove(struct port_file *);

#endif
