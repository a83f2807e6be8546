/* SPDX-License-Identifier: MIT */
/* The figures of a sample by name, for those who go through all of them. */
#ifndef POLLUX_CMD_COMPARE_FIELDS_H
#define POLLUX_CMD_COMPARE_FIELDS_H

#include "cmd/compare/compare.h"

struct compare_field {
    const char *name; /* NULL ends the table */
    size_t offset;    /* of a double in struct sample */
    bool call;        /* one of the system calls */
};

extern const struct compare_field compare_fields[];

#define COMPARE_FIELD(sample, field)                                                               \
    (*(const double *)(const void *)((const char *)(sample) + (field)->offset))

#endif
