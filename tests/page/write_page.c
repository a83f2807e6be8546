/* SPDX-License-Identifier: MIT */
/* write_page RESULTS.json PAGE.html: the report of a document, without a run. Exit 0 or 1. */
#include "cmd/compare/compare.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    json_error_t error;
    json_t *results;
    int rc;

    if (argc != 3) {
        fprintf(stderr, "usage: write_page RESULTS.json PAGE.html\n");
        return 1;
    }
    results = json_load_file(argv[1], 0, &error);
    if (results == NULL) {
        fprintf(stderr, "write_page: %s: %s\n", argv[1], error.text);
        return 1;
    }
    rc = compare_write_page(argv[2], results);
    json_decref(results);
    if (rc < 0)
        fprintf(stderr, "write_page: %s: %s\n", argv[2], strerror(-rc));
    return rc < 0;
}
