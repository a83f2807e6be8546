/* SPDX-License-Identifier: MIT */
/* The plan of a comparison: every default, every contradiction, who cannot do what, and how the
 * time is divided. */
#include "compare_util.h"

#include <errno.h>
#include <pollux/pollux.h>

/* ---- defaults ---- */

static void test_defaults(void **state)
{
    const struct plx_model *model;
    struct plan p;
    struct plan again;
    size_t n = 0;

    (void)state;
    made(&p, "");
    for (size_t i = 0; (model = plx_model_at(i)) != NULL; i++) {
        if (strcmp(model->name, "auto") == 0)
            continue;
        assert_string_equal(p.c->arm[n].name, model->name);
        assert_ptr_equal(p.c->arm[n].model, model);
        assert_int_equal(p.c->arm[n].runs, plx_model_probe(model, NULL) == 0);
        assert_int_equal(p.c->arm[n].runs, p.c->arm[n].why[0] == '\0');
        n++;
    }
    assert_int_equal(p.c->narms, n + 1);
    assert_int_equal(p.c->nworkloads, count_builtins(false));
    assert_string_equal(p.c->pin, "auto");
    assert_false(p.c->quick || p.c->partial);
    assert_true(p.c->seed > 0 && p.c->seed < (uint64_t)1 << 53);
    assert_int_equal(p.plan.most, 0);
    assert_true(p.c->budget_ns <= 30 * 60 * PLX_SECOND);
    assert_true(p.plan.least >= COMPARE_ROUNDS_LEAST);
    assert_true(p.plan.least * p.plan.round_ns <= p.c->budget_ns);
    assert_int_equal(p.plan.estimate_ns, p.c->budget_ns);
    made(&again, "--models all");
    assert_int_equal(again.c->narms, p.c->narms);
    assert_int_not_equal(again.c->seed, p.c->seed);
    done(&p);
    done(&again);
}

static void test_given(void **state)
{
    struct plan p;

    (void)state;
    made(&p, "-m poll,select --seed 7 --pin none -w 1x64B -w a=connections=3");
    assert_int_equal(p.c->narms, 3);
    assert_string_equal(p.c->arm[0].name, "poll");
    assert_string_equal(p.c->arm[1].name, "select");
    assert_int_equal(p.c->seed, 7);
    assert_string_equal(p.c->pin, "none");
    assert_int_equal(p.c->nworkloads, 2);
    assert_int_equal(p.c->workload[1].load.connections, 3);
    assert_true(has_caveat(p.c, "not-pinned"));
    done(&p);
}

static void test_servers(void **state)
{
    const struct arm *arm;
    struct plan p;

    (void)state;
    made(&p, "-m none --server a=./x_{addr}_{port} --server b=./y=1_{port} -w 10x64B-10active");
    assert_int_equal(p.c->narms, 3);
    arm = find_arm(&p, "a");
    assert_null(arm->model);
    assert_true(arm->runs);
    assert_string_equal(arm->command, "./x {addr} {port}");
    assert_string_equal(find_arm(&p, "b")->command, "./y=1 {port}");
    assert_int_equal(find_cell(&p, "10x64B-10active", "a")->state, CELL_EMPTY);
    done(&p);
}

/* ---- the twin ---- */

static void check_twin(const char *line, const char *of)
{
    const struct arm *twin;
    struct plan p;

    made(&p, line);
    twin = &p.c->arm[p.c->narms - 1];
    assert_true(twin->twin);
    assert_string_equal(p.c->arm[twin->of].name, of);
    assert_int_equal(p.plan.reference, twin->of);
    assert_ptr_equal(twin->model, p.c->arm[twin->of].model);
    assert_string_equal(twin->command, p.c->arm[twin->of].command);
    assert_string_not_equal(twin->name, of);
    for (size_t i = 0; i + 1 < p.c->narms; i++)
        assert_false(p.c->arm[i].twin);
    for (size_t w = 0; w < p.c->nworkloads; w++)
        assert_int_equal(p.c->cell[w][p.c->narms - 1].state, p.c->cell[w][twin->of].state);
    done(&p);
}

static void test_twin(void **state)
{
    (void)state;
    check_twin("-m select,poll -w 64x64B", "select");
    check_twin("-m iocp,poll -w 64x64B", "poll");
    /* The first one can do only some of it. */
    check_twin("-m blocking,poll -w 1x64B -w 64x64B", "poll");
    check_twin("-m none --server a=x_{port} --server b=y_{port}", "a");
    if (plx_model_probe(plx_model_find("epoll"), NULL) == 0)
        check_twin("-m poll,epoll --server a=x_{port}", "epoll");
}

/* ---- who cannot do what ---- */

static void test_excluded(void **state)
{
    const struct cell *cell;
    struct plan p;

    (void)state;
    made(&p, "-m blocking,select,threadpool,poll,iocp -w 1x64B -w 64x64B -w 64x64B-short "
             "-w big=connections=5000,active=10");
    assert_int_equal(find_cell(&p, "1x64B", "blocking")->state, CELL_EMPTY);
    cell = find_cell(&p, "64x64B", "blocking");
    assert_int_equal(cell->state, CELL_EXCLUDED);
    assert_string_equal(cell->why, "it serves one connection at a time, here are 64");
    /* One after the other is what short connections can be served. */
    assert_int_equal(find_cell(&p, "64x64B-short", "blocking")->state, CELL_EMPTY);
    cell = find_cell(&p, "big", "select");
    assert_int_equal(cell->state, CELL_EXCLUDED);
    assert_string_equal(cell->why, "it serves 1000 connections at most, here are 5000");
    assert_string_equal(find_cell(&p, "big", "threadpool")->why,
                        "it serves 4096 connections at most, here are 5000");
    assert_int_equal(find_arm(&p, "threadpool")->max_connections, COMPARE_POOL_MOST);
    assert_int_equal(find_arm(&p, "poll")->max_connections, 0);
    assert_false(find_arm(&p, "iocp")->runs);
    cell = find_cell(&p, "1x64B", "iocp");
    assert_int_equal(cell->state, CELL_EXCLUDED);
    assert_string_equal(cell->why, find_arm(&p, "iocp")->why);
    assert_non_null(strstr(cell->why, "Windows"));
    done(&p);
}

static void exclude_by(struct plan *p, uint64_t descriptors, uint64_t tasks, uint64_t mappings)
{
    struct compare_limits limits = {
        .descriptors = descriptors, .tasks = tasks, .mappings = mappings};

    compare_exclude(p->c, &limits);
}

static void test_limits(void **state)
{
    const uint64_t none = UINT64_MAX;
    const char *few = "few", *many = "many";
    struct plan p;

    (void)state;
    made(&p, "-m fork,threads,poll -w few=connections=10 -w many=connections=3000");
    exclude_by(&p, 1024, none, none);
    assert_int_equal(find_cell(&p, few, "poll")->state, CELL_EMPTY);
    assert_int_equal(find_cell(&p, many, "poll")->state, CELL_EXCLUDED);
    assert_non_null(strstr(find_cell(&p, many, "poll")->why, "the limit is 1024 (ulimit -Hn)"));
    assert_non_null(strstr(find_cell(&p, many, "poll")->why, "ulimit -n 3128"));

    exclude_by(&p, none, 2000, none);
    assert_int_equal(find_cell(&p, few, "threads")->state, CELL_EMPTY);
    assert_int_equal(find_cell(&p, many, "poll")->state, CELL_EMPTY);
    assert_non_null(strstr(find_cell(&p, many, "threads")->why, "threads or processes"));
    assert_int_equal(find_cell(&p, many, "fork")->state, CELL_EXCLUDED);

    exclude_by(&p, none, none, 5000);
    assert_non_null(strstr(find_cell(&p, many, "threads")->why, "vm.max_map_count=7000"));
    assert_int_equal(find_cell(&p, many, "fork")->state, CELL_EMPTY);
    assert_string_equal(find_cell(&p, many, "fork")->why, "");
    done(&p);
}

/* ---- CPUs ---- */

/* Whatever this machine is: what is chosen is allowed, and not the same. */
static void test_pin_here(void **state)
{
    struct cpulist allowed;
    struct cpulist server;
    struct cpulist client;
    struct plan p;

    (void)state;
    assert_true(compare_allowed_cpus(&allowed));
    made(&p, "-m poll -w 64x64B");
    assert_true(cpulist_parse(p.c->server_cpus, &server));
    assert_true(cpulist_parse(p.c->client_cpus, &client));
    assert_int_equal(cpulist_count(&server), cpulist_count(&allowed) > 1);
    assert_int_equal(cpulist_count(&client), cpulist_count(&allowed) > 1);
    assert_int_equal(p.c->workload[0].load.threads, 1);
    cpulist_join(&client, &server);
    cpulist_meet(&client, &allowed);
    assert_int_equal(cpulist_count(&client), cpulist_count(&allowed) > 1 ? 2 : 0);
    done(&p);
}

/* ---- refusals ---- */

static const struct {
    const char *line, *says;
} refusals[] = {
    {"--models epol", "--models: unknown model epol; did you mean epoll?"},
    {"-m zzzzzzzz", "unknown model zzzzzzzz; see pollux models"},
    {"-m poll,", "unknown model \"\""},
    {"-m poll,poll", "poll is named twice"},
    {"-m auto", "auto only chooses one of the others"},
    {"-m all,poll", "all stands alone"},
    {"-m none", "leaves nothing to compare"},
    {"-m iocp,devpoll", "none of these runs here; iocp: not built yet"},
    {"--server x", "not NAME=COMMAND"},
    {"--server =x", "not NAME=COMMAND"},
    {"--server a_b=x_{port}", "not NAME=COMMAND"},
    {"--server a=", "there is no command"},
    {"--server a=_", "there is no command"},
    {"--server a=./x_{addr}", "does not say where {port} goes"},
    {"--server poll=./x_{port}", "this is the name of a model"},
    {"--server a=x_{port} --server a=y_{port}", "a is named twice"},
    {"-w 64x64B -w 1x64B -w 64x64B", "64x64B is given twice"},
    {"-w 64x64C", "did you mean 64x64B?"},
    {"-m blocking -w 64x64B", "--workload 64x64B: nobody can do this; blocking: it serves one"},
    {"--quick --budget 1m", "--quick and --budget contradict each other"},
    {"--budget 1ms", "out of range"},
    {"--budget 5", "not a time"},
    {"--rounds 0", "out of range"},
    {"--seed 0", "out of range"},
    {"--pin 99999", "--pin 99999: not auto, none,"},
    {"--net veth", "--net veth: unknown; valid are lo, netns"},
    {"-m poll -w 64x64B --budget 1s --rounds 100", "--budget 1s is too short: 100 rounds"},
    {"--budget 1s", "1 workload with"},
    {"--repeat f --models poll", "--repeat and --models contradict each other"},
    {"--repeat f --server a=x_{port}", "--repeat and --server contradict"},
    {"--repeat f -w 64x64B", "--repeat and --workload contradict"},
    {"--repeat f --budget 1m", "--repeat and --budget contradict"},
    {"--repeat f --rounds 10", "--repeat and --rounds contradict"},
    {"--repeat f --quick", "--repeat and --quick contradict"},
    {"--repeat f --pin none", "--repeat and --pin contradict"},
    {"--repeat f --seed 1", "--repeat and --seed contradict"},
};

static void test_refusals(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        struct plan p;

        make(&p, refusals[i].line);
        if (p.rc != -EINVAL || strstr(p.err, refusals[i].says) == NULL ||
            strchr(p.err, '\n') != NULL)
            fail_msg("\"%s\": %d, \"%s\" does not say \"%s\"", refusals[i].line, p.rc, p.err,
                     refusals[i].says);
        done(&p);
    }
}

/* Every option but --output and --net contradicts --repeat, and there is a row above that says so:
 * a new one cannot be forgotten. */
static void test_repeat(void **state)
{
    struct compare_values v = {.repeat = "f", .output = "d", .net = "lo"};
    char says[128];
    char err[512] = "";

    (void)state;
    assert_int_equal(compare_repeat_check(&v, err, sizeof err), 0);
    v.repeat = NULL;
    v.quick = true;
    assert_int_equal(compare_repeat_check(&v, err, sizeof err), 0);
    for (const struct opt *o = compare_options; o->name != NULL; o++) {
        bool found = strcmp(o->name, "repeat") == 0 || strcmp(o->name, "output") == 0 ||
                     strcmp(o->name, "net") == 0;

        snprintf(says, sizeof says, "--repeat and --%s contradict", o->name);
        for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
            found = found || strncmp(refusals[i].says, says, strlen(says)) == 0;
        if (!found)
            fail_msg("no test of --repeat with --%s", o->name);
    }
}

static void test_too_many(void **state)
{
    char line[COMPARE_ARMS_MAX + 1][32];
    struct plan p;

    (void)state;
    parse(&p, "-m none");
    for (size_t i = 0; i <= COMPARE_ARMS_MAX; i++) {
        snprintf(line[i], sizeof line[i], "s%zu=x {port}", i);
        p.values.server.item[i] = line[i];
    }
    p.values.server.n = COMPARE_ARMS_MAX; /* the twin has no place */
    assert_int_equal(compare_plan_make(&p.values, p.c, &p.plan, p.err, sizeof p.err), -EINVAL);
    assert_non_null(strstr(p.err, "more than 47 models and servers"));
    done(&p);

    parse(&p, "-m none");
    for (size_t i = 0; i <= COMPARE_WORKLOADS_MAX; i++) {
        snprintf(line[i], sizeof line[i], "w%zu=connections=1", i);
        p.values.workload.item[i] = line[i];
    }
    p.values.server.item[0] = "a=x {port}";
    p.values.server.n = 1;
    p.values.workload.n = COMPARE_WORKLOADS_MAX + 1;
    assert_int_equal(compare_plan_make(&p.values, p.c, &p.plan, p.err, sizeof p.err), -EINVAL);
    assert_non_null(strstr(p.err, "more than 48"));
    done(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults), cmocka_unit_test(test_given),
        cmocka_unit_test(test_servers),  cmocka_unit_test(test_twin),
        cmocka_unit_test(test_excluded), cmocka_unit_test(test_limits),
        cmocka_unit_test(test_pin_here), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_repeat),   cmocka_unit_test(test_too_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
