/* SPDX-License-Identifier: MIT */
/* The trace: what a loop did, in a ring; callbacks that hold a loop; and nothing left behind. */
#include "core/trace.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define EVENTS 1024

static char said[256];
static unsigned times_said;

static void take_log(void *arg, enum plx_level level, const char *line)
{
    (void)arg;
    if (level > PLX_LOG_WARN)
        return;
    times_said++;
    snprintf(said, sizeof(said), "%s", line);
}

static ssize_t echo(struct plx_conn *c, const void *p, size_t n)
{
    if (n == 4) { /* "slow" */
        struct timespec ts = {.tv_nsec = 30 * (long)PLX_MSEC};
        nanosleep(&ts, NULL);
    }
    int rc = plx_send(c, p, n);
    return rc < 0 ? rc : (ssize_t)n;
}
static const struct plx_handler handler = {.name = "echo", .on_data = echo};

struct session {
    struct plx_server *server;
    int fd;
};

static int begin(struct session *s, const char *model, struct plx_trace *t, int64_t warn_ns)
{
    const char *any = "127.0.0.1:0";
    struct plx_server_config cfg = {.loop = {.model = model,
                                             .trace = t,
                                             .warn_blocked_ns = warn_ns,
                                             .log = {.fn = take_log, .level = PLX_LOG_WARN}},
                                    .handler = &handler,
                                    .listen = &any,
                                    .nlisten = 1};
    struct plx_why why;
    int rc = plx_server_open(&cfg, &s->server, &why);
    if (rc < 0)
        return rc;
    assert_int_equal(plx_server_start(s->server), 0);
    struct plx_addr a;
    assert_int_equal(plx_server_address(s->server, 0, &a), 0);
    s->fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(s->fd, &a.sa, a.len), 0);
    return 0;
}

static void ask(const struct session *s, const char *text)
{
    char got[64];
    ssize_t n = (ssize_t)strlen(text);
    assert_int_equal(send(s->fd, text, (size_t)n, MSG_NOSIGNAL), n);
    assert_int_equal(recv(s->fd, got, (size_t)n, MSG_WAITALL), n);
}

static void finish(struct session *s)
{
    close(s->fd);
    plx_server_drain(s->server);
    assert_int_equal(plx_server_wait(s->server, 10 * PLX_SECOND), 0);
    plx_server_close(s->server);
}

static size_t find(const struct plx_trace_event *ev, size_t n, size_t from, const char *name,
                   enum plx_trace_kind kind)
{
    while (from < n && (ev[from].kind != kind || strcmp(ev[from].name, name) != 0))
        from++;
    return from;
}

/* A message under every model: it was shown to the handler, and answered, in this order, on a
 * connection that the trace can name. */
static void a_message(void **state)
{
    (void)state;
    for (size_t i = 0; plx_model_at(i); i++) {
        const char *model = plx_model_at(i)->name;
        struct plx_trace *t;
        struct session s;
        assert_int_equal(plx_trace_open(EVENTS, &t), 0);
        if (strcmp(model, "nonblocking") == 0 || begin(&s, model, t, 0) < 0) {
            plx_trace_close(t); /* busy polling would push it out of the ring at once */
            continue;
        }
        ask(&s, "hello");
        finish(&s);
        static struct plx_trace_event ev[EVENTS];
        uint64_t from = 0;
        size_t n = plx_trace_read(t, &from, ev, EVENTS);
        size_t opened = find(ev, n, 0, "accepted", PLX_TRACE_STATE);
        size_t shown = find(ev, n, opened, "on_data", PLX_TRACE_CALLBACK);
        size_t sent = find(ev, n, shown, "send", PLX_TRACE_CALL);
        size_t closed = find(ev, n, sent, "closed", PLX_TRACE_STATE);
        if (closed == n)
            fail_msg("%s: accepted at %zu, on_data %zu, send %zu, closed %zu of %zu", model, opened,
                     shown, sent, closed, n);
        assert_int_equal(ev[shown].asked, 5);
        assert_int_equal(ev[shown].result, 5);
        assert_int_equal(ev[sent].result, 5);
        assert_int_equal(ev[sent].conn, 1);
        assert_int_equal(ev[sent].conn, ev[shown].conn);
        assert_true(ev[sent].begin_ns >= ev[shown].end_ns);
        assert_true(ev[sent].end_ns >= ev[sent].begin_ns);
        plx_trace_close(t);
    }
    assert_null(plx__seam_get());
}

/* The ring keeps the last events; what went before is skipped, numbers tell how many. */
static void a_small_ring(void **state)
{
    (void)state;
    struct plx_trace *t;
    struct session s;
    assert_int_equal(plx_trace_open(0, &t), -EINVAL);
    assert_int_equal(plx_trace_open(100, &t), 0); /* becomes 128 */
    assert_int_equal(begin(&s, "poll", t, 0), 0);
    for (int i = 0; i < 200; i++)
        ask(&s, "again");
    finish(&s);
    struct plx_trace_event ev[EVENTS];
    uint64_t from = 0;
    size_t n = plx_trace_read(t, &from, ev, EVENTS);
    assert_int_equal(n, 128);
    for (size_t i = 1; i < n; i++)
        assert_int_equal(ev[i].number, ev[i - 1].number + 1);
    assert_int_equal(ev[n - 1].number + 1, from);
    assert_true(ev[0].number > 200);
    assert_int_equal(plx_trace_read(t, &from, ev, EVENTS), 0);
    plx_trace_close(t);
}

static void a_callback_that_holds(void **state)
{
    (void)state;
    struct session s;
    times_said = 0;
    assert_int_equal(begin(&s, "poll", NULL, 10 * PLX_MSEC), 0);
    ask(&s, "hello");
    ask(&s, "slow");
    ask(&s, "slow");
    struct plx_stats stats;
    plx_server_stats(s.server, &stats);
    assert_true(stats.blocked >= 2); /* more where the machine held a quick one up */
    finish(&s);
    assert_true(times_said >= 1 && times_said <= 2); /* a second apart */
    assert_non_null(strstr(said, "on_data of connection 1 (127.0.0.1"));
    assert_non_null(strstr(said, "held its loop for "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_message), cmocka_unit_test(a_small_ring),
                                       cmocka_unit_test(a_callback_that_holds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
