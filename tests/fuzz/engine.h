/* SPDX-License-Identifier: MIT */
/*
 * An engine without sockets, for the targets that drive a handler: it hands out a stream in pieces,
 * takes the output in parts, and does what a connection wants in an order that chance decides, as
 * far as the contract between engine and core allows (core.h).
 */
#ifndef POLLUX_TEST_ENGINE_H
#define POLLUX_TEST_ENGINE_H

#include "fuzz.h"

#include "core/flow.h"

#include <errno.h>

struct drive {
    const struct plx_handler *handler;
    const uint8_t *in;
    size_t n;
    struct dice *dice; /* how it is cut; NULL = in one piece, and all output taken at once */
    size_t most;       /* output after which the peer breaks the connection; 0 = never */
    struct plx_limits limits;
    bool loud;    /* log every received piece */
    bool resumes; /* a handler that has paused is resumed some time */

    /* What came of it. `out` is to be freed. */
    uint8_t *out;
    size_t nout, room;
    size_t took; /* input that was handed out */
    int closed;  /* on_close was called so often */
    int err;
};

/* The run of now: the handler's own callbacks find it here. */
static struct drive *driven;

static void engine_log(void *arg, enum plx_level level, const char *text)
{
    (void)arg;
    (void)level;
    CHECK(is_line(text));
}

static struct plx_loop *engine_loop(const struct drive *d)
{
    static struct plx_loop *loop;
    struct plx_loop_config config = {.model = "poll"};
    if (loop == NULL)
        CHECK(plx_loop_open(&config, &loop, NULL) == 0);
    loop->limits = d->limits;
    loop->log = (struct plx_log){.level = PLX_LOG_DEBUG, .fn = d->loud ? engine_log : NULL};
    return loop;
}

/* ---- its work ---- */

static bool by_chance(const struct drive *d)
{
    return d->dice == NULL || below(d->dice, 2) == 0;
}

/* 1 to n. Often little, so that small streams are cut often too. */
static size_t some_of(const struct drive *d, size_t n)
{
    if (d->dice == NULL)
        return n;
    if (n > 8 && below(d->dice, 2) == 0)
        n = 8;
    return 1 + below(d->dice, n);
}

static void engine_write(struct drive *d, struct plx_conn *c)
{
    struct iovec iov[4];
    int pieces = plx__conn_outgoing(c, iov, d->dice == NULL ? 4 : 1 + (int)below(d->dice, 4));
    size_t all = 0;
    CHECK(pieces > 0);
    for (int i = 0; i < pieces; i++) {
        CHECK(iov[i].iov_len > 0);
        all += iov[i].iov_len;
    }
    CHECK(all <= plx_conn_queued(c));
    size_t n = some_of(d, all), left = n;
    for (int i = 0; left > 0; i++) {
        size_t part = iov[i].iov_len < left ? iov[i].iov_len : left;
        if (d->nout + part > d->room) {
            d->room = 2 * (d->nout + part);
            d->out = realloc(d->out, d->room);
            CHECK(d->out != NULL);
        }
        memcpy(d->out + d->nout, iov[i].iov_base, part);
        d->nout += part;
        left -= part;
    }
    plx__conn_sent(c, (ssize_t)n);
}

static void engine_read(struct drive *d, struct plx_conn *c)
{
    if (d->took == d->n) {
        plx__conn_received(c, NULL, 0);
        return;
    }
    size_t n = some_of(d, d->n - d->took);
    uint8_t *piece = fuzz_alloc(n); /* just as large, and gone afterwards */
    memcpy(piece, d->in + d->took, n);
    d->took += n;
    plx__conn_received(c, piece, (ssize_t)n);
    /* What repeats the input may be written before it is copied. */
    while ((plx__conn_want(c) & PLX__WANT_WRITE) && by_chance(d))
        engine_write(d, c);
    plx__conn_release(c);
    memset(piece, 0xdd, n);
    free(piece);
}

/* What a loop does at the end of a turn, for its one connection. */
static void engine_pump(struct plx_conn *c)
{
    struct plx_conn *list = plx__loop_take_dirty(c->loop);
    CHECK(list == NULL || (list == c && c->next == NULL));
    if (list != NULL) {
        c->flags = (uint16_t)(c->flags & ~PLX__F_DIRTY);
        plx__conn_pump(c);
    }
}

/* Does one thing that the connection wants. */
static void engine_step(struct drive *d, struct plx_conn *c)
{
    unsigned want = plx__conn_want(c);
    bool wrote = (want & PLX__WANT_WRITE) && by_chance(d);
    if (d->most > 0 && d->nout >= d->most)
        plx__conn_received(c, NULL, -ECONNRESET);
    else if (wrote)
        engine_write(d, c);
    else if (want & PLX__WANT_READ)
        engine_read(d, c);
    else if (want & PLX__WANT_WRITE)
        engine_write(d, c);
    else if (want & PLX__WANT_FIN)
        plx__conn_fin_sent(c);
    if (d->resumes && (c->flags & PLX__F_PAUSED) && by_chance(d))
        plx_resume(c);
    if (by_chance(d))
        engine_pump(c);
}

/* Runs a connection from its beginning to its end. */
static void engine_drive(struct drive *d)
{
    /* The descriptor is none: there is nothing but close(2) that the core does with it. */
    struct plx__socket s = {.fd = -1, .handler = d->handler, .number = 7};
    struct plx_loop *loop = engine_loop(d);
    struct plx_conn *c = plx__conn_new(loop, &s);
    CHECK(c != NULL);
    driven = d;
    plx__conn_opened(c);
    /* Each step moves a byte or more, or comes once, or was left to chance. */
    for (size_t steps = 0; !(plx__conn_want(c) & PLX__WANT_RETIRE); steps++) {
        CHECK(steps < 1000 + 64 * (d->n + d->nout));
        engine_step(d, c);
        if (plx__conn_want(c) == 0)
            engine_pump(c);
    }
    plx__conn_retire(c);
    plx__loop_tidy(loop);
    CHECK(d->closed == 1 && loop->nconn == 0);
    driven = NULL;
}

/* An on_close that notes how it ended. */
static void engine_closed(struct plx_conn *c, int err)
{
    (void)c;
    driven->closed++;
    driven->err = err;
}

#endif
