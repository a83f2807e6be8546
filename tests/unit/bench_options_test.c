/* SPDX-License-Identifier: MIT */
/* What the options of `pollux bench` mean together: every default, and every contradiction. */
#include "cmd/bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define WORDS_MAX 16

static char words[512]; /* the plan points into them */
static struct bench_values values;
static struct opt_list args;
static struct bench_plan plan;
static char err[2 * OPT_TEXT_MAX];

/* Parses a command line, words separated by blanks; the argument comes first. */
static int parse(const char *line)
{
    char *argv[WORDS_MAX];
    int argc = 0;

    snprintf(words, sizeof words, "%s", line);
    for (char *rest = words; rest != NULL && argc < WORDS_MAX;)
        argv[argc++] = strsep(&rest, " ");
    memset(&values, 0, sizeof values);
    memset(&args, 0, sizeof args);
    err[0] = '\0';
    return opt_parse(&cmd_bench, argc, argv, &values, &args, err, sizeof err);
}

static const struct load_config *planned(const char *line)
{
    int rc = parse(line);

    if (rc == 0)
        rc = bench_plan_make(&values, args.item[0], &plan, err, sizeof err);
    if (rc != 0)
        fail_msg("%s: refused: %s", line, err);
    return &plan.load;
}

static void refused(const char *line, const char *text)
{
    if (parse(line) == 0 &&
        bench_plan_make(&values, args.item[0], &plan, err, sizeof err) != -EINVAL)
        fail_msg("%s: not refused", line);
    if (strstr(err, text) == NULL)
        fail_msg("%s: no \"%s\" in: %s", line, text, err);
    assert_null(strchr(err, '\n'));
}

/* ---- defaults ---- */

static void test_defaults(void **state)
{
    const struct load_config *load = planned(":7");

    (void)state;
    assert_string_equal(plan.target, ":7");
    assert_null(plan.json);
    assert_null(plan.histogram);
    assert_int_equal(load->to.in.sin_family, AF_INET);
    assert_int_equal(ntohl(load->to.in.sin_addr.s_addr), INADDR_LOOPBACK);
    assert_int_equal(ntohs(load->to.in.sin_port), 7);
    assert_int_equal(load->nsources, 0);
    assert_int_equal(load->mode, LOAD_PINGPONG);
    assert_int_equal(load->expect, LOAD_ECHO);
    assert_int_equal(load->connections, 64);
    assert_int_equal(load->active, 64);
    assert_int_equal(load->depth, 1);
    assert_int_equal(load->threads, 1);
    assert_int_equal(load->messages_per_connection, 1);
    assert_int_equal(load->nsizes, 1);
    assert_int_equal(load->size[0].bytes, 64);
    assert_int_equal(load->size[0].weight, 1);
    assert_int_equal(load->duration_ns, 10 * PLX_SECOND);
    assert_int_equal(load->messages, 0);
    assert_int_equal(load->warmup_ns, PLX_SECOND);
    assert_int_equal(load->timeout_ns, 5 * PLX_SECOND);
    assert_true(load->connect_rate == 0);
    assert_int_equal(load->arrival, LOAD_CLOSED);
    assert_true(load->rate == 0);
    assert_int_equal(load->seed, 1);
    assert_int_equal(load->server_pid, 0);
    assert_null(load->tick);
}

static void test_times(void **state)
{
    (void)state;
    assert_int_equal(planned(":7 -d 5s")->warmup_ns, PLX_SECOND);
    assert_int_equal(planned(":7 -d 4s")->warmup_ns, 800 * PLX_MSEC);
    assert_int_equal(planned(":7 -d 100ms")->warmup_ns, 20 * PLX_MSEC);
    assert_int_equal(planned(":7 --warmup none")->warmup_ns, 0);
    assert_int_equal(planned(":7 -d 2s --warmup 3s")->warmup_ns, 3 * PLX_SECOND);
    assert_int_equal(planned(":7 -n 2k")->messages, 2000);
    assert_int_equal(plan.load.duration_ns, 0);
    assert_int_equal(plan.load.warmup_ns, 0);
    assert_int_equal(planned(":7 -n 1 --warmup none")->messages, 1);
    assert_int_equal(planned(":7 --timeout 250ms")->timeout_ns, 250 * PLX_MSEC);
}

static void test_modes(void **state)
{
    (void)state;
    assert_int_equal(planned(":7 -P 1")->mode, LOAD_PINGPONG);
    assert_int_equal(planned(":7 -P 8")->mode, LOAD_PIPELINE);
    assert_int_equal(plan.load.depth, 8);
    assert_int_equal(planned(":7 --mode pipeline")->depth, 16);
    assert_int_equal(planned(":7 --mode pipeline -P 1")->depth, 1);
    assert_int_equal(plan.load.mode, LOAD_PIPELINE);
    assert_int_equal(planned(":7 --mode pingpong -P 1")->mode, LOAD_PINGPONG);
    assert_int_equal(planned(":7 --mode stream")->depth, 8192);
    assert_int_equal(planned(":7 --mode stream -s 64k")->depth, 8);
    assert_int_equal(planned(":7 --mode stream -s 1M")->depth, 4);
    assert_int_equal(planned(":7 --mode stream -s 1 -c 2")->depth, LOAD_DEPTH_MAX);
    assert_int_equal(planned(":7 --mode stream -P 2")->depth, 2);
    assert_int_equal(planned(":7 --mode stream --size-mix 64:9,64k:1")->depth, 8);
    assert_int_equal(planned(":7 --mode connect")->messages_per_connection, 1);
    assert_int_equal(plan.load.mode, LOAD_CONNECT);
    assert_int_equal(
        planned(":7 --mode connect --messages-per-connection 9")->messages_per_connection, 9);
    /* As with every option, the last one counts. */
    assert_int_equal(planned(":7 --mode stream --mode pingpong")->mode, LOAD_PINGPONG);
}

static void test_open_loop(void **state)
{
    (void)state;
    assert_true(planned(":7 --rate 0.5k")->rate == 500);
    assert_int_equal(plan.load.arrival, LOAD_CONSTANT);
    assert_int_equal(plan.load.mode, LOAD_PINGPONG);
    assert_int_equal(planned(":7 --rate 1 --arrival poisson")->arrival, LOAD_POISSON);
    assert_int_equal(planned(":7 --rate 1 --arrival constant")->arrival, LOAD_CONSTANT);
    assert_true(planned(":7 --rate 1 --mode pingpong")->rate == 1);
    assert_int_equal(planned(":7 --rate 10 -n 5")->messages, 5);
}

static void test_connecting(void **state)
{
    (void)state;
    assert_true(planned(":7 --connect-rate 100")->connect_rate == 100);
    assert_true(planned(":7 -c 100 --ramp 4s")->connect_rate == 25);
    assert_true(planned(":7 -c 1 --ramp 4s")->connect_rate == 0.25);
    assert_true(planned(":7 --mode connect --connect-rate 7")->connect_rate == 7);
    assert_int_equal(planned(":7 -c 10 --active 3 -t 3")->active, 3);
    assert_int_equal(plan.load.connections, 10);
    assert_int_equal(plan.load.threads, 3);
    assert_int_equal(planned(":7 -c 10")->active, 10);
}

static void test_rest(void **state)
{
    const struct load_config *load =
        planned(":7 --expect upper --server-pid 9 --seed 3 --json=a --histogram -");

    (void)state;
    assert_int_equal(load->expect, LOAD_UPPER);
    assert_int_equal(load->server_pid, 9);
    assert_int_equal(load->seed, 3);
    assert_string_equal(plan.json, "a");
    assert_string_equal(plan.histogram, "-");
    assert_int_equal(planned(":7 --expect none")->expect, LOAD_NONE);
}

static void test_size_mix(void **state)
{
    const struct load_config *load = planned(":7 --size-mix 64:9,4k:1");

    (void)state;
    assert_int_equal(load->nsizes, 2);
    assert_int_equal(load->size[0].bytes, 64);
    assert_int_equal(load->size[0].weight, 9);
    assert_int_equal(load->size[1].bytes, 4096);
    assert_int_equal(load->size[1].weight, 1);
    load = planned(":7 --size-mix "
                   "1:1,2:1,3:1,4:1,5:1,6:1,7:1,8:1,9:1,10:1,11:1,12:1,13:1,14:1,15:1,1k:1M");
    assert_int_equal(load->nsizes, 16);
    assert_int_equal(load->size[15].weight, 1000000);

    refused(":7 --size-mix 64", "--size-mix: 64 is not SIZE:WEIGHT");
    refused(":7 --size-mix 64:1,", "--size-mix: nothing is not SIZE:WEIGHT");
    refused(":7 --size-mix 0:1", "--size-mix: 0 is not a size");
    refused(":7 --size-mix 17M:1", "--size-mix: 17M is not a size");
    refused(":7 --size-mix 64:0", "--size-mix: 0 is not a weight");
    refused(":7 --size-mix 64:2M", "--size-mix: 2M is not a weight");
    refused(":7 --size-mix x:1", "--size-mix: x is not a size");
    refused(":7 --size-mix 1:1:1", "--size-mix: 1:1 is not a weight");
    refused(":7 --size-mix "
            "1:1,2:1,3:1,4:1,5:1,6:1,7:1,8:1,9:1,10:1,11:1,12:1,13:1,14:1,15:1,16:1,17:1",
            "--size-mix: more than 16 sizes");
}

/* ---- addresses ---- */

static const char *source_text(void)
{
    static char text[PLX_ADDR_TEXT];

    return plx_addr_format(&plan.load.source, text, sizeof text);
}

static void test_sources(void **state)
{
    (void)state;
    /* Network and broadcast address are left out, where there are such. */
    assert_int_equal(planned(":7 --source 127.0.1.0/24")->nsources, 254);
    assert_string_equal(source_text(), "127.0.1.1:0");
    assert_int_equal(planned(":7 --source 127.0.1.77/24")->nsources, 254);
    assert_string_equal(source_text(), "127.0.1.1:0");
    assert_int_equal(planned(":7 --source 127.0.0.0/8")->nsources, (1 << 24) - 2);
    assert_int_equal(planned(":7 --source 10.0.0.4/30")->nsources, 2);
    assert_string_equal(source_text(), "10.0.0.5:0");
    assert_int_equal(planned(":7 --source 10.0.0.4/31")->nsources, 2);
    assert_string_equal(source_text(), "10.0.0.4:0");
    assert_int_equal(planned(":7 --source 10.0.0.4/32")->nsources, 1);
    assert_int_equal(planned(":7 --source 10.0.0.4")->nsources, 1);
    assert_string_equal(source_text(), "10.0.0.4:0");
    assert_int_equal(planned(":7 --source 0.0.0.0/0")->nsources, 0xfffffffe);
    assert_int_equal(planned("[::1]:7 --source fd00::77/120")->nsources, 256);
    assert_string_equal(source_text(), "[fd00::]:0");
    assert_int_equal(planned("[::1]:7 --source fd00::ffff/117")->nsources, 2048);
    assert_string_equal(source_text(), "[fd00::f800]:0");
    assert_int_equal(planned("[::1]:7 --source ::1/128")->nsources, 1);
    assert_string_equal(source_text(), "[::1]:0");
    assert_int_equal(planned("[::1]:7 --source fd00::/8")->nsources, (uint64_t)1 << 32);

    refused(":7 --source 127.0.1.0/33", "--source 127.0.1.0/33: not a network");
    refused(":7 --source 127.0.1", "--source 127.0.1: not a network");
    refused(":7 --source 127.0.1.0/", "not a network");
    refused(":7 --source localhost/8", "not a network");
    refused("[::1]:7 --source ::1/129", "not a network");
    refused(":7 --source ::1/128", "--source ::1/128 is IPv6, but :7 is IPv4");
    refused("[::1]:7 --source 127.0.0.1", "--source 127.0.0.1 is IPv4, but [::1]:7 is IPv6");
    refused("unix:x --source 127.0.0.1", "but unix:x is a unix socket; leave --source out");
}

static void test_targets(void **state)
{
    (void)state;
    assert_int_equal(planned("unix:x")->to.sa.sa_family, AF_UNIX);
    assert_int_equal(planned("[::1]:7")->to.sa.sa_family, AF_INET6);
    refused("7", "the port is missing");
    refused("127.0.0.1:x", "the port is not a number");
    refused("127.0.0.1:0", "127.0.0.1:0: nobody listens on port 0");
    refused("unix:", "the path is missing");
}

/* ---- contradictions ---- */

static void test_contradictions(void **state)
{
    static const char *const rows[][3] = {
        {":7 -s 64 --size-mix 64:1", "--size and --size-mix contradict", "leave one of them out"},
        {":7 -d 10s -n 5", "--duration and --messages contradict", "leave one of them out"},
        {":7 --warmup 1s -n 5", "--warmup and --messages contradict", "or give --duration"},
        {":7 --ramp 1s --connect-rate 5", "--ramp and --connect-rate contradict", "leave one"},
        {":7 --ramp 1s --mode connect", "--ramp and --mode connect contradict", "--connect-rate"},
        {":7 --rate 5 -P 2", "--rate and --pipeline contradict", "leave one of them out"},
        {":7 --rate 5 -P 1", "--rate and --pipeline contradict", "leave one of them out"},
        {":7 --rate 5 --mode pipeline", "--rate and --mode pipeline contradict", "leave one"},
        {":7 --rate 5 --mode stream", "--rate and --mode stream contradict", "leave one"},
        {":7 --rate 5 --mode connect", "--rate and --mode connect contradict", "leave one"},
        {":7 --arrival constant", "--arrival is for the open loop", "give --rate too"},
        {":7 --arrival poisson", "--arrival is for the open loop", "give --rate too"},
        {":7 --mode pingpong -P 2", "--mode pingpong and --pipeline 2 contradict",
         "give --mode pipeline"},
        {":7 --mode connect -P 2", "--mode connect and --pipeline 2 contradict",
         "leave --pipeline"},
        {":7 --mode stream --expect none -P 2", "--pipeline and --expect none contradict",
         "leave one of them out"},
        {":7 --messages-per-connection 1", "--messages-per-connection is for short connections",
         "give --mode connect too"},
        {":7 -c 5 --active 6", "--active 6 is more than --connections 5", "raise the other"},
        {":7 --active 65", "--active 65 is more than --connections 64", "raise the other"},
        {":7 -c 2 -t 3", "--threads 3 is more than --connections 2", "raise the other"},
        {":7 --active 2 -t 3", "--threads 3 is more than --active 2", "raise the other"},
        {":7 -s 16M -c 128", "--size 16M, --pipeline 1 and --connections 128 make 2.0 GiB",
         "lower one of them"},
        {":7 -s 1M -P 1k --active 3", "--size 1M, --pipeline 1000 and --active 3 make 2.9 GiB",
         "lower one of them"},
        {":7 --size-mix 1:9,16M:1 -c 128", "--size-mix up to 16M, --pipeline 1", "lower one"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        refused(rows[i][0], rows[i][1]);
        refused(rows[i][0], rows[i][2]);
    }
    /* Just below. */
    assert_int_equal(planned(":7 -s 16M -c 127")->active, 127);
}

static void test_ranges(void **state)
{
    /* option, below, above */
    static const char *const rows[][3] = {
        {"connections", "0", "1000001"},
        {"active", "0", "1000001"},
        {"pipeline", "0", "65537"},
        {"size", "0", "16385k"},
        {"duration", "9ms", "169h"},
        {"messages", "0", "1001G"},
        {"warmup", "0", "25h"},
        {"messages-per-connection", "0", "1000001"},
        {"threads", "0", "257"},
        {"rate", "0", "101M"},
        {"ramp", "0", "25h"},
        {"connect-rate", "0", "1000001"},
        {"timeout", "0", "25h"},
        {"server-pid", "0", "4194305"},
        {"seed", "0", "1001G"},
    };
    char line[128];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (size_t k = 1; k < 3; k++) {
            snprintf(line, sizeof line, ":7 --%s %s", rows[i][0], rows[i][k]);
            refused(line, ": out of range; give ");
        }
    }
    refused(":7 --mode pingpang", "--mode pingpang: unknown; did you mean pingpong?");
    refused(":7 --expect ecko", "--expect ecko: unknown; did you mean echo?");
    refused(":7 --arrival fish", "--arrival fish: unknown; valid are constant, poisson");
}

/* ---- merge, files ---- */

static void merge_refused(const char *options, const char *name)
{
    char line[128];

    snprintf(line, sizeof line, "merge a %s", options);
    assert_int_equal(parse(line), 0);
    assert_int_equal(bench_merge_check(&values, err, sizeof err), -EINVAL);
    assert_non_null(strstr(err, name));
}

static void test_merge(void **state)
{
    char name[64];

    (void)state;
    assert_int_equal(parse("merge a b --json=- --histogram c"), 0);
    assert_int_equal(bench_merge_check(&values, err, sizeof err), 0);
    assert_int_equal(args.n, 3);
    /* All others, whichever come. */
    for (const struct opt *o = bench_options; o->name != NULL; o++) {
        char line[128];
        const char *value = o->choice != NULL     ? o->choice(0)
                            : o->kind == OPT_TIME ? "1s"
                            : o->kind == OPT_TEXT ? "x"
                                                  : "1";

        if (strcmp(o->name, "json") == 0 || strcmp(o->name, "histogram") == 0)
            continue;
        snprintf(line, sizeof line, "--%s %s", o->name, value);
        snprintf(name, sizeof name, "--%s is for a run", o->name);
        merge_refused(line, name);
    }
    merge_refused("--warmup none", "--warmup is for a run");
}

static void test_files(void **state)
{
    (void)state;
    assert_int_equal(bench_files_check(NULL, NULL, err, sizeof err), 0);
    assert_int_equal(bench_files_check("-", NULL, err, sizeof err), 0);
    assert_int_equal(bench_files_check("/dev/null", "-", err, sizeof err), 0);
    assert_int_equal(bench_files_check("-", "-", err, sizeof err), -EINVAL);
    assert_non_null(strstr(err, "--json and --histogram would both write to standard output"));
    assert_int_equal(bench_files_check("a", "a", err, sizeof err), -EINVAL);
    assert_int_equal(bench_files_check("/no/such/dir/a", NULL, err, sizeof err), -EINVAL);
    assert_non_null(strstr(err, "--json /no/such/dir/a cannot be written: "));
    assert_int_equal(bench_files_check(NULL, "/", err, sizeof err), -EINVAL);
    assert_non_null(strstr(err, "--histogram / cannot be written: "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),   cmocka_unit_test(test_times),
        cmocka_unit_test(test_modes),      cmocka_unit_test(test_open_loop),
        cmocka_unit_test(test_connecting), cmocka_unit_test(test_rest),
        cmocka_unit_test(test_size_mix),   cmocka_unit_test(test_sources),
        cmocka_unit_test(test_targets),    cmocka_unit_test(test_contradictions),
        cmocka_unit_test(test_ranges),     cmocka_unit_test(test_merge),
        cmocka_unit_test(test_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
