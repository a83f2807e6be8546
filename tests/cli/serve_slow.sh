#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The service slow: whom a request that takes long holds up, with --offload and without, and how
# --warn-blocked tells of it. Which answer comes first is looked at, not how long it takes.
# shellcheck source=tests/cli/common.bash
. "$(dirname "$0")/common.bash"

# open_connection DESCRIPTOR : to the server of common.bash, at `address`.
# shellcheck disable=SC2154
open_connection()
{
    eval "exec $1<>/dev/tcp/${address%:*}/${address##*:}" || fail "cannot connect to $address"
}

# expect_answer DESCRIPTOR TEXT
expect_answer()
{
    local line=
    read -r -t 60 -u "$1" line || fail "$what: no answer"
    [ "$line" = "$2" ] || fail "$what: answered \"$line\" instead of \"$2\""
}

# A cheap request is sent while a dear one of another connection is under way. Leaves in `first` who
# is answered first.
race()
{
    open_connection 3
    open_connection 4
    printf '0\n' >&3 # both are served
    expect_answer 3 0
    printf '0\n' >&4
    expect_answer 4 0
    printf '1000\n' >&3
    sleep 0.1
    printf '0\n' >&4
    expect_answer 4 0
    first=cheap
    read -r -t 0 -u 3 && first=dear
    expect_answer 3 1000
    exec 3>&- 4>&-
}

blocked()
{
    tail -1 ready.out | grep -o '"blocked":[0-9]*'
}

for m in epoll io_uring poll threads; do
    running_models | grep -qx "$m" || continue

    what="$m"
    serve --model "$m" --service slow 127.0.0.1:0 || continue
    race
    expected=dear
    [ "$m" != threads ] || expected=cheap # a callback holds up its own connection only
    [ "$first" = $expected ] || fail "$what: the $first request was answered first"
    stop_server "$what"

    what="$m --offload"
    serve --model "$m" --service slow --offload --warn-blocked 900ms --stats 24h 127.0.0.1:0 || continue
    race
    [ "$first" = cheap ] || fail "$what: the $first request was answered first"
    stop_server "$what"
    [ "$(blocked)" = '"blocked":0' ] || fail "$what: $(blocked)"
    [ ! -s ready.err ] || fail "$what: warned: $(cat ready.err)"
done

# Answers come in the order of the requests, and to the last before a polite end.
for offload in "" --offload; do
    what="order $offload"
    # shellcheck disable=SC2086
    serve --model poll --service slow $offload --warn-blocked 350ms --stats 24h 127.0.0.1:0 || continue
    answers=$(printf '30\n0\n\nx\n10001\n-1\n7\r\n007\n2\nunfinished' | ask | tr '\n' ' ')
    [ "$answers" = "30 0 error error error error 7 7 2 " ] || fail "$what: $answers"
    [ "$(head -c 5000 /dev/zero | tr '\0' 1 | ask)" = error ] || fail "$what: a line without end"
    open_connection 3
    printf '400\n1\n' >&3
    sleep 0.1
    kill -TERM "$server_pid"
    expect_answer 3 400
    expect_answer 3 1
    ! read -r -t 60 -u 3 || fail "$what: more than the answers"
    exec 3>&-
    wait "$server_pid" || fail "$what: exit $?: $(cat ready.err)"
    server_pid=
    if [ -n "$offload" ]; then
        [ ! -s ready.err ] || fail "$what: warned: $(cat ready.err)"
        continue
    fi
    # It warns of the connection that did it, and of the time: it was the third, for 400 ms or more.
    line='^pollux: on_data of connection 3 (127\.0\.0\.1, [0-9]*) held its loop for \([0-9]*\)\.[0-9] ms$'
    ms=$(sed -n "s/$line/\1/p" ready.err)
    [ "${ms:-0}" -ge 400 ] || fail "$what: --warn-blocked: $(cat ready.err)"
    [ "$(blocked)" != '"blocked":0' ] || fail "$what: nothing counted as blocked"
done

expect_refusal "for --service slow" serve --offload
expect_refusal "for --service slow" serve --offload-threads 2
expect_refusal "for --offload" serve --service slow --offload-threads 2
expect_refusal "1 to 1024" serve --service slow --offload --offload-threads 1025
finish
