/* SPDX-License-Identifier: MIT */
/*
 * discard (RFC 863), with a window: prints what each client sends as "client 3: TEXT", a line of
 * output for each line received, or for what arrived so far where a chunk ends inside a line.
 *
 * Output is whole lines in writes of at most PIPE_BUF bytes (4096 on Linux), which the kernel does
 * not interleave on a pipe (pipe(7)): threads and processes share standard output without a lock.
 * stdio is not used because its buffer would be duplicated by fork(2).
 */
#include "cmd/services/service.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TEXT_COLUMNS 1000 /* a longer line is continued on the next, again with the number */

struct page {
    char text[4096];
    size_t len;
    char head[40]; /* "client 3: " */
    size_t column; /* of text on the current line; 0 = no line is begun */
};

static int flush(struct page *page)
{
    size_t done = 0;

    while (done < page->len) {
        ssize_t n = write(STDOUT_FILENO, page->text + done, page->len - done);
        if (n < 0 && errno != EINTR)
            return -errno;
        done += n > 0 ? (size_t)n : 0;
    }
    page->len = 0;
    return 0;
}

static void begin_line(struct page *page)
{
    size_t len = strlen(page->head);

    memcpy(page->text + page->len, page->head, len);
    page->len += len;
}

static int end_line(struct page *page)
{
    page->text[page->len++] = '\n';
    page->column = 0;
    /* Room for one more whole line, or the write goes now. */
    return page->len + TEXT_COLUMNS + sizeof page->head + 1 > sizeof page->text ? flush(page) : 0;
}

/* Adds one byte as text: what is not printable ASCII, and the backslash, as an escape, so that a
 * client cannot send commands to the terminal that shows it. */
static int put(struct page *page, unsigned char c)
{
    char escape[5];
    int len;

    if (c == '\t')
        len = snprintf(escape, sizeof escape, "\\t");
    else if (c == '\r')
        len = snprintf(escape, sizeof escape, "\\r");
    else if (c == '\\')
        len = snprintf(escape, sizeof escape, "\\\\");
    else if (c < ' ' || c > '~')
        len = snprintf(escape, sizeof escape, "\\x%02x", c);
    else
        len = snprintf(escape, sizeof escape, "%c", c);
    if (page->column + (size_t)len > TEXT_COLUMNS) {
        int rc = end_line(page);
        if (rc < 0)
            return rc;
    }
    if (page->column == 0)
        begin_line(page);
    memcpy(page->text + page->len, escape, (size_t)len);
    page->len += (size_t)len;
    page->column += (size_t)len;
    return 0;
}

static ssize_t on_data(struct plx_conn *conn, const void *p, size_t n)
{
    const unsigned char *in = p;
    struct page page = {.len = 0, .column = 0};
    int rc = 0;

    snprintf(page.head, sizeof page.head, "client %" PRIu64 ": ", plx_conn_number(conn));
    for (size_t i = 0; i < n && rc == 0; i++) {
        if (in[i] == '\n') {
            if (page.column == 0)
                begin_line(&page); /* an empty line is shown too */
            rc = end_line(&page);
        } else {
            rc = put(&page, in[i]);
        }
    }
    if (rc == 0 && page.column > 0)
        rc = end_line(&page);
    if (rc == 0)
        rc = flush(&page);
    return rc < 0 ? rc : (ssize_t)n;
}

const struct plx_handler service_discard = {.name = "discard", .on_data = on_data};
