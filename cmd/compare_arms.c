/* SPDX-License-Identifier: MIT */
/* Who is compared: models, other people's servers, and one of them twice. */
#include "cmd/compare.h"

#include <errno.h>
#include <pollux/pollux.h>
#include <stdio.h>
#include <string.h>

/* ---- models ---- */

/* NULL with the reason in `err`. The twin needs a place, too. */
static struct arm *new_arm(struct comparison *c, const char *name, char *err, size_t cap)
{
    struct arm *arm = &c->arm[c->narms];

    for (size_t i = 0; i < c->narms; i++) {
        if (strcmp(c->arm[i].name, name) == 0) {
            compare_refuse(err, cap,
                           "%s is named twice; a name stands for one arm only (and the same "
                           "server twice is part of every comparison)",
                           name);
            return NULL;
        }
    }
    if (c->narms == COMPARE_ARMS_MAX - 1) {
        compare_refuse(err, cap, "more than %d models and servers; leave some out",
                       COMPARE_ARMS_MAX - 1);
        return NULL;
    }
    c->narms++;
    memset(arm, 0, sizeof *arm);
    snprintf(arm->name, sizeof arm->name, "%s", name);
    return arm;
}

static int add_model(struct comparison *c, const struct plx_model *model, char *err, size_t cap)
{
    struct plx_why why = {.reason = ""};
    char text[400];
    struct arm *arm = new_arm(c, model->name, err, cap);
    int rc;

    if (arm == NULL)
        return -EINVAL;
    arm->model = model;
    arm->max_connections = model->max_connections;
    if (strcmp(model->name, "threadpool") == 0)
        arm->max_connections = COMPARE_POOL_MOST;
    rc = plx_model_probe(model, &why);
    arm->runs = rc == 0;
    if (rc < 0) {
        snprintf(text, sizeof text, "%s%s%s",
                 why.reason[0] != '\0' ? why.reason : plx_error_text(rc),
                 why.remedy[0] != '\0' ? "; " : "", why.remedy);
        snprintf(arm->why, sizeof arm->why, "%.255s", text);
    }
    return 0;
}

static int add_named_model(struct comparison *c, const char *name, char *err, size_t cap)
{
    const struct plx_model *model = plx_model_find(name);
    const char *near = opt_nearest(name, cmd_choice_model);

    if (strcmp(name, "all") == 0 || strcmp(name, "none") == 0)
        return compare_refuse(err, cap, "--models: %s stands alone; give it without other names",
                              name);
    if (strcmp(name, "auto") == 0)
        return compare_refuse(err, cap,
                              "--models: auto only chooses one of the others; name those to "
                              "compare");
    if (model == NULL)
        return compare_refuse(err, cap, "--models: unknown model %s; %s%s%s",
                              name[0] != '\0' ? name : "\"\"",
                              near != NULL ? "did you mean " : "see pollux models",
                              near != NULL ? near : "", near != NULL ? "?" : "");
    return add_model(c, model, err, cap);
}

static int add_models(const char *list, struct comparison *c, char *err, size_t cap)
{
    const struct plx_model *model;
    char name[COMPARE_NAME];
    int rc = 0;

    if (list != NULL && strcmp(list, "none") == 0)
        return 0;
    if (list == NULL || strcmp(list, "all") == 0) {
        for (size_t i = 0; rc == 0 && (model = plx_model_at(i)) != NULL; i++) {
            if (strcmp(model->name, "auto") != 0)
                rc = add_model(c, model, err, cap);
        }
        return rc;
    }
    for (;; list++) {
        size_t len = strcspn(list, ",");

        snprintf(name, sizeof name, "%.*s", (int)len, list);
        rc = add_named_model(c, name, err, cap);
        list += len;
        if (rc < 0 || *list == '\0')
            return rc;
    }
}

/* ---- other servers ---- */

/* NAME=COMMAND */
static int add_server(const char *text, struct comparison *c, char *err, size_t cap)
{
    size_t len = strcspn(text, "=");
    const char *command = text[len] == '=' ? text + len + 1 : "";
    char name[COMPARE_NAME];
    struct arm *arm;

    if (text[len] == '\0' || !compare_name_fits(text, len))
        return compare_refuse(err, cap,
                              "--server %s: not NAME=COMMAND, with a name of 1 to %d letters, "
                              "digits and . _ + -; give for example mine='./server {addr} {port}'",
                              text, COMPARE_NAME - 1);
    snprintf(name, sizeof name, "%.*s", (int)len, text);
    if (command[strspn(command, " \t\n")] == '\0')
        return compare_refuse(err, cap, "--server %s=: there is no command", name);
    if (strlen(command) >= sizeof arm->command)
        return compare_refuse(err, cap,
                              "--server %s: the command is longer than %zu bytes; put it into a "
                              "script",
                              name, sizeof arm->command - 1);
    if (strstr(command, "{port}") == NULL)
        return compare_refuse(err, cap,
                              "--server %s: the command does not say where {port} goes; it is to "
                              "listen on another one each time",
                              name);
    if (plx_model_find(name) != NULL)
        return compare_refuse(err, cap,
                              "--server %s: this is the name of a model; take another one", name);
    arm = new_arm(c, name, err, cap);
    if (arm == NULL)
        return -EINVAL;
    snprintf(arm->command, sizeof arm->command, "%s", command);
    arm->runs = true;
    return 0;
}

/* ---- all of them ---- */

int compare_arms(const struct compare_values *v, struct comparison *c, char *err, size_t cap)
{
    size_t running = 0;
    int rc = add_models(v->models, c, err, cap);

    for (size_t i = 0; rc == 0 && i < v->server.n; i++)
        rc = add_server(v->server.item[i], c, err, cap);
    if (rc < 0)
        return rc;
    if (c->narms == 0)
        return compare_refuse(err, cap,
                              "--models none without --server leaves nothing to compare; give one "
                              "of them");
    for (size_t i = 0; i < c->narms; i++)
        running += c->arm[i].runs;
    if (running == 0)
        return compare_refuse(err, cap, "--models: none of these runs here; %s: %s", c->arm[0].name,
                              c->arm[0].why);
    return 0;
}

/* ---- the twin ---- */

static size_t count_cells(const struct comparison *c, size_t arm)
{
    size_t n = 0;

    for (size_t w = 0; w < c->nworkloads; w++)
        n += c->cell[w][arm].state == CELL_EMPTY;
    return n;
}

/* The reference is epoll, which most people use and which can do everything; else the first of
 * those that can do most of what is asked. */
size_t compare_twin(struct comparison *c)
{
    struct arm *twin = &c->arm[c->narms];
    char name[COMPARE_NAME];
    size_t best = 0;

    for (size_t i = 1; i < c->narms; i++) {
        if (count_cells(c, i) > count_cells(c, best))
            best = i;
    }
    for (size_t i = 0; i < c->narms; i++) {
        if (strcmp(c->arm[i].name, "epoll") == 0 && count_cells(c, i) > 0)
            best = i;
    }
    *twin = c->arm[best];
    /* With a blank, which no name that is typed can have. */
    snprintf(name, sizeof name, "%.41s again", c->arm[best].name);
    memcpy(twin->name, name, sizeof name);
    twin->twin = true;
    twin->of = best;
    for (size_t w = 0; w < c->nworkloads; w++) {
        c->cell[w][c->narms].state = c->cell[w][best].state;
        memcpy(c->cell[w][c->narms].why, c->cell[w][best].why, sizeof c->cell[w][best].why);
    }
    c->narms++;
    return best;
}
