/* SPDX-License-Identifier: MIT */
/* The parser of the command line: every kind of option, every way to write it, every refusal. */
#include "cmd/opt.h"

#include "cmd/cmd.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct values {
    bool quiet, loud;
    const char *name, *shade, *json, *file;
    struct opt_list list, known;
    int color;
    int64_t count, size, time, unset;
};

static const char *color_name(size_t i)
{
    static const char *const names[] = {"red", "green", "blue"};

    return i < 3 ? names[i] : NULL;
}

#define AT(field) .offset = offsetof(struct values, field)

static const struct opt options[] = {
    {.name = "quiet", .brief = 'q', .kind = OPT_FLAG, AT(quiet), .help = "Q."},
    {.name = "loud", .brief = 'l', .kind = OPT_FLAG, AT(loud), .help = "L."},
    {.name = "name", .brief = 'n', .kind = OPT_TEXT, AT(name), .arg = "NAME", .help = "N."},
    {.name = "shade", .kind = OPT_TEXT, AT(shade), .arg = "C", .choice = color_name, .help = "S."},
    {.name = "json",
     .kind = OPT_TEXT,
     .flags = OPT_OPTIONAL | OPT_FILE,
     AT(json),
     .arg = "FILE",
     .implied = "-",
     .help = "J."},
    {.name = "file", .kind = OPT_TEXT, .flags = OPT_FILE, AT(file), .arg = "FILE", .help = "F."},
    {.name = "list", .kind = OPT_LIST, AT(list), .arg = "ITEM", .help = "I."},
    {.name = "known", .kind = OPT_LIST, AT(known), .arg = "C", .choice = color_name, .help = "K."},
    {.name = "color",
     .brief = 'c',
     .kind = OPT_CHOICE,
     AT(color),
     .arg = "COLOR",
     .value = "green",
     .choice = color_name,
     .help = "C."},
    {.name = "count",
     .kind = OPT_COUNT,
     AT(count),
     .arg = "N",
     .value = "10k",
     .min = 1,
     .max = 20000,
     .help = "N."},
    {.name = "size",
     .kind = OPT_SIZE,
     AT(size),
     .arg = "SIZE",
     .value = "64k",
     .min = 1024,
     .max = 1 << 20,
     .help = "S."},
    {.name = "time",
     .kind = OPT_TIME,
     .flags = OPT_NONE,
     AT(time),
     .arg = "TIME",
     .value = "5m",
     .min = PLX_MSEC,
     .max = 3600 * PLX_SECOND,
     .help = "T."},
    {.name = "unset", .kind = OPT_COUNT, AT(unset), .arg = "N", .min = 1, .max = 9, .help = "U."},
    {0}};

static const struct cmd cmd = {.name = "test",
                               .args = "FILE [MORE]",
                               .min_args = 0,
                               .max_args = 2,
                               .options = options,
                               .values_size = sizeof(struct values)};

static struct values values;
static struct opt_list args;
static char err[2 * OPT_TEXT_MAX];

/* Parses up to five words; NULL ends them. */
static int parse(const char *a, const char *b, const char *c, const char *d, const char *e)
{
    const char *words[] = {a, b, c, d, e};
    char *argv[5];
    int argc = 0;

    while (argc < 5 && words[argc] != NULL) {
        argv[argc] = (char *)(uintptr_t)words[argc];
        argc++;
    }
    memset(&values, 0, sizeof values);
    memset(&args, 0, sizeof args);
    err[0] = '\0';
    return opt_parse(&cmd, argc, argv, &values, &args, err, sizeof err);
}

static void refused(const char *a, const char *b, const char *expected)
{
    assert_int_equal(parse(a, b, NULL, NULL, NULL), -EINVAL);
    assert_string_equal(err, expected);
}

static void test_defaults(void **state)
{
    (void)state;
    assert_int_equal(parse(NULL, NULL, NULL, NULL, NULL), 0);
    assert_false(values.quiet);
    assert_null(values.name);
    assert_null(values.json);
    assert_int_equal(values.list.n, 0);
    assert_int_equal(values.color, 1);
    assert_int_equal(values.count, 10000);
    assert_int_equal(values.size, 65536);
    assert_int_equal(values.time, 300 * PLX_SECOND);
    assert_int_equal(values.unset, 0);
}

static void test_forms(void **state)
{
    (void)state;
    assert_int_equal(parse("--name", "x", "--count=5", "--color", "blue"), 0);
    assert_string_equal(values.name, "x");
    assert_int_equal(values.count, 5);
    assert_int_equal(values.color, 2);
    assert_null(values.shade);
    assert_int_equal(parse("--shade", "red", NULL, NULL, NULL), 0);
    assert_string_equal(values.shade, "red");
    assert_int_equal(parse("-ql", "-nx", "-c", "red", NULL), 0);
    assert_true(values.quiet && values.loud);
    assert_string_equal(values.name, "x");
    assert_int_equal(values.color, 0);
    assert_int_equal(parse("-qn", "x", "--size=1k", "--time", "none"), 0);
    assert_true(values.quiet);
    assert_string_equal(values.name, "x");
    assert_int_equal(values.size, 1024);
    assert_int_equal(values.time, PLX_OFF);
    /* The last one counts. */
    assert_int_equal(parse("--count", "5", "--count", "6", NULL), 0);
    assert_int_equal(values.count, 6);
    /* A value may look like an option, and may be empty where it is free text. */
    assert_int_equal(parse("--name", "--quiet", "--name=", NULL, NULL), 0);
    assert_false(values.quiet);
    assert_string_equal(values.name, "");
}

static void test_lists(void **state)
{
    (void)state;
    assert_int_equal(parse("--list", "a", "--list=b", "--known", "red"), 0);
    assert_int_equal(values.list.n, 2);
    assert_string_equal(values.list.item[0], "a");
    assert_string_equal(values.list.item[1], "b");
    assert_int_equal(values.known.n, 1);

    char *many[OPT_LIST_MAX + 1];
    for (size_t i = 0; i <= OPT_LIST_MAX; i++)
        many[i] = (char *)(uintptr_t) "--list=x";
    memset(&values, 0, sizeof values);
    assert_int_equal(opt_parse(&cmd, OPT_LIST_MAX, many, &values, &args, err, sizeof err), 0);
    memset(&values, 0, sizeof values);
    assert_int_equal(opt_parse(&cmd, OPT_LIST_MAX + 1, many, &values, &args, err, sizeof err),
                     -EINVAL);
    assert_string_equal(err, "list: more than 64 of them");
}

static void test_optional_value(void **state)
{
    (void)state;
    assert_int_equal(parse("--json", "word", NULL, NULL, NULL), 0);
    assert_string_equal(values.json, "-");
    assert_int_equal(args.n, 1);
    assert_int_equal(parse("--json=out", "word", NULL, NULL, NULL), 0);
    assert_string_equal(values.json, "out");
    assert_int_equal(parse("--json", "-", NULL, NULL, NULL), 0);
    assert_string_equal(values.json, "-");
    assert_int_equal(args.n, 0);
}

static void test_arguments(void **state)
{
    (void)state;
    assert_int_equal(parse("a", "--quiet", "-", NULL, NULL), 0);
    assert_true(values.quiet);
    assert_int_equal(args.n, 2);
    assert_string_equal(args.item[1], "-");
    assert_int_equal(parse("--", "--quiet", "-q", NULL, NULL), 0);
    assert_false(values.quiet);
    assert_string_equal(args.item[0], "--quiet");
    assert_int_equal(parse("a", "b", "c", NULL, NULL), -EINVAL);
    assert_string_equal(err, "unexpected argument c; usage: pollux test [OPTIONS] FILE [MORE]");
}

static void test_missing_argument(void **state)
{
    struct cmd needs = cmd;
    char *none[1] = {NULL};

    (void)state;
    needs.min_args = 1;
    memset(&args, 0, sizeof args);
    assert_int_equal(opt_parse(&needs, 0, none, &values, &args, err, sizeof err), -EINVAL);
    assert_string_equal(err, "FILE [MORE] is missing; usage: pollux test [OPTIONS] FILE [MORE]");
}

static void test_help(void **state)
{
    (void)state;
    assert_int_equal(parse("--help", NULL, NULL, NULL, NULL), 1);
    assert_int_equal(parse("-qh", NULL, NULL, NULL, NULL), 1);
    assert_int_equal(parse("--name", "--help", NULL, NULL, NULL), 0);
}

static void test_refusals(void **state)
{
    (void)state;
    refused("--cuont", "1", "unknown option --cuont; did you mean --count?");
    refused("--coun", "1", "unknown option --coun; did you mean --count?");
    refused("--zebra", NULL, "unknown option --zebra; see pollux test --help");
    refused("-x", NULL, "unknown option -x; see pollux test --help");
    refused("--quiet=1", NULL, "--quiet takes no value");
    refused("--name", NULL, "--name needs a value: --name NAME");
    refused("--file=", NULL, "--file: the value is empty; give --file FILE");
    refused("--count", "", "--count: the value is empty; give --count N");
    refused("--shade", "rod", "--shade rod: unknown; did you mean red? Valid are red, green, blue");
    refused("--count", "0", "--count 0: out of range; give 1 to 20k");
    refused("--count", "20001", "--count 20001: out of range; give 1 to 20k");
    refused("--count", "99999999999999999999",
            "--count 99999999999999999999: out of range; give 1 to 20k");
    refused("--count", "none", "--count none: not a number such as 100 or 10k; give 1 to 20k");
    refused("--size", "1", "--size 1: out of range; give 1k to 1M");
    refused("--time", "0", "--time 0: out of range; give 1ms to 1h, or none");
    refused("--time", "5",
            "--time 5: not a time such as 10s, 250ms or 2m; give 1ms to 1h, or none");
    refused("--color", "gren",
            "--color gren: unknown; did you mean green? Valid are red, green, blue");
    refused("--color", "zzzzzz", "--color zzzzzz: unknown; valid are red, green, blue");
    refused("--known", "rde", "--known rde: unknown; did you mean red? Valid are red, green, blue");
}

static void test_distance(void **state)
{
    (void)state;
    assert_int_equal(opt_distance("", "abc"), 3);
    assert_int_equal(opt_distance("abc", "abc"), 0);
    assert_int_equal(opt_distance("kitten", "sitting"), 3);
    assert_int_equal(opt_distance("epoll", "eploll"), 1);
    assert_int_equal(opt_distance("ab", "ba"), 1);
    assert_string_equal(opt_nearest("geren", color_name), "green");
    assert_null(opt_nearest("violet", color_name));
    /* Longer than any name: no buffer is overrun, nothing is meant. */
    assert_null(opt_nearest("greengreengreengreengreengreengreengreengreengreen", color_name));
}

static void test_shown(void **state)
{
    char text[OPT_TEXT_MAX];

    (void)state;
    assert_string_equal(opt_synopsis(&options[0], text, sizeof text), "-q, --quiet");
    assert_string_equal(opt_synopsis(opt_find(options, "json", 4), text, sizeof text),
                        "--json[=FILE]");
    assert_string_equal(opt_synopsis(opt_find(options, "color", 5), text, sizeof text),
                        "-c, --color COLOR");
    assert_string_equal(opt_facts(&options[0], text, sizeof text), "");
    assert_string_equal(opt_facts(opt_find(options, "time", 4), text, sizeof text),
                        "1ms to 1h, or none; default 5m.");
    assert_string_equal(opt_facts(opt_find(options, "color", 5), text, sizeof text),
                        "One of red, green, blue; default green.");
    assert_null(opt_find(options, "tim", 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),  cmocka_unit_test(test_forms),
        cmocka_unit_test(test_lists),     cmocka_unit_test(test_optional_value),
        cmocka_unit_test(test_arguments), cmocka_unit_test(test_missing_argument),
        cmocka_unit_test(test_help),      cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_distance),  cmocka_unit_test(test_shown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
