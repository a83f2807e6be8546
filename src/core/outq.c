/* SPDX-License-Identifier: MIT */
/*
 * Output chunks and the queue made of them.
 *
 * A chunk never moves and is only appended to, so an engine may leave the kernel pointing into the
 * front of a queue (io_uring, POSIX AIO) while the handler adds to its end. Two sizes, a page and
 * sixteen pages, are kept in a short free list of the loop: after a warm-up nothing is allocated.
 */
#include "core/core.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Free chunks kept per loop: enough for a burst, too few to matter (256 KiB and 1 MiB). */
#define KEEP_SMALL 64u
#define KEEP_LARGE 16u

struct plx__chunk *plx__chunk_get(struct plx__chunks *pool, size_t want)
{
    bool large = want > PLX__CHUNK_SMALL;
    struct plx__chunk **list = large ? &pool->large : &pool->small;
    struct plx__chunk *c = *list;
    if (c) {
        *list = c->next;
        *(large ? &pool->nlarge : &pool->nsmall) -= 1;
    } else {
        uint32_t cap = large ? PLX__CHUNK_LARGE : PLX__CHUNK_SMALL;
        c = plx__sys_malloc(sizeof(*c) + cap);
        if (!c)
            return NULL;
        c->cap = cap;
    }
    c->next = NULL;
    c->off = c->len = 0;
    return c;
}

void plx__chunk_put(struct plx__chunks *pool, struct plx__chunk *c)
{
    if (c->cap == PLX__CHUNK_LARGE && pool->nlarge < KEEP_LARGE) {
        c->next = pool->large;
        pool->large = c;
        pool->nlarge++;
    } else if (c->cap == PLX__CHUNK_SMALL && pool->nsmall < KEEP_SMALL) {
        c->next = pool->small;
        pool->small = c;
        pool->nsmall++;
    } else {
        free(c);
    }
}

static void free_list(struct plx__chunk *c)
{
    while (c) {
        struct plx__chunk *next = c->next;
        free(c);
        c = next;
    }
}

void plx__chunks_free(struct plx__chunks *pool)
{
    free_list(pool->small);
    free_list(pool->large);
    *pool = (struct plx__chunks){0};
}

int plx__outq_add(struct plx__outq *q, struct plx__chunks *pool, const void *p, size_t n)
{
    const unsigned char *from = p;
    while (n > 0) {
        struct plx__chunk *t = q->tail;
        if (!t || t->len == t->cap) {
            struct plx__chunk *fresh = plx__chunk_get(pool, n);
            if (!fresh)
                return -ENOMEM;
            if (t)
                t->next = fresh;
            else
                q->head = fresh;
            q->tail = t = fresh;
        }
        size_t take = t->cap - t->len;
        if (take > n)
            take = n;
        memcpy(t->data + t->len, from, take);
        t->len += (uint32_t)take;
        from += take;
        n -= take;
    }
    return 0;
}

int plx__outq_iov(const struct plx__outq *q, struct iovec *iov, int cap)
{
    int n = 0;
    for (struct plx__chunk *c = q->head; c && n < cap; c = c->next)
        iov[n++] = (struct iovec){.iov_base = c->data + c->off, .iov_len = c->len - c->off};
    return n;
}

/* Drops up to n bytes from the front; returns how many there were to drop. */
size_t plx__outq_drop(struct plx__outq *q, struct plx__chunks *pool, size_t n)
{
    size_t dropped = 0;
    while (q->head && dropped < n) {
        struct plx__chunk *c = q->head;
        size_t have = c->len - c->off;
        size_t take = n - dropped < have ? n - dropped : have;
        c->off += (uint32_t)take;
        dropped += take;
        if (take < have)
            break;
        q->head = c->next;
        if (!q->head)
            q->tail = NULL;
        plx__chunk_put(pool, c);
    }
    return dropped;
}

void plx__outq_free(struct plx__outq *q, struct plx__chunks *pool)
{
    while (q->head) {
        struct plx__chunk *c = q->head;
        q->head = c->next;
        plx__chunk_put(pool, c);
    }
    q->tail = NULL;
}
