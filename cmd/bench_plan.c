/* SPDX-License-Identifier: MIT */
/* What the options of `pollux bench` mean together: the defaults, and every contradiction. */
#include "cmd/bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MILLION   ((int64_t)1000000)
#define GIB       ((int64_t)1 << 30)
#define ADDRS_MAX 16

/* Under way at once, all connections together: so much is held in memory at worst, on both ends. */
#define UNDER_WAY_MAX (2 * GIB)

/* What --mode stream keeps under way on a connection: more than the kernel's buffers of it. */
#define STREAM_BYTES ((int64_t)512 * 1024)

/* IPv6 has networks of 2^64 addresses; this many are enough for any number of connections. */
#define SOURCES_MAX ((uint64_t)1 << 32)

/* ---- one value on its own ---- */

__attribute__((format(printf, 3, 4))) static int refuse(char *err, size_t cap, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(err, cap, fmt, ap);
    va_end(ap);
    return -EINVAL;
}

/* The index of the last of a list of choices, which the parser has checked; `none` if empty. */
static int chosen(const struct opt_list *list, const char *(*choice)(size_t i), int none)
{
    const char *name;

    for (size_t i = 0; list->n > 0 && (name = choice(i)) != NULL; i++) {
        if (strcmp(name, list->item[list->n - 1]) == 0)
            return (int)i;
    }
    return none;
}

static int64_t given(int64_t value, int64_t otherwise)
{
    return value != 0 ? value : otherwise;
}

/* One "SIZE:WEIGHT" of `len` bytes. */
static int parse_size(const char *text, size_t len, struct load_size *out, char *err, size_t cap)
{
    char word[64];
    int64_t bytes = 0;
    int64_t weight = 0;
    char *colon;

    snprintf(word, sizeof word, "%.*s", (int)len, text);
    colon = strchr(word, ':');
    if (colon == NULL || len >= sizeof word)
        return refuse(err, cap, "--size-mix: %s is not SIZE:WEIGHT; give for example 64:9,4k:1",
                      word[0] != '\0' ? word : "nothing");
    *colon = '\0';
    if (unit_parse(UNIT_SIZE, word, &bytes) < 0 || bytes < 1 || bytes > LOAD_SIZE_MAX)
        return refuse(err, cap, "--size-mix: %s is not a size from 1 to 16M", word);
    if (unit_parse(UNIT_COUNT, colon + 1, &weight) < 0 || weight < 1 || weight > MILLION)
        return refuse(err, cap, "--size-mix: %s is not a weight from 1 to 1M (of size %s)",
                      colon + 1, word);
    *out = (struct load_size){.bytes = (uint32_t)bytes, .weight = (uint32_t)weight};
    return 0;
}

static int parse_sizes(const char *text, struct load_config *load, char *err, size_t cap)
{
    for (load->nsizes = 0;; text++) {
        size_t len = strcspn(text, ",");
        int rc;

        if (load->nsizes == LOAD_SIZES_MAX)
            return refuse(err, cap, "--size-mix: more than %d sizes", LOAD_SIZES_MAX);
        rc = parse_size(text, len, &load->size[load->nsizes++], err, cap);
        if (rc < 0)
            return rc;
        text += len;
        if (*text == '\0')
            return 0;
    }
}

static int64_t largest_size(const struct load_config *load)
{
    int64_t most = 1;

    for (size_t i = 0; i < load->nsizes; i++)
        most = load->size[i].bytes > most ? load->size[i].bytes : most;
    return most;
}

/* ---- addresses ---- */

/* Splits "ADDRESS/BITS", or an address alone. Returns the family, or 0. */
static int split_cidr(const char *text, struct plx_addr *addr, unsigned *bits)
{
    char host[INET6_ADDRSTRLEN + 1];
    size_t len = strcspn(text, "/");
    int64_t number = -1;

    memset(addr, 0, sizeof *addr);
    if (len >= sizeof host)
        return 0;
    snprintf(host, sizeof host, "%.*s", (int)len, text);
    if (inet_pton(AF_INET, host, &addr->in.sin_addr) == 1) {
        addr->in.sin_family = AF_INET;
        addr->len = sizeof addr->in;
        *bits = 32;
    } else if (inet_pton(AF_INET6, host, &addr->in6.sin6_addr) == 1) {
        addr->in6.sin6_family = AF_INET6;
        addr->len = sizeof addr->in6;
        *bits = 128;
    } else {
        return 0;
    }
    if (text[len] == '/') {
        if (unit_parse(UNIT_COUNT, text + len + 1, &number) < 0 || number > *bits)
            return 0;
        *bits = (unsigned)number;
    }
    return addr->sa.sa_family;
}

/* The usable addresses of an IPv4 network: the first and the last of it are its own name and its
 * broadcast address, unless it is too small to have these (RFC 3021). */
static void use_network4(struct load_config *load, unsigned bits)
{
    uint64_t size = (uint64_t)1 << (bits < 32 ? 32 - bits : 0);
    uint32_t first = ntohl(load->source.in.sin_addr.s_addr) & (uint32_t) ~(size - 1);

    if (bits <= 30) {
        first++;
        size -= 2;
    }
    load->source.in.sin_addr.s_addr = htonl(first);
    load->nsources = size;
}

static void use_network6(struct load_config *load, unsigned bits)
{
    unsigned char *bytes = load->source.in6.sin6_addr.s6_addr;

    for (unsigned i = 0; i < 16; i++) {
        unsigned fixed = bits > 8 * i ? bits - 8 * i : 0;

        if (fixed < 8)
            bytes[i] &= (unsigned char)(0xff00u >> fixed);
    }
    load->nsources = bits > 96 ? (uint64_t)1 << (128 - bits) : SOURCES_MAX;
}

static int parse_source(const char *text, struct load_config *load, char *err, size_t cap)
{
    unsigned bits = 0;
    int family = split_cidr(text, &load->source, &bits);

    if (family == 0)
        return refuse(err, cap,
                      "--source %s: not a network; give for example 127.0.1.0/24 or fd00::/64",
                      text);
    if (family == AF_INET)
        use_network4(load, bits);
    else
        use_network6(load, bits);
    return 0;
}

static const char *family_name(int family)
{
    return family == AF_INET ? "IPv4" : family == AF_INET6 ? "IPv6" : "a unix socket";
}

/* The first address of ADDR, or the first of the same family as --source. */
static int find_target(const struct bench_values *v, const char *target, struct load_config *load,
                       char *err, size_t cap)
{
    struct plx_addr addr[ADDRS_MAX];
    struct plx_why why = {.reason = ""};
    int n = plx_addr_parse(target, addr, ADDRS_MAX, &why);
    int i = 0;

    if (n < 0)
        return refuse(err, cap, "%s%s%s", why.reason[0] != '\0' ? why.reason : plx_error_text(n),
                      why.remedy[0] != '\0' ? "; " : "", why.remedy);
    if (addr[0].sa.sa_family != AF_UNIX && plx_addr_port(&addr[0]) == 0)
        return refuse(err, cap, "%s: nobody listens on port 0; give the server's port", target);
    load->to = addr[0];
    if (v->source == NULL)
        return 0;
    while (i < n && addr[i].sa.sa_family != load->source.sa.sa_family)
        i++;
    if (i == n)
        return refuse(err, cap, "--source %s is %s, but %s is %s; %s", v->source,
                      family_name(load->source.sa.sa_family), target,
                      family_name(addr[0].sa.sa_family),
                      addr[0].sa.sa_family == AF_UNIX ? "leave --source out"
                                                      : "give both of the same family");
    load->to = addr[i];
    return 0;
}

/* ---- contradictions ---- */

/* How the load is made: --mode, --pipeline, --rate and what depends on them. */
static int check_mode(const struct bench_values *v, int mode, char *err, size_t cap)
{
    bool expects_none = chosen(&v->expect, bench_expect_name, LOAD_ECHO) == LOAD_NONE;

    if (v->rate != 0 && mode > LOAD_PINGPONG)
        return refuse(err, cap,
                      "--rate and --mode %s contradict each other: the open loop sends single "
                      "messages at fixed times; leave one of them out",
                      bench_mode_name((size_t)mode));
    if (v->rate != 0 && v->pipeline != 0)
        return refuse(err, cap,
                      "--rate and --pipeline contradict each other: in the open loop the server's "
                      "answers decide how many messages are under way; leave one of them out");
    if (v->arrival.n > 0 && v->rate == 0)
        return refuse(err, cap, "--arrival is for the open loop; give --rate too, or leave it out");
    if ((mode == LOAD_PINGPONG || mode == LOAD_CONNECT) && v->pipeline > 1)
        return refuse(err, cap,
                      "--mode %s and --pipeline %lld contradict each other: that mode has one "
                      "message at a time; give --mode pipeline, or leave --pipeline out",
                      bench_mode_name((size_t)mode), (long long)v->pipeline);
    if (v->pipeline != 0 && mode == LOAD_STREAM && expects_none)
        return refuse(err, cap,
                      "--pipeline and --expect none contradict each other with --mode stream: "
                      "without answers messages leave as fast as the socket takes them; leave one "
                      "of them out");
    if (v->messages_per_connection != 0 && mode != LOAD_CONNECT)
        return refuse(err, cap,
                      "--messages-per-connection is for short connections; give --mode "
                      "connect too, or leave it out");
    if (v->ramp_ns != 0 && mode == LOAD_CONNECT)
        return refuse(err, cap,
                      "--ramp and --mode connect contradict each other: connections are "
                      "made all the time; give --connect-rate instead");
    return 0;
}

/* Two ways to say the same thing. */
static int check_pairs(const struct bench_values *v, char *err, size_t cap)
{
    if (v->size != 0 && v->size_mix != NULL)
        return refuse(err, cap,
                      "--size and --size-mix contradict each other; leave one of them "
                      "out");
    if (v->duration_ns != 0 && v->messages != 0)
        return refuse(err, cap,
                      "--duration and --messages contradict each other: a run ends "
                      "after a time or after a number of messages; leave one of them "
                      "out");
    if (v->warmup_ns > 0 && v->messages != 0)
        return refuse(err, cap,
                      "--warmup and --messages contradict each other: all messages of a "
                      "number are measured; leave one of them out, or give --duration");
    if (v->ramp_ns != 0 && v->connect_rate != 0)
        return refuse(err, cap,
                      "--ramp and --connect-rate contradict each other: both say how "
                      "fast connections are made; leave one of them out");
    return 0;
}

static int check_shares(const struct bench_values *v, const struct load_config *load, char *err,
                        size_t cap)
{
    const char *what = v->active != 0 ? "--active" : "--connections";
    int64_t largest = largest_size(load);
    /* Cannot overflow: 16 MiB (2^24) times 2^16 times 10^6 (below 2^20). */
    int64_t under_way = largest * load->depth * load->active;
    char size[UNIT_TEXT];

    if (load->active > load->connections)
        return refuse(err, cap,
                      "--active %u is more than --connections %u; lower the one or "
                      "raise the other",
                      load->active, load->connections);
    if (load->threads > load->active)
        return refuse(err, cap,
                      "--threads %u is more than %s %u: each thread needs a connection that sends; "
                      "lower the one or raise the other",
                      load->threads, what, load->active);
    if (under_way >= UNDER_WAY_MAX)
        return refuse(err, cap,
                      "%s %s, --pipeline %u and %s %u make %.1f GiB under way at once, and it must "
                      "be less than 2 GiB; lower one of them",
                      v->size_mix != NULL ? "--size-mix up to" : "--size",
                      unit_format(UNIT_SIZE, largest, size, sizeof size), load->depth, what,
                      load->active, (double)under_way / (double)GIB);
    return 0;
}

/* ---- what it all means ---- */

static unsigned depth_of(const struct bench_values *v, const struct load_config *load)
{
    int64_t stream = STREAM_BYTES / largest_size(load);

    if (v->pipeline != 0)
        return (unsigned)v->pipeline;
    switch (load->mode) {
    case LOAD_PIPELINE: return 16;
    case LOAD_STREAM:
        stream = stream < 4 ? 4 : stream;
        return (unsigned)(stream > LOAD_DEPTH_MAX ? LOAD_DEPTH_MAX : stream);
    case LOAD_PINGPONG:
    case LOAD_CONNECT: break;
    }
    return 1;
}

static void set_times(const struct bench_values *v, struct load_config *load)
{
    load->messages = (uint64_t)v->messages;
    load->timeout_ns = given(v->timeout_ns, 5 * PLX_SECOND);
    if (v->messages != 0)
        return; /* no duration, no warm-up */
    load->duration_ns = given(v->duration_ns, 10 * PLX_SECOND);
    if (v->warmup_ns != 0)
        load->warmup_ns = v->warmup_ns == PLX_OFF ? 0 : v->warmup_ns;
    else
        load->warmup_ns = load->duration_ns < 5 * PLX_SECOND ? load->duration_ns / 5 : PLX_SECOND;
}

static void set_rates(const struct bench_values *v, struct load_config *load)
{
    load->connect_rate = (double)v->connect_rate;
    if (v->ramp_ns != 0)
        load->connect_rate = (double)load->connections * 1e9 / (double)v->ramp_ns;
    load->arrival = LOAD_CLOSED;
    load->rate = (double)v->rate;
    if (v->rate != 0)
        load->arrival =
            chosen(&v->arrival, bench_arrival_name, 0) == 0 ? LOAD_CONSTANT : LOAD_POISSON;
}

int bench_plan_make(const struct bench_values *v, const char *target, struct bench_plan *plan,
                    char *err, size_t errcap)
{
    struct load_config *load = &plan->load;
    int mode = chosen(&v->mode, bench_mode_name, -1);
    int rc;

    memset(plan, 0, sizeof *plan);
    plan->target = target;
    plan->source = v->source;
    plan->json = v->json;
    plan->histogram = v->histogram;
    load->connections = (unsigned)given(v->connections, 64);
    load->active = (unsigned)given(v->active, load->connections);
    load->threads = (unsigned)given(v->threads, 1);
    load->messages_per_connection = (unsigned)given(v->messages_per_connection, 1);
    load->expect = (enum load_expect)chosen(&v->expect, bench_expect_name, LOAD_ECHO);
    load->seed = (uint64_t)given(v->seed, 1);
    load->server_pid = (pid_t)v->server_pid;
    load->size[0] = (struct load_size){.bytes = (uint32_t)given(v->size, 64), .weight = 1};
    load->nsizes = 1;
    set_times(v, load);
    set_rates(v, load);

    if ((rc = check_mode(v, mode, err, errcap)) < 0 || (rc = check_pairs(v, err, errcap)) < 0 ||
        (v->size_mix != NULL && (rc = parse_sizes(v->size_mix, load, err, errcap)) < 0) ||
        (v->source != NULL && (rc = parse_source(v->source, load, err, errcap)) < 0))
        return rc;
    if (mode >= 0)
        load->mode = (enum load_mode)mode;
    else
        load->mode = v->pipeline > 1 ? LOAD_PIPELINE : LOAD_PINGPONG;
    load->depth = depth_of(v, load);
    if ((rc = check_shares(v, load, err, errcap)) < 0)
        return rc;
    return find_target(v, target, load, err, errcap);
}
