/* SPDX-License-Identifier: MIT */
/*
 * A reactor on the selector alone: the data pointer of a registration carries its callback, and the
 * loop calls whatever comes back. Echoes; runs on any backend.
 *
 *     reactor [BACKEND [PORT]]        then, elsewhere: nc 127.0.0.1 PORT
 */
#include <pollux/selector.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct callback {
    void (*fn)(struct plx_selector *, int fd);
};

/* One receive per event: a level reports again what is left. A send that a slow peer holds up holds
 * up everybody; the library's connections (pollux/conn.h) queue instead. */
static void echo(struct plx_selector *s, int fd)
{
    char buf[4096];
    ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
    if (n > 0 ? send(fd, buf, (size_t)n, MSG_NOSIGNAL) == n : n < 0)
        return;
    plx_selector_unregister(s, fd);
    close(fd);
}

static void welcome(struct plx_selector *s, int fd)
{
    static struct callback on_data = {echo};
    int peer = accept(fd, NULL, NULL);
    if (peer >= 0 && plx_selector_register(s, peer, PLX_READ, &on_data) < 0)
        close(peer);
}

static void fail(const char *what, const char *text)
{
    fprintf(stderr, "reactor: %s: %s\n", what, text);
    exit(2);
}

static void run(struct plx_selector *s)
{
    for (;;) {
        struct plx_ready ready[64];
        int n = plx_selector_select(s, ready, 64, PLX_FOREVER);
        if (n < 0 && n != -EINTR)
            fail("select", plx_error_text(n));
        for (int i = 0; i < n; i++)
            ((struct callback *)ready[i].data)->fn(s, ready[i].fd);
    }
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : PLX_SELECTOR_DEFAULT;
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)(argc > 2 ? atoi(argv[2]) : 0)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    struct plx_selector *s;
    struct plx_why why;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(fd, (struct sockaddr *)&at, len) < 0 || listen(fd, 64) < 0 ||
        getsockname(fd, (struct sockaddr *)&at, &len) < 0)
        fail("127.0.0.1", strerror(errno));
    fcntl(fd, F_SETFL, O_NONBLOCK); /* readiness is a hint */
    if (plx_selector_open(name, &s, &why) < 0)
        fail(name ? name : "selector", why.reason);
    if (plx_selector_caps(s) & PLX_SEL_EDGE)
        fail(name, "edge-triggered: echo() would have to read until EAGAIN");
    static struct callback on_peer = {welcome};
    plx_selector_register(s, fd, PLX_READ, &on_peer);
    printf("reactor: listening on 127.0.0.1:%d selector=%s\n", ntohs(at.sin_port),
           plx_selector_name(s));
    fflush(stdout);
    run(s);
}
