# SPDX-License-Identifier: MIT
"""Scenarios 9, 10 and 16 to 21: streams and contents that nobody sane sends."""

import hashlib
import os
import random
import select
import socket
import struct
import time

import clients


def single_bytes(trial):
    """Each byte a segment of its own (TCP_NODELAY)."""
    server = trial.serve()
    stream = clients.Stream(
        clients.connect(server.address), 9, total=trial.size(5000, 100000), piece=1
    )
    with trial.bystander(server):
        trial.expect(clients.pump([stream], 50 * trial.slow), "took too long")
    trial.expect(stream.got == stream.total, f"{stream.got} bytes came back, end {stream.end}")
    stream.socket.close()


def long_stream(trial):
    """Written and read in random sizes; the hashes are equal."""
    server = trial.serve()
    total = trial.size(48 << 20, 1 << 30)
    sizes = random.Random(10)
    pattern = clients.Pattern(10)
    s = clients.connect(server.address, timeout=10 * trial.slow)
    s.setblocking(False)
    there, back = hashlib.blake2b(), hashlib.blake2b()
    sent = got = 0
    with trial.bystander(server):
        while got < total:
            want_write = [s] if sent < total else []
            readable, writable, _ = select.select([s], want_write, [], 10 * trial.slow)
            trial.expect(readable or writable, f"stands still at {sent} sent, {got} echoed")
            if writable:
                piece = pattern.at(sent, min(sizes.randint(1, 200000), total - sent))
                n = s.send(piece)
                there.update(piece[:n])
                sent += n
            if readable:
                piece = s.recv(sizes.randint(1, 200000))
                trial.expect(piece, f"ended after {got} bytes")
                back.update(piece)
                got += len(piece)
    trial.expect(there.digest() == back.digest(), "other bytes came back")
    s.close()


def urgent_bytes(trial):
    """MSG_OOB at the start, in the middle, at the end, and one right after the other: the bytes are
    part of the stream (SO_OOBINLINE), and readiness for them makes nobody spin."""
    server = trial.serve(pause="10ms")
    pieces = [
        (b"!", True),
        (b"abc", False),
        (b"de?", True),
        (b"f", False),
        (b"+", True),
        (b"-", True),
    ]
    for rest in (0.0, 0.02):
        s = clients.connect(server.address, timeout=5 * trial.slow)
        for data, urgent in pieces:
            s.send(data, socket.MSG_OOB if urgent else 0)
            time.sleep(rest)
        whole = b"".join(data for data, _ in pieces)
        got = clients.receive(s, len(whole))
        trial.expect(got == whole, f"{got!r} instead of {whole!r}")
        s.send(b"$", socket.MSG_OOB)
        trial.expect(clients.receive(s, 1) == b"$", "the last byte was lost")
        before, at = server.cpu(), time.monotonic()
        time.sleep(0.5)
        spun = (server.cpu() - before) / (time.monotonic() - at)
        trial.expect(spun < 0.2, f"an urgent byte keeps the server busy: {spun:.0%} of a processor")
        s.close()


def pipelined(trial):
    """A burst of messages whose sender does not read yet. Others get their turn, memory is capped,
    and then all answers come in order."""
    count, size = 100000, 64
    server = trial.serve()
    data = b"".join(b"%0*d\n" % (size - 1, i) for i in range(count))
    s = clients.connect(server.address, received=65536)
    s.setblocking(False)
    sent, still = 0, time.monotonic()
    with trial.bystander(server):
        while sent < len(data) and time.monotonic() - still < 0.3:
            if select.select([], [s], [], 0.05)[1]:
                sent += s.send(memoryview(data)[sent : sent + (1 << 20)])
                still = time.monotonic()
        memory = server.memory() - server.before["memory"]
        trial.note(f"{sent} of {len(data)} bytes taken unread, memory {memory >> 10:+} KiB")
        if trial.slow == 1:
            # The mark of 256 KiB and a receive; the rest as for any connection, see trial.py.
            trial.expect(memory < (5 << 20), f"the server keeps {memory >> 10} KiB for one peer")
        got, answers = 0, hashlib.blake2b()
        while got < len(data):
            want_write = [s] if sent < len(data) else []
            readable, writable, _ = select.select([s], want_write, [], 10 * trial.slow)
            trial.expect(readable or writable, f"stands still at {sent} sent, {got} echoed")
            if writable:
                sent += s.send(memoryview(data)[sent : sent + (1 << 20)])
            if readable:
                piece = s.recv(1 << 20)
                trial.expect(piece, f"ended after {got} bytes")
                answers.update(piece)
                got += len(piece)
    trial.expect(answers.digest() == hashlib.blake2b(data).digest(), "order or contents differ")
    s.close()


def endless_line(trial):
    """No newline, for long. The services take what comes, so nothing is kept of a line; a server
    that keeps lines (the example `lines`) ends who sends one byte too many."""
    server = trial.serve("--service", "capitalize")
    total = trial.size(32 << 20, 1 << 30)
    s = clients.connect(server.address)
    s.setblocking(False)
    line = b"x" * 262144
    sent = got = 0
    while got < total:
        readable, writable, _ = select.select([s], [s] if sent < total else [], [], 10 * trial.slow)
        trial.expect(readable or writable, f"stands still at {sent} sent, {got} answered")
        if writable:
            sent += s.send(line[: total - sent])
        if readable:
            piece = s.recv(262144)
            first = b"X" if got == 0 else b"x"
            trial.expect(piece[:1] == first, f"{piece[:1]!r} at {got}")
            trial.expect(piece.count(b"x") >= len(piece) - 1, f"another letter after {got}")
            got += len(piece)
    memory = server.memory() - server.before["memory"]
    trial.note(f"memory {memory >> 10:+} KiB after a line of {total >> 20} MiB")
    if trial.slow == 1:
        trial.expect(memory < (5 << 20), f"memory grew by {memory >> 10} KiB")
    s.close()
    if trial.options.lines:
        too_long(trial)


def too_long(trial):
    most = 4096  # LINE_MOST of examples/lines.c, the newline included where it comes separately
    server = trial.serve(
        program=[trial.options.lines, trial.model, "127.0.0.1:0"], probe=clients.probe_line
    )
    s = clients.connect(server.address, timeout=5 * trial.slow)
    s.sendall(b"y" * (most - 1) + b"\n")
    want = b"1: " + b"y" * (most - 1) + b"\n"
    got = clients.receive(s, len(want))
    trial.expect(got == want, f"the longest line was answered with {got[:40]!r}")
    s.close()
    for data in (b"z" * (most + 1) + b"\n", b"z" * (1 << 20)):
        s = clients.connect(server.address, timeout=5 * trial.slow)
        try:
            s.sendall(data)
            how = clients.end_of(s, 5 * trial.slow)
        except (BrokenPipeError, ConnectionResetError):
            how = "reset"
        trial.expect(how is not None, f"a line of {len(data)} bytes is still being read")
        s.close()


def echoed(trial, server, data, pieces=1, seconds=5.0):
    """It comes back as it is and the end is clean, in however many pieces it is sent."""
    s = clients.connect(server.address, timeout=seconds * trial.slow)
    step = max(1, len(data) // pieces)
    for at in range(0, len(data), step):
        s.sendall(data[at : at + step])
    s.shutdown(socket.SHUT_WR)
    got = clients.receive(s, len(data) + 1)
    trial.expect(got == data, f"{got[:60]!r}... instead of {data[:60]!r}...")
    s.close()


def hello(name=b"example.org"):
    """A ClientHello of TLS 1.2 with the server's name in it (RFC 5246, 7.4.1.2; RFC 6066, 3)."""
    sni = struct.pack("!HHHBH", 0, len(name) + 5, len(name) + 3, 0, len(name)) + name
    ciphers = struct.pack("!4H", 0xC02F, 0xC030, 0x009C, 0x002F)
    body = b"\x03\x03" + bytes(range(32)) + b"\0"
    body += struct.pack("!H", len(ciphers)) + ciphers + b"\1\0"
    body += struct.pack("!H", len(sni)) + sni
    shake = b"\1" + struct.pack("!I", len(body))[1:] + body
    return b"\x16\x03\x01" + struct.pack("!H", len(shake)) + shake


def client_hello(trial):
    """To a plain port: these are bytes as any others."""
    server = trial.serve()
    data = hello()
    echoed(trial, server, data)
    echoed(trial, server, data, pieces=len(data))
    echoed(trial, server, data[:40])
    echoed(trial, server, b"\x16\x03\x01\xff\xff" + b"\0" * 100)
    s = clients.connect(server.address)
    s.sendall(data)
    clients.reset(s)


def proxy_headers(trial):
    server = trial.serve()
    magic = b"\r\n\r\n\0\r\nQUIT\n"  # of version 2
    good = magic + b"\x21\x11" + struct.pack("!H4s4sHH", 12, b"\x7f\0\0\1", b"\x7f\0\0\2", 1, 2)
    inputs = [
        b"PROXY TCP4 127.0.0.1 127.0.0.2 1 2\r\n",
        b"PROXY TCP4 127.0.0.1 12",
        b"PROXY UNKNOWN " + b"f" * 107 + b"\r\n",
        b"PROXY TCP4 999.0.0.1 -1 70000 x\r\n",
        b"PROXY TCP4 127.0.0.1\0 127.0.0.2 1 2\r\n",
        good,
        good[:14],
        magic + b"\x21\x11\xff\xff" + b"x" * 20,
        magic + b"\x21\x11\0\0",
        magic + b"\xff\xff\0\4abcd",
    ]
    for data in inputs:
        echoed(trial, server, data)
        echoed(trial, server, data, pieces=len(data))


def random_bytes(trial):
    """Random contents in random pieces, with a random end. The parsers of the project have their
    own tests with random input; this is about sockets."""
    server = trial.serve("--service", "echo")
    seed = int.from_bytes(os.urandom(4), "big")
    trial.note(f"seed {seed}")
    rand = random.Random(seed)
    for i in range(trial.size(300, 10000)):
        data = rand.randbytes(rand.choice((0, 1, 2, 100, 4096, 65537)))
        end = rand.choice(("fin", "read", "reset", "close"))
        if end == "fin":
            echoed(trial, server, data, pieces=rand.randint(1, 4))
            continue
        s = clients.connect(server.address, timeout=5 * trial.slow)
        s.sendall(data[:32768])
        if end == "read":
            got = clients.receive(s, len(data[:32768]))
            trial.expect(got == data[:32768], f"socket {i} of seed {seed}: another echo")
        if end == "reset":
            clients.reset(s)
        else:
            s.close()
    stats = server.until_stats(lambda s: s["open"] == 0)
    trial.expect(stats["open"] == 0, f"{stats['open']} connections are still open, seed {seed}")
