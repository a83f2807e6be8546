#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A large file both ways arrives whole, whoever is slow; and nobody who does not read makes the
# client grow.
. "$(dirname "$0")/client.bash"

head -c 20000003 /dev/urandom >file
want=$(sha256sum <file)
serve --service echo

# same WHAT: what out holds must be the file.
same()
{
    expect 0 "$1"
    [ "$(sha256sum <out)" = "$want" ] ||
        fail "$1: $(wc -c <out) bytes that are not the file"
}

for way in $connect_models; do
    connect=("$pollux" connect --model "$way" --timeout 30s)

    "${connect[@]}" "$address" <file >out 2>err
    status=$?
    same "$way: file to file"

    # Pipes at both ends; the reader starts late, so that everything backs up first.
    # shellcheck disable=SC2002
    cat file | "${connect[@]}" "$address" 2>err | (sleep 0.5 && cat) >out
    status=${PIPESTATUS[1]}
    same "$way: pipe to late pipe"
done
stop_server "the server"

for way in $connect_models; do
    peer deaf
    "$pollux" connect --model "$way" "$address" </dev/zero >out 2>err &
    client=$!
    started+=("$client")
    sleep 1
    kill -0 "$client" || fail "$way: ended while the server did not read: $(cat err)"
    # AddressSanitizer's and ThreadSanitizer's own memory counts too; an unbounded client reads
    # /dev/zero at more than a gigabyte a second.
    kb=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$client/status")
    [ "$kb" -lt 300000 ] || fail "$way: grew to $kb kB while the server did not read"
    kill "$client"
    wait "$client" 2>/dev/null
    end_peer
done
finish
