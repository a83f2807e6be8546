#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# docs/adding-a-model.md is right: its code, applied to a copy of the source tree, is a model that
# builds without a warning, serves, and passes conformance cases. The build is one of its own.
root=$(realpath "$(dirname "$0")/../..")
. "$(dirname "$0")/common.bash"

page=$root/docs/adding-a-model.md
name=epoll-oneshot

for tool in cmake ninja; do
    command -v $tool >/dev/null || {
        echo "skipped: there is no $tool to build the page's model with"
        exit 77
    }
done

# Prints the blocks of the page that are marked "```c MARK", one after the other.
blocks()
{
    awk -v fence="\`\`\`c $1" '
        $0 == "```" { if (inside) print ""; inside = 0 }
        inside
        $0 == fence { inside = 1 }' "$page"
}

# ---- one new file and one row ----
mkdir tree
for part in CMakeLists.txt LICENSE pollux.pc.in cmake include src cmd tests; do
    cp -R "$root/$part" tree/
done
blocks src/selector/epoll_oneshot.c >tree/src/selector/epoll_oneshot.c
blocks declaration >new.declaration
blocks row | sed '$d' >new.row
for file in tree/src/selector/epoll_oneshot.c new.declaration new.row; do
    grep -q epoll.oneshot $file || fail "$(basename $file): not in the page"
done
awk '
    /^static const struct plx__model models\[\] = / { while ((getline l <"new.declaration") > 0) print l }
    { print }
    /\.selector = &plx__epoll_et_ops,/ { sibling = 1 }
    sibling && $0 == "    }," { while ((getline l <"new.row") > 0) print l; sibling = 0 }
    ' "$root/src/models.c" >tree/src/models.c
[ "$(diff "$root/src/models.c" tree/src/models.c | grep -c '^[<>]')" -eq \
    $(($(wc -l <new.declaration) + $(wc -l <new.row))) ] || fail "src/models.c: the row found no place"

# ---- it builds ----
if ! { cmake -S tree -B build -G Ninja -DCMAKE_BUILD_TYPE=Debug -DPOLLUX_WERROR=ON \
    -DPOLLUX_EXAMPLES=OFF && ninja -C build -j 2 pollux-program conform; } >build.log 2>&1; then
    tail -n 40 build.log >&2
    fail "the page's model does not build"
    finish
fi
pollux=$work/build/pollux

# ---- it is offered ----
"$pollux" models >table || fail "models: exit $?"
grep -Eq "^$name +yes +epoll_wait +recv " table || fail "models: $(grep -A 2 "^$name" table)"
expect_refusal "did you mean $name?" serve --model epol-oneshot

# ---- it serves ----
serve --model $name || finish
[ "$model" = $name ] || fail "the server runs under $model"
[ "$(printf hello | ask)" = hello ] || fail "no echo at $address"
head -c 3000001 /dev/urandom >sent
ask <sent >got
cmp sent got || fail "the echo of a file differs"
stop_server "the server"
"$pollux" check --models $name --connections 20 >table 2>err || fail "check: $(cat table err)"

# ---- it conforms ----
for case in echo_interleaved half_close_after slow_reader end_in_callbacks descriptor_reuse \
    workers_shared drain_load; do
    build/tests/conform --model $name --case $case >out 2>&1 || fail "conform: $(cat out)"
    grep -q "^ok *$name/$case " out || fail "conform: $(cat out)"
done

finish
