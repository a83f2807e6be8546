/* SPDX-License-Identifier: MIT */
/*
 * `pollux completion bash` prints a completion function. It is plain bash without the
 * bash-completion package: one case per command, and in it one per option that takes a value.
 */
#include "cmd/cmd.h"

#include <stdio.h>

static void put_values(const struct opt *o)
{
    const char *name;

    printf("        --%s", o->name);
    if (o->brief != '\0')
        printf("|-%c", o->brief);
    printf(") ");
    if (o->choice != NULL) {
        printf("words='");
        for (size_t i = 0; (name = o->choice(i)) != NULL; i++)
            printf("%s%s", i > 0 ? " " : "", name);
        printf("'");
    } else if ((o->flags & OPT_FILE) != 0) {
        printf("files=1");
    } else if ((o->flags & OPT_NONE) != 0) {
        printf("words=none");
    } else {
        printf("words=");
    }
    printf(" ;;\n");
}

static void put_command(const struct cmd *cmd)
{
    printf("    %s)\n        case $prev in\n", cmd->name);
    for (const struct opt *o = cmd->options; o->name != NULL; o++) {
        if (o->kind != OPT_FLAG && (o->flags & OPT_OPTIONAL) == 0)
            put_values(o);
    }
    printf("        *) words='");
    for (const struct opt *o = cmd->options; o->name != NULL; o++)
        printf("--%s ", o->name);
    printf("--help'%s ;;\n        esac\n        ;;\n",
           (cmd->arg_flags & OPT_FILE) != 0 ? "; [[ $cur == -* ]] || files=1" : "");
}

void cmd_completion_bash(void)
{
    const struct cmd *cmd;

    printf("# bash completion for pollux\n"
           "_pollux()\n{\n"
           "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
           "    local words='' files=''\n\n"
           "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n        words='");
    for (size_t i = 0; (cmd = cmd_at(i)) != NULL; i++)
        printf("%s ", cmd->name);
    printf("help completion --help --version'\n"
           "    elif [ \"${COMP_WORDS[1]}\" = help ]; then\n        words='");
    for (size_t i = 0; (cmd = cmd_at(i)) != NULL; i++)
        printf("%s%s", i > 0 ? " " : "", cmd->name);
    printf("'\n    elif [ \"${COMP_WORDS[1]}\" = completion ]; then\n        words=bash\n    fi\n"
           "    case ${COMP_WORDS[1]} in\n");
    for (size_t i = 0; (cmd = cmd_at(i)) != NULL; i++)
        put_command(cmd);
    printf("    esac\n"
           "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
           "    if [ -n \"$files\" ]; then\n"
           "        compopt -o filenames\n"
           "        mapfile -t -O \"${#COMPREPLY[@]}\" COMPREPLY < <(compgen -f -- \"$cur\")\n"
           "    fi\n"
           "}\n"
           "complete -F _pollux pollux\n");
}
