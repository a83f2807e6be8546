/* SPDX-License-Identifier: MIT */
/* What `pollux check` says in the end: a table for people, a document for programs. */
#include "cmd/check.h"
#include "cmd/table.h"

#include <errno.h>
#include <jansson.h>
#include <pollux/pollux.h>
#include <stdio.h>

#define SCHEMA_VERSION 1
#define MIB            (1024.0 * 1024.0)

static const char *verdict(const struct check_outcome *o)
{
    static const char *const names[] = {[CHECK_OK] = "ok",
                                        [CHECK_WRONG] = "WRONG",
                                        [CHECK_FAILED] = "FAILED",
                                        [CHECK_INTERRUPTED] = "interrupted"};
    return o->unable ? "cannot run" : names[o->result.verdict];
}

static const char *reason(const struct check_outcome *o)
{
    if (!o->unable)
        return o->result.why;
    return *o->why.reason ? o->why.reason : plx_error_text(o->unable);
}

static void add_figures(struct table *t, const struct check_outcome *o)
{
    double seconds = (double)o->result.ns / 1e9;
    double mib = (double)o->result.verified / MIB;
    table_cell(t, TABLE_PLAIN, "%u", o->connections);
    table_cell(t, TABLE_PLAIN, "%.1f MiB", mib);
    table_cell(t, TABLE_PLAIN, "%.2f", seconds);
    table_cell(t, TABLE_PLAIN, "%.0f", seconds > 0 ? mib / seconds : 0);
    if (o->memory > 0)
        table_cell(t, TABLE_PLAIN, "%.1f MiB", (double)o->memory / MIB);
    else
        table_cell(t, TABLE_FAINT, "unknown");
}

static void add_row(struct table *t, const struct check_outcome *o)
{
    bool ok = !o->unable && o->result.verdict == CHECK_OK;
    table_row(t);
    table_cell(t, TABLE_PLAIN, "%s", o->model->name);
    table_cell(t, ok ? TABLE_GOOD : o->unable ? TABLE_FAINT : TABLE_BAD, "%s", verdict(o));
    if (ok)
        add_figures(t, o);
    else
        table_note(t, "%s%s%s", reason(o), o->unable && *o->why.remedy ? "; remedy: " : "",
                   o->unable ? o->why.remedy : "");
}

struct count {
    unsigned ok, bad, unable;
};

static struct count count_outcomes(const struct check_outcome *o, size_t n)
{
    struct count count = {0};
    for (size_t i = 0; i < n; i++) {
        if (o[i].unable)
            count.unable++;
        else if (o[i].result.verdict == CHECK_OK)
            count.ok++;
        else
            count.bad++;
    }
    return count;
}

int check_table(const struct check_plan *plan, const struct check_outcome *o, size_t n)
{
    static const struct table_column columns[] = {
        {"MODEL", false},  {"VERDICT", false}, {"CONNECTIONS", true}, {"BYTES", true},
        {"SECONDS", true}, {"MIB/S", true},    {"PEAK MEMORY", true},
    };
    struct table *t = table_open(columns, sizeof(columns) / sizeof(*columns));
    for (size_t i = 0; i < n; i++)
        add_row(t, &o[i]);
    int rc = table_print(t);
    table_close(t);
    struct count count = count_outcomes(o, n);
    printf("\n%s: %zu bytes both ways through each connection.\n"
           "%u right, %u wrong or failed, %u cannot run here.\n",
           plan->file ? plan->file : "random bytes", plan->size, count.ok, count.bad, count.unable);
    return rc;
}

static json_t *row_document(const struct check_outcome *o)
{
    json_t *row = json_pack("{s:s, s:s, s:s, s:s}", "name", o->model->name, "verdict", verdict(o),
                            "reason", reason(o), "remedy", o->why.remedy);
    if (!row || o->unable)
        return row;
    const struct check_result *r = &o->result;
    json_object_set_new(row, "connections", json_integer(o->connections));
    json_object_set_new(row, "bytes", json_integer((json_int_t)r->verified));
    json_object_set_new(row, "seconds", json_real((double)r->ns / 1e9));
    json_object_set_new(row, "peak_memory_bytes",
                        o->memory > 0 ? json_integer(o->memory) : json_null());
    if (r->verdict == CHECK_WRONG && r->connection > 0)
        json_object_set_new(row, "mismatch",
                            json_pack("{s:i, s:I}", "connection", (int)r->connection, "offset",
                                      (json_int_t)r->offset));
    return row;
}

json_t *check_document(const struct check_plan *plan, const struct check_outcome *o, size_t n)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(rows, row_document(&o[i]));
    struct count count = count_outcomes(o, n);
    return json_pack("{s:i, s:s, s:s?, s:I, s:i, s:b, s:o}", "schema_version", SCHEMA_VERSION,
                     "version", PLX_VERSION, "file", plan->file, "file_bytes",
                     (json_int_t)plan->size, "connections", (int)plan->connections, "right",
                     count.ok > 0 && count.bad == 0, "models", rows);
}
