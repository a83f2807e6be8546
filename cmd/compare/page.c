/* SPDX-License-Identifier: MIT */
/*
 * The report to look at: one file of HTML with its style, its script, Chart.js and the document in
 * it, which a browser opens from the disk without asking anybody for anything.
 *
 * page.html has a place "{{NAME}}" for each part; the page itself is drawn from the document by the
 * script, so that no figure exists twice. Names in the document are other people's text: a "<" of
 * it is written as the JSON escape \u003c, so that neither </script> nor <!-- can end the element
 * that holds it, and only scripts with this file's nonce run at all.
 */
#include "cmd/compare/compare.h"
#include "cmd/compare/page_parts.h"
#include "cmd/replace_file.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NONCE_BYTES 16

/* What stands in the places of page.html that are not parts. */
struct page {
    FILE *out;
    char *results; /* JSON */
    char nonce[2 * NONCE_BYTES + 1];
};

static const struct page_part *find_part(const char *name, size_t len)
{
    for (const struct page_part *part = page_parts; part->name != NULL; part++) {
        if (strlen(part->name) == len && memcmp(part->name, name, len) == 0)
            return part;
    }
    return NULL;
}

/* ---- what a browser must not take for its own ---- */

static void write_json(FILE *out, const char *json)
{
    for (size_t n; *json != '\0'; json += n) {
        n = strcspn(json, "<");
        fwrite(json, 1, n, out);
        if (json[n] == '<') {
            fputs("\\u003c", out);
            n++;
        }
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
    const struct page_part *part = find_part(name, len);

    if (len == strlen("results") && memcmp(name, "results", len) == 0)
        write_json(page->out, page->results);
    else if (len == strlen("nonce") && memcmp(name, "nonce", len) == 0)
        fputs(page->nonce, page->out);
    else if (part != NULL)
        fwrite(part->text, 1, part->size, page->out);
    /* Otherwise it is a part that this build lacks: Chart.js. */
}

static void write_page(const struct page *page)
{
    const struct page_part *frame = find_part("page.html", strlen("page.html"));
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

/* ---- the file ---- */

static int fill(int fd, void *arg)
{
    struct page *page = arg;
    int own = dup(fd); /* fclose(3) takes it along */
    int rc = 0;

    page->out = own < 0 ? NULL : fdopen(own, "w");
    if (page->out == NULL) {
        rc = -errno;
        if (own >= 0)
            close(own);
        return rc;
    }
    errno = 0;
    write_page(page);
    if (fflush(page->out) == EOF || ferror(page->out))
        rc = errno != 0 ? -errno : -EIO;
    if (fclose(page->out) == EOF && rc == 0)
        rc = -errno;
    return rc;
}

int compare_write_page(const char *file, const struct json_t *results)
{
    struct page page = {.results = json_dumps(results, JSON_COMPACT)};
    int rc = -ENOMEM;

    if (page.results != NULL) {
        rc = make_nonce(page.nonce);
        if (rc == 0)
            rc = replace_file(file, fill, &page);
    }
    free(page.results);
    return rc;
}
