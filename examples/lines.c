/* SPDX-License-Identifier: MIT */
/*
 * A server of lines: framing, state of a connection, a timer, output that is held back while the
 * peer does not read, and a polite end. Each line gets an answer:
 *
 *     tick     a line each second from now on
 *     flood    a million lines, as fast as the peer reads them
 *     quit     a farewell, and the end
 *     ...      anything else comes back with its number
 *
 *     lines [MODEL [ADDR]]        then, elsewhere: pollux connect ADDR; SIGTERM ends it
 */
#include <errno.h>
#include <pollux/pollux.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define LINE_MOST 4096

struct state {
    struct plx_timer *ticker;
    unsigned long count;
    unsigned left; /* lines of the flood still to be sent */
    bool ended;    /* the peer has sent its last line */
};

static void tick(void *arg)
{
    (void)plx_send(arg, "tick\n", 5); /* what goes wrong ends the connection, see on_close */
}

/* Sends until the queue is above its high-water mark; on_drain continues. */
static int flood(struct plx_conn *c)
{
    static const char line[] = "all work and no play makes a dull flood\n";
    struct state *s = plx_conn_state(c);
    int rc = 0;
    while (s->left > 0 && rc == 0) {
        rc = plx_send(c, line, sizeof(line) - 1);
        s->left--;
    }
    if (s->left == 0 && s->ended)
        plx_finish(c);
    return rc;
}

static bool is(const char *line, size_t n, const char *word)
{
    return n == strlen(word) && memcmp(line, word, n) == 0;
}

static int answer(struct plx_conn *c, const char *line, size_t n)
{
    struct state *s = plx_conn_state(c);
    char text[LINE_MOST + 32];
    if (is(line, n, "tick"))
        return s->ticker
                   ? 0
                   : plx_timer_start(plx_conn_loop(c), PLX_SECOND, PLX_SECOND, tick, c, &s->ticker);
    if (is(line, n, "flood")) {
        s->left = 1000000;
        return flood(c);
    }
    if (is(line, n, "quit")) {
        int rc = plx_send(c, "bye\n", 4);
        plx_finish(c); /* after the farewell is written */
        return rc;
    }
    int len = snprintf(text, sizeof(text), "%lu: %.*s\n", ++s->count, (int)n, line);
    return plx_send(c, text, (size_t)len);
}

static ssize_t on_data(struct plx_conn *c, const void *p, size_t n)
{
    const char *line = p, *end = memchr(p, '\n', n);
    if (!end)
        return n < LINE_MOST ? 0 : -EMSGSIZE; /* need more; too long: drop the peer */
    if (end - line > LINE_MOST)
        return -EMSGSIZE;
    int rc = answer(c, line, (size_t)(end - line));
    return rc < 0 ? rc : end - line + 1; /* called again for what is behind this line */
}

static void on_drain(struct plx_conn *c)
{
    (void)flood(c);
}

/* The peer has half-closed. Without this function the library would finish at once. */
static void on_eof(struct plx_conn *c)
{
    struct state *s = plx_conn_state(c);
    s->ended = true;
    if (s->left == 0)
        plx_finish(c);
}

static void on_close(struct plx_conn *c, int err)
{
    struct state *s = plx_conn_state(c);
    plx_timer_stop(s->ticker); /* it names the connection, which is gone after this */
    if (err)
        fprintf(stderr, "lines: connection %llu: %s\n", (unsigned long long)plx_conn_number(c),
                plx_error_text(err));
}

static void log_line(void *arg, enum plx_level level, const char *line)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    (void)arg;
    fprintf(stderr, "lines: %s: %s\n", names[level], line);
}

/* ---- a polite end, on the control loop ---- */

static void cut(void *arg)
{
    plx_server_stop(arg); /* whoever still reads the flood has had his time */
}

static struct plx_loop *control;

static void on_signal(int signo, void *arg)
{
    (void)signo;
    plx_server_drain(arg);
    (void)plx_timer_start(control, 10 * PLX_SECOND, 0, cut, arg, NULL);
}

static void on_end(void *arg)
{
    plx_loop_stop(arg); /* on the last worker's thread */
}

static int serve(const char *model, const char *address)
{
    static const struct plx_handler handler = {.name = "lines",
                                               .state_size = sizeof(struct state),
                                               .on_data = on_data,
                                               .on_drain = on_drain,
                                               .on_eof = on_eof,
                                               .on_close = on_close};
    struct plx_server_config config = {
        .loop = {.model = model,
                 .limits = {.high_water = 1 << 20, .idle_ns = 60 * PLX_SECOND},
                 .log = {.fn = log_line, .level = PLX_LOG_WARN}},
        .handler = &handler,
        .listen = &address,
        .nlisten = 1,
        .workers = 2,
        .accept = PLX_ACCEPT_REUSEPORT,
        .max_connections = 1000,
        .on_end = on_end,
        .on_end_arg = control,
    };
    struct plx_server *server;
    struct plx_why why;
    if (plx_server_open(&config, &server, &why) < 0) {
        fprintf(stderr, "lines: %s\n", why.reason);
        return 2;
    }
    int rc = plx_signal_start(control, SIGTERM, on_signal, server, NULL);
    if (rc == 0)
        rc = plx_server_start(server);
    struct plx_addr at;
    char text[PLX_ADDR_TEXT];
    plx_server_address(server, 0, &at);
    printf("lines: %s on %s\n", plx_server_model(server)->name,
           plx_addr_format(&at, text, sizeof(text)));
    fflush(stdout);
    if (rc == 0)
        rc = plx_loop_run(control);
    if (rc == 0)
        rc = plx_server_wait(server, PLX_FOREVER);
    struct plx_stats stats;
    plx_server_stats(server, &stats);
    fprintf(stderr, "lines: %llu connections, %llu bytes out\n", (unsigned long long)stats.accepted,
            (unsigned long long)stats.bytes_out);
    plx_server_close(server);
    return rc < 0;
}

int main(int argc, char **argv)
{
    struct plx_loop_config config = {.model = "poll"}; /* it only waits for a signal */
    struct plx_why why;
    if (plx_loop_open(&config, &control, &why) < 0) {
        fprintf(stderr, "lines: %s\n", why.reason);
        return 2;
    }
    int status = serve(argc > 1 ? argv[1] : "auto", argc > 2 ? argv[2] : "127.0.0.1:7000");
    plx_loop_close(control);
    return status;
}
