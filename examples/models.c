/* SPDX-License-Identifier: MIT */
/*
 * What each model can do, read off the library's table, as a table of Markdown: the one in
 * docs/guide.md is this program's output.
 */
#include <pollux/model.h>
#include <stdio.h>

static const struct {
    unsigned cap;
    const char *heading;
} columns[] = {
    {PLX_CAP_CONCURRENT, "many at a time"},
    {PLX_CAP_STALL, "slow callbacks"},
    {PLX_CAP_ISOLATED, "crashes"},
    {PLX_CAP_POST, "post"},
    {PLX_CAP_WATCH, "watch"},
    {PLX_CAP_CONNECT, "connect"},
    {PLX_CAP_SHARED, "shared"},
    {PLX_CAP_EXCLUSIVE, "exclusive"},
};

#define NCOLUMNS (sizeof(columns) / sizeof(columns[0]))

int main(void)
{
    const struct plx_model *m;
    printf("| model |");
    for (size_t k = 0; k < NCOLUMNS; k++)
        printf(" %s |", columns[k].heading);
    printf(" connections per loop |\n|---|");
    for (size_t k = 0; k < NCOLUMNS; k++)
        printf("---|");
    printf("---|\n");
    for (size_t i = 0; (m = plx_model_at(i)); i++) {
        if (!m->caps) /* auto, and what is not built yet */
            continue;
        printf("| `%s` |", m->name);
        for (size_t k = 0; k < NCOLUMNS; k++)
            printf(" %s |", m->caps & columns[k].cap ? "yes" : "");
        if (m->max_connections)
            printf(" %u |\n", m->max_connections);
        else
            printf(" |\n");
    }
    return 0;
}
