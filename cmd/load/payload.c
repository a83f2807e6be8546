/* SPDX-License-Identifier: MIT */
/* See payload.h. */
#include "cmd/load/payload.h"

#include "cmd/random.h"

#include <ctype.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>

/* Places where a pattern may begin. Two connections' patterns begin in the same place once in so
 * many times; their heads differ even then. */
#define PLACES 65536u

struct payload {
    char *text, *upper; /* PLACES + the largest message, each */
};

struct payload *payload_open(size_t most, uint64_t seed)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    struct payload *p = calloc(1, sizeof(*p));
    size_t n = PLACES + most;
    if (!p)
        return NULL;
    p->text = malloc(n);
    p->upper = malloc(n);
    if (!p->text || !p->upper) {
        payload_close(p);
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        p->text[i] = letters[random_next(&seed) >> 58];
        p->upper[i] = (char)toupper((unsigned char)p->text[i]);
    }
    return p;
}

void payload_close(struct payload *p)
{
    if (!p)
        return;
    free(p->text);
    free(p->upper);
    free(p);
}

static size_t place(uint64_t number, uint64_t seq)
{
    uint64_t state = number * 0x9e3779b97f4a7c15u ^ seq;
    return (size_t)(random_next(&state) % PLACES);
}

/* The digits of a number of 32 bits, all at once: a nibble to a byte each, then 0 to 9 and A to F.
 * Upper case, so that a server that answers in upper case leaves them as they are. */
static void put_hex(char *to, uint32_t value)
{
    uint64_t x = value;
    x = (x << 16 | x) & 0x0000ffff0000ffffu;
    x = (x << 8 | x) & 0x00ff00ff00ff00ffu;
    x = (x << 4 | x) & 0x0f0f0f0f0f0f0f0fu;
    uint64_t letters = (x + 0x0606060606060606u) >> 4 & 0x0101010101010101u;
    x += 0x3030303030303030u + letters * ('A' - '9' - 1);
    x = htobe64(x);
    memcpy(to, &x, sizeof(x));
}

static void make_head(char *head, uint64_t number, uint64_t seq)
{
    char high[8];
    put_hex(head, (uint32_t)number);
    put_hex(high, (uint32_t)(seq >> 32));
    memcpy(head + 9, high + 2, 6);
    put_hex(head + 15, (uint32_t)seq);
    head[8] = '-';
    head[23] = ' ';
}

int payload_parts(const struct payload *p, uint64_t number, uint64_t seq, size_t size, char *head,
                  struct iovec iov[2])
{
    int n = 0;
    char *body = p->text + place(number, seq);
    if (size >= PAYLOAD_HEAD) {
        make_head(head, number, seq);
        iov[n++] = (struct iovec){.iov_base = head, .iov_len = PAYLOAD_HEAD};
        size -= PAYLOAD_HEAD;
    }
    if (size > 0)
        iov[n++] = (struct iovec){.iov_base = body, .iov_len = size};
    return n;
}

/* How many of the first `n` bytes are the same. */
static size_t same(const unsigned char *a, const void *b, size_t n)
{
    const unsigned char *want = b;
    if (memcmp(a, want, n) == 0)
        return n;
    size_t i = 0;
    while (a[i] == want[i])
        i++;
    return i;
}

size_t payload_check(const struct payload *p, uint64_t number, uint64_t seq, size_t size, int upper,
                     size_t at, const unsigned char *got, size_t n, unsigned char *want)
{
    size_t right = 0, from_body = at;
    if (size >= PAYLOAD_HEAD) {
        if (at < PAYLOAD_HEAD) {
            char head[PAYLOAD_HEAD];
            size_t part = PAYLOAD_HEAD - at < n ? PAYLOAD_HEAD - at : n;
            make_head(head, number, seq);
            right = same(got, head + at, part);
            if (right < part) {
                *want = (unsigned char)head[at + right];
                return right;
            }
        }
        from_body = at + right - PAYLOAD_HEAD;
    }
    if (right == n)
        return n;
    const char *body = (upper ? p->upper : p->text) + place(number, seq) + from_body;
    size_t more = same(got + right, body, n - right);
    if (more < n - right)
        *want = (unsigned char)body[more];
    return right + more;
}
