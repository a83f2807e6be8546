/* SPDX-License-Identifier: MIT */
/* The server's end of a link: a handler that does what the plan's service is. */
#include "talk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char greeting[] = "hello\n";

static struct world *world_of(struct plx_conn *c)
{
    return *(struct world **)plx_conn_handler(c)->user;
}

struct state {
    struct link *link; /* NULL: a pool's connection, of which nobody keeps a record */
    bool dead;
};

static struct link *link_of(struct plx_conn *c)
{
    return ((struct state *)plx_conn_state(c))->link;
}

static int answer(struct plx_conn *c, const void *p, size_t n)
{
    struct link *k = link_of(c);
    int rc = plx_send(c, p, n);
    if (k && rc >= 0)
        k->s_sent += n;
    return rc;
}

/* ---- services ---- */

static int generate(struct plx_conn *c, struct link *k)
{
    unsigned char piece[4096];
    uint64_t goal = k->world->plan->source;
    while (k->s_sent < goal) {
        size_t n = (size_t)between(&k->dice, 1, sizeof(piece));
        if (n > goal - k->s_sent)
            n = (size_t)(goal - k->s_sent);
        pattern(piece, n, k->id + 1000, k->s_sent);
        int rc = answer(c, piece, n);
        if (rc != 0)
            return rc < 0 ? rc : 0;
    }
    plx_finish(c);
    return 0;
}

static void on_resume(void *arg)
{
    struct plx_conn *c = arg;
    struct link *k = link_of(c);
    k->s_resume = NULL;
    k->s_paused = false;
    plx_resume(c);
}

static int maybe_pause(struct plx_conn *c, struct link *k)
{
    if (!once_in(&k->dice, 4))
        return 0;
    k->s_paused = true;
    plx_pause(c);
    return plx_timer_start(plx_conn_loop(c), between(&k->dice, 0, MSECS(300)), 0, on_resume, c,
                           &k->s_resume);
}

static void on_posted(struct plx_conn *c, void *arg)
{
    struct message *m = arg;
    if (!c)
        return;
    if (link_of(c) != m->link)
        complain(m->link->world, "a posted function came to another connection");
    if (m->n == 0)
        plx_finish(c);
    else
        (void)answer(c, m->data, m->n);
}

static int post(struct plx_conn *c, struct link *k, const void *p, size_t n)
{
    struct message *m = malloc(sizeof(*m) + n);
    if (!m)
        abort();
    *m = (struct message){.next = k->world->messages, .link = k, .n = n};
    if (n)
        memcpy(m->data, p, n);
    k->world->messages = m;
    return plx_conn_post(plx_conn_loop(c), plx_conn_ref(c), on_posted, m);
}

static ssize_t line(struct plx_conn *c, const char *p, size_t n)
{
    const char *end = memchr(p, '\n', n);
    if (!end)
        return 0;
    size_t k = (size_t)(end - p) + 1;
    int rc = answer(c, p, k);
    return rc < 0 ? rc : (ssize_t)k;
}

static ssize_t serve(struct plx_conn *c, struct link *k, const void *p, size_t n)
{
    int rc = 0;
    if (k->world->plan->work)
        sim_sleep(between(&k->dice, 0, k->world->plan->work));
    switch (k->world->plan->service) {
    case LINES: return line(c, p, n);
    case NIBBLE: n = (size_t)between(&k->dice, 1, (int64_t)n); break;
    case SOURCE:
    case SINK: return (ssize_t)n;
    case PAUSER: rc = maybe_pause(c, k); break;
    case POSTER: rc = post(c, k, p, n); return rc < 0 ? rc : (ssize_t)n;
    default: break;
    }
    if (rc >= 0)
        rc = answer(c, p, n);
    return rc < 0 ? rc : (ssize_t)n;
}

/* ---- the handler: keeps the record, and watches over the order that conn.h promises ---- */

static int on_open(struct plx_conn *c)
{
    struct world *w = world_of(c);
    struct state *s = plx_conn_state(c);
    struct plx_addr peer;
    plx_conn_peer(c, &peer);
    unsigned port = plx_addr_port(&peer);
    if (port != sim_peer_port(c->fd))
        complain(w, "plx_conn_peer() says port %u, it is %u", port, sim_peer_port(c->fd));
    s->link = port >= PORT_FIRST ? w->by_port[port - PORT_FIRST] : NULL;
    struct link *k = s->link;
    if (!k)
        return 0;
    if (k->s_opens++)
        complain(w, "link %u: on_open twice at the server", k->id);
    if (w->plan->service == GREET)
        return answer(c, greeting, GREETING) < 0 ? -EIO : 0;
    if (w->plan->service == SOURCE)
        return generate(c, k);
    return 0;
}

static ssize_t on_data(struct plx_conn *c, const void *p, size_t n)
{
    struct state *s = plx_conn_state(c);
    struct link *k = s->link;
    if (!k) {
        int rc = plx_send(c, p, n);
        return rc < 0 ? rc : (ssize_t)n;
    }
    if (n == 0 || s->dead || k->s_eofs || k->s_paused)
        complain(k->world, "link %u: on_data with nothing, after the end or while paused", k->id);
    const unsigned char *b = p;
    for (size_t i = 0; i < n; i++) {
        if (b[i] != pattern_byte(k->id, k->s_got + i)) {
            complain(k->world, "link %u: byte %llu is wrong at the server", k->id,
                     (unsigned long long)(k->s_got + i));
            break;
        }
    }
    ssize_t used = serve(c, k, p, n);
    if (used > 0)
        k->s_got += (uint64_t)used;
    return used;
}

static void on_drain(struct plx_conn *c)
{
    struct link *k = link_of(c);
    if (!k)
        return;
    if (((struct state *)plx_conn_state(c))->dead)
        complain(k->world, "link %u: on_drain after on_close", k->id);
    /* It fell to the low-water mark, and held input may have been answered since. */
    if (plx_conn_queued(c) > c->loop->limits.high_water)
        complain(k->world, "link %u: on_drain with %zu bytes queued", k->id, plx_conn_queued(c));
    if (k->world->plan->service == SOURCE)
        (void)generate(c, k);
}

static void on_eof(struct plx_conn *c)
{
    struct link *k = link_of(c);
    if (!k) {
        plx_finish(c);
        return;
    }
    if (k->s_eofs++)
        complain(k->world, "link %u: on_eof twice at the server", k->id);
    switch (k->world->plan->service) {
    case SINK: (void)answer(c, &k->s_got, sizeof(k->s_got)); break;
    case POSTER:
        if (post(c, k, NULL, 0) >= 0)
            return;
        break;
    case SOURCE:
        if (!k->world->leaving)
            return; /* it goes on sending */
        break;
    default: break;
    }
    plx_finish(c);
}

static void on_close(struct plx_conn *c, int err)
{
    struct state *s = plx_conn_state(c);
    struct link *k = s->link;
    if (err > 0)
        complain(world_of(c), "on_close with the error %d, which is positive", err);
    not_early(world_of(c), c, err);
    if (!k)
        return;
    if (s->dead || k->s_closes++)
        complain(k->world, "link %u: on_close twice at the server", k->id);
    s->dead = true;
    k->s_err = err;
    if (k->s_resume)
        plx_timer_stop(k->s_resume);
    k->s_resume = NULL;
}

struct world *talk_world;

const struct plx_handler talk_server_handler = {
    .name = "talk",
    .state_size = sizeof(struct state),
    .user = &talk_world,
    .on_open = on_open,
    .on_data = on_data,
    .on_drain = on_drain,
    .on_eof = on_eof,
    .on_close = on_close,
};
