/* SPDX-License-Identifier: MIT */
/* A plan out of a seed: the exploring test's choice of what happens, and of what breaks. */
#include "talk.h"

#define PICK(d, ...)                                                                               \
    ((const int64_t[]){                                                                            \
        __VA_ARGS__}[below((d), sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))])

struct plan talk_plan(void)
{
    return (struct plan){.model = "sim",
                         .weather = {.delay_from = 10000,
                                     .delay_to = 200000,
                                     .segment = 65536,
                                     .sndbuf = 65536,
                                     .rcvbuf = 65536},
                         .poll_pause_ns = MSECS(5),
                         .links = 1,
                         .loops = 1,
                         .piece = 4096,
                         .hows = 1u << HALF,
                         .drain_at = -1,
                         .stop_after = -1,
                         .backlog = 64,
                         .calm = true};
}

static void buffers(struct dice *d, struct plan *p)
{
    struct sim_weather *w = &p->weather;
    w->delay_to = PICK(d, 0, 10000, 1000000, MSECS(50), MSECS(500));
    w->delay_from = below(d, 2) ? w->delay_to / 2 : 0;
    w->segment = (size_t)PICK(d, 3, 100, 1460, 65536);
    w->sndbuf = (size_t)PICK(d, 64, 2000, 16384, 262144);
    w->rcvbuf = (size_t)PICK(d, 64, 2000, 16384, 262144);
}

/* So that a run takes a few thousand calls: the links share what can be moved in so many. */
static void sizes(struct dice *d, struct plan *p)
{
    const struct sim_weather *w = &p->weather;
    size_t least = w->segment < w->sndbuf ? w->segment : w->sndbuf;
    least = least < w->rcvbuf ? least : w->rcvbuf;
    uint64_t most = 3000 * least < 1000000 ? 3000 * least : 1000000;
    most = most / p->links + 1;
    p->total = (uint64_t)PICK(d, 1, 500, 20000, 300000);
    p->total = p->total < most ? p->total : most;
    p->source = below(d, most);
    p->piece = (size_t)PICK(d, 1, 60, 1500, 8192);
    if (p->total * p->links / p->piece > 2000)
        p->piece = p->total * p->links / 2000;
}

static void marks(struct dice *d, struct plx_limits *m)
{
    m->high_water = (size_t)PICK(d, 0, 0, 600, 5000, 100000);
    m->low_water = m->high_water && below(d, 2) ? (size_t)below(d, m->high_water - 1) + 1 : 0;
    m->linger_ns = PICK(d, 0, MSECS(50), SECONDS(10));
}

/* Allowed to any system, and of no consequence. */
static void whims(struct dice *d, struct sim_weather *w)
{
    w->short_in = (uint64_t)PICK(d, 0, 2, 20);
    w->spurious_in = (uint64_t)PICK(d, 0, 3, 30);
    w->late_in = (uint64_t)PICK(d, 0, 3, 30);
    w->eintr_in = (uint64_t)PICK(d, 0, 10, 100);
}

static void breakage(struct dice *d, struct plan *p)
{
    struct sim_weather *w = &p->weather;
    w->reset_in = (uint64_t)PICK(d, 0, 20, 200, 2000);
    w->stuck_in = (uint64_t)PICK(d, 0, 50, 500);
    w->stuck_ns = PICK(d, SECONDS(1), SECONDS(60), SECONDS(3600));
    w->refuse_in = (uint64_t)PICK(d, 0, 5, 50);
    w->lost_in = (uint64_t)PICK(d, 0, 2, 20);
    w->aborted_in = (uint64_t)PICK(d, 0, 5);
    w->away_in = (uint64_t)PICK(d, 0, 0, 500, 5000);
    w->away_ns = PICK(d, MSECS(60), SECONDS(3), SECONDS(1000));
    w->away_first = below(d, 2);
    w->descriptors = once_in(d, 6) ? (int)between(d, 18, 40) : 0;
    for (int i = 0; i < 2; i++) {
        struct plx_limits *m = i ? &p->client : &p->server;
        m->idle_ns = PICK(d, 0, MSECS(200), SECONDS(5), SECONDS(1000));
        m->write_ns = PICK(d, 0, PLX_OFF, MSECS(200), SECONDS(5));
        m->connect_ns = PICK(d, 0, PLX_OFF, MSECS(300), SECONDS(5));
    }
    p->max_connections = once_in(d, 5) ? between(d, 1, 5) : 0;
    if (once_in(d, 3))
        p->drain_at = between(d, 0, PICK(d, MSECS(1), MSECS(100), SECONDS(3)));
    p->max_per_ip = once_in(d, 10) ? between(d, 1, 5) : 0;
    p->stop = once_in(d, 4);
    p->stop_after = once_in(d, 3) ? between(d, 0, SECONDS(3)) : -1;
    p->hows = (1u << HOWS) - 1;
}

void explore_plan(uint64_t seed, struct plan *p)
{
    struct dice dice = {seed ^ 0x5eed};
    struct dice *d = &dice;
    *p = talk_plan();
    size_t models = 0;
    while (talk_model(models))
        models++;
    /* Busy polling takes many turns for little, so it has fewer runs. */
    p->model = talk_model(below(d, once_in(d, 4) ? models : models - 1));
    p->service = (enum service)below(d, SERVICES);
    p->calm = once_in(d, 3);
    p->loops = (unsigned)PICK(d, 1, 1, 2, 3);
    p->links = (unsigned)PICK(d, 1, 2, 5, 12, 25);
    buffers(d, p);
    sizes(d, p);
    marks(d, &p->server);
    marks(d, &p->client);
    whims(d, &p->weather);
    p->begin_over = PICK(d, 0, MSECS(5), SECONDS(1));
    p->think = PICK(d, 0, 0, MSECS(1), MSECS(100));
    p->pause_in = (uint64_t)PICK(d, 0, 0, 3, 30);
    p->pause = PICK(d, MSECS(1), MSECS(300));
    p->poll_pause_ns = MSECS(5) + p->weather.delay_to / 4;
    p->pokes = (unsigned)PICK(d, 0, 0, 5, 50);
    p->backlog = (int)PICK(d, 1, 8, 511);
    p->hows = p->service == SINK ? 1u << HALF : 1u << HALF | 1u << AFTER_ALL;
    if (p->calm) {
        p->backlog = 511;
        p->server.idle_ns = p->client.idle_ns = PICK(d, PLX_OFF, SECONDS(3600));
        p->client.connect_ns = p->client.write_ns = p->server.write_ns = PLX_OFF;
        if (p->service == SOURCE) {
            p->total = 0;
            p->hows |= 1u << WAIT;
        }
    } else {
        breakage(d, p);
    }
    /* Busy polling through a cut of an hour is as dull as it sounds. */
    p->poll_pause_ns += p->weather.stuck_ns / 5000;
    if (once_in(d, 5)) {
        p->requests = (unsigned)PICK(d, 1, 10, 30);
        p->pool = (unsigned)between(d, 1, 6);
        p->links = 0;
        p->service = ECHO;
        /* A pool's connections do not read while their own output is above the mark; nor does the
         * server. Requests stay below it, as conn.h asks for. */
        p->client.high_water = p->client.low_water = 0;
    }
}

void print_plan(const struct plan *p, FILE *to)
{
    const struct sim_weather *w = &p->weather;
    fprintf(
        to,
        "model=%s service=%d calm=%d links=%u loops=%u total=%llu source=%llu piece=%zu "
        "think=%lld pause=%llu/%lld hows=%x drain=%lld stop=%d/%lld requests=%u pool=%u max=%lld "
        "per-ip=%lld backlog=%d pokes=%u\n",
        p->model, (int)p->service, p->calm, p->links, p->loops, (unsigned long long)p->total,
        (unsigned long long)p->source, p->piece, (long long)p->think,
        (unsigned long long)p->pause_in, (long long)p->pause, p->hows, (long long)p->drain_at,
        p->stop, (long long)p->stop_after, p->requests, p->pool, (long long)p->max_connections,
        (long long)p->max_per_ip, p->backlog, p->pokes);
    fprintf(
        to,
        "delay=%lld-%lld segment=%zu sndbuf=%zu rcvbuf=%zu, once in: reset %llu stuck %llu/%lld "
        "refuse %llu lost %llu short %llu spurious %llu late %llu eintr %llu aborted %llu away "
        "%llu/%lld descriptors=%d\n",
        (long long)w->delay_from, (long long)w->delay_to, w->segment, w->sndbuf, w->rcvbuf,
        (unsigned long long)w->reset_in, (unsigned long long)w->stuck_in, (long long)w->stuck_ns,
        (unsigned long long)w->refuse_in, (unsigned long long)w->lost_in,
        (unsigned long long)w->short_in, (unsigned long long)w->spurious_in,
        (unsigned long long)w->late_in, (unsigned long long)w->eintr_in,
        (unsigned long long)w->aborted_in, (unsigned long long)w->away_in, (long long)w->away_ns,
        w->descriptors);
    for (int i = 0; i < 2; i++) {
        const struct plx_limits *m = i ? &p->client : &p->server;
        fprintf(to, "%s: high=%zu low=%zu idle=%lld write=%lld linger=%lld connect=%lld\n",
                i ? "client" : "server", m->high_water, m->low_water, (long long)m->idle_ns,
                (long long)m->write_ns, (long long)m->linger_ns, (long long)m->connect_ns);
    }
}
