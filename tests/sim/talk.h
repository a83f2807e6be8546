/* SPDX-License-Identifier: MIT */
/*
 * What happens on the network: a server of the library, clients of the library, and a judge.
 *
 * A plan says all of it; the cases write theirs by hand, and the exploring test makes one of each
 * seed. Every connection that a client begins is a link, which both of its ends write down in what
 * they send, get and are told, so that the judge can hold the two against each other.
 */
#ifndef SIM_TALK_H
#define SIM_TALK_H

#include "sim.h"

/* What the server does. */
enum service {
    ECHO,   /* sends what it gets, uncopied */
    NIBBLE, /* the same, a part of what it is shown at a time */
    LINES,  /* whole lines; the rest waits */
    GREET,  /* speaks first, then ECHO */
    PAUSER, /* ECHO, and stops reading for a while now and then */
    POSTER, /* ECHO by plx_conn_post() */
    SOURCE, /* sends so many bytes as it can, then ends; ignores what it gets */
    SINK,   /* counts, and says at the peer's end how many came */
    SERVICES
};

/* How a client ends, having sent all it wanted to, or before. */
enum how {
    HALF,        /* FIN as soon as all is sent; reads to the end */
    AFTER_ALL,   /* plx_finish() when the whole answer is there */
    WAIT,        /* leaves it to the server */
    ABORT_EARLY, /* in the middle */
    FINISH_EARLY,
    HOWS
};

struct plan {
    const char *model;
    enum service service;
    struct sim_weather weather;
    struct plx_limits server, client;
    int64_t max_connections, max_per_ip;
    int64_t poll_pause_ns;
    unsigned links;         /* of all clients together */
    unsigned loops;         /* clients, 1 to 3 */
    int64_t begin_over;     /* the links begin within so long */
    uint64_t total, source; /* bytes of a link at most, each way */
    size_t piece;           /* bytes of a send at most */
    int64_t think;          /* between two sends at most */
    uint64_t pause_in;      /* a client stops reading once in so many on_data */
    int64_t pause;          /* ... for so long at most */
    unsigned hows;          /* bits of enum how */
    int64_t drain_at;   /* the server is told to drain so long after the start; -1: at the end */
    bool stop;          /* ... or to stop instead */
    int64_t stop_after; /* so long after the drain; -1: it must end by itself */
    int64_t work;       /* the server's on_data takes so long at most */
    unsigned pokes;     /* functions posted to the server's loop from elsewhere */
    int backlog;
    unsigned requests, pool; /* a client of a pool: requests in all, connections at most */
    bool calm;               /* nothing breaks, so everything must be complete and without error */
};

struct world;

struct link {
    struct world *world;
    struct client *client;
    unsigned id;
    enum how how;
    uint64_t total, early;
    struct dice dice;
    /* the client's end */
    struct plx_timer *begin, *feed, *resume;
    uint64_t sent, got;
    int opens, eofs, closes, err;
    bool given_up; /* aborted or finished before the end, by plan */
    bool paused, over;
    bool disturbed; /* it was closed after the server had been told to leave */
    /* the server's */
    int s_opens, s_eofs, s_closes, s_err;
    uint64_t s_got, s_sent;
    bool s_paused;
    struct plx_timer *s_resume;
};

struct client {
    struct world *world;
    struct plx_loop *loop;
    struct sim_account *account;
    struct plx_stats stats;
    unsigned live; /* links not yet closed */
    struct plx_pool *pool;
    unsigned begun, asked, answered, lost, refused; /* requests to the pool */
    bool ended;
    int rc;
};

struct message { /* of POSTER */
    struct message *next;
    struct link *link;
    size_t n; /* 0: the end */
    unsigned char data[];
};

#define LOOPS_MOST 3
#define POKES_MOST 64

struct world {
    const struct plan *plan;
    struct dice dice;
    struct plx_server *server;
    struct plx_addr addr;
    struct sim_account *account;
    struct plx_stats stats;
    struct client clients[LOOPS_MOST];
    struct link *links;
    struct link *by_port[65536 - PORT_FIRST];
    struct message *messages;
    bool leaving, ended;
    int rc;
    int64_t left_at;
    struct world *pokes[POKES_MOST];
    unsigned posted, poked; /* functions posted, and those that have run */
    char wrong[200];        /* the first that was found; "" = nothing */
};

/* For the cases: where their transcripts go; NULL = nowhere. */
extern FILE *talk_transcript;

/* Runs a plan from beginning to end. 0, or 1 with `wrong` filled in. `fingerprint` may be NULL. */
int talk(const struct plan *, uint64_t seed, FILE *transcript, char wrong[200],
         uint64_t *fingerprint);
/* A plan that is dull and calm, to begin with. */
struct plan talk_plan(void);
/* The plan of a seed. */
void explore_plan(uint64_t seed, struct plan *);
void print_plan(const struct plan *, FILE *);

/* The rows of the table that exist here only. */
void talk_models(void);
const char *talk_model(size_t i); /* NULL past the last */

/* ---- between the files of the talk ---- */

void complain(struct world *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
unsigned char pattern_byte(unsigned id, uint64_t at);
void pattern(unsigned char *p, size_t n, unsigned id, uint64_t at);
uint64_t expected(const struct link *); /* bytes of a whole answer */
unsigned char expected_byte(const struct link *, uint64_t at);
void not_early(struct world *, const struct plx_conn *, int err);

extern const char greeting[];
#define GREETING 6u

extern struct world *talk_world; /* there is one at a time; the handler knows it by this */
extern const struct plx_handler talk_server_handler;
int client_open(struct client *);
void client_main(void *client);
void pool_client_begin(struct client *);
void judge(struct world *);

/* cases.c */
struct sim_case {
    const char *name;
    void (*run)(char wrong[200]);
};
extern const struct sim_case sim_cases[];

#endif
