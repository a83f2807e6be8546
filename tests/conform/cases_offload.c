/* SPDX-License-Identifier: MIT */
/*
 * Work handed to plx_offload(): its result comes back to the connection's own thread, in every
 * model and whatever happens to the connection or the server meanwhile, and exactly once.
 *
 * The handler takes each byte as a request:
 *   q  work that is quick        g  work that takes until the case opens the gate
 *   e  is answered at once       f  as many of g as are taken; value[FILLED] counts them
 *   a  g twice, then an abort    c  work that is quick, and in its done q
 *   p  g, with input paused until its done
 *   n  g, but with no answer
 * and answers with the byte, of work in its done; with b where no more work was taken.
 */
#include "conform.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* Where the values of the case are; `value` is shared by all processes. */
enum { GATE, ACCEPTED, BEGUN, DONE, DONE_NULL, FILLED, FOREIGN };

struct job {
    pthread_t thread; /* the connection's */
    char what;
};

static _Thread_local bool handing_over; /* the thread is in plx_offload() */

static long long value(int i)
{
    return atomic_load(&shared->value[i]);
}

static void work(void *arg)
{
    const struct job *job = arg;
    int64_t end = now() + 3 * PATIENCE; /* a failed case opens no gate */
    if (!pthread_equal(job->thread, pthread_self())) {
        atomic_fetch_add(&shared->value[FOREIGN], 1);
    }
    atomic_fetch_add(&shared->value[BEGUN], 1);
    while (strchr("gpn", job->what) && !value(GATE) && now() < end) {
        nap(MS(1));
    }
}

static int hand_over(struct plx_conn *c, char what);

static void done(struct plx_conn *c, void *arg)
{
    struct job job = *(struct job *)arg;
    free(arg);
    atomic_fetch_add(&shared->value[DONE], 1);
    if (!c) {
        atomic_fetch_add(&shared->value[DONE_NULL], 1);
        return;
    }
    if (handing_over) {
        broken("done runs before plx_offload() has returned");
    }
    if (!pthread_equal(job.thread, pthread_self())) {
        broken("done runs on another thread than its connection's");
    }
    if (job.what == 'c' && hand_over(c, 'q') < 0) {
        broken("plx_offload() in done failed");
    }
    if (job.what == 'c' || job.what == 'n') {
        return;
    }
    if (plx_send(c, &job.what, 1) < 0 && !plx_conn_ended(c)) {
        broken("plx_send() in done failed");
    }
    if (job.what == 'p') {
        plx_resume(c);
    }
}

static int hand_over(struct plx_conn *c, char what)
{
    struct job *job = malloc(sizeof(*job));
    *job = (struct job){.thread = pthread_self(), .what = what};
    handing_over = true;
    int rc = plx_offload(c, work, done, job);
    handing_over = false;
    if (rc < 0) {
        free(job);
    } else {
        atomic_fetch_add(&shared->value[ACCEPTED], 1);
    }
    return rc;
}

static int request(struct plx_conn *c, char what)
{
    int rc = 0;
    switch (what) {
    case 'e': return plx_send(c, "e", 1);
    case 'f':
        while (rc == 0 && value(FILLED) < 100) {
            rc = hand_over(c, 'g');
            atomic_fetch_add(&shared->value[FILLED], rc == 0);
        }
        return rc == -EAGAIN ? plx_send(c, "f", 1) : -EPROTO;
    case 'p': plx_pause(c); return hand_over(c, 'p');
    case 'a':
        if (hand_over(c, 'g') < 0 || hand_over(c, 'g') < 0) {
            broken("plx_offload() failed");
        }
        plx_abort(c, -EPROTO);
        if (plx_offload(c, work, done, NULL) != -EPIPE) {
            broken("plx_offload() after plx_abort(): expected -EPIPE");
        }
        return 0;
    default: rc = hand_over(c, what); return rc == -EAGAIN ? plx_send(c, "b", 1) : rc;
    }
}

ssize_t offload_data(struct plx_conn *c, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int rc = request(c, p[i]);
        if (rc < 0) {
            return rc;
        }
        if (p[i] == 'p') {
            return (ssize_t)i + 1;
        }
    }
    return (ssize_t)n;
}

/* ---- what the cases share ---- */

/* Threads of a pool work, and not the connection's own. */
static bool pooled(const struct test *t)
{
    return has(t, PLX_CAP_POST) && !has(t, PLX_CAP_STALL);
}

static void start(struct test *t, struct server_opts opts, struct server *s)
{
    opts.mode = MODE_OFFLOAD;
    server_start(t, &opts, s);
    if (pooled(t)) {
        s->base.threads += (int)opts.offload_threads; /* they stay to the server's end */
    }
}

static void check_dones(struct test *t)
{
    REQUIRE(t, !shared->broken, "contract: %s", shared->broken_what);
    EXPECT(t, "calls of done, one for each plx_offload()", value(ACCEPTED), value(DONE));
    EXPECT(t, "work on another thread", pooled(t) ? value(BEGUN) : 0, value(FOREIGN));
}

static void end(struct server *s)
{
    AWAIT(s->t, value(DONE) >= value(ACCEPTED), "done: expected %lld calls, got %lld",
          value(ACCEPTED), value(DONE));
    server_end(s);
    check_dones(s->t);
}

static void open_gate(void)
{
    atomic_store(&shared->value[GATE], 1);
}

static void await_begun(const struct test *t, int n)
{
    AWAIT(t, value(BEGUN) >= n, "work: expected %d begun, got %lld", n, value(BEGUN));
}

static void ended(struct server *s)
{
    server_exit(s);
    EXPECT(s->t, "calls of on_close, one for each on_open", shared->opens, shared->closes);
    check_dones(s->t);
}

/* ---- results ---- */

/* Whoever is served while another one's work takes its time. */
static void others_go_on(const struct server *s)
{
    const struct test *t = s->t;
    int dear = dial(s);
    put(t, dear, "g", 1);
    await_begun(t, 1);
    int cheap = dial(s);
    put(t, cheap, "e", 1);
    get_text(t, cheap, "e");
    put(t, cheap, "q", 1); /* the pool has a second thread */
    get_text(t, cheap, "q");
    REQUIRE(t, quiet(dear, MS(10)), "expected no answer yet from work that is not done");
    open_gate();
    get_text(t, dear, "g");
    hang_up(cheap);
    hang_up(dear);
}

static void offload_result(struct test *t)
{
    struct server s;
    start(t, (struct server_opts){.offload_threads = 2}, &s);
    if (has(t, PLX_CAP_CONCURRENT)) {
        others_go_on(&s);
    }
    int fd = dial(&s);
    put(t, fd, "q", 1);
    get_text(t, fd, "q");
    put(t, fd, "qqqqqqqq", 8);
    get_text(t, fd, "qqqqqqqq");
    put(t, fd, "c", 1);
    get_text(t, fd, "q");
    hang_up(fd);
    end(&s);
    EXPECT(t, "done without a connection", 0, value(DONE_NULL));
}

/* On the loop's own thread, plx_server_run(). */
static void offload_run(struct test *t)
{
    struct server s;
    start(t, (struct server_opts){.in_place = true, .offload_threads = 1}, &s);
    int fd = dial(&s);
    put(t, fd, "qqq", 3);
    get_text(t, fd, "qqq");
    put(t, fd, "g", 1);
    await_begun(t, 4);
    server_drain(&s);
    nap(MS(20));
    open_gate();
    get_text(t, fd, "g");
    expect_eof(t, fd, "drain");
    hang_up(fd);
    ended(&s);
}

static void offload_many(struct test *t)
{
    enum { N = 64 };
    int fd[N];
    struct server s;
    start(t,
          (struct server_opts){.offload_threads = 2,
                               .workers = 2,
                               .accept = has(t, PLX_CAP_SHARED) ? PLX_ACCEPT_SHARED
                                                                : PLX_ACCEPT_REUSEPORT},
          &s);
    for (int i = 0; i < N; i++) {
        fd[i] = dial(&s);
        put(t, fd[i], "qqqq", 4);
    }
    for (int i = 0; i < N; i++) { /* whoever waits for a thread gets one as others go */
        get_text(t, fd[i], "qqqq");
        hang_up(fd[i]);
    }
    end(&s);
    EXPECT(t, "work begun", N * 4, value(BEGUN));
    EXPECT(t, "done without a connection", 0, value(DONE_NULL));
}

static void offload_own_descriptors(struct test *t)
{
    struct server s;
    if (is(t, "posix-aio")) { /* refuses it, see workers_own_descriptors */
        return;
    }
    if (THREAD_SANITIZED) {
        note(t, "left out: ThreadSanitizer takes the same number in two tables for one descriptor");
        return;
    }
    start(t,
          (struct server_opts){.offload_threads = 2,
                               .workers = 2,
                               .own_descriptors = true,
                               .accept = PLX_ACCEPT_REUSEPORT},
          &s);
    for (int i = 0; i < 16; i++) {
        int fd = dial(&s);
        put(t, fd, "qq", 2);
        get_text(t, fd, "qq");
        hang_up(fd);
    }
    end(&s);
}

/* ---- limits ---- */

static void offload_full(struct test *t)
{
    enum { ROOM = 3 };
    struct server s;
    char all[ROOM + 2] = "";
    start(t, (struct server_opts){.offload_threads = 1, .offload_queue = ROOM}, &s);
    int fd = dial(&s);
    put(t, fd, "fq", 2);
    get_text(t, fd, "fb");
    /* A thread that is free takes one more. */
    REQUIRE(t, value(FILLED) == ROOM || value(FILLED) == ROOM + pooled(t),
            "a full queue: expected %d pieces of work taken, got %lld", ROOM, value(FILLED));
    open_gate();
    memset(all, 'g', (size_t)value(FILLED));
    get_text(t, fd, all);
    put(t, fd, "q", 1);
    get_text(t, fd, "q");
    hang_up(fd);
    end(&s);
}

/* Who waits for our work is not idle; from then on the limit counts as ever. */
static void offload_idle(struct test *t)
{
    struct server s;
    start(t, (struct server_opts){.offload_threads = 1, .limits = {.idle_ns = MS(300)}}, &s);
    int fd = dial(&s);
    put(t, fd, "g", 1);
    await_begun(t, 1);
    nap(MS(700));
    open_gate();
    get_text(t, fd, "g");
    AWAIT(t, shared->closes == 1, "idle limit: expected an end");
    EXPECT(t, "on_close: error", -ETIMEDOUT, shared->record[1].err);
    hang_up(fd);
    server_drain(&s);
    ended(&s);
}

/* ---- connections that end ---- */

/* The peer goes while the work runs. In place nobody notices before it is done. */
static void offload_gone(struct test *t)
{
    struct server s;
    start(t, (struct server_opts){.offload_threads = 1}, &s);
    int fd = dial(&s);
    put(t, fd, "ggg", 3);
    await_begun(t, 1);
    reset(fd);
    AWAIT(t, !pooled(t) || shared->closes == 1, "on_close: expected it while the work runs");
    open_gate();
    AWAIT(t, shared->closes == 1, "on_close: expected a call");
    end(&s);
    if (pooled(t)) {
        EXPECT(t, "done without a connection", 3, value(DONE_NULL));
        EXPECT(t, "work begun: none for a connection that has gone", 1, value(BEGUN));
    }
}

static void offload_abort(struct test *t)
{
    struct server s;
    start(t, (struct server_opts){.offload_threads = 1}, &s);
    int fd = dial(&s);
    put(t, fd, "a", 1);
    AWAIT(t, shared->closes == 1, "on_close: expected a call");
    open_gate();
    hang_up(fd);
    end(&s);
    EXPECT(t, "done without a connection", 2, value(DONE_NULL));
    EXPECT(t, "on_close: error", -EPROTO, shared->record[1].err);
}

/* The peer has said all it had to say; it still gets its answer, and then our end. */
static void half_closed(struct test *t, enum handler_kind kind)
{
    struct server s;
    start(t, (struct server_opts){.offload_threads = 1, .handler = kind}, &s);
    int fd = dial(&s);
    put(t, fd, "gg", 2);
    half_close(t, fd);
    await_begun(t, 1);
    REQUIRE(t, quiet(fd, MS(50)), "half-close: expected neither answer nor end yet");
    EXPECT(t, "calls of on_eof before done", 0, shared->record[1].eofs);
    open_gate();
    get_text(t, fd, "gg");
    expect_eof(t, fd, "half-close");
    hang_up(fd);
    end(&s);
    EXPECT(t, "calls of on_eof", kind == WITH_EOF, shared->record[1].eofs);
    EXPECT(t, "on_close: error", 0, shared->record[1].err);
}

static void offload_half_close(struct test *t)
{
    half_closed(t, PLAIN);
}

static void offload_half_close_on_eof(struct test *t)
{
    half_closed(t, WITH_EOF);
}

/* ---- servers that end ---- */

/* A drain waits for work, beyond the time for which it would wait for a peer. */
static void drain(struct test *t, const char *request, const char *answer)
{
    struct server s;
    start(t, (struct server_opts){.offload_threads = 1, .limits = {.linger_ns = MS(50)}}, &s);
    int fd = dial(&s);
    put(t, fd, request, strlen(request));
    await_begun(t, 1);
    server_drain(&s);
    REQUIRE(t, quiet(fd, MS(300)), "drain: expected neither answer nor end yet");
    open_gate();
    get_text(t, fd, answer);
    expect_eof(t, fd, "drain");
    hang_up(fd);
    ended(&s);
    EXPECT(t, "done without a connection", 0, value(DONE_NULL));
    EXPECT(t, "on_close: error", 0, shared->record[1].err);
}

static void offload_drain(struct test *t)
{
    drain(t, "gg", "gg");
}

static void offload_drain_silent(struct test *t)
{
    drain(t, "n", "");
}

/* What arrived while input was paused for the work is answered too, also when that took longer than
 * the drain would have waited for a peer. */
static void offload_drain_paused(struct test *t)
{
    struct server s;
    start(t, (struct server_opts){.offload_threads = 1, .limits = {.linger_ns = MS(50)}}, &s);
    int fd = dial(&s);
    put(t, fd, "p", 1);
    await_begun(t, 1);
    put(t, fd, "q", 1);
    server_drain(&s);
    nap(MS(200));
    put(t, fd, "pe", 2);
    open_gate();
    get_text(t, fd, "pq");
    get_text(t, fd, "pe");
    expect_eof(t, fd, "drain");
    hang_up(fd);
    ended(&s);
}

static bool refused(const struct server *s)
{
    int fd = dial_errno(&s->addr[0]);
    if (fd >= 0) {
        hang_up(fd);
    }
    return fd == -ECONNREFUSED;
}

/* A stop waits for what runs, and leaves out what waits. */
static void offload_stop(struct test *t)
{
    struct server s;
    size_t extra = 0;
    start(t, (struct server_opts){.offload_threads = 1}, &s);
    int fd = dial(&s);
    put(t, fd, "ggg", 3);
    await_begun(t, 1);
    server_drain(&s);
    AWAIT(t, refused(&s), "drain: expected a new connection to be refused");
    server_drain(&s); /* the second time: at once */
    REQUIRE(t, ending(fd, PATIENCE, &extra) != ENDING_OPEN, "stop: expected an end");
    EXPECT(t, "bytes before the end", 0, extra);
    open_gate();
    ended(&s);
    EXPECT(t, "work begun", 1, value(BEGUN));
    EXPECT(t, "done without a connection", pooled(t) ? 3 : 2, value(DONE_NULL));
    hang_up(fd);
}

const struct case_row cases_offload[] = {
    {.name = "offload_result", .run = offload_result},
    {.name = "offload_run", .run = offload_run, .needs = PLX_CAP_WATCH},
    {.name = "offload_many", .run = offload_many},
    {.name = "offload_own_descriptors", .run = offload_own_descriptors, .needs = PLX_CAP_POST},
    {.name = "offload_full", .run = offload_full},
    {.name = "offload_idle", .run = offload_idle},
    {.name = "offload_gone", .run = offload_gone},
    {.name = "offload_abort", .run = offload_abort},
    {.name = "offload_half_close", .run = offload_half_close},
    {.name = "offload_half_close_on_eof", .run = offload_half_close_on_eof},
    {.name = "offload_drain", .run = offload_drain},
    {.name = "offload_drain_silent", .run = offload_drain_silent},
    {.name = "offload_drain_paused", .run = offload_drain_paused},
    {.name = "offload_stop", .run = offload_stop},
    {0},
};
