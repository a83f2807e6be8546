/* SPDX-License-Identifier: MIT */
/* Where a comparison takes place: on which CPUs, whatever the machine has, and in which directory
 * its results can be written, or that they cannot, before anything runs. */
#include "cmd/compare.h"

#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- CPUs ---- */

/* 0 and 4 are one core, 1 and 5, and so on. */
static bool pairs(unsigned cpu, struct cpulist *out)
{
    char text[32];

    snprintf(text, sizeof text, "%u,%u", cpu % 4, cpu % 4 + 4);
    return cpulist_parse(text, out);
}

static bool unknown(unsigned cpu, struct cpulist *out)
{
    (void)cpu;
    memset(out, 0, sizeof *out);
    return false;
}

static const struct {
    const char *allowed, *pin;
    bool (*same_core)(unsigned cpu, struct cpulist *out);
    const char *server, *client, *says; /* a caveat, or of a refusal what it says */
    int rc;
} pins[] = {
    {"0-7", NULL, pairs, "0", "1", NULL, 0},
    {"0-7", "auto", pairs, "0", "1", NULL, 0},
    {"0,4,6", NULL, pairs, "0", "6", NULL, 0},
    {"3,7", NULL, pairs, "3", "7", "same-core", 0},
    {"0-1", NULL, unknown, "0", "1", NULL, 0},
    {"5", NULL, pairs, "", "", "shared-cpus", 0},
    {"", NULL, pairs, "", "", "shared-cpus", 0},
    {"0-7", "none", pairs, "", "", "not-pinned", 0},
    {"0-7", "1:0", pairs, "1", "0", NULL, 0},
    {"0-7", "0-1,4:6-7", pairs, "0-1,4", "6-7", NULL, 0},
    {"0-7", "0:0", pairs, "", "", "take CPU 0 from each other", -EINVAL},
    {"0-7", "0-3:2-5", pairs, "", "", "take CPU 2-3 from each other", -EINVAL},
    {"0-1", "0:2", pairs, "", "", "but 0-1 only", -EINVAL},
    {"0-7", "0", pairs, "", "", "two lists of CPUs", -EINVAL},
    {"0-7", "0:", pairs, "", "", "two lists of CPUs", -EINVAL},
    {"0-7", ":0", pairs, "", "", "two lists of CPUs", -EINVAL},
    {"0-7", "0:1:2", pairs, "", "", "two lists of CPUs", -EINVAL},
    {"0-7", "nane", pairs, "", "", "not auto, none,", -EINVAL},
    {"0-7", "", pairs, "", "", "not auto, none,", -EINVAL},
};

static void test_pin(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof pins / sizeof *pins; i++) {
        struct comparison *c = comparison_open();
        struct cpulist allowed;
        char err[512] = "";
        int rc;

        assert_non_null(c);
        assert_true(cpulist_parse(pins[i].allowed, &allowed));
        rc = compare_pin(pins[i].pin, &allowed, pins[i].same_core, c, err, sizeof err);
        if (rc != pins[i].rc || (rc < 0 && strstr(err, pins[i].says) == NULL))
            fail_msg("row %zu: %d, %s", i, rc, err);
        if (rc == 0) {
            assert_string_equal(c->server_cpus, pins[i].server);
            assert_string_equal(c->client_cpus, pins[i].client);
            assert_string_equal(c->pin, pins[i].pin != NULL ? pins[i].pin : "auto");
            assert_int_equal(c->nplanned, pins[i].says != NULL);
            if (pins[i].says != NULL)
                assert_string_equal(c->caveat[0].name, pins[i].says);
        }
        comparison_close(c);
    }
}

/* ---- the directory ---- */

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

static int enter(void **state)
{
    static char dir[] = "/tmp/compare-place-XXXXXX";

    snprintf(dir, sizeof dir, "/tmp/compare-place-XXXXXX");
    *state = dir;
    return mkdtemp(dir) != NULL && chdir(dir) == 0 ? 0 : -1;
}

static int leave(void **state)
{
    return chdir("/") == 0 ? nftw(*state, remove_entry, 8, FTW_DEPTH | FTW_PHYS) : -1;
}

static void test_output(void **state)
{
    char path[PATH_MAX] = "";
    char other[PATH_MAX] = "";
    char err[512] = "";
    struct stat st;

    (void)state;
    assert_int_equal(compare_output_make("a/b/c", NULL, path, err, sizeof err), 0);
    assert_string_equal(path, "a/b/c");
    assert_int_equal(stat("a/b/c", &st), 0);
    assert_int_equal(compare_output_make("a/b/c/", NULL, path, err, sizeof err), 0);
    /* Nothing is left there. */
    assert_int_equal(rmdir("a/b/c"), 0);

    /* Two of the same second do not share one. */
    assert_int_equal(compare_output_make(NULL, NULL, path, err, sizeof err), 0);
    assert_int_equal(compare_output_make(NULL, NULL, other, err, sizeof err), 0);
    assert_int_equal(strncmp(path, "pollux-compare-20", 17), 0);
    assert_int_equal(strlen(path), strlen("pollux-compare-YYYYmmdd-HHMMSS"));
    assert_string_not_equal(path, other);
}

static void refused(const char *output, const char *repeat, const char *says)
{
    char path[PATH_MAX] = "";
    char err[2 * PATH_MAX] = "";

    assert_int_equal(compare_output_make(output, repeat, path, err, sizeof err), -EINVAL);
    if (strstr(err, says) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err, says);
}

static void test_bad_output(void **state)
{
    char name[PATH_MAX + 1];
    FILE *f = fopen("file", "w");

    (void)state;
    assert_non_null(f);
    fclose(f);
    refused("file", NULL, "--output file cannot be written: ");
    refused("file/below", NULL, "--output file/below cannot be written: ");
    memset(name, 'x', sizeof name);
    name[sizeof name - 1] = '\0';
    refused(name, NULL, "cannot be written: ");
    /* Not even root writes there. */
    refused("/proc/pollux", NULL, "--output /proc/pollux cannot be written: ");
    refused("/proc", NULL, "--output /proc cannot be written: ");

    assert_int_equal(mkdir("d", 0777), 0);
    assert_int_equal(mkdir("d/report.html", 0777), 0);
    refused("d", NULL, "--output d/report.html cannot be written: ");
}

/* What is repeated is not replaced, by whatever name it goes. */
static void test_output_of_repeat(void **state)
{
    char path[PATH_MAX] = "";
    char err[512] = "";
    FILE *f;

    (void)state;
    assert_int_equal(mkdir("r", 0777), 0);
    f = fopen("r/results.json", "w");
    assert_non_null(f);
    fclose(f);
    refused("r", "r/../r/results.json", "replace those that --repeat is to repeat");
    assert_int_equal(compare_output_make("r", NULL, path, err, sizeof err), 0);
    assert_int_equal(compare_output_make("s", "r/results.json", path, err, sizeof err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pin),
        cmocka_unit_test(test_output),
        cmocka_unit_test(test_bad_output),
        cmocka_unit_test(test_output_of_repeat),
    };

    return cmocka_run_group_tests(tests, enter, leave);
}
