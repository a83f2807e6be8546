#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What a server exposes by default, and that each limit on what strangers may take is an option of
# serve that works: connections, per address, idle, write stall, queue, pending accepts, log lines.
# That each limit holds in every model, and in detail, is shown by conform.*.
# shellcheck source=tests/cli/client.bash
. "$(dirname "$0")/client.bash"

command -v python3 >/dev/null || skip "python3 is not installed"

# strangers NAME [ARGUMENT...]: clients of their own at 127.0.0.1:$port; says what went wrong.
strangers()
{
    python3 - "$port" "$@" <<'END' || fail "$1: $(tail -1 ready.err)"
import select, socket, sys, time
port = int(sys.argv[1])

def dial(source="127.0.0.1"):
    s = socket.socket()
    s.bind((source, 0))
    s.settimeout(20)
    s.connect(("127.0.0.1", port))
    return s

def served(s):
    try:
        s.sendall(b"x")
        return s.recv(1) == b"x"
    except ConnectionError:
        return False

def connections():
    a, b = dial(), dial()
    assert served(a) and served(b), "two of two"
    assert not served(dial()), "a third is served"
    a.close()
    until = time.monotonic() + 20
    while not served(dial()):
        assert time.monotonic() < until, "no room after one has left"

def per_address():
    a = dial()
    assert served(a) and not served(dial()), "a second of one address is served"
    assert served(dial("127.0.0.9")), "another address is refused"

def idle():
    a = dial()
    assert served(a) and a.recv(1) == b"", "an idle connection is kept"

def stall():
    """Takes nothing of what it asks for: dropped, and no more than the marks allow is queued."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    s.settimeout(20)
    s.connect(("127.0.0.1", port))
    try:
        while True:
            s.sendall(b"x" * 65536)
    except TimeoutError:
        sys.exit("one that never reads is kept")
    except ConnectionError:
        pass

def pending():
    """The server is stopped: who the kernel lets in is the backlog's business."""
    socks = [socket.socket() for _ in range(12)]
    poll = select.poll()
    for s in socks:
        s.setblocking(False)
        s.connect_ex(("127.0.0.1", port))
        poll.register(s, select.POLLOUT)
    time.sleep(0.5)
    let_in = len(poll.poll(0))
    assert 1 <= let_in <= 4, f"{let_in} let in with a backlog of 2"

def flap():
    """Each round is a line twice, were they not bounded: the limit is reached, and room again."""
    began = time.monotonic()
    rounds = 0
    while time.monotonic() - began < 3.5:
        a = dial()
        if served(a):
            rounds += not served(dial())
        a.close()
    assert rounds > 50, f"{rounds} rounds"

globals()[sys.argv[2]]()
END
}

# limited COUNTERS ARGUMENT...: a server with these options; `try` is run against it, and its last
# line of counters must match.
limited()
{
    local try=$1 counters=$2
    shift 2
    serve --model poll --stats 24h "$@"
    port=${address##*:}
    strangers "$try"
    stop_server "$try"
    tail -1 ready.out | grep -Eq "$counters" || fail "$try: counters: $(tail -1 ready.out)"
}

limited connections '"refused":[1-9]' --max-connections 2
limited per_address '"refused":1,' --max-per-ip 1
limited idle '"timeouts_idle":1,' --idle-timeout 300ms
limited stall '"throttled":1,.*"timeouts_write":1,' --write-timeout 300ms --high-water 64k

serve --model poll --backlog 2
port=${address##*:}
kill -STOP "$server_pid"
strangers pending
kill -CONT "$server_pid"
stop_server "the backlog"

# ---- log lines ----------------------------------------------------------------------------------

limited flap '"refused":[1-9][0-9]' --max-connections 1 --log-level warn
lines=$(wc -l <ready.err)
# Two kinds, a line a second; twice that for a machine that is busy.
[ "$lines" -ge 2 ] && [ "$lines" -le 20 ] || fail "$lines lines for a storm: $(head -4 ready.err)"
grep -Eq "limit on connections reached: .* \([1-9][0-9]* more not shown\)" ready.err ||
    fail "what was left out is not told: $(head -4 ready.err)"
# By default nothing that a peer does is a line.
limited flap '"refused":[1-9][0-9]' --max-connections 1
[ ! -s ready.err ] || fail "at the default level: $(head -3 ready.err)"

# ---- what is exposed ----------------------------------------------------------------------------

for given in "" :0; do
    # shellcheck disable=SC2086
    serve --model poll $given
    [[ $address == 127.0.0.1:* ]] || fail "serve $given listens on $address"
    stop_server "serve $given"
done

# No privilege is needed by any model: neither root nor a capability.
without=()
if [ "$(id -u)" -eq 0 ]; then
    without=(setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all
        --no-new-privs)
    chmod 755 "$work"
    cp "$pollux" pollux
    if ! "${without[@]}" "$work/pollux" --version >/dev/null 2>&1; then
        echo "skip: nobody cannot be made here, so privileges are not dropped" >&2
        finish
    fi
    pollux=$work/pollux
fi
as_nobody()
{
    "${without[@]}" "$pollux" "$@"
}
for m in $(as_nobody models | awk 'NR > 1 && $2 == "yes" && $1 != "auto" { print $1 }'); do
    : >ready.out
    "${without[@]}" "$pollux" serve --model "$m" >ready.out 2>ready.err </dev/null &
    server_pid=$!
    await ready.out "$m without privileges: $(cat ready.err)"
    address=$(sed -n '1s/^pollux: listening on \([^ ]*\) .*/\1/p' ready.out)
    [ "$(printf hello | ask)" = hello ] || fail "$m without privileges: no echo: $(cat ready.err)"
    stop_server "$m without privileges"
done
finish
