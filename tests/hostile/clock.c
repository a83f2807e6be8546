/* SPDX-License-Identifier: MIT */
/*
 * A wall clock that jumps, for a server that is not to notice. Loaded in front of libc
 * (LD_PRELOAD), it answers for CLOCK_REALTIME only. The file that HOSTILE_CLOCK names is shared
 * with the test: an offset in seconds, and how often the clock was read. The machine's own clock is
 * left alone, and a time namespace would not do: it shifts the monotonic clocks, not this one
 * (time_namespaces(7)).
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct shared {
    _Atomic int64_t offset, reads;
};

static struct shared *shared;

__attribute__((constructor)) static void join(void)
{
    const char *path = getenv("HOSTILE_CLOCK");
    int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *p;

    if (fd < 0)
        return;
    p = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    shared = p != MAP_FAILED ? p : NULL;
}

/* By number, because libc's own function is the one that this stands in front of. */
int clock_gettime(clockid_t id, struct timespec *ts)
{
    int rc = (int)syscall(SYS_clock_gettime, id, ts);

    if (rc == 0 && shared != NULL && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) {
        atomic_fetch_add(&shared->reads, 1);
        ts->tv_sec += (time_t)atomic_load(&shared->offset);
    }
    return rc;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
    struct timespec ts;

    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &ts) < 0)
        return -1;
    *tv = (struct timeval){.tv_sec = ts.tv_sec, .tv_usec = (suseconds_t)(ts.tv_nsec / 1000)};
    return 0;
}

time_t time(time_t *out)
{
    struct timespec ts;

    if (clock_gettime(CLOCK_REALTIME, &ts) < 0)
        return (time_t)-1;
    if (out != NULL)
        *out = ts.tv_sec;
    return ts.tv_sec;
}
