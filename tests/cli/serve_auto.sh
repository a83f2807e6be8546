#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# With io_uring forbidden by a seccomp filter: the model named is refused with that reason, auto
# serves all the same and says what it took instead, and `pollux models` agrees.
. "$(dirname "$0")/common.bash"

command -v python3 >/dev/null || { echo "skipped: no python3 to set up a seccomp filter"; exit 77; }
cat >without.py <<'END'
"""Runs a command in which io_uring_setup(2) fails with EPERM."""
import ctypes, os, struct, sys

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
LOAD, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, EPERM = 0x7FFF0000, 0x00050000 | 1
IO_URING_SETUP = 425  # on every architecture but alpha

program = b"".join(struct.pack("HBBI", *row) for row in (
    (LOAD, 0, 0, 0),  # seccomp_data.nr
    (JUMP_EQUAL, 0, 1, IO_URING_SETUP),
    (RETURN, 0, 0, EPERM),
    (RETURN, 0, 0, ALLOW)))
buffer = ctypes.create_string_buffer(program)
header = struct.pack("HxxxxxxP", 4, ctypes.addressof(buffer))
libc = ctypes.CDLL(None, use_errno=True)
one, zero = ctypes.c_ulong(1), ctypes.c_ulong(0)
if libc.prctl(PR_SET_NO_NEW_PRIVS, one, zero, zero, zero) != 0:
    sys.exit(77)
if libc.prctl(PR_SET_SECCOMP, ctypes.c_ulong(SECCOMP_MODE_FILTER),
              ctypes.c_char_p(header), zero, zero) != 0:
    sys.exit(77)
os.execv(sys.argv[1], sys.argv[1:])
END
python3 without.py /bin/true || { echo "skipped: seccomp filters are not allowed here"; exit 77; }

program=$pollux
cat >forbidden <<END
#!/bin/sh
exec python3 "$work/without.py" "$program" "\$@"
END
chmod +x forbidden
pollux=$work/forbidden

expect_refusal "--model io_uring cannot run here: " serve --model io_uring
grep -q "forbidden.*seccomp" err || fail "the reason is missing: $(cat err)"
"$pollux" models >table || fail "models: exit $?"
grep -Eq '^io_uring +no ' table || fail "models says that io_uring runs"

serve --model auto || finish
[ "$model" != io_uring ] || fail "auto took io_uring"
grep -q "^pollux: model auto: took $model; passed over io_uring: .*seccomp" \
    ready.err || fail "auto does not say why: $(cat ready.err)"
[ "$(printf hello | ask)" = hello ] || fail "auto does not serve"
stop_server "the server"

# Without the filter auto says what it took as well, and takes what `pollux models` says.
pollux=$program
serve || finish
grep -q "^pollux: model auto: took $model" ready.err || fail "auto is silent: $(cat ready.err)"
"$pollux" models | grep -qx "auto takes $model on this machine." || fail "models disagrees"
stop_server "the server"

finish
