/* SPDX-License-Identifier: MIT */
/* See output.h. */
#include "cmd/explain/output.h"

#include "cmd/explain/page.h"
#include "cmd/replace_file.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct output {
    enum explain_form form;
    const struct explain_document *document;
};

static int write_json(FILE *f, const struct explain_document *d)
{
    json_t *j = explain_json(d);
    int rc = j != NULL ? 0 : -ENOMEM;

    /* An event is a line's worth; indented, each of its fields would be one. */
    if (rc == 0 && (json_dumpf(j, f, JSON_COMPACT) != 0 || fputc('\n', f) == EOF))
        rc = errno != 0 ? -errno : -EIO;
    json_decref(j);
    return rc;
}

static int write_page(FILE *f, const struct explain_document *d)
{
    json_t *j = explain_json(d);
    char *text = j != NULL ? json_dumps(j, JSON_COMPACT) : NULL;
    int rc = text != NULL ? explain_page_write(f, text, strlen(text)) : -ENOMEM;

    free(text);
    json_decref(j);
    return rc;
}

static int write_form(FILE *f, const struct output *o)
{
    int rc = 0;

    errno = 0;
    switch (o->form) {
    case EXPLAIN_JSON: rc = write_json(f, o->document); break;
    case EXPLAIN_SVG: rc = explain_svg(f, o->document); break;
    case EXPLAIN_HTML: rc = write_page(f, o->document); break;
    case EXPLAIN_PERFETTO: rc = explain_perfetto(f, o->document); break;
    }
    if (rc == 0 && (fflush(f) == EOF || ferror(f)))
        rc = errno != 0 ? -errno : -EIO;
    return rc;
}

static int fill(int fd, void *arg)
{
    int copy = dup(fd);
    FILE *f = copy >= 0 ? fdopen(copy, "w") : NULL;
    int rc = f != NULL ? write_form(f, arg) : -errno;

    if (f != NULL && fclose(f) == EOF && rc == 0)
        rc = -errno;
    else if (f == NULL && copy >= 0)
        close(copy);
    return rc;
}

int explain_write(const char *file, enum explain_form form, const struct explain_document *d)
{
    struct output o = {.form = form, .document = d};

    return strcmp(file, "-") == 0 ? write_form(stdout, &o) : replace_file(file, fill, &o);
}
