#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The program's frame: help, version, unknown commands and options, output that cannot be written.
. "$(dirname "$0")/common.bash"

commands="models serve connect check bench compare"

expect_refusal "a command is missing"
expect_refusal "unknown command serv; did you mean serve?" serv
expect_refusal "unknown command zebra; see pollux --help" zebra
expect_refusal "unknown option --hlep; see pollux --help" --hlep
expect_refusal "unknown command modls; did you mean models?" help modls
expect_refusal "unexpected argument b" help serve b
expect_refusal "completion is for bash" completion zsh
expect_refusal "pollux: unknown command a?b; see" $'a\nb'
for command in $commands; do
    expect_refusal "unknown option --no-such; see pollux $command --help" "$command" --no-such
    expect_refusal "unknown option -Z" "$command" -Z
    expect_refusal "unexpected argument" "$command" 127.0.0.1:1 two three
done

"$pollux" --version >out || fail "--version: exit $?"
grep -Eqx 'pollux [0-9]+\.[0-9]+\.[0-9]+' out || fail "--version: $(cat out)"
[ "$("$pollux" -V)" = "$(cat out)" ] || fail "-V differs from --version"

"$pollux" --help >out 2>err || fail "--help: exit $?"
[ ! -s err ] || fail "--help writes to standard error"
[ "$("$pollux" -h)" = "$(cat out)" ] || fail "-h differs from --help"
[ "$("$pollux" help)" = "$(cat out)" ] || fail "help differs from --help"
for command in $commands; do
    grep -Eq "^  $command " out || fail "--help does not list $command"
    "$pollux" "$command" --help >page || fail "$command --help: exit $?"
    "$pollux" "$command" -h | cmp -s - page || fail "$command -h differs from --help"
    "$pollux" help "$command" | cmp -s - page || fail "help $command differs from --help"
    awk -v c="$command" 'length > 100 { print c ": " length " columns: " $0; bad = 1 }
        END { exit bad }' page >&2 || fail "$command --help is wider than 100 columns"
done

# A result that was not written is not a result.
if [ -c /dev/full ]; then
    "$pollux" --help >/dev/full 2>err
    [ $? -eq 1 ] || fail "a full disk goes unnoticed"
    grep -q "^pollux: standard output: " err || fail "a full disk: $(cat err)"
fi
"$pollux" --help >&- 2>err
[ $? -eq 1 ] || fail "a closed standard output goes unnoticed"

finish
