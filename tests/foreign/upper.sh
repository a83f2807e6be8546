#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Under every model, other people's clients get the same answer as our own: connect, nc, socat and
# Python's socket send "hello" and half-close, and get HELLO_SB.
set -u
pollux=$1
tmp=$(mktemp -d)
server=

cleanup() {
    [ -n "$server" ] && kill -KILL "$server" 2>/dev/null && wait "$server" 2>/dev/null
    rm -rf "$tmp"
}
trap cleanup EXIT

fail() {
    echo "FAIL: $*" >&2
    exit 1
}

command -v python3 >/dev/null || {
    echo "SKIP: python3 is missing" >&2
    exit 77
}

by_connect() { "$pollux" connect --timeout 20s "$1:$2"; }
by_nc() { timeout 20 nc -N "$1" "$2"; }
by_socat() { timeout 20 socat -t 20 - "TCP:$1:$2"; }
by_python() {
    python3 -c '
import socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 20)
s.sendall(sys.stdin.buffer.read())
s.shutdown(socket.SHUT_WR)
while piece := s.recv(4096):
    sys.stdout.buffer.write(piece)' "$1" "$2"
}

clients="connect python"
missing=
# Only OpenBSD's nc has -N, to half-close at the end of input.
if nc -h 2>&1 | grep -q -- '-.*N.*Shutdown'; then clients+=" nc"; else missing+=" netcat-openbsd"; fi
if command -v socat >/dev/null; then clients+=" socat"; else missing+=" socat"; fi

models=$("$pollux" models --json | python3 -c '
import json, sys
for m in json.load(sys.stdin)["models"]:
    if m["runs"] and m["name"] != "auto":
        print(m["name"])') || fail "pollux models --json"
[ -n "$models" ] || fail "no model runs here"

for model in $models; do
    : >"$tmp/ready"
    "$pollux" serve --model "$model" --service upper --suffix _SB --listen 127.0.0.1:0 \
        >"$tmp/ready" 2>"$tmp/err" &
    server=$!
    for ((i = 0; i < 400; i++)); do
        [ -s "$tmp/ready" ] && break
        sleep 0.05
    done
    port=$(sed -n 's/^pollux: listening on 127\.0\.0\.1:\([0-9]*\) .*/\1/p' "$tmp/ready")
    [ -n "$port" ] || fail "$model: no ready line: $(cat "$tmp/ready" "$tmp/err")"
    for client in $clients; do
        got=$(printf hello | "by_$client" 127.0.0.1 "$port" 2>"$tmp/err") ||
            fail "$model: $client ended with status $?: $(cat "$tmp/err")"
        [ "$got" = HELLO_SB ] || fail "$model: $client got '$got'"
    done
    kill -TERM "$server"
    wait "$server" || fail "$model: the server ended with status $?: $(cat "$tmp/err")"
    server=
    echo "$model: $clients"
done
if [ -n "$missing" ]; then
    echo "SKIP: every client here was right, but these are missing:$missing" >&2
    exit 77
fi
exit 0
