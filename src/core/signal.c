/* SPDX-License-Identifier: MIT */
/*
 * Signals as events of a loop. The handler only marks and wakes; the callback runs in the loop's
 * turn, where everything is allowed (signal-safety(7)).
 */
#include "core/core.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

struct plx_signal {
    struct plx_loop *loop;
    int signo;
    void (*fn)(int, void *);
    void *arg;
    struct sigaction former;
    struct plx_signal *next;
    bool running, stopped;
};

/* A signal has one disposition in a process, so it has one watcher. */
static _Atomic(struct plx_loop *) watchers[NSIG];
static atomic_bool pending[NSIG];

static void on_signal(int signo)
{
    struct plx_loop *l = atomic_load(&watchers[signo]);
    if (!l)
        return;
    atomic_store(&pending[signo], true);
    atomic_store(&l->signalled, true);
    l->engine->wake(l);
}

int plx_signal_start(struct plx_loop *l, int signo, void (*fn)(int, void *), void *arg,
                     struct plx_signal **out)
{
    if (signo < 1 || signo >= NSIG || !fn)
        return -EINVAL;
    if (l->parent)
        return -EOPNOTSUPP;
    struct plx_signal *s = plx__sys_calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    *s = (struct plx_signal){.loop = l, .signo = signo, .fn = fn, .arg = arg, .next = l->signals};
    struct plx_loop *nobody = NULL;
    if (!atomic_compare_exchange_strong(&watchers[signo], &nobody, l)) {
        free(s);
        return -EBUSY;
    }
    atomic_store(&pending[signo], false);
    struct sigaction sa = {.sa_handler = on_signal};
    sigfillset(&sa.sa_mask);
    if (sigaction(signo, &sa, &s->former) < 0) {
        int err = errno;
        atomic_store(&watchers[signo], NULL);
        free(s);
        return -err;
    }
    l->signals = s;
    if (out)
        *out = s;
    return 0;
}

static void forget(struct plx_signal *s)
{
    for (struct plx_signal **at = &s->loop->signals; *at; at = &(*at)->next) {
        if (*at == s) {
            *at = s->next;
            break;
        }
    }
    free(s);
}

void plx_signal_stop(struct plx_signal *s)
{
    if (!s || s->stopped)
        return;
    s->stopped = true;
    (void)sigaction(s->signo, &s->former, NULL);
    atomic_store(&watchers[s->signo], NULL);
    if (!s->running)
        forget(s);
}

void plx__signals_run(struct plx_loop *l)
{
    if (!atomic_load_explicit(&l->signalled, memory_order_acquire) ||
        !atomic_exchange(&l->signalled, false))
        return;
    struct plx_signal *next;
    for (struct plx_signal *s = l->signals; s; s = next) {
        bool came = !s->stopped && atomic_exchange(&pending[s->signo], false);
        if (came) {
            s->running = true;
            s->fn(s->signo, s->arg);
            s->running = false;
        }
        next = s->next; /* after the call: it may have started another, at the list's head */
        if (s->stopped)
            forget(s);
    }
}

void plx__signals_free(struct plx_loop *l)
{
    while (l->signals)
        plx_signal_stop(l->signals);
}

void plx__signals_forget(void)
{
    for (int signo = 1; signo < NSIG; signo++) {
        if (!atomic_load(&watchers[signo]))
            continue;
        atomic_store(&watchers[signo], NULL);
        /* The parent acts on it, and tells its children: with the two that the child is about to
         * handle itself, one of which may be pending already. Ignoring would discard it. */
        if (signo != SIGTERM && signo != SIGQUIT)
            (void)signal(signo, SIG_IGN);
    }
}
