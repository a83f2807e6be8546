/* SPDX-License-Identifier: MIT */
/* A command line of `pollux compare`, and the plan that becomes of it. */
#ifndef POLLUX_TESTS_COMPARE_UTIL_H
#define POLLUX_TESTS_COMPARE_UTIL_H

#include "cmd/compare.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define WORDS_MAX 32

/* A command line and all that becomes of it. */
struct plan {
    char line[1024];
    char *argv[WORDS_MAX];
    struct compare_values values;
    struct comparison *c;
    struct compare_plan plan;
    char err[1024];
    int rc;
};

/* `line`: words with blanks between them; '_' within a word stands for a blank. */
static inline void parse(struct plan *p, const char *line)
{
    const struct cmd cmd = {.name = "compare", .args = "", .options = compare_options};
    struct opt_list args = {.n = 0};
    char *rest = p->line;
    char *word;
    int argc = 0;

    memset(p, 0, sizeof *p);
    snprintf(p->line, sizeof p->line, "%s", line);
    while ((word = strsep(&rest, " ")) != NULL) {
        assert_in_range(argc, 0, WORDS_MAX - 1);
        for (char *at = word; *at != '\0'; at++)
            *at = *at == '_' ? ' ' : *at;
        if (*word != '\0')
            p->argv[argc++] = word;
    }
    p->rc = opt_parse(&cmd, argc, p->argv, &p->values, &args, p->err, sizeof p->err);
    p->c = comparison_open();
    assert_non_null(p->c);
}

static inline void make(struct plan *p, const char *line)
{
    parse(p, line);
    if (p->rc == 0)
        p->rc = compare_repeat_check(&p->values, p->err, sizeof p->err);
    if (p->rc == 0)
        p->rc = compare_plan_make(&p->values, p->c, &p->plan, p->err, sizeof p->err);
}

static inline void made(struct plan *p, const char *line)
{
    make(p, line);
    if (p->rc != 0)
        fail_msg("\"%s\" was refused: %s", line, p->err);
}

static inline void done(struct plan *p)
{
    comparison_close(p->c);
}

static inline const struct arm *find_arm(const struct plan *p, const char *name)
{
    for (size_t i = 0; i < p->c->narms; i++) {
        if (strcmp(p->c->arm[i].name, name) == 0)
            return &p->c->arm[i];
    }
    return NULL;
}

static inline const struct cell *find_cell(const struct plan *p, const char *workload,
                                           const char *arm)
{
    const struct arm *a = find_arm(p, arm);

    assert_non_null(a);
    for (size_t w = 0; w < p->c->nworkloads; w++) {
        if (strcmp(p->c->workload[w].name, workload) == 0)
            return &p->c->cell[w][a - p->c->arm];
    }
    fail_msg("there is no %s", workload);
    return NULL;
}

static inline bool has_caveat(const struct comparison *c, const char *name)
{
    for (size_t i = 0; i < c->nplanned; i++) {
        if (strcmp(c->caveat[i].name, name) == 0)
            return true;
    }
    return false;
}

static inline size_t count_builtins(bool quick_only)
{
    size_t n = 0;
    bool quick;

    for (size_t i = 0; workload_builtin(i, &quick) != NULL; i++)
        n += quick || !quick_only;
    return n;
}

#endif
