/* SPDX-License-Identifier: MIT */
/*
 * What a process and all that belongs to it has cost: every task of it, its living descendants (a
 * server that forks) and those that were waited for, and the kernel's workers for it (io_uring's
 * iou-wrk and iou-sqp are tasks of the process since Linux 5.12; before, they belonged to nobody
 * and are not found). Read from proc(5) and the processes' CPU-time clocks. Any thread.
 *
 * A figure that could not be read is ACCOUNT_NA, never 0.
 *
 * What is counted once and only once: a living process, and one that has ended but was not yet
 * waited for, by its own clock, in which its ended threads are included; one that was waited for as
 * part of what its parent's children have spent. What is lost: a process that was handed to another
 * parent because its own died (a daemon's double fork), and the ended children of a process that
 * ignores SIGCHLD, which the kernel throws away (see forgets_children). Processes that begin or end
 * during the reading may be missing in that reading; they are in the next.
 */
#ifndef POLLUX_CMD_MEASURE_ACCOUNT_H
#define POLLUX_CMD_MEASURE_ACCOUNT_H

#include <pollux/error.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define ACCOUNT_NA INT64_MIN

struct account {
    /* Which process: its id, and when it began (clock ticks after boot), since ids are reused. */
    pid_t pid;
    uint64_t started;

    /*
     * CPU since the beginning of the process. The kernel adds up the time of a task at every switch
     * and clock interrupt, in nanoseconds; of a task that runs while it is read, what it spent
     * since its last interrupt is missing (1/CONFIG_HZ, 1 to 10 ms). Children that were waited for
     * are told in clock ticks only (10 ms), rounded down: cpu_ns is up to margin_ns too low.
     */
    int64_t cpu_ns;
    int64_t margin_ns;
    int64_t ended_ns; /* of cpu_ns, what tasks and children spent that have ended */
    /* The kernel's division of it. It is in clock ticks, rounded down, and a sample on most kernels
     * (who is interrupted by the clock): good for proportions, not for single milliseconds. */
    int64_t user_ns, system_ns;

    /* Context switches of the tasks that live, the kernel's workers too. */
    int64_t voluntary, involuntary;

    /* The most memory at a time: VmHWM of the process; with descendants the sum of now, if that is
     * more. The sum of many processes has no peak of its own, so only moments that are read count.
     */
    int64_t peak_bytes;
    /* Memory now: Pss over all of them, in which a page that several share counts once. VmRSS, in
     * which it counts for each, where Pss may not be read (another user's process). */
    int64_t now_bytes;

    int tasks, processes, kernel_workers; /* now; tasks include the kernel's workers */
    bool forgets_children; /* one of them ignores SIGCHLD: CPU of its ended children is lost */
    char cpus[128];        /* the CPUs that any task of it may run on, "0-1"; "" = not known */
    char command[64];      /* its name (comm); what is not printable ASCII is '?' */
};

/*
 * Reads it all; takes some 30 us for each task and, for the memory, 100 us for each process.
 * 0, -ESRCH (no such process, or it ended meanwhile, or the number is that of a thread), -ENOSYS
 * (this kernel does not tell a task's children), -ENOMEM, or -errno of reading /proc; `why`, which
 * may be NULL, then says what could not be read, and the remedy. `out` is all ACCOUNT_NA then.
 */
int account_read(pid_t, struct account *out, struct plx_why *why);

/*
 * Only the memory of it, see peak_bytes and now_bytes. With `now` = NULL a process without
 * descendants is not asked for its Pss, for which the kernel walks through its page tables.
 * 0 or -ESRCH, -ENOMEM.
 */
int account_memory(pid_t, int64_t *peak, int64_t *now);

/*
 * to - from. What one of them lacks is ACCOUNT_NA, and so is everything if they are of two
 * processes. memory, counts, flags and texts are those of `to`, margin_ns is the larger.
 *
 * user_ns + system_ns = cpu_ns: the exact sum in the proportion of the ticks, ACCOUNT_NA when it is
 * not 0 but no tick tells the proportion. cpu_ns is ACCOUNT_NA if it became less by more than the
 * margin (descendants ended without being waited for). Context switches are ACCOUNT_NA if tasks
 * ended that had spent more than 1 % of the CPU, and thus took their part of the count with them.
 */
void account_between(const struct account *from, const struct account *to, struct account *out);

/*
 * Time that this machine's CPUs were busy since boot, ns: user, nice, system, irq, softirq, steal
 * of /proc/stat, not iowait; for those CPUs of `cpus` ("0-1", NULL = all) that are online. The
 * kernel tells it in clock ticks. ACCOUNT_NA if unreadable, or none is online, or it is not such a
 * list.
 */
int64_t account_busy_ns(const char *cpus);

/* Whether two lists of CPUs ("0-1,4") have one in common; false if one of them is not a list. */
bool account_cpus_overlap(const char *a, const char *b);

/* How many CPUs a list names; 0 if it is not such a list. */
int account_cpus_count(const char *cpus);

#endif
