/* SPDX-License-Identifier: MIT */
/*
 * The parser of the command line, driven by a command's table of options. getopt_long(3) is not
 * used: it abbreviates names, prints its own messages, and knows neither units nor ranges.
 */
#include "cmd/opt.h"

#include "cmd/cmd.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* One command line while it is read. */
struct parse {
    const struct cmd *cmd;
    char *const *argv;
    int argc, next;
    char *values;
    struct opt_list *args;
    char *err;
    size_t errcap;
};

__attribute__((format(printf, 2, 3))) static int fail(struct parse *p, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(p->err, p->errcap, fmt, ap);
    va_end(ap);
    return -EINVAL;
}

/* ---- suggestions ---- */

#define WORD_MAX 40

unsigned opt_distance(const char *a, const char *b)
{
    /* Optimal string alignment: Levenshtein's distance plus the swap of two neighbours. */
    unsigned d[WORD_MAX + 1][WORD_MAX + 1];
    size_t la = strlen(a);
    size_t lb = strlen(b);

    if (la > WORD_MAX || lb > WORD_MAX)
        return WORD_MAX;
    for (size_t i = 0; i <= la; i++)
        d[i][0] = (unsigned)i;
    for (size_t j = 0; j <= lb; j++)
        d[0][j] = (unsigned)j;
    for (size_t i = 1; i <= la; i++) {
        for (size_t j = 1; j <= lb; j++) {
            unsigned best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);

            if (d[i - 1][j] + 1 < best)
                best = d[i - 1][j] + 1;
            if (d[i][j - 1] + 1 < best)
                best = d[i][j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                d[i - 2][j - 2] + 1 < best)
                best = d[i - 2][j - 2] + 1;
            d[i][j] = best;
        }
    }
    return d[la][lb];
}

struct nearest {
    const char *name;
    unsigned distance;
};

/* One mistake in three letters is still a typing mistake; the beginning of a name counts as one
 * mistake, so that --idle finds --idle-timeout. */
static void consider(struct nearest *near, const char *text, const char *name)
{
    size_t len = strlen(text);
    unsigned distance = opt_distance(text, name);

    if (len >= 2 && strncmp(text, name, len) == 0)
        distance = 1;
    if (distance <= (len + 2) / 3 && (near->name == NULL || distance < near->distance)) {
        near->name = name;
        near->distance = distance;
    }
}

const char *opt_nearest(const char *text, const char *(*choice)(size_t i))
{
    struct nearest near = {NULL, 0};
    const char *name;

    for (size_t i = 0; (name = choice(i)) != NULL; i++)
        consider(&near, text, name);
    return near.name;
}

static int unknown_option(struct parse *p, const char *word, size_t len)
{
    struct nearest near = {NULL, 0};
    char name[WORD_MAX + 1];

    snprintf(name, sizeof name, "%.*s", (int)len, word);
    for (const struct opt *o = p->cmd->options; o->name != NULL; o++)
        consider(&near, name, o->name);
    if (near.name != NULL)
        return fail(p, "unknown option --%s; did you mean --%s?", name, near.name);
    return fail(p, "unknown option --%s; see pollux %s --help", name, p->cmd->name);
}

/* ---- values ---- */

/* Appends to a bounded text; what does not fit is left out. */
__attribute__((format(printf, 3, 4))) static void append(char *buf, size_t cap, const char *fmt,
                                                         ...)
{
    size_t used = strlen(buf);
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(buf + used, cap - used, fmt, ap);
    va_end(ap);
}

static void append_choices(char *buf, size_t cap, const char *(*choice)(size_t i))
{
    const char *name;

    for (size_t i = 0; (name = choice(i)) != NULL; i++)
        append(buf, cap, "%s%s", i > 0 ? ", " : "", name);
}

static enum unit unit_of(const struct opt *o)
{
    return o->kind == OPT_TIME ? UNIT_TIME : o->kind == OPT_SIZE ? UNIT_SIZE : UNIT_COUNT;
}

/* "1ms to 24h, or none" */
static void append_range(const struct opt *o, char *buf, size_t cap)
{
    char low[UNIT_TEXT];
    char high[UNIT_TEXT];

    append(buf, cap, "%s to %s%s", unit_format(unit_of(o), o->min, low, sizeof low),
           unit_format(unit_of(o), o->max, high, sizeof high),
           (o->flags & OPT_NONE) != 0 ? ", or none" : "");
}

static int set_number(struct parse *p, const struct opt *o, const char *text)
{
    int64_t *out = (int64_t *)(void *)(p->values + o->offset);
    char range[3 * UNIT_TEXT] = "";
    int rc;

    if ((o->flags & OPT_NONE) != 0 && strcmp(text, "none") == 0) {
        *out = PLX_OFF;
        return 0;
    }
    append_range(o, range, sizeof range);
    rc = unit_parse(unit_of(o), text, out);
    if (rc == -EINVAL)
        return fail(p, "--%s %s: not %s; give %s", o->name, text, unit_describe(unit_of(o)), range);
    if (rc < 0 || *out < o->min || *out > o->max)
        return fail(p, "--%s %s: out of range; give %s", o->name, text, range);
    return 0;
}

static int find_choice(struct parse *p, const struct opt *o, const char *text, int *index)
{
    char list[OPT_TEXT_MAX] = "";
    const char *near;
    const char *name;

    for (size_t i = 0; (name = o->choice(i)) != NULL; i++) {
        if (strcmp(name, text) == 0) {
            *index = (int)i;
            return 0;
        }
    }
    append_choices(list, sizeof list, o->choice);
    near = opt_nearest(text, o->choice);
    if (near != NULL)
        return fail(p, "--%s %s: unknown; did you mean %s? Valid are %s", o->name, text, near,
                    list);
    return fail(p, "--%s %s: unknown; valid are %s", o->name, text, list);
}

static int add_to_list(struct parse *p, struct opt_list *list, const char *what, const char *text)
{
    if (list->n == OPT_LIST_MAX)
        return fail(p, "%s: more than %d of them", what, OPT_LIST_MAX);
    list->item[list->n++] = text;
    return 0;
}

static int set_value(struct parse *p, const struct opt *o, const char *text)
{
    void *field = p->values + o->offset;
    int index;

    switch (o->kind) {
    case OPT_FLAG: *(bool *)field = true; return 0;
    case OPT_TEXT:
    case OPT_LIST:
        if (o->choice != NULL) {
            int rc = find_choice(p, o, text, &index);
            if (rc < 0)
                return rc;
        }
        if (o->kind == OPT_LIST)
            return add_to_list(p, field, o->name, text);
        *(const char **)field = text;
        return 0;
    case OPT_CHOICE: return find_choice(p, o, text, field);
    case OPT_COUNT:
    case OPT_SIZE:
    case OPT_TIME: break;
    }
    return set_number(p, o, text);
}

/* ---- the words of the command line ---- */

/* `attached` is what follows in the same word (--name=VALUE, -nVALUE), or NULL. */
static int take_option(struct parse *p, const struct opt *o, const char *attached)
{
    const char *next = p->next < p->argc ? p->argv[p->next] : NULL;

    if (o->kind == OPT_FLAG) {
        if (attached != NULL)
            return fail(p, "--%s takes no value", o->name);
    } else if (attached == NULL && (o->flags & OPT_OPTIONAL) != 0) {
        attached = o->implied;
        if (next != NULL && strcmp(next, "-") == 0) {
            attached = next;
            p->next++;
        }
    } else if (attached == NULL) {
        if (next == NULL)
            return fail(p, "--%s needs a value: --%s %s", o->name, o->name, o->arg);
        attached = next;
        p->next++;
    }
    if (attached != NULL && *attached == '\0' &&
        (o->kind != OPT_TEXT || (o->flags & OPT_FILE) != 0))
        return fail(p, "--%s: the value is empty; give --%s %s", o->name, o->name, o->arg);
    return set_value(p, o, attached);
}

static int take_long(struct parse *p, const char *word)
{
    size_t len = strcspn(word, "=");
    const struct opt *o = opt_find(p->cmd->options, word, len);

    if (len == 4 && strcmp(word, "help") == 0)
        return 1;
    if (o == NULL)
        return unknown_option(p, word, len);
    return take_option(p, o, word[len] == '=' ? word + len + 1 : NULL);
}

/* A group of one-letter options: flags, and at most one with a value, which is the last. */
static int take_brief(struct parse *p, const char *letters)
{
    for (; *letters != '\0'; letters++) {
        const struct opt *o = p->cmd->options;
        int rc;

        if (*letters == 'h')
            return 1;
        while (o->name != NULL && o->brief != *letters)
            o++;
        if (o->name == NULL)
            return fail(p, "unknown option -%c; see pollux %s --help", *letters, p->cmd->name);
        if (o->kind != OPT_FLAG)
            return take_option(p, o, letters[1] != '\0' ? letters + 1 : NULL);
        rc = take_option(p, o, NULL);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int take_word(struct parse *p)
{
    const char *word = p->argv[p->next++];

    if (word[0] == '-' && word[1] == '-' && word[2] == '\0') {
        for (; p->next < p->argc; p->next++) {
            int rc = add_to_list(p, p->args, "arguments", p->argv[p->next]);
            if (rc < 0)
                return rc;
        }
        return 0;
    }
    if (word[0] == '-' && word[1] == '-')
        return take_long(p, word + 2);
    if (word[0] == '-' && word[1] != '\0')
        return take_brief(p, word + 1);
    return add_to_list(p, p->args, "arguments", word);
}

int opt_parse(const struct cmd *cmd, int argc, char *const *argv, void *values,
              struct opt_list *args, char *err, size_t errcap)
{
    struct parse p = {.cmd = cmd,
                      .argv = argv,
                      .argc = argc,
                      .values = values,
                      .args = args,
                      .err = err,
                      .errcap = errcap};

    for (const struct opt *o = cmd->options; o->name != NULL; o++) {
        int rc = o->value != NULL ? set_value(&p, o, o->value) : 0;
        if (rc < 0)
            return rc;
    }
    while (p.next < argc) {
        int rc = take_word(&p);
        if (rc != 0)
            return rc;
    }
    if (args->n < cmd->min_args)
        return fail(&p, "%s is missing; usage: pollux %s [OPTIONS] %s", cmd->args, cmd->name,
                    cmd->args);
    if (args->n > cmd->max_args)
        return fail(&p, "unexpected argument %s; usage: pollux %s [OPTIONS]%s%s",
                    args->item[cmd->max_args], cmd->name, cmd->args[0] != '\0' ? " " : "",
                    cmd->args);
    return 0;
}

const struct opt *opt_find(const struct opt *table, const char *name, size_t len)
{
    for (; table->name != NULL; table++) {
        if (strlen(table->name) == len && memcmp(table->name, name, len) == 0)
            return table;
    }
    return NULL;
}

/* ---- how an option is shown ---- */

char *opt_synopsis(const struct opt *o, char *buf, size_t cap)
{
    buf[0] = '\0';
    if (o->brief != '\0')
        append(buf, cap, "-%c, ", o->brief);
    append(buf, cap, "--%s", o->name);
    if (o->kind != OPT_FLAG)
        append(buf, cap, (o->flags & OPT_OPTIONAL) != 0 ? "[=%s]" : " %s", o->arg);
    return buf;
}

char *opt_facts(const struct opt *o, char *buf, size_t cap)
{
    bool number = o->kind == OPT_COUNT || o->kind == OPT_SIZE || o->kind == OPT_TIME;

    buf[0] = '\0';
    if (o->choice != NULL) {
        append(buf, cap, "One of ");
        append_choices(buf, cap, o->choice);
    } else if (number) {
        append_range(o, buf, cap);
    }
    if (o->value != NULL)
        append(buf, cap, "%s %s", buf[0] == '\0' ? "Default" : "; default", o->value);
    if (buf[0] != '\0')
        append(buf, cap, ".");
    return buf;
}
