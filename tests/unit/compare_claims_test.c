/* SPDX-License-Identifier: MIT */
/* The nine claims: what makes each of them hold, not hold, and stay open. */
#include "comparison_util.h"

#define ROUNDS 6

static void expect_answer(struct comparison *c, int number, const char *answer,
                          const char *in_figures)
{
    compare_judge(c);
    assert_int_equal(c->nclaims, COMPARE_CLAIMS);
    const struct claim *claim = &c->claim[number - 1];
    assert_int_equal(claim->number, number);
    if (strcmp(claim->answer, answer) != 0 || !strstr(claim->figures, in_figures))
        fail_msg("claim %d: \"%s: %s\" instead of \"%s\" with \"%s\"", number, claim->answer,
                 claim->figures, answer, in_figures);
}

#define HOLDS    "HOLDS HERE"
#define DOES_NOT "DOES NOT HOLD HERE"
#define CANNOT   "CANNOT TELL"

static void put(struct comparison *c, size_t w, size_t a, double cpu_ns)
{
    put_samples(c, w, a, ROUNDS, usual_sample(cpu_ns));
}

/* So far off from round to round that there is nothing to be sure of. */
static void put_unsure(struct comparison *c, size_t w, size_t a, double cpu_ns)
{
    for (unsigned r = 1; r <= ROUNDS; r++)
        put_sample(c, w, a, r, usual_sample(cpu_ns * (r % 2 ? 0.6 : 1.6)));
}

static void test_nothing_measured(void **state)
{
    struct comparison *c = new_comparison();
    (void)state;
    for (int i = 1; i <= COMPARE_CLAIMS; i++) {
        expect_answer(c, i, CANNOT, "");
        assert_true(strlen(c->claim[i - 1].text) > 20);
        assert_true(strlen(c->claim[i - 1].figures) > 20);
    }
    comparison_close(c);
}

/* ---- 1: epoll, select and poll at 10 and 1000 connections, 10 active ---- */

static struct comparison *sweep(double select_many, double poll_many)
{
    struct comparison *c = new_comparison();
    size_t few = add_workload(c, 10, 10), many = add_workload(c, 1000, 10);
    size_t epoll = add_arm(c, "epoll"), select = add_arm(c, "select"), poll = add_arm(c, "poll");
    put(c, few, epoll, 4000);
    put(c, few, select, 4100);
    put(c, few, poll, 4000);
    put(c, many, epoll, 4100);
    put(c, many, select, select_many);
    put(c, many, poll, poll_many);
    return c;
}

static void test_many_connections(void **state)
{
    struct comparison *c = sweep(20000, 16000);
    (void)state;
    expect_answer(c, 1, HOLDS, "poll takes 3.9");
    assert_non_null(strstr(c->claim[0].figures, "at 1000 connections, 10 active"));
    assert_non_null(strstr(c->claim[0].figures, "x its own at 10 (epoll: 1.0"));
    comparison_close(c);

    c = sweep(20000, 4100); /* poll is as good */
    expect_answer(c, 1, DOES_NOT, "select takes 4.8");
    comparison_close(c);

    c = sweep(20000, 16000); /* dearer, but it was as dear with few */
    c->cell[0][2].nsamples = 0;
    put(c, 0, 2, 16000);
    expect_answer(c, 1, DOES_NOT, "poll takes");
    comparison_close(c);

    c = sweep(20000, 16000);
    c->cell[1][2].nsamples = 0;
    put_unsure(c, 1, 2, 4100);
    expect_answer(c, 1, CANNOT, "poll takes");
    comparison_close(c);

    c = sweep(20000, 16000); /* nothing to grow from */
    for (size_t a = 0; a < 3; a++)
        c->cell[0][a].state = CELL_EXCLUDED;
    expect_answer(c, 1, CANNOT, "not measured");
    comparison_close(c);
}

/* ---- 2 ---- */

static void test_few_connections(void **state)
{
    (void)state;
    static const struct {
        double select;
        bool sure;
        const char *answer;
    } cases[] = {
        {4050, true, HOLDS}, {3000, true, HOLDS}, {5000, true, DOES_NOT}, {4200, false, CANNOT}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct comparison *c = new_comparison();
        size_t w = add_workload(c, 64, 64), other = add_workload(c, 1, 1);
        size_t epoll = add_arm(c, "epoll"), select = add_arm(c, "select");
        put(c, w, epoll, 4000);
        put(c, other, epoll, 4000);
        put(c, other, select, 4000);
        if (cases[i].sure)
            put(c, w, select, cases[i].select);
        else
            put_unsure(c, w, select, cases[i].select);
        expect_answer(c, 2, cases[i].answer, "64x64B-64active: select takes");
        comparison_close(c);
    }
}

/* ---- 3 ---- */

static void test_threads(void **state)
{
    (void)state;
    static const struct {
        double few, many;
        const char *answer;
    } cases[] = {{3000, 6000, HOLDS}, {4000, 6000, DOES_NOT}, {3000, 4000, DOES_NOT},
                 {5000, 0, DOES_NOT}, {3000, 0, CANNOT},      {0, 6000, CANNOT}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct comparison *c = new_comparison();
        size_t few = add_workload(c, 1, 1), many = add_workload(c, 1000, 1000);
        size_t epoll = add_arm(c, "epoll"), threads = add_arm(c, "threads");
        put(c, few, epoll, 4000);
        put(c, many, epoll, 4000);
        if (cases[i].few > 0)
            put(c, few, threads, cases[i].few);
        if (cases[i].many > 0)
            put(c, many, threads, cases[i].many);
        expect_answer(c, 3, cases[i].answer,
                      cases[i].few == 0 || cases[i].many == 0 ? "not measured" : "1000x64B");
        comparison_close(c);
    }
}

/* ---- 4 ---- */

static void test_polling(void **state)
{
    (void)state;
    static const struct {
        double idle;    /* CPU, ns per second */
        double pausing; /* how much longer a message takes; 0 = nobody pauses */
        const char *answer, *figures;
    } cases[] = {{9.9e8, 5, HOLDS, "with a pause"},
                 {9.9e8, 0, CANNOT, "no arm pauses"},
                 {9.9e8, 1, DOES_NOT, "with a pause"},
                 {1e8, 0, DOES_NOT, "0.10 of a CPU"},
                 {7e8, 5, CANNOT, "0.70 of a CPU"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct comparison *c = new_comparison();
        size_t idle = add_idle(c), w = add_workload(c, 1, 1);
        size_t a = add_arm(c, "nonblocking");
        put(c, w, a, 4000);
        put_samples(c, idle, a, ROUNDS, (struct sample){.cpu_ns = cases[i].idle});
        if (cases[i].pausing > 0) {
            size_t b = add_arm(c, "pausing");
            struct sample s = usual_sample(4000);
            snprintf(c->arm[b].command, sizeof(c->arm[b].command),
                     "pollux serve --model nonblocking --poll-pause 1ms");
            s.p50_ns *= cases[i].pausing;
            put_samples(c, w, b, ROUNDS, s);
        }
        expect_answer(c, 4, cases[i].answer, cases[i].figures);
        comparison_close(c);
    }
}

/* ---- 5 ---- */

static void test_edges(void **state)
{
    (void)state;
    static const struct {
        double one, other; /* wake-ups of epoll-et under two workloads; epoll has 0.1 */
        const char *answer, *figures;
    } cases[] = {{0.05, 0.07, HOLDS, "in 2 of 2"},
                 {0.1, 0.1, DOES_NOT, "as often or more often in 2"},
                 {0.05, 0.2, DOES_NOT, "in 1 of 2"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct comparison *c = new_comparison();
        size_t w = add_workload(c, 1, 1), v = add_workload(c, 64, 64);
        size_t level = add_arm(c, "epoll"), edge = add_arm(c, "epoll-et");
        struct sample s = usual_sample(4000);
        put(c, w, level, 4000);
        put(c, v, level, 4000);
        s.wakeups = cases[i].one;
        put_samples(c, w, edge, ROUNDS, s);
        s.wakeups = cases[i].other;
        put_samples(c, v, edge, ROUNDS, s);
        expect_answer(c, 5, cases[i].answer, cases[i].figures);
        for (unsigned r = 0; r < ROUNDS; r++) {
            c->cell[w][edge].sample[r].wakeups = r % 2 ? 0.05 : 0.2;
            c->cell[v][edge].sample[r].wakeups = 0.05;
        }
        expect_answer(c, 5, CANNOT, "in 1 of 2");
        comparison_close(c);
    }
}

/* ---- 6 ---- */

/* At each wait for 10 messages the arm pays so much per descriptor, a part of it in user space. */
static void put_growth(struct comparison *c, size_t w, size_t a, double each_ns, double in_user)
{
    struct sample s = usual_sample(4000);
    double more = each_ns * c->workload[w].load.connections / 10;
    s.calls_wait = 0.1;
    s.cpu_ns += more;
    s.user_ns += more * in_user;
    s.system_ns += more * (1 - in_user);
    s.messages = 1e6; /* enough CPU to know the parts */
    put_samples(c, w, a, ROUNDS, s);
}

static void test_copying(void **state)
{
    (void)state;
    static const struct {
        double select, poll, in_user;
        const char *answer, *figures;
    } cases[] = {{1.2, 15, 0, HOLDS, "100 % of the growth is in the kernel"},
                 {60, 50, 0, DOES_NOT, "50.0 ns per descriptor and wait"},
                 {1.2, 15, 0.8, DOES_NOT, "20 % of the growth"},
                 {0, 0, 0, DOES_NOT, "did not grow"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct comparison *c = new_comparison();
        size_t few = add_workload(c, 10, 10), many = add_workload(c, 10000, 10);
        size_t select = add_arm(c, "select"), poll = add_arm(c, "poll");
        put_growth(c, few, select, cases[i].select, cases[i].in_user);
        put_growth(c, many, select, cases[i].select, cases[i].in_user);
        put_growth(c, few, poll, cases[i].poll, cases[i].in_user);
        put_growth(c, many, poll, cases[i].poll, cases[i].in_user);
        expect_answer(c, 6, cases[i].answer, cases[i].figures);
        for (unsigned r = 0; i == 0 && r < ROUNDS; r++)
            c->cell[many][poll].sample[r].messages = 1000; /* a few milliseconds of CPU in all */
        if (i == 0)
            expect_answer(c, 6, CANNOT, "too little was measured");
        comparison_close(c);
    }
}

/* ---- 7, 8, 9 ---- */

static void test_side_by_side(void **state)
{
    struct comparison *c = new_comparison();
    size_t w = add_workload(c, 64, 64), a = add_arm(c, "epoll"), b = add_arm(c, "threads");
    struct sample s = usual_sample(4000);
    (void)state;
    put(c, w, a, 4000);
    expect_answer(c, 7, CANNOT, "not counted: threads");
    s.voluntary = 2;
    put_samples(c, w, b, ROUNDS, s);
    add_arm(c, "nginx"); /* somebody else's has no counters, and need not */
    expect_answer(c, 7, HOLDS, "0.00 (epoll) to 2.00 (threads) context switches");
    comparison_close(c);
}

static void test_single_calls(void **state)
{
    struct comparison *c = new_comparison();
    size_t w = add_workload(c, 1, 1), a = add_arm(c, "epoll");
    struct sample s = usual_sample(4e6);
    (void)state;
    c->workload[w].load.size[0].bytes = 4 << 20;
    s.calls_send = 64;
    put_samples(c, w, a, ROUNDS, s);
    expect_answer(c, 8, CANNOT, "64.0 send calls per message with epoll");
    expect_answer(c, 9, CANNOT, "trace of single calls");
    comparison_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_measured), cmocka_unit_test(test_many_connections),
        cmocka_unit_test(test_few_connections),  cmocka_unit_test(test_threads),
        cmocka_unit_test(test_polling),          cmocka_unit_test(test_edges),
        cmocka_unit_test(test_copying),          cmocka_unit_test(test_side_by_side),
        cmocka_unit_test(test_single_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
