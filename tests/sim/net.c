/* SPDX-License-Identifier: MIT */
/*
 * Sockets and what happens between them.
 *
 * Each direction of a connection is two queues: `tx`, what send took, and the peer's `rx`, what has
 * arrived. A piece moves from one to the other after a delay, if there is room, and asks for the
 * next. So order is kept, SIOCOUTQ is the length of `tx`, and a peer that does not read fills first
 * its own queue and then ours. FIN goes behind the bytes; a reset overtakes them, since the sender
 * forgets what it had queued.
 */
#include "sim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct sim_net sim;

/* ---- bytes ---- */

void bytes_add(struct bytes *b, const void *p, size_t n)
{
    if (n == 0)
        return;
    if (b->from + b->n + n > b->room) {
        if (b->n)
            memmove(b->p, b->p + b->from, b->n);
        b->from = 0;
        while (b->n + n > b->room)
            b->room = b->room ? b->room * 2 : 256;
        unsigned char *grown = realloc(b->p, b->room);
        if (!grown)
            abort();
        b->p = grown;
    }
    memcpy(b->p + b->from + b->n, p, n);
    b->n += n;
}

void bytes_take(struct bytes *b, void *to, size_t n)
{
    if (to && n)
        memcpy(to, b->p + b->from, n);
    b->from += n;
    b->n -= n;
    if (b->n == 0)
        b->from = 0;
}

void bytes_free(struct bytes *b)
{
    free(b->p);
    *b = (struct bytes){0};
}

/* ---- ends ---- */

void net_begin(void)
{
    sim.next_port = PORT_FIRST;
}

struct sim_end *net_new(enum end_kind kind)
{
    struct sim_end *e = calloc(1, sizeof(*e));
    if (sim.nall == sim.all_room) {
        sim.all_room = sim.all_room ? sim.all_room * 2 : 64;
        sim.all = realloc(sim.all, sim.all_room * sizeof(struct sim_end *));
    }
    if (!e || !sim.all)
        abort();
    sim.all[sim.nall] = e;
    e->serial = (unsigned)++sim.nall;
    e->kind = kind;
    e->fd = -1;
    e->moved = e->sent = sim_now();
    return e;
}

/* The lowest free number, as POSIX has it: a number comes back soon, which is how late events find
 * a new owner. */
int net_descriptor(struct sim_end *e)
{
    int most = sim.weather.descriptors ? sim.weather.descriptors : SIM_MOST;
    for (int i = 0; i < most; i++) {
        if (!sim.table[i]) {
            sim.table[i] = e;
            sim.open++;
            e->fd = SIM_FIRST + i;
            e->held = true;
            return e->fd;
        }
    }
    return -EMFILE;
}

struct sim_end *net_find(int fd)
{
    return fd >= SIM_FIRST && fd < SIM_FIRST + SIM_MOST ? sim.table[fd - SIM_FIRST] : NULL;
}

void net_end(void)
{
    for (size_t i = 0; i < sim.nall; i++) {
        struct sim_end *e = sim.all[i];
        bytes_free(&e->tx);
        bytes_free(&e->rx);
        free(e->queue);
        free(e->set);
        free(e);
    }
    free(sim.all);
}

/* ---- time and edges ---- */

static int64_t delay(void)
{
    return between(&sim.dice, sim.weather.delay_from, sim.weather.delay_to);
}

void net_wake(struct sim_end *e)
{
    e->wakes++;
}

/* sk_stream_write_space() of Linux: room is told of when a third is free, and only to those who
 * were found without. */
static bool has_room(const struct sim_end *e)
{
    size_t free_room = e->tx.n < sim.weather.sndbuf ? sim.weather.sndbuf - e->tx.n : 0;
    return !e->squeezed && free_room > 0 && free_room >= e->tx.n / 2;
}

static void room_made(struct sim_end *e)
{
    if (e->no_room && has_room(e)) {
        e->no_room = false;
        net_wake(e);
    }
}

size_t net_room(const struct sim_end *e)
{
    if (e->squeezed || e->tx.n >= sim.weather.sndbuf)
        return 0;
    return sim.weather.sndbuf - e->tx.n;
}

short net_ready(const struct sim_end *e)
{
    short r = 0;
    switch (e->kind) {
    case END_NEW: return POLLOUT | POLLHUP;
    case END_LISTENER: return e->queued ? POLLIN : 0;
    case END_PIPE: return (short)((e->rx.n ? POLLIN : 0) | (e->peer ? POLLOUT : 0));
    case END_EPOLL: return 0;
    case END_STREAM: break;
    }
    if (e->state == END_CONNECTING)
        return 0;
    bool dead = e->state == END_DEAD;
    if (e->rx.n || e->got_fin || dead)
        r |= POLLIN;
    if (e->got_fin || dead)
        r |= POLLRDHUP;
    if (dead || e->fin || has_room(e))
        r |= POLLOUT;
    if (dead || (e->fin && e->got_fin))
        r |= POLLHUP;
    if (e->err)
        r |= POLLERR;
    return r;
}

/* ---- moving ---- */

void net_pump(struct sim_end *e)
{
    struct sim_end *to = e->peer;
    if (e->moving || !to || e->state != END_OPEN)
        return;
    bool piece = e->tx.n && (to->rx.n < sim.weather.rcvbuf || !to->held);
    bool end = !e->tx.n && e->fin && !e->fin_done;
    if (!piece && !end)
        return;
    int64_t wait = delay();
    if (e->stuck_until > sim_now())
        wait += e->stuck_until - sim_now();
    e->moving = true;
    sim_later(wait, EV_ARRIVE, e);
}

static void die(struct sim_end *e, int err)
{
    if (e->state == END_DEAD)
        return;
    if (e->held)
        e->err = err;
    e->state = END_DEAD;
    bytes_take(&e->tx, NULL, e->tx.n);
    net_wake(e);
}

static void send_reset(struct sim_end *to)
{
    if (!to || to->state == END_DEAD)
        return;
    int64_t cut = to->stuck_until > sim_now() ? to->stuck_until - sim_now() : 0;
    sim_later(cut + delay(), EV_RESET, to);
}

/* The weather's own: true if this piece does not arrive. */
static bool misfortune(struct sim_end *e)
{
    if (once_in(&sim.dice, sim.weather.reset_in)) {
        sim_note("event reset-by-network %u", e->serial);
        send_reset(e);
        send_reset(e->peer);
        return true;
    }
    if (once_in(&sim.dice, sim.weather.stuck_in)) {
        int64_t until = sim_now() + between(&sim.dice, 0, sim.weather.stuck_ns);
        sim_note("event cut %u until %lld", e->serial, (long long)until);
        e->stuck_until = e->peer->stuck_until = until;
        if (below(&sim.dice, 2)) {
            sim_later(until - sim_now(), EV_TIMEOUT, e);
            sim_later(until - sim_now(), EV_TIMEOUT, e->peer);
        }
    }
    return false;
}

static void arrive(struct sim_end *e)
{
    struct sim_end *to = e->peer;
    e->moving = false;
    if (e->state != END_OPEN || e->stuck_until > sim_now()) {
        net_pump(e);
        return;
    }
    if (misfortune(e))
        return;
    if (to->state == END_CONNECTING) { /* bytes of one who has accepted say so, too */
        to->state = END_OPEN;
        net_wake(to);
    }
    if (to->state == END_DEAD || (!to->held && to->fin && e->tx.n)) {
        /* For one who has closed altogether: tcp_rcv_state_process(), TCP_ABORT_ON_DATA. */
        die(to, 0);
        send_reset(e);
        return;
    }
    size_t n = e->tx.n;
    size_t room = to->rx.n < sim.weather.rcvbuf ? sim.weather.rcvbuf - to->rx.n : 0;
    n = n < room ? n : room;
    n = n < sim.weather.segment ? n : sim.weather.segment;
    if (n) {
        n = (size_t)between(&sim.dice, 1, (int64_t)n);
        bytes_add(&to->rx, e->tx.p + e->tx.from, n);
        bytes_take(&e->tx, NULL, n);
        sim_note("event arrive %u %zu", to->serial, n);
        net_wake(to);
        room_made(e);
    } else if (e->tx.n == 0 && e->fin && !e->fin_done) {
        e->fin_done = to->got_fin = true;
        sim_note("event end %u", to->serial);
        net_wake(to);
    }
    net_pump(e);
}

static void reset_arrives(struct sim_end *e)
{
    /* tcp_reset() */
    int err = e->state == END_CONNECTING ? ECONNREFUSED : e->got_fin ? EPIPE : ECONNRESET;
    sim_note("event reset %u", e->serial);
    die(e, err);
}

static void drop_connecting(struct sim_end *e)
{
    /* Linux: six more, a second later, two, four ...; 127 s in all. */
    sim_later(SECONDS(1) << e->tries, e->tries < 6 ? EV_SYN : EV_UNANSWERED, e);
    e->tries++;
}

static void syn(struct sim_end *e)
{
    if (e->state != END_CONNECTING || e->peer)
        return;
    struct sim_end *l = net_listener(e->peer_port);
    if (!l || once_in(&sim.dice, sim.weather.refuse_in)) {
        reset_arrives(e);
        return;
    }
    if (l->queued >= l->backlog || once_in(&sim.dice, sim.weather.lost_in)) {
        drop_connecting(e);
        return;
    }
    struct sim_end *s = net_new(END_STREAM);
    s->state = END_OPEN;
    s->port = e->peer_port;
    s->peer_port = e->port;
    s->held = true;
    s->peer = e;
    e->peer = s;
    l->queue[l->queued++] = s;
    sim_note("event connect %u to %u", e->serial, s->serial);
    net_wake(l);
    sim_later(delay(), EV_SYNACK, e);
}

static void synack(struct sim_end *e)
{
    if (e->state == END_CONNECTING) {
        e->state = END_OPEN;
        sim_note("event connected %u", e->serial);
        net_wake(e);
        net_pump(e);
    }
}

void net_event(enum event_kind kind, struct sim_end *e)
{
    switch (kind) {
    case EV_ARRIVE: arrive(e); break;
    case EV_SYN: syn(e); break;
    case EV_SYNACK: synack(e); break;
    case EV_RESET: reset_arrives(e); break;
    case EV_UNANSWERED:
        if (e->state != END_CONNECTING || e->peer)
            break;
        sim_note("event no-answer %u", e->serial);
        /* fall through */
    case EV_TIMEOUT: die(e, ETIMEDOUT); break;
    case EV_ROOM:
        e->squeezed = false;
        room_made(e);
        break;
    }
}

/* ---- what a program asks ---- */

struct sim_end *net_listener(uint16_t port)
{
    for (int i = 0; i < SIM_MOST; i++) {
        struct sim_end *e = sim.table[i];
        if (e && e->kind == END_LISTENER && e->port == port && e->backlog)
            return e;
    }
    return NULL;
}

int net_bind(struct sim_end *e, uint16_t port)
{
    if (port && net_listener(port))
        return EADDRINUSE;
    e->port = port ? port : sim.next_port++;
    return 0;
}

int net_connect(struct sim_end *e, uint16_t port)
{
    if (e->kind == END_STREAM)
        return e->state == END_CONNECTING ? EALREADY : EISCONN;
    e->kind = END_STREAM;
    e->state = END_CONNECTING;
    e->peer_port = port;
    if (!e->port)
        e->port = sim.next_port++;
    if (once_in(&sim.dice, 4)) { /* as on the loopback interface: at once */
        syn(e);
        if (e->peer)
            synack(e);
        if (e->state == END_OPEN)
            return 0;
        if (e->state == END_DEAD) {
            int err = e->err;
            e->err = 0;
            return err;
        }
        return EINPROGRESS;
    }
    sim_later(delay(), EV_SYN, e);
    return EINPROGRESS;
}

void net_shut(struct sim_end *e)
{
    if (e->fin)
        return;
    e->fin = true;
    net_wake(e);
    net_pump(e);
}

void net_close(struct sim_end *e)
{
    sim.table[e->fd - SIM_FIRST] = NULL;
    sim.open--;
    e->fd = -1;
    e->held = false;
    if (e->kind == END_LISTENER) {
        for (int i = 0; i < e->queued; i++) {
            e->queue[i]->held = false;
            send_reset(e->queue[i]->peer);
            die(e->queue[i], 0);
        }
        e->queued = 0;
    } else if (e->kind == END_STREAM && e->state == END_CONNECTING) {
        send_reset(e->peer);
        die(e, 0);
    } else if (e->kind == END_STREAM && e->state == END_OPEN) {
        /* tcp_close(): unread bytes make it a reset, RFC 1122 4.2.2.13 and RFC 2525 2.17. */
        if (e->abort || e->rx.n) {
            send_reset(e->peer);
            die(e, 0);
        } else {
            net_shut(e);
        }
    } else if (e->kind == END_PIPE && e->peer) {
        e->peer->peer = NULL;
    }
    if (e->kind != END_STREAM || e->state == END_DEAD)
        bytes_free(&e->tx);
    bytes_free(&e->rx);
}
