# SPDX-License-Identifier: MIT
"""Scenarios 5 to 8 and 11: peers that end in bad manners, or in good ones that are rare."""

import os
import signal
import socket
import time

import clients


def expect_counted(trial, server, resets, what):
    """Each reset ends one connection and is one error, and nothing else is counted."""
    stats = server.until_stats(lambda s: s["open"] == 0 and s["resets"] >= resets)
    trial.expect(stats["open"] == 0, f"{stats['open']} connections are still open after {what}")
    trial.expect(stats["resets"] == resets, f"{stats['resets']} resets counted of {resets}")
    trial.expect(stats["errors"] == 0, f"{stats['errors']} other errors counted after {what}")


def reset_in_transfer(trial):
    """Bytes in flight both ways, then RST."""
    n = trial.size(40, 1000)
    server = trial.serve("--log-level", "warn")
    with trial.bystander(server):
        for i in range(n):
            s = clients.connect(server.address)
            stream = clients.Stream(s, i)
            clients.pump([stream], 10, lambda: stream.got > i * 1000)  # pylint: disable=W0640
            trial.expect(stream.end is None, f"ended by the server: {stream.end}")
            clients.reset(s)
    expect_counted(trial, server, n, "resets in mid-transfer")
    trial.expect(not server.errors(), f"a reset is no news for a log: {server.errors()[:300]}")


def reset_in_queue(trial):
    """The connection is over before it was accepted."""
    n = trial.size(100, 400)
    server = trial.serve("--log-level", "warn")
    server.signal_all(signal.SIGSTOP)
    sockets = clients.crowd(server.address, n)
    for i, s in enumerate(sockets):
        if i % 2:
            s.send(b"x" * 100)
        clients.reset(s)
    server.signal_all(signal.SIGCONT)
    trial.probe(server)
    stats = server.until_stats(lambda s: s["open"] == 0)
    trial.expect(stats["open"] == 0, f"{stats['open']} of them are still open")
    trial.expect(stats["accept_pauses"] == 0, "the listener paused")
    trial.note(f"accepted {stats['accepted']}, resets {stats['resets']}")
    lines = server.log_lines()
    trial.expect(len(lines) <= 1, f"{len(lines)} lines in the log: {lines[:3]}")


def half_close_then_read(trial):
    """All is sent and the sending side shut before a byte is read; then more than the server's
    queue holds, read meanwhile. Every byte comes, then FIN."""
    server = trial.serve("--high-water", "64k")
    data = bytes(clients.Pattern(7).at(0, 200000))
    s = clients.connect(server.address, received=1 << 20)
    s.sendall(data)
    s.shutdown(socket.SHUT_WR)
    time.sleep(0.2)
    got = clients.receive(s, len(data) + 1)
    trial.expect(got == data, f"{len(got)} bytes came back of {len(data)}, or others")
    s.close()
    s = clients.connect(server.address)
    stream = clients.Stream(s, 8, total=trial.size(8 << 20, 256 << 20))
    trial.expect(
        clients.pump([stream], 60, lambda: stream.sent == stream.total), "sending took too long"
    )
    s.shutdown(socket.SHUT_WR)
    while stream.end is None and clients.pump([stream], 10 * trial.slow, lambda: True):
        s.settimeout(10 * trial.slow)
        stream.read()
    trial.expect(stream.end == "fin", f"the end was {stream.end}")
    trial.expect(stream.got == stream.total, f"{stream.got} bytes came back of {stream.total}")
    s.close()
    expect_counted(trial, server, 0, "half-close")


def half_close_at_once(trial):
    server = trial.serve()
    for _ in range(trial.size(20, 1000)):
        s = clients.connect(server.address, timeout=5 * trial.slow)
        s.shutdown(socket.SHUT_WR)
        got = s.recv(1)
        trial.expect(got == b"", f"{got!r} instead of a clean end")
        s.close()
    expect_counted(trial, server, 0, "half-close at byte 0")


def killed_peer(trial):
    """The peer's process is killed in mid-transfer, with input unread: its kernel sends RST. With
    all read, FIN."""
    server = trial.serve()
    for round_ in range(trial.size(4, 50)):
        other = None
        if trial.one:
            trial.limited("one")
        else:
            other = clients.connect(server.address)
        pid = os.fork()
        if pid == 0:
            try:
                pumped = clients.Stream(clients.connect(server.address), round_)
                clients.pump([pumped], 60)
            finally:
                os._exit(0)
        time.sleep(0.05)
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        trial.expect(os.WIFSIGNALED(status), "the client ended before it was killed")
        if other:
            other.settimeout(trial.within)
            clients.ask(other, b"unharmed")
            other.close()
    stats = server.until_stats(lambda s: s["open"] == 0)
    trial.expect(stats["open"] == 0, f"{stats['open']} connections are still open")
    trial.expect(stats["errors"] == 0, f"{stats['errors']} errors were counted")
