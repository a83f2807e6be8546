/* SPDX-License-Identifier: MIT */
/*
 * A callback that would take long: each line with a number N is answered with how many primes there
 * are below N. They are counted on a thread of the pool, while the server goes on with the others.
 *
 *     offload [MODEL [ADDR]]        then, elsewhere: pollux connect ADDR
 */
#include <errno.h>
#include <pollux/pollux.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* All that the work needs, and what comes of it: the connection is not the work's to touch. */
struct count {
    unsigned below, primes;
};

/* On a thread of the pool. */
static void work(void *arg)
{
    struct count *count = arg;
    for (unsigned n = 2; n < count->below; n++) {
        unsigned d = 2;
        while (d <= n / d && n % d)
            d++;
        count->primes += d > n / d;
    }
}

/* On the connection's own thread, once for each work, whatever has become of the connection. */
static void done(struct plx_conn *c, void *arg)
{
    struct count count = *(struct count *)arg;
    free(arg);
    if (!c)
        return; /* it has ended meanwhile */
    char text[64];
    int len = snprintf(text, sizeof(text), "%u primes below %u\n", count.primes, count.below);
    (void)plx_send(c, text, (size_t)len);
    plx_resume(c); /* what has arrived since is shown now */
}

static int count_primes(struct plx_conn *c, unsigned below)
{
    struct count *count = calloc(1, sizeof(*count));
    if (!count)
        return -ENOMEM;
    count->below = below;
    int rc = plx_offload(c, work, done, count);
    if (rc == 0) {
        plx_pause(c); /* one after the other, so that the answers are in order */
        return 0;
    }
    free(count); /* done is not called */
    return rc == -EAGAIN ? plx_send(c, "busy, try again later\n", 22) : rc;
}

static ssize_t on_data(struct plx_conn *c, const void *p, size_t n)
{
    const char *line = p, *end = memchr(p, '\n', n);
    char text[16] = "";
    if (!end && n < sizeof(text))
        return 0;
    if (!end || end - line >= (ssize_t)sizeof(text))
        return -EMSGSIZE;
    memcpy(text, line, (size_t)(end - line));
    int rc = count_primes(c, (unsigned)strtoul(text, NULL, 10) % 10000000);
    return rc < 0 ? rc : end - line + 1;
}

int main(int argc, char **argv)
{
    static const struct plx_handler handler = {.name = "primes", .on_data = on_data};
    const char *listen[] = {argc > 2 ? argv[2] : "127.0.0.1:7000"};
    struct plx_server_config config = {
        .loop = {.model = argc > 1 ? argv[1] : "auto", .offload_queue = 100},
        .handler = &handler,
        .listen = listen,
        .nlisten = 1};
    struct plx_server *server;
    struct plx_why why;

    if (plx_server_open(&config, &server, &why) < 0) {
        fprintf(stderr, "offload: %s\n", why.reason);
        return 2;
    }
    printf("offload: %s on %s\n", plx_server_model(server)->name, listen[0]);
    fflush(stdout);
    return plx_server_run(server) < 0;
}
