/* SPDX-License-Identifier: MIT */
/* Whether a comparison that was made again says the same. */
#ifndef POLLUX_CMD_COMPARE_REPEAT_H
#define POLLUX_CMD_COMPARE_REPEAT_H

#include <stddef.h>

struct json_t;

enum repeat_verdict {
    REPEAT_REPRODUCED,
    REPEAT_NOT,               /* something that was decided then is decided otherwise now */
    REPEAT_DIFFERENT_NETWORK, /* --net: the two cannot be held against each other */
    REPEAT_DIFFERENT_MACHINE  /* likewise */
};

#define REPEAT_LINES 24
#define REPEAT_LINE  240

/* What differs: of the machines and their network, or of the results. */
struct repeat_result {
    enum repeat_verdict verdict;
    char line[REPEAT_LINES][REPEAT_LINE];
    size_t nlines, more; /* `more` did not find room */
    unsigned compared;   /* standings that both have decided */
};

/*
 * Compares two documents of comparisons. A standing (arm, workload, CPU per message) disagrees when
 * it was decided both times, otherwise, and the intervals of its ratio do not even touch. The
 * machines differ when kernel, processor, mitigations, governor, hypervisor or limits do.
 */
void repeat_judge(const struct json_t *then, const struct json_t *now, struct repeat_result *out);

/* "REPRODUCED", "NOT REPRODUCED", "DIFFERENT NETWORK", "DIFFERENT MACHINE" */
const char *repeat_verdict_name(enum repeat_verdict);

#endif
