#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# --help, the manual and the completion name the same options with the same facts: all of them come
# from the table that the parser reads.
. "$(dirname "$0")/common.bash"

"$pollux" completion bash >functions || fail "completion: exit $?"
bash -n functions || fail "the completion is not bash"
# shellcheck disable=SC1091
. ./functions

# Asks the completion as the shell does; the words are what has been typed so far.
complete_words()
{
    COMP_WORDS=("$@")
    COMP_CWORD=$(($# - 1))
    COMPREPLY=()
    _pollux 2>/dev/null # compopt complains outside of a real completion
    printf '%s\n' "${COMPREPLY[@]}"
}

# The manual's text without its markup.
plain_manual()
{
    "$pollux" man "$@" | sed -e 's/\\f[BIR]//g' -e 's/\\-/-/g' -e "s/\\\\(aq/'/g" -e 's/\\&//g' \
        -e 's/\\e/\\/g'
}

options_of_manual()
{
    sed -n '/^\.SH OPTIONS/,/^\.SH EXIT/p' | grep -A1 '^\.TP$' | grep -oE -- '--[a-z][a-z-]*' | sort -u
}

for command in models serve connect check bench compare explain; do
    "$pollux" "$command" --help >help.txt
    plain_manual "$command" >manual.txt
    # An option begins its line in the help, and follows .TP in the manual.
    grep -oE -- '^  (-., |    )--[a-z][a-z-]*' help.txt | grep -oE -- '--[a-z-]+' | sort -u >from_help
    options_of_manual <manual.txt >from_manual
    complete_words pollux "$command" -- | grep -E '^--' | sort -u >from_completion
    [ "$(wc -l <from_help)" -ge 2 ] || fail "$command: --help shows no options"
    diff from_help from_manual >&2 || fail "$command: --help and the manual differ"
    diff from_help from_completion >&2 || fail "$command: --help and the completion differ"

    # The parser knows each of them: whatever else is wrong, it is not an unknown option.
    while read -r option; do
        "$pollux" "$command" "$option=?" >out 2>err </dev/null
        ! grep -q "unknown option" err || fail "$command: the parser does not know $option"
        [ "$option" = --help ] || [ "$option" = --json ] || [ -s err ] || [ -s out ] ||
            fail "$command $option=? was swallowed"
    done < <(grep -Ev -- '--(help|json|port-file|log-file|trace|suffix|output|svg|html|perfetto)$' from_help)

    # Ranges and defaults read the same.
    tr -s ' \n' ' ' <help.txt >help.flat
    grep -oE '[0-9]+[a-zA-Z]* to [0-9]+[a-zA-Z]*(, or none)?(; default [^ ]+)?\.' manual.txt |
        while read -r fact; do
            grep -qF -- "$fact" help.flat || echo "$fact"
        done >missing
    [ ! -s missing ] || fail "$command: in the manual only: $(cat missing)"

    head -1 manual.txt | grep -q "^\.TH POLLUX-${command^^} 1 " || fail "$command: no .TH"
    for section in NAME SYNOPSIS DESCRIPTION OPTIONS "EXIT STATUS" EXAMPLES "SEE ALSO"; do
        grep -qx "\.SH $section" manual.txt || fail "$command: the manual has no $section"
    done
    if command -v groff >/dev/null; then
        "$pollux" man "$command" | groff -man -Tutf8 -ww >/dev/null 2>groff.err
        [ ! -s groff.err ] || fail "$command: groff: $(cat groff.err)"
    fi
done

plain_manual >manual.txt
for command in models serve connect check bench compare explain; do
    grep -q "^$command$" manual.txt || fail "pollux.1 does not list $command"
done

# Values are completed too.
complete_words pollux "" | grep -qx serve || fail "commands are not completed"
complete_words pollux serve --service u | grep -qx upper || fail "services are not completed"
complete_words pollux serve -m epol | grep -qx epoll || fail "models are not completed"
complete_words pollux serve --drain n | grep -qx none || fail "none is not completed"
touch some-file
complete_words pollux check so | grep -qx some-file || fail "files are not completed"

finish
