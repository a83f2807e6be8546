/* SPDX-License-Identifier: MIT */
/*
 * `pollux connect`: standard input to a server, its answers to standard output. This file has the
 * command itself and what its two ways share; connect_loop.c waits for both directions at once,
 * connect_threads.c has a thread for each.
 */
#include "cmd/connect.h"
#include "cmd/proc.h"

#include <errno.h>
#include <poll.h>
#include <pollux/pollux.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

ssize_t connect_read(struct connect_input *in, char *buf, size_t cap)
{
    ssize_t n = read(STDIN_FILENO, buf, cap);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    if (n == 0)
        in->over = true;
    for (ssize_t i = 0; in->stops_on_empty && i < n; i++) {
        if (buf[i] == '\n' && !in->in_line) {
            in->over = true;
            return i;
        }
        in->in_line = buf[i] != '\n';
    }
    return n;
}

int connect_write(const void *p, size_t n)
{
    const char *from = p;
    while (n > 0) {
        ssize_t w = write(STDOUT_FILENO, from, n);
        if (w >= 0) {
            from += w;
            n -= (size_t)w;
        } else if (errno == EAGAIN) {
            /* Somebody else made it non-blocking. There is nothing to do but to wait for it: as
             * long as our reader does not read, TCP is to hold the server back. */
            poll(&(struct pollfd){.fd = STDOUT_FILENO, .events = POLLOUT}, 1, -1);
        } else if (errno != EINTR) {
            return -errno;
        }
    }
    return 0;
}

int connect_refused(const struct connect_job *job, int err)
{
    const char *remedy = "";
    if (err == -ECONNREFUSED)
        remedy = "; is a server listening there?";
    else if (err == -ENOENT)
        remedy = "; no server has made that socket";
    int status = err == -ETIMEDOUT ? STATUS_TIMEOUT : STATUS_FAILED;
    return cmd_fail(&cmd_connect, status, "cannot connect to %s: %s%s", job->text,
                    plx_error_text(err), remedy);
}

int connect_cut(bool early, int err)
{
    if (err == -ETIMEDOUT)
        return cmd_fail(&cmd_connect, STATUS_TIMEOUT, "the network no longer reaches the server");
    if (early) {
        fputs("Server terminated prematurely\n", stderr);
        return STATUS_CUT;
    }
    return cmd_fail(&cmd_connect, STATUS_CUT, "the server broke the connection: %s",
                    plx_error_text(err));
}

int connect_silent(const struct connect_job *job)
{
    char time[UNIT_TEXT];
    return cmd_fail(&cmd_connect, STATUS_TIMEOUT, "nothing moved for %s (--timeout)",
                    unit_format(UNIT_TIME, job->values->timeout_ns, time, sizeof(time)));
}

int connect_input_failed(int err)
{
    return cmd_fail(&cmd_connect, STATUS_FAILED, "standard input: %s", plx_error_text(err));
}

int connect_output_failed(int err)
{
    /* A reader that has seen enough (`| head -1`) is no error to talk about. */
    if (err == -EPIPE)
        return STATUS_FAILED;
    return cmd_fail(&cmd_connect, STATUS_FAILED, "standard output: %s", plx_error_text(err));
}

/* The models that wait for their connections and for other descriptors on one thread, and the way
 * with two threads. */
static const char *choice(size_t i)
{
    const unsigned need = PLX_CAP_CONNECT | PLX_CAP_WATCH | PLX_CAP_POST;
    const char *name;
    for (size_t row = 0; (name = cmd_choice_model(row)); row++) {
        const struct plx_model *m = plx_model_find(name);
        bool able = strcmp(name, "auto") == 0 || strcmp(name, "threads") == 0 ||
                    (m && (m->caps & need) == need);
        if (able && i-- == 0)
            return name;
    }
    return NULL;
}

static int run(const void *values, const struct opt_list *args)
{
    struct connect_job job = {.values = values, .text = args->item[0]};
    struct plx_why why = {.reason = ""};
    /* A reader that goes away is an error of write(2), not the end of the process. */
    signal(SIGPIPE, SIG_IGN);
    job.model = choice((size_t)job.values->model);
    job.naddrs = plx_addr_parse(job.text, job.addrs, CONNECT_ADDRS, &why);
    if (job.naddrs < 0)
        return cmd_fail_why(&cmd_connect, STATUS_USAGE, job.naddrs, &why);
    return strcmp(job.model, "threads") == 0 ? connect_threads(&job) : connect_loop(&job);
}

static const struct opt options[] = {
    {.name = "model",
     .kind = OPT_CHOICE,
     .arg = "MODEL",
     .value = "poll",
     .choice = choice,
     .offset = offsetof(struct connect_values, model),
     .help = "How to wait for standard input and the socket at once. With `threads` a second "
             "thread prints the answers."},
    {.name = "timeout",
     .brief = 't',
     .kind = OPT_TIME,
     .arg = "TIME",
     .min = PLX_MSEC,
     .max = 24 * 3600 * PLX_SECOND,
     .offset = offsetof(struct connect_values, timeout_ns),
     .help = "Give up when connecting takes so long (10s without this option), when the server "
             "takes nothing of what waits to be sent for so long, or when nothing moves for so "
             "long after the end of the input. While there is input to come the server may be "
             "silent for ever."},
    {.name = "quit-on-empty-line",
     .brief = 'q',
     .kind = OPT_FLAG,
     .offset = offsetof(struct connect_values, quit_on_empty),
     .help = "An empty line ends the input, as the end of a file does. It is not sent."},
    {0}};

static const char *const description[] = {
    "Connects to a server, sends it what comes from standard input, and prints what it answers. "
    "Both are waited for at the same time: an answer is printed when it arrives, and the end of "
    "the server is noticed at once, even while nobody types.",
    "At the end of the input the sending direction is closed (a half-close); what the server still "
    "has to say is printed until it closes too, and the exit status is 0. If the server closes or "
    "resets the connection while there is input to come, `Server terminated prematurely` is "
    "printed on standard error and the exit status is 3. Standard input may be a terminal, a pipe, "
    "a file, /dev/null, or closed, which counts as empty.",
    "ADDR is `HOST:PORT`, `[::1]:PORT`, `:PORT` for this machine, or `unix:PATH`. The addresses of "
    "a host name are tried in turn.",
    "Nothing is read from standard input while the server does not take what was read before, and "
    "nothing from the server while standard output is blocked; memory stays bounded either way. "
    "Bytes are passed on as they are, in both directions.",
    NULL};

static const struct cmd_exit exits[] = {
    {STATUS_DONE, "All input was sent, and the server closed after its last answer."},
    {STATUS_FAILED, "Could not connect; or standard input or output failed."},
    {STATUS_USAGE, "Wrong usage, an unknown host, or a model that cannot run here."},
    {STATUS_CUT, "The server reset the connection, or terminated prematurely."},
    {STATUS_TIMEOUT, "Timed out."},
    {0, NULL}};

static const struct cmd_example examples[] = {
    {"pollux connect :7000", "Talks to a server on this machine, line by line."},
    {"pollux connect [::1]:7000 < request > answer", "Sends a file and keeps the answer."},
    {"pollux connect --timeout 5s time.example.org:13 < /dev/null",
     "Asks a daytime server, for at most five seconds."},
    {NULL, NULL}};

const struct cmd cmd_connect = {
    .name = "connect",
    .summary = "send standard input to a server and print its answers",
    .args = "ADDR",
    .min_args = 1,
    .max_args = 1,
    .arg_flags = OPT_ADDR,
    .options = options,
    .description = description,
    .exits = exits,
    .examples = examples,
    .see_also = "pollux-serve(1), pollux-models(1), poll(2), nc(1)",
    .values_size = sizeof(struct connect_values),
    .run = run,
};
