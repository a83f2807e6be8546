#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The system calls of each model per message are those that docs/performance.md says, by the
# library's own counters; cli.serve_counters holds these beside the kernel's.
# shellcheck source=tests/cli/bench.bash
. "$(dirname "$0")/bench.bash"

page=$(realpath "$here/../../docs/performance.md")

# The rows of the page's table: model recv send ctl wait.
documented()
{
    sed -n '/^## System calls per message/,/^## /p' "$page" |
        awk -F'|' '$2 ~ /^ `/ { gsub(/[ `]/, ""); print $2, $3, $4, $5, $6 }'
}
documented >documented
[ "$(wc -l <documented)" -ge 12 ] || fail "the table of $page: $(cat documented)"

while read -r m recv send ctl wait; do
    connections=8
    [ "$m" != blocking ] || connections=1
    serve --model "$m" || continue
    bench 0 -c $connections -n 5000 "$address"
    kill -USR1 "$server_pid" # the end has calls of its own
    wait_until grep -qs '"final":false' ready.out || fail "$m: no counters at SIGUSR1"
    grep '"final":false' ready.out >stats
    stop_server "$m"
    # To make a connection and to end it takes some calls, too: they are spread over its messages.
    "$python" - "$recv" "$send" "$ctl" "$wait" $connections <<'END_OF_CHECK' || fail "$m: see above"
import json, sys
stats = json.load(open("stats"))
messages = stats["bytes_in"] / 64
assert messages == 5000, stats
bad = False
for name, most in zip(("recv", "send", "ctl", "wait"), sys.argv[1:5]):
    calls = (stats["calls_" + name] - 12 * int(sys.argv[5])) / messages
    if most != "any" and calls > float(most):
        print(f"{stats['model']}: {calls:.3f} {name} calls per message, documented: {most}", file=sys.stderr)
        bad = True
sys.exit(bad)
END_OF_CHECK
done < <(grep -Ff <(running_models | sed 's/$/ /') documented)
finish
