/* SPDX-License-Identifier: MIT */
/*
 * Whether this machine can do what the plan asks for. What can be known beforehand is said before
 * the run, with the limit and how to raise it: a run that starves halfway measures the starving.
 */
#include "cmd/bench.h"

#include <errno.h>
#include <ifaddrs.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* Descriptors beside the connections: of each thread's loop, and of the program itself. */
#define DESCRIPTORS_PER_THREAD 8
#define DESCRIPTORS_BESIDES    64

#define PORT_RANGE "/proc/sys/net/ipv4/ip_local_port_range"

__attribute__((format(printf, 3, 4))) static int refuse(char *err, size_t cap, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(err, cap, fmt, ap);
    va_end(ap);
    return -EINVAL;
}

/* ---- descriptors ---- */

/* What a table of descriptors must hold if each of `tables` has its share of the connections. The
 * threads' loops are in all of them: they are opened before. */
static uint64_t descriptors(const struct load_config *load, unsigned threads, unsigned tables)
{
    return ((uint64_t)load->connections + tables - 1) / tables +
           (uint64_t)threads * DESCRIPTORS_PER_THREAD + DESCRIPTORS_BESIDES;
}

/* How many threads with a table each would do; 0 = no number of them does. */
static unsigned enough_threads(const struct load_config *load, uint64_t limit)
{
    for (unsigned n = load->threads + 1; n <= LOAD_THREADS_MAX && n <= load->active; n++) {
        if (descriptors(load, n, n) <= limit)
            return n;
    }
    return 0;
}

/* Raises the soft limit to what is needed, and the hard one too: root may do that, up to
 * fs.nr_open, if it is not kept from it. Leaves the soft limit as high as allowed. */
static bool raise_limit(struct rlimit *limit, uint64_t need)
{
    struct rlimit raised = {.rlim_cur = need,
                            .rlim_max = limit->rlim_max < need ? need : limit->rlim_max};

    if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
        return true;
    limit->rlim_cur = limit->rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, limit);
    return false;
}

static int check_descriptors(struct load_config *load, char *err, size_t cap)
{
    uint64_t need = descriptors(load, load->threads, 1);
    struct rlimit limit;
    unsigned threads;
    char more[96] = "";

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return refuse(err, cap, "getrlimit: %s", plx_error_text(errno));
    if (limit.rlim_cur >= need || raise_limit(&limit, need))
        return 0;
    if (load->threads > 1 && descriptors(load, load->threads, load->threads) <= limit.rlim_cur) {
        load->own_descriptors = true;
        return 0;
    }
    threads = enough_threads(load, limit.rlim_cur);
    if (threads > 0)
        snprintf(more, sizeof more, "give --threads %u, each of which may have as many; or ",
                 threads);
    return refuse(err, cap,
                  "--connections %u needs %llu open files, and the limit is %llu (ulimit -Hn); "
                  "%sraise it as root: ulimit -n %llu, or nofile in limits.conf(5)",
                  load->connections, (unsigned long long)need, (unsigned long long)limit.rlim_cur,
                  more, (unsigned long long)need);
}

/* ---- ports and addresses ---- */

/* How many ports the system may choose from for one source address and one destination. */
static uint64_t count_ports(unsigned *low, unsigned *high)
{
    FILE *f = fopen(PORT_RANGE, "re");

    *low = 32768; /* as Linux has it by default */
    *high = 60999;
    if (f != NULL) {
        if (fscanf(f, "%u %u", low, high) != 2 || *high < *low || *high > 65535) {
            *low = 1; /* unknown: let the run find out */
            *high = 65535;
        }
        fclose(f);
    }
    return *high - *low + 1;
}

static int check_ports(const struct bench_plan *plan, char *err, size_t cap)
{
    const struct load_config *load = &plan->load;
    uint64_t sources = load->nsources > 0 ? load->nsources : 1;
    unsigned low;
    unsigned high;
    uint64_t ports = sources * count_ports(&low, &high);

    if (load->to.sa.sa_family == AF_UNIX || load->connections <= ports)
        return 0;
    return refuse(err, cap,
                  "--connections %u needs as many ports, but %llu source address%s %llu "
                  "(net.ipv4.ip_local_port_range is %u to %u); give more addresses by --source, or "
                  "sysctl net.ipv4.ip_local_port_range=\"1024 65535\"",
                  load->connections, (unsigned long long)sources, sources == 1 ? " has" : "es have",
                  (unsigned long long)ports, low, high);
}

/* The first and the last address that will be used: what lies between is of the same network. */
static int check_sources(const struct bench_plan *plan, char *err, size_t cap)
{
    const struct load_config *load = &plan->load;
    uint64_t used = load->nsources < load->connections ? load->nsources : load->connections;
    char text[PLX_ADDR_TEXT];

    for (uint64_t i = 0; i<used; i += used> 1 ? used - 1 : 1) {
        struct plx_addr addr = load_source(load, i);
        int fd = socket(addr.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int rc = fd < 0 || bind(fd, &addr.sa, addr.len) < 0 ? errno : 0;

        if (fd >= 0)
            close(fd);
        if (rc != 0) {
            plx_addr_format(&addr, text, sizeof text);
            text[strlen(text) - 2] = '\0'; /* without the port, :0 */
            return refuse(err, cap,
                          "--source %s: %s is no address to connect from (%s); give addresses of "
                          "this machine, or make them so: ip route add local %s dev lo",
                          plan->source, text, plx_error_text(rc), plan->source);
        }
    }
    return 0;
}

static bool same_address(const struct plx_addr *a, const struct sockaddr *b)
{
    struct sockaddr_in in;
    struct sockaddr_in6 in6;

    if (b == NULL || a->sa.sa_family != b->sa_family)
        return false;
    if (b->sa_family == AF_INET) {
        memcpy(&in, b, sizeof in);
        return in.sin_addr.s_addr == a->in.sin_addr.s_addr;
    }
    memcpy(&in6, b, sizeof in6);
    return memcmp(&in6.sin6_addr, &a->in6.sin6_addr, sizeof in6.sin6_addr) == 0;
}

bool bench_is_local(const struct plx_addr *addr)
{
    struct ifaddrs *list = NULL;
    bool found = false;

    if (addr->sa.sa_family == AF_UNIX)
        return true;
    /* The whole of 127.0.0.0/8 is, though one address of it is listed; 0.0.0.0 and :: connect to
     * this machine, too. */
    if (addr->sa.sa_family == AF_INET && (ntohl(addr->in.sin_addr.s_addr) >> 24 == 127 ||
                                          addr->in.sin_addr.s_addr == htonl(INADDR_ANY)))
        return true;
    if (addr->sa.sa_family == AF_INET6 &&
        (IN6_IS_ADDR_LOOPBACK(&addr->in6.sin6_addr) ||
         IN6_IS_ADDR_UNSPECIFIED(&addr->in6.sin6_addr) ||
         (IN6_IS_ADDR_V4MAPPED(&addr->in6.sin6_addr) && addr->in6.sin6_addr.s6_addr[12] == 127)))
        return true;
    if (getifaddrs(&list) < 0)
        return false;
    for (const struct ifaddrs *i = list; i != NULL && !found; i = i->ifa_next)
        found = same_address(addr, i->ifa_addr);
    freeifaddrs(list);
    return found;
}

/* ---- the whole ---- */

int bench_limits_check(struct bench_plan *plan, char *err, size_t errcap)
{
    struct load_config *load = &plan->load;
    int rc = check_ports(plan, err, errcap);

    if (rc == 0)
        rc = check_descriptors(load, err, errcap);
    if (rc == 0 && load->nsources > 0)
        rc = check_sources(plan, err, errcap);
    /* A process of somebody else (EPERM) is one: what of it can be read, its account tells. */
    if (rc == 0 && load->server_pid != 0 && kill(load->server_pid, 0) < 0 && errno == ESRCH)
        rc = refuse(err, errcap,
                    "--server-pid %ld: there is no such process; pollux serve prints its id as "
                    "pid=N",
                    (long)load->server_pid);
    return rc;
}

/* What is wrong with a file that is to be written, as errno; 0 = nothing. It would be too late to
 * find out after the run. */
static int cannot_write(const char *file, bool replaced)
{
    char directory[4096];
    const char *slash = strrchr(file, '/');
    struct stat st;

    snprintf(directory, sizeof directory, "%.*s", slash != NULL ? (int)(slash - file) + 1 : 1,
             slash != NULL ? file : ".");
    if (stat(file, &st) < 0) {
        if (errno != ENOENT)
            return errno;
        return access(directory, W_OK | X_OK) < 0 ? errno : 0;
    }
    if (S_ISDIR(st.st_mode))
        return EISDIR;
    if (access(file, W_OK) < 0)
        return errno;
    /* A regular file is replaced by another of its name. */
    return replaced && S_ISREG(st.st_mode) && access(directory, W_OK | X_OK) < 0 ? errno : 0;
}

static int check_file(const char *option, const char *file, bool replaced, char *err, size_t cap)
{
    int error = file == NULL || strcmp(file, "-") == 0 ? 0 : cannot_write(file, replaced);

    if (error == 0)
        return 0;
    return refuse(err, cap, "--%s %s cannot be written: %s; name another file", option, file,
                  plx_error_text(error));
}

int bench_files_check(const char *json, const char *histogram, char *err, size_t errcap)
{
    int rc;

    if (json != NULL && histogram != NULL && strcmp(json, histogram) == 0)
        return refuse(err, errcap,
                      "--json and --histogram would both write to %s; give one of them another "
                      "file",
                      strcmp(json, "-") == 0 ? "standard output" : json);
    rc = check_file("json", json, false, err, errcap);
    return rc == 0 ? check_file("histogram", histogram, true, err, errcap) : rc;
}
