/* SPDX-License-Identifier: MIT */
/*
 * See check_client.h. A connection keeps a window: bytes that were sent and have not come back
 * yet. Nothing but the echo itself opens it again, so neither side can pile up output, and this
 * client always reads: with it a server that stops reading while its own output waits (as every
 * server should) cannot be driven into a deadlock. The window is larger than a server's default
 * high-water mark.
 *
 * One connection in eight begins as one that only sends: it reads nothing until nothing moves any
 * more, because the server, its queue full, has stopped reading (or everything is sent). Then it
 * goes on as the others do. Thus what a server does when its peer does not read is checked too.
 *
 *     connect -> [send a piece while the window has room] -> all sent: half-close
 *                      ^ on_data: compare, widen                 -> all back, end of stream: right
 */
#include "cmd/check_client.h"

#include "cmd/random.h"

#include <errno.h>
#include <pollux/pollux.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE_MAX  60000
#define WINDOW_MAX (512 * 1024) /* twice the default high-water mark of a loop */
#define WINDOW_MIN (64 * 1024)  /* not below PIECE_MAX */
/* Of so many connections the first begins late to read. */
#define LATE_EACH 8
/* How often those are looked at, and how many looks without a change mean that nothing moves. */
#define LATE_LOOK  (10 * PLX_MSEC)
#define LATE_STILL 4

/* What all windows together may hold: it exists up to twice, in the client and on its way. */
#define WINDOW_ALL (128u * 1024 * 1024)

#define TICK (100 * PLX_MSEC)

struct run {
    const struct check_load *load;
    struct check_result *result;
    struct plx_loop *loop;
    size_t window;
    unsigned ended;
    bool over;              /* the verdict is known */
    struct plx_conn **late; /* those that do not read yet, in the order of their numbers */
    unsigned nlate;
    int64_t moved; /* when something last happened */
};

struct client {
    struct run *run;
    unsigned number; /* from 1 */
    uint64_t random;
    size_t sent, back;             /* bytes */
    size_t piece;                  /* drawn, and not sent yet; 0 = draw */
    bool held;                     /* until on_drain */
    bool late;                     /* it does not read yet */
    unsigned still;                /* looks at it without a change */
    size_t sent_then, queued_then; /* at the last look */
    bool clean;                    /* the end of stream came where it should */
};

static void give_verdict(struct run *run, enum check_verdict verdict)
{
    run->over = true;
    run->result->verdict = verdict;
}

static void wrong(struct client *c, size_t offset, const char *what)
{
    struct run *run = c->run;
    run->result->connection = c->number;
    run->result->offset = offset;
    snprintf(run->result->why, sizeof(run->result->why), "connection %u, offset %zu: %s", c->number,
             offset, what);
    give_verdict(run, CHECK_WRONG);
}

/* Evenly spread over the magnitudes, so that pieces of a few bytes are as usual as large ones. */
static size_t draw_piece(struct client *c)
{
    uint64_t r = random_next(&c->random);
    uint64_t below = 2u << (r % 16); /* 2 .. 65536 */
    uint64_t n = 1 + (r >> 8) % (below - 1);
    return n < PIECE_MAX ? (size_t)n : PIECE_MAX;
}

static int pump(struct plx_conn *conn, struct client *c)
{
    const struct check_load *load = c->run->load;
    while (c->sent < load->size && !c->held) {
        if (c->piece == 0)
            c->piece = draw_piece(c);
        size_t n = load->size - c->sent < c->piece ? load->size - c->sent : c->piece;
        size_t waiting = c->late ? plx_conn_queued(conn) : c->sent - c->back;
        if (waiting + n > c->run->window)
            return 0;
        int rc = plx_send(conn, load->data + c->sent, n);
        if (rc < 0)
            return rc;
        c->held = rc == 1;
        c->sent += n;
        c->piece = 0;
    }
    if (c->sent == load->size)
        plx_half_close(conn);
    return 0;
}

static int on_open(struct plx_conn *conn)
{
    struct client *c = plx_conn_state(conn);
    c->run->moved = plx_loop_now(c->run->loop);
    if (c->number % LATE_EACH == 1) {
        c->late = true;
        c->run->late[c->number / LATE_EACH] = conn;
        plx_pause(conn);
    }
    return pump(conn, c);
}

static void begin_to_read(struct plx_conn *conn, struct client *c)
{
    c->run->late[c->number / LATE_EACH] = NULL;
    c->late = false;
    plx_resume(conn);
}

/* A timer: nothing else tells that a queue has moved, or that it has not. */
static void look_at_late(void *arg)
{
    struct run *run = arg;
    for (unsigned i = 0; i < run->nlate; i++) {
        struct plx_conn *conn = run->late[i];
        struct client *c = conn ? plx_conn_state(conn) : NULL;
        if (!c)
            continue;
        int rc = pump(conn, c);
        size_t queued = plx_conn_queued(conn);
        bool same = c->sent == c->sent_then && queued == c->queued_then;
        c->still = same ? c->still + 1 : 0;
        c->sent_then = c->sent;
        c->queued_then = queued;
        if (rc < 0)
            plx_abort(conn, rc);
        else if (c->still >= LATE_STILL)
            begin_to_read(conn, c);
    }
}

static ssize_t on_data(struct plx_conn *conn, const void *p, size_t n)
{
    struct client *c = plx_conn_state(conn);
    struct run *run = c->run;
    const unsigned char *got = p;
    if (run->over)
        return (ssize_t)n;
    if (n > c->sent - c->back) {
        wrong(c, c->sent, "more came back than was sent");
        return -EPROTO;
    }
    const unsigned char *want = run->load->data + c->back;
    if (memcmp(got, want, n) != 0) {
        size_t i = 0;
        while (got[i] == want[i])
            i++;
        char what[64];
        snprintf(what, sizeof(what), "sent 0x%02x, came back as 0x%02x", want[i], got[i]);
        wrong(c, c->back + i, what);
        return -EPROTO;
    }
    c->back += n;
    run->result->verified += n;
    run->moved = plx_loop_now(run->loop);
    int rc = pump(conn, c);
    return rc < 0 ? rc : (ssize_t)n;
}

static void on_drain(struct plx_conn *conn)
{
    struct client *c = plx_conn_state(conn);
    c->held = false;
    int rc = pump(conn, c);
    if (rc < 0)
        plx_abort(conn, rc);
}

static void on_eof(struct plx_conn *conn)
{
    struct client *c = plx_conn_state(conn);
    char what[80];
    if (c->back == c->run->load->size) {
        c->clean = true;
        plx_finish(conn);
        return;
    }
    snprintf(what, sizeof(what), "the stream ended, %zu of %zu bytes are missing",
             c->run->load->size - c->back, c->run->load->size);
    if (!c->run->over)
        wrong(c, c->back, what);
    plx_abort(conn, 0);
}

static void on_close(struct plx_conn *conn, int err)
{
    struct client *c = plx_conn_state(conn);
    struct run *run = c->run;
    run->ended++;
    if (c->late)
        run->late[c->number / LATE_EACH] = NULL;
    run->moved = plx_loop_now(run->loop);
    if (run->over)
        return;
    if (c->clean && err == 0) {
        if (run->ended == run->load->connections)
            give_verdict(run, CHECK_OK);
        return;
    }
    snprintf(run->result->why, sizeof(run->result->why), "connection %u: %s after %zu of %zu bytes",
             c->number, err ? plx_error_text(err) : "closed without an end of stream", c->back,
             run->load->size);
    give_verdict(run, CHECK_FAILED);
}

static const struct plx_handler handler = {
    .name = "check",
    .state_size = sizeof(struct client),
    .on_open = on_open,
    .on_data = on_data,
    .on_drain = on_drain,
    .on_eof = on_eof,
    .on_close = on_close,
};

static void fail(struct run *run, const char *what, int err, const struct plx_why *why)
{
    snprintf(run->result->why, sizeof(run->result->why), "%s: %.120s", what,
             why && *why->reason ? why->reason : plx_error_text(err));
    give_verdict(run, CHECK_FAILED);
}

static int open_loop(struct run *run)
{
    /* A fixed, simple model for this side: whatever is wrong is then the server's doing. */
    const struct plx_model *epoll = plx_model_find("epoll");
    struct plx_loop_config config = {
        .model = epoll && plx_model_probe(epoll, NULL) == 0 ? "epoll" : "poll",
        /* Connections that wait for their turn are not an error: only the run as a whole is
         * watched for a stall. The marks are beyond what a window can queue. */
        .limits = {.high_water = 2 * WINDOW_MAX,
                   .idle_ns = PLX_OFF,
                   .write_ns = PLX_OFF,
                   .linger_ns = PLX_OFF,
                   .connect_ns = PLX_OFF},
    };
    struct plx_why why = {.reason = ""};
    int rc = plx_loop_open(&config, &run->loop, &why);
    if (rc == 0)
        rc = plx_timer_start(run->loop, LATE_LOOK, LATE_LOOK, look_at_late, run, NULL);
    if (rc < 0)
        fail(run, "the client's own loop", rc, &why);
    return rc;
}

static void start_clients(struct run *run)
{
    const struct check_load *load = run->load;
    size_t share = WINDOW_ALL / load->connections;
    run->window = share > WINDOW_MAX ? WINDOW_MAX : share < WINDOW_MIN ? WINDOW_MIN : share;
    for (unsigned i = 1; i <= load->connections && !run->over; i++) {
        uint64_t seed = load->seed + i;
        struct client c = {.run = run, .number = i, .random = random_next(&seed)};
        int rc = plx_connect(run->loop, &load->to, &handler, &c, NULL);
        if (rc < 0)
            fail(run, "cannot connect", rc, NULL);
    }
}

static void turn(struct run *run, int64_t *ticked)
{
    const struct check_load *load = run->load;
    int rc = plx_loop_turn(run->loop, TICK);
    if (run->over)
        return;
    int64_t now = plx_loop_now(run->loop);
    if (rc < 0 && rc != -EINTR) {
        fail(run, "the client's own loop", rc, NULL);
    } else if (load->interrupted && *load->interrupted) {
        snprintf(run->result->why, sizeof(run->result->why), "interrupted");
        give_verdict(run, CHECK_INTERRUPTED);
    } else if (now - run->moved > load->stall_ns) {
        snprintf(run->result->why, sizeof(run->result->why),
                 "nothing moved for %.3g s; %u of %u connections had ended",
                 (double)load->stall_ns / 1e9, run->ended, load->connections);
        give_verdict(run, CHECK_FAILED);
    } else if (load->tick && now - *ticked >= TICK) {
        *ticked = now;
        load->tick(load->arg, run->result->verified);
    }
}

static void run_clients(struct run *run)
{
    int64_t start = plx_loop_now(run->loop);
    int64_t ticked = start;
    run->moved = start;
    start_clients(run);
    while (!run->over)
        turn(run, &ticked);
    run->result->ns = plx_loop_now(run->loop) - start;
}

void check_client_run(const struct check_load *load, struct check_result *result)
{
    struct run run = {.load = load, .result = result};
    *result = (struct check_result){.verdict = CHECK_OK};
    if (load->connections == 0)
        return;
    run.nlate = (load->connections - 1) / LATE_EACH + 1;
    run.late = calloc(run.nlate, sizeof(struct plx_conn *));
    if (!run.late)
        fail(&run, "the client's own loop", -ENOMEM, NULL);
    else if (open_loop(&run) == 0)
        run_clients(&run);
    plx_loop_close(run.loop);
    free(run.late);
}
