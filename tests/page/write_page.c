/* SPDX-License-Identifier: MIT */
/*
 * write_page RESULTS.json PAGE.html: the report of a document of `pollux compare`, without a run.
 * write_page --explain TRACE.json PAGE.html: the page of one of `pollux explain`. Exit 0 or 1.
 */
#include "cmd/compare/compare.h"
#include "cmd/explain/page.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int write_explain(const char *file, const json_t *doc)
{
    char *text = json_dumps(doc, JSON_COMPACT);
    FILE *out = text == NULL ? NULL : fopen(file, "w");
    int rc = out == NULL ? -errno : explain_page_write(out, text, strlen(text));

    if (out != NULL && fclose(out) == EOF && rc == 0)
        rc = -errno;
    free(text);
    return rc;
}

int main(int argc, char **argv)
{
    int explain = argc == 4 && strcmp(argv[1], "--explain") == 0;
    const char *from, *to;
    json_error_t error;
    json_t *doc;
    int rc;

    if (argc != 3 && !explain) {
        fprintf(stderr, "usage: write_page [--explain] DOCUMENT.json PAGE.html\n");
        return 1;
    }
    from = argv[argc - 2];
    to = argv[argc - 1];
    doc = json_load_file(from, 0, &error);
    if (doc == NULL) {
        fprintf(stderr, "write_page: %s: %s\n", from, error.text);
        return 1;
    }
    rc = explain ? write_explain(to, doc) : compare_write_page(to, doc);
    json_decref(doc);
    if (rc < 0)
        fprintf(stderr, "write_page: %s: %s\n", to, strerror(-rc));
    return rc < 0;
}
