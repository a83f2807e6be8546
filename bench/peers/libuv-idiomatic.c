/* SPDX-License-Identifier: MIT */
/*
 * Echo on libuv as its guide shows it: the allocation callback gives what the library suggests, the
 * answer is a uv_write() with a request of its own, and the write's callback frees both.
 *
 * Beyond the guide only what correctness asks: while more than QUEUE_MOST bytes wait to be written
 * the connection is not read, and what waits at the peer's end is sent before the close.
 */
#include "floor.h"

#include <uv.h>

#define QUEUE_MOST FLOOR_BUFFER

struct answer {
    uv_write_t write;
    uv_buf_t buf;
};

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)handle;
    buf->base = malloc(suggested);
    buf->len = buf->base ? suggested : 0;
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

static void on_shutdown(uv_shutdown_t *request, int status)
{
    (void)status;
    drop(request->handle);
    free(request);
}

/* uv_close() would throw away what is queued; uv_shutdown() waits for it. */
static void finish(uv_stream_t *connection)
{
    uv_shutdown_t *request =
        uv_stream_get_write_queue_size(connection) > 0 ? malloc(sizeof *request) : NULL;

    uv_read_stop(connection);
    if (!request) {
        drop(connection);
    } else if (uv_shutdown(request, connection, on_shutdown) < 0) {
        free(request);
        drop(connection);
    }
}

static void on_read(uv_stream_t *connection, ssize_t n, const uv_buf_t *buf);

static void on_written(uv_write_t *write, int status)
{
    struct answer *a = (struct answer *)write;
    uv_stream_t *connection = write->handle;

    free(a->buf.base);
    free(a);
    if (status < 0)
        drop(connection);
    else if (connection->data && uv_stream_get_write_queue_size(connection) == 0 &&
             !uv_is_closing((uv_handle_t *)connection)) {
        connection->data = NULL;
        uv_read_start(connection, on_alloc, on_read);
    }
}

static void on_read(uv_stream_t *connection, ssize_t n, const uv_buf_t *buf)
{
    struct answer *a = n > 0 ? malloc(sizeof *a) : NULL;

    if (!a) {
        free(buf->base);
        if (n == UV_EOF)
            finish(connection);
        else if (n != 0)
            drop(connection);
        return;
    }
    a->buf = uv_buf_init(buf->base, (unsigned)n);
    if (uv_write(&a->write, connection, &a->buf, 1, on_written) < 0) {
        free(a->buf.base);
        free(a);
        drop(connection);
    } else if (uv_stream_get_write_queue_size(connection) > QUEUE_MOST) {
        connection->data = connection; /* paused */
        uv_read_stop(connection);
    }
}

static void on_connection(uv_stream_t *listener, int status)
{
    uv_tcp_t *connection = status < 0 ? NULL : malloc(sizeof *connection);

    if (!connection)
        return;
    uv_tcp_init(listener->loop, connection);
    connection->data = NULL;
    if (uv_accept(listener, (uv_stream_t *)connection) < 0) {
        drop((uv_stream_t *)connection);
        return;
    }
    uv_tcp_nodelay(connection, 1);
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
    if (uv_tcp_bind(&listener, (struct sockaddr *)&a, 0) < 0 ||
        uv_listen((uv_stream_t *)&listener, FLOOR_BACKLOG, on_connection) < 0 ||
        uv_fileno((uv_handle_t *)&listener, &fd) < 0)
        floor_die("uv_listen");
    floor_announce(fd);
    return uv_run(loop, UV_RUN_DEFAULT);
}
