# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# What the tests of the program share. A test is `bash NAME.sh POLLUX`; it exits 0, 1, or 77 after
# a line that says why it is skipped. It works in a directory of its own and ends what it starts.

pollux=$(realpath "$1")
work=$(mktemp -d "${TMPDIR:-/tmp}/pollux-cli-XXXXXX")
failures=0
server_pid=

# Ends a server that a failed test left; a test that passed has none.
clean_up()
{
    [ -z "$server_pid" ] || kill -KILL "$server_pid" 2>/dev/null
    rm -rf "$work"
}
trap clean_up EXIT
cd "$work" || exit 1

fail()
{
    echo "FAILED: $*" >&2
    failures=$((failures + 1))
}

finish()
{
    [ "$failures" -eq 0 ] || echo "$failures failed" >&2
    exit $((failures > 0))
}

# expect_refusal TEXT ARGUMENT... : exit 2, nothing on standard output, and one line on standard
# error that contains TEXT.
expect_refusal()
{
    local text=$1 status
    shift
    timeout 20 "$pollux" "$@" >out 2>err </dev/null
    status=$?
    [ "$status" -eq 2 ] || fail "pollux $*: exit $status instead of 2"
    [ ! -s out ] || fail "pollux $*: on standard output: $(head -c 200 out)"
    [ "$(wc -l <err)" -eq 1 ] || fail "pollux $*: not one line: $(cat err)"
    grep -qF -- "$text" err || fail "pollux $*: no \"$text\" in: $(cat err)"
}

# Waits until COMMAND succeeds; gives up after a time that is only a failure's.
wait_until()
{
    local i
    for ((i = 0; i < 400; i++)); do
        "$@" && return 0
        sleep 0.05
    done
    return 1
}

has_line()
{
    [ "$(wc -l <"$1" 2>/dev/null || echo 0)" -ge 1 ]
}

# serve ARGUMENT... : starts a server in the background, waits for its ready line (in ready.out) and
# sets server_pid, address and model. What it says on standard error is in ready.err.
serve()
{
    : >ready.out
    "$pollux" serve "$@" >ready.out 2>ready.err </dev/null &
    server_pid=$!
    if ! wait_until has_line ready.out; then
        fail "pollux serve $*: no ready line: $(cat ready.err)"
        return 1
    fi
    address=$(sed -n '1s/^pollux: listening on \([^ ]*\) .*/\1/p' ready.out)
    # shellcheck disable=SC2034
    model=$(sed -n '1s/.* model=\([^ ]*\) .*/\1/p' ready.out)
    [ -n "$address" ] || fail "pollux serve $*: not a ready line: $(head -1 ready.out)"
}

# end_server [SIGNAL] : ends it and leaves its exit status in `status`.
end_server()
{
    kill "-${1:-TERM}" "$server_pid"
    wait "$server_pid"
    # shellcheck disable=SC2034
    status=$?
    server_pid=
}

# stop_server WHAT : the same, and it must have been a clean end.
stop_server()
{
    end_server TERM
    [ "$status" -eq 0 ] || fail "$1: exit $status: $(cat ready.err)"
}

ask()
{
    timeout 20 "$pollux" connect "$address"
}

# The models that run on this machine.
running_models()
{
    "$pollux" models | awk 'NR > 1 && $2 == "yes" && $1 != "auto" { print $1 }'
}
