#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# pollux bench refuses what it cannot do before it begins: exit 2, one line with the remedy, nothing
# sent. Every contradiction of options is in tests/unit/bench_options_test.c, here is one of a kind.
. "$(dirname "$0")/client.bash"

# Nobody listens there (tcpmux). Had a run begun, its connections would fail: exit 1.
nobody=127.0.0.1:1

# ---- values and contradictions ----
expect_refusal "ADDR | merge FILE... is missing" bench
expect_refusal "unexpected argument x; usage: pollux bench [OPTIONS] ADDR" bench "$nobody" x
expect_refusal "--connections 0: out of range; give 1 to 1M" bench -c 0 "$nobody"
expect_refusal "--duration 10: not a time" bench -d 10 "$nobody"
expect_refusal "--mode pipelin: unknown; did you mean pipeline?" bench --mode pipelin "$nobody"
expect_refusal "--size-mix: 64 is not SIZE:WEIGHT" bench --size-mix 64 "$nobody"
expect_refusal "--rate and --mode stream contradict" bench --rate 1k --mode stream "$nobody"
expect_refusal "--duration and --messages contradict" bench -d 1s -n 5 "$nobody"
expect_refusal "--threads 65 is more than --connections 64" bench -t 65 "$nobody"
expect_refusal "must be less than 2 GiB" bench -s 16M -P 4 "$nobody"

# ---- addresses ----
for address in nonsense 127.0.0.1 127.0.0.1:70000 127.0.0.1:0 '[::1' unix:; do
    expect_refusal "pollux bench: " bench "$address"
    grep -qF -- "$address" err || fail "the address $address is not named: $(cat err)"
done
expect_refusal "--source 127.0.1.0/64: not a network" bench --source 127.0.1.0/64 "$nobody"
expect_refusal "--source ::1 is IPv6, but $nobody is IPv4" bench --source ::1 "$nobody"
expect_refusal "leave --source out" bench --source 127.0.0.1 unix:x
# TEST-NET-1, RFC 5737: nobody's address
expect_refusal "192.0.2.1 is no address to connect from" bench --source 192.0.2.0/24 "$nobody"
grep -qF "ip route add local 192.0.2.0/24 dev lo" err || fail "no remedy: $(cat err)"
expect_refusal "--server-pid 4194304: there is no such process" bench --server-pid 4194304 "$nobody"

# ---- files: found out before the run ----
mkdir taken
for option in json histogram; do
    expect_refusal "--$option no/dir/file cannot be written: No such file" \
        bench "--$option" no/dir/file "$nobody"
    expect_refusal "--$option taken cannot be written: Is a directory" \
        bench "--$option" taken "$nobody"
    if [ "$(id -u)" -ne 0 ]; then
        echo precious >"kept-$option"
        chmod 400 "kept-$option"
        expect_refusal "--$option kept-$option cannot be written: Permission denied" \
            bench "--$option" "kept-$option" "$nobody"
        rm -f "kept-$option"
    fi
done
expect_refusal "would both write to standard output" bench --json - --histogram - "$nobody"
expect_refusal "would both write to same" bench --json same --histogram same "$nobody"

# ---- merge ----
expect_refusal "merge: which histograms?" bench merge
expect_refusal "no-such-file cannot be read: No such file" bench merge no-such-file
expect_refusal "--connections is for a run; merge takes --histogram and --json only" \
    bench merge a -c 64
expect_refusal "--warmup is for a run" bench merge --warmup none a
expect_refusal "--histogram no/dir/sum cannot be written" bench merge a --histogram no/dir/sum

# ---- too few ports ----
read -r low high </proc/sys/net/ipv4/ip_local_port_range
ports=$((high - low + 1))
text="--connections $((ports + 1)) needs as many ports, but 1 source address has $ports"
expect_refusal "$text" bench -c $((ports + 1)) "$nobody"
grep -qF "give more addresses by --source" err || fail "no remedy: $(cat err)"
expect_refusal "$text" bench -c $((ports + 1)) --source 127.0.1.1/32 "$nobody"
expect_refusal "but 2 source addresses have $((2 * ports))" \
    bench -c $((2 * ports + 1)) --source 127.0.1.0/30 "$nobody"

# ---- too few descriptors ----
# Root may raise the hard limit as well, so that here it has to be kept from it.
alone=()
if (ulimit -n 100 && ulimit -n 200) 2>/dev/null; then
    alone=(setpriv --bounding-set=-sys_resource --inh-caps=-sys_resource)
fi

# limited N ARGUMENT...: runs it with so many descriptors; sets status.
limited()
{
    local n=$1
    shift
    (ulimit -n "$n" && exec timeout 60 "${alone[@]}" "$pollux" "$@") >out 2>err </dev/null
    status=$?
}

if [ ${#alone[@]} -eq 0 ] || "${alone[@]}" true 2>/dev/null; then
    limited 100 bench "$nobody"
    [ "$status" -eq 2 ] || fail "100 descriptors: exit $status: $(cat err)"
    [ "$(wc -l <err)" -eq 1 ] || fail "100 descriptors: not one line: $(cat err)"
    grep -qF -- "--connections 64 needs 136 open files, and the limit is 100 (ulimit -Hn); raise it" \
        err || fail "100 descriptors: $(cat err)"
    grep -qF -- "ulimit -n 136" err || fail "100 descriptors, no remedy: $(cat err)"
    limited 120 bench "$nobody"
    [ "$status" -eq 2 ] || fail "120 descriptors: exit $status: $(cat err)"
    grep -qF -- "give --threads 2" err || fail "120 descriptors: $(cat err)"
    # The remedy is one. ThreadSanitizer takes equal numbers in two tables for one descriptor.
    if ! grep -qa __tsan_init "$pollux" && serve --model poll; then
        limited 120 bench -t 2 -n 1000 "$address"
        [ "$status" -eq 0 ] || fail "120 descriptors, two threads: exit $status: $(cat err)"
        stop_server "the server"
    fi
else
    echo "not tried: too few descriptors: this root cannot be kept from raising the limit" >&2
fi
# The soft limit is no limit.
(ulimit -Sn 100 && exec timeout 60 "$pollux" bench "$nobody") >out 2>err </dev/null
status=$?
[ "$status" -eq 1 ] || fail "a soft limit of 100: exit $status: $(cat err)"

# ---- what begins, and fails ----
timeout 60 "$pollux" bench -c 5 "$nobody" >out 2>err </dev/null
status=$?
[ "$status" -eq 1 ] || fail "nobody listens: exit $status"
[ "$(wc -l <err)" -eq 1 ] || fail "nobody listens: not one line: $(cat err)"
grep -qF "5 of 5 connections could not be made: connection 1: Connection refused" err ||
    fail "nobody listens: $(cat err)"
grep -q "^FAILED" out || fail "nobody listens: the summary is not labelled: $(cat out)"
timeout 60 "$pollux" bench -c 5 --json - "$nobody" >out 2>err </dev/null
python3 -c '
import json, sys
d = json.load(sys.stdin)
assert d["schema_version"] == 1 and d["verdict"] == "failed", d
assert d["result"]["messages_per_second"] is None, d["result"]
assert d["result"]["latency_ns"] is None, d["result"]
assert d["result"]["errors"]["connect"]["count"] == 5, d["result"]' <out || fail "its document"

rm -rf taken models.json out err ready.out ready.err
[ -z "$(ls -A)" ] || fail "left behind: $(ls -A)"
finish
