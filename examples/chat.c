/* SPDX-License-Identifier: MIT */
/*
 * A chat: what one connection says, all others hear, and the operator's standard input too.
 *
 * A handler touches only its own connection. The others are reached by posting to them: by name
 * (slot and generation), because they may have ended, and from any thread.
 *
 *     chat [MODEL [ADDR]]        then, elsewhere, more than once: pollux connect ADDR
 */
#include <pollux/pollux.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MEMBERS_MOST 1000

struct member {
    struct plx_loop *loop;
    struct plx_conn_ref ref;
};

static struct {
    pthread_mutex_t lock; /* workers and the operator share it */
    struct member list[MEMBERS_MOST];
    size_t n;
} room = {.lock = PTHREAD_MUTEX_INITIALIZER};

struct note {
    size_t n;
    char text[];
};

/* On the thread of the connection's loop; NULL if it has ended meanwhile. */
static void hear(struct plx_conn *c, void *arg)
{
    struct note *note = arg;
    if (c)
        (void)plx_send(c, note->text, note->n); /* who does not read is dropped at the queue cap */
    free(note);
}

static void tell_all(const void *p, size_t n)
{
    pthread_mutex_lock(&room.lock);
    for (size_t i = 0; i < room.n; i++) {
        struct note *note = malloc(sizeof(*note) + n);
        if (!note)
            break;
        note->n = n;
        memcpy(note->text, p, n);
        if (plx_conn_post(room.list[i].loop, room.list[i].ref, hear, note) < 0)
            free(note);
    }
    pthread_mutex_unlock(&room.lock);
}

static int on_open(struct plx_conn *c)
{
    pthread_mutex_lock(&room.lock);
    room.list[room.n++] =
        (struct member){.loop = plx_conn_loop(c), .ref = plx_conn_ref(c)}; /* max_connections */
    pthread_mutex_unlock(&room.lock);
    return 0;
}

static ssize_t on_data(struct plx_conn *c, const void *p, size_t n)
{
    (void)c;
    tell_all(p, n);
    return (ssize_t)n;
}

static void on_close(struct plx_conn *c, int err)
{
    struct plx_conn_ref ref = plx_conn_ref(c);
    (void)err;
    pthread_mutex_lock(&room.lock);
    for (size_t i = 0; i < room.n; i++) {
        struct member *m = &room.list[i];
        if (m->loop == plx_conn_loop(c) && m->ref.slot == ref.slot &&
            m->ref.generation == ref.generation) {
            *m = room.list[--room.n];
            break;
        }
    }
    pthread_mutex_unlock(&room.lock);
}

/* The operator types, on the control loop. */
static void on_input(int fd, unsigned events, void *arg)
{
    char text[1024];
    (void)events;
    ssize_t n = read(fd, text, sizeof(text));
    if (n > 0)
        tell_all(text, (size_t)n);
    else
        plx_loop_stop(arg); /* end of input: close the room */
}

static int serve(struct plx_loop *control, const char *model, const char *address)
{
    static const struct plx_handler handler = {
        .name = "chat", .on_open = on_open, .on_data = on_data, .on_close = on_close};
    struct plx_server_config config = {.loop = {.model = model},
                                       .handler = &handler,
                                       .listen = &address,
                                       .nlisten = 1,
                                       .max_connections = MEMBERS_MOST};
    struct plx_server *server;
    struct plx_why why;
    if (plx_server_open(&config, &server, &why) < 0) {
        fprintf(stderr, "chat: %s\n", why.reason);
        return 2;
    }
    int rc = -1;
    if (!(plx_server_model(server)->caps & PLX_CAP_POST))
        fprintf(stderr, "chat: under %s a connection cannot be posted to\n", model);
    else
        rc = plx_server_start(server);
    if (rc == 0)
        rc = plx_watch_start(control, STDIN_FILENO, PLX_READ, on_input, control, NULL);
    if (rc == 0) {
        printf("chat: %s on %s\n", plx_server_model(server)->name, address);
        fflush(stdout);
        rc = plx_loop_run(control);
    }
    plx_server_drain(server);
    (void)plx_server_wait(server, PLX_SECOND);
    plx_server_close(server);
    return rc < 0 ? 2 : 0;
}

int main(int argc, char **argv)
{
    struct plx_loop_config config = {.model = "poll"};
    struct plx_loop *control;
    struct plx_why why;
    if (plx_loop_open(&config, &control, &why) < 0) {
        fprintf(stderr, "chat: %s\n", why.reason);
        return 2;
    }
    int status = serve(control, argc > 1 ? argv[1] : "auto", argc > 2 ? argv[2] : "127.0.0.1:7000");
    plx_loop_close(control);
    return status;
}
