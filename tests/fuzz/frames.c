/* SPDX-License-Identifier: MIT */
/*
 * A handler that needs whole messages, and what the core keeps for it between them. Input: 2 bytes
 * for the cuts, 1 for the marks of the queue, then the stream: frames of a length byte and as many
 * bytes. A frame is answered by its bytes in reverse; some lengths are orders instead. What is
 * answered must not depend on the cuts.
 */
#include "engine.h"

#include <errno.h>

#define PAUSE  0xff /* input waits until the timer (which chance is) goes on */
#define FINISH 0xfe /* answers, and ends politely */
#define HALF   0xfd /* nothing more is said, but all is still read */
#define ABORT  0xfc
#define REFUSE 0xfb /* on_data drops the peer */
#define ORDERS 0xfb /* from here on */

#define INPUT_CAP 300 /* a frame and some */

/* Of now; a connection's own state would do, but is gone before it can be looked at. */
static struct {
    size_t shown; /* frames */
    bool eof;
} seen;

static ssize_t obey(struct plx_conn *c, uint8_t order)
{
    static const char last[] = "last words";
    switch (order) {
    case PAUSE: plx_pause(c); break;
    case FINISH:
        (void)plx_send(c, last, sizeof(last));
        plx_finish(c);
        break;
    case HALF: plx_half_close(c); break;
    case ABORT: plx_abort(c, -ECANCELED); break;
    default: return -EPROTO;
    }
    return 1;
}

static int answer(struct plx_conn *c, const uint8_t *p, size_t n)
{
    uint8_t text[256];
    for (size_t i = 0; i < n; i++)
        text[i] = p[n - 1 - i];
    /* Of two sends the second one repeats the input, which is lent. */
    int rc = plx_send(c, text, n);
    if (rc >= 0 || rc == -EPIPE)
        rc = plx_send(c, p, n);
    return rc == -EPIPE ? 0 : rc;
}

static ssize_t on_data(struct plx_conn *c, const void *p, size_t n)
{
    const uint8_t *from = p;
    size_t len = from[0];
    CHECK(c->phase == PLX__OPEN && n > 0);
    if (len >= ORDERS) {
        seen.shown++;
        return obey(c, from[0]);
    }
    if (n < 1 + len)
        return 0;
    seen.shown++;
    int rc = answer(c, from + 1, len);
    return rc < 0 ? rc : (ssize_t)(1 + len);
}

static void on_eof(struct plx_conn *c)
{
    CHECK(!seen.eof);
    seen.eof = true;
    plx_send(c, "end", 3);
    plx_finish(c);
}

static const struct plx_handler handler = {
    .name = "frames", .on_data = on_data, .on_eof = on_eof, .on_close = engine_closed};

/* ---- what must come out ---- */

struct outcome {
    uint8_t *out;
    size_t n, shown;
    int err;
    bool eof;
};

static void put(struct outcome *o, const void *p, size_t n)
{
    memcpy(o->out + o->n, p, n);
    o->n += n;
}

/* `out` has room for twice the stream and some words. */
static void expect(const uint8_t *p, size_t n, struct outcome *o)
{
    bool half = false;
    for (size_t at = 0; at < n; o->shown++) {
        size_t len = p[at++];
        if (len == FINISH || len == ABORT || len == REFUSE) {
            o->shown++;
            o->err = len == ABORT ? -ECANCELED : len == REFUSE ? -EPROTO : 0;
            if (len == FINISH && !half)
                put(o, "last words", 11);
            return;
        }
        half = half || len == HALF;
        if (len >= ORDERS)
            continue;
        if (len > n - at)
            break;
        for (size_t i = len; i-- > 0 && !half;)
            put(o, &p[at + i], 1);
        if (!half)
            put(o, p + at, len);
        at += len;
    }
    o->eof = true;
    if (!half)
        put(o, "end", 3);
}

static void run_once(struct drive *d, const struct outcome *want)
{
    memset(&seen, 0, sizeof(seen));
    engine_drive(d);
    CHECK(d->err == want->err);
    CHECK(seen.shown == want->shown && seen.eof == want->eof);
    /* An end that is not polite may drop what was queued. */
    CHECK(d->err != 0 ? d->nout <= want->n : d->nout == want->n);
    CHECK(d->nout == 0 || memcmp(d->out, want->out, d->nout) == 0);
    free(d->out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    struct dice dice = {(uint32_t)take_number(&in, 2) | 0x10000};
    uint8_t marks = take_byte(&in);
    struct outcome want = {.out = fuzz_alloc(2 * in.left + 64)};
    struct drive cut = {.handler = &handler,
                        .in = in.at,
                        .n = in.left,
                        .dice = &dice,
                        .resumes = true,
                        .limits = {.high_water = 1 + (size_t)(marks >> 4) * 64,
                                   .low_water = (size_t)(marks >> 4) * 4 * (marks & 15),
                                   .queue_cap = (size_t)1 << 30,
                                   .input_cap = INPUT_CAP,
                                   .idle_ns = PLX_OFF,
                                   .write_ns = PLX_OFF,
                                   .linger_ns = PLX_OFF,
                                   .connect_ns = PLX_OFF}};
    struct drive whole = cut;
    whole.dice = NULL;
    expect(in.at, in.left, &want);
    run_once(&cut, &want);
    run_once(&whole, &want);
    free(want.out);
    return 0;
}
