/* SPDX-License-Identifier: MIT */
/* What only one backend of the selector does; signal-driven I/O has selector_sigio_test.c. The
 * contract they share is in selector_test.c. */
#include "selector_util.h"

#include <sys/resource.h>

#if defined(__linux__) && defined(__x86_64__)
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif

/* ---- the front ---- */

static void test_names(void **state)
{
    (void)state;
    struct plx_selector *s;
    struct plx_why why = {.reason = "", .remedy = ""};
    assert_int_equal(plx_selector_open("pol", &s, &why), -ENOENT);
    assert_non_null(strstr(why.reason, "'pol'"));
    assert_int_equal(plx_selector_open("", &s, NULL), -ENOENT);
    int level = 0;
    for (const char *const *name = plx_selector_names(); *name; name++) {
        memset(&why, 0, sizeof(why));
        int rc = plx_selector_open(*name, &s, &why);
        if (rc < 0) {
            assert_int_equal(rc, -ENOSYS);
            assert_true(strlen(why.reason) > 10);
            continue;
        }
        level += !(plx_selector_caps(s) & (PLX_SEL_EDGE | PLX_SEL_SPINS));
        plx_selector_close(s);
    }
    assert_true(level >= 2); /* select and poll are everywhere */
}

#if defined(__linux__) && defined(__x86_64__)
/* From now on two system calls of this process fail with `err`. */
static void forbid(unsigned call_a, unsigned call_b, unsigned err)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call_a, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call_b, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | err),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog prog = {.len = sizeof(code) / sizeof(code[0]), .filter = code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) < 0)
        _exit(77);
}

/* The exit status of a child that runs `fn` without these system calls. */
static int without(unsigned call_a, unsigned call_b, unsigned err, int (*fn)(void))
{
    pid_t child = fork();
    if (child == 0) {
        forbid(call_a, call_b, err);
        _exit(fn());
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) {
        print_message("no seccomp filter may be set here\n");
        skip();
    }
    return WEXITSTATUS(status);
}

static int millisecond_waits(void)
{
    static const char *const names[] = {"epoll", "epoll-et", "poll"};
    for (int i = 0; i < 3; i++) {
        struct plx_selector *s;
        struct plx_ready r;
        if (plx_selector_open(names[i], &s, NULL) < 0)
            return 10 + i;
        for (int64_t t = 300000; t < 5000000; t += 1700000) {
            int64_t from = now_ns();
            if (plx_selector_select(s, &r, 1, t) != 0 || now_ns() - from < t)
                return 20 + i;
        }
        plx_selector_close(s);
    }
    return 0;
}

static void test_coarse(void **state)
{
    (void)state;
    assert_int_equal(without(SYS_epoll_pwait2, SYS_ppoll, ENOSYS, millisecond_waits), 0);
    assert_int_equal(without(SYS_epoll_pwait2, SYS_ppoll, EPERM, millisecond_waits), 0);
}

static int default_is_poll(void)
{
    struct plx_selector *s;
    struct plx_why why = {.reason = "", .remedy = ""};
    if (plx_selector_open("epoll", &s, &why) != -EPERM)
        return 1;
    if (!strstr(why.reason, "epoll_create1"))
        return 2;
    if (plx_selector_open(PLX_SELECTOR_DEFAULT, &s, &why) != 0)
        return 3;
    int rc = strcmp(plx_selector_name(s), "poll") ? 4 : 0;
    plx_selector_close(s);
    return rc;
}

static void test_default(void **state)
{
    (void)state;
    struct plx_selector *s = open_selector(PLX_SELECTOR_DEFAULT);
    assert_string_equal(plx_selector_name(s), "epoll");
    plx_selector_close(s);
    assert_int_equal(without(SYS_epoll_create1, SYS_epoll_create, EPERM, default_is_poll), 0);
}
#endif

/* ---- select and the others: large descriptors ---- */

static void test_large_descriptor(void **state)
{
    (void)state;
    enum { LARGE = 1500 };
    struct rlimit lim;
    getrlimit(RLIMIT_NOFILE, &lim);
    struct rlimit more = lim;
    if (more.rlim_cur <= LARGE)
        more.rlim_cur = LARGE + 1;
    if (setrlimit(RLIMIT_NOFILE, &more) < 0) {
        print_message("the hard limit on open files is below %d\n", LARGE + 1);
        skip();
    }
    int p[2];
    stream_pair(p);
    assert_int_equal(dup2(p[0], LARGE), LARGE);
    put(p[1]);
    for (const char *const *name = plx_selector_names(); *name; name++) {
        struct plx_selector *s;
        if (plx_selector_open(*name, &s, NULL) < 0)
            continue;
        int limit = plx_selector_fd_limit(s);
        int rc = plx_selector_register(s, LARGE, PLX_READ, NULL);
        if (limit) {
            assert_string_equal(*name, "select");
            assert_int_equal(rc, -ERANGE);
            assert_int_equal(dup2(p[0], limit), limit);
            assert_int_equal(plx_selector_register(s, limit, PLX_READ, NULL), -ERANGE);
            close(limit);
            assert_int_equal(dup2(p[0], limit - 1), limit - 1);
            assert_int_equal(plx_selector_register(s, limit - 1, PLX_READ, NULL), 0);
            assert_int_equal(one(s, limit - 1, 0), PLX_READ);
            close(limit - 1);
        } else {
            assert_int_equal(rc, 0);
            assert_int_equal(one(s, LARGE, 0), PLX_READ);
        }
        plx_selector_close(s);
    }
    close(LARGE);
    close_pair(p);
    setrlimit(RLIMIT_NOFILE, &lim);
}

/* The answer is walked by words: the first and the last bit of one, and words with none set. */
static void test_select_words(void **state)
{
    (void)state;
    static const int fds[] = {63, 64, 127, 128, 256, 639, 960};
    struct plx_selector *s = open_selector("select");
    int p[7][2];
    for (int i = 0; i < 7; i++) {
        stream_pair(p[i]);
        assert_int_equal(dup2(p[i][0], fds[i]), fds[i]);
        assert_int_equal(plx_selector_register(s, fds[i], PLX_READ, NULL), 0);
    }
    for (int i = 0; i < 7; i++) {
        put(p[i][1]);
        assert_int_equal(one(s, fds[i], 0), PLX_READ);
        assert_int_equal(take(fds[i]), 1);
        assert_int_equal(one(s, -1, 0), 0);
    }
    for (int i = 0; i < 7; i++)
        put(p[i][1]);
    struct plx_ready r[8];
    assert_int_equal(plx_selector_select(s, r, 8, 0), 7);
    plx_selector_close(s);
    for (int i = 0; i < 7; i++) {
        close(fds[i]);
        close_pair(p[i]);
    }
}

/* ---- a registered descriptor that was closed ---- */

static void test_closed_in_wait(void **state)
{
    (void)state;
    static const char *const names[] = {"select", "poll"};
    for (int i = 0; i < 2; i++) {
        struct plx_selector *s = open_selector(names[i]);
        int p[2];
        stream_pair(p);
        assert_int_equal(plx_selector_register(s, p[0], PLX_READ, NULL), 0);
        close(p[0]);
        int rc = one(s, p[0], -1);
        assert_int_equal(rc, i == 0 ? -EBADF : (int)(PLX_ERR | PLX_READ));
        assert_int_equal(plx_selector_unregister(s, p[0]), 0);
        assert_int_equal(one(s, -1, 0), 0);
        plx_selector_close(s);
        close(p[1]);
    }
}

/* ---- fairness of level-triggered backends and of busy polling ---- */

/* Nobody reads, one event per wait: in any three waits in a row each of three gets its turn. */
static void test_turns(void **state)
{
    (void)state;
    static const char *const names[] = {"polling", "select", "poll", "epoll"};
    for (int i = 0; i < 4; i++) {
        struct plx_selector *s;
        if (plx_selector_open(names[i], &s, NULL) < 0)
            continue;
        int p[3][2];
        int seen[3] = {0};
        for (int k = 0; k < 3; k++) {
            stream_pair(p[k]);
            put(p[k][1]);
            assert_int_equal(plx_selector_register(s, p[k][0], PLX_READ, &seen[k]), 0);
        }
        for (int turn = 0; turn < 30; turn++) {
            struct plx_ready r;
            assert_int_equal(plx_selector_select(s, &r, 1, -1), 1);
            ++*(int *)r.data;
        }
        for (int k = 0; k < 3; k++) {
            assert_int_equal(seen[k], 10);
            close_pair(p[k]);
        }
        plx_selector_close(s);
    }
}

static void test_polling_spins(void **state)
{
    (void)state;
    struct plx_selector *s = open_selector("polling");
    int p[2];
    stream_pair(p);
    assert_int_equal(plx_selector_register(s, p[0], PLX_READ, NULL), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(one(s, p[0], -1), PLX_READ); /* nothing was sent */
    assert_int_equal(waits(s), 0);                    /* and nothing was asked */
    plx_selector_close(s);
    close_pair(p);
}

/* ---- epoll ---- */

static void test_epoll_et_hints(void **state)
{
    (void)state;
    struct plx_selector *s;
    if (plx_selector_open("epoll-et", &s, NULL) < 0)
        skip();
    int p[2];
    tcp_pair(p);
    int on = 1;
    setsockopt(p[0], SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
    assert_int_equal(plx_selector_register(s, p[0], PLX_READ, NULL), 0);
    put(p[1]);
    assert_int_equal(one_hinted(s, p[0], 5 * PLX_SECOND), PLX_READ); /* plain data: no hint */
    assert_int_equal(take(p[0]), 1);
    assert_int_equal(send(p[1], "u", 1, MSG_OOB), 1);
    unsigned seen = 0;
    while (!(seen & PLX_MORE)) {
        int events = one_hinted(s, p[0], 5 * PLX_SECOND);
        assert_true(events > 0);
        seen |= (unsigned)events;
    }
    assert_true(seen & PLX_READ);
    assert_int_equal(take(p[0]), 1);
    shutdown(p[1], SHUT_WR);
    seen = (unsigned)one_hinted(s, p[0], 5 * PLX_SECOND);
    assert_int_equal(seen, PLX_READ | PLX_HUP | PLX_MORE);
    plx_selector_close(s);
    close_pair(p);
}

static void test_epoll_reset(void **state)
{
    (void)state;
    static const char *const names[] = {"epoll", "epoll-et", "poll", "sigio"};
    for (int i = 0; i < 4; i++) {
        struct plx_selector *s;
        if (plx_selector_open(names[i], &s, NULL) < 0)
            continue;
        int p[2];
        tcp_pair(p);
        assert_int_equal(plx_selector_register(s, p[0], PLX_READ, NULL), 0);
        assert_int_equal(one(s, p[0], 0), 0);
        struct linger reset = {.l_onoff = 1};
        setsockopt(p[1], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        close(p[1]);
        unsigned events = (unsigned)one(s, p[0], 5 * PLX_SECOND);
        assert_int_equal(events & (PLX_ERR | PLX_READ), PLX_ERR | PLX_READ);
        assert_int_equal(events & PLX_WRITE, 0);
        char c;
        assert_int_equal(read(p[0], &c, 1), -1);
        assert_int_equal(errno, ECONNRESET);
        plx_selector_close(s);
        close(p[0]);
    }
}

/* Closed without unregistering it in time, and then the same file under the same number again: the
 * kernel still has the old entry, the new registration must take its place. */
static void test_epoll_same_again(void **state)
{
    (void)state;
    static const char *const names[] = {"epoll", "epoll-et"};
    for (int i = 0; i < 4; i++) {
        struct plx_selector *s;
        if (plx_selector_open(names[i % 2], &s, NULL) < 0)
            skip();
        int p[2];
        stream_pair(p);
        int alive = dup(p[0]);
        assert_int_equal(plx_selector_register(s, p[0], PLX_READ, &i), 0);
        close(p[0]);
        assert_int_equal(plx_selector_unregister(s, p[0]), 0);
        assert_int_equal(dup2(alive, p[0]), p[0]);
        if (i < 2)
            assert_int_equal(plx_selector_register(s, p[0], PLX_READ, &p), 0);
        else
            assert_int_equal(plx_selector_register_exclusive(s, p[0], PLX_READ, &p), 0);
        put(p[1]);
        struct plx_ready r = {0};
        assert_int_equal(plx_selector_select(s, &r, 1, 5 * PLX_SECOND), 1);
        assert_ptr_equal(r.data, &p);
        plx_selector_close(s);
        close(alive);
        close_pair(p);
    }
}

/* Modified after it was closed and reused: the new file is watched. */
static void test_epoll_modify_reused(void **state)
{
    (void)state;
    struct plx_selector *s;
    if (plx_selector_open("epoll", &s, NULL) < 0)
        skip();
    int p[2];
    int q[2];
    stream_pair(p);
    stream_pair(q);
    assert_int_equal(plx_selector_register(s, p[0], PLX_READ, NULL), 0);
    assert_int_equal(dup2(q[0], p[0]), p[0]);
    assert_int_equal(plx_selector_modify(s, p[0], PLX_READ, NULL), 0);
    put(q[1]);
    assert_int_equal(one(s, p[0], 5 * PLX_SECOND), PLX_READ);
    plx_selector_close(s);
    close_pair(p);
    close_pair(q);
}

/* Two waiters on one descriptor, one event: at least one wakes and nobody is left unable to. */
static void test_epoll_exclusive_pair(void **state)
{
    (void)state;
    struct plx_selector *a;
    struct plx_selector *b;
    if (plx_selector_open("epoll", &a, NULL) < 0)
        skip();
    b = open_selector("epoll");
    int p[2];
    stream_pair(p);
    assert_int_equal(plx_selector_register_exclusive(a, p[0], PLX_READ, NULL), 0);
    assert_int_equal(plx_selector_register_exclusive(b, p[0], PLX_READ, NULL), 0);
    put(p[1]);
    bool woke = one(a, p[0], 0) == PLX_READ;
    woke |= one(b, p[0], 0) == PLX_READ;
    assert_true(woke);
    assert_int_equal(plx_selector_unregister(a, p[0]), 0);
    put(p[1]);
    assert_int_equal(one(b, p[0], 5 * PLX_SECOND), PLX_READ);
    plx_selector_close(a);
    plx_selector_close(b);
    close_pair(p);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_large_descriptor),
        cmocka_unit_test(test_select_words),
        cmocka_unit_test(test_closed_in_wait),
        cmocka_unit_test(test_turns),
        cmocka_unit_test(test_polling_spins),
        cmocka_unit_test(test_epoll_et_hints),
        cmocka_unit_test(test_epoll_reset),
        cmocka_unit_test(test_epoll_same_again),
        cmocka_unit_test(test_epoll_modify_reused),
        cmocka_unit_test(test_epoll_exclusive_pair),
#if defined(__linux__) && defined(__x86_64__)
        cmocka_unit_test(test_coarse),
        cmocka_unit_test(test_default),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
