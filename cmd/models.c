/* SPDX-License-Identifier: MIT */
/*
 * pollux models: the table of models, and which of them run here. Nothing is guessed: every row is
 * set up for real and taken down again, because what a kernel's version promises a sysctl, a
 * seccomp filter or a limit may take back.
 */
#include "cmd/cmd.h"
#include "cmd/text.h"

#include <jansson.h>
#include <pollux/pollux.h>
#include <stdio.h>
#include <string.h>

#define SCHEMA_VERSION 1

struct models_values {
    const char *json;
};

static const struct opt options[] = {
    {.name = "json",
     .kind = OPT_TEXT,
     .flags = OPT_OPTIONAL | OPT_FILE,
     .offset = offsetof(struct models_values, json),
     .arg = "FILE",
     .implied = "-",
     .help = "Write one JSON document instead of the table, to `FILE` or to standard output."},
    {0}};

struct capability {
    unsigned bit;
    const char *name;
};

static const struct capability capabilities[] = {
    {PLX_CAP_POST, "post"},
    {PLX_CAP_WATCH, "watch"},
    {PLX_CAP_CONCURRENT, "concurrent"},
    {PLX_CAP_EXCLUSIVE, "exclusive"},
    {PLX_CAP_ISOLATED, "isolated"},
    {PLX_CAP_STALL, "stall"},
    {PLX_CAP_CONNECT, "connect"},
    {PLX_CAP_SHARED, "shared"},
};

/* ---- the table ---- */

#define COLUMN_RUNS   14
#define COLUMN_WAITS  20
#define COLUMN_COPIES 38
#define COLUMN_TEXT   56

static void print_note(const char *label, const char *text)
{
    int n;

    if (text[0] == '\0')
        return;
    n = printf("%*s%s: ", COLUMN_RUNS, "", label);
    text_wrap(text, (size_t)n, (size_t)n, TEXT_TABLE_WIDTH);
}

static void print_row(const struct plx_model *model)
{
    struct plx_why why = {"", ""};
    int rc = plx_model_probe(model, &why);
    bool choice = strcmp(model->name, "auto") == 0; /* has no phases of its own */
    int n =
        printf("%-*s%-*s%-*s%-*s", COLUMN_RUNS, model->name, COLUMN_WAITS - COLUMN_RUNS,
               rc < 0 ? "no" : "yes", COLUMN_COPIES - COLUMN_WAITS, choice ? "" : model->waits_in,
               COLUMN_TEXT - COLUMN_COPIES, choice ? "" : model->copies_in);

    text_wrap(model->summary, (size_t)n, COLUMN_TEXT, TEXT_TABLE_WIDTH);
    print_note("limits", model->limits);
    if (rc < 0) {
        print_note("why not", why.reason[0] != '\0' ? why.reason : plx_error_text(rc));
        print_note("remedy", why.remedy);
    }
}

static int print_table(void)
{
    const struct plx_model *model;

    printf("%-*s%-*s%-*s%-*s%s\n", COLUMN_RUNS, "MODEL", COLUMN_WAITS - COLUMN_RUNS, "RUNS",
           COLUMN_COPIES - COLUMN_WAITS, "WAITS IN", COLUMN_TEXT - COLUMN_COPIES, "COPIES IN",
           "WHAT IT IS");
    for (size_t i = 0; (model = plx_model_at(i)) != NULL; i++)
        print_row(model);
    printf("\nauto takes %s on this machine.\n", plx_model_auto(NULL, NULL)->name);
    return STATUS_DONE;
}

/* ---- JSON ---- */

static json_t *json_row(const struct plx_model *model)
{
    struct plx_why why = {"", ""};
    int rc = plx_model_probe(model, &why);
    json_t *caps = json_array();

    for (size_t i = 0; i < sizeof capabilities / sizeof *capabilities; i++) {
        if ((model->caps & capabilities[i].bit) != 0)
            json_array_append_new(caps, json_string(capabilities[i].name));
    }
    return json_pack("{s:s, s:b, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:o}", "name",
                     model->name, "runs", rc == 0, "error", rc < 0 ? plx_error_name(rc) : "",
                     "reason", why.reason, "remedy", why.remedy, "engine", model->engine,
                     "waits_in", model->waits_in, "copies_in", model->copies_in, "summary",
                     model->summary, "limits", model->limits, "max_connections",
                     (int)model->max_connections, "capabilities", caps);
}

static int print_json(const char *file)
{
    const struct plx_model *model;
    json_t *rows = json_array();

    for (size_t i = 0; (model = plx_model_at(i)) != NULL; i++)
        json_array_append_new(rows, json_row(model));
    return cmd_json(&cmd_models, file,
                    json_pack("{s:i, s:s, s:s, s:o}", "schema_version", SCHEMA_VERSION, "version",
                              PLX_VERSION, "auto", plx_model_auto(NULL, NULL)->name, "models",
                              rows));
}

static int run(const void *arg, const struct opt_list *args)
{
    const struct models_values *values = arg;

    (void)args;
    return values->json != NULL ? print_json(values->json) : print_table();
}

static const char *const description[] = {
    "Lists the I/O models that Pollux knows and says for each whether it runs on this machine.",
    "Nothing is guessed from a version: each model is set up for real and taken down again. Where "
    "one cannot run, the reason is given, and the remedy if there is one: a kernel setting, a "
    "limit, or another system.",
    "An input operation has two phases: the process waits until data is there, and the data is "
    "copied to the process. `WAITS IN` and `COPIES IN` name the call in which each model spends "
    "them.",
    NULL};

static const struct cmd_exit exits[] = {{STATUS_DONE, "The table was printed, whatever it says."},
                                        {STATUS_FAILED, "The output could not be written."},
                                        {STATUS_USAGE, "Wrong usage."},
                                        {0, NULL}};

static const struct cmd_example examples[] = {
    {"pollux models", "Which models run here, and why the others do not."},
    {"pollux models --json | jq -r '.models[] | select(.runs) | .name'",
     "The names of those that run."},
    {NULL, NULL}};

const struct cmd cmd_models = {
    .name = "models",
    .summary = "list the I/O models and say which run on this machine",
    .args = "",
    .options = options,
    .description = description,
    .exits = exits,
    .examples = examples,
    .see_also = "pollux(1), pollux-serve(1), pollux-check(1)",
    .values_size = sizeof(struct models_values),
    .run = run,
};
