/* SPDX-License-Identifier: MIT */
/* Addresses as text, both ways. No test looks a name up outside this machine. */
#include "core_util.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>

#define UNIX_MOST (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)

static struct plx_addr parse(const char *text)
{
    struct plx_addr a[4];
    struct plx_why why;
    int n = plx_addr_parse(text, a, 4, &why);
    if (n != 1)
        fail_msg("%s: %d", text, n);
    return a[0];
}

static void test_round_trip(void **state)
{
    (void)state;
    const struct {
        const char *text;
        int family;
        unsigned port;
        const char *written; /* NULL: the same */
    } cases[] = {
        {"127.0.0.1:80", AF_INET, 80, NULL},
        {"0.0.0.0:1", AF_INET, 1, NULL},
        {"255.255.255.255:65535", AF_INET, 65535, NULL},
        {"127.0.0.1:0", AF_INET, 0, NULL},
        {":80", AF_INET, 80, "127.0.0.1:80"}, /* loopback, never the wildcard */
        {":0", AF_INET, 0, "127.0.0.1:0"},
        {":65535", AF_INET, 65535, "127.0.0.1:65535"},
        {"[::1]:80", AF_INET6, 80, NULL},
        {"[::]:0", AF_INET6, 0, NULL},
        {"[0:0:0:0:0:0:0:1]:65535", AF_INET6, 65535, "[::1]:65535"},
        {"[2001:DB8::A]:443", AF_INET6, 443, "[2001:db8::a]:443"},
        {"[::ffff:1.2.3.4]:5", AF_INET6, 5, NULL},
        {"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", AF_INET6, 65535, NULL},
        {"[fe80::1%1]:7", AF_INET6, 7, NULL},
        {"unix:/run/x", AF_UNIX, 0, NULL},
        {"unix:relative", AF_UNIX, 0, NULL},
        {"unix:[::1]:80", AF_UNIX, 0, NULL},
        {"unix:unix:", AF_UNIX, 0, NULL},
        {"unix: ", AF_UNIX, 0, NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[PLX_ADDR_TEXT];
        const char *want = cases[i].written ? cases[i].written : cases[i].text;
        struct plx_addr a = parse(cases[i].text);
        assert_int_equal(a.sa.sa_family, cases[i].family);
        assert_int_equal(plx_addr_port(&a), cases[i].port);
        assert_ptr_equal(plx_addr_format(&a, text, sizeof(text)), text);
        assert_string_equal(text, want);
        struct plx_addr again = parse(text);
        assert_int_equal(again.len, a.len);
        assert_memory_equal(&again.sa, &a.sa, a.len);
    }
}

/* The bytes are those that bind(2) wants. */
static void test_fields(void **state)
{
    (void)state;
    struct plx_addr a = parse("1.2.3.4:258");
    assert_int_equal(a.len, sizeof(struct sockaddr_in));
    assert_int_equal(ntohl(a.in.sin_addr.s_addr), 0x01020304);
    assert_int_equal(ntohs(a.in.sin_port), 258);
    a = parse(":80");
    assert_int_equal(ntohl(a.in.sin_addr.s_addr), INADDR_LOOPBACK);
    a = parse("[::1]:258");
    assert_int_equal(a.len, sizeof(struct sockaddr_in6));
    assert_memory_equal(&a.in6.sin6_addr, &in6addr_loopback, 16);
    assert_int_equal(ntohs(a.in6.sin6_port), 258);
    assert_int_equal(a.in6.sin6_scope_id, 0);
    a = parse("[fe80::1%1]:7"); /* interface 1 by its number: every machine has lo */
    assert_int_equal(a.in6.sin6_scope_id, 1);
}

static void test_refused(void **state)
{
    (void)state;
    const char *const cases[] = {"",
                                 "80",
                                 "127.0.0.1",
                                 "localhost",
                                 "::1",
                                 "::1:80",
                                 "1:2:3",
                                 "::",
                                 "[",
                                 "[]",
                                 "[::1",
                                 "[::1]",
                                 "[::1]80",
                                 "[::1] :80",
                                 "[]:80",
                                 "[:80",
                                 "[127.0.0.1]:80",
                                 "[localhost]:80",
                                 "[::1::]:80",
                                 "[12345::]:80",
                                 "[::1]:",
                                 "[::1]:x",
                                 "[::1]]:80",
                                 ":",
                                 "127.0.0.1:",
                                 "127.0.0.1:65536",
                                 "127.0.0.1:99999",
                                 "127.0.0.1:100000",
                                 "127.0.0.1:4294967376",
                                 "127.0.0.1:-1",
                                 "127.0.0.1:+1",
                                 "127.0.0.1: 1",
                                 "127.0.0.1:1 ",
                                 "127.0.0.1:0x50",
                                 "127.0.0.1:http",
                                 "127.0.0.1:8O",
                                 "unix:",
                                 "[fe80::1%1:7"};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct plx_addr a;
        struct plx_why why = {.reason = "", .remedy = ""};
        int rc = plx_addr_parse(cases[i], &a, 1, &why);
        if (rc != -EINVAL)
            fail_msg("\"%s\": %d", cases[i], rc);
        assert_true(strlen(why.reason) > 10); /* says which part */
        assert_true(strlen(why.remedy) > 10);
        assert_int_equal(plx_addr_parse(cases[i], &a, 1, NULL), -EINVAL);
    }
}

static void test_unix_length(void **state)
{
    (void)state;
    char text[600] = "unix:", back[PLX_ADDR_TEXT];
    struct plx_addr a;
    struct plx_why why;
    assert_int_equal(UNIX_MOST, 107); /* on Linux; the header says so too */
    memset(text + 5, 'p', UNIX_MOST);
    a = parse(text);
    assert_memory_equal(a.un.sun_path, text + 5, UNIX_MOST + 1);
    assert_string_equal(plx_addr_format(&a, back, sizeof(back)), text);
    for (size_t n = UNIX_MOST + 1; n < sizeof(text) - 6; n += 97) {
        memset(text + 5, 'p', n);
        memset(&why, 0, sizeof(why));
        assert_int_equal(plx_addr_parse(text, &a, 1, &why), -ENAMETOOLONG);
        assert_non_null(strstr(why.reason, "107"));
        assert_true(strlen(why.remedy) > 10);
        assert_int_equal(plx_addr_parse(text, &a, 1, NULL), -ENAMETOOLONG);
    }
}

/* What accept4(2) and getsockname(2) give, which nobody parsed. */
static void test_format_of_others(void **state)
{
    (void)state;
    char text[PLX_ADDR_TEXT];
    struct plx_addr a;
    memset(&a, 0, sizeof(a));
    a.un.sun_family = AF_UNIX;
    a.len = sizeof(sa_family_t);
    assert_string_equal(plx_addr_format(&a, text, sizeof(text)), "unix:");
    assert_int_equal(plx_addr_port(&a), 0);
    /* A path that fills its field has no NUL behind it (unix(7), BUGS). */
    memset(a.un.sun_path, 'q', sizeof(a.un.sun_path));
    a.len = sizeof(a.un);
    plx_addr_format(&a, text, sizeof(text));
    assert_int_equal(strlen(text), 5 + sizeof(a.un.sun_path));
    assert_int_equal(text[5 + sizeof(a.un.sun_path) - 1], 'q');
    a.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 3);
    assert_string_equal(plx_addr_format(&a, text, sizeof(text)), "unix:qqq");
}

/* Whatever the room, the text ends within it. */
static void test_format_is_bounded(void **state)
{
    (void)state;
    const char *const cases[] = {"255.255.255.255:65535", "[::1]:80", "unix:/run/pollux"};
    for (size_t i = 0; i < 3; i++) {
        struct plx_addr a = parse(cases[i]);
        for (size_t cap = 1; cap <= strlen(cases[i]) + 1; cap++) {
            char text[64];
            memset(text, '#', sizeof(text));
            plx_addr_format(&a, text, cap);
            assert_int_equal(strlen(text), cap - 1);
            assert_memory_equal(text, cases[i], cap - 1);
            assert_int_equal(text[cap], '#');
        }
    }
}

static bool loopback(const struct plx_addr *a)
{
    if (a->sa.sa_family == AF_INET)
        return ntohl(a->in.sin_addr.s_addr) >> 24 == 127;
    return a->sa.sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&a->in6.sin6_addr);
}

/* A name may have several addresses; no more are written than there is room for. */
static void test_localhost(void **state)
{
    (void)state;
    struct plx_addr a[4];
    struct addrinfo *known = NULL;
    if (getaddrinfo("localhost", NULL, NULL, &known) != 0) {
        printf("skipped: test_localhost: this machine cannot resolve localhost\n");
        skip();
    }
    freeaddrinfo(known);
    memset(a, 0x55, sizeof(a));
    int n = plx_addr_parse("localhost:8080", a, 3, NULL);
    assert_in_range(n, 1, 3);
    for (int i = 0; i < n; i++) {
        assert_true(loopback(&a[i]));
        assert_int_equal(plx_addr_port(&a[i]), 8080);
    }
    assert_int_equal(a[3].len, 0x55555555);
    assert_int_equal(plx_addr_parse("localhost:8080", a, 1, NULL), 1);
}

static void test_unknown_names(void **state)
{
    (void)state;
    char text[400];
    struct plx_addr a;
    struct plx_why why = {.reason = "", .remedy = ""};
    /* 64 letters are one more than a label may have (RFC 1035 2.3.4): nobody is asked. */
    memset(text, 'x', 64);
    memcpy(text + 64, ":80", sizeof(":80"));
    assert_int_equal(plx_addr_parse(text, &a, 1, &why), -ENOENT);
    assert_true(strlen(why.reason) > 10);
    assert_true(strlen(why.remedy) > 10);
    assert_int_equal(plx_addr_parse(text, &a, 1, NULL), -ENOENT);
    /* Longer than any name can be (253 characters): refused as it stands. */
    memset(text, 'x', 300);
    memcpy(text + 300, ":80", sizeof(":80"));
    assert_int_equal(plx_addr_parse(text, &a, 1, NULL), -EINVAL);
    /* An interface that does not exist. */
    assert_true(plx_addr_parse("[fe80::1%no-such-if]:80", &a, 1, NULL) < 0);
}

/* ---- anything at all ---------------------------------------------------------------------------
 */

/* Whether the text names a host that would have to be asked for: such ones are left out. */
static bool needs_lookup(const char *text)
{
    const char *colon = strchr(text, ':');
    struct in_addr numeric;
    char host[64];
    if (!colon || colon == text || text[0] == '[' || strchr(colon + 1, ':') ||
        strncmp(text, "unix:", 5) == 0)
        return false;
    snprintf(host, sizeof(host), "%.*s", (int)(colon - text), text);
    return inet_pton(AF_INET, host, &numeric) != 1;
}

static void try(const char *text)
{
    struct plx_addr a[2], again;
    struct plx_why why;
    char back[PLX_ADDR_TEXT];
    int n = plx_addr_parse(text, a, 2, &why);
    if (n > 0) {
        /* What is accepted can be written, and read again as the same. */
        assert_int_equal(n, 1);
        plx_addr_format(&a[0], back, sizeof(back));
        assert_int_equal(plx_addr_parse(back, &again, 1, NULL), 1);
        assert_int_equal(again.len, a[0].len);
        assert_memory_equal(&again.sa, &a[0].sa, again.len);
        return;
    }
    if (n != -EINVAL && n != -ENOENT && n != -ENAMETOOLONG)
        fail_msg("\"%s\": %d", text, n);
    assert_non_null(memchr(why.reason, 0, sizeof(why.reason)));
    assert_true(why.reason[0] != 0);
    assert_non_null(memchr(why.remedy, 0, sizeof(why.remedy)));
}

static void test_random_bytes(void **state)
{
    (void)state;
    struct dice d = {271828};
    char text[301];
    for (int tried = 0; tried < 100000;) {
        size_t n = below(&d, roll(&d) % 16 ? 24 : sizeof(text));
        for (size_t i = 0; i < n; i++)
            text[i] = (char)(1 + below(&d, 255));
        text[n] = 0;
        if (needs_lookup(text))
            continue;
        try(text);
        tried++;
    }
}

/* The same out of the pieces that addresses are made of, which gets further in. */
static void test_random_pieces(void **state)
{
    (void)state;
    static const char *const pieces[] = {"[",     "]",         ":",    "::",      ".",      "%",
                                         "unix:", "127.0.0.1", "::1",  "fe80::1", "0",      "80",
                                         "65535", "65536",     "ffff", "1",       "/",      " ",
                                         "x",     "]:",        "%1",   "%lo",     "[::1]:", "-"};
    struct dice d = {314159};
    int tried = 0;
    while (tried < 100000) {
        char text[128] = "";
        size_t len = 0;
        for (size_t n = below(&d, 8); n > 0; n--)
            len += (size_t)snprintf(text + len, sizeof(text) - len, "%s",
                                    pieces[below(&d, sizeof(pieces) / sizeof(pieces[0]))]);
        if (needs_lookup(text))
            continue;
        try(text);
        tried++;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),       cmocka_unit_test(test_fields),
        cmocka_unit_test(test_refused),          cmocka_unit_test(test_unix_length),
        cmocka_unit_test(test_format_of_others), cmocka_unit_test(test_format_is_bounded),
        cmocka_unit_test(test_localhost),        cmocka_unit_test(test_unknown_names),
        cmocka_unit_test(test_random_bytes),     cmocka_unit_test(test_random_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
