/* SPDX-License-Identifier: MIT */
/*
 * The directory that the results go to. It is made and tried before the first run: after half an
 * hour it would be too late to find out that nothing can be written there.
 */
#include "cmd/compare.h"

#include <errno.h>
#include <fcntl.h>
#include <pollux/error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define NAMES_MAX 9 /* that are tried, within one second */

static int cannot(const char *path, int error, char *err, size_t cap)
{
    return compare_refuse(err, cap, "--output %s cannot be written: %s; name another directory",
                          path, plx_error_text(error));
}

/* ---- making it ---- */

/* With those above it. 0 or -errno; that it is there is no failure. */
static int make_all(char *path)
{
    struct stat st;
    char *slash = path;

    while (*slash != '\0' && (slash = strchr(slash + 1, '/')) != NULL) {
        *slash = '\0';
        (void)mkdir(path, 0777); /* what is wrong, the last one will say */
        *slash = '/';
    }
    if (mkdir(path, 0777) == 0)
        return 0;
    if (errno != EEXIST)
        return -errno;
    if (stat(path, &st) < 0)
        return -errno;
    return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

/* A new one, by the time of day where the machine stands. */
static int make_new(char *path)
{
    time_t now = time(NULL);
    struct tm tm;
    char stamp[32];

    if (localtime_r(&now, &tm) == NULL || strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", &tm) == 0)
        snprintf(stamp, sizeof stamp, "%lld", (long long)now);
    for (int i = 1; i <= NAMES_MAX; i++) {
        snprintf(path, PATH_MAX, i == 1 ? "pollux-compare-%s" : "pollux-compare-%s-%d", stamp, i);
        if (mkdir(path, 0777) == 0)
            return 0;
        if (errno != EEXIST)
            break;
    }
    return -errno;
}

/* ---- trying it ---- */

static int try_writing(const char *path)
{
    char file[PATH_MAX + 32];
    int fd;

    snprintf(file, sizeof file, "%s/.writable-XXXXXX", path);
    fd = mkostemp(file, O_CLOEXEC);
    if (fd < 0)
        return -errno;
    close(fd);
    return unlink(file) < 0 ? -errno : 0;
}

/* Of the files that will be written, one may be a directory, or the one that is repeated. */
static int check_files(const char *path, const char *repeat, char *err, size_t cap)
{
    static const char *const names[] = {"results.json", "report.html", "repeat.sh"};
    char file[PATH_MAX + 32];
    struct stat there;
    struct stat kept;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(file, sizeof file, "%s/%s", path, names[i]);
        if (stat(file, &there) < 0)
            continue;
        if (S_ISDIR(there.st_mode))
            return cannot(file, EISDIR, err, cap);
        if (repeat != NULL && stat(repeat, &kept) == 0 && kept.st_dev == there.st_dev &&
            kept.st_ino == there.st_ino)
            return compare_refuse(err, cap,
                                  "--output %s: the new results would replace those that --repeat "
                                  "is to repeat; name another directory",
                                  path);
    }
    return 0;
}

int compare_output_make(const char *output, const char *repeat, char *path, char *err,
                        size_t errcap)
{
    int rc;

    if (output != NULL && strlen(output) >= PATH_MAX)
        return cannot("DIR", ENAMETOOLONG, err, errcap);
    if (output != NULL)
        snprintf(path, PATH_MAX, "%s", output);
    rc = output != NULL ? make_all(path) : make_new(path);
    if (rc == 0)
        rc = try_writing(path);
    return rc < 0 ? cannot(path, -rc, err, errcap) : check_files(path, repeat, err, errcap);
}
