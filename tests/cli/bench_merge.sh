#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# `pollux bench merge`: the sum of histograms is the sum of their buckets, whatever the order; what
# is no such file is refused.
. "$(dirname "$0")/bench.bash"

serve --model epoll || finish
bench 0 -c 4 -n 3000 --histogram a "$address"
bench 0 -c 1 -n 2000 -s 4k --histogram b "$address"
bench 0 -c 2 -d 300ms --rate 500 --arrival poisson --histogram c "$address"
stop_server "the server"

"$pollux" bench merge --histogram sum a b c >out 2>err || fail "merge: exit $?: $(cat err)"
[ -s out ] || fail "merge: no summary"
"$pollux" bench merge --histogram sum2 c a >/dev/null || fail "merge of two"
"$pollux" bench merge --histogram sum3 sum2 b >/dev/null || fail "merge of a sum"
"$pollux" bench merge --histogram same a >/dev/null || fail "merge of one"
"$pollux" bench merge --histogram twice a a >/dev/null || fail "merge of one file twice"
"$pollux" bench merge --histogram - a b c >out || fail "merge to standard output"
"$pollux" bench merge --json=merged.json a b c >/dev/null || fail "merge --json"
"$python" - <<'END' || fail "the sum is not the sum"
import json
from collections import Counter


def read(name):
    h = json.load(open(name))
    assert h["schema_version"] == 1 and h["kind"] == "pollux-histogram", name
    return h


def buckets(h):
    return Counter({(low, high): count for low, high, count in h["buckets"]})


def expect(what, files, got):
    h = [read(f) for f in files]
    total = Counter()
    for x in h:
        total += buckets(x)
    assert buckets(got) == total, what
    assert got["count"] == sum(x["count"] for x in h), what
    assert int(got["sum"]) == sum(int(x["sum"]) for x in h), what
    assert got["min"] == min(x["min"] for x in h), what
    assert got["max"] == max(x["max"] for x in h), what
    ends = [(low, high) for low, high, _ in got["buckets"]]
    assert ends == sorted(ends), what


assert read("a")["count"] == 3000 and read("b")["count"] == 2000
expect("three", "abc", read("sum"))
expect("in two steps", "abc", read("sum3"))
expect("one", "a", read("same"))
expect("twice", "aa", read("twice"))
expect("to standard output", "abc", read("out"))
assert json.load(open("merged.json"))["schema_version"] == 1
END

echo '{"schema_version": 1, "kind": "something else"}' >other
echo 'no JSON' >text
head -c 200 a >half
expect_refusal "no-such-file" bench merge a no-such-file
expect_refusal "other" bench merge a other
expect_refusal "text" bench merge text
expect_refusal "half" bench merge half a
"$python" -c 'import json
h = json.load(open("a")); h["count"] += 1; json.dump(h, open("wrong", "w"))'
expect_refusal "wrong" bench merge a wrong
expect_refusal "merge" bench merge
expect_refusal "--rate" bench merge --rate 5 a
finish
