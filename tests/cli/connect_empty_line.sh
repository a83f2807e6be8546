#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# --quit-on-empty-line: an empty line ends the input, is not sent, and answers are still printed.
. "$(dirname "$0")/client.bash"

serve --service echo
for way in poll threads; do
    connect=("$pollux" connect --model "$way" --timeout 20s)

    # The pipe stays open behind the empty line: it must not be waited for.
    mkfifo "fifo.$way"
    exec 7<>"fifo.$way"
    printf 'one\ntwo\n\nthree\n' >&7
    "${connect[@]}" --quit-on-empty-line "$address" <"fifo.$way" >out 2>err
    status=$?
    exec 7>&-
    expect 0 "$way: with the option"
    printf 'one\ntwo\n' | cmp -s - out || fail "$way: printed '$(cat out)'"

    printf '\nx' | "${connect[@]}" -q "$address" >out 2>err
    status=$?
    expect 0 "$way: an empty line at once"
    [ ! -s out ] || fail "$way: printed '$(cat out)'"

    # A newline that merely arrives alone is not an empty line.
    (printf 'half' && sleep 0.2 && printf '\nrest') |
        "${connect[@]}" -q "$address" >out 2>err
    status=$?
    expect 0 "$way: a line in two pieces"
    printf 'half\nrest' | cmp -s - out || fail "$way: printed '$(cat out)'"

    printf 'a\n\nb\n' | "${connect[@]}" "$address" >out 2>err
    status=$?
    expect 0 "$way: without the option"
    printf 'a\n\nb\n' | cmp -s - out || fail "$way: printed '$(cat out)'"
done
stop_server "the server"
finish
