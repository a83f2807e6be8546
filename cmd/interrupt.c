/* SPDX-License-Identifier: MIT */
/* See interrupt.h. */
#include "cmd/interrupt.h"

#include <stddef.h>

volatile sig_atomic_t interrupted;

static void on_signal(int signo)
{
    interrupted = signo;
}

void interrupt_catch(bool once)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction act = {.sa_handler = on_signal, .sa_flags = once ? (int)SA_RESETHAND : 0};
    struct sigaction old;
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaction(signals[i], &act, NULL);
    }
}
