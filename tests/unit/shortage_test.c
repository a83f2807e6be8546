/* SPDX-License-Identifier: MIT */
/* What the loop does without memory, or with a descriptor that its owner closed too early. */
#include "core/core.h"

#include <errno.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct plx__sys poor;
static int refused;

static void *no_memory(void *p, size_t n)
{
    (void)p;
    (void)n;
    refused++;
    errno = ENOMEM;
    return NULL;
}

static struct plx_loop *open_loop(const char *model)
{
    const struct plx_loop_config config = {.model = model};
    struct plx_loop *l;
    assert_int_equal(plx_loop_open(&config, &l, NULL), 0);
    return l;
}

/* ---- timers ---- */

static int ticks, others;

static void other(void *arg)
{
    (void)arg;
    others++;
}

/* Takes every place in the heap that can be had. */
static void tick(void *arg)
{
    ticks++;
    for (int i = 0; i < 64; i++)
        (void)plx_timer_start(arg, 0, 0, other, NULL, NULL);
}

static void test_a_repeated_timer_keeps_its_place(void **state)
{
    (void)state;
    struct plx_loop *l = open_loop("poll");
    struct plx_timer *t;
    assert_int_equal(plx_timer_start(l, 0, PLX_MSEC, tick, l, &t), 0);
    poor = plx__system;
    poor.realloc = no_memory; /* the heap cannot grow */
    plx__seam_set(&poor);
    for (int i = 0; ticks < 3 && i < 1000; i++)
        assert_true(plx_loop_turn(l, PLX_MSEC) >= 0);
    plx__seam_set(NULL);
    assert_true(ticks >= 3);
    assert_true(others > 0);
    assert_true(refused > 0);
    plx_timer_stop(t); /* it is still there */
    plx_loop_close(l);
}

/* ---- closed ---- */

static struct plx_watch *watch;
static int told;

static void on_closed(int fd, unsigned events, void *arg)
{
    char byte;
    (void)arg;
    assert_true(events & PLX_READ);
    assert_int_equal(read(fd, &byte, 1), -1);
    assert_int_equal(errno, EBADF);
    told++;
    plx_watch_stop(watch);
}

static void test_a_closed_descriptor_is_told(void **state)
{
    static const char *const models[] = {"select", "poll"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct plx_loop *l = open_loop(models[i]);
        int fds[2];
        assert_int_equal(pipe(fds), 0);
        assert_int_equal(plx_watch_start(l, fds[0], PLX_READ, on_closed, NULL, &watch), 0);
        close(fds[0]);
        told = 0;
        for (int k = 0; !told && k < 100; k++)
            assert_true(plx_loop_turn(l, PLX_MSEC) >= 0);
        assert_int_equal(told, 1);
        assert_true(plx_loop_turn(l, 0) >= 0); /* and the loop is well again */
        close(fds[1]);
        plx_loop_close(l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_repeated_timer_keeps_its_place),
        cmocka_unit_test(test_a_closed_descriptor_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
