#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# `pollux explain`: what each model really does has the shape that it is known for; the drawings are
# well formed; and what the trace says was called is what the kernel saw (strace).
# shellcheck source=tests/cli/bench.bash
. "$(dirname "$0")/bench.bash"

check()
{
    "$python" "$here/explain.py" "$@" || fail "explain.py $*"
}

# ---- wrong usage -------------------------------------------------------------------------------

expect_refusal "unknown model epol; did you mean epoll?" explain epol
expect_refusal "devpoll cannot run here" explain devpoll
expect_refusal "--scenario" explain --scenario nothing
expect_refusal "contradict" explain --from run.json epoll
expect_refusal "only one of" explain --json=- --svg - epoll
expect_refusal "--from missing.json" explain --from missing.json
echo '{"schema_version": 1}' >other.json
expect_refusal "is not a document" explain --from other.json

# ---- every model, its figures ------------------------------------------------------------------

# On a loaded machine a server may get no time while its client waits: then the run shows that, and
# not the model. So it may be made again.
record()
{
    timeout 200 "$pollux" explain --json=run.json --svg run.svg --perfetto run.perfetto.json \
        >run.txt 2>err
    status=$?
    [ $status -eq 0 ] || fail "explain: exit $status: $(cat err)"
}
record
for _ in 1 2 3 4; do
    "$python" "$here/explain.py" shapes run.json 2>/dev/null && break
    record
done
check shapes run.json
running_models | sort >running
"$python" -c 'import json; print("\n".join(sorted(m["name"] for m in json.load(open("run.json"))["models"])))' >drawn
diff running drawn || fail "explain: not the models that run here"
check svg run.svg run.json
check perfetto run.perfetto.json
check drawing run.txt run.json
if "$pollux" explain epoll --json=missing/run.json >out 2>err; then
    fail "explain: a file that cannot be written is no error"
fi
[ ! -e missing ] || fail "explain: left something behind"

# What was written draws the same again.
"$pollux" explain --from run.json --svg again.svg >again.txt || fail "explain --from: exit $?"
cmp run.txt again.txt || fail "explain --from: another drawing"
# What is missing in a document stays missing, and the rest is written.
"$python" -c 'import json
d = json.load(open("run.json"))
del d["command"], d["machine"]
json.dump(d, open("less.json", "w"))'
"$pollux" explain --from less.json --json=less-again.json >less.txt || fail "explain --from less: exit $?"
grep -q '"machine": *null' less-again.json || fail "explain --from less: a machine from nowhere"
cmp run.svg again.svg || fail "explain --from: another figure"

timeout 60 "$pollux" explain --scenario buffer --json=buffer.json >buffer.txt || fail "buffer: exit $?"
check buffer buffer.json
check drawing buffer.txt buffer.json

# ---- a server's own recording ------------------------------------------------------------------

serve --model epoll --trace served.json --trace-events 4096
printf 'hallo\n' | ask >answer || fail "serve --trace: no answer"
kill -USR2 "$server_pid"
wait_until grep -qs on_data served.json || fail "serve --trace: nothing at SIGUSR2"
check served served.json
rm served.json
stop_server "serve --trace"
check served served.json
"$pollux" explain --from served.json >served.txt || fail "explain --from served.json: exit $?"
grep -q 'on_data' served.txt || fail "explain --from served.json: $(head -5 served.txt)"

serve --model epoll --trace served.perfetto.json
printf 'hallo\n' | ask >answer || fail "serve --trace: no answer"
stop_server "serve --trace"
check perfetto served.perfetto.json
expect_refusal "--trace missing/served.json" serve --trace missing/served.json

# ---- what the kernel saw -----------------------------------------------------------------------

why=
command -v strace >/dev/null || why="strace is not installed"
[ -n "$why" ] || strace -o /dev/null true 2>/dev/null || why="strace may not trace here"
[ -n "$why" ] || ! sanitized || why="a sanitizer makes system calls of its own"
if [ -n "$why" ]; then
    echo "skipped in part: not beside strace: $why"
else
    for m in blocking fork threads threadpool nonblocking select poll epoll epoll-et sigio; do
        grep -qx $m running || continue
        rm -f traced.*
        timeout 120 strace -qq -ff -o traced "$pollux" explain $m --json=kernel.json >out 2>err ||
            fail "explain $m under strace: $(cat err)"
        check kernel kernel.json traced
    done
fi
finish
