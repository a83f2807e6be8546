/* SPDX-License-Identifier: MIT */
/*
 * The report as a file: names in the document cannot end the element that holds it, places are
 * filled once and not inside of what was filled in, and what cannot be written leaves what was
 * there. What a browser makes of it is tests/page's.
 */
#include "cmd/compare/compare.h"
#include "cmd/compare/page_parts.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/pollux-page-XXXXXX";
static char path[64];

static int setup(void **state)
{
    (void)state;
    if (mkdtemp(dir) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/report.html", dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(dir);
}

/* ---- helpers ---- */

static char *read_file(const char *file)
{
    FILE *f = fopen(file, "re");
    struct stat st;
    char *text;

    assert_non_null(f);
    assert_int_equal(fstat(fileno(f), &st), 0);
    text = calloc(1, (size_t)st.st_size + 1);
    assert_non_null(text);
    assert_int_equal(fread(text, 1, (size_t)st.st_size, f), st.st_size);
    fclose(f);
    return text;
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

static int count(const char *text, const char *what)
{
    int n = 0;

    for (const char *at = text; (at = strstr(at, what)) != NULL; at += strlen(what))
        n++;
    return n;
}

/* The page of a document of one name. */
static char *page_of(const char *name)
{
    json_t *doc = json_pack("{s:s}", "name", name);

    assert_non_null(doc);
    assert_int_equal(compare_write_page(path, doc), 0);
    json_decref(doc);
    return read_file(path);
}

/* The document as it stands in the page. */
static json_t *document_in(const char *page)
{
    static const char begin[] = "<script type=\"application/json\" id=\"results\">";
    const char *from = strstr(page, begin);
    const char *to;
    json_t *doc;

    assert_non_null(from);
    from += strlen(begin);
    to = strstr(from, "</script");
    assert_non_null(to);
    doc = json_loadb(from, (size_t)(to - from), 0, NULL);
    assert_non_null(doc);
    return doc;
}

/* ---- tests ---- */

static const char *const names[] = {
    "plain",
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "]]>&lt;\"'\\u003c",
    "{{page.js}} {{nonce}} {{results}}",
    "\xe2\x80\xa8 and \xc3\xb8",
};

static void test_names_are_data(void **state)
{
    char *plain = page_of("plain");

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *page = page_of(names[i]);
        json_t *doc = document_in(page);

        assert_string_equal(json_string_value(json_object_get(doc, "name")), names[i]);
        assert_int_equal(count(page, "<script"), count(plain, "<script"));
        assert_int_equal(count(page, "</script"), count(plain, "</script"));
        assert_int_equal(count(page, "<!--"), count(plain, "<!--"));
        json_decref(doc);
        free(page);
    }
    free(plain);
}

static void test_every_part_is_in_it_once(void **state)
{
    char *page = page_of("plain");
    size_t parts = 0;

    (void)state;
    for (const struct page_part *part = page_parts; part->name != NULL; part++, parts++) {
        const char *end = page + strlen(page);
        const char *at = memmem(page, (size_t)(end - page), part->text, part->size);
        const char *again =
            at ? memmem(at + 1, (size_t)(end - at - 1), part->text, part->size) : NULL;

        /* Of the frame the places are gone. */
        if (strcmp(part->name, "page.html") != 0 && (at == NULL || again != NULL))
            fail_msg("%s is in the page %s", part->name, at == NULL ? "nowhere" : "twice");
    }
    assert_true(parts > 3);
    /* A part without a place, or a place without a part, would be a file with a wrong name. */
    assert_int_equal(count(page, "{{"), 0);
    free(page);
}

/* Only this file's scripts have its nonce, and another file has another one. */
static void test_nonce(void **state)
{
    static const char begin[] = "script-src 'nonce-";
    char nonce[2][33] = {"", ""};

    (void)state;
    for (int i = 0; i < 2; i++) {
        char *page = page_of("plain");
        const char *at = strstr(page, begin);
        char tag[128];

        assert_non_null(at);
        snprintf(nonce[i], sizeof nonce[i], "%s", at + strlen(begin));
        assert_int_equal(strspn(nonce[i], "0123456789abcdef"), 32);
        snprintf(tag, sizeof tag, "<script nonce=\"%s\">", nonce[i]);
        /* The others are the document's, which does not run. */
        assert_int_equal(count(page, tag), count(page, "<script") - 1);
        free(page);
    }
    assert_string_not_equal(nonce[0], nonce[1]);
}

static void test_replaces(void **state)
{
    struct stat st;
    json_t *doc;
    char *page;

    (void)state;
    free(page_of("before"));
    page = page_of("after");
    doc = document_in(page);
    assert_string_equal(json_string_value(json_object_get(doc, "name")), "after");
    json_decref(doc);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0644);
    assert_int_equal(files_in_dir(), 1);
    free(page);
}

static void test_what_cannot_be_written(void **state)
{
    json_t *doc = json_object();
    char missing[96], *before = page_of("before"), *after;
    struct rlimit most, small = {.rlim_cur = 4096};
    int rc;

    (void)state;
    snprintf(missing, sizeof missing, "%s/none/report.html", dir);
    assert_int_equal(compare_write_page(missing, doc), -ENOENT);
    assert_int_equal(compare_write_page(dir, doc), -EISDIR);

    /* As on a full disk: the rest of the file cannot be written. */
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &most), 0);
    small.rlim_max = most.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    rc = compare_write_page(path, doc);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &most), 0);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(rc, -EFBIG);

    after = read_file(path);
    assert_string_equal(before, after);
    assert_int_equal(files_in_dir(), 1);
    json_decref(doc);
    free(before);
    free(after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_are_data),
        cmocka_unit_test(test_every_part_is_in_it_once),
        cmocka_unit_test(test_nonce),
        cmocka_unit_test(test_replaces),
        cmocka_unit_test(test_what_cannot_be_written),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
