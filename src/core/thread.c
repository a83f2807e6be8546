/* SPDX-License-Identifier: MIT */
/* Starting threads: one place that blocks signals in them, bounds their stack and names them. */
#include "core/core.h"

#include <limits.h>
#include <signal.h>
#include <unistd.h>

int plx__thread_start(pthread_t *thread, size_t stack, const char *name, void *(*fn)(void *),
                      void *arg)
{
    pthread_attr_t attr;
    int err = pthread_attr_init(&attr);
    if (err)
        return -err;
    if (stack) {
        size_t least = (size_t)sysconf(_SC_THREAD_STACK_MIN);
        err = pthread_attr_setstacksize(&attr, stack > least ? stack : least);
    }
    sigset_t all, old;
    sigfillset(&all);
    if (!err) {
        pthread_sigmask(SIG_SETMASK, &all, &old);
        err = plx__sys_pthread_create(thread, &attr, fn, arg);
        pthread_sigmask(SIG_SETMASK, &old, NULL);
    }
    pthread_attr_destroy(&attr);
    if (!err && name)
        (void)pthread_setname_np(*thread, name);
    return -err;
}

void plx__thread_name(const char *name)
{
    (void)pthread_setname_np(pthread_self(), name);
}
