/* SPDX-License-Identifier: MIT */
/* Writing a JSON document where --json says. */
#include "cmd/cmd.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

int cmd_json(const struct cmd *cmd, const char *file, struct json_t *doc)
{
    bool to_stdout = strcmp(file, "-") == 0;
    FILE *f = to_stdout ? stdout : fopen(file, "we");
    int err = 0;

    if (f == NULL) {
        err = errno;
        json_decref(doc);
        return cmd_fail(cmd, STATUS_FAILED, "--json %s: %s", file, plx_error_text(err));
    }
    if (json_dumpf(doc, f, JSON_INDENT(2)) != 0 || fputc('\n', f) == EOF || fflush(f) == EOF)
        err = errno != 0 ? errno : EIO;
    json_decref(doc);
    if (!to_stdout && fclose(f) == EOF && err == 0)
        err = errno;
    if (err != 0)
        return cmd_fail(cmd, STATUS_FAILED, "--json %s: %s", file, plx_error_text(err));
    return STATUS_DONE;
}
