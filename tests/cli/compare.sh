#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# `pollux compare` as people use it: arms that are right, arms that are wrong in each way, what is
# left behind, and making it again. Figures are not asserted, only that they are there.
# shellcheck source=tests/cli/bench.bash
. "$(dirname "$0")/bench.bash"

cp "$here/server.py" . # so that what is left can be told from other tests'
server="$python $work/server.py"
few=(-w "small=connections=4,size=64" --rounds 3 --pin none)

# compare STATUS ARGUMENT...: runs it, and it must end so; leaves DIR/results.json, out and err.
compare()
{
    local want=$1
    shift
    rm -rf dir
    timeout 250 "$pollux" compare -o dir "$@" >out 2>err </dev/null
    status=$?
    [ "$status" -eq "$want" ] || fail "compare $*: exit $status instead of $want: $(cat err)"
    cp dir/results.json result.json 2>/dev/null || echo '{}' >result.json
}

# Nothing that was started lives on.
nobody()
{
    ! pgrep -f "$work/server.py" >/dev/null
}

nobody_left()
{
    wait_until nobody || fail "$1: something is left: $(pgrep -af "$work/server.py")"
}

# ---- models ----

compare 0 -m epoll,poll,threads,kqueue "${few[@]}" -w one=connections=1,size=16
holds "models" 'd["kind"] == "pollux-comparison" and d["partial"] is False' \
    '[w["name"] for w in d["workloads"]] == ["small", "one"]' \
    '{a["name"] for a in d["arms"] if a["twin_of"] is None} == {"epoll", "poll", "threads", "kqueue"}' \
    'sum(a["twin_of"] == "epoll" for a in d["arms"]) == 1' \
    'all(len(c["samples"]) == 3 for c in d["cells"] if c["state"] == "ok")' \
    'all(c["median"]["rate"] > 0 and c["median"]["messages"] > 0 for c in d["cells"] if c["state"] == "ok")' \
    'all(0.9 < c["median"]["calls"]["send"] < 1.2 for c in d["cells"] if c["state"] == "ok")' \
    'all(c["median"]["calls"]["accept"] == 0 for c in d["cells"] if c["state"] == "ok")' \
    '{c["state"] for c in d["cells"] if c["arm"] in ("epoll", "poll", "threads")} == {"ok"}' \
    '[c["why"] != "" for c in d["cells"] if c["arm"] == "kqueue" and c["state"] == "excluded"] == [True, True] or not d["machine"]["system"] == "Linux"' \
    'all(c["latency"] and sum(b[2] for b in c["latency"]) > 0 for c in d["cells"] if c["state"] == "ok")' \
    'd["machine"]["kernel"] and len(d["claims"]) == 9'
# Each arm ran at each place of the order now and then; in one round at one of its own.
holds "order" 'all(sorted(c["samples"][r]["position"] for c in d["cells"] if c["state"] == "ok" and c["workload"] == "small") == [1, 2, 3, 4] for r in range(3))'
[ "$(awk '{ if (length > m) m = length } END { print m + 0 }' out)" -le 100 ] || fail "the table is wider than 100 columns"
for name in results.json report.html repeat.sh; do
    [ -s "dir/$name" ] || fail "$name is missing"
done
grep -q 'report.html' out || fail "where the report is, is not said: $(cat out)"
grep -qE '(src|href)="https?:' dir/report.html && fail "the report refers to the network"

# ---- once more ----

mv dir first
POLLUX=$pollux timeout 250 sh first/repeat.sh -o second >out 2>err </dev/null || fail "repeat.sh: exit $?: $(cat err)"
grep -qE '^(REPRODUCED|NOT REPRODUCED)' out || fail "repeat: no verdict: $(cat out)"
cp second/results.json result.json
holds "repeat" 'd["method"]["rounds"] == 3' '[w["spec"] for w in d["workloads"]] == [w["spec"] for w in json.load(open("first/results.json"))["workloads"]]' \
    '[a["name"] for a in d["arms"]] == [a["name"] for a in json.load(open("first/results.json"))["arms"]]' \
    'd["method"]["measure_seconds"] == json.load(open("first/results.json"))["method"]["measure_seconds"]'
sed 's/"kernel": "[^"]*"/"kernel": "0.01"/' first/results.json >elsewhere.json
timeout 250 "$pollux" compare --repeat elsewhere.json -o third >out 2>err </dev/null || fail "elsewhere: exit $?"
grep -q '^DIFFERENT MACHINE' out || fail "another kernel: $(grep -E '^[A-Z ]+$' out)"
grep -q 'kernel: then "0.01"' out || fail "another kernel is not named: $(cat out)"

# ---- servers of others ----

compare 0 -m poll "${few[@]}" --server "right=$server echo --port {port}" \
    --server "absent=/nonexistent/server {port}" \
    --server "deaf=sleep 60 # {port}" \
    --server "brief=echo I give up {port}" \
    --server "wrong=$server corrupt --every 1000 --port {port}" \
    --server "dying=$server die --after 20 --port {port}"
holds "servers" '{c["arm"]: c["state"] for c in d["cells"]}["right"] == "ok"' \
    '{c["arm"]: c["state"] for c in d["cells"]}["poll"] == "ok"' \
    'all({c["arm"]: c["state"] for c in d["cells"]}[a] == "invalid" for a in ("absent", "deaf", "brief", "wrong", "dying"))' \
    '"/nonexistent/server" in {c["arm"]: c["why"] for c in d["cells"]}["absent"]' \
    '"did not listen" in {c["arm"]: c["why"] for c in d["cells"]}["deaf"]' \
    '"I give up" in {c["arm"]: c["why"] for c in d["cells"]}["brief"]' \
    '"wrong answers" in {c["arm"]: c["why"] for c in d["cells"]}["wrong"]' \
    'all(s["verdict"] == "INVALID" for x in d["contests"] if x["held"] for s in x["standings"] if s["arm"] in ("absent", "deaf", "brief", "wrong", "dying"))' \
    'next(c for c in d["cells"] if c["arm"] == "right")["median"]["calls"] is None' \
    'next(c for c in d["cells"] if c["arm"] == "right")["median"]["cpu_ns"] > 0'
nobody_left "servers"

# ---- interrupted ----

rm -rf dir
"$python" -c 'import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])' "$pollux" compare -o dir -m poll --server "right=$server echo --port {port}" \
    -w small=connections=4,size=64 --rounds 5000 --pin none >out 2>err </dev/null &
server_pid=$!
sleep 4
kill -INT $server_pid
wait $server_pid
status=$?
server_pid=
[ $status -eq 130 ] || fail "SIGINT: exit $status: $(cat err)"
cp dir/results.json result.json || fail "SIGINT: nothing was saved"
holds "SIGINT" 'd["partial"] is True' 'any(c["samples"] for c in d["cells"])'
nobody_left "SIGINT"

# ---- before anything is measured ----

touch file
expect_refusal "file/dir" compare -o file/dir -m poll "${few[@]}"
expect_refusal "not the results.json" compare --repeat "$here/../../CMakePresets.json" -o dir
expect_refusal "nosuch.json" compare --repeat nosuch.json -o dir

finish
