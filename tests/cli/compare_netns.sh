#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# `pollux compare --net netns`: server and client are in two namespaces, the document says so, a
# repetition knows it, nothing of it is left, and who may not do it is told so in one line.
# shellcheck source=tests/cli/bench.bash
. "$(dirname "$0")/bench.bash"

cp "$here/server.py" . # so that what is left can be told from other tests'
few=(-w 'small=connections=4,size=64' --rounds 3)

# A server that writes down where it is. A command must not fork, since it is what is measured.
cat >server.sh <<END
#!/bin/sh
{
    echo "addr \$1"
    echo "namespace \$(readlink /proc/self/ns/net)"
    echo "somaxconn \$(cat /proc/sys/net/core/somaxconn)"
    sed -n 's/^ *\([^:]*\):.*/device \1/p' /proc/self/net/dev
} >$work/where.new
mv $work/where.new $work/where
exec $python $work/server.py echo --listen "\$1" --port "\$2"
END
chmod +x server.sh

# The namespaces, devices and mounts that this test can see.
around()
{
    readlink /proc/self/ns/net
    sed -n 's/^ *\([^:]*\):.*/\1/p' /proc/self/net/dev
    grep -c nsfs /proc/self/mountinfo
}

# gone NAMESPACE: no process is in it, nor any server of ours anywhere.
gone()
{
    ! pgrep -f "$work/server.py" >/dev/null && ! readlink /proc/[0-9]*/ns/net 2>/dev/null | grep -qF "$1"
}

expect_refusal "--net veth: unknown; valid are lo, netns" compare --net veth -o dir
[ ! -e dir ] || fail "a refusal left a directory"

# Where none may be made, as in many containers, it is said, and that is all that can be tested.
unshare -n true 2>/dev/null || unshare -rn true 2>/dev/null || {
    expect_refusal "--net netns: no network namespace can be made here" compare --net netns -o dir
    [ "$failures" -eq 0 ] || finish
    skip "this user may not make network namespaces (unshare -n, unshare -rn)"
}

# ---- a comparison ----

around >before
timeout 250 "$pollux" compare --net netns -m epoll,threads "${few[@]}" -o dir \
    --server "other=$work/server.sh {addr} {port}" >out 2>err </dev/null
status=$?
grep -qF '(Operation not supported)' err && skip "this kernel has no veth: $(cat err)"
expect 0 "a comparison"
cp dir/results.json result.json || finish
holds "results" 'd["method"]["net"] == "netns"' \
    '{c["state"] for c in d["cells"]} == {"ok"}' \
    'all(c["median"]["rate"] > 0 and c["median"]["cpu_ns"] > 0 for c in d["cells"])' \
    '[c["name"] for c in d["caveats"]].count("netns") == 1' \
    'not any(c["name"] == "loopback" for c in d["caveats"])'
grep -q 'veth' out || fail "the caveat is not printed: $(cat out)"
grep -qx 'addr 198.18.0.1' where || fail "the command's address: $(cat where)"
[ "$(grep -c '^device' where)" -eq 2 ] && grep -qx 'device veth0' where || fail "the server's devices: $(cat where)"
namespace=$(sed -n 's/^namespace //p' where)
[ -n "$namespace" ] && [ "$namespace" != "$(head -n 1 before)" ] || fail "the server was in this test's namespace: $(cat where)"
wait_until gone "$namespace" || fail "something is left: $(pgrep -af "$work/server.py")"
around >after
cmp -s before after || fail "not as before: $(diff before after)"

# ---- once more, over the same network and over another ----

mv dir first
POLLUX=$pollux timeout 250 sh first/repeat.sh -o second >out 2>err </dev/null || fail "repeat.sh: exit $?: $(cat err)"
grep -qE '^(REPRODUCED|NOT REPRODUCED)' out || fail "repeat: no verdict: $(cat out)"
cp second/results.json result.json
holds "repeat" 'd["method"]["net"] == "netns"'
timeout 250 "$pollux" compare --repeat first/results.json --net lo -o third >out 2>err </dev/null ||
    fail "repeat over lo: exit $?: $(cat err)"
grep -q '^DIFFERENT NETWORK' out || fail "another network: $(cat out)"
grep -qF 'net: then "netns", now "lo"' out || fail "another network is not named: $(cat out)"
cp third/results.json result.json
holds "repeat over lo" 'd["method"]["net"] == "lo"' 'any(c["name"] == "loopback" for c in d["caveats"])'
grep -qx 'addr 127.0.0.1' where || fail "the command's address over lo: $(cat where)"
sed 's/"net": "netns"/"net": "tin cans"/' first/results.json >strange.json
expect_refusal "give another one by --net" compare --repeat strange.json -o fourth

# ---- what is set for this network holds in both namespaces ----

# set_here: in a network of its own, never in the machine's.
set_here()
{
    echo 1234 >/proc/sys/net/core/somaxconn || exit 77
    rm -f where
    exec timeout 250 "$pollux" compare --net netns -m poll -w small=connections=4,size=64 --rounds 1 \
        --server "other=$work/server.sh {addr} {port}" -o settings >out 2>err </dev/null
}
export pollux work
export -f set_here
unshare -rn bash -c set_here 2>unshare.err
case $? in
0)
    cp settings/results.json result.json
    holds "settings" 'd["machine"]["limits"]["somaxconn"] == 1234'
    grep -qx 'somaxconn 1234' where || fail "the server's somaxconn: $(cat where)"
    ;;
77) echo "skipped: settings: somaxconn of a new network cannot be set" ;;
*)
    [ -s unshare.err ] || fail "settings: $(cat err)"
    echo "skipped: settings: $(cat unshare.err)"
    ;;
esac

# ---- killed ----

rm -f where
"$pollux" compare --net netns -m none --server "other=$work/server.sh {addr} {port}" \
    -w small=connections=4,size=64 --rounds 5000 -o killed >out 2>err </dev/null &
server_pid=$!
wait_until test -s where || fail "killed: no server: $(cat err)"
kill -KILL $server_pid
wait $server_pid 2>/dev/null
server_pid=
namespace=$(sed -n 's/^namespace //p' where)
wait_until gone "$namespace" || fail "killed: something is left: $(pgrep -af "$work/server.py")"
around >after
cmp -s before after || fail "killed: not as before: $(diff before after)"

# ---- somebody without rights: it works, or one line says why not ----

nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)
[ "$(id -u)" -eq 0 ] || nobody=()
chmod 711 "$work"
mkdir -m 777 open
if "${nobody[@]}" test -x "$pollux" 2>/dev/null; then
    (cd open && exec timeout 250 "${nobody[@]}" "$pollux" compare --net netns -m poll "${few[@]}" -o dir >../out 2>../err </dev/null)
    status=$?
    if [ $status -eq 0 ]; then
        cp open/dir/results.json result.json
        holds "nobody" 'd["method"]["net"] == "netns"' 'all(c["state"] == "ok" for c in d["cells"])'
    else
        expect 2 "nobody"
        [ "$(wc -l <err)" -eq 1 ] && grep -qF -- "--net netns:" err || fail "nobody: not one line: $(cat err)"
        echo "skipped: a user namespace: $(cat err)"
    fi
else
    echo "skipped: a user namespace: nobody else may run $pollux"
fi

finish
