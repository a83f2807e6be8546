/* SPDX-License-Identifier: MIT */
/* Cases with a plan of their own: what should happen, and when, is known beforehand. */
#include "talk.h"

#include <errno.h>
#include <string.h>

/* Each under every model that runs here; the first that goes wrong ends it. */
static void everywhere(struct plan *p, char wrong[200])
{
    for (size_t i = 0; (p->model = talk_model(i)) && !wrong[0]; i++)
        (void)talk(p, 1 + i, talk_transcript, wrong, NULL);
}

static void expect(char wrong[200], bool holds, const char *what, long long got)
{
    if (!holds && !wrong[0])
        snprintf(wrong, 200, "%s: %lld", what, got);
}

/* ---- bytes ---- */

static void echo_many(char wrong[200])
{
    struct plan p = talk_plan();
    p.links = 250;
    p.loops = 3;
    p.total = 20000;
    p.backlog = 511;
    p.hows = 1u << HALF | 1u << AFTER_ALL;
    everywhere(&p, wrong);
}

/* Every piece of one byte, every send of one, and whatever a system may do to a call. */
static void smallest_pieces(char wrong[200])
{
    struct plan p = talk_plan();
    p.links = 5;
    p.total = 2000;
    p.piece = 1;
    p.weather.segment = p.weather.sndbuf = p.weather.rcvbuf = 1;
    p.weather.eintr_in = 5;
    p.weather.spurious_in = p.weather.late_in = 3;
    everywhere(&p, wrong);
}

static void lines(char wrong[200])
{
    struct plan p = talk_plan();
    p.service = LINES;
    p.links = 40;
    p.total = 50000;
    p.weather.segment = 7;
    p.weather.delay_from = 0;
    p.weather.delay_to = 1000;
    everywhere(&p, wrong);
}

/* A generator, and readers that stop for half a minute now and then: 30 s is the limit on a queue
 * that does not move, so it must be by the peer's acknowledgements that he is found to be alive. */
static void source_slow_readers(char wrong[200])
{
    struct plan p = talk_plan();
    p.service = SOURCE;
    p.hows = 1u << WAIT;
    p.source = 3000000;
    p.links = 10;
    p.pause_in = 20;
    p.pause = SECONDS(29);
    p.server.idle_ns = p.client.idle_ns = DAYS(1);
    p.weather.sndbuf = p.weather.rcvbuf = 16384;
    p.model = "sim";
    (void)talk(&p, 1, talk_transcript, wrong, NULL);
    p.model = "sim-epoll-et";
    if (!wrong[0])
        (void)talk(&p, 2, talk_transcript, wrong, NULL);
}

static void half_close(char wrong[200])
{
    struct plan p = talk_plan();
    p.service = SINK;
    p.links = 30;
    p.total = 100000;
    everywhere(&p, wrong);
}

/* ---- what breaks ---- */

static void resets(char wrong[200])
{
    struct plan p = talk_plan();
    p.calm = false;
    p.links = 100;
    p.loops = 2;
    p.total = 50000;
    p.weather.reset_in = 30;
    everywhere(&p, wrong);
}

static void refusals(char wrong[200])
{
    struct plan p = talk_plan();
    p.calm = false;
    p.links = 100;
    p.total = 100;
    p.weather.refuse_in = 2;
    p.weather.lost_in = 3;
    p.weather.aborted_in = 4;
    everywhere(&p, wrong);
}

static void no_descriptors(char wrong[200])
{
    struct plan p = talk_plan();
    p.calm = false;
    p.links = 100;
    p.total = 5000;
    p.weather.descriptors = 30;
    everywhere(&p, wrong);
}

static void pool_reconnects(char wrong[200])
{
    struct plan p = talk_plan();
    p.calm = false;
    p.links = 0;
    p.requests = 300;
    p.pool = 5;
    p.think = SECONDS(3); /* the pool closes what was idle for 2 s */
    p.weather.reset_in = 40;
    p.poll_pause_ns = MSECS(50);
    everywhere(&p, wrong);
}

/* The server is stopped for longer than any limit, again and again. What its peers sent meanwhile
 * has arrived; nobody has been silent. */
static void stopped_server(char wrong[200])
{
    struct plan p = talk_plan();
    p.links = 10;
    p.total = 20000;
    p.piece = 100;
    p.think = MSECS(100);
    p.server.idle_ns = SECONDS(2);
    p.server.write_ns = SECONDS(1);
    p.client.idle_ns = p.client.write_ns = PLX_OFF;
    p.weather.away_in = 300;
    p.weather.away_ns = SECONDS(500);
    p.weather.away_first = true;
    everywhere(&p, wrong);
}

/* ---- time: what takes days takes milliseconds here ---- */

struct clocked {
    struct plx_limits limits;
    size_t send; /* so much at the start, to a peer that never reads */
    struct plx_addr addr;
    struct plx_server *server;
    int64_t begun, ended;
    int err;
};

static void clocked_server(void *arg)
{
    (void)plx_server_run(((struct clocked *)arg)->server);
}

static void clocked_end(struct plx_conn *c, int err)
{
    struct clocked *k = *(struct clocked **)plx_conn_state(c);
    k->ended = sim_now();
    k->err = err;
    plx_loop_stop(plx_conn_loop(c));
}

static int clocked_open(struct plx_conn *c)
{
    static const unsigned char piece[4096];
    const struct clocked *k = *(struct clocked **)plx_conn_state(c);
    for (size_t done = 0; done < k->send; done += sizeof(piece))
        (void)plx_send(c, piece, sizeof(piece));
    return 0;
}

static const struct plx_handler clocked_handler = {.name = "clocked",
                                                   .state_size = sizeof(struct clocked *),
                                                   .on_open = clocked_open,
                                                   .on_close = clocked_end};

static int never_reads(struct plx_conn *c)
{
    plx_pause(c);
    return 0;
}

static void clocked_client(void *arg)
{
    struct clocked *k = arg;
    struct plx_loop *loop;
    struct plx_loop_config config = {.model = "sim", .limits = k->limits};
    if (plx_loop_open(&config, &loop, NULL) < 0)
        return;
    k->begun = sim_now();
    if (plx_connect(loop, &k->addr, &clocked_handler, &k, NULL) == 0)
        (void)plx_loop_run(loop);
    plx_loop_close(loop);
    plx_server_stop(k->server);
}

/* One connection that nothing moves on. Whether it lasts for `least`, and a sixteenth of that (a
 * second at most) longer, or `late` more, and how it ends. */
static void lasts(struct clocked *k, const struct sim_weather *weather, int64_t least, int64_t late,
                  int err, char wrong[200])
{
    static const struct plx_handler quiet = {.name = "quiet", .on_open = never_reads};
    static const char *const any[] = {"127.0.0.1:0"};
    struct plx_server_config config = {
        .loop = {.model = "sim", .limits = {.idle_ns = PLX_OFF, .linger_ns = k->limits.linger_ns}},
        .handler = &quiet,
        .listen = any,
        .nlisten = 1};
    sim_begin(3, weather, talk_transcript);
    expect(wrong, plx_server_open(&config, &k->server, NULL) == 0, "plx_server_open", 0);
    expect(wrong, plx_server_address(k->server, 0, &k->addr) == 0, "plx_server_address", 0);
    (void)sim_task("server", clocked_server, k);
    (void)sim_task("client", clocked_client, k);
    const char *stuck = sim_run();
    expect(wrong, stuck == NULL, stuck ? stuck : "", 0);
    plx_server_close(k->server);
    sim_end();
    int64_t took = k->ended - k->begun;
    int64_t most = least + PLX__LONG_WORK + MSECS(10) +
                   (least / 16 < PLX_SECOND ? least / 16 : PLX_SECOND) + late;
    expect(wrong, took >= least, "it ended early, after ns", took);
    expect(wrong, took <= most, "it ended late, after ns", took);
    expect(wrong, k->err == err, "it ended with", k->err);
}

static void idle_20_days(char wrong[200])
{
    struct sim_weather weather = talk_plan().weather;
    struct clocked k = {.limits = {.idle_ns = DAYS(20)}};
    lasts(&k, &weather, DAYS(20), 0, -ETIMEDOUT, wrong);
}

static void idle_short(char wrong[200])
{
    struct sim_weather weather = talk_plan().weather;
    for (int64_t ms = 10; ms < 100000 && !wrong[0]; ms = ms * 3 / 2) {
        struct clocked k = {.limits = {.idle_ns = MSECS(ms)}};
        lasts(&k, &weather, MSECS(ms), 0, -ETIMEDOUT, wrong);
    }
}

/* A queue that does not move; the limit is exceeded by a quarter at most (conn.c). */
static void write_limit(char wrong[200])
{
    struct sim_weather weather = talk_plan().weather;
    for (int64_t ms = 100; ms < 10000000 && !wrong[0]; ms = ms * 3) {
        struct clocked k = {.limits = {.idle_ns = PLX_OFF, .write_ns = MSECS(ms)}, .send = 1000000};
        lasts(&k, &weather, MSECS(ms), MSECS(ms / 4 + 10), -ETIMEDOUT, wrong);
    }
}

/* Callbacks that take a while: a limit counts from when the answer was sent, not from the beginning
 * of the turn. */
static void slow_callbacks(char wrong[200])
{
    struct plan p = talk_plan();
    p.calm = false;
    p.hows = 1u << WAIT; /* nobody ends but the server, by its limit */
    p.links = 20;
    p.begin_over = SECONDS(20);
    p.total = 100;
    p.server.idle_ns = MSECS(200);
    p.client.idle_ns = PLX_OFF;
    for (p.work = MSECS(1); p.work < SECONDS(1) && !wrong[0]; p.work *= 2)
        everywhere(&p, wrong);
}

/* Nobody answers: every packet that asks for a connection is lost. */
static void connect_limit(char wrong[200])
{
    struct sim_weather weather = talk_plan().weather;
    weather.lost_in = 1;
    struct clocked k = {.limits = {.connect_ns = SECONDS(90)}};
    lasts(&k, &weather, SECONDS(90), 0, -ETIMEDOUT, wrong);
    /* Without a limit of ours the system's ends it, after six more packets: 127 s. */
    k = (struct clocked){.limits = {.connect_ns = PLX_OFF}};
    lasts(&k, &weather, SECONDS(127), 0, -ETIMEDOUT, wrong);
}

/* A timer of a year, beside which nothing happens. */
static void on_year(void *arg)
{
    struct clocked *k = arg;
    k->ended = sim_now();
}

static void year_task(void *arg)
{
    struct clocked *k = arg;
    struct plx_loop *loop;
    struct plx_loop_config config = {.model = "sim"};
    if (plx_loop_open(&config, &loop, NULL) < 0)
        return;
    k->begun = sim_now();
    (void)plx_timer_start(loop, DAYS(365), 0, on_year, k, NULL);
    while (!k->ended && plx_loop_turn(loop, PLX_FOREVER) >= 0) {
    }
    plx_loop_close(loop);
}

static void timer_of_a_year(char wrong[200])
{
    struct sim_weather weather = talk_plan().weather;
    struct clocked k = {0};
    sim_begin(4, &weather, talk_transcript);
    (void)sim_task("year", year_task, &k);
    const char *stuck = sim_run();
    expect(wrong, stuck == NULL, stuck ? stuck : "", 0);
    sim_end();
    expect(wrong, k.ended - k.begun >= DAYS(365), "the timer was early, after ns",
           k.ended - k.begun);
    expect(wrong, k.ended - k.begun < DAYS(365) + MSECS(1), "the timer was late, after ns",
           k.ended - k.begun);
}

/* ---- leaving ---- */

/* Drained in the middle of everything; peers that do not go are awaited for the linger time only.
 */
static void drain_with_lingering(char wrong[200])
{
    struct plan p = talk_plan();
    p.calm = false;
    p.service = PAUSER;
    p.links = 40;
    p.total = 100000;
    p.piece = 500;
    p.think = MSECS(20);
    p.pause_in = 10;
    p.pause = SECONDS(30);
    p.server.linger_ns = SECONDS(3);
    for (p.drain_at = MSECS(1); p.drain_at < SECONDS(20) && !wrong[0]; p.drain_at *= 3)
        everywhere(&p, wrong);
}

/* The server is stopped for longer than any limit, and finds the order to leave when it comes back:
 * the limits must not be judged by a time from before. */
static void drain_after_stop(char wrong[200])
{
    struct plan p = talk_plan();
    p.calm = false;
    p.service = SOURCE;
    p.hows = 1u << WAIT;
    p.source = 40000;
    p.links = 12;
    p.server.high_water = 600;
    p.weather.sndbuf = 2000;
    p.weather.away_in = 40;
    p.weather.away_ns = SECONDS(1000);
    p.weather.away_first = true;
    p.client.idle_ns = p.client.write_ns = PLX_OFF;
    for (p.drain_at = 0; p.drain_at < MSECS(3) && !wrong[0]; p.drain_at += MSECS(1) / 10)
        everywhere(&p, wrong);
}

static void stop_in_the_middle(char wrong[200])
{
    struct plan p = talk_plan();
    p.calm = false;
    p.stop = true;
    p.links = 40;
    p.total = 100000;
    for (p.drain_at = MSECS(1); p.drain_at < SECONDS(2) && !wrong[0]; p.drain_at *= 3)
        everywhere(&p, wrong);
}

const struct sim_case sim_cases[] = {
    {"echo_many", echo_many},
    {"smallest_pieces", smallest_pieces},
    {"lines", lines},
    {"source_slow_readers", source_slow_readers},
    {"half_close", half_close},
    {"resets", resets},
    {"refusals", refusals},
    {"no_descriptors", no_descriptors},
    {"pool_reconnects", pool_reconnects},
    {"stopped_server", stopped_server},
    {"idle_20_days", idle_20_days},
    {"idle_short", idle_short},
    {"write_limit", write_limit},
    {"slow_callbacks", slow_callbacks},
    {"connect_limit", connect_limit},
    {"timer_of_a_year", timer_of_a_year},
    {"drain_with_lingering", drain_with_lingering},
    {"drain_after_stop", drain_after_stop},
    {"stop_in_the_middle", stop_in_the_middle},
    {NULL, NULL},
};
