/* SPDX-License-Identifier: MIT */
/*
 * The rest of the account: memory, the kernel's workers, CPUs, and what cannot be read. CPU time is
 * in account_test.c.
 */
#include "account_util.h"

#include <linux/io_uring.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define MIB  1048576
#define MANY (64 * MIB)
/* What a process needs besides, for its stacks and page tables, and a sanitizer for its notes. */
#define SOME (8 * MIB)

/* ---- memory ---- */

/* The kernel touches it: a sanitizer would make notes of every access. */
static void *take_memory(void)
{
    void *p =
        mmap(NULL, MANY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (p == MAP_FAILED)
        _exit(1);
    return p;
}

static void touches_memory(void)
{
    stop_here(0);
    void *p = take_memory();
    stop_here(0);
    munmap(p, MANY);
    stop_here(0);
}

static void test_memory(void **state)
{
    (void)state;
    struct child c = begin(touches_memory);
    char line[256];
    int64_t peak, now;
    hear(&c);
    struct account before = settled(&c);
    go_on(&c);
    hear(&c);
    struct account with = settled(&c);
    assert_int_equal(account_memory(c.pid, &peak, &now), 0);
    assert_near(with.now_bytes - before.now_bytes, MANY, SOME);
    assert_near(now, with.now_bytes, SOME);
    assert_near(peak, with.peak_bytes, SOME);
    go_on(&c);
    hear(&c);
    struct account after = settled(&c);
    int64_t kb = strtoll(status_line(c.pid, "VmHWM:", line, sizeof(line)), NULL, 10);
    assert_near(after.now_bytes, before.now_bytes, SOME);
    assert_true(after.peak_bytes >= MANY);
    assert_int_equal(after.peak_bytes, kb * 1024);
    peak = 0;
    assert_int_equal(account_memory(c.pid, &peak, NULL), 0);
    assert_int_equal(peak, after.peak_bytes);
    end(&c);
}

/* Three processes with the same memory, the last two with the same again. */
static void shares_memory(void)
{
    take_memory();
    stop_here(0);
    if (fork() == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        take_memory();
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            stop_here(0);
        }
    }
    pause();
}

static void test_shared_memory(void **state)
{
    (void)state;
    int64_t peak, now;
    struct child c = begin(shares_memory);
    hear(&c);
    struct account one = settled(&c);
    go_on(&c);
    hear(&c);
    struct account three = settled(&c);
    assert_int_equal(three.processes, 3);
    /* Once more and not four times; the rest is what processes under valgrind have for themselves.
     * The peak is that of all of them. */
    assert_true(three.now_bytes - one.now_bytes >= MANY - SOME);
    assert_true(three.now_bytes - one.now_bytes <= 2 * MANY);
    assert_true(three.peak_bytes >= three.now_bytes);
    assert_int_equal(account_memory(c.pid, &peak, &now), 0);
    assert_near(now, three.now_bytes, SOME);
    assert_near(peak, three.peak_bytes, SOME);
    end(&c);
}

/* ---- what cannot be read ---- */

static pid_t target;

/* A user who may not look into the memory of the target still gets the rest. */
static void reads_as_nobody(void)
{
    struct account a;
    if (setgid(65534) != 0 || setuid(65534) != 0)
        stop_here(-1);
    if (account_read(target, &a, NULL) != 0)
        stop_here(-2);
    stop_here(a.cpu_ns > 0 && a.voluntary > 0 && a.tasks > 0 ? a.now_bytes : 0);
}

static void test_other_user(void **state)
{
    (void)state;
    char line[256];
    if (geteuid() != 0) {
        print_message("skipped: test_other_user: only root can become another user\n");
        skip();
    }
    struct child c = begin(touches_memory);
    hear(&c);
    go_on(&c);
    hear(&c);
    await_sleep(c.pid);
    target = c.pid;
    struct child reader = begin(reads_as_nobody);
    int64_t bytes = hear(&reader);
    if (bytes == -1 || bytes == -2) {
        end(&reader);
        end(&c);
        print_message("skipped: test_other_user: cannot become another user, or /proc is hidden\n");
        skip();
    }
    int64_t kb = strtoll(status_line(c.pid, "VmRSS:", line, sizeof(line)), NULL, 10);
    assert_true(bytes >= MANY);
    assert_near(bytes, kb * 1024, MIB);
    end(&reader);
    end(&c);
}

static void assert_refused(pid_t pid, const char *reason)
{
    struct plx_why why = {"", "?"};
    struct account a;
    int64_t peak, now;
    assert_int_equal(account_read(pid, &a, &why), -ESRCH);
    if (!strstr(why.reason, reason))
        fail_msg("\"%s\" does not say \"%s\"", why.reason, reason);
    assert_string_not_equal(why.remedy, "?");
    assert_int_equal(account_read(pid, &a, NULL), -ESRCH);
    assert_int_equal(a.cpu_ns, ACCOUNT_NA);
    assert_int_equal(a.peak_bytes, ACCOUNT_NA);
    assert_int_equal(account_memory(pid, &peak, &now), -ESRCH);
}

static void *sleeping_thread(void *arg)
{
    stop_here((int64_t)syscall(SYS_gettid));
    return arg;
}

static void has_thread(void)
{
    pthread_t t;
    if (pthread_create(&t, NULL, sleeping_thread, NULL) == 0)
        pthread_join(t, NULL);
}

static void test_no_process(void **state)
{
    (void)state;
    struct child c = begin(has_thread);
    pid_t thread = (pid_t)hear(&c);
    struct plx_why why = {"", ""};
    struct account a;
    assert_int_equal(account_read(thread, &a, &why), -ESRCH);
    assert_non_null(strstr(why.reason, "thread of process"));
    assert_true(why.remedy[0]);
    end(&c);
    assert_refused(c.pid, "no process");
    assert_refused(0, "no process");
    assert_refused(-1, "no process");
}

/* ---- the kernel's workers ---- */

static int64_t monotonic(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * PLX_SECOND + t.tv_nsec;
}

/* A ring whose submissions a kernel thread looks for: once woken, it spins for a minute. */
static void opens_ring(void)
{
    struct io_uring_params p = {.flags = IORING_SETUP_SQPOLL, .sq_thread_idle = 60000};
    stop_here(0);
    int ring = (int)syscall(SYS_io_uring_setup, 4, &p);
    if (ring < 0)
        stop_here(-errno);
    for (;;) {
        stop_here(0);
        syscall(SYS_io_uring_enter, ring, 0, 0, IORING_ENTER_SQ_WAKEUP, NULL, 0);
    }
}

static void test_kernel_workers(void **state)
{
    (void)state;
    struct child c = begin(opens_ring);
    hear(&c);
    struct account from = settled(&c), used;
    go_on(&c);
    int64_t rc = hear(&c);
    if (rc < 0) {
        end(&c);
        print_message("skipped: test_kernel_workers: io_uring_setup: %s\n", strerror((int)-rc));
        skip();
    }
    /* The process itself spends next to nothing. The worker gives itself its name, and must have
     * fallen asleep before it can be woken: hence again and again. */
    struct account to;
    int64_t began = monotonic();
    do {
        go_on(&c);
        hear(&c);
        usleep(10000);
        to = read_now(c.pid);
        used = between(&from, &to);
    } while (used.cpu_ns < BURN && monotonic() - began < 60 * PLX_SECOND);
    assert_true(used.cpu_ns >= BURN);
    assert_int_equal(to.kernel_workers, 1);
    assert_true(to.tasks > from.tasks);
    assert_true(used.user_ns < used.system_ns);
    end(&c);
}

/* ---- CPUs ---- */

/* The n-th CPU that this process may run on, or -1. */
static int allowed_cpu(int n)
{
    cpu_set_t set;
    assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET((size_t)cpu, &set) && n-- == 0)
            return cpu;
    }
    return -1;
}

static int first_cpu, other_cpu;

static void pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    sched_setaffinity(0, sizeof(set), &set);
}

static void *pinned_thread(void *arg)
{
    pin(other_cpu);
    stop_here(0);
    return arg;
}

static void pins_thread(void)
{
    pthread_t t;
    stop_here(0);
    if (pthread_create(&t, NULL, pinned_thread, NULL) == 0)
        pthread_join(t, NULL);
}

static void test_cpus(void **state)
{
    (void)state;
    cpu_set_t set;
    char expected[32];
    assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
    assert_int_equal(account_cpus_count(read_now(getpid()).cpus), CPU_COUNT(&set));

    first_cpu = allowed_cpu(0);
    other_cpu = allowed_cpu(1) < 0 ? first_cpu : allowed_cpu(1);
    pin(first_cpu); /* whatever threads the child has got */
    struct child c = begin(pins_thread);
    sched_setaffinity(0, sizeof(set), &set);
    hear(&c);
    struct account a = settled(&c);
    snprintf(expected, sizeof(expected), "%d", first_cpu);
    assert_string_equal(a.cpus, expected);
    go_on(&c);
    hear(&c);
    a = settled(&c);
    assert_int_equal(account_cpus_count(a.cpus), first_cpu == other_cpu ? 1 : 2);
    snprintf(expected, sizeof(expected), "%d", other_cpu);
    assert_true(account_cpus_overlap(a.cpus, expected));
    end(&c);
}

static void test_cpu_lists(void **state)
{
    (void)state;
    static const struct {
        const char *list;
        int count;
    } lists[] = {{"0", 1},
                 {"0-1", 2},
                 {"0-1,4", 3},
                 {"3-3", 1},
                 {"0-2,1-3", 4},
                 {"64-127", 64},
                 {"8191", 1},
                 {"", 0},
                 {"8192", 0},
                 {"1-0", 0},
                 {"0,", 0},
                 {",0", 0},
                 {"0-", 0},
                 {"-1", 0},
                 {"a", 0},
                 {"0 1", 0},
                 {"0-1x", 0},
                 {" 0", 0},
                 {"99999999999999999999", 0}};
    for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
        if (account_cpus_count(lists[i].list) != lists[i].count)
            fail_msg("\"%s\": %d", lists[i].list, account_cpus_count(lists[i].list));
    }
    assert_true(account_cpus_overlap("0-1", "1-2"));
    assert_true(account_cpus_overlap("63,64", "0,64"));
    assert_false(account_cpus_overlap("0-1", "2-3"));
    assert_false(account_cpus_overlap("0-1,4", "2-3,5-9"));
    assert_false(account_cpus_overlap("0", "0-"));
    assert_false(account_cpus_overlap("", ""));
}

/* The first line of /proc/stat, without idle, iowait, and the guests' time, which is in user. */
static int64_t busy_sum(void)
{
    char line[512];
    int64_t sum = 0;
    FILE *f = fopen("/proc/stat", "re");
    assert_non_null(f);
    assert_non_null(fgets(line, sizeof(line), f));
    fclose(f);
    char *at = line + strlen("cpu");
    for (int field = 0; field < 8; field++) {
        int64_t ticks = strtoll(at, &at, 10);
        sum += field == 3 || field == 4 ? 0 : ticks;
    }
    return sum * (PLX_SECOND / sysconf(_SC_CLK_TCK));
}

static void test_busy(void **state)
{
    (void)state;
    char list[32];
    int cpu = allowed_cpu(0);
    cpu_set_t all;
    snprintf(list, sizeof(list), "%d", cpu);
    assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
    pin(cpu);
    int64_t began = monotonic();
    int64_t one = account_busy_ns(list);
    int64_t sum = account_busy_ns(NULL);
    burn(5 * BURN);
    one = account_busy_ns(list) - one;
    sum = account_busy_ns(NULL) - sum;
    int64_t took = monotonic() - began;
    sched_setaffinity(0, sizeof(all), &all);
    /* Six figures are rounded, and most kernels take samples to know them. */
    assert_true(one >= 5 * BURN / 2);
    assert_true(one <= took + 12 * TICK);
    assert_true(sum >= one - 12 * TICK);
    began = busy_sum();
    sum = account_busy_ns(NULL);
    assert_true(began <= sum && sum <= busy_sum());
    assert_int_equal(account_busy_ns(""), ACCOUNT_NA);
    assert_int_equal(account_busy_ns("8191"), ACCOUNT_NA);
    assert_int_equal(account_busy_ns("x"), ACCOUNT_NA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory),         cmocka_unit_test(test_shared_memory),
        cmocka_unit_test(test_other_user),     cmocka_unit_test(test_no_process),
        cmocka_unit_test(test_kernel_workers), cmocka_unit_test(test_cpus),
        cmocka_unit_test(test_cpu_lists),      cmocka_unit_test(test_busy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
