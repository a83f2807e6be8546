/* SPDX-License-Identifier: MIT */
/*
 * Runs a fuzz target without libFuzzer, with any compiler: once with each file that is named, or
 * that lies in a directory that is named. So the kept corpus is a regression test everywhere.
 * Each name is printed before its run; the last one is that of the input which was too much.
 */
#include "fuzz.h"

#include <dirent.h>
#include <limits.h>
#include <sys/stat.h>

static void run_file(const char *name)
{
    FILE *f = fopen(name, "re");
    struct stat st;
    fprintf(stderr, "%s\n", name);
    CHECK(f != NULL && fstat(fileno(f), &st) == 0);
    size_t size = (size_t)st.st_size;
    /* Just as large as the input: one byte further is found out. */
    uint8_t *data = fuzz_alloc(size);
    CHECK(fread(data, 1, size, f) == size);
    fclose(f);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
}

static int is_visible(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

/* Returns how many files were run. */
static int run_directory(const char *name)
{
    struct dirent **list;
    int n = scandir(name, &list, is_visible, alphasort);
    CHECK(n >= 0);
    for (int i = 0; i < n; i++) {
        char file[PATH_MAX];
        snprintf(file, sizeof(file), "%s/%s", name, list[i]->d_name);
        run_file(file);
        free(list[i]);
    }
    free(list);
    return n;
}

int main(int argc, char **argv)
{
    struct stat st;
    int n = 0;
    for (int i = 1; i < argc; i++) {
        if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode)) {
            n += run_directory(argv[i]);
        } else {
            run_file(argv[i]);
            n++;
        }
    }
    fprintf(stderr, "%d inputs\n", n);
    return n > 0 ? 0 : 2; /* a corpus that is not there is no success */
}
