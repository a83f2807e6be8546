/* SPDX-License-Identifier: MIT */
/*
 * Numbers with a unit. Parsing is exact integer arithmetic: a double would read 0.1s as a time that
 * does not print as 0.1s again, and would silently round large sizes.
 */
#include "cmd/unit.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct scale {
    const char *name;
    int64_t factor;
};

/* Largest first: unit_format() takes the first that divides the value. */
static const struct scale count_scales[] = {
    {"G", 1000000000}, {"M", 1000000}, {"k", 1000}, {"", 1}, {NULL, 0}};
static const struct scale size_scales[] = {
    {"G", 1LL << 30}, {"M", 1LL << 20}, {"k", 1LL << 10}, {"", 1}, {NULL, 0}};
static const struct scale time_scales[] = {
    {"h", 3600000000000}, {"m", 60000000000}, {"s", 1000000000}, {"ms", 1000000},
    {"us", 1000},         {"ns", 1},          {NULL, 0}};

static const struct scale *scales(enum unit unit)
{
    switch (unit) {
    case UNIT_COUNT: return count_scales;
    case UNIT_SIZE: return size_scales;
    case UNIT_TIME: break;
    }
    return time_scales;
}

static int64_t factor_of(enum unit unit, const char *suffix)
{
    char letter[2] = {suffix[0], '\0'};

    if (unit == UNIT_SIZE && suffix[0] != '\0') {
        /* 64k, 64kB and 64KiB are the same, and a bare B is a byte. */
        if (strcmp(suffix, "B") == 0)
            return 1;
        if (suffix[1] == '\0' || strcmp(suffix + 1, "B") == 0 || strcmp(suffix + 1, "iB") == 0)
            suffix = letter;
    }
    for (const struct scale *s = scales(unit); s->name != NULL; s++) {
        /* Times are case-sensitive: 10M is more likely a wrong option than ten minutes. */
        if (unit == UNIT_TIME ? strcmp(s->name, suffix) == 0 : strcasecmp(s->name, suffix) == 0)
            return s->factor;
    }
    return 0;
}

/* Reads digits; returns how many, or -ERANGE when they do not fit. */
static int read_digits(const char *p, int64_t *out)
{
    int n = 0;

    *out = 0;
    for (; isdigit((unsigned char)p[n]); n++) {
        if (__builtin_mul_overflow(*out, 10, out) || __builtin_add_overflow(*out, p[n] - '0', out))
            return -ERANGE;
    }
    return n;
}

/* The same behind the point: what is read is `part` of `divisor`. Zeros at the end change nothing,
 * however many there are. */
static int read_decimals(const char *p, int64_t *part, int64_t *divisor)
{
    int n = 0;
    int used;

    while (isdigit((unsigned char)p[n]))
        n++;
    used = n;
    while (used > 0 && p[used - 1] == '0')
        used--;
    *part = 0;
    *divisor = 1;
    for (int i = 0; i < used; i++) {
        if (__builtin_mul_overflow(*divisor, 10, divisor))
            return -ERANGE;
        *part = *part * 10 + (p[i] - '0'); /* below the divisor */
    }
    return n;
}

static int64_t common_divisor(int64_t a, int64_t b)
{
    while (b != 0) {
        int64_t rest = a % b;

        a = b;
        b = rest;
    }
    return a > 0 ? a : 1;
}

int unit_parse(enum unit unit, const char *text, int64_t *out)
{
    int64_t whole = 0;
    int64_t part = 0;
    int64_t divisor = 1;
    int64_t factor;
    int64_t common;
    int n = read_digits(text, &whole);

    if (n <= 0)
        return n < 0 ? n : -EINVAL;
    text += n;
    if (*text == '.') {
        n = read_decimals(text + 1, &part, &divisor);
        if (n <= 0)
            return n < 0 ? n : -EINVAL;
        text += 1 + n;
    }
    /* Zero is zero in any unit, and the range of the option says better what is wrong with it. */
    factor =
        *text == '\0' && unit == UNIT_TIME && whole == 0 && part == 0 ? 1 : factor_of(unit, text);
    if (factor == 0)
        return -EINVAL;
    /* In lowest terms, so that the product stays below the factor. */
    common = common_divisor(factor, divisor);
    divisor = divisor > common ? divisor / common : 1;
    if (__builtin_mul_overflow(whole, factor, &whole) || part % divisor != 0 ||
        __builtin_add_overflow(whole, part / divisor * (factor / common), &whole))
        return -ERANGE;
    *out = whole;
    return 0;
}

char *unit_format(enum unit unit, int64_t value, char *buf, size_t cap)
{
    const struct scale *s = scales(unit);

    if (value == 0) {
        snprintf(buf, cap, "0");
        return buf;
    }
    while (value % s->factor != 0)
        s++; /* the last row divides everything */
    snprintf(buf, cap, "%" PRId64 "%s", value / s->factor, s->name);
    return buf;
}

const char *unit_describe(enum unit unit)
{
    switch (unit) {
    case UNIT_COUNT: return "a number such as 100 or 10k";
    case UNIT_SIZE: return "a size such as 4096, 64k or 1M";
    case UNIT_TIME: break;
    }
    return "a time such as 10s, 250ms or 2m";
}
