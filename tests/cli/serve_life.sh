#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A server's life: the ready line and the port file, drain and the second signal, the log and its
# rotation, the counters.
. "$(dirname "$0")/common.bash"

# ---- ready lines, one for each listener, and the same as a file ----
serve --model poll --listen 127.0.0.1:0 --listen "unix:$work/socket" --port-file port 127.0.0.2:0
wait_until [ -s port ]
cmp -s port ready.out || fail "the port file differs from standard output"
[ "$(grep -Ecx "pollux: listening on (127\.0\.0\.[12]:[1-9][0-9]*|unix:$work/socket) model=poll \
workers=1 pid=$server_pid" port)" -eq 3 ] || fail "ready lines: $(cat port)"
while read -r _ _ _ address _; do
    [ "$(printf hello | ask)" = hello ] || fail "no echo at $address"
done <port
stop_server "the server"
[ ! -e port ] || fail "the port file is still there"
[ ! -e socket ] || fail "the unix socket is still there"
[ ! -s ready.err ] || fail "on standard error: $(cat ready.err)"
[ "$(ls port.* 2>/dev/null)" = "" ] || fail "a temporary file is still there"

# ---- a port file that another server has replaced is left alone ----
serve --model poll --port-file port
echo other >port.new
mv port.new port
stop_server "the server"
[ "$(cat port)" = other ] || fail "another server's port file was removed"

# ---- drain: what was acknowledged is answered; then the end, and exit 0 ----
connected()
{
    grep -q "accept connection" log
}

for m in $(running_models); do
    rm -f log got # of the model before
    serve --model "$m" --drain 20s --log-file log --stats 24h
    mkfifo pipe
    ask <pipe >got 2>/dev/null & # the drain ends it before its input ends, and it says so
    client=$!
    exec 4>pipe
    printf hello >&4
    wait_until grep -qs hello got || fail "$m: no answer before the drain"
    connected || fail "$m: the log does not show the connection: $(cat log)"
    kill -USR1 "$server_pid"
    wait_until grep -qs '"final":false.*"accepted":1,.*"bytes_in":5,"bytes_out":5,' ready.out ||
        fail "$m: no counters at SIGUSR1: $(cat ready.out)"
    stop_server "$m drained"
    exec 4>&-
    wait "$client"
    rm pipe
    [ "$(cat got)" = hello ] || fail "$m: the drain lost an answer"
    tail -1 ready.out | grep -q '"final":true' || fail "$m: no final line of counters"
    tail -1 ready.out | grep -q '"accepted":1,' || fail "$m: counters: $(tail -1 ready.out)"
    tail -1 ready.out | grep -q '"bytes_in":5,"bytes_out":5,' ||
        fail "$m: counters: $(tail -1 ready.out)"
done

# ---- a client that does not read keeps the drain from ending: its limit, or a second signal, does
# Sets client_pid to a process that is connected to chargen, stopped, and never reads. Its input
# never ends, for chargen would end with it.
mkfifo silence
exec 9<>silence
stuck_client()
{
    "$pollux" connect "$address" <silence >/dev/null 2>&1 9>&- &
    client_pid=$!
    wait_until grep -q "accept connection" log
    kill -STOP "$client_pid"
}

end_client()
{
    kill -KILL "$client_pid"
    kill -CONT "$client_pid" 2>/dev/null
    wait "$client_pid" 2>/dev/null
}

rm -f log
serve --model epoll --service chargen --drain 300ms --write-timeout none --log-file log
stuck_client
end_server TERM
[ "$status" -eq 1 ] || fail "cut at the limit: exit $status instead of 1"
grep -q "1 connections were cut at the end" ready.err || fail "cut at the limit: $(cat ready.err)"
end_client

rm -f log
serve --model epoll --service chargen --drain none --write-timeout none --log-file log
stuck_client
kill -TERM "$server_pid"
wait_until grep -q "draining" log
kill -0 "$server_pid" || fail "the drain did not wait"
end_server INT
[ "$status" -eq 1 ] || fail "second signal: exit $status instead of 1"
end_client

# ---- the log ----
rm -f log
serve --model poll --log-file log --log-file-level debug
printf hello | ask >/dev/null
wait_until grep -q "closed" log
mv log log.1
kill -HUP "$server_pid"
wait_until [ -e log ]
printf again | ask >/dev/null
wait_until grep -q "closed" log || fail "the new log file is not used"
stop_server "the server"
grep -Eq "accept connection from 127\.0\.0\.1, [0-9]+, fd = [0-9]+" log.1 || fail "log: $(cat log.1)"
grep -q hello log.1 || fail "what was received is not in the log"
! grep -q again log.1 || fail "the old log file is still used"
bad=$(grep -Evc '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\.[0-9]{6}Z [0-9]+ (error|warn |info |debug) .' log)
[ "$bad" -eq 0 ] || fail "log lines of another form: $(cat log)"

# Each level of its own; the console is quiet by default.
serve --model poll --log-level info --log-file log.2 --log-file-level error
printf hello | ask >/dev/null
stop_server "the server"
grep -q "^pollux: listening on " ready.err || fail "--log-level info: $(cat ready.err)"
! grep -q hello ready.err || fail "--log-level info logs what debug should"
[ ! -s log.2 ] || fail "--log-file-level error: $(cat log.2)"

# ---- counters ----
serve --model poll --stats 50ms
printf hello | ask >/dev/null
wait_until grep -q '"closed":1,' ready.out || fail "counters: $(tail -1 ready.out)"
stop_server "the server"
if command -v python3 >/dev/null; then
    sed 1d ready.out | python3 -c '
import json, sys
rows = [json.loads(line) for line in sys.stdin]
assert len(rows) >= 2, rows
assert [row["final"] for row in rows] == [False] * (len(rows) - 1) + [True], rows
last = rows[-1]
assert last["schema_version"] == 1 and last["model"] == "poll", last
assert last["accepted"] == 1 and last["open"] == 0 and last["calls_recv"] > 0, last
for a, b in zip(rows, rows[1:]):
    assert all(a[key] <= b[key] for key in a if key not in ("open", "final")), (a, b)
' || fail "--stats"
fi

# ---- standard output that cannot be written is a server that nobody can find ----
"$pollux" serve --model poll >&- 2>err
status=$?
[ "$status" -eq 2 ] || fail "a closed standard output: exit $status"
grep -q "standard output: " err || fail "a closed standard output: $(cat err)"

finish
