/* SPDX-License-Identifier: MIT */
/*
 * The conformance suite: one list of cases, run for every model of the table.
 *
 * Each case runs in a process of its own, and the server under test in a child of that, forked
 * before either has a second thread. So the server's memory, descriptors, threads, children and
 * CPU time are read from outside, a crash or a hang ends one case only, and the clients can be
 * plain sockets: a fault of the library cannot hide itself by being on both ends of the wire.
 *
 * A case fails by leaving: fail() prints one line with model, case, what was expected and what was
 * there, ends the server and the process. Nothing needs unwinding.
 */
#ifndef CONFORM_H
#define CONFORM_H

#include <pollux/pollux.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* Sanitizers make everything several times slower: fewer rounds, longer patience. */
#if defined(__SANITIZE_THREAD__)
#define THREAD_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define THREAD_SANITIZED 1
#endif
#endif
#ifndef THREAD_SANITIZED
#define THREAD_SANITIZED 0
#endif
#if defined(__SANITIZE_ADDRESS__) || THREAD_SANITIZED
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif
#define SCALE(normal, sanitized) (SANITIZED ? (sanitized) : (normal))

#define MS(n) ((int64_t)(n)*PLX_MSEC)

/* How long anything may take that should be quick. Behaviour is tested here, not speed: it only
 * has to be long enough for a busy machine. */
#define PATIENCE MS(SCALE(10000, 30000))

#define RECORDS  8192 /* connections followed one by one, by their number */
#define VALUES   8
#define GROUPS   8
#define MAX_ADDR 4

struct case_row;

struct test {
    const struct plx_model *model;
    const struct case_row *row;
};

/* A row of the list. A model with all of `needs` has to pass `run`; one without has to pass
 * `refuses`, or, where that is NULL, the case says nothing about it. `only`: this model alone. */
struct case_row {
    const char *name;
    void (*run)(struct test *);
    unsigned needs;
    void (*refuses)(struct test *);
    const char *only;
};

extern const struct case_row cases_echo[], cases_close[], cases_flow[], cases_limit[], cases_time[],
    cases_process[], cases_listen[], cases_loop[], cases_client[], cases_drain[], cases_offload[];

/* ---- what all processes of one case share ---- */

/* What the handler does; captured by each connection as it opens. */
enum mode {
    MODE_ECHO,     /* the same bytes */
    MODE_SINK,     /* counts, answers nothing */
    MODE_LINES,    /* one line per call, echoed; what is no whole line stays */
    MODE_RECORDS,  /* whole records of RECORD bytes, echoed; counts them in value[0] */
    MODE_NEED,     /* consumes nothing until value[0] bytes are there, then echoes them */
    MODE_HOARD,    /* never consumes anything */
    MODE_GREET,    /* speaks first: "hello\n", then echoes */
    MODE_GENERATE, /* any byte: sends value[0] bytes of pattern, held back by on_drain */
    MODE_FLOOD,    /* any byte: sends until plx_send() refuses; its answer goes to value[0] */
    MODE_PAUSE,    /* 'P' pauses input for 100 ms; the rest is echoed */
    MODE_TICK,     /* a timer of 50 ms sends "tick\n"; its true delay goes to value[0] */
    MODE_REPEAT,   /* a timer of 10 ms sends "r\n" three times and stops itself */
    MODE_END,      /* ends in the callback value[0] in the way value[1] */
    MODE_CRASH,    /* echoes; an 'X' alone aborts the process */
    MODE_STALL,    /* echoes; a 'Z' alone sleeps 1 s within the callback */
    MODE_ONCE,     /* echoes the first bytes and finishes */
    MODE_POST,     /* tries plx_conn_post(), the answer goes to value[0]; echoes */
    MODE_WATCH,    /* watches watched_pipe[0], the answer goes to value[0]; sends what it reads */
    MODE_OFFLOAD   /* offload_data() */
};
enum end_where { END_OPEN, END_DATA, END_DRAIN, END_EOF };
enum end_how { END_ABORT, END_FINISH, END_ERROR };

#define RECORD 64

/* The life of one connection, as its handler saw it. */
struct record {
    atomic_int opens, datas, drains, eofs, closes, err;
    atomic_llong bytes;
};

struct shared {
    atomic_int mode;
    atomic_llong value[VALUES];
    atomic_int opens, closes, broken;
    char broken_what[160]; /* the first contract broken; written once, by who moved broken to 1 */
    atomic_int group[GROUPS]; /* process groups of this case, to be gone at its end */
    char scratch[64];         /* a directory of this case, to be gone at its end */
    struct plx_stats final;   /* as the server ended */
    struct record record[RECORDS];
};
extern struct shared *shared;
extern int watched_pipe[2];

/* scenario.c */
enum handler_kind { PLAIN, WITH_EOF, READS_ALWAYS };
const struct plx_handler *scenario_handler(enum handler_kind kind);
int scenario_post_again(void); /* on the control thread: to the last connection in MODE_POST */
ssize_t offload_data(struct plx_conn *, const char *p, size_t n); /* cases_offload.c */
void broken(const char *what);
void set_mode(enum mode mode);

/* ---- report.c: failing, waiting ---- */

_Noreturn void fail(const struct test *t, const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void note(const struct test *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void expect_equal(const struct test *t, const char *file, int line, const char *what,
                  long long expected, long long got);

#define FAIL(t, ...) fail((t), __FILE__, __LINE__, __VA_ARGS__)
#define EXPECT(t, what, expected, got)                                                             \
    expect_equal((t), __FILE__, __LINE__, (what), (long long)(expected), (long long)(got))
#define REQUIRE(t, cond, ...)                                                                      \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            FAIL((t), __VA_ARGS__);                                                                \
        }                                                                                          \
    } while (0)
/* Waits, within PATIENCE, until the condition holds. */
#define AWAIT(t, cond, ...)                                                                        \
    do {                                                                                           \
        int64_t await_end = now() + PATIENCE;                                                      \
        while (!(cond)) {                                                                          \
            if (now() > await_end) {                                                               \
                FAIL((t), __VA_ARGS__);                                                            \
            }                                                                                      \
            nap(MS(3));                                                                            \
        }                                                                                          \
    } while (0)

int64_t now(void);
void nap(int64_t ns);

/* ---- census.c: a process as /proc shows it ---- */

struct census {
    int fds, threads, children;
};
struct usage {
    int64_t cpu_ns;
    int64_t rss;
};
bool census(pid_t pid, struct census *out);
void usage(pid_t group, struct usage *out); /* all processes of the group together */
/* The RLIMIT_NOFILE under which the process can open `more` descriptors. It limits their numbers,
 * and some in use may have been inherited with high ones. */
int descriptor_limit(pid_t pid, int more);
int thread_names(pid_t pid, char (*names)[16], int cap);

/* ---- server.c: the process under test ---- */

struct server_opts {
    enum mode mode;
    enum handler_kind handler; /* WITH_EOF: it has an on_eof of its own */
    struct plx_limits limits;
    const char *listen[MAX_ADDR]; /* none: 127.0.0.1:0 */
    unsigned workers;
    enum plx_accept accept;
    int64_t max_connections, max_per_ip;
    unsigned pool_size, pool_queue;
    unsigned offload_threads, offload_queue;
    bool own_descriptors;
    bool in_place;     /* plx_server_run(), and the control loop is the worker's (PLX_CAP_WATCH) */
    int descriptors;   /* that the process may open besides its own; 0 = many */
    int (*hook)(void); /* for server_hook() */
};

struct server {
    struct test *t;
    pid_t pid;
    int control;
    struct plx_addr addr[MAX_ADDR];
    struct census base;
};

/* Returns what plx_server_open() and _start() said; the child runs only when it is 0. */
int server_try(struct test *t, const struct server_opts *, struct server *, struct plx_why *);
void server_start(struct test *t, const struct server_opts *, struct server *);
void server_stats(const struct server *, struct plx_stats *out);
int server_hook(const struct server *); /* runs opts.hook in the child; returns its result */
void server_signal(const struct server *, int signo); /* to all its processes */
void server_hold(const struct server *);              /* SIGSTOP, and waits until it stands still */
/* What every case ends with: a probe is served, everything is given back, a clean end. */
void server_end(struct server *);
void server_probe(const struct server *);
void server_settle(const struct server *); /* descriptors, threads, children as at the start */
void server_exit(const struct server *);   /* waits for the end: status 0, nothing left */
void server_drain(const struct server *);
void forget_connections(void); /* before a case starts its next server */

/* A child in a process group of its own that does not outlive the case. 0 in the child. */
pid_t fork_child(struct test *t);
void end_child(struct test *t, pid_t pid);
/* Runs fn in such a child, for cases that need a loop of their own; it ends by returning. */
void in_child(struct test *t, void (*fn)(struct test *));

/* ---- client.c: plain sockets ---- */

struct dial {
    const char *from; /* source address */
    int rcvbuf;       /* bytes; small, so that the server's output backs up soon */
};
enum ending { ENDING_EOF, ENDING_RESET, ENDING_OPEN };

int dial(const struct server *);
int dial_with(const struct server *, unsigned i, const struct dial *);
int dial_errno(const struct plx_addr *); /* a descriptor, or -errno of connect(2) */
void put(const struct test *t, int fd, const void *p, size_t n);
void get(const struct test *t, int fd, void *p, size_t n);
void get_text(const struct test *t, int fd, const char *text);
void pattern(unsigned char *p, size_t n, uint64_t tag, uint64_t offset);
void put_pattern(const struct test *t, int fd, uint64_t tag, uint64_t offset, size_t n);
void get_pattern(const struct test *t, int fd, uint64_t tag, uint64_t offset, size_t n);
/* Sends and receives at once, n bytes each way from `offset`, in pieces of at most `piece`. */
void exchange(const struct test *t, int fd, uint64_t tag, uint64_t offset, size_t n, size_t piece);
/* Sends pattern without reading until `n` bytes are sent or nothing moves for `still_ns`. */
size_t push(const struct test *t, int fd, uint64_t tag, size_t n, int64_t still_ns);
void echo_once(const struct test *t, int fd, uint64_t tag);
/* Reads on until the end, at most timeout_ns; *extra counts what came before it. */
enum ending ending(int fd, int64_t timeout_ns, size_t *extra);
void expect_eof(const struct test *t, int fd, const char *what);
bool quiet(int fd, int64_t ns); /* nothing arrives, no end */
void hang_up(int fd);           /* close(2) */
void reset(int fd);             /* close with a reset: SO_LINGER 0 */
void half_close(const struct test *t, int fd);

/* ---- peer.c: a plain echo server for cases in which the library is the client ---- */

int listen_on_loopback(const struct test *t, struct plx_addr *out, int backlog);
pid_t peer_start(struct test *t, struct plx_addr *out); /* ended by end_child() */

/* ---- shared by several files of cases ---- */

bool has(const struct test *t, unsigned caps);
bool spins(const struct test *t);
bool is(const struct test *t, const char *model);
/* The record of the `i`th connection of this case, from 1, after it is closed. */
const struct record *closed_record(const struct test *t, int i);

#endif
