#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The library's counters of system calls beside the kernel's own view of them: a server under
# strace(1), which counts what really enters the kernel.
# shellcheck source=tests/cli/bench.bash
. "$(dirname "$0")/bench.bash"

command -v strace >/dev/null || { echo "skipped: strace is not installed"; exit 77; }
strace -o /dev/null true 2>/dev/null || { echo "skipped: strace may not trace here"; exit 77; }
sanitized && { echo "skipped: a sanitizer makes system calls of its own"; exit 77; }

# traced CALL...: how often strace saw these calls.
traced()
{
    awk -v names=" $* " 'index(names, " " $NF " ") { n += $4 } END { print n + 0 }' trace.out
}

check()
{
    local what=$1 want=$2 got=$3
    # Some are not of the loops that serve: the probe of the model, the main thread's wait for a
    # signal, what falls between the last line of counters and the end.
    [ $((want > got ? want - got : got - want)) -le 12 ] || fail "$model: $what: counted $got, strace saw $want"
}

for model in threads select poll epoll epoll-et; do
    : >ready.out
    strace -f -c -o trace.out "$pollux" serve --model $model --stats 24h >ready.out 2>server.err </dev/null &
    tracer=$!
    await ready.out "serve under strace"
    address=$(sed -n '1s/^pollux: listening on \([^ ]*\) .*/\1/p' ready.out)
    pid=$(sed -n '1s/.* pid=\([0-9]*\).*/\1/p' ready.out)
    bench 0 -c 8 -n 2000 "$address"
    holds "$model" 'W["answered"] == 2000'
    kill -TERM "$pid"
    wait $tracer || fail "$model: strace: exit $?: $(cat server.err)"
    for field in calls_recv calls_send calls_wait; do
        printf -v "$field" '%s' "$("$python" -c 'import json, sys; print(json.loads(open("ready.out").readlines()[-1])[sys.argv[1]])' $field)"
    done
    # shellcheck disable=SC2154
    check "receives" "$(traced recvfrom recvmsg)" "$calls_recv"
    # shellcheck disable=SC2154
    check "sends" "$(traced sendto sendmsg)" "$calls_send"
    # shellcheck disable=SC2154
    [ $model = threads ] || check "waits" "$(traced select pselect6 poll ppoll epoll_wait epoll_pwait epoll_pwait2)" "$calls_wait"
done

# What each worker accepted is there too, and all of it adds up.
: >ready.out # of the last one above
"$pollux" serve --model poll --workers 3 --stats 24h >ready.out 2>server.err </dev/null &
server=$!
await ready.out "serve with three workers"
bench 0 -c 9 -n 90 "$(sed -n '1s/^pollux: listening on \([^ ]*\) .*/\1/p' ready.out)"
kill -TERM $server
wait $server || fail "serve with three workers: exit $?: $(cat server.err)"
"$python" - <<'END' || fail "workers: $(tail -n 1 ready.out)"
import json
line = json.loads(open("ready.out").readlines()[-1])
assert len(line["accepted_by_worker"]) == 3 and sum(line["accepted_by_worker"]) == line["accepted"] == 9
END
finish
