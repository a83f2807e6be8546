# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# What the tests of `pollux connect` and `pollux check` share, on top of common.bash: peers that are
# no good servers, and clients that run beside the test.

here=$(realpath "$(dirname "$0")")
# shellcheck source=tests/cli/common.bash
. "$here/common.bash"
started=() # ended by their ids, whatever becomes of the test

clean_up_clients()
{
    local pid
    for pid in "${started[@]}"; do
        kill -KILL "$pid" 2>/dev/null
    done
    clean_up
}
trap clean_up_clients EXIT

skip()
{
    echo "SKIP: $*" >&2
    exit 77
}

# await FILE WHAT: until it has a line, or the test ends here.
await()
{
    wait_until test -s "$1" && return
    fail "$2: nothing within 20 s"
    finish
}

# peer KIND: starts a peer of peer.py; sets server_pid and address as serve does.
peer()
{
    : >ready.out
    python3 "$here/peer.py" "$1" >ready.out &
    server_pid=$!
    await ready.out "peer $1"
    address=$(head -n 1 ready.out)
}

# end_peer: kills a server or peer.
end_peer()
{
    kill -KILL "$server_pid" 2>/dev/null
    wait "$server_pid" 2>/dev/null
    server_pid=
}

# expect STATUS WHAT: compares with $status, shows what was said if it differs.
expect()
{
    [ "$status" -eq "$1" ] || fail "$2: exit $status instead of $1: $(cat err 2>/dev/null)"
}

command -v python3 >/dev/null || skip "python3 is missing"

# The ways of connect: every model that runs here and waits for standard input and connections on
# one thread, and threads.
"$pollux" models --json=models.json || fail "pollux models"
# shellcheck disable=SC2034
connect_models=$(python3 -c '
import json
for m in json.load(open("models.json"))["models"]:
    if m["runs"] and m["name"] != "auto" and {"watch", "connect", "post"} <= set(m["capabilities"]):
        print(m["name"])
print("threads")')
