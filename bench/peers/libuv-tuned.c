/* SPDX-License-Identifier: MIT */
/*
 * Echo on libuv at its best: one buffer for all connections, uv_try_write() first, and uv_write()
 * with a request and a copy only for what the socket did not take; meanwhile the connection is not
 * read. TCP_NODELAY is inherited from the listening socket, as with the limits by hand.
 */
#include "floor.h"

#include <uv.h>

struct rest {
    uv_write_t write;
    char bytes[];
};

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)handle;
    (void)suggested;
    buf->base = floor_buffer;
    buf->len = sizeof floor_buffer;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle);
}

static void drop(uv_stream_t *connection)
{
    if (!uv_is_closing((uv_handle_t *)connection))
        uv_close((uv_handle_t *)connection, on_closed);
}

static void on_read(uv_stream_t *connection, ssize_t n, const uv_buf_t *buf);

static void on_written(uv_write_t *write, int status)
{
    uv_stream_t *connection = write->handle;

    free(write);
    if (status < 0)
        drop(connection);
    else
        uv_read_start(connection, on_alloc, on_read);
}

static void write_rest(uv_stream_t *connection, const char *from, size_t n)
{
    struct rest *r = malloc(sizeof *r + n);
    uv_buf_t buf;

    if (!r) {
        drop(connection);
        return;
    }
    memcpy(r->bytes, from, n);
    buf = uv_buf_init(r->bytes, (unsigned)n);
    uv_read_stop(connection);
    if (uv_write(&r->write, connection, &buf, 1, on_written) < 0) {
        free(r);
        drop(connection);
    }
}

static void on_read(uv_stream_t *connection, ssize_t n, const uv_buf_t *buf)
{
    if (n > 0) {
        uv_buf_t answer = uv_buf_init(buf->base, (unsigned)n);
        int sent = uv_try_write(connection, &answer, 1);

        if (sent == UV_EAGAIN)
            sent = 0;
        if (sent < 0)
            drop(connection);
        else if (sent < n)
            write_rest(connection, buf->base + sent, (size_t)(n - sent));
    } else if (n < 0) {
        drop(connection); /* nothing waits: else it would not be read */
    }
}

static void on_connection(uv_stream_t *listener, int status)
{
    uv_tcp_t *connection = status < 0 ? NULL : malloc(sizeof *connection);

    if (!connection)
        return;
    uv_tcp_init(listener->loop, connection);
    if (uv_accept(listener, (uv_stream_t *)connection) < 0)
        drop((uv_stream_t *)connection);
    else
        uv_read_start((uv_stream_t *)connection, on_alloc, on_read);
}

int main(int argc, char **argv)
{
    struct sockaddr_in a = floor_begin(argc, argv, "");
    uv_loop_t *loop = uv_default_loop();
    uv_tcp_t listener;
    uv_os_fd_t fd;

    signal(SIGPIPE, SIG_IGN); /* which the library leaves to its user */
    uv_tcp_init(loop, &listener);
    if (uv_tcp_bind(&listener, (struct sockaddr *)&a, 0) < 0 || uv_tcp_nodelay(&listener, 1) < 0 ||
        uv_listen((uv_stream_t *)&listener, FLOOR_BACKLOG, on_connection) < 0 ||
        uv_fileno((uv_handle_t *)&listener, &fd) < 0)
        floor_die("uv_listen");
    floor_announce(fd);
    return uv_run(loop, UV_RUN_DEFAULT);
}
