/* SPDX-License-Identifier: MIT */
/*
 * The services of pollux serve, each with a stream that is cut at random. Input: a byte for the
 * service, 2 for the cuts, 1 for the marks of the queue, 5 for the clock, a suffix up to a NUL, the
 * stream. What comes out is worked out here once more from what the service promises, and is the
 * same however the stream is cut; the one service of which that is not so (upper, whose suffix
 * follows each piece) is held against the pieces that it was shown. A service that is not known
 * here must answer the same however the stream is cut.
 */
#include "engine.h"

#include "cmd/services/service.h"

#include <errno.h>
#include <sys/syscall.h>
#include <time.h>

#define CHARGEN_MOST 5000

/* The clock, for daytime and time. */
static time_t now;

time_t time(time_t *out)
{
    if (out != NULL)
        *out = now;
    return now;
}

/* Time of the processor passes quickly, so that no service has to compute for long. */
int clock_gettime(clockid_t clock, struct timespec *out)
{
    static time_t spent;
    if (clock != CLOCK_THREAD_CPUTIME_ID)
        return (int)syscall(SYS_clock_gettime, clock, out);
    spent += 11;
    *out = (struct timespec){.tv_sec = spent};
    return 0;
}

/* ---- what must come out ---- */

static struct {
    const struct plx_handler *service;
    const char *suffix;
    char *text;
    size_t n, room;
} expected;

static bool serves(const char *name)
{
    return strcmp(expected.service->name, name) == 0;
}

static void put(const void *p, size_t n)
{
    if (expected.n + n > expected.room) {
        expected.room = 2 * (expected.n + n);
        expected.text = realloc(expected.text, expected.room);
        CHECK(expected.text != NULL);
    }
    if (n > 0)
        memcpy(expected.text + expected.n, p, n);
    expected.n += n;
}

static void put_chargen(void)
{
    for (unsigned line = 0; expected.n < 2 * CHARGEN_MOST; line++) {
        char text[75];
        for (unsigned i = 0; i < 72; i++)
            text[i] = (char)(' ' + (line + i) % 95);
        memcpy(text + 72, "\r\n", 2);
        put(text, 74);
    }
}

static void put_clock(void)
{
    char text[100];
    struct tm tm;
    if (serves("daytime")) {
        CHECK(gmtime_r(&now, &tm) != NULL);
        put(text, strftime(text, sizeof(text), "%A, %B %-d, %Y %H:%M:%S-UTC\r\n", &tm));
    } else if (serves("time")) {
        uint32_t since_1900 = (uint32_t)(now + 2208988800);
        for (int shift = 24; shift >= 0; shift -= 8)
            put(&(char){(char)(since_1900 >> shift & 0xff)}, 1);
    }
}

/* A line with a number up to 10000 is repeated; a longer one ends it. */
static void put_slow(const char *p, size_t n)
{
    while (n > 0) {
        const char *end = memchr(p, '\n', n < 64 ? n : 64);
        size_t len = end != NULL ? (size_t)(end - p) : 0;
        char text[64] = "", answer[16] = "error\n";
        if (end == NULL && n < 64)
            return;
        memcpy(text, p, len);
        if (len > 0 && text[len - 1] == '\r')
            text[--len] = '\0';
        if (len >= 1 && len <= 5 && strspn(text, "0123456789") == len && atoi(text) <= 10000)
            snprintf(answer, sizeof(answer), "%d\n", atoi(text));
        put(answer, strlen(answer));
        if (end == NULL)
            return;
        n -= (size_t)(end + 1 - p);
        p = end + 1;
    }
}

/* What does not depend on the cuts. False: such a service is not known here. */
static bool put_whole(const uint8_t *p, size_t n)
{
    bool seen = false;
    for (size_t i = 0; serves("capitalize") && i < n; i++) {
        char c = (char)p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (letter)
            c = (char)(seen ? c | 0x20 : c & ~0x20);
        seen = c != '\n' && (seen || letter);
        put(&c, 1);
    }
    if (serves("echo"))
        put(p, n);
    else if (serves("goodbye"))
        put("Server:Good Bye.", n > 0 ? 16 : 0);
    else if (serves("chargen"))
        put_chargen();
    else if (serves("daytime") || serves("time"))
        put_clock();
    else if (serves("slow"))
        put_slow((const char *)p, n);
    else
        return serves("capitalize") || serves("upper") || serves("discard");
    return true;
}

/* ---- around the service ---- */

static ssize_t on_data(struct plx_conn *c, const void *p, size_t n)
{
    ssize_t took = expected.service->on_data(c, p, n);
    CHECK(took <= (ssize_t)n);
    for (size_t i = 0; serves("upper") && i < n; i++) {
        uint8_t b = ((const uint8_t *)p)[i];
        put(&(char){(char)(b >= 'a' && b <= 'z' ? b - 32 : b)}, 1);
    }
    if (serves("upper"))
        put(expected.suffix, strlen(expected.suffix));
    return took;
}

/* Standard output is a file of ours: discard writes there. */
static int standard_output(void)
{
    static int fd = -1;
    if (fd < 0) {
        fd = memfd_create("stdout", MFD_CLOEXEC);
        CHECK(fd >= 0 && dup2(fd, STDOUT_FILENO) == STDOUT_FILENO);
    }
    return fd;
}

/* What one escape stands for; moves behind it. */
static uint8_t unescape(const char **at)
{
    const char *p = *at;
    char digits[3] = "";
    CHECK(*p >= ' ' && *p <= '~');
    *at = p + (*p == '\\' ? 2 : 1);
    if (*p != '\\')
        return (uint8_t)*p;
    if (p[1] != 'x')
        return p[1] == 't' ? '\t' : p[1] == 'r' ? '\r' : '\\';
    memcpy(digits, p + 2, 2);
    *at = p + 4;
    return (uint8_t)strtoul(digits, NULL, 16);
}

/* Lines "client 7: TEXT" of 1000 columns at most, which hold the stream but for its newlines. */
static void check_discarded(const uint8_t *p, size_t n)
{
    int fd = standard_output();
    size_t size = (size_t)lseek(fd, 0, SEEK_END), i = 0;
    char *text = fuzz_alloc(size + 1);
    CHECK(pread(fd, text, size, 0) == (ssize_t)size);
    text[size] = '\0';
    for (const char *at = text; *at != '\0'; at++) {
        CHECK(strncmp(at, "client 7: ", 10) == 0);
        at += 10;
        const char *end = strchr(at, '\n');
        CHECK(end != NULL && end - at <= 1000);
        while (at < end) {
            uint8_t b = unescape(&at);
            while (i < n && p[i] == '\n')
                i++;
            CHECK(i < n && p[i] == b);
            i++;
        }
        CHECK(at == end);
    }
    while (i < n && p[i] == '\n')
        i++;
    CHECK(i == n);
    free(text);
}

/* False: all that can be said is that it ended well. */
static bool run_once(struct drive *d)
{
    int fd = standard_output();
    expected.n = 0;
    if (serves("discard"))
        CHECK(ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0);
    engine_drive(d);
    bool known = put_whole(d->in, d->n);
    if (serves("chargen")) {
        /* It goes on until the peer breaks the connection, or ends it and that is noticed. */
        CHECK(d->nout <= expected.n);
        CHECK(d->err == -ECONNRESET ? d->nout >= CHARGEN_MOST : d->err == 0 && d->took == d->n);
    } else {
        CHECK(d->err == 0 && d->took == d->n);
        CHECK(!known || d->nout == expected.n);
    }
    CHECK(!known || d->nout == 0 || memcmp(d->out, expected.text, d->nout) == 0);
    if (serves("discard"))
        check_discarded(d->in, d->n);
    return known;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    size_t count = 0;
    /* slow, the last, takes a line at a time, and time; tests/cli/serve_slow.sh looks at it. */
    while (service_at(count) != NULL && service_at(count)->handler != &service_slow)
        count++;
    expected.service = service_at(take_byte(&in) % count)->handler;
    struct dice dice = {(uint32_t)take_number(&in, 2) | 0x10000};
    uint8_t marks = take_byte(&in);
    now = (time_t)(take_number(&in, 5) % 253402300800); /* up to the year 9999 */
    char *suffix = take_text(&in, '\0');
    struct service_config config = {.suffix = suffix, .suffix_len = strlen(suffix)};
    struct plx_handler handler = *expected.service;
    expected.suffix = suffix;
    handler.user = &config;
    handler.on_data = handler.on_data != NULL ? on_data : NULL;
    handler.on_close = engine_closed;

    struct drive cut = {.handler = &handler,
                        .in = in.at,
                        .n = in.left,
                        .dice = &dice,
                        .most = serves("chargen") ? CHARGEN_MOST : 0,
                        .limits = {.high_water = 1 + (size_t)(marks >> 4) * 64,
                                   .low_water = (size_t)(marks >> 4) * 4 * (marks & 15),
                                   .queue_cap = (size_t)1 << 30,
                                   .input_cap = 64, /* a line of slow */
                                   .idle_ns = PLX_OFF,
                                   .write_ns = PLX_OFF,
                                   .linger_ns = PLX_OFF,
                                   .connect_ns = PLX_OFF},
                        .loud = marks % 8 == 5};
    struct drive whole = cut;
    whole.dice = NULL;
    bool known = run_once(&cut);
    if (!run_once(&whole) || !known) {
        CHECK(cut.nout == whole.nout);
        CHECK(cut.nout == 0 || memcmp(cut.out, whole.out, cut.nout) == 0);
    }
    free(cut.out);
    free(whole.out);
    free(suffix);
    return 0;
}
