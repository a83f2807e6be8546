/* SPDX-License-Identifier: MIT */
/* See sysfile.h. */
#include "cmd/measure/sysfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static ssize_t read_all(int fd, char *buf, size_t most)
{
    size_t have = 0;
    while (have < most) {
        ssize_t n = read(fd, buf + have, most - have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        have += (size_t)n;
    }
    return (ssize_t)have;
}

ssize_t sysfile_read(char *buf, size_t cap, const char *path, ...)
{
    char name[PATH_MAX];
    va_list args;
    buf[0] = '\0';
    va_start(args, path);
    int len = vsnprintf(name, sizeof(name), path, args);
    va_end(args);
    if (len < 0 || (size_t)len >= sizeof(name))
        return -ENAMETOOLONG;

    int fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t n = read_all(fd, buf, cap - 1);
    close(fd);
    size_t end = n > 0 ? (size_t)n : 0;
    if (end > 0 && buf[end - 1] == '\n')
        end--;
    buf[end] = '\0';
    return n < 0 ? n : (ssize_t)end;
}

const char *sysfile_after(const char *text, const char *key)
{
    size_t n = strlen(key);
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, n) == 0)
            return line + n + strspn(line + n, " \t");
    }
    return NULL;
}

char *sysfile_line(const char *text, char *buf, size_t cap)
{
    size_t n = strcspn(text, "\n");
    if (n >= cap)
        n = 0;
    memcpy(buf, text, n);
    buf[n] = '\0';
    return buf;
}

bool sysfile_number(const char *text, const char *key, int64_t *out)
{
    const char *at = sysfile_after(text, key);
    if (!at)
        return false;
    char *end;
    errno = 0;
    long long value = strtoll(at, &end, 10);
    if (end == at || errno != 0)
        return false;
    *out = value;
    return true;
}
