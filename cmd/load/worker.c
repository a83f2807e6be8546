/* SPDX-License-Identifier: MIT */
/*
 * A generator thread: who connects when, who sends when, and when it is over. See worker.h.
 */
#include "cmd/load/worker.h"

#include "cmd/measure/sysfile.h"
#include "cmd/random.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

/* Connections of a thread that are being established at once: more than a short backlog holds would
 * only make the kernel drop and repeat their first packets. */
#define CONNECTING_MOST 64
/* Messages that one timer sends before the loop looks at the sockets again. */
#define SEND_BATCH 256
/* A message that has to wait for room looks again after so long. */
#define SEND_AGAIN PLX_MSEC
/* The last stretch before a message is due is spent turning the loop without waiting: to be woken
 * by a timer takes some ten microseconds, on a virtual machine more, and would be charged to the
 * server. */
#define SPIN_NS 60000
/* A turn that takes longer than this while it spins has had something to do. */
#define SPIN_TURN 10000
/* How long connections have to end by both sides. */
#define FINISH_NS (3 * PLX_SECOND)

static enum worker_state state_of(const struct worker *w)
{
    return (enum worker_state)atomic_load_explicit(&w->state, memory_order_relaxed);
}

static void set_state(struct worker *w, enum worker_state to)
{
    pthread_mutex_lock(&w->load->lock); /* publishes the marks, too */
    atomic_store(&w->state, to);
    pthread_cond_signal(&w->load->changed);
    pthread_mutex_unlock(&w->load->lock);
}

/* Second figure of schedstat: sched-stats.rst in the kernel's documentation. */
static int64_t waited_for_cpu(void)
{
    char text[80];
    long long ran, waited = 0;
    if (sysfile_read(text, sizeof(text), "/proc/thread-self/schedstat") <= 0 ||
        sscanf(text, "%lld %lld", &ran, &waited) != 2)
        return 0;
    return waited;
}

static void make_mark(struct worker *w, int which)
{
    struct mark *m = &w->mark[which];
    struct rusage use;
    if (m->made || (which == 1 && !w->mark[0].made))
        return;
    getrusage(RUSAGE_THREAD, &use);
    *m = (struct mark){
        .at_ns = clock_ns(),
        .user_ns = (int64_t)use.ru_utime.tv_sec * PLX_SECOND + use.ru_utime.tv_usec * 1000,
        .system_ns = (int64_t)use.ru_stime.tv_sec * PLX_SECOND + use.ru_stime.tv_usec * 1000,
        .answered = counted(&w->counters.answered),
        .bytes_in = counted(&w->counters.bytes_received),
        .bytes_out = counted(&w->counters.bytes_sent),
        .opened = counted(&w->counters.opened),
        .spun_ns = w->spun_ns,
        .starved_ns = waited_for_cpu(),
        .made = true,
    };
}

static void after(struct worker *w, int64_t at, void (*fn)(void *), struct plx_timer **out)
{
    int64_t rest = at - clock_ns();
    (void)plx_timer_start(w->loop, rest > 0 ? rest : 0, 0, fn, w, out);
}

/* ---- when it is over ---- */

bool worker_may_send(const struct worker *w)
{
    return state_of(w) == WORKER_RUNNING && w->quota > 0;
}

void worker_check(struct worker *w)
{
    enum worker_state s = state_of(w);
    if (s == WORKER_CONNECTING) {
        if (w->nwaiting == 0 && counted(&w->counters.connecting) == 0)
            set_state(w, WORKER_READY);
        return;
    }
    if (s == WORKER_RUNNING && (w->quota == 0 || w->alive == 0))
        set_state(w, s = WORKER_DRAINING);
    if (s == WORKER_DRAINING && w->under_way == 0) {
        make_mark(w, 1);
        set_state(w, WORKER_DONE);
    }
}

void worker_give_up(struct worker *w, struct client *c)
{
    if (c->given_up)
        return;
    c->given_up = true;
    if (c->active)
        w->alive--;
}

static void drain_over(void *arg)
{
    struct worker *w = arg;
    if (w->finishing)
        return;
    for (size_t i = 0; i < w->nactive; i++)
        client_unanswered(&w->client[i]);
    worker_check(w);
}

static void drain(struct worker *w)
{
    if (state_of(w) != WORKER_RUNNING)
        return;
    set_state(w, WORKER_DRAINING);
    after(w, clock_ns() + w->load->cfg->timeout_ns, drain_over, NULL);
    worker_check(w);
}

/* ---- connecting ---- */

void worker_connect(struct worker *w, struct client *c)
{
    w->waiting[(w->waiting_from + w->nwaiting++) % w->nclients] = c;
}

static void connect_later(void *arg)
{
    struct worker *w = arg;
    w->connect_timer = NULL;
    worker_pump(w);
}

/* Nobody has ever answered, or none of as many as are under way at once does any more (a server
 * that does not accept, whose queue is full): no need to hear it from each of the others. */
static bool hopeless(const struct worker *w)
{
    if (state_of(w) == WORKER_CONNECTING && w->refused >= CONNECTING_MOST)
        return true;
    return counted(&w->counters.opened) == 0 && counted(&w->counters.errors) > 0;
}

static void begin_next(struct worker *w)
{
    struct client *c = w->waiting[w->waiting_from];
    w->waiting_from = (w->waiting_from + 1) % w->nclients;
    w->nwaiting--;
    if (w->finishing || hopeless(w) ||
        (w->load->cfg->mode == LOAD_CONNECT && c->active && !worker_may_send(w)))
        worker_give_up(w, c);
    else
        client_connect(c);
}

void worker_pump(struct worker *w)
{
    const struct load_config *cfg = w->load->cfg;
    if (w->pumping) /* a connection that is established, or fails, within plx_connect() */
        return;
    w->pumping = true;
    while (w->nwaiting > 0 && counted(&w->counters.connecting) < CONNECTING_MOST &&
           !w->connect_timer) {
        int64_t now = clock_ns();
        if (cfg->connect_rate > 0 && now < w->next_connect_ns) {
            after(w, w->next_connect_ns, connect_later, &w->connect_timer);
            break;
        }
        /* Behind its plan it does not catch up with a burst: that is what the rate is to prevent.
         */
        if (cfg->connect_rate > 0)
            w->next_connect_ns = now + (int64_t)(1e9 * cfg->threads / cfg->connect_rate);
        begin_next(w);
    }
    w->pumping = false;
    worker_check(w);
}

/* ---- the open loop: a heap of clients by the time of their next message ---- */

static void sift_down(struct worker *w, size_t i, struct client *c)
{
    for (;;) {
        size_t kid = 2 * i + 1;
        if (kid >= w->nheap)
            break;
        if (kid + 1 < w->nheap && w->heap[kid + 1]->key_ns < w->heap[kid]->key_ns)
            kid++;
        if (w->heap[kid]->key_ns >= c->key_ns)
            break;
        w->heap[i] = w->heap[kid];
        i = kid;
    }
    w->heap[i] = c;
}

/* The first one's key has changed, or (NULL) it leaves. */
static void heap_settle(struct worker *w, struct client *c)
{
    if (!c)
        c = w->heap[--w->nheap];
    if (w->nheap > 0)
        sift_down(w, 0, c);
}

static void heap_fill(struct worker *w)
{
    for (size_t i = 0; i < w->nactive; i++) {
        if (w->client[i].conn && !w->client[i].failed)
            w->heap[w->nheap++] = &w->client[i];
    }
    for (size_t i = w->nheap / 2; i-- > 0;)
        sift_down(w, i, w->heap[i]);
}

static void send_due(void *arg);

/* The next call of send_due(): shortly before the next message is due, or at once to spin. */
static void send_later(struct worker *w, int64_t now)
{
    int64_t due = w->heap[0]->key_ns;
    w->spun_from = w->spins && due - now <= SPIN_NS ? now : 0;
    after(w, w->spun_from ? now : w->spins ? due - SPIN_NS : due, send_due, &w->send_timer);
}

static void send_due(void *arg)
{
    struct worker *w = arg;
    int64_t now = clock_ns();
    w->send_timer = NULL;
    if (w->spun_from && now - w->spun_from < SPIN_TURN)
        w->spun_ns += now - w->spun_from;
    for (int i = 0; i < SEND_BATCH && w->nheap > 0 && worker_may_send(w); i++) {
        struct client *c = w->heap[0];
        if (!c->conn || c->failed || arrivals_due(&c->out) >= w->stop_ns) {
            heap_settle(w, NULL);
            continue;
        }
        if (c->key_ns > now)
            break;
        bool sent = exchange_send_due(c, now);
        c->key_ns = sent ? arrivals_due(&c->out) : now + SEND_AGAIN;
        heap_settle(w, c);
    }
    if (w->nheap > 0 && worker_may_send(w))
        send_later(w, now);
    else if (now < w->stop_ns && w->stop_ns != INT64_MAX)
        after(w, w->stop_ns, send_due, &w->send_timer); /* nothing is due before the end */
    else if (!w->finishing)
        drain(w);
    worker_check(w);
}

/* ---- the run ---- */

static void check_late(void *arg)
{
    struct worker *w = arg;
    int64_t now = clock_ns();
    for (size_t i = 0; i < w->nactive; i++)
        client_check_late(&w->client[i], now);
    worker_check(w);
}

static void at_measure(void *arg)
{
    make_mark(arg, 0);
}

static void at_end(void *arg)
{
    struct worker *w = arg;
    make_mark(w, 1);
    /* What was due before the end still leaves, if late: send_due() knows when that is done. */
    if (w->load->cfg->arrival == LOAD_CLOSED)
        drain(w);
    else if (!w->finishing)
        after(w, clock_ns() + w->load->cfg->timeout_ns, drain_over, NULL);
}

static void start(void *arg)
{
    struct worker *w = arg;
    const struct load *load = w->load;
    const struct load_config *cfg = load->cfg;
    set_state(w, WORKER_RUNNING);
    w->stop_ns = load->end_ns;
    if (load->measure_ns == load->begin_ns)
        make_mark(w, 0);
    else
        after(w, load->measure_ns, at_measure, NULL);
    if (load->end_ns != INT64_MAX)
        after(w, load->end_ns, at_end, NULL);
    for (size_t i = 0; i < w->nactive; i++) {
        struct client *c = &w->client[i];
        arrivals_begin(&c->out, cfg->arrival, cfg->rate > 0 ? cfg->rate : 1, c->index, cfg->active,
                       load->begin_ns, cfg->seed);
        c->in = c->out;
        c->key_ns = arrivals_due(&c->out);
        if (cfg->mode == LOAD_CONNECT)
            worker_connect(w, c);
        else if (cfg->arrival == LOAD_CLOSED && c->conn)
            exchange_fill(c, clock_ns());
    }
    worker_pump(w);
    if (cfg->arrival != LOAD_CLOSED) {
        heap_fill(w);
        send_due(w);
    }
    worker_check(w);
}

static void halt(void *arg)
{
    struct worker *w = arg;
    make_mark(w, 1);
    w->stop_ns = clock_ns();
    if (state_of(w) == WORKER_CONNECTING || state_of(w) == WORKER_READY)
        set_state(w, WORKER_DONE);
    else
        drain(w);
}

static void stop_anyway(void *arg)
{
    plx_loop_stop(((struct worker *)arg)->loop);
}

/* A timer of the last phase: nothing else tells that the last connection has ended. */
static void stop_if_closed(void *arg)
{
    struct worker *w = arg;
    if (counted(&w->counters.open) == 0 && counted(&w->counters.connecting) == 0)
        plx_loop_stop(w->loop);
}

static void finish(void *arg)
{
    struct worker *w = arg;
    w->finishing = true;
    while (w->nwaiting > 0)
        begin_next(w);
    for (size_t i = 0; i < w->nclients; i++)
        client_finish(&w->client[i]);
    after(w, clock_ns() + FINISH_NS, stop_anyway, NULL);
    (void)plx_timer_start(w->loop, 0, 2 * PLX_MSEC, stop_if_closed, w, NULL);
}

static void *thread_main(void *arg)
{
    struct worker *w = arg;
    prctl(PR_SET_NAME, "load");
    prctl(PR_SET_TIMERSLACK, 1); /* ns: what is due leaves on time */
    if (w->load->cfg->own_descriptors)
        (void)unshare(CLONE_FILES); /* without it, the limit is met as an error of connect */
    for (size_t i = 0; i < w->nclients; i++) {
        if (!w->client[i].active || w->load->cfg->mode != LOAD_CONNECT)
            worker_connect(w, &w->client[i]);
    }
    w->next_connect_ns = clock_ns();
    worker_pump(w);
    plx_loop_run(w->loop);
    /* Its descriptors end on the thread that used them. */
    plx_loop_close(w->loop);
    return NULL;
}

/* ---- from other threads ---- */

void worker_start(struct worker *w)
{
    (void)plx_loop_post(w->loop, start, w);
}

void worker_halt(struct worker *w)
{
    (void)plx_loop_post(w->loop, halt, w);
}

void worker_finish(struct worker *w)
{
    (void)plx_loop_post(w->loop, finish, w);
}

int worker_run(struct worker *w)
{
    return -pthread_create(&w->thread, NULL, thread_main, w);
}

/* ---- opening ---- */

/* Its share: of the active connections and of the idle ones each `threads`th. The active ones lie
 * spread among the numbers, and so among the server's descriptors. */
static void share(struct worker *w, const struct load_config *cfg)
{
    unsigned nactive = 0, nidle = 0;
    size_t active_at = 0, idle_at = w->nactive;
    for (uint64_t k = 0; k < cfg->connections; k++) {
        bool active =
            (k + 1) * cfg->active / cfg->connections != k * cfg->active / cfg->connections;
        unsigned nth = active ? nactive++ : nidle++;
        if (nth % cfg->threads != w->index)
            continue;
        struct client *c = &w->client[active ? active_at++ : idle_at++];
        uint64_t seed = cfg->seed ^ (k << 20);
        *c = (struct client){.worker = w, .number = k + 1, .index = nth, .active = active};
        c->random_out = c->random_in = random_next(&seed);
    }
}

static uint64_t part(uint64_t whole, unsigned parts, unsigned index)
{
    return whole / parts + (index < whole % parts);
}

/* Its share of the messages: as large as its share of the active connections. */
static uint64_t quota(const struct load_config *cfg, unsigned index)
{
    uint64_t before = 0;
    for (unsigned i = 0; i < index; i++)
        before += part(cfg->active, cfg->threads, i);
    uint64_t after = before + part(cfg->active, cfg->threads, index);
    long double each = (long double)cfg->messages / cfg->active;
    return (uint64_t)(each * (long double)after) - (uint64_t)(each * (long double)before);
}

static int allocate(struct worker *w, const struct load_config *cfg)
{
    w->client = calloc(w->nclients, sizeof(*w->client));
    w->waiting = calloc(w->nclients, sizeof(struct client *));
    w->heap = calloc(w->nactive, sizeof(struct client *));
    w->stamps = calloc(w->nactive * cfg->depth, sizeof(*w->stamps));
    w->latency = hist_open();
    w->connect = hist_open();
    w->lag = hist_open();
    return w->client && w->waiting && w->heap && w->stamps && w->latency && w->connect && w->lag
               ? 0
               : -ENOMEM;
}

static int open_loop(struct worker *w, struct plx_why *why)
{
    const struct load_config *cfg = w->load->cfg;
    const struct plx_model *epoll = plx_model_find("epoll");
    /* Below the mark all that may be under way has room; in bulk without answers it is what paces.
     */
    size_t most = w->load->largest * cfg->depth, mark = 256u << 10;
    if (cfg->expect != LOAD_NONE || cfg->mode != LOAD_STREAM)
        mark = (cfg->arrival == LOAD_CLOSED ? most : (2u << 20) + most) + 1;
    struct plx_loop_config config = {
        .model = epoll && plx_model_probe(epoll, NULL) == 0 ? "epoll" : "poll",
        .limits = {.high_water = mark,
                   .queue_cap = 2 * mark + 2 * w->load->largest,
                   .idle_ns = PLX_OFF,
                   .write_ns = PLX_OFF,
                   .connect_ns = cfg->timeout_ns},
    };
    if (cfg->expect == LOAD_NONE && cfg->mode == LOAD_STREAM)
        config.limits.write_ns = cfg->timeout_ns;
    int rc = plx_loop_open(&config, &w->loop, why);
    int64_t every = cfg->timeout_ns / 8;
    if (every > 250 * PLX_MSEC)
        every = 250 * PLX_MSEC;
    if (rc == 0)
        rc = plx_timer_start(w->loop, every, every, check_late, w, NULL);
    return rc;
}

int worker_open(struct worker *w, struct load *load, unsigned index, struct plx_why *why)
{
    const struct load_config *cfg = load->cfg;
    *w = (struct worker){.load = load, .index = index};
    w->nactive = (size_t)part(cfg->active, cfg->threads, index);
    w->nclients = w->nactive + (size_t)part(cfg->connections - cfg->active, cfg->threads, index);
    w->alive = w->nactive;
    w->quota = cfg->messages ? quota(cfg, index) : UINT64_MAX;
    w->spins = sysconf(_SC_NPROCESSORS_ONLN) > 1; /* else the server waits meanwhile */
    int rc = allocate(w, cfg);
    if (rc == 0)
        share(w, cfg);
    return rc == 0 ? open_loop(w, why) : rc;
}

void worker_close(struct worker *w)
{
    free(w->client);
    free(w->waiting);
    free(w->heap);
    free(w->stamps);
    hist_close(w->latency);
    hist_close(w->connect);
    hist_close(w->lag);
}
