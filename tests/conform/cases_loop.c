/* SPDX-License-Identifier: MIT */
/* A loop beside its connections: posted work, watched descriptors, time; and refusing clearly
 * what the model cannot do. */
#include "conform.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

static void post(struct test *t)
{
    struct server s;
    server_start(t, &(struct server_opts){.mode = MODE_POST, .hook = scenario_post_again}, &s);
    int fd = dial(&s);
    get_text(t, fd, "posted\n");
    EXPECT(t, "plx_conn_post() from the handler", 0, shared->value[0]);
    for (int i = 0; i < 20; i++) {
        EXPECT(t, "plx_conn_post() from another thread", 0, server_hook(&s));
        get_text(t, fd, "posted\n");
    }
    EXPECT(t, "calls with the connection", 21, shared->value[1]);
    hang_up(fd);
    closed_record(t, 1);
    /* Its name outlives it, and leads to nobody, not to who has its place now. */
    set_mode(MODE_ECHO);
    fd = dial(&s);
    echo_once(t, fd, 1);
    EXPECT(t, "plx_conn_post() to a connection that has ended", 0, server_hook(&s));
    AWAIT(t, shared->value[2] == 1, "expected a call without a connection, got none");
    EXPECT(t, "calls with the connection", 21, shared->value[1]);
    REQUIRE(t, quiet(fd, 0), "the connection in its place: expected silence");
    hang_up(fd);
    server_end(&s);
}

static void post_refused(struct test *t)
{
    struct server s;
    server_start(t, &(struct server_opts){.mode = MODE_POST}, &s);
    int fd = dial(&s);
    echo_once(t, fd, 1);
    EXPECT(t, "plx_conn_post()", -EOPNOTSUPP, shared->value[0]);
    hang_up(fd);
    server_end(&s);
}

static void handler_watch(struct test *t)
{
    struct server s;
    REQUIRE(t, pipe(watched_pipe) == 0, "pipe: %s", plx_error_name(errno));
    server_start(t, &(struct server_opts){.mode = MODE_WATCH}, &s);
    int fd = dial(&s);
    echo_once(t, fd, 1);
    EXPECT(t, "plx_watch_start()", 0, shared->value[0]);
    for (int i = 0; i < 10; i++) {
        REQUIRE(t, write(watched_pipe[1], "news\n", 5) == 5, "write");
        get_text(t, fd, "news\n");
    }
    echo_once(t, fd, 2);
    REQUIRE(t, write(watched_pipe[1], "q\n", 2) == 2, "write");
    get_text(t, fd, "q\n");
    REQUIRE(t, write(watched_pipe[1], "more\n", 5) == 5, "write");
    REQUIRE(t, quiet(fd, MS(50)), "a stopped watch: expected silence");
    /* The next one finds the pipe readable at once: level-triggered. */
    hang_up(fd);
    closed_record(t, 1);
    fd = dial(&s);
    get_text(t, fd, "more\n");
    hang_up(fd);
    closed_record(t, 2);
    server_end(&s);
}

/* A loop of one connection, as the thread models have, waits for nothing else. */
static void handler_watch_refused(struct test *t)
{
    struct server s;
    REQUIRE(t, pipe(watched_pipe) == 0, "pipe: %s", plx_error_name(errno));
    server_start(t, &(struct server_opts){.mode = MODE_WATCH}, &s);
    int fd = dial(&s);
    echo_once(t, fd, 1);
    EXPECT(t, "plx_watch_start()", -EOPNOTSUPP, shared->value[0]);
    hang_up(fd);
    server_end(&s);
}

static struct plx_loop *open_loop(struct test *t)
{
    struct plx_loop *loop;
    struct plx_why why = {0};
    int rc = plx_loop_open(&(struct plx_loop_config){.model = t->model->name}, &loop, &why);
    REQUIRE(t, rc == 0, "plx_loop_open: expected 0, got %s (%s)", plx_error_name(rc), why.reason);
    return loop;
}

/* ---- watched descriptors ---- */

static void on_pipe(int fd, unsigned events, void *arg)
{
    int *calls = arg;
    char c = 0;
    if (!(events & PLX_READ) || read(fd, &c, 1) != 1) {
        broken("a watch: expected a readable pipe");
    }
    ++*calls;
}

static void turn_until(struct test *t, struct plx_loop *loop, const int *calls, int goal)
{
    for (int64_t end = now() + PATIENCE; *calls < goal;) {
        REQUIRE(t, now() < end, "watch: expected %d calls, got %d", goal, *calls);
        REQUIRE(t, plx_loop_turn(loop, MS(100)) >= 0, "plx_loop_turn()");
    }
}

static void watch_child(struct test *t)
{
    int calls = 0;
    int p[2];
    struct plx_watch *w;
    struct plx_loop *loop = open_loop(t);
    REQUIRE(t, pipe(p) == 0, "pipe: %s", plx_error_name(errno));
    EXPECT(t, "plx_watch_start()", 0, plx_watch_start(loop, p[0], PLX_READ, on_pipe, &calls, &w));
    EXPECT(t, "plx_watch_start() again", -EEXIST,
           plx_watch_start(loop, p[0], PLX_READ, on_pipe, &calls, NULL));
    EXPECT(t, "plx_watch_start() for nothing", -EINVAL,
           plx_watch_start(loop, p[1], 0, on_pipe, &calls, NULL));
    /* One byte per call: level-triggered means that the others are reported again. */
    REQUIRE(t, write(p[1], "abc", 3) == 3, "write");
    turn_until(t, loop, &calls, 3);
    EXPECT(t, "plx_watch_modify() to pause", 0, plx_watch_modify(w, 0));
    REQUIRE(t, write(p[1], "de", 2) == 2, "write");
    for (int i = 0; i < 5; i++) {
        plx_loop_turn(loop, MS(5));
    }
    EXPECT(t, "calls while paused", 3, calls);
    EXPECT(t, "plx_watch_modify() to go on", 0, plx_watch_modify(w, PLX_READ));
    turn_until(t, loop, &calls, 5);
    plx_watch_stop(w);
    REQUIRE(t, write(p[1], "f", 1) == 1, "write");
    for (int i = 0; i < 5; i++) {
        plx_loop_turn(loop, MS(5));
    }
    EXPECT(t, "calls of a stopped watch", 5, calls);
    EXPECT(t, "plx_watch_start() after the stop", 0,
           plx_watch_start(loop, p[0], PLX_READ, on_pipe, &calls, NULL));
    turn_until(t, loop, &calls, 6);
    plx_loop_close(loop);
    close(p[0]);
    close(p[1]);
}

static void watch(struct test *t)
{
    in_child(t, watch_child);
    REQUIRE(t, !shared->broken, "contract: %s", shared->broken_what);
}

static void watch_refused_child(struct test *t)
{
    struct plx_loop *loop = open_loop(t);
    int calls = 0;
    EXPECT(t, "plx_watch_start()", -EOPNOTSUPP,
           plx_watch_start(loop, 0, PLX_READ, on_pipe, &calls, NULL));
    plx_loop_close(loop);
}

static void watch_refused(struct test *t)
{
    in_child(t, watch_refused_child);
}

/* ---- posted work ---- */

enum { POSTS = 500 };
struct posts {
    struct test *t;
    struct plx_loop *loop;
    int next;
};
struct posted {
    struct posts *all;
    int number;
};

static void on_post(void *arg)
{
    struct posted *p = arg;
    EXPECT(p->all->t, "order of posted functions", p->all->next, p->number);
    if (++p->all->next == POSTS) {
        plx_loop_stop(p->all->loop);
    }
}

static struct posted all_posts[POSTS];

static void *post_all(void *arg)
{
    struct posts *all = arg;
    nap(MS(20)); /* so that the loop is waiting already */
    for (int i = 0; i < POSTS; i++) {
        all_posts[i] = (struct posted){all, i};
        EXPECT(all->t, "plx_loop_post()", 0, plx_loop_post(all->loop, on_post, &all_posts[i]));
    }
    return NULL;
}

static void loop_post_child(struct test *t)
{
    struct posts all = {.t = t, .loop = open_loop(t)};
    pthread_t thread;
    REQUIRE(t, pthread_create(&thread, NULL, post_all, &all) == 0, "pthread_create");
    EXPECT(t, "plx_loop_run()", 0, plx_loop_run(all.loop));
    EXPECT(t, "posted functions run", POSTS, all.next);
    pthread_join(thread, NULL);
    plx_loop_close(all.loop);
}

static void loop_post(struct test *t)
{
    in_child(t, loop_post_child);
}

/* ---- time ---- */

struct ticks {
    struct test *t;
    struct plx_timer *timer;
    int64_t start;
    int n, order;
};

static void on_periodic(void *arg)
{
    struct ticks *k = arg;
    k->n++;
    REQUIRE(k->t, now() - k->start >= k->n * MS(20), "call %d: early, after %lld us", k->n,
            (long long)((now() - k->start) / 1000));
}

static void on_first(void *arg)
{
    struct ticks *k = arg;
    EXPECT(k->t, "order of timers", 0, k->order);
    k->order++;
}

static void on_second(void *arg)
{
    struct ticks *k = arg;
    EXPECT(k->t, "order of timers", 1, k->order);
    k->order++;
}

static void on_never(void *arg)
{
    struct ticks *k = arg;
    FAIL(k->t, "a timer that was stopped: expected no call, got one");
}

static void loop_time_child(struct test *t)
{
    struct ticks k = {.t = t};
    struct plx_timer *never;
    struct plx_loop *loop = open_loop(t);
    /* With nothing to wait for, a turn waits as long as it was told. */
    int64_t start = now();
    EXPECT(t, "an empty turn", 0, plx_loop_turn(loop, MS(30)));
    /* Busy polling calls that a turn: it may do less than it was allowed to. */
    REQUIRE(t, spins(t) || now() - start >= MS(30) - 1000,
            "an empty turn of 30 ms: early, after %lld us", (long long)((now() - start) / 1000));
    EXPECT(t, "an empty turn that does not wait", 0, plx_loop_turn(loop, 0));
    k.start = now();
    EXPECT(t, "plx_timer_start()", 0, plx_timer_start(loop, MS(40), 0, on_second, &k, NULL));
    EXPECT(t, "plx_timer_start()", 0, plx_timer_start(loop, MS(20), 0, on_first, &k, NULL));
    EXPECT(t, "plx_timer_start()", 0, plx_timer_start(loop, MS(30), 0, on_never, &k, &never));
    EXPECT(t, "plx_timer_start()", 0,
           plx_timer_start(loop, MS(20), MS(20), on_periodic, &k, &k.timer));
    EXPECT(t, "a timer in the past", -EINVAL, plx_timer_start(loop, -1, 0, on_never, &k, NULL));
    plx_timer_stop(never);
    for (int64_t end = now() + PATIENCE; k.n < 5 || k.order < 2;) {
        REQUIRE(t, now() < end, "timers: expected 5 and 2 calls, got %d and %d", k.n, k.order);
        REQUIRE(t, plx_loop_turn(loop, MS(1000)) >= 0, "plx_loop_turn()");
    }
    plx_timer_stop(k.timer);
    plx_loop_close(loop);
}

static void loop_time(struct test *t)
{
    in_child(t, loop_time_child);
}

static void loop_config_child(struct test *t)
{
    static const struct {
        struct plx_loop_config config;
        int rc;
    } rows[] = {
        {{.model = "no such model"}, -ENOENT},
        {{.model = NULL, .pool_size = 5000}, -EINVAL},
        {{.model = NULL, .pool_queue = 2000000}, -EINVAL},
        {{.model = NULL, .limits.write_ns = -2}, -EINVAL},
    };
    struct plx_loop *loop;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct plx_why why = {0};
        struct plx_loop_config config = rows[i].config;
        if (!config.model) {
            config.model = t->model->name;
        }
        int rc = plx_loop_open(&config, &loop, &why);
        REQUIRE(t, rc == rows[i].rc && why.reason[0],
                "row %zu: expected %s with a reason, got %s (%s)", i, plx_error_name(rows[i].rc),
                plx_error_name(rc), why.reason);
    }
    loop = open_loop(t);
    REQUIRE(t, strcmp(plx_loop_model(loop)->name, "auto") != 0, "plx_loop_model(): got \"auto\"");
    plx_loop_close(loop);
    plx_loop_close(NULL);
}

static void loop_config(struct test *t)
{
    in_child(t, loop_config_child);
}

const struct case_row cases_loop[] = {
    {.name = "post", .run = post, .needs = PLX_CAP_POST, .refuses = post_refused},
    {.name = "watch", .run = watch, .needs = PLX_CAP_WATCH, .refuses = watch_refused},
    {.name = "handler_watch",
     .run = handler_watch,
     .needs = PLX_CAP_WATCH | PLX_CAP_POST,
     .refuses = handler_watch_refused},
    {.name = "loop_post", .run = loop_post},
    {.name = "loop_time", .run = loop_time},
    {.name = "loop_config", .run = loop_config},
    {0},
};
