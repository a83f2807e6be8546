# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# What the tests of `pollux bench` share, on top of client.bash: a server that is not ours and
# counts (server.py), and a look into the documents that bench writes.

# shellcheck source=tests/cli/client.bash
. "$(dirname "$0")/client.bash"

# The interpreter itself: what is found first may be a script that looks for it.
python=$(python3 -c 'import sys; print(sys.executable)')

# Whether this program is built with a sanitizer: such tests take a smaller load.
sanitized()
{
    grep -qaE '__asan_init|__tsan_init|__ubsan_handle' "$pollux"
}

# other_server MODE [OPTION...]: starts server.py; sets server_pid and address as serve does. What
# it did to whom is in other.err, what it has served is in ready.out after end_other.
other_server()
{
    : >ready.out
    "$python" "$here/server.py" "$@" >ready.out 2>other.err </dev/null &
    server_pid=$!
    await ready.out "server.py $*"
    address=$(sed -n '1s/^listening on //p' ready.out)
}

# end_other: ends it, and sets served_connections, served_messages, served_bytes, served_left.
end_other()
{
    local line
    kill -TERM "$server_pid"
    wait "$server_pid"
    server_pid=
    line=$(sed -n 's/^served //p' ready.out)
    [ -n "$line" ] || fail "server.py did not say what it served: $(cat other.err)"
    # shellcheck disable=SC2034
    IFS=' =' read -r _ served_connections _ served_messages _ served_bytes _ served_left <<<"$line"
}

# bench STATUS ARGUMENT...: runs it, and it must end so; leaves result.json, out and err.
bench()
{
    local want=$1
    shift
    rm -f result.json
    timeout 200 "$pollux" bench --json=result.json "$@" >out 2>err </dev/null
    status=$?
    [ "$status" -eq "$want" ] || fail "bench $*: exit $status instead of $want: $(cat err)"
    [ -s result.json ] || echo '{}' >result.json
}

# value EXPRESSION: of the last run's document, which is `d`; R is its result, W the counts over the
# whole run.
value()
{
    holds_python print "$1"
}

# holds WHAT EXPRESSION...: conditions of the same kind, each of which must be true.
holds()
{
    local what=$1 got
    shift
    got=$(holds_python "$@" 2>&1) || fail "$what: $(tail -n 1 <<<"$got")"
}

holds_python()
{
    "$python" - "$@" <<'END'
import json, sys
d = json.load(open("result.json"))
R = d.get("result")
W = R and R["whole_run"]
if sys.argv[1] == "print":
    print(eval(sys.argv[2]))
    sys.exit()
for expression in sys.argv[1:]:
    if eval(expression) is not True:
        short = {k: v for k, v in d.items() if k in ("verdict", "complaint")}
        sys.exit(f"not so: {expression}; {short}, {R and R['errors']}, {W}")
END
}
