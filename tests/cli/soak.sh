#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# script/soak in small: among connections that come and go and peers that misbehave, no byte is lost
# or wrong and every descriptor and thread comes back, which a few seconds suffice to show. Growth of
# memory they do not; that the judgement tells it is shown on samples made up for it.
# shellcheck source=tests/cli/client.bash
. "$(dirname "$0")/client.bash"

soak_py=$here/../soak/soak.py
command -v python3 >/dev/null || skip "python3 is not installed"

# soak STATUS ARGUMENT...: leaves ledger.json and out.
soak()
{
    local want=$1
    shift
    python3 "$soak_py" --pollux "$pollux" --output ledger.json --no-slopes --idle 200 --active 40 \
        --churn 50 --rate 200 "$@" >out 2>&1
    status=$?
    [ "$status" -eq "$want" ] || fail "soak $*: exit $status instead of $want: $(cat out)"
}

# holds EXPRESSION...: of the last ledger's first run, `run`.
holds()
{
    python3 - "$@" <<'END' || fail "the ledger: $(cat out)"
import json, sys
run = json.load(open("ledger.json"))["runs"][0]
for expression in sys.argv[1:]:
    if not eval(expression):
        sys.exit(f"not so: {expression}")
END
}

soak 0 6s --model epoll
holds 'run["totals"]["lost"] == run["totals"]["wrong"] == 0' \
    'all(n > 0 for n in run["faults"].values()) and len(run["faults"]) == 8' \
    'run["growth"]["descriptors"]["peak"] > 200' \
    'run["counters"]["timeouts_write"] == run["faults"]["never readers"]' \
    'run["clients"]["idle 1"]["held"] + run["clients"]["idle 2"]["held"] == 200' \
    'run["log_lines"] == 0'

# A server that answers something else is found out by every one of them.
soak 1 2s --model epoll --service upper
holds 'run["verdict"] == "failed"' \
    'all(run["clients"][name]["wrong"] > 0 for name in ("idle 1", "active", "churn", "chaos"))'
soak 2 2s --model nonsense

# ---- the judgement, on samples made up ----------------------------------------------------------

python3 - "$here/../soak" <<'END' || fail "the judgement of growth"
import random, sys
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
import ledger

dice = random.Random(3)
SECONDS = 200

def trend(value, allowed, seconds=SECONDS):
    return ledger.trend([(t, value(t)) for t in range(seconds)], allowed)

def expect(what, want, got):
    if got["verdict"] != want:
        sys.exit(f"{what}: expected {want}, got {got}")

expect("a constant", ledger.FLAT, trend(lambda t: 6120, 250))
expect("a constant with nothing allowed", ledger.FLAT, trend(lambda t: 8, 0))
expect("noise", ledger.FLAT, trend(lambda t: 6120 + dice.gauss(0, 50), 250))
expect("shrinking", ledger.FLAT, trend(lambda t: 6120 - 10 * t, 250))
expect("32 bytes of each of 280 connections a second", ledger.GREW,
       trend(lambda t: 6120 + 280 * 32 / 1024 * t + dice.gauss(0, 50), 280 * 60 * ledger.LEAK_KIB))
expect("a descriptor of each of 100", ledger.GREW,
       trend(lambda t: 11000 + 2.8 * t + dice.gauss(0, 20), 280 * 60 * ledger.LEAK_COUNT))
expect("noise that hides it", ledger.CANNOT_TELL, trend(lambda t: dice.gauss(0, 5000), 250, 30))
expect("too few", ledger.CANNOT_TELL, trend(lambda t: 6120, 250, ledger.FEWEST_SAMPLES - 1))
# A walk at random is no trend, but its samples are alike: taken for independent ones they would
# make a tight interval around a slope that is not there.
walk = [0.0]
for _ in range(SECONDS):
    walk.append(walk[-1] + dice.gauss(0, 30))
got = trend(lambda t: walk[t], 250)
if got["verdict"] == ledger.GREW:
    sys.exit(f"a walk at random: {got}")

# What is taken once, early in the judged time, is no leak.
got = trend(lambda t: 6120 + (4000 if t > 40 else 0) + dice.gauss(0, 20), 250)
if got["verdict"] == ledger.GREW:
    sys.exit(f"a step: {got}")

# Descriptors must come back exactly, whatever the line says; memory need not.
sample = {"descriptors": 8, "rss_kib": 3000, "threads": 1}
later = {"descriptors": 9, "rss_kib": 6000, "threads": 1}
growth = ledger.judge_growth([{"seconds": t, **sample} for t in range(60)], 15, 16800, sample, later)
assert not growth["descriptors"]["returned"] and growth["threads"]["returned"], growth
assert growth["rss_kib"]["returned"] and growth["rss_kib"]["peak"] == 6000, growth
END
finish
