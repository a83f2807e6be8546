/* SPDX-License-Identifier: MIT */
/* The table of models: every row can be found and explained, what cannot run says why, and "auto"
 * takes the best that can, also where a seccomp filter forbids the better ones. */
#include "core_util.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <sys/wait.h>

#if defined(__linux__) && defined(__x86_64__)
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif

static size_t rows(void)
{
    size_t n = 0;
    while (plx_model_at(n))
        n++;
    return n;
}

static void test_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < rows(); i++) {
        const char *name = plx_model_at(i)->name;
        assert_true(strlen(name) > 0);
        for (const char *p = name; *p; p++) /* an argument of --model, the name of a test */
            assert_true(islower(*p) || isdigit(*p) || *p == '-' || *p == '_');
        assert_ptr_equal(plx_model_find(name), plx_model_at(i)); /* so each is there once */
    }
    assert_null(plx_model_at(rows()));
    assert_null(plx_model_at(SIZE_MAX));
    assert_null(plx_model_find(""));
    assert_null(plx_model_find("epol"));
    assert_null(plx_model_find("epoll "));
    assert_null(plx_model_find("EPOLL"));
}

/* The names are an interface: scripts hold them. */
static void test_known_names(void **state)
{
    (void)state;
    const char *const names[] = {
        "blocking", "fork",   "threads", "threadpool", "nonblocking", "select", "poll",    "epoll",
        "epoll-et", "kqueue", "sigio",   "posix-aio",  "io_uring",    "iocp",   "devpoll", "auto"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (!plx_model_find(names[i]))
            fail_msg("no model is called %s", names[i]);
    }
}

static void test_texts(void **state)
{
    (void)state;
    for (size_t i = 0; i < rows(); i++) {
        const struct plx_model *m = plx_model_at(i);
        const struct plx__model *row = plx__row(m);
        assert_true(m->waits_in && *m->waits_in);
        assert_true(m->copies_in && *m->copies_in);
        assert_true(m->summary && *m->summary && !strchr(m->summary, '\n'));
        assert_non_null(m->limits);
        assert_non_null(m->engine);
        const char *const engines[] = {"blocking", "readiness", "proactor", ""};
        bool known = false;
        for (size_t k = 0; k < 4; k++)
            known |= strcmp(m->engine, engines[k]) == 0;
        assert_true(known);
        assert_int_equal(row->engine != NULL, *m->engine != 0);
        /* A limit on connections that is not explained is a trap. */
        assert_true(!m->max_connections || *m->limits);
        if (row->engine)
            assert_int_equal(m->max_connections == 1, !(m->caps & PLX_CAP_CONCURRENT));
        else
            assert_int_equal(m->caps, 0);
    }
}

static int count_fds(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    if (!d)
        return -1;
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

/* Runs here, or says why not; leaves nothing open; says the same without a `why`. */
static void test_probe(void **state)
{
    (void)state;
    for (size_t i = 0; i < rows(); i++) {
        const struct plx_model *m = plx_model_at(i);
        struct plx_why why = {.reason = "", .remedy = ""};
        int before = count_fds();
        int rc = plx_model_probe(m, &why);
        if (rc > 0 || (rc < 0 && strlen(why.reason) < 10))
            fail_msg("%s: %d, \"%s\"", m->name, rc, why.reason);
        assert_int_equal(plx_model_probe(m, NULL), rc);
        if (count_fds() != before)
            fail_msg("%s: descriptors left open", m->name);
    }
}

/* These need nothing but POSIX; those cannot be here at all. */
static void test_probe_known(void **state)
{
    (void)state;
    const char *const run[] = {"blocking",    "fork",   "threads", "threadpool",
                               "nonblocking", "select", "poll",    "auto"};
    const char *const missing[] = {"iocp", "devpoll"};
    struct plx_why why = {.reason = "", .remedy = ""};
    for (size_t i = 0; i < sizeof(run) / sizeof(run[0]); i++)
        assert_int_equal(plx_model_probe(plx_model_find(run[i]), &why), 0);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(plx_model_probe(plx_model_find(missing[i]), &why), -ENOSYS);
        assert_non_null(strstr(why.reason, "not built yet"));
        struct plx_loop_config cfg = {.model = missing[i]};
        struct plx_loop *l = NULL;
        assert_int_equal(plx_loop_open(&cfg, &l, NULL), -ENOSYS);
        assert_null(l);
    }
}

/* ---- auto --------------------------------------------------------------------------------------
 */

struct passing {
    const struct plx_model *model[32];
    struct plx_why why[32];
    size_t n;
};

static void on_passed(const struct plx_model *m, const struct plx_why *why, void *arg)
{
    struct passing *p = arg;
    assert_true(p->n < 32);
    p->model[p->n] = m;
    p->why[p->n++] = *why;
}

static int rank(const struct plx_model *m)
{
    return plx__row(m)->rank;
}

static bool has_passed(const struct passing *p, const struct plx_model *m)
{
    for (size_t i = 0; i < p->n; i++) {
        if (p->model[i] == m)
            return true;
    }
    return false;
}

/* A forked child has no test to fail: what is wrong is said here, and is the result. */
#define CHECK(x)                                                                                   \
    do {                                                                                           \
        if (!(x)) {                                                                                \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #x);                        \
            return WRONG;                                                                          \
        }                                                                                          \
    } while (0)

enum { RIGHT, WRONG, NO_FILTERS = 77 };

/* What auto took runs; everything better was tried, told of, and does not. */
static int check_auto(struct passing *p)
{
    p->n = 0;
    const struct plx_model *took = plx_model_auto(on_passed, p);
    CHECK(took);
    CHECK(strcmp(took->name, "auto") != 0);
    CHECK(rank(took) > 0);
    CHECK(plx_model_probe(took, NULL) == 0);
    for (size_t i = 0; i < p->n; i++) {
        CHECK(plx_model_probe(p->model[i], NULL) < 0);
        CHECK(strlen(p->why[i].reason) >= 10);
        CHECK(rank(p->model[i]) >= rank(took));
        CHECK(i == 0 || rank(p->model[i]) <= rank(p->model[i - 1])); /* best first */
    }
    for (size_t i = 0; i < rows(); i++)
        CHECK(rank(plx_model_at(i)) <= rank(took) || has_passed(p, plx_model_at(i)));
    CHECK(plx_model_auto(NULL, NULL) == took);
    return RIGHT;
}

static void test_auto(void **state)
{
    (void)state;
    struct passing p;
    assert_int_equal(check_auto(&p), RIGHT);
    const char *const names[] = {NULL, "auto"};
    for (size_t i = 0; i < 2; i++) {
        struct plx_loop_config cfg = {.model = names[i]};
        struct plx_loop *l;
        assert_int_equal(plx_loop_open(&cfg, &l, NULL), 0);
        assert_ptr_equal(plx_loop_model(l), plx_model_auto(NULL, NULL)); /* never "auto" itself */
        plx_loop_close(l);
    }
}

#if defined(__linux__) && defined(__x86_64__)

/* From here on both system calls answer EPERM in this process. */
static bool forbid(unsigned first, unsigned second)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, first, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, second, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* In the child: with io_uring forbidden, and epoll too if `both`. */
static int without(bool both)
{
    struct passing p;
    struct plx_why why = {.reason = "", .remedy = ""};
    struct plx_loop *l = NULL;
    const struct plx_model *ring = plx_model_find("io_uring"), *epoll = plx_model_find("epoll");
    const struct plx_model *best = both ? plx_model_find("poll") : epoll;
    bool had_ring = plx_model_probe(ring, NULL) == 0;
    if (!forbid(SYS_io_uring_setup, both ? SYS_epoll_create1 : SYS_io_uring_setup))
        return NO_FILTERS;
    CHECK(check_auto(&p) == RIGHT);
    int rc = plx_model_probe(ring, &why);
    CHECK(rc < 0);
    CHECK(!had_ring || (rc == -EPERM && strstr(why.reason, "seccomp")));
    struct plx_loop_config cfg = {.model = "io_uring"};
    CHECK(plx_loop_open(&cfg, &l, NULL) == rc && !l); /* named, it is refused, not replaced */
    CHECK(plx_model_auto(NULL, NULL) == best);
    CHECK(has_passed(&p, ring));
    CHECK(has_passed(&p, epoll) == both);
    cfg.model = NULL;
    CHECK(plx_loop_open(&cfg, &l, NULL) == 0);
    CHECK(plx_loop_model(l) == best);
    plx_loop_close(l);
    return RIGHT;
}

static void test_auto_forbidden(void **state)
{
    (void)state;
    for (int both = 0; both < 2; both++) {
        int status;
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
            _exit(without(both));
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) == NO_FILTERS) {
            print_message("seccomp filters are not allowed here\n");
            skip();
        }
        assert_int_equal(WEXITSTATUS(status), RIGHT);
    }
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_known_names),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_probe),
        cmocka_unit_test(test_probe_known),
        cmocka_unit_test(test_auto),
#if defined(__linux__) && defined(__x86_64__)
        cmocka_unit_test(test_auto_forbidden),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
