/* SPDX-License-Identifier: MIT */
/* Timers on a real loop. What is tested is order and "never early", which hold on any machine,
 * never how late a timer is. */
#include "core_util.h"

#include <time.h>

#define LOG 64

struct fixture {
    struct plx_loop *loop;
    char log[LOG]; /* one letter per call */
    size_t n;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct plx_loop_config cfg = {.model = "poll"};
    if (!f || plx_loop_open(&cfg, &f->loop, NULL) < 0)
        return -1;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    plx_loop_close(f->loop); /* timers that are still due go with it */
    free(f);
    return 0;
}

struct call {
    struct fixture *f;
    char letter;
    struct plx_timer *timer, *other;
    int64_t started, delay;
    int calls;
    bool early;
};

static void note(struct call *c)
{
    c->calls++;
    c->early |= plx__clock() - c->started < c->delay;
    if (c->f->n < LOG - 1)
        c->f->log[c->f->n++] = c->letter;
}

static void on_call(void *arg)
{
    note(arg);
}

static void start(struct fixture *f, struct call *c, char letter, int64_t first, int64_t every)
{
    *c = (struct call){.f = f, .letter = letter, .started = plx__clock(), .delay = first};
    assert_int_equal(plx_timer_start(f->loop, first, every, on_call, c, &c->timer), 0);
}

/* Turns until all `want` calls have been made; a loop that loses a timer would wait for ever, so
 * each turn waits for a bounded time and there are only so many. */
static void turn_until(struct fixture *f, size_t want)
{
    for (int i = 0; f->n < want && i < 1000; i++)
        assert_true(plx_loop_turn(f->loop, PLX_SECOND) >= 0);
    assert_int_equal(f->n, want);
}

static void test_bad_arguments(void **state)
{
    struct fixture *f = *state;
    struct plx_timer *t = NULL;
    assert_int_equal(plx_timer_start(f->loop, -1, 0, on_call, f, &t), -EINVAL);
    assert_int_equal(plx_timer_start(f->loop, 0, -1, on_call, f, &t), -EINVAL);
    assert_int_equal(plx_timer_start(f->loop, INT64_MIN, 0, on_call, f, &t), -EINVAL);
    assert_int_equal(plx_timer_start(f->loop, 0, 0, NULL, f, &t), -EINVAL);
    assert_null(t);
    plx_timer_stop(NULL);
    assert_int_equal(plx_loop_turn(f->loop, 0), 0);
    assert_int_equal(f->n, 0);
}

/* By time, not by start; and none before its time. */
static void test_order(void **state)
{
    struct fixture *f = *state;
    struct call c[4];
    start(f, &c[0], 'd', 40 * PLX_MSEC, 0);
    start(f, &c[1], 'b', 20 * PLX_MSEC, 0);
    start(f, &c[2], 'a', 0, 0);
    start(f, &c[3], 'c', 30 * PLX_MSEC, 0);
    turn_until(f, 4);
    assert_string_equal(f->log, "abcd");
    for (int i = 0; i < 4; i++)
        assert_false(c[i].early);
    assert_int_equal(plx_loop_turn(f->loop, 0), 0); /* once is once */
    assert_int_equal(f->n, 4);
}

/* Timers of one instant run in the order they were started. The only instant that two calls can
 * name alike is the end of time; the loop's clock is put there by hand. */
static void test_same_instant(void **state)
{
    struct fixture *f = *state;
    struct call c[26];
    for (int i = 0; i < 26; i++)
        start(f, &c[i], (char)('a' + i), INT64_MAX, 0);
    plx_timer_stop(c[1].timer);
    plx_timer_stop(c[25].timer);
    assert_true(plx__loop_next_timer(f->loop) == INT64_MAX); /* and no overflow into the past */
    f->loop->now = INT64_MAX - 1;
    assert_int_equal(plx__timers_run(f->loop), 0);
    f->loop->now = INT64_MAX;
    assert_int_equal(plx__timers_run(f->loop), 24);
    assert_string_equal(f->log, "acdefghijklmnopqrstuvwxy");
}

static void test_repeats(void **state)
{
    struct fixture *f = *state;
    struct call c;
    int64_t from = plx__clock();
    start(f, &c, 'r', 0, 3 * PLX_MSEC);
    for (size_t i = 1; i <= 5; i++) {
        turn_until(f, i);
        assert_true(plx__clock() - from >= (int64_t)(i - 1) * 3 * PLX_MSEC);
    }
    plx_timer_stop(c.timer);
    assert_int_equal(plx_loop_turn(f->loop, 10 * PLX_MSEC), 0);
    assert_int_equal(f->n, 5);
}

/* Ten ticks passed while nobody turned the loop: one call, and the next a whole tick later. */
static void test_missed_ticks(void **state)
{
    struct fixture *f = *state;
    struct call c;
    int64_t tick = 10 * PLX_MSEC;
    start(f, &c, 'r', tick, tick);
    struct timespec busy = {.tv_nsec = (long)(10 * tick)};
    nanosleep(&busy, NULL);
    assert_int_equal(plx_loop_turn(f->loop, 0), 0);
    assert_int_equal(f->n, 1);
    assert_true(plx__loop_next_timer(f->loop) >= plx_loop_now(f->loop) + tick);
    int64_t caught_up = plx_loop_now(f->loop);
    turn_until(f, 2);
    assert_true(plx__clock() - caught_up >= tick);
    plx_timer_stop(c.timer);
}

/* "Every 292 years" is once, as far as anybody can tell. */
static void test_endless_interval(void **state)
{
    struct fixture *f = *state;
    struct call c;
    start(f, &c, 'r', 0, INT64_MAX);
    turn_until(f, 1);
    for (int i = 0; i < 3; i++)
        assert_int_equal(plx_loop_turn(f->loop, PLX_MSEC), 0);
    assert_int_equal(f->n, 1);
    plx_timer_stop(c.timer);
}

static void on_stop_self(void *arg)
{
    struct call *c = arg;
    note(c);
    if (c->calls == 2)
        plx_timer_stop(c->timer);
}

static void test_stop_from_own_call(void **state)
{
    struct fixture *f = *state;
    struct call c = {.f = f, .letter = 's'};
    struct call once = {.f = f, .letter = 'o', .calls = 1};
    assert_int_equal(plx_timer_start(f->loop, 0, PLX_MSEC, on_stop_self, &c, &c.timer), 0);
    assert_int_equal(plx_timer_start(f->loop, PLX_MSEC, 0, on_stop_self, &once, &once.timer), 0);
    turn_until(f, 3);
    assert_int_equal(plx_loop_turn(f->loop, 10 * PLX_MSEC), 0);
    assert_int_equal(f->n, 3);
    assert_int_equal(f->loop->ntimers, 0);
}

static void on_stop_other(void *arg)
{
    struct call *c = arg;
    note(c);
    plx_timer_stop(c->other);
}

/* Also one that is due in the same turn, right behind. */
static void test_stop_another(void **state)
{
    struct fixture *f = *state;
    struct call a = {.f = f, .letter = 'a'}, b, late, c;
    assert_int_equal(plx_timer_start(f->loop, 0, 0, on_stop_other, &a, NULL), 0);
    start(f, &b, 'b', 0, 0);
    a.other = b.timer;
    start(f, &c, 'c', 0, 0);
    start(f, &late, 'l', 100 * PLX_SECOND, 0);
    turn_until(f, 2);
    assert_string_equal(f->log, "ac");
    plx_timer_stop(late.timer); /* nothing is left to wait for */
    assert_true(plx__loop_next_timer(f->loop) == INT64_MAX);
}

static void on_again(void *arg)
{
    struct call *c = arg;
    c->calls++;
    assert_int_equal(plx_timer_start(c->f->loop, 0, 0, on_again, c, &c->timer), 0);
}

static void on_readable(int fd, unsigned events, void *arg)
{
    char byte;
    assert_true(events & PLX_READ);
    assert_int_equal(read(fd, &byte, 1), 1);
    ++*(int *)arg;
}

/* A timer of 0 that starts itself anew runs once a turn, and input gets its turn as well. */
static void test_zero_delay_does_not_starve(void **state)
{
    struct fixture *f = *state;
    struct call c = {.f = f};
    int fds[2], reads = 0;
    struct plx_watch *w;
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(plx_watch_start(f->loop, fds[0], PLX_READ, on_readable, &reads, &w), 0);
    on_again(&c);
    for (int i = 1; i <= 20; i++) {
        int before = c.calls;
        assert_int_equal(write(fds[1], "x", 1), 1);
        assert_true(plx_loop_turn(f->loop, PLX_FOREVER) >= 0);
        assert_int_equal(reads, i);
        assert_int_equal(c.calls, before + 1);
    }
    plx_timer_stop(c.timer);
    plx_watch_stop(w);
    close(fds[0]);
    close(fds[1]);
}

/* ---- many --------------------------------------------------------------------------------------
 */

#define MANY 5000

struct one {
    struct plx_timer *timer;
    int64_t at;
    size_t number;
    bool stopped, ran;
};

static struct {
    struct plx_loop *loop;
    const struct one *last;
    size_t ran, early, disordered;
} many;

static void on_one(void *arg)
{
    struct one *o = arg;
    const struct one *last = many.last;
    many.early += plx__clock() < o->at || plx_loop_now(many.loop) < o->at;
    many.disordered +=
        o->stopped || o->ran ||
        (last && (o->at < last->at || (o->at == last->at && o->number < last->number)));
    o->ran = true;
    many.last = o;
    many.ran++;
}

static void test_many(void **state)
{
    struct fixture *f = *state;
    struct one *all = calloc(MANY, sizeof(*all));
    struct dice d = {31337};
    size_t left = MANY;
    assert_non_null(all);
    memset(&many, 0, sizeof(many));
    many.loop = f->loop;
    for (size_t i = 0; i < MANY; i++) {
        int64_t delay = (int64_t)below(&d, 80) * PLX_MSEC + (int64_t)below(&d, 1000000);
        int64_t not_before = plx__clock() + delay;
        assert_int_equal(plx_timer_start(f->loop, delay, 0, on_one, &all[i], &all[i].timer), 0);
        all[i].number = i;
        all[i].at = all[i].timer->at;
        assert_true(all[i].at >= not_before);
    }
    for (size_t i = 0; i < MANY; i += 1 + below(&d, 5)) { /* out of the middle of the heap */
        plx_timer_stop(all[i].timer);
        all[i].stopped = true;
        left--;
    }
    for (int i = 0; many.ran < left && i < 10 * MANY; i++)
        assert_true(plx_loop_turn(f->loop, PLX_SECOND) >= 0);
    assert_int_equal(many.ran, left);
    assert_int_equal(many.early, 0);
    assert_int_equal(many.disordered, 0);
    assert_int_equal(plx_loop_turn(f->loop, 0), 0);
    assert_int_equal(many.ran, left);
    free(all);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_bad_arguments),
        TEST(test_order),
        TEST(test_same_instant),
        TEST(test_repeats),
        TEST(test_missed_ticks),
        TEST(test_endless_interval),
        TEST(test_stop_from_own_call),
        TEST(test_stop_another),
        TEST(test_zero_delay_does_not_starve),
        TEST(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
