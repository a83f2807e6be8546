/* SPDX-License-Identifier: MIT */
/* The port file. */
#include "cmd/port_file.h"

#include "cmd/replace_file.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct filling {
    struct port_file *file;
    const char *text;
};

static int fill(int fd, void *arg)
{
    const struct filling *f = arg;
    struct stat st;
    size_t len = strlen(f->text);
    ssize_t n = write(fd, f->text, len);

    if (n < 0)
        return -errno;
    if ((size_t)n < len)
        return -ENOSPC; /* what a short write to a file means (write(2)) */
    if (fstat(fd, &st) < 0)
        return -errno;
    f->file->device = st.st_dev;
    f->file->inode = st.st_ino;
    return 0;
}

int port_file_write(struct port_file *file, const char *path, const char *text)
{
    struct filling f = {.file = file, .text = text};
    int rc = replace_file(path, fill, &f);

    if (rc == 0)
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
