/* SPDX-License-Identifier: MIT */
/*
 * An echo server: what a connection does is written once, and runs under every I/O model.
 *
 *     echo [MODEL [ADDR]]        then, elsewhere: pollux connect ADDR
 */
#include <pollux/pollux.h>
#include <stdio.h>

static ssize_t echo(struct plx_conn *c, const void *p, size_t n)
{
    int rc = plx_send(c, p, n);
    return rc < 0 ? rc : (ssize_t)n;
}

int main(int argc, char **argv)
{
    static const struct plx_handler handler = {.name = "echo", .on_data = echo};
    const char *listen[] = {argc > 2 ? argv[2] : "127.0.0.1:7000"};
    struct plx_server_config config = {.handler = &handler, .listen = listen, .nlisten = 1};
    struct plx_server *server;
    struct plx_why why;

    config.loop.model = argc > 1 ? argv[1] : "auto";
    if (plx_server_open(&config, &server, &why) < 0) {
        fprintf(stderr, "echo: %s\n", why.reason);
        return 2;
    }
    printf("echo: %s on %s\n", plx_server_model(server)->name, listen[0]);
    fflush(stdout);
    return plx_server_run(server) < 0;
}
