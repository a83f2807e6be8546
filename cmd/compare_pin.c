/* SPDX-License-Identifier: MIT */
/*
 * Which CPUs the server gets and which the client. Both on one CPU would take it from each other,
 * and so would, more quietly, two threads of the same core.
 */
#include "cmd/compare.h"
#include "cmd/measure/sysfile.h"

#include <stdio.h>
#include <string.h>

#define SIBLINGS "/sys/devices/system/cpu/cpu%u/topology/thread_siblings_list"

bool compare_allowed_cpus(struct cpulist *out)
{
    char text[SYSFILE_TEXT];
    char list[SYSFILE_TEXT];
    const char *found;

    sysfile_read(text, sizeof text, "/proc/self/status");
    found = sysfile_after(text, "Cpus_allowed_list:");
    return cpulist_parse(found != NULL ? sysfile_line(found, list, sizeof list) : "", out) &&
           cpulist_count(out) > 0;
}

bool compare_same_core(unsigned cpu, struct cpulist *out)
{
    char text[256];

    sysfile_read(text, sizeof text, SIBLINGS, cpu);
    return cpulist_parse(text, out) && cpulist_has(out, cpu);
}

/* The first CPU from `from` on that is in `in` and not in `besides`; CPULIST_MOST = none is. */
static unsigned first_cpu(const struct cpulist *in, unsigned from, const struct cpulist *besides)
{
    while (from < CPULIST_MOST && (!cpulist_has(in, from) || cpulist_has(besides, from)))
        from++;
    return from;
}

/* ---- auto, none ---- */

static void pin_auto(const struct cpulist *allowed,
                     bool (*same_core)(unsigned cpu, struct cpulist *out), struct comparison *c)
{
    const struct cpulist none = {.bits = {0}};
    struct cpulist core;
    unsigned server = first_cpu(allowed, 0, &none);
    unsigned client;

    if (cpulist_count(allowed) < 2) {
        compare_plan_caveat(c, "shared-cpus",
                            "There is one CPU for server and client, which take it from each "
                            "other: all rates are those of the two together.");
        return;
    }
    if (!same_core(server, &core))
        core = none;
    client = first_cpu(allowed, server + 1, &core);
    if (client == CPULIST_MOST) {
        client = first_cpu(allowed, server + 1, &none);
        compare_plan_caveat(c, "same-core",
                            "Server (CPU %u) and client (CPU %u) are two threads of the same core "
                            "and slow each other down.",
                            server, client);
    }
    snprintf(c->server_cpus, sizeof c->server_cpus, "%u", server);
    snprintf(c->client_cpus, sizeof c->client_cpus, "%u", client);
}

/* ---- SERVER:CLIENT ---- */

/* One half of it. Cannot be "", which would mean all CPUs. */
static int take_half(const char *pin, const char *text, size_t len, const struct cpulist *allowed,
                     struct cpulist *list, char *out, size_t cap, char *err, size_t errcap)
{
    struct cpulist both;
    char word[128];

    snprintf(word, sizeof word, "%.*s", (int)len, text);
    if (len >= sizeof word || !cpulist_parse(word, list) || cpulist_count(list) == 0)
        return compare_refuse(err, errcap,
                              "--pin %s: not auto, none, or two lists of CPUs such as 0:1 or "
                              "0-1:2-3",
                              pin);
    both = *list;
    cpulist_meet(&both, allowed);
    if (cpulist_count(&both) < cpulist_count(list))
        return compare_refuse(err, errcap,
                              "--pin %s: this process may not use all of these CPUs, but %s only",
                              pin, cpulist_format(allowed, word, sizeof word));
    cpulist_format(list, out, cap);
    return 0;
}

static int pin_list(const char *pin, const struct cpulist *allowed, struct comparison *c, char *err,
                    size_t cap)
{
    size_t len = strcspn(pin, ":");
    struct cpulist server;
    struct cpulist client;
    char shared[128];
    int rc =
        take_half(pin, pin, len, allowed, &server, c->server_cpus, sizeof c->server_cpus, err, cap);

    if (rc == 0) {
        const char *rest = pin[len] == ':' ? pin + len + 1 : pin + len;

        rc = take_half(pin, rest, strlen(rest), allowed, &client, c->client_cpus,
                       sizeof c->client_cpus, err, cap);
    }
    if (rc < 0)
        return rc;
    cpulist_meet(&server, &client);
    if (cpulist_count(&server) > 0)
        return compare_refuse(err, cap,
                              "--pin %s: server and client would take CPU %s from each other; give "
                              "them different ones, or --pin none",
                              pin, cpulist_format(&server, shared, sizeof shared));
    return 0;
}

/* ---- the whole ---- */

int compare_pin(const char *pin, const struct cpulist *allowed,
                bool (*same_core)(unsigned cpu, struct cpulist *out), struct comparison *c,
                char *err, size_t errcap)
{
    pin = pin != NULL ? pin : "auto";
    if (strlen(pin) >= sizeof c->pin)
        return compare_refuse(err, errcap, "--pin: longer than %zu bytes", sizeof c->pin - 1);
    snprintf(c->pin, sizeof c->pin, "%s", pin);
    c->server_cpus[0] = '\0';
    c->client_cpus[0] = '\0';
    if (strcmp(pin, "auto") == 0) {
        pin_auto(allowed, same_core, c);
        return 0;
    }
    if (strcmp(pin, "none") != 0)
        return pin_list(pin, allowed, c, err, errcap);
    compare_plan_caveat(c, "not-pinned",
                        "Nothing was pinned: the kernel moves server and client between CPUs as it "
                        "likes, onto the same one too.");
    return 0;
}
