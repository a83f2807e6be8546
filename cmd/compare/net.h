/* SPDX-License-Identifier: MIT */
/*
 * The network between server and client: the loopback device, or two network namespaces of this
 * machine that are joined by a pair of virtual Ethernet devices (network_namespaces(7), veth(4)).
 *
 * Over loopback one call of the sender goes down its own stack and up the receiver's, so each side
 * pays for work of the other. So it is over a bare pair of veth. In two namespaces, though, the
 * kernel can be told on which CPUs each end receives (receive packet steering, Documentation/
 * networking/scaling.rst in Linux), as a card's interrupts decide it on two hosts.
 *
 * Namespaces belong to a thread and are handed down to the threads and processes that it starts.
 * All calls are made by one thread. The kernel frees a namespace, and the devices in it, with its
 * last user: nothing stays behind, however the process ends.
 */
#ifndef POLLUX_CMD_COMPARE_NET_H
#define POLLUX_CMD_COMPARE_NET_H

#include <stdbool.h>
#include <stddef.h>

enum net_end { NET_SERVER, NET_CLIENT, NET_ENDS };

struct net {
    bool netns;   /* false = loopback: then the calls below do nothing, successfully */
    bool steered; /* each end receives on its own CPUs */
    int before;   /* the namespace that the thread was in */
    int end[NET_ENDS];
};

/*
 * With `netns`: makes both namespaces, with their loopback devices up and with those settings of
 * this one (sysctl) that the machine's fingerprint has, as far as they can be written; the thread
 * is then in the client's. Who may not make namespaces (CAP_SYS_ADMIN) gets them by a user
 * namespace, in which all users and groups but its own are unknown; only a process of one thread
 * can do that. 0, or -errno with one line in `why`, and the thread is where it was.
 */
int net_open(struct net *, bool netns, char *why, size_t cap);

/*
 * Joins the two: from now on net_address() can be reached from the client's end. Each end receives
 * on its own CPUs ("0-1") if both are named and the kernel can do that (Linux 6.3); see `steered`.
 * Likewise 0, or -errno with one line in `why`.
 */
int net_join(struct net *, const char *server_cpus, const char *client_cpus, char *why, size_t cap);

/* Takes the thread to one end. 0 or -errno. */
int net_enter(const struct net *, enum net_end);

/* Where a server listens, without a port. Static. */
const char *net_address(const struct net *);

/* Takes the thread back to where it was, except from a user namespace, which has no way back.
 * Harmless after a failure, and twice. */
void net_close(struct net *);

/* The kind by number, as it is typed and as the document has it: "lo", "netns"; NULL past the
 * end. */
const char *net_kind(size_t i);

#endif
