/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the fault test share.
 *
 *     main.c       options; which faults are tried, in which models
 *     catalogue.c  which call may fail with what, what is to become of it, which models make it
 *     run.c        one run: a server in a child, clients in this process, and the judgement
 *     server.c     the child: the server under test, what it leaves behind
 *     handler.c    what its connections do, and its own outgoing ones
 *     client.c     the clients: raw system calls, never the seam
 *     inject.c     in the seam: the n-th call of a kind fails
 *     chaos.c      in the seam: seeded disorder that the system would be entitled to
 *     track.c      in the seam: what was allocated and not freed
 *     ledger.c     what was tried and survived: as a table, as JSON
 */
#ifndef FAULTS_FAULTS_H
#define FAULTS_FAULTS_H

#include "core/sys.h"

#include <pollux/pollux.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define MS(n) ((int64_t)(n)*PLX_MSEC)
/* When something that is to happen counts as hung: generous, for a loaded machine and sanitizers */
#define PATIENCE (20 * PLX_SECOND)

/* ---- kinds of calls ---- */

/* Every entry of the seam, and finer kinds where the catalogue tells operations apart: these are
 * counted instead of the call that they are of. */
enum site {
#define FAULTS_SITE(ret, name, to, params, args, fd, bytes) SITE_##name,
    PLX__SYS_ALL(FAULTS_SITE)
#undef FAULTS_SITE
        SITE_epoll_add,
    SITE_epoll_mod,
    SITE_epoll_del,
    SITE_fcntl_dup,
    SITE_fcntl_signal,
    SITE_signal_overflow,
    SITE_ring_accept,
    SITE_ring_recv,
    SITE_ring_send,
    SITE_ring_poll,
    NSITES
};
const char *site_name(enum site);

/* ---- the catalogue (catalogue.c) ---- */

enum {
    AT_START = 0x01u, /* a start that it meets may fail, with a reason */
    F_START = 0x02u,  /* ... and must */
    HURTS = 0x04u,    /* it may cost connections, each of them counted */
    F_RUN = 0x08u,    /* the loop may end, and its server says so */
    LASTS = 0x10u,    /* tried "from then on" as well */
    NOT_EDGE = 0x20u, /* see row_excused() */
    NOT_RING = 0x40u, /* likewise */
    EVERY = 0x80u,    /* every single call in turn, however many there are */
};

struct row {
    const char *name; /* of the catalogue's row */
    enum site site;
    int err;
    unsigned flags;
};
extern const struct row catalogue[];
extern const size_t catalogue_rows;

/* What the catalogue has beside calls that fail, and what tests it. */
extern const struct elsewhere {
    const char *what, *where;
} elsewhere[];

/* Why the row cannot be tried in this model although the call is made; NULL = it can. */
const char *row_excused(const struct row *, const char *model);
/* Why this model does not make that call; NULL = it does, and a run in which it did not is at
 * fault. */
const char *site_excused(enum site, const char *model);
/* Asks the kernel whether a request in the ring can be made to fail (Linux 6.11). */
void catalogue_probe(void);

/* ---- what the processes share ---- */

struct plan {
    enum site site;
    unsigned nth; /* from 1; 0 = no fault, only count */
    int err;
    bool lasts; /* from the n-th on, until the fault phase is over */
    bool chaos;
    uint64_t seed;
};

struct shared {
    struct plan plan;
    atomic_bool armed;         /* the fault phase */
    atomic_uint calls[NSITES]; /* during it */
    atomic_uint injected;
    atomic_bool hit_start; /* the first one met the start */
    atomic_bool serving;   /* past the start */
    _Atomic uint64_t dice; /* chaos.c */

    int start_rc; /* of the first try */
    char why[400];
    struct plx_addr addr;
    atomic_bool ended; /* the server's loop has */
    atomic_bool crashed;
    char trouble[300]; /* what the child found wrong; empty = nothing */
    atomic_int opens, closes;
    atomic_int asked, answered; /* outgoing connections, loans, posts: begun and told the end of */
    int end_rc;                 /* of plx_server_wait() */
    struct plx_stats stats;
    size_t leaked;
};
extern struct shared *shared;

__attribute__((format(printf, 1, 2))) void trouble(const char *fmt, ...);

/* ---- the seam (inject.c, chaos.c, track.c) ---- */

/* Counts, and says with what the call is to fail; 0 = it is not. */
int fault_at(enum site);
const struct plx__sys *inject_table(void);
const struct plx__sys *chaos_table(const char *model);

void *track_malloc(size_t);
void *track_calloc(size_t, size_t);
void *track_realloc(void *, size_t);
size_t track_left(void); /* allocated through the seam and not freed; 0 where it cannot be known */

/* ---- the child (server.c, handler.c) ---- */

_Noreturn void server_main(const char *model, int control, const struct plx_addr *backend);
extern const struct plx_handler serving_handler;
void outgoing_open(struct plx_loop *, const struct plx_addr *backend);
void outgoing_begin(struct plx_loop *);
void outgoing_close(void);

/* ---- clients (client.c) ---- */

enum client_kind { SMALL, LARGE, HALF, RESET, TICK, PAUSED, STAYS };
enum client_end { RUNNING, EXACT, HURT, CORRUPT };

struct client {
    enum client_kind kind;
    enum client_end end;
    int fd;
    unsigned seed;
    size_t total, sent, got;
    bool half_closed, connected;
    int64_t wrote; /* when it last could */
};
void client_begin(struct client *, enum client_kind, unsigned seed, const struct plx_addr *to);
void client_drop(struct client *);
/* Until all have ended, or those that stay have their answer, or `until`. How many have not. */
int clients_turn(struct client *, int n, int64_t until);
/* Whether the server ends the connection of one that has had its answer. */
bool client_sees_end(struct client *, int64_t until);
/* An echo server of raw calls in a process of its own, for outgoing connections. */
pid_t backend_start(struct plx_addr *out);
int64_t clock_now(void);

/* ---- a run (run.c) ---- */

struct verdict {
    bool ok, injected;
    bool start_failed, run_failed;
    int hurt;
    unsigned calls[NSITES];
    char what[400]; /* where it is not ok */
};
void run_once(const char *model, const struct plan *, unsigned flags,
              const struct plx_addr *backend, struct verdict *);

/* ---- the ledger (ledger.c) ---- */

void ledger_note(const char *model, enum site, int err, const struct plan *,
                 const struct verdict *);
void ledger_unexercised(const char *model, const struct row *, const char *why);
void ledger_print(void);
unsigned ledger_injected(void);
int ledger_write(const char *path, uint64_t seed, bool quick);

#endif
