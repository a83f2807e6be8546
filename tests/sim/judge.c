/* SPDX-License-Identifier: MIT */
/* What must hold when all is over, whatever the network did. */
#include "talk.h"

#include <errno.h>

static void same(struct world *w, const char *who, const char *what, uint64_t counted,
                 uint64_t happened)
{
    if (counted != happened)
        complain(w, "%s: %s: the counter says %llu, it was %llu", who, what,
                 (unsigned long long)counted, (unsigned long long)happened);
}

/* The counters of a loop against what its sockets saw. */
static void judge_counters(struct world *w, const char *who, const struct plx_stats *s,
                           const struct sim_account *a)
{
    same(w, who, "open", s->open, 0);
    same(w, who, "closed", s->closed, s->accepted + s->connected);
    same(w, who, "calls_recv", s->calls_recv, a->recv);
    same(w, who, "calls_send", s->calls_send, a->send);
    same(w, who, "calls_accept", s->calls_accept, a->accept);
    if (!w->plan->weather.descriptors) /* who has none left is closed without having been counted */
        same(w, who, "eagain", s->eagain, a->eagain);
    same(w, who, "calls_wait", s->calls_wait, a->wait);
    same(w, who, "bytes_in", s->bytes_in, a->bytes_in);
    same(w, who, "bytes_out", s->bytes_out, a->bytes_out);
    same(w, who, "accepted and refused", s->accepted + s->refused, a->accepted);
}

static bool whole(const struct link *k)
{
    if (k->got != expected(k))
        return false;
    return k->world->plan->service == SOURCE || k->s_got == k->sent ||
           k->world->plan->service == LINES;
}

static void judge_link(struct world *w, const struct link *k)
{
    if (k->closes != 1)
        complain(w, "link %u: %d calls of on_close", k->id, k->closes);
    if (k->s_opens != k->s_closes)
        complain(w, "link %u: %d calls of on_open at the server, %d of on_close", k->id, k->s_opens,
                 k->s_closes);
    if (w->plan->calm && (k->err || k->s_err || k->s_opens != 1))
        complain(w, "link %u: nothing broke, and yet it ended with %s and %s", k->id,
                 plx_error_name(k->err), plx_error_name(k->s_err));
    if (k->err || k->s_err || k->given_up || k->disturbed)
        return; /* told of, or asked for */
    if (k->opens && !k->s_opens && w->stats.refused)
        return; /* over the limit: closed at once */
    if (!whole(k))
        complain(w,
                 "link %u: %llu of %llu bytes came back (%llu sent, %llu at the server), and "
                 "nobody was told",
                 k->id, (unsigned long long)k->got, (unsigned long long)expected(k),
                 (unsigned long long)k->sent, (unsigned long long)k->s_got);
}

void judge(struct world *w)
{
    if (w->rc != 0)
        complain(w, "plx_server_run: %s", plx_error_name(w->rc));
    judge_counters(w, "server", &w->stats, w->account);
    for (unsigned i = 0; i < w->plan->loops; i++) {
        struct client *cl = &w->clients[i];
        if (cl->rc != 0)
            complain(w, "plx_loop_run: %s", plx_error_name(cl->rc));
        judge_counters(w, "client", &cl->stats, cl->account);
        if (cl->answered + cl->lost + cl->refused != w->plan->requests)
            complain(w, "pool: %u requests, %u answered, %u lost, %u refused", w->plan->requests,
                     cl->answered, cl->lost, cl->refused);
        if (w->plan->calm && cl->answered != w->plan->requests)
            complain(w, "pool: nothing broke, and yet of %u requests %u were answered",
                     w->plan->requests, cl->answered);
    }
    if (w->plan->calm && w->poked != w->plan->pokes)
        complain(w, "of %u posted functions %u ran", w->plan->pokes, w->poked);
    for (unsigned i = 0; i < w->plan->links; i++)
        judge_link(w, &w->links[i]);
    if (sim_open_descriptors())
        complain(w, "%d descriptors are left open", sim_open_descriptors());
}
