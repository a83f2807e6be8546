/* SPDX-License-Identifier: MIT */
/*
 * The blocking engine's processes: fork(2) per connection.
 *
 * The parent learns of a child's end, crash or not, from a pipe whose write end only the child
 * holds: no SIGCHLD, which belongs to the program, and nobody else's children are waited for. The
 * child counts in a shared page, so nothing that it counted is lost even when it crashes.
 */
#include "engine/blocking.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* Processes at once per loop: the size of the table of what they share. */
#define PROCESSES_MOST 4096u
/* How long a child that is to end at once may still be in its handler. */
#define CHILD_GRACE PLX_SECOND

/* ---- process per connection ---- */

static struct plx__task *child_task;

static void on_end_signal(int signo)
{
    int saved = errno;
    plx__blocking_mark(child_task, signo == SIGTERM ? PLX__POLITELY : PLX__AT_ONCE);
    errno = saved;
}

static _Noreturn void child_main(struct plx__worker *w, struct plx_loop *l)
{
    struct plx_loop *parent = w->parent;
    plx__signals_forget();
    child_task = &w->task;
    struct sigaction sa = {.sa_handler = on_end_signal};
    sigaction(SIGTERM, &sa, NULL);
    sigaction(SIGQUIT, &sa, NULL);
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGQUIT);
    pthread_sigmask(SIG_UNBLOCK, &ends, NULL);
    /* Close what would keep the port in use and the siblings' pipes open. */
    for (size_t i = 0; i < parent->group->nsockets; i++) {
        if (parent->group->sockets[i].fd >= 0)
            plx__sys_close(parent->group->sockets[i].fd);
    }
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* the parent's may be held at the fork */
    w->task.lock = &lock;
    struct plx__group group;
    if (plx__group_init(&group) < 0)
        _exit(1);
    l->group = &group; /* likewise; the parent itself keeps the limits */
    l->counters = &w->share->counters;
    atomic_fetch_add(&group.open, 1);
    plx__blocking_serve(l, &w->task);
    _exit(0);
}

static int take_row(struct plx__spreader *sp, unsigned *row)
{
    for (unsigned i = 0; i < PROCESSES_MOST; i++) {
        if (!sp->row_used[i]) {
            sp->row_used[i] = 1;
            memset(&sp->shared[i], 0, sizeof(sp->shared[i]));
            *row = i;
            return 0;
        }
    }
    return -EUSERS;
}

/* Makes the pipe and the child. Only one thread of the process does so at a time: a child of
 * another worker that inherited the pipe's write end would hold it open beyond its owner's end. */
static int fork_worker(struct plx__worker *w)
{
    static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
    struct plx__spreader *sp = w->parent->state;
    int life[2], rc = 0;
    sigset_t all, old;
    sigfillset(&all);
    /* Each child gets its copy of one loop that is never used here: what a child does not allocate
     * costs no page of the allocator's in either process. */
    if (!sp->kept && plx__loop_open_child(w->parent, &w->share->counters, &sp->kept) < 0)
        return -ENOMEM;
    pthread_mutex_lock(&one_at_a_time);
    if (plx__sys_pipe2(life, O_CLOEXEC | O_NONBLOCK) < 0) {
        rc = -errno;
    } else {
        w->life = life[0];
        pthread_sigmask(SIG_SETMASK, &all, &old); /* no SIGTERM before the child can take it */
        w->pid = plx__sys_fork();
        if (w->pid == 0)
            child_main(w, sp->kept);
        if (w->pid < 0) {
            rc = -errno;
            plx__sys_close(life[0]);
        }
        pthread_sigmask(SIG_SETMASK, &old, NULL);
        plx__sys_close(life[1]);
    }
    pthread_mutex_unlock(&one_at_a_time);
    return rc;
}

int plx__spread_process(struct plx_loop *l, const struct plx__socket *s)
{
    struct plx__spreader *sp = l->state;
    struct plx__worker *w = plx__worker_new(l, s);
    if (!w)
        return -ENOMEM;
    int rc = take_row(sp, &w->row);
    if (rc == 0) {
        w->share = &sp->shared[w->row];
        w->task.due = &w->share->due;
        rc = fork_worker(w);
        if (rc < 0)
            sp->row_used[w->row] = 0;
    }
    if (rc < 0) {
        plx__worker_free(w);
        return rc;
    }
    plx__sys_close(s->fd); /* the child's now */
    w->task.fd = -1;
    pthread_mutex_lock(&sp->lock);
    plx__worker_link(sp, w);
    if (sp->draining)
        plx__end_process(w, PLX__POLITELY);
    pthread_mutex_unlock(&sp->lock);
    l->nconn++;
    return 0;
}

void plx__reap_process(struct plx_loop *l, struct plx__worker *w)
{
    struct plx__spreader *sp = l->state;
    int status = 0;
    while (plx__sys_waitpid(w->pid, &status, 0) < 0 && errno == EINTR) {
    }
    PLX__COUNT(l, calls_other, 2);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        PLX__COUNT(l, errors, 1);
        struct plx_stats child = {0};
        plx__stats_add(&child, &w->share->counters);
        if (child.accepted > child.closed)
            PLX__COUNT(l, closed, 1); /* which the child no longer could */
        plx__log(l, PLX_LOG_WARN, "the process of connection %llu (pid %d) ended by %s %d",
                 (unsigned long long)w->task.socket.number, (int)w->pid,
                 WIFSIGNALED(status) ? "signal" : "status",
                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    }
    if (w->task.socket.gated)
        plx__group_leave(l->group, &w->task.socket.peer);
    pthread_mutex_lock(&sp->lock);
    plx__worker_bury(sp, w);
    pthread_mutex_unlock(&sp->lock);
    sp->row_used[w->row] = 0;
    plx__sys_close(w->life);
    plx__worker_free(w);
    l->nconn--;
}

int plx__open_processes(struct plx_loop *l, struct plx_why *why)
{
    struct plx__spreader *sp = l->state;
    sp->row_used = plx__sys_calloc(PROCESSES_MOST, 1);
    void *p = mmap(NULL, PROCESSES_MOST * sizeof(*sp->shared), PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED || !sp->row_used) {
        plx__why(why, "", "no memory for what processes share");
        if (p != MAP_FAILED)
            munmap(p, PROCESSES_MOST * sizeof(*sp->shared));
        return -ENOMEM;
    }
    sp->shared = p;
    return 0;
}

void plx__end_process(const struct plx__worker *w, enum plx__end how)
{
    kill(w->pid, how == PLX__POLITELY ? SIGTERM : SIGQUIT);
}

/* The children have been told to end at once; one whose handler does not return is killed. */
void plx__end_processes(struct plx_loop *l)
{
    struct plx__spreader *sp = l->state;
    int64_t until = plx__clock() + CHILD_GRACE;
    while (sp->live) {
        struct pollfd p = {.fd = sp->live->life, .events = POLLIN};
        int64_t left = until - plx__clock();
        if (plx__sys_poll(&p, 1, left > 0 ? (int)(left / PLX_MSEC) + 1 : 0) == 0)
            kill(sp->live->pid, SIGKILL);
        else if (p.revents)
            plx__reap_process(l, sp->live);
    }
}

void plx__close_processes(struct plx__spreader *sp)
{
    if (sp->shared)
        munmap(sp->shared, PROCESSES_MOST * sizeof(*sp->shared));
    free(sp->row_used);
}
