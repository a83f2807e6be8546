/* SPDX-License-Identifier: MIT */
/*
 * The program: finds the command, has its options read, runs it, and makes sure that what it
 * printed really went out. Besides the commands of the table there are `help`, and two that serve
 * the build and the shell rather than people: `man` and `completion`.
 */
#include "cmd/cmd.h"

#include <errno.h>
#include <fcntl.h>
#include <pollux/pollux.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *command_name(size_t i)
{
    const struct cmd *cmd = cmd_at(i);

    return cmd != NULL ? cmd->name : NULL;
}

static int unknown_command(const char *name)
{
    const char *near = opt_nearest(name, command_name);

    if (near != NULL)
        return cmd_fail(NULL, STATUS_USAGE, "unknown command %s; did you mean %s?", name, near);
    return cmd_fail(NULL, STATUS_USAGE, "unknown command %s; see pollux --help", name);
}

/* `pollux help`, `pollux man`: without a name about the program, with one about a command. */
static int describe(int argc, char **argv, void (*print)(const struct cmd *))
{
    const struct cmd *cmd = NULL;

    if (argc > 2)
        return cmd_fail(NULL, STATUS_USAGE, "unexpected argument %s; usage: pollux %s [COMMAND]",
                        argv[2], argv[0]);
    if (argc == 2 && (cmd = cmd_find(argv[1])) == NULL)
        return unknown_command(argv[1]);
    print(cmd);
    return STATUS_DONE;
}

static int completion(int argc, char **argv)
{
    if (argc != 2 || strcmp(argv[1], "bash") != 0)
        return cmd_fail(NULL, STATUS_USAGE,
                        "completion is for bash; usage: pollux completion bash");
    cmd_completion_bash();
    return STATUS_DONE;
}

static int run(const struct cmd *cmd, int argc, char **argv)
{
    struct opt_list args = {.n = 0};
    char err[2 * OPT_TEXT_MAX];
    void *values = calloc(1, cmd->values_size + 1);
    int status;
    int rc;

    if (values == NULL)
        return cmd_fail(cmd, STATUS_USAGE, "out of memory");
    rc = opt_parse(cmd, argc - 1, argv + 1, values, &args, err, sizeof err);
    if (rc < 0) {
        status = cmd_fail(cmd, STATUS_USAGE, "%s", err);
    } else if (rc > 0) {
        cmd_help(cmd);
        status = STATUS_DONE;
    } else {
        status = cmd->run(values, &args);
    }
    free(values);
    return status;
}

static int dispatch(int argc, char **argv)
{
    const struct cmd *cmd;

    if (argc == 0)
        return cmd_fail(NULL, STATUS_USAGE, "a command is missing; see pollux --help");
    if (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0) {
        cmd_help(NULL);
        return STATUS_DONE;
    }
    if (strcmp(argv[0], "--version") == 0 || strcmp(argv[0], "-V") == 0) {
        printf("pollux " PLX_VERSION "\n");
        return STATUS_DONE;
    }
    if (argv[0][0] == '-')
        return cmd_fail(NULL, STATUS_USAGE, "unknown option %s; see pollux --help", argv[0]);
    if (strcmp(argv[0], "help") == 0)
        return describe(argc, argv, cmd_help);
    if (strcmp(argv[0], "man") == 0)
        return describe(argc, argv, cmd_roff);
    if (strcmp(argv[0], "completion") == 0)
        return completion(argc, argv);
    cmd = cmd_find(argv[0]);
    if (cmd == NULL)
        return unknown_command(argv[0]);
    return run(cmd, argc, argv);
}

/*
 * A program started with a standard stream closed would get that number for its next descriptor,
 * and what is printed would go into a client's connection. Such a stream is replaced by one that
 * is at its end, or that refuses to be written.
 */
static void fill_standard_streams(void)
{
    int fd;

    do {
        fd = open("/dev/null", O_RDONLY);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

int main(int argc, char **argv)
{
    fill_standard_streams();

    int status = dispatch(argc - 1, argv + 1);

    /* Results that did not reach the disk are not results: a full file system shows only here. */
    errno = 0;
    if ((fflush(stdout) == EOF || ferror(stdout)) && status == STATUS_DONE)
        status = cmd_fail(NULL, STATUS_FAILED, "standard output: %s",
                          errno != 0 ? plx_error_text(errno) : "write error");
    return status;
}
