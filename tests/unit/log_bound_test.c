/* SPDX-License-Identifier: MIT */
/* How many lines strangers can cause: of warnings and errors one a second and kind, with the number
 * of those that were left out, from all workers together. The levels above are not bounded. */
#include "core_util.h"

#include <stdio.h>

#define STORM   10000
#define THREADS 4

static atomic_int lines;
static char last[1024];

static void count_line(void *arg, enum plx_level level, const char *line)
{
    (void)arg;
    (void)level;
    if (atomic_fetch_add(&lines, 1) == 0) /* there is no second one while this is written */
        snprintf(last, sizeof(last), "%s", line);
}

static int setup(void **state)
{
    struct plx_loop_config config = {.model = "poll",
                                     .log = {.fn = count_line, .level = PLX_LOG_DEBUG}};
    struct plx_loop *l;
    if (plx_loop_open(&config, &l, NULL) < 0)
        return -1;
    *state = l;
    atomic_store(&lines, 0);
    return 0;
}

static int teardown(void **state)
{
    plx_loop_close(*state);
    return 0;
}

static int take_lines(void)
{
    return atomic_exchange(&lines, 0);
}

/* Each kind has its own line, and a storm of another does not drown it. */
static void test_storm(void **state)
{
    struct plx_loop *l = *state;
    for (int i = 0; i < STORM; i++)
        plx__log(l, PLX_LOG_WARN, "a limit is reached by %d", i);
    int first = take_lines();
    assert_string_equal(last, "a limit is reached by 0");
    plx__log(l, PLX_LOG_ERROR, "something else");
    assert_int_equal(take_lines(), 1);
    assert_string_equal(last, "something else");
    /* On a machine that took longer than a second for the loop above it is one for each. */
    assert_in_range(first, 1, 10);
}

/* The next line says what is missing, even where the line itself had to be cut; then it begins
 * anew. */
static void test_what_was_left_out(void **state)
{
    struct plx_loop *l = *state;
    char longer[2000];
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    for (int round = 0; round < 3; round++) {
        static const char *const ends[] = {"x", " (2 more not shown)", "x"};
        plx__log(l, PLX_LOG_WARN, "%s", longer);
        assert_int_equal(take_lines(), 1);
        assert_string_equal(last + strlen(last) - strlen(ends[round]), ends[round]);
        for (int i = 0; i < 2 && round == 0; i++)
            plx__log(l, PLX_LOG_WARN, "%s", longer);
        assert_int_equal(take_lines(), 0);
        usleep(1100 * 1000);
    }
}

/* A table that is full bounds all the same. */
static void test_more_kinds_than_places(void **state)
{
    static const char *const kinds[] = {"a", "b", "c", "d", "e", "f", "g", "h",
                                        "i", "j", "k", "l", "m", "n", "o", "p"};
    struct plx_loop *l = *state;
    assert_true(sizeof(kinds) / sizeof(*kinds) > PLX__LOG_KINDS);
    for (int i = 0; i < STORM; i++)
        plx__log(l, PLX_LOG_WARN, kinds[(size_t)i % (sizeof(kinds) / sizeof(*kinds))], "");
    assert_in_range(take_lines(), PLX__LOG_KINDS, 10 * PLX__LOG_KINDS);
}

static void *storm(void *arg)
{
    for (int i = 0; i < STORM; i++)
        plx__log(arg, PLX_LOG_WARN, "from all threads");
    return NULL;
}

/* Nothing is lost in the count, whoever logs. */
static void test_workers_together(void **state)
{
    struct plx_loop *l = *state;
    pthread_t thread[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, storm, l), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    int said = take_lines();
    assert_in_range(said, 1, 10);
    if (said == 1)
        assert_true(atomic_load(&l->group->said[0].held) == THREADS * STORM - 1);
}

/* Whoever asks for a line of each connection gets it. */
static void test_levels_above(void **state)
{
    struct plx_loop *l = *state;
    for (int i = 0; i < 100; i++) {
        plx__log(l, PLX_LOG_INFO, "one came");
        plx__log(l, PLX_LOG_DEBUG, "it sent");
    }
    assert_int_equal(take_lines(), 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_storm, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_was_left_out, setup, teardown),
        cmocka_unit_test_setup_teardown(test_more_kinds_than_places, setup, teardown),
        cmocka_unit_test_setup_teardown(test_workers_together, setup, teardown),
        cmocka_unit_test_setup_teardown(test_levels_above, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
