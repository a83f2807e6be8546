/* SPDX-License-Identifier: MIT */
/*
 * The command line of every command, as far as it is read: nothing is run. Input: the words, a
 * newline behind each; the first is the command. What was read is written as words again, which
 * must be read as the same; and what the values mean together is worked out, where that can be done
 * without a look at the machine.
 */
#include "fuzz.h"
#include "resolve.h"

#include "cmd/bench.h"
#include "cmd/cmd.h"
#include "cmd/compare.h"

#include <errno.h>
#include <pollux/pollux.h>

#define WORDS 80
#define LINE  1200

/* One reading of a command line. */
struct reading {
    char *values;
    struct opt_list args;
    char *err;
    int rc;
};

static void read_words(const struct cmd *cmd, int argc, char *const *argv, struct reading *r)
{
    r->values = fuzz_alloc(cmd->values_size);
    memset(r->values, 0, cmd->values_size);
    memset(&r->args, 0, sizeof(r->args));
    r->err = fuzz_alloc(LINE);
    memset(r->err, 'x', LINE);
    r->rc = opt_parse(cmd, argc, argv, r->values, &r->args, r->err, LINE);
    CHECK(r->rc == 0 || r->rc == 1 || r->rc == -EINVAL);
    CHECK(r->rc != -EINVAL || (memchr(r->err, '\0', LINE) != NULL && r->err[0] != '\0'));
}

static void forget(struct reading *r)
{
    free(r->values);
    free(r->err);
}

/* ---- values ---- */

static bool is_number(const struct opt *o)
{
    return o->kind == OPT_COUNT || o->kind == OPT_SIZE || o->kind == OPT_TIME;
}

static bool is_choice(const struct opt *o, const char *name)
{
    const char *known;
    for (size_t i = 0; (known = o->choice(i)) != NULL; i++) {
        if (strcmp(known, name) == 0)
            return true;
    }
    return false;
}

static void check_value(const struct opt *o, const void *field)
{
    const struct opt_list *list = field;
    const char *text = NULL;
    int64_t number = 0;
    if (is_number(o)) {
        memcpy(&number, field, sizeof(number));
        CHECK((number >= o->min && number <= o->max) || (number == 0 && o->value == NULL) ||
              (number == PLX_OFF && (o->flags & OPT_NONE)));
    } else if (o->kind == OPT_CHOICE) {
        CHECK(*(const int *)field >= 0 && o->choice((size_t) * (const int *)field) != NULL);
    } else if (o->kind == OPT_TEXT) {
        memcpy(&text, field, sizeof(text));
        CHECK(text == NULL || o->choice == NULL || is_choice(o, text));
    } else if (o->kind == OPT_LIST) {
        CHECK(list->n <= OPT_LIST_MAX);
        for (size_t i = 0; i < list->n; i++)
            CHECK(*list->item[i] != '\0' && (o->choice == NULL || is_choice(o, list->item[i])));
    }
}

static bool same_texts(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_lists(const struct opt_list *a, const struct opt_list *b)
{
    bool same = a->n == b->n;
    for (size_t i = 0; same && i < a->n; i++)
        same = strcmp(a->item[i], b->item[i]) == 0;
    return same;
}

static bool same_values(const struct opt *o, const void *a, const void *b)
{
    switch (o->kind) {
    case OPT_FLAG: return *(const bool *)a == *(const bool *)b;
    case OPT_CHOICE: return *(const int *)a == *(const int *)b;
    case OPT_TEXT: return same_texts(*(char *const *)a, *(char *const *)b);
    case OPT_LIST: return same_lists(a, b);
    case OPT_COUNT:
    case OPT_SIZE:
    case OPT_TIME: break;
    }
    return *(const int64_t *)a == *(const int64_t *)b;
}

/* ---- and as words again ---- */

struct words {
    char *word[2 * OPT_LIST_MAX * 4];
    int n;
};

static void add_word(struct words *w, const char *name, const char *value)
{
    size_t cap = strlen(name) + (value != NULL ? strlen(value) : 0) + 4;
    char *word = fuzz_alloc(cap);
    CHECK((size_t)w->n < sizeof(w->word) / sizeof(w->word[0]));
    snprintf(word, cap, value != NULL ? "--%s=%s" : "--%s", name, value);
    w->word[w->n++] = word;
}

static void add_number(struct words *w, const struct opt *o, int64_t value)
{
    char text[UNIT_TEXT];
    enum unit unit = o->kind == OPT_TIME ? UNIT_TIME : o->kind == OPT_SIZE ? UNIT_SIZE : UNIT_COUNT;
    if (value == 0 && o->value == NULL)
        return;
    if (value == PLX_OFF && (o->flags & OPT_NONE))
        add_word(w, o->name, "none");
    else
        add_word(w, o->name, unit_format(unit, value, text, sizeof(text)));
}

static void add_option(struct words *w, const struct opt *o, const void *field)
{
    const struct opt_list *list = field;
    if (is_number(o))
        add_number(w, o, *(const int64_t *)field);
    else if (o->kind == OPT_CHOICE)
        add_word(w, o->name, o->choice((size_t) * (const int *)field));
    else if (o->kind == OPT_FLAG && *(const bool *)field)
        add_word(w, o->name, NULL);
    else if (o->kind == OPT_TEXT && *(char *const *)field != NULL)
        add_word(w, o->name, *(char *const *)field);
    for (size_t i = 0; o->kind == OPT_LIST && i < list->n; i++)
        add_word(w, o->name, list->item[i]);
}

static void check_round_trip(const struct cmd *cmd, const struct reading *r)
{
    struct words w = {.n = 0};
    struct reading again;
    for (const struct opt *o = cmd->options; o->name != NULL; o++) {
        check_value(o, r->values + o->offset);
        add_option(&w, o, r->values + o->offset);
    }
    add_word(&w, "", NULL); /* "--" */
    for (size_t i = 0; i < r->args.n; i++)
        w.word[w.n++] = copy_text(r->args.item[i], strlen(r->args.item[i]));
    read_words(cmd, w.n, w.word, &again);
    CHECK(again.rc == 0 && same_lists(&again.args, &r->args));
    for (const struct opt *o = cmd->options; o->name != NULL; o++)
        CHECK(same_values(o, r->values + o->offset, again.values + o->offset));
    forget(&again);
    for (int i = 0; i < w.n; i++)
        free(w.word[i]);
}

/* ---- what they mean: pollux bench ---- */

static void check_bench(const struct bench_values *v, const struct opt_list *args)
{
    static struct bench_plan plan;
    const struct load_config *load = &plan.load;
    char err[LINE] = "";
    bool merges = strcmp(args->item[0], "merge") == 0;
    int rc = merges ? bench_merge_check(v, err, sizeof(err))
                    : bench_plan_make(v, args->item[0], &plan, err, sizeof(err));
    CHECK((rc == 0) == (err[0] == '\0') && (rc == 0 || rc == -EINVAL));
    if (rc < 0 || merges)
        return;
    CHECK(load->connections >= load->active && load->active >= load->threads);
    CHECK(load->threads >= 1 && load->threads <= LOAD_THREADS_MAX);
    CHECK(load->depth >= 1 && load->depth <= LOAD_DEPTH_MAX);
    CHECK(load->nsizes >= 1 && load->nsizes <= LOAD_SIZES_MAX);
    for (size_t i = 0; i < load->nsizes; i++)
        CHECK(load->size[i].bytes >= 1 && load->size[i].bytes <= LOAD_SIZE_MAX &&
              load->size[i].weight >= 1);
    CHECK(load->messages == 0 ? load->duration_ns > 0 : load->duration_ns == 0);
    CHECK(load->warmup_ns >= 0 && load->timeout_ns > 0 && load->to.len > 0);
    CHECK((v->source != NULL) == (load->nsources > 0));
    CHECK(load->nsources == 0 || load->source.sa.sa_family == load->to.sa.sa_family);
    for (uint64_t i = 0; i < load->nsources; i += 1 + load->nsources / 3) {
        struct plx_addr from = load_source(load, i);
        CHECK(from.sa.sa_family == load->to.sa.sa_family);
    }
}

/* ---- and pollux compare ---- */

static bool same_core(unsigned cpu, struct cpulist *out)
{
    char text[32];
    snprintf(text, sizeof(text), "%u-%u", cpu & ~1u, cpu | 1u);
    return cpulist_parse(text, out);
}

/* To try a model takes milliseconds, so only names that are none of theirs are taken. */
static bool names_models(const char *list)
{
    char *copy = copy_text(list, strlen(list)), *rest = copy;
    const char *name;
    bool any = strcmp(list, "all") == 0;
    while ((name = strsep(&rest, ",")) != NULL)
        any = any || (strcmp(name, "auto") != 0 && plx_model_find(name) != NULL);
    free(copy);
    return any;
}

static int check_workloads(const struct compare_values *v, struct comparison *c, char *err)
{
    for (size_t i = 0; i < v->workload.n && c->nworkloads < COMPARE_WORKLOADS_MAX; i++) {
        struct workload *w = &c->workload[c->nworkloads];
        int rc = workload_parse(v->workload.item[i], w, err, LINE);
        if (rc < 0)
            return rc;
        for (size_t a = 0; a < c->narms; a++)
            c->cell[c->nworkloads][a].state = CELL_EMPTY;
        c->nworkloads++;
    }
    return 0;
}

static void check_compare(const struct compare_values *given)
{
    static struct comparison *c;
    struct compare_values values = *given, *v = &values;
    struct compare_plan plan = {.least = 0};
    struct cpulist allowed;
    char err[LINE] = "";
    if (c == NULL)
        c = comparison_open();
    CHECK(c != NULL && cpulist_parse("0-5,8,70-71", &allowed));
    c->narms = c->nworkloads = c->nplanned = c->ncaveats = 0;
    if (v->models == NULL || names_models(v->models))
        v->models = "none";
    int rc = compare_repeat_check(given, err, LINE);
    if (rc == 0 && v->server.n > 0)
        rc = compare_arms(v, c, err, LINE);
    if (rc == 0)
        rc = compare_pin(v->pin, &allowed, same_core, c, err, LINE);
    if (rc == 0)
        rc = check_workloads(v, c, err);
    CHECK((rc == 0) == (err[0] == '\0') && (rc == 0 || rc == -EINVAL));
    if (rc < 0)
        return;
    struct cpulist server, client;
    CHECK(cpulist_parse(c->server_cpus, &server) && cpulist_parse(c->client_cpus, &client));
    cpulist_meet(&client, &server);
    CHECK(cpulist_count(&client) == 0);
    bool fits = compare_times(v, c, &plan);
    CHECK(plan.round_ns >= 0 && plan.estimate_ns >= 0);
    CHECK(!fits || v->budget_ns == 0 || v->rounds == 0 ||
          v->rounds * plan.round_ns <= v->budget_ns);
}

/* ---- the whole ---- */

static void check_command(const struct cmd *cmd, int argc, char *const *argv)
{
    struct reading r;
    read_words(cmd, argc, argv, &r);
    if (r.rc == 0) {
        check_round_trip(cmd, &r);
        if (cmd == &cmd_bench)
            check_bench((const void *)r.values, &r.args);
        else if (cmd == &cmd_compare)
            check_compare((const void *)r.values);
    }
    forget(&r);
}

static const char *command_name(size_t i)
{
    return cmd_at(i) != NULL ? cmd_at(i)->name : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    char *name = take_text(&in, '\n'), *words[WORDS];
    const struct cmd *cmd = cmd_find(name);
    int n = 0;
    while (in.left > 0 && n < WORDS)
        words[n++] = take_text(&in, '\n');
    if (cmd != NULL)
        check_command(cmd, n, words);
    else
        (void)opt_nearest(name, command_name);
    while (n > 0)
        free(words[--n]);
    free(name);
    return 0;
}
