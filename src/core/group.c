/* SPDX-License-Identifier: MIT */
/*
 * What the workers of one server share: the limits on connections, counted at accept, and the
 * listening sockets. The counts per peer address are an open-addressing table with linear probing;
 * removal shifts the run back instead of leaving tombstones, so a table under attack cannot rot.
 */
#include "core/core.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct plx__ip_count {
    unsigned char ip[16];
    uint16_t family; /* 0 = free */
    uint32_t count;
};

int plx__group_init(struct plx__group *g)
{
    *g = (struct plx__group){.max_connections = PLX_OFF, .max_per_ip = PLX_OFF};
    return -pthread_mutex_init(&g->lock, NULL);
}

void plx__group_fini(struct plx__group *g)
{
    plx__pool_close(g->pool);
    free(g->ips);
    pthread_mutex_destroy(&g->lock);
}

/* FNV-1a over the address; an attacker who chooses addresses to collide needs to own
 * them, and then gains a linear probe over the few connections that the limit allows each. */
static size_t ip_hash(const struct plx__peer *p)
{
    uint64_t h = 14695981039346656037ULL;
    for (size_t i = 0; i < sizeof(p->ip); i++)
        h = (h ^ p->ip[i]) * 1099511628211ULL;
    return (size_t)(h ^ (h >> 32));
}

static struct plx__peer ip_key(const struct plx__ip_count *e)
{
    struct plx__peer p = {.family = e->family};
    memcpy(p.ip, e->ip, sizeof(p.ip));
    return p;
}

/* The entry of `p`, or the free one where it belongs. */
static size_t ip_find(const struct plx__group *g, const struct plx__peer *p)
{
    size_t i = ip_hash(p) & (g->ips_cap - 1);
    while (g->ips[i].family &&
           (g->ips[i].family != p->family || memcmp(g->ips[i].ip, p->ip, sizeof(p->ip)) != 0))
        i = (i + 1) & (g->ips_cap - 1);
    return i;
}

static int ip_grow(struct plx__group *g)
{
    struct plx__ip_count *old = g->ips;
    size_t old_cap = g->ips_cap;
    size_t cap = old_cap ? old_cap * 2 : 64;
    struct plx__ip_count *fresh = plx__sys_calloc(cap, sizeof(*fresh));
    if (!fresh)
        return -ENOMEM;
    g->ips = fresh;
    g->ips_cap = cap;
    for (size_t i = 0; i < old_cap; i++) {
        if (old[i].family) {
            struct plx__peer key = ip_key(&old[i]);
            fresh[ip_find(g, &key)] = old[i];
        }
    }
    free(old);
    return 0;
}

static int ip_enter(struct plx__group *g, const struct plx__peer *p)
{
    if (2 * (g->nips + 1) > g->ips_cap && ip_grow(g) < 0)
        return -ENOMEM;
    struct plx__ip_count *e = &g->ips[ip_find(g, p)];
    if (!e->family) {
        memcpy(e->ip, p->ip, sizeof(e->ip));
        e->family = p->family;
        e->count = 0;
        g->nips++;
    }
    if (e->count >= (uint64_t)g->max_per_ip)
        return -EUSERS;
    e->count++;
    return 0;
}

static void ip_leave(struct plx__group *g, const struct plx__peer *p)
{
    size_t mask = g->ips_cap - 1;
    size_t hole = ip_find(g, p);
    if (!g->ips[hole].family || --g->ips[hole].count > 0)
        return;
    g->nips--;
    /* Close the hole: move back every later entry of the run that may live there. */
    for (size_t i = (hole + 1) & mask; g->ips[i].family; i = (i + 1) & mask) {
        struct plx__peer key = ip_key(&g->ips[i]);
        size_t home = ip_hash(&key) & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            g->ips[hole] = g->ips[i];
            hole = i;
        }
    }
    g->ips[hole].family = 0;
}

static bool counts_ip(const struct plx__group *g, const struct plx__peer *p)
{
    return g->max_per_ip != PLX_OFF && (p->family == AF_INET || p->family == AF_INET6);
}

int plx__group_enter(struct plx__group *g, const struct plx__peer *p)
{
    int64_t open = atomic_fetch_add(&g->open, 1);
    if (g->max_connections != PLX_OFF && open >= g->max_connections) {
        atomic_fetch_sub(&g->open, 1);
        return -EUSERS;
    }
    if (!counts_ip(g, p))
        return 0;
    pthread_mutex_lock(&g->lock);
    int rc = ip_enter(g, p);
    pthread_mutex_unlock(&g->lock);
    if (rc < 0)
        atomic_fetch_sub(&g->open, 1);
    return rc;
}

void plx__group_leave(struct plx__group *g, const struct plx__peer *p)
{
    if (counts_ip(g, p)) {
        pthread_mutex_lock(&g->lock);
        ip_leave(g, p);
        pthread_mutex_unlock(&g->lock);
    }
    atomic_fetch_sub(&g->open, 1);
}
