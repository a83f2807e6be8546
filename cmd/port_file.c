/* SPDX-License-Identifier: MIT */
/* The port file. */
#include "cmd/port_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int fill(struct port_file *file, int fd, const char *text)
{
    struct stat st;
    size_t len = strlen(text);
    ssize_t n = write(fd, text, len);

    if (n < 0)
        return -errno;
    if ((size_t)n < len)
        return -ENOSPC; /* what a short write to a file means (write(2)) */
    /* mkostemp(3) makes the file for its owner only; a port is no secret. */
    if (fchmod(fd, 0644) < 0 || fstat(fd, &st) < 0)
        return -errno;
    file->device = st.st_dev;
    file->inode = st.st_ino;
    return 0;
}

int port_file_write(struct port_file *file, const char *path, const char *text)
{
    char temporary[PATH_MAX];
    int n = snprintf(temporary, sizeof temporary, "%s.XXXXXX", path);
    int fd;
    int rc;

    if ((size_t)n >= sizeof temporary)
        return -ENAMETOOLONG;
    fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return -errno;
    rc = fill(file, fd, text);
    if (close(fd) < 0 && rc == 0)
        rc = -errno;
    if (rc == 0 && rename(temporary, path) < 0)
        rc = -errno;
    if (rc < 0)
        unlink(temporary);
    else
        file->path = path;
    return rc;
}

void port_file_remove(struct port_file *file)
{
    struct stat st;

    if (file->path != NULL && stat(file->path, &st) == 0 && st.st_dev == file->device &&
        st.st_ino == file->inode)
        unlink(file->path);
    file->path = NULL;
}
