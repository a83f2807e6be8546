/* SPDX-License-Identifier: MIT */
/* What the tests of histograms share: making, saving and loading them without a failure, and
 * comparing all that is in them. */
#ifndef POLLUX_TESTS_UNIT_HIST_UTIL_H
#define POLLUX_TESTS_UNIT_HIST_UTIL_H

#include "cmd/measure/hist.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static inline struct hist *new_hist(void)
{
    struct hist *h = hist_open();

    assert_non_null(h);
    return h;
}

/* All of a histogram as text: equal texts are equal histograms. To be freed. */
static inline char *text_of(const struct hist *h)
{
    json_t *doc = hist_to_json(h);
    char *text = json_dumps(doc, JSON_COMPACT);

    assert_non_null(text);
    json_decref(doc);
    return text;
}

static inline void assert_same(const struct hist *a, const struct hist *b)
{
    char *text = text_of(a);
    char *expected = text_of(b);

    /* The texts are of copies, which put right what does not go with the buckets. */
    assert_true(hist_count(a) == hist_count(b));
    assert_true(hist_sum(a) == hist_sum(b));
    assert_true(hist_min(a) == hist_min(b));
    assert_true(hist_max(a) == hist_max(b));
    assert_string_equal(text, expected);
    free(text);
    free(expected);
}

static inline void save(const struct hist *h, const char *file)
{
    struct plx_why why = {.reason = ""};

    if (hist_save(h, file, &why) != 0)
        fail_msg("%s", why.reason);
}

static inline void load(struct hist *h, const char *file)
{
    struct plx_why why = {.reason = ""};

    if (hist_load(h, file, &why) != 0)
        fail_msg("%s", why.reason);
}

#endif
