/* SPDX-License-Identifier: MIT */
/* A process seen from outside, through /proc (proc(5)). */
#include "conform.h"

#include <ctype.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The fields of /proc/PID/stat that are of use here; its 2nd field may contain anything, blanks
 * and brackets too, so that counting starts behind the last bracket. */
struct stat_line {
    char state;
    int parent, group;
    unsigned long utime, stime;
    long rss;
};

static bool read_stat(const char *pid, struct stat_line *out)
{
    char path[64], text[1024];
    snprintf(path, sizeof(path), "/proc/%.20s/stat", pid);
    FILE *f = fopen(path, "r");
    if (!f) {
        return false;
    }
    size_t n = fread(text, 1, sizeof(text) - 1, f);
    fclose(f);
    text[n] = '\0';
    const char *p = strrchr(text, ')');
    return p &&
           sscanf(p + 1,
                  " %c %d %d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %*d %*d "
                  "%*u %*u %ld",
                  &out->state, &out->parent, &out->group, &out->utime, &out->stime, &out->rss) == 6;
}

static int count_entries(pid_t pid, const char *what)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, what);
    DIR *d = opendir(path);
    if (!d) {
        return -1;
    }
    int n = 0;
    for (struct dirent *e; (e = readdir(d));) {
        n += e->d_name[0] != '.';
    }
    closedir(d);
    return n;
}

/* Calls fn for every process; processes that vanish meanwhile are passed over. */
static void each_process(void (*fn)(const struct stat_line *, void *), void *arg)
{
    DIR *d = opendir("/proc");
    if (!d) {
        return;
    }
    for (struct dirent *e; (e = readdir(d));) {
        struct stat_line s;
        if (isdigit((unsigned char)e->d_name[0]) && read_stat(e->d_name, &s)) {
            fn(&s, arg);
        }
    }
    closedir(d);
}

struct child_count {
    pid_t parent;
    int n;
};

static void count_child(const struct stat_line *s, void *arg)
{
    struct child_count *c = arg;
    c->n += s->parent == c->parent;
}

/* Threads of the kernel that io_uring keeps for the process are not the library's to end. */
static int count_threads(pid_t pid)
{
    static char names[8192][16];
    int n = thread_names(pid, names, 8192);
    int own = 0;
    for (int i = 0; i < n; i++) {
        own += strncmp(names[i], "iou-", 4) != 0;
    }
    return own;
}

bool census(pid_t pid, struct census *out)
{
    struct child_count c = {.parent = pid};
    out->fds = count_entries(pid, "fd");
    out->threads = count_threads(pid);
    each_process(count_child, &c);
    out->children = c.n;
    return out->fds >= 0 && out->threads > 0;
}

struct group_usage {
    pid_t group;
    struct usage *out;
};

static void add_usage(const struct stat_line *s, void *arg)
{
    struct group_usage *g = arg;
    if (s->group == g->group) {
        g->out->cpu_ns +=
            (int64_t)(s->utime + s->stime) * (PLX_SECOND / (int64_t)sysconf(_SC_CLK_TCK));
        g->out->rss += s->rss * sysconf(_SC_PAGESIZE);
    }
}

void usage(pid_t group, struct usage *out)
{
    *out = (struct usage){0};
    each_process(add_usage, &(struct group_usage){group, out});
}

int descriptor_limit(pid_t pid, int more)
{
    enum { CAP = 4096 };
    static bool used[CAP];
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    memset(used, 0, sizeof(used));
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));) {
        int fd = isdigit((unsigned char)e->d_name[0]) ? atoi(e->d_name) : CAP;
        if (fd < CAP) {
            used[fd] = true;
        }
    }
    if (d) {
        closedir(d);
    }
    int limit = 0;
    while (limit < CAP && more > 0) {
        more -= !used[limit++];
    }
    return limit;
}

int thread_names(pid_t pid, char (*names)[16], int cap)
{
    char path[300];
    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    DIR *d = opendir(path);
    int n = 0;
    for (struct dirent *e; d && n < cap && (e = readdir(d));) {
        if (e->d_name[0] == '.') {
            continue;
        }
        snprintf(path, sizeof(path), "/proc/%d/task/%.20s/comm", (int)pid, e->d_name);
        FILE *f = fopen(path, "r");
        if (!f) {
            continue;
        }
        if (fgets(names[n], 16, f)) {
            names[n][strcspn(names[n], "\n")] = '\0';
            n++;
        }
        fclose(f);
    }
    if (d) {
        closedir(d);
    }
    return n;
}
