/* SPDX-License-Identifier: MIT */
/*
 * As much of the BSDs' <sys/event.h> as src/selector/kqueue.c needs, with FreeBSD's types, so that
 * the file is compiled (never linked) where there is no kqueue.
 */
#ifndef POLLUX_STUB_SYS_EVENT_H
#define POLLUX_STUB_SYS_EVENT_H

#include <stdint.h>
#include <time.h>

#define EVFILT_READ  (-1)
#define EVFILT_WRITE (-2)

#define EV_ADD    0x0001
#define EV_DELETE 0x0002
#define EV_ERROR  0x4000
#define EV_EOF    0x8000

struct kevent {
    uintptr_t ident;
    short filter;
    unsigned short flags;
    unsigned int fflags;
    int64_t data;
    void *udata;
    uint64_t ext[4];
};

#define EV_SET(kev, id, filt, fl, ff, d, u)                                                        \
    (*(kev) = (struct kevent){.ident = (id),                                                       \
                              .filter = (short)(filt),                                             \
                              .flags = (unsigned short)(fl),                                       \
                              .fflags = (ff),                                                      \
                              .data = (d),                                                         \
                              .udata = (u)})

int kqueue(void);
int kevent(int kq, const struct kevent *changes, int nchanges, struct kevent *events, int nevents,
           const struct timespec *timeout);

#endif
