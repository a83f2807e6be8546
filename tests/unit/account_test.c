/* SPDX-License-Identifier: MIT */
/*
 * What a process cost: CPU time and context switches, of threads, children and children's children,
 * living and ended. Memory and the rest are in account_memory_test.c.
 */
#include "account_util.h"

#include <pthread.h>

/* ---- one process ---- */

static void burns(void)
{
    stop_here(used_by(RUSAGE_SELF));
    burn(BURN);
    stop_here(used_by(RUSAGE_SELF));
}

static void test_cpu(void **state)
{
    (void)state;
    char line[256];
    struct child c = begin(burns);
    int64_t own = hear(&c);
    struct account from = settled(&c);
    go_on(&c);
    own = hear(&c) - own;
    struct account to = settled(&c);
    struct account used = between(&from, &to);
    assert_true(own >= BURN);
    assert_near(used.cpu_ns, own, A_TENTH / 2);
    assert_int_equal(used.user_ns + used.system_ns, used.cpu_ns);
    assert_near(to.user_ns + to.system_ns, to.cpu_ns, 2 * TICK);
    assert_int_equal(used.margin_ns, 0);
    assert_near(used.ended_ns, 0, TICK);
    assert_int_equal(to.tasks,
                     strtol(status_line(c.pid, "Threads:", line, sizeof(line)), NULL, 10));
    assert_int_equal(to.processes, 1);
    assert_int_equal(to.kernel_workers, 0);
    assert_false(to.forgets_children);
    assert_true(used.voluntary >= 1);
    assert_true(used.involuntary >= 0);
    end(&c);
}

static void has_odd_name(void)
{
    prctl(PR_SET_NAME, "x) S 1 (\377\ny");
    burns();
}

static void test_odd_name(void **state)
{
    (void)state;
    struct child c = begin(has_odd_name);
    int64_t own = hear(&c);
    struct account from = settled(&c);
    go_on(&c);
    own = hear(&c) - own;
    struct account to = settled(&c);
    struct account used = between(&from, &to);
    assert_near(used.cpu_ns, own, A_TENTH / 2);
    assert_int_equal(strncmp(to.command, "x) S 1 (?", 9), 0);
    for (const char *p = to.command; *p; p++)
        assert_true(*p >= ' ' && *p <= '~');
    end(&c);
}

/* ---- what has ended ---- */

static void *burning_thread(void *arg)
{
    burn(BURN / 4);
    return arg;
}

static void runs_threads(void)
{
    stop_here(used_by(RUSAGE_SELF));
    for (int i = 0; i < 4; i++) {
        pthread_t t;
        if (pthread_create(&t, NULL, burning_thread, NULL) != 0)
            _exit(1);
        pthread_join(t, NULL);
    }
    stop_here(used_by(RUSAGE_SELF));
}

static void test_ended_threads(void **state)
{
    (void)state;
    struct child c = begin(runs_threads);
    int64_t own = hear(&c);
    struct account from = settled(&c);
    go_on(&c);
    own = hear(&c) - own;
    struct account to = settled(&c);
    struct account used = between(&from, &to);
    assert_true(own >= BURN);
    assert_near(used.cpu_ns, own, A_TENTH / 2);
    assert_true(used.ended_ns >= BURN - TICK && used.ended_ns <= used.cpu_ns);
    /* Their context switches went with them, so the sum is not known. */
    assert_int_equal(used.voluntary, ACCOUNT_NA);
    assert_int_equal(used.involuntary, ACCOUNT_NA);
    end(&c);
}

static void burns_and_waits(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    burn(BURN);
    stop_here(getpid());
    _exit(0);
}

/* A child, its child and that one's child; all but the first burn, then they end and are waited
 * for. */
static void forks(void)
{
    stop_here(0);
    pid_t middle = fork();
    if (middle == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        burn(BURN);
        pid_t last = fork();
        if (last == 0)
            burns_and_waits();
        waitpid(last, NULL, 0);
        _exit(0);
    }
    waitpid(middle, NULL, 0);
    stop_here(used_by(RUSAGE_CHILDREN) + used_by(RUSAGE_SELF));
}

static void test_descendants(void **state)
{
    (void)state;
    struct child c = begin(forks);
    hear(&c);
    struct account none = settled(&c);
    go_on(&c);
    await_sleep((pid_t)hear(&c));
    struct account living = read_now(c.pid);
    struct account used = between(&none, &living);
    assert_int_equal(living.processes, 3);
    assert_true(living.tasks >= 3);
    assert_true(used.cpu_ns >= 2 * BURN);
    assert_near(used.ended_ns, 0, TICK);
    assert_true(used.voluntary >= 0);

    go_on(&c);
    int64_t own = hear(&c);
    struct account ended = settled(&c);
    used = between(&none, &ended);
    assert_int_equal(ended.processes, 1);
    assert_near(ended.cpu_ns, own, A_TENTH);
    assert_true(used.ended_ns >= 2 * BURN - 2 * TICK);
    assert_int_equal(used.voluntary, ACCOUNT_NA);
    assert_int_equal(ended.margin_ns, 2 * TICK);
    /* What they spent went from their own clocks into their parent's sum, and was not doubled
     * before, else the sum would be less now. */
    used = between(&living, &ended);
    assert_true(used.cpu_ns >= 0);
    end(&c);
}

static void leaves_zombie(void)
{
    siginfo_t info;
    pid_t pid = fork();
    if (pid == 0) {
        burn(BURN);
        _exit(0);
    }
    waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
    stop_here(0);
    waitpid(pid, NULL, 0);
    stop_here(used_by(RUSAGE_CHILDREN) + used_by(RUSAGE_SELF));
}

static void test_not_waited_for(void **state)
{
    (void)state;
    struct child c = begin(leaves_zombie);
    hear(&c);
    struct account from = settled(&c);
    assert_int_equal(from.processes, 2);
    assert_true(from.cpu_ns >= BURN);
    assert_true(from.now_bytes > 0);
    go_on(&c);
    int64_t own = hear(&c);
    struct account to = settled(&c);
    assert_int_equal(to.processes, 1);
    assert_near(to.cpu_ns, own, A_TENTH);
    assert_true(between(&from, &to).cpu_ns >= 0);
    end(&c);
}

static void forgets(void)
{
    signal(SIGCHLD, SIG_IGN);
    pid_t pid = fork();
    if (pid == 0)
        burns_and_waits();
    waitpid(pid, NULL, 0); /* until it has ended, and fails then */
    stop_here(used_by(RUSAGE_SELF));
}

static void test_forgotten_children(void **state)
{
    (void)state;
    struct child c = begin(forgets);
    await_sleep((pid_t)hear(&c));
    struct account from = read_now(c.pid);
    assert_true(from.forgets_children);
    assert_true(from.cpu_ns >= BURN);
    go_on(&c);
    int64_t own = hear(&c);
    struct account to;
    do /* its wait ends a moment before the kernel has removed the child */
        to = settled(&c);
    while (to.processes > 1);
    struct account used = between(&from, &to);
    /* The sum has become less: the difference is not known, and not 0. */
    assert_near(to.cpu_ns, own, TICK);
    assert_int_equal(used.cpu_ns, ACCOUNT_NA);
    assert_int_equal(used.user_ns, ACCOUNT_NA);
    assert_int_equal(used.system_ns, ACCOUNT_NA);
    assert_int_equal(used.voluntary, ACCOUNT_NA);
    end(&c);
}

/* ---- context switches ---- */

#define ROUNDS 200

static int64_t switches(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_nvcsw;
}

static void plays_ping_pong(void)
{
    stop_here(switches());
    for (int i = 0; i < ROUNDS; i++)
        stop_here(i);
    stop_here(switches());
}

static void test_switches(void **state)
{
    (void)state;
    struct child c = begin(plays_ping_pong);
    int64_t own = hear(&c);
    struct account from = settled(&c);
    for (int i = 0; i < ROUNDS; i++) {
        go_on(&c);
        assert_int_equal(hear(&c), i);
        await_sleep(c.pid); /* so that every round is a switch */
    }
    go_on(&c);
    own = hear(&c) - own;
    struct account to = settled(&c);
    struct account used = between(&from, &to);
    assert_true(used.voluntary >= ROUNDS);
    assert_near(used.voluntary, own, 5);
    end(&c);
}

/* ---- differences ---- */

static void test_between(void **state)
{
    (void)state;
    const struct account from = {.pid = 7,
                                 .started = 100,
                                 .cpu_ns = 1000 * PLX_MSEC,
                                 .user_ns = 600 * PLX_MSEC,
                                 .system_ns = 400 * PLX_MSEC,
                                 .voluntary = 10,
                                 .involuntary = ACCOUNT_NA,
                                 .peak_bytes = 5,
                                 .now_bytes = 3,
                                 .processes = 1,
                                 .cpus = "0"};
    struct account to = from;
    to.cpu_ns += 99 * PLX_MSEC;
    to.user_ns += 30 * PLX_MSEC;
    to.system_ns += 60 * PLX_MSEC;
    to.voluntary += 5;
    to.involuntary = 4;
    to.peak_bytes = 9;
    struct account d = between(&from, &to);
    assert_int_equal(d.cpu_ns, 99 * PLX_MSEC);
    assert_int_equal(d.user_ns, 33 * PLX_MSEC);
    assert_int_equal(d.system_ns, 66 * PLX_MSEC);
    assert_int_equal(d.voluntary, 5);
    assert_int_equal(d.involuntary, ACCOUNT_NA);
    assert_int_equal(d.peak_bytes, 9);
    assert_string_equal(d.cpus, "0");

    /* Less than a tick: the sum is known, its division is not. */
    to = from;
    to.cpu_ns += 3 * PLX_MSEC;
    d = between(&from, &to);
    assert_int_equal(d.cpu_ns, 3 * PLX_MSEC);
    assert_int_equal(d.user_ns, ACCOUNT_NA);
    d = between(&from, &from);
    assert_int_equal(d.cpu_ns, 0);
    assert_int_equal(d.user_ns, 0);
    assert_int_equal(d.system_ns, 0);

    /* Down by what rounding can do, and by more. */
    to = from;
    to.margin_ns = 2 * TICK;
    to.cpu_ns -= 2 * TICK;
    assert_int_equal(between(&from, &to).cpu_ns, 0);
    to.cpu_ns -= 1;
    assert_int_equal(between(&from, &to).cpu_ns, ACCOUNT_NA);

    /* Another process that got the number of the first. */
    to = from;
    to.cpu_ns += PLX_SECOND;
    to.started++;
    d = between(&from, &to);
    assert_int_equal(d.cpu_ns, ACCOUNT_NA);
    assert_int_equal(d.voluntary, ACCOUNT_NA);
    assert_int_equal(d.now_bytes, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cpu),
        cmocka_unit_test(test_odd_name),
        cmocka_unit_test(test_ended_threads),
        cmocka_unit_test(test_descendants),
        cmocka_unit_test(test_not_waited_for),
        cmocka_unit_test(test_forgotten_children),
        cmocka_unit_test(test_switches),
        cmocka_unit_test(test_between),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
