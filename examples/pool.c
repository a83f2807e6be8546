/* SPDX-License-Identifier: MIT */
/*
 * A hundred questions over at most four connections, which are used again and again. The server
 * has to answer each line with one line: `echo` will do.
 *
 *     pool ADDR [MODEL]
 */
#include <pollux/pollux.h>
#include <stdio.h>
#include <string.h>

#define QUESTIONS 100

struct survey {
    struct plx_loop *loop;
    struct plx_pool *pool;
    unsigned answered, failed;
};

static void count(struct survey *s, unsigned *what)
{
    ++*what;
    if (s->answered + s->failed == QUESTIONS)
        plx_loop_stop(s->loop);
}

static void on_lent(struct plx_conn *c, int err, void *arg)
{
    struct survey *s = arg;
    if (c) {
        (void)plx_send(c, "question\n", 9);
        return;
    }
    fprintf(stderr, "pool: no connection: %s\n", plx_error_text(err));
    count(s, &s->failed);
}

static ssize_t on_data(struct plx_conn *c, const void *p, size_t n, void *arg)
{
    struct survey *s = arg;
    const char *end = memchr(p, '\n', n);
    if (!end)
        return 0;
    ssize_t used = end - (const char *)p + 1;
    count(s, &s->answered);
    plx_pool_put(s->pool, c, true); /* may lend it to the next at once */
    return used;
}

static void on_lost(struct plx_conn *c, int err, void *arg)
{
    struct survey *s = arg;
    (void)c;
    fprintf(stderr, "pool: lost while waiting for an answer: %s\n", plx_error_text(err));
    count(s, &s->failed);
}

static int run(struct survey *s, const struct plx_addr *to)
{
    static const struct plx_pool_user user = {
        .on_lent = on_lent, .on_data = on_data, .on_lost = on_lost};
    struct plx_pool_config config = {.to = *to, .max = 4};
    struct plx_pool_stats stats;
    int rc = plx_pool_open(s->loop, &config, &s->pool);
    if (rc < 0)
        return rc;
    for (int i = 0; i < QUESTIONS && rc == 0; i++)
        rc = plx_pool_get(s->pool, &user, s);
    if (rc == 0)
        rc = plx_loop_run(s->loop);
    plx_pool_stats(s->pool, &stats);
    printf("pool: %u answers, %llu connections opened, %llu times used again\n", s->answered,
           (unsigned long long)stats.opened, (unsigned long long)stats.reused);
    plx_pool_close(s->pool);
    return rc;
}

int main(int argc, char **argv)
{
    struct plx_loop_config config = {.model = argc > 2 ? argv[2] : "auto"};
    struct survey s = {0};
    struct plx_addr to;
    struct plx_why why;
    if (argc < 2) {
        fprintf(stderr, "usage: pool ADDR [MODEL]\n");
        return 2;
    }
    if (plx_addr_parse(argv[1], &to, 1, &why) < 0 || plx_loop_open(&config, &s.loop, &why) < 0) {
        fprintf(stderr, "pool: %s\n", why.reason);
        return 2;
    }
    int rc = run(&s, &to);
    plx_loop_close(s.loop);
    if (rc < 0)
        fprintf(stderr, "pool: %s\n", plx_error_text(rc));
    return rc < 0 || s.failed > 0;
}
