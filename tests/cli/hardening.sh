#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The program is built so that a flaw in it is hard to use (cmake/PolluxFlags.cmake says how and
# why). Each property is looked for in the program itself, and, to show that it would be missed, in
# a program that is built without any of them.
# shellcheck source=tests/cli/bench.bash
. "$(dirname "$0")/bench.bash"

command -v readelf >/dev/null && command -v objdump >/dev/null ||
    { echo "skipped: binutils is not installed"; exit 77; }
readelf -h "$pollux" >/dev/null 2>&1 || { echo "skipped: the program is not an ELF file"; exit 77; }
sanitized && { echo "skipped: a build with sanitizers is not hardened"; exit 77; }
grep -qs '^POLLUX_HARDEN:BOOL=\(OFF\|NO\|0\|FALSE\)$' "$(dirname "$pollux")/CMakeCache.txt" &&
    { echo "skipped: built with POLLUX_HARDEN=OFF"; exit 77; }

# has PROPERTY FILE. What readelf and objdump say is read to its end: grep -q would end them early.
has()
{
    case "$1" in
    "position-independent program") readelf -dW "$2" | grep 'FLAGS_1.*\bPIE\b' ;;
    "addresses that are read-only after the start") readelf -lW "$2" | grep GNU_RELRO ;;
    "binding at the start") readelf -dW "$2" | grep -E 'FLAGS_1.*\bNOW\b|\bBIND_NOW\b' ;;
    "stack that is not executable") readelf -lW "$2" | grep 'GNU_STACK.* RW ' ;;
    "canary on the stack") readelf -sW "$2" | grep '__stack_chk_fail' ;;
    "checked library calls") readelf -sW "$2" | grep -E 'UND +__[a-z]+_chk\b' ;;
    "page-wise growth of the stack") objdump -d "$2" | grep -E '\sor[qbl] +\$0x0,(0x0)?\(%rsp\)' ;;
    "landing mark of main()") objdump -d "$2" | grep -A 1 '<main>:' | grep endbr64 ;;
    esac >/dev/null
}

properties=("position-independent program" "addresses that are read-only after the start"
    "binding at the start" "stack that is not executable" "canary on the stack")
# Library calls are checked in optimized code only.
serve --model poll
bench 0 -c 1 -n 1 --warmup none "$address"
stop_server "the server"
case "$(value 'd["machine"]["build"]["type"]')" in
Release | RelWithDebInfo | MinSizeRel) properties+=("checked library calls") ;;
esac
# These two are looked for in the instructions of gcc for x86-64; clang's look different.
if readelf -hW "$pollux" | grep -q X86-64 && readelf -p .comment "$pollux" | grep -q GCC: &&
    ! readelf -p .comment "$pollux" | grep -q clang; then
    properties+=("page-wise growth of the stack" "landing mark of main()")
fi

for property in "${properties[@]}"; do
    has "$property" "$pollux" || fail "the program has no $property"
done

# ---- and a program with none of it --------------------------------------------------------------

cc=$(command -v gcc) || { echo "the check itself was not tried: gcc is not installed"; finish; }
cat >soft.c <<'END'
#include <stdio.h>
#include <string.h>
int main(int argc, char **argv)
{
    char name[16384];
    strcpy(name, argv[argc - 1]);
    return puts(name) < 0;
}
END
"$cc" -O1 -no-pie -fno-pie -Wl,-z,norelro,-z,lazy,-z,execstack -U_FORTIFY_SOURCE \
    -fno-stack-protector -fno-stack-clash-protection -fcf-protection=none -o soft soft.c \
    2>soft.err || { echo "the check itself was not tried: $(head -1 soft.err)"; finish; }
for property in "${properties[@]}"; do
    has "$property" soft && fail "found in a program that has none: $property"
done
finish
