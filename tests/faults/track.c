/* SPDX-License-Identifier: MIT */
/*
 * What the library has allocated through the seam and not freed. free(3) is not in the seam, since
 * it cannot fail; the linker sends the library's calls of it here (--wrap=free), where the library
 * is a static one.
 *
 * The table has no lock, because a child of the fork model would inherit it locked.
 */
#include "faults.h"

#define ROOM    (1u << 16)
#define REMOVED ((void *)1)

static _Atomic(void *) table[ROOM];

static size_t place(const void *p)
{
    uint64_t h = (uint64_t)(uintptr_t)p * 0x9e3779b97f4a7c15ULL;
    return (size_t)(h >> 48) & (ROOM - 1);
}

static void *add(void *p)
{
    for (size_t i = place(p), tries = 0; p && tries < ROOM; i = (i + 1) & (ROOM - 1), tries++) {
        void *was = atomic_load(&table[i]);
        if ((!was || was == REMOVED) && atomic_compare_exchange_strong(&table[i], &was, p))
            break;
    }
    return p;
}

static void take_out(void *p)
{
    for (size_t i = place(p), tries = 0; p && tries < ROOM; i = (i + 1) & (ROOM - 1), tries++) {
        void *was = atomic_load(&table[i]);
        if (!was)
            return;
        if (was == p) {
            atomic_store(&table[i], REMOVED);
            return;
        }
    }
}

void *track_malloc(size_t n)
{
    return add(plx__system.malloc(n));
}

void *track_calloc(size_t n, size_t size)
{
    return add(plx__system.calloc(n, size));
}

/* Out first: once realloc(3) has returned, another thread may have been given the old place. */
void *track_realloc(void *p, size_t n)
{
    take_out(p);
    void *fresh = plx__system.realloc(p, n);
    add(fresh ? fresh : p);
    return fresh;
}

#if FAULTS_TRACK
void __real_free(void *);
void __wrap_free(void *);

void __wrap_free(void *p)
{
    take_out(p);
    __real_free(p);
}

size_t track_left(void)
{
    size_t n = 0;
    for (size_t i = 0; i < ROOM; i++) {
        void *p = atomic_load(&table[i]);
        n += p && p != REMOVED;
    }
    return n;
}
#else
size_t track_left(void)
{
    return 0;
}
#endif
