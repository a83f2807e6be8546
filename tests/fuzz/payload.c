/* SPDX-License-Identifier: MIT */
/*
 * The verification of a load's answers, byte by byte. Input: 8 bytes that say which message it is
 * and how the answer is cut, 2 bytes for where a wrong byte goes, 2 for what is wrong with it; the
 * rest gives the message its size. The whole message, put together from its parts, is the second
 * opinion.
 */
#include "fuzz.h"

#include "cmd/load/payload.h"

#include <ctype.h>

#define MOST 4096

/* Checks an answer piece by piece; returns how many of its bytes are right. */
static size_t verify(const struct payload *p, uint64_t number, uint64_t seq, size_t size, int upper,
                     const uint8_t *got, struct dice *dice, unsigned char *want)
{
    size_t at = 0;
    while (at < size) {
        size_t n = 1 + below(dice, size - at);
        /* Just as large as the piece: one byte further is found out. */
        uint8_t *piece = fuzz_alloc(n);
        memcpy(piece, got + at, n);
        size_t right = payload_check(p, number, seq, size, upper, at, piece, n, want);
        free(piece);
        CHECK(right <= n);
        at += right;
        if (right < n)
            break;
    }
    return at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct payload *payload;
    if (payload == NULL)
        payload = payload_open(MOST, 1);
    CHECK(payload != NULL);

    struct input in = {data, size};
    struct dice dice = {(uint32_t)take_number(&in, 4) | 1};
    uint64_t number = take_number(&in, 2), seq = take_number(&in, 2);
    size_t place = take_number(&in, 2);
    uint8_t mistake = take_byte(&in);
    int upper = take_byte(&in) & 1;
    size_t n = 1 + (in.left * 7 + take_byte(&in)) % MOST;
    char head[PAYLOAD_HEAD];
    uint8_t *message = fuzz_alloc(n);
    struct iovec iov[2];
    size_t made = 0;
    unsigned char want = 0;

    int parts = payload_parts(payload, number, seq, n, head, iov);
    for (int i = 0; i < parts; i++) {
        CHECK(made + iov[i].iov_len <= n);
        memcpy(message + made, iov[i].iov_base, iov[i].iov_len);
        made += iov[i].iov_len;
    }
    CHECK(made == n);
    for (size_t i = 0; upper && i < n; i++)
        message[i] = (uint8_t)toupper(message[i]);

    place %= n;
    uint8_t right = message[place];
    message[place] ^= mistake;
    size_t good = verify(payload, number, seq, n, upper, message, &dice, &want);
    CHECK(good == (mistake != 0 ? place : n));
    CHECK(mistake == 0 || want == right);
    free(message);
    return 0;
}
