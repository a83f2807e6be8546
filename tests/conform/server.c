/* SPDX-License-Identifier: MIT */
/*
 * The process under test: a server of the library in a child of the case, started, asked and ended
 * the way a program does it, with a control loop on its first thread that waits for SIGTERM and
 * for a socket to the case. It is a process group of its own, so that the processes of the fork
 * model can be stopped, signalled and counted with it.
 */
#include "conform.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct hello {
    int rc;
    struct plx_why why;
    struct plx_addr addr[MAX_ADDR];
};

struct reply {
    int rc;
    struct plx_stats stats;
};

/* The child's own side of things. */
struct child {
    const struct server_opts *opts;
    struct plx_server *server;
    struct plx_loop *loop;
    int control;
    int terms;
};

static void on_term(int signo, void *arg)
{
    struct child *c = arg;
    (void)signo;
    if (c->terms++ == 0) {
        plx_server_drain(c->server);
    } else {
        plx_server_stop(c->server);
    }
}

static void on_control(int fd, unsigned events, void *arg)
{
    struct child *c = arg;
    struct reply reply = {0};
    char what = 0;
    (void)events;
    if (recv(fd, &what, 1, 0) <= 0) {
        plx_server_stop(c->server);
        return;
    }
    if (what == 'h') {
        reply.rc = c->opts->hook();
    }
    plx_server_stats(c->server, &reply.stats);
    (void)!send(fd, &reply, sizeof(reply), MSG_NOSIGNAL);
}

static void on_end(void *arg)
{
    plx_loop_stop(arg);
}

static void on_usr1(int signo)
{
    (void)signo;
}

static int open_server(struct test *t, struct child *c, struct plx_why *why)
{
    static const char *const any[] = {"127.0.0.1:0"};
    const struct server_opts *o = c->opts;
    size_t n = 0;
    while (n < MAX_ADDR && o->listen[n]) {
        n++;
    }
    struct plx_server_config config = {
        .loop = {.model = t->model->name,
                 .limits = o->limits,
                 .pool_size = o->pool_size,
                 .pool_queue = o->pool_queue,
                 .offload_threads = o->offload_threads,
                 .offload_queue = o->offload_queue},
        .handler = scenario_handler(o->handler),
        .listen = n ? o->listen : any,
        .nlisten = n ? n : 1,
        .workers = o->workers,
        .accept = o->accept,
        .own_descriptors = o->own_descriptors,
        .max_connections = o->max_connections,
        .max_per_ip = o->max_per_ip,
        .on_end = o->in_place ? NULL : on_end,
        .on_end_arg = c->loop,
    };
    return plx_server_open(&config, &c->server, why);
}

static int start_server(struct test *t, struct child *c, struct plx_why *why)
{
    int rc = open_server(t, c, why);
    if (rc == 0 && !c->opts->in_place) {
        rc = plx_server_start(c->server);
    }
    return rc;
}

static int control_loop(struct test *t, struct child *c)
{
    struct plx_loop_config config = {.model = "poll"};
    struct plx_why why;
    int rc = 0;
    if (!c->opts->in_place) {
        return plx_loop_open(&config, &c->loop, NULL);
    }
    rc = start_server(t, c, &why);
    c->loop = rc == 0 ? plx_server_loop(c->server, 0) : NULL;
    return rc;
}

static int run(struct child *c)
{
    if (c->opts->in_place) {
        return plx_server_run(c->server);
    }
    int rc = plx_loop_run(c->loop);
    return rc < 0 ? rc : plx_server_wait(c->server, PATIENCE);
}

/* Returns the exit status of the child. */
static int serve(struct test *t, struct child *c)
{
    struct hello hello = {0};
    struct plx_signal *term;
    struct plx_watch *watch;
    signal(SIGUSR1, on_usr1);
    if (control_loop(t, c) < 0 || plx_signal_start(c->loop, SIGTERM, on_term, c, &term) < 0 ||
        plx_watch_start(c->loop, c->control, PLX_READ, on_control, c, &watch) < 0) {
        fprintf(stderr, "conform: the control loop cannot be set up\n");
        return 3;
    }
    if (c->opts->descriptors) {
        /* Before the server is opened: a standing accept of io_uring keeps the limit of its start.
         */
        rlim_t n = (rlim_t)descriptor_limit(getpid(), c->opts->descriptors);
        setrlimit(RLIMIT_NOFILE, &(struct rlimit){n, n});
    }
    if (!c->server) {
        hello.rc = start_server(t, c, &hello.why);
    }
    for (size_t i = 0; hello.rc == 0 && i < MAX_ADDR; i++) {
        (void)plx_server_address(c->server, i, &hello.addr[i]);
    }
    (void)!send(c->control, &hello, sizeof(hello), MSG_NOSIGNAL);
    int rc = 0;
    if (hello.rc == 0) {
        rc = run(c);
        if (rc < 0) {
            fprintf(stderr, "conform: the server ended with %s\n", plx_error_name(rc));
        }
        plx_server_stats(c->server, &shared->final);
    }
    if (c->opts
            ->in_place) { /* the watch has ended with the loop, the signal does with the server */
        plx_server_close(c->server);
    } else {
        plx_server_close(c->server);
        plx_watch_stop(watch);
        plx_signal_stop(term);
        plx_loop_close(c->loop);
    }
    close(c->control);
    return rc < 0 ? 2 : 0;
}

static void remember_group(pid_t pid)
{
    for (int i = 0; i < GROUPS; i++) {
        int none = 0;
        if (atomic_compare_exchange_strong(&shared->group[i], &none, (int)pid)) {
            return;
        }
    }
}

static void forget_group(pid_t pid)
{
    for (int i = 0; i < GROUPS; i++) {
        int group = (int)pid;
        if (atomic_compare_exchange_strong(&shared->group[i], &group, 0)) {
            return;
        }
    }
}

/* A child in its own process group that does not outlive the case. 0 in the child. */
pid_t fork_child(struct test *t)
{
    fflush(NULL);
    pid_t pid = fork();
    REQUIRE(t, pid >= 0, "fork: %s", plx_error_name(errno));
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        setpgid(0, 0);
        /* Cases that crash on purpose leave no core behind. */
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    } else {
        setpgid(pid, pid);
        remember_group(pid);
    }
    return pid;
}

void forget_connections(void)
{
    memset(shared->record, 0, sizeof(shared->record));
    atomic_store(&shared->opens, 0);
    atomic_store(&shared->closes, 0);
}

int server_try(struct test *t, const struct server_opts *o, struct server *s, struct plx_why *why)
{
    int ends[2];
    struct hello hello;
    *s = (struct server){.t = t};
    set_mode(o->mode);
    REQUIRE(t, socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0, "socketpair");
    s->pid = fork_child(t);
    if (s->pid == 0) {
        close(ends[0]);
        struct child c = {.opts = o, .control = ends[1]};
        exit(serve(t, &c));
    }
    close(ends[1]);
    s->control = ends[0];
    REQUIRE(t, recv(s->control, &hello, sizeof(hello), 0) == sizeof(hello),
            "start: expected a server, its process ended");
    memcpy(s->addr, hello.addr, sizeof(s->addr));
    if (why) {
        *why = hello.why;
    }
    if (hello.rc < 0) {
        server_exit(s);
        close(s->control);
        return hello.rc;
    }
    REQUIRE(t, census(s->pid, &s->base), "/proc/%d cannot be read", (int)s->pid);
    return hello.rc;
}

void server_start(struct test *t, const struct server_opts *o, struct server *s)
{
    struct plx_why why;
    int rc = server_try(t, o, s, &why);
    REQUIRE(t, rc == 0, "plx_server_open: expected 0, got %s (%s)", plx_error_name(rc), why.reason);
}

static struct reply ask(const struct server *s, char what)
{
    struct reply reply;
    REQUIRE(s->t,
            send(s->control, &what, 1, MSG_NOSIGNAL) == 1 &&
                recv(s->control, &reply, sizeof(reply), 0) == sizeof(reply),
            "the server's process has ended, or its control loop has");
    return reply;
}

void server_stats(const struct server *s, struct plx_stats *out)
{
    *out = ask(s, 's').stats;
}

int server_hook(const struct server *s)
{
    return ask(s, 'h').rc;
}

void server_signal(const struct server *s, int signo)
{
    kill(-s->pid, signo);
}

void server_hold(const struct server *s)
{
    int status = 0;
    server_signal(s, SIGSTOP);
    REQUIRE(s->t, waitpid(s->pid, &status, WUNTRACED) == s->pid && WIFSTOPPED(status),
            "SIGSTOP: expected a stopped server");
    /* Processes of the fork model are not the case's children: nobody tells about them. */
    nap(MS(10));
}

void server_drain(const struct server *s)
{
    kill(s->pid, SIGTERM);
}

void server_probe(const struct server *s)
{
    set_mode(MODE_ECHO);
    int fd = dial(s);
    echo_once(s->t, fd, 4711);
    half_close(s->t, fd);
    expect_eof(s->t, fd, "probe");
    hang_up(fd);
}

void server_settle(const struct server *s)
{
    struct census c = {0};
    int64_t end = now() + PATIENCE;
    /* The helper threads of glibc's asynchronous I/O end by themselves, a second after their last
     * request (aio_init(3)). To wait for that in every case would take minutes: one case does. */
    bool helpers = is(s->t, "posix-aio") && strcmp(s->t->row->name, "many") != 0;
    for (;;) {
        REQUIRE(s->t, census(s->pid, &c), "expected a living server, it has ended");
        if (c.fds <= s->base.fds && (helpers || c.threads <= s->base.threads) &&
            c.children <= s->base.children) {
            return;
        }
        REQUIRE(s->t, now() < end,
                "left behind: expected descriptors %d, threads %d, children %d, got %d, %d, %d",
                s->base.fds, s->base.threads, s->base.children, c.fds, c.threads, c.children);
        nap(MS(5));
    }
}

void server_exit(const struct server *s)
{
    int status;
    int64_t end = now() + PATIENCE;
    pid_t rc;
    while ((rc = waitpid(s->pid, &status, WNOHANG)) == 0) {
        REQUIRE(s->t, now() < end, "drain: expected the server to end, it still runs");
        nap(MS(2));
    }
    REQUIRE(s->t, rc == s->pid, "waitpid: %s", plx_error_name(errno));
    REQUIRE(s->t, WIFEXITED(status) && WEXITSTATUS(status) == 0,
            "end: expected exit status 0, got %s %d", WIFEXITED(status) ? "status" : "signal",
            WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
    /* The processes of the fork model end with their connections, within the drain. */
    while (kill(-s->pid, 0) == 0) {
        REQUIRE(s->t, now() < end, "end: expected no process left, there is one");
        nap(MS(2));
    }
    forget_group(s->pid);
}

static void check_contract(const struct server *s)
{
    REQUIRE(s->t, !atomic_load(&shared->broken), "contract: %s", shared->broken_what);
    EXPECT(s->t, "calls of on_close, one for each on_open", atomic_load(&shared->opens),
           atomic_load(&shared->closes));
}

void server_end(struct server *s)
{
    struct plx_stats stats;
    server_probe(s);
    server_settle(s);
    AWAIT(s->t, atomic_load(&shared->closes) >= atomic_load(&shared->opens),
          "on_close: expected %d calls, got %d", atomic_load(&shared->opens),
          atomic_load(&shared->closes));
    server_stats(s, &stats);
    EXPECT(s->t, "stats: open", 0, stats.open);
    EXPECT(s->t, "stats: closed, as many as accepted", stats.accepted, stats.closed);
    EXPECT(s->t, "stats: accepted, one for each on_open", atomic_load(&shared->opens),
           stats.accepted);
    server_drain(s);
    server_exit(s);
    close(s->control);
    check_contract(s);
}

void in_child(struct test *t, void (*fn)(struct test *))
{
    pid_t pid = fork_child(t);
    if (pid == 0) {
        fn(t);
        exit(0);
    }
    int status;
    int64_t end = now() + 2 * PATIENCE;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        REQUIRE(t, now() < end, "child: expected its end, it still runs");
        nap(MS(2));
    }
    REQUIRE(t, WIFEXITED(status) && WEXITSTATUS(status) == 0,
            "child: expected exit status 0, got %s %d", WIFEXITED(status) ? "status" : "signal",
            WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
    forget_group(pid);
}

void end_child(struct test *t, pid_t pid)
{
    int status;
    kill(pid, SIGKILL);
    REQUIRE(t, waitpid(pid, &status, 0) == pid, "waitpid: %s", plx_error_name(errno));
    forget_group(pid);
}
