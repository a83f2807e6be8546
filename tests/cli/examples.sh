#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The examples do what their first comments say, under every model that they can run under; and
# the code and tables in README and guide are theirs.
root=$(realpath "$(dirname "$0")/../..")
. "$(dirname "$0")/common.bash"

examples=$(dirname "$pollux")/examples
[ -x "$examples/echo" ] || {
    echo "skipped: the examples are not built (POLLUX_EXAMPLES=OFF)"
    exit 77
}

# start NAME ARGUMENT... : an example server at unix:s, ready; its process is server_pid.
start()
{
    local example=$1
    shift
    rm -f s
    : >ready.out
    "$examples/$example" "$@" unix:s >ready.out 2>ready.err &
    server_pid=$!
    wait_until has_line ready.out || fail "$example $*: not ready: $(cat ready.err)"
    grep -q "^$example: $1 on unix:s$" ready.out || fail "$example $*: said $(cat ready.out)"
    address=unix:s
}

# Ends what start() started, which knows no polite end, without the shell's word about it.
cut()
{
    kill "$server_pid"
    { wait "$server_pid"; } 2>/dev/null
    server_pid=
}

can()
{
    "$examples/models" | awk -F'|' -v model="\`$1\`" -v what="$2" '
        NR == 1 { for (i = 1; i <= NF; i++) if ($i == " " what " ") column = i }
        index($2, model) { found = $column ~ /yes/ }
        END { exit !found }'
}

for m in $(running_models); do
    start echo "$m"
    [ "$(printf hello | ask)" = hello ] || fail "echo $m: no echo"
    if can "$m" connect; then
        [ "$("$examples/ask" unix:s question "$m")" = question ] || fail "ask $m: no answer"
    fi
    if can "$m" connect && can "$m" post; then
        "$examples/pool" unix:s "$m" >out || fail "pool $m: exit $?"
        grep -Eq "^pool: 100 answers, [1-4] connections opened, [0-9]+ times used again$" out ||
            fail "pool $m: $(cat out)"
    fi
    cut

    start offload "$m"
    [ "$(printf '100\n2\n100000\n' | ask)" = $'25 primes below 100\n0 primes below 2\n9592 primes below 100000' ] ||
        fail "offload $m: wrong answers"
    cut

    # SO_REUSEPORT, which lines asks for, is TCP's.
    : >ready.out
    "$examples/lines" "$m" 127.0.0.1:0 >ready.out 2>ready.err &
    server_pid=$!
    wait_until has_line ready.out || fail "lines $m: not ready: $(cat ready.err)"
    address=$(sed -n "s/^lines: $m on //p" ready.out)
    [ "$(printf 'a\nb\nquit\n' | ask)" = $'1: a\n2: b\nbye' ] || fail "lines $m: wrong answers"
    [ "$(printf 'flood\n' | ask | wc -l)" -eq 1000000 ] || fail "lines $m: the flood is not whole"
    connections=2
    if [ "$m" = poll ]; then # timers are for the conformance cases; this one takes its time
        [ "$( (printf 'tick\n'; sleep 1.5) | ask)" = tick ] || fail "lines $m: no tick"
        connections=3
    fi
    stop_server "lines $m"
    grep -q "^lines: $connections connections, " ready.err || fail "lines $m: $(cat ready.err)"

    can "$m" post || continue
    rm -f s operator heard # what the last one heard says nothing about this one
    mkfifo operator
    : >ready.out
    "$examples/chat" "$m" unix:s <operator >ready.out 2>ready.err &
    server_pid=$!
    exec 4>operator
    wait_until has_line ready.out || fail "chat $m: not ready: $(cat ready.err)"
    mkfifo said
    timeout 20 "$pollux" connect unix:s <said >heard 2>connect.err 4>&- &
    client=$!
    exec 5>said
    printf 'hello\n' >&5
    wait_until grep -qs hello heard || fail "chat $m: does not hear"
    printf 'welcome\n' >&4
    wait_until grep -qs welcome heard || fail "chat $m: does not hear the operator"
    exec 4>&- # closes the room
    wait "$server_pid" || fail "chat $m: exit $?: $(cat ready.err)"
    server_pid=
    exec 5>&-
    wait "$client"
    rm said
done

start echo epoll
"$examples/ask" unix:gone question poll 2>err && fail "ask: no server, and exit 0"
grep -q "^ask: unix:gone: No such file" err || fail "ask: $(cat err)"
cut
rm s
"$examples/chat" threads unix:s </dev/null 2>err && fail "chat threads: exit 0"
grep -q "cannot be posted to" err || fail "chat threads: $(cat err)"

# ---- what the documents quote ----
cat >quotes.py <<'END'
import glob, re, sys
root = sys.argv[1]
code = {f: open(f).read() for f in glob.glob(root + "/examples/*.c")}
for page in sys.argv[2:]:
    blocks = re.findall(r"^```c\n(.*?)^```$", open(root + "/" + page).read(), re.M | re.S)
    assert blocks, page + ": quotes no code"
    for block in blocks:
        if not any(block in text for text in code.values()):
            print(page + ": not in any example:\n" + block)
            sys.exit(1)
END
python3 quotes.py "$root" README.md README.zh-CN.md docs/guide.md >&2 || fail "the documents' code"
"$examples/models" >table
grep '^| `' "$root/docs/guide.md" | grep -Fxf table >found
grep '^| `' table | diff - found >&2 || fail "docs/guide.md: the table is not that of examples/models"

finish
