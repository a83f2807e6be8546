/* SPDX-License-Identifier: MIT */
/*
 * The report to look at: one file of HTML with its style, its script, Chart.js and the document in
 * it (cmd/page.h).
 */
#include "cmd/compare/compare.h"
#include "cmd/compare/page_parts.h"
#include "cmd/replace_file.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* `arg` is the document, as text. */
static int fill(int fd, void *arg)
{
    int own = dup(fd); /* fclose(3) takes it along */
    FILE *out = own < 0 ? NULL : fdopen(own, "w");
    int rc;

    if (out == NULL) {
        rc = -errno;
        if (own >= 0)
            close(own);
        return rc;
    }
    rc = page_write(out, page_parts, "page.html", arg, strlen(arg));
    if (fclose(out) == EOF && rc == 0)
        rc = -errno;
    return rc;
}

int compare_write_page(const char *file, const struct json_t *results)
{
    char *text = json_dumps(results, JSON_COMPACT);
    int rc = text == NULL ? -ENOMEM : replace_file(file, fill, text);

    free(text);
    return rc;
}
