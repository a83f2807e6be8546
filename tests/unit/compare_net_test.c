/* SPDX-License-Identifier: MIT */
/* The network of a comparison: two namespaces whose ends reach each other and nobody else, with
 * this machine's settings, and gone afterwards; and whether two comparisons had the same one. */
#include "cmd/compare/net.h"
#include "cmd/compare/repeat.h"
#include "cmd/measure/cpulist.h"
#include "cmd/measure/sysfile.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static char why[512];

/* ---- a mask of CPUs ---- */

static void test_mask(void **state)
{
    static const struct {
        const char *list, *mask;
    } rows[] = {{"", "0"},
                {"0", "1"},
                {"0-1,4", "13"},
                {"31", "80000000"},
                {"0,32", "1,00000001"},
                {"0-63", "ffffffff,ffffffff"},
                {"96", "1,00000000,00000000,00000000"}};
    char mask[CPULIST_MASK];
    struct cpulist list;
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_true(cpulist_parse(rows[i].list, &list));
        assert_string_equal(cpulist_mask(&list, mask), rows[i].mask);
    }
    assert_true(cpulist_parse("0-8191", &list));
    assert_int_equal(strlen(cpulist_mask(&list, mask)), CPULIST_MASK - 1);
}

/* ---- repetitions ---- */

static enum repeat_verdict repeated(const char *then, const char *now, const char *kernel,
                                    struct repeat_result *r)
{
    json_t *a = json_pack("{s:{s:s}, s:{s:s}}", "machine", "kernel", "6.1", "method", "net", then);
    json_t *b = json_pack("{s:{s:s}, s:{s:s}}", "machine", "kernel", kernel, "method", "net", now);
    assert_non_null(a);
    assert_non_null(b);
    repeat_judge(a, b, r);
    json_decref(a);
    json_decref(b);
    return r->verdict;
}

static void test_repeated(void **state)
{
    struct repeat_result r;
    (void)state;
    assert_int_equal(repeated("lo", "lo", "6.1", &r), REPEAT_REPRODUCED);
    assert_int_equal(repeated("netns", "netns", "6.1", &r), REPEAT_REPRODUCED);
    assert_int_equal(repeated("lo", "netns", "6.1", &r), REPEAT_DIFFERENT_NETWORK);
    assert_int_equal(r.nlines, 1);
    assert_string_equal(r.line[0], "net: then \"lo\", now \"netns\"");
    assert_int_equal(repeated("netns", "lo", "6.2", &r), REPEAT_DIFFERENT_MACHINE);
    assert_int_equal(r.nlines, 2);
    assert_string_equal(repeat_verdict_name(REPEAT_DIFFERENT_NETWORK), "DIFFERENT NETWORK");
}

/* ---- where the thread is ---- */

static char *here(char link[64])
{
    ssize_t n = readlink("/proc/thread-self/ns/net", link, 63);
    link[n > 0 ? n : 0] = '\0';
    assert_true(n > 0);
    return link;
}

static char *setting(const char *name, char text[128])
{
    assert_true(sysfile_read(text, 128, "/proc/sys/net/%s", name) > 0);
    return text;
}

/* False where nobody may. */
static bool set(const char *name, const char *value)
{
    char file[64];
    snprintf(file, sizeof file, "/proc/sys/net/%s", name);
    int fd = open(file, O_WRONLY | O_CLOEXEC);
    bool done = fd >= 0 && write(fd, value, strlen(value)) > 0;
    if (fd >= 0)
        close(fd);
    return done;
}

static void test_loopback(void **state)
{
    char before[64], after[64];
    struct net net;
    (void)state;
    here(before);
    assert_int_equal(net_open(&net, false, why, sizeof why), 0);
    assert_int_equal(net_join(&net, "0", "1", why, sizeof why), 0);
    assert_string_equal(net_address(&net), "127.0.0.1");
    assert_int_equal(net_enter(&net, NET_SERVER), 0);
    assert_string_equal(here(after), before);
    assert_false(net.steered);
    net_close(&net);
    net_close(&net);
    assert_string_equal(net_kind(0), "lo");
    assert_string_equal(net_kind(1), "netns");
    assert_null(net_kind(2));
}

/* ---- two ends ---- */

static int listen_at(const char *address, struct sockaddr_in *at)
{
    socklen_t len = sizeof *at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *at = (struct sockaddr_in){.sin_family = AF_INET};
    assert_int_equal(inet_pton(AF_INET, address, &at->sin_addr), 1);
    assert_int_equal(bind(fd, (struct sockaddr *)at, sizeof *at), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)at, &len), 0);
    return fd;
}

/* A connection from the client's end to the server's, and that there is none from elsewhere. */
static void expect_joined(struct net *net)
{
    struct sockaddr_in at, from;
    socklen_t len = sizeof from;
    char text[INET_ADDRSTRLEN];
    assert_int_equal(net_enter(net, NET_SERVER), 0);
    int listener = listen_at(net_address(net), &at);
    assert_int_equal(net_enter(net, NET_CLIENT), 0);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
    int peer = accept(listener, (struct sockaddr *)&from, &len);
    assert_true(peer >= 0);
    assert_string_equal(inet_ntop(AF_INET, &from.sin_addr, text, sizeof text), "198.18.0.2");
    close(peer);
    close(fd);
    close(listener);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(inet_pton(AF_INET, "192.0.2.1", &at.sin_addr), 1);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), -1);
    assert_int_equal(errno, ENETUNREACH);
    close(fd);
}

/* What was set on this machine holds at both ends. */
static void expect_settings(const struct net *net, bool were_set)
{
    char text[128];
    for (int i = 0; i < NET_ENDS; i++) {
        assert_int_equal(net_enter(net, (enum net_end)i), 0);
        if (were_set) {
            assert_string_equal(setting("core/somaxconn", text), "1234");
            assert_string_equal(setting("ipv4/ip_local_port_range", text), "40000\t50000");
        }
        if (net->steered) { /* to CPU 0 alone */
            setting("core/rps_default_mask", text);
            assert_int_equal(text[strlen(text) - 1], '1');
            assert_int_equal(strspn(text, "0,"), strlen(text) - 1);
        }
    }
}

static void test_two_ends(void **state)
{
    char before[64], after[64], ends[NET_ENDS][64], text[128];
    struct net net;
    (void)state;
    /* Not in the machine's own namespace, since its settings are changed. */
    if (unshare(CLONE_NEWNET) < 0) {
        print_message("skipped: two ends: this user may not make a network of its own\n");
        skip();
    }
    here(before);
    bool were_set = set("core/somaxconn", "1234") && set("ipv4/ip_local_port_range", "40000 50000");
    for (int again = 0; again < 2; again++) {
        assert_int_equal(net_open(&net, true, why, sizeof why), 0);
        assert_string_equal(net_address(&net), "198.18.0.1");
        assert_string_not_equal(here(ends[NET_CLIENT]), before);
        assert_int_equal(net_join(&net, "0", again ? "" : "0", why, sizeof why), 0);
        assert_string_equal(here(after), ends[NET_CLIENT]);
        assert_int_equal(net_enter(&net, NET_SERVER), 0);
        assert_string_not_equal(here(ends[NET_SERVER]), before);
        assert_string_not_equal(ends[NET_SERVER], ends[NET_CLIENT]);
        /* Only where the CPUs of both are known. */
        assert_int_equal(net.steered,
                         !again && access("/proc/sys/net/core/rps_default_mask", W_OK) == 0);
        expect_joined(&net);
        if (!again)
            expect_settings(&net, were_set);
        net_close(&net);
        assert_string_equal(here(after), before);
        sysfile_read(text, sizeof text, "/proc/thread-self/net/dev");
        assert_null(strstr(text, "veth"));
        net_close(&net);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mask),
        cmocka_unit_test(test_repeated),
        cmocka_unit_test(test_loopback),
        cmocka_unit_test(test_two_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
