/* SPDX-License-Identifier: MIT */
/*
 * Lists of CPUs. Input: two lists with a newline between them. A second reader, of one flag per
 * CPU, must find the same ones in them; what is written must be read back as the same list.
 */
#include "fuzz.h"

#include "cmd/measure/account.h"
#include "cmd/measure/cpulist.h"

#include <ctype.h>

/* One flag for each CPU. False: it is not a list. */
static bool expect(const char *text, bool has[CPULIST_MOST])
{
    memset(has, 0, CPULIST_MOST);
    while (*text != '\0') {
        unsigned long edge[2] = {0, 0};
        int n = 0;
        do {
            if (!isdigit((unsigned char)*text))
                return false;
            for (; isdigit((unsigned char)*text); text++) {
                edge[n] = edge[n] * 10 + (unsigned long)(*text - '0');
                if (edge[n] >= CPULIST_MOST)
                    return false;
            }
            n++;
        } while (n < 2 && *text == '-' && text++);
        for (unsigned long cpu = edge[0]; cpu <= edge[n - 1]; cpu++)
            has[cpu] = true;
        if (n == 2 && edge[1] < edge[0])
            return false;
        if (*text == ',' && text[1] == '\0')
            return false;
        if (*text == ',')
            text++;
        else if (*text != '\0')
            return false;
    }
    return true;
}

static void check_mask(const struct cpulist *list, const bool has[CPULIST_MOST])
{
    char mask[CPULIST_MASK];
    size_t bit = 0;
    CHECK(cpulist_mask(list, mask) == mask);
    for (size_t i = strlen(mask); i-- > 0;) {
        static const char digits[] = "0123456789abcdef";
        if (mask[i] == ',')
            continue;
        size_t value = (size_t)(strchr(digits, mask[i]) - digits);
        CHECK(value < 16 && bit < CPULIST_MOST);
        for (size_t k = 0; k < 4; k++)
            CHECK((value >> k & 1) == has[bit + k]);
        bit += 4;
    }
    for (; bit < CPULIST_MOST; bit++)
        CHECK(!has[bit]);
}

/* Whole, or nothing at all. */
static void check_text(const struct cpulist *list, const char *given, size_t cap)
{
    size_t room = strlen(given) + 1;
    char *whole = fuzz_alloc(room);
    char *part = fuzz_alloc(cap);
    struct cpulist again;
    cpulist_format(list, whole, room);
    CHECK((whole[0] == '\0') == (cpulist_count(list) == 0)); /* never longer than what was given */
    CHECK(cpulist_parse(whole, &again));
    CHECK(memcmp(&again, list, sizeof(again)) == 0);
    cpulist_format(list, part, cap);
    CHECK(strcmp(part, strlen(whole) < cap ? whole : "") == 0);
    free(part);
    free(whole);
}

static bool check_list(const char *text, struct cpulist *list)
{
    static bool has[CPULIST_MOST];
    bool good = cpulist_parse(text, list);
    int count = 0;
    CHECK(good == expect(text, has));
    for (unsigned cpu = 0; cpu < CPULIST_MOST; cpu++) {
        CHECK(cpulist_has(list, cpu) == (good && has[cpu]));
        count += good && has[cpu];
    }
    CHECK(!cpulist_has(list, CPULIST_MOST) && !cpulist_has(list, UINT32_MAX));
    CHECK(cpulist_count(list) == count);
    CHECK(account_cpus_count(text) == count);
    if (good) {
        check_mask(list, has);
        check_text(list, text, strlen(text) / 2 + 1);
    }
    return good;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    char *a = take_text(&in, '\n');
    char *b = take_rest(&in);
    struct cpulist x, y, both, any;
    bool good = check_list(a, &x);
    good = check_list(b, &y) && good;
    both = any = x;
    cpulist_meet(&both, &y);
    cpulist_join(&any, &y);
    CHECK(cpulist_count(&both) + cpulist_count(&any) == cpulist_count(&x) + cpulist_count(&y));
    CHECK(account_cpus_overlap(a, b) == (good && cpulist_count(&both) > 0));
    free(b);
    free(a);
    return 0;
}
