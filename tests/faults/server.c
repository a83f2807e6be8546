/* SPDX-License-Identifier: MIT */
/*
 * The child: the server under test, on a thread of its own, told what to do over a socket by the
 * process of the clients. It looks for what the library has left behind in it, and ends by exit(),
 * so that LeakSanitizer looks too. Nothing here goes through the seam but the library.
 */
#include "faults.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

void trouble(const char *fmt, ...)
{
    va_list ap;
    if (shared->trouble[0])
        return; /* the first is the cause */
    va_start(ap, fmt);
    vsnprintf(shared->trouble, sizeof(shared->trouble), fmt, ap);
    va_end(ap);
}

/* ---- what is left behind ---- */

static bool aio_helpers;

static int entries(const char *path)
{
    int n = 0;
    DIR *d = opendir(path);
    if (!d)
        return -1;
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

/* The library names its threads plx-... The helpers of glibc's AIO end by themselves a second
 * later, and until then have the name of the thread that needed them first. */
static int threads(void)
{
    const char *ours = aio_helpers ? "plx-lookout" : "plx-";
    int n = 0;
    DIR *d = opendir("/proc/self/task");
    for (struct dirent *e; d && (e = readdir(d));) {
        char path[300], name[32] = "";
        snprintf(path, sizeof(path), "/proc/self/task/%s/comm", e->d_name);
        FILE *f = fopen(path, "re");
        if (f && fgets(name, sizeof(name), f) && strncmp(name, ours, strlen(ours)) == 0)
            n++;
        if (f)
            fclose(f);
    }
    if (d)
        closedir(d);
    return n;
}

static void look_for_leaks(const char *when, int descriptors)
{
    int64_t until = clock_now() + PLX_SECOND; /* what is in the act of ending has this long */
    while (entries("/proc/self/fd") != descriptors || threads() > 0) {
        if (clock_now() > until) {
            trouble("%s: %d descriptors instead of %d, %d threads instead of 0", when,
                    entries("/proc/self/fd"), descriptors, threads());
            return;
        }
        nanosleep(&(struct timespec){.tv_nsec = MS(2)}, NULL);
    }
    if (waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD)
        trouble("%s: a process is left", when);
    shared->leaked = track_left();
    if (shared->leaked)
        trouble("%s: %zu allocations are left", when, shared->leaked);
}

/* ---- the server ---- */

static void on_end(void *arg)
{
    (void)arg;
    atomic_store(&shared->ended, true);
}

static void on_log(void *arg, enum plx_level level, const char *line)
{
    (void)arg;
    (void)level;
    if (!line || !*line || strchr(line, '\n'))
        trouble("a line of the log that is empty or several");
}

static int start(const char *model, const struct plx_addr *backend, struct plx_server **out)
{
    static const char *const listen[] = {"127.0.0.1:0"};
    struct plx_server_config config = {
        .loop = {.model = model,
                 .pool_size = 3,
                 .limits = {.high_water = 65536,
                            .idle_ns = 4 * PLX_SECOND,
                            .write_ns = 4 * PLX_SECOND,
                            .linger_ns = PLX_SECOND},
                 .log = {.fn = on_log, .level = PLX_LOG_INFO}},
        .handler = &serving_handler,
        .listen = listen,
        .nlisten = 1,
        .max_per_ip = 100,
        .on_end = on_end,
    };
    struct plx_why why = {{0}, {0}};
    int rc = plx_server_open(&config, out, &why);
    if (rc < 0) {
        if (!shared->why[0])
            snprintf(shared->why, sizeof(shared->why), "%s", why.reason);
        if (!why.reason[0])
            trouble("the start failed with %s, and no reason", plx_error_name(rc));
        return rc;
    }
    outgoing_open(plx_server_loop(*out, 0), backend);
    rc = plx_server_start(*out);
    if (rc < 0) {
        outgoing_close();
        plx_server_close(*out);
    }
    return rc;
}

/* A start that failed leaves nothing behind, and the next one succeeds. */
static void start_or_again(const char *model, const struct plx_addr *backend,
                           struct plx_server **out, int descriptors)
{
    int rc = start(model, backend, out);
    shared->start_rc = rc;
    if (rc < 0) {
        atomic_store(&shared->armed, false);
        look_for_leaks("after a start that failed", descriptors);
        rc = start(model, backend, out);
    }
    atomic_store(&shared->serving, true);
    if (rc < 0) {
        trouble("no start without a fault: %s (%s)", plx_error_name(rc), shared->why);
        exit(0);
    }
    (void)plx_server_address(*out, 0, &shared->addr);
}

static void end(struct plx_server *s)
{
    plx_server_drain(s);
    shared->end_rc = plx_server_wait(s, PATIENCE);
    if (shared->end_rc == -ETIMEDOUT)
        trouble("the drain did not end");
    plx_server_stats(s, &shared->stats);
    plx_server_stop(s);
    (void)plx_server_wait(s, PATIENCE);
    outgoing_close();
    plx_server_close(s);
}

_Noreturn void server_main(const char *model, int control, const struct plx_addr *backend)
{
    struct plx_server *s = NULL;
    char what = 0;
    int descriptors = entries("/proc/self/fd");
    aio_helpers = strcmp(model, "posix-aio") == 0;
    plx__seam_set(shared->plan.chaos ? chaos_table(model) : inject_table());
    start_or_again(model, backend, &s, descriptors);
    if (send(control, "r", 1, MSG_NOSIGNAL) != 1)
        exit(1);
    while (recv(control, &what, 1, 0) == 1 && what != 'd') {
        if (what == 'a')
            outgoing_begin(plx_server_loop(s, 0));
        if (what == 's')
            plx_server_stats(s, &shared->stats);
        if (send(control, "r", 1, MSG_NOSIGNAL) != 1)
            exit(1);
    }
    end(s);
    look_for_leaks("at the end", descriptors);
    (void)!send(control, "r", 1, MSG_NOSIGNAL);
    close(control);
    exit(0);
}
