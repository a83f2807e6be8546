/* SPDX-License-Identifier: MIT */
/* See cpulist.h. */
#include "cmd/measure/cpulist.h"
#include "cmd/measure/sysfile.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS (CPULIST_MOST / 64)

/* Reads one number and moves behind it; -1 if there is none, or it is too large. */
static long number(const char **at)
{
    char *end;
    if (!isdigit((unsigned char)**at))
        return -1;
    long n = strtol(*at, &end, 10);
    *at = end;
    return n < CPULIST_MOST ? n : -1;
}

/* Reads "N" or "N-M" and moves behind it. */
static bool range(const char **at, struct cpulist *out)
{
    long first = number(at);
    long last = first;
    if (first >= 0 && **at == '-') {
        (*at)++;
        last = number(at);
    }
    if (first < 0 || last < first)
        return false;
    for (long cpu = first; cpu <= last; cpu++)
        out->bits[cpu / 64] |= (uint64_t)1 << (cpu % 64);
    return true;
}

bool cpulist_parse(const char *text, struct cpulist *out)
{
    *out = (struct cpulist){{0}};
    if (*text == '\0')
        return true;
    for (;; text++) {
        if (!range(&text, out) || (*text != ',' && *text != '\0')) {
            *out = (struct cpulist){{0}};
            return false;
        }
        if (*text == '\0')
            return true;
    }
}

bool cpulist_has(const struct cpulist *l, unsigned cpu)
{
    return cpu < CPULIST_MOST && (l->bits[cpu / 64] >> (cpu % 64) & 1);
}

char *cpulist_format(const struct cpulist *l, char *buf, size_t cap)
{
    size_t n = 0;
    buf[0] = '\0';
    for (unsigned first = 0; first < CPULIST_MOST; first++) {
        if (!cpulist_has(l, first))
            continue;
        unsigned last = first;
        while (cpulist_has(l, last + 1))
            last++;
        int len = snprintf(buf + n, cap - n, last > first ? "%s%u-%u" : "%s%u", n ? "," : "", first,
                           last);
        if (len < 0 || (size_t)len >= cap - n) {
            buf[0] = '\0';
            return buf;
        }
        n += (size_t)len;
        first = last;
    }
    return buf;
}

char *cpulist_mask(const struct cpulist *l, char buf[CPULIST_MASK])
{
    size_t n = 0;
    for (size_t word = 2 * WORDS; word-- > 0;) {
        uint32_t bits = (uint32_t)(l->bits[word / 2] >> (word % 2 * 32));
        if (n > 0)
            n += (size_t)snprintf(buf + n, CPULIST_MASK - n, ",%08x", bits);
        else if (bits != 0 || word == 0)
            n += (size_t)snprintf(buf, CPULIST_MASK, "%x", bits);
    }
    return buf;
}

int cpulist_count(const struct cpulist *l)
{
    int n = 0;
    for (size_t i = 0; i < WORDS; i++)
        n += __builtin_popcountll(l->bits[i]);
    return n;
}

void cpulist_join(struct cpulist *to, const struct cpulist *from)
{
    for (size_t i = 0; i < WORDS; i++)
        to->bits[i] |= from->bits[i];
}

void cpulist_meet(struct cpulist *to, const struct cpulist *from)
{
    for (size_t i = 0; i < WORDS; i++)
        to->bits[i] &= from->bits[i];
}

bool cpulist_online(struct cpulist *out)
{
    char text[SYSFILE_TEXT];
    *out = (struct cpulist){{0}};
    return sysfile_read(text, sizeof(text), "/sys/devices/system/cpu/online") > 0 &&
           cpulist_parse(text, out);
}
