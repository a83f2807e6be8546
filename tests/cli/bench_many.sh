#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Many connections: ten thousand of which a hundred are busy, and, by --source, more than the ports
# of one address. Nothing is lost.
. "$(dirname "$0")/bench.bash"

# ThreadSanitizer and AddressSanitizer need many times the memory and the time.
few=$(sanitized && echo 1)

ulimit -Sn "$(ulimit -Hn)"
open_files=$(ulimit -n)

# raise N: open files, as far as this user may; whether it worked. What is started later has them.
raise()
{
    [ "$open_files" -ge "$1" ] || ulimit -n "$1" 2>/dev/null || return
    open_files=$(ulimit -n)
}

# complete WHAT CONNECTIONS ACTIVE MESSAGES: what the last run must say.
complete()
{
    holds "$1" 'd["verdict"] == "ok"' \
        "W['connections_opened'] == $2" \
        "d['config']['active'] == $3" \
        'W["connections_lost"] == 0 and R["errors"]["total"] == 0' \
        "W['sent'] == W['answered'] == W['verified'] == $4"
}

# served CONNECTIONS MESSAGES FILE...: what the servers, whose last words are in FILE..., must say.
served()
{
    "$python" - "$@" <<'END' || fail "$1 connections: the server says: $(tail -qn 1 "${@:3}")"
import json, sys
want = [int(word) for word in sys.argv[1:3]]
all = [json.loads(open(file).readlines()[-1]) for file in sys.argv[3:]]
total = {key: sum(s[key] for s in all) for key in ("accepted", "refused", "bytes_in", "bytes_out")}
assert total["accepted"] == want[0] and total["refused"] == 0
assert total["bytes_in"] == total["bytes_out"] == 64 * want[1]
END
}

# ---- ten thousand, of which a hundred are active ----

connections=10000 active=100 messages=50000
[ -z "$few" ] || connections=2000 active=20 messages=4000
if raise $((connections + 500)); then
    serve --model epoll --max-connections none --backlog 4096 --stats 24h
    ulimit -Sn 256 # it raises its own limit
    bench 0 -c $connections --active $active -n $messages --server-pid "$server_pid" "$address"
    ulimit -Sn "$open_files"
    complete "$connections, $active active" $connections $active $messages
    stop_server "the server"
    served $connections $messages ready.out
else
    echo "skipped: $connections connections: $open_files open files are allowed (ulimit -Hn)"
fi

# ---- 28 000 connections from 254 addresses ----

# Where a process may not have so many open files, two can: the generator's threads have a limit
# each, and two servers share a port.
connections=28000 messages=56000
[ -z "$few" ] || connections=3000 messages=6000
options=(--model epoll --max-connections none --backlog 4096 --stats 24h --accept reuseport)
servers=1
raise $((connections + 500)) || servers=2
if [ $((open_files * servers)) -ge $((connections * 6 / 5)) ]; then
    serve "${options[@]}"
    first=$server_pid
    started+=("$first")
    mv ready.out 1.out
    if [ $servers -eq 2 ]; then
        serve "${options[@]}" "$address"
        mv ready.out 2.out
    fi
    bench 0 -c $connections -t 2 -n $messages --source 127.0.1.0/24 "$address"
    complete "$connections by --source" $connections $connections $messages
    stop_server "the server"
    if [ $servers -eq 2 ]; then
        server_pid=$first
        stop_server "the first server"
    fi
    served $connections $messages [12].out
else
    echo "skipped: $connections connections: $open_files open files are allowed (ulimit -Hn)"
fi

# ---- where ports are short, addresses make up for them; that they are is said beforehand ----

# few_ports: in a network of its own (never in the machine's), whose addresses have 100 ports each.
few_ports()
{
    [ "$(readlink /proc/self/ns/net)" != "$network" ] || exit 1
    "$python" -c 'import fcntl, socket, struct
SIOCSIFFLAGS, IFF_UP_RUNNING = 0x8914, 0x41
fcntl.ioctl(socket.socket(), SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP_RUNNING))'
    echo "40000 40099" >/proc/sys/net/ipv4/ip_local_port_range || exit 77
    serve --model epoll 127.0.0.1:7000
    bench 2 -c 300 -n 600 "$address"
    [ "$(wc -l <err)" -eq 1 ] || fail "too few ports: not one line: $(cat err)"
    grep -q '100 .*ip_local_port_range.*--source' err || fail "too few ports: $(cat err)"
    bench 0 -c 300 -n 600 --source 127.0.1.0/24 "$address"
    complete "few ports, --source" 300 300 600
    # Short connections leave ports behind that cannot be used again at once (TIME_WAIT).
    bench 0 -c 10 -n 3000 --mode connect --source 127.0.2.0/24 "$address"
    holds "few ports, short connections" 'd["verdict"] == "ok"' \
        'W["sent"] == W["answered"] == W["verified"] == 3000'
    stop_server "the server"
    exit $((failures > 0))
}

network=$(readlink /proc/self/ns/net)
if unshare -rn true 2>/dev/null; then
    export network pollux python
    export -f few_ports serve bench fail complete holds holds_python stop_server end_server \
        wait_until has_line
    failures=0 unshare -rn bash -c few_ports
    case $? in
    0) ;;
    77) echo "skipped: few ports: this network's range of ports cannot be set" ;;
    *) failures=$((failures + 1)) ;;
    esac
else
    echo "skipped: few ports: this user may not make a network of its own (unshare -rn)"
fi

# ---- too few descriptors: said beforehand, with the limit and the remedy ----

bounded=(setpriv --bounding-set -sys_resource --inh-caps -sys_resource)
[ "$(id -u)" -eq 0 ] || bounded=()
if ! "${bounded[@]}" true 2>/dev/null; then
    echo "skipped: too few descriptors: setpriv(1) cannot take the right to raise the limit"
else
    (
        ulimit -n 300
        exec timeout 60 "${bounded[@]}" "$pollux" bench -c 1000 -n 10 127.0.0.1:9 >out 2>err
    )
    [ $? -eq 2 ] || fail "too few descriptors: not exit 2: $(cat err)"
    [ "$(wc -l <err)" -eq 1 ] || fail "too few descriptors: not one line: $(cat err)"
    grep -q '300 .*ulimit' err || fail "too few descriptors: $(cat err)"
fi
finish
