/* SPDX-License-Identifier: MIT */
/*
 * The load generator: connections in any number that send messages by a plan and verify every byte
 * of the answers, on libpollux's own client side.
 *
 *     load_run() starts `threads` generator threads, each a loop with its share of the connections
 *
 *     connecting -> warm-up -> measured time -> drain (nothing new is sent, answers are awaited)
 *
 * Two ways to decide when the next message leaves, never mixed ("Two loops" in docs/bench.md):
 *   closed loop  each connection keeps `depth` messages under way: finds saturation
 *   open loop    messages leave at times fixed beforehand, whatever the server does: latency counts
 *                from the time at which the message should have left, so a server that stands still
 *                is charged for all that would have been sent meanwhile (no coordinated omission)
 * Rates count the answers that came within the measured time; latencies are those of the messages
 * that began in it, however late their answer was.
 */
#ifndef POLLUX_CMD_LOAD_LOAD_H
#define POLLUX_CMD_LOAD_LOAD_H

#include "cmd/measure/account.h"
#include "cmd/measure/hist.h"

#include <pollux/addr.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum load_mode {
    LOAD_PINGPONG, /* one message at a time per connection */
    LOAD_PIPELINE, /* `depth` at a time */
    LOAD_STREAM,   /* in bulk: `depth` large, or without answers as fast as the socket takes it */
    LOAD_CONNECT   /* short connections: connect, some messages one by one, close, again */
};
enum load_expect { LOAD_ECHO, LOAD_UPPER, LOAD_NONE };
enum load_arrival { LOAD_CLOSED, LOAD_CONSTANT, LOAD_POISSON };

enum load_error {
    LOAD_ERR_CONNECT,  /* a connection could not be made */
    LOAD_ERR_READ,     /* it was reset or closed by the server while something was expected of it */
    LOAD_ERR_WRITE,    /* sending failed */
    LOAD_ERR_TIMEOUT,  /* no answer, or not the rest of one, for config.timeout_ns */
    LOAD_ERR_MISMATCH, /* wrong bytes, too many, or too few: the run is not valid */
    LOAD_ERRORS
};

#define LOAD_SIZES_MAX   16
#define LOAD_SIZE_MAX    (16 * 1024 * 1024) /* bytes of a message */
#define LOAD_DEPTH_MAX   65536
#define LOAD_THREADS_MAX 256

/* A size of message and how often it is drawn. */
struct load_size {
    uint32_t bytes;  /* 1 to LOAD_SIZE_MAX */
    uint32_t weight; /* 1 to 1 000 000, relative to the others' */
};

struct load_progress; /* below */

struct load_config {
    struct plx_addr to;
    /* Where connections come from, in turn: `nsources` addresses from `source` upward (IPv4 or
     * IPv6, port 0). 0 = the system chooses. */
    struct plx_addr source;
    uint64_t nsources;

    enum load_mode mode;
    enum load_expect expect;
    unsigned connections, active; /* 1 <= active <= connections; the others are held, idle */
    unsigned depth;               /* 1 to LOAD_DEPTH_MAX; 1 in LOAD_PINGPONG and LOAD_CONNECT */
    unsigned threads;             /* 1 to LOAD_THREADS_MAX, not above `active` */
    /* Each thread has a table of descriptors of its own, so that the limit on them (RLIMIT_NOFILE,
     * which is one of a table) holds for a thread's share of the connections. A few descriptors of
     * each thread are then not closed before the process ends. */
    bool own_descriptors;
    unsigned messages_per_connection; /* LOAD_CONNECT */
    struct load_size size[LOAD_SIZES_MAX];
    size_t nsizes;

    int64_t duration_ns; /* of the measured time; 0 = until `messages` are answered */
    uint64_t messages;   /* over all connections; 0 = until duration_ns is over */
    int64_t warmup_ns;   /* before it; 0 with `messages` */
    int64_t timeout_ns;
    double connect_rate; /* connections begun per second; 0 = as fast as they are accepted */
    enum load_arrival arrival;
    double rate; /* open loop: messages per second over all connections */
    uint64_t seed;

    pid_t server_pid; /* whose cost is measured too; 0 = none */
    /* Called on the caller's thread just before each of the two readings of the server's account,
     * for those who have more to ask it then; may be NULL. It should take milliseconds at most. */
    void (*account)(void *account_arg);
    void *account_arg;

    /* Called on the caller's thread about ten times a second; may be NULL. */
    void (*tick)(void *arg, const struct load_progress *);
    void *arg;
    /* Set by a signal handler: the run ends, and what was measured until then counts. */
    const volatile sig_atomic_t *interrupted;
};

enum load_phase { LOAD_CONNECTING, LOAD_WARMUP, LOAD_MEASURING, LOAD_DRAINING };

struct load_progress {
    enum load_phase phase;
    int64_t phase_ns;          /* since its beginning */
    int64_t left_ns;           /* to the end of the measured time; -1 = not known */
    double done;               /* 0 to 1, of the whole run; < 0 = not known */
    unsigned open;             /* connections established now */
    double rate;               /* messages per second since the last tick but some */
    int64_t p50_ns, p99_ns;    /* of about the last second; -1 = no message yet */
    uint64_t answered, errors; /* in all */
};

/* One second of the measured time (the last one may be shorter). */
struct load_interval {
    int64_t at_ns, length_ns; /* since the beginning of the measured time */
    uint64_t messages, bytes_in, bytes_out, errors;
    int64_t p50_ns, p99_ns, max_ns; /* -1 = no message */
    unsigned open;
};

struct load_failure {
    uint64_t count;
    char first[200]; /* what happened first, in words; names the connection (and the offset) */
};

enum load_verdict {
    LOAD_OK,
    LOAD_FAILED,  /* connections or messages were lost: see failure[] */
    LOAD_INVALID, /* a wrong answer: no figure of this run counts */
    LOAD_INTERRUPTED,
    LOAD_CANNOT /* it did not begin: see `why` */
};

struct load_result {
    enum load_verdict verdict;
    char why[400]; /* LOAD_CANNOT: reason; remedy */

    /* Over the whole run, warm-up and drain included. */
    uint64_t sent, answered, verified; /* messages; verified = answered unless LOAD_NONE */
    uint64_t bytes_sent, bytes_received;
    uint64_t opened; /* connections established */
    uint64_t lost;   /* of them, ended before their time */
    struct load_failure failure[LOAD_ERRORS];

    /* Within the measured time. */
    int64_t measured_ns;
    uint64_t messages, bytes_in, bytes_out, connections;
    struct hist *latency; /* message: from its beginning to its last byte; see load.h's top. In
                           * LOAD_CONNECT the first of a connection begins with connect(2) */
    struct hist *connect; /* connect(2) to established, of all connections of the run */
    struct hist *lag;     /* open loop: how late messages left: the generator's own share */
    double in_flight;     /* messages under way: the mean of samples */
    int64_t client_user_ns, client_system_ns; /* CPU of the generator threads */
    int64_t client_spun_ns; /* open loop: of it, spent waiting for the moment at which one is due */
    double client_busy; /* of the busiest one, without that: share of the measured time, 0 to 1 */
    double client_starved; /* share of the time in which one was ready and had no CPU, at most */
    char client_cpus[128];
    struct load_interval *interval;
    size_t nintervals;

    /* With server_pid. */
    bool has_server;      /* its account could be read at both ends */
    char server_why[200]; /* otherwise: why not */
    /* Between two readings of the account, at the ends of the measured time but not exactly: these
     * messages and this time belong to it. */
    struct account server;
    uint64_t server_messages;
    int64_t server_ns;
    int64_t server_busy_ns; /* of the CPUs that the server may run on, anybody's; or ACCOUNT_NA */
};

/*
 * Runs the load on threads of its own and waits for its end. The configuration's fields must be in
 * their ranges (bench_options.c sees to it). The result is released with load_result_free(), also
 * after a failure. One call at a time.
 */
void load_run(const struct load_config *, struct load_result *);
void load_result_free(struct load_result *);

/* Address number `i` of source, below nsources. */
struct plx_addr load_source(const struct load_config *, uint64_t i);

/* "connect", "read", "write", "timeout", "mismatch" */
const char *load_error_name(enum load_error);

#endif
