/* SPDX-License-Identifier: MIT */
/* What was tried and what became of it: a table for people, JSON for programs. */
#include "faults.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#define MODELS_MOST 32

struct entry {
    const char *model;
    enum site site;
    int err; /* 0 = disorder by dice */
    bool lasts;
    unsigned runs, injected, survived;
    unsigned unnoticed, hurt, start_failed, run_failed;
};

static struct entry *entries;
static size_t n_entries;

struct absent {
    const char *model, *why;
    const struct row *row;
};
static struct absent *absents;
static size_t n_absents;

struct failure {
    const char *model;
    enum site site;
    struct plan plan;
    char what[400];
};
static struct failure *failures;
static size_t n_failures;

static void *longer(void *items, size_t n, size_t size)
{
    void *p = realloc(items, (n + 1) * size);
    if (!p) {
        fprintf(stderr, "faults: no memory for the ledger\n");
        exit(1);
    }
    memset((char *)p + n * size, 0, size);
    return p;
}

static struct entry *find(const char *model, enum site site, int err, bool lasts)
{
    for (size_t i = 0; i < n_entries; i++) {
        struct entry *e = &entries[i];
        if (e->model == model && e->site == site && e->err == err && e->lasts == lasts)
            return e;
    }
    entries = longer(entries, n_entries, sizeof(*entries));
    struct entry *e = &entries[n_entries++];
    e->model = model;
    e->site = site;
    e->err = err;
    e->lasts = lasts;
    return e;
}

void ledger_note(const char *model, enum site site, int err, const struct plan *p,
                 const struct verdict *v)
{
    struct entry *e = find(model, site, err, p->lasts);
    e->runs++;
    e->injected += v->injected;
    e->survived += v->injected && v->ok;
    if (v->injected && v->ok) {
        e->start_failed += v->start_failed;
        e->run_failed += v->run_failed;
        e->hurt += v->hurt > 0 && !v->run_failed;
        e->unnoticed += !v->start_failed && !v->run_failed && v->hurt == 0;
    }
    if (v->ok)
        return;
    failures = longer(failures, n_failures, sizeof(*failures));
    struct failure *f = &failures[n_failures++];
    f->model = model;
    f->site = site;
    f->plan = *p;
    memcpy(f->what, v->what, sizeof(f->what));
}

void ledger_unexercised(const char *model, const struct row *row, const char *why)
{
    absents = longer(absents, n_absents, sizeof(*absents));
    absents[n_absents++] = (struct absent){.model = model, .why = why, .row = row};
}

unsigned ledger_injected(void)
{
    unsigned n = 0;
    for (size_t i = 0; i < n_entries; i++)
        n += entries[i].injected;
    return n;
}

/* ---- for people ---- */

static void print_line(const char *model, const char *call, const struct entry *sum)
{
    printf("  %-12s %-20s %8u %8u   %9u %6u %6u %5u\n", model, call, sum->injected, sum->survived,
           sum->unnoticed, sum->hurt, sum->start_failed, sum->run_failed);
}

static void add(struct entry *sum, const struct entry *e)
{
    sum->injected += e->injected;
    sum->survived += e->survived;
    sum->unnoticed += e->unnoticed;
    sum->hurt += e->hurt;
    sum->start_failed += e->start_failed;
    sum->run_failed += e->run_failed;
}

static bool first_of(size_t i, bool by_model)
{
    for (size_t k = 0; k < i; k++) {
        if (entries[k].model == entries[i].model &&
            (by_model || (entries[k].site == entries[i].site &&
                          (entries[k].err == 0) == (entries[i].err == 0))))
            return false;
    }
    return true;
}

static const char *call_name(const struct entry *e)
{
    return e->err ? site_name(e->site) : "(disorder)";
}

static void print_absents(void)
{
    for (size_t i = 0; i < n_absents; i++) {
        const struct absent *a = &absents[i];
        bool said = false;
        for (size_t k = 0; k < i; k++)
            said |= absents[k].row == a->row && absents[k].why == a->why;
        if (said)
            continue;
        printf("  not tried: %s %s: %s [", site_name(a->row->site), plx_error_name(a->row->err),
               a->why);
        for (size_t k = i; k < n_absents; k++) {
            if (absents[k].row == a->row && absents[k].why == a->why)
                printf("%s%s", k == i ? "" : " ", absents[k].model);
        }
        printf("]\n");
    }
}

void ledger_print(void)
{
    struct entry all = {0};
    printf("  %-12s %-20s %8s %8s   %9s %6s %6s %5s\n", "model", "call", "injected", "survived",
           "unnoticed", "closed", "start", "ended");
    for (size_t i = 0; i < n_entries; i++) {
        struct entry sum = {0};
        if (!first_of(i, false))
            continue;
        for (size_t k = i; k < n_entries; k++) {
            if (entries[k].model == entries[i].model && entries[k].site == entries[i].site &&
                (entries[k].err == 0) == (entries[i].err == 0))
                add(&sum, &entries[k]);
        }
        print_line(entries[i].model, call_name(&entries[i]), &sum);
    }
    for (size_t i = 0; i < n_entries; i++) {
        struct entry sum = {0};
        if (!first_of(i, true))
            continue;
        for (size_t k = i; k < n_entries; k++) {
            if (entries[k].model == entries[i].model)
                add(&sum, &entries[k]);
        }
        print_line(entries[i].model, "all", &sum);
        add(&all, &sum);
    }
    print_line("all", "all", &all);
    print_absents();
    for (size_t i = 0; elsewhere[i].what; i++)
        printf("  tested elsewhere: %s [%s]\n", elsewhere[i].what, elsewhere[i].where);
}

/* ---- for programs ---- */

static void text(FILE *f, const char *s)
{
    fputc('"', f);
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            fputc('\\', f);
        fputc((unsigned char)*s < ' ' ? ' ' : *s, f);
    }
    fputc('"', f);
}

static void write_entries(FILE *f)
{
    for (size_t i = 0; i < n_entries; i++) {
        const struct entry *e = &entries[i];
        fprintf(f, "%s\n    {\"model\": \"%s\", \"call\": \"%s\", \"error\": %s%s%s, ",
                i ? "," : "", e->model, call_name(e), e->err ? "\"" : "",
                e->err ? plx_error_name(e->err) : "null", e->err ? "\"" : "");
        fprintf(f,
                "\"lasts\": %s, \"runs\": %u, \"injected\": %u, \"survived\": %u, "
                "\"unnoticed\": %u, \"closed_connections\": %u, \"refused_to_start\": %u, "
                "\"loop_ended\": %u}",
                e->lasts ? "true" : "false", e->runs, e->injected, e->survived, e->unnoticed,
                e->hurt, e->start_failed, e->run_failed);
    }
}

static void write_rest(FILE *f)
{
    fprintf(f, "\n  ],\n  \"not_tried\": [");
    for (size_t i = 0; i < n_absents; i++) {
        const struct absent *a = &absents[i];
        fprintf(f, "%s\n    {\"model\": \"%s\", \"call\": \"%s\", \"error\": \"%s\", \"why\": ",
                i ? "," : "", a->model, site_name(a->row->site), plx_error_name(a->row->err));
        text(f, a->why);
        fputc('}', f);
    }
    fprintf(f, "\n  ],\n  \"tested_elsewhere\": [");
    for (size_t i = 0; elsewhere[i].what; i++)
        fprintf(f, "%s\n    {\"what\": \"%s\", \"where\": \"%s\"}", i ? "," : "", elsewhere[i].what,
                elsewhere[i].where);
    fprintf(f, "\n  ],\n  \"failures\": [");
    for (size_t i = 0; i < n_failures; i++) {
        const struct failure *x = &failures[i];
        fprintf(f, "%s\n    {\"model\": \"%s\", \"call\": \"%s\", \"nth\": %u, \"error\": \"%s\", ",
                i ? "," : "", x->model, site_name(x->site), x->plan.nth,
                plx_error_name(x->plan.err));
        fprintf(f, "\"lasts\": %s, \"seed\": %llu, \"what\": ", x->plan.lasts ? "true" : "false",
                (unsigned long long)x->plan.seed);
        text(f, x->what);
        fputc('}', f);
    }
    fprintf(f, "\n  ]\n}\n");
}

int ledger_write(const char *path, uint64_t seed, bool quick)
{
    struct utsname u;
    struct entry all = {0};
    FILE *f = fopen(path, "we");
    if (!f)
        return -errno;
    (void)uname(&u);
    for (size_t i = 0; i < n_entries; i++)
        add(&all, &entries[i]);
    fprintf(f, "{\n  \"schema_version\": 1,\n  \"program\": \"faults\",\n  \"version\": \"%s\",\n",
            PLX_VERSION);
    fprintf(f, "  \"kernel\": \"%s %s\",\n  \"seed\": %llu,\n  \"quick\": %s,\n", u.sysname,
            u.release, (unsigned long long)seed, quick ? "true" : "false");
    fprintf(f, "  \"injected\": %u,\n  \"survived\": %u,\n  \"entries\": [", all.injected,
            all.survived);
    write_entries(f);
    write_rest(f);
    bool bad = ferror(f);
    return fclose(f) != 0 || bad ? -EIO : 0;
}
