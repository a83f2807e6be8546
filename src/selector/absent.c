/* SPDX-License-Identifier: MIT */
/* A backend whose facility this system does not have. */
#include "selector/absent.h"

#include "core/core.h"

#include <errno.h>
#include <sys/utsname.h>

int plx__absent_init(void *state)
{
    (void)state;
    return -ENOSYS;
}

int plx__absent_ctl(void *state, int fd, uint32_t tag, unsigned old, unsigned now)
{
    (void)state;
    (void)fd;
    (void)tag;
    (void)old;
    (void)now;
    return -ENOSYS;
}

int plx__absent_wait(void *state, struct plx_event *events, int cap, int64_t timeout_ns)
{
    (void)state;
    (void)events;
    (void)cap;
    (void)timeout_ns;
    return -ENOSYS;
}

void plx__absent_fini(void *state)
{
    (void)state;
}

int plx__absent_probe(struct plx_why *why, const char *whose)
{
    struct utsname u;
    if (uname(&u) < 0)
        plx__why(why, "", "%s", whose);
    else
        plx__why(why, "", "%s; this is %.64s", whose, u.sysname);
    return -ENOSYS;
}
