/* SPDX-License-Identifier: MIT */
/*
 * Numbers with units. Input: a byte for the kind, then the text. What is read must be what long
 * division by hand makes of it, and what is written must be read back as the same.
 */
#include "fuzz.h"

#include "cmd/unit.h"

#include <errno.h>
#include <strings.h>

/* So many decimals can be read, zeros at the end not counted (unit.h). */
#define DECIMALS 18

__extension__ typedef unsigned __int128 wide;

/* The unit's factor; 0 = there is none of this name. */
static wide factor_of(enum unit unit, const char *name)
{
    static const struct {
        const char *name;
        wide factor;
    } times[] = {{"ns", 1},
                 {"us", 1000},
                 {"ms", 1000000},
                 {"s", 1000000000},
                 {"m", 60 * (wide)1000000000},
                 {"h", 3600 * (wide)1000000000}};
    const char *letters = "kMG";
    wide base = unit == UNIT_SIZE ? 1024 : 1000;
    wide factor = 1;

    for (size_t i = 0; unit == UNIT_TIME && i < sizeof times / sizeof *times; i++) {
        if (strcmp(times[i].name, name) == 0)
            return times[i].factor;
    }
    if (unit == UNIT_TIME)
        return 0;
    if (*name == '\0' || (unit == UNIT_SIZE && strcmp(name, "B") == 0))
        return 1;
    for (; *letters != '\0'; letters++) {
        const char *rest = name + 1;

        factor *= base;
        if (strncasecmp(letters, name, 1) == 0)
            return *rest == '\0' || (unit == UNIT_SIZE &&
                                     (strcmp(rest, "B") == 0 || strcmp(rest, "iB") == 0))
                       ? factor
                       : 0;
    }
    return 0;
}

/* The same in numbers of twice the size, in which nothing overflows. False: not a number, or not
 * one that is whole and fits. */
static bool expect(enum unit unit, const char *text, int64_t *out)
{
    size_t whole = strspn(text, "0123456789");
    const char *part = text[whole] == '.' ? text + whole + 1 : "";
    size_t decimals = strspn(part, "0123456789");
    const char *name = text[whole] == '.' ? part + decimals : text + whole;
    size_t shown = decimals;
    wide factor = factor_of(unit, name);
    wide value = 0;
    wide fraction = 0;
    wide divisor = 1;

    while (shown > 0 && part[shown - 1] == '0')
        shown--;
    if (whole == 0 || (text[whole] == '.' && decimals == 0) || shown > DECIMALS)
        return false;
    if (unit == UNIT_TIME && *name == '\0' && strspn(text, "0.") == strlen(text))
        factor = 1;
    for (size_t i = 0; i < whole; i++) {
        value *= 10;
        value += (unsigned)(text[i] - '0');
        if (value > INT64_MAX)
            return false;
    }
    /* 10^18 hours in nanoseconds are below 2^102. */
    for (size_t i = 0; i < shown; i++) {
        fraction *= 10;
        fraction += (unsigned)(part[i] - '0');
        divisor *= 10;
    }
    if (factor == 0 || fraction * factor % divisor != 0)
        return false;
    value = value * factor + fraction * factor / divisor;
    *out = (int64_t)value;
    return value <= INT64_MAX;
}

static void check_round_trip(enum unit unit, int64_t value)
{
    char text[UNIT_TEXT];
    int64_t again = -1;

    CHECK(unit_format(unit, value, text, sizeof text) == text);
    CHECK(strlen(text) < sizeof text - 1);
    CHECK(unit_parse(unit, text, &again) == 0);
    CHECK(again == value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    uint8_t kind = take_byte(&in);
    enum unit unit = kind % 3 == 0 ? UNIT_COUNT : kind % 3 == 1 ? UNIT_SIZE : UNIT_TIME;
    char *text;
    int64_t wanted = 0;
    int64_t value = 0;
    int rc;

    if (kind >= 0x80) {
        check_round_trip(unit, (int64_t)(take_number(&in, 8) & INT64_MAX));
        return 0;
    }
    text = take_rest(&in);
    rc = unit_parse(unit, text, &value);
    CHECK(rc == 0 || rc == -EINVAL || rc == -ERANGE);
    CHECK((rc == 0) == expect(unit, text, &wanted));
    if (rc == 0) {
        CHECK(value == wanted);
        check_round_trip(unit, value);
    }
    free(text);
    return 0;
}
