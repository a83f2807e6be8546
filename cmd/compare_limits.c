/* SPDX-License-Identifier: MIT */
/*
 * Who cannot do what: by its own limit, or by one of this machine. Such a cell is not measured, and
 * the report says why in its place; found out by trying, it would look like a failure of the model.
 */
#include "cmd/compare.h"
#include "cmd/measure/sysfile.h"

#include <pollux/pollux.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Descriptors of a process beside the connections: its loops, pipes, files. */
#define DESCRIPTORS_BESIDES 128

/* Threads of a server beside those of the connections, and of everything else on this machine. */
#define TASKS_BESIDES 256

/* Mappings of a program before its first connection, and of a thread's stack with its guard. */
#define MAPPINGS_BESIDES 1000
#define MAPPINGS_EACH    2

/* ---- reading the limits ---- */

static uint64_t number_of(const char *file)
{
    char text[64];
    int64_t number;

    sysfile_read(text, sizeof text, "%s", file);
    return sysfile_number(text, "", &number) && number > 0 ? (uint64_t)number : UINT64_MAX;
}

static uint64_t lesser(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* The hard limit is raised too where that is allowed: root may, up to fs.nr_open. */
static uint64_t raise_descriptors(uint64_t need)
{
    struct rlimit limit;
    struct rlimit raised;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return UINT64_MAX;
    if (limit.rlim_cur >= need)
        return limit.rlim_cur;
    raised = (struct rlimit){.rlim_cur = need,
                             .rlim_max = limit.rlim_max < need ? need : limit.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
        return need;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_max;
}

static uint64_t count_tasks(void)
{
    uint64_t most =
        lesser(number_of("/proc/sys/kernel/threads-max"), number_of("/proc/sys/kernel/pid_max"));
    struct rlimit limit;

    /* A container's own group is the top of what it sees; elsewhere the file is not there. */
    most = lesser(most, number_of("/sys/fs/cgroup/pids.max"));
    if (geteuid() != 0 && getrlimit(RLIMIT_NPROC, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        most = lesser(most, limit.rlim_cur);
    return most;
}

void compare_limits_read(unsigned connections, struct compare_limits *out)
{
    out->descriptors = raise_descriptors((uint64_t)connections + DESCRIPTORS_BESIDES);
    out->tasks = count_tasks();
    out->mappings = number_of("/proc/sys/vm/max_map_count");
}

/* ---- one cell ---- */

__attribute__((format(printf, 2, 3))) static void exclude(struct cell *cell, const char *fmt, ...)
{
    va_list ap;

    cell->state = CELL_EXCLUDED;
    va_start(ap, fmt);
    vsnprintf(cell->why, sizeof cell->why, fmt, ap);
    va_end(ap);
}

/* A thread or a process for each connection. */
static bool has_tasks(const struct arm *arm)
{
    return arm->model != NULL && strcmp(arm->model->engine, "blocking") == 0 &&
           (arm->model->caps & PLX_CAP_CONCURRENT) != 0;
}

/* All in one process, with a stack each. */
static bool has_stacks(const struct arm *arm)
{
    return has_tasks(arm) && (arm->model->caps & PLX_CAP_ISOLATED) == 0;
}

static void check_own_limit(const struct arm *arm, const struct load_config *load,
                            struct cell *cell)
{
    bool concurrent = arm->model == NULL || (arm->model->caps & PLX_CAP_CONCURRENT) != 0;

    /* Short connections are served one after the other, the next waits in the backlog meanwhile. */
    if (!concurrent && load->connections > 1 && load->mode != LOAD_CONNECT)
        exclude(cell, "it serves one connection at a time, here are %u", load->connections);
    else if (concurrent && arm->max_connections != 0 && load->connections > arm->max_connections)
        exclude(cell, "it serves %u connections at most, here are %u", arm->max_connections,
                load->connections);
}

static void check_machine(const struct arm *arm, const struct load_config *load,
                          const struct compare_limits *limits, struct cell *cell)
{
    uint64_t files = (uint64_t)load->connections + DESCRIPTORS_BESIDES;
    uint64_t tasks = (uint64_t)load->connections + TASKS_BESIDES;
    uint64_t mappings = (uint64_t)load->connections * MAPPINGS_EACH + MAPPINGS_BESIDES;

    if (files > limits->descriptors)
        exclude(cell,
                "%u connections need %llu open files, and the limit is %llu (ulimit -Hn); raise it "
                "as root: ulimit -n %llu, or nofile in limits.conf(5)",
                load->connections, (unsigned long long)files,
                (unsigned long long)limits->descriptors, (unsigned long long)files);
    else if (has_tasks(arm) && tasks > limits->tasks)
        exclude(
            cell,
            "%u connections need as many threads or processes, and the limit is %llu; raise it: "
            "ulimit -u, pids.max of the control group, sysctl kernel.threads-max and "
            "kernel.pid_max",
            load->connections, (unsigned long long)limits->tasks);
    else if (has_stacks(arm) && mappings > limits->mappings)
        exclude(cell,
                "%u threads need %llu mappings of memory, and the limit is %llu; raise it: sysctl "
                "vm.max_map_count=%llu",
                load->connections, (unsigned long long)mappings,
                (unsigned long long)limits->mappings, (unsigned long long)mappings);
}

/* ---- all of them ---- */

void compare_exclude(struct comparison *c, const struct compare_limits *limits)
{
    for (size_t w = 0; w < c->nworkloads; w++) {
        const struct load_config *load = &c->workload[w].load;

        for (size_t a = 0; a < c->narms; a++) {
            const struct arm *arm = &c->arm[a];
            struct cell *cell = &c->cell[w][a];

            cell->state = CELL_EMPTY;
            cell->why[0] = '\0';
            if (!arm->runs)
                exclude(cell, "%s", arm->why);
            else
                check_own_limit(arm, load, cell);
            if (cell->state == CELL_EMPTY)
                check_machine(arm, load, limits, cell);
        }
    }
}
