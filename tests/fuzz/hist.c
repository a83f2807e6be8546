/* SPDX-License-Identifier: MIT */
/*
 * Histograms in files. Input: the file. One that is refused must leave what it was to be added to
 * as it was; one that is read must be written as a file that says the same.
 */
#include "fuzz.h"

#include "cmd/measure/hist.h"

#include <errno.h>
#include <jansson.h>

static struct hist *open_hist(void)
{
    struct hist *h = hist_open();
    CHECK(h != NULL);
    return h;
}

/* As a text, free() it. */
static char *dump(const struct hist *h)
{
    json_t *doc = hist_to_json(h);
    char *text = json_dumps(doc, JSON_COMPACT);
    CHECK(doc != NULL && text != NULL);
    json_decref(doc);
    return text;
}

static void check_figures(const struct hist *h)
{
    int64_t last = hist_min(h);
    if (hist_count(h) == 0)
        return;
    CHECK(hist_min(h) >= 0 && hist_min(h) <= hist_max(h));
    for (double percent = 0; percent <= 100; percent += 12.5) {
        int64_t value = hist_percentile(h, percent);
        CHECK(value >= last && value <= hist_max(h));
        last = value;
    }
    CHECK(last == hist_max(h));
    /* A sum that stays at its limit says nothing of the mean. */
    if (hist_sum(h) < UINT64_MAX)
        CHECK(hist_mean(h) >= (double)hist_min(h) && hist_mean(h) <= (double)hist_max(h));
}

static void check_refused(int rc, const struct plx_why *why, const struct hist *to)
{
    CHECK(rc == -EINVAL);
    CHECK(memchr(why->reason, '\0', sizeof(why->reason)) != NULL);
    CHECK(why->reason[0] != '\0' && is_line(why->reason));
    CHECK(hist_count(to) == 1 && hist_sum(to) == 77 && hist_min(to) == 77 && hist_max(to) == 77);
}

/* A second reader of what a good file says: buckets in rising order, and their counts. */
static uint64_t read_count(const uint8_t *data, size_t size)
{
    json_t *doc = json_loadb((const char *)data, size, 0, NULL), *bucket;
    json_int_t last = -1;
    uint64_t count = 0;
    size_t i;
    json_array_foreach(json_object_get(doc, "buckets"), i, bucket)
    {
        CHECK(json_integer_value(json_array_get(bucket, 0)) > last);
        last = json_integer_value(json_array_get(bucket, 1));
        count += (uint64_t)json_integer_value(json_array_get(bucket, 2));
    }
    json_decref(doc);
    return count;
}

static void check_read(const uint8_t *data, size_t size)
{
    struct hist *alone = open_hist();
    struct hist *again = open_hist();
    CHECK(hist_load(alone, fuzz_file(data, size), NULL) == 0);
    CHECK(hist_count(alone) == read_count(data, size));
    check_figures(alone);
    char *text = dump(alone);
    CHECK(hist_load(again, fuzz_file(text, strlen(text)), NULL) == 0);
    char *same = dump(again);
    CHECK(strcmp(text, same) == 0);
    free(same);
    free(text);
    hist_close(again);
    hist_close(alone);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hist *to = open_hist();
    struct plx_why why = {.reason = ""};
    hist_record(to, 77);
    int rc = hist_load(to, fuzz_file(data, size), &why);
    if (rc != 0) {
        check_refused(rc, &why, to);
    } else {
        CHECK(hist_count(to) >= 1 && hist_min(to) <= 77 && hist_max(to) >= 77);
        check_figures(to);
        check_read(data, size);
    }
    hist_close(to);
    return 0;
}
