/* SPDX-License-Identifier: MIT */
/* The comparison on a terminal: it fits, and what matters is in it. */
#include "comparison_util.h"

#include <fcntl.h>
#include <jansson.h>
#include <unistd.h>

/* What compare_print() prints; to be freed. */
static char *printed(const struct comparison *c)
{
    char *text = calloc(1, 1 << 18);
    FILE *f = tmpfile();
    assert_non_null(text);
    assert_non_null(f);
    fflush(stdout);
    int out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    assert_true(out >= 0);
    assert_true(dup2(fileno(f), STDOUT_FILENO) >= 0);
    compare_print(c);
    fflush(stdout);
    assert_true(dup2(out, STDOUT_FILENO) >= 0);
    close(out);
    rewind(f);
    assert_true(fread(text, 1, (1 << 18) - 1, f) > 0);
    fclose(f);
    return text;
}

static void expect_fits(const char *text)
{
    for (const char *line = text; *line != '\0';) {
        size_t n = strcspn(line, "\n");
        if (n > 100)
            fail_msg("%zu columns: %.*s", n, (int)n, line);
        for (size_t i = 0; i < n; i++)
            assert_true(line[i] >= ' ' && line[i] <= '~');
        line += n + (line[n] != '\0');
    }
}

static void expect_line(const char *text, const char *a, const char *b)
{
    for (const char *line = text; *line != '\0';) {
        size_t n = strcspn(line, "\n");
        char copy[256];
        snprintf(copy, sizeof(copy), "%.*s", (int)n, line);
        if (strstr(copy, a) && strstr(copy, b))
            return;
        line += n + (line[n] != '\0');
    }
    fail_msg("no line with \"%s\" and \"%s\" in:\n%s", a, b, text);
}

static void test_small(void **state)
{
    struct comparison *c = new_comparison();
    size_t w = add_workload(c, 64, 64), idle = add_idle(c), open = add_open_loop(c, 9000);
    size_t a = add_arm(c, "epoll"), b = add_arm(c, "poll"), d = add_arm(c, "select");
    size_t e = add_arm(c, "blocking"), f = add_arm(c, "kqueue"), g = add_arm(c, "sigio");
    struct sample s = usual_sample(5000);
    (void)state;
    add_twin(c, a);
    s.calls_recv = 3;
    put_samples(c, w, a, 12, usual_sample(4000));
    put_samples(c, w, b, 12, usual_sample(4040));
    put_samples(c, w, d, 12, s);
    put_samples(c, w, c->narms - 1, 12, usual_sample(4000));
    put_samples(c, idle, a, 3, (struct sample){.cpu_ns = 2e6, .per_connection = NAN});
    put_samples(c, idle, b, 3, (struct sample){.cpu_ns = 1e9, .per_connection = NAN});
    s.rate = 9000;
    put_samples(c, open, a, 3, s);
    c->cell[w][e].state = CELL_EXCLUDED;
    snprintf(c->cell[w][e].why, sizeof(c->cell[w][e].why), "one connection at a time; ask for one");
    c->arm[f].runs = false;
    c->cell[w][f].state = CELL_EXCLUDED;
    snprintf(c->arm[f].why, sizeof(c->arm[f].why), "not on this system; take a BSD");
    c->cell[w][g].state = CELL_INVALID;
    snprintf(c->cell[w][g].why, sizeof(c->cell[w][g].why), "wrong answers: byte 17\t\xc3\xa4");
    compare_judge(c);
    char *text = printed(c);
    expect_fits(text);
    expect_line(text, "*epoll", "BEST");
    expect_line(text, "=poll", "TIE         1.01 [1.0");
    expect_line(text, " select", "LOSES       1.25 [1.2");
    expect_line(text, "select: ", "2.0 more recv calls per message");
    expect_line(text, " sigio", "INVALID: wrong answers: byte 17???");
    expect_line(text, "without", "blocking (one connection at a time)");
    expect_line(text, "Not on this machine", "kqueue (not on this system)");
    expect_line(text, "CPU ms/s", "verdict");
    expect_line(text, "  64x64B-64active", "epoll; tied with it: poll");
    expect_line(text, "p99", "best: epoll");
    expect_line(text, "  2  DOES NOT HOLD HERE", "select is no worse");
    expect_line(text, "  - ", "Loopback");
    assert_null(strstr(text, "twin")); /* its only use is the noise */
    assert_ptr_equal(strstr(text, "kqueue"), strstr(text, "kqueue (not on"));
    assert_null(strstr(strstr(text, "kqueue") + 1, "kqueue")); /* once, not in each workload */
    assert_null(strstr(text, "nan"));
    assert_null(strstr(text, "\033"));
    free(text);
    comparison_close(c);
}

/* Everything as long as it can be. */
static void test_large(void **state)
{
    struct comparison *c = new_comparison();
    uint64_t random = 1;
    (void)state;
    for (size_t a = 0; a < COMPARE_ARMS_MAX; a++) {
        size_t i = add_arm(c, "x");
        snprintf(c->arm[i].name, COMPARE_NAME, "a-server-with-a-name-of-forty-seven-bytes-ab-%zu",
                 a);
    }
    for (size_t w = 0; w < COMPARE_WORKLOADS_MAX; w++) {
        unsigned n = w % 3 == 0 ? 1000000 : 64;
        size_t i = w % 8 == 1   ? add_idle(c)
                   : w % 8 == 2 ? add_open_loop(c, 1e6)
                                : add_workload(c, n, n);
        struct workload *load = &c->workload[i];
        snprintf(load->name, COMPARE_NAME, "a-workload-with-a-name-of-forty-six-bytes-ab-%zu", w);
        memset(load->title, 'w', sizeof(load->title) - 1);
        for (size_t a = 0; a < c->narms; a++) {
            struct sample s = usual_sample(pow(10, 1 + 9 * random_unit(&random)));
            s.calls_other = s.voluntary = s.per_connection = s.cpu_ns;
            for (unsigned r = 1; r <= 3; r++)
                put_sample(c, i, a, r, s);
            if (a % 7 == 0) {
                c->cell[i][a].state = a % 2 ? CELL_EXCLUDED : CELL_INVALID;
                memset(c->cell[i][a].why, 'y', sizeof(c->cell[i][a].why) - 1);
            }
        }
    }
    c->machine = json_pack("{s:s, s:s}", "virtual", "KVM", "kernel", "6.1.0-a-long-release");
    c->partial = true;
    c->resamples = 100;
    compare_judge(c);
    char *text = printed(c);
    expect_fits(text);
    expect_line(text, "PARTIAL", "48 arms under 48 workloads");
    free(text);
    comparison_close(c);
}

static void test_empty(void **state)
{
    struct comparison *c = new_comparison();
    (void)state;
    add_workload(c, 1, 1);
    add_arm(c, "epoll");
    compare_judge(c);
    char *text = printed(c);
    expect_fits(text);
    expect_line(text, "nothing was measured", "");
    free(text);
    comparison_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
