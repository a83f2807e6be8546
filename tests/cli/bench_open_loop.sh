#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A server that stands still for more than 200 ms of a run of 2 s. The open loop charges it for every
# message that was due meanwhile, one in ten; the closed loop sends nothing meanwhile, so that one
# message per connection is all that it can tell (coordinated omission). Both from the buckets of
# the histogram's file.
. "$(dirname "$0")/bench.bash"

rate=1000
connections=10
# A message is due within some milliseconds of the beginning of the stop, and waits for the rest.
stop_s=0.22

serve --model epoll || finish

# stopped_run NAME OPTION...: a run of 2 s with the stop in its middle; leaves NAME.hist.
stopped_run()
{
    local name=$1 client
    shift
    timeout 100 "$pollux" bench -c "$connections" -d 2s --warmup none --histogram "$name.hist" \
        --json="$name.json" "$@" "$address" >out 2>err </dev/null &
    client=$!
    started+=("$client")
    wait_until connected || fail "$name: no connection: $(cat err)"
    sleep 0.7
    kill -STOP "$server_pid"
    sleep "$stop_s"
    kill -CONT "$server_pid"
    wait "$client"
    status=$?
    expect 0 "$name"
}

connected()
{
    [ "$(find "/proc/$server_pid/fd" -lname 'socket:*' 2>/dev/null | wc -l)" -gt "$connections" ]
}

# look NAME EXPRESSION: of its histogram: n values, the largest, at(p) = percentile p in ms at least,
# over(ms) = how many values were that long for certain.
look()
{
    "$python" - "$1" "$2" <<'END'
import json, sys

h = json.load(open(sys.argv[1] + ".hist"))
assert h["unit"] == "ns"
buckets = h["buckets"]
n = sum(count for _, _, count in buckets)
assert n == h["count"]
largest = h["max"] / 1e6


def at(percent):
    rank = percent / 100 * n
    for low, high, count in buckets:
        rank -= count
        if rank <= 0:
            return low / 1e6


def over(ms):
    return sum(count for low, _, count in buckets if low / 1e6 >= ms)


print(eval("(" + sys.argv[2] + ")"))
END
}

assert()
{
    local got
    got=$(look "$1" "$2" 2>&1)
    [ "$got" = True ] || fail "$1: not so: $2: $(look "$1" '[n, largest, at(50), at(90), at(92), at(99), over(195)]' 2>&1)"
}

for arrival in constant poisson; do
    stopped_run "$arrival" --rate "$rate" --arrival "$arrival"
    assert "$arrival" 'largest >= 200'
    assert "$arrival" 'at(99) >= 150'
    assert "$arrival" 'at(92) > 1'
    # All that was due was sent and is in the figures: 2000, at random within four deviations.
    assert "$arrival" '1990 <= n <= 2010 if sys.argv[1] == "constant" else 1820 <= n <= 2180'
done

stopped_run closed
assert closed 'largest >= 200'
assert closed "0 < over(195) <= $connections"
# So many messages that ten of them are no percentile of interest: the stop cannot be seen in p99.
assert closed "n > 100 * $connections"
assert closed 'at(99) < 100'

for name in constant poisson closed; do
    echo "$name: $(look "$name" 'f"{n} messages, ms: p50 {at(50):.3f}, p90 {at(90):.3f},"
        f" p99 {at(99):.3f}, max {largest:.3f}"')"
done
stop_server "the server"
finish
