/* SPDX-License-Identifier: MIT */
/*
 * Nothing is allocated for a message, and nothing for a connection once others have come and gone.
 * The program's own malloc() and its kin stand in front of the C library's and count.
 */
#include <arpa/inet.h>
#include <pollux/pollux.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define COUNTS 1
#else
#define COUNTS 0 /* the allocator belongs to somebody else already */
#endif

static atomic_ulong allocations;
static _Thread_local bool watched; /* the thread of the server */

#if COUNTS
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);

static void count(void)
{
    if (watched)
        atomic_fetch_add(&allocations, 1);
}

void *malloc(size_t n)
{
    count();
    return __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
    count();
    return __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
    count();
    return __libc_realloc(p, n);
}
#endif

/* ---- a server on a thread of its own ---- */

static ssize_t echo(struct plx_conn *c, const void *p, size_t n)
{
    watched = true; /* on its thread; that this is late does not matter after the warm-up */
    int rc = plx_send(c, p, n);
    return rc < 0 ? rc : (ssize_t)n;
}

static const struct plx_handler handler = {.name = "echo", .on_data = echo};

static struct plx_server *start(const char *model, struct plx_addr *at)
{
    const char *listen[] = {"127.0.0.1:0"};
    struct plx_server_config config = {
        .loop = {.model = model}, .handler = &handler, .listen = listen, .nlisten = 1};
    struct plx_server *server;
    struct plx_why why;
    if (plx_server_open(&config, &server, &why) < 0) {
        print_message("skipped: %s: %s\n", model, why.reason);
        return NULL;
    }
    assert_int_equal(plx_server_start(server), 0);
    assert_int_equal(plx_server_address(server, 0, at), 0);
    return server;
}

static int dial(const struct plx_addr *to)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, &to->sa, to->len), 0);
    return fd;
}

static void exchange(int fd, size_t size)
{
    static char out[70000], in[70000];
    assert_int_equal(send(fd, out, size, MSG_NOSIGNAL), (ssize_t)size);
    for (size_t have = 0; have < size;) {
        ssize_t n = recv(fd, in, size - have, 0);
        assert_true(n > 0);
        have += (size_t)n;
    }
}

static void messages(const struct plx_addr *to, int n)
{
    static const size_t sizes[] = {1, 64, 1000, 16384, 65536};
    int fd[8];
    for (int i = 0; i < 8; i++)
        fd[i] = dial(to);
    for (int k = 0; k < n; k++)
        exchange(fd[k % 8], sizes[k % 5]);
    for (int i = 0; i < 8; i++)
        close(fd[i]);
}

static void come_and_go(const struct plx_addr *to, int n)
{
    for (int i = 0; i < n; i++) {
        int fd = dial(to);
        exchange(fd, 64);
        close(fd);
    }
}

/* ---- tests ---- */

static void steady(const char *model)
{
    struct plx_addr at;
    struct plx_server *server = start(model, &at);
    if (!server)
        return;
    int fd[8];
    for (int i = 0; i < 8; i++)
        fd[i] = dial(&at);
    for (int k = 0; k < 400; k++)
        exchange(fd[k % 8], k % 2 ? 64 : 65536);
    unsigned long before = atomic_load(&allocations);
    for (int k = 0; k < 4000; k++)
        exchange(fd[k % 8], k % 2 ? 64 : 65536);
    assert_int_equal(atomic_load(&allocations) - before, 0);
    for (int i = 0; i < 8; i++)
        close(fd[i]);
    plx_server_close(server);
}

static void churning(const char *model)
{
    struct plx_addr at;
    struct plx_server *server = start(model, &at);
    if (!server)
        return;
    messages(&at, 200);
    come_and_go(&at, 200);
    unsigned long before = atomic_load(&allocations);
    come_and_go(&at, 2000);
    assert_int_equal(atomic_load(&allocations) - before, 0);
    plx_server_close(server);
}

/* The models on whose loop the connections are. In the others threads and processes come and go
 * with them, and posix-aio allocates inside of the C library. */
static const char *const models[] = {"nonblocking", "select", "poll",    "epoll",
                                     "epoll-et",    "sigio",  "io_uring"};

static void test_messages(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++)
        steady(models[i]);
    for (size_t i = 0; i < 2; i++)
        steady(i ? "threads" : "threadpool");
}

static void test_connections(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++)
        churning(models[i]);
}

/* That something would be counted if it happened. */
static void test_counter(void **state)
{
    (void)state;
    unsigned long before = atomic_load(&allocations);
    watched = true;
    void *(*volatile allocate)(size_t) = malloc; /* of which the compiler knows nothing */
    void *p = allocate(100);
    watched = false;
    free(p);
    assert_int_equal(atomic_load(&allocations) - before, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counter),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_connections),
    };
    if (!COUNTS) {
        puts("skipped: under a sanitizer, or without glibc, allocations cannot be counted");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
