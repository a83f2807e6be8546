/* SPDX-License-Identifier: MIT */
/*
 * conform --model NAME [--case NAME] [--except NAME] [--list]
 *
 * Runs the list of cases for one model of the table. Exit status: 0 all passed, 1 a case failed,
 * 2 wrong usage, 77 the model cannot run here (its probe says why). 77 is what CTest and Automake
 * take for "skipped".
 */
#include "conform.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_USAGE 2
#define EXIT_SKIP  77

static const struct case_row *const tables[] = {
    cases_echo,    cases_close,  cases_flow,  cases_limit,  cases_time,    cases_loop,
    cases_process, cases_listen, cases_drain, cases_client, cases_offload,
};

enum verdict { PASSED, FAILED, OTHER_MODEL };

static bool concerns(const struct test *t)
{
    if (t->row->only) {
        return is(t, t->row->only);
    }
    return has(t, t->row->needs) || t->row->refuses;
}

/* Whatever the case left running is a failure of its own, and is ended. */
static bool sweep(void)
{
    bool found = false;
    for (int i = 0; i < GROUPS; i++) {
        int group = atomic_load(&shared->group[i]);
        if (group > 0 && kill(-group, SIGKILL) == 0) {
            found = true;
        }
    }
    if (shared->scratch[0]) {
        char path[80];
        snprintf(path, sizeof(path), "%s/s", shared->scratch);
        unlink(path);
        rmdir(shared->scratch);
    }
    return found;
}

static void run_in_this_process(struct test *t)
{
    if (has(t, t->row->needs)) {
        t->row->run(t);
    } else {
        t->row->refuses(t);
    }
    fflush(NULL);
    exit(0);
}

static enum verdict run_case(struct test *t)
{
    if (!concerns(t)) {
        return OTHER_MODEL;
    }
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        fprintf(stderr, "conform: mmap: %s\n", plx_error_name(errno));
        exit(1);
    }
    int64_t start = now();
    int64_t limit = start + 6 * PATIENCE;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        run_in_this_process(t);
    }
    int status = 0;
    bool late = false;
    while (pid > 0 && waitpid(pid, &status, WNOHANG) == 0) {
        if (!late && now() > limit) {
            fprintf(stderr, "conform: FAIL model=%s case=%s: expected an end, it hangs\n",
                    t->model->name, t->row->name);
            late = true;
            kill(pid, SIGKILL);
        }
        nap(MS(1));
    }
    bool ok = pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (sweep() && ok) {
        fprintf(stderr, "conform: FAIL model=%s case=%s: expected no process left, there was one\n",
                t->model->name, t->row->name);
        ok = false;
    }
    if (pid > 0 && WIFSIGNALED(status) && !late) {
        fprintf(stderr, "conform: FAIL model=%s case=%s: the case ended by signal %d\n",
                t->model->name, t->row->name, WTERMSIG(status));
    }
    munmap(shared, sizeof(*shared));
    printf("%s %s/%s (%.2f s)\n", ok ? "ok  " : "FAIL", t->model->name, t->row->name,
           (double)(now() - start) / 1e9);
    return ok ? PASSED : FAILED;
}

struct answer {
    int rc;
    struct plx_why why;
    char name[32];
};

/* Asks in a child: a probe really sets the model up, and what that leaves behind in the process
 * (the helper threads of glibc's asynchronous I/O live on for a second) must not be forked. */
static void probe(const struct plx_model *m, struct answer *out)
{
    int ends[2];
    if (pipe(ends) != 0) {
        return;
    }
    pid_t pid = fork();
    if (pid == 0) {
        struct answer a = {0};
        a.rc = plx_model_probe(m, &a.why);
        if (a.rc == 0 && strcmp(m->name, "auto") == 0) {
            m = plx_model_auto(NULL, NULL);
        }
        snprintf(a.name, sizeof(a.name), "%s", m->name);
        _exit(write(ends[1], &a, sizeof(a)) == sizeof(a) ? 0 : 1);
    }
    close(ends[1]);
    out->rc = -EIO;
    (void)!read(ends[0], out, sizeof(*out));
    close(ends[0]);
    waitpid(pid, NULL, 0);
}

/* The model to test: for "auto" the one that it takes here. */
static const struct plx_model *resolve(const char *name)
{
    const struct plx_model *m = plx_model_find(name);
    struct answer a = {.rc = -EIO};
    if (!m) {
        fprintf(stderr, "conform: no model \"%s\"; --list names them\n", name);
        exit(EXIT_USAGE);
    }
    /* glibc starts the helpers of asynchronous I/O past ThreadSanitizer, and they start more: its
     * calloc() then runs in a thread that it does not know, and crashes. */
    if (THREAD_SANITIZED && strcmp(name, "posix-aio") == 0) {
        printf("skipped: model posix-aio cannot run under ThreadSanitizer, which crashes in the "
               "helper threads of glibc; the other builds test it\n");
        exit(EXIT_SKIP);
    }
    probe(m, &a);
    if (a.rc < 0) {
        printf("skipped: model %s cannot run here: %s: %s%s%s\n", m->name, plx_error_name(a.rc),
               a.why.reason, a.why.remedy[0] ? "; remedy: " : "", a.why.remedy);
        exit(EXIT_SKIP);
    }
    return plx_model_find(a.name);
}

static void list(void)
{
    const struct plx_model *m;
    printf("models:");
    for (size_t i = 0; (m = plx_model_at(i)); i++) {
        printf(" %s", m->name);
    }
    printf("\ncases:\n");
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        for (const struct case_row *row = tables[i]; row->name; row++) {
            printf("  %s\n", row->name);
        }
    }
}

static int run_all(const struct plx_model *model, const char *only, const char *except)
{
    int counts[3] = {0};
    int64_t start = now();
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        for (const struct case_row *row = tables[i]; row->name; row++) {
            if (except && strcmp(except, row->name) == 0) {
                printf("skipped: %s/%s was left out\n", model->name, row->name);
            } else if (!only || strcmp(only, row->name) == 0) {
                counts[run_case(&(struct test){model, row})]++;
            }
        }
    }
    printf("%s: %d passed, %d failed, %d of other models, %.1f s%s\n", model->name, counts[PASSED],
           counts[FAILED], counts[OTHER_MODEL], (double)(now() - start) / 1e9,
           SANITIZED ? " (sanitizers: smaller counts)" : "");
    if (only && counts[PASSED] + counts[FAILED] + counts[OTHER_MODEL] == 0) {
        fprintf(stderr, "conform: no case \"%s\"; --list names them\n", only);
        return EXIT_USAGE;
    }
    return counts[FAILED] ? 1 : 0;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"model", required_argument, NULL, 'm'},
                                            {"case", required_argument, NULL, 'c'},
                                            {"except", required_argument, NULL, 'x'},
                                            {"list", no_argument, NULL, 'l'},
                                            {0}};
    const char *model = NULL, *only = NULL, *except = NULL;
    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (o) {
        case 'm': model = optarg; break;
        case 'c': only = optarg; break;
        case 'x': except = optarg; break;
        case 'l': list(); return 0;
        default: return EXIT_USAGE;
        }
    }
    if (!model || optind < argc) {
        fprintf(stderr, "usage: conform --model NAME [--case NAME] [--except NAME] | --list\n");
        return EXIT_USAGE;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    /* Many connections need many descriptors; what the hard limit allows is used. */
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
        r.rlim_cur = r.rlim_max;
        setrlimit(RLIMIT_NOFILE, &r);
    }
    return run_all(resolve(model), only, except);
}
