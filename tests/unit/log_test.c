/* SPDX-License-Identifier: MIT */
/* The log's sink: levels, whole lines from threads and processes at once, a new file on demand. */
#include "cmd/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define THREADS 4
#define LINES   500

static char dir[] = "/tmp/pollux-log-XXXXXX";
static char path[64];
static char other[64];

static int setup(void **state)
{
    (void)state;
    if (mkdtemp(dir) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/log", dir);
    snprintf(other, sizeof other, "%s/log.1", dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    unlink(other);
    return rmdir(dir);
}

/* Counts the lines of a file; each must hold `part`. */
static int count_lines(const char *file, const char *part)
{
    FILE *f = fopen(file, "r");
    char line[2048];
    int n = 0;

    assert_non_null(f);
    while (fgets(line, sizeof line, f) != NULL) {
        if (strstr(line, part) == NULL || line[strlen(line) - 1] != '\n')
            fail_msg("line %d of %s: %s", n + 1, file, line);
        n++;
    }
    fclose(f);
    return n;
}

static void test_levels(void **state)
{
    struct log log = {.console = PLX_LOG_ERROR, .file = PLX_LOG_INFO, .path = path};

    (void)state;
    unlink(path);
    assert_int_equal(log_open(&log), 0);
    assert_int_equal(log_sink(&log).level, PLX_LOG_INFO);
    log_print(&log, PLX_LOG_WARN, "number %d", 1);
    log_print(&log, PLX_LOG_INFO, "number %d", 2);
    log_print(&log, PLX_LOG_DEBUG, "not this");
    log_close(&log);
    assert_int_equal(count_lines(path, "number "), 2);
    /* Once closed, lines go nowhere and harm nothing. */
    log_print(&log, PLX_LOG_WARN, "late");
    assert_int_equal(log_sink(&log).level, PLX_LOG_ERROR);
    assert_int_equal(count_lines(path, "number "), 2);
}

static void test_a_line_stays_a_line(void **state)
{
    struct log log = {.console = PLX_LOG_ERROR, .file = PLX_LOG_DEBUG, .path = path};
    char longer[5000];

    (void)state;
    unlink(path);
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    assert_int_equal(log_open(&log), 0);
    log_line(&log, PLX_LOG_DEBUG, "one\ntwo\033[31m three");
    log_line(&log, PLX_LOG_DEBUG, longer);
    log_close(&log);
    assert_int_equal(count_lines(path, "debug "), 2);
}

static void *write_lines(void *arg)
{
    for (int i = 0; i < LINES; i++)
        log_print(arg, PLX_LOG_DEBUG, "a line that is whole: begin %d end", i);
    return NULL;
}

static void test_threads_and_processes(void **state)
{
    struct log log = {.console = PLX_LOG_ERROR, .file = PLX_LOG_DEBUG, .path = path};
    pthread_t thread[THREADS];
    int status = 0;
    pid_t child;

    (void)state;
    unlink(path);
    assert_int_equal(log_open(&log), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, write_lines, &log), 0);
    child = fork();
    if (child == 0) {
        write_lines(&log);
        _exit(0);
    }
    assert_true(child > 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    log_close(&log);
    assert_int_equal(count_lines(path, "a line that is whole: begin "), (THREADS + 1) * LINES);
}

static void test_reopen(void **state)
{
    struct log log = {.console = PLX_LOG_ERROR, .file = PLX_LOG_DEBUG, .path = path};
    pthread_t thread;
    int fd;

    (void)state;
    unlink(path);
    assert_int_equal(log_open(&log), 0);
    fd = log.fd;
    log_print(&log, PLX_LOG_DEBUG, "a line that is whole: begin old");
    assert_int_equal(pthread_create(&thread, NULL, write_lines, &log), 0);
    assert_int_equal(rename(path, other), 0);
    assert_int_equal(log_reopen(&log), 0);
    assert_int_equal(log.fd, fd);
    pthread_join(thread, NULL);
    log_print(&log, PLX_LOG_DEBUG, "a line that is whole: begin new");
    log_close(&log);
    /* No line was lost on the way. */
    assert_int_equal(count_lines(path, "begin ") + count_lines(other, "begin "), LINES + 2);
    assert_true(count_lines(path, "begin ") > 0);
}

static void test_errors(void **state)
{
    struct log log = {.console = PLX_LOG_ERROR, .file = PLX_LOG_DEBUG, .path = dir};
    char beyond[80];

    (void)state;
    assert_int_equal(log_open(&log), -EISDIR);
    snprintf(beyond, sizeof beyond, "%s/nowhere/log", dir);
    log.path = beyond;
    assert_int_equal(log_open(&log), -ENOENT);
    log.path = NULL;
    assert_int_equal(log_open(&log), 0);
    assert_int_equal(log.fd, -1);
    assert_int_equal(log_reopen(&log), 0);

    /* A new file that cannot be opened leaves the old one in use. */
    log.path = path;
    assert_int_equal(log_open(&log), 0);
    log.path = beyond;
    assert_int_equal(log_reopen(&log), -ENOENT);
    assert_true(fcntl(log.fd, F_GETFD) >= 0);
    log_close(&log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_a_line_stays_a_line),
        cmocka_unit_test(test_threads_and_processes),
        cmocka_unit_test(test_reopen),
        cmocka_unit_test(test_errors),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
