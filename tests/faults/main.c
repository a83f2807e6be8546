/* SPDX-License-Identifier: MIT */
/*
 * faults [--model NAME]... [--call NAME] [--error NAME] [--nth N] [--seed N] [--quick] [--json
 * FILE]
 *
 * One scenario, run again and again with one fault in it: each row of the catalogue, at the first
 * calls of its kind, a middle and the last one, and each allocation in turn; then with disorder by
 * dice. Status: 0 all survived, 1 a fault was not, or a row of the catalogue was not tried and
 * nobody says why; 2 wrong usage; 77 the model cannot run here.
 */
#include "faults.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define EXIT_USAGE 2
#define EXIT_SKIP  77
#define SEEDS      25 /* of disorder, for each model */
#define QUICK      (8 * PLX_SECOND)

#if defined(__SANITIZE_THREAD__)
#define THREAD_SANITIZED 1
#else
#define THREAD_SANITIZED 0
#endif

struct shared *shared;

static struct {
    const char *models[32], *call, *error, *json;
    size_t nmodels;
    unsigned nth;
    uint64_t seed;
    bool quick, verbose;
} opt = {.seed = 1};

struct trial {
    const struct row *row; /* NULL = disorder */
    struct plan plan;
};

static struct trial *trials;
static size_t n_trials;
static struct plx_addr backend;
static int failed;

static void add_trial(const struct row *row, unsigned nth, bool lasts, uint64_t seed)
{
    trials = realloc(trials, (n_trials + 1) * sizeof(*trials));
    if (!trials)
        exit(1);
    struct trial t = {.row = row, .plan = {.nth = nth, .lasts = lasts, .seed = seed}};
    if (row) {
        t.plan.site = row->site;
        t.plan.err = row->err;
    } else {
        t.plan.chaos = true;
    }
    trials[n_trials++] = t;
}

static void add_row(const struct row *row, unsigned calls)
{
    const unsigned some[] = {1, 2, 3, calls / 2, calls};
    if (opt.nth) {
        add_trial(row, opt.nth, false, 0);
        if (row->flags & LASTS)
            add_trial(row, opt.nth, true, 0);
        return;
    }
    unsigned last = 0;
    for (unsigned i = 0; !(row->flags & EVERY) && i < sizeof(some) / sizeof(some[0]); i++) {
        if (some[i] > last && some[i] <= calls)
            add_trial(row, last = some[i], false, 0);
    }
    for (unsigned n = 1; (row->flags & EVERY) && n <= calls; n++)
        add_trial(row, n, false, 0);
    if (!(row->flags & LASTS))
        return;
    add_trial(row, 1, true, 0);
    for (unsigned i = 1; i < 4; i++) {
        if (calls * i / 4 > 1)
            add_trial(row, calls * i / 4, true, 0);
    }
}

static bool chosen(const struct row *r)
{
    return (!opt.call || strcmp(opt.call, site_name(r->site)) == 0 ||
            strcmp(opt.call, r->name) == 0) &&
           (!opt.error || strcmp(opt.error, plx_error_name(r->err)) == 0);
}

static void report(const char *model, const struct trial *t, const struct verdict *v, int64_t took)
{
    char how[200];
    if (!t->row)
        snprintf(how, sizeof(how), "disorder, --call disorder --seed %llu",
                 (unsigned long long)t->plan.seed);
    else
        snprintf(how, sizeof(how), "%s %s at call %u%s", site_name(t->row->site),
                 plx_error_name(t->row->err), t->plan.nth, t->plan.lasts ? " and on" : "");
    if (!v->ok)
        printf("FAIL %s: %s: %s\n", model, how, v->what);
    else if (opt.verbose)
        printf("%s %s: %s: %s%s%d closed, %.2f s\n", v->injected ? "ok  " : "none", model, how,
               v->start_failed ? "start failed, " : "", v->run_failed ? "loop ended, " : "",
               v->hurt, (double)took / 1e9);
}

static void try_one(const char *model, const struct trial *t)
{
    struct verdict v;
    int64_t begun = clock_now();
    run_once(model, &t->plan, t->row ? t->row->flags : 0, &backend, &v);
    ledger_note(model, t->row ? t->row->site : NSITES, t->row ? t->row->err : 0, &t->plan, &v);
    report(model, t, &v, clock_now() - begun);
    failed += !v.ok;
}

static bool all_made(const char *model, const unsigned calls[NSITES])
{
    for (size_t i = 0; i < catalogue_rows; i++) {
        const struct row *r = &catalogue[i];
        if (!calls[r->site] && !row_excused(r, model) && !site_excused(r->site, model))
            return false;
    }
    return true;
}

/* Without a fault: how often each kind of call is made. What differs from run to run is taken at
 * its most: on a busy machine a socket may drain so fast that it is never full. */
static bool count(const char *model, unsigned calls[NSITES])
{
    static const struct plan none;
    for (int i = 0; i < 2 || (i < 10 && !all_made(model, calls)); i++) {
        struct verdict v;
        run_once(model, &none, 0, &backend, &v);
        if (!v.ok || v.hurt) {
            printf("FAIL %s: without a fault: %s\n", model, v.what);
            failed++;
            return false;
        }
        for (int s = 0; s < NSITES; s++) {
            if (v.calls[s] > calls[s])
                calls[s] = v.calls[s];
        }
    }
    return true;
}

static void plan_rows(const char *model, const unsigned calls[NSITES])
{
    for (size_t i = 0; i < catalogue_rows; i++) {
        const struct row *r = &catalogue[i];
        const char *why = row_excused(r, model);
        if (!chosen(r))
            continue;
        if (!why && calls[r->site] == 0)
            why = site_excused(r->site, model);
        if (why) {
            ledger_unexercised(model, r, why);
        } else if (calls[r->site] == 0) {
            printf("FAIL %s: %s %s: the call is not made, and nobody says why\n", model,
                   site_name(r->site), plx_error_name(r->err));
            failed++;
        } else {
            add_row(r, calls[r->site]);
        }
    }
    bool only = opt.call && strcmp(opt.call, "disorder") == 0;
    for (unsigned i = 0; (!opt.call || only) && i < SEEDS; i++)
        add_trial(NULL, 0, false, opt.seed + i);
}

static void shuffle(void)
{
    uint64_t x = opt.seed * 2654435761u + 1;
    for (size_t i = n_trials; i > 1; i--) {
        x = x * 6364136223846793005ULL + 1442695040888963407ULL;
        size_t k = (size_t)(x >> 33) % i;
        struct trial t = trials[k];
        trials[k] = trials[i - 1];
        trials[i - 1] = t;
    }
}

static void run_model(const char *model)
{
    unsigned calls[NSITES] = {0};
    int64_t begun = clock_now();
    int before = failed;
    size_t done = 0;
    n_trials = 0;
    if (!count(model, calls))
        return;
    plan_rows(model, calls);
    if (opt.quick)
        shuffle();
    for (; done < n_trials; done++) {
        if (opt.quick && done >= 10 && clock_now() - begun > QUICK)
            break;
        try_one(model, &trials[done]);
    }
    printf("%s: %zu of %zu runs, %d failed, %.1f s\n", model, done, n_trials, failed - before,
           (double)(clock_now() - begun) / 1e9);
}

/* In a child: a probe may leave helper threads behind, which must not be forked. */
static bool runs_here(const struct plx_model *m)
{
    if (THREAD_SANITIZED && strcmp(m->name, "posix-aio") == 0) {
        printf("skipped: model posix-aio cannot run under ThreadSanitizer, which crashes in the "
               "helper threads of glibc; the other builds test it\n");
        return false;
    }
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        struct plx_why why = {{0}, {0}};
        int rc = plx_model_probe(m, &why);
        if (rc < 0) {
            printf("skipped: model %s cannot run here: %s\n", m->name, why.reason);
            fflush(stdout);
        }
        _exit(rc < 0);
    }
    int status = 1;
    waitpid(pid, &status, 0);
    return status == 0;
}

static int run_all(void)
{
    size_t ran = 0;
    const struct plx_model *m;
    for (size_t i = 0; (m = plx_model_at(i)); i++) {
        bool wanted = opt.nmodels == 0;
        for (size_t k = 0; k < opt.nmodels; k++)
            wanted |= strcmp(opt.models[k], m->name) == 0;
        if (!wanted || strcmp(m->name, "auto") == 0 || !runs_here(m))
            continue;
        run_model(m->name);
        ran++;
    }
    if (ran == 0)
        return EXIT_SKIP;
    if (!opt.quick || opt.verbose)
        ledger_print();
    printf("faults: %u injected, %d not survived (seed %llu)\n", ledger_injected(), failed,
           (unsigned long long)opt.seed);
    if (opt.json && ledger_write(opt.json, opt.seed, opt.quick) < 0) {
        fprintf(stderr, "faults: %s cannot be written\n", opt.json);
        return 1;
    }
    return failed ? 1 : 0;
}

static int usage(void)
{
    fprintf(stderr, "usage: faults [--model NAME]... [--call NAME|disorder] [--error NAME] "
                    "[--nth N] [--seed N] [--quick] [--verbose] [--json FILE]\n");
    return EXIT_USAGE;
}

static bool number(const char *s, uint64_t *out)
{
    char *end;
    errno = 0;
    *out = strtoull(s, &end, 10);
    return errno == 0 && end != s && !*end;
}

static bool parse(int argc, char **argv)
{
    static const struct option options[] = {{"model", required_argument, NULL, 'm'},
                                            {"call", required_argument, NULL, 'c'},
                                            {"error", required_argument, NULL, 'e'},
                                            {"nth", required_argument, NULL, 'n'},
                                            {"seed", required_argument, NULL, 's'},
                                            {"json", required_argument, NULL, 'j'},
                                            {"quick", no_argument, NULL, 'q'},
                                            {"verbose", no_argument, NULL, 'v'},
                                            {0}};
    uint64_t n = 0;
    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (o) {
        case 'm':
            if (opt.nmodels == 32 || !plx_model_find(optarg))
                return false;
            opt.models[opt.nmodels++] = optarg;
            break;
        case 'c': opt.call = optarg; break;
        case 'e': opt.error = optarg; break;
        case 'n':
            if (!number(optarg, &n))
                return false;
            opt.nth = (unsigned)n;
            break;
        case 's':
            if (!number(optarg, &opt.seed))
                return false;
            break;
        case 'j': opt.json = optarg; break;
        case 'q': opt.quick = true; break;
        case 'v': opt.verbose = true; break;
        default: return false;
        }
    }
    return optind == argc;
}

int main(int argc, char **argv)
{
    if (!parse(argc, argv))
        return usage();
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGPIPE, SIG_IGN);
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pid = shared == MAP_FAILED ? -1 : backend_start(&backend);
    if (pid < 0) {
        perror("faults");
        return 1;
    }
    catalogue_probe();
    int rc = run_all();
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    free(trials);
    return rc;
}
