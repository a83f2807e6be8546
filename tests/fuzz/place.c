/* SPDX-License-Identifier: MIT */
/*
 * Where this machine says it is. Input: five texts, each up to a NUL: /proc/self/cgroup,
 * /proc/self/mountinfo, and the three that any other file is, in turn. place.c itself is part of
 * this file, with these in place of the system's.
 */
#include "fuzz.h"

#include "cmd/measure/sysfile.h"

#include <limits.h>
#include <stdarg.h>

static struct {
    const char *groups, *mounts, *other[3];
    unsigned turn;
} files;

static ssize_t read_input(char *buf, size_t cap, const char *path, ...)
    __attribute__((format(printf, 3, 4)));

static ssize_t read_input(char *buf, size_t cap, const char *path, ...)
{
    char name[PATH_MAX + 64];
    va_list args;
    va_start(args, path);
    int len = vsnprintf(name, sizeof(name), path, args);
    va_end(args);
    CHECK(len > 0);
    const char *text =
        strcmp(name, "/proc/self/cgroup") == 0 ? files.groups : files.other[files.turn++ % 3];
    size_t n = strlen(text) < cap - 1 ? strlen(text) : cap - 1;
    memcpy(buf, text, n);
    buf[n] = '\0';
    return (ssize_t)n;
}

static FILE *open_input(const char *path, const char *mode)
{
    (void)path;
    (void)mode;
    /* fmemopen(3) refuses an empty one. */
    return *files.mounts ? fmemopen((void *)(uintptr_t)files.mounts, strlen(files.mounts), "r")
                         : NULL;
}

#define sysfile_read read_input
#define fopen        open_input
#include "cmd/measure/place.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    char *text[5], name[PLACE_TEXT];
    for (size_t i = 0; i < 5; i++)
        text[i] = take_text(&in, '\0');
    files.groups = text[0];
    files.mounts = text[1];
    for (size_t i = 0; i < 3; i++)
        files.other[i] = text[2 + i];
    files.turn = 0;

    double cpus = place_cpu_quota();
    CHECK(cpus >= 0);
    CHECK(place_memory_limit() >= 0);
    const char *found = place_hypervisor(name);
    CHECK(found == NULL || strlen(found) < PLACE_TEXT);
    found = place_container();
    CHECK(found == NULL || found[0] != '\0');
    for (size_t i = 0; i < 5; i++)
        free(text[i]);
    return 0;
}
