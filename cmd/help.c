/* SPDX-License-Identifier: MIT */
/* --help, made from the same tables as everything else that describes the program. */
#include "cmd/cmd.h"
#include "cmd/text.h"

#include <stdio.h>
#include <string.h>

#define OPTION_COLUMN 26

static void help_program(void)
{
    const struct cmd *cmd;

    printf("Usage: pollux COMMAND [OPTIONS] [ARGUMENTS]\n\n"
           "One handler, every I/O model: servers, clients, and what each model costs.\n\n"
           "Commands:\n");
    for (size_t i = 0; (cmd = cmd_at(i)) != NULL; i++)
        printf("  %-10s%s\n", cmd->name, cmd->summary);
    printf("\n"
           "  pollux COMMAND --help     the options of a command; also: pollux help COMMAND\n"
           "  pollux --version          the version\n"
           "  pollux completion bash    completion for the shell, to be sourced by it\n\n");
    text_wrap(
        "An address is HOST:PORT, [::1]:PORT, :PORT (loopback) or unix:PATH; port 0 means any "
        "free port. Counts are given as 100 or 10k (10000), sizes as 4096 or 64k (65536 "
        "bytes), times as 10s, 250ms or 2m.",
        0, 0, TEXT_HELP_WIDTH);
}

static void help_option(const struct opt *o)
{
    char left[80];
    char right[2 * OPT_TEXT_MAX];
    char facts[OPT_TEXT_MAX];
    int n = printf("  %s%s", o->brief != '\0' ? "" : "    ", opt_synopsis(o, left, sizeof left));

    snprintf(right, sizeof right, "%s %s", o->help, opt_facts(o, facts, sizeof facts));
    /* Two spaces at least between the columns. */
    text_wrap(right, n + 2 > OPTION_COLUMN ? OPTION_COLUMN + 1 : (size_t)n, OPTION_COLUMN,
              TEXT_HELP_WIDTH);
}

static void help_list(const struct cmd_list *list)
{
    const char *name;

    printf("\n%s:\n", list->heading);
    for (size_t i = 0; (name = list->name(i)) != NULL; i++) {
        int n = printf("  %s", name);
        text_wrap(list->text(i), (size_t)n, 15, TEXT_HELP_WIDTH);
    }
}

void cmd_help(const struct cmd *cmd)
{
    static const struct opt help = {
        .name = "help", .brief = 'h', .kind = OPT_FLAG, .help = "Print this and exit."};

    if (cmd == NULL) {
        help_program();
        return;
    }
    printf("Usage: pollux %s [OPTIONS]%s%s\n\n", cmd->name, cmd->args[0] != '\0' ? " " : "",
           cmd->args);
    text_wrap(cmd->description[0], 0, 0, TEXT_HELP_WIDTH);
    printf("\nOptions:\n");
    for (const struct opt *o = cmd->options; o->name != NULL; o++)
        help_option(o);
    help_option(&help);
    for (const struct cmd_list *list = cmd->lists; list != NULL && list->heading != NULL; list++)
        help_list(list);
    printf("\nExit status:\n");
    for (const struct cmd_exit *e = cmd->exits; e->text != NULL; e++) {
        int n = printf("  %d", e->status);
        text_wrap(e->text, (size_t)n, 7, TEXT_HELP_WIDTH);
    }
    printf("\nExamples:\n");
    for (const struct cmd_example *e = cmd->examples; e->line != NULL; e++) {
        printf("  %s\n", e->line);
        text_wrap(e->text, 0, 6, TEXT_HELP_WIDTH);
    }
}
