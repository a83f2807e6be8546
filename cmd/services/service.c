/* SPDX-License-Identifier: MIT */
/* The table of services. */
#include "cmd/services/service.h"

static const struct service services[] = {
    {&service_echo, "the same bytes"},
    {&service_upper, "ASCII upper case; each chunk that arrives is followed by the --suffix"},
    {&service_capitalize, "per line, the first letter upper case and the rest lower"},
    {&service_goodbye, "answers the first bytes with \"Server:Good Bye.\" and closes"},
    {&service_discard, "prints what each client sends, answers nothing"},
    {&service_daytime, "the date and time as text (RFC 867)"},
    {&service_time, "the time as a 32-bit number (RFC 868)"},
    {&service_chargen, "lines of characters without end (RFC 864)"},
    {&service_slow, "per line with a number, computes for so many milliseconds and repeats it"},
};

const struct service *service_at(size_t i)
{
    return i < sizeof services / sizeof *services ? &services[i] : NULL;
}

const char *service_name(size_t i)
{
    const struct service *service = service_at(i);

    return service != NULL ? service->handler->name : NULL;
}

const char *service_summary(size_t i)
{
    const struct service *service = service_at(i);

    return service != NULL ? service->summary : NULL;
}
