/* SPDX-License-Identifier: MIT */
/* Work handed to the pool, without an engine: what waits for it, what it costs, what is refused,
 * and loops of one group that end while the others go on. */
#include "conn_util.h"

static atomic_int begun, gate;
static int dones, nulls;
static int (*in_done)(struct plx_conn *);

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = PLX_MSEC}, NULL);
}

/* Takes until the gate is open. */
static void work(void *arg)
{
    (void)arg;
    atomic_fetch_add(&begun, 1);
    while (!atomic_load(&gate))
        nap();
}

static void done(struct plx_conn *c, void *arg)
{
    (void)arg;
    dones++;
    nulls += c == NULL;
    if (c && in_done)
        assert_int_equal(in_done(c), 0);
}

static int offload(struct plx_conn *c)
{
    return plx_offload(c, work, done, NULL);
}

static void await_done(struct plx_loop *l, int n)
{
    for (int i = 0; i < 10000 && dones < n; i++) {
        nap();
        plx__loop_chores(l);
    }
    assert_int_equal(dones, n);
}

static void await_begun(int n)
{
    for (int i = 0; i < 10000 && atomic_load(&begun) < n; i++)
        nap();
    assert_int_equal(atomic_load(&begun), n);
}

static int setup_offload(void **state)
{
    atomic_store(&begun, 0);
    atomic_store(&gate, 0);
    dones = nulls = 0;
    in_done = NULL;
    return setup(state);
}

static int teardown_offload(void **state)
{
    atomic_store(&gate, 1); /* what a failed test has left ends */
    plx__seam_set(NULL);
    return teardown(state);
}

/* ---- what is refused ---- */

static void test_config(void **state)
{
    (void)state;
    struct plx_loop *l;
    struct plx_why why = {"", ""};
    struct plx_loop_config cfg = {.model = "poll", .offload_threads = 1025};
    assert_int_equal(plx_loop_open(&cfg, &l, &why), -EINVAL);
    assert_non_null(strstr(why.reason, "offload"));
    cfg = (struct plx_loop_config){.model = "poll", .offload_queue = 1000001};
    assert_int_equal(plx_loop_open(&cfg, &l, &why), -EINVAL);
    cfg = (struct plx_loop_config){
        .model = "poll", .offload_threads = 1024, .offload_queue = 1000000};
    assert_int_equal(plx_loop_open(&cfg, &l, &why), 0);
    plx_loop_close(l);
}

static void test_refused(void **state)
{
    struct plx_conn *c = opened(*state);
    assert_int_equal(plx_offload(c, NULL, done, NULL), -EINVAL);
    assert_int_equal(plx_offload(c, work, NULL, NULL), -EINVAL);
    plx_half_close(c);
    assert_int_equal(offload(c), 0); /* input goes on, and what it asks for */
    plx_finish(c);
    assert_int_equal(offload(c), -EPIPE);
    atomic_store(&gate, 1);
    await_done((*(struct fixture **)state)->loop, 1);
    assert_int_equal(nulls, 0); /* finished, and not yet ended */
    plx_abort(c, 0);
    assert_int_equal(offload(c), -EPIPE);
    assert_int_equal(dones, 1);
}

/* ---- what it costs, and what is not to be had ---- */

static int allocations, refuse_memory, refuse_threads;

static void *count_malloc(size_t n)
{
    allocations++;
    return refuse_memory ? NULL : malloc(n);
}

static void *count_calloc(size_t n, size_t size)
{
    allocations++;
    return refuse_memory ? NULL : calloc(n, size);
}

static int refuse_thread(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
                         void *arg)
{
    return refuse_threads ? EAGAIN : pthread_create(thread, attr, fn, arg);
}

static void look_on(void)
{
    static struct plx__sys table;
    table = plx__system;
    table.malloc = count_malloc;
    table.calloc = count_calloc;
    table.pthread_create = refuse_thread;
    allocations = refuse_memory = refuse_threads = 0;
    plx__seam_set(&table);
}

static void test_allocates_once(void **state)
{
    struct fixture *f = *state;
    struct plx_conn *c = opened(f);
    atomic_store(&gate, 1);
    assert_int_equal(offload(c), 0);
    assert_int_equal(offload(c), 0);
    await_done(f->loop, 2);
    look_on();
    for (int i = 1; i <= 20; i++) {
        assert_int_equal(offload(c), 0);
        assert_int_equal(offload(c), 0);
        await_done(f->loop, 2 + 2 * i);
    }
    assert_int_equal(allocations, 0);
}

static void test_shortage(void **state)
{
    struct fixture *f = *state;
    struct plx_conn *c = opened(f);
    look_on();
    refuse_memory = 1;
    assert_int_equal(offload(c), -ENOMEM);
    assert_null(c->jobs);
    refuse_memory = 0;
    refuse_threads = 1;
    assert_int_equal(offload(c), -EAGAIN);
    assert_null(c->jobs);
    refuse_threads = 0;
    assert_int_equal(offload(c), 0);
    await_begun(1);
    refuse_threads = 1; /* the one there is does it all */
    assert_int_equal(offload(c), 0);
    atomic_store(&gate, 1);
    await_done(f->loop, 2);
}

/* ---- what waits for it ---- */

static void test_eof_waits(void **state)
{
    struct fixture *f = *state;
    struct plx_conn *c = opened(f);
    assert_int_equal(offload(c), 0);
    assert_int_equal(offload(c), 0);
    receive(c, "last");
    plx__conn_received(c, NULL, 0);
    plx__conn_pump(c);
    expect_trace(f, "[last]");
    expect_want(c, 0);
    atomic_store(&gate, 1);
    await_done(f->loop, 2);
    plx__conn_pump(c);
    expect_trace(f, "[last]E");
}

static void eof_offloads(struct plx_conn *c)
{
    assert_int_equal(offload(c), 0);
}

static int answer(struct plx_conn *c)
{
    return plx_send(c, "!", 1);
}

/* The server drains: work that on_eof hands over is the last, and its answer still goes out. */
static void test_drain_waits(void **state)
{
    struct fixture *f = *state;
    struct plx_conn *c = opened(f);
    f->eof = eof_offloads;
    in_done = answer;
    c->flags |= PLX__F_DRAINING;
    assert_int_equal(offload(c), 0);
    plx__conn_quiet(c);
    expect_trace(f, "");
    atomic_store(&gate, 1);
    await_done(f->loop, 1);
    plx__conn_quiet(c);
    expect_trace(f, "E");
    expect_want(c, READ | WRITE);
    await_done(f->loop, 2);
    assert_int_equal(c->out_bytes, 2);
    plx__conn_quiet(c);
    assert_int_equal(c->phase, PLX__FINISHING);
    expect_trace(f, "E");
}

/* In a drain input is read until it pauses, at most for the linger time; that begins anew. */
static void test_drain_begins_anew(void **state)
{
    struct fixture *f = *state;
    struct plx_conn *c = opened(f);
    c->flags |= PLX__F_DRAINING;
    f->loop->drain_since = f->loop->now - 100 * PLX_SECOND;
    f->loop->now_ms += 200000;
    assert_int_equal(offload(c), 0);
    assert_int_equal(plx__conn_judge(c), INT64_MAX);
    atomic_store(&gate, 1);
    await_done(f->loop, 1);
    assert_in_range(plx__conn_judge(c) - f->loop->now, 29 * PLX_SECOND, 31 * PLX_SECOND);
    assert_int_equal(c->phase, PLX__OPEN);
    f->loop->now_ms += 31000;
    (void)plx__conn_judge(c);
    assert_int_equal(c->phase, PLX__FINISHING);
}

/* The idle limit stands still meanwhile, and begins anew afterwards. */
static void test_idle_limit(void **state)
{
    struct fixture *f = *state;
    struct plx_conn *c = opened(f);
    assert_int_equal(offload(c), 0);
    f->loop->now_ms += 200000;
    assert_int_equal(plx__conn_judge(c), INT64_MAX);
    atomic_store(&gate, 1);
    await_done(f->loop, 1);
    assert_true(plx__conn_judge(c) < INT64_MAX);
    assert_int_equal(c->phase, PLX__OPEN);
    assert_true(f->loop->sweep_at < INT64_MAX);
}

/* ---- ends ---- */

static void test_connection_ends(void **state)
{
    struct fixture *f = *state;
    struct plx_conn *c = opened(f);
    assert_int_equal(offload(c), 0);
    await_begun(1);
    plx_abort(c, -EPROTO);
    plx__conn_retire(c);
    expect_trace(f, "C(EPROTO)");
    assert_int_equal(dones, 0);
    atomic_store(&gate, 1);
    await_done(f->loop, 1);
    assert_int_equal(nulls, 1);
}

static int abort_it(struct plx_conn *c)
{
    plx_abort(c, -EIO);
    return 0;
}

/* The first done ends it; the second comes in the same breath. */
static void test_done_ends_it(void **state)
{
    struct fixture *f = *state;
    struct plx_conn *c = opened(f);
    assert_int_equal(offload(c), 0);
    assert_int_equal(offload(c), 0);
    in_done = abort_it;
    atomic_store(&gate, 1);
    await_done(f->loop, 2);
    assert_int_equal(nulls, 1);
}

/* A loop takes back what is its own: it neither waits for others' work nor loses them theirs. */
static void test_one_loop_of_two(void **state)
{
    struct fixture *f = *state;
    struct plx_loop_config cfg = {.model = "poll"};
    struct plx_loop *other;
    int fds[2];
    f->loop->offload_threads = 1;
    assert_int_equal(plx_loop_open(&cfg, &other, NULL), 0);
    other->group = f->loop->group;
    pair(fds);
    struct plx__socket s = {.fd = fds[0], .handler = &f->handler, .number = 8};
    struct plx_conn *far = plx__conn_new(other, &s);
    struct plx_conn *c = opened(f);
    assert_int_equal(offload(c), 0);
    await_begun(1);
    assert_int_equal(offload(far), 0);
    assert_int_equal(offload(c), 0);
    assert_int_equal(offload(far), 0);
    assert_ptr_equal(c->loop->jobs.pool, other->jobs.pool);
    plx_loop_close(other); /* the gate is still shut */
    assert_int_equal(nulls, 2);
    assert_int_equal(offload(c), 0);
    atomic_store(&gate, 1);
    await_done(f->loop, 5);
    assert_int_equal(nulls, 2);
    assert_int_equal(atomic_load(&begun), 3);
    close(fds[1]);
}

static void *open_gate_later(void *arg)
{
    for (int i = 0; i < 20; i++)
        nap();
    atomic_store(&gate, 1);
    return arg;
}

/* The loop's end waits for what runs. */
static void test_loop_ends(void **state)
{
    struct fixture *f = *state;
    struct plx_conn *c = opened(f);
    pthread_t thread;
    f->loop->offload_threads = 2;
    for (int i = 0; i < 5; i++)
        assert_int_equal(offload(c), 0);
    await_begun(2);
    assert_int_equal(pthread_create(&thread, NULL, open_gate_later, NULL), 0);
    plx__loop_end(f->loop);
    assert_int_equal(atomic_load(&gate), 1);
    assert_int_equal(dones, 5);
    assert_int_equal(nulls, 5);
    assert_int_equal(atomic_load(&begun), 2);
    pthread_join(thread, NULL);
}

#define OFFLOAD_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup_offload, teardown_offload)

int main(void)
{
    const struct CMUnitTest tests[] = {
        OFFLOAD_TEST(test_config),
        OFFLOAD_TEST(test_refused),
        OFFLOAD_TEST(test_allocates_once),
        OFFLOAD_TEST(test_shortage),
        OFFLOAD_TEST(test_eof_waits),
        OFFLOAD_TEST(test_drain_waits),
        OFFLOAD_TEST(test_drain_begins_anew),
        OFFLOAD_TEST(test_idle_limit),
        OFFLOAD_TEST(test_connection_ends),
        OFFLOAD_TEST(test_done_ends_it),
        OFFLOAD_TEST(test_one_loop_of_two),
        OFFLOAD_TEST(test_loop_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
