/* SPDX-License-Identifier: MIT */
/* See server.h. The child's main thread only waits for its parent's word, in a plain read(2), so
 * that a model that cannot be reached from elsewhere is ended like the others. */
#include "cmd/explain/server.h"

#include "cmd/clock.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Small enough for the large message to pass it, so that backpressure shows. */
#define HIGH_WATER ((size_t)64 * 1024)

#define START_MS 20000 /* a loaded machine is slow */
#define DRAIN_NS (2 * PLX_SECOND)
#define END_NS   (10 * PLX_SECOND)

/* What the child says once it listens, or cannot. */
struct ready {
    int rc;
    struct plx_why why;
    struct plx_addr addr;
};

/* ---- the child ---- */

struct answer {
    char *bytes;
    size_t n; /* 0 = what came in */
};

static int on_open(struct plx_conn *c)
{
    (void)c;
    return 0;
}

static ssize_t on_data(struct plx_conn *c, const void *p, size_t n)
{
    const struct answer *a = plx_conn_handler(c)->user;
    int rc = a->n > 0 ? plx_send(c, a->bytes, a->n) : plx_send(c, p, n);

    return rc < 0 ? rc : (ssize_t)n;
}

static void on_eof(struct plx_conn *c)
{
    plx_finish(c);
}

static void serve(const struct plx_model *model, struct plx_trace *trace, size_t answer,
                  int control, int say)
{
    static const char *const listen[] = {"127.0.0.1:0"};
    struct answer a = {.bytes = calloc(1, answer + 1), .n = answer};
    struct plx_handler handler = {
        .name = "explain", .user = &a, .on_open = on_open, .on_data = on_data, .on_eof = on_eof};
    struct plx_server_config config = {
        .loop = {.model = model->name, .limits = {.high_water = HIGH_WATER}, .trace = trace},
        .handler = &handler,
        .listen = listen,
        .nlisten = 1,
        .workers = 1,
    };
    struct plx_server *server = NULL;
    struct ready r = {.rc = 0};
    char word;

    r.rc = a.bytes != NULL ? plx_server_open(&config, &server, &r.why) : -ENOMEM;
    if (r.rc == 0)
        r.rc = plx_server_address(server, 0, &r.addr);
    if (r.rc == 0)
        r.rc = plx_server_start(server);
    /* A parent that does not hear this hears the end of the pipe. */
    if (write(say, &r, sizeof r) == (ssize_t)sizeof r && r.rc == 0) {
        while (read(control, &word, 1) < 0 && errno == EINTR)
            continue;
        plx_server_drain(server);
        if (plx_server_wait(server, DRAIN_NS) == -ETIMEDOUT)
            plx_server_stop(server);
    }
    plx_server_close(server);
    free(a.bytes);
}

/* ---- the parent ---- */

static void shut(int fd)
{
    if (fd >= 0)
        close(fd);
}

static int await(int fd, struct ready *r)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int n;

    do {
        n = poll(&p, 1, START_MS);
    } while (n < 0 && errno == EINTR);
    if (n == 0)
        return -ETIMEDOUT;
    /* Less than PIPE_BUF: whole or not at all. */
    return n > 0 && read(fd, r, sizeof *r) == (ssize_t)sizeof *r ? r->rc : -ECHILD;
}

static int start(struct explain_server *s, const struct plx_model *model, struct plx_trace *trace,
                 size_t answer, int control[2], int say[2], struct plx_why *why)
{
    pid_t parent = getpid();
    struct ready r = {.rc = 0};
    int rc;

    fflush(NULL); /* what waits in a buffer is the parent's to write */
    s->pid = fork();
    if (s->pid < 0) {
        s->pid = 0;
        return -errno;
    }
    if (s->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1);
        close(control[1]);
        serve(model, trace, answer, control[0], say[1]);
        _exit(0);
    }
    close(say[1]);
    say[1] = -1;
    rc = await(say[0], &r);
    if (rc < 0)
        *why = r.why;
    s->addr = r.addr;
    return rc;
}

int explain_server_start(struct explain_server *s, const struct plx_model *model,
                         struct plx_trace *trace, size_t answer, struct plx_why *why)
{
    int control[2] = {-1, -1};
    int say[2] = {-1, -1};
    int rc = 0;

    *s = (struct explain_server){.control = -1};
    if (pipe(control) < 0 || pipe(say) < 0)
        rc = -errno;
    if (rc == 0)
        rc = start(s, model, trace, answer, control, say, why);
    shut(control[0]);
    shut(say[0]);
    shut(say[1]);
    s->control = control[1];
    if (rc < 0)
        (void)explain_server_end(s);
    return rc;
}

int explain_server_end(struct explain_server *s)
{
    int64_t until = clock_ns() + END_NS;
    int status = 0;
    int rc = 0;

    shut(s->control);
    s->control = -1;
    if (s->pid == 0)
        return 0;
    while ((rc = waitpid(s->pid, &status, WNOHANG)) == 0 && clock_ns() < until) {
        struct timespec pause = {.tv_nsec = 200000};

        nanosleep(&pause, NULL);
    }
    if (rc == 0) {
        kill(s->pid, SIGKILL);
        waitpid(s->pid, &status, 0);
        rc = -ETIMEDOUT;
    } else {
        rc = WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -ECHILD;
    }
    s->pid = 0;
    return rc;
}

int explain_probe(const struct plx_model *model, struct plx_why *why)
{
    struct ready r = {.rc = 0};
    int say[2];
    pid_t pid;

    if (pipe(say) < 0)
        return -errno;
    pid = fork();
    if (pid == 0) {
        r.rc = plx_model_probe(model, &r.why);
        _exit(write(say[1], &r, sizeof r) != (ssize_t)sizeof r);
    }
    close(say[1]);
    int rc = pid > 0 ? await(say[0], &r) : -errno;

    close(say[0]);
    if (pid > 0) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    *why = r.why;
    return rc;
}
