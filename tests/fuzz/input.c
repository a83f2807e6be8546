/* SPDX-License-Identifier: MIT */
/*
 * pollux connect --quit-on-empty-line: where the input ends. Input: two bytes for how it is cut
 * into pieces, a byte for the option, then standard input. What is sent must not depend on the
 * cuts.
 */
#include "fuzz.h"

#include "cmd/connect.h"

/* The bytes before an empty line, which is a newline at the start or behind another. */
static size_t expect(const uint8_t *p, size_t n, bool stops)
{
    for (size_t i = 0; stops && i < n; i++) {
        if (p[i] == '\n' && (i == 0 || p[i - 1] == '\n'))
            return i;
    }
    return n;
}

/* Standard input holds these bytes. */
static void set_standard_input(const uint8_t *p, size_t n)
{
    static int fd = -1;
    if (fd < 0) {
        fd = memfd_create("stdin", MFD_CLOEXEC);
        CHECK(fd >= 0 && dup2(fd, STDIN_FILENO) == STDIN_FILENO);
    }
    CHECK(ftruncate(fd, 0) == 0 && pwrite(fd, p, n, 0) == (ssize_t)n);
    CHECK(lseek(fd, 0, SEEK_SET) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    struct dice dice = {(uint32_t)take_number(&in, 2) | 0x10000};
    struct connect_input state = {.stops_on_empty = take_byte(&in) & 1};
    size_t want = expect(in.at, in.left, state.stops_on_empty);
    size_t sent = 0;

    set_standard_input(in.at, in.left);
    while (!state.over) {
        size_t cap = 1 + below(&dice, 1 + below(&dice, 64));
        char *buf = fuzz_alloc(cap);
        ssize_t n = connect_read(&state, buf, cap);
        CHECK(n >= 0 && (size_t)n <= cap && sent + (size_t)n <= want);
        CHECK(n > 0 || state.over);
        CHECK(memcmp(buf, in.at + sent, (size_t)n) == 0);
        sent += (size_t)n;
        free(buf);
    }
    CHECK(sent == want);
    return 0;
}
