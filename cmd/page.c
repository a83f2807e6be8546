/* SPDX-License-Identifier: MIT */
/*
 * A page from its parts. It is drawn from the document by its own script, so that no figure exists
 * twice. Names in the document are other people's text: a "<" of it is written as the JSON escape
 * \u003c, so that neither </script> nor <!-- can end the element that holds it, and only scripts
 * with this file's nonce run at all.
 */
#include "cmd/page.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define NONCE_BYTES 16

struct page {
    FILE *out;
    const struct page_part *parts;
    const char *json;
    size_t json_size;
    char nonce[2 * NONCE_BYTES + 1];
};

static const struct page_part *find_part(const struct page *page, const char *name, size_t len)
{
    for (const struct page_part *part = page->parts; part->name != NULL; part++) {
        if (strlen(part->name) == len && memcmp(part->name, name, len) == 0)
            return part;
    }
    return NULL;
}

/* ---- what a browser must not take for its own ---- */

static void write_json(const struct page *page)
{
    const char *at = page->json;
    const char *end = at + page->json_size;

    while (at < end) {
        const char *less = memchr(at, '<', (size_t)(end - at));

        fwrite(at, 1, (size_t)((less ? less : end) - at), page->out);
        if (less == NULL)
            return;
        fputs("\\u003c", page->out);
        at = less + 1;
    }
}

/* In hexadecimal digits. Nobody who wrote a name that the document holds can know it. */
static int make_nonce(char *text)
{
    unsigned char byte[NONCE_BYTES];

    if (getentropy(byte, sizeof byte) < 0)
        return -errno;
    for (size_t i = 0; i < sizeof byte; i++)
        snprintf(text + 2 * i, 3, "%02x", byte[i]);
    return 0;
}

/* ---- the page from its parts ---- */

static void write_place(const struct page *page, const char *name, size_t len)
{
    const struct page_part *part = find_part(page, name, len);

    if (len == strlen("results") && memcmp(name, "results", len) == 0)
        write_json(page);
    else if (len == strlen("nonce") && memcmp(name, "nonce", len) == 0)
        fputs(page->nonce, page->out);
    else if (part != NULL)
        fwrite(part->text, 1, part->size, page->out);
    /* Otherwise it is a part that this build lacks: Chart.js. */
}

static void write_frame(const struct page *page, const struct page_part *frame)
{
    const char *at = (const char *)frame->text;
    const char *end = at + frame->size;

    while (at < end) {
        const char *open = memmem(at, (size_t)(end - at), "{{", 2);
        const char *close = open ? memmem(open, (size_t)(end - open), "}}", 2) : NULL;

        fwrite(at, 1, (size_t)((close ? open : end) - at), page->out);
        if (close == NULL)
            return;
        write_place(page, open + 2, (size_t)(close - open - 2));
        at = close + 2;
    }
}

int page_write(FILE *out, const struct page_part *parts, const char *frame, const char *json,
               size_t size)
{
    struct page page = {.out = out, .parts = parts, .json = json, .json_size = size};
    const struct page_part *part = find_part(&page, frame, strlen(frame));
    int rc = part == NULL ? -ENOENT : make_nonce(page.nonce);

    if (rc < 0)
        return rc;
    errno = 0;
    write_frame(&page, part);
    if (fflush(out) == EOF || ferror(out))
        rc = errno != 0 ? -errno : -EIO;
    return rc;
}
