/* SPDX-License-Identifier: MIT */
/* See net.h. Devices are made by rtnetlink(7), and brought up by netdevice(7). */
#include "cmd/compare/net.h"

#include "cmd/clock.h"
#include "cmd/measure/cpulist.h"
#include "cmd/measure/sysfile.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <pollux/error.h>
#include <sched.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SYSCTL "/proc/sys/net/%s"
#define DEVICE "veth0" /* at either end */

/* 198.18.0.0/15 is set aside for measurements between two devices (RFC 2544, RFC 6815). */
static const char *const addresses[NET_ENDS] = {
    [NET_SERVER] = "198.18.0.1", [NET_CLIENT] = "198.18.0.2"};

const char *net_kind(size_t i)
{
    static const char *const kinds[] = {"lo", "netns"};
    return i < sizeof(kinds) / sizeof(kinds[0]) ? kinds[i] : NULL;
}

const char *net_address(const struct net *net)
{
    return net->netns ? addresses[NET_SERVER] : "127.0.0.1";
}

static int __attribute__((format(printf, 4, 5)))
cannot(int err, char *why, size_t cap, const char *fmt, ...)
{
    char what[200];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    snprintf(why, cap, "--net netns: %s", what);
    return err;
}

static int write_file(const char *name, const char *text)
{
    int fd = open(name, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int rc = write(fd, text, strlen(text)) < 0 ? -errno : 0;
    close(fd);
    return rc;
}

/* ---- settings ---- */

/*
 * A new namespace begins with the kernel's defaults. What somebody has set on this machine is what
 * the machine's fingerprint shows, and what a comparison over loopback would have met. Both
 * namespaces are treated alike, so that the fingerprint, which is taken in the client's, is right
 * for the server's too, even where nothing may be written.
 */
static const char *const settings[] = {"core/somaxconn", "ipv4/ip_local_port_range",
                                       "ipv4/tcp_tw_reuse", "ipv4/tcp_rmem", "ipv4/tcp_wmem"};
#define SETTINGS (sizeof(settings) / sizeof(settings[0]))

static void read_settings(char value[SETTINGS][64])
{
    for (size_t i = 0; i < SETTINGS; i++)
        sysfile_read(value[i], sizeof(value[i]), SYSCTL, settings[i]);
}

static void write_setting(const char *name, const char *value)
{
    char file[64];
    snprintf(file, sizeof(file), SYSCTL, name);
    (void)write_file(file, value);
}

/* ---- devices ---- */

/* Does what the function says to a device, by a socket of the namespace in which the thread is. */
static int with_device(const char *name, int (*fn)(int fd, struct ifreq *, const void *arg),
                       const void *arg)
{
    struct ifreq device = {.ifr_flags = 0};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    snprintf(device.ifr_name, sizeof(device.ifr_name), "%s", name);
    int rc = fn(fd, &device, arg) < 0 ? -errno : 0;
    close(fd);
    return rc;
}

static int bring_up(int fd, struct ifreq *device, const void *arg)
{
    (void)arg;
    device->ifr_flags = IFF_UP;
    return ioctl(fd, SIOCSIFFLAGS, device);
}

/* 198.18.0.1 was a class C address once, so it comes with a mask of 24 bits. */
static int set_address(int fd, struct ifreq *device, const void *arg)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    inet_pton(AF_INET, arg, &in.sin_addr);
    memcpy(&device->ifr_addr, &in, sizeof(in));
    return ioctl(fd, SIOCSIFADDR, device);
}

/* Up at both ends, and noticed by the kernel, which does that in its own time: until then it drops
 * what is sent, and TCP would send it again only after a second. */
static int await_running(int fd, struct ifreq *device, const void *arg)
{
    const struct timespec pause = {.tv_nsec = (long)PLX_MSEC};
    (void)arg;
    for (int64_t end = clock_ns() + 5 * PLX_SECOND; clock_ns() < end;) {
        if (ioctl(fd, SIOCGIFFLAGS, device) < 0)
            return -1;
        if (device->ifr_flags & IFF_RUNNING)
            return 0;
        nanosleep(&pause, NULL);
    }
    errno = ENETDOWN;
    return -1;
}

/* One end of the pair. */
static void put_device(struct nlmsghdr *msg)
{
    mnl_nlmsg_put_extra_header(msg, sizeof(struct ifinfomsg)); /* as it comes: down */
    mnl_attr_put_strz(msg, IFLA_IFNAME, DEVICE);
}

static int ask_kernel(struct nlmsghdr *msg)
{
    alignas(struct nlmsghdr) char answer[8192];
    struct mnl_socket *s = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
    ssize_t n = -1;
    if (!s)
        return -errno;
    msg->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
    if (mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) == 0 &&
        mnl_socket_sendto(s, msg, msg->nlmsg_len) >= 0)
        n = mnl_socket_recvfrom(s, answer, sizeof(answer));
    if (n >= 0)
        n = mnl_cb_run(answer, (size_t)n, msg->nlmsg_seq, mnl_socket_get_portid(s), NULL, NULL);
    int rc = n < 0 ? -errno : 0;
    mnl_socket_close(s);
    return rc;
}

/* The one end is made in the namespace where the thread is, the other in `there`. */
static int make_pair(int there)
{
    alignas(struct nlmsghdr) char request[512] = {0};
    struct nlmsghdr *msg = mnl_nlmsg_put_header(request);
    msg->nlmsg_type = RTM_NEWLINK;
    msg->nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL;
    put_device(msg);
    struct nlattr *info = mnl_attr_nest_start(msg, IFLA_LINKINFO);
    mnl_attr_put_str(msg, IFLA_INFO_KIND, "veth");
    struct nlattr *data = mnl_attr_nest_start(msg, IFLA_INFO_DATA);
    struct nlattr *peer = mnl_attr_nest_start(msg, VETH_INFO_PEER);
    put_device(msg);
    mnl_attr_put_u32(msg, IFLA_NET_NS_FD, (uint32_t)there);
    mnl_attr_nest_end(msg, peer);
    mnl_attr_nest_end(msg, data);
    mnl_attr_nest_end(msg, info);
    return ask_kernel(msg);
}

/* ---- namespaces ---- */

static int this_namespace(void)
{
    int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* Into a user namespace, in which the process has the right to make others. User and group keep
 * their numbers, so that files are what they were (user_namespaces(7)). */
static int become_own_master(void)
{
    char users[64], groups[64];
    snprintf(users, sizeof(users), "%u %u 1", geteuid(), geteuid());
    snprintf(groups, sizeof(groups), "%u %u 1", getegid(), getegid());
    if (unshare(CLONE_NEWUSER) < 0)
        return -errno;
    int rc = write_file("/proc/self/uid_map", users);
    if (rc == 0)
        rc = write_file("/proc/self/setgroups", "deny");
    if (rc == 0)
        rc = write_file("/proc/self/gid_map", groups);
    return rc;
}

/* A new one, with nobody in it but this thread. */
static int make_namespace(struct net *net, enum net_end end, char value[SETTINGS][64])
{
    int rc = unshare(CLONE_NEWNET) < 0 ? -errno : 0;
    if (rc == -EPERM && end == NET_SERVER) {
        rc = become_own_master();
        if (rc == 0)
            rc = unshare(CLONE_NEWNET) < 0 ? -errno : 0;
    }
    if (rc == 0)
        rc = net->end[end] = this_namespace();
    if (rc >= 0)
        rc = with_device("lo", bring_up, NULL);
    for (size_t i = 0; rc == 0 && i < SETTINGS; i++)
        write_setting(settings[i], value[i]);
    return rc;
}

int net_open(struct net *net, bool netns, char *why, size_t cap)
{
    char value[SETTINGS][64];
    *net = (struct net){.netns = netns, .before = -1, .end = {-1, -1}};
    if (!netns)
        return 0;
    read_settings(value);
    int rc = net->before = this_namespace();
    if (rc >= 0)
        rc = make_namespace(net, NET_SERVER, value);
    if (rc == 0)
        rc = make_namespace(net, NET_CLIENT, value);
    if (rc == 0)
        return 0;
    net_close(net);
    return cannot(rc, why, cap,
                  "no network namespace can be made here (%s); run it as root, or let users make "
                  "namespaces (user.max_user_namespaces, unprivileged_userns_clone of sysctl)",
                  plx_error_text(rc));
}

int net_enter(const struct net *net, enum net_end end)
{
    return net->netns && setns(net->end[end], CLONE_NEWNET) < 0 ? -errno : 0;
}

/* A device takes over this setting of its namespace when it is made. */
static int steer(const struct net *net, enum net_end end, const char *mask)
{
    int rc = net_enter(net, end);
    return rc == 0 ? write_file("/proc/sys/net/core/rps_default_mask", mask) : rc;
}

static bool steer_both(const struct net *net, const char *const cpus[NET_ENDS])
{
    char mask[NET_ENDS][CPULIST_MASK];
    bool can = true;
    for (int i = 0; i < NET_ENDS; i++) {
        struct cpulist list;
        can &= cpulist_parse(cpus[i], &list) && cpulist_count(&list) > 0;
        cpulist_mask(&list, mask[i]);
    }
    for (int i = 0; i < NET_ENDS && can; i++)
        can = steer(net, (enum net_end)i, mask[i]) == 0;
    for (int i = 0; i < NET_ENDS && !can; i++)
        (void)steer(net, (enum net_end)i, "0");
    return can;
}

static int prepare_device(const struct net *net, enum net_end end)
{
    int rc = net_enter(net, end);
    if (rc == 0)
        rc = with_device(DEVICE, set_address, addresses[end]);
    return rc == 0 ? with_device(DEVICE, bring_up, NULL) : rc;
}

int net_join(struct net *net, const char *server_cpus, const char *client_cpus, char *why,
             size_t cap)
{
    if (!net->netns)
        return 0;
    net->steered = steer_both(net, (const char *const[]){server_cpus, client_cpus});
    int rc = net_enter(net, NET_CLIENT);
    if (rc == 0)
        rc = make_pair(net->end[NET_SERVER]);
    if (rc < 0)
        return cannot(rc, why, cap,
                      "no pair of virtual devices can be made here (%s); this needs the module "
                      "veth: modprobe veth, as root",
                      plx_error_text(rc));
    for (int i = 0; rc == 0 && i < NET_ENDS; i++)
        rc = prepare_device(net, (enum net_end)i);
    for (int i = 0; rc == 0 && i < NET_ENDS; i++) { /* the client's end comes last */
        rc = net_enter(net, (enum net_end)i);
        if (rc == 0)
            rc = with_device(DEVICE, await_running, NULL);
    }
    if (rc == 0)
        return 0;
    return cannot(rc, why, cap, "the virtual devices do not work here (%s); leave it out",
                  plx_error_text(rc));
}

void net_close(struct net *net)
{
    if (net->before >= 0 && net->netns)
        (void)setns(net->before, CLONE_NEWNET);
    for (int i = 0; i < NET_ENDS; i++) {
        if (net->end[i] >= 0)
            close(net->end[i]);
        net->end[i] = -1;
    }
    if (net->before >= 0)
        close(net->before);
    net->before = -1;
}
