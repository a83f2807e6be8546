/* SPDX-License-Identifier: MIT */
/* See serve_trace.h. */
#include "cmd/serve_trace.h"

#include "cmd/clock.h"
#include "cmd/cmd.h"
#include "cmd/explain/explain.h"
#include "cmd/explain/output.h"
#include "cmd/measure/machine.h"

#include <errno.h>
#include <jansson.h>
#include <pollux/pollux.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int serve_trace_open(struct serve_trace *t, const char *path, int64_t events,
                     const struct plx_model *model)
{
    int rc;

    *t = (struct serve_trace){.path = path, .model = model, .zero_ns = clock_ns()};
    if (path == NULL)
        return 0;
    rc = plx_trace_open((size_t)events, &t->trace);
    return rc < 0 ? rc : serve_trace_write(t);
}

static enum explain_form form_of(const char *path)
{
    static const char perfetto[] = ".perfetto.json";
    size_t n = strlen(path);

    return n >= sizeof perfetto - 1 && strcmp(path + n - (sizeof perfetto - 1), perfetto) == 0
               ? EXPLAIN_PERFETTO
               : EXPLAIN_JSON;
}

static int take(const struct serve_trace *t, struct explain_run *run)
{
    int rc;

    *run = (struct explain_run){.model = t->model->name,
                                .engine = t->model->engine,
                                .summary = t->model->summary,
                                .limits = t->model->limits,
                                .waits_in = t->model->waits_in,
                                .copies_in = t->model->copies_in,
                                .runs = true,
                                .zero_ns = t->zero_ns,
                                .duration_ns = clock_ns() - t->zero_ns,
                                .process = getpid()};
    rc = explain_take(run, t->trace);
    if (rc == 0)
        rc = explain_sort(run);
    if (rc == 0)
        explain_facts(run);
    return rc;
}

int serve_trace_write(const struct serve_trace *t)
{
    struct explain_document d = {.program = "pollux serve",
                                 .version = PLX_VERSION,
                                 .command = cmd_words(),
                                 .machine = machine_json(),
                                 .runs = calloc(1, sizeof *d.runs),
                                 .n = 0};
    int rc = d.runs != NULL && d.machine != NULL ? 0 : -ENOMEM;

    if (rc == 0) {
        machine_line(d.machine, d.machine_line, sizeof d.machine_line);
        d.n = 1;
        rc = take(t, &d.runs[0]);
    }
    if (rc == 0)
        rc = explain_write(t->path, form_of(t->path), &d);
    explain_document_free(&d);
    return rc;
}

void serve_trace_close(struct serve_trace *t)
{
    plx_trace_close(t->trace);
    t->trace = NULL;
}
