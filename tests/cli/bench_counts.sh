#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Messages sent = answered = verified = what the server says it served, and the same in bytes and
# connections, in every mode: against servers that are not ours (Python's selectors, socat) and
# against every model that runs here.
. "$(dirname "$0")/bench.bash"

# Five hundred connections a second is what a server in Python takes; under a sanitizer less.
scale=1
sanitized && scale=4

# agree WHAT CONDITION...: what must hold of any run that went well, and more.
agree()
{
    local what=$1
    shift
    holds "$what" 'd["verdict"] == "ok"' \
        'R["errors"]["total"] == 0' \
        'W["sent"] == W["answered"] == W["verified"] > 0' \
        'W["bytes_sent"] == W["bytes_received"] > 0' \
        'W["connections_lost"] == 0' "$@"
}

# against_python SIZE OPTION...: one run against a server of its own; the two accounts must be the
# same. SIZE 0: of several sizes, so that only the bytes can be compared. With -n, `n` is set.
against_python()
{
    local size=$1 what="$*" more=()
    shift
    other_server echo --size "$((size > 0 ? size : 1))" --listen "${listen:-127.0.0.1}"
    [ "$size" -eq 0 ] || set -- -s "$size" "$@"
    bench 0 "$@" "$address"
    end_other
    [ "$size" -eq 0 ] || more=("W['sent'] == $served_messages" "$served_left == 0")
    [ -z "${n-}" ] || more+=("W['sent'] == $n")
    agree "$what" "W['bytes_sent'] == $served_bytes" \
        "W['connections_opened'] == $served_connections" "${more[@]}"
}

# Both ways to end a run. The messages of one with -n are so many and not one more.
for threads in 1 3; do
    n=$((12000 / scale)) against_python 64 -c 8 -t $threads -n $((12000 / scale))
    n=$((20000 / scale)) against_python 64 -c 8 -t $threads -P 32 -n $((20000 / scale))
    n=500 against_python 65536 --mode stream -c 3 -t $threads -n 500
    n=$((600 / scale)) against_python 64 --mode connect -c 4 -t $threads -n $((600 / scale))
    n=$((2000 / scale)) against_python 100 --mode connect --messages-per-connection 7 -c 4 \
        -t $threads -n $((2000 / scale))
    n=3000 against_python 0 --size-mix 1:2,64:9,1k:3,40k:1 -c 5 -t $threads -n 3000
    n=1000 against_python 64 --rate 2000 -c 5 -t $threads -n 1000
    n=1000 against_python 64 --rate 2000 --arrival poisson -c 5 -t $threads -n 1000
    n=$threads against_python 64 -c 7 -t $threads -n $threads # fewer messages than connections
done
against_python 64 -c 8 -d 500ms
against_python 64 -c 8 -P 16 -d 500ms --warmup 100ms
against_python 10000 --mode stream -c 2 -d 500ms --warmup 100ms
against_python 64 --mode connect -c 4 -d 500ms --warmup 100ms
against_python 0 --size-mix 64:1,4k:1 --mode pipeline -c 3 -t 2 -d 500ms
against_python 64 -c 4 --rate 1000 -d 500ms --warmup 100ms
against_python 64 -c 4 -t 2 --rate 1000 --arrival poisson -d 500ms
against_python 1 -c 1 -n 100
against_python 3000000 -c 2 -n 6
against_python 64 -c 40 --active 3 -n 500
holds "idle ones" 'W["connections_opened"] == 40'
listen="unix:$work/socket" against_python 64 -c 8 -n 2000
if "$python" -c 'import socket; socket.socket(socket.AF_INET6).bind(("::1", 0))' 2>/dev/null; then
    listen=::1 against_python 64 -c 8 -n 2000
else
    echo "skipped: IPv6: there is no ::1 here"
fi

# Answers that are not looked at are counted by their length; in bulk nothing is awaited at all.
other_server echo
bench 0 --expect none -c 4 -n 2000 "$address"
end_other
holds "not looked at" "W['sent'] == W['answered'] == $served_messages == 2000" \
    "W['verified'] is None"
other_server sink --size 1000
bench 0 --expect none --mode stream -s 1000 -c 3 -n 5000 "$address"
end_other
holds "in bulk" "W['sent'] == $served_messages == 5000" \
    "W['bytes_sent'] == $served_bytes == 5000000"

# A server that answers 20 ms late: so much is the latency at least, and the rate follows from it.
other_server slow --delay 20
# A stall of so many tenths of a second at an edge of the window moves Little's figure by so many.
bench 0 -c 10 -d 1s "$address"
agree "20 ms late, closed loop" 'R["latency_ns"]["min"] >= 20e6' \
    'R["messages_per_second"] <= 10 / 0.02' \
    'abs(R["little"]["in_flight"] - 10) < 4'
bench 0 -c 10 -d 1s --rate 200 "$address"
agree "20 ms late, open loop" 'R["latency_ns"]["min"] >= 20e6'
end_other

# ---- socat: a process per connection; all of them write what they were sent into one file ----

# tee(1) answers first and writes into the file then: the last of them may be a moment late.
all_written()
{
    [ "$(wc -c <served)" -ge "$1" ]
}

if command -v socat >/dev/null; then
    socat -d -d "TCP-LISTEN:0,bind=127.0.0.1,fork,backlog=64" SYSTEM:'tee -a served' 2>socat.err &
    server_pid=$!
    wait_until grep -q 'listening on' socat.err || fail "socat: $(cat socat.err)"
    address=$(sed -n 's/.*listening on AF=2 //p' socat.err)
    for options in "-n 2000" "-n 2000 -P 8" "-d 300ms" "-n 20 --mode connect" "-n 50 -s 20k"; do
        rm -f served
        # shellcheck disable=SC2086
        bench 0 -c 3 $options "$address"
        wait_until all_written "$(value 'W["bytes_sent"]')"
        agree "socat: $options" "W['bytes_sent'] == $(wc -c <served)"
    done
    end_peer
else
    echo "skipped: socat is not here"
fi

# ---- every model of ours ----

for m in $(running_models); do
    connections=6
    [ "$m" != blocking ] || connections=1 # one at a time is what it does
    serve --model "$m" --stats 24h || continue
    for options in "-n 1000" "-n 1000 -P 16" "-n 60 -s 64k --mode stream" "-n 60 --mode connect" \
        "-d 200ms --rate 500"; do
        # shellcheck disable=SC2086
        bench 0 -c $connections $options --server-pid "$server_pid" "$address"
        agree "$m: $options"
        value '(W["bytes_sent"], W["connections_opened"])' >>"sent.$m"
    done
    stop_server "$m"
    tail -n 1 ready.out >stats
    "$python" - "sent.$m" <<'END' || fail "$m: $(cat stats)"
import json, sys
stats = json.load(open("stats"))
sent, opened = map(sum, zip(*(eval(line) for line in open(sys.argv[1]))))
if not stats["bytes_in"] == stats["bytes_out"] == sent or stats["accepted"] != opened:
    sys.exit(f"sent {sent} bytes over {opened} connections")
END

    serve --model "$m" --service upper || continue
    bench 0 -c $connections -n 500 -s 100 --expect upper "$address"
    agree "$m: upper"
    bench 3 -c $connections -n 500 -s 100 "$address"
    holds "$m: upper is no echo" 'd["verdict"] == "invalid" and R["errors"]["mismatch"]["count"] > 0'
    stop_server "$m: upper"
done
serve --model poll
bench 3 -c 2 -n 500 --expect upper "$address"
stop_server "echo"
finish
