/* SPDX-License-Identifier: MIT */
/*
 * Texts of /proc and /sys. Input: a byte for the size of a buffer, a key up to a newline, the text.
 * Names of processes, of control groups and of mounts are in them, which anybody may choose.
 */
#include "fuzz.h"

#include "cmd/measure/sysfile.h"

#include <errno.h>

/* What stands behind the key at the beginning of the first such line. */
static const char *expect(const char *text, const char *key)
{
    for (const char *at = text; *at != '\0'; at++) {
        if ((at == text || at[-1] == '\n') && strncmp(at, key, strlen(key)) == 0) {
            at += strlen(key);
            while (*at == ' ' || *at == '\t')
                at++;
            return at;
        }
    }
    return NULL;
}

static void check_line(const char *text, size_t cap)
{
    char *line = fuzz_alloc(cap);
    size_t n = strcspn(text, "\n");
    CHECK(sysfile_line(text, line, cap) == line);
    CHECK(strlen(line) == (n < cap ? n : 0) && strncmp(line, text, strlen(line)) == 0);
    free(line);
}

/* As much of the file as fits, without the newline at its end. */
static void check_read(const char *text, size_t n, size_t cap)
{
    char *read = fuzz_alloc(cap);
    ssize_t rc = sysfile_read(read, cap, "%s", fuzz_file(text, n));
    size_t want = n < cap - 1 ? n : cap - 1;
    if (want > 0 && text[want - 1] == '\n')
        want--;
    CHECK(rc == (ssize_t)want && read[want] == '\0' && memcmp(read, text, want) == 0);
    free(read);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    size_t cap = (size_t)take_byte(&in) + 1;
    char *key = take_text(&in, '\n');
    size_t n = in.left;
    char *text = take_rest(&in);
    const char *found = sysfile_after(text, key);
    int64_t number = 0;
    /* An empty key stands at the beginning of every line. */
    CHECK(*key == '\0' ? found != NULL : found == expect(text, key));
    bool good = sysfile_number(text, key, &number);
    CHECK(!good || found != NULL);
    if (found != NULL)
        check_line(found, cap);
    if (good) {
        char again[32];
        int64_t same = 0;
        snprintf(again, sizeof(again), "%s%lld", "x: ", (long long)number);
        CHECK(sysfile_number(again, "x:", &same) && same == number);
    }
    check_read(text, n, cap);
    free(text);
    free(key);
    return 0;
}
