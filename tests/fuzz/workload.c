/* SPDX-License-Identifier: MIT */
/*
 * Workloads of pollux compare. Input: what is typed after -w. One that is read must be read the
 * same from its own name and spec, and mean a load that pollux bench would make.
 */
#include "fuzz.h"
#include "resolve.h"

#include "cmd/bench.h"
#include "cmd/compare/compare.h"

#include <errno.h>

#define LINE 1200

static void check_load(const struct workload *w)
{
    const struct load_config *load = &w->load;
    uint64_t under_way = (uint64_t)load->size[0].bytes * load->depth * load->active;
    CHECK(load->active >= 1 && load->active <= load->connections);
    CHECK(load->connections <= 1000000);
    CHECK(load->depth >= 1 && load->depth <= LOAD_DEPTH_MAX);
    CHECK(load->nsizes == 1 && load->size[0].bytes >= 1 && load->size[0].bytes <= LOAD_SIZE_MAX);
    CHECK(under_way < (uint64_t)2 << 30);
    CHECK(load->to.len == 0 && load->duration_ns == 0 && load->threads == 1);
    CHECK(bench_mode_name(load->mode) != NULL);
    CHECK(load->arrival == LOAD_CLOSED ? !(load->rate > 0) : w->half || load->rate >= 1);
    CHECK(!(w->half && w->idle));
}

static void check_read(const struct workload *w)
{
    char text[sizeof(w->name) + 1 + sizeof(w->spec)];
    char err[LINE];
    struct workload *again = fuzz_alloc(sizeof(*again));
    CHECK(compare_name_fits(w->name, strlen(w->name)));
    CHECK(w->title[0] != '\0' && is_line(w->title) && strlen(w->title) < sizeof(w->title) - 1);
    CHECK(strlen(w->spec) < sizeof(w->spec));
    check_load(w);
    snprintf(text, sizeof(text), "%s=%s", w->name, w->spec);
    CHECK(workload_parse(text, again, err, sizeof(err)) == 0);
    CHECK(strcmp(again->name, w->name) == 0 && strcmp(again->title, w->title) == 0);
    CHECK(strcmp(again->spec, w->spec) == 0 && strcmp(again->sweep, w->sweep) == 0);
    CHECK(again->half == w->half && again->idle == w->idle);
    CHECK(again->load.mode == w->load.mode && again->load.arrival == w->load.arrival);
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = copy_text(data, size);
    struct workload *w = fuzz_alloc(sizeof(*w));
    char *err = fuzz_alloc(LINE);
    memset(err, 'x', LINE);
    int rc = workload_parse(text, w, err, LINE);
    CHECK(rc == 0 || rc == -EINVAL);
    if (rc == 0) {
        check_read(w);
    } else {
        CHECK(memchr(err, '\0', LINE) != NULL);
        CHECK(strncmp(err, "--workload ", 11) == 0);
    }
    free(err);
    free(w);
    free(text);
    return 0;
}
