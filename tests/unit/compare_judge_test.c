/* SPDX-License-Identifier: MIT */
/* Who wins, and how sure that is: on made-up comparisons of which the answer is known. */
#include "comparison_util.h"

#include <jansson.h>

static void expect_verdict(const struct comparison *c, size_t w, enum metric m, size_t a,
                           enum verdict v)
{
    const struct standing *s = &c->contest[w][m].standing[a];
    if (s->verdict != v)
        fail_msg("%s of %s: %s instead of %s; %.3f [%.3f %.3f], floor %.3f, %s", metric_name(m),
                 c->arm[a].name, verdict_name(s->verdict), verdict_name(v), s->ratio, s->low,
                 s->high, c->contest[w][m].floor, c->contest[w][m].not_held);
}

static const char *caveat_of(const struct comparison *c, const char *name)
{
    for (size_t i = 0; i < c->ncaveats; i++) {
        if (strcmp(c->caveat[i].name, name) == 0)
            return c->caveat[i].text;
    }
    return NULL;
}

/* ---- verdicts ---- */

static void test_each_verdict(void **state)
{
    struct comparison *c = new_comparison();
    size_t w = add_workload(c, 64, 64);
    size_t best = add_arm(c, "epoll"), tied = add_arm(c, "poll"), loser = add_arm(c, "select");
    size_t unsure = add_arm(c, "threads"), wrong = add_arm(c, "sigio");
    size_t unable = add_arm(c, "blocking"), unread = add_arm(c, "other");
    size_t twin = add_twin(c, best);
    struct sample s = usual_sample(4000);
    (void)state;
    put_samples(c, w, best, 12, s);
    put_samples(c, w, twin, 12, s);
    put_samples(c, w, tied, 12, usual_sample(4080));
    put_samples(c, w, loser, 12, usual_sample(4800));
    for (unsigned r = 1; r <= 12; r++)
        put_sample(c, w, unsure, r, usual_sample(r % 3 == 0 ? 5600 : r % 3 == 1 ? 4300 : 4000));
    c->cell[w][wrong].state = CELL_INVALID;
    snprintf(c->cell[w][wrong].why, sizeof(c->cell[w][wrong].why), "wrong answers: byte 3");
    c->cell[w][unable].state = CELL_EXCLUDED;
    snprintf(c->cell[w][unable].why, sizeof(c->cell[w][unable].why), "one connection at a time");
    s.cpu_ns = NAN;
    put_samples(c, w, unread, 12, s);
    compare_judge(c);

    const struct contest *cpu = &c->contest[w][METRIC_CPU];
    assert_true(cpu->held);
    assert_int_equal(cpu->best, best);
    assert_true(cpu->floor < 0.01);
    expect_verdict(c, w, METRIC_CPU, best, VERDICT_BEST);
    expect_verdict(c, w, METRIC_CPU, tied, VERDICT_TIE);
    expect_verdict(c, w, METRIC_CPU, loser, VERDICT_LOSES);
    expect_verdict(c, w, METRIC_CPU, unsure, VERDICT_CANNOT_TELL);
    expect_verdict(c, w, METRIC_CPU, wrong, VERDICT_INVALID);
    expect_verdict(c, w, METRIC_CPU, unable, VERDICT_INVALID);
    expect_verdict(c, w, METRIC_CPU, unread, VERDICT_INVALID);
    assert_string_equal(cpu->standing[wrong].why, "wrong answers: byte 3");
    assert_string_equal(cpu->standing[unable].why, "one connection at a time");
    assert_true(fabs(cpu->standing[loser].ratio - 1.2) < 0.01);
    assert_true(cpu->standing[loser].low > 1.19 && cpu->standing[loser].high < 1.21);
    assert_true(fabs(cpu->standing[loser].value - 4800) < 20);

    /* The same, the other way round: the loser's rate is lower. */
    assert_true(c->contest[w][METRIC_RATE].held);
    expect_verdict(c, w, METRIC_RATE, loser, VERDICT_LOSES);
    expect_verdict(c, w, METRIC_RATE, tied, VERDICT_TIE);
    assert_true(c->contest[w][METRIC_RATE].standing[loser].high < 0.85);
    assert_non_null(strstr(caveat_of(c, "invalid-arms"), "wrong answers: byte 3"));
    comparison_close(c);
}

/* What changes from round to round is in all arms, and no difference. */
static void test_drift(void **state)
{
    struct comparison *c = new_comparison();
    size_t w = add_workload(c, 64, 64), a = add_arm(c, "epoll"), b = add_arm(c, "poll");
    const struct standing *s = &c->contest[w][METRIC_CPU].standing[b];
    uint64_t random = 5;
    (void)state;
    for (unsigned r = 1; r <= 12; r++) {
        double drift = 4000 * (1 + random_unit(&random));
        if (r % 2 == 0)
            put_sample(c, w, a, r, usual_sample(drift));
        if (r != 4)
            put_sample(c, w, b, r, usual_sample(1.12 * drift));
    }
    put_sample(c, w, a, 13, usual_sample(40000)); /* interrupted: a round without its pair */
    compare_judge(c);
    assert_int_equal(c->contest[w][METRIC_CPU].best, a);
    expect_verdict(c, w, METRIC_CPU, b, VERDICT_LOSES);
    assert_true(fabs(s->ratio - 1.12) < 1e-9 && s->high - s->low < 1e-9);
    comparison_close(c);
}

/* The best is so in the rounds' middle, not in the middle of all that was measured. */
static void test_best_by_rounds(void **state)
{
    static const double drift[] = {1, 2, 4, 8}, beside[] = {0.5, 1.1, 1.1, 0.85};
    struct comparison *c = new_comparison();
    size_t w = add_workload(c, 64, 64), a = add_arm(c, "epoll"), b = add_arm(c, "poll");
    (void)state;
    for (unsigned r = 0; r < 4; r++) {
        put_sample(c, w, a, r + 1, usual_sample(4000 * drift[r]));
        put_sample(c, w, b, r + 1, usual_sample(4000 * drift[r] * beside[r]));
    }
    compare_judge(c);
    assert_int_equal(c->contest[w][METRIC_CPU].best, b);
    assert_int_equal(c->contest[w][METRIC_RATE].best, b);
    comparison_close(c);
}

static void test_few_rounds(void **state)
{
    (void)state;
    for (unsigned rounds = 1; rounds <= 4; rounds++) {
        struct comparison *c = new_comparison();
        size_t w = add_workload(c, 64, 64), a = add_arm(c, "epoll"), b = add_arm(c, "poll");
        put_samples(c, w, a, rounds, usual_sample(4000));
        put_samples(c, w, b, rounds, usual_sample(8000));
        compare_judge(c);
        expect_verdict(c, w, METRIC_CPU, b, rounds < 3 ? VERDICT_CANNOT_TELL : VERDICT_LOSES);
        assert_true(isnan(c->contest[w][METRIC_CPU].standing[b].low) == (rounds < 3));
        assert_non_null(caveat_of(c, "few-rounds"));
        comparison_close(c);
    }
}

static void test_nobody_and_one(void **state)
{
    struct comparison *c = new_comparison();
    size_t w = add_workload(c, 64, 64), a = add_arm(c, "epoll");
    (void)state;
    compare_judge(c);
    assert_false(c->contest[w][METRIC_CPU].held);
    expect_verdict(c, w, METRIC_CPU, a, VERDICT_INVALID);
    put_samples(c, w, a, 5, usual_sample(4000));
    compare_judge(c);
    assert_true(c->contest[w][METRIC_CPU].held);
    expect_verdict(c, w, METRIC_CPU, a, VERDICT_BEST);
    comparison_close(c);
}

/* ---- noise ---- */

static void test_floor(void **state)
{
    struct comparison *c = new_comparison();
    size_t noisy = add_workload(c, 64, 64), other = add_workload(c, 1, 1), idle = add_idle(c);
    size_t a = add_arm(c, "epoll"), b = add_arm(c, "poll"), twin = add_twin(c, a);
    (void)state;
    put_samples(c, noisy, a, 12, usual_sample(4000));
    put_samples(c, noisy, twin, 12, usual_sample(4400));
    put_samples(c, noisy, b, 12, usual_sample(4320));
    put_samples(c, other, a, 12, usual_sample(4000));
    put_samples(c, other, b, 12, usual_sample(4800));
    put_samples(c, idle, b, 12, (struct sample){.cpu_ns = 2e6});
    compare_judge(c);
    /* 8 % is not more than what the twin differs by. */
    assert_true(fabs(c->contest[noisy][METRIC_CPU].floor - 0.1) < 0.01);
    expect_verdict(c, noisy, METRIC_CPU, b, VERDICT_TIE);
    assert_non_null(caveat_of(c, "large-floor"));
    /* Where there is none, the others' is taken, and it is said. */
    assert_true(fabs(c->contest[other][METRIC_CPU].floor - 0.1) < 0.01);
    expect_verdict(c, other, METRIC_CPU, b, VERDICT_LOSES);
    assert_non_null(strstr(caveat_of(c, "borrowed-floor"), c->workload[other].name));
    /* But not of servers at work for idle ones. */
    assert_true(c->contest[idle][METRIC_CPU].floor < 0.05);
    assert_non_null(strstr(caveat_of(c, "no-twin"), c->workload[idle].name));
    assert_null(strstr(caveat_of(c, "no-twin"), c->workload[other].name));
    comparison_close(c);

    c = new_comparison();
    size_t w = add_workload(c, 64, 64);
    a = add_arm(c, "epoll");
    b = add_arm(c, "poll");
    put_samples(c, w, a, 12, usual_sample(4000));
    put_samples(c, w, b, 12, usual_sample(4250));
    compare_judge(c);
    expect_verdict(c, w, METRIC_CPU, b, VERDICT_LOSES);
    assert_non_null(caveat_of(c, "no-twin"));
    comparison_close(c);
}

/* However noisy it is: what differs by 30 % is not the same. */
static void test_floor_has_a_limit(void **state)
{
    struct comparison *c = new_comparison();
    size_t w = add_workload(c, 64, 64);
    size_t a = add_arm(c, "epoll"), b = add_arm(c, "poll"), twin = add_twin(c, a);
    (void)state;
    put_samples(c, w, a, 12, usual_sample(4000));
    put_samples(c, w, twin, 12, usual_sample(6000));
    put_samples(c, w, b, 12, usual_sample(5200));
    compare_judge(c);
    expect_verdict(c, w, METRIC_CPU, b, VERDICT_CANNOT_TELL);
    comparison_close(c);
}

/* ---- which contests are held ---- */

static void test_client_bound(void **state)
{
    struct comparison *c = new_comparison();
    size_t closed = add_workload(c, 64, 64), open = add_open_loop(c, 10000);
    size_t a = add_arm(c, "epoll"), b = add_arm(c, "poll");
    struct sample s = usual_sample(4000);
    (void)state;
    s.client_busy = 0.97;
    s.rate = 10000;
    put_samples(c, closed, a, 5, s);
    put_samples(c, closed, b, 5, usual_sample(8000));
    put_samples(c, open, a, 5, s);
    put_samples(c, open, b, 5, s);
    compare_judge(c);
    assert_false(c->contest[closed][METRIC_RATE].held);
    assert_non_null(strstr(c->contest[closed][METRIC_RATE].not_held, "epoll"));
    assert_null(strstr(c->contest[closed][METRIC_RATE].not_held, "poll,"));
    assert_false(c->contest[open][METRIC_P99].held);
    assert_true(c->contest[closed][METRIC_CPU].held);
    expect_verdict(c, closed, METRIC_CPU, b, VERDICT_LOSES);
    assert_non_null(strstr(caveat_of(c, "client-bound"), c->workload[closed].name));
    comparison_close(c);
}

static void test_open_loop(void **state)
{
    struct comparison *c = new_comparison();
    size_t open = add_open_loop(c, 10000), closed = add_workload(c, 64, 64);
    size_t a = add_arm(c, "epoll"), b = add_arm(c, "poll"), late = add_arm(c, "select");
    struct sample s = usual_sample(4000);
    (void)state;
    s.rate = 10000;
    for (unsigned r = 1; r <= 8; r++) {
        struct sample t = s;
        put_sample(c, open, a, r, t);
        t.p99_ns *= 2 + 0.01 * r;
        put_sample(c, open, b, r, t);
        t.p99_ns = s.p99_ns / 2;
        t.rate = 9000;
        put_sample(c, open, late, r, t);
    }
    put_samples(c, closed, a, 5, usual_sample(4000));
    compare_judge(c);
    assert_true(c->contest[open][METRIC_P99].held);
    assert_false(c->contest[open][METRIC_RATE].held);
    assert_int_equal(c->contest[open][METRIC_P99].best, a);
    expect_verdict(c, open, METRIC_P99, b, VERDICT_LOSES);
    expect_verdict(c, open, METRIC_P99, late, VERDICT_INVALID);
    assert_non_null(strstr(c->contest[open][METRIC_P99].standing[late].why, "9000/s of 10000/s"));
    expect_verdict(c, open, METRIC_CPU, late, VERDICT_TIE);
    assert_false(c->contest[closed][METRIC_P99].held);
    comparison_close(c);
}

/* Below a thousandth of a CPU all idle servers are the same, also one that takes nothing at all. */
static void test_idle(void **state)
{
    struct comparison *c = new_comparison();
    size_t w = add_idle(c);
    size_t a = add_arm(c, "epoll"), b = add_arm(c, "poll"), spins = add_arm(c, "nonblocking");
    (void)state;
    put_samples(c, w, a, 5, (struct sample){.cpu_ns = 0});
    put_samples(c, w, b, 5, (struct sample){.cpu_ns = 5e4});
    put_samples(c, w, spins, 5, (struct sample){.cpu_ns = 9.9e8});
    compare_judge(c);
    assert_int_equal(c->contest[w][METRIC_CPU].best, a);
    expect_verdict(c, w, METRIC_CPU, b, VERDICT_TIE);
    expect_verdict(c, w, METRIC_CPU, spins, VERDICT_LOSES);
    assert_non_null(strstr(c->contest[w][METRIC_CPU].standing[spins].why,
                           "of a CPU while nothing is sent (best 0.000)"));
    assert_false(c->contest[w][METRIC_RATE].held);
    assert_false(c->contest[w][METRIC_P99].held);
    comparison_close(c);
}

/* ---- reasons ---- */

static void expect_why(struct sample best, struct sample loser, const char *name,
                       const char *expected)
{
    struct comparison *c = new_comparison();
    size_t w = add_workload(c, 64, 64), a = add_arm(c, "epoll"), b = add_arm(c, name);
    put_samples(c, w, a, 16, best);
    put_samples(c, w, b, 16, loser);
    compare_judge(c);
    expect_verdict(c, w, METRIC_CPU, b, VERDICT_LOSES);
    assert_string_equal(c->contest[w][METRIC_CPU].standing[b].why, expected);
    comparison_close(c);
}

static void test_why(void **state)
{
    struct sample best = usual_sample(4000), s = usual_sample(5000);
    (void)state;
    s.user_ns = 1000;
    s.system_ns = 4000;
    s.calls_recv = 2;
    s.calls_ctl = 0.01; /* is so, but makes nothing of the difference */
    expect_why(best, s, "epoll-et", "1.0 more recv calls per message");

    s = usual_sample(9000);
    s.voluntary = 2;
    expect_why(best, s, "threads",
               "2.0 more context switches per message; 1.3 us more CPU per message in user space");

    s = usual_sample(5000);
    s.user_ns = 2250;
    s.system_ns = 2750;
    s.wakeups = 1.2;
    expect_why(best, s, "sigio",
               "0.45 of its CPU in user space (best 0.25); 1.1 more wake-ups per message");
    s.calls_wait = 1.2; /* the same, counted as calls */
    expect_why(best, s, "sigio",
               "0.45 of its CPU in user space (best 0.25); 1.1 more wait calls per message");

    s = usual_sample(8000);
    s.user_ns = 0.6 * 8000;
    s.system_ns = 0.4 * 8000;
    expect_why(best, s, "poll", "0.60 of its CPU in user space (best 0.25)");

    s = usual_sample(40000);
    expect_why(
        best, s, "poll",
        "a system call comes to 14.3 us of CPU in the kernel (best 1.4), as each wait passes all "
        "64 descriptors; 9.0 us more CPU per message in user space");

    /* Somebody else's program: the kernel's account only. */
    s = usual_sample(6000);
    s.calls_recv = s.calls_wait = s.wakeups = NAN;
    s.involuntary = 0.9;
    expect_why(
        best, s, "nginx",
        "0.90 more context switches per message; 0.50 us more CPU per message in user space");

    /* Too little CPU to know its parts. */
    s = usual_sample(8400);
    s.messages = best.messages = 3300;
    expect_why(best, s, "poll",
               "a system call comes to 4.0 us of CPU (best 1.9), as each wait passes all 64 "
               "descriptors");
    s.calls_recv = NAN; /* and no counters: nothing is known */
    expect_why(best, s, "threads", "");
}

/* ---- caveats ---- */

static void test_caveats(void **state)
{
    struct comparison *c = new_comparison();
    (void)state;
    c->nplanned = c->ncaveats = 1;
    snprintf(c->caveat[0].name, sizeof(c->caveat[0].name), "not-pinned");
    compare_judge(c);
    compare_judge(c); /* not twice */
    assert_non_null(caveat_of(c, "loopback"));
    assert_non_null(caveat_of(c, "not-pinned"));
    assert_null(caveat_of(c, "virtual-machine"));
    assert_null(caveat_of(c, "partial"));
    assert_int_equal(c->ncaveats, 3); /* and few-rounds */
    c->machine = json_pack("{s:s}", "virtual", "KVM");
    c->partial = true;
    compare_judge(c);
    assert_non_null(strstr(caveat_of(c, "virtual-machine"), "KVM"));
    assert_non_null(caveat_of(c, "partial"));
    c->netns = true;
    compare_judge(c);
    assert_null(caveat_of(c, "loopback"));
    assert_non_null(strstr(caveat_of(c, "netns"), "the sender pays"));
    assert_non_null(strstr(caveat_of(c, "netns"), "Linux 6.3.")); /* all of it fits */
    c->steered = true;
    compare_judge(c);
    assert_non_null(strstr(caveat_of(c, "netns"), "nobody's account."));
    comparison_close(c);
}

/* ---- how large a difference is found ---- */

struct tally {
    unsigned tie, loses, cannot;
    unsigned narrow, narrow_tie; /* of intervals no wider than half of the margin either way */
};

/*
 * Comparisons of two arms, the second slower by `slower`, and a twin of the first, with the noise
 * of a shared machine: all of it drifts by 10 % up or down from round to round, every run is off by
 * some per cent and one in 25 by half. Looked at from round `look` on after each, up to `most`.
 */
static struct tally simulate(unsigned trials, double slower, double noise, unsigned look,
                             unsigned most)
{
    uint64_t random = 20;
    struct tally tally = {0};
    for (unsigned t = 0; t < trials; t++) {
        struct comparison *c = new_comparison();
        size_t w = add_workload(c, 64, 64), a = add_arm(c, "one"), b = add_arm(c, "same");
        size_t twin = add_twin(c, a), other = a;
        const struct contest *cpu = &c->contest[w][METRIC_CPU];
        enum verdict v = VERDICT_CANNOT_TELL;
        c->seed = t;
        c->resamples = 200;
        for (unsigned r = 1; r <= most && v == VERDICT_CANNOT_TELL; r++) {
            double drift = 4000 * (0.9 + 0.2 * random_unit(&random));
            put_sample(c, w, a, r, usual_sample(drift * off_by(noise, &random)));
            put_sample(c, w, b, r, usual_sample(drift * (1 + slower) * off_by(noise, &random)));
            put_sample(c, w, twin, r, usual_sample(drift * off_by(noise, &random)));
            if (r < look)
                continue;
            compare_judge(c);
            other = cpu->best == a ? b : a;
            v = cpu->standing[other].verdict;
        }
        bool narrow =
            sqrt(cpu->standing[other].high / cpu->standing[other].low) < 1 + COMPARE_MARGIN / 2;
        tally.tie += v == VERDICT_TIE;
        tally.loses += v == VERDICT_LOSES && (other == b || slower == 0);
        tally.cannot += v == VERDICT_CANNOT_TELL;
        tally.narrow += narrow;
        tally.narrow_tie += narrow && v == VERDICT_TIE;
        comparison_close(c);
    }
    print_message(
        "slower by %2.0f %%, noise %.0f %%, %u to %u rounds: TIE %5.1f %%, LOSES %5.1f %%, "
        "CANNOT TELL %5.1f %%\n",
        100 * slower, 100 * noise, look, most, 100.0 * tally.tie / trials,
        100.0 * tally.loses / trials, 100.0 * tally.cannot / trials);
    return tally;
}

#define TRIALS 200

/* A tie wherever the interval is narrow enough for one, and hardly ever a loser. */
static void test_same_twice(void **state)
{
    unsigned narrow = 0, narrow_tie = 0, loses = 0;
    (void)state;
    for (int noise = 2; noise <= 5; noise++) {
        struct tally t = simulate(TRIALS, 0, noise / 100.0, 20, 20);
        narrow += t.narrow;
        narrow_tie += t.narrow_tie;
        loses += t.loses;
    }
    assert_true(narrow > TRIALS && narrow_tie * 20 >= narrow * 19);
    assert_true(loses * 40 <= 4 * TRIALS);
}

/* As many rounds as a minute has for two servers and a twin. */
static void test_same_twice_in_a_minute(void **state)
{
    (void)state;
    for (int noise = 2; noise <= 4; noise++)
        assert_true(simulate(TRIALS, 0, noise / 100.0, 10, 35).tie * 20 >= TRIALS * 19);
}

static void test_slower_by_a_tenth(void **state)
{
    (void)state;
    for (int noise = 3; noise <= 5; noise++) {
        struct tally t = simulate(TRIALS, 0.1, noise / 100.0, 20, 20);
        assert_true(t.loses * 10 >= TRIALS * 9 && t.tie * 100 <= TRIALS);
        t = simulate(TRIALS, 0.1, noise / 100.0, 10, 35);
        assert_true(t.loses * 20 >= TRIALS * 19);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_verdict),
        cmocka_unit_test(test_drift),
        cmocka_unit_test(test_best_by_rounds),
        cmocka_unit_test(test_few_rounds),
        cmocka_unit_test(test_nobody_and_one),
        cmocka_unit_test(test_floor),
        cmocka_unit_test(test_floor_has_a_limit),
        cmocka_unit_test(test_client_bound),
        cmocka_unit_test(test_open_loop),
        cmocka_unit_test(test_idle),
        cmocka_unit_test(test_why),
        cmocka_unit_test(test_caveats),
        cmocka_unit_test(test_same_twice),
        cmocka_unit_test(test_same_twice_in_a_minute),
        cmocka_unit_test(test_slower_by_a_tenth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
