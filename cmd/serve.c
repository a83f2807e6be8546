/* SPDX-License-Identifier: MIT */
/*
 * pollux serve. The connections are the workers' business; the main thread runs a control loop
 * with everything else: signals, the limit of a polite end, the counters. The control loop's model
 * is always poll, so that it works the same whatever the workers run.
 *
 *   starting --ready--> serving --SIGTERM, SIGINT--> draining --last connection--> ended
 *                                                    draining --second signal, limit--> cut -->
 * ended
 *
 * The server's last worker ends the control loop from on_end().
 */
#include "cmd/serve.h"

#include "cmd/cmd.h"
#include "cmd/log.h"
#include "cmd/port_file.h"
#include "cmd/serve_stats.h"
#include "cmd/serve_trace.h"
#include "cmd/services/service.h"

#include <errno.h>
#include <pollux/pollux.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Descriptors that are not connections: standard streams, listeners, the loops' own. */
#define DESCRIPTORS_BESIDES 64

struct serve {
    const struct serve_values *values;
    const struct plx_model *model;
    struct service_config service;
    struct plx_handler handler;
    struct log log;
    struct plx_server *server;
    /* Where signals and timers are: a loop of its own, or, of a single worker on whose loop the
     * connections are, the worker's. Then the process has one thread, and system calls cost less.
     */
    struct plx_loop *control;
    bool alone;
    struct port_file port_file;
    struct serve_trace trace;
    bool draining, stopping;
    uint64_t cut; /* connections that were open when the end stopped being polite */
};

/* ---- what runs on the control loop ---- */

static void cut_off(struct serve *s, const char *why)
{
    struct plx_stats stats;

    if (s->stopping)
        return;
    s->stopping = true;
    plx_server_stats(s->server, &stats);
    s->cut = stats.open;
    log_print(&s->log, PLX_LOG_WARN, "%s: cutting %llu connections", why,
              (unsigned long long)s->cut);
    plx_server_stop(s->server);
}

static void on_limit(void *arg)
{
    cut_off(arg, "the time for a polite end is over");
}

static void on_end_signal(int signo, void *arg)
{
    struct serve *s = arg;

    if (s->draining) {
        cut_off(s, "second signal");
        return;
    }
    s->draining = true;
    log_print(&s->log, PLX_LOG_INFO, "%s: draining", signo == SIGTERM ? "SIGTERM" : "SIGINT");
    plx_server_drain(s->server);
    if (s->values->drain != PLX_OFF &&
        plx_timer_start(s->control, s->values->drain, 0, on_limit, s, NULL) < 0)
        cut_off(s, "no memory for a polite end");
}

static void on_hangup(int signo, void *arg)
{
    struct serve *s = arg;
    int rc = log_reopen(&s->log);

    (void)signo;
    if (rc < 0)
        log_print(&s->log, PLX_LOG_ERROR, "--log-file %s: %s; the old file stays in use",
                  s->log.path, plx_error_text(rc));
}

static void on_stats(void *arg)
{
    struct serve *s = arg;

    serve_stats_print(s->server, false);
}

static void on_stats_signal(int signo, void *arg)
{
    (void)signo;
    on_stats(arg);
}

static void on_trace_signal(int signo, void *arg)
{
    struct serve *s = arg;
    int rc = serve_trace_write(&s->trace);

    (void)signo;
    if (rc < 0)
        cmd_fail(&cmd_serve, 0, "--trace %s: %s", s->trace.path, plx_error_text(rc));
}

static void on_server_end(void *arg)
{
    plx_loop_stop(arg);
}

/* ---- start ---- */

static int check_values(const struct serve_values *v)
{
    char low[UNIT_TEXT];
    char high[UNIT_TEXT];

    if (v->suffix != NULL && strcmp(service_name((size_t)v->service), "upper") != 0)
        return cmd_fail(&cmd_serve, STATUS_USAGE,
                        "--suffix is for --service upper; the service is %s",
                        service_name((size_t)v->service));
    if ((v->offload || v->offload_threads > 0) &&
        strcmp(service_name((size_t)v->service), "slow") != 0)
        return cmd_fail(&cmd_serve, STATUS_USAGE,
                        "--offload and --offload-threads are for --service slow; the service is %s",
                        service_name((size_t)v->service));
    if (v->offload_threads > 0 && !v->offload)
        return cmd_fail(&cmd_serve, STATUS_USAGE, "--offload-threads is for --offload");
    if (v->own_descriptors && v->log_file != NULL)
        return cmd_fail(&cmd_serve, STATUS_USAGE,
                        "--own-descriptors and --log-file contradict each other: a worker would "
                        "not see the new file after SIGHUP; log to standard error");
    if (v->low_water >= v->high_water)
        return cmd_fail(&cmd_serve, STATUS_USAGE, "--low-water %s must be below --high-water %s",
                        unit_format(UNIT_SIZE, v->low_water, low, sizeof low),
                        unit_format(UNIT_SIZE, v->high_water, high, sizeof high));
    return STATUS_DONE;
}

struct auto_choice {
    const char *took;
    unsigned passed;
};

static void passed_over(const struct plx_model *model, const struct plx_why *why, void *arg)
{
    struct auto_choice *choice = arg;
    bool remedy = why->remedy[0] != '\0';

    choice->passed++;
    fprintf(stderr, "pollux: model auto: took %s; passed over %s: %s%s%s%s\n", choice->took,
            model->name, why->reason, remedy ? " (" : "", why->remedy, remedy ? ")" : "");
}

/* Only auto chooses: a model that was named and cannot run is an error. */
static int choose_model(struct serve *s)
{
    const char *name = cmd_choice_model((size_t)s->values->model);
    struct plx_why why = {"", ""};
    int rc;

    if (strcmp(name, "auto") == 0) {
        s->model = plx_model_auto(NULL, NULL);
        return STATUS_DONE;
    }
    s->model = plx_model_find(name);
    rc = plx_model_probe(s->model, &why);
    if (rc == 0)
        return STATUS_DONE;
    return cmd_fail(&cmd_serve, STATUS_USAGE, "--model %s cannot run here: %s%s%s", name,
                    why.reason[0] != '\0' ? why.reason : plx_error_text(rc),
                    why.remedy[0] != '\0' ? "; " : "", why.remedy);
}

/* Said once it serves, so that a start that fails for another reason is one line. The choice is
 * gone through again, because each line names what was taken in the end. */
static void explain_auto(const struct serve *s)
{
    struct auto_choice choice = {.took = s->model->name};

    if (strcmp(cmd_choice_model((size_t)s->values->model), "auto") != 0)
        return;
    plx_model_auto(passed_over, &choice);
    if (choice.passed == 0)
        fprintf(stderr, "pollux: model auto: took %s\n", choice.took);
}

/* A server is what the hard limit on descriptors is meant for; the soft one (1024) is for programs
 * that use select(2). */
static void raise_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit); /* warn_of_descriptors() looks at the outcome */
    }
}

static void warn_of_descriptors(const struct serve *s)
{
    int64_t most = s->values->max_connections;
    struct rlimit limit;
    char asked[UNIT_TEXT];

    /* Isolated connections have a process each, and with it descriptors of their own. */
    if (s->values->own_descriptors && most != PLX_OFF)
        most /= s->values->workers;
    if (most == PLX_OFF || (s->model->caps & PLX_CAP_ISOLATED) != 0 ||
        getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY ||
        (rlim_t)most + DESCRIPTORS_BESIDES <= limit.rlim_cur)
        return;
    fprintf(stderr,
            "pollux: warning: --max-connections %s is more than the limit of %llu descriptors "
            "allows; raise it with ulimit -n\n",
            unit_format(UNIT_COUNT, most, asked, sizeof asked), (unsigned long long)limit.rlim_cur);
}

static int64_t zero_if_off(int64_t value)
{
    return value == PLX_OFF ? 0 : value;
}

static struct plx_server_config config_of(struct serve *s, const char *const *listen,
                                          size_t nlisten)
{
    const struct serve_values *v = s->values;

    return (struct plx_server_config){
        .loop = {.model = s->model->name,
                 .limits = {.high_water = (size_t)v->high_water,
                            .low_water = (size_t)v->low_water,
                            .idle_ns = v->idle_timeout,
                            .write_ns = v->write_timeout},
                 .log = log_sink(&s->log),
                 .trace = s->trace.trace,
                 .pool_size = (unsigned)v->pool_size,
                 .pool_queue = (unsigned)v->pool_queue,
                 .poll_pause_ns = zero_if_off(v->poll_pause),
                 .tick_ns = zero_if_off(v->tick),
                 .offload_threads = (unsigned)v->offload_threads,
                 .warn_blocked_ns = zero_if_off(v->warn_blocked)},
        .handler = &s->handler,
        .listen = listen,
        .nlisten = nlisten,
        .workers = (unsigned)v->workers,
        .accept = (enum plx_accept)v->accept,
        .own_descriptors = v->own_descriptors,
        .backlog = (int)v->backlog,
        .max_connections = v->max_connections,
        .max_per_ip = v->max_per_ip,
        .on_end = s->alone ? NULL : on_server_end,
        .on_end_arg = s->control,
    };
}

static int open_control(struct serve *s)
{
    struct plx_loop_config config = {.model = "poll", .log = log_sink(&s->log)};
    struct plx_why why = {"", ""};
    int rc = plx_loop_open(&config, &s->control, &why);

    return rc < 0 ? cmd_fail_why(&cmd_serve, STATUS_USAGE, rc, &why) : STATUS_DONE;
}

static int watch_signals(struct serve *s)
{
    int rc = plx_signal_start(s->control, SIGTERM, on_end_signal, s, NULL);

    if (rc == 0)
        rc = plx_signal_start(s->control, SIGINT, on_end_signal, s, NULL);
    if (rc == 0)
        rc = plx_signal_start(s->control, SIGHUP, on_hangup, s, NULL);
    if (rc == 0)
        rc = plx_signal_start(s->control, SIGUSR1, on_stats_signal, s, NULL);
    if (rc == 0 && s->trace.path != NULL)
        rc = plx_signal_start(s->control, SIGUSR2, on_trace_signal, s, NULL);
    if (rc == 0 && s->values->stats != PLX_OFF)
        rc = plx_timer_start(s->control, s->values->stats, s->values->stats, on_stats, s, NULL);
    if (rc < 0)
        return cmd_fail(&cmd_serve, STATUS_USAGE, "control loop: %s", plx_error_text(rc));
    return STATUS_DONE;
}

static int open_server(struct serve *s, const struct opt_list *args)
{
    const char *listen[OPT_LIST_MAX + 1];
    size_t n = 0;
    struct plx_why why = {"", ""};
    int rc;

    for (size_t i = 0; i < s->values->listen.n; i++)
        listen[n++] = s->values->listen.item[i];
    for (size_t i = 0; i < args->n; i++)
        listen[n++] = args->item[i];
    if (n == 0)
        listen[n++] = "127.0.0.1:0";

    struct plx_server_config config = config_of(s, listen, n);
    rc = plx_server_open(&config, &s->server, &why);
    if (rc < 0)
        return cmd_fail_why(&cmd_serve, STATUS_USAGE, rc, &why);
    if (s->alone) {
        s->control = plx_server_loop(s->server, 0);
        return STATUS_DONE;
    }
    rc = plx_server_start(s->server);
    if (rc < 0)
        return cmd_fail(&cmd_serve, STATUS_USAGE, "cannot start %lld worker threads: %s",
                        (long long)s->values->workers, plx_error_text(rc));
    return STATUS_DONE;
}

/* Says on standard output, and in the port file, where the server listens. */
static int announce(struct serve *s)
{
    char *text = NULL;
    size_t len = 0;
    FILE *lines = open_memstream(&text, &len);
    struct plx_addr addr;
    char name[PLX_ADDR_TEXT];
    int rc = 0;

    if (lines == NULL)
        return cmd_fail(&cmd_serve, STATUS_USAGE, "out of memory");
    for (size_t i = 0; plx_server_address(s->server, i, &addr) == 0; i++) {
        plx_addr_format(&addr, name, sizeof name);
        fprintf(lines, "pollux: listening on %s model=%s workers=%lld pid=%ld\n", name,
                s->model->name, (long long)s->values->workers, (long)getpid());
        log_print(&s->log, PLX_LOG_INFO, "listening on %s, backlog %d", name,
                  plx_server_backlog(s->server));
    }
    if (fclose(lines) == EOF) {
        free(text);
        return cmd_fail(&cmd_serve, STATUS_USAGE, "out of memory");
    }
    if (s->values->port_file != NULL &&
        (rc = port_file_write(&s->port_file, s->values->port_file, text)) < 0) {
        cmd_fail(&cmd_serve, STATUS_USAGE, "--port-file %s: %s", s->values->port_file,
                 plx_error_text(rc));
    } else if (fputs(text, stdout) == EOF || fflush(stdout) == EOF) {
        rc = -errno;
        cmd_fail(&cmd_serve, STATUS_USAGE, "standard output: %s", plx_error_text(rc));
    }
    free(text);
    return rc < 0 ? STATUS_USAGE : STATUS_DONE;
}

static int start(struct serve *s, const struct opt_list *args)
{
    const struct serve_values *v = s->values;
    int status = check_values(v);
    int rc;

    if (status == STATUS_DONE)
        status = choose_model(s);
    if (status != STATUS_DONE)
        return status;
    s->service.suffix = v->suffix != NULL ? v->suffix : "";
    s->service.suffix_len = strlen(s->service.suffix);
    s->service.offload = v->offload;
    s->handler = *service_at((size_t)v->service)->handler;
    s->handler.user = &s->service;
    rc = log_open(&s->log);
    if (rc < 0)
        return cmd_fail(&cmd_serve, STATUS_USAGE, "--log-file %s: %s", v->log_file,
                        plx_error_text(rc));
    rc = serve_trace_open(&s->trace, v->trace, v->trace_events, s->model);
    if (rc < 0)
        return cmd_fail(&cmd_serve, STATUS_USAGE, "--trace %s: %s", v->trace, plx_error_text(rc));
    raise_descriptors();
    s->alone = v->workers == 1 && (s->model->caps & PLX_CAP_CONCURRENT);
    if (!s->alone)
        status = open_control(s);
    if (status == STATUS_DONE)
        status = open_server(s, args);
    if (status == STATUS_DONE)
        status = watch_signals(s);
    if (status != STATUS_DONE)
        return status;
    explain_auto(s);
    warn_of_descriptors(s);
    return announce(s);
}

/* ---- the whole ---- */

static int serve(struct serve *s)
{
    int rc = s->alone ? 0 : plx_loop_run(s->control);

    if (rc < 0) {
        plx_server_stop(s->server);
        cmd_fail(&cmd_serve, STATUS_FAILED, "control loop: %s", plx_error_text(rc));
    }
    int ended = s->alone ? plx_server_run(s->server) : plx_server_wait(s->server, PLX_FOREVER);
    if (ended < 0)
        cmd_fail(&cmd_serve, STATUS_FAILED, "model %s failed: %s", s->model->name,
                 plx_error_text(ended));
    if (s->values->stats != PLX_OFF)
        serve_stats_print(s->server, true);
    if (s->cut > 0)
        cmd_fail(&cmd_serve, STATUS_FAILED, "%llu connections were cut at the end",
                 (unsigned long long)s->cut);
    return rc < 0 || ended < 0 || s->cut > 0 ? STATUS_FAILED : STATUS_DONE;
}

/*
 * The signals that the control loop is to get are blocked while the server starts, and the worker
 * threads inherit that mask. Were a signal open in a worker too, the kernel might deliver it there
 * and interrupt a wait of the model under test for nothing. Two kinds stay open: errors of the
 * program itself (SIGSEGV and the like), so that they are reported by whoever watches for them, and
 * real-time signals, of which signal-driven I/O looks for one that nobody uses.
 */
static void block_signals(sigset_t *old)
{
    static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP};
    sigset_t all;

    sigfillset(&all);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        sigdelset(&all, own[i]);
    pthread_sigmask(SIG_SETMASK, &all, old);
}

/* Who asks to be warned is to see it. */
static enum plx_level console_level(const struct serve_values *v)
{
    bool warns = v->warn_blocked != PLX_OFF && v->log_level < PLX_LOG_WARN;

    return warns ? PLX_LOG_WARN : (enum plx_level)v->log_level;
}

int serve_run(const void *values, const struct opt_list *args)
{
    const struct serve_values *v = values;
    struct serve s = {.values = v,
                      .log = {.console = console_level(v),
                              .file = (enum plx_level)v->log_file_level,
                              .path = v->log_file,
                              .fd = -1}};
    sigset_t old;
    int status;

    signal(SIGPIPE, SIG_IGN); /* a reader of our output that goes away is an error, not an end */
    /* By default an end. Signal-driven I/O blocks it and takes it from the queue, where a blocked
     * signal waits although it is ignored. */
    signal(SIGIO, SIG_IGN);
    block_signals(&old);
    status = start(&s, args);
    if (status == STATUS_DONE) {
        pthread_sigmask(SIG_SETMASK, &old, NULL);
        status = serve(&s);
    }
    port_file_remove(&s.port_file);
    plx_server_close(s.server);
    if (!s.alone)
        plx_loop_close(s.control);
    if (status != STATUS_USAGE && s.trace.path != NULL) {
        int rc = serve_trace_write(&s.trace);

        if (rc < 0)
            status = cmd_fail(&cmd_serve, STATUS_FAILED, "--trace %s: %s", s.trace.path,
                              plx_error_text(rc));
    }
    serve_trace_close(&s.trace);
    log_close(&s.log);
    return status;
}
