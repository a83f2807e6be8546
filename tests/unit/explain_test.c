/* SPDX-License-Identifier: MIT */
/* `pollux explain`: phases made out from events, and rows folded; the figures' shapes by hand. */
#include "cmd/explain/explain.h"
#include "cmd/explain/rows.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define US 1000

/* A message of 64 bytes that arrives at 30 ms. */
#define SENT    (30000 * (int64_t)US)
#define ARRIVED (30010 * (int64_t)US)

static void event(struct explain_run *run, enum plx_trace_kind kind, enum plx_trace_phase phase,
                  const char *name, int64_t begin_us, int64_t end_us, uint64_t conn, int64_t result)
{
    struct explain_event *e = EXPLAIN_MORE(&run->events);

    assert_non_null(e);
    *e = (struct explain_event){.number = run->events.n,
                                .kind = kind,
                                .phase = phase,
                                .name = name,
                                .begin_ns = begin_us * US,
                                .end_ns = end_us * US,
                                .spent_ns = (end_us - begin_us) * US,
                                .count = 1,
                                .conn = conn,
                                .asked = 64,
                                .result = result,
                                .fd = 5};
}

static void call(struct explain_run *run, enum plx_trace_phase phase, const char *name,
                 int64_t begin_us, int64_t end_us, uint64_t conn, int64_t result)
{
    event(run, PLX_TRACE_CALL, phase, name, begin_us, end_us, conn, result);
}

static struct explain_run begin(void)
{
    struct explain_run run = {.model = "made up", .summary = "", .runs = true};
    struct explain_message *m = EXPLAIN_MORE(&run.messages);

    assert_non_null(m);
    *m = (struct explain_message){.client = "A",
                                  .conn = 1,
                                  .act = "late",
                                  .bytes = 64,
                                  .answer = 64,
                                  .sent_ns = SENT,
                                  .arrived_ns = ARRIVED,
                                  .shown_ns = EXPLAIN_NEVER,
                                  .answered_ns = EXPLAIN_NEVER,
                                  .received_ns = EXPLAIN_NEVER};
    event(&run, PLX_TRACE_STATE, PLX_TRACE_CONTROLS, "accepted", 100, 100, 1, 0);
    return run;
}

/* What follows in every model; then the phases. */
static const struct explain_message *end(struct explain_run *run)
{
    event(run, PLX_TRACE_CALLBACK, PLX_TRACE_CONTROLS, "on_data", 30060, 30061, 1, 64);
    call(run, PLX_TRACE_COPIES, "send", 30062, 30070, 1, 64);
    run->duration_ns = 40000 * US;
    explain_phases(run);
    explain_facts(run);
    assert_int_equal(run->messages.items[0].shown_ns, 30060 * US);
    assert_int_equal(run->messages.items[0].answered_ns, 30070 * US);
    return &run->messages.items[0];
}

static void a_blocked_receive_is_split_where_the_data_arrived(void **state)
{
    (void)state;
    struct explain_run run = begin();

    call(&run, PLX_TRACE_COPIES, "recv", 110, 30050, 1, 64);
    const struct explain_message *m = end(&run);

    assert_string_equal(m->waiting.who, "process");
    assert_string_equal(m->waiting.call, "recv");
    assert_int_equal(m->waiting.begin_ns, 110 * US);
    assert_int_equal(m->waiting.end_ns, ARRIVED);
    assert_int_equal(m->copying.begin_ns, ARRIVED);
    assert_int_equal(m->copying.end_ns, 30050 * US);
    assert_true(run.facts.blocked && run.facts.synchronous);
    explain_run_free(&run);
}

static void a_wait_and_then_a_receive(void **state)
{
    (void)state;
    struct explain_run run = begin();

    call(&run, PLX_TRACE_WAITS, "epoll_wait", 50, 90, 0, 1); /* for the connection itself */
    call(&run, PLX_TRACE_WAITS, "epoll_wait", 110, 30040, 0, 1);
    call(&run, PLX_TRACE_COPIES, "recv", 30041, 30045, 1, 64);
    const struct explain_message *m = end(&run);

    assert_string_equal(m->waiting.call, "epoll_wait");
    assert_int_equal(m->waiting.begin_ns, 110 * US);
    assert_int_equal(m->waiting.end_ns, 30040 * US);
    assert_string_equal(m->copying.call, "recv");
    assert_int_equal(m->copying.begin_ns, 30041 * US);
    assert_int_equal(run.facts.small_calls, 3);
    explain_run_free(&run);
}

static void data_that_was_there_first_was_not_waited_for(void **state)
{
    (void)state;
    struct explain_run run = begin();

    run.messages.items[0].sent_ns = run.messages.items[0].arrived_ns = 20 * US;
    call(&run, PLX_TRACE_WAITS, "epoll_wait", 10, 90, 0, 1);
    call(&run, PLX_TRACE_COPIES, "recv", 30041, 30045, 1, 64);
    const struct explain_message *m = end(&run);

    assert_null(m->waiting.who);
    assert_string_equal(m->copying.who, "process");
    explain_run_free(&run);
}

static void busy_polling_blocks_nobody(void **state)
{
    (void)state;
    struct explain_run run = begin();

    call(&run, PLX_TRACE_COPIES, "recv", 110, 30039, 1, -EAGAIN);
    run.events.items[run.events.n - 1].count = 1423;
    call(&run, PLX_TRACE_WAITS, "read", 111, 30040, 0, -EAGAIN); /* of the loop's own */
    call(&run, PLX_TRACE_COPIES, "recv", 30041, 30045, 1, 64);
    const struct explain_message *m = end(&run);

    assert_string_equal(m->waiting.who, "nobody");
    assert_false(run.facts.blocked);
    assert_true(run.facts.synchronous);
    assert_non_null(strstr(run.facts.sentence, "1423"));
    explain_run_free(&run);
}

static void a_request_waits_in_the_kernel(void **state)
{
    (void)state;
    struct explain_run run = begin();

    event(&run, PLX_TRACE_SUBMITTED, PLX_TRACE_CONTROLS, "recv", 110, 110, 1, 0);
    call(&run, PLX_TRACE_WAITS, "io_uring_enter", 111, 30040, 0, 1);
    event(&run, PLX_TRACE_COMPLETED, PLX_TRACE_CONTROLS, "recv", 30041, 30041, 1, 64);
    const struct explain_message *m = end(&run);

    assert_string_equal(m->waiting.who, "kernel");
    assert_int_equal(m->waiting.begin_ns, 110 * US);
    assert_string_equal(m->copying.who, "kernel");
    assert_false(run.facts.synchronous);
    explain_run_free(&run);
}

static void what_repeats_is_folded_but_not_a_long_wait(void **state)
{
    (void)state;
    struct explain_run run = begin();
    struct explain_rows rows;
    size_t repeats = 0;
    size_t returns = 0;

    for (int64_t i = 0; i < 10; i++) {
        call(&run, PLX_TRACE_COPIES, "recv", 110 + 20 * i, 112 + 20 * i, 1, 64);
        call(&run, PLX_TRACE_COPIES, "send", 115 + 20 * i, 116 + 20 * i, 1, 64);
    }
    call(&run, PLX_TRACE_COPIES, "recv", 400, 9000, 1, 64);
    assert_int_equal(explain_rows(&run, &rows), 0);
    for (size_t i = 0; i < rows.n; i++) {
        repeats += rows.items[i].kind == EXPLAIN_ROW_REPEAT;
        returns += rows.items[i].kind == EXPLAIN_ROW_RETURN;
        if (rows.items[i].kind == EXPLAIN_ROW_REPEAT) {
            assert_int_equal(rows.items[i].times, 9);
            assert_int_equal(rows.items[i].cycle, 2);
            assert_int_equal(rows.items[i].bytes, 9 * 64);
        }
    }
    assert_int_equal(repeats, 1);
    assert_int_equal(returns, 1);
    free(rows.items);
    explain_run_free(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_blocked_receive_is_split_where_the_data_arrived),
        cmocka_unit_test(a_wait_and_then_a_receive),
        cmocka_unit_test(data_that_was_there_first_was_not_waited_for),
        cmocka_unit_test(busy_polling_blocks_nobody),
        cmocka_unit_test(a_request_waits_in_the_kernel),
        cmocka_unit_test(what_repeats_is_folded_but_not_a_long_wait),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
