/* SPDX-License-Identifier: MIT */
/*
 * sim --seeds N [--from S]         explores N seeds, one world each
 * sim --seed S [--transcript]      one of them; with the transcript on standard output
 * sim --kept FILE                  the seeds of a file, one at the start of each line
 * sim --case NAME [--transcript]    a case
 * sim --cases                      the names of all
 * sim --same SEED                  the same seed twice is the same transcript, another is not
 *
 * Exit status: 0 all is well, 1 something is wrong, 2 wrong usage.
 */
#include "talk.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static int run_seed(uint64_t seed, FILE *transcript, uint64_t *fingerprint)
{
    struct plan plan;
    char wrong[200];
    explore_plan(seed, &plan);
    if (transcript)
        print_plan(&plan, transcript);
    if (talk(&plan, seed, transcript, wrong, fingerprint) == 0)
        return 0;
    printf("seed %" PRIu64 ": %s\n", seed, wrong);
    print_plan(&plan, stdout);
    fflush(stdout);
    return 1;
}

/* A run that does not end leaves its tasks in the middle, and there is no going on from there. */
static int run_seeds(uint64_t from, uint64_t n)
{
    int failed = 0;
    for (uint64_t seed = from; seed < from + n; seed++)
        failed += run_seed(seed, NULL, NULL);
    printf("%" PRIu64 " seeds from %" PRIu64 ": %d failed\n", n, from, failed);
    return failed != 0;
}

static int run_kept(const char *path)
{
    char line[400];
    int failed = 0, n = 0;
    FILE *f = fopen(path, "re");
    if (!f) {
        fprintf(stderr, "sim: %s cannot be read\n", path);
        return 2;
    }
    while (fgets(line, sizeof(line), f)) {
        char *end;
        uint64_t seed = strtoull(line, &end, 10);
        if (line[0] == '#' || end == line)
            continue;
        failed += run_seed(seed, NULL, NULL);
        n++;
    }
    fclose(f);
    printf("%d kept seeds: %d failed\n", n, failed);
    return failed != 0;
}

static int run_cases(const char *name)
{
    char wrong[200];
    for (const struct sim_case *c = sim_cases; c->name; c++) {
        if (strcmp(c->name, name) != 0)
            continue;
        wrong[0] = 0;
        c->run(wrong);
        printf("%s: %s\n", name, wrong[0] ? wrong : "ok");
        return wrong[0] != 0;
    }
    fprintf(stderr, "sim: no case \"%s\"; --cases names them\n", name);
    return 2;
}

static char *transcript_of(uint64_t seed, uint64_t *fingerprint)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (!f || run_seed(seed, f, fingerprint) != 0)
        exit(1);
    fclose(f);
    return text;
}

static int run_same(uint64_t seed)
{
    uint64_t mark[3];
    char *first = transcript_of(seed, &mark[0]);
    char *again = transcript_of(seed, &mark[1]);
    char *other = transcript_of(seed + 1, &mark[2]);
    size_t lines = 0;
    for (const char *p = first; (p = strchr(p, '\n')); p++)
        lines++;
    bool same = strcmp(first, again) == 0 && mark[0] == mark[1];
    bool differs = strcmp(first, other) != 0 && mark[0] != mark[2];
    printf("seed %" PRIu64 " twice: %s transcript of %zu lines; seed %" PRIu64 ": %s\n", seed,
           same ? "the same" : "NOT THE SAME", lines, seed + 1,
           differs ? "another" : "NOT ANOTHER");
    free(first);
    free(again);
    free(other);
    return same && differs && lines > 100 ? 0 : 1;
}

static int list_cases(void)
{
    for (const struct sim_case *c = sim_cases; c->name; c++)
        printf("%s\n", c->name);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"seeds", required_argument, NULL, 'n'},
                                            {"from", required_argument, NULL, 'f'},
                                            {"seed", required_argument, NULL, 's'},
                                            {"transcript", no_argument, NULL, 't'},
                                            {"kept", required_argument, NULL, 'k'},
                                            {"case", required_argument, NULL, 'c'},
                                            {"cases", no_argument, NULL, 'l'},
                                            {"same", required_argument, NULL, 'm'},
                                            {0}};
    uint64_t seed = 0, n = 0, from = 1;
    char what = 0;
    const char *name = NULL;
    bool transcript = false;
    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (o) {
        case 'n': n = strtoull(optarg, NULL, 0); break;
        case 'f': from = strtoull(optarg, NULL, 0); continue;
        case 't': transcript = true; continue;
        case 's':
        case 'm': seed = strtoull(optarg, NULL, 0); break;
        case 'k':
        case 'c': name = optarg; break;
        case 'l': break;
        default: return 2;
        }
        what = (char)o;
    }
    /* The library's own descriptors (a spare for each listener) stay below those of the network. */
    struct rlimit r = {SIM_FIRST, SIM_FIRST};
    setrlimit(RLIMIT_NOFILE, &r);
    setvbuf(stdout, NULL, _IOLBF, 0);
    talk_models();
    talk_transcript = transcript ? stdout : NULL;
    switch (what) {
    case 'n': return run_seeds(from, n);
    case 's': return run_seed(seed, transcript ? stdout : NULL, NULL);
    case 'k': return run_kept(name);
    case 'c': return run_cases(name);
    case 'l': return list_cases();
    case 'm': return run_same(seed);
    default:
        fprintf(stderr, "usage: sim --seeds N [--from S] | --seed S [--transcript] | --kept FILE | "
                        "--case NAME [--transcript] | --cases | --same SEED\n");
        return 2;
    }
}
