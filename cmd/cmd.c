/* SPDX-License-Identifier: MIT */
/*
 * The table of commands, and what all of them share: the one line that says what went wrong, and
 * the choices that more than one of them offers.
 */
#include "cmd/cmd.h"

#include <pollux/model.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct cmd *const commands[] = {&cmd_models, &cmd_serve,   &cmd_connect, &cmd_check,
                                             &cmd_bench,  &cmd_compare, &cmd_explain};

const struct cmd *cmd_at(size_t i)
{
    return i < sizeof commands / sizeof *commands ? commands[i] : NULL;
}

const struct cmd *cmd_find(const char *name)
{
    const struct cmd *cmd;

    for (size_t i = 0; (cmd = cmd_at(i)) != NULL; i++) {
        if (strcmp(cmd->name, name) == 0)
            return cmd;
    }
    return NULL;
}

int cmd_fail(const struct cmd *cmd, int status, const char *fmt, ...)
{
    char text[1024];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    /* The text quotes what was typed or received: a control character in it must neither make two
     * lines of one nor reach the terminal. */
    for (char *p = text; *p != '\0'; p++) {
        if ((unsigned char)*p < ' ' || *p == 127)
            *p = '?';
    }
    fprintf(stderr, "pollux%s%s: %s\n", cmd != NULL ? " " : "", cmd != NULL ? cmd->name : "", text);
    return status;
}

int cmd_fail_why(const struct cmd *cmd, int status, int err, const struct plx_why *why)
{
    return cmd_fail(cmd, status, "%s%s%s",
                    why->reason[0] != '\0' ? why->reason : plx_error_text(err),
                    why->remedy[0] != '\0' ? "; " : "", why->remedy);
}

const char *cmd_choice_model(size_t i)
{
    const struct plx_model *model = NULL;

    if (i == 0)
        return "auto";
    /* The table may have a row for auto itself; it is offered once, in front. */
    for (size_t row = 0; i > 0 && (model = plx_model_at(row)) != NULL; row++)
        i -= strcmp(model->name, "auto") != 0;
    return model != NULL ? model->name : NULL;
}

const char *cmd_choice_level(size_t i)
{
    static const char *const names[] = {
        [PLX_LOG_ERROR] = "error",
        [PLX_LOG_WARN] = "warn",
        [PLX_LOG_INFO] = "info",
        [PLX_LOG_DEBUG] = "debug",
    };

    return i < sizeof names / sizeof *names ? names[i] : NULL;
}
