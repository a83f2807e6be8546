/* SPDX-License-Identifier: MIT */
/*
 * A command of the program: what it is called, what it takes, what the manual says about it, and
 * the function that does it. One row in the table of cmd.c makes it known to the dispatcher,
 * to --help, to the manual and to the shell completion.
 *
 * In all prose a part between `backquotes` is set in bold by the manual and plainly by --help.
 */
#ifndef POLLUX_CMD_CMD_H
#define POLLUX_CMD_CMD_H

#include "cmd/opt.h"

#include <pollux/error.h>

/* Exit status of every command; a command may add its own from 3 on (see its `exits`). */
enum {
    STATUS_DONE = 0,
    STATUS_FAILED = 1, /* while running */
    STATUS_USAGE = 2,  /* wrong usage, or it cannot start */
};

struct cmd_exit {
    int status;
    const char *text; /* NULL ends the array */
};

struct cmd_example {
    const char *line; /* what to type; NULL ends the array */
    const char *text; /* what it does, one sentence */
};

/* A section of the help and the manual whose rows come from another table. */
struct cmd_list {
    const char *heading;           /* "Services"; NULL ends the array */
    const char *(*name)(size_t i); /* row i, NULL past the end */
    const char *(*text)(size_t i); /* what it is, without a full stop */
};

struct cmd {
    const char *name;
    const char *summary; /* one line, lower case, no full stop: after NAME in man */
    const char *args;    /* "[ADDR]", "ADDR", "[FILE]"; "" = none */
    size_t min_args, max_args;
    unsigned arg_flags;                 /* OPT_FILE, OPT_ADDR: how the shell completes arguments */
    const struct opt *options;          /* ends with a zero row */
    const char *const *description;     /* paragraphs for the manual, NULL-terminated */
    const struct cmd_exit *exits;       /* all of them, 0 included */
    const struct cmd_example *examples; /* one or more */
    const char *see_also;               /* "pollux-connect(1), epoll(7)" */
    const struct cmd_list *lists;       /* or NULL */
    size_t values_size;                 /* of what the options fill in */

    /* Does it; `values` and `args` are what opt_parse() made. Returns the exit status. Messages
     * are printed here, standard output is flushed and checked by the caller. */
    int (*run)(const void *values, const struct opt_list *args);
};

extern const struct cmd cmd_models, cmd_serve, cmd_connect, cmd_check, cmd_bench, cmd_compare,
    cmd_explain;

/* Row `i` of the table of commands, NULL past its end. */
const struct cmd *cmd_at(size_t i);

/* The command called `name`, or NULL. */
const struct cmd *cmd_find(const char *name);

/* Prints the one line "pollux NAME: TEXT" to standard error ("pollux: TEXT" for NULL) and returns
 * `status`, so that a command can say `return cmd_fail(...)`. */
int cmd_fail(const struct cmd *, int status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Likewise "pollux NAME: REASON; REMEDY" from what the library said. `err` (-errno) speaks where
 * the library gave no reason. */
int cmd_fail_why(const struct cmd *, int status, int err, const struct plx_why *);

/* How --help and the manual's pages are printed (help.c, roff.c, completion.c). */
void cmd_help(const struct cmd *); /* NULL: of the program as a whole */
void cmd_roff(const struct cmd *); /* likewise */
void cmd_completion_bash(void);

/* Choice functions for the options of several commands. */
const char *cmd_choice_model(size_t i); /* "auto" first, then every row of the table of models */
const char *cmd_choice_level(size_t i); /* error warn info debug, as enum plx_level */

/* Writes `doc` to `file` ("-" is standard output) as one JSON document and releases it.
 * Returns STATUS_DONE, or STATUS_FAILED after having said why. */
struct json_t;
int cmd_json(const struct cmd *, const char *file, struct json_t *doc);

/* The words of the command line, as an array: they are read from the system, since a command gets
 * only what became of them. null where it does not tell. */
struct json_t *cmd_words(void);

#endif
