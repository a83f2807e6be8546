#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# pollux check: what it says about every model, as a table and as JSON, and what it refuses.
. "$(dirname "$0")/client.bash"

head -c 300007 /dev/urandom >file

"$pollux" check --connections 8 --json=check.json "$work/file" >out 2>err
status=$?
expect 0 "check of a file"
[ ! -s err ] || fail "no terminal, and yet on standard error: $(cat err)"
grep -q "$work/file: 300007 bytes" out || fail "the file is not named: $(cat out)"

python3 - "$work" <<'END' || fail "the table or the document is wrong: $(cat out)"
import json
import sys

work = sys.argv[1]
models = json.load(open("models.json"))["models"]
models = {m["name"]: m for m in models if m["name"] != "auto"}
doc = json.load(open("check.json"))
table = open("out").read()

assert doc["schema_version"] == 1 and doc["right"] is True, doc
assert doc["file"] == work + "/file" and doc["file_bytes"] == 300007, doc
rows = {r["name"]: r for r in doc["models"]}
assert rows.keys() == models.keys(), (rows.keys(), models.keys())
for name, row in rows.items():
    line = [l for l in table.splitlines() if l.split()[:1] == [name]]
    assert len(line) == 1, (name, table)
    if models[name]["runs"]:
        concurrent = "concurrent" in models[name]["capabilities"]
        connections = 8 if concurrent else 1
        assert row["verdict"] == "ok", row
        assert row["connections"] == connections, row
        assert row["bytes"] == connections * 300007, row
        assert row["seconds"] > 0 and row["peak_memory_bytes"] > 100000, row
        assert line[0].split()[1] == "ok", line
    else:
        assert row["verdict"] == "cannot run" and row["reason"], row
        assert "cannot run" in line[0], line
assert "\033" not in table
# A word that has no blank in it, such as a long path, is not broken.
for l in table.splitlines():
    assert len(l) <= 100 or work in l, l
END

# A single model, and nothing on standard output but the document.
"$pollux" check --models poll,epoll,poll --connections 3 --json - file >out 2>err
status=$?
expect 0 "two models"
python3 -c '
import json, sys
assert [r["name"] for r in json.load(sys.stdin)["models"]] == ["poll", "epoll"]' <out ||
    fail "--models poll,epoll,poll: $(cat out)"

# Nothing is a legal file: only the half-close is left to check.
"$pollux" check -c 5 /dev/null >out 2>err
status=$?
expect 0 "an empty file"
printf x >one
"$pollux" check -c 5 one >out 2>err
status=$?
expect 0 "a file of one byte"

# More connections than a pool has threads, and than some tables begin with.
"$pollux" check -c 200 -m threadpool,select,poll,epoll one >out 2>err
status=$?
expect 0 "200 connections"

expect_refusal none: check none
expect_refusal "$work: " check "$work"
expect_refusal 'did you mean epoll' check --models epol
expect_refusal 'auto' check --models auto
expect_refusal 'unknown model' check --models poll,,epoll
expect_refusal '--connections' check --connections 0
expect_refusal '--connections' check --connections 10001
expect_refusal '--timeout' check --timeout soon
expect_refusal 'two' check one two
(failures=0; ulimit -n 150 && expect_refusal ulimit check --connections 100 && finish) || fail "a low limit on open files"

# None of the chosen models can run: that is not "right".
unable=$(python3 -c '
import json
print(next((m["name"] for m in json.load(open("models.json"))["models"] if not m["runs"]), ""))')
if [ -n "$unable" ]; then
    "$pollux" check --models "$unable" one >out 2>err
    status=$?
    expect 1 "a model that cannot run"
    grep -q 'cannot run' out || fail "$unable: $(cat out)"
fi
finish
