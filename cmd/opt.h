/* SPDX-License-Identifier: MIT */
/*
 * Options. One row of data per option feeds the parser, --help, the manual page and the shell
 * completion, so that the four cannot disagree.
 *
 * A command describes its options with a table that ends with an all-zero row, and gets its values
 * in a structure of its own, each at the offset that the row names:
 *
 *     struct values { bool quiet; int64_t idle_ns; struct opt_list listen; };
 *     static const struct opt options[] = {
 *         {.name = "quiet", .brief = 'q', .kind = OPT_FLAG, .offset = offsetof(struct values,
 * quiet), .help = "Say nothing."},
 *         {.name = "idle-timeout", .kind = OPT_TIME, .arg = "TIME", .value = "5m",
 *          .min = PLX_MSEC, .max = 24 * 3600 * PLX_SECOND, .flags = OPT_NONE,
 *          .offset = offsetof(struct values, idle_ns), .help = "Drop a peer ..."},
 *         {0}};
 *
 * On the command line: --name VALUE, --name=VALUE, -q, -n VALUE, -nVALUE, grouped flags (-qv); "--"
 * ends the options; options and arguments may be mixed. A name is never abbreviated: an
 * abbreviation that works today becomes ambiguous with tomorrow's option.
 */
#ifndef POLLUX_CMD_OPT_H
#define POLLUX_CMD_OPT_H

#include "cmd/unit.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cmd;

/* More than this many values of one option, or arguments, is an error (plx_server_config.nlisten
 * has the same limit). */
#define OPT_LIST_MAX 64

struct opt_list {
    const char *item[OPT_LIST_MAX];
    size_t n;
};

/* What a value is, and the type of the field at `offset`. */
enum opt_kind {
    OPT_FLAG,   /* bool: no value */
    OPT_TEXT,   /* const char *: NULL without a default; points into argv or the table; one of
                 * `choice` if that is set, for who has to know whether it was given */
    OPT_LIST,   /* struct opt_list: repeatable text, each one of `choice` if that is set */
    OPT_CHOICE, /* int: the index of a name that `choice` knows */
    OPT_COUNT,  /* int64_t, min..max */
    OPT_SIZE,   /* int64_t bytes, min..max */
    OPT_TIME    /* int64_t nanoseconds, min..max */
};

/* Bits of `flags`. */
#define OPT_NONE 0x1u /* "none" is allowed and stored as PLX_OFF (COUNT, SIZE, TIME) */
#define OPT_OPTIONAL                                                                               \
    0x2u              /* TEXT: the value may be left out, then it is `implied`. It is given as     \
                       * --name=VALUE; of what follows as a word of its own only "-" is taken */
#define OPT_FILE 0x4u /* TEXT: a file name; the shell completes it */
#define OPT_ADDR 0x8u /* TEXT, LIST: an address; the shell completes nothing */

struct opt {
    const char *name; /* long name without dashes; NULL ends the table */
    char brief;       /* one letter, or 0 */
    enum opt_kind kind;
    unsigned flags;
    size_t offset;     /* of the field in the command's values */
    const char *arg;   /* what stands for the value in the help: "TIME", "FILE"; NULL for a flag */
    const char *value; /* the default as one would type it, or NULL (0, NULL, an empty list;
                        * for a number NULL means 0: "not given") */
    const char *implied;             /* OPT_OPTIONAL only */
    int64_t min, max;                /* numbers: the range, both ends allowed */
    const char *(*choice)(size_t i); /* name number i, NULL past the end */
    const char *help; /* one or two sentences, full stop included; `x` is set in bold */
};

/*
 * Fills `values` (zeroed by the caller) with the defaults and then from argv[0..argc-1], the words
 * after the command's name; words that are not options go to `args`. Strings are not copied.
 * Returns 0, 1 when --help (-h) was asked for, or -EINVAL with one line in `err` that names the
 * option, the value and what is allowed.
 */
int opt_parse(const struct cmd *, int argc, char *const *argv, void *values, struct opt_list *args,
              char *err, size_t errcap);

/* The row called `name` (`len` bytes), or NULL. "help" is not a row: every command has it. */
const struct opt *opt_find(const struct opt *table, const char *name, size_t len);

/* The name among choice(0), choice(1), ... that is nearest to `text` in typing mistakes, or NULL
 * when none is near enough to be meant. */
const char *opt_nearest(const char *text, const char *(*choice)(size_t i));

/* How far `a` is from `b`: the number of letters to insert, remove, change or swap. */
unsigned opt_distance(const char *a, const char *b);

/* Writes "-q, --quiet", "--idle-timeout TIME", "--json[=FILE]". Returns `buf`. */
char *opt_synopsis(const struct opt *, char *buf, size_t cap);

/* Writes the facts that the help adds after the text: "Default 5m, range 1ms to 24h, or none.",
 * "One of echo, upper, ...; default echo."; empty where there is nothing to say. Returns `buf`. */
char *opt_facts(const struct opt *, char *buf, size_t cap);

/* Room for opt_facts() and an error line: the names of all models fit. */
#define OPT_TEXT_MAX 512

#endif
