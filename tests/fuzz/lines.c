/* SPDX-License-Identifier: MIT */
/*
 * What a program prints that pollux has started: its lines, and its last words. Input: 2 bytes for
 * how the output is cut, 2 for the size of a buffer, 1 that may put a long line in front, then the
 * output. What is read must not depend on the cuts.
 */
#include "fuzz.h"

#include <poll.h>

static size_t read_piece(void *buf, size_t cap);

/* proc.c itself is part of this file, with a pipe that is cut where chance says. */
#define poll(fds, n, ms)   ((void)(fds), (void)(ms), (n))
#define read(fd, buf, cap) (ssize_t) read_piece((buf), (cap))
#include "cmd/proc.c"

#define LONG 4000 /* with it an input has lines that are longer than what is kept */
#define KEPT sizeof(((struct proc *)0)->line)

static struct {
    const uint8_t *at;
    size_t left;
    struct dice dice;
} output;

static size_t read_piece(void *buf, size_t cap)
{
    size_t n = 1 + below(&output.dice, 600);
    n = n < cap ? n : cap;
    n = n < output.left ? n : output.left;
    if (n > 0)
        memcpy(buf, output.at, n);
    output.at += n;
    output.left -= n;
    return n;
}

/* How long the line is that the output begins with; `used`: its newline included. */
static size_t expect(const uint8_t *p, size_t n, size_t *used)
{
    size_t most = n < KEPT ? n : KEPT;
    const uint8_t *end = memchr(p, '\n', most);
    size_t len = end != NULL ? (size_t)(end - p) : most;
    *used = len + (end != NULL);
    return len;
}

static void check_lines(const uint8_t *p, size_t n, size_t cap)
{
    struct proc *proc = fuzz_alloc(sizeof(*proc));
    char *line = fuzz_alloc(cap);
    memset(proc, 0, sizeof(*proc));
    output.at = p;
    output.left = n;
    while (n > 0) {
        size_t used, len = expect(p, n, &used);
        CHECK(proc_line(proc, line, cap, PLX_SECOND) == 1);
        len = strnlen((const char *)p, len < cap - 1 ? len : cap - 1);
        CHECK(strlen(line) == len && memcmp(line, p, len) == 0);
        p += used;
        n -= used;
    }
    CHECK(proc_line(proc, line, cap, PLX_SECOND) == 0);
    free(line);
    free(proc);
}

/* The last line that is not empty, of what fits. */
static void check_complaint(const uint8_t *p, size_t n, size_t cap)
{
    struct proc *proc = fuzz_alloc(sizeof(*proc));
    char *buf = fuzz_alloc(cap);
    static int fd = -1;
    if (fd < 0)
        fd = memfd_create("stderr", MFD_CLOEXEC);
    CHECK(fd >= 0 && ftruncate(fd, 0) == 0 && pwrite(fd, p, n, 0) == (ssize_t)n);
    memset(proc, 0, sizeof(*proc));
    proc->err = fd;
    CHECK(proc_complaint(proc, buf, cap) == buf);
    CHECK(memchr(buf, '\0', cap) != NULL && strchr(buf, '\n') == NULL);
    if (memchr(p, '\0', n) == NULL) {
        size_t from = n < cap ? 0 : n - cap + 1;
        while (n > from && p[n - 1] == '\n')
            n--;
        size_t len = strlen(buf);
        CHECK(len <= n - from && memcmp(buf, p + n - len, len) == 0);
        CHECK(len == n - from || p[n - len - 1] == '\n');
    }
    free(buf);
    free(proc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    output.dice.x = (uint32_t)take_number(&in, 2) | 0x10000;
    size_t cap = 2 + take_number(&in, 2) % (KEPT + 1);
    size_t before = take_byte(&in) & 1 ? LONG : 0, n = before + in.left;
    uint8_t *text = fuzz_alloc(n);
    memset(text, 'x', before);
    if (in.left > 0)
        memcpy(text + before, in.at, in.left);
    check_lines(text, n, cap);
    check_complaint(text, n, cap);
    free(text);
    return 0;
}
