#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The server's end is noticed at once while standard input is silent: the message, exit status 3.
# Measured on a machine of two cores: 2 to 10 ms from the kill until the shell has seen connect end,
# far below the 100 ms that are promised. The limit here also holds on a loaded machine.
. "$(dirname "$0")/client.bash"
limit_ms=1000
# ThreadSanitizer sleeps a second before a process with threads ends.
export TSAN_OPTIONS="${TSAN_OPTIONS:-}:atexit_sleep_ms=0"

mkfifo fifo
exec 7<>fifo # both ends: a standard input that is open and says nothing

now_ms()
{
    echo $(($(date +%s%N) / 1000000))
}

# cut_short WHAT: the client must end with the message and 3.
cut_short()
{
    wait "$client"
    status=$?
    took=$(($(now_ms) - began))
    expect 3 "$1"
    [ "$(cat err)" = "Server terminated prematurely" ] || fail "$1: $(cat err)"
    [ "$took" -lt "$limit_ms" ] || fail "$1: noticed after $took ms"
    echo "$1: $took ms"
}

for way in $connect_models; do
    serve --service echo
    : >out
    "$pollux" connect --model "$way" "$address" <fifo >out 2>err &
    client=$!
    started+=("$client")
    echo hello >&7
    await out # the answer: it is connected
    began=$(now_ms)
    kill -KILL "$server_pid"
    cut_short "$way: killed server"
    end_peer

    # A server that is done before we are: its answer is printed, and that it left is said.
    serve --service daytime
    began=$(now_ms)
    "$pollux" connect --model "$way" "$address" <fifo >out 2>err &
    client=$!
    started+=("$client")
    cut_short "$way: server that ends first"
    [ -s out ] || fail "$way: the answer before the end is lost"
    stop_server "the server"

    peer resets_at_once
    "$pollux" connect --model "$way" "$address" <fifo >out 2>err &
    client=$!
    started+=("$client")
    began=$(now_ms)
    echo hello >&7
    cut_short "$way: reset"
    end_peer

    # After our half-close an end is normal, a reset is not; what came before it is printed.
    peer resets
    echo hello | "$pollux" connect --model "$way" "$address" >out 2>err
    status=$?
    expect 3 "$way: reset after the half-close"
    [ "$(cat out)" = "half an ans" ] || fail "$way: printed '$(cat out)'"
    grep -q '^pollux connect: the server broke the connection: ' err ||
        fail "$way: $(cat err)"
    end_peer
done
finish
