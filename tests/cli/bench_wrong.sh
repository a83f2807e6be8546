#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Servers that answer wrongly, stop answering or go: the exit status, one line that says what
# happened first and on which connection, and what was measured is reported all the same. The
# server says to whom it did what, so that the diagnosis is compared and not only its presence.
. "$(dirname "$0")/bench.bash"

# wrong STATUS KIND WHAT OPTION...: a run against the server that was started; the failures must be
# of that kind, and it ends the server. `-` is any kind.
wrong()
{
    local want=$1 kind=$2 what=$3 verdict
    shift 3
    bench "$want" --timeout 1s "$@" "$address"
    [ "$(wc -l <err)" -eq 1 ] || fail "$what: not one line: $(cat err)"
    grep -q '^pollux bench: ' err || fail "$what: $(cat err)"
    [ -s out ] || fail "$what: no summary"
    verdict=failed
    [ "$want" -ne 3 ] || verdict=invalid
    holds "$what" "d['verdict'] == '$verdict'"
    [ "$kind" = - ] || holds "$what" "R['errors']['$kind']['count'] > 0"
    kill -KILL "$server_pid" 2>/dev/null
    wait "$server_pid" 2>/dev/null
    server_pid=
}

# named WHAT SLACK: the line names the connection and the offset that the server did it to. An
# offset may be late by SLACK bytes: a missing byte is first seen where the next one differs.
named()
{
    "$python" - "$2" <<'END' || fail "$1: $(cat err other.err)"
import re, sys
said = re.search(r"connection (\d+), offset (\d+)", open("err").read())
did = [
    (int(head, 16), int(offset))
    for head, offset in re.findall(r"head='([0-9A-F]{8})' offset=(\d+)", open("other.err").read())
]
number, offset = int(said[1]), int(said[2])
if not any(n == number and at <= offset <= at + int(sys.argv[1]) for n, at in did):
    sys.exit(f"said connection {number}, offset {offset}; did {did}")
END
}

# ---- one byte in a million ----

for options in "-c 1" "-c 7" "-c 7 -P 32" "-c 4 -t 2 -s 3000" "-c 2 -s 100k --mode stream" \
    "-c 3 --size-mix 64:1,2k:1" "-c 5 --active 2 --rate 2000 -s 1k"; do
    other_server corrupt --every 1000000
    # shellcheck disable=SC2086
    wrong 3 mismatch "corrupt $options" $options -n 200000
    named "corrupt $options" 0
    holds "corrupt $options" 'W["answered"] > 0'
done
other_server corrupt --every 5000
wrong 3 mismatch "corrupt, short connections" --mode connect --messages-per-connection 5 -c 3 -n 3000
named "corrupt, short connections" 0

# ---- a byte too few, too many, another's ----

# Ping-pong: the rest of the answer never comes. With more under way, or more to come, the next
# answer's bytes stand in its place.
for options in "-c 1" "-c 5" "-c 5 -P 8" "-c 2 -s 10k --mode stream"; do
    for end in "" --close; do
        other_server short --at 100010 --connection 0 $end
        # shellcheck disable=SC2086
        wrong 3 mismatch "short $end, $options" $options -n 100000
        named "short $end, $options" 10000
        other_server long --at 64000 --connection 0
        # shellcheck disable=SC2086
        wrong 3 mismatch "long, $options" $options -n 100000
        named "long, $options" 10000
    done
done
other_server swap --at 6400
wrong 3 mismatch "swapped" -c 2 -n 100000
grep -Eq 'connection [12], offset (6[0-9]{3}|[0-9]{5,}):' err || fail "swapped: $(cat err)"

# ---- no answer, no connection ----

other_server silent --at 6400
wrong 1 timeout "silent" -c 1 -n 100000
grep -q 'connection 1: nothing for 1 s' err || fail "silent: $(cat err)"
holds "silent" 'W["answered"] == 100'

other_server silent --at 0
wrong 1 timeout "silent from the beginning" -c 1 -n 100
holds "silent from the beginning" 'W["answered"] == 0 and W["sent"] == 1'

# The others go on when one is lost.
for mode in reset close; do
    other_server "$mode" --at 6400 --connection 1
    wrong 1 read "$mode" -c 4 -n 4000
    grep -Eq 'connection [1-4]: .*1 answer' err || fail "$mode: $(cat err)"
    holds "$mode" 'W["connections_opened"] == 4 and W["connections_lost"] == 1'
    holds "$mode" 'W["answered"] >= 3900'
    holds "$mode" 'R["errors"]["read"]["count"] == 1'

    # In the midst of an answer it is too short.
    other_server "$mode" --at 6410
    wrong 3 mismatch "$mode within an answer" -c 1 -n 4000
    named "$mode within an answer" 0
done

other_server refuse
wrong 1 - "reset at once" -c 3 -n 100

# Nobody listens there: a port that was free a moment ago.
address=$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0))
print("127.0.0.1:%d" % s.getsockname()[1])')
bench 1 -c 3 -n 100 "$address"
grep -q '^pollux bench: .*[Rr]efused' err || fail "refused: $(cat err)"
[ "$(wc -l <err)" -eq 1 ] || fail "refused: not one line: $(cat err)"
bench 1 -c 3 -d 1s --rate 100 "$address"
bench 1 -c 3 -n 100 --mode connect "$address"
bench 1 -c 3 -n 100 unix:"$work/nobody"

# A server whose queue is full does not answer at all.
peer full
bench 1 -c 2 -n 100 --timeout 500ms "$address"
grep -q '^pollux bench: ' err || fail "full: $(cat err)"
end_peer

# ---- the server dies, the user stops it ----

for options in "-n 1000000" "-d 60s" "-P 8 -n 1000000" "-d 60s --rate 1000" \
    "-d 60s --mode connect"; do
    other_server die --after 2000
    [[ "$options" != -d* ]] || options+=" --warmup none"
    # shellcheck disable=SC2086
    wrong 1 - "dies, $options" -c 4 $options
    holds "dies, $options" '1900 <= W["answered"] <= 2100' 'R["messages_per_second"] > 0' \
        'R["latency_ns"]["p99"] > 0'
done
# Before anything was measured.
other_server die --after 100
wrong 1 - "dies during the warm-up" -c 4 -d 60s --warmup 60s
holds "dies during the warm-up" '90 <= W["answered"] <= 200' 'R["messages"] == 0' \
    'R["messages_per_second"] is None'

# A server that does not accept: its queue takes a few, and the others get no answer at all. Each of
# them would wait for its timeout in vain; a whole batch of them is enough.
: >ready.out
"$python" -c 'import socket, time
s = socket.socket()
s.bind(("127.0.0.1", 0))
s.listen(1)
print("listening on 127.0.0.1:%d" % s.getsockname()[1], flush=True)
time.sleep(600)' >ready.out &
server_pid=$!
await ready.out "a server that does not accept"
address=$(sed -n '1s/^listening on //p' ready.out)
SECONDS=0
wrong 1 connect "a full queue" -c 5000 -n 5000
[ $SECONDS -lt 40 ] || fail "a full queue: it took $SECONDS s"

for signal in INT TERM; do
    serve --model epoll
    rm -f result.json
    "$python" -c 'import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])' "$pollux" bench -c 4 -d 60s --warmup none --json=result.json \
        --histogram h "$address" >out 2>err &
    client=$!
    started+=("$client")
    wait_until sh -c "[ \$(ls /proc/$server_pid/fd | wc -l) -gt 8 ]"
    sleep 0.5
    kill "-$signal" "$client"
    wait "$client"
    status=$?
    expect $((128 + $(kill -l "$signal"))) "SIG$signal"
    [ "$(wc -l <err)" -eq 1 ] || fail "SIG$signal: not one line: $(cat err)"
    grep -q '^pollux bench: interrupted' err || fail "SIG$signal: $(cat err)"
    [ -s out ] || fail "SIG$signal: no summary"
    holds "SIG$signal" 'd["verdict"] == "interrupted"'
    holds "SIG$signal" 'W["answered"] == W["verified"] == W["sent"] > 0'
    holds "SIG$signal" '0 < R["measured_ns"] < 50e9'
    "$python" -c 'import json; assert json.load(open("h"))["count"] > 0' || fail "SIG$signal: no histogram"
    stop_server "the server"
done

finish
