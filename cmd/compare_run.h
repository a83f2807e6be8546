/* SPDX-License-Identifier: MIT */
/* `pollux compare` from its first run on: see compare.h for what is before. */
#ifndef POLLUX_CMD_COMPARE_RUN_H
#define POLLUX_CMD_COMPARE_RUN_H

#include "cmd/compare.h"
#include "cmd/compare/rounds.h"

struct json_t;

/* ---- compare_live.c: the line on standard error, where that is a terminal ---- */

/* Has the type of rounds_plan.tick, `arg` is not used. */
void compare_live_tick(void *arg, const struct rounds_progress *);
void compare_live_end(void); /* erases it, if there is one */

/* ---- compare_repeat.c ---- */

struct compare_repeated {
    struct json_t *then;                                 /* the document */
    char *kept[2 * OPT_LIST_MAX + COMPARE_ARMS_MAX + 4]; /* what the values point to */
    size_t nkept;
};

/* Reads a results.json and sets the values as they were given then, except a --net that is given
 * now. 0, or -EINVAL with one line in `err`. Released with compare_repeat_free() in both cases,
 * after the last use of the values. */
int compare_repeat_read(const char *file, struct compare_values *, struct compare_repeated *,
                        char *err, size_t errcap);
void compare_repeat_free(struct compare_repeated *);

#endif
