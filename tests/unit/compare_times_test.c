/* SPDX-License-Identifier: MIT */
/* How the time of a comparison is divided: into rounds first, never fewer than an interval needs,
 * and into longer runs then; and what is left out where it is too short. */
#include "compare_util.h"

#include <pollux/pollux.h>

static void check_runs(const struct plan *p)
{
    const struct comparison *c = p->c;

    assert_true(c->measure_ns >= 100 * PLX_MSEC);
    assert_true(c->warmup_ns > 0 && c->warmup_ns <= c->measure_ns);
    for (size_t w = 0; w < c->nworkloads; w++) {
        const struct load_config *load = &c->workload[w].load;

        assert_true(load->duration_ns >= (c->workload[w].idle ? c->idle_ns : c->measure_ns));
        assert_true(load->warmup_ns >= c->warmup_ns);
        assert_true(load->threads >= 1 && load->threads <= load->active);
    }
}

/* More time gives more rounds first, and then longer runs. */
static void test_budget(void **state)
{
    struct plan s, m, l;

    (void)state;
    made(&s, "-m poll,select -w 64x64B -w 1000x64B --budget 10s");
    made(&m, "-m poll,select -w 64x64B -w 1000x64B --budget 1m");
    made(&l, "-m poll,select -w 64x64B -w 1000x64B --budget 20m");
    check_runs(&s);
    check_runs(&m);
    check_runs(&l);
    assert_int_equal(s.c->measure_ns, 100 * PLX_MSEC);
    assert_int_equal(s.plan.least, COMPARE_ROUNDS_LEAST);
    assert_int_equal(m.plan.least, 10);
    assert_true(m.c->measure_ns > s.c->measure_ns);
    assert_int_equal(l.c->measure_ns, PLX_SECOND);
    assert_true(l.c->budget_ns / l.plan.round_ns > m.c->budget_ns / m.plan.round_ns);
    assert_int_equal(m.plan.estimate_ns, 60 * PLX_SECOND);
    done(&s);
    done(&m);
    done(&l);
}

static void test_rounds(void **state)
{
    struct plan p;

    (void)state;
    made(&p, "-m poll -w 64x64B -w 64-idle --rounds 7");
    check_runs(&p);
    assert_int_equal(p.plan.least, 7);
    assert_int_equal(p.plan.most, 7);
    assert_int_equal(p.c->budget_ns, 0);
    assert_int_equal(p.plan.estimate_ns, 7 * p.plan.round_ns);
    assert_int_equal(p.c->measure_ns, 500 * PLX_MSEC);
    done(&p);

    made(&p, "-m poll -w 64x64B --rounds 30 --budget 20s");
    check_runs(&p);
    assert_int_equal(p.plan.most, 30);
    assert_int_equal(p.c->budget_ns, 20 * PLX_SECOND);
    assert_true(p.plan.estimate_ns <= 20 * PLX_SECOND);
    done(&p);
}

static void test_quick(void **state)
{
    struct plan p;

    (void)state;
    made(&p, "--quick");
    check_runs(&p);
    assert_true(p.c->quick);
    assert_int_equal(p.c->nworkloads, count_builtins(true));
    assert_int_equal(p.c->measure_ns, 100 * PLX_MSEC);
    assert_true(p.plan.least >= COMPARE_ROUNDS_LEAST);
    assert_true(p.plan.estimate_ns >= 60 * PLX_SECOND && p.plan.estimate_ns <= 90 * PLX_SECOND);
    done(&p);

    made(&p, "--quick -w 64x16KiB -m poll --rounds 6");
    assert_int_equal(p.c->nworkloads, 1);
    assert_int_equal(p.plan.most, 6);
    assert_int_equal(p.c->budget_ns, 0);
    done(&p);
}

/* Of the built-in workloads fewer are taken rather than fewer rounds; those that were named stay.
 */
static void test_short_budget(void **state)
{
    struct plan p;

    (void)state;
    made(&p, "-m poll,select --budget 20s");
    assert_int_equal(p.c->nworkloads, count_builtins(true));
    assert_int_equal(p.c->narms, 3);
    assert_true(has_caveat(p.c, "short-budget"));
    assert_true(p.plan.least >= COMPARE_ROUNDS_LEAST);
    done(&p);

    made(&p, "-m poll,select --budget 3s");
    assert_in_range(p.c->nworkloads, 1, count_builtins(true) - 1);
    assert_string_equal(p.c->workload[0].name, "1x64B");
    assert_int_equal(p.c->narms, 3);
    assert_true(has_caveat(p.c, "short-budget"));
    assert_true(p.plan.least * p.plan.round_ns <= 3 * PLX_SECOND);
    done(&p);

    made(&p, "-m poll,select --budget 1h");
    assert_int_equal(p.c->nworkloads, count_builtins(false));
    assert_false(has_caveat(p.c, "short-budget"));
    done(&p);
}

/* Who repeats a comparison makes runs as long as they were, within no budget. */
static void test_repeated_times(void **state)
{
    struct plan p;

    (void)state;
    parse(&p, "-m poll -w 64x64B -w 64-idle --rounds 12 --budget 1s");
    p.values.warmup_ns = 30 * PLX_MSEC;
    p.values.measure_ns = 130 * PLX_MSEC;
    p.values.idle_ns = 700 * PLX_MSEC;
    assert_int_equal(compare_plan_make(&p.values, p.c, &p.plan, p.err, sizeof p.err), 0);
    assert_int_equal(p.c->measure_ns, 130 * PLX_MSEC);
    assert_int_equal(p.c->workload[0].load.duration_ns, 130 * PLX_MSEC);
    assert_int_equal(p.c->workload[0].load.warmup_ns, 30 * PLX_MSEC);
    assert_int_equal(p.c->workload[1].load.duration_ns, 700 * PLX_MSEC);
    assert_int_equal(p.plan.most, 12);
    done(&p);
}

/* ---- CPUs ---- */

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_budget),         cmocka_unit_test(test_rounds),
        cmocka_unit_test(test_quick),          cmocka_unit_test(test_short_budget),
        cmocka_unit_test(test_repeated_times),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
