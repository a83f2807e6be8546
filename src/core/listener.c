/* SPDX-License-Identifier: MIT */
/*
 * Accepting: what every engine does with what accept4(2) gave it, or refused to give.
 *
 * Out of descriptors (EMFILE, ENFILE) the queue of the kernel stays readable, and a loop that
 * merely tries again spins at full speed. So, first, a spare descriptor is given up to accept and
 * close what waits, which tells those peers at once instead of leaving them hanging (the trick of
 * libev and libuv); second, the listener is left alone for 100 ms, doubling to 500 ms, so that half
 * a second after there is room again newcomers are served. Out of memory only the second helps.
 * Each change of state is one line in the log, however hard the storm.
 */
#include "core/core.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define PAUSE_FIRST (100 * PLX_MSEC)
#define PAUSE_LAST  (500 * PLX_MSEC)
#define SHED_MOST   256 /* connections closed per pause: bounded work, whatever the backlog */

static void open_spare(struct plx__listener *ls)
{
    if (ls->spare < 0)
        ls->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

int plx__listener_add(struct plx_loop *l, struct plx__listen_socket *socket,
                      const struct plx_handler *handler, bool exclusive)
{
    struct plx__listener *ls = plx__sys_calloc(1, sizeof(*ls));
    if (!ls)
        return -ENOMEM;
    *ls = (struct plx__listener){.source.kind = PLX__LISTENER,
                                 .exclusive = exclusive,
                                 .loop = l,
                                 .socket = socket,
                                 .handler = handler,
                                 .spare = -1,
                                 .pause_ns = PAUSE_FIRST};
    if (!l->group->own_descriptors)
        open_spare(ls);
    int rc = l->engine->listen(l, ls);
    if (rc < 0) {
        if (ls->spare >= 0)
            plx__sys_close(ls->spare);
        free(ls);
        return rc;
    }
    atomic_fetch_add(&socket->refs, 1);
    ls->active = true;
    ls->next = l->listeners;
    l->listeners = ls;
    return 0;
}

static void deactivate(struct plx__listener *ls)
{
    if (ls->active)
        ls->loop->engine->unlisten(ls->loop, ls);
    ls->active = false;
}

void plx__listeners_prepare(struct plx_loop *l)
{
    for (struct plx__listener *ls = l->listeners; ls; ls = ls->next) {
        if (ls->spare < 0)
            open_spare(ls);
    }
}

/* The last loop that accepts from a socket ends it. Where every worker has a table of descriptors,
 * each has a copy of it, and closing one's own would end nothing; the server closes its own last.
 */
static void end_socket(struct plx_loop *l, struct plx__listen_socket *socket)
{
    pthread_mutex_lock(&l->group->lock);
    if (l->group->own_descriptors) {
        (void)plx__sys_shutdown(socket->fd, SHUT_RDWR);
    } else {
        plx__sys_close(socket->fd);
        socket->fd = -1;
    }
    pthread_mutex_unlock(&l->group->lock);
}

void plx__listeners_close(struct plx_loop *l)
{
    while (l->listeners) {
        struct plx__listener *ls = l->listeners;
        l->listeners = ls->next;
        deactivate(ls);
        plx_timer_stop(ls->backoff);
        if (ls->spare >= 0)
            plx__sys_close(ls->spare);
        if (atomic_fetch_sub(&ls->socket->refs, 1) == 1)
            end_socket(l, ls->socket);
        free(ls);
    }
}

static void resume(void *arg)
{
    struct plx__listener *ls = arg;
    open_spare(ls);
    ls->active = ls->loop->engine->listen(ls->loop, ls) >= 0;
    if (!ls->active)
        return;
    plx_timer_stop(ls->backoff);
    ls->backoff = NULL;
}

/* Not watched for a while. Repeated until it has succeeded: when it is to begin again there may be
 * no memory for a timer. Without memory for this one: stay readable rather than deaf. */
static void leave_alone(struct plx__listener *ls)
{
    if (!ls->backoff &&
        plx_timer_start(ls->loop, ls->pause_ns, ls->pause_ns, resume, ls, &ls->backoff) >= 0)
        deactivate(ls);
}

static void pause_listener(struct plx__listener *ls, int err)
{
    struct plx_loop *l = ls->loop;
    if (ls->backoff) /* already; the ring had accepted more by then */
        return;
    PLX__COUNT(l, accept_pauses, 1);
    if (!ls->over)
        plx__log(l, PLX_LOG_WARN, "accept: %s; pausing, trying again every %d to %d ms%s",
                 plx_error_text(err), (int)(PAUSE_FIRST / PLX_MSEC), (int)(PAUSE_LAST / PLX_MSEC),
                 err == EMFILE ? " (raise the limit on open files: ulimit -n)" : "");
    ls->over = true;
    leave_alone(ls);
    ls->pause_ns = ls->pause_ns * 2 < PAUSE_LAST ? ls->pause_ns * 2 : PAUSE_LAST;
}

/* Tells those who wait in the kernel's queue that there is no room, with the spare descriptor. */
static void shed(struct plx__listener *ls)
{
    if (ls->spare < 0)
        return;
    plx__sys_close(ls->spare);
    ls->spare = -1;
    bool blocking = ls->loop->engine->blocking_listener;
    /* The flag is the socket's, which other workers may share; so only one of them at a time. */
    pthread_mutex_lock(&ls->loop->group->lock);
    if (blocking)
        (void)plx__socket_blocking(ls->socket->fd, false);
    for (int i = 0; i < SHED_MOST; i++) {
        int fd = plx__sys_accept4(ls->socket->fd, NULL, NULL, SOCK_CLOEXEC);
        PLX__COUNT(ls->loop, calls_accept, 1);
        if (fd < 0)
            break; /* also EMFILE: another thread took the place; it says so even when the queue
                    * is empty, so never loop on it */
        PLX__COUNT(ls->loop, refused, 1);
        plx__sys_close(fd);
    }
    if (blocking && !ls->socket->drained)
        (void)plx__socket_blocking(ls->socket->fd, true);
    pthread_mutex_unlock(&ls->loop->group->lock);
    open_spare(ls);
}

enum plx__accept_verdict plx__accept_failed(struct plx__listener *ls, int err)
{
    struct plx_loop *l = ls->loop;
    switch (err) {
    case EAGAIN: PLX__COUNT(l, eagain, 1); return PLX__ACCEPT_WAIT;
    case EINTR:
    case ECONNABORTED: return PLX__ACCEPT_AGAIN;
    case EMFILE:
    case ENFILE: shed(ls); break;
    case ENOBUFS:
    case ENOMEM: break;
    case EINVAL: /* shut down: a drain begins, of which this loop has not heard yet */
        leave_alone(ls);
        return PLX__ACCEPT_PAUSED;
    default:
        /* An error of the network that was pending on the new socket, or a firewall's EPERM:
         * "treat like EAGAIN by retrying" (accept(2)). The caller's budget bounds it. */
        PLX__COUNT(l, accept_errors, 1);
        return PLX__ACCEPT_AGAIN;
    }
    PLX__COUNT(l, accept_errors, 1);
    pause_listener(ls, err);
    return PLX__ACCEPT_PAUSED;
}

void plx__socket_drop(struct plx_loop *l, const struct plx__socket *s)
{
    plx__socket_close(s->fd, false);
    free(s->made);
    if (s->gated)
        plx__group_leave(l->group, &s->peer);
}

static void refuse(struct plx__listener *ls, int fd, const struct plx__peer *peer)
{
    struct plx_loop *l = ls->loop;
    PLX__COUNT(l, refused, 1);
    if (!ls->over && plx__logs(l, PLX_LOG_WARN)) {
        char text[PLX_ADDR_TEXT];
        plx__log(l, PLX_LOG_WARN, "limit on connections reached: refusing, first %s",
                 plx__peer_text(peer, text, sizeof(text)));
    }
    ls->over = true;
    plx__socket_close(fd, false);
}

/* What a connection needs beside its own descriptor (a thread, a process, a second descriptor) is
 * not to be had. The next one could not be made either, and a listener that went on would accept
 * and close as fast as peers come. */
static bool is_shortage(int err)
{
    return err == EMFILE || err == ENFILE || err == ENOBUFS || err == ENOMEM || err == EAGAIN;
}

static void not_adopted(struct plx__listener *ls, int err)
{
    struct plx_loop *l = ls->loop;
    if (is_shortage(err)) {
        if (err == EMFILE || err == ENFILE)
            shed(ls);
        PLX__COUNT(l, accept_errors, 1);
        pause_listener(ls, err);
        return;
    }
    if (!ls->over)
        plx__log(l, PLX_LOG_WARN, "connection refused: %s", plx_error_text(err));
    ls->over = true;
}

void plx__accepted(struct plx__listener *ls, int fd, const struct sockaddr *sa, socklen_t len)
{
    struct plx_loop *l = ls->loop;
    struct plx__socket s = {.fd = fd, .handler = ls->handler, .gated = true};
    if (sa)
        plx__peer_set(&s.peer, sa, len);
    else if (l->group->max_per_ip != PLX_OFF || plx__logs(l, PLX_LOG_INFO))
        plx__socket_peer(fd, &s.peer);
    if (plx__group_enter(l->group, &s.peer) < 0) {
        refuse(ls, fd, &s.peer);
        return;
    }
    s.number = atomic_fetch_add(&l->group->numbers, 1) + 1;
    int rc = l->engine->adopt(l, &s, NULL);
    if (rc < 0) {
        PLX__COUNT(l, refused, 1); /* before the peer can see it */
        plx__socket_drop(l, &s);
        not_adopted(ls, -rc);
        return;
    }
    if (ls->over)
        plx__log(l, PLX_LOG_WARN, "accepting again");
    ls->over = false;
    ls->pause_ns = PAUSE_FIRST;
}

int plx__accept_batch(struct plx__listener *ls, int budget)
{
    struct plx_loop *l = ls->loop;
    int flags = SOCK_CLOEXEC | (l->engine->blocking_fds ? 0 : SOCK_NONBLOCK);
    int accepted = 0;
    ls->more = false;
    for (;;) {
        if (budget-- == 0) { /* what failed has used it up as well as what was accepted */
            ls->more = true;
            break;
        }
        struct plx_addr a = {.len = sizeof(a) - offsetof(struct plx_addr, sa)};
        int fd = plx__sys_accept4(ls->socket->fd, &a.sa, &a.len, flags);
        PLX__COUNT(l, calls_accept, 1);
        if (fd >= 0) {
            accepted++;
            plx__accepted(ls, fd, &a.sa, a.len);
            if (!ls->active) /* paused for want of something that a connection needs */
                break;
            continue;
        }
        if (plx__accept_failed(ls, errno) != PLX__ACCEPT_AGAIN)
            break;
    }
    return accepted;
}
