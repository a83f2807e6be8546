#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Every service under every model that runs here.
. "$(dirname "$0")/common.bash"

expect()
{
    [ "$2" = "$3" ] || fail "$1: got \"$2\" instead of \"$3\""
}

# One model's services, each on a server of its own.
try_model()
{
    local m=$1 seconds now

    serve --model "$m" --service echo || return
    expect "$m" "$model" "$m"
    expect "$m echo" "$(printf 'a\n\nb' | ask)" $'a\n\nb'
    expect "$m echo of nothing" "$(ask </dev/null)" ""
    head -c 3000000 /dev/urandom >sent
    ask <sent >got
    cmp -s sent got || fail "$m echo: 3 MB came back changed"
    stop_server "$m echo"

    serve --model "$m" --service upper --suffix _SB || return
    expect "$m upper" "$(printf hello | ask)" HELLO_SB
    expect "$m upper" "$(printf 'a1\303\244Z{' | ask)" $'A1\303\244Z{_SB'
    stop_server "$m upper"

    serve --model "$m" --service upper || return
    # More than a service transforms at a time.
    head -c 300000 /dev/zero | tr '\0' 'q' >sent
    ask <sent >got
    tr q Q <sent | cmp -s - got || fail "$m upper: a long text came back wrong"
    stop_server "$m upper"

    serve --model "$m" --service capitalize || return
    expect "$m capitalize" "$(printf 'hELLO wORLD\n  2nd LINE\n\nx' | ask)" \
        $'Hello world\n  2Nd line\n\nX'
    stop_server "$m capitalize"

    serve --model "$m" --service goodbye || return
    expect "$m goodbye" "$(printf hello | ask)" "Server:Good Bye."
    head -c 1000000 /dev/zero | ask >got 2>/dev/null
    expect "$m goodbye to a long text" "$(cat got)" "Server:Good Bye."
    expect "$m goodbye to nobody" "$(ask </dev/null)" ""
    stop_server "$m goodbye"

    serve --model "$m" --service discard || return
    # shellcheck disable=SC1003
    expect "$m discard" "$(printf 'one\ntwo\033[31m\\' | ask)" ""
    expect "$m discard" "$(printf '\n' | ask)" ""
    stop_server "$m discard"
    # A chunk may end anywhere, so the lines are put together again.
    expect "$m discard" "$(sed 1d ready.out)" $'client 1: one\nclient 1: two\\x1b[31m\\\\\nclient 2: '

    serve --model "$m" --service daytime || return
    ask </dev/null >got
    grep -Eqx $'[A-Z][a-z]+day, [A-Z][a-z]+ [0-9]+, [0-9]{4} [0-9:]{8}-UTC\r' got ||
        fail "$m daytime: $(cat got)"
    now=$(date -d "$(sed 's/-UTC\r$/ UTC/' got)" +%s)
    ((now >= $(date +%s) - 60 && now <= $(date +%s) + 60)) || fail "$m daytime: $(cat got)"
    stop_server "$m daytime"

    serve --model "$m" --service time || return
    seconds=$((16#$(ask </dev/null | od -An -tx1 | tr -d ' \n') - 2208988800))
    ((seconds >= $(date +%s) - 60 && seconds <= $(date +%s) + 60)) || fail "$m time: $seconds"
    stop_server "$m time"

    serve --model "$m" --service chargen || return
    # 200 lines and then the client goes: the ring of 95 has come round twice.
    ask </dev/zero 2>/dev/null | head -c $((200 * 74)) >got
    awk 'BEGIN { RS = "\r\n"; for (i = 0; i < 190; i++) ring = ring sprintf("%c", 32 + i % 95) }
         substr(ring, (NR - 1) % 95 + 1, 72) != $0 { exit bad = 1 }
         END { exit bad || NR != 200 }' got || fail "$m chargen: $(head -2 got)"
    stop_server "$m chargen"
}

for m in $(running_models); do
    try_model "$m"
done
finish
