/* SPDX-License-Identifier: MIT */
/* `pollux explain`: runs a small script under each model and draws what really happened. */
#include "cmd/explain/explain.h"
#include "cmd/cmd.h"
#include "cmd/explain/output.h"
#include "cmd/measure/machine.h"

#include <errno.h>
#include <jansson.h>
#include <pollux/pollux.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct explain_values {
    int scenario;
    const char *from;
    const char *outputs[4]; /* by enum explain_form */
};

/* ---- which models ---- */

/* Those in which a write that meets a full socket differs. */
static const char *const writers[] = {"blocking", "nonblocking", "epoll", "io_uring"};

static bool by_default(const struct explain_values *v, const struct plx_model *m)
{
    if (strcmp(m->name, "auto") == 0)
        return false;
    if (strcmp(explain_scenario((size_t)v->scenario), "buffer") != 0)
        return true;
    for (size_t i = 0; i < sizeof writers / sizeof *writers; i++) {
        if (strcmp(writers[i], m->name) == 0)
            return true;
    }
    return false;
}

/* A model that was named must run; without names, those that do not are left out. */
static int choose(const struct explain_values *v, const struct opt_list *args,
                  const struct plx_model **models, size_t *n)
{
    const struct plx_model *m;
    struct plx_why why = {"", ""};

    for (size_t i = 0; args->n == 0 && (m = plx_model_at(i)) != NULL && *n < OPT_LIST_MAX; i++) {
        if (by_default(v, m) && explain_probe(m, &why) == 0)
            models[(*n)++] = m;
    }
    for (size_t i = 0; i < args->n; i++) {
        const char *name = args->item[i];
        const char *near = opt_nearest(name, cmd_choice_model);
        int rc;

        m = plx_model_find(name);
        if (m == NULL)
            return cmd_fail(&cmd_explain, STATUS_USAGE, "unknown model %s; %s%s%s", name,
                            near ? "did you mean " : "see pollux models", near ? near : "",
                            near ? "?" : "");
        if (strcmp(name, "auto") == 0)
            m = plx_model_auto(NULL, NULL);
        rc = explain_probe(m, &why);
        if (rc < 0)
            return cmd_fail(&cmd_explain, STATUS_USAGE, "%s cannot run here: %s%s%s", name,
                            why.reason[0] != '\0' ? why.reason : plx_error_text(rc),
                            why.remedy[0] != '\0' ? "; " : "", why.remedy);
        bool twice = false;

        for (size_t k = 0; k < *n; k++)
            twice |= models[k] == m;
        if (!twice)
            models[(*n)++] = m;
    }
    return STATUS_DONE;
}

/* ---- record ---- */

static int record(struct explain_document *d, const struct explain_values *v,
                  const struct plx_model *const *models, size_t n)
{
    *d = (struct explain_document){.program = "pollux explain",
                                   .version = PLX_VERSION,
                                   .scenario = explain_scenario((size_t)v->scenario),
                                   .command = cmd_words(),
                                   .machine = machine_json(),
                                   .runs = calloc(n, sizeof *d->runs)};
    if (d->runs == NULL || d->machine == NULL)
        return cmd_fail(&cmd_explain, STATUS_FAILED, "out of memory");
    machine_line(d->machine, d->machine_line, sizeof d->machine_line);
    for (size_t i = 0; i < n; i++) {
        int rc = explain_record(&d->runs[d->n++], models[i], (size_t)v->scenario);

        if (rc < 0)
            return cmd_fail(&cmd_explain, STATUS_FAILED, "%s: %s", models[i]->name,
                            plx_error_text(rc));
    }
    return STATUS_DONE;
}

/* ---- show ---- */

static bool wants_colour(void)
{
    const char *no = getenv("NO_COLOR");

    return isatty(STDOUT_FILENO) && !(no && *no);
}

static int show(const struct explain_values *v, const struct explain_document *d)
{
    static const char *const names[] = {"json", "svg", "html", "perfetto"};
    bool draws = true;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *file = v->outputs[i];
        int rc = file != NULL ? explain_write(file, (enum explain_form)i, d) : 0;

        draws &= file == NULL || strcmp(file, "-") != 0;
        if (rc < 0)
            return cmd_fail(&cmd_explain, STATUS_FAILED, "--%s %s: %s", names[i], file,
                            plx_error_text(rc));
    }
    if (draws && explain_text(stdout, d, wants_colour()) < 0)
        return cmd_fail(&cmd_explain, STATUS_FAILED, "out of memory");
    for (size_t i = 0; i < d->n; i++) {
        if (d->runs[i].complaint[0] != '\0')
            return cmd_fail(&cmd_explain, STATUS_FAILED, "%s: %s", d->runs[i].model,
                            d->runs[i].complaint);
    }
    return STATUS_DONE;
}

/* Two documents in one stream are none. */
static int check(const struct explain_values *v, const struct opt_list *args)
{
    unsigned streams = 0;

    for (size_t i = 0; i < sizeof v->outputs / sizeof *v->outputs; i++)
        streams += v->outputs[i] != NULL && strcmp(v->outputs[i], "-") == 0;
    if (streams > 1)
        return cmd_fail(&cmd_explain, STATUS_USAGE,
                        "only one of --json, --svg, --html, --perfetto can be -, standard output");
    if (v->from != NULL && args->n > 0)
        return cmd_fail(&cmd_explain, STATUS_USAGE,
                        "--from and MODEL contradict each other: what is drawn is what %s holds",
                        v->from);
    return STATUS_DONE;
}

static int run(const void *values, const struct opt_list *args)
{
    const struct explain_values *v = values;
    const struct plx_model *models[OPT_LIST_MAX];
    struct explain_document d = {.program = ""};
    char err[256];
    size_t n = 0;
    int status = check(v, args);

    if (status == STATUS_DONE && v->from == NULL)
        status = choose(v, args, models, &n);
    if (status != STATUS_DONE)
        return status;
    if (v->from == NULL)
        status = record(&d, v, models, n);
    else if (explain_load(v->from, &d, err, sizeof err) < 0)
        status = cmd_fail(&cmd_explain, STATUS_USAGE, "--from %s", err);
    if (status == STATUS_DONE)
        status = show(v, &d);
    explain_document_free(&d);
    return status;
}

/* ---- the command ---- */

#define AT(field) .offset = offsetof(struct explain_values, field)

static const struct opt options[] = {
    {.name = "scenario",
     .brief = 's',
     .kind = OPT_CHOICE,
     AT(scenario),
     .arg = "NAME",
     .value = "exchange",
     .choice = explain_scenario,
     .help = "What happens: `exchange`, six clients with a message each; `late`, only the first of "
             "them; or `buffer`, an answer that is larger than the free buffer of the socket."},
    {.name = "svg",
     .kind = OPT_TEXT,
     .flags = OPT_FILE,
     AT(outputs[EXPLAIN_SVG]),
     .arg = "FILE",
     .help = "Write the figures to FILE, one for each model."},
    {.name = "html",
     .kind = OPT_TEXT,
     .flags = OPT_FILE,
     AT(outputs[EXPLAIN_HTML]),
     .arg = "FILE",
     .help = "Write a page to FILE that plays the run step by step, all models on one axis of "
             "time. It needs nothing else, and no network."},
    {.name = "perfetto",
     .kind = OPT_TEXT,
     .flags = OPT_FILE,
     AT(outputs[EXPLAIN_PERFETTO]),
     .arg = "FILE",
     .help = "Write the trace to FILE in the Chrome trace event format, which the Perfetto viewer "
             "opens."},
    {.name = "json",
     .kind = OPT_TEXT,
     .flags = OPT_OPTIONAL | OPT_FILE,
     AT(outputs[EXPLAIN_JSON]),
     .arg = "FILE",
     .implied = "-",
     .help = "Write one JSON document to FILE, or instead of the drawing to standard output."},
    {.name = "from",
     .kind = OPT_TEXT,
     .flags = OPT_FILE,
     AT(from),
     .arg = "FILE",
     .help = "Run nothing, draw what FILE holds: a document of --json, or of `pollux serve "
             "--trace`."},
    {0}};

static const char *const description[] = {
    "Runs a small script under each MODEL, or under all that run here, and draws what really "
    "happened: every system call of the server with its result, the phase in which the data is "
    "waited for, the phase in which it is copied, and how long they took.",
    "The server is one of the library's own, in a process of its own, and writes down what it "
    "does. The clients are plain sockets that note each of their steps; both use the same clock. "
    "In the scenario `exchange` there are: a client that is late with its first message; two at "
    "once, of which the first says nothing; a message larger than the socket's buffers; a peer "
    "that half-closes and reads the rest; and one that resets.",
    "In the drawing the process is on the left, the kernel in the middle and the clients on the "
    "right; time goes down. A call that takes long is drawn from where it begins to where it "
    "returns. In the gutter `W` marks the waiting phase and `C` the copying phase of a message. "
    "Idle time is cut out, and what is repeated is folded: busy polling finds nothing some "
    "thousand times.",
    "The terms are those of W. R. Stevens, UNIX Network Programming, vol. 1, section 6.2; the "
    "figures are drawn from measurement. Tracing costs each call about as long as reading the "
    "clock twice.",
    "Colour is used on a terminal only, and not if NO_COLOR is set.",
    NULL};

static const struct cmd_exit exits[] = {
    {STATUS_DONE, "Everything was recorded, drawn and written."},
    {STATUS_FAILED, "A server or client failed, or a file could not be written."},
    {STATUS_USAGE, "Wrong usage, a MODEL that cannot run here, or no document in FILE."},
    {0, NULL}};

static const struct cmd_example examples[] = {
    {"pollux explain blocking epoll io_uring", "How three models receive the same messages."},
    {"pollux explain --html models.html", "All models of this machine, to be played step by step."},
    {"pollux explain --scenario buffer blocking epoll",
     "Who waits in a write that is larger than the free buffer."},
    {"pollux serve --trace run.json & ...; pollux explain --from run.json",
     "Draw what a real server did last."},
    {NULL, NULL}};

const struct cmd cmd_explain = {
    .name = "explain",
    .summary = "draw what each I/O model really does, from a run",
    .args = "[MODEL]...",
    .max_args = OPT_LIST_MAX,
    .options = options,
    .description = description,
    .exits = exits,
    .examples = examples,
    .see_also = "pollux(1), pollux-models(1), pollux-serve(1), pollux-compare(1)",
    .values_size = sizeof(struct explain_values),
    .run = run,
};
