/* SPDX-License-Identifier: MIT */
/* A plan carried out: the tasks, and what must hold at the end. */
#include "talk.h"

#include "selector/backends.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* ---- the models ---- */

#define ROW(NAME, SELECTOR)                                                                        \
    {                                                                                              \
        .pub = {.name = NAME,                                                                      \
                .engine = "readiness",                                                             \
                .waits_in = "the network in memory",                                               \
                .copies_in = "recv",                                                               \
                .summary = "for tests: sockets in memory",                                         \
                .limits = "",                                                                      \
                .caps = PLX_CAP_POST | PLX_CAP_WATCH | PLX_CAP_CONCURRENT | PLX_CAP_CONNECT |      \
                        PLX_CAP_SHARED},                                                           \
        .engine = &plx__readiness_engine, .selector = &(SELECTOR)                                  \
    }

static const struct plx__model rows[] = {
    ROW("sim", plx__poll_ops),
    ROW("sim-select", plx__select_ops),
    ROW("sim-epoll", plx__epoll_ops),
    ROW("sim-epoll-et", plx__epoll_et_ops),
    ROW("sim-nonblocking", plx__polling_ops),
};
#define NROWS (sizeof(rows) / sizeof(rows[0]))

void talk_models(void)
{
    plx__models_add(rows, NROWS);
}

const char *talk_model(size_t i)
{
    return i < NROWS ? rows[i].pub.name : NULL;
}

/* ---- what everybody needs ---- */

FILE *talk_transcript;

void complain(struct world *w, const char *fmt, ...)
{
    char text[200];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    sim_note("WRONG %s", text);
    if (!w->wrong[0])
        snprintf(w->wrong, sizeof(w->wrong), "%s", text);
}

/* A byte that depends on stream and place, so that one lost, doubled, swapped or strange shows; a
 * newline now and then. The multipliers only have to be odd and to mix. */
unsigned char pattern_byte(unsigned id, uint64_t at)
{
    uint32_t x = (uint32_t)at * 2654435761u + (id + 1) * 40503u;
    x ^= x >> 15;
    return x % 23 == 0 ? '\n' : (unsigned char)(x >> 5);
}

void pattern(unsigned char *p, size_t n, unsigned id, uint64_t at)
{
    for (size_t i = 0; i < n; i++)
        p[i] = pattern_byte(id, at + i);
}

uint64_t expected(const struct link *k)
{
    uint64_t n = k->total;
    switch (k->world->plan->service) {
    case SOURCE: return k->world->plan->source;
    case SINK: return sizeof(uint64_t);
    case GREET: return GREETING + n;
    case LINES:
        while (n && pattern_byte(k->id, n - 1) != '\n')
            n--;
        return n;
    default: return n;
    }
}

unsigned char expected_byte(const struct link *k, uint64_t at)
{
    unsigned char count[sizeof(uint64_t)];
    switch (k->world->plan->service) {
    case SOURCE: return pattern_byte(k->id + 1000, at);
    case SINK: memcpy(count, &k->s_got, sizeof(count)); return at < sizeof(count) ? count[at] : 0;
    case GREET:
        return at < GREETING ? (unsigned char)greeting[at] : pattern_byte(k->id, at - GREETING);
    default: return pattern_byte(k->id, at);
    }
}

void not_early(struct world *w, const struct plx_conn *c, int err)
{
    if (err != -ETIMEDOUT || net_find(c->fd)->state == END_DEAD) /* then it is the system's */
        return;
    const struct plx_limits *m = &c->loop->limits;
    bool idle = m->idle_ns > 0 && sim_silent(c->fd) >= m->idle_ns;
    bool stalled = m->write_ns > 0 && plx_conn_queued(c) && sim_sent_nothing(c->fd) >= m->write_ns;
    if (!idle && !stalled)
        complain(w, "a time limit after %lld ms of silence, %lld without a send, %zu queued",
                 (long long)(sim_silent(c->fd) / PLX_MSEC),
                 (long long)(sim_sent_nothing(c->fd) / PLX_MSEC), plx_conn_queued(c));
}

/* ---- tasks ---- */

static void server_main(void *arg)
{
    struct world *w = arg;
    w->rc = plx_server_run(w->server);
    w->ended = true;
}

static int others_ended(void *arg)
{
    const struct world *w = arg;
    if (w->posted < w->plan->pokes)
        return 0;
    for (unsigned i = 0; i < w->plan->loops; i++) {
        if (!w->clients[i].ended)
            return 0;
    }
    return 1;
}

static int server_ended(void *arg)
{
    const struct world *w = arg;
    return w->ended;
}

/* Posts from a thread of its own, as far as the loop can tell; in order, and each once. */
static void on_poke(void *arg)
{
    struct world *w = *(struct world **)arg;
    size_t i = (size_t)((struct world **)arg - w->pokes);
    if (i != w->poked++)
        complain(w, "posted function %zu ran as number %u", i, w->poked - 1);
}

static void poker_main(void *arg)
{
    struct world *w = arg;
    for (unsigned i = 0; i < w->plan->pokes; i++) {
        w->pokes[i] = w;
        if (plx_loop_post(plx_server_loop(w->server, 0), on_poke, &w->pokes[i]) < 0)
            abort();
        w->posted++;
        sim_sleep(between(&w->dice, 0, MSECS(20)));
    }
}

/* Whoever started the server ends it; a drain must end by itself. */
static void owner_main(void *arg)
{
    struct world *w = arg;
    const struct plan *plan = w->plan;
    int64_t until = plan->drain_at < 0 ? INT64_MAX : sim_now() + plan->drain_at;
    (void)sim_await(others_ended, w, until);
    w->leaving = true;
    w->left_at = sim_now();
    sim_note("%s", plan->stop ? "stop" : "drain");
    if (plan->stop)
        plx_server_stop(w->server);
    else
        plx_server_drain(w->server);
    if (plan->stop_after >= 0 && !sim_await(server_ended, w, sim_now() + plan->stop_after))
        plx_server_stop(w->server);
    (void)sim_await(server_ended, w, INT64_MAX);
}

static struct link *make_links(struct world *w)
{
    const struct plan *plan = w->plan;
    struct link *links = calloc(plan->links + 1, sizeof(*links));
    if (!links)
        abort();
    for (unsigned i = 0; i < plan->links; i++) {
        struct link *k = &links[i];
        k->world = w;
        k->client = &w->clients[i % plan->loops];
        k->id = i;
        k->dice.x = roll(&w->dice);
        k->total = (uint64_t)between(&k->dice, 0, (int64_t)plan->total);
        do
            k->how = (enum how)below(&k->dice, HOWS);
        while (!(plan->hows & 1u << k->how));
        k->early = below(&k->dice, k->total + 1);
        if (k->total == 0 && (k->how == AFTER_ALL || k->how == WAIT) && plan->service != SOURCE)
            k->how = HALF; /* else it would wait for nothing */
    }
    return links;
}

static int open_server(struct world *w)
{
    static const char *const any[] = {"127.0.0.1:0"};
    const struct plan *plan = w->plan;
    struct plx_why why;
    struct plx_server_config config = {.loop = {.model = plan->model,
                                                .limits = plan->server,
                                                .poll_pause_ns = plan->poll_pause_ns},
                                       .handler = &talk_server_handler,
                                       .listen = any,
                                       .nlisten = 1,
                                       .backlog = plan->backlog,
                                       .max_connections = plan->max_connections,
                                       .max_per_ip = plan->max_per_ip};
    int rc = plx_server_open(&config, &w->server, &why);
    if (rc < 0) {
        complain(w, "plx_server_open: %s", why.reason);
        return rc;
    }
    return plx_server_address(w->server, 0, &w->addr);
}

static void carry_out(struct world *w)
{
    const struct plan *plan = w->plan;
    if (open_server(w) < 0)
        return;
    w->account = sim_task("server", server_main, w);
    static const char *const names[LOOPS_MOST] = {"client-0", "client-1", "client-2"};
    for (unsigned i = 0; i < plan->loops; i++) {
        struct client *cl = &w->clients[i];
        cl->world = w;
        if (client_open(cl) < 0)
            return;
        cl->account = sim_task(names[i], client_main, cl);
    }
    (void)sim_task("owner", owner_main, w);
    if (plan->pokes)
        (void)sim_task("poker", poker_main, w);
    const char *wrong = sim_run();
    if (wrong) {
        complain(w, "%s", wrong);
        return;
    }
    plx_server_stats(w->server, &w->stats);
    plx_server_close(w->server);
    judge(w);
}

int talk(const struct plan *plan, uint64_t seed, FILE *transcript, char wrong[200],
         uint64_t *fingerprint)
{
    struct world *w = calloc(1, sizeof(*w));
    if (!w)
        abort();
    w->plan = plan;
    w->dice.x = seed * 2 + 1;
    talk_world = w;
    sim_begin(seed, &plan->weather, transcript);
    w->links = make_links(w);
    carry_out(w);
    if (fingerprint)
        *fingerprint = sim_fingerprint();
    memcpy(wrong, w->wrong, sizeof(w->wrong));
    sim_end();
    while (w->messages) {
        struct message *m = w->messages;
        w->messages = m->next;
        free(m);
    }
    free(w->links);
    free(w);
    return wrong[0] != 0;
}
