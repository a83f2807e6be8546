/* SPDX-License-Identifier: MIT */
/*
 * The clock, what is due, and the tasks: coroutines of ucontext(3), of which one runs at a time.
 * Only a task that waits gives way, so that nothing of the library needs to know.
 */
#include "sim.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

/* The sanitizers must be told of a change of stacks. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#if __has_feature(thread_sanitizer)
#define __SANITIZE_THREAD__ 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

#define TASKS 8
#define STACK ((size_t)256 << 10)
/* Of the library, in one run: many times what any scenario needs. */
#define CALLS_MOST 20000000u

struct place { /* where one left off */
    ucontext_t context;
    void *fake; /* the sanitizer's */
    void *fiber;
    const void *bottom;
    size_t size;
};

struct task {
    char name[16];
    void (*fn)(void *);
    void *arg;
    char *stack;
    struct place place;
    bool ended;
    int (*look)(void *);
    void *look_arg;
    int64_t until;
    struct sim_account account;
};

struct event {
    int64_t at;
    uint64_t number;
    enum event_kind kind;
    struct sim_end *end;
};

static struct {
    int64_t now;
    struct task tasks[TASKS];
    int ntasks, current; /* -1: nobody */
    struct place home;
    struct event *heap;
    size_t n, room;
    uint64_t number, calls;
    const char *wrong;
    struct sim_account nobody;
} run;

static char *stacks[TASKS];

/* ---- due things: a binary heap by time, then in the order they were asked for ---- */

static bool before(const struct event *a, const struct event *b)
{
    return a->at != b->at ? a->at < b->at : a->number < b->number;
}

void sim_later(int64_t delay, enum event_kind kind, struct sim_end *end)
{
    struct event ev = {run.now + delay, run.number++, kind, end};
    if (run.n == run.room) {
        run.room = run.room ? run.room * 2 : 256;
        run.heap = realloc(run.heap, run.room * sizeof(*run.heap));
        if (!run.heap)
            abort();
    }
    size_t i = run.n++;
    for (; i && before(&ev, &run.heap[(i - 1) / 2]); i = (i - 1) / 2)
        run.heap[i] = run.heap[(i - 1) / 2];
    run.heap[i] = ev;
}

static struct event take_first(void)
{
    struct event first = run.heap[0], last = run.heap[--run.n];
    size_t i = 0;
    for (;;) {
        size_t kid = 2 * i + 1;
        if (kid >= run.n)
            break;
        if (kid + 1 < run.n && before(&run.heap[kid + 1], &run.heap[kid]))
            kid++;
        if (!before(&run.heap[kid], &last))
            break;
        run.heap[i] = run.heap[kid];
        i = kid;
    }
    run.heap[i] = last;
    return first;
}

static void do_due(void)
{
    while (run.n && run.heap[0].at <= run.now) {
        struct event ev = take_first();
        net_event(ev.kind, ev.end);
    }
}

void sim_step(void)
{
    run.calls++;
    run.now += (int64_t)below(&sim.dice, 2000);
    do_due();
}

/* Only where the library holds no lock: another task may want it. */
void sim_step_or_stop(void)
{
    const struct sim_weather *w = &sim.weather;
    sim_step();
    if (run.current < 0 || (w->away_first && run.current > 0) || !once_in(&sim.dice, w->away_in))
        return;
    int64_t ns = between(&sim.dice, 0, w->away_ns);
    sim_note("is stopped for %lld", (long long)ns);
    sim_sleep(ns);
}

int64_t sim_now(void)
{
    return run.now;
}

/* ---- the transcript ---- */

/* The text itself is hashed only where somebody wants to read it; a line costs more than a call. */
void sim_note(const char *fmt, ...)
{
    char line[160];
    uint64_t h = sim.fingerprint ^ (uint64_t)run.now;
    for (const char *p = fmt; *p && *p != ' '; p++)
        h = (h ^ (unsigned char)*p) * 1099511628211u;
    sim.fingerprint = h * 1099511628211u ^ sim.dice.x;
    if (!sim.transcript)
        return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    fprintf(sim.transcript, "%lld.%09lld %s %s\n", (long long)(run.now / PLX_SECOND),
            (long long)(run.now % PLX_SECOND), sim_task_name(), line);
}

/* ---- tasks ---- */

const char *sim_task_name(void)
{
    return run.current < 0 ? "-" : run.tasks[run.current].name;
}

struct sim_account *sim_account(void)
{
    return run.current < 0 ? &run.nobody : &run.tasks[run.current].account;
}

static void leave(struct place *from, struct place *to, bool for_good)
{
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(for_good ? NULL : &from->fake, to->bottom, to->size);
#endif
#if defined(__SANITIZE_THREAD__)
    __tsan_switch_to_fiber(to->fiber, 0);
#endif
    if (for_good)
        setcontext(&to->context);
    swapcontext(&from->context, &to->context);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(from->fake, NULL, NULL);
#endif
}

static void task_main(void)
{
    struct task *t = &run.tasks[run.current];
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(NULL, &run.home.bottom, &run.home.size);
#endif
    t->fn(t->arg);
    t->ended = true;
    sim_note("ends");
    leave(&t->place, &run.home, true);
}

struct sim_account *sim_task(const char *name, void (*fn)(void *), void *arg)
{
    if (run.ntasks == TASKS)
        abort();
    int i = run.ntasks++;
    struct task *t = &run.tasks[i];
    *t = (struct task){.fn = fn, .arg = arg, .until = run.now};
    snprintf(t->name, sizeof(t->name), "%s", name);
    if (!stacks[i])
        stacks[i] = mmap(NULL, STACK, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (stacks[i] == MAP_FAILED || getcontext(&t->place.context) != 0)
        abort();
    t->place.bottom = stacks[i];
    t->place.size = STACK;
    t->place.context.uc_stack.ss_sp = stacks[i];
    t->place.context.uc_stack.ss_size = STACK;
    makecontext(&t->place.context, task_main, 0);
#if defined(__SANITIZE_THREAD__)
    t->place.fiber = __tsan_create_fiber(0);
#endif
    return &t->account;
}

int sim_await(int (*look)(void *), void *arg, int64_t until)
{
    for (;;) {
        int n = look ? look(arg) : 0;
        if (n != 0 || run.now >= until)
            return n;
        if (run.current < 0) {
            fprintf(stderr, "sim: a wait outside of any task\n");
            abort();
        }
        struct task *t = &run.tasks[run.current];
        t->look = look;
        t->look_arg = arg;
        t->until = until;
        leave(&t->place, &run.home, false);
    }
}

void sim_sleep(int64_t ns)
{
    (void)sim_await(NULL, NULL, run.now + ns);
}

/* One of those who could go on, by chance; -1 = all wait. */
static int choose(void)
{
    int able[TASKS], n = 0;
    for (int i = 0; i < run.ntasks; i++) {
        struct task *t = &run.tasks[i];
        if (!t->ended && (t->until <= run.now || (t->look && t->look(t->look_arg) != 0)))
            able[n++] = i;
    }
    return n ? able[below(&sim.dice, (uint64_t)n)] : -1;
}

/* To the next due thing; false: there is none. */
static bool jump(void)
{
    int64_t at = run.n ? run.heap[0].at : INT64_MAX;
    for (int i = 0; i < run.ntasks; i++) {
        if (!run.tasks[i].ended && run.tasks[i].until < at)
            at = run.tasks[i].until;
    }
    if (at == INT64_MAX)
        return false;
    if (at > run.now)
        run.now = at;
    do_due();
    return true;
}

static bool all_ended(void)
{
    for (int i = 0; i < run.ntasks; i++) {
        if (!run.tasks[i].ended)
            return false;
    }
    return true;
}

const char *sim_run(void)
{
#if defined(__SANITIZE_THREAD__)
    run.home.fiber = __tsan_get_current_fiber();
#endif
    while (!all_ended()) {
        int i = choose();
        if (i < 0) {
            if (!jump())
                return "everybody waits, and nothing is due";
            continue;
        }
        if (run.calls > CALLS_MOST)
            return "no end in sight: too many calls";
        run.current = i;
        leave(&run.home, &run.tasks[i].place, false);
        run.current = -1;
#if defined(__SANITIZE_THREAD__)
        if (run.tasks[i].ended)
            __tsan_destroy_fiber(run.tasks[i].place.fiber);
#endif
    }
    return NULL;
}

/* ---- a run ---- */

void sim_begin(uint64_t seed, const struct sim_weather *weather, FILE *transcript)
{
    memset(&sim, 0, sizeof(sim));
    memset(&run, 0, sizeof(run));
    sim.dice.x = seed;
    sim.weather = *weather;
    sim.transcript = transcript;
    run.now = SECONDS(1000);
    run.current = -1;
    net_begin();
    plx__seam_set(&sim_calls);
}

void sim_end(void)
{
    plx__seam_set(NULL);
    net_end();
    free(run.heap);
    run.heap = NULL;
}

struct dice *sim_dice(void)
{
    return &sim.dice;
}

int sim_open_descriptors(void)
{
    return sim.open;
}

uint64_t sim_fingerprint(void)
{
    return sim.fingerprint;
}
