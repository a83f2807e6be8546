/* SPDX-License-Identifier: MIT */
/*
 * A connection: what it wants, and what happens to it. No I/O here.
 *
 *               connected            plx_finish()           FIN sent
 *   CONNECTING ----------> OPEN ------------------> FINISHING ------> LINGERING
 *        |                   |                          |                 |
 *        | refused,          | plx_abort(), an error,   | likewise        | the peer's end,
 *        v timed out         v a limit                  v                 v or linger time over
 *      ENDED <---------------+--------------------------+-----------------+
 *        |
 *        v  the engine has nothing in flight: plx__conn_retire() calls on_close, frees
 *
 * One function, set_phase(), changes the state.
 *
 * Wants:  CONNECTING  CONNECT
 *         OPEN        READ unless paused, throttled or at the peer's end; WRITE while queued;
 *                     FIN after plx_half_close()
 *         FINISHING   READ until the peer's end (discarded, lest the peer block and never read our
 *                     answer); WRITE while queued, then FIN, which to close it sends where the peer
 *                     has ended
 *         LINGERING   READ until the peer's end, then nothing
 *         ENDED       nothing: retire me
 */
#include "core/core.h"
#include "core/trace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void set_phase(struct plx_conn *c, enum plx__phase phase)
{
    c->phase = (uint8_t)phase;
    c->moved_ms = c->loop->now_ms;
}

/* ---- making ---- */

static bool grow_slots(struct plx_loop *l)
{
    uint32_t cap = l->slots_cap ? l->slots_cap * 2 : 16;
    if (l->parent)
        cap = 1; /* the loop of one connection */
    struct plx__slot *slots = plx__sys_realloc(l->slots, cap * sizeof(*slots));
    if (!slots)
        return false;
    l->slots = slots;
    l->slots_cap = cap;
    return true;
}

static bool take_slot(struct plx_loop *l, struct plx_conn *c)
{
    uint32_t i = l->free_slot;
    if (i != UINT32_MAX) {
        l->free_slot = l->slots[i].next_free;
    } else {
        if (l->nslots == l->slots_cap && !grow_slots(l))
            return false;
        i = l->nslots++;
        l->slots[i].generation = 1;
    }
    l->slots[i].conn = c;
    c->slot = i;
    c->generation = l->slots[i].generation;
    return true;
}

static void free_slot(struct plx_loop *l, uint32_t i)
{
    l->slots[i].conn = NULL;
    l->slots[i].generation++;
    l->slots[i].next_free = l->free_slot;
    l->free_slot = i;
}

/* How many ended connections a loop keeps: enough for what comes and goes between two turns, too
 * few to matter (some 200 KiB). */
#define SPARE_MOST 1024u

/* AddressSanitizer finds who uses one that has ended only if it is really freed. */
#if defined(__SANITIZE_ADDRESS__)
#define KEEPS_SPARE false
#elif defined(__has_feature) /* clang */
#define KEEPS_SPARE (!__has_feature(address_sanitizer))
#else
#define KEEPS_SPARE true
#endif

static struct plx_conn *take_memory(struct plx_loop *l, size_t size)
{
    struct plx_conn *c = l->spare;
    size_t units = (size + 15) / 16;
    if (!c || c->size16 != units) {
        c = plx__sys_calloc(units, 16); /* all of one count of units are as large */
    } else {
        l->spare = c->next;
        l->nspare--;
        memset(c, 0, units * 16);
    }
    if (c)
        c->size16 = units > UINT16_MAX ? 0 : (uint16_t)units;
    return c;
}

void plx__conn_free(struct plx_loop *l, struct plx_conn *c)
{
    if (!KEEPS_SPARE || !c->size16 || l->nspare >= SPARE_MOST ||
        (l->spare && l->spare->size16 != c->size16)) {
        free(c);
        return;
    }
    c->next = l->spare;
    l->spare = c;
    l->nspare++;
}

void plx__conns_free(struct plx_loop *l)
{
    while (l->spare) {
        struct plx_conn *c = l->spare;
        l->spare = c->next;
        free(c);
    }
    l->nspare = 0;
}

struct plx_conn *plx__conn_new(struct plx_loop *l, const struct plx__socket *s)
{
    struct plx_conn *c = take_memory(l, sizeof(*c) + s->handler->state_size);
    if (c && !take_slot(l, c)) {
        free(c);
        c = NULL;
    }
    if (!c)
        return NULL;
    c->source.kind = PLX__CONN;
    c->fd = s->fd;
    c->loop = l;
    c->handler = s->handler;
    c->peer = s->peer;
    c->number = s->number;
    c->flags = s->gated ? PLX__F_GATED : 0;
    c->sent_ms = l->now_ms;
    if (s->made)
        memcpy(c->state, s->made->state, s->handler->state_size);
    free(s->made);
    set_phase(c, s->connecting ? PLX__CONNECTING : PLX__OPEN);
    l->nconn++;
    int64_t limit = s->connecting ? l->limits.connect_ns : l->limits.idle_ns;
    if (limit > 0)
        plx__loop_deadline(l, l->now + limit);
    return c;
}

void plx__socket_lost(struct plx_loop *l, struct plx__counters *counters,
                      const struct plx__socket *s, int err)
{
    struct plx_conn *c = s->made;
    plx__counter_add(counters, s->gated ? PLX__STAT(refused) : PLX__STAT(errors), 1);
    if (c && s->handler->on_close) {
        c->fd = s->fd;
        c->loop = l;
        c->handler = s->handler;
        c->peer = s->peer;
        c->number = s->number;
        c->err = err;
        c->phase = PLX__ENDED;
        c->flags = PLX__F_DEAD | PLX__F_BUSY; /* nothing that on_close does leads anywhere */
        s->handler->on_close(c, err);
    }
    plx__socket_drop(l, s);
}

/* ---- ending ---- */

static void count_end(struct plx_conn *c, int err)
{
    struct plx_loop *l = c->loop;
    switch (-err) {
    case 0:
    case ECANCELED: break;
    case ECONNRESET:
    case EPIPE: PLX__COUNT(l, resets, 1); break;
    case ENOBUFS:
    case EMSGSIZE: PLX__COUNT(l, overflows, 1); break;
    case ETIMEDOUT: break; /* counted by plx__conn_judge(), by kind */
    default: PLX__COUNT(l, errors, 1);
    }
}

void plx__conn_fail(struct plx_conn *c, int err)
{
    if (c->phase == PLX__ENDED)
        return;
    c->err = err; /* the first error is the cause; what follows are its effects */
    count_end(c, err);
    if (c->out_bytes > 0)
        c->flags |= PLX__F_RESET;
    set_phase(c, PLX__ENDED);
    if (!(c->flags & PLX__F_BUSY))
        plx__conn_dirty(c);
}

void plx_abort(struct plx_conn *c, int err)
{
    plx__conn_fail(c, err > 0 ? -err : err);
}

/* Our side's end is sent: what is left is the peer's. */
static void await_peer(struct plx_conn *c)
{
    set_phase(c, c->flags & PLX__F_EOF ? PLX__ENDED : PLX__LINGERING);
    if (c->phase == PLX__LINGERING && c->loop->limits.linger_ns > 0)
        plx__loop_deadline(c->loop, c->loop->now + c->loop->limits.linger_ns);
}

void plx_finish(struct plx_conn *c)
{
    if (c->phase == PLX__CONNECTING)
        c->flags |= PLX__F_FINISH; /* what was sent is sent yet: done when it is established */
    if (c->phase != PLX__OPEN)
        return;
    if (c->flags & PLX__F_FIN_SENT)
        await_peer(c);
    else
        set_phase(c, PLX__FINISHING);
    if (!(c->flags & PLX__F_BUSY))
        plx__conn_dirty(c);
}

void plx_half_close(struct plx_conn *c)
{
    c->flags |= PLX__F_HALF;
    if (!(c->flags & PLX__F_BUSY))
        plx__conn_dirty(c);
}

/* Both sides have ended: nothing can come of it any more, whatever the handler waits for. */
void plx__conn_end_if_both(struct plx_conn *c)
{
    const unsigned both = PLX__F_EOF_TOLD | PLX__F_FIN_SENT;
    if (c->phase == PLX__OPEN && (c->flags & PLX__F_EOF) && (c->flags & both) == both)
        set_phase(c, PLX__ENDED);
}

void plx__conn_fin_sent(struct plx_conn *c)
{
    c->flags |= PLX__F_FIN_SENT;
    if (c->phase == PLX__FINISHING)
        await_peer(c);
    plx__conn_end_if_both(c);
}

void plx__conn_retire(struct plx_conn *c)
{
    struct plx_loop *l = c->loop;
    if (c->flags & PLX__F_DEAD)
        return;
    set_phase(c, PLX__ENDED);
    c->flags |= PLX__F_DEAD | PLX__F_BUSY; /* nothing that on_close does leads anywhere */
    plx__offload_forget(c);
    if (c->flags & PLX__F_OPENED)
        PLX__COUNT(l, closed, 1);
    if (plx__logs(l, PLX_LOG_INFO)) {
        char text[PLX_ADDR_TEXT];
        plx__log(l, PLX_LOG_INFO, "%s closed: %s", plx__peer_text(&c->peer, text, sizeof(text)),
                 c->err ? plx_error_text(c->err) : "by the peer");
    }
    if (c->handler->on_close) {
        int64_t begin = plx__callback_begins(c);
        c->handler->on_close(c, c->err);
        plx__callback_ends(c, "on_close", begin, 0, 0);
    }
    plx__trace(l, c, PLX_TRACE_STATE, "closed", 0, c->err);
    plx__socket_close(c->fd,
                      c->flags & PLX__F_RESET); /* after on_close, which may ask for the peer */
    c->fd = -1;
    PLX__COUNT(l, calls_other, 1);
    if (c->flags & PLX__F_GATED)
        plx__group_leave(l->group, &c->peer);
    if (l->lent.conn == c)
        l->lent.conn = NULL;
    plx__outq_free(&c->out, &l->chunks);
    free(c->in);
    c->in = NULL;
    free_slot(l, c->slot);
    l->nconn--;
    if (!(c->flags & PLX__F_DIRTY)) { /* else the dirty list still names it; the loop moves it */
        c->next = l->dead;
        l->dead = c;
    }
}

void plx__conn_dirty(struct plx_conn *c)
{
    if (c->flags & (PLX__F_DIRTY | PLX__F_DEAD))
        return;
    c->flags |= PLX__F_DIRTY;
    c->next = NULL;
    *c->loop->dirty_end = c;
    c->loop->dirty_end = &c->next;
}

/* ---- wants ---- */

unsigned plx__conn_want_rarely(const struct plx_conn *c)
{
    unsigned read = c->flags & PLX__F_EOF ? 0 : PLX__WANT_READ;
    unsigned write = c->out_bytes ? PLX__WANT_WRITE : 0;
    switch ((enum plx__phase)c->phase) {
    case PLX__CONNECTING: return PLX__WANT_CONNECT;
    case PLX__OPEN:
        if (plx__conn_holds_input(c))
            read = 0;
        if (!write && (c->flags & (PLX__F_HALF | PLX__F_FIN_SENT)) == PLX__F_HALF)
            write = PLX__WANT_FIN;
        return read | write;
    case PLX__FINISHING:
        if (!read && !write)
            return PLX__WANT_RETIRE;
        return read | (write ? write : PLX__WANT_FIN);
    case PLX__LINGERING: return read ? read : PLX__WANT_RETIRE;
    case PLX__ENDED: break;
    }
    return PLX__WANT_RETIRE;
}

void plx__conn_opened(struct plx_conn *c)
{
    struct plx_loop *l = c->loop;
    if (c->phase != PLX__OPEN || (c->flags & PLX__F_OPENED))
        return;
    c->flags |= PLX__F_OPENED;
    if (c->flags & PLX__F_GATED)
        PLX__COUNT(l, accepted, 1);
    else
        PLX__COUNT(l, connected, 1);
    if (plx__logs(l, PLX_LOG_INFO)) {
        char text[PLX_ADDR_TEXT];
        plx__log(l, PLX_LOG_INFO, "%s connection %s %s, fd = %d",
                 c->flags & PLX__F_GATED ? "accept" : "open",
                 c->flags & PLX__F_GATED ? "from" : "to",
                 plx__peer_text(&c->peer, text, sizeof(text)), c->fd);
    }
    plx__trace(l, c, PLX_TRACE_STATE, c->flags & PLX__F_GATED ? "accepted" : "connected", 0, 0);
    if (!c->handler->on_open)
        return;
    unsigned was = plx__conn_enter(c);
    int64_t begin = plx__callback_begins(c);
    int rc = c->handler->on_open(c);
    plx__callback_ends(c, "on_open", begin, 0, rc);
    if (rc < 0)
        plx__conn_fail(c, rc);
    plx__conn_leave(c, was);
}

void plx__conn_connected(struct plx_conn *c, int so_error)
{
    if (c->phase != PLX__CONNECTING)
        return;
    if (so_error) {
        plx__conn_fail(c, -so_error);
        return;
    }
    set_phase(c, PLX__OPEN);
    if (c->loop->limits.idle_ns > 0)
        plx__loop_deadline(c->loop, c->loop->now + c->loop->limits.idle_ns);
    plx__conn_opened(c);
    if (c->flags & PLX__F_FINISH)
        plx_finish(c);
}

/* ---- time limits ---- */

/* Nanoseconds left of `limit` since `then`; a limit that is off never ends. */
static int64_t left(const struct plx_conn *c, uint32_t then, int64_t limit)
{
    if (limit <= 0)
        return INT64_MAX;
    int32_t since =
        (int32_t)(c->loop->now_ms - then); /* negative: moved after the time judged by */
    return limit + PLX__LIMIT_MARGIN - (since > 0 ? since : 0) * PLX_MSEC;
}

/*
 * What is left of the write limit. That the socket takes no more does not mean that the peer does
 * not read, so four times per limit the kernel is asked what it still holds: less than before is
 * progress. The first look only notes; so the limit is exceeded by a quarter at most, never early.
 */
static int64_t write_left(struct plx_conn *c)
{
    int64_t limit = c->loop->limits.write_ns;
    if (!c->out_bytes || limit <= 0)
        return INT64_MAX;
    int64_t rest = left(c, c->sent_ms, limit);
    if (rest > limit - limit / 4)
        return rest - (limit - limit / 4); /* the first quarter: look at its end */
    uint32_t held = 1 + plx__socket_unacked(c->fd);
    PLX__COUNT(c->loop, calls_other, 1);
    if (!c->unacked || held < c->unacked) {
        c->sent_ms = c->loop->now_ms;
        rest = limit;
    }
    c->unacked = held;
    return rest <= 0 ? 0 : rest < limit / 4 ? rest : limit / 4;
}

/* A peer that never pauses is never quiet. So that a drain ends, it is called so after the linger
 * time; what it sends from then on is discarded. While work is in progress its input may be paused:
 * then the time begins anew. */
static int64_t drain_left(struct plx_conn *c)
{
    struct plx_loop *l = c->loop;
    if (!(c->flags & PLX__F_DRAINING) || c->phase != PLX__OPEN || l->limits.linger_ns <= 0 ||
        c->jobs)
        return INT64_MAX;
    int64_t rest = l->drain_since + l->limits.linger_ns - l->now;
    if (c->work_ms && left(c, c->work_ms, l->limits.linger_ns) > rest)
        rest = left(c, c->work_ms, l->limits.linger_ns);
    if (rest > 0)
        return rest;
    plx__conn_quiet(c);
    plx__conn_dirty(c);
    return INT64_MAX;
}

int64_t plx__conn_judge(struct plx_conn *c)
{
    struct plx_loop *l = c->loop;
    int64_t idle = INT64_MAX;
    switch ((enum plx__phase)c->phase) {
    case PLX__ENDED: return INT64_MAX;
    case PLX__CONNECTING: idle = left(c, c->moved_ms, l->limits.connect_ns); break;
    case PLX__OPEN: /* the peer who waits for our work is not idle */
        idle = c->jobs ? INT64_MAX : left(c, c->moved_ms, l->limits.idle_ns);
        break;
    case PLX__FINISHING: idle = left(c, c->moved_ms, l->limits.idle_ns); break;
    case PLX__LINGERING: idle = left(c, c->moved_ms, l->limits.linger_ns); break;
    }
    int64_t drain = drain_left(c);
    int64_t write = write_left(c);
    if (write <= 0) {
        PLX__COUNT(l, timeouts_write, 1);
        plx__conn_fail(c, -ETIMEDOUT);
    } else if (idle <= 0 && c->phase == PLX__LINGERING) {
        plx__conn_fail(c, 0); /* our side has ended well; the peer merely never closed its own */
    } else if (idle <= 0) {
        if (c->phase != PLX__CONNECTING)
            PLX__COUNT(l, timeouts_idle, 1);
        plx__conn_fail(c, -ETIMEDOUT);
    } else {
        int64_t next = idle < write ? idle : write;
        if (drain < next)
            next = drain;
        return next == INT64_MAX ? next : l->now + next;
    }
    return INT64_MAX;
}

/* ---- what a handler may ask ---- */

void *plx_conn_state(struct plx_conn *c)
{
    return c->state;
}

const struct plx_handler *plx_conn_handler(const struct plx_conn *c)
{
    return c->handler;
}

struct plx_loop *plx_conn_loop(const struct plx_conn *c)
{
    return c->loop;
}

uint64_t plx_conn_number(const struct plx_conn *c)
{
    return c->number;
}

void plx_conn_peer(const struct plx_conn *c, struct plx_addr *out)
{
    struct plx__peer peer = c->peer;
    if (!peer.family && c->fd >= 0)
        plx__socket_peer(c->fd, &peer);
    plx__peer_get(&peer, out);
}

size_t plx_conn_queued(const struct plx_conn *c)
{
    return c->out_bytes;
}

bool plx_conn_ended(const struct plx_conn *c)
{
    return c->phase > PLX__OPEN || (c->flags & PLX__F_EOF);
}

struct plx_conn_ref plx_conn_ref(const struct plx_conn *c)
{
    return (struct plx_conn_ref){.slot = c->slot, .generation = c->generation};
}
