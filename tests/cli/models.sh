#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# pollux models: every model has its row, a reason wherever it cannot run, and the same in JSON.
. "$(dirname "$0")/common.bash"

all="blocking fork threads threadpool nonblocking select poll epoll epoll-et kqueue sigio posix-aio
     io_uring auto"

"$pollux" models >table 2>err || fail "models: exit $?"
[ ! -s err ] || fail "models: on standard error: $(cat err)"
awk 'length > 100 { print length " columns: " $0; bad = 1 } END { exit bad }' table >&2 ||
    fail "the table is wider than 100 columns"
for model in $all; do
    grep -Eq "^$model +(yes|no) " table || fail "no row for $model"
done
# select(2) and poll(2) are everywhere; what auto takes must run.
grep -Eq '^poll +yes ' table || fail "poll does not run"
auto=$(sed -n 's/^auto takes \([^ ]*\) on this machine\.$/\1/p' table)
grep -Eq "^$auto +yes " table || fail "auto takes $auto, which does not run"
# A "no" is followed by its reason.
awk '/^[a-z]/ { if (open != "") { print open; bad = 1 } open = $2 == "no" ? $1 : "" }
     / why not: [^ ]/ { open = "" }
     END { exit bad || open != "" }' table >&2 || fail "a model that cannot run has no reason"

command -v python3 >/dev/null || { echo "skipped the JSON: no python3"; finish; }
cat >check.py <<'END'
import json, sys
doc = json.load(open(sys.argv[1]))
assert doc["schema_version"] == 1, doc
rows = {row["name"]: row for row in doc["models"]}
assert len(rows) == len(doc["models"]), "a name twice"
missing = set(sys.argv[3].split()) - set(rows)
assert not missing, missing
for row in rows.values():
    assert isinstance(row["runs"], bool), row
    assert row["runs"] == (row["reason"] == "" and row["error"] == ""), row
    for key in "waits_in", "copies_in", "summary":
        assert row[key], (key, row)
assert rows[doc["auto"]]["runs"]
lines = open(sys.argv[2]).read().split("\n\n")[0].splitlines()
table = {line.split()[0]: line.split()[1] for line in lines if line[0].islower()}
for name, row in rows.items():
    assert table[name] == ("yes" if row["runs"] else "no"), name
END
"$pollux" models --json >out || fail "models --json: exit $?"
"$pollux" models --json=file.json >empty || fail "models --json=FILE: exit $?"
[ ! -s empty ] || fail "models --json=FILE prints to standard output"
python3 check.py out table "$all" || fail "models --json"
python3 check.py file.json table "$all" || fail "models --json=FILE"

"$pollux" models --json=no/such/dir 2>err
[ $? -eq 1 ] || fail "a file that cannot be written goes unnoticed"
grep -q "^pollux models: --json no/such/dir: No such file" err || fail "models --json: $(cat err)"

finish
