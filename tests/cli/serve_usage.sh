#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# pollux serve refuses what is wrong with one line and exit 2, and leaves nothing behind.
. "$(dirname "$0")/common.bash"

# ---- values ----
expect_refusal "--model eploll: unknown; did you mean epoll? Valid are auto, blocking" \
    serve --model eploll
expect_refusal "--model zebra: unknown; valid are auto, blocking" serve --model zebra
expect_refusal "--service eco: unknown; did you mean echo?" serve --service eco
expect_refusal "--accept al: unknown; valid are shared, exclusive, reuseport" serve --accept al
expect_refusal "--log-level inf: unknown; did you mean info?" serve --log-level inf
expect_refusal "--log-file-level loud: unknown" serve --log-file-level loud
expect_refusal "--suffix is for --service upper; the service is echo" serve --suffix x
expect_refusal "--low-water 256k must be below --high-water 256k" serve --low-water 256k

# option:below:above:wrong unit
for row in workers:0:1025:1s pool-size:0:4097:1s pool-queue:0:1000001:k poll-pause:0:2s:5 \
    backlog:0:65536:x max-connections:0:10000001:1h max-per-ip:0:11M:-1 idle-timeout:0:25h:5 \
    write-timeout:0us:25h:10 high-water:0:2G:1s low-water:0:2G:none drain:0:2000000h:1 \
    tick:0:25h:x stats:1ms:25h:1; do
    IFS=: read -r option low high wrong <<<"$row"
    expect_refusal "--$option $low: out of range; give " serve "--$option" "$low"
    expect_refusal "--$option $high: out of range; give " serve "--$option" "$high"
    expect_refusal "--$option $wrong: not a" serve "--$option=$wrong"
done

# ---- addresses ----
for address in nonsense 127.0.0.1 127.0.0.1:70000 127.0.0.1:x '[::1' 300.0.0.1:80 unix: \
    "unix:$work/$(printf '%0120d' 0)"; do
    expect_refusal "pollux serve: " serve --listen "$address"
    grep -qF -- "${address:0:60}" err || fail "the address $address is not named: $(cat err)"
done
expect_refusal "192.0.2.1:7777" serve 192.0.2.1:7777 # TEST-NET-1, RFC 5737: nobody's address
mkdir taken
expect_refusal "taken" serve "unix:$work/taken"
echo precious >file
expect_refusal "file" serve "unix:$work/file"
[ "$(cat file)" = precious ] || fail "a file was damaged by unix:"
expect_refusal "no/dir/socket" serve "unix:$work/no/dir/socket"

if [ "$(id -u)" -ne 0 ] && [ "$(sysctl -n net.ipv4.ip_unprivileged_port_start)" -gt 81 ]; then
    expect_refusal "127.0.0.1:81" serve 127.0.0.1:81
fi

serve --model poll || finish
expect_refusal "$address" serve "$address"
# All or nothing: the good address of a pair does not stay open.
expect_refusal "$address" serve "unix:$work/pair" "--listen=$address"
[ ! -e pair ] || fail "a unix path was left behind"
stop_server "the server"

# ---- files ----
expect_refusal "--log-file no/dir/log: No such file" serve --log-file no/dir/log
expect_refusal "--port-file no/dir/port: No such file" serve --model poll --port-file no/dir/port
expect_refusal "--port-file taken: " serve --model poll "unix:$work/gone" --port-file taken
[ ! -e gone ] || fail "a unix path was left behind after a failed start"

# ---- a model that cannot run here: its reason, and no other in its place ----
"$pollux" models | awk 'NR > 1 && $2 == "no" { print $1 }' >cannot
while read -r model; do
    expect_refusal "--model $model cannot run here: " serve --model "$model"
done <cannot

rm -rf taken file out err ready.out ready.err cannot
[ -z "$(ls -A)" ] || fail "left behind: $(ls -A)"
finish
