#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Every kind of standard input, under every way to wait for it: a pipe, a file, /dev/null, closed,
# a terminal. And what is yet to come after the end of input is still printed.
. "$(dirname "$0")/client.bash"

serve --service echo
printf 'one\ntwo\n' >file

# check WAY WHAT WANTED: compares what out holds.
check()
{
    expect 0 "$1: $2"
    printf '%b' "$3" | cmp -s - out || fail "$1: $2: printed '$(cat out)'"
    [ ! -s err ] || fail "$1: $2: said '$(cat err)'"
}

for way in $connect_models; do
    connect=("$pollux" connect --model "$way" --timeout 20s)

    printf hello | "${connect[@]}" "$address" >out 2>err
    status=$?
    check "$way" "a pipe" hello

    (sleep 0.2 && printf 'hel' && sleep 0.2 && printf 'lo') |
        "${connect[@]}" "$address" >out 2>err
    status=$?
    check "$way" "a slow pipe" hello

    "${connect[@]}" "$address" <file >out 2>err
    status=$?
    check "$way" "a file" 'one\ntwo\n'

    "${connect[@]}" "$address" </dev/null >out 2>err
    status=$?
    check "$way" "/dev/null" ''

    "${connect[@]}" "$address" <&- >out 2>err
    status=$?
    check "$way" "closed" ''

    python3 "$here/terminal.py" "${connect[@]}" "$address" >out 2>err
    status=$?
    check "$way" "a terminal" 'one\ntwo\n'

    "${connect[@]}" "$address" </ >out 2>err
    status=$?
    expect 1 "$way: a directory"
    grep -q '^pollux connect: standard input: ' err ||
        fail "$way: a directory: $(cat err)"
done
stop_server "the server"

for way in $connect_models; do
    peer late
    printf 'all of it' | "$pollux" connect --model "$way" --timeout 20s "$address" >out \
        2>err
    status=$?
    check "$way" "answers after the half-close" 'all of it'
    end_peer

    # The server's end and that of the input come together: nothing was cut short.
    serve --service daytime
    "$pollux" connect --model "$way" --timeout 20s "$address" <&- >out 2>err
    status=$?
    expect 0 "$way: daytime with a closed standard input"
    [ -s out ] || fail "$way: daytime printed nothing"
    stop_server "the server"
done
finish
