/* SPDX-License-Identifier: MIT */
/* The client's end of links, and the client of a pool. */
#include "talk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ABORTED (-ENODATA) /* what a client says that gives up by plan: nobody else says that */

static struct link *link_of(struct plx_conn *c)
{
    return *(struct link **)plx_conn_state(c);
}

/* ---- sending ---- */

static void on_think(void *arg);

static bool give_up(struct plx_conn *c, struct link *k)
{
    if (k->how != ABORT_EARLY && k->how != FINISH_EARLY)
        return false;
    if (k->sent < k->early)
        return false;
    k->given_up = true;
    if (k->how == ABORT_EARLY)
        plx_abort(c, ABORTED);
    else
        plx_finish(c);
    return true;
}

static void all_sent(struct plx_conn *c, struct link *k)
{
    if (k->how == HALF)
        plx_half_close(c);
    else if (k->how == AFTER_ALL && k->got == expected(k) && k->world->plan->service != SINK)
        plx_finish(c);
}

static void feed(struct plx_conn *c, struct link *k)
{
    const struct plan *plan = k->world->plan;
    unsigned char piece[8192];
    while (k->sent < k->total && !plx_conn_ended(c)) {
        if (give_up(c, k))
            return;
        size_t most = plan->piece < sizeof(piece) ? plan->piece : sizeof(piece);
        size_t n = (size_t)between(&k->dice, 1, (int64_t)most);
        if (n > k->total - k->sent)
            n = (size_t)(k->total - k->sent);
        pattern(piece, n, k->id, k->sent);
        int rc = plx_send(c, piece, n);
        if (rc < 0) {
            complain(k->world, "link %u: plx_send: %s", k->id, plx_error_name(rc));
            return;
        }
        k->sent += n;
        if (rc == 1)
            return; /* on_drain goes on */
        if (plan->think && k->sent < k->total) {
            if (plx_timer_start(plx_conn_loop(c), between(&k->dice, 0, plan->think), 0, on_think, c,
                                &k->feed) < 0)
                abort();
            return;
        }
    }
    if (k->sent == k->total && !plx_conn_ended(c) && !give_up(c, k))
        all_sent(c, k);
}

static void on_think(void *arg)
{
    struct plx_conn *c = arg;
    struct link *k = link_of(c);
    k->feed = NULL;
    feed(c, k);
}

/* ---- the handler ---- */

/* The server knows a link by its client's port. A connection may be established, and over, before
 * plx_connect() returns. */
static void register_link(struct link *k, const struct plx_conn *c)
{
    uint16_t port = sim_port(c->fd);
    if (port >= PORT_FIRST)
        k->world->by_port[port - PORT_FIRST] = k;
}

static int on_open(struct plx_conn *c)
{
    struct link *k = link_of(c);
    if (k->opens++ || k->closes)
        complain(k->world, "link %u: on_open twice", k->id);
    register_link(k, c);
    feed(c, k);
    return 0;
}

static void on_resume(void *arg)
{
    struct plx_conn *c = arg;
    struct link *k = link_of(c);
    k->resume = NULL;
    k->paused = false;
    plx_resume(c);
}

static void check(struct link *k, const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] != expected_byte(k, k->got + i)) {
            complain(k->world, "link %u: byte %llu of the answer is wrong", k->id,
                     (unsigned long long)(k->got + i));
            return;
        }
    }
}

static ssize_t on_data(struct plx_conn *c, const void *p, size_t n)
{
    struct link *k = link_of(c);
    const struct plan *plan = k->world->plan;
    if (n == 0 || k->eofs || k->closes || k->paused || k->over)
        complain(k->world, "link %u: on_data with nothing, after the end or while paused", k->id);
    if (n > 1 && once_in(&k->dice, 3))
        n = (size_t)between(&k->dice, 1, (int64_t)n);
    check(k, p, n);
    k->got += n;
    if (k->got > expected(k))
        complain(k->world, "link %u: more came than was sent", k->id);
    if (k->how == AFTER_ALL && k->sent == k->total && k->got == expected(k)) {
        plx_finish(c);
        k->over = true;
    } else if (once_in(&k->dice, plan->pause_in)) {
        k->paused = true;
        plx_pause(c);
        if (plx_timer_start(plx_conn_loop(c), between(&k->dice, 0, plan->pause), 0, on_resume, c,
                            &k->resume) < 0)
            abort();
    }
    return (ssize_t)n;
}

static void on_drain(struct plx_conn *c)
{
    struct link *k = link_of(c);
    if (k->closes)
        complain(k->world, "link %u: on_drain after on_close", k->id);
    if (!k->feed)
        feed(c, k);
}

static void on_eof(struct plx_conn *c)
{
    struct link *k = link_of(c);
    if (k->eofs++ || k->closes)
        complain(k->world, "link %u: on_eof twice", k->id);
    plx_finish(c);
}

static void on_close(struct plx_conn *c, int err)
{
    struct link *k = link_of(c);
    if (k->closes++)
        complain(k->world, "link %u: on_close twice", k->id);
    if (err > 0)
        complain(k->world, "link %u: on_close with a positive error", k->id);
    if (k->opens)
        not_early(k->world, c, err);
    k->err = err;
    k->disturbed = k->world->leaving;
    if (k->feed)
        plx_timer_stop(k->feed);
    if (k->resume)
        plx_timer_stop(k->resume);
    k->feed = k->resume = NULL;
    if (--k->client->live == 0)
        plx_loop_stop(k->client->loop);
}

/* Two of them: if both ends stopped reading until the other had read, both would wait for ever. */
static const struct plx_handler handler = {
    .name = "talker",
    .state_size = sizeof(struct link *),
    .on_open = on_open,
    .on_data = on_data,
    .on_drain = on_drain,
    .on_eof = on_eof,
    .on_close = on_close,
};
static const struct plx_handler reader = {
    .name = "talker that reads always",
    .state_size = sizeof(struct link *),
    .reads_always = true,
    .on_open = on_open,
    .on_data = on_data,
    .on_drain = on_drain,
    .on_eof = on_eof,
    .on_close = on_close,
};

static void begin(void *arg)
{
    struct link *k = arg;
    struct world *w = k->world;
    size_t high = k->client->loop->limits.high_water;
    const struct plx_handler *h = k->total < high / 2 && k->id % 2 ? &handler : &reader;
    k->begin = NULL;
    struct plx_conn *c;
    int rc = plx_connect(k->client->loop, &w->addr, h, &k, &c);
    if (rc == 0) {
        register_link(k, c);
        return;
    }
    /* Refused at once: nothing follows. */
    k->closes = 1;
    k->err = rc;
    k->disturbed = w->leaving;
    if (--k->client->live == 0)
        plx_loop_stop(k->client->loop);
}

/* ---- a pool's client: requests, each echoed, over as few connections as it is allowed ---- */

#define REQUEST_MOST 3000

struct request {
    struct client *client;
    unsigned id;
    size_t n, got;
    int lent;
};

static void next_request(struct client *cl);

static void request_done(struct request *r)
{
    struct client *cl = r->client;
    if (cl->answered + cl->lost + cl->refused == cl->world->plan->requests) {
        plx_pool_close(cl->pool);
        cl->pool = NULL;
        plx_loop_stop(cl->loop);
    }
    free(r);
    if (cl->pool)
        next_request(cl);
}

static void on_lent(struct plx_conn *c, int err, void *arg)
{
    struct request *r = arg;
    unsigned char data[REQUEST_MOST];
    if (r->lent++)
        complain(r->client->world, "request %u: on_lent twice", r->id);
    if (!c) {
        if (err >= 0)
            complain(r->client->world, "request %u: no connection, and no error", r->id);
        r->client->refused++;
        request_done(r);
        return;
    }
    pattern(data, r->n, r->id, 0);
    if (plx_send(c, data, r->n) < 0)
        complain(r->client->world, "request %u: plx_send failed", r->id);
}

static ssize_t on_answer(struct plx_conn *c, const void *p, size_t n, void *arg)
{
    struct request *r = arg;
    const unsigned char *b = p;
    if (n > r->n - r->got)
        complain(r->client->world, "request %u: more came than was sent", r->id);
    for (size_t i = 0; i < n && r->got < r->n; i++, r->got++) {
        if (b[i] != pattern_byte(r->id, r->got))
            complain(r->client->world, "request %u: the answer is wrong", r->id);
    }
    if (r->got < r->n)
        return (ssize_t)n;
    r->client->answered++;
    plx_pool_put(r->client->pool, c, !once_in(&r->client->world->dice, 8));
    request_done(r);
    return (ssize_t)n;
}

static void on_lost(struct plx_conn *c, int err, void *arg)
{
    struct request *r = arg;
    (void)c;
    (void)err;
    r->client->lost++;
    request_done(r);
}

static const struct plx_pool_user pool_user = {
    .on_lent = on_lent, .on_data = on_answer, .on_lost = on_lost};

static void ask(void *arg)
{
    struct client *cl = arg;
    struct dice *d = &cl->world->dice;
    struct request *r = calloc(1, sizeof(*r));
    if (!r)
        abort();
    *r =
        (struct request){.client = cl, .id = cl->asked++, .n = (size_t)between(d, 1, REQUEST_MOST)};
    int rc = plx_pool_get(cl->pool, &pool_user, r);
    if (rc < 0) {
        cl->refused++;
        request_done(r);
    }
}

static void next_request(struct client *cl)
{
    const struct plan *plan = cl->world->plan;
    if (cl->begun == plan->requests)
        return;
    cl->begun++;
    if (plx_timer_start(cl->loop, between(&cl->world->dice, 0, plan->think), 0,
                        (void (*)(void *))ask, cl, NULL) < 0)
        abort();
}

void pool_client_begin(struct client *cl)
{
    const struct plan *plan = cl->world->plan;
    struct plx_pool_config config = {
        .to = cl->world->addr, .max = plan->pool, .idle_ns = SECONDS(2)};
    if (plx_pool_open(cl->loop, &config, &cl->pool) < 0)
        abort();
    for (unsigned i = 0; i < 2 * plan->pool; i++)
        next_request(cl);
}

/* ---- a client's task ---- */

int client_open(struct client *cl)
{
    const struct plan *plan = cl->world->plan;
    struct plx_loop_config config = {
        .model = plan->model, .limits = plan->client, .poll_pause_ns = plan->poll_pause_ns};
    struct plx_why why;
    int rc = plx_loop_open(&config, &cl->loop, &why);
    if (rc < 0)
        complain(cl->world, "plx_loop_open: %s", why.reason);
    return rc;
}

void client_main(void *arg)
{
    struct client *cl = arg;
    struct world *w = cl->world;
    const struct plan *plan = w->plan;
    if (plan->requests)
        pool_client_begin(cl);
    for (unsigned i = 0; i < plan->links; i++) {
        struct link *k = &w->links[i];
        if (k->client != cl)
            continue;
        cl->live++;
        if (plx_timer_start(cl->loop, between(&k->dice, 0, plan->begin_over), 0, begin, k,
                            &k->begin) < 0)
            abort();
    }
    if (cl->live || plan->requests)
        cl->rc = plx_loop_run(cl->loop);
    plx__loop_end(cl->loop);
    plx_loop_stats(cl->loop, &cl->stats);
    plx_loop_close(cl->loop);
    cl->ended = true;
}
