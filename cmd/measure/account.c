/* SPDX-License-Identifier: MIT */
/* See account.h. */
#include "cmd/measure/account.h"
#include "cmd/measure/cpulist.h"
#include "cmd/measure/sysfile.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A clock tick as proc(5) means it: 10 ms, whatever the kernel's own clock interrupt is. */
static int64_t tick_ns(void)
{
    return PLX_SECOND / sysconf(_SC_CLK_TCK);
}

/* ---- the processes of a tree ---- */

/* A process before its children. Reading in that order never counts one twice: it cannot be seen
 * living and then be found among what its parent waited for. */
struct tree {
    pid_t *pids;
    size_t n, room;
    int err; /* the first thing that went wrong */
};

static void tree_add(struct tree *t, pid_t pid)
{
    if (t->n == t->room) {
        size_t room = t->room ? 2 * t->room : 64;
        pid_t *more = realloc(t->pids, room * sizeof(*more));
        if (!more) {
            t->err = -ENOMEM;
            return;
        }
        t->pids = more;
        t->room = room;
    }
    t->pids[t->n++] = pid;
}

static void add_children(struct tree *t, pid_t pid, int tid)
{
    char path[64];
    int child;
    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, tid);
    FILE *f = fopen(path, "re");
    if (!f)
        return; /* the task ended */
    while (fscanf(f, "%d", &child) == 1)
        tree_add(t, (pid_t)child);
    fclose(f);
}

static int each_task(pid_t pid, void (*fn)(void *arg, pid_t pid, int tid), void *arg)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(path);
    if (!tasks)
        return -errno;
    for (struct dirent *e; (e = readdir(tasks)) != NULL;) {
        if (isdigit((unsigned char)e->d_name[0]))
            fn(arg, pid, (int)strtol(e->d_name, NULL, 10));
    }
    closedir(tasks);
    return 0;
}

/* ---- memory ---- */

/* The number of kB after `key` in a text of /proc, as bytes. */
static int64_t kilobytes(const char *text, const char *key)
{
    int64_t kb;
    return sysfile_number(text, key, &kb) ? kb * 1024 : ACCOUNT_NA;
}

static int64_t memory_now(pid_t pid)
{
    char text[SYSFILE_TEXT];
    int64_t bytes = ACCOUNT_NA;
    if (sysfile_read(text, sizeof(text), "/proc/%d/smaps_rollup", (int)pid) > 0)
        bytes = kilobytes(text, "Pss:");
    if (bytes == ACCOUNT_NA && sysfile_read(text, sizeof(text), "/proc/%d/status", (int)pid) > 0)
        bytes = kilobytes(text, "VmRSS:");
    return bytes;
}

/* Of a process that has ended there is none, so it is the others that count. */
static void read_memory(const struct tree *t, int64_t *peak, int64_t *now)
{
    char text[SYSFILE_TEXT];
    int64_t sum = ACCOUNT_NA;
    sysfile_read(text, sizeof(text), "/proc/%d/status", (int)t->pids[0]);
    *peak = kilobytes(text, "VmHWM:");
    if (t->n == 1 && !now)
        return;
    for (size_t i = 0; i < t->n; i++) {
        int64_t bytes = memory_now(t->pids[i]);
        if (bytes != ACCOUNT_NA)
            sum = bytes + (sum == ACCOUNT_NA ? 0 : sum);
    }
    if (t->n > 1 && sum > *peak)
        *peak = sum;
    if (now)
        *now = sum;
}

static void visit_children(void *arg, pid_t pid, int tid)
{
    add_children(arg, pid, tid);
}

int account_memory(pid_t pid, int64_t *peak, int64_t *now)
{
    struct tree t = {0};
    *peak = ACCOUNT_NA;
    if (now)
        *now = ACCOUNT_NA;
    tree_add(&t, pid);
    for (size_t i = 0; i < t.n; i++) {
        int rc = each_task(t.pids[i], visit_children, &t);
        if (rc < 0 && i == 0)
            t.err = -ESRCH;
    }
    if (t.err == 0)
        read_memory(&t, peak, now);
    free(t.pids);
    return t.err;
}

/* ---- CPU and context switches ---- */

/* What /proc/PID/stat tells, in clock ticks; it is about the whole process. */
struct stat_line {
    int64_t user, system, children_user, children_system;
    uint64_t started;
    bool had_children; /* that were waited for; any process has page faults */
};

/* The 2nd field is the name, in which blanks and brackets may stand: counting starts behind the
 * last bracket. */
static int read_stat(pid_t pid, struct stat_line *out)
{
    char text[SYSFILE_TEXT];
    ssize_t n = sysfile_read(text, sizeof(text), "/proc/%d/stat", (int)pid);
    if (n < 0)
        return (int)n;
    const char *p = strrchr(text, ')');
    long long user, system, children_user, children_system;
    unsigned long long faults, started;
    if (!p || sscanf(p + 1,
                     " %*c %*d %*d %*d %*d %*d %*u %*u %llu %*u %*u %lld %lld %lld %lld %*d %*d "
                     "%*d %*d %llu",
                     &faults, &user, &system, &children_user, &children_system, &started) != 6)
        return -EPROTO;
    *out = (struct stat_line){user, system, children_user, children_system, started, faults > 0};
    return 0;
}

/* The CPU-time clock of a process: all its tasks, the ended ones too. */
static int64_t clock_of(pid_t pid)
{
    clockid_t clock;
    struct timespec t;
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &t) < 0)
        return ACCOUNT_NA;
    return (int64_t)t.tv_sec * PLX_SECOND + t.tv_nsec;
}

/* The sums while the tree is read. */
struct reading {
    struct account *out;
    struct tree tree;
    struct cpulist cpus;
    int64_t living_ns; /* what the tasks of the process being read have spent that still live */
    bool tells_living; /* whether this kernel says so */
};

static void add(int64_t *sum, const char *text, const char *key)
{
    int64_t number;
    if (*sum != ACCOUNT_NA)
        *sum = sysfile_number(text, key, &number) ? *sum + number : ACCOUNT_NA;
}

static bool ignores(const char *status, int signo)
{
    const char *mask = sysfile_after(status, "SigIgn:");
    return mask && (strtoull(mask, NULL, 16) >> (signo - 1) & 1);
}

static void read_task(void *arg, pid_t pid, int tid)
{
    struct reading *r = arg;
    char text[SYSFILE_TEXT];
    char line[SYSFILE_TEXT / 2];
    int64_t number;
    add_children(&r->tree, pid, tid);
    if (sysfile_read(text, sizeof(text), "/proc/%d/task/%d/schedstat", (int)pid, tid) > 0 &&
        sysfile_number(text, "", &number))
        r->living_ns += number;
    if (sysfile_read(text, sizeof(text), "/proc/%d/task/%d/status", (int)pid, tid) <= 0)
        return; /* it ended */

    r->out->tasks++;
    const char *name = sysfile_after(text, "Name:");
    if (name && (strncmp(name, "iou-wrk-", 8) == 0 || strncmp(name, "iou-sqp-", 8) == 0))
        r->out->kernel_workers++;
    add(&r->out->voluntary, text, "voluntary_ctxt_switches:");
    add(&r->out->involuntary, text, "nonvoluntary_ctxt_switches:");
    const char *list = sysfile_after(text, "Cpus_allowed_list:");
    struct cpulist cpus;
    if (list && cpulist_parse(sysfile_line(list, line, sizeof(line)), &cpus))
        cpulist_join(&r->cpus, &cpus);
    if (ignores(text, SIGCHLD))
        r->out->forgets_children = true;
}

/* Reads one process of the tree and adds its children to it. */
static int read_process(struct reading *r, pid_t pid)
{
    struct account *a = r->out;
    struct stat_line s;
    int64_t own = clock_of(pid);
    int rc = read_stat(pid, &s);
    if (rc < 0)
        return rc;
    r->living_ns = 0;
    rc = each_task(pid, read_task, r);
    if (rc < 0)
        return rc;

    a->processes++;
    if (pid == a->pid)
        a->started = s.started;
    a->user_ns += (s.user + s.children_user) * tick_ns();
    a->system_ns += (s.system + s.children_system) * tick_ns();
    if (own == ACCOUNT_NA) {
        own = (s.user + s.system) * tick_ns();
        a->margin_ns += 2 * tick_ns();
    }
    int64_t children = (s.children_user + s.children_system) * tick_ns();
    if (s.had_children)
        a->margin_ns += 2 * tick_ns();
    a->cpu_ns += own + children;
    /* The tasks were read after the clock, so they may have spent more by then. */
    a->ended_ns += children + (own > r->living_ns ? own - r->living_ns : 0);
    return 0;
}

/* ---- all of it ---- */

static const struct account nothing = {.cpu_ns = ACCOUNT_NA,
                                       .margin_ns = ACCOUNT_NA,
                                       .ended_ns = ACCOUNT_NA,
                                       .user_ns = ACCOUNT_NA,
                                       .system_ns = ACCOUNT_NA,
                                       .voluntary = ACCOUNT_NA,
                                       .involuntary = ACCOUNT_NA,
                                       .peak_bytes = ACCOUNT_NA,
                                       .now_bytes = ACCOUNT_NA};

static void explain(struct plx_why *why, const char *remedy, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void explain(struct plx_why *why, const char *remedy, const char *fmt, ...)
{
    va_list args;
    if (!why)
        return;
    va_start(args, fmt);
    vsnprintf(why->reason, sizeof(why->reason), fmt, args);
    va_end(args);
    snprintf(why->remedy, sizeof(why->remedy), "%s", remedy);
}

/* Why /proc/PID cannot be read. With hidepid (proc(5)) another user's process looks as if it did
 * not exist, but a signal could be sent to it, or is refused. */
static int unreadable(pid_t pid, int rc, struct plx_why *why)
{
    if (rc == -ENOENT || rc == -ESRCH) {
        if (pid <= 0 || (kill(pid, 0) < 0 && errno == ESRCH)) {
            explain(why, "", "there is no process %d", (int)pid);
            return -ESRCH;
        }
        rc = -EACCES;
    }
    if (rc == -EACCES || rc == -EPERM)
        explain(why, "run as root or as the owner of that process",
                "/proc/%d cannot be read (/proc is mounted with hidepid, or not at all)", (int)pid);
    else
        explain(why, "", "/proc/%d: %s", (int)pid, plx_error_text(rc));
    return rc;
}

/* Looks whether the number is that of a process, and how it is called. */
static int identify(struct account *a, struct plx_why *why)
{
    char text[SYSFILE_TEXT];
    int64_t group;
    if (a->pid <= 0)
        return unreadable(a->pid, -ESRCH, why);
    ssize_t n = sysfile_read(text, sizeof(text), "/proc/%d/status", (int)a->pid);
    if (n < 0)
        return unreadable(a->pid, (int)n, why);
    if (sysfile_number(text, "Tgid:", &group) && group != a->pid) {
        explain(why, "give the number of the process", "%d is a thread of process %d", (int)a->pid,
                (int)group);
        return -ESRCH;
    }
    const char *name = sysfile_after(text, "Name:");
    sysfile_line(name ? name : "", a->command, sizeof(a->command));
    for (char *c = a->command; *c; c++) {
        if (*c < ' ' || *c > '~')
            *c = '?';
    }
    return 0;
}

/* What this kernel does not tell of this process, it tells of none. */
static int check_kernel(struct reading *r, struct plx_why *why)
{
    char text[SYSFILE_TEXT];
    int64_t spent;
    int pid = (int)getpid();
    if (sysfile_read(text, sizeof(text), "/proc/self/task/%d/children", pid) == -ENOENT) {
        explain(why, "use a kernel with CONFIG_PROC_CHILDREN",
                "/proc/PID/task/TID/children: this kernel does not tell the children of a process");
        return -ENOSYS;
    }
    r->tells_living = sysfile_read(text, sizeof(text), "/proc/self/task/%d/schedstat", pid) > 0 &&
                      sysfile_number(text, "", &spent) && spent > 0;
    return 0;
}

static int read_tree(struct reading *r, struct plx_why *why)
{
    struct account *a = r->out;
    struct stat_line again;
    tree_add(&r->tree, a->pid);
    for (size_t i = 0; i < r->tree.n; i++) {
        int rc = read_process(r, r->tree.pids[i]);
        if (rc < 0 && i == 0)
            return unreadable(a->pid, rc, why);
    }
    if (r->tree.err < 0) {
        explain(why, "", "%s", plx_error_text(r->tree.err));
        return r->tree.err;
    }
    if (!r->tells_living)
        a->ended_ns = ACCOUNT_NA;
    read_memory(&r->tree, &a->peak_bytes, &a->now_bytes);

    struct cpulist online;
    if (cpulist_online(&online))
        cpulist_meet(&r->cpus, &online);
    cpulist_format(&r->cpus, a->cpus, sizeof(a->cpus));

    int rc = read_stat(a->pid, &again);
    if (rc < 0 || again.started != a->started) {
        explain(why, "", "process %d has ended", (int)a->pid);
        return -ESRCH;
    }
    return 0;
}

int account_read(pid_t pid, struct account *out, struct plx_why *why)
{
    struct reading r = {.out = out};
    *out = (struct account){.pid = pid};
    int rc = identify(out, why);
    if (rc == 0)
        rc = check_kernel(&r, why);
    if (rc == 0)
        rc = read_tree(&r, why);
    free(r.tree.pids);
    if (rc < 0)
        *out = nothing;
    return rc;
}

/* ---- from one reading to the next ---- */

/* What is counted down to `slack` below what it is may seem to have become less by as much. */
static int64_t change(int64_t from, int64_t to, int64_t slack)
{
    if (from == ACCOUNT_NA || to == ACCOUNT_NA || to - from < -slack)
        return ACCOUNT_NA;
    return to > from ? to - from : 0;
}

static void divide(struct account *a, int64_t user, int64_t system)
{
    a->user_ns = a->system_ns = ACCOUNT_NA;
    if (a->cpu_ns == 0) {
        a->user_ns = a->system_ns = 0;
    } else if (a->cpu_ns != ACCOUNT_NA && user != ACCOUNT_NA && system != ACCOUNT_NA &&
               user + system > 0) {
        a->user_ns = (int64_t)((double)a->cpu_ns * (double)user / (double)(user + system));
        a->system_ns = a->cpu_ns - a->user_ns;
    }
}

void account_between(const struct account *from, const struct account *to, struct account *out)
{
    struct account a = *to;
    bool same = from->pid == to->pid && from->started == to->started;
    const struct account *f = same ? from : &nothing;
    int64_t margin = f->margin_ns > to->margin_ns ? f->margin_ns : to->margin_ns;
    /* Every process has its user and its system time rounded. */
    int64_t rounded = 2 * tick_ns() * (f->processes > to->processes ? f->processes : to->processes);

    a.margin_ns = same ? margin : ACCOUNT_NA;
    a.cpu_ns = change(f->cpu_ns, to->cpu_ns, margin);
    a.ended_ns = change(f->ended_ns, to->ended_ns, margin);
    divide(&a, change(f->user_ns, to->user_ns, rounded),
           change(f->system_ns, to->system_ns, rounded));
    a.voluntary = change(f->voluntary, to->voluntary, 0);
    a.involuntary = change(f->involuntary, to->involuntary, 0);
    if (a.cpu_ns == ACCOUNT_NA || (a.ended_ns > margin && a.ended_ns > a.cpu_ns / 100))
        a.voluntary = a.involuntary = ACCOUNT_NA;
    *out = a;
}

/* ---- the machine's CPUs ---- */

/* The ticks of the fields of a line of /proc/stat that are work, behind its name. */
static bool busy_ticks(const char *fields, int64_t *out)
{
    long long user, nice, system, irq, softirq, steal;
    if (sscanf(fields, "%lld %lld %lld %*d %*d %lld %lld %lld", &user, &nice, &system, &irq,
               &softirq, &steal) != 6)
        return false;
    *out = user + nice + system + irq + softirq + steal;
    return true;
}

int64_t account_busy_ns(const char *cpus)
{
    struct cpulist wanted = {{0}};
    int64_t sum = 0, ticks;
    bool any = false;
    char line[512];
    if (cpus && !cpulist_parse(cpus, &wanted))
        return ACCOUNT_NA;
    FILE *f = fopen("/proc/stat", "re");
    if (!f)
        return ACCOUNT_NA;
    /* "cpu" is the sum, "cpuN" one of them; they come first, and in front of much else. */
    while (fgets(line, sizeof(line), f) && strncmp(line, "cpu", 3) == 0) {
        char *fields;
        unsigned long cpu = strtoul(line + 3, &fields, 10);
        bool is_sum = line[3] == ' ';
        if (is_sum ? !cpus : cpus && cpulist_has(&wanted, (unsigned)cpu)) {
            if (busy_ticks(is_sum ? line + 3 : fields, &ticks)) {
                sum += ticks;
                any = true;
            }
        }
    }
    fclose(f);
    return any ? sum * tick_ns() : ACCOUNT_NA;
}

bool account_cpus_overlap(const char *a, const char *b)
{
    struct cpulist x, y;
    if (!cpulist_parse(a, &x) || !cpulist_parse(b, &y))
        return false;
    cpulist_meet(&x, &y);
    return cpulist_count(&x) > 0;
}

int account_cpus_count(const char *cpus)
{
    struct cpulist l;
    return cpulist_parse(cpus, &l) ? cpulist_count(&l) : 0;
}
