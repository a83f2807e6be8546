/* SPDX-License-Identifier: MIT */
/* Where a server listens, and how workers share it. */
#include "conform.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void one_each(struct test *t, const struct server *s, unsigned i)
{
    int fd = dial_with(s, i, NULL);
    exchange(t, fd, i, 0, 20000, 20000);
    half_close(t, fd);
    expect_eof(t, fd, "after the echo");
    hang_up(fd);
}

/* An address for a unix socket of this case, in a directory of its own, which sweep() removes. */
static void unix_address(struct test *t, char *address, size_t cap)
{
    const char *tmp = getenv("TMPDIR");
    /* A unix path has 107 bytes at most: a deep TMPDIR would be too long. */
    bool fits = tmp && strlen(tmp) < sizeof(shared->scratch) - sizeof("/conform-XXXXXX");
    snprintf(shared->scratch, sizeof(shared->scratch), "%s/conform-XXXXXX", fits ? tmp : "/tmp");
    REQUIRE(t, mkdtemp(shared->scratch), "mkdtemp: %s", plx_error_name(errno));
    snprintf(address, cap, "unix:%s/s", shared->scratch);
}

static void unix_socket(struct test *t)
{
    char address[80];
    struct server s, second;
    struct plx_why why;
    struct stat st;
    unix_address(t, address, sizeof(address));
    server_start(t, &(struct server_opts){.listen = {address}}, &s);
    one_each(t, &s, 0);
    /* A path that exists is refused, and left alone. */
    int rc = server_try(t, &(struct server_opts){.listen = {address}}, &second, &why);
    EXPECT(t, "a second server on the same path", -EEXIST, rc);
    REQUIRE(t, why.reason[0], "a second server on the same path: expected a reason");
    one_each(t, &s, 0);
    server_end(&s);
    REQUIRE(t, stat(address + 5, &st) != 0, "expected %s to be removed, it is there", address);
}

static bool has_ipv6(void)
{
    struct plx_addr a = {.len = sizeof(a.in6)};
    a.in6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    bool ok = fd >= 0 && bind(fd, &a.sa, a.len) == 0;
    if (fd >= 0) {
        close(fd);
    }
    return ok;
}

static void several_listeners(struct test *t)
{
    char address[80];
    struct server s;
    bool v6 = has_ipv6();
    if (!v6) {
        note(t, "no IPv6 here (bind to ::1 fails): left out");
    }
    unix_address(t, address, sizeof(address));
    server_start(t,
                 &(struct server_opts){
                     .listen = {"127.0.0.1:0", "127.0.0.3:0", address, v6 ? "[::1]:0" : NULL}},
                 &s);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < (v6 ? 4u : 3u); i++) {
            one_each(t, &s, i);
        }
    }
    EXPECT(t, "family of listener 0", AF_INET, s.addr[0].sa.sa_family);
    EXPECT(t, "family of listener 2", AF_UNIX, s.addr[2].sa.sa_family);
    REQUIRE(t, s.addr[0].in.sin_port != 0, "port 0: expected the port it became");
    server_end(&s);
}

static void address_in_use(struct test *t)
{
    struct server s, second;
    struct plx_why why;
    char text[64];
    server_start(t, &(struct server_opts){0}, &s);
    snprintf(text, sizeof(text), "127.0.0.1:%u", ntohs(s.addr[0].in.sin_port));
    int rc = server_try(t, &(struct server_opts){.listen = {text}}, &second, &why);
    EXPECT(t, "a second server on the same port", -EADDRINUSE, rc);
    REQUIRE(t, strstr(why.reason, text), "reason: expected it to name %s, got \"%s\"", text,
            why.reason);
    /* The server ends a connection first, which puts its port into TIME_WAIT (RFC 9293, 3.3.2);
     * it is to be had again all the same. */
    set_mode(MODE_ONCE);
    int fd = dial(&s);
    put(t, fd, "x", 1);
    get_text(t, fd, "x");
    expect_eof(t, fd, "after plx_finish()");
    hang_up(fd);
    server_end(&s);
    forget_connections();
    server_start(t, &(struct server_opts){.listen = {text}}, &s);
    server_end(&s);
}

static void workers(struct test *t, const struct server_opts *opts)
{
    enum { N = 16 };
    int fd[N];
    /* Where one connection occupies a worker, whose turn it is cannot be told beforehand. */
    int at_once = has(t, PLX_CAP_CONCURRENT) ? N : 1;
    struct server s;
    server_start(t, opts, &s);
    for (int round = 0; round < N; round += at_once) {
        for (int i = 0; i < at_once; i++) {
            fd[i] = dial(&s);
            put_pattern(t, fd[i], (uint64_t)i, 0, 30000);
        }
        for (int i = 0; i < at_once; i++) {
            get_pattern(t, fd[i], (uint64_t)i, 0, 30000);
        }
        for (int i = 0; i < at_once; i++) {
            hang_up(fd[i]);
        }
    }
    server_end(&s);
}

static void workers_exclusive(struct test *t)
{
    workers(t, &(struct server_opts){.workers = 2, .accept = PLX_ACCEPT_EXCLUSIVE});
}

static void workers_reuseport(struct test *t)
{
    workers(t, &(struct server_opts){.workers = 2, .accept = PLX_ACCEPT_REUSEPORT});
}

/* A table of descriptors for each worker, where nobody else touches them: then two workers hold
 * more connections than a table has descriptors for. */
static void workers_own_descriptors(struct test *t)
{
    enum { ROOM = 100, N = 120 };
    struct server_opts opts = {
        .workers = 2, .accept = PLX_ACCEPT_REUSEPORT, .own_descriptors = true};
    struct plx_why why = {0};
    struct server s;
    int fd[N];
    if (!has(t, PLX_CAP_POST) || is(t, "posix-aio")) {
        int rc = server_try(t, &opts, &s, &why);
        EXPECT(t, "tables of their own where others touch the descriptors", -EINVAL, rc);
        REQUIRE(t, why.reason[0], "expected a reason in words, got none");
        return;
    }
    if (THREAD_SANITIZED) {
        note(t, "not with two tables: ThreadSanitizer takes a number of one for the process's");
        return;
    }
    workers(t, &opts);
    forget_connections();
    opts.descriptors = ROOM;
    server_start(t, &opts, &s);
    /* The kernel's hash spreads them: that one of the two gets 90 does not happen. */
    for (int i = 0; i < N; i++) {
        fd[i] = dial(&s);
        echo_once(t, fd[i], (unsigned)i);
    }
    for (int i = 0; i < N; i++) {
        hang_up(fd[i]);
    }
    server_end(&s);
}

static void accept_refused(struct test *t, enum plx_accept mode)
{
    struct server s;
    struct plx_why why = {0};
    int rc = server_try(t, &(struct server_opts){.workers = 2, .accept = mode}, &s, &why);
    EXPECT(t, "plx_server_open() with an accept mode the model has not", -EINVAL, rc);
    REQUIRE(t, why.reason[0], "expected a reason in words, got none");
}

/* The signals of one descriptor go to one thread (fcntl(2), F_SETOWN_EX), so that workers cannot
 * share a listening socket. */
static void workers_shared(struct test *t)
{
    if (is(t, "sigio")) {
        accept_refused(t, PLX_ACCEPT_SHARED);
    } else {
        workers(t, &(struct server_opts){.workers = 2, .accept = PLX_ACCEPT_SHARED});
    }
}

static void exclusive_refused(struct test *t)
{
    accept_refused(t, PLX_ACCEPT_EXCLUSIVE);
}

static void bad_config(struct test *t)
{
    static const struct {
        struct server_opts opts;
        int rc;
    } rows[] = {
        {{.limits = {.high_water = 1000, .low_water = 2000}}, -EINVAL},
        {{.limits = {.high_water = 1 << 20, .queue_cap = 1 << 20}}, -EINVAL},
        {{.limits = {.idle_ns = -5}}, -EINVAL},
        {{.workers = 5000}, -EINVAL},
        {{.max_connections = -7}, -EINVAL},
        {{.accept = (enum plx_accept)9}, -EINVAL},
        {{.listen = {"127.0.0.1"}}, -EINVAL},
        {{.listen = {"127.0.0.1:0", "127.0.0.1:70000"}}, -EINVAL},
        {{.listen = {"192.0.2.1:0"}}, -EADDRNOTAVAIL}, /* RFC 5737: nobody's address */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct server s;
        struct plx_why why = {0};
        int rc = server_try(t, &rows[i].opts, &s, &why);
        REQUIRE(t, rc == rows[i].rc, "row %zu: expected %s, got %s", i, plx_error_name(rows[i].rc),
                plx_error_name(rc));
        REQUIRE(t, why.reason[0], "row %zu: expected a reason in words, got none", i);
    }
}

static void in_place(struct test *t)
{
    struct server s;
    int fd[3];
    server_start(t, &(struct server_opts){.in_place = true}, &s);
    for (unsigned i = 0; i < 3; i++) {
        fd[i] = dial(&s);
        exchange(t, fd[i], i, 0, 20000, 20000);
    }
    for (unsigned i = 0; i < 3; i++) {
        half_close(t, fd[i]);
        expect_eof(t, fd[i], "after the echo");
        hang_up(fd[i]);
    }
    one_each(t, &s, 0);
    server_end(&s);
}

/* What may be run in place, and how often. */
static void in_place_refused(struct test *t)
{
    static const struct plx_handler handler = {.name = "none"};
    const char *listen[] = {"127.0.0.1:0"};
    struct plx_server_config config = {.loop = {.model = t->model->name},
                                       .handler = &handler,
                                       .listen = listen,
                                       .nlisten = 1,
                                       .workers = 2,
                                       .accept = PLX_ACCEPT_REUSEPORT};
    struct plx_server *server;
    struct plx_why why;
    REQUIRE(t, plx_server_open(&config, &server, &why) == 0, "open: %s", why.reason);
    EXPECT(t, "two workers on one thread", -EINVAL, plx_server_run(server));
    EXPECT(t, "and started", 0, plx_server_start(server));
    EXPECT(t, "what runs already", -EALREADY, plx_server_run(server));
    REQUIRE(t, plx_server_loop(server, 1) && !plx_server_loop(server, 2), "loops 0 and 1");
    plx_server_close(server);
}

static void in_place_twice(struct test *t)
{
    in_child(t, in_place_refused);
}

const struct case_row cases_listen[] = {
    {.name = "unix_socket", .run = unix_socket},
    {.name = "several_listeners", .run = several_listeners},
    {.name = "address_in_use", .run = address_in_use},
    {.name = "workers_shared", .run = workers_shared},
    {.name = "workers_exclusive",
     .run = workers_exclusive,
     .needs = PLX_CAP_EXCLUSIVE,
     .refuses = exclusive_refused},
    {.name = "workers_reuseport", .run = workers_reuseport},
    {.name = "workers_own_descriptors", .run = workers_own_descriptors},
    {.name = "in_place", .run = in_place, .needs = PLX_CAP_WATCH | PLX_CAP_POST},
    {.name = "in_place_twice", .run = in_place_twice},
    {.name = "bad_config", .run = bad_config},
    {0},
};
