/* SPDX-License-Identifier: MIT */
/* The limits that the workers of a server share: connections in all and per peer address, against
 * a plain array of counts. */
#include "core_util.h"

#include <arpa/inet.h>
#include <stdio.h>

static void make_group(struct plx__group *g, int64_t most, int64_t per_ip)
{
    assert_int_equal(plx__group_init(g), 0);
    assert_true(g->max_connections == PLX_OFF); /* no limit unless one is set */
    assert_true(g->max_per_ip == PLX_OFF);
    g->max_connections = most;
    g->max_per_ip = per_ip;
}

static struct plx__peer v4(uint32_t ip, uint16_t port)
{
    struct sockaddr_in in = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(ip), .sin_port = htons(port)};
    struct plx__peer p;
    plx__peer_set(&p, (const struct sockaddr *)&in, sizeof(in));
    return p;
}

static struct plx__peer v6(const char *ip, uint16_t port)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    struct plx__peer p;
    assert_int_equal(inet_pton(AF_INET6, ip, &in6.sin6_addr), 1);
    plx__peer_set(&p, (const struct sockaddr *)&in6, sizeof(in6));
    return p;
}

static struct plx__peer on_unix(void)
{
    struct sockaddr sa = {.sa_family = AF_UNIX};
    struct plx__peer p;
    plx__peer_set(&p, &sa, sizeof(sa.sa_family)); /* as accept4(2) gives an unnamed one */
    return p;
}

static int64_t open_now(struct plx__group *g)
{
    return atomic_load(&g->open);
}

static void test_no_limits(void **state)
{
    (void)state;
    struct plx__group g;
    make_group(&g, PLX_OFF, PLX_OFF);
    struct plx__peer p = v4(0x7f000001, 1);
    for (int i = 0; i < 10000; i++)
        assert_int_equal(plx__group_enter(&g, &p), 0);
    assert_int_equal(open_now(&g), 10000);
    for (int i = 0; i < 10000; i++)
        plx__group_leave(&g, &p);
    assert_int_equal(open_now(&g), 0);
    plx__group_fini(&g);
}

/* At the limit one is refused, and refusing costs no place; one that leaves makes room. */
static void test_total(void **state)
{
    (void)state;
    struct plx__group g;
    make_group(&g, 3, PLX_OFF);
    struct plx__peer a = v4(0x7f000001, 1), b = v6("::1", 2), c = on_unix();
    assert_int_equal(plx__group_enter(&g, &a), 0);
    assert_int_equal(plx__group_enter(&g, &b), 0);
    assert_int_equal(plx__group_enter(&g, &c), 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(plx__group_enter(&g, &a), -EUSERS);
    assert_int_equal(open_now(&g), 3);
    plx__group_leave(&g, &c);
    assert_int_equal(plx__group_enter(&g, &a), 0);
    assert_int_equal(plx__group_enter(&g, &a), -EUSERS);
    plx__group_fini(&g);
}

/* An address is counted whatever its port; another one is another, a family too. */
static void test_per_address(void **state)
{
    (void)state;
    struct plx__group g;
    make_group(&g, PLX_OFF, 2);
    struct plx__peer peers[] = {
        v4(0x7f000001, 1), v4(0x7f000002, 1),        v4(0, 1), v6("::1", 1), v6("::", 1),
        v6("7f00:1::", 1), v6("::ffff:127.0.0.1", 1)};
    size_t n = sizeof(peers) / sizeof(peers[0]);
    for (uint16_t port = 1; port <= 2; port++) {
        for (size_t i = 0; i < n; i++) {
            peers[i].port = port;
            assert_int_equal(plx__group_enter(&g, &peers[i]), 0);
        }
    }
    for (size_t i = 0; i < n; i++) {
        peers[i].port = 3;
        assert_int_equal(plx__group_enter(&g, &peers[i]), -EUSERS);
    }
    assert_int_equal(open_now(&g), 2 * n); /* who is refused holds no place */
    plx__group_leave(&g, &peers[3]);
    assert_int_equal(plx__group_enter(&g, &peers[4]), -EUSERS);
    assert_int_equal(plx__group_enter(&g, &peers[3]), 0);
    assert_int_equal(plx__group_enter(&g, &peers[3]), -EUSERS);
    plx__group_fini(&g);
}

/* A unix peer has no address to count; it still counts in all. */
static void test_unix_is_not_per_address(void **state)
{
    (void)state;
    struct plx__group g;
    make_group(&g, 100, 1);
    struct plx__peer p = on_unix();
    for (int i = 0; i < 100; i++)
        assert_int_equal(plx__group_enter(&g, &p), 0);
    assert_int_equal(plx__group_enter(&g, &p), -EUSERS);
    for (int i = 0; i < 100; i++)
        plx__group_leave(&g, &p);
    assert_int_equal(open_now(&g), 0);
    assert_int_equal(g.nips, 0);
    plx__group_fini(&g);
}

/* Many addresses make the table grow; all of them are still known, and are forgotten again. */
static void test_growth_and_removal(void **state)
{
    (void)state;
    enum { MANY = 20000 };
    struct plx__group g;
    make_group(&g, PLX_OFF, 1);
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < MANY; i++) {
            struct plx__peer p = v4(0x0a000000 + i, 1);
            assert_int_equal(plx__group_enter(&g, &p), 0);
        }
        assert_int_equal(g.nips, MANY);
        for (uint32_t i = 0; i < MANY; i++) {
            struct plx__peer p = v4(0x0a000000 + i, 2);
            assert_int_equal(plx__group_enter(&g, &p), -EUSERS);
        }
        assert_int_equal(open_now(&g), MANY);
        for (uint32_t i = 0; i < MANY; i++) {
            /* From both ends, so that runs are opened in their middle as well. */
            struct plx__peer p = v4(0x0a000000 + (i % 2 ? i / 2 : MANY - 1 - i / 2), 3);
            plx__group_leave(&g, &p);
        }
        assert_int_equal(g.nips, 0);
        assert_int_equal(open_now(&g), 0);
    }
    plx__group_fini(&g);
}

#define ADDRESSES 300
#define PER_IP    5
#define TOTAL     700

static void make_peers(struct plx__peer *peers)
{
    char text[64];
    for (uint32_t i = 0; i < ADDRESSES; i++) {
        snprintf(text, sizeof(text), "fd00::%x:%x", i, i * 7919 % 0x10000);
        if (i % 10 == 9)
            peers[i] = on_unix();
        else
            peers[i] = i % 2 ? v4(0xc0a80000 + i * 256, 0) : v6(text, 0);
    }
}

static void test_random(void **state)
{
    (void)state;
    struct plx__group g;
    struct plx__peer peers[ADDRESSES];
    int count[ADDRESSES] = {0};
    int64_t total = 0, refused_total = 0, refused_ip = 0;
    struct dice d = {424242};
    make_group(&g, TOTAL, PER_IP);
    make_peers(peers);
    for (int round = 0; round < 300000; round++) {
        /* Tides: mostly in, then mostly out, so that the table fills and empties many times. */
        bool tide = round / 20000 % 2 == 0;
        bool in = below(&d, 10) < (tide ? 7 : 3);
        size_t i = below(&d, ADDRESSES);
        peers[i].port = (uint16_t)roll(&d);
        if (in) {
            bool full = total >= TOTAL;
            bool over = peers[i].family != AF_UNIX && count[i] >= PER_IP;
            assert_int_equal(plx__group_enter(&g, &peers[i]), full || over ? -EUSERS : 0);
            refused_total += full;
            refused_ip += over;
            count[i] += !full && !over;
            total += !full && !over;
        } else if (count[i] > 0) {
            plx__group_leave(&g, &peers[i]);
            count[i]--;
            total--;
        }
        assert_int_equal(open_now(&g), total);
    }
    assert_true(refused_total > 100); /* both limits were met, else nothing was tried */
    assert_true(refused_ip > 100);
    for (size_t i = 0; i < ADDRESSES; i++) {
        while (count[i]-- > 0)
            plx__group_leave(&g, &peers[i]);
    }
    assert_int_equal(open_now(&g), 0);
    assert_int_equal(g.nips, 0);
    plx__group_fini(&g);
}

/* ---- from several threads at once --------------------------------------------------------------
 */

#define THREADS 4

struct crowd {
    struct plx__group g;
    atomic_int inside, over; /* our own count, and how often it was over the limit */
};

static void *come_and_go(void *arg)
{
    struct crowd *c = arg;
    struct plx__peer p = v4(0x7f000001, 1);
    for (int i = 0; i < 20000; i++) {
        if (plx__group_enter(&c->g, &p) < 0)
            continue;
        if (atomic_fetch_add(&c->inside, 1) >= THREADS - 1)
            atomic_fetch_add(&c->over, 1);
        atomic_fetch_sub(&c->inside, 1);
        plx__group_leave(&c->g, &p);
    }
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    for (int by_ip = 0; by_ip < 2; by_ip++) {
        struct crowd c = {.inside = 0, .over = 0};
        pthread_t threads[THREADS];
        make_group(&c.g, by_ip ? PLX_OFF : THREADS - 1, by_ip ? THREADS - 1 : PLX_OFF);
        for (int i = 0; i < THREADS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, &c), 0);
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
        assert_int_equal(atomic_load(&c.over), 0);
        assert_int_equal(open_now(&c.g), 0);
        assert_int_equal(c.g.nips, 0);
        plx__group_fini(&c.g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_limits),
        cmocka_unit_test(test_total),
        cmocka_unit_test(test_per_address),
        cmocka_unit_test(test_unix_is_not_per_address),
        cmocka_unit_test(test_growth_and_removal),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
