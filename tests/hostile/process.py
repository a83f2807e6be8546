# SPDX-License-Identifier: MIT
"""Scenarios 22 to 26 and 28: what is done to the server's process, while clients look on."""

import fcntl
import mmap
import os
import random
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

import clients
from silence import LATE
from trial import Skip

# ---- 22: SIGTERM ---------------------------------------------------------------------------------


def terminated(trial):
    """Again and again, at a random moment under load. What was sent before the signal was
    acknowledged by the server's kernel, and is answered; then comes a clean end, and exit 0."""
    rounds = trial.size(9, 100)
    seed = int.from_bytes(os.urandom(4), "big")
    trial.note(f"seed {seed}")
    rand = random.Random(seed)
    slowest = 0.0
    for i in range(rounds):
        slowest = max(slowest, terminate_once(trial, rand, f"round {i} of seed {seed}"))
    trial.note(f"{rounds} ends, the slowest took {slowest:.2f} s")
    second_signal(trial)
    if trial.one:
        trial.limited("backlog")


def terminate_once(trial, rand, where):
    server = trial.serve()
    n = 1 if trial.one else 8
    streams = [
        clients.Stream(s, i, window=rand.choice((64, 4096, 65536)))
        for i, s in enumerate(clients.crowd(server.address, n))
    ]
    if trial.one:  # who waits in the backlog is refused, so this one must be served already
        clients.pump(streams, 10 * trial.slow, lambda: streams[0].got > 0)
    clients.pump(streams, rand.uniform(0.01, 0.15))
    server.signal(signal.SIGTERM)
    at = time.monotonic()
    marks = [stream.sent for stream in streams]
    for i, stream in enumerate(streams):
        stream.sending = i % 2 == 1  # the others say nothing more, and must still be answered
    trial.expect(clients.pump(streams, 12 * trial.slow), f"{where}: the drain left peers waiting")
    for stream, mark in zip(streams, marks):
        trial.expect(
            stream.got >= mark,
            f"{where}: {mark} bytes were sent before SIGTERM, {stream.got} answered ({stream.end})",
        )
        trial.expect(stream.end == "fin", f"{where}: a {stream.end} instead of a clean end")
        stream.socket.close()
    status = server.wait(12)
    trial.expect(status == 0, f"{where}: exit {status}: {server.errors()}")
    return time.monotonic() - at


def second_signal(trial):
    """Somebody who never reads keeps a drain without limit from ending; newcomers are refused all
    the same; the second signal ends it at once."""
    server = trial.serve("--drain", "none", "--write-timeout", "none", "--idle-timeout", "none")
    s = clients.connect(server.address, received=4096)
    s.setblocking(False)
    until = time.monotonic() + 0.5
    while time.monotonic() < until:
        if select.select([], [s], [], 0.05)[1]:
            try:
                s.send(b"x" * 65536)
            except BlockingIOError:
                pass
    server.signal(signal.SIGTERM)
    at = time.monotonic()
    refused = False
    # One who came before the signal was heard is told the end only when it is: on a busy machine
    # that takes a while.
    while not refused and time.monotonic() - at < 10 * trial.within:
        try:
            clients.end_of(clients.connect(server.address, timeout=trial.within), trial.within)
        except OSError:
            refused = True
        time.sleep(0.01)
    trial.expect(refused, "a newcomer can still connect long after SIGTERM")
    time.sleep(0.2)
    trial.expect(server.running, f"the drain did not wait: exit {server.process.poll()}")
    server.signal(signal.SIGTERM)
    at = time.monotonic()
    status = server.wait(3)
    trial.expect(status is not None, "the second SIGTERM did not end it")
    trial.expect(status == 1, f"a connection was cut, but the exit is {status}")
    trial.note(f"second SIGTERM: {time.monotonic() - at:.2f} s")
    trial.expect(time.monotonic() - at < 1.5 * trial.slow, "the second SIGTERM is not at once")
    s.close()


# ---- 23: SIGSTOP ---------------------------------------------------------------------------------


def stopped(trial):
    """Stopped for much longer than the idle limit. Peers who spoke just before or meanwhile are
    heard before anybody is judged. When the server was waiting at that moment, not even those are
    ended who speak only afterwards: the time was not theirs. (In the midst of its work a stop
    looks like a callback that took long, and that time counts.)"""
    idle = trial.size(0.8, 3.0)
    away = trial.size(2.0, 10.0)
    server = trial.serve(
        *("--idle-timeout", f"{int(idle * 1000)}ms"),
        *("--pool-size", "64") * (trial.model == "threadpool"),
    )
    peers = clients.crowd(server.address, 1 if trial.one else 30, timeout=trial.within)
    if trial.one:
        trial.limited("one")
    for waiting in (False, True):
        for s in peers:
            clients.ask(s, b"before")
        if waiting:
            time.sleep(0.1)
            before, meanwhile, after = [], peers[::2], peers[1::2]
        else:
            before, meanwhile, after = peers[::2], peers[1::2], []
        say(before)
        server.signal_all(signal.SIGSTOP)
        time.sleep(away / 2)
        say(meanwhile)
        time.sleep(away / 2)
        since = time.monotonic()
        server.signal_all(signal.SIGCONT)
        time.sleep(0.05)
        say(after)
        for i, s in enumerate(peers):
            got = clients.receive(s, 4)
            trial.expect(got == b"then", f"waiting {waiting}: peer {i} got {got!r} after SIGCONT")
    for i, s in enumerate(peers):
        how = clients.end_of(s, idle * 17 / 16 + LATE * trial.slow)
        took = time.monotonic() - since
        trial.expect(how is not None, f"peer {i}: no idle limit any more after SIGCONT")
        trial.expect(took >= idle, f"peer {i} was ended {took:.3f} s after SIGCONT")
        s.close()
    stats = server.until_stats(lambda s: s["open"] == 0)
    trial.expect(stats["timeouts_idle"] == len(peers), f"{stats['timeouts_idle']} idle timeouts")


def say(peers):
    for s in peers:
        s.sendall(b"then")


# ---- 24: the wall clock --------------------------------------------------------------------------


class Clock:
    """clock.c between the server and its wall clock: an offset that can be changed while it runs,
    and how often the clock was read."""

    def __init__(self, trial):
        self.file = tempfile.NamedTemporaryFile(prefix="pollux-clock-")
        self.file.truncate(mmap.PAGESIZE)
        self.map = mmap.mmap(self.file.fileno(), mmap.PAGESIZE)
        library = trial.options.clock or self._compile()
        self.environment = {"LD_PRELOAD": library, "HOSTILE_CLOCK": self.file.name}
        if trial.slow > 1:  # a sanitizer wants to be the first library
            asan = os.environ.get("ASAN_OPTIONS", "")
            self.environment["ASAN_OPTIONS"] = asan + ":verify_asan_link_order=0"

    def _compile(self):
        compiler = shutil.which("cc")
        if not compiler:
            raise Skip("there is neither --clock nor a compiler to make it")
        self.folder = tempfile.TemporaryDirectory(prefix="pollux-clock-")
        library = os.path.join(self.folder.name, "clock.so")
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "clock.c")
        subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", library, source], check=True)
        return library

    def shift(self, seconds):
        self.map[0:8] = struct.pack("=q", seconds)

    @property
    def reads(self):
        return struct.unpack("=q", self.map[8:16])[0]


def day_of(address):
    """What the service daytime says, without the time of day."""
    s = clients.connect(address)
    text = b"".join(iter(lambda: s.recv(100), b""))
    s.close()
    return re.sub(rb" \d\d:\d\d:\d\d.*", b"", text.strip())


def clock_jumps(trial):
    """A day forward, two days back. First it is shown that the clock really jumps for the server;
    then that no limit cares, and that serving does not even read it."""
    clock = Clock(trial)
    witness = trial.serve(
        "--service", "daytime", environment=clock.environment, probe=lambda *_: 0.0
    )
    today = day_of(witness.address)
    clock.shift(86400)
    if day_of(witness.address) == today:
        raise Skip("the clock cannot be shifted by LD_PRELOAD here (a static program?)")
    clock.shift(0)
    idle = trial.size(0.8, 5.0)
    server = trial.serve(
        *("--idle-timeout", f"{int(idle * 1000)}ms", "--write-timeout", f"{int(idle * 1000)}ms"),
        environment=clock.environment,
    )
    if trial.one:
        trial.limited("one")
    reads = clock.reads
    for days in (1, -1, 0):
        peers = clients.crowd(server.address, 1 if trial.one else 5, timeout=trial.within)
        for s in peers:
            clients.ask(s, b"before")
        clock.shift(days * 86400)
        begun, spoke = time.monotonic(), {}
        while time.monotonic() - begun < idle * 1.5:  # active peers are not ended by the jump
            time.sleep(idle / 8)
            for s in peers:
                spoke[s] = time.monotonic()
                clients.ask(s, b"active")
        for s in peers:
            how = clients.end_of(s, idle * 17 / 16 + LATE * trial.slow)
            took = time.monotonic() - spoke[s]
            trial.expect(how is not None, f"jump to day {days:+}: a silent peer is kept")
            trial.expect(took >= idle, f"jump to day {days:+}: ended after {took:.3f} s")
            s.close()
    trial.expect(
        clock.reads == reads, f"the wall clock was read {clock.reads - reads} times while serving"
    )
    server.until_stats(lambda s: s["open"] == 0)


# ---- 25: signals ---------------------------------------------------------------------------------


def sprayed(trial):
    """A thousand signals a second at the whole family of processes, while streams go through."""
    seconds = trial.size(1.5, 30.0)
    numbers = (signal.SIGPIPE, signal.SIGHUP, signal.SIGCHLD, signal.SIGIO, signal.SIGURG)
    server = trial.serve()
    streams = [
        clients.Stream(s, i, window=65536)
        for i, s in enumerate(clients.crowd(server.address, 1 if trial.one else 4))
    ]
    stop, sent = threading.Event(), [0]

    def spray():
        while not stop.is_set():
            try:
                server.signal_all(numbers[sent[0] % len(numbers)])
            except ProcessLookupError:
                return
            sent[0] += 1
            time.sleep(0.001)

    thread = threading.Thread(target=spray, daemon=True)
    thread.start()
    begun = time.monotonic()
    clients.pump(streams, 60, lambda: time.monotonic() - begun > seconds)
    trial.expect(server.running, f"ended by a signal: exit {server.process.poll()}")
    for stream in streams:
        stream.sending = False
    answered = clients.pump(
        streams, 10 * trial.slow, lambda: all(s.got == s.sent or s.end for s in streams)
    )
    stop.set()
    thread.join()
    trial.note(f"{sent[0]} signals, {sum(s.got for s in streams) >> 20} MiB echoed")
    for stream in streams:
        trial.expect(stream.end is None, f"a stream was ended ({stream.end}) under signals")
        stream.socket.close()
    trial.expect(answered, "bytes were lost under signals")


# ---- 26: a handler that does not return ----------------------------------------------------------


def stalling_handler(trial):
    """The service discard writes to standard output, which nobody reads here: its handler hangs in
    write(2). Another client asks only to be let go."""
    server = trial.serve(*("--service", "discard", "--pool-size", "4"), probe=clients.probe_end)
    pipe = server.process.stdout.fileno()
    fcntl.fcntl(pipe, 1031, 4096)  # F_SETPIPE_SZ
    s = clients.connect(server.address)
    text = b"".join(b"%04d\n" % i for i in range(4000))
    s.sendall(text)
    time.sleep(0.3)
    try:
        clients.probe_end(server.address, 0.5 * trial.slow)
        stalled = False
    except OSError:
        stalled = True
    if trial.stalls:
        trial.expect(stalled, "another connection was served while the only thread stalled?")
        trial.limited("stall")
    else:
        trial.expect(not stalled, "a handler that stalls holds up others")
    s.shutdown(socket.SHUT_WR)
    # Where a piece of input ends inside a line, that is a line of output too.
    want, digits = text.replace(b"\n", b"").decode(), ""
    while len(digits) < len(want) and (line := server.line(5 * trial.slow)):
        digits += line.partition(": ")[2].strip()
    trial.expect(digits == want, f"{len(digits) // 4} of 4000 lines came after the stall")
    s.settimeout(5 * trial.slow)
    trial.expect(s.recv(1) == b"", "no clean end after the stall")
    s.close()


# ---- 28: restart ---------------------------------------------------------------------------------


def in_time_wait(port):
    with open("/proc/net/tcp", encoding="ascii") as f:
        return any(v[1].endswith(f":{port:04X}") and v[3] == "06" for v in map(str.split, f))


def restart(trial):
    """A second server on the port says so and leaves. A restart binds it although connections of
    the first, which it closed itself, are in TIME_WAIT."""
    first = trial.serve()
    port = first.address[1]
    peer = clients.connect(first.address, timeout=5 * trial.slow)
    clients.ask(peer, b"first")
    second = subprocess.run(
        [trial.options.pollux, "serve", "--model", trial.model, f"127.0.0.1:{port}"],
        capture_output=True,
        text=True,
        timeout=20 * trial.slow,
    )
    trial.expect(second.returncode == 2, f"a second server on the port: exit {second.returncode}")
    lines = second.stderr.splitlines()
    clear = len(lines) == 1 and str(port) in lines[0] and "in use" in lines[0].lower()
    trial.expect(clear, f"a second server on the port: {second.stderr!r}")
    trial.expect(not second.stdout, f"a second server on the port: {second.stdout!r}")
    clients.ask(peer, b"still the first")
    trial.probe(first) if not trial.one else None
    first.signal(signal.SIGTERM)
    trial.expect(peer.recv(1) == b"", "the drain did not end a connection")
    peer.close()  # after the server's FIN: TIME_WAIT is the server's
    trial.expect(first.wait(12) == 0, "the first did not end well")
    if not in_time_wait(port):
        trial.omit("a port in TIME_WAIT: the kernel keeps none (tcp_max_tw_buckets)")
    again = trial.serve(listen=f"127.0.0.1:{port}")
    trial.expect(again.address[1] == port, f"the restart listens on {again.address[1]}")
