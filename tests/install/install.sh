#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# install.sh static|shared COMPILER GENERATOR: installs into a directory of its own and
# builds a consumer there by pkg-config and by find_package. A build of its own, too: the release
# that a user installs, shared or not, whatever build this test belongs to.
set -euo pipefail

kind=$1 compiler=$2 generator=$3
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    echo "install.$kind: $*" >&2
    exit 1
}

shared=OFF
[ "$kind" = shared ] && shared=ON
cmake -S "$root" -B "$work/build" -G "$generator" -DCMAKE_C_COMPILER="$compiler" \
    -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=$shared \
    -DPOLLUX_TESTS=OFF -DPOLLUX_EXAMPLES=OFF \
    -DCMAKE_INSTALL_PREFIX="$work/prefix" -DCMAKE_INSTALL_LIBDIR=lib
cmake --build "$work/build" --parallel 2
cmake --install "$work/build"

for file in bin/pollux include/pollux/pollux.h share/man/man1/pollux.1 share/man/man1/pollux-serve.1 \
    share/bash-completion/completions/pollux; do
    [ -s "$work/prefix/$file" ] || fail "$file is not installed, or empty"
done
bash -n "$work/prefix/share/bash-completion/completions/pollux"

export PKG_CONFIG_PATH="$work/prefix/lib/pkgconfig"
export LD_LIBRARY_PATH="$work/prefix/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
version=$(sed -n 's/^#define PLX_VERSION "\(.*\)"$/\1/p' "$root/include/pollux/pollux.h")
[ "$(pkg-config --modversion pollux)" = "$version" ] || fail "pkg-config has another version"

# shellcheck disable=SC2046 # words are wanted
"$compiler" -o "$work/by-pkg-config" "$root/tests/install/consumer.c" \
    $(pkg-config --cflags --libs pollux)
cmake -S "$root/tests/install" -B "$work/consumer" -G "$generator" \
    -DCMAKE_C_COMPILER="$compiler" -DCMAKE_PREFIX_PATH="$work/prefix"
cmake --build "$work/consumer"

for consumer in "$work/by-pkg-config" "$work/consumer/consumer"; do
    said=$("$consumer")
    [[ $said == "$version "?* ]] || fail "$consumer said '$said', not '$version MODEL'"
    linked=static
    [[ $(ldd "$consumer") == *libpollux* ]] && linked=shared # no pipe: grep -q would end ldd by SIGPIPE
    [ $linked = "$kind" ] || fail "$consumer is linked $linked"
done
"$work/prefix/bin/pollux" --version | grep -qF "$version" || fail "pollux --version: not $version"
