/* SPDX-License-Identifier: MIT */
/* JSON documents: written where --json says, and what stands in several of them. */
#include "cmd/cmd.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
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

struct json_t *cmd_words(void)
{
    FILE *f = fopen("/proc/self/cmdline", "re");
    json_t *words = json_array();
    char *word = NULL;
    size_t cap = 0;

    if (f == NULL) {
        json_decref(words);
        return json_null();
    }
    while (getdelim(&word, &cap, '\0', f) >= 0) {
        json_t *text = json_string(word); /* NULL if it is not UTF-8 */
        json_array_append_new(words, text != NULL ? text : json_string("?"));
    }
    free(word);
    fclose(f);
    return words;
}
