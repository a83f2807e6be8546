/* SPDX-License-Identifier: MIT */
/*
 * Signal-driven I/O (fcntl(2): O_ASYNC, F_SETOWN_EX, F_SETSIG): the kernel queues a real-time
 * signal to the waiting thread for every change of a descriptor. The wait is sigtimedwait(2); what
 * else is queued then comes through a signalfd(2), many with one call. Nothing is ever delivered to
 * a handler, and no disposition is changed.
 *
 *   changed  --signal-->  queue of the thread  --sigtimedwait-->  reported
 *   registered, modified, or the queue overflowed  -->  check list  --poll(.., 0)-->  reported
 *
 * Signals come for changes only, so whatever is ready at the time of registration would never be
 * heard of: each new interest goes to the check list, which the next wait polls. When the queue is
 * full (RLIMIT_SIGPENDING) the kernel sends a plain SIGIO instead of the real-time signal: then the
 * queue is emptied and everything registered goes to the check list.
 *
 * si_fd is only a hint: the signal may be late and the descriptor closed or reused. It is reported
 * if the descriptor is registered; at worst that is spurious readiness, which is legal. si_band has
 * poll's bits.
 *
 * Hints (PLX_MORE). Every change has a signal of its own: bytes, the peer's end (POLL_IN,
 * POLL_HUP), an error (POLL_ERR), the announcement of urgent data (POLL_PRI; Linux,
 * net/ipv4/tcp_input.c). So after one signal a short read has met all there was; what came later
 * has a signal that is yet to be taken. But several signals of one descriptor become one event, and
 * what is found by the check list may be any number of changes: then it is to be read until EAGAIN.
 * And a read also stops short at urgent data, which may come long after it was announced, or after
 * a signal was lost: from either on, the descriptor's events always carry the hint.
 *
 * Limits:
 *  - O_ASYNC, owner and signal belong to the open file, not to the descriptor. The same file
 *    registered by two threads (a shared listener, a dup) signals only the last to register.
 *  - Sockets, pipes and terminals send signals; eventfd, timerfd, signalfd, epoll, regular files
 *    do not: -EPERM. fcntl accepts O_ASYNC for those too, but F_GETFL then does not show it.
 *  - A stream socket of AF_UNIX signals room only to a writer that met EAGAIN while it was
 *    registered (the kernel's SOCKWQ_ASYNC_NOSPACE, which its poll does not set, unlike TCP's). So
 *    register first and write until EAGAIN then, as with any edge.
 *  - Once a socket has an owner, urgent data sends it SIGURG too (socket(7)), ignored by default.
 *  - The signal is the highest below SIGRTMAX with the default disposition that the fewest
 *    selectors use. Whether it is blocked says nothing (threads of a server have all blocked), so
 *    a program that takes real-time signals with sigwait should use low numbers. SIGRTMAX itself
 *    is left to tools (valgrind takes it).
 *  - Both signals stay blocked in a thread that has waited here, even after the selector is closed:
 *    a file that lives on through a duplicate may still send one, and its default action is to
 *    end the process.
 */
#include "core/core.h"
#include "selector/backends.h"
#include "selector/pollset.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#ifdef __linux__
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>

#define CHUNK   64  /* descriptors of the check list per poll */
#define SIGNALS 128 /* per read: 16 KiB */
/* Signals taken per wait, so that one descriptor that changes all the time cannot hold it. */
#define TAKEN_MOST 1024
/* After an overflow the queue is as long as RLIMIT_SIGPENDING allows, 10^4 to 10^5 by default. */
#define DRAIN_MOST 100000

struct watched {
    unsigned char events; /* PLX_READ | PLX_WRITE, 0 = not registered */
    bool listed;          /* on the check list */
    bool wary;            /* urgent data was announced, or a signal was lost */
    int next;             /* there; -1 = last */
    unsigned batch;       /* the wait that reported it last ... */
    int slot;             /* ... and where in its output */
};

struct sigio_state {
    struct plx_selector_calls calls;
    struct watched *table; /* by descriptor */
    size_t room;
    int head, tail; /* check list, -1 = empty */
    unsigned batch;
    bool busy;       /* the last wait took more than one signal */
    uint64_t thread; /* which one waits, 0 = none yet */
    pid_t tid;
    int sig;
    sigset_t set;       /* sig and SIGIO */
    int queue;          /* a signalfd of them (it reads those of whichever thread reads), or -1:
                         * then they come one by one */
    uint64_t overflows; /* of this thread's queue, as far as dealt with */
};

/* How many selectors use each real-time signal. Selectors of different threads could share one
 * safely; of one thread they could not, for each would take the other's. */
static _Atomic int users[_NSIG];

/* A number that no other thread ever had, unlike its id. */
static uint64_t this_thread(void)
{
    static _Atomic uint64_t last;
    static _Thread_local uint64_t mine;
    if (!mine)
        mine = ++last;
    return mine;
}

/* Plain SIGIO says nothing about which selector's signal was lost: all of the thread must look. */
static _Thread_local uint64_t thread_overflows;

/* ---- check list ---- */

static void check_later(struct sigio_state *s, int fd)
{
    struct watched *w = &s->table[fd];
    if (w->listed)
        return;
    w->listed = true;
    w->next = -1;
    if (s->tail < 0)
        s->head = fd;
    else
        s->table[s->tail].next = fd;
    s->tail = fd;
}

/* `lost`: signals were, and perhaps one of urgent data. */
static void check_all(struct sigio_state *s, bool lost)
{
    for (size_t fd = 0; fd < s->room; fd++) {
        if (!s->table[fd].events)
            continue;
        s->table[fd].wary |= lost;
        check_later(s, (int)fd);
    }
}

static int first_to_check(struct sigio_state *s)
{
    int fd = s->head;
    s->head = s->table[fd].next;
    if (s->head < 0)
        s->tail = -1;
    s->table[fd].listed = false;
    return fd;
}

/* Adds to the output; the events of one descriptor become one. What there is no room for is looked
 * at again by the next wait. Returns the new length. */
static int report(struct sigio_state *s, struct plx_event *out, int n, int cap, int fd,
                  unsigned events)
{
    struct watched *w = &s->table[fd];
    if (w->batch == s->batch) {
        out[w->slot].events |= events | PLX_MORE;
        return n;
    }
    if (n == cap) {
        check_later(s, fd);
        return n;
    }
    w->batch = s->batch;
    w->slot = n;
    if (w->wary)
        events |= PLX_MORE;
    out[n] = (struct plx_event){.fd = fd, .events = events};
    return n + 1;
}

/* Polls the check list until it is empty or the output full. */
static int check(struct sigio_state *s, struct plx_event *out, int cap)
{
    int n = 0;
    while (s->head >= 0 && n < cap) {
        struct pollfd set[CHUNK];
        nfds_t asked = 0;
        while (s->head >= 0 && asked < CHUNK && asked < (nfds_t)(cap - n)) {
            int fd = first_to_check(s);
            if (s->table[fd].events)
                set[asked++] =
                    (struct pollfd){.fd = fd, .events = plx__pollset_asked(s->table[fd].events)};
        }
        s->calls.wait++;
        if (plx__sys_poll(set, asked, 0) < 0) {
            int err = errno;
            for (nfds_t i = 0; i < asked; i++)
                check_later(s, set[i].fd);
            return n ? n : -err;
        }
        for (nfds_t i = 0; i < asked; i++) {
            if (set[i].revents)
                n = report(s, out, n, cap, set[i].fd,
                           plx__pollset_found(set[i].revents) | PLX_MORE);
        }
    }
    return n;
}

/* ---- signals and their owner ---- */

static int choose_signal(void)
{
    int best = -EAGAIN;
    int fewest = INT_MAX;
    for (int sig = SIGRTMAX - 1; sig >= SIGRTMIN; sig--) {
        struct sigaction now;
        int n = users[sig];
        if (sigaction(sig, NULL, &now) < 0 || now.sa_handler != SIG_DFL || n >= fewest)
            continue;
        best = sig;
        fewest = n;
    }
    return best;
}

/* Makes the file send its signals to the thread that waits. */
static int own(struct sigio_state *s, int fd)
{
    struct f_owner_ex owner = {.type = F_OWNER_TID, .pid = s->tid};
    s->calls.ctl += 2;
    if (plx__sys_fcntl(fd, F_SETSIG, s->sig) < 0 ||
        plx__sys_fcntl(fd, F_SETOWN_EX, (intptr_t)&owner) < 0)
        return -errno;
    return 0;
}

static int take_signal(struct sigio_state *s, siginfo_t *si, int64_t timeout_ns)
{
    struct timespec ts = plx__selector_timespec(timeout_ns);
    s->calls.wait++;
    int sig = plx__sys_sigtimedwait(&s->set, si, timeout_ns < 0 ? NULL : &ts);
    return sig < 0 ? -errno : sig;
}

/* Throws away what is queued. A SIGIO among it still counts for the thread's other selectors. */
static void drain(struct sigio_state *s)
{
    siginfo_t si;
    int sig;
    for (int i = 0; i < DRAIN_MOST && (sig = take_signal(s, &si, 0)) > 0; i++)
        thread_overflows += sig == SIGIO;
}

static int need_signal(struct sigio_state *s)
{
    if (s->sig)
        return 0;
    int sig = choose_signal();
    if (sig < 0)
        return sig;
    users[sig]++;
    s->sig = sig;
    sigemptyset(&s->set);
    sigaddset(&s->set, sig);
    sigaddset(&s->set, SIGIO);
    return 0;
}

/* Called first by a wait: the selector may have been opened on another thread, or have been used
 * there. Until the first wait its descriptors have no owner, so nobody gets a signal that he has
 * not blocked. */
static int enter(struct sigio_state *s)
{
    uint64_t me = this_thread();
    if (s->thread == me)
        return 0;
    int rc = need_signal(s);
    if (rc < 0)
        return rc;
    if (s->queue >= 0 && plx__sys_signalfd(s->queue, &s->set, 0) < 0) {
        plx__sys_close(s->queue);
        s->queue = -1; /* one by one, then */
    }
    int err = pthread_sigmask(SIG_BLOCK, &s->set, NULL);
    if (err)
        return -err;
    s->thread = me;
    s->tid = (pid_t)syscall(SYS_gettid);
    if (users[s->sig] == 1)
        drain(s); /* what a former user of the signal left in the queue */
    s->overflows = thread_overflows;
    for (size_t fd = 0; fd < s->room; fd++) {
        if (s->table[fd].events)
            rc = own(s, (int)fd);
        if (rc < 0 && rc != -EBADF) { /* one that was closed is found by the check */
            s->thread = 0;            /* nothing would ever be heard of this one */
            return rc;
        }
    }
    check_all(s, false);
    return 0;
}

/* si_band is poll's revents. A peer's close always has both POLLHUP and POLLERR (the kernel's
 * band_table), though no error is pending then. */
static unsigned band_events(int code, long band)
{
    if (code == POLL_HUP)
        band &= ~(long)POLLERR;
    return plx__pollset_found((short)band);
}

/* Takes one signal's event to the output, if it has one. Returns the new length. */
static int note(struct sigio_state *s, int code, int fd, long band, struct plx_event *out, int n,
                int cap)
{
    /* kill(2) and sigqueue(3) have other codes, and no descriptor. */
    if (code < POLL_IN || code > POLL_HUP || fd < 0 || (size_t)fd >= s->room ||
        !s->table[fd].events)
        return n;
    struct watched *w = &s->table[fd];
    if (code == POLL_PRI)
        w->wary = true;
    unsigned events = code == POLL_IN ? PLX_READ : band_events(code, band);
    events &= w->events | PLX_HUP | PLX_ERR;
    return events ? report(s, out, n, cap, fd, events) : n;
}

/* Takes up to SIGNALS signals that are queued already; how many. */
static int take_many(struct sigio_state *s, struct plx_event *out, int *n, int cap)
{
    struct signalfd_siginfo si[SIGNALS];
    if (s->queue < 0)
        return 0;
    s->calls.wait++;
    ssize_t bytes = plx__sys_read(s->queue, si, sizeof(si));
    int got = bytes < 0 ? 0 : (int)((size_t)bytes / sizeof(si[0]));
    for (int i = 0; i < got; i++) {
        if (si[i].ssi_signo == SIGIO)
            thread_overflows++;
        else
            *n = note(s, si[i].ssi_code, si[i].ssi_fd, (long)si[i].ssi_band, out, *n, cap);
    }
    return got;
}

/* Takes what is queued, even with the output full: most of it is about descriptors that are in
 * there already. The first signal is waited for if nothing is ready yet; where there was more than
 * one the last time, it is likely that none has to be. Returns the new length. */
static int take_queued(struct sigio_state *s, struct plx_event *out, int n, int cap,
                       int64_t timeout_ns)
{
    int taken = s->busy ? take_many(s, out, &n, cap) : 0;
    bool more = taken == 0 || taken == SIGNALS; /* a read of less has emptied the queue */
    while (more && taken < TAKEN_MOST) {
        siginfo_t si;
        int sig = take_signal(s, &si, n || taken ? 0 : timeout_ns);
        if (sig == -EAGAIN || (sig < 0 && n > 0))
            break;
        if (sig < 0)
            return sig;
        if (sig == SIGIO) {
            thread_overflows++;
            break;
        }
        n = note(s, si.si_code, si.si_fd, si.si_band, out, n, cap);
        int got = take_many(s, out, &n, cap);
        taken += 1 + got;
        more = s->queue < 0 || got == SIGNALS;
    }
    s->busy = taken > 1;
    return n;
}

/* Whether signals of this thread were lost since it was last asked; the rest is thrown away, so
 * that there is room again. */
static bool overflowed(struct sigio_state *s)
{
    if (s->overflows == thread_overflows)
        return false;
    drain(s);
    s->overflows = thread_overflows;
    return true;
}

static int sigio_wait(void *state, struct plx_event *out, int cap, int64_t timeout_ns)
{
    struct sigio_state *s = state;
    int rc = enter(s);
    if (rc < 0)
        return rc;
    if (++s->batch == 0) /* 0 is what entries of the table begin with */
        s->batch = 1;
    if (overflowed(s))
        check_all(s, true);
    int n = check(s, out, cap);
    if (n < 0)
        return n;
    n = take_queued(s, out, n, cap, n ? 0 : timeout_ns);
    if (n != 0 || !overflowed(s))
        return n;
    check_all(s, true);
    return check(s, out, cap);
}

/* ---- registering ---- */

static int arm(struct sigio_state *s, int fd, bool known)
{
    s->calls.ctl++;
    int flags = plx__sys_fcntl(fd, F_GETFL, 0);
    if (flags < 0)
        return -errno;
    if (known && (flags & O_ASYNC))
        return 0;
    int rc = own(s, fd);
    if (rc < 0)
        return rc;
    s->calls.ctl += 2;
    if (plx__sys_fcntl(fd, F_SETFL, flags | O_ASYNC) < 0)
        return -errno;
    /* The only sign that the kind of file sends none: the flag was accepted and did not stick. */
    if (!(plx__sys_fcntl(fd, F_GETFL, 0) & O_ASYNC)) {
        s->calls.ctl++;
        plx__sys_fcntl(fd, F_SETSIG, 0);
        return -EPERM;
    }
    return 0;
}

/* Leaves alone a file that was not armed here: the descriptor may have been closed and reused. */
static void disarm(struct sigio_state *s, int fd)
{
    s->calls.ctl++;
    if (plx__sys_fcntl(fd, F_GETSIG, 0) != s->sig)
        return;
    s->calls.ctl += 3;
    int flags = plx__sys_fcntl(fd, F_GETFL, 0);
    plx__sys_fcntl(fd, F_SETFL, flags & ~O_ASYNC);
    plx__sys_fcntl(fd, F_SETSIG, 0);
}

static int sigio_ctl(void *state, int fd, uint32_t tag, unsigned old, unsigned now)
{
    (void)tag;
    struct sigio_state *s = state;
    if (!now) {
        s->table[fd].events = 0;
        disarm(s, fd);
        return 0;
    }
    int rc = need_signal(s);
    if (rc < 0)
        return rc;
    void *table = s->table;
    rc = plx__selector_grow(&table, &s->room, (size_t)fd + 1, sizeof(*s->table));
    s->table = table;
    if (rc < 0)
        return rc;
    rc = arm(s, fd, old != 0);
    if (rc < 0)
        return rc;
    if (!old)
        s->table[fd].wary = false;
    s->table[fd].events = (unsigned char)now;
    check_later(s, fd);
    return 0;
}

/* A file that lives on through a duplicate goes on sending its signals: spurious readiness of
 * whoever gets the number. */
static void sigio_closing(void *state, int fd)
{
    struct sigio_state *s = state;
    s->table[fd].events = 0;
}

static int sigio_init(void *state)
{
    struct sigio_state *s = state;
    s->head = s->tail = -1;
    sigset_t none; /* until it is known which */
    sigemptyset(&none);
    s->queue = plx__sys_signalfd(-1, &none, SFD_CLOEXEC | SFD_NONBLOCK);
    return 0;
}

static void sigio_fini(void *state)
{
    struct sigio_state *s = state;
    for (size_t fd = 0; fd < s->room; fd++) {
        if (s->table[fd].events)
            disarm(s, (int)fd);
    }
    /* What is queued counts against the user's RLIMIT_SIGPENDING as long as the thread lives. */
    if (s->sig && --users[s->sig] == 0 && s->thread == this_thread())
        drain(s);
    if (s->queue >= 0)
        plx__sys_close(s->queue);
    free(s->table);
}

/* Sends a byte through a pipe and expects the signal. */
static int try_signal(struct sigio_state *s, const int pipe_fds[2])
{
    struct plx_event ev;
    int rc = sigio_ctl(s, pipe_fds[0], 0, 0, PLX_READ);
    if (rc == 0)
        rc = sigio_wait(s, &ev, 1, 0);
    if (rc == 0 && plx__sys_write(pipe_fds[1], "", 1) < 0)
        rc = -errno;
    if (rc == 0)
        rc = sigio_wait(s, &ev, 1, 0);
    if (rc == 0) /* accepted, and then nothing: as under some emulations of Linux */
        rc = -ENOSYS;
    return rc > 0 ? 0 : rc;
}

static int sigio_probe(struct plx_why *why)
{
    int fds[2];
    sigset_t mask;
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    int rc = plx__sys_pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0 ? -errno : 0;
    if (rc == 0) {
        struct sigio_state s = {0};
        sigio_init(&s);
        rc = try_signal(&s, fds);
        plx__sys_close(fds[0]);
        plx__sys_close(fds[1]);
        drain(&s);
        sigio_fini(&s);
    }
    /* Here they can be unblocked again: the pipe had no duplicate, and the queue is empty. */
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    if (rc == -EAGAIN)
        plx__why(why, "free one of SIGRTMIN to SIGRTMAX - 1", "every real-time signal is in use");
    else if (rc < 0)
        plx__why(why, "", "F_SETSIG, sigtimedwait on a pipe: %s", strerror(-rc));
    return rc;
}

#define STATE_SIZE sizeof(struct sigio_state)
#else
#include "selector/absent.h"
#define sigio_init    plx__absent_init
#define sigio_ctl     plx__absent_ctl
#define sigio_closing NULL
#define sigio_wait    plx__absent_wait
#define sigio_fini    plx__absent_fini
#define STATE_SIZE    sizeof(struct plx_selector_calls)

static int sigio_probe(struct plx_why *why)
{
    return plx__absent_probe(why, "F_SETSIG is a facility of Linux");
}
#endif

const struct plx_selector_ops plx__sigio_ops = {
    .name = "sigio",
    .caps = PLX_SEL_EDGE | PLX_SEL_HINTS,
    .state_size = STATE_SIZE,
    .probe = sigio_probe,
    .init = sigio_init,
    .ctl = sigio_ctl,
    .closing = sigio_closing,
    .wait = sigio_wait,
    .fini = sigio_fini,
};
