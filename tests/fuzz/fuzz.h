/* SPDX-License-Identifier: MIT */
/*
 * What the fuzz targets share. A target is a file NAME.c with the one function below. It is called
 * with every input that libFuzzer makes up, or, in a build without libFuzzer, with every file of
 * the kept corpus (replay.c). A target never starts anything, asks no name server and reads no file
 * but its input; a thing that is wrong ends the process, so that the input is kept.
 *
 * To know that nothing crashes is the least of it: each target says what must hold of an answer,
 * and asks a second, simpler way to the same answer where there is one.
 */
#ifndef POLLUX_TEST_FUZZ_H
#define POLLUX_TEST_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Always 0. `data` is not terminated. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- what must hold ---- */

/* Not assert(3): it has to count in every build. */
#define CHECK(what) ((what) ? (void)0 : fuzz_fail(__FILE__, __LINE__, #what))

static inline void fuzz_fail(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
    abort();
}

/* Without memory there is nothing to be found out. */
static inline void *fuzz_alloc(size_t n)
{
    void *p = malloc(n > 0 ? n : 1);
    CHECK(p != NULL);
    return p;
}

/* ---- the input ---- */

/* Read from its front; past its end there are zeros. */
struct input {
    const uint8_t *at;
    size_t left;
};

static inline uint8_t take_byte(struct input *in)
{
    if (in->left == 0)
        return 0;
    in->left--;
    return *in->at++;
}

/* `n` bytes as a number, 8 at most. */
static inline uint64_t take_number(struct input *in, unsigned n)
{
    uint64_t number = 0;
    while (n-- > 0)
        number = number << 8 | take_byte(in);
    return number;
}

/* A terminated copy, in memory of just that size: one byte further is found out. free() it. */
static inline char *copy_text(const void *p, size_t n)
{
    char *text = fuzz_alloc(n + 1);
    if (n > 0)
        memcpy(text, p, n);
    text[n] = '\0';
    return text;
}

/* What is left, up to `end` (which is passed over), as text. free() it. */
static inline char *take_text(struct input *in, char end)
{
    const uint8_t *stop = in->left > 0 ? memchr(in->at, end, in->left) : NULL;
    size_t n = stop != NULL ? (size_t)(stop - in->at) : in->left;
    char *text = copy_text(in->at, n);
    in->at += n + (stop != NULL);
    in->left -= n + (stop != NULL);
    return text;
}

static inline char *take_rest(struct input *in)
{
    char *text = copy_text(in->at, in->left);
    in->left = 0;
    return text;
}

/* ---- chance: xorshift32 (Marsaglia 2003), from the input, so that every run is the same ---- */

struct dice {
    uint32_t x; /* never 0 */
};

static inline size_t below(struct dice *d, size_t n)
{
    d->x ^= d->x << 13;
    d->x ^= d->x >> 17;
    d->x ^= d->x << 5;
    return d->x % n;
}

/* ---- files and lines ---- */

/* The name of a file that holds these bytes; it is the same one each time. */
static inline const char *fuzz_file(const void *p, size_t n)
{
    static char name[32];
    static int fd = -1;
    if (fd < 0) {
        fd = memfd_create("input", MFD_CLOEXEC);
        snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    }
    CHECK(fd >= 0 && ftruncate(fd, 0) == 0);
    CHECK(pwrite(fd, p, n, 0) == (ssize_t)n);
    return name;
}

/* Whether a text can be shown on a terminal as one line: the bytes of whoever wrote the input must
 * not move its cursor. */
static inline bool is_line(const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < ' ' || *text == 127)
            return false;
    }
    return true;
}

#endif
