/* SPDX-License-Identifier: MIT */
/* Workloads: the built-in ones are what the claims and the report need, and a SPEC means what it
 * says or is refused in words. */
#include "cmd/compare/compare.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct workload parsed(const char *text)
{
    struct workload w;
    char err[512] = "";

    if (workload_parse(text, &w, err, sizeof err) != 0)
        fail_msg("%s was refused: %s", text, err);
    return w;
}

/* ---- the built-in ones ---- */

static const struct workload *builtin(const char *name)
{
    const struct workload *w;
    bool quick;

    for (size_t i = 0; (w = workload_builtin(i, &quick)) != NULL; i++) {
        if (strcmp(w->name, name) == 0)
            return w;
    }
    fail_msg("there is no %s", name);
    return NULL;
}

/* Each can be typed in full, and then means the same. */
static void test_builtins_parse(void **state)
{
    const struct workload *w;
    size_t nquick = 0;
    bool quick;
    size_t n;

    (void)state;
    for (n = 0; (w = workload_builtin(n, &quick)) != NULL; n++) {
        char text[2 * sizeof w->spec];
        struct workload typed;

        nquick += quick;
        assert_true(w->load.connections > 0);
        assert_true(w->load.active > 0 && w->load.active <= w->load.connections);
        assert_true(compare_name_fits(w->name, strlen(w->name)));
        assert_true(strlen(w->title) > 0 && strlen(w->title) < sizeof w->title - 1);
        snprintf(text, sizeof text, "%s=%s", w->name, w->spec);
        typed = parsed(text);
        assert_memory_equal(&typed, w, sizeof typed);
        typed = parsed(w->name);
        assert_memory_equal(&typed, w, sizeof typed);
        for (size_t i = 0; i < n; i++)
            assert_string_not_equal(workload_builtin(i, &quick)->name, w->name);
    }
    assert_in_range(n, 10, COMPARE_WORKLOADS_MAX);
    assert_in_range(nquick, 3, 5);
    assert_null(workload_builtin(n, &quick));
}

static const struct {
    const char *name, *title;
} titles[] = {
    {"1x64B", "1 connection, 64 B each, ping-pong"},
    {"64x64B", "64 connections, 64 B each, ping-pong"},
    {"64x64B-p16", "64 connections, 64 B each, pipelined, 16 under way each"},
    {"64x16KiB", "64 connections, 16 KiB each, ping-pong"},
    {"1000x64B", "1000 connections, 64 B each, ping-pong"},
    {"10000x64B-100active", "10000 connections, 100 active, 64 B each, ping-pong"},
    {"1x64KiB-stream", "1 connection, 64 KiB each, streamed, 4 under way each"},
    {"64x64B-short", "64 short connections at a time, 64 B each, 1 message per connection"},
    {"64x64B-half", "64 connections, 64 B each, at half the slowest rate"},
    {"64-idle", "64 connections, idle"},
};

static void test_titles(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof titles / sizeof *titles; i++)
        assert_string_equal(builtin(titles[i].name)->title, titles[i].title);
}

static void test_sweep(void **state)
{
    static const unsigned points[] = {10, 100, 1000, 10000};
    const struct workload *w;
    unsigned found = 0;
    bool quick;

    (void)state;
    for (size_t i = 0; (w = workload_builtin(i, &quick)) != NULL; i++) {
        if (strcmp(w->sweep, "connections") != 0) {
            assert_string_equal(w->sweep, "");
            continue;
        }
        assert_in_range(found, 0, 3);
        assert_int_equal(w->load.connections, points[found]);
        assert_true(w->at >= points[found] && w->at <= points[found]);
        assert_int_equal(w->load.active, 10);
        assert_int_equal(w->load.mode, LOAD_PINGPONG);
        found++;
    }
    assert_int_equal(found, 4);
}

static bool in_map(unsigned connections, uint32_t size)
{
    const struct workload *w;
    bool quick;

    for (size_t i = 0; (w = workload_builtin(i, &quick)) != NULL; i++) {
        if (w->load.mode == LOAD_PINGPONG && w->load.arrival == LOAD_CLOSED && !w->idle &&
            w->load.connections == connections && w->load.active == connections &&
            w->load.size[0].bytes == size)
            return true;
    }
    return false;
}

static void test_map(void **state)
{
    static const unsigned connections[] = {1, 64, 1000};
    static const uint32_t sizes[] = {64, 1024, 16 * 1024, 64 * 1024};

    (void)state;
    for (size_t c = 0; c < 3; c++) {
        for (size_t s = 0; s < 4; s++) {
            if (!in_map(connections[c], sizes[s]))
                fail_msg("no point of %u connections, %u bytes", connections[c], sizes[s]);
        }
    }
    assert_false(in_map(2, 64));
}

/* ---- one's own ---- */

static void test_own(void **state)
{
    struct workload w = parsed("mine=connections=1k,active=100,size=2k");

    (void)state;
    assert_string_equal(w.name, "mine");
    assert_string_equal(w.spec, "connections=1k,active=100,size=2k");
    assert_string_equal(w.title, "1000 connections, 100 active, 2 KiB each, ping-pong");
    assert_string_equal(w.sweep, "");
    assert_int_equal(w.load.connections, 1000);
    assert_int_equal(w.load.active, 100);
    assert_int_equal(w.load.depth, 1);
    assert_int_equal(w.load.expect, LOAD_ECHO);
    assert_int_equal(w.load.nsizes, 1);
    assert_int_equal(w.load.size[0].bytes, 2048);
    assert_false(w.half || w.idle);
    /* Neither an address nor times: these are another's. */
    assert_int_equal(w.load.to.len, 0);
    assert_int_equal(w.load.duration_ns + w.load.warmup_ns + w.load.timeout_ns, 0);

    w = parsed("p=pipeline=4,size=1500");
    assert_int_equal(w.load.mode, LOAD_PIPELINE);
    assert_int_equal(w.load.depth, 4);
    assert_int_equal(w.load.connections, 64);
    assert_string_equal(w.title, "64 connections, 1500 B each, pipelined, 4 under way each");

    w = parsed("c=mode=connect,messages-per-connection=10");
    assert_int_equal(w.load.mode, LOAD_CONNECT);
    assert_int_equal(w.load.messages_per_connection, 10);
}

static void test_rates(void **state)
{
    struct workload w = parsed("r=rate=10k,arrival=poisson");

    (void)state;
    assert_int_equal(w.load.arrival, LOAD_POISSON);
    assert_true(w.load.rate > 9999 && w.load.rate < 10001);
    assert_string_equal(w.title, "64 connections, 64 B each, 10000/s in all, at random times");

    w = parsed("h=connections=8,rate=half,arrival=poisson");
    assert_true(w.half);
    assert_int_equal(w.load.arrival, LOAD_POISSON);
    assert_true(w.load.rate < 1e-9);
    assert_string_equal(w.title, "8 connections, 64 B each, at half the slowest rate, at random "
                                 "times");

    w = parsed("i=idle,connections=500");
    assert_true(w.idle);
    assert_false(w.half);
    assert_int_equal(w.load.connections, 500);
}

/* ---- refusals ---- */

static const struct {
    const char *text, *says;
} refusals[] = {
    {"64x64", "did you mean 64x64B?"},
    {"something", "no built-in workload has this name"},
    {"", "no built-in workload has this name"},
    {"=size=64", "the name is not one of"},
    {"a b=size=64", "the name is not one of"},
    {"-a=size=64", "the name is not one of"},
    {"a23456789b123456789c123456789d123456789e12345678=size=1", "the name is not one of"},
    {"connections=5,size=64", "it has no name; give NAME=connections=5,size=64"},
    {"a=", "nothing is said of it"},
    {"a=sise=64", "unknown key sise; did you mean size?"},
    {"a=conections=64", "unknown key conections; did you mean connections?"},
    {"a=zzz=64", "unknown key zzz; valid are connections, active,"},
    {"a=duration=5s", "unknown key duration"},
    {"a=size=64,", "unknown key \"\""},
    {"a=size=64,size=65", "size is given twice"},
    {"a=size", "size needs a value"},
    {"a=size=", "size needs a value"},
    {"a=idle=1", "idle takes no value"},
    {"a=size=5x", "size 5x: not a size such as"},
    {"a=size=17M", "out of range; give 1 to 16M"},
    {"a=connections=0", "out of range; give 1 to"},
    {"a=connections=1.5", "out of range"},
    {"a=mode=conect", "did you mean connect?"},
    {"a=active=5,connections=2", "active 5 is more than connections 2"},
    {"a=mode=stream,rate=5", "rate and mode stream contradict each other"},
    {"a=mode=stream,rate=half", "rate and mode stream contradict each other"},
    {"a=rate=5,pipeline=2", "rate and pipeline contradict each other"},
    {"a=rate=no", "rate no: not a"},
    {"a=arrival=poisson", "give rate too"},
    {"a=mode=pingpong,pipeline=2", "contradict each other"},
    {"a=messages-per-connection=2", "give mode connect too"},
    {"a=connections=1k,size=16M", "GiB under way at once"},
    {"a=idle,size=64", "idle and size contradict each other"},
    {"a=rate=half,idle", "idle and rate contradict each other"},
    {"64x64B=connections=64,size=65", "take another name"},
    {"64-idle=connections=64", "take another name"},
    {"64x64B-half=connections=64,size=64", "take another name"},
};

static void test_refusals(void **state)
{
    struct workload w;

    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        char err[512] = "";

        if (workload_parse(refusals[i].text, &w, err, sizeof err) != -EINVAL)
            fail_msg("%s was taken", refusals[i].text);
        if (strstr(err, refusals[i].says) == NULL || strncmp(err, "--workload ", 11) != 0 ||
            strchr(err, '\n') != NULL)
            fail_msg("%s: \"%s\" does not say \"%s\"", refusals[i].text, err, refusals[i].says);
        /* Keys are no options. */
        assert_null(strstr(err + 2, "--"));
    }
}

/* A SPEC longer than there is room for is not cut off in silence. */
static void test_long(void **state)
{
    char text[300];
    char err[512] = "";
    struct workload w;

    (void)state;
    memset(text, '1', sizeof text);
    memcpy(text, "a=size=", 7);
    text[sizeof text - 1] = '\0';
    assert_int_equal(workload_parse(text, &w, err, sizeof err), -EINVAL);
    assert_non_null(strstr(err, "longer than"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_builtins_parse),
        cmocka_unit_test(test_titles),
        cmocka_unit_test(test_sweep),
        cmocka_unit_test(test_map),
        cmocka_unit_test(test_own),
        cmocka_unit_test(test_rates),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
