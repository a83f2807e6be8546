#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What goes wrong before and after the connection stands: one line, and the status that fits.
. "$(dirname "$0")/client.bash"

# try STATUS PATTERN ARGS...: one line on standard error, nothing on standard output.
try()
{
    local want=$1 pattern=$2
    shift 2
    "$pollux" connect "$@" </dev/null >out 2>err
    status=$?
    expect "$want" "connect $*"
    [ ! -s out ] || fail "connect $*: printed '$(cat out)'"
    [ "$(wc -l <err)" -eq 1 ] || fail "connect $*: not one line: $(cat err)"
    grep -q -- "$pattern" err || fail "connect $*: no '$pattern' in: $(cat err)"
}

expect_refusal 'ADDR' connect
expect_refusal 'nonsense' connect nonsense
expect_refusal '99999' connect 127.0.0.1:99999
expect_refusal 'unix' connect "unix:$(printf 'x%.0s' {1..200})"
expect_refusal '--model' connect --model nosuch :1
expect_refusal '--model' connect --model fork :1
expect_refusal '--timeout' connect --timeout 5 :1
expect_refusal '--timeout' connect --timeout 0s :1
try 1 "$work/none" "unix:$work/none"

for way in poll threads; do
    # A port that was just given back has no listener. (A killed io_uring still has it for a moment.)
    serve --model poll --service echo
    end_peer
    try 1 "cannot connect to $address" --model "$way" "$address"

    peer full
    try 4 "cannot connect to $address" --model "$way" --timeout 300ms "$address"
    end_peer

    peer silent
    try 4 '300ms' --model "$way" --timeout 300ms "$address"
    end_peer

    # A server that takes nothing: the time limit holds while there is input to come, too.
    peer deaf
    "$pollux" connect --model "$way" --timeout 500ms "$address" </dev/zero >out 2>err
    status=$?
    expect 4 "$way: deaf server"
    end_peer

    # An answer, however slow, resets the time limit.
    peer late
    head -c 2000 /dev/zero |
        "$pollux" connect --model "$way" --timeout 10s "$address" >out 2>err
    status=$?
    expect 0 "$way: slow answer"
    [ "$(wc -c <out)" -eq 2000 ] || fail "$way: slow answer: bytes are missing"
    end_peer

    # All addresses of a name are tried: the server is on one of them. A bare machine may know no
    # name at all.
    if getent hosts localhost >/dev/null; then
        serve --model poll --service echo
        printf x | "$pollux" connect --model "$way" "localhost:${address##*:}" >out 2>err
        status=$?
        expect 0 "$way: localhost"
        [ "$(cat out)" = x ] || fail "$way: localhost: $(cat out)"
        stop_server "the server"
    else
        echo "host names: skipped, this machine cannot resolve localhost"
    fi

    # A reader that has seen enough: a quiet end.
    peer floods
    "$pollux" connect --model "$way" "$address" </dev/null 2>err | head -c 10 >out
    status=${PIPESTATUS[0]}
    expect 1 "$way: closed standard output"
    [ ! -s err ] || fail "$way: closed standard output: $(cat err)"
    end_peer

    if [ -w /dev/full ]; then
        peer floods
        "$pollux" connect --model "$way" "$address" </dev/null >/dev/full 2>err
        status=$?
        expect 1 "$way: full disk"
        grep -q '^pollux connect: standard output: ' err || fail "$way: $(cat err)"
        end_peer
    fi
done
finish
