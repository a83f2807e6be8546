/* SPDX-License-Identifier: MIT */
/*
 * A client: connects, sends one line, half-closes, prints what is answered until the server's end.
 *
 *     ask ADDR TEXT [MODEL]
 */
#include <pollux/pollux.h>
#include <stdio.h>
#include <string.h>

struct question {
    const char *text;
    int err; /* how it ended */
};

static int on_open(struct plx_conn *c)
{
    const struct question *q = plx_conn_handler(c)->user;
    int rc = plx_send(c, q->text, strlen(q->text));
    if (rc >= 0)
        rc = plx_send(c, "\n", 1);
    plx_half_close(c); /* that was all; the answer is still to come */
    return rc < 0 ? rc : 0;
}

static ssize_t on_data(struct plx_conn *c, const void *p, size_t n)
{
    (void)c;
    fwrite(p, 1, n, stdout);
    return (ssize_t)n;
}

static void on_close(struct plx_conn *c, int err)
{
    struct question *q = plx_conn_handler(c)->user;
    q->err = err;
    plx_loop_stop(plx_conn_loop(c));
}

static int ask(struct plx_loop *loop, const struct plx_addr *to, const char *text)
{
    struct question q = {.text = text};
    struct plx_handler handler = {
        .name = "ask", .user = &q, .on_open = on_open, .on_data = on_data, .on_close = on_close};
    int rc = plx_connect(loop, to, &handler, NULL, NULL);
    if (rc == 0)
        rc = plx_loop_run(loop);
    return rc < 0 ? rc : q.err;
}

int main(int argc, char **argv)
{
    struct plx_loop_config config = {.model = argc > 3 ? argv[3] : "auto",
                                     .limits = {.connect_ns = 5 * PLX_SECOND}};
    struct plx_loop *loop;
    struct plx_addr to;
    struct plx_why why;
    if (argc < 3) {
        fprintf(stderr, "usage: ask ADDR TEXT [MODEL]\n");
        return 2;
    }
    if (plx_addr_parse(argv[1], &to, 1, &why) < 0 || plx_loop_open(&config, &loop, &why) < 0) {
        fprintf(stderr, "ask: %s\n", why.reason);
        return 2;
    }
    int rc = ask(loop, &to, argv[2]);
    plx_loop_close(loop);
    if (rc < 0)
        fprintf(stderr, "ask: %s: %s\n", argv[1], plx_error_text(rc));
    return rc < 0;
}
