/* SPDX-License-Identifier: MIT */
/* Outgoing connections of each model, to a plain server; and the pool that keeps them. */
#include "conform.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static struct plx_addr target;

/* ---- connections ---- */

/* The callbacks may run on other threads, or in other processes: they talk in shared memory.
 * value[0] on_open, value[1] bytes that were right, value[2] last error, value[3] on_close. */
struct client {
    uint64_t tag;
    size_t size; /* to send and to get back; 0 = stay open */
    size_t got;
};

static int client_open(struct plx_conn *c)
{
    const struct client *k = plx_conn_state(c);
    unsigned char piece[4096];
    atomic_fetch_add(&shared->value[0], 1);
    for (size_t done = 0; done < k->size;) {
        size_t n = k->size - done < sizeof(piece) ? k->size - done : sizeof(piece);
        pattern(piece, n, k->tag, done);
        int rc = plx_send(c, piece, n);
        if (rc < 0) {
            broken("plx_send() of a client failed");
            return rc;
        }
        done += n;
    }
    return 0;
}

static ssize_t client_data(struct plx_conn *c, const void *p, size_t n)
{
    struct client *k = plx_conn_state(c);
    unsigned char want[4096];
    n = n < sizeof(want) ? n : sizeof(want);
    pattern(want, n, k->tag, k->got);
    if (memcmp(want, p, n) != 0) {
        broken("a client: expected its own bytes back, got others");
    }
    k->got += n;
    atomic_fetch_add(&shared->value[1], (long long)n);
    if (k->got == k->size) {
        plx_finish(c);
    }
    return (ssize_t)n;
}

static void client_close(struct plx_conn *c, int err)
{
    (void)c;
    atomic_store(&shared->value[2], err);
    atomic_fetch_add(&shared->value[3], 1);
}

static const struct plx_handler client_handler = {
    .name = "client",
    .state_size = sizeof(struct client),
    .on_open = client_open,
    .on_data = client_data,
    .on_close = client_close,
};

static struct plx_loop *client_loop(struct test *t, const struct plx_limits *limits)
{
    struct plx_loop_config config = {.model = t->model->name};
    struct plx_loop *loop;
    struct plx_why why = {0};
    if (limits) {
        config.limits = *limits;
    }
    int rc = plx_loop_open(&config, &loop, &why);
    REQUIRE(t, rc == 0, "plx_loop_open: expected 0, got %s (%s)", plx_error_name(rc), why.reason);
    return loop;
}

/* Turns the loop until the shared value reaches its goal. */
static void turn_until(struct test *t, struct plx_loop *loop, int index, long long goal)
{
    for (int64_t end = now() + PATIENCE; atomic_load(&shared->value[index]) < goal;) {
        REQUIRE(t, now() < end, "value %d: expected %lld, got %lld", index, goal,
                atomic_load(&shared->value[index]));
        REQUIRE(t, plx_loop_turn(loop, MS(5)) >= 0, "plx_loop_turn()");
    }
}

static void connect_child(struct test *t)
{
    enum { N = 5, SIZE = 100000 };
    struct plx_loop *loop = client_loop(t, NULL);
    struct plx_stats stats;
    for (uint64_t i = 0; i < N; i++) {
        struct client k = {.tag = i, .size = SIZE};
        EXPECT(t, "plx_connect()", 0, plx_connect(loop, &target, &client_handler, &k, NULL));
    }
    turn_until(t, loop, 3, N);
    EXPECT(t, "calls of on_open", N, shared->value[0]);
    EXPECT(t, "bytes echoed", N * SIZE, shared->value[1]);
    EXPECT(t, "on_close: error", 0, shared->value[2]);
    plx_loop_stats(loop, &stats);
    EXPECT(t, "stats: connected", N, stats.connected);
    EXPECT(t, "stats: open", 0, stats.open);
    plx_loop_close(loop);
}

static void connect_works(struct test *t)
{
    pid_t peer = peer_start(t, &target);
    in_child(t, connect_child);
    end_child(t, peer);
    REQUIRE(t, !shared->broken, "contract: %s", shared->broken_what);
}

/* An address to come from. */
static struct plx_addr source(struct test *t, const char *text)
{
    struct plx_addr a;
    REQUIRE(t, plx_addr_parse(text, &a, 1, NULL) == 1, "plx_addr_parse() of %s", text);
    return a;
}

static int connect_from(struct plx_loop *loop, const struct plx_addr *from)
{
    struct client k = {.size = 0};
    return plx_connect_from(loop, &target, from, &client_handler, &k, NULL);
}

static void connect_from_child(struct test *t)
{
    struct plx_addr two = source(t, "127.0.0.2:0"), three = source(t, "127.0.0.3:0");
    struct plx_addr four = source(t, "127.0.0.4:0");
    struct plx_loop *loop = client_loop(t, NULL);
    EXPECT(t, "plx_connect_from() 127.0.0.2", 0, connect_from(loop, &two));
    EXPECT(t, "plx_connect_from() 127.0.0.3", 0, connect_from(loop, &three));
    turn_until(t, loop, 3, 2);
    EXPECT(t, "connections that the server saw from 127.0.0.2", 1, shared->value[4]);
    EXPECT(t, "connections that the server saw from 127.0.0.3", 1, shared->value[5]);
    int holder = socket(AF_INET, SOCK_STREAM, 0);
    REQUIRE(t,
            bind(holder, &four.sa, four.len) == 0 && getsockname(holder, &four.sa, &four.len) == 0,
            "a port of 127.0.0.4: %s", plx_error_name(errno));
    EXPECT(t, "plx_connect_from() a port in use", -EADDRINUSE, connect_from(loop, &four));
    close(holder);
    EXPECT(t, "plx_connect_from() a free port", 0, connect_from(loop, &four));
    turn_until(t, loop, 3, 3);
    EXPECT(t, "the port that the server saw", plx_addr_port(&four), shared->value[6]);
    EXPECT(t, "plx_connect_from() NULL", 0, connect_from(loop, NULL));
    turn_until(t, loop, 3, 4);
    EXPECT(t, "connections that the server saw", 4, shared->value[7]);
    EXPECT(t, "calls of on_open", 4, shared->value[0]);
    plx_loop_close(loop);
}

/* The server notes where connections come from, value[4] to value[7], and ends them. */
static void connect_from_works(struct test *t)
{
    int listener = listen_on_loopback(t, &target, 8);
    pid_t peer = fork_child(t);
    while (peer == 0) {
        struct plx_addr a = {.len = sizeof(a.in)};
        int fd = accept(listener, &a.sa, &a.len);
        uint32_t host = ntohl(a.in.sin_addr.s_addr) - INADDR_LOOPBACK;
        atomic_fetch_add(&shared->value[4], host == 1);
        atomic_fetch_add(&shared->value[5], host == 2);
        atomic_store(&shared->value[6], plx_addr_port(&a));
        atomic_fetch_add(&shared->value[7], 1);
        close(fd);
    }
    close(listener);
    in_child(t, connect_from_child);
    end_child(t, peer);
}

/* 192.0.2.1 is for documentation (RFC 5737), so nobody's. Linux would bind to the broadcast
 * address, and connect from 127.0.0.1. */
static void sources_refused(struct test *t, struct plx_loop *loop)
{
    static const struct {
        const char *from;
        int err;
    } rows[] = {{"[::1]:0", -EINVAL},
                {"192.0.2.1:0", -EADDRNOTAVAIL},
                {"255.255.255.255:0", -EADDRNOTAVAIL}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct plx_addr from = source(t, rows[i].from);
        EXPECT(t, rows[i].from, rows[i].err, connect_from(loop, &from));
    }
    struct plx_addr there = source(t, "unix:/no/such/directory");
    EXPECT(t, "from a unix address", -EINVAL,
           plx_connect_from(loop, &there, &there, &client_handler, NULL, NULL));
    REQUIRE(t, plx_loop_turn(loop, MS(20)) >= 0, "plx_loop_turn()");
    EXPECT(t, "callbacks", 0, shared->value[0] + shared->value[3]);
}

static void connect_fails_child(struct test *t)
{
    struct client k = {.size = 100};
    struct plx_addr from = source(t, "127.0.0.2:0");
    struct plx_loop *loop = client_loop(t, NULL);
    sources_refused(t, loop);
    for (int i = 1; i <= 2; i++) {
        EXPECT(t, "plx_connect_from() to a port without a server", 0,
               plx_connect_from(loop, &target, i == 1 ? NULL : &from, &client_handler, &k, NULL));
        turn_until(t, loop, 3, i);
        EXPECT(t, "on_close: error", -ECONNREFUSED, atomic_exchange(&shared->value[2], 0));
        EXPECT(t, "calls of on_open", 0, shared->value[0]);
        EXPECT(t, "calls of on_close", i, shared->value[3]);
    }
    plx_loop_close(loop);
}

static void connect_fails(struct test *t)
{
    close(listen_on_loopback(t, &target, 1));
    in_child(t, connect_fails_child);
}

static void connect_late_child(struct test *t)
{
    struct client k = {.size = 100};
    struct plx_loop *loop = client_loop(t, &(struct plx_limits){.connect_ns = MS(300)});
    int64_t start = now();
    EXPECT(t, "plx_connect() to a server that does not answer", 0,
           plx_connect(loop, &target, &client_handler, &k, NULL));
    turn_until(t, loop, 3, 1);
    EXPECT(t, "on_close: error", -ETIMEDOUT, shared->value[2]);
    EXPECT(t, "calls of on_open", 0, shared->value[0]);
    REQUIRE(t, now() - start >= MS(290), "connect_ns of 300 ms: early");
    plx_loop_close(loop);
}

/* A listener whose queue is full does not answer (listen(2)): as near to a black hole as the
 * loopback interface gets. */
static void connect_late(struct test *t)
{
    int listener = listen_on_loopback(t, &target, 0);
    int first = dial_errno(&target);
    REQUIRE(t, first >= 0, "connect: %s", plx_error_name(first));
    in_child(t, connect_late_child);
    close(first);
    close(listener);
}

static void connect_cancelled_child(struct test *t)
{
    struct client k = {.size = 0};
    struct plx_loop *loop = client_loop(t, NULL);
    EXPECT(t, "plx_connect()", 0, plx_connect(loop, &target, &client_handler, &k, NULL));
    turn_until(t, loop, 0, 1);
    plx_loop_close(loop);
    EXPECT(t, "calls of on_close", 1, shared->value[3]);
    EXPECT(t, "on_close: error", -ECANCELED, shared->value[2]);
}

/* Closing a loop ends what is still open on it. */
static void connect_cancelled(struct test *t)
{
    pid_t peer = peer_start(t, &target);
    in_child(t, connect_cancelled_child);
    end_child(t, peer);
}

/* ---- SIGPIPE ---- */

static int talk(struct plx_conn *c)
{
    static const unsigned char piece[8 << 20]; /* more than the kernel takes */
    return plx_send(c, piece, sizeof(piece)) < 0 ? -EIO : 0;
}

static void ignore_eof(struct plx_conn *c)
{
    (void)c; /* the peer said all it had to say; we have not */
}

static const struct plx_handler talker = {
    .name = "talker", .on_open = talk, .on_eof = ignore_eof, .on_close = client_close};

static void no_sigpipe_child(struct test *t)
{
    struct plx_loop *loop = client_loop(t, NULL);
    for (int i = 1; i <= 5; i++) {
        EXPECT(t, "plx_connect()", 0, plx_connect(loop, &target, &talker, NULL, NULL));
        turn_until(t, loop, 3, i);
        REQUIRE(t, shared->value[2] == -EPIPE || shared->value[2] == -ECONNRESET,
                "on_close: expected EPIPE or ECONNRESET, got %s",
                plx_error_name((int)shared->value[2]));
    }
    plx_loop_close(loop);
}

/* A peer that half-closes, does not read, and then resets: the reset finds the connection in
 * CLOSE_WAIT, where Linux makes EPIPE of it, and a signal unless MSG_NOSIGNAL asks for none. A
 * server's threads have every signal blocked; the program's own thread, here, has not. */
static void connect_no_sigpipe(struct test *t)
{
    int listener = listen_on_loopback(t, &target, 8);
    pid_t peer = fork_child(t);
    while (peer == 0) {
        int fd = accept(listener, NULL, NULL);
        shutdown(fd, SHUT_WR);
        nap(MS(30));
        reset(fd);
    }
    close(listener);
    in_child(t, no_sigpipe_child);
    end_child(t, peer);
}

static void connect_refused_child(struct test *t)
{
    struct client k = {.size = 100};
    struct plx_pool_config config = {.to = target};
    struct plx_pool *pool;
    struct plx_loop *loop = client_loop(t, NULL);
    EXPECT(t, "plx_connect()", -EOPNOTSUPP, plx_connect(loop, &target, &client_handler, &k, NULL));
    EXPECT(t, "plx_connect_from()", -EOPNOTSUPP, connect_from(loop, &target));
    EXPECT(t, "plx_pool_open()", -EOPNOTSUPP, plx_pool_open(loop, &config, &pool));
    EXPECT(t, "callbacks", 0, shared->value[0] + shared->value[3]);
    plx_loop_close(loop);
}

static void connect_refused(struct test *t)
{
    int listener = listen_on_loopback(t, &target, 1);
    in_child(t, connect_refused_child);
    close(listener);
}

/* ---- the pool ---- */

struct user {
    struct test *t;
    struct plx_pool *pool;
    struct plx_conn *conn;
    const char *say; /* sent when lent; NULL = keep it */
    size_t got;
    int lent, failed, lost, done, err;
    bool reusable;
};

static void on_lent(struct plx_conn *c, int err, void *arg)
{
    struct user *u = arg;
    u->conn = c;
    u->err = err;
    u->lent += c != NULL;
    u->failed += c == NULL;
    u->got = 0;
    if (c && u->say) {
        REQUIRE(u->t, plx_send(c, u->say, strlen(u->say)) >= 0, "plx_send() on a lent connection");
    }
    atomic_fetch_add(&shared->value[3], c == NULL);
}

static ssize_t on_answer(struct plx_conn *c, const void *p, size_t n, void *arg)
{
    struct user *u = arg;
    REQUIRE(u->t, c == u->conn, "answer: expected it on the connection lent");
    if (!u->say) {
        return (ssize_t)n;
    }
    size_t left = strlen(u->say) - u->got;
    REQUIRE(u->t, n <= left && memcmp(p, u->say + u->got, n) == 0,
            "answer: expected \"%s\", got \"%.*s\"", u->say + u->got, (int)n, (const char *)p);
    u->got += n;
    if (n == left) {
        u->conn = NULL;
        u->done++;
        plx_pool_put(u->pool, c, u->reusable);
        atomic_fetch_add(&shared->value[3], 1);
    }
    return (ssize_t)n;
}

static void on_lost(struct plx_conn *c, int err, void *arg)
{
    struct user *u = arg;
    (void)c;
    u->conn = NULL;
    u->err = err;
    u->lost++;
    atomic_fetch_add(&shared->value[3], 1);
}

static const struct plx_pool_user pool_user = {on_lent, on_answer, on_lost};

static void get_all(struct test *t, struct plx_loop *loop, struct user *u, int n)
{
    atomic_store(&shared->value[3], 0);
    for (int i = 0; i < n; i++) {
        EXPECT(t, "plx_pool_get()", 0, plx_pool_get(u[i].pool, &pool_user, &u[i]));
    }
    turn_until(t, loop, 3, n);
}

static void turn_until_lent(struct test *t, struct plx_loop *loop, const struct user *u)
{
    for (int64_t end = now() + PATIENCE; !u->conn;) {
        REQUIRE(t, now() < end && plx_loop_turn(loop, MS(100)) >= 0, "expected a connection");
    }
}

static void pool_reuse(struct test *t, struct plx_loop *loop)
{
    enum { N = 6 };
    static const char *const words[N] = {"alpha", "beta", "gamma", "delta", "eps", "zeta"};
    struct plx_pool_config config = {.to = target, .max = 2};
    struct plx_pool_stats stats;
    struct plx_pool *pool;
    struct user u[N];
    EXPECT(t, "plx_pool_open()", 0, plx_pool_open(loop, &config, &pool));
    for (int i = 0; i < N; i++) {
        u[i] = (struct user){.t = t, .pool = pool, .say = words[i], .reusable = true};
    }
    for (int round = 1; round <= 5; round++) {
        get_all(t, loop, u, N);
        for (int i = 0; i < N; i++) {
            EXPECT(t, "requests answered", round, u[i].done);
        }
    }
    EXPECT(t, "connections of a pool of 2, for 30 requests", 2, shared->value[5]);
    plx_pool_stats(pool, &stats);
    EXPECT(t, "stats: opened", 2, stats.opened);
    EXPECT(t, "stats: reused", 28, stats.reused);
    EXPECT(t, "stats: idle", 2, stats.idle);
    /* One that is given back as broken is not lent again. */
    u[0].reusable = false;
    get_all(t, loop, u, 1);
    u[0].reusable = true;
    get_all(t, loop, u, 2);
    EXPECT(t, "connections after one was given back as broken", 3, shared->value[5]);
    plx_pool_close(pool);
}

/* The peer ends a connection that is idle in the pool: the next borrower gets another. */
static void pool_drops_dead(struct test *t, struct plx_loop *loop)
{
    struct plx_pool_config config = {.to = target, .max = 1};
    struct plx_pool *pool;
    EXPECT(t, "plx_pool_open()", 0, plx_pool_open(loop, &config, &pool));
    struct user u = {.t = t, .pool = pool, .say = "Q", .reusable = true};
    atomic_store(&shared->value[5], 0);
    for (int i = 1; i <= 5; i++) {
        get_all(t, loop, &u, 1);
        EXPECT(t, "requests answered", i, u.done);
        nap(MS(10)); /* the peer's end arrives; the loop may or may not have seen it */
    }
    EXPECT(t, "lent connections lost", 0, u.lost);
    EXPECT(t, "connections for 5 requests, each ended by the peer", 5, shared->value[5]);
    /* Ended while lent: the borrower is told. */
    u.say = NULL;
    EXPECT(t, "plx_pool_get()", 0, plx_pool_get(pool, &pool_user, &u));
    turn_until_lent(t, loop, &u);
    atomic_store(&shared->value[3], 0);
    EXPECT(t, "plx_send()", 0, plx_send(u.conn, "Q", 1));
    turn_until(t, loop, 3, 1);
    EXPECT(t, "calls of on_lost", 1, u.lost);
    plx_pool_close(pool);
}

static void pool_waits(struct test *t, struct plx_loop *loop)
{
    struct plx_pool_config config = {.to = target, .max = 1, .max_wait = 1};
    struct plx_pool_stats stats;
    struct plx_pool *pool;
    EXPECT(t, "plx_pool_open()", 0, plx_pool_open(loop, &config, &pool));
    struct user keeps = {.t = t, .pool = pool};
    struct user waits = {.t = t, .pool = pool};
    EXPECT(t, "plx_pool_get()", 0, plx_pool_get(pool, &pool_user, &keeps));
    EXPECT(t, "plx_pool_get()", 0, plx_pool_get(pool, &pool_user, &waits));
    EXPECT(t, "plx_pool_get() beyond max_wait", -EAGAIN,
           plx_pool_get(pool, &pool_user, &(struct user){.t = t}));
    turn_until_lent(t, loop, &keeps);
    EXPECT(t, "lent to the second", 0, waits.lent);
    plx_pool_stats(pool, &stats);
    EXPECT(t, "stats: waiting", 1, stats.waiting);
    EXPECT(t, "stats: lent", 1, stats.lent);
    plx_pool_close(pool);
    EXPECT(t, "on_lent of who waits as the pool closes: error", -ECANCELED, waits.err);
    plx_pool_put(pool, keeps.conn, true);
}

static void pool_child(struct test *t)
{
    struct plx_loop *loop = client_loop(t, NULL);
    pool_reuse(t, loop);
    pool_drops_dead(t, loop);
    pool_waits(t, loop);
    plx_loop_close(loop);
}

static void pool(struct test *t)
{
    pid_t peer = peer_start(t, &target);
    in_child(t, pool_child);
    end_child(t, peer);
}

static void pool_fails_child(struct test *t)
{
    struct plx_pool_config config = {.to = target};
    struct plx_pool *p;
    struct plx_loop *loop = client_loop(t, NULL);
    EXPECT(t, "plx_pool_open()", 0, plx_pool_open(loop, &config, &p));
    struct user u = {.t = t, .pool = p};
    get_all(t, loop, &u, 1);
    EXPECT(t, "on_lent without a connection", 1, u.failed);
    EXPECT(t, "on_lent: error", -ECONNREFUSED, u.err);
    plx_pool_close(p);
    plx_loop_close(loop);
}

static void pool_fails(struct test *t)
{
    close(listen_on_loopback(t, &target, 1));
    in_child(t, pool_fails_child);
}

const struct case_row cases_client[] = {
    {.name = "connect", .run = connect_works, .needs = PLX_CAP_CONNECT, .refuses = connect_refused},
    {.name = "connect_from", .run = connect_from_works, .needs = PLX_CAP_CONNECT},
    {.name = "connect_fails", .run = connect_fails, .needs = PLX_CAP_CONNECT},
    {.name = "connect_late", .run = connect_late, .needs = PLX_CAP_CONNECT},
    {.name = "connect_cancelled",
     .run = connect_cancelled,
     .needs = PLX_CAP_CONNECT | PLX_CAP_CONCURRENT}, /* else a turn is all of the connection */
    {.name = "connect_no_sigpipe", .run = connect_no_sigpipe, .needs = PLX_CAP_CONNECT},
    {.name = "pool", .run = pool, .needs = PLX_CAP_CONNECT | PLX_CAP_POST},
    {.name = "pool_fails", .run = pool_fails, .needs = PLX_CAP_CONNECT | PLX_CAP_POST},
    {0},
};
