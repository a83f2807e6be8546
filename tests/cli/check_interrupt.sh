#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A check that is ended takes its servers with it, whether it is asked (SIGINT, SIGTERM) or killed.
. "$(dirname "$0")/client.bash"

truncate -s 300M file

server_is_busy()
{
    child=$(tr -d ' ' <"/proc/$check/task/$check/children" 2>/dev/null)
    # It has connections by now: their sockets, or the processes that serve them.
    [ -n "$child" ] && [ "$(find "/proc/$child/fd" -type l 2>/dev/null | wc -l)" -gt 16 ]
}

# run_check: starts a long check; sets `check`, and `child` to its server's id.
run_check()
{
    # A background job of a shell without job control ignores SIGINT, and so would the check:
    # Python puts the disposition back.
    python3 -c 'import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])' "$pollux" check --models poll,epoll file >out 2>err &
    check=$!
    started+=("$check")
    wait_until server_is_busy && return
    fail "no server was started: $(cat err)"
    finish
}

# A zombie that nobody of ours can reap is gone, too.
is_gone()
{
    ! grep -q '^State:[[:space:]]*[^Z]' "/proc/$1/status" 2>/dev/null
}

for case in INT:130 TERM:143; do
    run_check
    kill "-${case%:*}" "$check"
    wait "$check"
    status=$?
    expect "${case#*:}" "check interrupted by SIG${case%:*}"
    [ "$(wc -l <err)" -eq 1 ] || fail "not one line: $(cat err)"
    grep -q '^pollux check: interrupted' err || fail "on standard error: $(cat err)"
    wait_until is_gone "$child" || fail "the server $child outlived SIG${case%:*}"
done

run_check
kill -KILL "$check"
wait "$check" 2>/dev/null
wait_until is_gone "$child" || fail "the server $child outlived its killed check"
finish
