/* SPDX-License-Identifier: MIT */
/* The output queue and its chunks: what goes in comes out, in order and once, however it is cut;
 * chunks do not move, and come back from the free list. */
#include "core_util.h"

#define PIECES 64

struct fixture {
    struct plx__outq q;
    struct plx__chunks pool;
};

static int setup(void **state)
{
    *state = calloc(1, sizeof(struct fixture));
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    plx__outq_free(&f->q, &f->pool);
    plx__chunks_free(&f->pool);
    free(f);
    return 0;
}

static unsigned char *pattern(size_t n)
{
    unsigned char *p = malloc(n + 1);
    assert_non_null(p);
    struct dice d = {12345};
    for (size_t i = 0; i < n; i++)
        p[i] = (unsigned char)roll(&d);
    return p;
}

/* The queue holds exactly want[0..n): no piece is empty, none is missing. */
static void expect(const struct plx__outq *q, const unsigned char *want, size_t n)
{
    struct iovec iov[PIECES];
    int pieces = plx__outq_iov(q, iov, PIECES);
    size_t at = 0;
    assert_true(pieces < PIECES); /* else there may be more than we look at */
    for (int i = 0; i < pieces; i++) {
        assert_true(iov[i].iov_len > 0);
        assert_true(at + iov[i].iov_len <= n);
        assert_memory_equal(iov[i].iov_base, want + at, iov[i].iov_len);
        at += iov[i].iov_len;
    }
    assert_int_equal(at, n);
}

static unsigned chunks_in(const struct plx__outq *q)
{
    unsigned n = 0;
    for (const struct plx__chunk *c = q->head; c; c = c->next)
        n++;
    return n;
}

static void test_empty(void **state)
{
    struct fixture *f = *state;
    struct iovec iov[2];
    assert_int_equal(plx__outq_iov(&f->q, iov, 2), 0);
    assert_int_equal(plx__outq_drop(&f->q, &f->pool, 10), 0);
    assert_int_equal(plx__outq_add(&f->q, &f->pool, "", 0), 0);
    assert_int_equal(plx__outq_iov(&f->q, iov, 2), 0);
}

static void test_small_adds_share_a_chunk(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 100; i++)
        assert_int_equal(plx__outq_add(&f->q, &f->pool, &"0123456789"[i % 10], 1), 0);
    assert_int_equal(chunks_in(&f->q), 1);
    assert_int_equal(f->q.head->cap, PLX__CHUNK_SMALL);
    expect(&f->q,
           (const unsigned char *)"01234567890123456789012345678901234567890123456789"
                                  "01234567890123456789012345678901234567890123456789",
           100);
}

/* Just below, at and above what a chunk of each size holds. */
static void test_boundaries(void **state)
{
    struct fixture *f = *state;
    const struct {
        size_t n;
        unsigned chunks, first;
    } cases[] = {
        {PLX__CHUNK_SMALL - 1, 1, PLX__CHUNK_SMALL}, {PLX__CHUNK_SMALL, 1, PLX__CHUNK_SMALL},
        {PLX__CHUNK_SMALL + 1, 1, PLX__CHUNK_LARGE}, {PLX__CHUNK_LARGE - 1, 1, PLX__CHUNK_LARGE},
        {PLX__CHUNK_LARGE, 1, PLX__CHUNK_LARGE},     {PLX__CHUNK_LARGE + 1, 2, PLX__CHUNK_LARGE},
        {3 * PLX__CHUNK_LARGE, 3, PLX__CHUNK_LARGE},
    };
    unsigned char *p = pattern(3 * PLX__CHUNK_LARGE);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(plx__outq_add(&f->q, &f->pool, p, cases[i].n), 0);
        assert_int_equal(chunks_in(&f->q), cases[i].chunks);
        assert_int_equal(f->q.head->cap, cases[i].first);
        expect(&f->q, p, cases[i].n);
        /* Asked for more than there is: all of it goes, and no more is claimed. */
        assert_int_equal(plx__outq_drop(&f->q, &f->pool, cases[i].n + 1), cases[i].n);
        expect(&f->q, p, 0);
    }
    free(p);
}

static void test_drops_across_chunks(void **state)
{
    struct fixture *f = *state;
    size_t n = 2 * PLX__CHUNK_LARGE + 5000;
    unsigned char *p = pattern(n);
    assert_int_equal(plx__outq_add(&f->q, &f->pool, p, n), 0);
    const size_t cuts[] = {1, PLX__CHUNK_LARGE - 2, 1, 1, PLX__CHUNK_LARGE + 17, 0};
    size_t at = 0;
    for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
        assert_int_equal(plx__outq_drop(&f->q, &f->pool, cuts[i]), cuts[i]);
        at += cuts[i];
        expect(&f->q, p + at, n - at);
    }
    free(p);
}

/* Fewer pieces than there are chunks: the front, in order. */
static void test_iov_is_bounded(void **state)
{
    struct fixture *f = *state;
    size_t n = 3 * PLX__CHUNK_LARGE;
    unsigned char *p = pattern(n);
    assert_int_equal(plx__outq_add(&f->q, &f->pool, p, n), 0);
    struct iovec iov[3] = {{NULL, 0}, {NULL, 0}, {NULL, 77}};
    assert_int_equal(plx__outq_iov(&f->q, iov, 2), 2);
    assert_memory_equal(iov[0].iov_base, p, iov[0].iov_len);
    assert_memory_equal(iov[1].iov_base, p + iov[0].iov_len, iov[1].iov_len);
    assert_int_equal(iov[2].iov_len, 77);
    assert_int_equal(plx__outq_iov(&f->q, iov, 0), 0);
    free(p);
}

/* The kernel may hold the front while the handler adds to the end. */
static void test_chunks_do_not_move(void **state)
{
    struct fixture *f = *state;
    unsigned char *p = pattern(200000);
    struct iovec before[PIECES], after[PIECES];
    assert_int_equal(plx__outq_add(&f->q, &f->pool, p, 70000), 0);
    int n = plx__outq_iov(&f->q, before, PIECES);
    assert_int_equal(plx__outq_add(&f->q, &f->pool, p + 70000, 130000), 0);
    assert_true(plx__outq_iov(&f->q, after, PIECES) >= n);
    for (int i = 0; i < n; i++)
        assert_ptr_equal(after[i].iov_base, before[i].iov_base);
    expect(&f->q, p, 200000);
    free(p);
}

/* A chunk that was emptied is the one that is used next, and starts anew. */
static void test_reuse(void **state)
{
    struct fixture *f = *state;
    unsigned char *p = pattern(60000);
    const size_t sizes[] = {100, 60000};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(plx__outq_add(&f->q, &f->pool, p, sizes[i]), 0);
        const struct plx__chunk *used = f->q.head;
        assert_int_equal(plx__outq_drop(&f->q, &f->pool, sizes[i]), sizes[i]);
        assert_null(f->q.head);
        assert_int_equal(plx__outq_add(&f->q, &f->pool, p + 1, sizes[i] - 1), 0);
        assert_ptr_equal(f->q.head, used);
        expect(&f->q, p + 1, sizes[i] - 1);
        plx__outq_free(&f->q, &f->pool);
    }
    assert_int_equal(f->pool.nsmall, 1);
    assert_int_equal(f->pool.nlarge, 1);
    plx__chunks_free(&f->pool);
    assert_null(f->pool.small);
    assert_null(f->pool.large);
    free(p);
}

/* A burst does not stay in memory for ever: 256 KiB of small chunks, 1 MiB of large ones. */
static void test_free_list_is_bounded(void **state)
{
    struct fixture *f = *state;
    const size_t wants[] = {PLX__CHUNK_SMALL, PLX__CHUNK_LARGE};
    struct plx__chunk *taken[200];
    for (size_t k = 0; k < 2; k++) {
        for (size_t i = 0; i < 200; i++) {
            taken[i] = plx__chunk_get(&f->pool, wants[k]);
            assert_non_null(taken[i]);
            assert_int_equal(taken[i]->cap, wants[k]);
        }
        for (size_t i = 0; i < 200; i++)
            plx__chunk_put(&f->pool, taken[i]);
    }
    assert_in_range(f->pool.nsmall, 1, 256 / 4);
    assert_in_range(f->pool.nlarge, 1, 1024 / 64);
    unsigned small = 0, large = 0;
    for (const struct plx__chunk *c = f->pool.small; c; c = c->next)
        small++;
    for (const struct plx__chunk *c = f->pool.large; c; c = c->next)
        large++;
    assert_int_equal(small, f->pool.nsmall);
    assert_int_equal(large, f->pool.nlarge);
}

/* Two queues of one loop share its chunks and nothing else. */
static void test_two_queues(void **state)
{
    struct fixture *f = *state;
    struct plx__outq other = {0};
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(plx__outq_add(&f->q, &f->pool, "one", 3), 0);
        assert_int_equal(plx__outq_add(&other, &f->pool, "2", 1), 0);
        if (i % 3 == 2) {
            expect(&f->q, (const unsigned char *)"oneoneone", 9);
            expect(&other, (const unsigned char *)"222", 3);
            assert_int_equal(plx__outq_drop(&f->q, &f->pool, 9), 9);
            assert_int_equal(plx__outq_drop(&other, &f->pool, 3), 3);
        }
    }
    plx__outq_free(&other, &f->pool);
}

/* Against a flat buffer: any order of additions and drops gives the same bytes. */
static void test_random(void **state)
{
    struct fixture *f = *state;
    enum { ROUNDS = 4000, MOST = 400000 };
    unsigned char *source = pattern(MOST);
    unsigned char *model = malloc(2 * MOST);
    assert_non_null(model);
    size_t from = 0, to = 0;
    struct dice d = {20240607};
    for (int i = 0; i < ROUNDS; i++) {
        if (roll(&d) % 2 && to - from < MOST / 2) {
            size_t most = roll(&d) % 8 ? 3000 : 150000; /* mostly small, sometimes large */
            size_t n = below(&d, most), at = below(&d, MOST - n);
            if (to + n > 2 * MOST) {
                memmove(model, model + from, to - from);
                to -= from;
                from = 0;
            }
            memcpy(model + to, source + at, n);
            to += n;
            assert_int_equal(plx__outq_add(&f->q, &f->pool, source + at, n), 0);
        } else {
            size_t n = below(&d, roll(&d) % 8 ? 3000 : 200000);
            size_t have = to - from, take = n < have ? n : have;
            assert_int_equal(plx__outq_drop(&f->q, &f->pool, n), take);
            from += take;
        }
        expect(&f->q, model + from, to - from);
    }
    free(model);
    free(source);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_empty),          TEST(test_small_adds_share_a_chunk),
        TEST(test_boundaries),     TEST(test_drops_across_chunks),
        TEST(test_iov_is_bounded), TEST(test_chunks_do_not_move),
        TEST(test_reuse),          TEST(test_free_list_is_bounded),
        TEST(test_two_queues),     TEST(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
