/* SPDX-License-Identifier: MIT */
/* `pollux check`: every model that runs here, put to the test with real bytes. */
#include "cmd/check.h"
#include "cmd/interrupt.h"
#include "cmd/proc.h"
#include "cmd/random.h"

#include <errno.h>
#include <fcntl.h>
#include <pollux/pollux.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define MODELS_MAX   64
#define RANDOM_BYTES ((size_t)8 * 1024 * 1024)

/* Fixed, so that a failure can be repeated: the same bytes in the same pieces. */
#define SEED 0x706f6c6c7578u

struct check_values {
    int64_t connections, timeout_ns;
    const char *models, *json;
};

/* ---- what is sent ---- */

static unsigned char *random_bytes(size_t size)
{
    unsigned char *data = malloc(size);
    uint64_t state = SEED;
    for (size_t i = 0; data && i < size; i += sizeof(uint64_t)) {
        uint64_t r = random_next(&state);
        memcpy(data + i, &r, sizeof(r));
    }
    return data;
}

/* The whole file in memory, whatever it is: a mapping would crash the check if the file shrank
 * meanwhile, and a pipe cannot be mapped. NULL with errno. */
static unsigned char *read_file(const char *name, size_t *size)
{
    unsigned char *data = NULL;
    size_t have = 0;
    size_t cap = 0;
    ssize_t n = -1;
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    while (fd >= 0) {
        if (have == cap) {
            cap = cap ? cap * 2 : 64 * 1024;
            unsigned char *more = realloc(data, cap);
            if (!more)
                break;
            data = more;
        }
        n = read(fd, data + have, cap - have);
        if (n == 0 || (n < 0 && errno != EINTR))
            break;
        if (n > 0)
            have += (size_t)n;
    }
    int err = errno;
    if (fd >= 0)
        close(fd);
    if (n != 0) {
        free(data);
        errno = err;
        return NULL;
    }
    *size = have;
    return data;
}

static unsigned char *load_data(struct check_plan *plan)
{
    if (plan->file)
        return read_file(plan->file, &plan->size);
    plan->size = RANDOM_BYTES;
    return random_bytes(plan->size);
}

/* ---- which models ---- */

/* One name out of --models. 0, or the exit status. */
static int add_named(const char *name, const struct plx_model **models, size_t *n)
{
    const struct plx_model *m = plx_model_find(name);
    const char *near = opt_nearest(name, cmd_choice_model);
    if (strcmp(name, "auto") == 0)
        return cmd_fail(&cmd_check, STATUS_USAGE,
                        "--models: auto only chooses one of the others; name those to check");
    if (!m)
        return cmd_fail(&cmd_check, STATUS_USAGE, "--models: unknown model %s; %s%s%s", name,
                        near ? "did you mean " : "see pollux models", near ? near : "",
                        near ? "?" : "");
    for (size_t i = 0; i < *n; i++) {
        if (models[i] == m)
            return 0;
    }
    models[(*n)++] = m;
    return 0;
}

static int choose_models(const char *list, const struct plx_model **models, size_t *n)
{
    const struct plx_model *m;
    if (!list) {
        for (size_t i = 0; (m = plx_model_at(i)) && *n < MODELS_MAX; i++) {
            if (strcmp(m->name, "auto") != 0)
                models[(*n)++] = m;
        }
        return 0;
    }
    char *copy = strdup(list);
    if (!copy)
        return cmd_fail(&cmd_check, STATUS_USAGE, "out of memory");
    int status = 0;
    char *rest = copy;
    for (char *name; status == 0 && (name = strsep(&rest, ",")) && *n < MODELS_MAX;)
        status = add_named(name, models, n);
    free(copy);
    return status;
}

/* ---- the check ---- */

/* A descriptor per connection is needed here, and up to two in a server; the child inherits the
 * limit. 0, or the exit status. */
static int raise_limit(unsigned connections)
{
    struct rlimit limit;
    const rlim_t need = 2 * (rlim_t)connections + 64;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return cmd_fail(&cmd_check, STATUS_USAGE, "getrlimit: %s", plx_error_text(errno));
    if (limit.rlim_max < need)
        return cmd_fail(&cmd_check, STATUS_USAGE,
                        "--connections %u needs %llu open files, %llu are allowed; see ulimit -Hn",
                        connections, (unsigned long long)need, (unsigned long long)limit.rlim_max);
    if (limit.rlim_cur < need) {
        limit.rlim_cur = need;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
            return cmd_fail(&cmd_check, STATUS_USAGE, "setrlimit: %s", plx_error_text(errno));
    }
    return 0;
}

static int report(const struct check_plan *plan, const char *json, const struct check_outcome *o,
                  size_t n)
{
    int status = STATUS_DONE;
    if (!json || strcmp(json, "-") != 0) {
        if (check_table(plan, o, n) < 0)
            status = cmd_fail(&cmd_check, STATUS_FAILED, "out of memory");
    }
    if (json && status == STATUS_DONE)
        status = cmd_json(&cmd_check, json, check_document(plan, o, n));
    return status;
}

static int check_all(const struct check_plan *plan, const char *json,
                     const struct plx_model *const *models, size_t n)
{
    struct check_outcome *o = calloc(n, sizeof(*o));
    size_t right = 0;
    size_t unable = 0;
    if (!o)
        return cmd_fail(&cmd_check, STATUS_FAILED, "out of memory");
    for (size_t i = 0; i < n && !interrupted; i++) {
        check_model(plan, models[i], &o[i]);
        unable += o[i].unable != 0;
        right += o[i].unable == 0 && o[i].result.verdict == CHECK_OK;
    }
    int status;
    if (interrupted)
        status = cmd_fail(&cmd_check, 128 + interrupted, "interrupted: %s",
                          strsignal(interrupted)); /* as a shell reports it */
    else
        status = report(plan, json, o, n);
    if (status == STATUS_DONE && right == 0)
        status = cmd_fail(&cmd_check, STATUS_FAILED, "no model was right");
    else if (status == STATUS_DONE && right + unable < n)
        status = STATUS_FAILED;
    free(o);
    return status;
}

static int run(const void *arg, const struct opt_list *args)
{
    const struct check_values *values = arg;
    const struct plx_model *models[MODELS_MAX];
    size_t n = 0;
    struct check_plan plan = {
        .file = args->n > 0 ? args->item[0] : NULL,
        .connections = (unsigned)values->connections,
        .timeout_ns = values->timeout_ns,
        .seed = SEED,
        .progress = isatty(STDERR_FILENO),
        .interrupted = &interrupted,
    };
    int status = choose_models(values->models, models, &n);
    if (status == 0)
        status = raise_limit(plan.connections);
    if (status != 0)
        return status;
    unsigned char *data = load_data(&plan);
    if (!data)
        return cmd_fail(&cmd_check, STATUS_USAGE, "%s: %s; name a file that can be read",
                        plan.file ? plan.file : "random bytes", plx_error_text(errno));
    plan.data = data;
    interrupt_catch(false);
    status = check_all(&plan, values->json, models, n);
    free(data);
    return status;
}

/* ---- the command ---- */

static const struct opt options[] = {
    {.name = "connections",
     .brief = 'c',
     .kind = OPT_COUNT,
     .arg = "N",
     .value = "64",
     .min = 1,
     .max = 10000,
     .offset = offsetof(struct check_values, connections),
     .help = "How many connections at once. A model that serves one at a time gets one, and none "
             "gets more than its own limit (see pollux models)."},
    {.name = "models",
     .brief = 'm',
     .kind = OPT_TEXT,
     .arg = "LIST",
     .offset = offsetof(struct check_values, models),
     .help = "Check only these models: names with commas between them."},
    {.name = "timeout",
     .brief = 't',
     .kind = OPT_TIME,
     .arg = "TIME",
     .value = "30s",
     .min = 100 * PLX_MSEC,
     .max = 24 * 3600 * PLX_SECOND,
     .offset = offsetof(struct check_values, timeout_ns),
     .help = "A model has failed when nothing moves on any of its connections for so long."},
    {.name = "json",
     .kind = OPT_TEXT,
     .flags = OPT_OPTIONAL | OPT_FILE,
     .arg = "FILE",
     .implied = "-",
     .offset = offsetof(struct check_values, json),
     .help = "Write one JSON document to `FILE`, or instead of the table to standard output."},
    {0}};

static const char *const description[] = {
    "Puts every I/O model that runs on this machine to the test. For each of them a server of its "
    "own is started (pollux serve with the service echo, on a free port of the loopback "
    "interface); FILE is sent to it through many connections at once, on each in pieces of other "
    "odd sizes; every byte that comes back is compared, and so is the server's own count. Each "
    "connection half-closes after its last byte and must then see a clean end of stream, no "
    "sooner and no later. One connection in eight reads nothing until the server has stopped "
    "reading from it, or everything is sent. Without FILE, 8 MiB of pseudo-random bytes are sent, "
    "the same in every "
    "run.",
    "The table says for each model: `ok`; `WRONG`, with the connection and the offset of the first "
    "byte that differed; `FAILED`, with what happened; or `cannot run`, with the reason and, where "
    "there is one, the remedy.",
    "`PEAK MEMORY` is the largest resident set of the server, as the kernel recorded it (VmHWM in "
    "proc(5)). For a model with a process per connection it is the sum over all of them, in which "
    "a page that several share counts once (Pss), at the largest of ten looks a second.",
    "FILE is read into memory. While a terminal watches, progress is shown on standard error. "
    "Colour is used on a terminal only, and not if NO_COLOR is set. A signal that ends the check "
    "ends its servers too.",
    NULL};

static const struct cmd_exit exits[] = {
    {STATUS_DONE, "Every model that can run is right."},
    {STATUS_FAILED, "A model was wrong or failed, or none could run."},
    {STATUS_USAGE, "Wrong usage, or FILE cannot be read."},
    {130, "Interrupted by SIGINT; 129 by SIGHUP, 143 by SIGTERM."},
    {0, NULL}};

static const struct cmd_example examples[] = {
    {"pollux check", "Is every model of this machine right?"},
    {"pollux check --connections 500 --models epoll,io_uring backup.tar",
     "Two models, one real file, many clients."},
    {"pollux check --json | jq -r '.models[] | select(.verdict == \"ok\") | .name'",
     "The names of those that are."},
    {NULL, NULL}};

const struct cmd cmd_check = {
    .name = "check",
    .summary = "send a file through every I/O model and verify each byte",
    .args = "[FILE]",
    .max_args = 1,
    .arg_flags = OPT_FILE,
    .options = options,
    .description = description,
    .exits = exits,
    .examples = examples,
    .see_also = "pollux-models(1), pollux-serve(1), proc(5)",
    .values_size = sizeof(struct check_values),
    .run = run,
};
