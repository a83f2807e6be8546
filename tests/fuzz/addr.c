/* SPDX-License-Identifier: MIT */
/*
 * Addresses. Input: a byte, then the text of an address; with the highest bit of the byte set, the
 * bytes of a socket address, as accept4(2) might give them. What is written must be read back as
 * the same address.
 */
#include "fuzz.h"
#include "resolve.h"

#include "core/core.h"

#include <errno.h>

#define ADDRS 4

static void check_same(const struct plx_addr *a, const struct plx_addr *b)
{
    CHECK(a->sa.sa_family == b->sa.sa_family);
    CHECK(plx_addr_port(a) == plx_addr_port(b));
    if (a->sa.sa_family == AF_INET) {
        CHECK(a->in.sin_addr.s_addr == b->in.sin_addr.s_addr);
    } else if (a->sa.sa_family == AF_INET6) {
        CHECK(memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, 16) == 0);
        CHECK(a->in6.sin6_scope_id == b->in6.sin6_scope_id);
    } else {
        CHECK(strcmp(a->un.sun_path, b->un.sun_path) == 0);
    }
}

static void check_read(const struct plx_addr *a)
{
    char text[PLX_ADDR_TEXT];
    struct plx_addr again[1];
    CHECK(a->len > 0 && a->len <= sizeof(a->un));
    plx_addr_format(a, text, sizeof(text));
    CHECK(strlen(text) < sizeof(text) - 1);
    CHECK(plx_addr_parse(text, again, 1, NULL) == 1);
    check_same(a, again);
}

static void read_text(struct input *in)
{
    struct plx_addr addr[ADDRS];
    struct plx_why why = {.reason = ""};
    char *text = take_rest(in);
    int n = plx_addr_parse(text, addr, ADDRS, &why);
    CHECK(n <= ADDRS && n != 0);
    for (int i = 0; i < n; i++)
        check_read(&addr[i]);
    if (n < 0) {
        CHECK(n == -EINVAL || n == -ENAMETOOLONG || n == -ENOENT);
        CHECK(why.reason[0] != '\0' && why.remedy[0] != '\0');
        CHECK(memchr(why.reason, '\0', sizeof(why.reason)) != NULL);
    }
    CHECK(plx_addr_parse(text, addr, 1, NULL) == (n < 0 ? n : 1));
    free(text);
}

/* What is no more than bytes cannot be wrong, but it must be written within its bounds; and what a
 * connection keeps of it must be the same address. */
static void read_bytes(struct input *in, size_t cap)
{
    struct plx_addr *addr = fuzz_alloc(sizeof(*addr));
    struct plx__peer peer;
    struct plx_addr kept;
    char *text = fuzz_alloc(cap);
    memset(addr, 0, sizeof(*addr));
    addr->len = (socklen_t)(in->left < sizeof(addr->un) ? in->left : sizeof(addr->un));
    memcpy(&addr->sa, in->at, addr->len);
    CHECK(plx_addr_format(addr, text, cap) == text);
    CHECK(memchr(text, '\0', cap) != NULL);
    (void)plx_addr_port(addr);
    plx__peer_set(&peer, &addr->sa, addr->len);
    plx__peer_get(&peer, &kept);
    if (kept.len > 0)
        check_same(addr, &kept);
    free(text);
    free(addr);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    uint8_t kind = take_byte(&in);
    if (kind & 0x80)
        read_bytes(&in, (size_t)(kind & 0x7f) + 1);
    else
        read_text(&in);
    return 0;
}
