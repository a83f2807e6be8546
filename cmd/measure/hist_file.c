/* SPDX-License-Identifier: MIT */
/*
 * Histograms as JSON and in files. What is read may come from another machine and another version,
 * or from an editor, so everything in it is checked before anything of it counts.
 */
#include "cmd/measure/hist.h"

#include "cmd/replace_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SCHEMA_VERSION 1
#define KIND           "pollux-histogram"
#define UNIT           "ns"

/* Readers that hold every number as a double know integers up to here. */
#define EXACT_IN_DOUBLE (UINT64_C(1) << 53)

/* So much of a file's name is shown, its end: the reason must fit behind it. */
#define NAME_SHOWN 80

/* Gives the reason and returns `err`. What it quotes may come from the file, and must not move the
 * cursor of a terminal. */
__attribute__((format(printf, 3, 4))) static int refuse(struct plx_why *why, int err,
                                                        const char *fmt, ...)
{
    va_list ap;

    if (why == NULL)
        return err;
    va_start(ap, fmt);
    vsnprintf(why->reason, sizeof why->reason, fmt, ap);
    va_end(ap);
    why->remedy[0] = '\0';
    for (char *c = why->reason; *c != '\0'; c++) {
        if ((unsigned char)*c < ' ' || *c == 127)
            *c = '?';
    }
    return err;
}

/* ---- to JSON ---- */

struct list {
    json_t *buckets;
    bool failed;
};

static void append_bucket(void *arg, int64_t low, int64_t high, uint64_t count)
{
    struct list *list = arg;
    json_t *bucket = json_pack("[I,I,I]", (json_int_t)low, (json_int_t)high, (json_int_t)count);

    list->failed |= json_array_append_new(list->buckets, bucket) != 0;
}

static json_t *sum_to_json(uint64_t sum)
{
    char text[24];

    if (sum <= EXACT_IN_DOUBLE)
        return json_integer((json_int_t)sum);
    snprintf(text, sizeof text, "%" PRIu64, sum);
    return json_string(text);
}

struct json_t *hist_to_json(const struct hist *source)
{
    /* A copy agrees with itself also while more is recorded. */
    struct hist *h = hist_open();
    struct list list = {.buckets = json_array()};
    json_t *doc = NULL;

    if (h != NULL) {
        hist_copy(h, source);
        hist_each(h, append_bucket, &list);
        if (!list.failed)
            doc = json_pack("{s:i, s:s, s:s, s:i, s:I, s:o, s:I, s:I, s:O}", "schema_version",
                            SCHEMA_VERSION, "kind", KIND, "unit", UNIT, "sub_buckets", HIST_SUB,
                            "count", (json_int_t)hist_count(h), "sum", sum_to_json(hist_sum(h)),
                            "min", (json_int_t)hist_min(h), "max", (json_int_t)hist_max(h),
                            "buckets", list.buckets);
    }
    json_decref(list.buckets);
    hist_close(h);
    return doc;
}

/* ---- from JSON ---- */

/* What the document says about all values, which the buckets have to agree with. */
struct totals {
    int64_t count, min, max;
    uint64_t sum;
};

static int read_text(const json_t *doc, const char *key, const char *expected, struct plx_why *why)
{
    const json_t *value = json_object_get(doc, key);

    if (value == NULL)
        return refuse(why, -EINVAL, "\"%s\" is missing", key);
    if (!json_is_string(value) || strcmp(json_string_value(value), expected) != 0)
        return refuse(why, -EINVAL, "\"%s\" is not \"%s\"", key, expected);
    return 0;
}

static int read_number(const json_t *doc, const char *key, int64_t *number, struct plx_why *why)
{
    const json_t *value = json_object_get(doc, key);

    if (value == NULL)
        return refuse(why, -EINVAL, "\"%s\" is missing", key);
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return refuse(why, -EINVAL, "\"%s\" is not a whole number from 0 on", key);
    *number = json_integer_value(value);
    return 0;
}

/* Likewise, which may be in decimal digits. */
static int read_sum(const json_t *doc, uint64_t *sum, struct plx_why *why)
{
    const char *digits = json_string_value(json_object_get(doc, "sum"));
    int64_t number = 0;
    int rc = 0;

    if (digits == NULL) {
        rc = read_number(doc, "sum", &number, why);
        *sum = (uint64_t)number;
        return rc;
    }
    *sum = 0;
    if (*digits == '\0' || digits[strspn(digits, "0123456789")] != '\0')
        return refuse(why, -EINVAL, "\"sum\" is not a whole number from 0 on");
    for (; *digits != '\0'; digits++) {
        if (__builtin_mul_overflow(*sum, 10, sum) ||
            __builtin_add_overflow(*sum, (uint64_t)(*digits - '0'), sum))
            return refuse(why, -EINVAL, "\"sum\" does not fit in 64 bits");
    }
    return 0;
}

static int read_head(const json_t *doc, struct totals *totals, struct plx_why *why)
{
    int64_t version = 0;
    int64_t sub_buckets = 0;
    int rc;

    if (!json_is_object(doc))
        return refuse(why, -EINVAL, "not a histogram: no JSON object");
    if ((rc = read_text(doc, "kind", KIND, why)) != 0 ||
        (rc = read_number(doc, "schema_version", &version, why)) != 0)
        return rc;
    if (version != SCHEMA_VERSION)
        return refuse(why, -EINVAL, "\"schema_version\" is %" PRId64 ", this program reads %d",
                      version, SCHEMA_VERSION);
    if ((rc = read_text(doc, "unit", UNIT, why)) != 0 ||
        (rc = read_number(doc, "sub_buckets", &sub_buckets, why)) != 0)
        return rc;
    if (sub_buckets != HIST_SUB)
        return refuse(why, -EINVAL, "\"sub_buckets\" is %" PRId64 ", this program has %d",
                      sub_buckets, HIST_SUB);
    if ((rc = read_number(doc, "count", &totals->count, why)) != 0 ||
        (rc = read_sum(doc, &totals->sum, why)) != 0 ||
        (rc = read_number(doc, "min", &totals->min, why)) != 0 ||
        (rc = read_number(doc, "max", &totals->max, why)) != 0)
        return rc;
    return 0;
}

struct bucket {
    int64_t low, high, count;
};

static int read_bucket(const json_t *entry, size_t i, struct bucket *bucket, struct plx_why *why)
{
    int64_t *const fields[] = {&bucket->low, &bucket->high, &bucket->count};

    for (size_t k = 0; k < 3; k++) {
        const json_t *value = json_array_get(entry, k);

        if (json_array_size(entry) != 3 || !json_is_integer(value))
            return refuse(why, -EINVAL, "buckets[%zu] is not [low, high, count] in whole numbers",
                          i);
        *fields[k] = json_integer_value(value);
    }
    if (bucket->count <= 0)
        return refuse(why, -EINVAL, "buckets[%zu] has a count of %" PRId64, i, bucket->count);
    return 0;
}

static int read_buckets(struct hist *h, const json_t *doc, struct plx_why *why)
{
    const json_t *buckets = json_object_get(doc, "buckets");
    int64_t last = -1;
    int rc;

    if (buckets == NULL)
        return refuse(why, -EINVAL, "\"buckets\" is missing");
    if (!json_is_array(buckets))
        return refuse(why, -EINVAL, "\"buckets\" is not an array");
    for (size_t i = 0; i < json_array_size(buckets); i++) {
        struct bucket bucket = {0};

        if ((rc = read_bucket(json_array_get(buckets, i), i, &bucket, why)) != 0)
            return rc;
        if ((uint64_t)bucket.count > INT64_MAX - hist_count(h))
            return refuse(why, -EINVAL, "the counts of the buckets do not fit in 64 bits");
        if (hist_put(h, bucket.low, bucket.high, (uint64_t)bucket.count) != 0)
            return refuse(why, -EINVAL,
                          "buckets[%zu], %" PRId64 " to %" PRId64 ", is of another layout", i,
                          bucket.low, bucket.high);
        if (bucket.low <= last)
            return refuse(why, -EINVAL, "buckets[%zu] is not above the one before it", i);
        last = bucket.high;
    }
    return 0;
}

/* `h` is what the buckets allow of the totals. */
static int check_totals(const struct hist *h, const struct totals *totals, struct plx_why *why)
{
    if (hist_count(h) != (uint64_t)totals->count)
        return refuse(why, -EINVAL, "\"count\" is %" PRId64 ", the buckets have %" PRIu64,
                      totals->count, hist_count(h));
    if (totals->min > totals->max)
        return refuse(why, -EINVAL, "\"min\" is above \"max\"");
    if (hist_min(h) != totals->min)
        return refuse(why, -EINVAL, "\"min\" is %" PRId64 ", which is not in the first bucket",
                      totals->min);
    if (hist_max(h) != totals->max)
        return refuse(why, -EINVAL, "\"max\" is %" PRId64 ", which is not in the last bucket",
                      totals->max);
    if (hist_sum(h) != totals->sum)
        return refuse(why, -EINVAL, "\"sum\" is %" PRIu64 ", which the buckets do not add up to",
                      totals->sum);
    return 0;
}

static int check_room(const struct hist *to, const struct hist *more, struct plx_why *why)
{
    /* JSON's integers, as they are written here, have a sign. */
    if (hist_count(more) > INT64_MAX - hist_count(to))
        return refuse(why, -EINVAL, "the count does not fit in 64 bits with what it is added to");
    if (hist_sum(more) > UINT64_MAX - hist_sum(to))
        return refuse(why, -EINVAL, "the sum does not fit in 64 bits with what it is added to");
    return 0;
}

/* Fills `h`; `parts` is empty, and serves for putting it together. */
static int read_document(struct hist *h, struct hist *parts, const json_t *doc, struct plx_why *why)
{
    struct totals totals = {0};
    int rc = read_head(doc, &totals, why);

    if (rc == 0)
        rc = read_buckets(parts, doc, why);
    if (rc < 0)
        return rc;
    hist_put_exact(parts, totals.sum, totals.min, totals.max);
    hist_copy(h, parts);
    return check_totals(h, &totals, why);
}

int hist_from_json(struct hist *to, const struct json_t *doc, struct plx_why *why)
{
    struct hist *h = hist_open();
    struct hist *parts = hist_open();
    int rc;

    if (h == NULL || parts == NULL)
        rc = refuse(why, -ENOMEM, "%s", plx_error_text(ENOMEM));
    else if ((rc = read_document(h, parts, doc, why)) == 0 && (rc = check_room(to, h, why)) == 0)
        hist_add(to, h);
    hist_close(h);
    hist_close(parts);
    return rc;
}

/* ---- files ---- */

static int refuse_file(struct plx_why *why, int err, const char *file, const char *reason)
{
    size_t len = strlen(file);

    if (len > NAME_SHOWN)
        return refuse(why, err, "...%s%s", file + len - NAME_SHOWN, reason);
    return refuse(why, err, "%s%s", file, reason);
}

static int refuse_errno(struct plx_why *why, int err, const char *file, const char *what)
{
    char reason[128];

    snprintf(reason, sizeof reason, "%s%s", what, plx_error_text(err));
    return refuse_file(why, err, file, reason);
}

static int write_all(int fd, const char *text)
{
    size_t left = strlen(text);

    while (left > 0) {
        ssize_t n = write(fd, text, left);

        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0) {
            text += n;
            left -= (size_t)n;
        }
    }
    return 0;
}

/* Into what is there already and must not be replaced. */
static int write_straight(const char *file, const char *text)
{
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0644);
    int rc;

    if (fd < 0)
        return -errno;
    rc = write_all(fd, text);
    if (close(fd) < 0 && rc == 0)
        rc = -errno;
    return rc;
}

static int fill(int fd, void *text)
{
    return write_all(fd, text);
}

int hist_save(const struct hist *h, const char *file, struct plx_why *why)
{
    json_t *doc = hist_to_json(h);
    char *text = doc != NULL ? json_dumps(doc, JSON_COMPACT) : NULL;
    char *line = NULL;
    bool to_stdout = strcmp(file, "-") == 0;
    struct stat st;
    int rc = -ENOMEM;

    if (text != NULL && asprintf(&line, "%s\n", text) >= 0) {
        if (to_stdout)
            rc = fflush(stdout) == EOF ? -errno : write_all(STDOUT_FILENO, line);
        else if (lstat(file, &st) == 0 && !S_ISREG(st.st_mode))
            rc = write_straight(file, line);
        else
            rc = replace_file(file, fill, line);
        free(line);
    }
    free(text);
    json_decref(doc);
    if (rc < 0)
        return refuse_errno(why, rc, to_stdout ? "standard output" : file, " cannot be written: ");
    return 0;
}

struct input {
    int fd, err;
};

/* For json_load_callback(): jansson's own reading of files takes an error for the end. */
static size_t read_some(void *buf, size_t cap, void *arg)
{
    struct input *in = arg;
    ssize_t n;

    do {
        n = read(in->fd, buf, cap);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        in->err = -errno;
        return (size_t)-1;
    }
    return (size_t)n;
}

int hist_load(struct hist *to, const char *file, struct plx_why *why)
{
    struct input in = {.fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY)};
    struct plx_why inner = {.reason = ""};
    char reason[sizeof inner.reason];
    json_error_t error;
    json_t *doc;
    int rc;

    if (in.fd < 0)
        return refuse_errno(why, -errno, file, " cannot be read: ");
    doc = json_load_callback(read_some, &in, JSON_REJECT_DUPLICATES, &error);
    close(in.fd);
    if (doc == NULL && in.err == 0 && error.text[0] == '\0')
        in.err = -ENOMEM; /* the one reason for which jansson may have no words */
    if (in.err < 0) {
        json_decref(doc);
        return refuse_errno(why, in.err, file, " cannot be read: ");
    }
    if (doc == NULL) {
        snprintf(reason, sizeof reason, ", line %d: not JSON: %.150s", error.line, error.text);
        return refuse_file(why, -EINVAL, file, reason);
    }
    rc = hist_from_json(to, doc, &inner);
    json_decref(doc);
    if (rc < 0) {
        snprintf(reason, sizeof reason, ": %.180s", inner.reason);
        return refuse_file(why, rc, file, reason);
    }
    return 0;
}
