/* SPDX-License-Identifier: MIT */
/*
 * same [--model NAME] [--scenario NAME] [--list]
 *
 * Carries out every scenario under every model that runs here and compares the transcripts with the
 * reference's. Where they differ both are printed. Exit status: 0 the same everywhere, 1 not, 2
 * wrong usage.
 */
#include "same.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define TEXT 4096

/* The reference: it waits for readiness, level-triggered, and every system has it. */
#define REFERENCE "poll"

/* What a model's caps explain; nothing else may differ. An excuse that nobody needs is a failure,
 * so that the list stays short. */
static const struct excuse {
    const char *model, *scenario, *why;
} excuses[] = {
    {"blocking", "two_clients", "it serves one connection at a time: the second one waits"},
    {"blocking", "over_max_connections",
     "it serves one connection at a time: the others are not refused but wait"},
};

/* ---- the child's side ---- */

static struct seen {
    size_t n;
    char text[TEXT];
} * seen;

void see(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(seen->text + seen->n, TEXT - 1 - seen->n, fmt, ap);
    va_end(ap);
    if (n > 0 && (size_t)n < TEXT - 1 - seen->n) {
        seen->n += (size_t)n;
        seen->text[seen->n++] = '\n';
    }
}

static bool end_groups(void)
{
    bool found = false;
    for (int i = 0; i < GROUPS; i++) {
        int group = atomic_load(&shared->group[i]);
        found |= group > 0 && kill(-group, SIGKILL) == 0;
    }
    return found;
}

/* In a child, so that a scenario that fails, or hangs, ends alone. The transcript, to be freed. */
static char *carry_out(const struct plx_model *m, const struct scenario *sc, bool *ok)
{
    struct case_row row = {.name = sc->name};
    struct test t = {m, &row};
    int status = 0;
    int64_t limit = now() + 6 * PATIENCE;
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED || seen == MAP_FAILED)
        exit(1);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        sc->run(&t);
        fflush(NULL);
        exit(0);
    }
    while (pid > 0 && waitpid(pid, &status, WNOHANG) == 0) {
        if (now() > limit) {
            fprintf(stderr, "same: model=%s scenario=%s hangs\n", m->name, sc->name);
            kill(pid, SIGKILL);
            limit = INT64_MAX;
        }
        nap(MS(1));
    }
    *ok = pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    *ok = !end_groups() && *ok;
    char *text = strdup(seen->text);
    munmap(shared, sizeof(*shared));
    munmap(seen, sizeof(*seen));
    if (!text)
        exit(1);
    return text;
}

/* ---- models ---- */

/* In a child: what a probe leaves behind (the helpers of glibc's asynchronous I/O) must not be
 * forked. */
static bool runs(const struct plx_model *m)
{
    int status = 1;
    if (THREAD_SANITIZED && strcmp(m->name, "posix-aio") == 0)
        return false; /* see conform.c */
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        _exit(plx_model_probe(m, NULL) == 0 ? 0 : 1);
    waitpid(pid, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static const struct excuse *excuse_for(const char *model, const char *scenario)
{
    for (size_t i = 0; i < sizeof(excuses) / sizeof(excuses[0]); i++) {
        if (!strcmp(excuses[i].model, model) && !strcmp(excuses[i].scenario, scenario))
            return &excuses[i];
    }
    return NULL;
}

/* ---- comparing ---- */

static bool compare(const struct plx_model *m, const struct scenario *sc, const char *reference)
{
    bool ok;
    char *text = carry_out(m, sc, &ok);
    const struct excuse *excuse = excuse_for(m->name, sc->name);
    bool same = strcmp(text, reference) == 0;
    if (ok && same && excuse) {
        fprintf(stderr, "same: %s/%s: the same, and yet there is an excuse: take it out\n", m->name,
                sc->name);
        ok = false;
    } else if (ok && !same && excuse) {
        printf("differs, as its caps say: %s/%s: %s\n", m->name, sc->name, excuse->why);
    } else if (ok && !same) {
        fprintf(stderr, "same: %s/%s differs\n---- " REFERENCE "\n%s---- %s\n%s----\n", m->name,
                sc->name, reference, m->name, text);
        ok = false;
    }
    free(text);
    return ok;
}

static bool wanted(const char *only, const char *name)
{
    return !only || strcmp(only, name) == 0;
}

static int run(const char *only_model, const char *only_scenario)
{
    int compared = 0, failed = 0;
    const struct plx_model *m, *reference = plx_model_find(REFERENCE);
    int64_t start = now();
    const struct plx_model *models[64];
    size_t nmodels = 0;
    for (size_t i = 0; (m = plx_model_at(i)) && nmodels < 64; i++) {
        if (m == reference || strcmp(m->name, "auto") == 0 || !wanted(only_model, m->name))
            continue;
        if (runs(m))
            models[nmodels++] = m;
        else
            printf("left out: model %s cannot run here\n", m->name);
    }
    for (const struct scenario *sc = scenarios; sc->name; sc++) {
        if (!wanted(only_scenario, sc->name))
            continue;
        bool ok;
        char *text = carry_out(reference, sc, &ok);
        if (!ok || !*text) {
            fprintf(stderr, "same: %s/%s: the reference fails\n", reference->name, sc->name);
            failed++;
        }
        for (size_t i = 0; ok && i < nmodels; i++) {
            failed += !compare(models[i], sc, text);
            compared++;
        }
        free(text);
    }
    printf("%d transcripts compared with those of " REFERENCE ", %d failed, %.1f s\n", compared,
           failed, (double)(now() - start) / 1e9);
    return failed || !compared ? 1 : 0;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"model", required_argument, NULL, 'm'},
                                            {"scenario", required_argument, NULL, 's'},
                                            {"list", no_argument, NULL, 'l'},
                                            {0}};
    const char *model = NULL, *scenario = NULL;
    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (o) {
        case 'm': model = optarg; break;
        case 's': scenario = optarg; break;
        case 'l':
            for (const struct scenario *sc = scenarios; sc->name; sc++)
                printf("%s\n", sc->name);
            return 0;
        default: return 2;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "usage: same [--model NAME] [--scenario NAME] | --list\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
        r.rlim_cur = r.rlim_max;
        setrlimit(RLIMIT_NOFILE, &r);
    }
    return run(model, scenario);
}
