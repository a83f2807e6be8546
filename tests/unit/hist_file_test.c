/* SPDX-License-Identifier: MIT */
/*
 * Histograms in files: two files added are the same as one histogram of both, what cannot be
 * written leaves what was there, and a bad file says what is wrong with it and changes nothing.
 */
#include "hist_util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* A user that owns nothing, for what the superuser may do anyway. */
#define NOBODY 65534

static char dir[] = "/tmp/pollux-hist-XXXXXX";
static char path[64];  /* a file in it */
static char other[64]; /* another one */

static int setup(void **state)
{
    (void)state;
    if (mkdtemp(dir) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/one.json", dir);
    snprintf(other, sizeof other, "%s/two.json", dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    unlink(other);
    return rmdir(dir);
}

static void write_file(const char *file, const char *text)
{
    FILE *f = fopen(file, "we");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static int files_in_dir(void)
{
    DIR *d = opendir(dir);
    int n = 0;

    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

/* Values from `first` (27 or more) to 2 hours, each 3.7 % above the last. */
static struct hist *new_filled(int64_t first)
{
    struct hist *h = new_hist();

    for (int64_t ns = first; ns < 2 * HIST_MOST; ns += ns * 37 / 1000)
        hist_record(h, ns);
    return h;
}

/* ---- good ones ---- */

static void test_files_add_up(void **state)
{
    struct hist *a = new_filled(100);
    struct hist *b = new_filled(5000);
    struct hist *empty = new_hist();
    struct hist *read = new_hist();

    (void)state;
    save(empty, path);
    load(read, path);
    assert_same(read, empty);

    save(a, path); /* in the place of the first */
    save(b, other);
    assert_int_equal(files_in_dir(), 2);
    load(read, path);
    assert_same(read, a);
    load(read, other);
    hist_add(a, b);
    assert_same(read, a);
    assert_int_equal(hist_percentile(read, 99.9), hist_percentile(a, 99.9));
    hist_close(a);
    hist_close(b);
    hist_close(empty);
    hist_close(read);
}

static void test_a_large_sum_is_exact(void **state)
{
    struct hist *h = new_hist();
    struct hist *read = new_hist();
    const uint64_t edge = UINT64_C(1) << 53;
    char *text;

    (void)state;
    hist_record(h, (int64_t)edge);
    text = text_of(h);
    assert_non_null(strstr(text, "\"sum\":9007199254740992,"));
    free(text);
    hist_record(h, 1);
    text = text_of(h);
    assert_non_null(strstr(text, "\"sum\":\"9007199254740993\","));
    free(text);
    save(h, path);
    load(read, path);
    assert_true(hist_sum(read) == edge + 1);
    assert_same(read, h);
    hist_close(h);
    hist_close(read);
}

static void test_standard_output(void **state)
{
    struct hist *h = new_filled(100);
    struct hist *read = new_hist();
    struct plx_why why = {.reason = ""};
    int out = dup(STDOUT_FILENO);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    int rc;

    (void)state;
    assert_true(out >= 0 && fd >= 0 && full >= 0);
    fflush(stdout);
    dup2(fd, STDOUT_FILENO);
    rc = hist_save(h, "-", &why);
    dup2(out, STDOUT_FILENO);
    assert_int_equal(rc, 0);
    load(read, path);
    assert_same(read, h);

    dup2(full, STDOUT_FILENO);
    rc = hist_save(h, "-", &why);
    dup2(out, STDOUT_FILENO);
    assert_int_equal(rc, -ENOSPC);
    assert_string_equal(why.reason, "standard output cannot be written: No space left on device");
    close(out);
    close(fd);
    close(full);
    hist_close(h);
    hist_close(read);
}

/* ---- what cannot be written ---- */

static void expect_not_saved(const struct hist *h, const char *file, int err)
{
    struct plx_why why = {.reason = ""};
    const char *part = strlen(file) > 60 ? file + strlen(file) - 60 : file;

    assert_int_equal(hist_save(h, file, &why), err);
    assert_non_null(strstr(why.reason, part));
    assert_non_null(strstr(why.reason, " cannot be written: "));
    assert_non_null(strstr(why.reason, plx_error_text(err)));
    assert_int_equal(hist_save(h, file, NULL), err);
}

static void test_what_cannot_be_written(void **state)
{
    struct hist *h = new_filled(100);
    char beyond[128];
    char longest[8000];

    (void)state;
    save(h, path);
    expect_not_saved(h, dir, -EISDIR);
    snprintf(beyond, sizeof beyond, "%s/nowhere/one.json", dir);
    expect_not_saved(h, beyond, -ENOENT);
    snprintf(beyond, sizeof beyond, "%s/two.json", path);
    expect_not_saved(h, beyond, -ENOTDIR);
    /* Longer than a name, and longer than a path. */
    snprintf(longest, sizeof longest, "%s/%0300d", dir, 0);
    expect_not_saved(h, longest, -ENAMETOOLONG);
    snprintf(longest, sizeof longest, "%s/%07000d", dir, 0);
    expect_not_saved(h, longest, -ENAMETOOLONG);
    hist_close(h);
}

static void test_a_pipe_is_written_straight(void **state)
{
    struct hist *h = new_filled(100);
    struct plx_why why = {.reason = ""};
    char *expected = text_of(h);
    char *got = calloc(1, strlen(expected) + 2);
    struct stat st;
    int fd;

    (void)state;
    assert_non_null(got);
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(fd >= 0);
    /* A pipe holds 64 KiB, so nobody needs to read meanwhile. */
    assert_true(strlen(expected) < 60000);
    assert_int_equal(hist_save(h, path, &why), 0);
    assert_int_equal(lstat(path, &st), 0);
    assert_true(S_ISFIFO(st.st_mode));
    assert_int_equal(read(fd, got, strlen(expected) + 1), strlen(expected) + 1);
    assert_memory_equal(got, expected, strlen(expected));
    assert_int_equal(got[strlen(expected)], '\n');
    close(fd);
    unlink(path);
    free(got);
    free(expected);
    hist_close(h);
}

static void test_a_full_disk_leaves_the_old_file(void **state)
{
    struct hist *old = new_hist();
    struct hist *h = new_filled(100);
    struct hist *read = new_hist();
    struct rlimit limit;
    struct rlimit small;
    int files;

    (void)state;
    save(old, path);
    files = files_in_dir();
    /* A file that may not become longer fails in the middle of it, as on a full disk. */
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    small = limit;
    small.rlim_cur = 1000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    expect_not_saved(h, path, -EFBIG);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    load(read, path);
    assert_same(read, old);
    assert_int_equal(files_in_dir(), files);
    hist_close(old);
    hist_close(h);
    hist_close(read);
}

static void test_unwritable_directory(void **state)
{
    struct hist *h = new_filled(100);
    uid_t self = geteuid();
    bool became = self != 0 || seteuid(NOBODY) == 0;
    struct plx_why why = {.reason = ""};
    int rc;

    (void)state;
    if (!became) {
        hist_close(h);
        skip(); /* the superuser of a namespace without other users */
    }
    if (self != 0)
        assert_int_equal(chmod(dir, 0500), 0);
    rc = hist_save(h, other, &why);
    if (self != 0)
        assert_int_equal(chmod(dir, 0700), 0);
    else
        assert_int_equal(seteuid(self), 0);
    assert_int_equal(rc, -EACCES);
    assert_non_null(strstr(why.reason, "Permission denied"));
    hist_close(h);
}

static void test_a_link_stays_a_link(void **state)
{
    struct hist *h = new_filled(100);
    struct hist *read = new_hist();
    struct stat st;

    (void)state;
    unlink(path);
    unlink(other);
    assert_int_equal(symlink(path, other), 0);
    save(h, other); /* makes what it points to ... */
    save(h, other); /* ... and replaces it */
    assert_int_equal(lstat(other, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    load(read, path);
    assert_same(read, h);
    unlink(other);
    hist_close(h);
    hist_close(read);
}

/* ---- bad files ---- */

#define KIND   "\"kind\":\"pollux-histogram\""
#define FIRST  "{\"schema_version\":1," KIND
#define HEAD   FIRST ",\"unit\":\"ns\",\"sub_buckets\":128,"
#define TOTALS "\"count\":3,\"sum\":1030,\"min\":10,\"max\":1010,"
#define GOOD   "[[10,10,2],[1008,1011,1]]"

/* A document with other totals, or with other buckets. */
#define ALL(count, sum, min, max, buckets)                                                         \
    HEAD "\"count\":" count ",\"sum\":" sum ",\"min\":" min ",\"max\":" max                        \
         ",\"buckets\":" buckets "}"
#define DOC(buckets) HEAD TOTALS "\"buckets\":" buckets "}"

#define NOT_JSON  ", line 1: not JSON: "
#define NOT_COUNT " is not a whole number from 0 on"
#define NOT_WHOLE " is not [low, high, count] in whole numbers"
#define NO_SUM    ", which the buckets do not add up to"

static const struct bad {
    const char *text;
    const char *reason; /* what follows the file's name */
} bad_files[] = {
    {"", NOT_JSON},
    {"times\n1 2 3\n", NOT_JSON},
    {HEAD "\n" TOTALS "\n\"buckets\":[[10,10,2],[10", ", line 3: not JSON: "},
    {DOC(GOOD) " more", NOT_JSON},
    {HEAD TOTALS "\"count\":3,\"buckets\":" GOOD "}", NOT_JSON},
    {"[1,2]", ": not a histogram: no JSON object"},
    {"{}", ": \"kind\" is missing"},
    {"{\"kind\":\"pollux-bench\",\"schema_version\":1}", ": \"kind\" is not \"pollux-histogram\""},
    {"{\"kind\":1,\"schema_version\":1}", ": \"kind\" is not \"pollux-histogram\""},
    {"{" KIND "}", ": \"schema_version\" is missing"},
    {"{" KIND ",\"schema_version\":2}", ": \"schema_version\" is 2, this program reads 1"},
    {"{" KIND ",\"schema_version\":\"1\"}", ": \"schema_version\"" NOT_COUNT},
    {FIRST "}", ": \"unit\" is missing"},
    {FIRST ",\"unit\":\"us\"}", ": \"unit\" is not \"ns\""},
    {FIRST ",\"unit\":\"ns\"}", ": \"sub_buckets\" is missing"},
    {FIRST ",\"unit\":\"ns\",\"sub_buckets\":64}", ": \"sub_buckets\" is 64, this program has 128"},
    {HEAD "\"sum\":1030}", ": \"count\" is missing"},
    {HEAD "\"count\":-3}", ": \"count\"" NOT_COUNT},
    {HEAD "\"count\":3.0}", ": \"count\"" NOT_COUNT},
    {HEAD "\"count\":99999999999999999999}", NOT_JSON},
    {HEAD "\"count\":3}", ": \"sum\" is missing"},
    {HEAD "\"count\":3,\"sum\":\"-1\"}", ": \"sum\"" NOT_COUNT},
    {HEAD "\"count\":3,\"sum\":\"\"}", ": \"sum\"" NOT_COUNT},
    {HEAD "\"count\":3,\"sum\":-1}", ": \"sum\"" NOT_COUNT},
    {HEAD "\"count\":3,\"sum\":\"18446744073709551616\"}", ": \"sum\" does not fit in 64 bits"},
    {HEAD "\"count\":3,\"sum\":\"99999999999999999999\"}", ": \"sum\" does not fit in 64 bits"},
    {HEAD "\"count\":3,\"sum\":1030}", ": \"min\" is missing"},
    {HEAD "\"count\":3,\"sum\":1030,\"min\":10}", ": \"max\" is missing"},
    {HEAD "\"count\":3,\"sum\":1030,\"min\":10,\"max\":null}", ": \"max\"" NOT_COUNT},
    {HEAD TOTALS "\"bucket\":[]}", ": \"buckets\" is missing"},
    {HEAD TOTALS "\"buckets\":{}}", ": \"buckets\" is not an array"},
    {DOC("[[10,10,2],[1008,1011]]"), ": buckets[1]" NOT_WHOLE},
    {DOC("[[10,10,2],[1008,1011,1,1]]"), ": buckets[1]" NOT_WHOLE},
    {DOC("[[10,10,2.5]]"), ": buckets[0]" NOT_WHOLE},
    {DOC("[10,10,2]"), ": buckets[0]" NOT_WHOLE},
    {DOC("[[10,10,-2]]"), ": buckets[0] has a count of -2"},
    {DOC("[[10,10,0]]"), ": buckets[0] has a count of 0"},
    {DOC("[[10,10,2],[1009,1012,1]]"), ": buckets[1], 1009 to 1012, is of another layout"},
    {DOC("[[10,10,2],[1009,1011,1]]"), ": buckets[1], 1009 to 1011, is of another layout"},
    {DOC("[[10,11,2]]"), ": buckets[0], 10 to 11, is of another layout"},
    {DOC("[[-1,-1,2]]"), ": buckets[0], -1 to -1, is of another layout"},
    {DOC("[[9223372036854775807,9223372036854775807,3]]"),
     ": buckets[0], 9223372036854775807 to 9223372036854775807, is of another layout"},
    {DOC("[[1008,1011,1],[10,10,2]]"), ": buckets[1] is not above the one before it"},
    {DOC("[[10,10,1],[10,10,1],[1008,1011,1]]"), ": buckets[1] is not above the one before it"},
    {DOC("[[10,10,9223372036854775807],[1008,1011,1]]"),
     ": the counts of the buckets do not fit in 64 bits"},
    {DOC("[[10,10,1],[1008,1011,1]]"), ": \"count\" is 3, the buckets have 2"},
    {DOC("[]"), ": \"count\" is 3, the buckets have 0"},
    {ALL("0", "0", "0", "1", "[]"), ": \"max\" is 1, which is not in the last bucket"},
    {ALL("0", "1", "0", "0", "[]"), ": \"sum\" is 1" NO_SUM},
    {ALL("3", "1027", "10", "1010", GOOD), ": \"sum\" is 1027" NO_SUM},
    {ALL("3", "1032", "10", "1010", GOOD), ": \"sum\" is 1032" NO_SUM},
    {ALL("3", "1030", "9", "1010", GOOD), ": \"min\" is 9, which is not in the first bucket"},
    {ALL("3", "1030", "10", "1012", GOOD), ": \"max\" is 1012, which is not in the last bucket"},
    {ALL("1", "1010", "1011", "1009", "[[1008,1011,1]]"), ": \"min\" is above \"max\""},
};

/* Loading `file` is refused with `reason` (NULL = any) and `h` stays as it is. */
static void expect_not_loaded(struct hist *h, const char *file, int err, const char *reason)
{
    struct plx_why why = {.reason = "", .remedy = "none"};
    char *before = text_of(h);
    char *after;
    int rc = hist_load(h, file, &why);

    if (rc != err || strncmp(why.reason, file, strlen(file)) != 0 ||
        strncmp(why.reason + strlen(file), reason, strlen(reason)) != 0)
        fail_msg("%d, \"%s\"; expected %d, \"%s%s\"", rc, why.reason, err, file, reason);
    assert_null(strpbrk(why.reason, "\n\r\033"));
    assert_string_equal(why.remedy, "");
    after = text_of(h);
    assert_string_equal(after, before);
    free(before);
    free(after);
    assert_int_equal(hist_load(h, file, NULL), err);
}

static void test_bad_files(void **state)
{
    struct hist *h = new_filled(100);

    (void)state;
    for (size_t i = 0; i < sizeof bad_files / sizeof *bad_files; i++) {
        write_file(path, bad_files[i].text);
        expect_not_loaded(h, path, -EINVAL, bad_files[i].reason);
    }
    hist_close(h);
}

/* What all the bad ones are variations of is good. */
static void test_unknown_keys_are_passed_over(void **state)
{
    struct hist *h = new_hist();

    (void)state;
    write_file(path, DOC(GOOD ",\"note\":\"from elsewhere\""));
    load(h, path);
    assert_int_equal(hist_count(h), 3);
    assert_int_equal(hist_sum(h), 1030);
    hist_close(h);
}

static void test_a_file_cut_anywhere(void **state)
{
    struct hist *h = new_filled(HIST_MOST / 2);
    char *text = text_of(h);

    (void)state;
    for (size_t n = strlen(text); n-- > 0;) {
        text[n] = '\0';
        write_file(path, text);
        expect_not_loaded(h, path, -EINVAL, NOT_JSON);
    }
    free(text);
    hist_close(h);
}

static void test_what_cannot_be_read(void **state)
{
    struct hist *h = new_filled(100);

    (void)state;
    unlink(other);
    expect_not_loaded(h, other, -ENOENT, " cannot be read: No such file or directory");
    expect_not_loaded(h, dir, -EISDIR, " cannot be read: Is a directory");
    /* Nothing in a file's text reaches the terminal as it stands. */
    write_file(path, "\033[31m\n");
    expect_not_loaded(h, path, -EINVAL, NOT_JSON);
    hist_close(h);
}

static void test_totals_beyond_64_bits(void **state)
{
    struct hist *h = new_hist();

    (void)state;
    hist_record(h, 0);
    write_file(path, ALL("9223372036854775807", "0", "0", "0", "[[0,0,9223372036854775807]]"));
    expect_not_loaded(h, path, -EINVAL,
                      ": the count does not fit in 64 bits with what it is added to");
    hist_clear(h);
    load(h, path);
    assert_true(hist_count(h) == INT64_MAX);

    hist_clear(h);
    hist_record(h, 1);
    write_file(path, ALL("3", "\"18446744073709551615\"", "3600000000000", "9223372036854775807",
                         "[[3590592659456,3600000000000,3]]"));
    expect_not_loaded(h, path, -EINVAL,
                      ": the sum does not fit in 64 bits with what it is added to");
    hist_clear(h);
    load(h, path);
    assert_true(hist_sum(h) == UINT64_MAX);
    hist_close(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files_add_up),
        cmocka_unit_test(test_a_large_sum_is_exact),
        cmocka_unit_test(test_standard_output),
        cmocka_unit_test(test_what_cannot_be_written),
        cmocka_unit_test(test_a_pipe_is_written_straight),
        cmocka_unit_test(test_a_full_disk_leaves_the_old_file),
        cmocka_unit_test(test_unwritable_directory),
        cmocka_unit_test(test_a_link_stays_a_link),
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_unknown_keys_are_passed_over),
        cmocka_unit_test(test_a_file_cut_anywhere),
        cmocka_unit_test(test_what_cannot_be_read),
        cmocka_unit_test(test_totals_beyond_64_bits),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
