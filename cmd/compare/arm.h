/* SPDX-License-Identifier: MIT */
/*
 * One run: an arm's server is started on its CPUs and at its end of the network, loaded from the
 * client's, measured, and ended. The caller's thread; one at a time.
 */
#ifndef POLLUX_CMD_COMPARE_ARM_H
#define POLLUX_CMD_COMPARE_ARM_H

#include "cmd/compare/compare.h"
#include "cmd/compare/net.h"

/* What to run, and how long. */
struct arm_run {
    const struct arm *arm;
    const struct workload *workload;
    const char *server_cpus, *client_cpus; /* "0", "1"; "" = leave it as it is */
    const struct net *net;                 /* joined; the thread is at the client's end */
    double rate; /* messages per second of an open loop; 0 = the workload's */
    uint64_t seed;
    const volatile sig_atomic_t *interrupted;
    void (*tick)(void *arg, const struct load_progress *); /* as load_config.tick */
    void *arg;
};

/*
 * Makes the run. 0: `out` is filled in but for `round` and `position`, and its latencies are added
 * to `latency`. -EINTR: interrupted, nothing is counted. -EPROTO: no valid figure; `why` (300
 * bytes) says it in words, with the server's last output. The server is gone in any case.
 */
int arm_measure(const struct arm_run *, struct sample *out, struct hist *latency, char *why,
                size_t whycap);

/* Binds the calling thread, and what it starts, to a list of CPUs ("0-1"); "" does nothing.
 * 0 or -errno. */
int arm_bind(const char *cpus);

#endif
